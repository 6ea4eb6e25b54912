/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What names no object: discovery (which groups, versions and resources there are), OpenAPI, and
 * everything else, which is not there. Clients that prefer aggregated discovery get the plain
 * documents and ask for each group (reference: 0.6, 2.1).
 */
#include "api/openapi.h"
#include "api/paths.h"
#include "base/json.h"
#include "controlplane/serve/rest_priv.h"

enum { DOCUMENT_MAX = 1 << 20 };

#define VERBS_ALL "create delete deletecollection get list patch update watch"
#define VERBS_READ "get list watch"

static void words(struct buf *out, struct str text)
{
    struct str rest = text, word;
    bool is_first = true;
    buf_add_char(out, '[');
    while (rest.len > 0 && str_split(&rest, ' ', &word)) {
        buf_printf(out, "%s\"" STR_FMT "\"", is_first ? "" : ",", STR_ARG(word));
        is_first = false;
    }
    buf_add_char(out, ']');
}

static void texts(struct buf *out, const char *name, const struct str *at, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        buf_printf(out, "%s\"" STR_FMT "\"%s", i == 0 ? name : ",", STR_ARG(at[i]),
                   i + 1 == count ? "]" : "");
}

/* ------------------------------------------------------------------ resources */

static const char *verbs_of(const struct kind *k)
{
    if (k->flags & KIND_READ_ONLY)
        return VERBS_READ;
    if (k->flags & KIND_CREATE_ONLY)
        return "create";
    return is_emptied_at_once(k) ? VERBS_ALL : "create delete get list patch update watch";
}

static void subresources(struct buf *out, const struct kind *k, const struct schema_kind *s)
{
    const struct kind_subresource *sub = k->subresources;
    for (; sub != NULL && sub->name != NULL; sub++) {
        buf_printf(out, ",{\"name\":\"%s/%s\",\"singularName\":\"\",\"namespaced\":%s", k->plural,
                   sub->name, s->namespaced ? "true" : "false");
        if (sub->group != NULL)
            buf_printf(out, ",\"group\":\"%s\",\"version\":\"%s\"", sub->group, sub->version);
        struct str kind = sub->kind != NULL ? str_of(sub->kind) : s->kind;
        buf_printf(out, ",\"kind\":\"" STR_FMT "\",\"verbs\":", STR_ARG(kind));
        words(out, str_of(sub->verbs));
        buf_add_char(out, '}');
    }
}

static void resource(struct buf *out, const struct kind *k, const struct schema_kind *s)
{
    buf_printf(out,
               "{\"name\":\"%s\",\"singularName\":\"" STR_FMT
               "\",\"namespaced\":%s,\"kind\":\"" STR_FMT "\",\"verbs\":",
               k->plural, STR_ARG(s->singular), s->namespaced ? "true" : "false", STR_ARG(s->kind));
    words(out, str_of(verbs_of(k)));
    texts(out, ",\"shortNames\":[", s->short_names, s->short_names_count);
    texts(out, ",\"categories\":[", s->categories, s->categories_count);
    buf_add_char(out, '}');
    subresources(out, k, s);
}

/* APIResourceList. False: no kind has that group and version. */
static bool resources(struct buf *out, struct str group, struct str version)
{
    bool any = false;
    buf_printf(out,
               "{\"kind\":\"APIResourceList\",%s\"groupVersion\":\"" STR_FMT "%s" STR_FMT
               "\",\"resources\":[",
               group.len == 0 ? "" : "\"apiVersion\":\"v1\",", STR_ARG(group),
               group.len == 0 ? "" : "/", STR_ARG(version));
    for (const struct kind *const *k = kinds; *k != NULL; k++) {
        const struct schema_kind *s = kind_schema(*k);
        if (s == NULL || !str_eq(s->group, group) || !str_eq(s->version, version))
            continue;
        if (any)
            buf_add_char(out, ',');
        resource(out, *k, s);
        any = true;
    }
    buf_add(out, STR("]}\n"));
    return any;
}

/* ------------------------------------------------------------------ groups */

static void group_body(struct buf *out, const struct schema_kind *s)
{
    struct str name = s->group, api = s->api_version, version = s->version;
    buf_printf(out,
               "\"name\":\"" STR_FMT "\",\"versions\":[{\"groupVersion\":\"" STR_FMT
               "\",\"version\":\"" STR_FMT "\"}],\"preferredVersion\":{\"groupVersion\":\"" STR_FMT
               "\",\"version\":\"" STR_FMT "\"}}",
               STR_ARG(name), STR_ARG(api), STR_ARG(version), STR_ARG(api), STR_ARG(version));
}

static bool is_first_of_group(const struct kind *const *at)
{
    for (const struct kind *const *k = kinds; k != at; k++)
        if (str_eq(str_of((*k)->group), str_of((*at)->group)))
            return false;
    return true;
}

