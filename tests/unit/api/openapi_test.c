/* SPDX-License-Identifier: Apache-2.0 */
#include "api/openapi.h"
#include "api/kinds.h"
#include "api/schema.h"
#include "base/json.h"
#include "base/wire.h"
#include "tests/testlib/test.h"

#include <stdio.h>

static struct arena arena;

static struct json *parsed(struct str text)
{
    struct json *root = NULL;
    struct err e = {0};
    cr_assert_eq(json_parse(&arena, text, &root, &e), ERR_OK, "%s", e.text);
    return root;
}

/* Every $ref below value names a schema of the document. */
static uint32_t check_refs(const struct json *value, const struct json *schemas)
{
    static const struct str prefix = STR("#/components/schemas/");
    uint32_t refs = 0;
    for (const struct json *c = value->first; c != NULL; c = c->next) {
        if (str_is(c->key, "$ref")) {
            struct str name = str_slice(c->text, prefix.len, c->text.len);
            cr_assert(str_starts(c->text, prefix));
            cr_assert_not_null(json_find(schemas, name), STR_FMT, STR_ARG(name));
            refs++;
        }
        refs += check_refs(c, schemas);
    }
    return refs;
}

static bool has_parameter(const struct json *operation, const char *name)
{
    const struct json *list = json_find(operation, STR("parameters"));
    for (const struct json *p = list == NULL ? NULL : list->first; p != NULL; p = p->next) {
        if (str_is(json_text(json_find(p, STR("name"))), name))
            return true;
    }
    return false;
}

static void check_kind(const struct schema_kind *k)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/" STR_FMT, k->group.len > 0 ? "apis" : "api",
                   STR_ARG(k->api_version));
    const struct openapi_document *d = openapi_find(str_of(path));
    cr_assert_not_null(d, "%s", path);
    struct json *root = parsed(d->json);
    const struct json *schemas = json_path(root, "components.schemas");
    cr_expect_gt(check_refs(root, schemas), 10);

    (void)snprintf(path, sizeof path, "/%s/" STR_FMT "/%s" STR_FMT "%s",
                   k->group.len > 0 ? "apis" : "api", STR_ARG(k->api_version),
                   k->namespaced ? "namespaces/{namespace}/" : "", STR_ARG(k->plural),
                   k->create_only ? "" : "/{name}");
    const struct json *verbs = json_find(json_find(root, STR("paths")), str_of(path));
    const struct json *get = json_find(verbs, k->create_only ? STR("post") : STR("get")),
                      *patch = json_find(verbs, STR("patch"));
    cr_assert_not_null(get, "%s", path);
    cr_expect_eq(patch == NULL, k->read_only || k->create_only, "%s", path);
    cr_expect_eq(json_find(verbs, STR("get")) == NULL, k->create_only, "%s", path);
    if (patch != NULL)
        cr_expect(!has_parameter(patch, "fieldValidation") && has_parameter(patch, "dryRun"));
    const struct json *gvk = json_find(get, STR("x-kubernetes-group-version-kind"));
    cr_expect(str_eq(json_text(json_find(gvk, STR("kind"))), k->kind));
    cr_expect(str_eq(json_text(json_find(gvk, STR("group"))), k->group));

    const struct json *schema = json_find(schemas, k->message->openapi);
    gvk = json_at(json_find(schema, STR("x-kubernetes-group-version-kind")), 0);
    cr_expect(str_eq(json_text(json_find(gvk, STR("kind"))), k->kind));
    cr_expect_not_null(json_path(schema, "properties.apiVersion"));
}

TEST(openapi, describes_every_kind)
{
    for (uint32_t i = 0; i < schema_kinds_count; i++) {
        arena_init(&arena, 64 << 20);
        check_kind(&schema_kinds[i]);
        arena_free(&arena);
    }
    cr_expect_null(openapi_find(STR("apis/nope/v1")));
}

/* What is said to be written by nobody is written by nobody. */
TEST(openapi, read_only_kinds_are_the_ones_served_so)
{
    for (size_t i = 0; kinds[i] != NULL; i++)
        cr_expect_eq(kind_schema(kinds[i])->read_only, (kinds[i]->flags & KIND_READ_ONLY) != 0,
                     "%s", kinds[i]->plural);
}

TEST(openapi, the_index_names_every_document)
{
    arena_init(&arena, 1 << 20);
    struct json *paths = json_find(parsed(openapi_index.json), STR("paths"));
    cr_expect_eq(paths->count, openapi_documents_count);
    for (uint32_t i = 0; i < openapi_documents_count; i++) {
        const struct openapi_document *d = &openapi_documents[i];
        struct str url = json_text(json_find(json_find(paths, d->path), STR("serverRelativeURL")));
        cr_expect(str_starts(url, STR("/openapi/v3/")) && str_ends(url, d->hash));
    }
    arena_free(&arena);
}

