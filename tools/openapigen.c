/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openapigen -- from the schema table to OpenAPI documents, as C source on standard output.
 *
 * Facts: OpenAPI 3.0.0; Kubernetes' extensions x-kubernetes-group-version-kind, -action,
 * -patch-strategy, -patch-merge-key, -list-type, -list-map-keys. Version 2 is openapigen_v2.c.
 */
#include "tools/openapigen.h"

#include "api/schema.h"
#include "base/check.h"
#include "base/json.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define META "k8s.io.apimachinery.pkg.apis.meta.v1."

/* One document in the making. */
struct doc {
    struct buf out;
    bool wanted[MESSAGES_MAX]; /* Messages that something refers to. */
    bool comma;                /* The object being written has a member. */
};

/* JSON, member by member */

static void put(struct doc *d, const char *text)
{
    buf_add(&d->out, str_of(text));
}

static void put_name(struct doc *d, struct str name)
{
    if (d->comma)
        buf_add_char(&d->out, ',');
    json_print_string(&d->out, name);
    buf_add_char(&d->out, ':');
    d->comma = true;
}

static void put_text(struct doc *d, const char *name, struct str value)
{
    put_name(d, str_of(name));
    json_print_string(&d->out, value);
}

static void put_raw(struct doc *d, const char *name, const char *json)
{
    put_name(d, str_of(name));
    put(d, json);
}

static void open_object(struct doc *d, struct str name)
{
    put_name(d, name);
    buf_add_char(&d->out, '{');
    d->comma = false;
}

static void close_object(struct doc *d)
{
    buf_add_char(&d->out, '}');
    d->comma = true;
}

static void open_list(struct doc *d, const char *name)
{
    put_name(d, str_of(name));
    buf_add_char(&d->out, '[');
    d->comma = false;
}

static void close_list(struct doc *d)
{
    buf_add_char(&d->out, ']');
    d->comma = true;
}

static void put_item(struct doc *d, struct str text)
{
    if (d->comma)
        buf_add_char(&d->out, ',');
    json_print_string(&d->out, text);
    d->comma = true;
}

/* Schemas */

static void put_ref(struct doc *d, const struct schema_message *m)
{
    d->wanted[m - schema_messages] = true;
    put_name(d, STR("$ref"));
    buf_printf(&d->out, "\"#/components/schemas/" STR_FMT "\"", STR_ARG(m->openapi));
}

const struct openapi_word openapi_words[SCHEMA_MESSAGE] = {
    [SCHEMA_BOOL] = {"boolean", NULL},      [SCHEMA_INT32] = {"integer", "int32"},
    [SCHEMA_INT64] = {"integer", "int64"},  [SCHEMA_UINT32] = {"integer", "int64"},
    [SCHEMA_UINT64] = {"integer", "int64"}, [SCHEMA_ENUM] = {"integer", "int32"},
    [SCHEMA_STRING] = {"string", NULL},     [SCHEMA_BYTES] = {"string", "byte"},
};

static void put_scalar(struct doc *d, enum schema_type type)
{
    put_text(d, "type", str_of(openapi_words[type].type));
    if (openapi_words[type].format != NULL)
        put_text(d, "format", str_of(openapi_words[type].format));
}

/* What one element of the field is. A reference with company stands in allOf. */
static void put_element(struct doc *d, const struct schema_field *f, bool alone)
{
    if (f->type != SCHEMA_MESSAGE) {
        put_scalar(d, f->type);
    } else if (alone) {
        put_ref(d, f->message);
    } else {
        open_list(d, "allOf");
        buf_add_char(&d->out, '{');
        put_ref(d, f->message);
        buf_add_char(&d->out, '}');
        close_list(d);
    }
}

static void put_values(struct doc *d, const struct schema_field *f)
{
    open_list(d, "enum");
    for (uint32_t i = 0; i < f->rule->values_count; i++)
        put_item(d, f->rule->values[i]);
    close_list(d);
}

