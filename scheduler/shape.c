/* SPDX-License-Identifier: Apache-2.0 */
/* The unchanging part of a machine. Clusters have thousands of nodes and a handful of machines. */
#include "scheduler/ledger_priv.h"
#include "base/buf.h"

static void shape_bytes(const struct topology *t, struct buf *out);
static void shape_fill(struct shape *s, const struct topology *t);
static void shape_fill_cores(struct shape *s, const struct topology *t);
static void shape_fill_masks(struct shape *s);

enum err_code shape__intern(struct ledger *l, const struct topology *t, struct shape **out,
                            struct err *e)
{
    struct buf key;
    buf_init(&key, 1 << 20);
    shape_bytes(t, &key);

    struct shape *s = map_find(&l->shapes, buf_str(&key));
    if (s == NULL) {
        s = mem_zalloc(1, sizeof *s);
        char *copy = mem_alloc(buf_str(&key).len);
        memcpy(copy, buf_str(&key).at, buf_str(&key).len);
        s->key = (struct str){copy, buf_str(&key).len};
        shape_fill(s, t);
        if (map_put(&l->shapes, s->key, s) != ERR_OK) {
            mem_free(copy);
            mem_free(s);
            buf_free(&key);
            return err_set(e, ERR_LIMIT, "too many different machines");
        }
        l->nodes_memory += sizeof *s + s->key.len;
        l->rules_epoch++; /* What a request takes is counted over all machines. */
    }
    buf_free(&key);
    s->refs++;
    *out = s;
    return ERR_OK;
}

void shape__unref(struct ledger *l, struct shape *s)
{
    if (s == NULL || --s->refs > 0)
        return;
    map_remove(&l->shapes, s->key);
    l->nodes_memory -= sizeof *s + s->key.len;
    mem_free((char *)(uintptr_t)s->key.at);
    mem_free(s);
}

static void put_u32(struct buf *out, uint32_t v)
{
    buf_add(out, str_from(&v, sizeof v));
}

static void shape_bytes(const struct topology *t, struct buf *out)
{
    const uint32_t head[] = {t->sockets_count, t->numa_count, t->llcs_count, t->cores_count,
                             t->shared_cores};
    buf_add(out, str_from(head, sizeof head));
    for (uint32_t i = 0; i < t->numa_count; i++) {
        put_u32(out, t->numa[i].socket);
        buf_add(out, str_from(t->numa[i].distance, t->numa_count));
    }
    for (uint32_t i = 0; i < t->llcs_count; i++) {
        put_u32(out, t->llcs[i].numa);
        put_u32(out, t->llcs[i].ways);
        put_u32(out, t->llcs[i].bandwidth_mbps);
    }
    for (uint32_t i = 0; i < t->cores_count; i++) {
        put_u32(out, t->cores[i].llc);
        put_u32(out, t->cores[i].threads_count);
        buf_add(out, str_from(t->cores[i].os_cpu,
                              t->cores[i].threads_count * sizeof t->cores[i].os_cpu[0]));
    }
}

static void shape_fill(struct shape *s, const struct topology *t)
{
    s->sockets_count = t->sockets_count;
    s->numa_count = t->numa_count;
    s->llcs_count = t->llcs_count;
    s->cores_count = t->cores_count;
    s->shared_cores = t->shared_cores;
    s->words = (t->cores_count + 63) / 64;
    s->content = hash__bytes(0, s->key.at, s->key.len);
    for (uint32_t i = 0; i < t->numa_count; i++)
        s->numa_socket[i] = (uint8_t)t->numa[i].socket;
    for (uint32_t i = 0; i < t->llcs_count; i++) {
        s->llc_numa[i] = (uint8_t)t->llcs[i].numa;
        s->llc_ways[i] = (uint16_t)min_u32(t->llcs[i].ways, UINT16_MAX);
        s->llc_bandwidth[i] = t->llcs[i].bandwidth_mbps;
        s->has_cache_rows |= t->llcs[i].ways > 0 || t->llcs[i].bandwidth_mbps > 0;
        s->llc_first_word[i] = CORE_WORDS;
    }
    for (uint32_t i = 0, count = 0; i < t->numa_count; i++) {
        for (uint32_t k = 0; k < t->llcs_count; k++)
            if (t->llcs[k].numa == i)
                s->numa_llcs[count++] = (uint8_t)k;
        s->numa_llcs_from[i + 1] = (uint8_t)count;
    }
    shape_fill_cores(s, t);
    for (uint32_t i = 0; i < s->numa_count; i++)
        for (uint32_t k = 0; k < s->numa_count; k++)
            for (uint32_t m = 0; m < MASKS_MAX; m++)
                if ((m + 1) >> i & 1 && (m + 1) >> k & 1)
                    s->masks[m].distance += t->numa[i].distance[k];
    shape_fill_masks(s);
}

