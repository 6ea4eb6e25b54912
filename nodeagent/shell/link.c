/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/shell/link.h"

#include "base/mem.h"
#include "io/grpc.h"

/* CONNECT_S: the server answers in order; giving up costs the place in its line, and a resumed session. */
enum { OP_SESSION = 1, OP_STREAMS = 2, KEEPALIVE_S = 10, CONNECT_S = 30 };

struct call {
    struct slot_id id;
    struct grpc_reader reader;
    bool open;
};

struct link {
    struct link_options o;
    struct tls_config *tls, *next; /* next: NULL, or what the next connection shows. */
    struct http_client *http;
    struct loop_client closer; /* Ends the client outside its own callback. */
    struct call session;
    struct call streams[LINK_STREAMS_MAX];
    bool up, dead; /* dead: the connection is to be closed in this turn. */
};

/* What grpc_reader_feed() hands messages to. */
struct target {
    struct link *l;
    enum link_event_type type;
    uint32_t stream;
    struct instant now;
};

static bool on_message(void *arg, struct str bytes)
{
    struct target *t = arg;
    t->l->o.event(
        t->l->o.owner,
        &(struct link_event){.type = t->type, .stream = t->stream, .bytes = bytes, .now = t->now});
    return !t->l->dead;
}

static void end_call(struct call *c)
{
    if (!c->open)
        return;
    grpc_reader_free(&c->reader);
    c->open = false;
}

/* The connection is of no more use; LINK_CLOSED, once. */
static void give_up(struct link *l, const struct err *why, struct instant now)
{
    if (l->dead)
        return;
    l->dead = true;
    for (uint32_t i = 0; i < LINK_STREAMS_MAX; i++)
        if (l->streams[i].open) {
            end_call(&l->streams[i]);
            l->o.event(l->o.owner,
                       &(struct link_event){.type = LINK_STREAM_CLOSED, .stream = i, .now = now});
        }
    end_call(&l->session);
    l->up = false;
    l->o.event(l->o.owner, &(struct link_event){.type = LINK_CLOSED, .err = *why, .now = now});
    loop_set_deadline(&l->closer, now); /* Close the client in the next turn. */
}

static void feed(struct link *l, struct call *c, struct target *t,
                 const struct http_client_event *ev)
{
    struct err e;
    if (!c->open || grpc_reader_feed(&c->reader, ev->bytes, on_message, t, &e) == ERR_OK || l->dead)
        return;
    give_up(l, &e, ev->now);
}

static void on_session(struct link *l, const struct http_client_event *ev)
{
    struct target t = {.l = l, .type = LINK_MESSAGE, .now = ev->now};
    struct err why;

    if (ev->type == HTTP_CLIENT_BODY) {
        feed(l, &l->session, &t, ev);
    } else if (ev->type == HTTP_CLIENT_HEAD && ev->status != 200) {
        err_set(&why, ERR_DENIED, "the session was answered with HTTP status %u", ev->status);
        give_up(l, &why, ev->now);
    } else if (ev->type == HTTP_CLIENT_HEAD && grpc_reason(&ev->headers, &why) != ERR_OK) {
        err_wrap(&why, "the server refuses the session"); /* Told before any trailers. */
        give_up(l, &why, ev->now);
    } else if (ev->type == HTTP_CLIENT_END) {
        if (grpc_reason(&ev->headers, &why) == ERR_OK)
            err_set(&why, ERR_UNAVAILABLE, "no reason given");
        err_wrap(&why, "the server ended the session");
        give_up(l, &why, ev->now);
    } else if (ev->type == HTTP_CLIENT_FAILED) {
        give_up(l, &ev->err, ev->now);
    }
}

static void on_stream(struct link *l, uint32_t at, const struct http_client_event *ev)
{
    struct target t = {.l = l, .type = LINK_STREAM_MESSAGE, .stream = at, .now = ev->now};
    struct call *c = &l->streams[at];

    if (!c->open)
        return;
    if (ev->type == HTTP_CLIENT_BODY) {
        feed(l, c, &t, ev);
    } else if (ev->type == HTTP_CLIENT_WRITABLE) {
        l->o.event(l->o.owner, &(struct link_event){
                                   .type = LINK_STREAM_WRITABLE, .stream = at, .now = ev->now});
    } else if (ev->type == HTTP_CLIENT_END || ev->type == HTTP_CLIENT_FAILED) {
        end_call(c);
        l->o.event(l->o.owner,
                   &(struct link_event){.type = LINK_STREAM_CLOSED, .stream = at, .now = ev->now});
    }
}

static const struct http_header grpc_headers[] = {{STR("content-type"), STR("application/grpc")},
                                                  {STR("te"), STR("trailers")}};

