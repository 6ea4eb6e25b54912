/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/sessions_priv.h"

#include "api/stream.h"
#include "base/log.h"
#include "base/mem.h"
#include "controlplane/serve/directory.h"
#include "controlplane/serve/front_priv.h"
#include "controlplane/serve/join.h"
#include "controlplane/serve/logs.h"
#include "controlplane/serve/node_key.h"
#include "controlplane/serve/own_addresses.h"
#include "controlplane/serve/relay.h"
#include "io/clock.h"

#include <stdio.h>

enum { CONSOLE_ARENA_MAX = 4 << 20, OWN_ADDRESSES_MAX = 65 << 10 };

static const char path_join[] = "/baton.agent.v1.Agent/Join";
static const char path_session[] = "/baton.agent.v1.Agent/Session";
static const char path_stream[] = "/baton.agent.v1.Agent/Stream";
static const char node_prefix[] = "system:node:";

struct sessions *sessions_new(struct front *f)
{
    struct sessions *s = mem_zalloc(1, sizeof *s);
    s->front = f;
    slots_init(&s->slots, SESSIONS_MAX);
    s->at = mem_zalloc(SESSIONS_MAX, sizeof(struct session *));
    return s;
}

uint32_t sessions_count(const struct sessions *s)
{
    return s->slots.taken;
}

static uint64_t name_of(const struct session *x)
{
    return letter_name(x->all->front->number, x->id);
}

static struct session *find(struct sessions *s, uint64_t name)
{
    uint32_t slot = (uint32_t)name;
    struct session *x = slot < s->slots.count ? s->at[slot] : NULL;
    return x != NULL && name_of(x) == name ? x : NULL;
}

/* ---- beginning and end ---- */

static struct session *session_open(struct sessions *s, const struct http_request *q,
                                    enum call_type type)
{
    struct session *x = mem_zalloc(1, sizeof *x);

    x->all = s;
    x->type = type;
    x->http = q->id;
    x->next = s->first;
    if (s->first != NULL)
        s->first->previous = x;
    s->first = x;
    grpc_reader_init(&x->reader, type == CALL_JOIN ? JOIN_REQUEST_MAX : SESSION_MESSAGE_MAX);
    http_server_tag(s->front->server, q->id, x);
    return x;
}

static void session_free(struct session *x)
{
    struct sessions *s = x->all;

    if (x->id.generation != 0) {
        s->at[x->id.slot] = NULL;
        slots_give(&s->slots, x->id);
    }
    s->owing -= x->owed > 0;
    session__has_spoken(x);
    join_free(x->join);
    relay_close(x->console);
    grpc_reader_free(&x->reader);
    pieces_drop(&x->queue);
    if (x->previous != NULL)
        x->previous->next = x->next;
    else
        s->first = x->next;
    if (x->next != NULL)
        x->next->previous = x->previous;
    http_server_tag(s->front->server, x->http, NULL);
    mem_free(x);
}

/* A call that gets nothing but a status: gRPC's "Trailers-Only" is a reply whose headers carry it. */
static void refuse(struct front *f, struct slot_id http, enum grpc_status status, const char *why)
{
    char scratch[512];
    struct http_header headers[2];
    struct http_reply r = {.status = 200, .content_type = "application/grpc", .headers = headers};

    r.headers_count = grpc_trailers(status, str_of(why), scratch, sizeof scratch, headers);
    http_server_reply(f->server, http, &r, NULL);
}

/* The core is told that the session is gone. front_post() keeps half of the core's mailbox for letters of
 * this kind, so that messages and writes cannot crowd it out. */
static void tell_closed(struct session *x, struct str why)
{
    struct front *f = x->all->front;

    if (x->type == CALL_STREAM && x->relay != 0) {
        struct letter *l = letter_agent(x->relay, str_of(x->node), why);
        l->agent.from = name_of(x);
        front_tell(f, x->relay, LETTER_STREAM_END, l);
    }
    if (x->type != CALL_SESSION)
        return;
    directory_remove(f->shared->directory, str_of(x->node), name_of(x));
    if (!front_post(f, LETTER_AGENT_CLOSED, 0, letter_agent(name_of(x), str_of(x->node), STR(""))))
        log_event(LOG_WARN, "agent.close_untold", "node=%s then=%s",
                  log_quote(str_of(x->node)).text, "\"its lease or its next session tells\"");
}

