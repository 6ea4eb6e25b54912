/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 on a connection: one request at a time. What a client pipelines waits in the buffer, up to
 * PIPELINE_MAX; then the socket is not read, which also means that its going away is noticed late.
 */
#include "io/http_server_priv.h"

/* The connection cannot go on after this answer: what follows on it has no known meaning. */
static void h1_refuse(struct conn *c, uint32_t status, const char *why)
{
    struct stream *st = c->streams != NULL ? c->streams : stream__new(c, 0);

    c->no_more = true;
    c->head_began = (struct instant){0};
    buf_clear(&c->in);
    c->server->stats.limited += status != 400;
    st->head_seen = true;
    st->body_ended = true;
    reply__refuse(st, status, why);
}

void h1__late(struct conn *c)
{
    h1_refuse(c, 408, "the request's head took too long");
}

/* A complete head of len bytes is at the front of the buffer. */
static void h1_begin(struct conn *c, size_t len)
{
    struct h1_request *q = &c->server->parsed;
    const char *why;
    uint32_t status = h1_parse_head(c->in.at, len, q, &why);

    c->head_began = (struct instant){0};
    c->in_searched = 0;
    if (status != 0) {
        h1_refuse(c, status, why);
        return;
    }
    struct stream *st = stream__new(c, 0);
    stream__add_header(st, STR(":method"), q->head.method);
    stream__add_header(st, STR(":path"), q->head.target);
    stream__add_header(st, STR(":authority"), q->head.authority);
    for (uint32_t i = 0; i < q->head.headers.count; i++)
        stream__add_header(st, q->headers[i].name, q->headers[i].value);
    c->no_more = c->no_more || !q->keep_alive;
    c->continue_due = q->expects_continue && q->body != H1_BODY_NONE;
    st->no_body = str_is(q->head.method, "HEAD");
    h1_reader_init(&c->reader, q);
    buf_consume(&c->in, len);
    stream__head_done(st);
    if (st->refuse != 0 && q->body != H1_BODY_NONE) {
        c->no_more = true; /* Its body is not worth reading to the end. */
        st->body_ended = true;
        buf_clear(&c->in);
    }
}

/* Looks for a head. False: it is not complete yet. */
static bool h1_head(struct conn *c)
{
    size_t len = h1_find_head(buf_str(&c->in), c->in_searched);
    uint32_t limit = c->server->limits.head_bytes;

    if (len == 0 ? c->in.len > limit : len > limit) {
        h1_refuse(c, 431, "the request's head is too large");
        return false;
    }
    if (len == 0) {
        c->in_searched = c->in.len;
        if (c->in.len > 0 && c->head_began.ns == 0)
            c->head_began = loop_now(c->server->client.loop);
        return false;
    }
    h1_begin(c, len);
    return true;
}

/* Moves body bytes from the buffer to the request. False: more are needed. */
static bool h1_body(struct conn *c, struct stream *st)
{
    struct str in = buf_str(&c->in), piece;
    enum h1_step step = H1_MORE;

    do {
        step = h1_reader_feed(&c->reader, &in, &piece);
        stream__body(st, piece);
    } while (step == H1_MORE && in.len > 0 && st->refuse == 0);
    buf_consume(&c->in, c->in.len - in.len);
    if (step == H1_BAD) {
        h1_refuse(c, 400, "malformed chunked body");
        return false;
    }
    if (st->refuse != 0) {
        c->no_more = true;
        st->body_ended = true;
        buf_clear(&c->in);
        return false;
    }
    if (step == H1_DONE)
        stream__body_end(st);
    return step == H1_DONE;
}

static void h1_advance(struct conn *c)
{
    for (;;) {
        struct stream *st = c->streams;
        if (st == NULL) {
            if (c->no_more || c->closing || !h1_head(c))
                break;
        } else if (st->body_ended || !h1_body(c, st)) {
            break;
        }
    }
    bool full = c->streams != NULL && c->in.len > PIPELINE_MAX;
    if (full != c->paused)
        tcp_read_pause(c->tcp, full);
    c->paused = full;
}

void h1__feed(struct conn *c, struct str bytes)
{
    if (c->no_more && c->streams == NULL)
        return;
    if (c->no_more && c->streams->body_ended)
        return; /* The client was told, or said itself, that nothing follows. */
    buf_add(&c->in, bytes);
    if (c->in.overflow) {
        c->closing = true; /* More than a paused socket can have brought: cannot be. */
        return;
    }
    h1_advance(c);
}

/* ---- writing ---- */

enum { CHUNK_HEAD_MAX = 20 };

/* Head, then pieces, into out. */
static size_t h1_reply(struct stream *st, char *out, size_t size, struct instant now)
{
    size_t used = min_size(st->head_out.len, size);

    if (used > 0) {
        memcpy(out, st->head_out.at, used);
        buf_consume(&st->head_out, used);
        st->moved = now;
    }
    while (st->pieces.count > 0 && size - used > 2 * CHUNK_HEAD_MAX) {
        if (!st->chunked) {
            used += reply__pull(st, out + used, size - used, now);
            continue;
        }
        struct buf head;
        size_t len = min_size(st->pieces.queued_bytes, size - used - CHUNK_HEAD_MAX - 2);
        buf_init(&head, CHUNK_HEAD_MAX);
        h1_write_chunk_head(&head, len);
        memcpy(out + used, head.at, head.len);
        used += head.len;
        buf_free(&head);
        used += reply__pull(st, out + used, len, now);
        memcpy(out + used, "\r\n", 2);
        used += 2;
    }
    return used;
}

/* The reply is out: the next request, or the end. */
static void h1_finish(struct conn *c, struct stream *st)
{
    st->end_written = true;
    if (!st->body_ended)
        c->no_more = true; /* Answered before it was read: what follows is body, not a request. */
    stream__closed(st);
    if (c->no_more)
        c->closing = true;
    else
        h1_advance(c);
}

size_t h1__produce(struct conn *c, char *out, size_t size, struct instant now)
{
    struct stream *st = c->streams;
    size_t used = 0;

    if (c->continue_due && (st == NULL || !st->started)) {
        static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
        c->continue_due = false;
        memcpy(out, text, sizeof text - 1);
        return sizeof text - 1;
    }
    if (st == NULL || !st->started || st->end_written)
        return 0; /* Ended ones stay until their owner was told: the last chunk goes out once. */
    c->continue_due = false;
    used = h1_reply(st, out, size, now);
    if (!st->ended || st->pieces.count > 0 || st->head_out.len > 0)
        return used;
    if (st->chunked) {
        if (size - used < 8)
            return used;
        memcpy(out + used, "0\r\n\r\n", 5);
        used += 5;
    }
    h1_finish(c, st);
    return used;
}
