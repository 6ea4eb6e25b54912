/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking rows off a node and giving them back.
 *
 * A hold keeps its rows packed in 64-bit words, in this order:
 *   cores    one bit per core, shape->words words; only when the request has exclusive CPUs
 *   memory   bytes, then 2 MiB pages in the low and 1 GiB pages in the high half, for every NUMA node
 *            of memory_mask; left out when there is one node only, which then gives all
 *   devices  index in the low and units in the high half of 32 bits, two to a word
 *   ways     a byte for each cache domain that gives a core, eight to a word: the first way
 * Four words stay inside the hold; more are allocated.
 */
#include "scheduler/search_priv.h"

static uint32_t pack(const struct node *n, const struct request *r, const struct fit *f,
                     uint64_t *out);
static void apply(struct node *n, const struct request *r, const struct fit *f, bool take);
static uint32_t take_address(struct node *n, uint32_t wanted);

enum {
    PACKED_MAX =
        CORE_WORDS + 2 * TOPOLOGY_NUMA_MAX + PLACEMENT_DEVICES_MAX / 2 + 1 + TOPOLOGY_LLCS_MAX / 8
};

static uint64_t *hold_words(const struct hold *h)
{
    return h->words_count <= HOLD_INLINE ? (uint64_t *)(uintptr_t)h->rows.words : h->rows.more;
}

void rows__take(struct ledger *l, struct node *n, struct hold *h, const struct request *r,
                const struct fit *f)
{
    uint64_t words[PACKED_MAX];
    uint32_t count = pack(n, r, f, words);

    h->node = n->index;
    h->memory_mask = (uint8_t)f->memory_mask;
    h->devices_count = (uint8_t)f->devices_count;
    h->words_count = (uint8_t)count;
    h->cpus_each = (uint8_t)(r->exclusive_cpus > 0 ? f->cpus_each : 0) & 15u;
    if (count > HOLD_INLINE) {
        h->rows.more = mem_alloc(count * sizeof *words);
        l->holds_memory += count * sizeof *words;
    }
    memcpy(hold_words(h), words, count * sizeof *words);
    apply(n, r, f, true);
    if (r->address_wanted || r->mac_wanted)
        h->address = take_address(n, f->address) + 1;
}

void rows__give(struct ledger *l, struct hold *h, const struct request *r)
{
    struct node *n = ledger__node(l, h->node);
    struct fit f;

    rows__unpack(n, h, r, &f);
    apply(n, r, &f, false);
    if (h->address > 0) {
        uint32_t i = h->address - 1;
        n->addresses[i / 64] &= ~(1ull << i % 64);
        n->addresses_held--;
        h->address = 0;
    }
    rows__drop(l, h);
}

/* Only the memory of the packed rows. */
void rows__drop(struct ledger *l, struct hold *h)
{
    if (h->words_count > HOLD_INLINE) {
        mem_free(h->rows.more);
        l->holds_memory -= h->words_count * sizeof(uint64_t);
    }
    h->words_count = 0;
}

/* ---- packing ---- */

static uint32_t pack(const struct node *n, const struct request *r, const struct fit *f,
                     uint64_t *out)
{
    uint32_t count = 0;
    if (r->exclusive_cpus > 0)
        for (uint32_t w = 0; w < n->shape->words; w++)
            out[count++] = f->cores[w];
    if ((f->memory_mask & (f->memory_mask - 1)) != 0)
        for (uint32_t rest = f->memory_mask; rest != 0; rest &= rest - 1) {
            const struct placement_memory *m = &f->memory[__builtin_ctz(rest)];
            out[count++] = m->bytes;
            out[count++] = (uint64_t)m->hugepages_1g << 32 | m->hugepages_2m;
        }
    for (uint32_t i = 0; i < f->devices_count; i++) {
        uint64_t one = (uint64_t)f->devices[i].units << 16 | f->devices[i].index;
        if (i % 2 == 0)
            out[count++] = one;
        else
            out[count - 1] |= one << 32;
    }
    for (uint32_t i = 0, k = 0; r->cache_ways > 0 && i < n->shape->llcs_count; i++) {
        if (!fit__llc_gives(n->shape, i, f->cores))
            continue;
        if (k % 8 == 0)
            out[count++] = 0;
        out[count - 1] |= (uint64_t)f->way_first[i] << k++ % 8 * 8;
    }
    return count;
}

