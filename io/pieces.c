/* SPDX-License-Identifier: Apache-2.0 */
#include "io/pieces.h"

#include "base/mem.h"

enum { PIECES_FIRST = 4 };

static struct piece *piece_at(struct pieces *p, uint32_t index)
{
    return &p->ring[(p->first + index) & (p->size - 1)];
}

static void grow(struct pieces *p)
{
    uint32_t size = p->size == 0 ? PIECES_FIRST : p->size * 2;
    struct piece *ring = mem_alloc(size * sizeof *ring);

    for (uint32_t i = 0; i < p->count; i++)
        ring[i] = *piece_at(p, i);
    mem_free(p->ring);
    p->ring = ring;
    p->size = size;
    p->first = 0;
}

void pieces_push(struct pieces *p, struct blob *blob)
{
    if (blob == NULL || blob->len == 0) {
        blob_unref(blob);
        return;
    }
    if (p->count == p->size)
        grow(p);
    *piece_at(p, p->count++) = (struct piece){.blob = blob};
    p->queued_bytes += blob->len;
}

size_t pieces_pull(struct pieces *p, char *out, size_t size)
{
    size_t used = 0;

    while (used < size && p->count > 0) {
        struct piece *at = piece_at(p, 0);
        size_t step = min_size(at->blob->len - at->from, size - used);
        memcpy(out + used, at->blob->at + at->from, step);
        used += step;
        at->from += step;
        if (at->from < at->blob->len)
            break;
        blob_unref(at->blob);
        p->first = (p->first + 1) & (p->size - 1);
        p->count--;
    }
    p->queued_bytes -= used;
    return used;
}

void pieces_drop(struct pieces *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        blob_unref(piece_at(p, i)->blob);
    mem_free(p->ring);
    *p = (struct pieces){0};
}
