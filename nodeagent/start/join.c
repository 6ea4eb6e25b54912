/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/start/join.h"

#include "base/arena.h"
#include "base/mem.h"
#include "io/grpc.h"
#include "io/pki.h"

#include <stdio.h>

enum { JOIN_MEMORY_MAX = 1 << 20 };

struct join {
    struct loop_client timer;
    struct arena arena;
    struct http_client *http;
    struct grpc_reader reader;
    struct str reply;
    char host[256];
    uint16_t port;
    uint32_t http_status;
    bool over;
    struct err err;
    join_done *done;
    void *owner;
};

/* ---- what comes back ---- */

/* Told in a turn of its own: done() may free the call, and with it the connection. */
static void end(struct join *j, struct instant now)
{
    j->over = true;
    loop_set_deadline(&j->timer, now);
}

static bool on_message(void *arg, struct str bytes)
{
    struct join *j = arg;
    j->reply = arena_str(&j->arena, bytes);
    return true;
}

static void on_http(void *owner, const struct http_client_event *ev)
{
    struct join *j = owner;
    if (j->over)
        return;
    switch (ev->type) {
    case HTTP_CLIENT_HEAD:
        j->http_status = ev->status;
        grpc_reason(&ev->headers, &j->err); /* Of an answer without a body. */
        break;
    case HTTP_CLIENT_BODY:
        if (j->http_status == 200 && j->err.code == ERR_OK)
            j->err.code = grpc_reader_feed(&j->reader, ev->bytes, on_message, j, &j->err);
        break;
    case HTTP_CLIENT_END:
        if (ev->headers.count > 0)
            grpc_reason(&ev->headers, &j->err);
        if (j->http_status != 200 && j->err.code == ERR_OK)
            err_set(&j->err, ERR_UNAVAILABLE, "HTTP status %u", j->http_status);
        end(j, ev->now);
        break;
    case HTTP_CLIENT_FAILED:
    case HTTP_CLIENT_CLOSED:
        j->err = ev->err;
        end(j, ev->now);
        break;
    case HTTP_CLIENT_OPEN:
    case HTTP_CLIENT_WRITABLE:
        break;
    }
}

static void tell(struct join *j)
{
    Agent__JoinReply *reply = NULL;

    if (j->err.code == ERR_OK && j->reply.at == NULL)
        err_set(&j->err, ERR_UNAVAILABLE, "the answer is empty");
    if (j->err.code == ERR_OK && (reply = agent__join_reply__unpack(
                                      NULL, j->reply.len, (const uint8_t *)j->reply.at)) == NULL)
        err_set(&j->err, ERR_CORRUPT, "the answer does not decode");
    if (j->err.code != ERR_OK)
        err_wrap(&j->err, "join %s:%u", j->host, j->port);
    j->done(j->owner, reply, &j->err);
    if (reply != NULL)
        agent__join_reply__free_unpacked(reply, NULL);
}

static void on_timer(struct loop_client *self, const struct io_event *ev)
{
    struct join *j = CONTAINER_OF(self, struct join, timer);
    if (ev->type != IO_DEADLINE)
        return;
    if (!j->over)
        err_set(&j->err, ERR_UNAVAILABLE, "no answer in %d s", JOIN_LIMIT_S);
    j->over = true;
    tell(j);
}

/* ---- asking ---- */

static struct str pack(const struct join_request *r, struct arena *a)
{
    Agent__JoinRequest m = AGENT__JOIN_REQUEST__INIT;
    m.token = arena_dup(a, r->token);
    m.csr_pem = arena_dup(a, r->csr);
    m.node_name = (char *)r->node_name;
    m.agent_version = (char *)BATON_VERSION;
    size_t len = agent__join_request__get_packed_size(&m);
    uint8_t *room = arena_alloc(a, len);
    if (room != NULL)
        agent__join_request__pack(&m, room);
    return str_from(room, room == NULL ? 0 : len);
}

