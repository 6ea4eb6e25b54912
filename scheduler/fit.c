/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which rows of one node serve a request.
 *
 * First the sums: a node that lacks something as a whole is refused with wanted and free. Then the
 * NUMA nodes: every set of them is tried, best level first (fewest sockets, fewest NUMA nodes,
 * closest together), and at the first level where any set has room the best of that level is taken:
 * fewest cache domains, then the most even left-over of cores and memory, then the smallest. The
 * single policy stops after sets of one, the restricted policy after the size that the emptied node
 * would need. Whole cores are granted, so no physical core is ever split.
 */
#include "scheduler/search_priv.h"

/* What the sets are judged by, per NUMA node. */
struct parts {
    const struct node *node;
    const struct request *r;
    bool empty;
    uint32_t cores_wanted;
    uint64_t memory_wanted;
    uint32_t cores[TOPOLOGY_NUMA_MAX];
    uint64_t memory[TOPOLOGY_NUMA_MAX];
    uint32_t huge2m[TOPOLOGY_NUMA_MAX], huge1g[TOPOLOGY_NUMA_MAX];
    uint16_t devices[REQUEST_DEVICES_MAX][TOPOLOGY_NUMA_MAX + 1]; /* Last: no NUMA node known. */
};

/* How good a set is within its level; lower is better, from top to bottom. */
struct rank {
    uint32_t llcs, imbalance;
    uint64_t left;
};

/* The best set so far. */
struct choice {
    const struct shape_mask *mask;
    struct rank rank;
    bool ranked; /* It is measured only when there is another to compare it with. */
};

static enum explain_reason fit_sums(const struct node *n, const struct request *r, bool empty,
                                    struct fit *out);
static void parts_count(struct parts *p);
static const struct shape_mask *choose_mask(const struct parts *p, struct fit *out);
static void choose(struct choice *best, const struct parts *p, const struct shape_mask *m);
static void assign(const struct parts *p, const struct shape_mask *mask, struct fit *out);
static void assign_cores(const struct parts *p, uint32_t set, struct fit *out);
static void assign_memory(const struct parts *p, uint32_t set, struct fit *out);
static void assign_ways(const struct parts *p, struct fit *out);

static enum explain_reason refuse(struct fit *out, enum explain_reason reason, uint32_t name,
                                  uint64_t wanted, uint64_t free)
{
    out->reason = reason;
    out->about = (struct explain_about){.name = name};
    out->wanted = wanted;
    out->free = free;
    return reason;
}

enum explain_reason fit__node(const struct node *n, const struct request *r, bool empty,
                              struct fit *out)
{
    enum explain_reason reason = fit_sums(n, r, empty, out);
    if (reason != EXPLAIN_FITS)
        return reason;

    struct parts p; /* Filled as far as it is used: most of it usually is not. */
    p.node = n;
    p.r = r;
    p.empty = empty;
    p.cores_wanted = fit__cores_of(r, n->shape->core_threads_min);
    p.memory_wanted = r->memory_bytes + r->overhead_bytes;
    parts_count(&p);

    const struct shape_mask *mask = choose_mask(&p, out);
    if (mask == NULL)
        return out->reason;
    assign(&p, mask, out);
    return EXPLAIN_FITS;
}

static void assign(const struct parts *p, const struct shape_mask *mask, struct fit *out)
{
    out->reason = EXPLAIN_FITS;
    out->cores_count = p->cores_wanted;
    out->cpus_each = p->r->one_thread_per_core ? 1 : p->node->shape->core_threads_min;
    memset(out->cores, 0, p->node->shape->words * sizeof *out->cores);
    if (p->cores_wanted > 0)
        assign_cores(p, mask->set, out);
    assign_memory(p, mask->set, out);
    out->devices_count = 0;
    if (p->r->devices_count > 0)
        fit__devices_take(p->node, p->r, p->empty, mask->set, out);
    if (p->r->cache_ways > 0)
        assign_ways(p, out);
    out->numa = mask->count;
    out->sockets = mask->sockets;
    out->address = FIT_ADDRESS_ANY;
}