void rows__unpack(const struct node *n, const struct hold *h, const struct request *r,
                  struct fit *out)
{
    const uint64_t *words = hold_words(h);

    out->cores_count = 0;
    out->cpus_each = h->cpus_each;
    memset(out->cores, 0, n->shape->words * sizeof *out->cores);
    if (r->exclusive_cpus > 0)
        for (uint32_t w = 0; w < n->shape->words; w++) {
            out->cores[w] = *words++;
            out->cores_count += bits_count(out->cores[w]);
        }
    out->memory_mask = h->memory_mask;
    if (h->memory_mask != 0 && (h->memory_mask & (h->memory_mask - 1)) == 0)
        out->memory[__builtin_ctz(h->memory_mask)] = (struct placement_memory){
            r->memory_bytes + r->overhead_bytes, r->hugepages_2m, r->hugepages_1g};
    else
        for (uint32_t rest = h->memory_mask; rest != 0; rest &= rest - 1, words += 2)
            out->memory[__builtin_ctz(rest)] =
                (struct placement_memory){words[0], (uint32_t)words[1], (uint32_t)(words[1] >> 32)};
    out->devices_count = h->devices_count;
    for (uint32_t i = 0; i < h->devices_count; i++) {
        uint32_t one = (uint32_t)(words[i / 2] >> i % 2 * 32);
        out->devices[i] = (struct fit_device){(uint16_t)one, (uint16_t)(one >> 16)};
    }
    words += (h->devices_count + 1) / 2;
    for (uint32_t i = 0, k = 0; r->cache_ways > 0 && i < n->shape->llcs_count; i++)
        if (fit__llc_gives(n->shape, i, out->cores)) {
            out->way_first[i] = (uint8_t)(words[k / 8] >> k % 8 * 8);
            k++;
        }
}

/* ---- the node's free rows ---- */

static uint32_t longest_stretch(const struct node_llc *llc)
{
    uint32_t best = 0, from = 0;
    for (uint32_t i = 0; i <= llc->ways_total; i++)
        if (i == llc->ways_total || llc->ways_held >> i & 1) {
            best = max_u32(best, i - from);
            from = i + 1;
        }
    return best;
}

/* Ways and bandwidth of the cache domains that give a core. */
static void apply_caches(struct node *n, const struct request *r, const struct fit *f, bool take)
{
    const struct shape *s = n->shape;
    for (uint32_t i = 0; i < s->llcs_count; i++) {
        struct node_llc *llc = &n->llcs[i];
        if (!fit__llc_gives(s, i, f->cores))
            continue;
        uint32_t mask = r->cache_ways == 0 ? 0 : rows__ways(f->way_first[i], r->cache_ways);
        CHECK((llc->ways_held & mask) == (take ? 0 : mask));
        llc->ways_held ^= mask;
        llc->ways_free = longest_stretch(llc);
        n->llcs[i].bandwidth_free += take ? -r->bandwidth_mbps : r->bandwidth_mbps;
    }
}

static uint32_t threads_of(const struct shape *s, uint32_t word, uint64_t cores)
{
    uint32_t threads = 0;
    if (s->core_threads_min == s->core_threads_max)
        return bits_count(cores) * s->core_threads_max;
    for (; cores != 0; cores &= cores - 1)
        threads += s->core_threads[word * 64 + (uint32_t)__builtin_ctzll(cores)];
    return threads;
}

static void apply_cores(struct node *n, const struct fit *f, bool take)
{
    const struct shape *s = n->shape;
    uint32_t threads = 0;

    for (uint32_t w = 0; w < s->words; w++) {
        if (f->cores[w] == 0)
            continue;
        CHECK((n->taken[w] & f->cores[w]) == (take ? 0 : f->cores[w]));
        n->taken[w] ^= f->cores[w];
        threads += threads_of(s, w, f->cores[w]);
        for (uint64_t rest = f->cores[w]; rest != 0;) {
            uint32_t core = w * 64 + (uint32_t)__builtin_ctzll(rest);
            uint32_t numa = s->llc_numa[s->core_llc[core]];
            /* A restored one may be of the reserve, which is not counted. */
            uint32_t cores = bits_count(rest & s->numa_cores[numa][w] & s->usable[w]);
            n->cores_free[numa] = (uint16_t)(n->cores_free[numa] + (take ? -cores : cores));
            rest &= ~s->numa_cores[numa][w];
        }
    }
    n->pool_threads += take ? -threads : threads;
}

