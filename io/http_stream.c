/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request coming in: its head, its body, the budgets it counts against, and its end.
 */
#include "io/http_server_priv.h"

#include "base/check.h"
#include "base/mem.h"

enum {
    HEADER_COST = 32, /* Of a header beside its bytes, as SETTINGS_MAX_HEADER_LIST_SIZE counts. */
    HEADERS_FIRST = 12,
    DROP_FACTOR = 4, /* Times the largest body is what we read of one that we refused. */
};

/* A stream's buffers live on in the next one: what a request's head takes is about the same each time. */
static struct stream *stream_take(struct http_server *s)
{
    struct stream *st = s->spares;

    if (st == NULL)
        return mem_zalloc(1, sizeof *st);
    s->spares = st->next;
    s->spares_count--;
    st->next = NULL;
    return st;
}

static void stream_end(struct stream *st)
{
    buf_free(&st->text);
    buf_free(&st->body);
    mem_free(st->headers);
    mem_free(st);
}

static void stream_give(struct http_server *s, struct stream *st)
{
    struct stream spare = {.text = st->text,
                           .body = st->body,
                           .headers = st->headers,
                           .headers_size = st->headers_size,
                           .next = s->spares};

    if (s->spares_count == SPARES_MAX || st->text.size > SPARE_BYTES ||
        st->body.size > SPARE_BYTES) {
        stream_end(st);
        return;
    }
    *st = spare;
    s->spares = st;
    s->spares_count++;
}

void stream__spares_free(struct http_server *s)
{
    while (s->spares != NULL)
        stream_end(stream_take(s));
}

struct stream *stream__new(struct conn *c, int32_t h2_id)
{
    struct http_server *s = c->server;
    struct stream *st = stream_take(s);
    struct instant now = loop_now(s->client.loop);

    st->server = s;
    st->conn = c;
    st->h2_id = h2_id;
    st->request.began = st->moved = c->active = now;
    st->request.peer = c->peer == NULL ? &s->nobody : c->peer;
    st->request.address = c->address;
    buf_clear(&st->text);
    buf_clear(&st->body);
    st->text.limit = s->limits.head_bytes;
    st->body.limit = s->limits.body_bytes;
    buf_init(&st->head_out, s->limits.head_bytes);
    buf_init(&st->trailer_text, 4096);
    st->next = c->streams;
    if (c->streams != NULL)
        c->streams->previous = st;
    c->streams = st;
    c->streams_count++;
    return st;
}

static void stream_uncount(struct stream *st)
{
    st->conn->body_bytes -= st->body_counted;
    st->server->body_bytes -= st->body_counted;
    st->body_counted = 0;
}

static void stream_free(struct stream *st)
{
    struct conn *c = st->conn;

    stream_uncount(st);
    if (st->previous != NULL)
        st->previous->next = st->next;
    else
        c->streams = st->next;
    if (st->next != NULL)
        st->next->previous = st->previous;
    pieces_drop(&st->pieces);
    buf_free(&st->head_out);
    buf_free(&st->trailer_text);
    stream_give(c->server, st);
    c->streams_count--;
    c->active = loop_now(c->server->client.loop);
    if (c->dead && c->streams_count == 0) {
        mem_free(c->peer);
        mem_free(c);
    }
}

void stream__settle(struct stream *st)
{
    if (st->closed && st->id.generation == 0 && !st->is_ready)
        stream_free(st);
}

void stream__closed(struct stream *st)
{
    st->closed = true;
    if (st->id.generation != 0) {
        st->cancelled = true;
        agenda__ready(st);
    }
    stream__settle(st);
}

/* ---- the head ---- */

void stream__add_header(struct stream *st, struct str name, struct str value)
{
    size_t cost = name.len + value.len + HEADER_COST;

    if (st->refuse != 0)
        return;
    if (st->headers_count == HTTP_HEADERS_MAX ||
        st->text.len + st->headers_count * HEADER_COST + cost > st->server->limits.head_bytes) {
        st->refuse = 431;
        return;
    }
    if (st->headers_count == st->headers_size) {
        st->headers_size = st->headers_size == 0 ? HEADERS_FIRST : st->headers_size * 2;
        st->headers = mem_resize(st->headers, st->headers_size * sizeof *st->headers);
    }
    struct http_header *h = &st->headers[st->headers_count++];
    h->name = str_from((void *)st->text.len, name.len); /* Offsets: text still moves. */
    buf_add(&st->text, name);
    h->value = str_from((void *)st->text.len, value.len);
    buf_add(&st->text, value);
}

static void place_headers(struct stream *st)
{
    for (uint32_t i = 0; i < st->headers_count; i++) {
        st->headers[i].name.at = st->text.at + (size_t)st->headers[i].name.at;
        st->headers[i].value.at = st->text.at + (size_t)st->headers[i].value.at;
    }
}

