/* SPDX-License-Identifier: Apache-2.0 */
/* ResourceQuota. What is wrong is said in Kubernetes' words (pkg/apis/core/validation). */
#include "api/kinds_priv.h"
#include "api/quantity.h"

enum { QUOTA_HARD_MAX = 128, QUOTA_NAME_MAX = 79, QUOTA_SCOPES_MAX = 16 };

static void hard_validate(struct kind_call *c, const Core__ResourceQuotaSpec__HardEntry *e,
                          const struct field *at)
{
    struct quantity q;
    struct err err;
    struct str name = kind_str(e->key);
    struct str plain = str_starts(name, STR("count/")) ? str_slice(name, 6, name.len) : name;
    if (!names_check(&c->causes, at, name, name_qualified(plain)))
        return;
    if (name.len > QUOTA_NAME_MAX)
        causes_add(&c->causes, CAUSE_TOO_LONG, at, "may not be more than %d bytes", QUOTA_NAME_MAX);
    if (e->value == NULL || quantity_parse(kind_str(e->value->string), &q, &err) != ERR_OK)
        return;
    if (q.nano < 0)
        causes_invalid(&c->causes, at, kind_str(e->value->string),
                       "must be greater than or equal to 0");
    bool is_count = plain.len != name.len || is_text(e->key, "pods");
    if (is_count && q.nano % 1000000000 != 0)
        causes_invalid(&c->causes, at, kind_str(e->value->string), "must be an integer");
}

/* ---- scopes ---- */

static const char *const scope_names[] = {"BestEffort",
                                          "CrossNamespacePodAffinity",
                                          "NotBestEffort",
                                          "NotTerminating",
                                          "PriorityClass",
                                          "Terminating",
                                          NULL};

static bool is_scope(const char *name)
{
    for (const char *const *s = scope_names; *s != NULL; s++)
        if (is_text(name, *s))
            return true;
    return false;
}

/* Of what is not a workload's, a scope knows nothing; of what asks for nothing, only the number can be bounded. */
static bool is_counted_in(const char *scope, struct str name)
{
    static const char *const others[] = {"configmaps",      "secrets",
                                         "services",        "replicationcontrollers",
                                         "resourcequotas",  "persistentvolumeclaims",
                                         "requests.storage"};
    bool is_pods = str_is(name, "pods") || str_is(name, "count/pods") ||
                   str_is(name, "count/virtualmachineinstances.kubevirt.io");
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (str_is(name, others[i]))
            return false;
    if (is_text(scope, "BestEffort") || str_starts(name, STR("count/")))
        return is_pods;
    return true;
}

static void scopes_validate(struct kind_call *c, const Core__ResourceQuotaSpec *s,
                            const char *const *names, size_t count, const struct field *at)
{
    static const char *const opposites[][2] = {{"BestEffort", "NotBestEffort"},
                                               {"Terminating", "NotTerminating"}};
    for (size_t i = 0; i < count; i++) {
        if (!is_scope(names[i])) {
            causes_invalid(&c->causes, at, kind_str(names[i]), "unsupported scope");
            continue;
        }
        for (size_t h = 0; h < s->n_hard; h++)
            if (!is_counted_in(names[i], kind_str(s->hard[h]->key)))
                causes_invalid(&c->causes, at, kind_str(names[i]),
                               "unsupported scope applied to resource");
    }
    for (size_t k = 0; k < COUNT_OF(opposites); k++) {
        bool has[2] = {false, false};
        for (size_t i = 0; i < count; i++)
            for (size_t side = 0; side < 2; side++)
                has[side] |= is_text(names[i], opposites[k][side]);
        if (has[0] && has[1])
            causes_invalid(&c->causes, at, kind_str(opposites[k][0]), "conflicting scopes");
    }
}

static void requirement_validate(struct kind_call *c,
                                 const Core__ScopedResourceSelectorRequirement *r,
                                 const struct field *at)
{
    struct field op = field_name(at, "operator"), values = field_name(at, "values");
    bool lists = is_text(r->operator_, "In") || is_text(r->operator_, "NotIn");
    bool exists = is_text(r->operator_, "Exists") || is_text(r->operator_, "DoesNotExist");
    if (is_scope(r->scope_name) && !is_text(r->scope_name, "PriorityClass") &&
        !is_text(r->operator_, "Exists"))
        causes_invalid(&c->causes, &op, kind_str(r->operator_),
                       "must be 'Exist' only operator when scope is any of "
                       "ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
                       "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
                       "ResourceQuotaScopeCrossNamespacePodAffinity");
    if (lists && r->n_values == 0)
        causes_add(&c->causes, CAUSE_REQUIRED, &values,
                   "must be at least one value when `operator` is 'In' or 'NotIn' for scope "
                   "selector");
    else if (exists && r->n_values > 0)
        causes_invalid(&c->causes, &values, kind_str(r->values[0]),
                       "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope "
                       "selector");
    else if (!lists && !exists)
        causes_invalid(&c->causes, &op, kind_str(r->operator_), "not a valid selector operator");
}