/* Ends the stream with a status, tells the core, forgets it. */
void session__end(struct session *x, enum grpc_status status, struct str why)
{
    struct front *f = x->all->front;
    char scratch[512];
    struct http_header trailers[2];

    if (x->type == CALL_SESSION && !x->all->is_closing)
        log_event(status == GRPC_OK ? LOG_INFO : LOG_WARN, "agent.session_closed",
                  "node=%s status=%d why=%s", log_quote(str_of(x->node)).text, (int)status,
                  log_quote(why).text);
    http_server_end(f->server, x->http, trailers,
                    grpc_trailers(status, why, scratch, sizeof scratch, trailers));
    tell_closed(x, status == GRPC_OK ? STR("") : why);
    session_free(x);
}

void sessions_free(struct sessions *s)
{
    sessions_drain(s);
    while (s->first != NULL)
        session_free(s->first);
    slots_fini(&s->slots);
    mem_free(s->at);
    mem_free(s);
}

/* A join in work has used its token up: it is answered when the core has answered. */
void sessions_drain(struct sessions *s)
{
    static const struct str why = STR("the control plane is shutting down");
    uint32_t count = 0;

    s->is_closing = true;
    for (struct session *x = s->first, *next; x != NULL; x = next) {
        next = x->next;
        count += x->type == CALL_SESSION;
        if (x->type != CALL_JOIN)
            session__end(x, GRPC_UNAVAILABLE, why);
        else if (x->until.ns != 0)
            session__join_done(x, GRPC_UNAVAILABLE, why, NULL);
    }
    if (count > 0)
        log_event(LOG_INFO, "agent.sessions_closed", "sessions=%u why=%s", count,
                  log_quote(why).text);
}

void sessions_behind(struct sessions *s)
{
    for (struct session *x = s->first, *next; x != NULL; x = next) {
        next = x->next;
        if (x->type == CALL_SESSION)
            session__end(x, GRPC_UNAVAILABLE, STR("too much at once"));
    }
}

/* ---- requests ---- */

/* Whose session is it? The certificate names the node and must be of the key the name is bound to. */
static bool may_open(struct front *f, const struct http_request *q, struct str *out_node,
                     const char **out_why)
{
    const struct http_peer *peer = q->peer;
    struct str name = {0};
    bool is_node = false;

    *out_why = peer->state == HTTP_PEER_REFUSED ? peer->why : "a node's certificate is needed";
    if (peer->state != HTTP_PEER_TRUSTED || peer->id.not_after.ns <= clock_wall().ns)
        return false;
    for (uint32_t i = 0; i < peer->id.groups_count; i++)
        is_node = is_node || strcmp(pki_group(&peer->id, i), "system:nodes") == 0;
    name = str_of(pki_common_name(&peer->id));
    if (!is_node || !str_starts(name, str_of(node_prefix)))
        return false;
    *out_node = str_slice(name, sizeof node_prefix - 1, name.len);
    struct index_snapshot objects = index_snapshot(f->shared->index);
    bool bound = node_key_is(&objects, *out_node, str_of(peer->id.key_fingerprint));
    index_snapshot_free(&objects);
    *out_why = "this node name is not bound to this key: join again";
    return bound;
}

static bool tell_core(struct sessions *s, const struct session *x, const struct http_request *q,
                      struct str node)
{
    struct front *f = s->front;
    char came_to[TCP_ADDRESS_MAX];
    struct buf own;
    buf_init(&own, OWN_ADDRESSES_MAX);
    http_server_own_address(f->server, q->id, came_to);
    own_addresses_bar(f->shared->named, q->address, came_to, &own);
    bool told =
        front_post(f, LETTER_AGENT_OPENED, 0, letter_agent(name_of(x), node, buf_str(&own)));
    buf_free(&own);
    return told;
}

