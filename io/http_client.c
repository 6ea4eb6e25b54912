/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests live in slots; what arrives for them is noted while nghttp2 is fed and told afterwards, in
 * order of arrival. Output is pulled in the turn, as on the server's side.
 */
#include "io/http_client_priv.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>

enum {
    CONNECT_DEFAULT_S = 10,
    STREAM_WINDOW = 1 << 20,
    SESSION_WINDOW = 8 << 20,
    SESSION_MEMORY = 16 << 20,
    FLUSH_MAX = 1 << 20,
};

static const uint64_t TCP_OP = 1;

/* ---- what HTTP/2 tells ---- */

static void on_header(void *owner, int32_t id, void *stream, struct str name, struct str value)
{
    struct request *r = stream;
    uint64_t status = 0;

    (void)owner;
    (void)id;
    if (r == NULL || r->too_large)
        return;
    if (str_is(name, ":status")) {
        r->status = str_parse_u64(value, &status) == ERR_OK ? (uint32_t)status : 0;
        r->headers_count = 0;
        buf_clear(&r->text);
        return;
    }
    if (r->headers_count == HTTP_HEADERS_MAX || r->text.len + name.len + value.len > TEXT_MAX) {
        r->too_large = true;
        return;
    }
    struct http_header *h = &r->headers[r->headers_count++];
    h->name = str_from((void *)r->text.len, name.len);
    buf_add(&r->text, name);
    h->value = str_from((void *)r->text.len, value.len);
    buf_add(&r->text, value);
}

static void on_head(void *owner, int32_t id, void *stream, bool ends)
{
    struct request *r = stream;

    (void)owner;
    (void)id;
    (void)ends;
    if (r == NULL)
        return;
    if (r->too_large)
        client__request_fail(r, ERR_LIMIT, "the response's head is too large");
    else if (!r->head_told && r->status >= 200)
        r->head_due = true;
    client__request_ready(r);
}

static void on_data(void *owner, int32_t id, void *stream, struct str bytes)
{
    struct http_client *c = owner;
    struct request *r = stream;

    if (r == NULL || !r->manual)
        h2_consume(c->h2, id, bytes.len);
    if (r == NULL || r->id.generation == 0)
        return;
    buf_add(&r->body, bytes);
    client__request_ready(r);
}

static void on_end(void *owner, int32_t id, void *stream)
{
    struct request *r = stream;
    (void)owner;
    (void)id;
    if (r != NULL && !r->fail_due) {
        r->end_due = true;
        client__request_ready(r);
    }
}

static size_t on_offer(void *owner, int32_t id, void *stream, size_t size, bool *out_end,
                       const struct http_headers **out_trailers)
{
    struct request *r = stream;
    size_t len = min_size(r->pieces.queued_bytes, size);

    (void)owner;
    (void)id;
    (void)out_trailers;
    *out_end = r->finished && len == r->pieces.queued_bytes;
    return len;
}

static void on_pull(void *owner, int32_t id, void *stream, char *out, size_t len)
{
    struct http_client *c = owner;
    struct request *r = stream;

    (void)id;
    CHECK(pieces_pull(&r->pieces, out, len) == len);
    if (r->was_full && r->pieces.queued_bytes <= c->options.send_max / 2) {
        r->was_full = false;
        r->tell_writable = true;
        client__request_ready(r);
    }
}

static void on_closed(void *owner, int32_t id, void *stream, uint32_t error)
{
    struct request *r = stream;
    char why[64];

    (void)owner;
    (void)id;
    if (r == NULL)
        return;
    r->closed = true;
    snprintf(why, sizeof why, "the stream was reset (HTTP/2 error %u)", error);
    client__request_fail(
        r, error == H2_REFUSED_STREAM || error == H2_CALM ? ERR_BUSY : ERR_UNAVAILABLE,
        why); /* Nothing, when its end has come before. */
    client__request_settle(r);
}

static void on_goaway(void *owner, int32_t last, uint32_t error)
{
    (void)owner; /* Streams above last are closed by nghttp2; the connection's end follows. */
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
    .closed = on_closed,
    .goaway = on_goaway,
};

/* ---- telling the owner ---- */

