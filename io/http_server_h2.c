/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 on a connection. Called from inside nghttp2: notes what happened; the owner hears later.
 */
#include "io/http_server_priv.h"

#include "base/check.h"

enum {
    STREAM_WINDOW = 1 << 20, /* A body of that size arrives without waiting for us. */
    SESSION_WINDOW = 4 << 20,
};

static void on_header(void *owner, int32_t id, void *stream, struct str name, struct str value)
{
    struct conn *c = owner;
    struct stream *st = stream;

    if (st == NULL) {
        st = stream__new(c, id);
        h2_set_stream(c->h2, id, st);
    }
    if (!st->head_seen) /* Trailers of a request interest nobody. */
        stream__add_header(st, name, value);
}

static void on_head(void *owner, int32_t id, void *stream, bool ends)
{
    struct stream *st = stream;

    (void)owner;
    (void)id;
    (void)ends;
    if (st != NULL && !st->head_seen) {
        stream__head_done(st);
        st->no_body = str_is(st->request.head.method, "HEAD");
    }
}

static void on_data(void *owner, int32_t id, void *stream, struct str bytes)
{
    struct conn *c = owner;
    struct stream *st = stream;
    bool waits = st != NULL && st->request.streaming && st->id.generation != 0;

    if (waits)
        st->unconsumed += bytes.len;
    else /* What is counted in a budget, or dropped, need not hold up the window. */
        h2_consume(c->h2, id, bytes.len);
    if (st != NULL)
        stream__body(st, bytes);
}

static void on_end(void *owner, int32_t id, void *stream)
{
    (void)owner;
    (void)id;
    if (stream != NULL)
        stream__body_end(stream);
}

static size_t on_offer(void *owner, int32_t id, void *stream, size_t size, bool *out_end,
                       const struct http_headers **out_trailers)
{
    struct stream *st = stream;
    size_t len = min_size(st->pieces.queued_bytes, size);

    (void)owner;
    (void)id;
    if (!st->ended || len < st->pieces.queued_bytes)
        return len;
    *out_end = st->end_offered = true;
    if (st->trailer_list.count > 0)
        *out_trailers = &st->trailer_list;
    return len;
}

static void on_pull(void *owner, int32_t id, void *stream, char *out, size_t len)
{
    struct conn *c = owner;
    struct stream *st = stream;

    (void)id;
    CHECK(reply__pull(st, out, len, loop_now(c->server->client.loop)) == len);
    if (!st->end_offered || st->pieces.count > 0)
        return;
    st->end_written = true;
}

static void on_sent(void *owner, int32_t id, void *stream)
{
    (void)owner;
    (void)id;
    if (stream != NULL)
        stream__answered(stream);
}

static void on_closed(void *owner, int32_t id, void *stream, uint32_t error)
{
    (void)owner;
    (void)id;
    (void)error;
    if (stream != NULL)
        stream__closed(stream);
}

static void on_goaway(void *owner, int32_t last, uint32_t error)
{
    (void)owner; /* A client that says so finishes what it began; nothing to do. */
    (void)last;
    (void)error;
}

static const struct h2_events events = {
    .header = on_header,
    .head = on_head,
    .data = on_data,
    .end = on_end,
    .offer = on_offer,
    .pull = on_pull,
    .sent = on_sent,
    .closed = on_closed,
    .goaway = on_goaway,
};

void h2__open(struct conn *c)
{
    const struct http_server_limits *l = &c->server->limits;
    struct h2_options o = {
        .server = true,
        .streams = l->streams,
        .window = STREAM_WINDOW,
        .session_window = SESSION_WINDOW,
        .header_bytes = l->head_bytes,
        .memory = l->session_bytes,
        .control_frames = l->control_frames,
        .events = &events,
        .owner = c,
    };

    c->h2 = h2_new(&o);
}