/* A Session or a Stream of a node's own. */
static void begin_call(struct sessions *s, const struct http_request *q, enum call_type type)
{
    struct front *f = s->front;
    struct http_reply ok = {.status = 200, .content_type = "application/grpc"};
    struct str node;
    struct slot_id id;
    const char *why;

    bool ready = shell_is_ready(f->shared->shell); /* Before, no name is bound to any key. */
    if (ready && !may_open(f, q, &node, &why)) {
        refuse(f, q->id, GRPC_UNAUTHENTICATED, why);
        return;
    }
    if (ready && type == CALL_STREAM)
        session__make_room(s, type, node);
    if (!ready || !slots_take(&s->slots, &id)) {
        refuse(f, q->id, GRPC_UNAVAILABLE, "not ready for this now");
        return;
    }
    struct session *x = session_open(s, q, type);
    x->id = id;
    x->budget = SESSION_BURST;
    x->filled = loop_now(f->loop);
    s->at[id.slot] = x;
    memcpy(x->node, node.at,
           node.len); /* At most PKI_NAME_LEN_MAX: the certificate's reader saw to it. */
    http_server_start(f->server, x->http, &ok);
    if (type == CALL_STREAM) {
        session__expect_word(x);
        return;
    }
    if (!tell_core(s, x, q, node)) {
        session__end(x, GRPC_UNAVAILABLE, STR("too much at once"));
        return;
    }
    directory_put(f->shared->directory, node, name_of(x));
    log_event(LOG_INFO, "agent.session_opened", "node=%s from=%s", log_quote(node).text,
              q->address);
}

/* ---- consoles ---- */

static void session_pump(struct session *x);
static void session_queue(struct session *x, struct blob *frame);

/* An empty message: from now on what is typed arrives. */
static void console_opened(void *owner)
{
    session_queue(owner, grpc_frame(STR("")));
}

static void console_data(void *owner, struct str bytes)
{
    session_queue(owner, grpc_frame(bytes));
}

static void console_ended(void *owner, uint32_t code, struct str text)
{
    struct session *x = owner;
    session__end(x,
                 code == 0                    ? GRPC_OK
                 : code == 503 || code == 504 ? GRPC_UNAVAILABLE
                                              : GRPC_FAILED_PRECONDITION,
                 text);
}

static const struct relay_user console_user = {
    .opened = console_opened, .data = console_data, .ended = console_ended};

/* Where it goes to. Otherwise why not; its text lives in a. */
static enum grpc_status find_console(struct front *f, const struct http_request *q, struct arena *a,
                                     struct relay_wish *out, struct str *out_why)
{
    struct rest_path at;

    *out_why = STR("no such method");
    if (!console_path(q->head.path, a, &at))
        return GRPC_UNIMPLEMENTED;
    if (!front_may(f, q, REST_CREATE, &at, a, out_why))
        return GRPC_PERMISSION_DENIED;
    *out_why = STR("the store is being loaded");
    if (!shell_is_ready(f->shared->shell)) /* Before, nothing would be found. */
        return GRPC_UNAVAILABLE;
    if (logs_find(f, &at, a, out, out_why))
        return GRPC_OK;
    return str_ends(*out_why, STR("not found")) ? GRPC_NOT_FOUND : GRPC_FAILED_PRECONDITION;
}

static void begin_console(struct sessions *s, const struct http_request *q)
{
    struct front *f = s->front;
    struct http_reply ok = {.status = 200, .content_type = "application/grpc"};
    struct relay_wish wish = {.stream = {.console = true}};
    struct arena arena;
    struct str why;

    arena_init(&arena, CONSOLE_ARENA_MAX);
    enum grpc_status status = find_console(f, q, &arena, &wish, &why);
    if (status != GRPC_OK) {
        refuse(f, q->id, status, arena_dup(&arena, why));
        arena_free(&arena);
        return;
    }
    struct session *x = session_open(s, q, CALL_CONSOLE);
    http_server_start(f->server, x->http, &ok);
    x->console = relay_open(f->relays, &wish, &console_user, x);
    arena_free(&arena);
    if (x->console == NULL)
        session__end(x, GRPC_RESOURCE_EXHAUSTED, STR("too many streams at once"));
}

/* ---- joins ---- */

