/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Definitions only, without paths: kubectl looks a kind up by x-kubernetes-group-version-kind and walks its
 * schema. Paths would tell it which patches each kind takes, which it knows of its own.
 */
#include "tools/openapigen.h"

#include "api/schema.h"
#include "base/check.h"
#include "base/json.h"
#include "base/wire.h"

/* Numbers of gnostic's openapiv2.proto. */
enum { DOCUMENT_SWAGGER = 1, DOCUMENT_INFO = 2, DOCUMENT_DEFINITIONS = 9 };
enum { INFO_TITLE = 1, INFO_VERSION = 2 };
enum { NAMED_NAME = 1, NAMED_VALUE = 2, NAMED_LIST = 1 };
enum {
    SCHEMA_REF = 1,
    SCHEMA_FORMAT = 2,
    SCHEMA_ADDITIONAL = 21,
    SCHEMA_TYPE = 22,
    SCHEMA_ITEMS = 23,
    SCHEMA_PROPERTIES = 25,
    SCHEMA_EXTENSION = 31
};
enum { TYPE_VALUE = 1, ITEMS_SCHEMA = 1, ADDITIONAL_SCHEMA = 1, ANY_YAML = 2 };

struct wanted {
    bool is[MESSAGES_MAX], done[MESSAGES_MAX];
};

static void put_type(struct buf *out, const char *type, const char *format)
{
    if (format != NULL)
        wire_put_bytes(out, SCHEMA_FORMAT, str_of(format));
    size_t begin = wire_begin(out, SCHEMA_TYPE);
    wire_put_bytes(out, TYPE_VALUE, str_of(type));
    wire_end(out, begin);
}

static void put_extension(struct buf *out, const char *name, struct str yaml)
{
    size_t begin = wire_begin(out, SCHEMA_EXTENSION);
    wire_put_bytes(out, NAMED_NAME, str_of(name));
    size_t value = wire_begin(out, NAMED_VALUE);
    wire_put_bytes(out, ANY_YAML, yaml);
    wire_end(out, value);
    wire_end(out, begin);
}

/* What one element of a field is. */
static void put_element(struct buf *out, const struct schema_field *f, struct wanted *w)
{
    struct buf ref;
    if (f->type != SCHEMA_MESSAGE) {
        put_type(out, openapi_words[f->type].type, openapi_words[f->type].format);
        return;
    }
    w->is[f->message - schema_messages] = true;
    buf_init(&ref, 1024);
    buf_printf(&ref, "#/definitions/" STR_FMT, STR_ARG(f->message->openapi));
    wire_put_bytes(out, SCHEMA_REF, buf_str(&ref));
    buf_free(&ref);
}

static void put_list(struct buf *out, const struct schema_field *f, struct wanted *w)
{
    put_type(out, "array", NULL);
    size_t items = wire_begin(out, SCHEMA_ITEMS), item = wire_begin(out, ITEMS_SCHEMA);
    put_element(out, f, w);
    wire_end(out, item);
    wire_end(out, items);
    if (f->merge && f->rule->merge_key.len > 0)
        put_extension(out, "x-kubernetes-patch-merge-key", f->rule->merge_key);
    if (f->merge)
        put_extension(out, "x-kubernetes-patch-strategy",
                      f->retain_keys ? STR("merge,retainKeys") : STR("merge"));
}

static void put_map(struct buf *out, const struct schema_field *f, struct wanted *w)
{
    put_type(out, "object", NULL);
    size_t all = wire_begin(out, SCHEMA_ADDITIONAL), one = wire_begin(out, ADDITIONAL_SCHEMA);
    put_element(out, f, w);
    wire_end(out, one);
    wire_end(out, all);
}

static void put_property(struct buf *out, const struct schema_field *f, struct wanted *w)
{
    size_t begin = wire_begin(out, NAMED_LIST);
    wire_put_bytes(out, NAMED_NAME, f->json);
    size_t value = wire_begin(out, NAMED_VALUE);
    if (f->repeated)
        put_list(out, f, w);
    else if (f->map)
        put_map(out, f, w);
    else
        put_element(out, f, w);
    wire_end(out, value);
    wire_end(out, begin);
}

