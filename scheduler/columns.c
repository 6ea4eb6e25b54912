/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/columns.h"
#include "base/mem.h"
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

void columns_init(struct columns *c, uint32_t nodes_max)
{
    *c = (struct columns){.filter = columns_filter_fast(), .log_size = COLUMNS_LOG_LEAST};
    while (c->log_size < nodes_max && c->log_size < COLUMNS_LOG_MOST)
        c->log_size *= 2;
    for (uint32_t i = 0; i < COLUMN__COUNT; i++)
        c->log[i] = mem_zalloc(c->log_size + COLUMNS_LANES, sizeof(uint16_t));
    c->log_node = mem_zalloc(c->log_size, sizeof *c->log_node);
}

void columns_fini(struct columns *c)
{
    for (uint32_t i = 0; i < COLUMN__COUNT; i++) {
        mem_free(c->node[i]);
        mem_free(c->log[i]);
    }
    mem_free(c->log_node);
    mem_free(c->hot_block);
    mem_free(c->log_at);
}

static void *grow(void *at, uint32_t from, uint32_t to, size_t size)
{
    char *grown = mem_resize(at, to * size);
    memset(grown + from * size, 0, (to - from) * size);
    return grown;
}

static void grow_hot(struct columns *c, uint32_t size)
{
    void *block = mem_zalloc(size + 1, sizeof *c->hot);
    uintptr_t line = ((uintptr_t)block + sizeof *c->hot - 1) & ~(uintptr_t)(sizeof *c->hot - 1);
    if (c->size > 0)
        memcpy((void *)line, c->hot, c->size * sizeof *c->hot);
    mem_free(c->hot_block);
    c->hot_block = block;
    c->hot = (struct columns_hot *)line;
}

void columns_put(struct columns *c, uint32_t node, const struct columns_row *row)
{
    if (node >= c->size) {
        uint32_t size = c->size == 0 ? 64 : c->size * 2;
        while (size <= node)
            size *= 2;
        for (uint32_t i = 0; i < COLUMN__COUNT; i++)
            c->node[i] = grow(c->node[i], c->size, size, sizeof *c->node[i]);
        grow_hot(c, size);
        c->log_at = grow(c->log_at, c->size, size, sizeof *c->log_at);
        c->size = size;
    }
    uint64_t before = c->log_at[node];
    if (before > 0 && c->log_end - (before - 1) < c->log_size)
        c->log[COLUMN_OPEN][(before - 1) % c->log_size] = 0;

    uint32_t at = (uint32_t)(c->log_end % c->log_size);
    for (uint32_t i = 0; i < COLUMN__COUNT; i++)
        c->node[i][node] = c->log[i][at] = row->at[i];
    c->log_node[at] = node;
    c->log_at[node] = ++c->log_end;
    uint32_t version = c->hot[node].version + 1;
    c->hot[node] = row->hot;
    c->hot[node].version = version;
}

size_t columns_bytes(const struct columns *c)
{
    size_t node = COLUMN__COUNT * sizeof(uint16_t) + sizeof(struct columns_hot) + sizeof(uint64_t);
    size_t log = COLUMN__COUNT * sizeof(uint16_t) + sizeof(uint32_t);
    return c->size * node + c->log_size * log;
}

/* ---- the filter ---- */

uint32_t columns_filter_scalar(uint16_t *const columns[COLUMN__COUNT],
                               const struct columns_want *want, uint32_t from, uint32_t to,
                               uint32_t *out)
{
    uint32_t count = 0;
    for (uint32_t i = from; i < to; i++) {
        bool all = true;
        for (uint32_t k = 0; k < want->count && all; k++)
            all = columns[want->column[k]][i] >= want->least[k];
        out[count] = i;
        count += all;
    }
    return count;
}

#if defined(__x86_64__)
/* Sizes are multiples of the lanes and logs are padded: reading a whole vector at the end is safe. */
__attribute__((target("avx2,bmi"))) static uint32_t
filter_avx2(uint16_t *const columns[COLUMN__COUNT], const struct columns_want *want, uint32_t from,
            uint32_t to, uint32_t *out)
{
    uint32_t count = 0;
    for (uint32_t i = from; i < to; i += COLUMNS_LANES) {
        __m256i all = _mm256_set1_epi16(-1);
        uint32_t lanes = to - i < COLUMNS_LANES ? to - i : COLUMNS_LANES;
        for (uint32_t k = 0; k < want->count; k++) {
            const uint16_t *at = columns[want->column[k]] + i;
            __m256i have = _mm256_loadu_si256((const __m256i *)(const void *)at);
            __m256i least = _mm256_set1_epi16((short)want->least[k]);
            all = _mm256_and_si256(all, _mm256_cmpeq_epi16(_mm256_max_epu16(have, least), have));
        }
        uint32_t hits = (uint32_t)_mm256_movemask_epi8(all) & 0x55555555u;
        if (lanes < COLUMNS_LANES)
            hits &= (1u << 2 * lanes) - 1;
        for (; hits != 0; hits &= hits - 1)
            out[count++] = i + (uint32_t)__builtin_ctz(hits) / 2;
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
