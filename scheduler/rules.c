/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of Kubernetes that one node alone answers: name, taints, labels, ports, images. */
#include "scheduler/search_priv.h"

static bool taint_tolerated(const struct request *r, const struct topology_taint *taint);

static bool expression_matches(const struct names *names, const struct request_expression *x,
                               const uint32_t *value)
{
    bool listed = false;
    int64_t have = 0, wanted = 0;

    for (uint32_t i = 0; i < x->values_count && value != NULL; i++)
        listed |= x->values[i] == *value;
    switch (x->op) {
    case OP_IN:
        return listed;
    case OP_NOT_IN:
        return !listed;
    case OP_EXISTS:
        return value != NULL;
    case OP_NOT_EXISTS:
        return value == NULL;
    case OP_GT:
    case OP_LT:
        if (value == NULL || !names_number(names, *value, &have) ||
            !names_number(names, x->values[0], &wanted))
            return false;
        return x->op == OP_GT ? have > wanted : have < wanted;
    }
    return false;
}

bool rules__selector_matches(const struct names *names, const struct request_selector *s,
                             const struct topology_label *labels, uint32_t count)
{
    for (uint32_t i = 0; i < s->expressions_count; i++) {
        const uint32_t *value = NULL;
        for (uint32_t k = 0; k < count; k++)
            if (labels[k].key == s->expressions[i].key)
                value = &labels[k].value;
        if (!expression_matches(names, &s->expressions[i], value))
            return false;
    }
    return true;
}

static bool node_term_matches(const struct names *names, const struct node *n,
                              const struct request_node_term *t)
{
    if (t->labels.expressions_count == 0 && t->fields.expressions_count == 0)
        return false;
    for (uint32_t i = 0; i < t->fields.expressions_count; i++)
        if (!expression_matches(names, &t->fields.expressions[i], &n->name))
            return false;
    return rules__selector_matches(names, &t->labels, n->labels, n->labels_count);
}

bool rules__node_affinity(const struct ledger *l, const struct node *n, const struct request *r,
                          struct explain_about *out)
{
    *out = (struct explain_about){0};
    for (uint32_t i = 0; i < r->node_selector_count; i++) {
        const struct topology_label *wanted = &r->node_selector[i];
        const struct topology_label *label = node__label(n, wanted->key);
        if (label == NULL || label->value != wanted->value) {
            *out = (struct explain_about){.name = wanted->key, .value = wanted->value};
            return false;
        }
    }
    bool any = r->node_required_count == 0;
    for (uint32_t i = 0; i < r->node_required_count && !any; i++)
        any = node_term_matches(&l->names, n, &r->node_required[i]);
    if (!any && r->node_required_count == 1 && r->node_required[0].labels.expressions_count == 1)
        out->name = r->node_required[0].labels.expressions[0].key;
    return any;
}

bool rules__taints(const struct node *n, const struct request *r, struct explain_about *out)
{
    for (uint32_t i = 0; i < n->taints_count; i++)
        if (n->taints[i].effect != TAINT_PREFER_NO_SCHEDULE && !taint_tolerated(r, &n->taints[i])) {
            *out = (struct explain_about){.name = n->taints[i].key, .value = n->taints[i].value};
            return false;
        }
    return true;
}

static bool taint_tolerated(const struct request *r, const struct topology_taint *taint)
{
    static const enum request_effect effects[] = {[TAINT_NO_SCHEDULE] = TOLERATE_NO_SCHEDULE,
                                                  [TAINT_PREFER_NO_SCHEDULE] = TOLERATE_PREFER,
                                                  [TAINT_NO_EXECUTE] = TOLERATE_NO_EXECUTE};
    for (uint32_t i = 0; i < r->tolerations_count; i++) {
        const struct request_toleration *t = &r->tolerations[i];
        if (t->effect != TOLERATE_ANY_EFFECT && t->effect != effects[taint->effect])
            continue;
        if (t->key != 0 && t->key != taint->key)
            continue;
        if (t->key == 0 ? t->exists : t->exists || t->value == taint->value)
            return true;
    }
    return false;
}

bool rules__is_cordon_tolerated(const struct ledger *l, const struct request *r)
{
    struct topology_taint cordon = {.key = l->name_unschedulable, .effect = TAINT_NO_SCHEDULE};
    return taint_tolerated(r, &cordon);
}

static bool has_capability(const struct node *n, uint32_t name)
{
    for (uint32_t i = 0; i < n->capabilities_count; i++)
        if (n->capabilities[i] == name)
            return true;
    return false;
}

enum explain_reason rules__node(const struct ledger *l, const struct node *n,
                                const struct request *r, struct explain_about *out)
{
    *out = (struct explain_about){0};
    if (n->marked != NULL)
        return EXPLAIN_MARKED;
    if (r->node_name != 0) /* Pinned: the user has chosen, only hardware can say no. */
        return r->node_name == n->name ? EXPLAIN_FITS : EXPLAIN_NODE_NAME;
    if (!n->ready)
        return EXPLAIN_NOT_READY;
    if (n->unschedulable && !rules__is_cordon_tolerated(l, r))
        return EXPLAIN_UNSCHEDULABLE;
    if (!rules__taints(n, r, out))
        return EXPLAIN_TAINT;
    if (!rules__node_affinity(l, n, r, out))
        return EXPLAIN_NODE_AFFINITY;
    for (uint32_t i = 0; i < r->capabilities_count; i++)
        if (!has_capability(n, r->capabilities[i])) {
            out->name = r->capabilities[i];
            return EXPLAIN_CAPABILITY;
        }
    return EXPLAIN_FITS;
}

bool rules__ports(const struct node *n, const struct request *r)
{
    for (uint32_t i = 0; i < r->ports_count; i++)
        if (rows__port_taken(n, &r->ports[i]))
            return false;
    return true;
}

/* Weights between the preferences are those of Kubernetes' default profile (TaintToleration 3,
 * NodeAffinity 2, ImageLocality 1); an image of 1 GiB that is there counts 100. */
enum { TAINT_COST = 300, AFFINITY_FACTOR = 2, IMAGE_MIB_PER_POINT = 10, IMAGE_POINTS_MAX = 100 };

int64_t rules__node_cost(const struct ledger *l, const struct node *n, const struct request *r)
{
    int64_t cost = 0;
    if (r->node_name != 0)
        return 0;
    for (uint32_t i = 0; i < n->taints_count; i++)
        if (n->taints[i].effect == TAINT_PREFER_NO_SCHEDULE && !taint_tolerated(r, &n->taints[i]))
            cost += TAINT_COST;
    for (uint32_t i = 0; i < r->node_preferred_count; i++)
        if (node_term_matches(&l->names, n, &r->node_preferred[i]))
            cost -= (int64_t)AFFINITY_FACTOR * r->node_preferred[i].weight;
    for (uint32_t i = 0; i < r->images_count; i++)
        for (uint32_t k = 0; k < n->images_count; k++)
            if (n->images[k].name == r->images[i])
                cost -= (int64_t)min_u64((n->images[k].size_bytes >> 20) / IMAGE_MIB_PER_POINT,
                                         IMAGE_POINTS_MAX);
    return cost;
}
