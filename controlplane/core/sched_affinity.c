/* SPDX-License-Identifier: Apache-2.0 */
/* Rules between workloads: pod affinity, anti-affinity and topology spread, as the ledger counts them.
 * Kubernetes' words (PodAffinityTerm, TopologySpreadConstraint). Selectors of namespaces by labels have become names before
 * (placing_words.c). */
#include "controlplane/core/sched_view.h"

struct view {
    struct names *names;
    struct arena *arena;
    const Meta__ObjectMeta *meta; /* The workload's own labels and namespace. */
    struct err *e;
};

static enum err_code too_large(const struct view *v)
{
    return err_set(v->e, ERR_LIMIT, "the request is too large");
}

static struct str own_label(const struct view *v, const char *key)
{
    for (size_t i = 0; i < v->meta->n_labels; i++)
        if (str_eq(str_of(v->meta->labels[i]->key), str_of(key)))
            return str_of(v->meta->labels[i]->value);
    return (struct str){NULL, 0};
}

static enum err_code values(const struct view *v, size_t count, char **from,
                            struct request_expression *out)
{
    uint32_t *at = arena_zalloc(v->arena, count + 1, sizeof *at);
    if (at == NULL || count > REQUEST_VALUES_MAX)
        return too_large(v);
    for (size_t i = 0; i < count; i++) {
        enum err_code code = names_intern(v->names, str_of(from[i]), &at[i], v->e);
        if (code != ERR_OK)
            return code;
    }
    out->values = at;
    out->values_count = (uint32_t)count;
    return ERR_OK;
}

static enum err_code expression(const struct view *v, const char *key, enum request_operator op,
                                size_t count, char **from, struct request_expression *out)
{
    enum err_code code = names_intern(v->names, str_of(key), &out->key, v->e);
    out->op = op;
    return code == ERR_OK ? values(v, count, from, out) : code;
}

static enum request_operator operator_of(const char *text)
{
    struct str op = str_of(text);
    return str_is(op, "NotIn")          ? OP_NOT_IN
           : str_is(op, "Exists")       ? OP_EXISTS
           : str_is(op, "DoesNotExist") ? OP_NOT_EXISTS
                                        : OP_IN;
}

/* matchLabelKeys: the selector also asks for (or against) the workload's own value of that label. */
static enum err_code own_keys(const struct view *v, size_t count, char **keys,
                              enum request_operator op, struct request_expression *at,
                              uint32_t *used)
{
    for (size_t i = 0; i < count; i++) {
        struct str own = own_label(v, keys[i]);
        if (own.at == NULL)
            continue;
        char *value = (char *)own.at;
        enum err_code code = expression(v, keys[i], op, 1, &value, &at[(*used)++]);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}

struct keys {
    size_t match_count, mismatch_count;
    char **match, **mismatch;
};

static enum err_code selector(const struct view *v, const Meta__LabelSelector *from, struct keys k,
                              struct request_selector *out)
{
    size_t most =
        from->n_match_labels + from->n_match_expressions + k.match_count + k.mismatch_count;
    struct request_expression *at = arena_zalloc(v->arena, most + 1, sizeof *at);
    uint32_t used = 0;
    enum err_code code = ERR_OK;
    if (at == NULL || most > REQUEST_LIST_MAX)
        return too_large(v);
    for (size_t i = 0; code == ERR_OK && i < from->n_match_labels; i++)
        code = expression(v, from->match_labels[i]->key, OP_IN, 1, &from->match_labels[i]->value,
                          &at[used++]);
    for (size_t i = 0; code == ERR_OK && i < from->n_match_expressions; i++) {
        const Meta__LabelSelectorRequirement *r = from->match_expressions[i];
        code =
            expression(v, r->key, operator_of(r->operator_), r->n_values, r->values, &at[used++]);
    }
    if (code == ERR_OK)
        code = own_keys(v, k.match_count, k.match, OP_IN, at, &used);
    if (code == ERR_OK)
        code = own_keys(v, k.mismatch_count, k.mismatch, OP_NOT_IN, at, &used);
    *out = (struct request_selector){at, used};
    return code;
}

enum err_code sched_view_selector(struct names *n, struct arena *a, const Meta__LabelSelector *from,
                                  struct request_selector *out, struct err *e)
{
    const struct view v = {n, a, NULL, e};
    return selector(&v, from, (struct keys){0}, out);
}

static bool is_one_of(const struct names *n, const struct request_expression *x, struct str value)
{
    for (uint32_t i = 0; i < x->values_count; i++)
        if (str_eq(names_text(n, x->values[i]), value))
            return true;
    return false;
}

bool sched_view_selects(const struct names *n, const struct request_selector *s,
                        const struct meta *m)
{
    for (uint32_t i = 0; i < s->expressions_count; i++) {
        const struct request_expression *x = &s->expressions[i];
        struct str value = meta_label(m, names_text(n, x->key));
        bool is_there = value.at != NULL;
        bool fits = x->op == OP_IN       ? is_there && is_one_of(n, x, value)
                    : x->op == OP_NOT_IN ? !is_there || !is_one_of(n, x, value)
                    : x->op == OP_EXISTS ? is_there
                                         : !is_there;
        if (!fits)
            return false;
    }
    return true;
}

static enum err_code namespaces(const struct view *v, const Core__PodAffinityTerm *from,
                                struct request_pod_term *out)
{
    const Meta__LabelSelector *s = from->namespace_selector;
    size_t count = from->n_namespaces == 0 && s == NULL ? 1 : from->n_namespaces;
    uint32_t *at = arena_zalloc(v->arena, count + 1, sizeof *at);
    if (at == NULL || count > REQUEST_VALUES_MAX)
        return too_large(v);
    if (s != NULL && s->n_match_labels + s->n_match_expressions > 0)
        return err_set(v->e, ERR_INVALID,
                       "a namespaceSelector with labels is to be resolved first");
    out->all_namespaces = s != NULL;
    for (size_t i = 0; i < count; i++) {
        struct str name =
            str_of(from->n_namespaces == 0 ? v->meta->namespace_ : from->namespaces[i]);
        enum err_code code = names_intern(v->names, name, &at[i], v->e);
        if (code != ERR_OK)
            return code;
    }
    out->namespaces = at;
    out->namespaces_count = (uint32_t)count;
    return ERR_OK;
}

static enum err_code term(const struct view *v, const Core__PodAffinityTerm *from, int32_t weight,
                          struct request_pod_term *out)
{
    if (from == NULL)
        return err_set(v->e, ERR_INVALID, "a preferred affinity without its term");
    enum err_code code =
        names_intern(v->names, str_of(from->topology_key), &out->topology_key, v->e);
    out->weight = weight;
    out->selects_nothing = from->label_selector == NULL;
    if (code == ERR_OK && from->label_selector != NULL)
        code = selector(v, from->label_selector,
                        (struct keys){from->n_match_label_keys, from->n_mismatch_label_keys,
                                      from->match_label_keys, from->mismatch_label_keys},
                        &out->selector);
    return code == ERR_OK ? namespaces(v, from, out) : code;
}

static enum err_code required(const struct view *v, size_t count, Core__PodAffinityTerm **from,
                              const struct request_pod_term **out, uint32_t *out_count)
{
    struct request_pod_term *at = arena_zalloc(v->arena, count + 1, sizeof *at);
    enum err_code code = at == NULL || count > REQUEST_LIST_MAX ? too_large(v) : ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < count; i++)
        code = term(v, from[i], 0, &at[i]);
    *out = at;
    *out_count = (uint32_t)count;
    return code;
}

