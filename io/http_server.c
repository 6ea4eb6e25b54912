/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listener, the limits in time, and the one place where the owner hears of anything. A wake-up's
 * bytes are parsed into streams first; then the owner is told, stream by stream; then, in the turn, what
 * the replies left dirty is flushed, connection by connection, for a millisecond at most.
 */
#include "io/http_server_priv.h"

#include "base/check.h"
#include "base/mem.h"
#include "io/clock.h"

/* For sending in one turn: what is left goes on after the sockets were looked at. */
static const struct span FLUSH_SPAN = {1000000};

/* For telling news and sending what was answered, likewise; and told between two looks at the clock. */
static const struct span NEWS_SPAN = {2000000};
enum { NEWS_STEPS = 16 };

static const uint64_t LISTENER_OP = UINT64_MAX;

struct http_server_limits http_server_limits_default(void)
{
    return (struct http_server_limits){
        .connections = 8192,
        .connections_refuse = 64,
        .strangers = 1024,
        .handshakes = 128,
        .requests = 16384,
        .streams = 250,
        .head_bytes = 64 << 10,
        .body_bytes = 3 << 20,
        .connection_bytes = 8 << 20,
        .server_bytes = 256 << 20,
        .reply_bytes = 256 << 10,
        .handshake = SPAN_S(10),
        .head = SPAN_S(10),
        .body = SPAN_S(60),
        .idle = SPAN_S(180),
        .stall = SPAN_S(60),
        .session_bytes = 1 << 20,
        .control_frames = 1000,
    };
}

/* ---- telling the owner ---- */

static void tell(struct stream *st, enum http_event_type type, struct str bytes, bool end)
{
    struct http_server *s = st->server;
    struct http_event ev = {.type = type,
                            .id = st->id,
                            .request = &st->request,
                            .tag = st->tag,
                            .bytes = bytes,
                            .end = end,
                            .now = loop_now(s->client.loop)};

    if (st->id.generation != 0) /* Replied to already: nobody wants to know. */
        s->options.event(s->options.owner, &ev);
}

static void tell_body(struct stream *st)
{
    bool end = st->body_ended && !st->end_told;

    if (!st->request.streaming || (st->body.len == 0 && !end))
        return;
    struct buf bytes = st->body; /* What comes while the owner reads it is another event. */
    buf_init(&st->body, bytes.limit);
    st->end_told = st->end_told || end;
    tell(st, HTTP_BODY, buf_str(&bytes), end);
    buf_free(&bytes);
}

static void deliver_one(struct stream *st)
{
    if (!st->delivered && !st->cancelled) {
        st->delivered = true;
        tell(st, HTTP_REQUEST, (struct str){NULL, 0}, false);
    }
    if (!st->cancelled)
        tell_body(st);
    if (st->tell_writable && !st->cancelled) {
        st->tell_writable = false;
        tell(st, HTTP_WRITABLE, (struct str){NULL, 0}, false);
    }
    if (st->cancelled) {
        if (st->delivered)
            tell(st, HTTP_CANCELLED, (struct str){NULL, 0}, false);
        reply__forget(st);
    }
    stream__settle(st);
}

static void deliver(struct http_server *s)
{
    while (s->ready != NULL) {
        struct stream *st = s->ready;
        s->ready = st->ready_next;
        if (s->ready == NULL)
            s->ready_last = &s->ready;
        st->is_ready = false;
        deliver_one(st);
    }
}

/* ---- time ---- */

static void check_times(struct http_server *s, struct instant now)
{
    s->check_at = (struct instant){0};
    for (uint32_t i = 0; i < s->conn_slots.count; i++)
        if (s->conns[i] != NULL && instant_due(conn__deadline(s->conns[i]), now))
            conn__expired(s->conns[i], now);

    struct instant next = {0}, soonest = instant_add(now, SPAN_MS(TICK_MS));
    for (uint32_t i = 0; i < s->conn_slots.count; i++)
        if (s->conns[i] != NULL)
            next = instant_earlier(next, conn__deadline(s->conns[i]));
    if (next.ns != 0)
        agenda__expect(s, next.ns < soonest.ns ? soonest : next);
}

/* ---- the loop's side ---- */

static void server_event(struct loop_client *self, const struct io_event *ev)
{
    struct http_server *s = CONTAINER_OF(self, struct http_server, client);

    if (ev->type == IO_DEADLINE) {
        if (instant_due(s->check_at,
                        ev->now)) /* Otherwise it is only to go on with a turn's work. */
            check_times(s, ev->now);
        agenda__expect(s, s->check_at);
    } else if (ev->type == IO_TCP_ACCEPTED) {
        door__make_room(s);
        conn__open(s, ev->tcp, ev->now);
    } else {
        struct slot_id id = slot_unpack(ev->op);
        CHECK(slots_live(&s->conn_slots, id));
        conn__event(s->conns[id.slot], ev);
    }
    deliver(s);
}

/* One connection after the other, in order: one that has more to send than it may in one go (FLUSH_MAX) stands in
 * line again, behind those with a small answer. */
static bool flush_dirty(struct http_server *s, struct instant now)
{
    struct instant until = instant_add(clock_now(), FLUSH_SPAN);

    while (s->dirty != NULL && !instant_due(until, clock_now())) {
        struct conn *c = s->dirty;
        s->dirty = c->dirty_next;
        if (s->dirty == NULL)
            s->dirty_last = &s->dirty;
        c->dirty = false;
        conn__flush(c, now); /* May close c, or make it dirty again. */
        deliver(s);          /* Room again: the owner gives more. */
    }
    return s->dirty == NULL;
}

