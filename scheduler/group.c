/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The candidates of one group: a small heap of the cheapest and the rest, in no order. Costs may be
 * lower bounds. Entries whose node changed since are dropped when they are met. A full heap spills
 * into the rest, a full rest forgets its dearest and lowers the limit.
 */
#include "scheduler/shortlist.h"

bool group__is_current(const struct ledger *l, const struct cost *entry)
{
    return entry->version == (l->columns.hot[entry->node].version & COST_VERSION_MAX);
}

void group__clear(struct shortlist_group *g)
{
    g->count = g->rest_count = 0;
    g->limited = g->heap_limited = false;
}

void group__free(struct shortlist_group *g)
{
    mem_free(g->heap);
    mem_free(g->rest);
}

/* ---- helpers ---- */

static void grow(struct ledger *l, struct shortlist *sl, struct cost **at, uint32_t *size,
                 uint32_t most)
{
    uint32_t grown = *size == 0 ? min_u32(8, most) : min_u32(*size * 2, most);
    *at = mem_resize(*at, grown * sizeof **at);
    sl->bytes += (grown - *size) * sizeof **at;
    l->cache_bytes += (grown - *size) * sizeof **at;
    *size = grown;
}

static uint32_t drop_stale(const struct ledger *l, struct cost *at, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        __builtin_prefetch(&l->columns.hot[at[i].node]);
    for (uint32_t i = 0; i < count; i++)
        if (group__is_current(l, &at[i]))
            at[kept++] = at[i];
    return kept;
}

/* Hoare's selection: at[keep] where sorting would put it, nothing dearer before it. */
static void select_cheapest(struct cost *at, uint32_t count, uint32_t keep)
{
    int64_t low = 0, high = (int64_t)count - 1;
    while (low < high) {
        struct cost pivot = at[(low + high) / 2];
        int64_t i = low, k = high;
        while (i <= k) {
            while (cost__less(&at[i], &pivot))
                i++;
            while (cost__less(&pivot, &at[k]))
                k--;
            if (i > k)
                break;
            struct cost swap = at[i];
            at[i++] = at[k];
            at[k--] = swap;
        }
        if (keep <= k)
            high = k;
        else if (keep >= i)
            low = i;
        else
            break;
    }
}

/* ---- the heap ---- */

/* A place is free at i: children move up until moved fits. */
static void heap_down(struct cost *heap, uint32_t count, uint32_t i, const struct cost *moved)
{
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= count)
            break;
        if (child + 1 < count && cost__less(&heap[child + 1], &heap[child]))
            child++;
        if (!cost__less(&heap[child], moved))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = *moved;
}

void group__sink(struct shortlist_group *g, const struct cost *moved)
{
    heap_down(g->heap, g->count, 0, moved);
}

void group__pop(struct shortlist_group *g)
{
    struct cost last = g->heap[--g->count];
    if (g->count > 0)
        heap_down(g->heap, g->count, 0, &last);
}

/* Only the cheapest stay; the cheapest that goes is the heap's new limit. */
static void heap_spill(struct ledger *l, struct shortlist *sl, struct shortlist_group *g)
{
    uint32_t count = drop_stale(l, g->heap, g->count);
    g->count = min_u32(count, sl->draw);
    if (count > sl->draw) {
        select_cheapest(g->heap, count, sl->draw);
        g->heap_limit = g->heap[sl->draw];
        g->heap_limited = true;
        for (uint32_t i = sl->draw; i < count; i++)
            group__add(l, sl, g, &g->heap[i]);
    }
    for (uint32_t i = g->count / 2; i-- > 0;) {
        struct cost moved = g->heap[i];
        heap_down(g->heap, g->count, i, &moved);
    }
}

void group__push(struct ledger *l, struct shortlist *sl, struct shortlist_group *g,
                 const struct cost *entry)
{
    uint32_t most = SHORTLIST_SPARE * sl->draw;
    if (g->count == most) {
        heap_spill(l, sl, g);
        if (g->heap_limited && !cost__less(entry, &g->heap_limit)) {
            group__add(l, sl, g, entry);
            return;
        }
    }
    if (g->count == g->size)
        grow(l, sl, &g->heap, &g->size, most);
    uint32_t i = g->count++;
    for (; i > 0 && cost__less(entry, &g->heap[(i - 1) / 2]); i = (i - 1) / 2)
        g->heap[i] = g->heap[(i - 1) / 2];
    g->heap[i] = *entry;
}

/* ---- the rest ---- */

static void rest_shrink(const struct ledger *l, const struct shortlist *sl,
                        struct shortlist_group *g)
{
    g->rest_count = drop_stale(l, g->rest, g->rest_count);
    if (g->rest_count <= sl->keep)
        return;
    select_cheapest(g->rest, g->rest_count, sl->keep);
    g->limit = g->rest[sl->keep];
    g->limited = true;
    g->rest_count = sl->keep;
}

void group__add(struct ledger *l, struct shortlist *sl, struct shortlist_group *g,
                const struct cost *entry)
{
    uint32_t most = SHORTLIST_SPARE * sl->keep;
    if (g->rest_count == most)
        rest_shrink(l, sl, g);
    if (g->limited && !cost__less(entry, &g->limit))
        return;
    if (g->rest_count == g->rest_size)
        grow(l, sl, &g->rest, &g->rest_size, most);
    g->rest[g->rest_count++] = *entry;
}

uint32_t group__draw(const struct ledger *l, const struct shortlist *sl, struct shortlist_group *g,
                     struct cost out[SHORTLIST_DRAW_MAX])
{
    g->rest_count = drop_stale(l, g->rest, g->rest_count);
    uint32_t count = min_u32(sl->draw, g->rest_count), stay = g->rest_count - count;
    if (stay > 0)
        select_cheapest(g->rest, g->rest_count, count);
    g->heap_limit = stay > 0 ? g->rest[count] : g->limit;
    g->heap_limited = stay > 0 || g->limited;
    memcpy(out, g->rest, count * sizeof *out);

    uint32_t moved = min_u32(count, stay);
    memcpy(g->rest, g->rest + g->rest_count - moved, moved * sizeof *g->rest);
    g->rest_count = stay;
    return count;
}
