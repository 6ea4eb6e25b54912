/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One node at a time, quickly: the questions of the plain search answered from sums and counters.
 */
#include "scheduler/shortlist.h"

/* ---- hardware ---- */

/* Requests for which sums over the node or over one NUMA node do not decide. */
bool search__is_heavy(const struct request *r)
{
    return r->devices_count + r->scalars_count > 0 || r->cache_ways > 0 || r->bandwidth_mbps > 0 ||
           r->numa_policy == NUMA_RESTRICTED || r->full_cores_only || r->align_llc ||
           r->spread_numa;
}

static bool mask_fits(const struct node *n, const struct request *r, uint32_t set, uint32_t cores)
{
    uint64_t memory = 0, huge2m = 0, huge1g = 0;
    uint32_t free = 0;
    for (; set != 0; set &= set - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(set);
        free += n->cores_free[i];
        memory += n->numa[i].memory_free;
        huge2m += n->numa[i].huge2m_free;
        huge1g += n->numa[i].huge1g_free;
    }
    return free >= cores && memory >= r->memory_bytes + r->overhead_bytes &&
           huge2m >= r->hugepages_2m && huge1g >= r->hugepages_1g;
}

/* What fit__node() says of a request that is not heavy, and how the rows would be split, without
 * choosing any. */
static bool light_fits(const struct node *n, const struct request *r, uint32_t cores,
                       int64_t *out_split)
{
    const struct shape *s = n->shape;
    if (n->holds_count >= n->pods_max)
        return false;
    if ((r->address_wanted || r->mac_wanted) && n->addresses_held >= n->addresses_count)
        return false;
    *out_split = 0;
    for (uint32_t i = 0; i < s->numa_count; i++)
        if (fit__numa_serves(n, r, i, cores))
            return true;
    for (uint32_t i = s->numa_count; i < s->masks_count && r->numa_policy != NUMA_SINGLE; i++)
        if (mask_fits(n, r, s->masks[i].set, cores)) {
            *out_split = cost__split(s->masks[i].sockets, s->masks[i].count);
            return true;
        }
    return false;
}

/* Does some NUMA node have the cores and more than the memory? All eight at once. */
static bool lanes_fit(const struct columns_hot *hot, uint32_t cores, uint16_t memory)
{
    typedef uint16_t lanes __attribute__((vector_size(sizeof hot->cores)));
    lanes have_cores, have_memory;
    uint64_t fit[2];
    memcpy(&have_cores, hot->cores, sizeof have_cores);
    memcpy(&have_memory, hot->memory, sizeof have_memory);
    lanes both = (lanes)(have_cores >= (uint16_t)cores) & (lanes)(have_memory > memory);
    memcpy(fit, &both, sizeof fit);
    return (fit[0] | fit[1]) != 0;
}

/* Most nodes are decided by their one line of numbers: some NUMA node has cores and clearly memory
 * enough. The others are looked at. */
bool search__light(const struct ledger *l, uint32_t node, const struct request *r,
                   const struct shortlist_machine *m, int64_t *out_split)
{
    const struct columns_hot *hot = &l->columns.hot[node];
    uint64_t memory = (r->memory_bytes + r->overhead_bytes) >> COLUMN_MEMORY_SHIFT;
    *out_split = 0;
    if (m->cpu_milli > hot->cpu_milli)
        return false;
    bool plain = r->hugepages_1g + r->hugepages_2m == 0 && !r->address_wanted && !r->mac_wanted;
    if (plain && lanes_fit(hot, m->cores, (uint16_t)min_u64(memory, COLUMN_MAX)))
        return true;
    return light_fits(ledger__node(l, node), r, m->cores, out_split);
}

struct shortlist_machine search__machine(const struct ledger *l, const struct request *r,
                                         uint32_t threads_min, uint32_t threads_max)
{
    uint32_t cores = fit__cores_of(r, threads_min);
    return (struct shortlist_machine){.cores = cores,
                                      .cpu_milli = r->shared_milli + 1000ull * threads_max * cores,
                                      .taken = {cost__taken(l, r, threads_min, threads_max, false),
                                                cost__taken(l, r, threads_min, threads_max, true)}};
}