/* False: time is over. */
static bool tell_followers(struct conn *c, struct instant until)
{
    struct stream *st;

    for (uint32_t steps = 1; (st = news__take(c)) != NULL; steps++) {
        if (!st->cancelled)
            tell(st, HTTP_NEWS, (struct str){NULL, 0}, false);
        if (steps % NEWS_STEPS == 0 && instant_due(until, clock_now()))
            return false;
    }
    return true;
}

static void tell_news(struct http_server *s, struct instant now)
{
    if (s->heard == s->news)
        return;
    struct instant until = instant_add(clock_now(), NEWS_SPAN);
    for (struct conn *c; (c = news__next(s)) != NULL;) {
        bool all = tell_followers(c, until) && flush_dirty(s, now);
        if (!all || instant_due(until, clock_now())) {
            agenda__wake(s, now); /* The others after the sockets. */
            return;
        }
    }
}

void http_server_publish(struct http_server *s)
{
    s->news++;
    agenda__wake(s, loop_now(s->client.loop));
}

static void server_turn(struct loop_client *self, struct instant now)
{
    struct http_server *s = CONTAINER_OF(self, struct http_server, client);

    if (s->options.turn != NULL)
        s->options.turn(s->options.owner, now);
    door__turn(s, now);
    deliver(s);
    tell_news(s, now);
    if (!flush_dirty(s, now)) /* The rest after the others have had their turn. */
        agenda__wake(s, now);
    if (s->draining && !s->drained_told && s->conn_slots.taken == 0) {
        s->drained_told = true;
        s->options.event(s->options.owner, &(struct http_event){.type = HTTP_DRAINED, .now = now});
    }
}

static struct span shortest_limit(const struct http_server_limits *l)
{
    const struct span all[] = {l->handshake, l->head, l->body, l->idle, l->stall, SPAN_S(LINGER_S)};
    struct span least = all[0];

    for (size_t i = 1; i < COUNT_OF(all); i++)
        least = all[i].ns < least.ns ? all[i] : least;
    return least;
}

enum err_code http_server_open(struct loop *l, const struct http_server_options *o,
                               struct http_server **out_server, struct err *e)
{
    struct http_server *s = mem_zalloc(1, sizeof *s);
    struct tcp_listen_options listen = {
        .address = o->address, .port = o->port, .shared = o->shared};

    s->options = *o;
    s->limits = o->limits;
    s->shortest = shortest_limit(&s->limits);
    s->client = (struct loop_client){.event = server_event, .turn = server_turn};
    buf_init(&s->cipher, CIPHER_MAX);
    s->ready_last = &s->ready;
    s->dirty_last = &s->dirty;
    loop_join(l, &s->client);
    enum err_code code = tcp_listen(&s->client, LISTENER_OP, &listen, &s->listener, e);
    if (code != ERR_OK) {
        loop_leave(&s->client);
        mem_free(s);
        return code;
    }
    slots_init(&s->conn_slots, s->limits.connections + s->limits.connections_refuse);
    slots_init(&s->stream_slots, s->limits.requests);
    s->conns = mem_zalloc(s->conn_slots.count, sizeof(struct conn *));
    s->requests = mem_zalloc(s->stream_slots.count, sizeof(struct stream *));
    s->following = mem_zalloc(s->conn_slots.count, sizeof(struct conn *));
    *out_server = s;
    return ERR_OK;
}

uint16_t http_server_port(const struct http_server *s)
{
    return tcp_listener_port(s->listener);
}

void http_server_drain(struct http_server *s)
{
    s->draining = true;
    tcp_listener_close(s->listener);
    s->listener = NULL;
    for (uint32_t i = 0; i < s->conn_slots.count; i++)
        if (s->conns[i] != NULL)
            conn__drain(s->conns[i]);
    agenda__expect(s, loop_now(s->client.loop)); /* A turn comes even when nobody is connected. */
}

bool http_server_rest(struct http_server *s)
{
    bool is_much = s->spares_count > SPARES_MAX / 4 || s->cipher.size > GATHER;
    stream__spares_free(s);
    buf_free(&s->cipher);
    return is_much;
}

void http_server_close(struct http_server *s)
{
    if (s == NULL)
        return;
    s->options.event = NULL;
    for (uint32_t i = 0; i < s->conn_slots.count; i++)
        if (s->conns[i] != NULL)
            conn__close(s->conns[i]);
    for (uint32_t i = 0; i < s->stream_slots.count; i++)
        if (s->requests[i] != NULL)
            reply__forget(s->requests[i]);
    while (s->ready != NULL) {
        struct stream *st = s->ready;
        s->ready = st->ready_next;
        st->is_ready = false;
        reply__forget(st);
        stream__settle(st);
    }
    tcp_listener_close(s->listener);
    loop_leave(&s->client);
    stream__spares_free(s);
    slots_fini(&s->conn_slots);
    slots_fini(&s->stream_slots);
    buf_free(&s->cipher);
    mem_free(s->conns);
    mem_free(s->requests);
    mem_free(s->following);
    mem_free(s);
}

struct http_server_stats http_server_stats(const struct http_server *s)
{
    struct http_server_stats stats = s->stats;
    stats.connections = s->conn_slots.taken;
    stats.requests = s->stream_slots.taken;
    stats.body_bytes = s->body_bytes;
    stats.strangers = s->lines[LINE_STRANGERS].count;
    stats.handshakes = s->lines[LINE_ASKED].count + s->lines[LINE_ANSWERED].count;
    stats.handshakes_waiting = s->lines[LINE_WAITS].count;
    return stats;
}
