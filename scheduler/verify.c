/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting everything again. Nothing here trusts a sum: for every node a fresh count is made from
 * the rows of its holds alone and compared with what the node believes.
 */
#include "scheduler/search_priv.h"
#include "scheduler/terms.h"

struct recount {
    uint64_t taken[CORE_WORDS];
    uint64_t shared;
    struct placement_memory memory[TOPOLOGY_NUMA_MAX];
    uint32_t ways[TOPOLOGY_LLCS_MAX], bandwidth[TOPOLOGY_LLCS_MAX];
    uint32_t used[TOPOLOGY_DEVICES_MAX];
    uint64_t scalars[TOPOLOGY_SCALARS_MAX];
    uint64_t addresses[TOPOLOGY_ADDRESSES_MAX / 64];
    uint32_t holds, ports, addresses_count;
};

static enum err_code count_hold(const struct ledger *l, const struct node *n, const struct hold *h,
                                struct recount *x, struct err *e);
static enum err_code compare(const struct node *n, const struct recount *x, struct err *e);
static enum err_code compare_row(const struct ledger *l, const struct node *n, struct err *e);
static enum err_code compare_orders(const struct ledger *l, struct err *e);
static enum err_code compare_names(const struct ledger *l, struct err *e);

enum err_code ledger_verify(const struct ledger *l, struct err *e)
{
    struct recount *x = mem_alloc(sizeof *x);
    enum err_code rc = ERR_OK;
    uint32_t holds = 0, nodes = 0;

    for (uint32_t i = 0; i < l->nodes.count && rc == ERR_OK; i++) {
        const struct node *n = ledger__node(l, i);
        if (n == NULL)
            continue;
        memset(x, 0, sizeof *x);
        for (uint32_t k = n->hold_first; k != HOLD_NONE && rc == ERR_OK;
             k = ledger__hold(l, k)->next) {
            const struct hold *h = ledger__hold(l, k);
            if (h->state == HOLD_FREE || h->node != i)
                rc = err_set(e, ERR_CORRUPT, "hold %u is in the list of node %u", k, i);
            else
                rc = count_hold(l, n, h, x, e);
        }
        if (rc == ERR_OK)
            rc = compare(n, x, e);
        if (rc == ERR_OK)
            rc = compare_row(l, n, e);
        if (rc != ERR_OK)
            err_wrap(e, "node %u", i);
        holds += x->holds;
        nodes += !n->removed;
    }
    mem_free(x);
    if (rc == ERR_OK && (holds != l->holds_count || nodes != l->nodes_count))
        rc = err_set(e, ERR_CORRUPT, "%u holds and %u nodes counted, %u and %u believed", holds,
                     nodes, l->holds_count, l->nodes_count);
    if (rc == ERR_OK)
        rc = compare_orders(l, e);
    return rc == ERR_OK ? compare_names(l, e) : rc;
}

static enum err_code count_cores(const struct node *n, const struct request *r, const struct fit *f,
                                 struct recount *x, struct err *e)
{
    const struct shape *s = n->shape;
    uint32_t threads = 0;
    for (uint32_t i = 0; i < s->llcs_count; i++) {
        bool any = false;
        for (uint32_t w = 0; w < s->words; w++)
            any |= (f->cores[w] & s->llc_cores[i][w]) != 0;
        uint32_t mask = any && r->cache_ways > 0 ? rows__ways(f->way_first[i], r->cache_ways) : 0;
        if ((x->ways[i] & mask) != 0)
            return err_set(e, ERR_CORRUPT, "cache domain %u: a way is held twice", i);
        x->ways[i] |= mask;
        x->bandwidth[i] += any ? r->bandwidth_mbps : 0;
    }
    for (uint32_t c = 0; c < s->cores_count; c++) {
        if (!(f->cores[c / 64] >> c % 64 & 1))
            continue;
        if (x->taken[c / 64] >> c % 64 & 1)
            return err_set(e, ERR_CORRUPT, "core %u is held twice", c);
        x->taken[c / 64] |= 1ull << c % 64;
        threads += min_u32(f->cpus_each, s->core_threads[c]);
    }
    if (threads < r->exclusive_cpus)
        return err_set(e, ERR_CORRUPT, "%u CPUs held, %u wanted", threads, r->exclusive_cpus);
    return ERR_OK;
}

static enum err_code count_hold(const struct ledger *l, const struct node *n, const struct hold *h,
                                struct recount *x, struct err *e)
{
    const struct request *r = &ledger__class(l, h->class_id)->r;
    struct fit f;
    rows__unpack(n, h, r, &f);