/* Lists whose elements apply and patch tell apart. */
static void put_list_extensions(struct doc *d, const struct schema_field *f)
{
    if (f->merge && f->rule->merge_key.len > 0) {
        open_list(d, "x-kubernetes-list-map-keys");
        put_item(d, f->rule->merge_key);
        close_list(d);
        put_text(d, "x-kubernetes-list-type", STR("map"));
        put_text(d, "x-kubernetes-patch-merge-key", f->rule->merge_key);
    } else {
        put_text(d, "x-kubernetes-list-type", f->merge ? STR("set") : STR("atomic"));
    }
    if (f->merge)
        put_text(d, "x-kubernetes-patch-strategy",
                 f->retain_keys ? STR("merge,retainKeys") : STR("merge"));
}

static void put_property(struct doc *d, const struct schema_field *f)
{
    bool plain = !f->repeated && !f->map;
    open_object(d, f->json);
    if (f->doc[0] != '\0')
        put_text(d, "description", str_of(f->doc));
    if (plain) {
        put_element(d, f, f->doc[0] == '\0');
    } else {
        put_text(d, "type", f->repeated ? STR("array") : STR("object"));
        open_object(d, f->repeated ? STR("items") : STR("additionalProperties"));
        put_element(d, f, true);
        close_object(d);
    }
    if (f->repeated)
        put_list_extensions(d, f);
    if (f->rule->values_count > 0 && plain)
        put_values(d, f);
    close_object(d);
}

static void put_properties(struct doc *d, const struct schema_message *m)
{
    for (uint32_t i = 0; i < m->fields_count; i++) {
        if (m->fields[i].inlined)
            put_properties(d, m->fields[i].message);
        else
            put_property(d, &m->fields[i]);
    }
}

static void put_kind_properties(struct doc *d)
{
    open_object(d, STR("apiVersion"));
    put_text(d, "description",
             STR("Group and version of this object's schema, such as v1 or "
                 "baton.dev/v1."));
    put_text(d, "type", STR("string"));
    close_object(d);
    open_object(d, STR("kind"));
    put_text(d, "description", STR("What this object is, in CamelCase. Cannot be changed."));
    put_text(d, "type", STR("string"));
    close_object(d);
}

/* Must a manifest have it? Said outright, or a scalar that Kubernetes' own types never leave out. */
static bool is_required(const struct schema_field *f)
{
    return f->required || (f->always && !(f->type == SCHEMA_MESSAGE && !f->repeated) && !f->map &&
                           !str_is(f->json, "status"));
}

static void put_required(struct doc *d, const struct schema_message *m)
{
    bool some = false;
    for (uint32_t i = 0; i < m->fields_count; i++) {
        if (!is_required(&m->fields[i]))
            continue;
        if (!some)
            open_list(d, "required");
        some = true;
        put_item(d, m->fields[i].json);
    }
    if (some)
        close_list(d);
}

static void put_group_version_kind(struct doc *d, const struct schema_kind *k, struct str kind)
{
    buf_add(&d->out, STR("{\"group\":"));
    json_print_string(&d->out, k->group);
    buf_add(&d->out, STR(",\"kind\":"));
    json_print_string(&d->out, kind);
    buf_add(&d->out, STR(",\"version\":"));
    json_print_string(&d->out, k->version);
    buf_add_char(&d->out, '}');
}

static void put_kinds(struct doc *d, const struct schema_message *m)
{
    for (uint32_t i = 0; i < schema_kinds_count; i++) {
        if (schema_kinds[i].message != m && schema_kinds[i].list != m)
            continue;
        open_list(d, "x-kubernetes-group-version-kind");
        put_group_version_kind(d, &schema_kinds[i], m->name);
        close_list(d);
    }
}

static void put_schema(struct doc *d, const struct schema_message *m)
{
    open_object(d, m->openapi);
    if (m->doc[0] != '\0')
        put_text(d, "description", str_of(m->doc));
    switch (m->special) {
    case SCHEMA_PLAIN:
        put_text(d, "type", STR("object"));
        if (m->typed || m->fields_count > 0) {
            open_object(d, STR("properties"));
            if (m->typed)
                put_kind_properties(d);
            put_properties(d, m);
            close_object(d);
        }
        put_required(d, m);
        put_kinds(d, m);
        break;
    case SCHEMA_TIME:
    case SCHEMA_MICRO_TIME:
        put_text(d, "type", STR("string"));
        put_text(d, "format", STR("date-time"));
        break;
    case SCHEMA_QUANTITY:
        put_raw(d, "oneOf", "[{\"type\":\"string\"},{\"type\":\"number\"}]");
        break;
    case SCHEMA_INT_OR_STRING:
        put_raw(d, "oneOf", "[{\"type\":\"integer\"},{\"type\":\"string\"}]");
        put_text(d, "format", STR("int-or-string"));
        break;
    case SCHEMA_RAW_JSON:
        put_text(d, "type", STR("object"));
        break;
    case SCHEMA_STRINGS:
        put_text(d, "type", STR("array"));
        put_raw(d, "items", "{\"type\":\"string\"}");
        break;
    }
    close_object(d);
}

