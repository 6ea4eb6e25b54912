/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/rest_priv.h"
#include "api/paths.h"

/* ?watch on one object's URL means nothing: it is read (Kubernetes does the same). */
static void watch_or_get(struct call *c)
{
    if (c->r->at.name.len > 0)
        get_begin(c);
    else
        watch_begin(c);
}

/* Which function a request belongs to: by subresource ("" for the object itself) and verb. */
static const struct route {
    const char *plural; /* NULL: any kind that has the subresource. */
    const char *subresource;
    enum rest_verb verb;
    verb_begin *begin;
} routes[] = {
    {NULL, "", REST_GET, get_begin},
    {NULL, "", REST_LIST, list_begin},
    {NULL, "", REST_WATCH, watch_or_get},
    {NULL, "", REST_CREATE, create_begin},
    {NULL, "", REST_UPDATE, update_begin},
    {NULL, "", REST_PATCH, patch_begin},
    {NULL, "", REST_DELETE, delete_begin},
    {NULL, "", REST_DELETE_COLLECTION, delete_collection_begin},
    {NULL, "status", REST_GET, get_begin},
    {NULL, "status", REST_UPDATE, update_begin},
    {NULL, "status", REST_PATCH, patch_begin},
    {"namespaces", "finalize", REST_UPDATE, update_begin},
    {"pods", "ephemeralcontainers", REST_GET, get_begin},
    {"pods", "ephemeralcontainers", REST_UPDATE, update_begin},
    {"pods", "ephemeralcontainers", REST_PATCH, patch_begin},
    {"pods", "binding", REST_CREATE, bind_begin},
    {"pods", "eviction", REST_CREATE, evict_begin},
};

/* ------------------------------------------------------------------ keys */

static struct str key_print(struct call *c, struct str namespace, struct str name)
{
    char text[INDEX_KEY_MAX + 1];
    struct index_key key = {c->schema->group, c->schema->plural, namespace, name};
    size_t len = index_key_print(&key, text);
    return len == 0 ? (struct str){NULL, 0} : arena_str(&c->r->arena, str_from(text, len));
}

struct str call_key(struct call *c, struct str name)
{
    return key_print(c, c->schema->namespaced ? c->r->at.namespace : STR(""), name);
}

struct str call_prefix(struct call *c)
{
    char text[INDEX_KEY_MAX + 1];
    if (c->schema->namespaced && c->r->at.namespace.len > 0)
        return key_print(c, c->r->at.namespace, STR(""));
    size_t len = index_prefix_all(c->schema->group, c->schema->plural, text);
    return arena_str(&c->r->arena, str_from(text, len));
}

struct cow_entry *call_find(struct call *c, struct str name)
{
    struct str key = call_key(c, name);
    index_snapshot_free(&c->snapshot);
    c->snapshot = index_snapshot(rest_index(c->r));
    return key.at == NULL ? NULL : index_find(&c->snapshot, key);
}

struct str entry_raw(const struct cow_entry *e)
{
    struct transcode_envelope env;
    struct err err;
    struct str raw = transcode_raw(blob_str(e->value));
    if (raw.at != NULL)
        return raw;
    return transcode_open(blob_str(e->value), &env, &err) == ERR_OK ? env.raw
                                                                    : (struct str){NULL, 0};
}

/* ------------------------------------------------------------------ query */

bool query_flag(const struct rest_request *r, const char *name)
{
    struct str value = rest_query(r, name);
    return value.at != NULL && !str_is(value, "false") && !str_is(value, "0");
}

bool query_i64(struct call *c, const char *name, int64_t *out)
{
    struct str text = rest_query(c->r, name);
    if (text.at == NULL || text.len == 0 || str_parse_i64(text, out) == ERR_OK)
        return true;
    bool is_number = text.len > 0;
    for (size_t i = text.at[0] == '-'; i < text.len; i++)
        is_number = is_number && text.at[i] >= '0' && text.at[i] <= '9';
    return status_set(&c->status, &c->r->arena, STATUS_BAD_REQUEST,
                      "strconv.ParseInt: parsing \"" STR_FMT "\": %s", STR_ARG(text),
                      is_number ? "value out of range" : "invalid syntax");
}

/* ------------------------------------------------------------------ routing */

static bool no_such_resource(struct call *c)
{
    status_set(&c->status, &c->r->arena, STATUS_NOT_FOUND,
               "the server could not find the requested resource");
    c->status.has_details = true;
    return false;
}

static bool no_such_method(struct call *c)
{
    status_set(&c->status, &c->r->arena, STATUS_METHOD,
               "the server does not allow this method on the requested resource");
    c->status.has_details = true;
    return false;
}

