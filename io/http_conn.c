/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes between the socket, TLS and the protocol. Output is pulled: nothing is encrypted before the kernel
 * took what was encrypted before, so a peer that does not read holds one record of ours and its queues.
 */
#include "io/http_server_priv.h"

#include "base/check.h"
#include "base/mem.h"

/* ---- opening and closing ---- */

void conn__open(struct http_server *s, struct tcp *tcp, struct instant now)
{
    struct slot_id id;

    s->stats.accepted++;
    if (s->draining || !slots_take(&s->conn_slots, &id)) {
        s->stats.refused++;
        tcp_close(tcp);
        return;
    }
    struct conn *c = mem_zalloc(1, sizeof *c);
    c->server = s;
    c->id = id;
    c->tcp = tcp;
    c->state = s->options.tls == NULL ? CONN_H1 : CONN_HANDSHAKE;
    c->refusing = s->conn_slots.taken > s->limits.connections;
    c->opened = c->active = c->wrote = now;
    s->stats.refused += c->refusing;
    buf_init(&c->in, s->limits.head_bytes + PIPELINE_MAX + TCP_READ_MAX);
    tcp_peer(tcp, c->address);
    s->conns[id.slot] = c;
    if (c->state == CONN_HANDSHAKE)
        line__stand_in(c, LINE_SILENT, now);
    tcp_adopt(tcp, &s->client, slot_pack(id));
    agenda__expect(s, instant_add(now, s->shortest));
}

/* Afterwards c is dead: it lives on for its streams' sake, or is freed at once. */
void conn__close(struct conn *c)
{
    struct http_server *s = c->server;

    if (c->dead)
        return;
    c->dead = true;
    agenda__undirty(c);
    line__leave(c);
    tcp_close(c->tcp);
    h2_free(c->h2);
    tls_free(c->tls);
    buf_free(&c->in);
    c->tcp = NULL;
    c->h2 = NULL;
    c->tls = NULL;
    s->conns[c->id.slot] = NULL;
    slots_give(&s->conn_slots, c->id);
    if (c->streams == NULL) {
        mem_free(c->peer);
        mem_free(c);
        return;
    }
    for (struct stream *st = c->streams, *next; st != NULL; st = next) {
        next = st->next; /* The last one frees the connection, too. */
        stream__closed(st);
    }
}

void conn__drain(struct conn *c)
{
    if (c->state == CONN_H2)
        h2_goaway(c->h2, H2_NO_ERROR);
    else
        c->no_more = true;
    if (c->streams_count == 0)
        c->closing = true;
    agenda__dirty(c);
}

/* ---- reading ---- */

static void conn_opened(struct conn *c)
{
    struct http_server *s = c->server;
    struct http_peer peer;

    s->stats.resumed += tls_is_resumed(c->tls);
    tls_peer(c->tls, &peer);
    if (peer.state != HTTP_PEER_NONE) {
        c->peer = mem_alloc(sizeof *c->peer);
        *c->peer = peer;
    }
    if (tls_is_h2(c->tls)) {
        c->state = CONN_H2;
        h2__open(c);
    } else {
        c->state = CONN_H1;
    }
    c->active = loop_now(s->client.loop);
}

/* Plaintext for the protocol. An error ends the connection once what explains it went out. */
static void conn_plain(struct conn *c, struct str bytes, struct instant now)
{
    struct err e;

    if (c->state == CONN_H1) {
        h1__feed(c, bytes);
    } else if (c->state == CONN_H2 && h2_feed(c->h2, bytes, now, &e) != ERR_OK) {
        c->server->stats.limited += e.code == ERR_LIMIT;
        c->closing = true;
    }
    agenda__dirty(c);
}

static bool conn_tls(struct conn *c, struct str bytes, struct instant now)
{
    struct http_server *s = c->server;
    struct err e;
    size_t len;

    if (tls_feed(c->tls, bytes, &e) != ERR_OK) {
        s->stats.handshakes_failed += c->state == CONN_HANDSHAKE;
        return false;
    }
    if (c->state == CONN_HANDSHAKE && tls_is_open(c->tls))
        conn_opened(c);
    do {
        if (tls_read(c->tls, s->plain, sizeof s->plain, &len, &e) != ERR_OK) {
            s->stats.limited += e.code == ERR_LIMIT;
            return false;
        }
        if (len > 0)
            conn_plain(c, str_from(s->plain, len), now);
    } while (len > 0 && !c->closing);
    agenda__dirty(c);
    return true;
}