static enum err_code preferred(const struct view *v, size_t count,
                               Core__WeightedPodAffinityTerm **from,
                               const struct request_pod_term **out, uint32_t *out_count)
{
    struct request_pod_term *at = arena_zalloc(v->arena, count + 1, sizeof *at);
    enum err_code code = at == NULL || count > REQUEST_LIST_MAX ? too_large(v) : ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < count; i++)
        code = term(v, from[i]->pod_affinity_term, from[i]->weight, &at[i]);
    *out = at;
    *out_count = (uint32_t)count;
    return code;
}

static enum err_code spread(const struct view *v, const Core__TopologySpreadConstraint *from,
                            struct request_spread *out)
{
    enum err_code code =
        names_intern(v->names, str_of(from->topology_key), &out->topology_key, v->e);
    out->max_skew = from->max_skew > 0 ? (uint32_t)from->max_skew : 1;
    out->min_domains = from->min_domains > 0 ? (uint32_t)from->min_domains : 0;
    out->soft = str_is(str_of(from->when_unsatisfiable), "ScheduleAnyway");
    out->ignore_node_affinity = str_is(str_of(from->node_affinity_policy), "Ignore");
    out->honor_taints = str_is(str_of(from->node_taints_policy), "Honor");
    out->selects_nothing = from->label_selector == NULL;
    if (code == ERR_OK && from->label_selector != NULL)
        code = selector(
            v, from->label_selector,
            (struct keys){.match_count = from->n_match_label_keys, .match = from->match_label_keys},
            &out->selector);
    return code;
}

static enum err_code spreads(const struct view *v, size_t count,
                             Core__TopologySpreadConstraint **from, struct request *out)
{
    struct request_spread *at = arena_zalloc(v->arena, count + 1, sizeof *at);
    enum err_code code = at == NULL ? too_large(v) : ERR_OK;
    if (count > REQUEST_SPREADS_MAX)
        return err_set(v->e, ERR_LIMIT, "more than %d topologySpreadConstraints",
                       REQUEST_SPREADS_MAX);
    for (size_t i = 0; code == ERR_OK && i < count; i++)
        code = spread(v, from[i], &at[i]);
    out->spreads = at;
    out->spreads_count = (uint32_t)count;
    return code;
}

enum err_code sched_view_affinity(struct names *n, struct arena *a, const Meta__ObjectMeta *meta,
                                  const Core__Affinity *from,
                                  Core__TopologySpreadConstraint **constraints, size_t count,
                                  struct request *out, struct err *e)
{
    const struct view v = {n, a, meta, e};
    const Core__PodAffinity *near = from == NULL ? NULL : from->pod_affinity;
    const Core__PodAntiAffinity *apart = from == NULL ? NULL : from->pod_anti_affinity;
    enum err_code code = spreads(&v, count, constraints, out);
    if (code == ERR_OK && near != NULL)
        code = required(&v, near->n_required_during_scheduling_ignored_during_execution,
                        near->required_during_scheduling_ignored_during_execution, &out->affinity,
                        &out->affinity_count);
    if (code == ERR_OK && near != NULL)
        code = preferred(&v, near->n_preferred_during_scheduling_ignored_during_execution,
                         near->preferred_during_scheduling_ignored_during_execution,
                         &out->affinity_preferred, &out->affinity_preferred_count);
    if (code == ERR_OK && apart != NULL)
        code = required(&v, apart->n_required_during_scheduling_ignored_during_execution,
                        apart->required_during_scheduling_ignored_during_execution,
                        &out->anti_affinity, &out->anti_affinity_count);
    if (code == ERR_OK && apart != NULL)
        code = preferred(&v, apart->n_preferred_during_scheduling_ignored_during_execution,
                         apart->preferred_during_scheduling_ignored_during_execution,
                         &out->anti_affinity_preferred, &out->anti_affinity_preferred_count);
    return code;
}