/* Whatever is referred to, and what that refers to in turn. */
static void put_schemas(struct doc *d)
{
    static bool done[MESSAGES_MAX];
    bool more = true;
    memset(done, 0, sizeof done);
    while (more) {
        more = false;
        for (uint32_t i = 0; i < schema_messages_count; i++) {
            if (!d->wanted[i] || done[i])
                continue;
            put_schema(d, &schema_messages[i]);
            done[i] = more = true;
        }
    }
}

/* Paths */

enum scope { COLLECTION, ALL_NAMESPACES, OBJECT, STATUS };

struct verb {
    const char *method, *action, *word; /* word: of the operation's id */
    bool dry_run, field_validation, has_body, is_list, query_selects;
};

static const struct verb verbs[][5] = {
    [COLLECTION] = {{"get", "list", "list", .is_list = true, .query_selects = true},
                    {"post", "post", "create", true, true, true},
                    {"delete", "deletecollection", "deleteCollection", .dry_run = true,
                     .query_selects = true}},
    [ALL_NAMESPACES] = {{"get", "list", "list", .is_list = true, .query_selects = true}},
    [OBJECT] = {{"get", "get", "read"},
                {"put", "put", "replace", true, true, true},
                {"patch", "patch", "patch", true, true, true},
                {"delete", "delete", "delete", .dry_run = true}},
    [STATUS] = {{"get", "get", "read"},
                {"put", "put", "replace", true, true, true},
                {"patch", "patch", "patch", true, true, true}},
};

static void put_parameter(struct doc *d, const char *in, const char *name, const char *type,
                          const char *text)
{
    if (d->comma)
        buf_add_char(&d->out, ',');
    buf_printf(&d->out,
               "{\"name\":\"%s\",\"in\":\"%s\",%s\"description\":\"%s\","
               "\"schema\":{\"type\":\"%s\"}}",
               name, in, strcmp(in, "path") == 0 ? "\"required\":true," : "", text, type);
    d->comma = true;
}

static void put_query(struct doc *d, const struct verb *v)
{
    open_list(d, "parameters");
    if (v->dry_run)
        put_parameter(d, "query", "dryRun", "string", "All: do everything but store the outcome.");
    if (v->field_validation)
        put_parameter(d, "query", "fieldManager", "string", "Who makes this change.");
    /* A PATCH takes it, too, and does not say so: docs/decisions/0023. */
    if (v->field_validation && strcmp(v->method, "patch") != 0) {
        put_parameter(d, "query", "fieldValidation", "string",
                      "What becomes of unknown and duplicate fields: Ignore, Warn (default) or "
                      "Strict.");
    }
    if (strcmp(v->method, "patch") == 0)
        put_parameter(d, "query", "force", "boolean", "Take fields from their other owners.");
    if (v->query_selects) {
        put_parameter(d, "query", "labelSelector", "string", "Only objects with such labels.");
        put_parameter(d, "query", "fieldSelector", "string", "Only objects with such fields.");
        put_parameter(d, "query", "limit", "integer", "Most objects in one answer.");
        put_parameter(d, "query", "continue", "string", "Where the answer before ended.");
        put_parameter(d, "query", "resourceVersion", "string", "State to answer from.");
    }
    if (v->is_list)
        put_parameter(d, "query", "watch", "boolean", "Follow changes instead of listing.");
    close_list(d);
}

static void put_content(struct doc *d, const struct schema_message *m, bool is_patch)
{
    static const char *const plain[] = {"application/json", "application/yaml",
                                        "application/vnd.kubernetes.protobuf"};
    static const char *const patches[] = {"application/json-patch+json",
                                          "application/merge-patch+json",
                                          "application/strategic-merge-patch+json"};
    open_object(d, STR("content"));
    for (size_t i = 0; i < COUNT_OF(plain); i++) {
        open_object(d, str_of(is_patch ? patches[i] : plain[i]));
        open_object(d, STR("schema"));
        put_ref(d, m);
        close_object(d);
        close_object(d);
    }
    close_object(d);
}