void fit__one(const struct node *n, const struct request *r, struct fit *out)
{
    const struct shape *s = n->shape;
    struct choice best = {.mask = NULL};
    struct parts p; /* Filled for the NUMA nodes that serve. */
    p.node = n;
    p.r = r;
    p.empty = false;
    p.cores_wanted = fit__cores_of(r, s->core_threads_min);
    p.memory_wanted = r->memory_bytes + r->overhead_bytes;
    for (uint32_t i = 0; i < s->numa_count; i++) { /* Sets of one are the first. */
        const struct shape_mask *m = &s->masks[i];
        uint32_t k = (uint32_t)__builtin_ctz(m->set);
        if (best.mask != NULL && m->level != best.mask->level)
            break;
        if (!fit__numa_serves(n, r, k, p.cores_wanted))
            continue;
        p.cores[k] = n->cores_free[k];
        p.memory[k] = n->numa[k].memory_free;
        choose(&best, &p, m);
    }
    CHECK(best.mask != NULL);
    assign(&p, best.mask, out);
}

/* ---- sums over the whole node ---- */

static enum explain_reason sum_cpu(const struct node *n, const struct request *r, bool empty,
                                   struct fit *out)
{
    const struct shape *s = n->shape;
    uint32_t wanted = fit__cores_of(r, s->core_threads_min), cores = 0;
    uint64_t pool = empty ? s->threads_count : n->pool_threads;
    uint64_t held = n->system_cpu_milli + (empty ? 0 : n->shared_held);
    uint64_t spare = pool * 1000 > held ? pool * 1000 - held : 0;

    if (r->shared_milli > spare)
        return refuse(out, EXPLAIN_CPU, 0, r->shared_milli, spare);
    if (wanted == 0)
        return EXPLAIN_FITS;
    if (r->full_cores_only && r->exclusive_cpus % s->core_threads_min != 0)
        return refuse(out, EXPLAIN_SMT, 0, 0, 0);
    for (uint32_t i = 0; i < s->numa_count; i++)
        cores += empty ? s->numa_usable[i] : n->cores_free[i];
    /* The pool must keep room for what runs in it. */
    uint64_t by_pool = (spare - r->shared_milli) / (1000ull * s->core_threads_max);
    cores = (uint32_t)min_u64(cores, by_pool);
    return wanted > cores ? refuse(out, EXPLAIN_CORES, 0, wanted, cores) : EXPLAIN_FITS;
}

static enum explain_reason sum_memory(const struct node *n, const struct request *r, bool empty,
                                      struct fit *out)
{
    uint64_t memory = 0, huge2m = 0, huge1g = 0, wanted = r->memory_bytes + r->overhead_bytes;
    if (!empty && wanted <= n->memory_free && r->hugepages_2m + r->hugepages_1g == 0)
        return EXPLAIN_FITS;
    for (uint32_t i = 0; i < n->shape->numa_count; i++) {
        memory += empty ? n->numa[i].memory_total : n->numa[i].memory_free;
        huge2m += empty ? n->numa[i].huge2m_total : n->numa[i].huge2m_free;
        huge1g += empty ? n->numa[i].huge1g_total : n->numa[i].huge1g_free;
    }
    if (wanted > memory)
        return refuse(out, EXPLAIN_MEMORY, 0, (wanted + (1 << 20) - 1) >> 20, memory >> 20);
    if (r->hugepages_2m > huge2m)
        return refuse(out, EXPLAIN_HUGEPAGES_2M, 0, r->hugepages_2m, huge2m);
    if (r->hugepages_1g > huge1g)
        return refuse(out, EXPLAIN_HUGEPAGES_1G, 0, r->hugepages_1g, huge1g);
    return EXPLAIN_FITS;
}

static enum explain_reason sum_devices(const struct node *n, const struct request *r, bool empty,
                                       struct fit *out)
{
    enum explain_reason reason = fit__devices(n, r, empty, out);
    if (reason != EXPLAIN_FITS)
        return reason;
    for (uint32_t i = 0; i < r->scalars_count; i++) {
        uint64_t free = 0;
        for (uint32_t k = 0; k < n->scalars_count; k++)
            if (n->scalars[k].name == r->scalars[i].name)
                free = n->scalars[k].amount - (empty ? 0 : n->scalars[k].held);
        if (free < r->scalars[i].amount)
            return refuse(out, EXPLAIN_SCALAR, r->scalars[i].name, r->scalars[i].amount, free);
    }
    return EXPLAIN_FITS;
}