static void apply_memory(struct node *n, const struct fit *f, bool take)
{
    for (uint32_t rest = f->memory_mask; rest != 0; rest &= rest - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(rest);
        const struct placement_memory *m = &f->memory[i];
        struct node_numa *numa = &n->numa[i];
        uint64_t bytes = take ? -m->bytes : m->bytes;
        uint32_t huge2m = take ? -m->hugepages_2m : m->hugepages_2m;
        uint32_t huge1g = take ? -m->hugepages_1g : m->hugepages_1g;
        CHECK(!take || (numa->memory_free >= m->bytes && numa->huge2m_free >= m->hugepages_2m &&
                        numa->huge1g_free >= m->hugepages_1g));
        numa->memory_free += bytes;
        numa->huge2m_free += huge2m;
        numa->huge1g_free += huge1g;
        n->memory_free += bytes;
        n->huge2m_free += (uint64_t)(int32_t)huge2m;
        n->huge1g_free += (uint64_t)(int32_t)huge1g;
    }
}

static void apply_devices(struct node *n, const struct request *r, const struct fit *f, bool take)
{
    for (uint32_t i = 0; i < f->devices_count; i++) {
        struct node_device *d = &n->devices[f->devices[i].index];
        uint32_t used = take ? d->used + f->devices[i].units : d->used - f->devices[i].units;
        CHECK(used <= d->units);
        d->used = (uint16_t)used;
    }
    for (uint32_t i = 0; i < r->scalars_count; i++)
        for (uint32_t k = 0; k < n->scalars_count; k++)
            if (n->scalars[k].name == r->scalars[i].name)
                n->scalars[k].held += take ? r->scalars[i].amount : -r->scalars[i].amount;
}

static bool port_clashes(const struct request_port *a, const struct request_port *b)
{
    return a->port == b->port && a->protocol == b->protocol &&
           (a->address == b->address || a->address == 0 || b->address == 0);
}

bool rows__port_taken(const struct node *n, const struct request_port *p)
{
    for (uint32_t i = 0; i < n->ports_count; i++)
        if (port_clashes(&n->ports[i], p))
            return true;
    return false;
}

static void apply_ports(struct node *n, const struct request *r, bool take)
{
    for (uint32_t i = 0; i < r->ports_count && take; i++) {
        if (n->ports_count == n->ports_size) {
            n->ports_size = n->ports_size == 0 ? 4 : n->ports_size * 2;
            n->ports = mem_resize(n->ports, n->ports_size * sizeof *n->ports);
        }
        n->ports[n->ports_count++] = r->ports[i];
    }
    for (uint32_t i = 0; i < r->ports_count && !take; i++)
        for (uint32_t k = 0; k < n->ports_count; k++)
            if (n->ports[k].port == r->ports[i].port &&
                n->ports[k].protocol == r->ports[i].protocol &&
                n->ports[k].address == r->ports[i].address) {
                n->ports[k] = n->ports[--n->ports_count];
                break;
            }
}

static void apply(struct node *n, const struct request *r, const struct fit *f, bool take)
{
    if (r->exclusive_cpus > 0)
        apply_cores(n, f, take);
    if (r->cache_ways > 0 || r->bandwidth_mbps > 0)
        apply_caches(n, r, f, take);
    n->shared_held += take ? r->shared_milli : -(uint64_t)r->shared_milli;
    apply_memory(n, f, take);
    if (f->devices_count + r->scalars_count > 0)
        apply_devices(n, r, f, take);
    if (r->ports_count > 0)
        apply_ports(n, r, take);
    n->holds_count += take ? 1 : (uint32_t)-1;
}