void session__join_done(void *owner, enum grpc_status status, struct str text, struct blob *reply)
{
    struct session *x = owner;
    struct front *f = x->all->front;
    struct http_reply ok = {.status = 200, .content_type = "application/grpc"};
    struct http_header trailers[2];
    char scratch[512], why[256];

    if (status != GRPC_OK) {
        snprintf(why, sizeof why, STR_FMT, STR_ARG(text));
        refuse(f, x->http, status, why);
    } else {
        http_server_start(f->server, x->http, &ok);
        http_server_chunk(f->server, x->http, grpc_frame(blob_str(reply)));
        http_server_end(f->server, x->http, trailers,
                        grpc_trailers(GRPC_OK, STR(""), scratch, sizeof scratch, trailers));
    }
    blob_unref(reply);
    session_free(x);
}

/* Anybody may come here, with nothing but a stream: what it takes is bounded in number, bytes and time. */
static void begin_join(struct sessions *s, const struct http_request *q)
{
    session__make_room(s, CALL_JOIN, STR(""));
    struct session *x = session_open(s, q, CALL_JOIN);
    x->join = join_new(s->front, q);
    session__expect_word(x);
}

/* Its request is there. */
static void join_said(struct session *x)
{
    session__has_spoken(x);
    join_begin(x->join, session__join_done, x);
}

void sessions_request(struct sessions *s, const struct http_request *q)
{
    if (!str_is(q->head.method, "POST"))
        http_server_reply(s->front->server, q->id, &(struct http_reply){.status = 405}, NULL);
    else if (str_is(q->head.path, path_session))
        begin_call(s, q, CALL_SESSION);
    else if (str_is(q->head.path, path_stream))
        begin_call(s, q, CALL_STREAM);
    else if (str_is(q->head.path, path_join))
        begin_join(s, q);
    else if (str_starts(q->head.path, STR("/apis/")))
        begin_console(s, q);
    else
        refuse(s->front, q->id, GRPC_UNIMPLEMENTED, "no such method");
}

/* ---- messages ---- */

/* An agent that refuses a stream says so on its session; that is a relay's business, not the core's. */
static bool stream_refused(struct session *x, struct str bytes)
{
    struct stream_refusal refusal;

    if (!stream_refusal_read(bytes, &refusal))
        return false;
    struct letter *l = letter_agent(refusal.id, str_of(x->node), refusal.text);
    l->agent.number = refusal.code;
    front_tell(x->all->front, refusal.id, LETTER_STREAM_ERROR, l);
    return true;
}

static bool session_message(struct session *x, struct str bytes)
{
    x->budget -= SESSION_MESSAGE_COST;
    if (stream_refused(x, bytes))
        return true;
    x->lost = x->lost || !front_post(x->all->front, LETTER_AGENT_MESSAGE, 0,
                                     letter_agent(name_of(x), str_of(x->node), bytes));
    return !x->lost;
}

/* The first frame names the relay; every frame goes there. */
static bool stream_message(struct session *x, struct str bytes)
{
    struct front *f = x->all->front;
    struct stream_frame frame;

    if (x->relay == 0) {
        session__has_spoken(x);
        stream_frame_read(bytes, &frame);
        x->relay = frame.id;
        struct letter *opened = letter_agent(x->relay, str_of(x->node), (struct str){NULL, 0});
        opened->agent.from = name_of(x);
        x->lost = x->relay == 0 || !front_tell(f, x->relay, LETTER_STREAM_OPENED, opened);
        if (x->relay == 0)
            letter_free(opened);
    }
    if (x->lost)
        return false;
    struct letter *l = letter_agent(x->relay, str_of(x->node), bytes);
    l->agent.from = name_of(x);
    l->agent.number = bytes.len + GRPC_FRAME_HEAD;
    x->lost = !front_tell(f, x->relay, LETTER_STREAM_DATA, l);
    return !x->lost;
}

static bool message_came(void *arg, struct str bytes)
{
    struct session *x = arg;

    switch (x->type) {
    case CALL_SESSION:
        return session_message(x, bytes);
    case CALL_JOIN:
        return join_message(x->join, bytes);
    case CALL_STREAM:
        return stream_message(x, bytes);
    case CALL_CONSOLE:
        relay_send(x->console, bytes);
        return true;
    }
    return false;
}