static bool start(struct link *l, uint64_t op, const char *path, struct call *c)
{
    c->id = http_client_start(l->http, op,
                              &(struct http_client_request){.method = "POST",
                                                            .path = path,
                                                            .headers = grpc_headers,
                                                            .headers_count = COUNT_OF(grpc_headers),
                                                            .streaming = true});
    c->open = c->id.generation != 0;
    if (c->open)
        grpc_reader_init(&c->reader, GRPC_MESSAGE_MAX);
    return c->open;
}

static void on_http(void *owner, const struct http_client_event *ev)
{
    struct link *l = owner;
    struct err why = ev->err;

    if (l->dead)
        return;
    if (ev->type == HTTP_CLIENT_OPEN) {
        l->up = start(l, OP_SESSION, "/baton.agent.v1.Agent/Session", &l->session);
        l->o.event(l->o.owner, &(struct link_event){.type = LINK_OPENED, .now = ev->now});
    } else if (ev->type == HTTP_CLIENT_CLOSED) {
        if (why.code == ERR_OK)
            err_set(&why, ERR_UNAVAILABLE, "the server closed the connection");
        give_up(l, &why, ev->now);
    } else if (ev->op == OP_SESSION) {
        on_session(l, ev);
    } else if (ev->op >= OP_STREAMS && ev->op < OP_STREAMS + LINK_STREAMS_MAX) {
        on_stream(l, (uint32_t)(ev->op - OP_STREAMS), ev);
    }
}

static void on_closer(struct loop_client *self, const struct io_event *ev)
{
    struct link *l = CONTAINER_OF(self, struct link, closer);
    if (ev->type != IO_DEADLINE || !l->dead)
        return;
    http_client_close(l->http);
    l->http = NULL;
    l->dead = false;
}

enum err_code link_identify(struct link *l, const struct identity *i, struct err *e)
{
    struct tls_client_options o = {
        .ca = buf_str(&i->ca), .cert = buf_str(&i->cert), .key = buf_str(&i->key)};
    struct tls_config *made;
    enum err_code code = tls_client_config(&o, &made, e);
    if (code != ERR_OK)
        return code;
    tls_config_free(l->next);
    l->next = made;
    return ERR_OK;
}

enum err_code link_new(const struct link_options *o, struct link **out, struct err *e)
{
    struct link *l = mem_zalloc(1, sizeof *l);
    enum err_code code = link_identify(l, o->identity, e);
    if (code != ERR_OK) {
        mem_free(l);
        return code;
    }
    l->o = *o;
    l->closer.event = on_closer;
    loop_join(o->loop, &l->closer);
    *out = l;
    return ERR_OK;
}

void link_free(struct link *l)
{
    if (l == NULL)
        return;
    link_shut(l);
    loop_leave(&l->closer);
    tls_config_free(l->tls);
    tls_config_free(l->next);
    mem_free(l);
}

void link_open(struct link *l)
{
    http_client_close(l->http);
    l->dead = false;
    if (l->next != NULL) {
        tls_config_free(l->tls);
        l->tls = l->next;
        l->next = NULL;
    }
    l->http = http_client_open(l->o.loop,
                               &(struct http_client_options){.host = l->o.host,
                                                             .port = l->o.port,
                                                             .tls = l->tls,
                                                             .requests_max = LINK_STREAMS_MAX + 1,
                                                             .connect = SPAN_S(CONNECT_S),
                                                             .keepalive = SPAN_S(KEEPALIVE_S),
                                                             .event = on_http,
                                                             .owner = l});
}

void link_shut(struct link *l)
{
    end_call(&l->session);
    for (uint32_t i = 0; i < LINK_STREAMS_MAX; i++)
        end_call(&l->streams[i]);
    l->up = false;
    http_client_close(l->http);
    l->http = NULL;
    l->dead = false;
}

void link_send(struct link *l, struct str message)
{
    if (l->up)
        http_client_send(l->http, l->session.id, grpc_frame(message));
}

bool link_stream(struct link *l, uint32_t *out_stream)
{
    for (uint32_t i = 0; l->up && i < LINK_STREAMS_MAX; i++)
        if (!l->streams[i].open) {
            *out_stream = i;
            return start(l, OP_STREAMS + i, "/baton.agent.v1.Agent/Stream", &l->streams[i]);
        }
    return false;
}

size_t link_stream_send(struct link *l, uint32_t stream, struct str message)
{
    struct call *c = &l->streams[stream];
    return c->open ? http_client_send(l->http, c->id, grpc_frame(message)) : 0;
}

void link_stream_finish(struct link *l, uint32_t stream)
{
    if (l->streams[stream].open)
        http_client_finish(l->http, l->streams[stream].id);
}