static enum explain_reason fit_sums(const struct node *n, const struct request *r, bool empty,
                                    struct fit *out)
{
    if (!empty && n->holds_count >= n->pods_max)
        return refuse(out, EXPLAIN_PODS, 0, 1, 0);
    if (empty && n->pods_max == 0)
        return refuse(out, EXPLAIN_PODS, 0, 1, 0);
    enum explain_reason reason = sum_cpu(n, r, empty, out);
    if (reason == EXPLAIN_FITS)
        reason = sum_memory(n, r, empty, out);
    if (reason == EXPLAIN_FITS)
        reason = sum_devices(n, r, empty, out);
    if (reason == EXPLAIN_FITS && (r->address_wanted || r->mac_wanted)) {
        uint32_t held = empty ? 0 : n->addresses_held;
        if (held >= n->addresses_count)
            return refuse(out, EXPLAIN_ADDRESS, 0, 1, 0);
    }
    return reason;
}

/* ---- what each NUMA node has ---- */

static bool llc_serves(const struct parts *p, uint32_t llc)
{
    const struct shape *s = p->node->shape;
    if (p->r->cache_ways == 0 && p->r->bandwidth_mbps == 0)
        return true;
    if (p->node->llcs == NULL)
        return false;
    uint32_t ways = p->empty ? s->llc_ways[llc] : p->node->llcs[llc].ways_free;
    uint32_t bandwidth = p->empty ? s->llc_bandwidth[llc] : p->node->llcs[llc].bandwidth_free;
    return p->r->cache_ways <= ways && p->r->bandwidth_mbps <= bandwidth;
}

static uint64_t free_cores_word(const struct parts *p, uint32_t w)
{
    return p->node->shape->usable[w] & ~(p->empty ? 0 : p->node->taken[w]);
}

static uint32_t llc_free(const struct parts *p, uint32_t llc)
{
    const struct shape *s = p->node->shape;
    uint32_t cores = 0;
    if (!llc_serves(p, llc))
        return 0;
    for (uint32_t w = s->llc_first_word[llc]; w <= s->llc_last_word[llc]; w++)
        cores += bits_count(free_cores_word(p, w) & s->llc_cores[llc][w]);
    return cores;
}

static void parts_count(struct parts *p)
{
    const struct node *n = p->node;
    const struct shape *s = n->shape;
    bool cache_rows = p->r->cache_ways > 0 || p->r->bandwidth_mbps > 0;

    for (uint32_t i = 0; i < s->numa_count; i++) {
        p->cores[i] = cache_rows ? 0 : p->empty ? s->numa_usable[i] : n->cores_free[i];
        p->memory[i] = p->empty ? n->numa[i].memory_total : n->numa[i].memory_free;
        p->huge2m[i] = p->empty ? n->numa[i].huge2m_total : n->numa[i].huge2m_free;
        p->huge1g[i] = p->empty ? n->numa[i].huge1g_total : n->numa[i].huge1g_free;
    }
    if (cache_rows)
        for (uint32_t i = 0; i < s->llcs_count; i++)
            p->cores[s->llc_numa[i]] += llc_free(p, i);
    if (p->r->devices_count > 0)
        memset(p->devices, 0, p->r->devices_count * sizeof p->devices[0]);
    for (uint32_t i = 0; i < p->r->devices_count; i++)
        for (uint32_t k = 0; k < n->devices_count; k++) {
            uint32_t numa = n->devices[k].numa;
            if (fit__device_serves(&n->devices[k], &p->r->devices[i], p->empty))
                p->devices[i][numa == NODE_NUMA_ANY ? TOPOLOGY_NUMA_MAX : numa]++;
        }
}

/* ---- which NUMA nodes ---- */

