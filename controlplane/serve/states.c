/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/states.h"

static void state_drop(struct state *s)
{
    index_snapshot_free(&s->at);
    *s = (struct state){0};
}

void states_fini(struct states *t)
{
    for (struct state *s = t->kept; s < t->kept + STATES_MAX; s++)
        state_drop(s);
}

static struct state *state_of(struct states *t, const struct history *h, uint64_t revision)
{
    for (struct state *s = t->kept; s < t->kept + STATES_MAX; s++)
        if (s->history == h && s->at.revision == revision)
            return s;
    return NULL;
}

/* A free one was never used: it is the oldest. */
static struct state *state_oldest(struct states *t)
{
    struct state *oldest = t->kept;
    for (struct state *s = t->kept; s < t->kept + STATES_MAX; s++)
        if (s->used.ns < oldest->used.ns)
            oldest = s;
    return oldest;
}

void states_keep(struct states *t, struct history *h, const struct index_snapshot *s,
                 struct instant now)
{
    struct state *at = state_of(t, h, s->revision);
    if (at == NULL) {
        at = state_oldest(t);
        state_drop(at);
        *at = (struct state){h, index_snapshot_ref(s), now};
    }
    at->used = now;
}

static bool is_reached(const struct state *s)
{
    return history_bounds(s->history).oldest <= s->at.revision;
}

bool states_find(struct states *t, struct history *h, uint64_t revision, struct instant now,
                 struct index_snapshot *out)
{
    struct state *s = state_of(t, h, revision);
    if (s == NULL || !is_reached(s))
        return false;
    s->used = now;
    *out = index_snapshot_ref(&s->at);
    return true;
}

bool states_expire(struct states *t, struct instant now)
{
    bool any = false;
    for (struct state *s = t->kept; s < t->kept + STATES_MAX; s++) {
        if (s->history == NULL)
            continue;
        if (instant_sub(now, s->used).ns > SPAN_S(STATES_AGE_S).ns || !is_reached(s))
            state_drop(s);
        any = any || s->history != NULL;
    }
    return any;
}
