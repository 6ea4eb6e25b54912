/* SPDX-License-Identifier: Apache-2.0 */
/* Label and field selectors on stored bytes: nothing is unpacked, nothing allocated. */
#include "api/peek.h"
#include "controlplane/serve/rest_priv.h"

/* A field's path where its name is not one. */
static struct str field_path(struct str key)
{
    if (str_is(key, "source"))
        return STR("source.component");
    if (str_is(key, "spec.host"))
        return STR("spec.nodeName");
    return key;
}

static bool field_known(struct call *c, struct str key)
{
    if (str_is(key, "metadata.name") || str_is(key, "metadata.namespace"))
        return true;
    for (const char *const *f = c->kind->fields; f != NULL && *f != NULL; f++)
        if (str_is(key, *f))
            return true;
    return false;
}

bool select_parse(struct call *c, struct select *out)
{
    struct err e;
    struct arena *a = &c->r->arena;
    *out = (struct select){.schema = c->schema};
    enum err_code rc =
        selector_parse_labels(rest_query(c->r, "labelSelector"), a, &out->labels, &e);
    if (rc == ERR_OK)
        rc = selector_parse_fields(rest_query(c->r, "fieldSelector"), a, &out->fields, &e);
    if (rc != ERR_OK && out->labels.why.len > 0)
        return status_set(&c->status, a, STATUS_BAD_REQUEST, STR_FMT, STR_ARG(out->labels.why));
    if (rc != ERR_OK)
        return status_err(&c->status, a, &e);
    for (uint32_t i = 0; i < out->fields.count; i++) {
        struct requirement *r = (struct requirement *)(uintptr_t)&out->fields.at[i];
        if (!field_known(c, r->key))
            return status_set(&c->status, a, STATUS_BAD_REQUEST,
                              "field label not supported: " STR_FMT, STR_ARG(r->key));
        r->key = field_path(r->key);
    }
    return true;
}

bool select_matches(const struct select *s, struct str raw)
{
    struct peek object = {s->schema->message, raw};
    return selector_matches(&s->labels, peek_label, &object) &&
           selector_matches(&s->fields, peek_field, &object);
}
