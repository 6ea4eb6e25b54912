/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules between workloads, the plain way: for every request, every hold is looked at. This is the
 * oracle's half; the fast search keeps counters instead and must come to the same answers.
 *
 * Semantics are Kubernetes': PodTopologySpread (hard with minDomains, soft, inclusion policies) and
 * InterPodAffinity (required with its first-of-a-group exception, symmetric anti-affinity, preferred
 * both ways, and a required term of a standing workload pulling with weight 1).
 */
#include "scheduler/search_priv.h"

#include <stdlib.h>

enum pods_kind { PODS_SPREAD, PODS_SPREAD_SOFT, PODS_AFFINITY, PODS_ANTI, PODS_PREFERRED };

struct pods_rule {
    enum pods_kind kind;
    uint32_t key;
    int64_t weight;   /* PREFERRED: negative pushes away. */
    uint64_t *counts; /* By node: matching workloads in its domain; COUNT_NO_LABEL. */
    uint64_t total;   /* Of all domains. */
    bool self;        /* The request would match itself. */
    uint64_t limit;   /* SPREAD: the most that may stand in a domain before. */
};
#define COUNT_NO_LABEL UINT64_MAX

/* What standing workloads say about the newcomer: their terms that match it, where they stand. One of a kind, sorted. */
struct pods_pair {
    uint32_t key, value;
    uint32_t next; /* The first of the next key. */
    bool forbids;
    int64_t weight;
};

struct pods_view {
    const struct ledger *l;
    const struct request *r;
    const struct labels *own;
    struct pods_rule rules[REQUEST_SPREADS_MAX + 4 * REQUEST_LIST_MAX];
    uint32_t rules_count, pairs_count, pairs_size;
    struct pods_pair *pairs;
};

static void view_spread(struct pods_view *v, const struct request_spread *s);
static void view_terms(struct pods_view *v, const struct request_pod_term *terms, uint32_t count,
                       enum pods_kind kind, int64_t sign);
static void view_pairs(struct pods_view *v);
static void merge_pairs(struct pods_view *v);

struct pods_view *pods__view(const struct ledger *l, const struct request *r,
                             const struct labels *own)
{
    struct pods_view *v = mem_zalloc(1, sizeof *v);
    v->l = l;
    v->r = r;
    v->own = own;
    for (uint32_t i = 0; i < r->spreads_count; i++)
        view_spread(v, &r->spreads[i]);
    view_terms(v, r->affinity, r->affinity_count, PODS_AFFINITY, 0);
    view_terms(v, r->anti_affinity, r->anti_affinity_count, PODS_ANTI, 0);
    view_terms(v, r->affinity_preferred, r->affinity_preferred_count, PODS_PREFERRED, 1);
    view_terms(v, r->anti_affinity_preferred, r->anti_affinity_preferred_count, PODS_PREFERRED, -1);
    view_pairs(v);
    merge_pairs(v);
    return v;
}

void pods__view_free(struct pods_view *v)
{
    for (uint32_t i = 0; i < v->rules_count; i++)
        mem_free(v->rules[i].counts);
    mem_free(v->pairs);
    mem_free(v);
}

/* ---- matching ---- */

bool pods__term_matches(const struct ledger *l, const struct request_pod_term *t,
                        const struct labels *who)
{
    bool namespace_ok = t->all_namespaces;
    for (uint32_t i = 0; i < t->namespaces_count && !namespace_ok; i++)
        namespace_ok = t->namespaces[i] == who->namespace_name;
    return namespace_ok && !t->selects_nothing &&
           rules__selector_matches(&l->names, &t->selector, who->labels, who->labels_count);
}

bool pods__spread_matches(const struct ledger *l, const struct request_spread *s,
                          uint32_t namespace_name, const struct labels *who)
{
    return who->namespace_name == namespace_name && !who->leaves && !s->selects_nothing &&
           rules__selector_matches(&l->names, &s->selector, who->labels, who->labels_count);
}

/* Required affinity counts a workload only when it matches every term of the request. */
static bool all_terms_match(const struct pods_view *v, const struct labels *who)
{
    for (uint32_t i = 0; i < v->r->affinity_count; i++)
        if (!pods__term_matches(v->l, &v->r->affinity[i], who))
            return false;
    return true;
}