static const struct schema_message *named(const char *full)
{
    const struct schema_message *m = schema_message(str_of(full));
    CHECK(m != NULL);
    return m;
}

static void put_operation(struct doc *d, const struct schema_kind *k, enum scope scope,
                          const struct verb *v)
{
    bool is_patch = strcmp(v->method, "patch") == 0;
    open_object(d, str_of(v->method));
    put_name(d, STR("operationId"));
    buf_printf(&d->out, "\"%s" STR_FMT STR_FMT "%s" STR_FMT "%s%s\"", v->word,
               STR_ARG(str_slice(k->group, 0, str_find(k->group, '.', 0))), STR_ARG(k->version),
               k->namespaced && scope != ALL_NAMESPACES ? "Namespaced" : "", STR_ARG(k->kind),
               scope == ALL_NAMESPACES ? "ForAllNamespaces" : "", scope == STATUS ? "Status" : "");
    put_query(d, v);
    if (v->has_body) {
        open_object(d, STR("requestBody"));
        put_content(d, is_patch ? named(META "Patch") : k->message, is_patch);
        put_raw(d, "required", "true");
        close_object(d);
    }
    open_object(d, STR("responses"));
    open_object(d, STR("200"));
    put_text(d, "description", STR("OK"));
    bool is_delete = strcmp(v->method, "delete") == 0;
    put_content(d, is_delete ? named(META "Status") : v->is_list ? k->list : k->message, false);
    close_object(d);
    close_object(d);
    put_text(d, "x-kubernetes-action", str_of(v->action));
    put_name(d, STR("x-kubernetes-group-version-kind"));
    put_group_version_kind(d, k, k->kind);
    close_object(d);
}

static void put_path(struct doc *d, const struct schema_kind *k, enum scope scope)
{
    struct buf path;
    buf_init(&path, 512);
    buf_printf(&path, "/%s/" STR_FMT "/%s" STR_FMT "%s%s", k->group.len > 0 ? "apis" : "api",
               STR_ARG(k->api_version),
               k->namespaced && scope != ALL_NAMESPACES ? "namespaces/{namespace}/" : "",
               STR_ARG(k->plural), scope >= OBJECT ? "/{name}" : "",
               scope == STATUS ? "/status" : "");
    open_object(d, buf_str(&path));
    for (size_t i = 0; i < COUNT_OF(verbs[0]) && verbs[scope][i].method != NULL; i++) {
        const char *only = k->read_only ? "get" : k->create_only ? "post" : NULL;
        if (only == NULL || strcmp(verbs[scope][i].method, only) == 0)
            put_operation(d, k, scope, &verbs[scope][i]);
    }
    open_list(d, "parameters");
    if (k->namespaced && scope != ALL_NAMESPACES)
        put_parameter(d, "path", "namespace", "string", "Namespace of the object.");
    if (scope >= OBJECT)
        put_parameter(d, "path", "name", "string", "Name of the object.");
    close_list(d);
    close_object(d);
    buf_free(&path);
}

static void put_paths(struct doc *d, const struct schema_kind *k)
{
    put_path(d, k, COLLECTION);
    if (!k->create_only)
        put_path(d, k, OBJECT);
    if (k->status)
        put_path(d, k, STATUS);
    if (k->namespaced)
        put_path(d, k, ALL_NAMESPACES);
}

/* Documents */

static void make_document(struct doc *d, struct str api_version)
{
    memset(d->wanted, 0, sizeof d->wanted);
    buf_clear(&d->out);
    d->comma = false;
    put(d, "{\"openapi\":\"3.0.0\",\"info\":{\"title\":\"Baton\",\"version\":\"v1\"},\"paths\":{");
    for (uint32_t i = 0; i < schema_kinds_count; i++) {
        if (str_eq(schema_kinds[i].api_version, api_version))
            put_paths(d, &schema_kinds[i]);
    }
    put(d, "},\"components\":{\"schemas\":{");
    d->comma = false;
    d->wanted[named(META "DeleteOptions") - schema_messages] = true;
    put_schemas(d);
    put(d, "}}}");
}

