/* SPDX-License-Identifier: Apache-2.0 */
/* Label and field selectors on stored bytes: nothing is unpacked, nothing allocated. */
#include "base/wire.h"
#include "controlplane/serve/rest_priv.h"

enum { META_LABELS = 11, MAP_KEY = 1, MAP_VALUE = 2 };

/* ObjectMeta is field 1 of every object, labels field 11 of it, a map of texts. */
static bool label_lookup(const void *object, struct str key, struct str *out)
{
    const struct str *raw = object;
    struct wire_reader meta = wire_read(wire_find_bytes(*raw, 1));
    struct wire_field f;
    while (wire_next(&meta, &f)) {
        if (f.number != META_LABELS || f.type != WIRE_BYTES)
            continue;
        if (str_eq(wire_find_bytes(f.bytes, MAP_KEY), key)) {
            *out = wire_find_bytes(f.bytes, MAP_VALUE);
            return true;
        }
    }
    return false;
}

struct field_place {
    struct str raw;
    const struct schema_message *message;
};

/* A scalar as a selector sees it: absent is "", and false for a flag. */
static struct str scalar(const struct schema_field *field, struct str raw)
{
    struct wire_reader r = wire_read(raw);
    struct wire_field f;
    if (field->type == SCHEMA_STRING) {
        struct str text = wire_find_bytes(raw, field->number);
        return text.at == NULL ? STR("") : text;
    }
    while (wire_next(&r, &f))
        if (f.number == field->number && f.type == WIRE_VARINT && f.value != 0)
            return STR("true");
    return STR("false");
}

static bool field_lookup(const void *object, struct str key, struct str *out)
{
    const struct field_place *place = object;
    const struct schema_message *m = place->message;
    struct str raw = place->raw, rest = key, part;
    while (str_split(&rest, '.', &part)) {
        const struct schema_field *f = schema_find(m, part, NULL);
        if (f == NULL || f->repeated || f->map)
            return false;
        if (f->type != SCHEMA_MESSAGE) {
            *out = scalar(f, raw);
            return rest.at == NULL;
        }
        raw = wire_find_bytes(raw, f->number);
        if (raw.at == NULL)
            raw = STR("");
        m = f->message;
    }
    return false;
}

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
    struct field_place place = {raw, s->schema->message};
    return selector_matches(&s->labels, label_lookup, &raw) &&
           selector_matches(&s->fields, field_lookup, &place);
}