static bool has_subresource(const struct kind *k, struct str name)
{
    const struct kind_subresource *s = k->subresources;
    while (s != NULL && s->name != NULL && !str_is(name, s->name))
        s++;
    return name.len == 0 || (s != NULL && s->name != NULL);
}

/* Does the path name something that is there, in the scope it is in? */
static bool path_fits(struct call *c)
{
    const struct rest_path *at = &c->r->at;
    c->kind = kind_find(at->group, at->resource);
    c->schema = c->kind == NULL ? NULL : kind_schema(c->kind);
    if (c->schema == NULL || !str_eq(c->schema->version, at->version)) {
        c->kind = NULL;
        return no_such_resource(c);
    }
    bool is_namespace = str_is(at->resource, "namespaces");
    bool in_namespace = at->namespace.len > 0;
    if (!has_subresource(c->kind, at->subresource) || at->below.len > 0 ||
        (!c->schema->namespaced && in_namespace && !is_namespace) ||
        (c->schema->namespaced && !in_namespace && at->name.len > 0))
        return no_such_resource(c);
    return true;
}

static bool writes(enum rest_verb verb)
{
    return verb != REST_GET && verb != REST_LIST && verb != REST_WATCH;
}

/* Objects are created in their collection, and changed by name. */
static bool name_fits_verb(const struct rest_request *r)
{
    bool has_name = r->at.name.len > 0;
    if (r->verb == REST_CREATE)
        return !has_name || r->at.subresource.len > 0;
    return has_name || (r->verb != REST_UPDATE && r->verb != REST_PATCH);
}

static verb_begin *route_find(struct call *c)
{
    const struct rest_path *at = &c->r->at;
    bool everywhere = c->schema->namespaced && at->namespace.len == 0;
    if (str_is(c->r->method, "HEAD") || !name_fits_verb(c->r))
        return NULL;
    if (writes(c->r->verb) && (everywhere || (c->kind->flags & KIND_READ_ONLY) != 0))
        return NULL;
    if (c->r->verb != REST_CREATE && (c->kind->flags & KIND_CREATE_ONLY) != 0)
        return NULL;
    for (size_t i = 0; i < COUNT_OF(routes); i++)
        if (routes[i].verb == c->r->verb && str_is(at->subresource, routes[i].subresource) &&
            (routes[i].plural == NULL || str_is(at->resource, routes[i].plural)))
            return routes[i].begin;
    return NULL;
}

void rest_begin(struct rest_request *r)
{
    struct call *c = arena_zalloc(&r->arena, 1, sizeof *c);
    if (c == NULL) {
        rest_reply(r, 500, "text/plain; charset=utf-8", NULL);
        return;
    }
    c->r = r;
    r->state = c;
    if (!r->at.is_resource) {
        documents_begin(c);
        return;
    }
    verb_begin *begin = NULL;
    bool fits = path_fits(c);
    if (fits && (begin = route_find(c)) == NULL)
        fits = no_such_method(c);
    struct status refusal = c->status;
    bool acceptable = form_choose(c);
    if (!fits)
        c->status = refusal;
    if (fits && acceptable)
        begin(c);
    else
        reply_status(c);
}

void rest_written(struct rest_request *r, const struct rest_written *w)
{
    struct call *c = r->state;
    if (c->written != NULL)
        c->written(c, w);
}

void rest_more(struct rest_request *r)
{
    struct call *c = r->state;
    if (c->more != NULL)
        c->more(c);
}

void rest_end(struct rest_request *r)
{
    struct call *c = r->state;
    if (c == NULL)
        return;
    if (c->end != NULL)
        c->end(c);
    index_snapshot_free(&c->snapshot);
    r->state = NULL;
}

void rest_refuse(struct rest_request *r, uint32_t code, struct str text, uint32_t retry_after_s)
{
    static const enum status_row rows[] = {
        STATUS_BAD_REQUEST, STATUS_UNAUTHORIZED, STATUS_FORBIDDEN, STATUS_NOT_FOUND,
        STATUS_METHOD,      STATUS_TOO_LARGE,    STATUS_TOO_MANY,  STATUS_INTERNAL,
        STATUS_UNAVAILABLE, STATUS_TIMEOUT,
    };
    struct call c = {.r = r};
    enum status_row row = STATUS_INTERNAL;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct status s = {.row = rows[i]};
        if (status_code(&s) == code)
            row = rows[i];
    }
    (void)form_choose(&c);
    status_set(&c.status, &r->arena, row, STR_FMT, STR_ARG(text));
    c.status.retry_after = retry_after_s;
    c.status.has_details = row == STATUS_FORBIDDEN;
    if ((row == STATUS_FORBIDDEN || row == STATUS_NOT_FOUND) && r->at.is_resource)
        status_details(&c.status, r->at.group, r->at.resource, r->at.name);
    reply_status(&c);
}