static void conn_cipher(struct conn *c, struct str bytes, struct instant now)
{
    if (!conn_tls(c, bytes, now)) {
        c->closing = true; /* The alert still goes out. */
        agenda__dirty(c);
    } else if (tls_is_ended(c->tls) && c->streams_count == 0) {
        c->closing = true;
    }
}

void conn__shake(struct conn *c, struct str bytes, struct instant now)
{
    if (c->tls == NULL) /* Until here it cost its peer more than us. */
        c->tls = tls_new_server(c->server->options.tls);
    conn_cipher(c, bytes, now);
}

/* It has a word for us before it is inside. */
static void conn_knock(struct conn *c, struct str bytes, struct instant now)
{
    buf_add(&c->in, bytes);
    if (c->in.len > HELLO_MAX) /* Requests behind a handshake's end, or an enemy. */
        tcp_read_pause(c->tcp, true);
    if (c->line == LINE_SILENT)
        line__stand_in(c, LINE_WAITS, now);
    else if (c->line != LINE_WAITS && c->line != LINE_ANSWERED)
        line__stand_in(c, LINE_ANSWERED, now);
}

static void conn_read(struct conn *c, struct str bytes, struct instant now)
{
    c->server->stats.bytes_in += bytes.len;
    if (c->state == CONN_LINGER || c->closing)
        return;
    if (c->state == CONN_HANDSHAKE)
        conn_knock(c, bytes, now);
    else if (c->tls == NULL)
        conn_plain(c, bytes, now);
    else
        conn_cipher(c, bytes, now);
}

void conn__event(struct conn *c, const struct io_event *ev)
{
    switch (ev->type) {
    case IO_TCP_READ:
        conn_read(c, ev->bytes, ev->now);
        break;
    case IO_TCP_WRITABLE:
        c->wrote = ev->now;
        agenda__dirty(c);
        break;
    case IO_TCP_CLOSED:
        conn__close(c);
        break;
    case IO_DEADLINE:
    case IO_MAIL:
    case IO_SIGNAL:
    case IO_PROC_DONE:
    case IO_PROC_GONE:
    case IO_FD_READABLE:
    case IO_FD_WRITABLE:
    case IO_TCP_OPEN:
    case IO_TCP_ACCEPTED:
        CHECK(false); /* Asked for by nobody here. */
    }
}

/* ---- writing ---- */

static bool conn_send(struct conn *c, struct str bytes)
{
    c->server->stats.bytes_out += bytes.len;
    return tcp_write(c->tcp, bytes) == ERR_OK;
}

static size_t conn_produce(struct conn *c, struct instant now)
{
    struct http_server *s = c->server;

    if (c->state == CONN_H1)
        return h1__produce(c, s->plain, sizeof s->plain, now);
    return c->state == CONN_H2 ? h2_drain(c->h2, s->plain, sizeof s->plain) : 0;
}

/* The next bytes for the socket, in *out: what the protocol has, encrypted. 0: nothing. */
static size_t conn_gather(struct conn *c, const char **out, struct instant now)
{
    struct http_server *s = c->server;
    struct err e;
    size_t len = 1;

    *out = s->plain;
    if (c->tls == NULL)
        return conn_produce(c, now);
    buf_clear(&s->cipher);
    tls_lend(c->tls, &s->cipher);
    while (len > 0 && s->cipher.len < GATHER) {
        len = conn_produce(c, now);
        if (len > 0 && tls_write(c->tls, str_from(s->plain, len), &e) != ERR_OK)
            c->closing = true;
    }
    tls_lend(c->tls, NULL);
    *out = s->cipher.at;
    return s->cipher.len;
}

/* As much as the kernel takes, within reason. True: everything that there was went out. */
static bool conn_pump(struct conn *c, struct instant now)
{
    const char *bytes;

    for (size_t total = 0; total < FLUSH_MAX;) {
        if (tcp_pending(c->tcp) > 0)
            return false; /* IO_TCP_WRITABLE brings us back. */
        c->wrote = now;
        size_t len = conn_gather(c, &bytes, now);
        if (len == 0)
            return true;
        total += len;
        if (!conn_send(c, str_from(bytes, len)))
            return false;
    }
    agenda__dirty(c);
    return false;
}

