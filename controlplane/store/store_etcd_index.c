/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/store/store_etcd_index.h"

#include "base/check.h"
#include "base/mem.h"

void etcd_index_free(struct etcd_index *x)
{
    for (uint32_t i = 0; i < x->gone_count; i++)
        mem_free(x->gone[i].at);
    mem_free(x->gone);
    mem_free(x->segments);
    *x = (struct etcd_index){0};
}

/* ---- Records ---- */

void etcd_index_add(struct etcd_index *x, uint64_t seq, const struct etcd_record_head *h)
{
    if (x->segments_count == x->segments_size) {
        x->segments_size = x->segments_size == 0 ? 64 : x->segments_size * 2;
        x->segments = mem_resize(x->segments, x->segments_size * sizeof *x->segments);
    }
    x->segments[x->segments_count++] = (struct etcd_segment){.seq = seq,
                                                             .first = h->first,
                                                             .last = h->last,
                                                             .rows = h->rows,
                                                             .bytes = h->bytes,
                                                             .part = h->part};
}

void etcd_index_drop_from(struct etcd_index *x, uint64_t seq)
{
    while (x->segments_count > 0 && x->segments[x->segments_count - 1].seq >= seq)
        x->segments_count--;
}

/* Index into gone of the first whose seq is not below. */
static uint32_t gone_slot(const struct etcd_index *x, uint64_t seq)
{
    uint32_t low = 0, high = x->gone_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (x->gone[middle].seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void etcd_index_replace(struct etcd_index *x, uint32_t from, uint32_t count,
                        const struct etcd_segment *by)
{
    struct etcd_segment *at = x->segments + from;
    uint32_t kept = by->rows > 0 ? 1 : 0;
    CHECK(count > 0 && from + count <= x->segments_count);
    uint32_t gone_from = gone_slot(x, at[0].seq), gone_to = gone_slot(x, at[count - 1].seq + 1);
    for (uint32_t i = gone_from; i < gone_to; i++)
        mem_free(x->gone[i].at);
    if (gone_to < x->gone_count) /* There may be no list at all. */
        memmove(x->gone + gone_from, x->gone + gone_to,
                (x->gone_count - gone_to) * sizeof *x->gone);
    x->gone_count -= gone_to - gone_from;
    memmove(at + kept, at + count, (x->segments_count - from - count) * sizeof *at);
    if (kept > 0)
        at[0] = *by;
    x->segments_count -= count - kept;
}

uint32_t etcd_index_find(const struct etcd_index *x, uint64_t revision)
{
    uint32_t low = 0, high = x->segments_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (x->segments[middle].last < revision)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- Forgotten rows ---- */

struct etcd_gone *etcd_index_gone(const struct etcd_index *x, uint64_t seq)
{
    uint32_t i = gone_slot(x, seq);
    return i < x->gone_count && x->gone[i].seq == seq ? &x->gone[i] : NULL;
}

struct etcd_gone *etcd_index_gone_at(struct etcd_index *x, uint64_t seq)
{
    uint32_t i = gone_slot(x, seq);
    if (i < x->gone_count && x->gone[i].seq == seq)
        return &x->gone[i];
    if (x->gone_count == x->gone_size) {
        x->gone_size = x->gone_size == 0 ? 16 : x->gone_size * 2;
        x->gone = mem_resize(x->gone, x->gone_size * sizeof *x->gone);
    }
    memmove(x->gone + i + 1, x->gone + i, (x->gone_count - i) * sizeof *x->gone);
    x->gone_count++;
    x->gone[i] = (struct etcd_gone){.seq = seq};
    return &x->gone[i];
}

static uint32_t place_of(const struct etcd_gone *g, uint64_t revision)
{
    uint32_t low = 0, high = g->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (g->at[middle] < revision)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool etcd_gone_has(const struct etcd_gone *g, uint64_t revision)
{
    if (g == NULL)
        return false;
    uint32_t i = place_of(g, revision);
    return i < g->count && g->at[i] == revision;
}

void etcd_gone_add(struct etcd_gone *g, uint64_t revision)
{
    uint32_t i = place_of(g, revision);
    if (i < g->count && g->at[i] == revision)
        return;
    if (g->count == g->size) {
        g->size = g->size == 0 ? 8 : g->size * 2;
        g->at = mem_resize(g->at, g->size * sizeof *g->at);
    }
    memmove(g->at + i + 1, g->at + i, (g->count - i) * sizeof *g->at);
    g->at[i] = revision;
    g->count++;
    g->dirty = true;
}

void etcd_gone_print(const struct etcd_gone *g, struct buf *out)
{
    uint64_t last = 0;
    for (uint32_t i = 0; i < g->count; i++) {
        wire_put_varint(out, g->at[i] - last);
        last = g->at[i];
    }
}

enum err_code etcd_gone_read(struct etcd_gone *g, struct str bytes, struct err *e)
{
    struct wire_reader r = wire_read(bytes);
    uint64_t step, last = 0;
    while (wire_varint(&r, &step)) {
        if (step == 0 || step > UINT64_MAX - last)
            return err_set(e, ERR_CORRUPT, "the list of what was forgotten does not rise");
        etcd_gone_add(g, last += step);
    }
    if (r.broken)
        return err_set(e, ERR_CORRUPT, "the list of what was forgotten is cut off");
    g->dirty = false;
    return ERR_OK;
}
