/* SPDX-License-Identifier: Apache-2.0 */
/* ResourceQuota. What is wrong is said in Kubernetes' words (pkg/apis/core/validation). */
#include "api/kinds_priv.h"
#include "api/quantity.h"

enum { QUOTA_HARD_MAX = 128, QUOTA_NAME_MAX = 79 };

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

/* A scope narrows what is counted: ignored, it would refuse what should pass. */
static void quota_validate(struct kind_call *c, const ProtobufCMessage *object,
                           const ProtobufCMessage *old)
{
    const Core__ResourceQuotaSpec *s = ((const Core__ResourceQuota *)object)->spec;
    struct field spec = field_name(NULL, "spec"), hard = field_name(&spec, "hard");
    struct field scopes = field_name(&spec, "scopes"), by = field_name(&spec, "scopeSelector");
    (void)old;
    if (s == NULL || c->write == KIND_STATUS)
        return;
    if (s->n_scopes > 0)
        causes_add(&c->causes, CAUSE_FORBIDDEN, &scopes, "Baton does not support this yet");
    if (s->scope_selector != NULL)
        causes_add(&c->causes, CAUSE_FORBIDDEN, &by, "Baton does not support this yet");
    if (s->n_hard > QUOTA_HARD_MAX) {
        causes_add(&c->causes, CAUSE_TOO_MANY, &hard, "%zu: must have at most %d items", s->n_hard,
                   QUOTA_HARD_MAX);
        return;
    }
    for (size_t i = 0; i < s->n_hard; i++) {
        struct field at = field_key(&hard, kind_str(s->hard[i]->key));
        hard_validate(c, s->hard[i], &at);
    }
}

static struct kind_cell quota_cell(const ProtobufCMessage *object, struct str column,
                                   struct wall now, struct arena *a)
{
    const Core__ResourceQuotaStatus *s = ((const Core__ResourceQuota *)object)->status;
    bool limits = str_is(column, "Limit");
    struct str text = STR("");
    (void)now;
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