/* An even split gives the remainder to the lowest NUMA nodes of the set, one core each. */
static uint32_t even_cores(const struct parts *p, uint32_t set, uint32_t numa)
{
    uint32_t count = bits_count(set), before = bits_count(set & ((1u << numa) - 1));
    return p->cores_wanted / count + (before < p->cores_wanted % count);
}

static bool mask_serves(const struct parts *p, const struct shape_mask *m)
{
    uint64_t cores = 0, memory = 0, huge2m = 0, huge1g = 0;
    for (uint32_t rest = m->set; rest != 0; rest &= rest - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(rest);
        cores += p->cores[i];
        memory += p->memory[i];
        huge2m += p->huge2m[i];
        huge1g += p->huge1g[i];
        if (p->r->spread_numa && p->cores[i] < even_cores(p, m->set, i))
            return false;
    }
    if (cores < p->cores_wanted || memory < p->memory_wanted || huge2m < p->r->hugepages_2m ||
        huge1g < p->r->hugepages_1g)
        return false;
    for (uint32_t i = 0; i < p->r->devices_count; i++) {
        uint32_t devices = p->devices[i][TOPOLOGY_NUMA_MAX];
        for (uint32_t rest = m->set; rest != 0; rest &= rest - 1)
            devices += p->devices[i][__builtin_ctz(rest)];
        if (devices < fit__devices_needed(p->r, i))
            return false;
    }
    return true;
}

/* Cores that each NUMA node of the set gives, written for those only: an even share, or the roomiest
 * first. */
static void split_cores(const struct parts *p, uint32_t set, uint32_t give[TOPOLOGY_NUMA_MAX])
{
    uint32_t wanted = p->cores_wanted;
    if ((set & (set - 1)) == 0) {
        give[__builtin_ctz(set)] = wanted;
        return;
    }
    if (p->r->spread_numa) {
        for (uint32_t rest = set; rest != 0; rest &= rest - 1)
            give[__builtin_ctz(rest)] = even_cores(p, set, (uint32_t)__builtin_ctz(rest));
        return;
    }
    for (uint32_t rest = set; rest != 0;) {
        uint32_t best = (uint32_t)__builtin_ctz(rest);
        for (uint32_t more = rest; more != 0; more &= more - 1)
            if (p->cores[__builtin_ctz(more)] > p->cores[best])
                best = (uint32_t)__builtin_ctz(more);
        give[best] = min_u32(wanted, p->cores[best]);
        wanted -= give[best];
        rest &= ~(1u << best);
    }
}

/* The next cache domain to take cores from: the tightest that has all that is still wanted, else the
 * fullest of free cores. This takes the fewest domains and leaves the least over. */
static uint32_t next_llc(const uint16_t *free, uint32_t count, uint32_t wanted)
{
    uint32_t best = count;
    for (uint32_t i = 0; i < count; i++) {
        if (free[i] == 0)
            continue;
        if (best == count)
            best = i;
        else if (free[best] >= wanted ? free[i] >= wanted && free[i] < free[best]
                                      : free[i] > free[best])
            best = i;
    }
    return best;
}

/* Free cores of the cache domains of a NUMA node; returns how many domains there are. */
static uint32_t llcs_of(const struct parts *p, uint32_t numa, uint16_t *free)
{
    const struct shape *s = p->node->shape;
    uint32_t from = s->numa_llcs_from[numa], count = s->numa_llcs_from[numa + 1] - from;
    for (uint32_t i = 0; i < count; i++)
        free[i] = (uint16_t)llc_free(p, s->numa_llcs[from + i]);
    return count;
}

static uint32_t count_llcs(const struct parts *p, uint32_t set)
{
    const struct shape *s = p->node->shape;
    uint32_t give[TOPOLOGY_NUMA_MAX], llcs = 0;
    uint16_t free[TOPOLOGY_LLCS_MAX];

    split_cores(p, set, give);
    for (uint32_t rest = set; rest != 0; rest &= rest - 1) {
        uint32_t numa = (uint32_t)__builtin_ctz(rest), wanted = give[numa];
        if (wanted == 0 || s->numa_llcs_from[numa + 1] - s->numa_llcs_from[numa] == 1) {
            llcs += wanted > 0;
            continue;
        }
        uint32_t count = llcs_of(p, numa, free);
        for (; wanted > 0; llcs++) {
            uint32_t llc = next_llc(free, count, wanted);
            CHECK(llc < count);
            wanted -= min_u32(wanted, free[llc]);
            free[llc] = 0;
        }
    }
    return llcs;
}