/* ---- counting ---- */

/* Which nodes' workloads and domains a spread constraint counts (KEP-3094). */
bool pods__spread_counts(const struct ledger *l, const struct node *n, const struct request *r,
                         const struct request_spread *s)
{
    struct explain_about about;
    for (uint32_t i = 0; i < r->spreads_count; i++)
        if (r->spreads[i].soft == s->soft && node__label(n, r->spreads[i].topology_key) == NULL)
            return false;
    if (!s->ignore_node_affinity && !rules__node_affinity(l, n, r, &about))
        return false;
    return !s->honor_taints ||
           (rules__taints(n, r, &about) && (!n->unschedulable || rules__is_cordon_tolerated(l, r)));
}

struct place {
    uint32_t value, node;
};

static int by_value(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    int order = x->value < y->value ? -1 : x->value > y->value;
    return order != 0 ? order : x->node < y->node ? -1 : x->node > y->node;
}

/* Nodes of one value are one domain: its number by node, from 0 on; LEDGER_NODE_NONE without the label. */
static uint32_t *domains_of(const struct ledger *l, uint32_t key)
{
    uint32_t end = l->nodes.count, count = 0, domain = 0;
    uint32_t *domains = mem_alloc((end + 1) * sizeof *domains);
    struct place *places = mem_alloc((end + 1) * sizeof *places);
    for (uint32_t i = 0; i < end; i++) {
        const struct node *n = ledger__node(l, i);
        const struct topology_label *at = n == NULL ? NULL : node__label(n, key);
        domains[i] = LEDGER_NODE_NONE;
        if (at != NULL)
            places[count++] = (struct place){at->value, i};
    }
    qsort(places, count, sizeof *places, by_value);
    for (uint32_t i = 0; i < count; i++) {
        domain += i > 0 && places[i].value != places[i - 1].value;
        domains[places[i].node] = domain;
    }
    mem_free(places);
    return domains;
}

/* counts[] holds workloads per node; spread them over the nodes of each domain. */
static void sum_domains(const struct pods_view *v, struct pods_rule *rule)
{
    uint32_t end = v->l->nodes.count;
    uint32_t *domains = domains_of(v->l, rule->key);
    uint64_t *totals = mem_zalloc(end + 1, sizeof *totals);
    for (uint32_t i = 0; i < end; i++)
        if (domains[i] != LEDGER_NODE_NONE)
            totals[domains[i]] += rule->counts[i];
    for (uint32_t i = 0; i < end; i++)
        rule->counts[i] = domains[i] == LEDGER_NODE_NONE ? COUNT_NO_LABEL : totals[domains[i]];
    mem_free(totals);
    mem_free(domains);
}

static struct pods_rule *view_rule(struct pods_view *v, enum pods_kind kind, uint32_t key)
{
    struct pods_rule *rule = &v->rules[v->rules_count++];
    *rule = (struct pods_rule){.kind = kind, .key = key};
    rule->counts = mem_zalloc(v->l->nodes.count, sizeof *rule->counts);
    return rule;
}

/* Above the emptiest domain among those that count; with fewer of them than there are to be, that is one of nobody. */
static uint64_t spread_limit(const struct pods_view *v, const struct request_spread *s,
                             const struct pods_rule *rule)
{
    const struct ledger *l = v->l;
    uint32_t *domains = domains_of(l, rule->key), count = 0;
    bool *seen = mem_zalloc(l->nodes.count + 1, sizeof *seen);
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < l->nodes.count; i++) {
        const struct node *n = ledger__node(l, i);
        if (n == NULL || n->removed || !pods__spread_counts(l, n, v->r, s))
            continue;
        least = min_u64(least, rule->counts[i]);
        count += !seen[domains[i]];
        seen[domains[i]] = true;
    }
    mem_free(seen);
    mem_free(domains);
    return (count < s->min_domains || least == UINT64_MAX ? 0 : least) + s->max_skew - rule->self;
}