static void tell(struct http_client *c, struct http_client_event *ev)
{
    ev->now = loop_now(c->client.loop);
    if (!c->freed)
        c->options.event(c->options.owner, ev);
}

/* Of the request, unless its owner cancelled it meanwhile. */
static void tell_request(struct request *r, struct http_client_event ev)
{
    if (r->id.generation == 0)
        return;
    ev.id = r->id;
    ev.op = r->op;
    ev.status = r->status;
    tell(r->client, &ev);
}

static struct http_headers place_headers(struct request *r)
{
    for (uint32_t i = 0; i < r->headers_count; i++) {
        r->headers[i].name.at = r->text.at + (size_t)r->headers[i].name.at;
        r->headers[i].value.at = r->text.at + (size_t)r->headers[i].value.at;
    }
    return (struct http_headers){r->headers, r->headers_count};
}

static void tell_head(struct request *r)
{
    if (!r->head_due)
        return;
    r->head_due = false;
    r->head_told = true;
    tell_request(r,
                 (struct http_client_event){.type = HTTP_CLIENT_HEAD, .headers = place_headers(r)});
    r->headers_count = 0; /* What comes now are trailers. */
    buf_clear(&r->text);
}

static void tell_end(struct request *r)
{
    struct http_client_event ev = {.type = HTTP_CLIENT_END};

    if (!r->end_due && !r->fail_due)
        return;
    if (r->fail_due) {
        ev.type = HTTP_CLIENT_FAILED;
        ev.err = r->err;
    } else {
        ev.headers = place_headers(r);
        if (!r->closed && !(r->finished && r->pieces.count == 0))
            h2_reset(r->client->h2, r->h2_id,
                     H2_CANCEL); /* It answered without the rest of ours. */
    }
    tell_request(r, ev);
    client__request_forget(r);
}

static void tell_one(struct request *r)
{
    r->is_told = true;
    tell_head(r);
    if (r->body.len > 0) {
        struct buf bytes = r->body;
        buf_init(&r->body, bytes.limit);
        tell_request(
            r, (struct http_client_event){.type = HTTP_CLIENT_BODY, .bytes = buf_str(&bytes)});
        buf_free(&bytes);
    }
    if (r->tell_writable && !r->end_due && !r->fail_due)
        tell_request(r, (struct http_client_event){.type = HTTP_CLIENT_WRITABLE});
    r->tell_writable = false;
    tell_end(r);
    r->is_told = false;
    client__request_settle(r);
}

static void client_destroy(struct http_client *c);

/* Everything noted, in order; then the connection's own news. */
static void tell_all(struct http_client *c)
{
    c->telling = true;
    if (c->open_due) {
        c->open_due = false;
        tell(c, &(struct http_client_event){.type = HTTP_CLIENT_OPEN});
    }
    while (c->ready != NULL) {
        struct request *r = c->ready;
        c->ready = r->ready_next;
        if (c->ready == NULL)
            c->ready_last = &c->ready;
        r->is_ready = false;
        tell_one(r);
    }
    if (c->closed_due) {
        c->closed_due = false;
        tell(c, &(struct http_client_event){.type = HTTP_CLIENT_CLOSED, .err = c->err});
    }
    c->telling = false;
    if (c->freed)
        client_destroy(c);
}

/* ---- the connection ---- */

/* The connection is over: every request fails, then it is said. */
static void client_fail(struct http_client *c, enum err_code code, const char *why)
{
    if (c->is_closed)
        return;
    c->is_closed = c->closed_due = true;
    err_set(&c->err, code, "%s", why);
    for (uint32_t i = 0; i < c->slots.count; i++) {
        struct request *r = c->requests[i];
        if (r == NULL)
            continue;
        r->closed = true;
        client__request_fail(r, ERR_UNAVAILABLE, why);
    }
    loop_set_deadline(&c->client, instant_add(loop_now(c->client.loop), SPAN_MS(0)));
}

