/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/rest_priv.h"

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

bool rest_is_served(const struct rest_path *at)
{
    const struct kind *k = kind_find(at->group, at->resource);
    const struct schema_kind *s = k == NULL ? NULL : kind_schema(k);
    return s != NULL && str_eq(s->version, at->version) && has_subresource(k, at->subresource);
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
    if (c->r->verb == REST_DELETE_COLLECTION && !is_emptied_at_once(c->kind))
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