static void view_spread(struct pods_view *v, const struct request_spread *s)
{
    const struct ledger *l = v->l;
    struct pods_rule *rule =
        view_rule(v, s->soft ? PODS_SPREAD_SOFT : PODS_SPREAD, s->topology_key);
    rule->self = pods__spread_matches(l, s, v->r->namespace_name, v->own);

    for (uint32_t i = 0; i < l->nodes.count; i++) {
        const struct node *n = ledger__node(l, i);
        if (n == NULL || n->removed || !pods__spread_counts(l, n, v->r, s))
            continue;
        for (uint32_t h = n->hold_first; h != HOLD_NONE; h = ledger__hold(l, h)->next)
            rule->counts[i] += pods__spread_matches(
                l, s, v->r->namespace_name, ledger__labels(l, ledger__hold(l, h)->labels_id));
    }
    sum_domains(v, rule);

    rule->limit = spread_limit(v, s, rule);
}

static void view_terms(struct pods_view *v, const struct request_pod_term *terms, uint32_t count,
                       enum pods_kind kind, int64_t sign)
{
    const struct ledger *l = v->l;
    for (uint32_t t = 0; t < count; t++) {
        struct pods_rule *rule = view_rule(v, kind, terms[t].topology_key);
        rule->weight = sign * terms[t].weight;
        rule->self = kind == PODS_AFFINITY && all_terms_match(v, v->own);
        for (uint32_t i = 0; i < l->nodes.count; i++) {
            const struct node *n = ledger__node(l, i);
            if (n == NULL || n->removed || node__label(n, rule->key) == NULL)
                continue;
            for (uint32_t h = n->hold_first; h != HOLD_NONE; h = ledger__hold(l, h)->next) {
                const struct labels *who = ledger__labels(l, ledger__hold(l, h)->labels_id);
                rule->counts[i] += kind == PODS_AFFINITY ? all_terms_match(v, who)
                                                         : pods__term_matches(l, &terms[t], who);
            }
            rule->total += rule->counts[i];
        }
        sum_domains(v, rule);
    }
}

static void view_pair(struct pods_view *v, const struct node *n, const struct request_pod_term *t,
                      bool forbids, int64_t weight)
{
    const struct topology_label *at = node__label(n, t->topology_key);
    if (at == NULL || !pods__term_matches(v->l, t, v->own))
        return;
    if (v->pairs_count == v->pairs_size) {
        v->pairs_size = v->pairs_size == 0 ? 16 : v->pairs_size * 2;
        v->pairs = mem_resize(v->pairs, v->pairs_size * sizeof *v->pairs);
    }
    v->pairs[v->pairs_count++] = (struct pods_pair){
        .key = t->topology_key, .value = at->value, .forbids = forbids, .weight = weight};
}

static void view_pairs(struct pods_view *v)
{
    for (uint32_t i = 0; i < v->l->nodes.count; i++) {
        const struct node *n = ledger__node(v->l, i);
        if (n == NULL || n->removed)
            continue;
        for (uint32_t h = n->hold_first; h != HOLD_NONE; h = ledger__hold(v->l, h)->next) {
            const struct request *r = &ledger__class(v->l, ledger__hold(v->l, h)->class_id)->r;
            for (uint32_t k = 0; k < r->anti_affinity_count; k++)
                view_pair(v, n, &r->anti_affinity[k], true, 0);
            for (uint32_t k = 0; k < r->affinity_count; k++)
                view_pair(v, n, &r->affinity[k], false, 1);
            for (uint32_t k = 0; k < r->affinity_preferred_count; k++)
                view_pair(v, n, &r->affinity_preferred[k], false, r->affinity_preferred[k].weight);
            for (uint32_t k = 0; k < r->anti_affinity_preferred_count; k++)
                view_pair(v, n, &r->anti_affinity_preferred[k], false,
                          -(int64_t)r->anti_affinity_preferred[k].weight);
        }
    }
}

static int by_key(const void *a, const void *b)
{
    const struct pods_pair *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->value < y->value ? -1 : x->value > y->value;
}