static void selector_scopes_validate(struct kind_call *c, const Core__ResourceQuotaSpec *s,
                                     const struct field *at)
{
    const Core__ScopeSelector *by = s->scope_selector;
    const char *names[QUOTA_SCOPES_MAX];
    struct field list = field_name(at, "matchExpressions");
    if (by == NULL)
        return;
    if (by->n_match_expressions > QUOTA_SCOPES_MAX) {
        causes_add(&c->causes, CAUSE_TOO_MANY, &list, "%zu: must have at most %d items",
                   by->n_match_expressions, QUOTA_SCOPES_MAX);
        return;
    }
    for (size_t i = 0; i < by->n_match_expressions; i++) {
        struct field one = field_index(&list, i);
        names[i] = by->match_expressions[i]->scope_name;
        requirement_validate(c, by->match_expressions[i], &one);
    }
    scopes_validate(c, s, names, by->n_match_expressions, at);
}

static bool same_scopes(const Core__ResourceQuotaSpec *a, const Core__ResourceQuotaSpec *b)
{
    bool same = a->n_scopes == b->n_scopes;
    for (size_t i = 0; same && i < a->n_scopes; i++)
        same = str_eq(kind_str(a->scopes[i]), kind_str(b->scopes[i]));
    return same;
}

static void quota_validate(struct kind_call *c, const ProtobufCMessage *object,
                           const ProtobufCMessage *old)
{
    const Core__ResourceQuotaSpec *s = ((const Core__ResourceQuota *)object)->spec;
    const Core__ResourceQuotaSpec *was =
        old == NULL ? NULL : ((const Core__ResourceQuota *)old)->spec;
    struct field spec = field_name(NULL, "spec"), hard = field_name(&spec, "hard");
    struct field scopes = field_name(&spec, "scopes"), by = field_name(&spec, "scopeSelector");
    if (s == NULL || c->write == KIND_STATUS)
        return;
    if (s->n_hard > QUOTA_HARD_MAX || s->n_scopes > QUOTA_SCOPES_MAX) {
        causes_add(&c->causes, CAUSE_TOO_MANY, s->n_hard > QUOTA_HARD_MAX ? &hard : &scopes,
                   "must have at most %d items",
                   s->n_hard > QUOTA_HARD_MAX ? QUOTA_HARD_MAX : QUOTA_SCOPES_MAX);
        return;
    }
    for (size_t i = 0; i < s->n_hard; i++) {
        struct field at = field_key(&hard, kind_str(s->hard[i]->key));
        hard_validate(c, s->hard[i], &at);
    }
    scopes_validate(c, s, (const char *const *)s->scopes, s->n_scopes, &scopes);
    selector_scopes_validate(c, s, &by);
    if (was != NULL && !same_scopes(s, was))
        causes_invalid(&c->causes, &scopes, STR(""), "field is immutable");
}

static struct kind_cell quota_cell(const void *object, struct str column, struct arena *a)
{
    const Core__ResourceQuotaStatus *s = ((const Core__ResourceQuota *)object)->status;
    bool limits = str_is(column, "Limit");
    struct str text = STR("");
    for (size_t i = 0; s != NULL && i < s->n_hard && i < s->n_used; i++) {
        struct str name = kind_str(s->hard[i]->key);
        if (str_starts(name, STR("limits.")) != limits || s->hard[i]->value == NULL ||
            s->used[i]->value == NULL)
            continue;
        text =
            arena_printf(a, STR_FMT "%s" STR_FMT ": %s/%s", STR_ARG(text), text.len > 0 ? ", " : "",
                         STR_ARG(name), kind_str(s->used[i]->value->string).at,
                         kind_str(s->hard[i]->value->string).at);
    }
    return (struct kind_cell){.text = text};
}

static const struct kind_subresource quota_subresources[] = {
    {"status", NULL, NULL, NULL, "get patch update"},
    {NULL, NULL, NULL, NULL, NULL},
};

const struct kind kind_resource_quota = {
    .group = "",
    .plural = "resourcequotas",
    .name_rule = name_subdomain,
    .flags = KIND_DELETED_BODY,
    .subresources = quota_subresources,
    .validate = quota_validate,
    .cell = quota_cell,
};