static struct rank rank_mask(const struct parts *p, const struct shape_mask *m)
{
    const struct node *n = p->node;
    uint64_t cores = 0, cores_all = 0, memory = 0, memory_all = 0;
    for (uint32_t rest = m->set; rest != 0; rest &= rest - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(rest);
        cores += p->cores[i];
        cores_all += n->shape->numa_usable[i];
        memory += p->memory[i];
        memory_all += n->numa[i].memory_total;
    }
    cores -= p->cores_wanted;
    memory -= p->memory_wanted;
    uint32_t cores_eighths = cores_all == 0 ? 0 : (uint32_t)(cores * 8 / cores_all);
    uint32_t memory_eighths =
        memory_all == 0 ? 0 : (uint32_t)((memory >> 20) * 8 / ((memory_all >> 20) + 1));
    return (struct rank){
        .llcs = p->cores_wanted == 0 ? 0 : count_llcs(p, m->set),
        .imbalance = cores_eighths > memory_eighths ? cores_eighths - memory_eighths
                                                    : memory_eighths - cores_eighths,
        .left = p->cores_wanted == 0 ? memory >> 20 : cores << 40 | memory >> 20,
    };
}

static bool rank_less(const struct rank *a, const struct rank *b)
{
    if (a->llcs != b->llcs)
        return a->llcs < b->llcs;
    if (a->imbalance != b->imbalance)
        return a->imbalance < b->imbalance;
    return a->left < b->left;
}

/* NUMA nodes that the request would need on the same node with nothing held; 0: not at all. */
static uint32_t needs_when_empty(const struct parts *now)
{
    struct parts p;
    p.node = now->node;
    p.r = now->r;
    p.empty = true;
    p.cores_wanted = now->cores_wanted;
    p.memory_wanted = now->memory_wanted;
    const struct shape *s = p.node->shape;
    uint32_t needs = TOPOLOGY_NUMA_MAX + 1;
    parts_count(&p);
    for (uint32_t i = 0; i < s->masks_count; i++)
        if (s->masks[i].count < needs && mask_serves(&p, &s->masks[i]))
            needs = s->masks[i].count;
    return needs > TOPOLOGY_NUMA_MAX ? 0 : needs;
}

static uint32_t numa_allowed(const struct parts *p)
{
    switch (p->r->numa_policy) {
    case NUMA_NONE:
    case NUMA_BEST_EFFORT:
        return TOPOLOGY_NUMA_MAX;
    case NUMA_RESTRICTED:
        return needs_when_empty(p);
    case NUMA_SINGLE:
        return 1;
    }
    return 0;
}

/* Free cores of the cache domains that have so much. */
static uint32_t cores_beside(const struct parts *p, uint32_t ways, uint32_t bandwidth)
{
    struct request less = *p->r;
    struct parts q;
    uint32_t cores = 0;
    less.cache_ways = ways;
    less.bandwidth_mbps = bandwidth;
    q.node = p->node;
    q.r = &less;
    q.empty = p->empty;
    for (uint32_t i = 0; i < p->node->shape->llcs_count; i++)
        cores += llc_free(&q, i);
    return cores;
}

/* The most that could be had beside so many cores, for the message: less than wanted. */
static uint32_t most_beside(const struct parts *p, bool ways, uint32_t wanted)
{
    uint32_t fits = 0, over = wanted;
    while (fits + 1 < over) {
        uint32_t middle = fits + (over - fits) / 2;
        if (cores_beside(p, ways ? middle : 0, ways ? p->r->bandwidth_mbps : middle) >=
            p->cores_wanted)
            fits = middle;
        else
            over = middle;
    }
    return fits;
}