static void client_opened(struct http_client *c)
{
    struct h2_options o = {.window = STREAM_WINDOW,
                           .session_window = SESSION_WINDOW,
                           .header_bytes = TEXT_MAX,
                           .memory = SESSION_MEMORY,
                           .events = &events,
                           .owner = c};

    if (c->tls != NULL && !tls_is_h2(c->tls)) {
        client_fail(c, ERR_INVALID, "the server does not speak HTTP/2");
        return;
    }
    c->h2 = h2_new(&o);
    c->is_open = c->open_due = c->dirty = true;
    for (uint32_t i = 0; i < c->slots.count; i++)
        if (c->requests[i] != NULL)
            client__request_send(c->requests[i]);
}

static void client_plain(struct http_client *c, struct str bytes, struct instant now)
{
    struct err e;
    if (c->h2 != NULL && !c->is_closed && h2_feed(c->h2, bytes, now, &e) != ERR_OK)
        client_fail(c, ERR_UNAVAILABLE, e.text);
}

static void client_read(struct http_client *c, struct str bytes, struct instant now)
{
    struct err e;
    size_t len = 0;

    c->heard = now;
    c->dirty = true;
    if (c->tls == NULL) {
        client_plain(c, bytes, now);
        return;
    }
    enum err_code code = tls_feed(c->tls, bytes, &e);
    if (code == ERR_OK && !c->is_open && tls_is_open(c->tls))
        client_opened(c);
    do {
        if (code == ERR_OK)
            code = tls_read(c->tls, c->plain, sizeof c->plain, &len, &e);
        if (code == ERR_OK && len > 0)
            client_plain(c, str_from(c->plain, len), now);
    } while (code == ERR_OK && len > 0 && !c->is_closed);
    if (code != ERR_OK)
        client_fail(c, code, e.text);
}

static size_t client_gather(struct http_client *c, const char **out)
{
    struct err e;
    size_t len = 1;

    *out = c->plain;
    if (c->tls == NULL)
        return c->h2 == NULL ? 0 : h2_drain(c->h2, c->plain, sizeof c->plain);
    buf_clear(&c->cipher);
    tls_lend(c->tls, &c->cipher);
    while (len > 0 && c->cipher.len < CIPHER_ENOUGH) {
        len = c->h2 == NULL ? 0 : h2_drain(c->h2, c->plain, sizeof c->plain);
        if (len > 0 && tls_write(c->tls, str_from(c->plain, len), &e) != ERR_OK)
            client_fail(c, ERR_UNAVAILABLE, e.text);
    }
    tls_lend(c->tls, NULL);
    *out = c->cipher.at;
    return c->cipher.len;
}

static void client_flush(struct http_client *c)
{
    const char *bytes;

    c->dirty = false;
    for (size_t total = 0; !c->is_closed && tcp_pending(c->tcp) == 0;) {
        size_t len = client_gather(c, &bytes);
        if (len == 0)
            return;
        total += len;
        if (tcp_write(c->tcp, str_from(bytes, len)) != ERR_OK)
            client_fail(c, ERR_UNAVAILABLE, "the server does not read");
        if (total >= FLUSH_MAX) {
            c->dirty = true;
            loop_set_deadline(&c->client, loop_now(c->client.loop));
            return;
        }
    }
}

/* ---- time ---- */

static void client_expect(struct http_client *c)
{
    struct instant at = instant_add(c->heard, c->options.connect);

    if (c->is_closed || c->dirty)
        return;
    if (c->is_open && c->options.keepalive.ns == 0)
        return;
    if (c->is_open)
        at = instant_add(c->ping_at.ns != 0 ? c->ping_at : c->heard, c->options.keepalive);
    loop_set_deadline(&c->client, at);
}

static void client_times(struct http_client *c, struct instant now)
{
    if (c->is_closed)
        return;
    if (!c->is_open) {
        if (instant_due(instant_add(c->heard, c->options.connect), now))
            client_fail(c, ERR_UNAVAILABLE, "connecting took too long");
        return;
    }
    if (c->options.keepalive.ns == 0)
        return;
    if (c->ping_at.ns != 0 && h2_pongs(c->h2) != c->pongs) {
        c->pongs = h2_pongs(c->h2);
        c->ping_at.ns = 0;
        c->looks_again = false;
    }
    bool is_late =
        c->ping_at.ns != 0 && instant_due(instant_add(c->ping_at, c->options.keepalive), now);
    if (is_late && !c->looks_again) {
        /* It may be ourselves who had no processor: what was sent meanwhile is read in another turn. */
        c->looks_again = true;
        c->ping_at.ns = now.ns - c->options.keepalive.ns / 4 * 3;
    } else if (is_late) {
        client_fail(c, ERR_UNAVAILABLE, "the server does not answer");
    } else if (c->ping_at.ns == 0 &&
               instant_due(instant_add(c->heard, c->options.keepalive), now)) {
        h2_ping(c->h2);
        c->ping_at = now;
        c->dirty = true;
    }
}