/* Pseudo-headers come first; nghttp2 has seen to that and to their being there once. */
static void read_pseudo(struct stream *st)
{
    struct http_head *head = &st->request.head;
    uint32_t i = 0;

    for (; i < st->headers_count && str_starts(st->headers[i].name, STR(":")); i++) {
        const struct http_header *h = &st->headers[i];
        if (str_is(h->name, ":method"))
            head->method = h->value;
        else if (str_is(h->name, ":path"))
            http_head_target(head, h->value);
        else if (str_is(h->name, ":authority"))
            head->authority = h->value;
    }
    head->proto = st->h2_id == 0 ? HTTP_1_1 : HTTP_2;
    head->headers = (struct http_headers){st->headers + i, st->headers_count - i};
}

/* 0, or the status and why it is refused before anybody looks at it. */
static uint32_t judge_head(struct stream *st, const char **out_why)
{
    struct http_head *head = &st->request.head;
    struct str length = http_header(&head->headers, "content-length");
    uint64_t announced = 0;

    *out_why = "the request's head is too large";
    if (st->refuse != 0)
        return st->refuse;
    *out_why = "too many connections";
    if (st->conn->refusing)
        return 503;
    *out_why = "shutting down";
    if (st->server->draining)
        return 503;
    *out_why = "request target is not a path";
    if (head->target.len == 0 || (head->target.at[0] != '/' && !str_is(head->target, "*")))
        return 400;
    *out_why = "the request's body is too large";
    if (length.len > 0 &&
        (str_parse_u64(length, &announced) != ERR_OK || announced > st->server->limits.body_bytes))
        return 413;
    return 0;
}

void stream__head_done(struct stream *st)
{
    struct http_server *s = st->server;
    const char *why = "too many requests at once";

    st->head_seen = true;
    place_headers(st);
    read_pseudo(st);
    s->stats.requests_total[st->request.head.proto]++;
    uint32_t status = judge_head(st, &why);
    if (status == 0 && !slots_take(&s->stream_slots, &st->id)) {
        status = 429;
        why = "too many requests at once";
    }
    if (status != 0) {
        st->id = (struct slot_id){0};
        s->stats.limited += status != 400;
        reply__refuse(st, status, why);
        return;
    }
    s->requests[st->id.slot] = st;
    st->request.id = st->id;
    st->request.streaming =
        st->h2_id != 0 &&
        str_starts(http_header(&st->request.head.headers, "content-type"), STR("application/grpc"));
    if (st->request.streaming) {
        st->body.limit = SIZE_MAX / 2; /* Bounded by the stream's window instead. */
        agenda__ready(st);
    }
}

/* ---- the body ---- */

static bool count_body(struct stream *st, size_t len)
{
    struct conn *c = st->conn;
    struct http_server *s = st->server;

    if (c->body_bytes + len > s->limits.connection_bytes ||
        s->body_bytes + len > s->limits.server_bytes)
        return false;
    c->body_bytes += len;
    s->body_bytes += len;
    st->body_counted += len;
    return true;
}

/* Refused, or answered already: read and forgotten, within reason. */
static void stream_drop_body(struct stream *st, size_t len)
{
    st->body_dropped += len;
    if (st->h2_id != 0 && st->body_dropped > DROP_FACTOR * (size_t)st->server->limits.body_bytes)
        h2_reset(st->conn->h2, st->h2_id, H2_CANCEL);
}

/* RFC 9113 8.1 lets a server reset what it answered without reading. Some clients lose the answer then,
 * so one who is refused may finish sending, for as long and as much as any body may take. */
void stream__answered(struct stream *st)
{
    if (!st->body_ended && st->refuse == 0)
        h2_reset(st->conn->h2, st->h2_id, H2_NO_ERROR);
}

void stream__body(struct stream *st, struct str bytes)
{
    if (st->refuse != 0 || st->id.generation == 0) {
        stream_drop_body(st, bytes.len);
        return;
    }
    if (st->request.streaming) {
        buf_add(&st->body, bytes);
        agenda__ready(st);
        return;
    }
    if (!count_body(st, bytes.len)) {
        st->server->stats.limited++;
        reply__refuse(st, 429, "too many bytes of requests at once");
        return;
    }
    buf_add(&st->body, bytes);
    if (st->body.overflow) {
        st->server->stats.limited++;
        reply__refuse(st, 413, "the request's body is too large");
    }
}

void stream__body_end(struct stream *st)
{
    st->body_ended = true;
    if (st->refuse != 0 || st->id.generation == 0)
        return;
    if (!st->request.streaming)
        st->request.body = buf_str(&st->body);
    agenda__ready(st);
}