    enum err_code rc = count_cores(n, r, &f, x, e);
    if (rc != ERR_OK)
        return rc;
    x->holds++;
    x->shared += r->shared_milli;
    x->ports += r->ports_count;
    uint64_t bytes = 0;
    for (uint32_t rest = f.memory_mask; rest != 0; rest &= rest - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(rest);
        x->memory[i].bytes += f.memory[i].bytes;
        x->memory[i].hugepages_2m += f.memory[i].hugepages_2m;
        x->memory[i].hugepages_1g += f.memory[i].hugepages_1g;
        bytes += f.memory[i].bytes;
    }
    if (bytes != r->memory_bytes + r->overhead_bytes)
        return err_set(e, ERR_CORRUPT, "memory held is not the memory wanted");
    for (uint32_t i = 0; i < f.devices_count; i++)
        x->used[f.devices[i].index] += f.devices[i].units;
    for (uint32_t i = 0; i < r->scalars_count; i++)
        for (uint32_t k = 0; k < n->scalars_count; k++)
            x->scalars[k] += n->scalars[k].name == r->scalars[i].name ? r->scalars[i].amount : 0;
    if (h->address > 0) {
        uint32_t i = h->address - 1;
        if (x->addresses[i / 64] >> i % 64 & 1)
            return err_set(e, ERR_CORRUPT, "address %u is held twice", i);
        x->addresses[i / 64] |= 1ull << i % 64;
        x->addresses_count++;
    }
    return ERR_OK;
}

static enum err_code compare_cores(const struct node *n, const struct recount *x, struct err *e)
{
    const struct shape *s = n->shape;
    uint32_t pool = 0, free[TOPOLOGY_NUMA_MAX] = {0};
    for (uint32_t c = 0; c < s->cores_count; c++) {
        bool taken = x->taken[c / 64] >> c % 64 & 1;
        pool += taken ? 0 : s->core_threads[c];
        free[s->llc_numa[s->core_llc[c]]] += !taken && c >= s->shared_cores;
    }
    if (memcmp(x->taken, n->taken, sizeof x->taken) != 0 || pool != n->pool_threads)
        return err_set(e, ERR_CORRUPT, "cores: %u threads in the pool, %u believed", pool,
                       n->pool_threads);
    for (uint32_t i = 0; i < s->numa_count; i++)
        if (free[i] != n->cores_free[i])
            return err_set(e, ERR_CORRUPT, "NUMA node %u: %u cores free, %u believed", i, free[i],
                           n->cores_free[i]);
    for (uint32_t i = 0; i < s->llcs_count && n->llcs != NULL; i++)
        if (x->ways[i] != n->llcs[i].ways_held || n->llcs[i].ways_total != s->llc_ways[i] ||
            x->bandwidth[i] + n->llcs[i].bandwidth_free != s->llc_bandwidth[i])
            return err_set(e, ERR_CORRUPT, "cache domain %u: sums differ", i);
    return ERR_OK;
}

static bool sums_equal(const struct node *n, const struct recount *x)
{
    bool equal = x->shared == n->shared_held && x->holds == n->holds_count &&
                 x->ports == n->ports_count && x->addresses_count == n->addresses_held;
    uint64_t memory = 0, huge2m = 0, huge1g = 0;
    for (uint32_t i = 0; i < n->shape->numa_count; i++) {
        memory += n->numa[i].memory_free;
        huge2m += n->numa[i].huge2m_free;
        huge1g += n->numa[i].huge1g_free;
    }
    equal &= memory == n->memory_free && huge2m == n->huge2m_free && huge1g == n->huge1g_free;
    for (uint32_t i = 0; i < n->shape->numa_count; i++)
        equal &= x->memory[i].bytes + n->numa[i].memory_free == n->numa[i].memory_total &&
                 x->memory[i].hugepages_2m + n->numa[i].huge2m_free == n->numa[i].huge2m_total &&
                 x->memory[i].hugepages_1g + n->numa[i].huge1g_free == n->numa[i].huge1g_total;
    for (uint32_t i = 0; i < n->devices_count; i++)
        equal &= x->used[i] == n->devices[i].used && x->used[i] <= n->devices[i].units;
    for (uint32_t i = 0; i < n->scalars_count; i++)
        equal &= x->scalars[i] == n->scalars[i].held && x->scalars[i] <= n->scalars[i].amount;
    return equal;
}

static enum err_code compare(const struct node *n, const struct recount *x, struct err *e)
{
    enum err_code rc = compare_cores(n, x, e);
    if (rc != ERR_OK)
        return rc;
    if (!sums_equal(n, x))
        return err_set(e, ERR_CORRUPT, "sums differ from the rows of its holds");
    if (memcmp(x->addresses, n->addresses, (n->addresses_count + 63) / 64 * 8) != 0)
        return err_set(e, ERR_CORRUPT, "addresses differ from those of its holds");
    return ERR_OK;
}

