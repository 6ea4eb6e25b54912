/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The glue's half of rest.h: a request is taken apart, asked who and whether, and given to the verbs; what
 * they answer goes to HTTP. A request ends in front_settle() or front_request_cancelled(), nowhere else.
 */
#include "base/check.h"
#include "base/mem.h"
#include "controlplane/serve/auth.h"
#include "controlplane/serve/front_priv.h"
#include "controlplane/serve/impersonate.h"
#include "io/clock.h"

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
    r->verb = verb_of(r);
    return ERR_OK;
}

static enum err_code who(struct front *f, const struct http_request *q, struct arena *a,
                         struct user *out, struct err *e)
{
    struct str token = http_header(&q->head.headers, "authorization");
    struct front_shared *shared = f->shared;
    struct index_snapshot objects = {0};

    if (token.len > 0)
        objects = index_snapshot(shared->index);
    enum err_code code = auth_user(q->peer, token, &objects, shared->seal, clock_wall(), a, out, e);
    if (token.len > 0)
        index_snapshot_free(&objects);
    return code;
}

bool front_may(struct front *f, const struct http_request *q, enum rest_verb verb,
               const struct rest_path *at, struct arena *a, struct str *out_why)
{
    struct user user;
    struct err e = {0};
    struct auth_question may = {
        .user = &user, .verb = verb, .at = at, .method = q->head.method, .path = q->head.path};

    if (who(f, q, a, &user, &e) != ERR_OK) {
        *out_why = arena_str(a, str_of(e.text));
        return false;
    }
    return auth_may(&may, a, out_why);
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
    if (who(r->front, q, &r->arena, &r->user, &e) != ERR_OK) {
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
    if (health_serve(r) || logs_serve(r))
        return;
    if (!shell_is_ready(r->front->shared->shell))
        rest_refuse(r, 503, STR("the store is being loaded"), 1);
    else
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
    r->began = q->began;
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

void front_request_cancelled(struct rest_request *r)
{
    if (r->status == 0)
        r->status = 499; /* Nobody hears it; the log says that the client went away. */
    front_count(r);
    request_free(r);
}

/* ---- what the verbs call ---- */

struct str rest_query(const struct rest_request *r, const char *key)
{
    return query_get(&r->query, key);
}

struct str rest_header(const struct rest_request *r, const char *name)
{
    const struct http_request *q = http_server_request(r->front->server, r->id);
    return q == NULL ? (struct str){NULL, 0} : http_header(&q->head.headers, name);
}

struct instant rest_now(const struct rest_request *r)
{
    return loop_now(r->front->loop);
}

struct wall rest_wall(const struct rest_request *r)
{
    (void)r;
    return clock_wall();
}

struct index *rest_index(const struct rest_request *r)
{
    const struct front_shared *shared = r->front->shared;
    return core_in_memory(r->at.group, r->at.resource) ? shared->memory_index : shared->index;
}

struct history *rest_history(const struct rest_request *r)
{
    const struct front_shared *shared = r->front->shared;
    return core_in_memory(r->at.group, r->at.resource) ? shared->memory_history : shared->history;
}

uint64_t rest_random(struct rest_request *r)
{
    return rng_u64(&r->front->rng);
}

void *rest_thread(const struct rest_request *r)
{
    return r->front->verbs;
}

void rest_set_header(struct rest_request *r, const char *name, struct str value)
{
    if (r->reply_headers_count == REST_HEADERS_MAX)
        return; /* Twelve warnings are enough. */
    r->reply_headers[r->reply_headers_count++] =
        (struct http_header){arena_str(&r->arena, str_of(name)), arena_str(&r->arena, value)};
}

static struct http_reply reply_of(struct rest_request *r, uint32_t status, const char *content_type)
{
    r->status = status;
    return (struct http_reply){.status = status,
                               .content_type = content_type,
                               .headers = r->reply_headers,
                               .headers_count = r->reply_headers_count};
}

void rest_reply(struct rest_request *r, uint32_t status, const char *content_type,
                struct blob *body)
{
    struct http_reply reply = reply_of(r, status, content_type);

    CHECK(!r->replied);
    r->replied = true;
    r->sent_bytes = body == NULL ? 0 : body->len;
    http_server_reply(r->front->server, r->id, &reply, body);
}

void rest_stream(struct rest_request *r, uint32_t status, const char *content_type)
{
    struct http_reply reply = reply_of(r, status, content_type);
    http_server_start(r->front->server, r->id, &reply);
}

size_t rest_room(const struct rest_request *r)
{
    return http_server_room(r->front->server, r->id);
}

size_t rest_chunk(struct rest_request *r, struct blob *chunk)
{
    r->sent_bytes += chunk == NULL ? 0 : chunk->len;
    return http_server_chunk(r->front->server, r->id, chunk);
}

void rest_finish(struct rest_request *r)
{
    r->replied = true;
    http_server_end(r->front->server, r->id, NULL, 0);
}

void rest_cut(struct rest_request *r)
{
    r->replied = true;
    http_server_abort(r->front->server, r->id);
}

static void request_written(void *owner, const struct rest_written *w)
{
    struct rest_request *r = owner;

    r->waiting = (struct slot_id){0};
    rest_written(r, w);
    front_settle(r);
}

bool rest_write(struct rest_request *r, const struct write_request *w)
{
    CHECK(r->waiting.generation == 0);
    return front_write(r->front, w, request_written, r, &r->waiting);
}

void rest_follow(struct rest_request *r, bool wanted)
{
    struct front *f = r->front;

    if (r->follows == wanted)
        return;
    r->follows = wanted;
    if (wanted) {
        r->follow_previous = NULL;
        r->follow_next = f->followers;
        if (f->followers != NULL)
            f->followers->follow_previous = r;
        f->followers = r;
        return;
    }
    if (r->follow_previous != NULL)
        r->follow_previous->follow_next = r->follow_next;
    else
        f->followers = r->follow_next;
    if (r->follow_next != NULL)
        r->follow_next->follow_previous = r->follow_previous;
}

void rest_yield(struct rest_request *r)
{
    front_due(r);
}

void rest_wake(struct rest_request *r, struct instant at)
{
    r->wake_at = at;
    front_expect(r->front, at);
}
