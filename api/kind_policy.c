/* SPDX-License-Identifier: Apache-2.0 */
/* PodDisruptionBudget. What is wrong is said in Kubernetes' words (pkg/apis/policy/validation). */
#include "api/kinds_priv.h"
#include "proto/k8s/policy_v1.pb-c.h"

#include <stdio.h>

/* "50%" with nothing else around; the number, or -1. Longer numbers are over 100 in any case. */
static int64_t percent_of(struct str text)
{
    int64_t value;
    struct str number = str_slice(text, 0, text.len == 0 ? 0 : text.len - 1);
    if (!str_ends(text, STR("%")) || number.len == 0)
        return -1;
    for (size_t i = 0; i < number.len; i++)
        if (number.at[i] < '0' || number.at[i] > '9')
            return -1;
    return str_parse_i64(number, &value) == ERR_OK ? value : INT64_MAX;
}

static void amount_validate(struct kind_call *c, const Intstr__IntOrString *v,
                            const struct field *at)
{
    if (v == NULL)
        return;
    if (v->type == 0) {
        if (v->int_val < 0)
            causes_invalid_i64(&c->causes, at, v->int_val, "must be greater than or equal to 0");
        return;
    }
    int64_t percent = percent_of(kind_str(v->str_val));
    if (percent < 0)
        causes_invalid(&c->causes, at, kind_str(v->str_val),
                       "a valid percent string must be a numeric string followed by an ending '%' "
                       "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')");
    else if (percent > 100)
        causes_invalid(&c->causes, at, kind_str(v->str_val), "must not be greater than 100%");
}

static void budget_validate(struct kind_call *c, const ProtobufCMessage *object,
                            const ProtobufCMessage *old)
{
    static const char *const policies[] = {"AlwaysAllow", "IfHealthyBudget", NULL};
    const Policy__PodDisruptionBudgetSpec *s = ((const Policy__PodDisruptionBudget *)object)->spec;
    struct field spec = field_name(NULL, "spec"), least = field_name(&spec, "minAvailable");
    struct field most = field_name(&spec, "maxUnavailable");
    struct field policy = field_name(&spec, "unhealthyPodEvictionPolicy");
    struct field selector = field_name(&spec, "selector");
    (void)old;
    if (s == NULL || c->write == KIND_STATUS)
        return;
    if (s->min_available != NULL && s->max_unavailable != NULL)
        causes_invalid(&c->causes, &spec, STR("minAvailable, maxUnavailable"),
                       "minAvailable and maxUnavailable cannot be both set");
    amount_validate(c, s->min_available, &least);
    amount_validate(c, s->max_unavailable, &most);
    if (s->unhealthy_pod_eviction_policy != NULL)
        check_one_of(c, &policy, s->unhealthy_pod_eviction_policy, policies);
    selector_validate(c, s->selector, &selector);
}

static struct kind_cell budget_cell(const void *object, struct str column, struct arena *a)
{
    const Policy__PodDisruptionBudgetSpec *s = ((const Policy__PodDisruptionBudget *)object)->spec;
    bool is_least = str_is(column, "Min Available");
    const Intstr__IntOrString *v = s == NULL  ? NULL
                                   : is_least ? s->min_available
                                              : s->max_unavailable;
    if (v == NULL)
        return (struct kind_cell){.text = STR("N/A")};
    return (struct kind_cell){.text = v->type == 0 ? arena_printf(a, "%d", v->int_val)
                                                   : kind_str(v->str_val)};
}

static const struct kind_subresource budget_subresources[] = {
    {"status", NULL, NULL, NULL, "get patch update"},
    {NULL, NULL, NULL, NULL, NULL},
};

const struct kind kind_disruption_budget = {
    .group = "policy",
    .plural = "poddisruptionbudgets",
    .name_rule = name_segment,
    .flags = KIND_COUNTS | KIND_NEEDS_VERSION,
    .subresources = budget_subresources,
    .validate = budget_validate,
    .cell = budget_cell,
};