/* What the fast search reads of the node, against what it would be made from it now. */
static enum err_code compare_row(const struct ledger *l, const struct node *n, struct err *e)
{
    const struct columns *c = &l->columns;
    const struct columns_hot *hot = &c->hot[n->index];
    struct columns_row row;
    columns__row(l, n, &row);
    row.hot.version = hot->version;
    row.hot.position = hot->position;
    row.hot.log_at = hot->log_at;
    bool equal = memcmp(&row.hot, hot, sizeof row.hot) == 0;
    const struct columns_block *odd = &c->odd[n->index / COLUMNS_LANES];
    if (equal && hot->order != COLUMNS_ODD)
        equal = odd->at[COLUMN_OPEN][n->index % COLUMNS_LANES] == 0;
    if (equal && hot->order == COLUMNS_ODD)
        for (uint32_t i = 0; i < COLUMN__COUNT; i++)
            equal &= row.at[i] == odd->at[i][n->index % COLUMNS_LANES];
    else if (equal && hot->order > 0)
        equal = memcmp(order_room_of(&c->order[hot->order], hot), row.at,
                       sizeof(struct order_room)) == 0;
    return equal ? ERR_OK : err_set(e, ERR_CORRUPT, "its columns are not what it is");
}

static enum err_code compare_orders(const struct ledger *l, struct err *e)
{
    const struct columns *c = &l->columns;
    uint32_t nodes[COLUMNS_ORDERS + 1] = {0};
    for (uint32_t i = 0; i < c->size; i++)
        nodes[c->hot[i].order]++;
    bool equal = nodes[COLUMNS_ODD] == c->odd_count;
    for (uint32_t i = 1; i < COLUMNS_ORDERS; i++)
        equal &= order_verify(&c->order[i], c->hot, nodes[i]);
    return equal ? ERR_OK : err_set(e, ERR_CORRUPT, "the order of nodes is broken");
}

/* ---- names ---- */

struct mentions {
    uint32_t *holds; /* By id. */
    uint32_t end;
    bool is_beyond;
};

static void mention(void *context, uint32_t id)
{
    struct mentions *x = context;
    if (id == NAME_EMPTY || id == NAME_UNKNOWN)
        return;
    if (id >= x->end)
        x->is_beyond = true;
    else
        x->holds[id]++;
}

static void mention_all(const struct ledger *l, struct mentions *x)
{
    mention(x, l->name_unschedulable);
    for (uint32_t i = 0; i < l->nodes.count; i++)
        if (ledger__node(l, i) != NULL)
            held__of_node(ledger__node(l, i), mention, x);
    for (uint32_t i = 0; i < l->classes.count; i++)
        if (ledger__class(l, i) != NULL)
            held__of_request(&ledger__class(l, i)->r, mention, x);
    for (uint32_t i = 0; i < l->labels.count; i++)
        if (ledger__labels(l, i) != NULL)
            held__of_labels(ledger__labels(l, i), mention, x);
    for (uint32_t i = 0; i < l->holds_end; i++)
        if (ledger__hold(l, i)->state != HOLD_FREE)
            mention(x, ledger__tag(l, i)->gang);
    for (uint32_t i = 0; i < l->mix.seen_count; i++)
        held__of_mix_shape(&l->mix.seen[i], mention, x);
    for (uint32_t i = 0; i < l->topos.count; i++)
        topo__held(l->topos.at[i], mention, x);
}

/* Each id is held as often as it is mentioned, and by others as often as they said. */
static enum err_code compare_names(const struct ledger *l, struct err *e)
{
    const struct names *n = &l->names;
    struct mentions x = {.holds = mem_zalloc(n->end, sizeof *x.holds), .end = n->end};
    enum err_code rc = ERR_OK;
    uint64_t outside = 0;
    mention_all(l, &x);
    for (uint32_t i = 1; i < n->end && rc == ERR_OK; i++) {
        uint32_t holds = names__holds(n, i);
        bool is_free = holds == UINT32_MAX;
        if (is_free ? x.holds[i] > 0 : holds < x.holds[i])
            rc = err_set(e, ERR_CORRUPT, "name %u is mentioned %u times and held %u times", i,
                         x.holds[i], is_free ? 0 : holds);
        outside += is_free ? 0 : holds - x.holds[i];
    }
    mem_free(x.holds);
    if (rc == ERR_OK && (x.is_beyond || outside != n->outside))
        rc = err_set(e, ERR_CORRUPT, "names are held %llu times by others, %llu times as they say",
                     (unsigned long long)outside, (unsigned long long)n->outside);
    return rc;
}
