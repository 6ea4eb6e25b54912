/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/columns.h"
#include "base/attr.h"
#include "base/mem.h"
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

void columns_init(struct columns *c, uint32_t nodes_max)
{
    *c = (struct columns){.filter = columns_filter_fast(),
                          .log_size = COLUMNS_LOG_LEAST,
                          .log_most = COLUMNS_LOG_LEAST};
    while (c->log_most < nodes_max && c->log_most < COLUMNS_LOG_MOST)
        c->log_most *= 2;
    c->log = mem_reserve(c->log_most / COLUMNS_LANES, sizeof *c->log);
    c->log_node = mem_reserve(c->log_most, sizeof *c->log_node);
    for (uint32_t i = 0; i < COLUMNS_ORDERS; i++)
        order_init(&c->order[i]);
}

void columns_fini(struct columns *c)
{
    mem_free(c->odd);
    mem_release(c->log, c->log_most / COLUMNS_LANES, sizeof *c->log);
    mem_release(c->log_node, c->log_most, sizeof *c->log_node);
    mem_free(c->hot);
    for (uint32_t i = 0; i < COLUMNS_ORDERS; i++)
        order_fini(&c->order[i]);
}

static void grow_to(struct columns *c, uint32_t node)
{
    uint32_t size = c->size == 0 ? 64 : c->size;
    while (size <= node)
        size *= 2;
    c->odd = mem_grow_lines(c->odd, c->size / COLUMNS_LANES, size / COLUMNS_LANES, sizeof *c->odd);
    c->hot = mem_grow_lines(c->hot, c->size, size, sizeof *c->hot);
    c->size = size;
    if (size <= c->log_size || c->log_size == c->log_most)
        return;
    c->log_size = min_u32(size, c->log_most);
    /* Its entries stand elsewhere now: every reader is too far behind. */
    c->log_end += COLUMNS_LOG_MOST;
}

static bool is_ordered(uint32_t order)
{
    return order > 0 && order < COLUMNS_ORDERS;
}

static void put_entry(struct columns *c, uint32_t node, const struct columns_row *row)
{
    uint64_t before = c->hot[node].log_at;
    if (before > 0 && c->log_end - (before - 1) < c->log_size) {
        uint32_t old = (uint32_t)(before - 1) & (c->log_size - 1);
        c->log[old / COLUMNS_LANES].at[COLUMN_OPEN][old % COLUMNS_LANES] = 0;
    }
    uint32_t at = (uint32_t)c->log_end & (c->log_size - 1);
    struct columns_block *entry = &c->log[at / COLUMNS_LANES];
#pragma GCC unroll 14
    for (uint32_t i = 0; i < COLUMN__COUNT; i++)
        entry->at[i][at % COLUMNS_LANES] = row->at[i];
    c->log_node[at] = node;
    c->hot[node].log_at = ++c->log_end;
}

static void put_odd(struct columns *c, uint32_t node, const struct columns_row *row)
{
    struct columns_block *block = &c->odd[node / COLUMNS_LANES];
    for (uint32_t i = 0; i < COLUMN__COUNT; i++)
        block->at[i][node % COLUMNS_LANES] = row->at[i];
    if (row->hot.order != COLUMNS_ODD)
        block->at[COLUMN_OPEN][node % COLUMNS_LANES] = 0;
}

void columns_put(struct columns *c, uint32_t node, const struct columns_row *row)
{
    if (node >= c->size)
        grow_to(c, node);
    struct columns_hot *hot = &c->hot[node];
    uint32_t was = hot->order, is = row->hot.order, version = hot->version + 1;
    if (c->is_logged)
        put_entry(c, node, row);
    if (was != is && is_ordered(was))
        order_remove(&c->order[was], c->hot, node);
    uint32_t position = was == is ? hot->position : ORDER_NONE;
    uint64_t log_at = hot->log_at;
    *hot = row->hot;
    hot->version = version;
    hot->position = position;
    hot->log_at = log_at;

    c->odd_count += (uint32_t)(is == COLUMNS_ODD) - (uint32_t)(was == COLUMNS_ODD);
    if (is == COLUMNS_ODD || was == COLUMNS_ODD)
        put_odd(c, node, row);
    if (is_ordered(is)) {
        struct order_room room;
        memcpy(&room, row->at, sizeof room);
        order_put(&c->order[is], c->hot, node, &room);
    }
}