/* FNV-1a, 64 bits: it only has to change when the document does. */
static uint64_t hash_of(struct str text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (uint8_t)text.at[i]) * 0x100000001b3u;
    return hash;
}

static void emit_bytes(const char *name, struct str bytes)
{
    printf("static const char %s[] =\n", name);
    for (size_t i = 0; i < bytes.len; i += 100) {
        putchar('"');
        for (size_t k = i; k < bytes.len && k < i + 100; k++) {
            uint8_t c = (uint8_t)bytes.at[k];
            if (c == '"' || c == '\\')
                printf("\\%c", c);
            else if (c < 0x20 || c >= 0x7f || c == '?')
                printf("\\%03o", c);
            else
                putchar(c);
        }
        puts("\"");
    }
    puts(";");
}

static void emit_document(struct str path, const char *bytes_name, struct str bytes)
{
    printf("{{\"" STR_FMT "\", %zu}, {%s, %zu}, {\"%016llX\", 16}}", STR_ARG(path), path.len,
           bytes_name, bytes.len, (unsigned long long)hash_of(bytes));
}

/* The first kind of each group and version stands for it. */
static bool is_first(const struct schema_kind *k)
{
    for (const struct schema_kind *before = schema_kinds; before < k; before++) {
        if (str_eq(before->api_version, k->api_version))
            return false;
    }
    return true;
}

static void path_of(const struct schema_kind *k, struct buf *out)
{
    buf_clear(out);
    buf_printf(out, "%s/" STR_FMT, k->group.len > 0 ? "apis" : "api", STR_ARG(k->api_version));
}

static void emit_v3(void)
{
    struct buf index, table, path;
    struct doc *d = mem_zalloc(1, sizeof *d);
    uint32_t count = 0;
    buf_init(&d->out, DOCUMENT_MAX);
    buf_init(&index, DOCUMENT_MAX);
    buf_init(&table, DOCUMENT_MAX);
    buf_init(&path, 512);
    buf_add(&index, STR("{\"paths\":{"));
    for (uint32_t i = 0; i < schema_kinds_count; i++) {
        char name[32];
        if (!is_first(&schema_kinds[i]))
            continue;
        make_document(d, schema_kinds[i].api_version);
        CHECK(!d->out.overflow);
        (void)snprintf(name, sizeof name, "document_%u", count);
        emit_bytes(name, buf_str(&d->out));
        path_of(&schema_kinds[i], &path);
        unsigned long long hash = hash_of(buf_str(&d->out));
        buf_printf(&index,
                   "%s\"" STR_FMT "\":{\"serverRelativeURL\":\"/openapi/v3/" STR_FMT
                   "?hash=%016llX\"}",
                   count > 0 ? "," : "", STR_ARG(buf_str(&path)), STR_ARG(buf_str(&path)), hash);
        buf_printf(&table, "    {{\"" STR_FMT "\", %zu}, {%s, %zu}, {\"%016llX\", 16}},\n",
                   STR_ARG(buf_str(&path)), path.len, name, d->out.len, hash);
        count++;
    }
    buf_add(&index, STR("}}"));
    emit_bytes("index_bytes", buf_str(&index));
    printf("const struct openapi_document openapi_documents[] = {\n" STR_FMT "};\n",
           STR_ARG(buf_str(&table)));
    printf("const uint32_t openapi_documents_count = %u;\n", count);
    printf("const struct openapi_document openapi_index = ");
    emit_document(STR(""), "index_bytes", buf_str(&index));
    puts(";");
    buf_free(&d->out);
    buf_free(&index);
    buf_free(&table);
    buf_free(&path);
    mem_free(d);
}

static void emit_v2(void)
{
    struct buf out;
    buf_init(&out, DOCUMENT_MAX);
    openapi_v2_make(&out);
    emit_bytes("v2_bytes", buf_str(&out));
    printf("const struct openapi_document openapi_v2 = ");
    emit_document(STR(""), "v2_bytes", buf_str(&out));
    puts(";");
    buf_free(&out);
}

int main(void)
{
    CHECK(schema_messages_count <= MESSAGES_MAX);
    puts("/* Made by tools/openapigen from the schema table; do not edit. */\n"
         "#include \"api/openapi.h\"");
    emit_v3();
    emit_v2();
    return fflush(stdout) == 0 ? 0 : 1;
}
