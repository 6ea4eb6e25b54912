/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about nodes and about other workloads, for pods and machines alike. An operator that nobody knows
 * would otherwise become another rule than the one that was meant. Messages are Kubernetes'
 * (pkg/apis/core/validation). */
#include "api/pod.h"

enum { WEIGHT_MAX = 100 };

static void weight_validate(struct kind_call *c, int32_t weight, const struct field *at)
{
    struct field f = field_name(at, "weight");
    if (weight < 1 || weight > WEIGHT_MAX)
        causes_invalid_i64(&c->causes, &f, weight, "must be in the range 1-100");
}

/* ------------------------------------------------------------------ nodes */

/* The common shape of a node selector's requirement and a label selector's expression. */
struct selects {
    const char *key, *operator_;
    size_t values_count;
    bool may_compare; /* Gt and Lt: nodes alone have them. */
};

static void selects_validate(struct kind_call *c, const struct selects *s, const struct field *at)
{
    struct field key = field_name(at, "key"), values = field_name(at, "values");
    struct field operator_ = field_name(at, "operator");
    bool lists = is_text(s->operator_, "In") || is_text(s->operator_, "NotIn");
    bool exists = is_text(s->operator_, "Exists") || is_text(s->operator_, "DoesNotExist");
    bool compares = s->may_compare && (is_text(s->operator_, "Gt") || is_text(s->operator_, "Lt"));
    if (lists && s->values_count == 0)
        causes_add(&c->causes, CAUSE_REQUIRED, &values,
                   "must be specified when `operator` is 'In' or 'NotIn'");
    else if (exists && s->values_count > 0)
        causes_add(&c->causes, CAUSE_FORBIDDEN, &values,
                   "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    else if (compares && s->values_count != 1)
        causes_add(&c->causes, CAUSE_REQUIRED, &values,
                   "must be specified single value when `operator` is 'Lt' or 'Gt'");
    else if (!lists && !exists && !compares)
        causes_invalid(&c->causes, &operator_, kind_str(s->operator_),
                       "not a valid selector operator");
    names_check(&c->causes, &key, kind_str(s->key), name_qualified(kind_str(s->key)));
}

static void field_requirement_validate(struct kind_call *c, const Core__NodeSelectorRequirement *r,
                                       const struct field *at)
{
    struct field key = field_name(at, "key"), values = field_name(at, "values");
    struct field operator_ = field_name(at, "operator");
    if (!is_text(r->operator_, "In") && !is_text(r->operator_, "NotIn"))
        causes_invalid(&c->causes, &operator_, kind_str(r->operator_),
                       "not a valid selector operator");
    else if (r->n_values != 1)
        causes_add(&c->causes, CAUSE_REQUIRED, &values,
                   "must be only one value when `operator` is 'In' or 'NotIn' for node field "
                   "selector");
    if (!is_text(r->key, "metadata.name"))
        causes_invalid(&c->causes, &key, kind_str(r->key), "not a valid field selector key");
}

static void term_validate(struct kind_call *c, const Core__NodeSelectorTerm *t,
                          const struct field *at)
{
    struct field labels = field_name(at, "matchExpressions");
    struct field fields = field_name(at, "matchFields");
    for (size_t i = 0; t != NULL && i < t->n_match_expressions; i++) {
        struct field one = field_index(&labels, i);
        const Core__NodeSelectorRequirement *r = t->match_expressions[i];
        selects_validate(c, &(struct selects){r->key, r->operator_, r->n_values, true}, &one);
    }
    for (size_t i = 0; t != NULL && i < t->n_match_fields; i++) {
        struct field one = field_index(&fields, i);
        field_requirement_validate(c, t->match_fields[i], &one);
    }
}

static void node_affinity_validate(struct kind_call *c, const Core__NodeAffinity *n,
                                   const struct field *at)
{
    const Core__NodeSelector *must = n->required_during_scheduling_ignored_during_execution;
    struct field required = field_name(at, "requiredDuringSchedulingIgnoredDuringExecution");
    struct field terms = field_name(&required, "nodeSelectorTerms");
    struct field preferred = field_name(at, "preferredDuringSchedulingIgnoredDuringExecution");
    if (must != NULL && must->n_node_selector_terms == 0)
        causes_add(&c->causes, CAUSE_REQUIRED, &terms, "must have at least one node selector term");
    for (size_t i = 0; must != NULL && i < must->n_node_selector_terms; i++) {
        struct field one = field_index(&terms, i);
        term_validate(c, must->node_selector_terms[i], &one);
    }
    for (size_t i = 0; i < n->n_preferred_during_scheduling_ignored_during_execution; i++) {
        const Core__PreferredSchedulingTerm *p =
            n->preferred_during_scheduling_ignored_during_execution[i];
        struct field one = field_index(&preferred, i), term = field_name(&one, "preference");
        weight_validate(c, p->weight, &one);
        term_validate(c, p->preference, &term);
    }
}

/* ------------------------------------------------------------------ other workloads */

void selector_validate(struct kind_call *c, const Meta__LabelSelector *s, const struct field *at)
{
    struct field labels = field_name(at, "matchLabels"), list = field_name(at, "matchExpressions");
    for (size_t i = 0; s != NULL && i < s->n_match_labels; i++) {
        struct str key = kind_str(s->match_labels[i]->key);
        struct str value = kind_str(s->match_labels[i]->value);
        names_check(&c->causes, &labels, key, name_qualified(key));
        names_check(&c->causes, &labels, value, name_label_value(value));
    }
    for (size_t i = 0; s != NULL && i < s->n_match_expressions; i++) {
        struct field one = field_index(&list, i);
        const Meta__LabelSelectorRequirement *r = s->match_expressions[i];
        selects_validate(c, &(struct selects){r->key, r->operator_, r->n_values, false}, &one);
    }
}

static void pod_term_validate(struct kind_call *c, const Core__PodAffinityTerm *t,
                              const struct field *at)
{
    struct field key = field_name(at, "topologyKey"), labels = field_name(at, "labelSelector");
    struct field namespaces = field_name(at, "namespaceSelector");
    struct str text = kind_str(t == NULL ? NULL : t->topology_key);
    if (text.len == 0)
        causes_add(&c->causes, CAUSE_REQUIRED, &key, "can not be empty");
    else
        names_check(&c->causes, &key, text, name_qualified(text));
    if (t == NULL)
        return;
    selector_validate(c, t->label_selector, &labels);
    selector_validate(c, t->namespace_selector, &namespaces);
}

static void pod_terms_validate(struct kind_call *c, size_t required_count,
                               Core__PodAffinityTerm *const *required, size_t preferred_count,
                               Core__WeightedPodAffinityTerm *const *preferred,
                               const struct field *at)
{
    struct field must = field_name(at, "requiredDuringSchedulingIgnoredDuringExecution");
    struct field rather = field_name(at, "preferredDuringSchedulingIgnoredDuringExecution");
    for (size_t i = 0; i < required_count; i++) {
        struct field one = field_index(&must, i);
        pod_term_validate(c, required[i], &one);
    }
    for (size_t i = 0; i < preferred_count; i++) {
        struct field one = field_index(&rather, i), term = field_name(&one, "podAffinityTerm");
        weight_validate(c, preferred[i]->weight, &one);
        pod_term_validate(c, preferred[i]->pod_affinity_term, &term);
    }
}

void pod_affinity_validate(struct kind_call *c, const Core__Affinity *a, const struct field *at)
{
    struct field nodes = field_name(at, "nodeAffinity"), near = field_name(at, "podAffinity");
    struct field apart = field_name(at, "podAntiAffinity");
    if (a == NULL)
        return;
    if (a->node_affinity != NULL)
        node_affinity_validate(c, a->node_affinity, &nodes);
    const Core__PodAffinity *p = a->pod_affinity;
    if (p != NULL)
        pod_terms_validate(c, p->n_required_during_scheduling_ignored_during_execution,
                           p->required_during_scheduling_ignored_during_execution,
                           p->n_preferred_during_scheduling_ignored_during_execution,
                           p->preferred_during_scheduling_ignored_during_execution, &near);
    const Core__PodAntiAffinity *q = a->pod_anti_affinity;
    if (q != NULL)
        pod_terms_validate(c, q->n_required_during_scheduling_ignored_during_execution,
                           q->required_during_scheduling_ignored_during_execution,
                           q->n_preferred_during_scheduling_ignored_during_execution,
                           q->preferred_during_scheduling_ignored_during_execution, &apart);
}

/* ------------------------------------------------------------------ spread */

static void policy_validate(struct kind_call *c, const struct field *at, const char *name,
                            const char *value)
{
    static const char *const policies[] = {"Honor", "Ignore", NULL};
    struct field f = field_name(at, name);
    if (!is_empty(value))
        check_one_of(c, &f, value, policies);
}

static void spread_validate(struct kind_call *c, const Core__TopologySpreadConstraint *t,
                            const struct field *at)
{
    static const char *const choices[] = {"DoNotSchedule", "ScheduleAnyway", NULL};
    struct field skew = field_name(at, "maxSkew"), key = field_name(at, "topologyKey");
    struct field when = field_name(at, "whenUnsatisfiable"), least = field_name(at, "minDomains");
    struct field labels = field_name(at, "labelSelector");
    if (t->max_skew <= 0)
        causes_invalid_i64(&c->causes, &skew, t->max_skew, "must be greater than zero");
    if (is_empty(t->topology_key))
        causes_add(&c->causes, CAUSE_REQUIRED, &key, "can not be empty");
    check_one_of(c, &when, t->when_unsatisfiable, choices);
    if (t->has_min_domains && t->min_domains <= 0)
        causes_invalid_i64(&c->causes, &least, t->min_domains, "must be greater than zero");
    else if (t->has_min_domains && !is_text(t->when_unsatisfiable, "DoNotSchedule"))
        causes_invalid_i64(&c->causes, &least, t->min_domains,
                           "can only use minDomains if whenUnsatisfiable=DoNotSchedule");
    policy_validate(c, at, "nodeAffinityPolicy", t->node_affinity_policy);
    policy_validate(c, at, "nodeTaintsPolicy", t->node_taints_policy);
    selector_validate(c, t->label_selector, &labels);
    if (t->label_selector == NULL && c->write == KIND_CREATE)
        kind_warn(c, &labels, "a null labelSelector results in matching no pod");
}

void pod_spreads_validate(struct kind_call *c, Core__TopologySpreadConstraint *const *list,
                          size_t count, const struct field *spec)
{
    struct field at = field_name(spec, "topologySpreadConstraints");
    for (size_t i = 0; i < count; i++) {
        struct field one = field_index(&at, i);
        spread_validate(c, list[i], &one);
    }
}