/* ---- by the order of what is left over ---- */

/* So many blocks (order_patience) or nodes that do not serve after all, and the list is asked; then the order is let
 * be for some decisions, since the next ones of the class would fare alike. */
enum { ORDER_MISSES_MAX = 32, ORDER_RESTS = 16 };

/* Nothing but hardware decides, and who is let onto a node at all. */
static bool is_ordered(const struct ledger *l, const struct class *c, const struct profile *p)
{
    const struct request *r = &c->r;
    return r->choice == CHOICE_PACK && l->prefer_nodes == 0 && c->terms == NULL &&
           p->felt_count == 0 &&
           r->ports_count + r->node_selector_count + r->node_required_count +
                   r->node_preferred_count + r->images_count ==
               0 &&
           !search__is_heavy(r);
}

static struct order_room room_wanted(const struct request *r, const struct shortlist_machine *m,
                                     bool has_rules)
{
    uint64_t memory = (r->memory_bytes + r->overhead_bytes) >> COLUMN_MEMORY_SHIFT;
    struct order_room want = {{0}};
    want.at[COLUMN_OPEN] = has_rules ? 1 : 2;
    want.at[COLUMN_CORES_NUMA] = (uint16_t)min_u32(m->cores, COLUMN_MAX);
    want.at[COLUMN_CPU] = (uint16_t)min_u64(m->cpu_milli / 32, COLUMN_MAX);
    want.at[COLUMN_MEMORY_NUMA] = (uint16_t)min_u64(memory, COLUMN_MAX);
    want.at[COLUMN_CORES_MEMORY] = columns_both(m->cores, want.at[COLUMN_MEMORY_NUMA]);
    want.at[COLUMN_CPU_MEMORY] =
        (uint16_t)min_u32(want.at[COLUMN_CPU], want.at[COLUMN_MEMORY_NUMA]);
    want.at[COLUMN_HUGE2M] = (uint16_t)min_u32(r->hugepages_2m / 8, COLUMN_MAX);
    want.at[COLUMN_HUGE1G] = (uint16_t)min_u32(r->hugepages_1g, COLUMN_MAX);
    return want;
}

/* The first in one order whose rows need not be split. False: it was not found soon. */
static bool first_in_order(const struct ledger *l, const struct request *r, uint32_t threads,
                           const struct shortlist_machine *m, uint32_t *out_node)
{
    bool has_rules = r->tolerations_count + r->capabilities_count > 0;
    struct order_room want = room_wanted(r, m, has_rules);
    struct order_walk w;
    struct explain_about about;
    uint32_t node, misses = 0;
    int64_t split;
    order_walk_start(&w, &l->columns.order[threads], &want, l->order_patience);
    *out_node = LEDGER_NODE_NONE;
    while ((node = order_walk_next(&w)) != ORDER_NONE) {
        node__expect(ledger__node(l, node)); /* It will do in nine cases of ten. */
        bool let = !has_rules || rules__node(l, ledger__node(l, node), r, &about) == EXPLAIN_FITS;
        if (let && search__light(l, node, r, m, &split) && split == 0) {
            *out_node = node;
            return true;
        }
        if (++misses > ORDER_MISSES_MAX)
            return false;
    }
    return w.blocks_left > 0;
}

