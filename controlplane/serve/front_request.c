/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request's way: taken apart, asked who and whether, given to the verbs, told what happened, ended. It ends in
 * front_settle() or front_request_cancelled(), nowhere else.
 */
#include "base/check.h"
#include "base/mem.h"
#include "controlplane/serve/auth.h"
#include "controlplane/serve/front_priv.h"
#include "controlplane/serve/impersonate.h"

/* ---- taking apart ---- */

static enum rest_verb verb_of(const struct rest_request *r)
{
    bool named = r->at.name.len > 0;

    if (!r->at.is_resource)
        return REST_OTHER;
    if (str_is(r->method, "GET") || str_is(r->method, "HEAD"))
        return query_is_set(&r->query, "watch") ? REST_WATCH : named ? REST_GET : REST_LIST;
    if (str_is(r->method, "POST"))
        return REST_CREATE;
    if (str_is(r->method, "PUT"))
        return REST_UPDATE;
    if (str_is(r->method, "PATCH"))
        return REST_PATCH;
    if (str_is(r->method, "DELETE"))
        return named ? REST_DELETE : REST_DELETE_COLLECTION;
    return REST_OTHER;
}

static enum err_code take_apart(struct rest_request *r, const struct http_request *q, struct err *e)
{
    const struct http_headers *h = &q->head.headers;
    struct path path;

    r->method = q->head.method;
    r->path = q->head.path;
    r->body = q->body;
    r->content_type = http_header(h, "content-type");
    r->accept = http_header(h, "accept");
    r->user_agent = http_header(h, "user-agent");
    r->verb = REST_OTHER;
    enum err_code code = path_parse(q->head.path, &r->arena, &path, e);
    if (code == ERR_OK && q->head.query.len > 0)
        code = query_parse(q->head.query, &r->arena, &r->query, e);
    if (code != ERR_OK)
        return code;
    r->at = (struct rest_path){.is_resource = path.type == PATH_RESOURCE,
                               .group = path.group,
                               .version = path.version,
                               .namespace = path.ns,
                               .resource = path.resource,
                               .name = path.name,
                               .subresource = path.subresource,
                               .below = path.below};
    r->in_memory = core_in_memory(path.group, path.resource);
    r->verb = verb_of(r);
    return ERR_OK;
}

static void begin(struct rest_request *r, const struct http_request *q)
{
    struct err e = {0};
    struct str why = {0};

    enum err_code code = take_apart(r, q, &e);
    if (code != ERR_OK) {
        rest_refuse(r, code == ERR_LIMIT ? 413 : 400, str_of(e.text), 0);
        return;
    }
    code = front_who(r->front, q, &r->arena, &r->user, &e);
    if (code == ERR_UNAVAILABLE) {
        rest_refuse(r, 503, str_of(e.text), 1);
        return;
    }
    if (code != ERR_OK) {
        rest_set_header(r, "www-authenticate", STR("Bearer realm=\"baton\""));
        rest_refuse(r, 401, STR("Unauthorized"), 0);
        return;
    }
    code = impersonate(&q->head.headers, &r->arena, &r->user, &e);
    if (code != ERR_OK) {
        rest_refuse(r, code == ERR_DENIED ? 403 : 400, str_of(e.text), 0);
        return;
    }
    struct auth_question may = {
        .user = &r->user, .verb = r->verb, .at = &r->at, .method = r->method, .path = r->path};
    if (!auth_may(&may, &r->arena, &why)) {
        rest_refuse(r, 403, why, 0);
        return;
    }
    if (health_serve(r))
        return;
    if (!shell_is_ready(r->front->shared->shell))
        rest_refuse(r, 503, STR("the store is being loaded"), 1);
    else if (!logs_serve(r))
        rest_begin(r);
}

static bool is_reading(const struct rest_request *r)
{
    return r->verb == REST_GET || r->verb == REST_LIST || r->verb == REST_WATCH ||
           r->verb == REST_OTHER;
}

/* Latest first: it is still in the cache. */
static struct rest_request *request_new(struct front *f)
{
    struct rest_request *r = f->spares;

    if (r == NULL)
        return mem_alloc(sizeof *r);
    f->spares = r->next;
    f->spares_count--;
    return r;
}

static void request_give(struct front *f, struct rest_request *r)
{
    if (f->spares_count == FRONT_SPARES_MAX) {
        mem_free(r);
        return;
    }
    r->next = f->spares;
    f->spares = r;
    f->spares_count++;
}

void front_spares_free(struct front *f)
{
    while (f->spares != NULL)
        mem_free(request_new(f));
}

void front_request(struct front *f, const struct http_request *q)
{
    struct rest_request *r = request_new(f);

    memset(r, 0, offsetof(struct rest_request, room));
    r->front = f;
    r->id = q->id;
    r->began = f->asked = q->began;
    if (f->rest_at.ns == 0)
        f->rest_at = q->began;
    arena_init_in(&r->arena, REST_ARENA_MAX, r->room, sizeof r->room);
    r->next = f->requests;
    if (f->requests != NULL)
        f->requests->previous = r;
    f->requests = r;
    http_server_tag(f->server, q->id, r);
    begin(r, q);
    if (is_reading(r))
        f->reading++;
    else
        f->writing++;
    front_settle(r);
}

/* ---- the end ---- */

static void request_free(struct rest_request *r)
{
    struct front *f = r->front;

    rest_follow(r, false);
    front_due_forget(r);
    front_write_forget(f, r->waiting);
    if (r->log != NULL)
        logs_end(r);
    rest_end(r);
    if (is_reading(r))
        f->reading--;
    else
        f->writing--;
    if (r->previous != NULL)
        r->previous->next = r->next;
    else
        f->requests = r->next;
    if (r->next != NULL)
        r->next->previous = r->previous;
    arena_free(&r->arena);
    request_give(f, r);
}

bool front_settle(struct rest_request *r)
{
    if (!r->replied)
        return false;
    front_count(r);
    request_free(r);
    return true;
}

void front_more(struct rest_request *r)
{
    if (r->log != NULL)
        logs_more(r);
    else if (r->state != NULL) /* Otherwise it waits for the core on our own account (health.c). */
        rest_more(r);
    front_settle(r);
}

void front_request_written(void *owner, const struct rest_written *w)
{
    struct rest_request *r = owner;

    r->waiting = (struct slot_id){0};
    rest_written(r, w);
    front_settle(r);
}

void front_request_cancelled(struct rest_request *r)
{
    if (r->status == 0)
        r->status = 499; /* Nobody hears it; the log says that the client went away. */
    front_count(r);
    request_free(r);
}