/* The wanted index, or the lowest free one at or after the last given: an address rests before it
 * comes back, so that peers' caches of it grow old. */
static uint32_t take_address(struct node *n, uint32_t wanted)
{
    uint32_t i = wanted;
    if (i == FIT_ADDRESS_ANY) {
        i = n->address_hint;
        for (uint32_t tries = 0; n->addresses[i / 64] >> i % 64 & 1; tries++) {
            CHECK(tries < n->addresses_count);
            i = (i + 1) % n->addresses_count;
        }
        n->address_hint = (i + 1) % n->addresses_count;
    }
    CHECK(i < n->addresses_count && !(n->addresses[i / 64] >> i % 64 & 1));
    n->addresses[i / 64] |= 1ull << i % 64;
    n->addresses_held++;
    return i;
}

/* ---- for people and agents ---- */

static void print_cores(const struct node *n, const struct request *r, const struct fit *f,
                        struct placement *out)
{
    const struct shape *s = n->shape;
    bool cache_rows = r->cache_ways > 0 || r->bandwidth_mbps > 0;
    uint64_t llcs[TOPOLOGY_LLCS_MAX / 64] = {0};

    for (uint32_t w = 0; w < s->words; w++)
        for (uint64_t rest = f->cores[w]; rest != 0; rest &= rest - 1) {
            uint32_t core = w * 64 + (uint32_t)__builtin_ctzll(rest), llc = s->core_llc[core];
            uint32_t give = min_u32(min_u32(f->cpus_each, s->core_threads[core]),
                                    r->exclusive_cpus - out->cpus_count);
            out->cores[out->cores_count++] = (uint16_t)core;
            out->numa_mask |= 1u << s->llc_numa[llc];
            for (uint32_t k = 0; k < give; k++)
                out->cpus[out->cpus_count++] = s->os_cpu[s->core_first[core] + k];
            if (cache_rows)
                llcs[llc / 64] |= 1ull << llc % 64;
        }
    for (uint32_t i = 0; i < s->llcs_count && cache_rows; i++)
        if (llcs[i / 64] >> i % 64 & 1)
            out->caches[out->caches_count++] = (struct placement_cache){
                i, r->cache_ways > 0 ? f->way_first[i] : 0, r->cache_ways, r->bandwidth_mbps};
}

void rows__print(const struct ledger *l, const struct hold *h, struct placement *out)
{
    struct fit f;
    rows__unpack(ledger__node(l, h->node), h, &ledger__class(l, h->class_id)->r, &f);
    rows__print_fit(l, h, &f, out);
}

void rows__print_fit(const struct ledger *l, const struct hold *h, const struct fit *f,
                     struct placement *out)
{
    const struct node *n = ledger__node(l, h->node);
    const struct request *r = &ledger__class(l, h->class_id)->r;

    out->node = h->node;
    out->node_name = n->name;
    out->cpus_count = out->cores_count = out->caches_count = out->numa_mask = 0;
    out->shared_milli = r->shared_milli;
    if (r->exclusive_cpus > 0)
        print_cores(n, r, f, out);
    memset(out->memory, 0, sizeof out->memory);
    for (uint32_t rest = f->memory_mask; rest != 0; rest &= rest - 1)
        out->memory[__builtin_ctz(rest)] = f->memory[__builtin_ctz(rest)];
    out->numa_mask |= f->memory_mask;
    out->devices_count = f->devices_count;
    for (uint32_t i = 0; i < f->devices_count; i++) {
        const struct node_device *d = &n->devices[f->devices[i].index];
        out->devices[i] = (struct placement_device){
            d->class_name, d->id_name, f->devices[i].units == d->units ? 0 : f->devices[i].units};
        if (d->numa != NODE_NUMA_ANY)
            out->numa_mask |= 1u << d->numa;
    }
    out->ports_count = r->ports_count;
    for (uint32_t i = 0; i < r->ports_count; i++)
        out->ports[i] = r->ports[i];
    out->address = h->address > 0 && r->address_wanted ? n->address_first + h->address - 1 : 0;
    out->mac = h->address > 0 && r->mac_wanted ? n->mac_first + h->address - 1 : 0;
}
