/* SPDX-License-Identifier: Apache-2.0 */
/* What a list asks of a node's columns: the request's least amounts, and how little or much may be
 * left over, now that the list has limits. */
#include "scheduler/shortlist.h"

static void want_add(struct columns_want *want, enum column column, uint64_t least)
{
    if (least == 0)
        return;
    want->column[want->count] = (uint8_t)column;
    want->least[want->count++] = (uint16_t)min_u64(least, COLUMN_MAX);
}

/* single: everything from one NUMA node. */
static struct columns_want want_of(const struct shortlist *sl, uint32_t cores, uint64_t cpu_milli,
                                   bool single)
{
    const struct request *r = &sl->class->r;
    struct columns_want want = {0};
    uint32_t whole = 0, part = 0;
    uint64_t memory = (r->memory_bytes + r->overhead_bytes) >> COLUMN_MEMORY_SHIFT;

    for (uint32_t i = 0; i < r->devices_count; i++) {
        whole += r->devices[i].units == 0 ? r->devices[i].count : 0;
        part = max_u32(part, r->devices[i].units);
    }
    want_add(&want, COLUMN_OPEN, sl->has_rules ? 1 : 2);
    want_add(&want, single ? COLUMN_CORES_NUMA : COLUMN_CORES, cores);
    want_add(&want, COLUMN_CPU, cpu_milli / 32);
    want_add(&want, single ? COLUMN_MEMORY_NUMA : COLUMN_MEMORY, memory);
    uint16_t memory_units = (uint16_t)min_u64(memory, COLUMN_MAX);
    want_add(&want, COLUMN_CORES_MEMORY, single ? columns_both(cores, memory_units) : 0);
    want_add(&want, COLUMN_CPU_MEMORY, single ? min_u64(cpu_milli / 32, memory_units) : 0);
    want_add(&want, COLUMN_HUGE2M, r->hugepages_2m / 8);
    want_add(&want, COLUMN_HUGE1G, r->hugepages_1g);
    want_add(&want, COLUMN_DEVICES, whole);
    want_add(&want, COLUMN_PART, part);
    return want;
}

/* Least amounts over all machines there are: what passes is asked again. */
void wants__set(struct ledger *l, struct shortlist *sl)
{
    const struct request *r = &sl->class->r;
    uint32_t cores = UINT32_MAX, at = 0;
    uint64_t cpu_milli = UINT64_MAX;
    const struct map_entry *entry;
    sl->taken_least = UINT64_MAX;
    sl->taken_most = 0;
    while ((entry = map_next(&l->shapes, &at)) != NULL) {
        const struct shape *s = entry->value;
        struct shortlist_machine m =
            search__machine(l, r, s->core_threads_min, s->core_threads_max);
        cores = min_u32(cores, m.cores);
        cpu_milli = min_u64(cpu_milli, m.cpu_milli);
        if (s->core_threads_min == s->core_threads_max)
            sl->machine[s->core_threads_max] = m;
        for (uint32_t devices = 0; devices < 2; devices++) {
            sl->taken_least = min_u64(sl->taken_least, m.taken[devices]);
            sl->taken_most = max_u64(sl->taken_most, m.taken[devices]);
        }
    }
    if (l->shapes.live == 0)
        cores = 0, cpu_milli = 0;
    sl->want = want_of(sl, cores, cpu_milli, r->numa_policy == NUMA_SINGLE);
    sl->want_unsplit = want_of(sl, cores, cpu_milli, true);
}

uint64_t wants__left_bound(const struct shortlist *sl, int64_t *out_most)
{
    int64_t most = INT64_MIN;
    if (sl->has_costs)
        return UINT64_MAX;
    for (uint32_t i = 0; i < sl->groups_count; i++) {
        if (!sl->groups[i].limited || sl->groups[i].limit.rules != 0)
            return UINT64_MAX;
        most = sl->groups[i].limit.packing > most ? sl->groups[i].limit.packing : most;
    }
    int64_t left = sl->class->r.choice == CHOICE_SPREAD
                       ? (int64_t)sl->taken_least - most
                       : most + sl->gain_most + (int64_t)sl->taken_most;
    *out_most = most;
    return left < 0 ? 0 : (uint64_t)left;
}

/* Nodes with more (or less) left over than the bound are not wanted, nor are those that would have to
 * split the rows, when a split alone costs more than the limits. */
struct columns_want wants__now(const struct shortlist *sl)
{
    struct columns_want want = sl->want;
    int64_t most;
    uint64_t left = wants__left_bound(sl, &most);
    if (left == UINT64_MAX)
        return want;
    if (most + sl->gain_most < cost__split(1, 2) / 2)
        want = sl->want_unsplit;
    bool spread = sl->class->r.choice == CHOICE_SPREAD;
    uint64_t units = min_u64(left >> COLUMN_LEFT_SHIFT, COLUMN_MAX);
    want.column[want.count] = spread ? COLUMN_LEFT : COLUMN_FULL;
    want.least[want.count++] = (uint16_t)(spread ? units : COLUMN_MAX - units);
    return want;
}

struct order_room wants__room(const struct columns_want *want)
{
    struct order_room room = {{0}};
    for (uint32_t i = 0; i < want->count; i++)
        if (want->column[i] < ORDER_AMOUNTS)
            room.at[want->column[i]] = want->least[i];
    return room;
}
