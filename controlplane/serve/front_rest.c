/* SPDX-License-Identifier: Apache-2.0 */
/* The glue's half of rest.h: what the verbs call. */
#include "base/check.h"
#include "controlplane/serve/front_priv.h"
#include "io/clock.h"

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
    return r->in_memory ? shared->memory_index : shared->index;
}

struct history *rest_history(const struct rest_request *r)
{
    const struct front_shared *shared = r->front->shared;
    return r->in_memory ? shared->memory_history : shared->history;
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
    struct http_header h = {arena_str(&r->arena, str_of(name)), arena_str(&r->arena, value)};
    if (h.name.at != NULL && h.value.at != NULL) /* One without a name would end the connection. */
        r->reply_headers[r->reply_headers_count++] = h;
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

bool rest_write(struct rest_request *r, const struct write_request *w)
{
    CHECK(r->waiting.generation == 0);
    return front_write(r->front, w, r->front->request_written, r, &r->waiting);
}

void rest_follow(struct rest_request *r, bool wanted)
{
    struct front *f = r->front;

    if (r->follows == wanted)
        return;
    r->follows = wanted;
    f->following += wanted ? 1 : -1;
    http_server_follow(f->server, r->id, wanted);
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
