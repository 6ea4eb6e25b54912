/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reply going out: a ring of pieces that the protocol pulls from when the socket has room.
 */
#include "base/check.h"
#include "io/clock.h"
#include "io/http_server_priv.h"

#include <stdio.h>
#include <time.h>

enum { OWN_HEADERS = 4 };

static void push(struct stream *st, struct blob *blob)
{
    if (st->no_body) {
        blob_unref(blob);
        return;
    }
    if (st->pieces.count == 0) /* A quiet watch is not a stalled one. */
        st->moved = loop_now(st->server->client.loop);
    pieces_push(&st->pieces, blob);
}

static size_t room(const struct stream *st)
{
    size_t mark = st->server->limits.reply_bytes;
    return st->pieces.queued_bytes >= mark ? 0 : mark - st->pieces.queued_bytes;
}

size_t reply__pull(struct stream *st, char *out, size_t size, struct instant now)
{
    size_t used = pieces_pull(&st->pieces, out, size);

    if (used > 0)
        st->moved = now;
    if (st->was_full && st->pieces.queued_bytes <= st->server->limits.reply_bytes / 2) {
        st->was_full = false;
        st->tell_writable = true;
        agenda__ready(st);
    }
    return used;
}

/* The connection's window is of all its streams: what one of them ended without having read is given back to the
 * others. */
static void open_window(struct stream *st, size_t len)
{
    struct conn *c = st->conn;

    st->unconsumed -= len;
    if (len == 0 || c->h2 == NULL)
        return;
    h2_consume(c->h2, st->h2_id, len);
    agenda__dirty(c);
}

void reply__forget(struct stream *st)
{
    struct http_server *s = st->server;

    if (st->id.generation == 0)
        return;
    news__forget(st);
    s->requests[st->id.slot] = NULL;
    slots_give(&s->stream_slots, st->id);
    st->id = (struct slot_id){0};
    open_window(st, st->unconsumed);
}

/* ---- the head ---- */

static struct str date_of(struct http_server *s)
{
    time_t second = (time_t)wall_seconds(clock_wall());
    struct tm tm;

    if (second != s->date_second) {
        gmtime_r(&second, &tm);
        strftime(s->date, sizeof s->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        s->date_second = second;
    }
    return str_of(s->date);
}

/* has_body: bytes follow. length: of a whole reply; UINT64_MAX: not known. */
static void start(struct stream *st, const struct http_reply *r, bool has_body, uint64_t length)
{
    struct conn *c = st->conn;
    struct http_header headers[REPLY_HEADERS_MAX + OWN_HEADERS];
    uint32_t count = 0;
    char digits[24];

    CHECK(!st->started && r->headers_count <= REPLY_HEADERS_MAX);
    st->started = true;
    st->moved = loop_now(st->server->client.loop);
    headers[count++] = (struct http_header){STR("date"), date_of(st->server)};
    if (r->content_type != NULL)
        headers[count++] = (struct http_header){STR("content-type"), str_of(r->content_type)};
    if (r->encoding.len > 0)
        headers[count++] = (struct http_header){STR("content-encoding"), r->encoding};
    for (uint32_t i = 0; i < r->headers_count; i++)
        headers[count++] = r->headers[i];
    if (st->h2_id != 0) {
        if (length != UINT64_MAX) {
            snprintf(digits, sizeof digits, "%llu", (unsigned long long)length);
            headers[count++] = (struct http_header){STR("content-length"), str_of(digits)};
        }
        h2_respond(c->h2, st->h2_id, r->status, headers, count, has_body && !st->no_body);
        st->end_written = !has_body || st->no_body;
        return;
    }
    st->chunked = length == UINT64_MAX && !st->no_body;
    struct h1_response response = {.status = r->status,
                                   .headers = headers,
                                   .headers_count = count,
                                   .close = c->no_more || st->server->draining || !st->body_ended,
                                   .chunked = st->chunked,
                                   .no_length = length == UINT64_MAX,
                                   .length = length};
    c->no_more = response.close;
    h1_write_head(&st->head_out, &response);
}

/* The stream of a live id; NULL otherwise. */
static struct stream *find(const struct http_server *s, struct slot_id id)
{
    return slots_live(&s->stream_slots, id) ? s->requests[id.slot] : NULL;
}

static void whole(struct stream *st, const struct http_reply *r, struct blob *body)
{
    uint64_t length = body == NULL ? 0 : body->len;

    start(st, r, length > 0, length);
    push(st, body);
    st->ended = true;
    agenda__dirty(st->conn);
}

void reply__refuse(struct stream *st, uint32_t status, const char *why)
{
    char text[160];
    struct http_header retry = {STR("retry-after"), STR("1")};
    bool again = status == 429 || status == 503;
    struct http_reply r = {.status = status,
                           .content_type = "text/plain; charset=utf-8",
                           .headers = &retry,
                           .headers_count = again ? 1 : 0};

    st->refuse = status;
    reply__forget(st);
    buf_free(&st->body);
    if (st->started)
        return; /* It was being answered while its body still came: that answer stands. */
    int len = snprintf(text, sizeof text, "%s: %s\n", http_reason(status), why);
    whole(st, &r, blob_new(str_from(text, (size_t)len)));
}

/* ---- what the owner calls ---- */

void http_server_reply(struct http_server *s, struct slot_id id, const struct http_reply *r,
                       struct blob *body)
{
    struct stream *st = find(s, id);