/* Why no set serves although the sums do. */
static enum explain_reason refuse_masks(const struct parts *p, bool unaligned, struct fit *out)
{
    uint64_t cores = 0;
    for (uint32_t i = 0; i < p->node->shape->numa_count; i++)
        cores += p->cores[i];
    if (unaligned)
        return refuse(out, EXPLAIN_LLC, 0, 0, 0);
    if (cores < p->cores_wanted && (p->r->cache_ways > 0 || p->r->bandwidth_mbps > 0)) {
        bool ways =
            p->r->cache_ways > 0 &&
            (p->node->llcs == NULL || cores_beside(p, 0, p->r->bandwidth_mbps) >= p->cores_wanted);
        uint32_t wanted = ways ? p->r->cache_ways : p->r->bandwidth_mbps;
        return refuse(out, ways ? EXPLAIN_CACHE_WAYS : EXPLAIN_BANDWIDTH, 0, wanted,
                      most_beside(p, ways, wanted));
    }
    return refuse(out, EXPLAIN_NUMA, 0, 0, 0);
}

static bool is_aligned(const struct parts *p, const struct shape_mask *m)
{
    uint32_t each = p->node->shape->llc_cores_max;
    return count_llcs(p, m->set) <= (p->cores_wanted + each - 1) / each;
}

/* Both are of one level. */
static void choose(struct choice *best, const struct parts *p, const struct shape_mask *m)
{
    if (best->mask == NULL) {
        best->mask = m;
        return;
    }
    if (!best->ranked)
        best->rank = rank_mask(p, best->mask);
    best->ranked = true;
    struct rank rank = rank_mask(p, m);
    if (rank_less(&rank, &best->rank)) {
        best->mask = m;
        best->rank = rank;
    }
}

static const struct shape_mask *choose_mask(const struct parts *p, struct fit *out)
{
    const struct shape *s = p->node->shape;
    struct choice best = {.mask = NULL};
    uint32_t allowed = numa_allowed(p);
    bool unaligned = false;

    for (uint32_t i = 0; i < s->masks_count; i++) {
        const struct shape_mask *m = &s->masks[i];
        if (best.mask != NULL && m->level != best.mask->level)
            break;
        if (m->count > allowed || !mask_serves(p, m))
            continue;
        if (p->r->align_llc && !is_aligned(p, m))
            unaligned = true;
        else
            choose(&best, p, m);
    }
    if (best.mask == NULL)
        refuse_masks(p, unaligned, out);
    return best.mask;
}

/* ---- the rows themselves ---- */

static void take_cores(const struct parts *p, uint32_t llc, uint32_t count, struct fit *out)
{
    const struct shape *s = p->node->shape;
    for (uint32_t w = s->llc_first_word[llc]; w <= s->llc_last_word[llc] && count > 0; w++) {
        uint64_t free = free_cores_word(p, w) & s->llc_cores[llc][w];
        for (; free != 0 && count > 0; free &= free - 1, count--)
            out->cores[w] |= free & -free;
    }
    CHECK(count == 0);
}

static void assign_cores(const struct parts *p, uint32_t set, struct fit *out)
{
    const struct shape *s = p->node->shape;
    uint32_t give[TOPOLOGY_NUMA_MAX];
    uint16_t free[TOPOLOGY_LLCS_MAX];

    split_cores(p, set, give);
    for (uint32_t rest = set; rest != 0; rest &= rest - 1) {
        uint32_t numa = (uint32_t)__builtin_ctz(rest), wanted = give[numa];
        if (wanted == 0)
            continue;
        uint32_t count = llcs_of(p, numa, free);
        while (wanted > 0) {
            uint32_t i = next_llc(free, count, wanted);
            CHECK(i < count);
            uint32_t taken = min_u32(wanted, free[i]);
            take_cores(p, s->numa_llcs[s->numa_llcs_from[numa] + i], taken, out);
            free[i] = 0;
            wanted -= taken;
        }
    }
}