bool search__by_order(struct ledger *l, struct class *c, const struct profile *p, struct cost *out)
{
    const struct request *r = &c->r;
    bool found = false;
    if (!is_ordered(l, c, p))
        return false;
    if (c->order_rests > 0) {
        c->order_rests--;
        return false;
    }
    for (uint32_t threads = 1; threads < COLUMNS_ORDERS; threads++) {
        if (order_is_empty(&l->columns.order[threads]))
            continue;
        struct shortlist_machine m = search__machine(l, r, threads, threads);
        uint32_t node;
        if (!first_in_order(l, r, threads, &m, &node)) {
            found = false; /* There may be a cheaper one. */
            break;
        }
        if (node == LEDGER_NODE_NONE)
            continue;
        const struct columns_hot *hot = &l->columns.hot[node];
        struct cost cost = {
            .packing = cost__packing(r, hot->left, m.taken[0], 0), .tie = hot->tie, .node = node};
        if (!found || cost__less(&cost, out))
            *out = cost;
        found = true;
    }
    if (!found)
        c->order_rests = ORDER_RESTS;
    return found;
}

enum explain_reason search__check(const struct ledger *l, const struct node *n,
                                  const struct request *r, struct fit *out)
{
    enum explain_reason reason = rules__node(l, n, r, &out->about);
    if (reason == EXPLAIN_FITS && !rules__ports(n, r))
        reason = EXPLAIN_PORT;
    return reason == EXPLAIN_FITS ? fit__node(n, r, false, out) : reason;
}

/* ---- rules between workloads ---- */

static enum shortlist_role role_of(const struct term *t)
{
    switch (t->kind) {
    case TERM_SPREAD:
        return t->spread->soft ? ROLE_SPREAD_SOFT : ROLE_SPREAD;
    case TERM_AFFINITY:
        return ROLE_AFFINITY;
    case TERM_ANTI:
        return ROLE_ANTI;
    case TERM_PREFERRED:
        return ROLE_PREFERRED;
    }
    return ROLE_PREFERRED;
}

static struct shortlist_rule *rules_room(struct ledger *l, uint32_t count)
{
    if (l->rules_size < count) {
        l->rules_size = count * 2;
        l->rules_scratch = mem_resize(l->rules_scratch, l->rules_size * sizeof *l->rules_scratch);
    }
    return l->rules_scratch;
}

const struct shortlist_rule *search__rules(struct ledger *l, const struct class *c,
                                           const struct profile *p, uint32_t *out_count)
{
    uint32_t count = 0;
    bool first_may_start = true;
    struct shortlist_rule *out =
        rules_room(l, (c->terms == NULL ? 0 : c->terms->count) + p->felt_count);

    for (uint32_t i = 0; c->terms != NULL && i < c->terms->count; i++) {
        struct term *t = c->terms->at[i];
        bool self = terms__is_matched(p, t);
        if (t->kind == TERM_AFFINITY)
            first_may_start &= t->matched_total == 0 && self;
        out[count++] = (struct shortlist_rule){.term = t,
                                               .serial = t->serial,
                                               .role = role_of(t),
                                               .self = self,
                                               .coarse = terms__is_coarse(t)};
    }
    for (uint32_t i = 0; i < count; i++) {
        if (out[i].role == ROLE_SPREAD)
            out[i].limit = terms__spread_limit(out[i].term, out[i].self);
        if (out[i].role == ROLE_AFFINITY)
            out[i].limit = first_may_start ? 0 : 1;
    }
    for (uint32_t i = 0; i < p->felt_count; i++) {
        struct term *t = l->terms.at[p->terms[p->matched_count + i]];
        if (t->owners_total > 0)
            out[count++] =
                (struct shortlist_rule){.term = t,
                                        .serial = t->serial,
                                        .role = t->kind == TERM_ANTI ? ROLE_FELT_ANTI : ROLE_FELT,
                                        .coarse = terms__is_coarse(t)};
    }
    *out_count = count;
    return out;
}

static uint32_t counter(const uint32_t *counters, const struct term *t, uint32_t domain)
{
    return domain < t->size ? counters[domain] : 0;
}

bool search__rule_allows(const struct shortlist_rule *rule, uint32_t domain)
{
    const struct term *t = rule->term;
    switch (rule->role) {
    case ROLE_SPREAD:
        return domain != DOMAIN_NONE && counter(t->matched, t, domain) <= rule->limit;
    case ROLE_AFFINITY:
        return domain != DOMAIN_NONE && counter(t->matched, t, domain) >= rule->limit;
    case ROLE_ANTI:
        return counter(t->matched, t, domain) == 0;
    case ROLE_FELT_ANTI:
        return counter(t->owners, t, domain) == 0;
    case ROLE_SPREAD_SOFT:
    case ROLE_PREFERRED:
    case ROLE_FELT:
        return true;
    }
    return true;
}