static void shape_fill_cores(struct shape *s, const struct topology *t)
{
    s->core_threads_min = TOPOLOGY_CORE_THREADS_MAX;
    for (uint32_t i = 0; i < t->cores_count; i++) {
        const struct topology_core *c = &t->cores[i];
        uint32_t numa = s->llc_numa[c->llc], word = i / 64;
        uint64_t bit = 1ull << i % 64;

        s->core_llc[i] = (uint8_t)c->llc;
        s->core_threads[i] = (uint8_t)c->threads_count;
        s->core_first[i] = (uint16_t)s->threads_count;
        for (uint32_t k = 0; k < c->threads_count; k++)
            s->os_cpu[s->threads_count++] = (uint16_t)c->os_cpu[k];
        s->core_threads_min = min_u32(s->core_threads_min, c->threads_count);
        s->core_threads_max = max_u32(s->core_threads_max, c->threads_count);
        s->numa_cores[numa][word] |= bit;
        s->llc_cores[c->llc][word] |= bit;
        s->llc_first_word[c->llc] = (uint16_t)min_u32(s->llc_first_word[c->llc], word);
        s->llc_last_word[c->llc] = (uint16_t)word;
        if (i >= s->shared_cores) {
            s->usable[word] |= bit;
            s->numa_usable[numa]++;
        }
    }
    for (uint32_t i = 0; i < s->llcs_count; i++) {
        uint32_t cores = 0;
        for (uint32_t w = 0; w < s->words; w++)
            cores += bits_count(s->llc_cores[i][w]);
        s->llc_cores_max = max_u32(s->llc_cores_max, cores);
    }
}

static bool mask_before(const struct shape_mask *a, const struct shape_mask *b)
{
    if (a->sockets != b->sockets)
        return a->sockets < b->sockets;
    if (a->count != b->count)
        return a->count < b->count;
    if (a->distance != b->distance)
        return a->distance < b->distance;
    return a->set < b->set;
}

/* Every set of NUMA nodes, the best first: fewest sockets, fewest NUMA nodes, closest together. */
static void shape_fill_masks(struct shape *s)
{
    s->masks_count = (1u << s->numa_count) - 1;
    for (uint32_t m = 0; m < s->masks_count; m++) {
        uint32_t sockets = 0;
        for (uint32_t i = 0; i < s->numa_count; i++)
            if ((m + 1) >> i & 1)
                sockets |= 1u << s->numa_socket[i];
        s->masks[m].set = (uint8_t)(m + 1);
        s->masks[m].sockets = (uint8_t)__builtin_popcount(sockets);
        s->masks[m].count = (uint8_t)__builtin_popcount(m + 1);
    }
    for (uint32_t i = 1; i < s->masks_count; i++) {
        struct shape_mask moved = s->masks[i];
        uint32_t k = i;
        for (; k > 0 && mask_before(&moved, &s->masks[k - 1]); k--)
            s->masks[k] = s->masks[k - 1];
        s->masks[k] = moved;
    }
    for (uint32_t i = 1; i < s->masks_count; i++) {
        const struct shape_mask *a = &s->masks[i - 1], *b = &s->masks[i];
        bool same = a->sockets == b->sockets && a->count == b->count && a->distance == b->distance;
        s->masks[i].level = (uint8_t)(s->masks[i - 1].level + !same);
    }
}