/* Say goodbye, then read what the peer still sends for a while: closing with unread bytes would make the
 * kernel send a reset, which can destroy our answer on its way. */
static void conn_linger(struct conn *c, struct instant now)
{
    struct http_server *s = c->server;

    c->state = CONN_LINGER;
    c->linger_until = instant_add(now, SPAN_S(LINGER_S));
    line__admit(c, now); /* A handshake that failed, too, waits as a stranger. */
    if (c->tls != NULL) {
        tls_shutdown(c->tls);
        size_t len = tls_drain(c->tls, s->plain, sizeof s->plain);
        conn_send(c, str_from(s->plain, len));
    }
    tcp_shutdown(c->tcp);
    tcp_read_pause(c->tcp, false);
    agenda__expect(s, c->linger_until);
}

void conn__flush(struct conn *c, struct instant now)
{
    bool all = conn_pump(c, now);

    if (c->h2 != NULL && h2_is_over(c->h2))
        c->closing = true;
    if (all && c->closing && c->state != CONN_LINGER)
        conn_linger(c, now);
    agenda__expect(c->server, instant_add(now, c->server->shortest));
}

/* ---- time ---- */

static struct instant stream_deadline(const struct conn *c, const struct stream *st)
{
    const struct http_server_limits *l = &c->server->limits;
    struct instant at = {0};

    if (st->started && !st->end_written && (st->pieces.count > 0 || st->ended))
        at = instant_add(st->moved, l->stall);
    if (!st->body_ended && !st->request.streaming && (!st->started || st->refuse != 0))
        at = instant_earlier(at, instant_add(st->request.began, st->head_seen ? l->body : l->head));
    return at;
}

/* When the first of the connection's time limits is reached. */
struct instant conn__deadline(const struct conn *c)
{
    const struct http_server_limits *l = &c->server->limits;
    struct instant at = {0};

    if (c->state == CONN_HANDSHAKE && c->line == LINE_WAITS)
        return at; /* It is our turn to wait for: the line moves. */
    if (c->state == CONN_HANDSHAKE)
        return instant_add(c->begun.ns == 0 ? c->opened : c->begun, l->handshake);
    if (c->state == CONN_LINGER)
        return c->linger_until;
    if (tcp_pending(c->tcp) > 0)
        at = instant_add(c->wrote, l->stall);
    if (c->streams_count == 0)
        at = instant_earlier(at, instant_add(c->active, c->refusing ? l->head : l->idle));
    if (c->head_began.ns != 0)
        at = instant_earlier(at, instant_add(c->head_began, l->head));
    for (const struct stream *st = c->streams; st != NULL; st = st->next)
        at = instant_earlier(at, stream_deadline(c, st));
    return at;
}

static void stream_expired(struct stream *st)
{
    struct conn *c = st->conn;

    c->server->stats.limited++;
    if (!st->head_seen) { /* HTTP/2: until it is whole nothing else can come (RFC 9113 6.10). */
        h2_goaway(c->h2, H2_NO_ERROR);
        c->closing = true;
    } else if (!st->started && !st->body_ended) {
        reply__refuse(st, 408, "the request's body took too long");
    } else if (st->h2_id != 0) {
        h2_reset(c->h2, st->h2_id, H2_CANCEL);
    } else {
        c->closing = true;
    }
    agenda__dirty(c);
}

void conn__expired(struct conn *c, struct instant now)
{
    bool stuck =
        tcp_pending(c->tcp) > 0 && instant_due(instant_add(c->wrote, c->server->limits.stall), now);

    if (stuck || c->state == CONN_HANDSHAKE || c->state == CONN_LINGER) {
        c->server->stats.limited += stuck;
        conn__close(c);
        return;
    }
    for (struct stream *st = c->streams, *next; st != NULL; st = next) {
        next = st->next;
        if (instant_due(stream_deadline(c, st), now))
            stream_expired(st);
    }
    if (c->state == CONN_H1 && c->streams_count == 0 && c->head_began.ns != 0) {
        h1__late(c); /* Ends the connection, too, once it is said. */
    } else if (c->streams_count == 0 || c->head_began.ns != 0) {
        if (c->state == CONN_H2)
            h2_goaway(c->h2, H2_NO_ERROR);
        c->closing = true;
        agenda__dirty(c);
    }
    if (c->closing && tcp_pending(c->tcp) > 0)
        conn__close(c); /* It would not take our goodbye either. */
}
