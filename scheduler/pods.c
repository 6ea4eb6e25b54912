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

/* What standing workloads say about the newcomer: their terms that match it, where they stand. */
struct pods_pair {
    uint32_t key, value;
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
    return who->namespace_name == namespace_name && !s->selects_nothing &&
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

/* counts[] holds workloads per node; spread them over the nodes of each domain. */
static void sum_domains(const struct pods_view *v, struct pods_rule *rule)
{
    uint32_t end = v->l->nodes.count;
    uint64_t *totals = mem_zalloc(end, sizeof *totals);
    for (uint32_t i = 0; i < end; i++) {
        const struct node *n = ledger__node(v->l, i);
        const struct topology_label *at = n == NULL ? NULL : node__label(n, rule->key);
        totals[i] = at == NULL ? COUNT_NO_LABEL : 0;
        for (uint32_t k = 0; k < end && at != NULL; k++) {
            const struct node *m = ledger__node(v->l, k);
            const struct topology_label *there = m == NULL ? NULL : node__label(m, rule->key);
            if (there != NULL && there->value == at->value)
                totals[i] += rule->counts[k];
        }
    }
    mem_free(rule->counts);
    rule->counts = totals;
}

static struct pods_rule *view_rule(struct pods_view *v, enum pods_kind kind, uint32_t key)
{
    struct pods_rule *rule = &v->rules[v->rules_count++];
    *rule = (struct pods_rule){.kind = kind, .key = key};
    rule->counts = mem_zalloc(v->l->nodes.count, sizeof *rule->counts);
    return rule;
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

    /* The emptiest domain among those that count, and how many there are. */
    uint64_t least = UINT64_MAX;
    uint32_t domains = 0;
    for (uint32_t i = 0; i < l->nodes.count; i++) {
        const struct node *n = ledger__node(l, i);
        if (n == NULL || n->removed || !pods__spread_counts(l, n, v->r, s))
            continue;
        least = min_u64(least, rule->counts[i]);
        bool seen = false;
        for (uint32_t k = 0; k < i && !seen; k++) {
            const struct node *m = ledger__node(l, k);
            seen = m != NULL && !m->removed && pods__spread_counts(l, m, v->r, s) &&
                   node__label(m, rule->key)->value == node__label(n, rule->key)->value;
        }
        domains += !seen;
    }
    if (domains < s->min_domains || least == UINT64_MAX)
        least = 0;
    rule->limit = least + s->max_skew - rule->self;
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
    v->pairs[v->pairs_count++] = (struct pods_pair){t->topology_key, at->value, forbids, weight};
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
    for (uint32_t i = 0; i < v->pairs_count; i++) {
        const struct topology_label *at = node__label(ledger__node(v->l, node), v->pairs[i].key);
        if (v->pairs[i].forbids && at != NULL && at->value == v->pairs[i].value)
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
    for (uint32_t i = 0; i < v->pairs_count; i++) {
        const struct topology_label *at = node__label(ledger__node(v->l, node), v->pairs[i].key);
        if (at != NULL && at->value == v->pairs[i].value)
            cost -= PODS_AFFINITY_FACTOR * v->pairs[i].weight;
    }
    return cost;
}