    if (st == NULL || st->cancelled || st->started) {
        CHECK(st == NULL || !st->started || st->cancelled);
        blob_unref(body);
    } else {
        whole(st, r, body);
    }
    if (st != NULL)
        reply__forget(st);
}

void http_server_start(struct http_server *s, struct slot_id id, const struct http_reply *r)
{
    struct stream *st = find(s, id);

    if (st == NULL || st->cancelled)
        return;
    start(st, r, true, UINT64_MAX);
    agenda__dirty(st->conn);
}

size_t http_server_room(const struct http_server *s, struct slot_id id)
{
    struct stream *st = find(s, id);

    if (st == NULL || st->cancelled)
        return 0;
    if (room(st) == 0)
        st->was_full = true;
    return room(st);
}

size_t http_server_chunk(struct http_server *s, struct slot_id id, struct blob *chunk)
{
    struct stream *st = find(s, id);

    if (st == NULL || st->cancelled) {
        blob_unref(chunk);
        return 0;
    }
    CHECK(st->started && !st->ended);
    if (room(st) == 0 && st->pieces.queued_bytes > 2 * (size_t)s->limits.reply_bytes) {
        blob_unref(chunk);
        s->stats.limited++;
        st->cancelled = true; /* Told at the next delivery; the protocol follows. */
        if (st->h2_id != 0)
            h2_reset(st->conn->h2, st->h2_id, H2_CANCEL);
        else
            st->conn->closing = true;
        agenda__ready(st);
        agenda__dirty(st->conn);
        return 0;
    }
    bool was_empty = st->pieces.count == 0; /* Otherwise the protocol is on its way to it. */
    push(st, chunk);
    if (st->h2_id != 0 && was_empty)
        h2_resume(st->conn->h2, st->h2_id);
    agenda__dirty(st->conn);
    return http_server_room(s, id);
}

void http_server_end(struct http_server *s, struct slot_id id, const struct http_header *trailers,
                     uint32_t trailers_count)
{
    struct stream *st = find(s, id);

    if (st == NULL)
        return;
    if (!st->cancelled) {
        CHECK(st->started && !st->ended && trailers_count <= TRAILERS_MAX);
        st->ended = true;
        if (st->pieces.count == 0)
            st->moved = loop_now(s->client.loop);
        for (uint32_t i = 0; i < trailers_count; i++) {
            buf_add(&st->trailer_text, trailers[i].name);
            buf_add(&st->trailer_text, trailers[i].value);
        }
        const char *at = st->trailer_text.at;
        for (uint32_t i = 0; i < trailers_count && !st->trailer_text.overflow; i++) {
            st->trailers[i].name = str_from(at, trailers[i].name.len);
            st->trailers[i].value = str_from(at + trailers[i].name.len, trailers[i].value.len);
            at += trailers[i].name.len + trailers[i].value.len;
            st->trailer_list = (struct http_headers){st->trailers, i + 1};
        }
        if (st->h2_id != 0 && !st->end_written)
            h2_resume(st->conn->h2, st->h2_id);
        agenda__dirty(st->conn);
    }
    reply__forget(st);
}

void http_server_abort(struct http_server *s, struct slot_id id)
{
    struct stream *st = find(s, id);

    if (st == NULL)
        return;
    if (!st->closed) {
        if (st->h2_id != 0)
            h2_reset(st->conn->h2, st->h2_id, H2_INTERNAL_ERROR);
        else
            st->conn->closing = true;
        agenda__dirty(st->conn);
    }
    reply__forget(st);
}

void http_server_follow(struct http_server *s, struct slot_id id, bool wanted)
{
    struct stream *st = find(s, id);

    if (st == NULL || st->follows == wanted)
        return;
    if (wanted)
        news__follow(st);
    else
        news__forget(st);
}

void http_server_consume(struct http_server *s, struct slot_id id, size_t len)
{
    struct stream *st = find(s, id);

    if (st != NULL)
        open_window(st, min_size(len, st->unconsumed));
}

void http_server_tag(struct http_server *s, struct slot_id id, void *tag)
{
    struct stream *st = find(s, id);
    if (st != NULL)
        st->tag = tag;
}

void http_server_own_address(const struct http_server *s, struct slot_id id,
                             char out[TCP_ADDRESS_MAX])
{
    struct stream *st = find(s, id);
    out[0] = '\0';
    if (st != NULL)
        tcp_own(st->conn->tcp, out);
}

const struct http_request *http_server_request(const struct http_server *s, struct slot_id id)
{
    struct stream *st = find(s, id);
    return st == NULL ? NULL : &st->request;
}