static void put_text_property(struct buf *out, const char *name)
{
    size_t begin = wire_begin(out, NAMED_LIST);
    wire_put_bytes(out, NAMED_NAME, str_of(name));
    size_t value = wire_begin(out, NAMED_VALUE);
    put_type(out, "string", NULL);
    wire_end(out, value);
    wire_end(out, begin);
}

static void put_properties(struct buf *out, const struct schema_message *m, struct wanted *w)
{
    for (uint32_t i = 0; i < m->fields_count; i++) {
        if (m->fields[i].inlined)
            put_properties(out, m->fields[i].message, w);
        else
            put_property(out, &m->fields[i], w);
    }
}

/* A list, as a message has one of each version it is a kind of. JSON is YAML, too. */
static void put_kinds(struct buf *out, const struct schema_message *m)
{
    struct buf yaml;
    buf_init(&yaml, 4096);
    for (uint32_t i = 0; i < schema_kinds_count; i++) {
        const struct schema_kind *k = &schema_kinds[i];
        if (k->message == m)
            buf_printf(&yaml,
                       "%s{\"group\": \"" STR_FMT "\", \"version\": \"" STR_FMT
                       "\", \"kind\": \"" STR_FMT "\"}",
                       yaml.len == 0 ? "[" : ", ", STR_ARG(k->group), STR_ARG(k->version),
                       STR_ARG(k->kind));
    }
    if (yaml.len > 0) {
        buf_add_char(&yaml, ']');
        put_extension(out, "x-kubernetes-group-version-kind", buf_str(&yaml));
    }
    buf_free(&yaml);
}

static void put_object(struct buf *out, const struct schema_message *m, struct wanted *w)
{
    put_type(out, "object", NULL);
    if (m->typed || m->fields_count > 0) {
        size_t begin = wire_begin(out, SCHEMA_PROPERTIES);
        if (m->typed) {
            put_text_property(out, "apiVersion");
            put_text_property(out, "kind");
        }
        put_properties(out, m, w);
        wire_end(out, begin);
    }
    put_kinds(out, m);
}

/* A validator takes any scalar for a string: that is how an amount or a port may be a number. */
static void put_schema(struct buf *out, const struct schema_message *m, struct wanted *w)
{
    switch (m->special) {
    case SCHEMA_PLAIN:
        put_object(out, m, w);
        break;
    case SCHEMA_TIME:
    case SCHEMA_MICRO_TIME:
        put_type(out, "string", "date-time");
        break;
    case SCHEMA_QUANTITY:
        put_type(out, "string", NULL);
        break;
    case SCHEMA_INT_OR_STRING:
        put_type(out, "string", "int-or-string");
        break;
    case SCHEMA_RAW_JSON:
        break; /* No type: whatever there is. */
    case SCHEMA_STRINGS: {
        put_type(out, "array", NULL);
        size_t items = wire_begin(out, SCHEMA_ITEMS), item = wire_begin(out, ITEMS_SCHEMA);
        put_type(out, "string", NULL);
        wire_end(out, item);
        wire_end(out, items);
        break;
    }
    }
}

static bool put_definitions(struct buf *out, struct wanted *w)
{
    bool more = false;
    for (uint32_t i = 0; i < schema_messages_count; i++) {
        if (!w->is[i] || w->done[i])
            continue;
        size_t begin = wire_begin(out, NAMED_LIST);
        wire_put_bytes(out, NAMED_NAME, schema_messages[i].openapi);
        size_t value = wire_begin(out, NAMED_VALUE);
        put_schema(out, &schema_messages[i], w);
        wire_end(out, value);
        wire_end(out, begin);
        w->done[i] = more = true;
    }
    return more;
}

void openapi_v2_make(struct buf *out)
{
    static struct wanted wanted;
    for (uint32_t i = 0; i < schema_kinds_count; i++)
        wanted.is[schema_kinds[i].message - schema_messages] = true;
    wire_put_bytes(out, DOCUMENT_SWAGGER, STR("2.0"));
    size_t info = wire_begin(out, DOCUMENT_INFO);
    wire_put_bytes(out, INFO_TITLE, STR("Baton"));
    wire_put_bytes(out, INFO_VERSION, STR("v1"));
    wire_end(out, info);
    size_t definitions = wire_begin(out, DOCUMENT_DEFINITIONS);
    while (put_definitions(out, &wanted))
        continue;
    wire_end(out, definitions);
    CHECK(!out->overflow);
}