void sessions_body(struct sessions *s, void *tag, struct str bytes, bool end)
{
    struct session *x = tag;
    struct err e = {0};

    if (x == NULL)
        return;
    if (x->type == CALL_SESSION)
        session__took(x, bytes.len);
    else if (x->type != CALL_STREAM) /* A stream's window opens as its relay passes bytes on. */
        http_server_consume(s->front->server, x->http, bytes.len);
    enum err_code code = grpc_reader_feed(&x->reader, bytes, message_came, x, &e);
    if (x->type == CALL_JOIN) {
        if (code != ERR_OK)
            session__join_done(x, grpc_from_err(code), str_of(e.text), NULL);
        else if (end)
            join_said(x);
        return;
    }
    if (code != ERR_OK)
        session__end(x, grpc_from_err(code), str_of(e.text));
    else if (x->lost)
        session__end(x, GRPC_UNAVAILABLE, STR("too much at once"));
    else if (end)
        session__end(x, GRPC_OK, STR(""));
}

/* As much of the queue as the stream has room for. */
static void session_pump(struct session *x)
{
    struct http_server *server = x->all->front->server;
    enum { PIECE = 64 << 10 };

    while (x->queue.queued_bytes > 0 && http_server_room(server, x->http) > 0) {
        uint32_t len = (uint32_t)min_size(x->queue.queued_bytes, PIECE);
        struct blob *piece = blob_reserve(len);
        pieces_pull(&x->queue, piece->at, len);
        http_server_chunk(server, x->http, piece);
    }
    if (x->console != NULL && x->queue.queued_bytes == 0)
        relay_ack(x->console);
}

/* Straight to the stream while it has room, which is nearly always. */
static void session_queue(struct session *x, struct blob *frame)
{
    struct http_server *server = x->all->front->server;

    if (x->queue.queued_bytes == 0 && http_server_room(server, x->http) > 0)
        http_server_chunk(server, x->http, frame);
    else
        pieces_push(&x->queue, frame);
    session_pump(x);
}

void sessions_writable(struct sessions *s, void *tag)
{
    (void)s;
    if (tag != NULL)
        session_pump(tag);
}

void sessions_cancelled(struct sessions *s, void *tag)
{
    struct session *x = tag;

    (void)s;
    if (x == NULL)
        return;
    if (x->type == CALL_SESSION)
        log_event(LOG_INFO, "agent.session_lost", "node=%s", log_quote(str_of(x->node)).text);
    tell_closed(x, STR("the connection to the node broke"));
    session_free(x);
}

void sessions_letter(struct sessions *s, enum letter_type type, const struct letter *l)
{
    struct session *x = find(s, l->agent.session);
    struct buf frame;

    if (x == NULL || x->type != CALL_STREAM)
        return;
    if (type == LETTER_STREAM_ACK) {
        http_server_consume(s->front->server, x->http, (size_t)l->agent.number);
    } else if (type == LETTER_STREAM_CLOSE) {
        x->relay = 0; /* It knows. */
        session__end(x, GRPC_CANCELLED, STR("the client went away"));
    } else {
        buf_init(&frame, l->agent.bytes.len + 32);
        stream_data_put(&frame, l->agent.bytes);
        sessions_send(s, l->agent.session, buf_str(&frame));
        buf_free(&frame);
    }
}

void sessions_send(struct sessions *s, uint64_t name, struct str bytes)
{
    struct session *x = find(s, name);

    if (x == NULL)
        return;
    if (x->queue.queued_bytes + bytes.len > SESSION_QUEUE_MAX) {
        session__end(x, GRPC_RESOURCE_EXHAUSTED, STR("the agent does not read"));
        return;
    }
    session_queue(x, grpc_frame(bytes));
}

void sessions_close(struct sessions *s, uint64_t name, struct str why)
{
    struct session *x = find(s, name);

    if (x == NULL)
        return;
    session_pump(
        x); /* A Goodbye may be the last thing said; what has no room is lost with the session. */
    session__end(x, GRPC_ABORTED, why);
}