/* A schema of v2 by name, {NULL, 0}: there is none. In lists of (name = 1, value = 2). */
static struct str named(struct str list, struct str name)
{
    struct wire_reader r = wire_read(list);
    struct wire_field f;
    while (wire_next(&r, &f))
        if (f.number == 1 && str_eq(wire_find_bytes(f.bytes, 1), name))
            return wire_find_bytes(f.bytes, 2);
    return (struct str){NULL, 0};
}

enum { REF = 1, TYPE = 22, ITEMS = 23, PROPERTIES = 25, EXTENSION = 31 };

/* The extension's YAML. */
static struct str extension(struct str schema, const char *name)
{
    struct wire_reader r = wire_read(schema);
    struct wire_field f;
    while (wire_next(&r, &f))
        if (f.number == EXTENSION && str_is(wire_find_bytes(f.bytes, 1), name))
            return wire_find_bytes(wire_find_bytes(f.bytes, 2), 2);
    return (struct str){NULL, 0};
}

TEST(openapi, v2_defines_every_kind)
{
    struct str definitions = wire_find_bytes(openapi_v2.json, 9);
    cr_expect(str_is(wire_find_bytes(openapi_v2.json, 1), "2.0"));
    cr_expect_null(wire_find_bytes(openapi_v2.json, 8).at); /* No paths. */
    for (uint32_t i = 0; i < schema_kinds_count; i++) {
        const struct schema_kind *k = &schema_kinds[i];
        struct str schema = named(definitions, k->message->openapi);
        struct str gvk = extension(schema, "x-kubernetes-group-version-kind");
        cr_assert_not_null(schema.at, STR_FMT, STR_ARG(k->kind));
        cr_expect(str_find(gvk, k->kind.at[0], 0) < gvk.len, STR_FMT, STR_ARG(gvk));
        struct str meta = named(wire_find_bytes(schema, PROPERTIES), STR("metadata"));
        cr_expect(str_is(wire_find_bytes(meta, REF),
                         "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"));
    }
}

/* Each reference leads somewhere: a validator gives up on a document where one does not. */
TEST(openapi, v2_refers_to_what_it_defines)
{
    static const struct str prefix = STR("#/definitions/");
    struct str definitions = wire_find_bytes(openapi_v2.json, 9);
    uint32_t refs = 0;
    for (size_t at = 0; at + prefix.len < definitions.len; at++) {
        if (memcmp(definitions.at + at, prefix.at, prefix.len) != 0)
            continue;
        size_t len = (uint8_t)definitions.at[at - 1]; /* One byte of length: names are short. */
        struct str name = str_slice(definitions, at + prefix.len, at + len);
        cr_assert_not_null(named(definitions, name).at, STR_FMT, STR_ARG(name));
        refs++;
    }
    cr_expect_gt(refs, 300);
}

TEST(openapi, v2_tells_how_lists_merge)
{
    struct str spec = named(wire_find_bytes(openapi_v2.json, 9), STR("io.k8s.api.core.v1.PodSpec"));
    struct str containers = named(wire_find_bytes(spec, PROPERTIES), STR("containers"));
    cr_expect(str_is(wire_find_bytes(wire_find_bytes(containers, TYPE), 1), "array"));
    cr_expect(str_is(extension(containers, "x-kubernetes-patch-merge-key"), "name"));
    cr_expect(str_is(extension(containers, "x-kubernetes-patch-strategy"), "merge"));
    struct str volumes = named(wire_find_bytes(spec, PROPERTIES), STR("volumes"));
    cr_expect(str_is(extension(volumes, "x-kubernetes-patch-strategy"), "merge,retainKeys"));
    /* Amounts: any scalar is a text to a validator. */
    struct str quantity = named(wire_find_bytes(openapi_v2.json, 9),
                                STR("io.k8s.apimachinery.pkg.api.resource.Quantity"));
    cr_expect(str_is(wire_find_bytes(wire_find_bytes(quantity, TYPE), 1), "string"));
}

/* What users may write and we honour is explained to them. */
TEST(openapi, inlined_fields_stand_in_the_object)
{
    arena_init(&arena, 64 << 20);
    struct json *root = parsed(openapi_find(STR("api/v1"))->json);
    const struct json *volume =
        json_find(json_path(root, "components.schemas"), STR("io.k8s.api.core.v1.Volume"));
    cr_expect_not_null(json_path(volume, "properties.emptyDir"));
    cr_expect_null(json_path(volume, "properties.volumeSource"));
    arena_free(&arena);
}