static void groups(struct buf *out)
{
    bool any = false;
    buf_add(out, STR("{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":["));
    for (const struct kind *const *k = kinds; *k != NULL; k++) {
        const struct schema_kind *s = kind_schema(*k);
        if (s == NULL || s->group.len == 0 || !is_first_of_group(k))
            continue;
        buf_add(out, any ? STR(",{") : STR("{"));
        group_body(out, s);
        any = true;
    }
    buf_add(out, STR("]}\n"));
}

static bool group(struct buf *out, struct str name)
{
    for (const struct kind *const *k = kinds; *k != NULL; k++) {
        const struct schema_kind *s = kind_schema(*k);
        if (s == NULL || name.len == 0 || !str_eq(s->group, name))
            continue;
        buf_add(out, STR("{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\","));
        group_body(out, s);
        buf_add_char(out, '\n');
        return true;
    }
    return false;
}

/* ------------------------------------------------------------------ forms */

/* Documents have one shape; whatever aggregated form is wanted first, JSON behind it will do. */
static bool document_form(struct call *c)
{
    if (form_choose(c))
        return true;
    return status_set(&c->status, &c->r->arena, STATUS_NOT_ACCEPTABLE,
                      "only the following media types are accepted: application/json, "
                      "application/yaml, application/vnd.kubernetes.protobuf");
}

static void document_protobuf(struct call *c, struct str json)
{
    struct json *tree;
    struct buf raw, out;
    struct err e;
    buf_init(&raw, DOCUMENT_MAX);
    buf_init(&out, DOCUMENT_MAX);
    enum err_code rc = json_parse(&c->r->arena, json, &tree, &e);
    struct str kind = rc == ERR_OK ? json_text(json_find(tree, STR("kind"))) : STR("");
    struct str name =
        arena_printf(&c->r->arena, "k8s.io.apimachinery.pkg.apis.meta.v1." STR_FMT, STR_ARG(kind));
    const struct schema_message *m = schema_message(name);
    if (rc == ERR_OK && m == NULL)
        rc = err_set(&e, ERR_INVALID, "no protobuf form of it");
    if (rc == ERR_OK)
        rc = transcode_from_json(m, json, &c->r->arena, NULL, NULL, &raw, &e);
    if (rc != ERR_OK) {
        reply_err(c, &e);
    } else {
        struct transcode_envelope env = {{STR("v1"), kind}, buf_str(&raw)};
        transcode_wrap(&env, &out);
        rest_reply(c->r, 200, form_content_type(&c->form, false), buf_blob(&out));
    }
    buf_free(&raw);
    buf_free(&out);
}

static void document_reply(struct call *c, struct buf *json)
{
    if (!document_form(c)) {
        buf_free(json);
        reply_status(c);
    } else if (c->form.type == FORM_PROTOBUF) {
        document_protobuf(c, buf_str(json));
        buf_free(json);
    } else {
        reply_json(c, 200, json);
    }
}

/* ------------------------------------------------------------------ OpenAPI */

#define OPENAPI_V2_TYPE "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

/* A document of the build: its hash is its ETag, and with ?hash= it never changes. */
static void openapi_reply(struct call *c, const struct openapi_document *d, const char *type)
{
    struct arena *a = &c->r->arena;
    struct str etag = arena_printf(a, "\"" STR_FMT "\"", STR_ARG(d->hash));
    bool is_fixed = rest_query(c->r, "hash").len > 0;
    rest_set_header(c->r, "etag", etag);
    rest_set_header(c->r, "vary", STR("Accept"));
    rest_set_header(c->r, "cache-control",
                    is_fixed ? STR("public, max-age=31536000, immutable")
                             : STR("no-cache, private"));
    if (str_eq(rest_header(c->r, "if-none-match"), etag))
        rest_reply(c->r, 304, NULL, NULL);
    else
        rest_reply(c->r, 200, type, blob_new(d->json));
}

static bool openapi(struct call *c, struct str path)
{
    static const char v3[] = "/openapi/v3";
    if (str_is(path, "/openapi/v2")) {
        openapi_reply(c, &openapi_v2, OPENAPI_V2_TYPE);
        return true;
    }
    if (str_is(path, v3)) {
        openapi_reply(c, &openapi_index, "application/json");
        return true;
    }
    if (!str_starts(path, str_of(v3)))
        return false;
    const struct openapi_document *d = openapi_find(str_slice(path, sizeof v3, path.len));
    if (d == NULL)
        return false;
    openapi_reply(c, d, "application/json");
    return true;
}

/* ------------------------------------------------------------------ the way in */

static void page_not_found(struct call *c)
{
    reply_text(c, 404, "text/plain; charset=utf-8", STR("404 page not found\n"));
}

static void resource_not_found(struct call *c)
{
    status_set(&c->status, &c->r->arena, STATUS_NOT_FOUND,
               "the server could not find the requested resource");
    c->status.has_details = true;
    struct status refusal = c->status;
    (void)form_choose(c);
    c->status = refusal;
    reply_status(c);
}

static void roots(struct call *c, const struct path *p)
{
    struct buf out;
    buf_init(&out, DOCUMENT_MAX);
    if (p->is_core)
        buf_add(&out, STR("{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],"
                          "\"serverAddressByClientCIDRs\":[]}\n"));
    else
        groups(&out);
    document_reply(c, &out);
}

void documents_begin(struct call *c)
{
    struct path p;
    struct buf out;
    struct err e;
    if (path_parse(c->r->path, &c->r->arena, &p, &e) != ERR_OK) {
        reply_err(c, &e);
        return;
    }
    buf_init(&out, DOCUMENT_MAX);
    switch (p.type) {
    case PATH_GROUPS:
        roots(c, &p);
        return;
    case PATH_GROUP:
        if (group(&out, p.group)) {
            document_reply(c, &out);
        } else {
            buf_free(&out);
            page_not_found(c);
        }
        return;
    case PATH_VERSION:
        if (resources(&out, p.group, p.version)) {
            document_reply(c, &out);
            return;
        }
        buf_free(&out);
        resource_not_found(c);
        return;
    case PATH_BAD:
    case PATH_RESOURCE:
        resource_not_found(c);
        return;
    case PATH_OTHER:
        break;
    }
    if (!openapi(c, p.text))
        page_not_found(c);
}