size_t columns_bytes(const struct columns *c)
{
    size_t node = COLUMN__COUNT * sizeof(uint16_t) + sizeof(struct columns_hot);
    size_t log = COLUMN__COUNT * sizeof(uint16_t) + sizeof(uint32_t);
    size_t orders = 0;
    for (uint32_t i = 0; i < COLUMNS_ORDERS; i++)
        orders += order_bytes(&c->order[i]);
    return c->size * node + c->log_size * log + orders;
}

/* ---- the filter ---- */

uint32_t columns_filter_scalar(const struct columns_block *blocks, const struct columns_want *want,
                               uint32_t from, uint32_t to, uint32_t *out)
{
    uint32_t count = 0;
    for (uint32_t i = from; i < to; i++) {
        const struct columns_block *b = &blocks[i / COLUMNS_LANES];
        bool all = true;
        for (uint32_t k = 0; k < want->count && all; k++)
            all = b->at[want->column[k]][i % COLUMNS_LANES] >= want->least[k];
        out[count] = i;
        count += all;
    }
    return count;
}

#if defined(__x86_64__)
enum { UNROLL = 4, LANE_BITS = 2 }; /* Blocks at a time; bits per lane of a byte mask. */

/* Bit pairs of the lanes that pass, for some blocks in a row: each wish is loaded once for all. */
__attribute__((target("avx2,bmi"), always_inline)) static inline void
pass_avx2(const struct columns_block *b, const struct columns_want *want, uint32_t count,
          uint32_t out[UNROLL])
{
    __m256i all[UNROLL];
#pragma GCC unroll 4
    for (uint32_t j = 0; j < count; j++)
        all[j] = _mm256_set1_epi16(-1);
    for (uint32_t k = 0; k < want->count; k++) {
        const uint16_t *column = b->at[want->column[k]];
        __m256i least = _mm256_set1_epi16((short)want->least[k]);
#pragma GCC unroll 4
        for (uint32_t j = 0; j < count; j++) {
            const void *at = column + j * (sizeof *b / sizeof *column);
            __m256i have = _mm256_load_si256(at);
            all[j] =
                _mm256_and_si256(all[j], _mm256_cmpeq_epi16(_mm256_max_epu16(have, least), have));
        }
    }
#pragma GCC unroll 4
    for (uint32_t j = 0; j < count; j++)
        out[j] = (uint32_t)_mm256_movemask_epi8(all[j]) & 0x55555555u;
}

/* Whole blocks are compared; what lies before from and behind to is cut off the bits. */
__attribute__((target("avx2,bmi"))) static uint32_t filter_avx2(const struct columns_block *blocks,
                                                                const struct columns_want *want,
                                                                uint32_t from, uint32_t to,
                                                                uint32_t *out)
{
    if (from == to)
        return 0;
    uint32_t count = 0, hits[UNROLL], step;
    uint32_t first = from / COLUMNS_LANES, last = (to - 1) / COLUMNS_LANES;
    for (uint32_t b = first; b <= last; b += step) {
        step = last - b + 1 >= UNROLL ? UNROLL : 1;
        if (step == UNROLL)
            pass_avx2(&blocks[b], want, UNROLL, hits);
        else
            pass_avx2(&blocks[b], want, 1, hits);
        if (b == first)
            hits[0] &= UINT32_MAX << LANE_BITS * (from % COLUMNS_LANES);
        if (b + step - 1 == last)
            hits[step - 1] &=
                UINT32_MAX >> LANE_BITS * (COLUMNS_LANES - 1 - (to - 1) % COLUMNS_LANES);
        for (uint32_t j = 0; j < step; j++)
            for (; hits[j] != 0; hits[j] &= hits[j] - 1)
                out[count++] =
                    (b + j) * COLUMNS_LANES + (uint32_t)__builtin_ctz(hits[j]) / LANE_BITS;
    }
    return count;
}
#endif

columns_filter *columns_filter_fast(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi"))
        return filter_avx2;
#endif
    return columns_filter_scalar;
}
