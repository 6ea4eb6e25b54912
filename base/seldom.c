/* SPDX-License-Identifier: Apache-2.0 */
#include "base/seldom.h"

/* A minute whose sum nobody asked for in time goes on until somebody does: no line is lost. */
bool seldom_may(struct seldom *s, struct instant now)
{
    bool is_over = s->until.ns == 0 || instant_due(s->until, now);
    if (is_over && s->lines <= SELDOM_LINES)
        *s = (struct seldom){.until = instant_add(now, SPAN_S(SELDOM_EVERY_S))};
    return s->lines++ < SELDOM_LINES;
}

uint64_t seldom_withheld(struct seldom *s, struct instant now)
{
    uint64_t withheld = s->lines > SELDOM_LINES ? s->lines - SELDOM_LINES : 0;
    if (withheld == 0 || !instant_due(s->until, now))
        return 0;
    *s = (struct seldom){0};
    return withheld;
}

struct instant seldom_deadline(const struct seldom *s)
{
    return s->lines > SELDOM_LINES ? s->until : (struct instant){0};
}