int64_t search__rule_cost(const struct shortlist_rule *rule, uint32_t domain)
{
    const struct term *t = rule->term;
    switch (rule->role) {
    case ROLE_SPREAD_SOFT:
        return domain == DOMAIN_NONE ? PODS_NO_LABEL_COST
                                     : (int64_t)PODS_SPREAD_COST * counter(t->matched, t, domain);
    case ROLE_PREFERRED:
        return -PODS_AFFINITY_FACTOR * t->weight * (int64_t)counter(t->matched, t, domain);
    case ROLE_FELT:
        return -PODS_AFFINITY_FACTOR * t->weight * (int64_t)counter(t->owners, t, domain);
    case ROLE_SPREAD:
    case ROLE_AFFINITY:
    case ROLE_ANTI:
    case ROLE_FELT_ANTI:
        return 0;
    }
    return 0;
}

/* ---- requests that name their nodes ---- */

static bool term_names_nodes(const struct request_node_term *t)
{
    for (uint32_t i = 0; i < t->fields.expressions_count; i++)
        if (t->fields.expressions[i].op == OP_IN)
            return true;
    return false;
}

/* A DaemonSet's pods name their node in a field; remembering anything about others would be waste. */
bool search__is_named(const struct request *r)
{
    if (r->node_name != 0)
        return true;
    for (uint32_t i = 0; i < r->node_required_count; i++)
        if (!term_names_nodes(&r->node_required[i]))
            return false;
    return r->node_required_count > 0;
}

struct named {
    struct ledger *l;
    const struct request *r;
    const struct shortlist_rule *rules;
    uint32_t rules_count, best;
    struct cost cost;
    struct fit *fit;
};

static void try_named(struct named *x, uint32_t name)
{
    uint32_t index = ledger_node_find(x->l, name);
    const struct node *n = index == LEDGER_NODE_NONE ? NULL : ledger__node(x->l, index);
    struct fit f;
    if (n == NULL || n->removed || search__check(x->l, n, x->r, &f) != EXPLAIN_FITS)
        return;
    struct cost cost = {.rules = rules__node_cost(x->l, n, x->r),
                        .packing = cost__packing_of(x->l, n, x->r, &f),
                        .tie = n->tie,
                        .node = index};
    for (uint32_t i = 0; i < x->rules_count && x->r->node_name == 0; i++) {
        uint32_t domain = terms__domain(x->rules[i].term, index);
        if (!search__rule_allows(&x->rules[i], domain))
            return;
        cost.rules += search__rule_cost(&x->rules[i], domain);
    }
    if (x->best == LEDGER_NODE_NONE || cost__less(&cost, &x->cost)) {
        x->best = index;
        x->cost = cost;
        *x->fit = f;
    }
}

uint32_t search__place_named(struct ledger *l, struct class *c, struct labels *own, struct fit *out)
{
    const struct request *r = &c->r;
    struct named x = {.l = l, .r = r, .best = LEDGER_NODE_NONE, .fit = out};
    if (r->node_name != 0) {
        try_named(&x, r->node_name);
        return x.best;
    }
    terms__profile(l, own);
    x.rules = search__rules(l, c, &own->profile, &x.rules_count);
    for (uint32_t i = 0; i < r->node_required_count; i++) {
        const struct request_selector *fields = &r->node_required[i].fields;
        for (uint32_t k = 0; k < fields->expressions_count; k++) {
            if (fields->expressions[k].op != OP_IN)
                continue;
            for (uint32_t v = 0; v < fields->expressions[k].values_count; v++)
                try_named(&x, fields->expressions[k].values[v]);
            break;
        }
    }
    return x.best;
}
