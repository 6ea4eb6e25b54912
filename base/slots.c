/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slots.h"

#include "base/check.h"
#include "base/mem.h"

void slots_init(struct slots *s, uint32_t count)
{
    *s = (struct slots){.generation = mem_zalloc(count, sizeof *s->generation),
                        .free_next = mem_zalloc(count, sizeof *s->free_next),
                        .count = count};
}

void slots_fini(struct slots *s)
{
    mem_free(s->generation);
    mem_free(s->free_next);
    *s = (struct slots){0};
}

/* Who stands behind i in the list of the free; count ends it. */
static uint32_t behind(const struct slots *s, uint32_t i)
{
    return s->free_next[i] == 0 ? i + 1 : s->free_next[i] - 1;
}

bool slots_live(const struct slots *s, struct slot_id id)
{
    return (id.generation & 1) != 0 && id.slot < s->count &&
           s->generation[id.slot] == id.generation;
}

bool slots_take(struct slots *s, struct slot_id *out_id)
{
    uint32_t i = s->free_first;
    if (i == s->count)
        return false;
    s->free_first = behind(s, i);
    s->taken++;
    *out_id = (struct slot_id){i, ++s->generation[i]};
    return true;
}

void slots_give(struct slots *s, struct slot_id id)
{
    CHECK(slots_live(s, id));
    s->generation[id.slot]++;
    s->free_next[id.slot] = s->free_first + 1;
    s->free_first = id.slot;
    s->taken--;
}