/* How much of an amount each NUMA node gives, in the order in which they give cores. */
static void split_amount(uint64_t wanted, const uint64_t free[], const uint32_t order[],
                         uint32_t count, bool even, uint64_t give[])
{
    memset(give, 0, TOPOLOGY_NUMA_MAX * sizeof *give);
    if (even)
        for (uint32_t i = 0, all = count; i < all; i++)
            give[order[i]] = min_u64(wanted / all, free[order[i]]);
    for (uint32_t i = 0; i < count && even; i++)
        wanted -= give[order[i]];
    for (uint32_t i = 0; i < count; i++) {
        uint64_t more = min_u64(wanted, free[order[i]] - give[order[i]]);
        give[order[i]] += more;
        wanted -= more;
    }
    CHECK(wanted == 0);
}

/* NUMA nodes of the set: those that give most cores first, then those with most memory. */
static uint32_t order_numa(const struct parts *p, uint32_t set, uint32_t order[])
{
    uint32_t give[TOPOLOGY_NUMA_MAX], count = 0;
    split_cores(p, set, give);
    for (uint32_t rest = set; rest != 0; rest &= rest - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(rest), k = count++;
        for (; k > 0; k--) {
            uint32_t other = order[k - 1];
            bool before =
                give[i] != give[other] ? give[i] > give[other] : p->memory[i] > p->memory[other];
            if (!before)
                break;
            order[k] = other;
        }
        order[k] = i;
    }
    return count;
}

static void assign_memory(const struct parts *p, uint32_t set, struct fit *out)
{
    uint32_t order[TOPOLOGY_NUMA_MAX];
    uint64_t give[3][TOPOLOGY_NUMA_MAX], huge2m[TOPOLOGY_NUMA_MAX], huge1g[TOPOLOGY_NUMA_MAX];
    const struct request *r = p->r;
    out->memory_mask = 0;

    if ((set & (set - 1)) == 0) { /* One NUMA node gives all: the usual case. */
        uint32_t i = (uint32_t)__builtin_ctz(set);
        out->memory[i] =
            (struct placement_memory){p->memory_wanted, r->hugepages_2m, r->hugepages_1g};
        if (p->memory_wanted > 0 || r->hugepages_2m > 0 || r->hugepages_1g > 0)
            out->memory_mask = set;
        return;
    }
    uint32_t count = order_numa(p, set, order);
    for (uint32_t i = 0; i < p->node->shape->numa_count; i++) {
        huge2m[i] = p->huge2m[i];
        huge1g[i] = p->huge1g[i];
    }
    split_amount(p->memory_wanted, p->memory, order, count, r->spread_numa, give[0]);
    split_amount(r->hugepages_2m, huge2m, order, count, r->spread_numa, give[1]);
    split_amount(r->hugepages_1g, huge1g, order, count, r->spread_numa, give[2]);
    for (uint32_t i = 0; i < TOPOLOGY_NUMA_MAX; i++) {
        if (give[0][i] == 0 && give[1][i] == 0 && give[2][i] == 0)
            continue;
        out->memory_mask |= 1u << i;
        out->memory[i] =
            (struct placement_memory){give[0][i], (uint32_t)give[1][i], (uint32_t)give[2][i]};
    }
}

/* A mask of ways is one stretch (Intel SDM 3B, 17.19.4.1): the tightest is taken, so that long ones stay. */
uint32_t fit__ways(const struct node_llc *llc, uint32_t want)
{
    uint32_t best = TOPOLOGY_WAYS_MAX, best_len = TOPOLOGY_WAYS_MAX + 1, from = 0;
    for (uint32_t i = 0; i <= llc->ways_total; i++) {
        bool held = i == llc->ways_total || llc->ways_held >> i & 1;
        if (held && i - from >= want && i - from < best_len) {
            best = from;
            best_len = i - from;
        }
        from = held ? i + 1 : from;
    }
    return best;
}

static void assign_ways(const struct parts *p, struct fit *out)
{
    const struct shape *s = p->node->shape;
    for (uint32_t i = 0; i < s->llcs_count; i++) {
        struct node_llc llc = p->node->llcs[i];
        llc.ways_held = p->empty ? 0 : llc.ways_held;
        if (fit__llc_gives(s, i, out->cores))
            out->way_first[i] = (uint8_t)fit__ways(&llc, p->r->cache_ways);
    }
}