/* A thousand workloads may say the same of one place. */
static void merge_pairs(struct pods_view *v)
{
    uint32_t count = 0;
    if (v->pairs_count == 0)
        return;
    qsort(v->pairs, v->pairs_count, sizeof *v->pairs, by_key);
    for (uint32_t i = 0; i < v->pairs_count; i++) {
        struct pods_pair *last = count == 0 ? NULL : &v->pairs[count - 1];
        if (last == NULL || by_key(last, &v->pairs[i]) != 0) {
            v->pairs[count++] = v->pairs[i];
            continue;
        }
        last->forbids |= v->pairs[i].forbids;
        last->weight += v->pairs[i].weight;
    }
    v->pairs_count = count;
    for (uint32_t i = count; i-- > 0;)
        v->pairs[i].next =
            i + 1 < count && v->pairs[i + 1].key == v->pairs[i].key ? v->pairs[i + 1].next : i + 1;
}

/* What is said of the node by its label of the key at i; NULL: nothing. */
static const struct pods_pair *pair_at(const struct pods_view *v, uint32_t i, uint32_t node)
{
    const struct topology_label *at = node__label(ledger__node(v->l, node), v->pairs[i].key);
    uint32_t from = i, to = v->pairs[i].next;
    while (at != NULL && from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (v->pairs[middle].value == at->value)
            return &v->pairs[middle];
        if (v->pairs[middle].value < at->value)
            from = middle + 1;
        else
            to = middle;
    }
    return NULL;
}

/* ---- answers ---- */

static bool affinity_holds(const struct pods_view *v, uint32_t node)
{
    bool all = true, nobody = true, self = true;
    for (uint32_t i = 0; i < v->rules_count; i++) {
        const struct pods_rule *rule = &v->rules[i];
        if (rule->kind != PODS_AFFINITY)
            continue;
        if (rule->counts[node] == COUNT_NO_LABEL)
            return false;
        all &= rule->counts[node] > 0;
        nobody &= rule->total == 0;
        self &= rule->self;
    }
    return all || (nobody && self); /* The first of a group that wants its own kind may start. */
}

enum explain_reason pods__check(const struct pods_view *v, uint32_t node)
{
    for (uint32_t i = 0; i < v->rules_count; i++) {
        const struct pods_rule *rule = &v->rules[i];
        if (rule->kind != PODS_SPREAD)
            continue;
        if (rule->counts[node] == COUNT_NO_LABEL)
            return EXPLAIN_SPREAD_LABEL;
        if (rule->counts[node] > rule->limit)
            return EXPLAIN_SPREAD;
    }
    if (!affinity_holds(v, node))
        return EXPLAIN_AFFINITY;
    for (uint32_t i = 0; i < v->rules_count; i++)
        if (v->rules[i].kind == PODS_ANTI && v->rules[i].counts[node] != COUNT_NO_LABEL &&
            v->rules[i].counts[node] > 0)
            return EXPLAIN_ANTI_AFFINITY;
    for (uint32_t i = 0; i < v->pairs_count; i = v->pairs[i].next) {
        const struct pods_pair *pair = pair_at(v, i, node);
        if (pair != NULL && pair->forbids)
            return EXPLAIN_EXISTING_ANTI;
    }
    return EXPLAIN_FITS;
}

int64_t pods__cost(const struct pods_view *v, uint32_t node)
{
    int64_t cost = 0;
    for (uint32_t i = 0; i < v->rules_count; i++) {
        const struct pods_rule *rule = &v->rules[i];
        if (rule->kind == PODS_SPREAD_SOFT)
            cost += rule->counts[node] == COUNT_NO_LABEL
                        ? PODS_NO_LABEL_COST
                        : (int64_t)rule->counts[node] * PODS_SPREAD_COST;
        else if (rule->kind == PODS_PREFERRED && rule->counts[node] != COUNT_NO_LABEL)
            cost -= PODS_AFFINITY_FACTOR * rule->weight * (int64_t)rule->counts[node];
    }
    for (uint32_t i = 0; i < v->pairs_count; i = v->pairs[i].next) {
        const struct pods_pair *pair = pair_at(v, i, node);
        if (pair != NULL)
            cost -= PODS_AFFINITY_FACTOR * pair->weight;
    }
    return cost;
}