struct join *join_start(struct loop *l, const struct join_request *r, join_done *done, void *owner)
{
    static const struct http_header headers[] = {{STR("content-type"), STR("application/grpc")},
                                                 {STR("te"), STR("trailers")}};
    struct join *j = mem_zalloc(1, sizeof *j);

    j->timer.event = on_timer;
    j->port = r->port;
    j->done = done;
    j->owner = owner;
    snprintf(j->host, sizeof j->host, "%s", r->host);
    arena_init(&j->arena, JOIN_MEMORY_MAX);
    grpc_reader_init(&j->reader, GRPC_MESSAGE_MAX);
    loop_join(l, &j->timer);
    loop_set_deadline(&j->timer, instant_add(loop_now(l), SPAN_S(JOIN_LIMIT_S)));
    j->http = http_client_open(
        l, &(struct http_client_options){
               .host = j->host, .port = j->port, .tls = r->tls, .event = on_http, .owner = j});
    struct blob *frame = grpc_frame(pack(r, &j->arena));
    http_client_start(j->http, 1,
                      &(struct http_client_request){.method = "POST",
                                                    .path = "/baton.agent.v1.Agent/Join",
                                                    .headers = headers,
                                                    .headers_count = COUNT_OF(headers),
                                                    .body = blob_str(frame)});
    blob_unref(frame);
    return j;
}

void join_free(struct join *j)
{
    if (j == NULL)
        return;
    http_client_close(j->http);
    loop_leave(&j->timer);
    grpc_reader_free(&j->reader);
    arena_free(&j->arena);
    mem_free(j);
}

/* ---- and waiting ---- */

struct waiting {
    bool over;
    Agent__JoinReply *reply;
    struct err why;
};

/* The reply is the call's; what is kept of it is a copy. */
static Agent__JoinReply *copy(const Agent__JoinReply *reply)
{
    size_t len = agent__join_reply__get_packed_size(reply);
    uint8_t *bytes = mem_zalloc(1, len + 1);
    agent__join_reply__pack(reply, bytes);
    Agent__JoinReply *same = agent__join_reply__unpack(NULL, len, bytes);
    mem_free(bytes);
    return same;
}

static void on_done(void *owner, const Agent__JoinReply *reply, const struct err *why)
{
    struct waiting *w = owner;
    w->over = true;
    w->why = *why;
    w->reply = reply == NULL ? NULL : copy(reply);
}

static enum err_code wait_for(const struct join_request *r, Agent__JoinReply **out, struct err *e)
{
    struct waiting w = {0};
    struct loop *loop = loop_new();
    struct join *j = join_start(loop, r, on_done, &w);

    loop_step(loop, (struct span){0}); /* The turn that sends what was asked outside of one. */
    while (!w.over)
        loop_step(loop, SPAN_S(1));
    join_free(j);
    loop_free(loop);
    if (w.reply == NULL)
        *e = w.why;
    else
        *out = w.reply;
    return w.reply == NULL ? w.why.code : ERR_OK;
}

enum err_code join_by_token(const struct join_request *r, Agent__JoinReply **out, struct err *e)
{
    struct str fingerprint = r->token, id, secret;
    struct join_request asked = *r;
    char text[PKI_FINGERPRINT_LEN + 1];
    struct tls_config *tls;

    if (!str_split(&fingerprint, '.', &id) || !str_split(&fingerprint, '.', &secret) ||
        fingerprint.len != PKI_FINGERPRINT_LEN)
        return err_set(e, ERR_INVALID, "the token is not ID.SECRET.FINGERPRINT");
    snprintf(text, sizeof text, STR_FMT, STR_ARG(fingerprint));
    enum err_code code =
        tls_client_config(&(struct tls_client_options){.ca_fingerprint = text}, &tls, e);
    if (code != ERR_OK)
        return code;
    asked.token = str_slice(r->token, 0, id.len + 1 + secret.len);
    asked.tls = tls;
    code = wait_for(&asked, out, e);
    tls_config_free(tls);
    return code;
}