/* ---- the loop's side ---- */

static void client_event(struct loop_client *self, const struct io_event *ev)
{
    struct http_client *c = CONTAINER_OF(self, struct http_client, client);

    if (ev->type == IO_TCP_READ) {
        client_read(c, ev->bytes, ev->now);
    } else if (ev->type == IO_TCP_WRITABLE) {
        c->dirty = true;
    } else if (ev->type == IO_TCP_CLOSED) {
        client_fail(c, ERR_UNAVAILABLE,
                    ev->err.code == ERR_OK ? "the server closed the connection" : ev->err.text);
    } else if (ev->type == IO_DEADLINE) {
        client_times(c, ev->now);
    } else if (ev->type == IO_TCP_OPEN) {
        if (c->options.tls != NULL)
            c->tls = tls_new_client(c->options.tls, c->host);
        else
            client_opened(c);
        c->dirty = true;
    }
    tell_all(c);
}

static void client_turn(struct loop_client *self, struct instant now)
{
    struct http_client *c = CONTAINER_OF(self, struct http_client, client);

    (void)now;
    if (c->dirty)
        client_flush(c);
    client_expect(c);
    if (c->ready != NULL || c->closed_due || c->open_due)
        tell_all(c);
}

struct http_client *http_client_open(struct loop *l, const struct http_client_options *o)
{
    struct http_client *c = mem_zalloc(1, sizeof *c);

    c->options = *o;
    if (c->options.requests_max == 0)
        c->options.requests_max = REQUESTS_DEFAULT;
    if (c->options.send_max == 0)
        c->options.send_max = SEND_DEFAULT;
    if (c->options.connect.ns == 0)
        c->options.connect = SPAN_S(CONNECT_DEFAULT_S);
    c->client = (struct loop_client){.event = client_event, .turn = client_turn};
    buf_init(&c->cipher, CIPHER_MAX);
    c->ready_last = &c->ready;
    snprintf(c->host, sizeof c->host, "%s", o->host == NULL ? "localhost" : o->host);
    snprintf(c->authority, sizeof c->authority, strchr(c->host, ':') == NULL ? "%s:%u" : "[%s]:%u",
             c->host, o->port);
    slots_init(&c->slots, c->options.requests_max);
    c->requests = mem_zalloc(c->slots.count, sizeof(struct request *));
    loop_join(l, &c->client);
    c->heard = loop_now(l);
    c->tcp = o->path != NULL ? tcp_connect_unix(&c->client, TCP_OP, o->path)
                             : tcp_connect(&c->client, TCP_OP, c->host, o->port);
    loop_set_deadline(&c->client, instant_add(c->heard, c->options.connect));
    return c;
}

static void client_destroy(struct http_client *c)
{
    h2_free(c->h2);
    while (c->all != NULL)
        client__request_free(c->all);
    loop_leave(&c->client);
    slots_fini(&c->slots);
    buf_free(&c->cipher);
    mem_free(c->requests);
    mem_free(c);
}

void http_client_close(struct http_client *c)
{
    if (c == NULL)
        return;
    if (c->tls != NULL && !c->is_closed && tcp_pending(c->tcp) == 0) {
        tls_shutdown(c->tls); /* So that the session can be resumed. */
        size_t len = tls_drain(c->tls, c->plain, sizeof c->plain);
        if (tcp_write(c->tcp, str_from(c->plain, len)) != ERR_OK)
            c->is_closed = true;
    }
    tcp_close(c->tcp);
    tls_free(c->tls);
    c->tcp = NULL;
    c->tls = NULL;
    c->is_closed = c->freed = true;
    if (!c->telling)
        client_destroy(c);
}
