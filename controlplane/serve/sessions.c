/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/sessions.h"

#include "base/log.h"
#include "base/mem.h"
#include "controlplane/serve/front_priv.h"
#include "controlplane/serve/join.h"
#include "controlplane/serve/node_key.h"
#include "io/clock.h"
#include "io/grpc.h"
#include "io/pieces.h"

#include <stdio.h>

static const char path_join[] = "/baton.agent.v1.Agent/Join";
static const char path_session[] = "/baton.agent.v1.Agent/Session";
static const char node_prefix[] = "system:node:";

/* One gRPC call of an agent's. */
struct session {
    struct sessions *all;
    struct slot_id id; /* Its name for the core; {0,0}: a Join. */
    struct slot_id http;
    struct join *join; /* NULL: a Session. */
    struct grpc_reader reader;
    struct pieces queue; /* What the stream has no room for yet. */
    char node[PKI_NAME_LEN_MAX + 1];
    bool lost; /* The core had no room for a message: the session must end. */
    struct session *next, *previous;
};

struct sessions {
    struct front *front;
    struct slots slots;
    struct session **at;
    struct session *first;
};

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

static struct session *session_open(struct sessions *s, const struct http_request *q)
{
    struct session *x = mem_zalloc(1, sizeof *x);

    x->all = s;
    x->http = q->id;
    x->next = s->first;
    if (s->first != NULL)
        s->first->previous = x;
    s->first = x;
    grpc_reader_init(&x->reader, SESSION_MESSAGE_MAX);
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
    join_free(x->join);
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
static void tell_closed(struct session *x)
{
    struct front *f = x->all->front;

    if (x->id.generation == 0)
        return;
    if (!front_post(f, LETTER_AGENT_CLOSED, 0, letter_agent(name_of(x), str_of(x->node), STR(""))))
        log_event(LOG_WARN, "agent.close_untold", "node=%s then=%s",
                  log_quote(str_of(x->node)).text, "its lease or its next session tells the core");
}

/* Ends the stream with a status, tells the core, forgets it. */
static void session_end(struct session *x, enum grpc_status status, struct str why)
{
    struct front *f = x->all->front;
    char scratch[512];
    struct http_header trailers[2];

    log_event(status == GRPC_OK ? LOG_INFO : LOG_WARN, "agent.session_closed",
              "node=%s status=%d why=%s", log_quote(str_of(x->node)).text, (int)status,
              log_quote(why).text);
    http_server_end(f->server, x->http, trailers,
                    grpc_trailers(status, why, scratch, sizeof scratch, trailers));
    tell_closed(x);
    session_free(x);
}

void sessions_free(struct sessions *s)
{
    while (s->first != NULL) {
        struct session *x = s->first;
        if (x->join == NULL)
            session_end(x, GRPC_UNAVAILABLE, STR("the control plane is shutting down"));
        else
            session_free(x);
    }
    slots_fini(&s->slots);
    mem_free(s->at);
    mem_free(s);
}

/* ---- requests ---- */

/* Whose session is it? The certificate names the node and must be of the key the name is bound to. */
static bool may_open(struct front *f, const struct http_request *q, struct str *out_node,
                     const char **out_why)
{
    const struct http_peer *peer = q->peer;
    struct str name = {0};
    bool is_node = false;

    *out_why = "a node's certificate is needed";
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

static void begin_session(struct sessions *s, const struct http_request *q)
{
    struct front *f = s->front;
    struct http_reply ok = {.status = 200, .content_type = "application/grpc"};
    struct str node;
    struct slot_id id;
    const char *why;

    if (!may_open(f, q, &node, &why)) {
        refuse(f, q->id, GRPC_UNAUTHENTICATED, why);
        return;
    }
    if (!shell_is_ready(f->shared->shell) || !slots_take(&s->slots, &id)) {
        refuse(f, q->id, GRPC_UNAVAILABLE, "not ready for sessions now");
        return;
    }
    struct session *x = session_open(s, q);
    x->id = id;
    s->at[id.slot] = x;
    memcpy(x->node, node.at,
           node.len); /* At most PKI_NAME_LEN_MAX: the certificate's reader saw to it. */
    http_server_start(f->server, x->http, &ok);
    if (!front_post(f, LETTER_AGENT_OPENED, 0, letter_agent(name_of(x), node, STR("")))) {
        session_end(x, GRPC_UNAVAILABLE, STR("too much at once"));
        return;
    }
    log_event(LOG_INFO, "agent.session_opened", "node=%s from=%s", log_quote(node).text,
              q->address);
}

static void join_done(void *owner, enum grpc_status status, struct str text, struct blob *reply)
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

void sessions_request(struct sessions *s, const struct http_request *q)
{
    if (!str_is(q->head.method, "POST"))
        http_server_reply(s->front->server, q->id, &(struct http_reply){.status = 405}, NULL);
    else if (str_is(q->head.path, path_session))
        begin_session(s, q);
    else if (str_is(q->head.path, path_join))
        session_open(s, q)->join = join_new(s->front, q->address);
    else
        refuse(s->front, q->id, GRPC_UNIMPLEMENTED, "no such method");
}

/* ---- messages ---- */

static bool message_came(void *arg, struct str bytes)
{
    struct session *x = arg;

    if (x->join != NULL)
        return join_message(x->join, bytes);
    x->lost = x->lost || !front_post(x->all->front, LETTER_AGENT_MESSAGE, 0,
                                     letter_agent(name_of(x), str_of(x->node), bytes));
    return !x->lost;
}

void sessions_body(struct sessions *s, void *tag, struct str bytes, bool end)
{
    struct session *x = tag;
    struct err e = {0};

    (void)s;
    if (x == NULL)
        return;
    enum err_code code = grpc_reader_feed(&x->reader, bytes, message_came, x, &e);
    if (code == ERR_OK && x->join != NULL && end) {
        join_begin(x->join, join_done, x);
        return;
    }
    if (x->join != NULL) {
        if (code != ERR_OK)
            join_done(x, grpc_from_err(code), str_of(e.text), NULL);
        return;
    }
    if (code != ERR_OK)
        session_end(x, grpc_from_err(code), str_of(e.text));
    else if (x->lost)
        session_end(x, GRPC_UNAVAILABLE, STR("too much at once"));
    else if (end)
        session_end(x, GRPC_OK, STR(""));
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
    if (x->join == NULL)
        log_event(LOG_INFO, "agent.session_lost", "node=%s", log_quote(str_of(x->node)).text);
    tell_closed(x);
    session_free(x);
}

void sessions_send(struct sessions *s, uint64_t name, struct str bytes)
{
    struct session *x = find(s, name);

    if (x == NULL)
        return;
    if (x->queue.queued_bytes + bytes.len > SESSION_QUEUE_MAX) {
        session_end(x, GRPC_RESOURCE_EXHAUSTED, STR("the agent does not read"));
        return;
    }
    pieces_push(&x->queue, grpc_frame(bytes));
    session_pump(x);
}

void sessions_close(struct sessions *s, uint64_t name, struct str why)
{
    struct session *x = find(s, name);

    if (x == NULL)
        return;
    session_pump(
        x); /* A Goodbye may be the last thing said; what has no room is lost with the session. */
    session_end(x, GRPC_ABORTED, why);
}
