/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/join.h"

#include "io/grpc.h"
#include "io/http_client.h"
#include "io/loop.h"

enum { JOIN_LIMIT_S = 20 };

struct join {
    struct loop_client timer;
    struct arena *arena;
    struct grpc_reader reader;
    struct str reply;
    uint32_t http_status;
    bool over;
    struct err err;
};

static void on_timer(struct loop_client *self, const struct io_event *ev)
{
    struct join *j = CONTAINER_OF(self, struct join, timer);
    if (ev->type != IO_DEADLINE)
        return;
    j->over = true;
    err_set(&j->err, ERR_UNAVAILABLE, "no answer in %d s", JOIN_LIMIT_S);
}

static bool on_message(void *arg, struct str bytes)
{
    struct join *j = arg;
    j->reply = arena_str(j->arena, bytes);
    return true;
}

/* gRPC's status stands in the trailers, or in the head of an answer without a body. */
static void on_status(struct join *j, const struct http_headers *headers)
{
    struct str code = http_header(headers, "grpc-status");
    if (code.at == NULL || str_is(code, "0"))
        return;
    struct str message = http_header(headers, "grpc-message");
    char text[200];
    size_t len = 0;
    if (message.len > sizeof text || !http_unescape(message, false, text, &len))
        len = 0;
    bool denied = str_is(code, "7") || str_is(code, "16") || str_is(code, "6");
    err_set(&j->err, denied ? ERR_DENIED : ERR_UNAVAILABLE, "%.*s", (int)len, text);
}

static void on_http(void *owner, const struct http_client_event *ev)
{
    struct join *j = owner;
    switch (ev->type) {
    case HTTP_CLIENT_HEAD:
        j->http_status = ev->status;
        on_status(j, &ev->headers);
        break;
    case HTTP_CLIENT_BODY:
        if (j->http_status == 200 && j->err.code == ERR_OK)
            j->err.code = grpc_reader_feed(&j->reader, ev->bytes, on_message, j, &j->err);
        break;
    case HTTP_CLIENT_END:
        if (ev->headers.count > 0)
            on_status(j, &ev->headers);
        if (j->http_status != 200 && j->err.code == ERR_OK)
            err_set(&j->err, ERR_UNAVAILABLE, "HTTP status %u", j->http_status);
        j->over = true;
        break;
    case HTTP_CLIENT_FAILED:
    case HTTP_CLIENT_CLOSED:
        if (!j->over)
            j->err = ev->err;
        j->over = true;
        break;
    case HTTP_CLIENT_OPEN:
    case HTTP_CLIENT_WRITABLE:
        break;
    }
}

static struct str pack(const struct join_request *r, struct arena *a, struct str token)
{
    Agent__JoinRequest m = AGENT__JOIN_REQUEST__INIT;
    m.token = arena_dup(a, token);
    m.csr_pem = arena_dup(a, r->csr);
    m.node_name = (char *)r->node_name;
    m.agent_version = (char *)BATON_VERSION;
    size_t len = agent__join_request__get_packed_size(&m);
    uint8_t *room = arena_alloc(a, len);
    if (room != NULL)
        agent__join_request__pack(&m, room);
    return str_from(room, len);
}

static void run(const struct join_request *r, struct join *j, const struct tls_config *tls,
                struct str message)
{
    static const struct http_header headers[] = {{STR("content-type"), STR("application/grpc")},
                                                 {STR("te"), STR("trailers")}};
    struct loop *loop = loop_new();
    struct blob *frame = grpc_frame(message);

    j->timer.event = on_timer;
    loop_join(loop, &j->timer);
    loop_set_deadline(&j->timer, instant_add(loop_now(loop), SPAN_S(JOIN_LIMIT_S)));
    struct http_client *http = http_client_open(
        loop, &(struct http_client_options){
                  .host = r->host, .port = r->port, .tls = tls, .event = on_http, .owner = j});
    http_client_start(http, 1,
                      &(struct http_client_request){.method = "POST",
                                                    .path = "/baton.agent.v1.Agent/Join",
                                                    .headers = headers,
                                                    .headers_count = COUNT_OF(headers),
                                                    .body = blob_str(frame)});
    loop_step(loop, (struct span){0}); /* The turn that sends what was asked outside of one. */
    while (!j->over)
        loop_step(loop, SPAN_S(1));
    http_client_close(http);
    loop_leave(&j->timer);
    loop_free(loop);
    blob_unref(frame);
}

enum err_code join_call(const struct join_request *r, struct arena *a, Agent__JoinReply **out,
                        struct err *e)
{
    struct join j = {.arena = a};
    struct tls_config *tls;
    struct str rest = r->token, id, secret;

    if (!str_split(&rest, '.', &id) || !str_split(&rest, '.', &secret) ||
        rest.len != PKI_FINGERPRINT_LEN)
        return err_set(e, ERR_INVALID, "the token is not ID.SECRET.FINGERPRINT");
    struct str token = str_slice(r->token, 0, id.len + 1 + secret.len);
    enum err_code code = tls_client_config(
        &(struct tls_client_options){.ca_fingerprint = arena_dup(a, rest)}, &tls, e);
    if (code != ERR_OK)
        return code;
    grpc_reader_init(&j.reader, GRPC_MESSAGE_MAX);
    run(r, &j, tls, pack(r, a, token));
    grpc_reader_free(&j.reader);
    tls_config_free(tls);
    if (j.err.code == ERR_OK && j.reply.at == NULL)
        err_set(&j.err, ERR_UNAVAILABLE, "the answer is empty");
    if (j.err.code != ERR_OK) {
        *e = j.err;
        return err_wrap(e, "join %s:%u", r->host, r->port);
    }
    Agent__JoinReply *reply =
        agent__join_reply__unpack(NULL, j.reply.len, (const uint8_t *)j.reply.at);
    if (reply == NULL)
        return err_set(e, ERR_CORRUPT, "join %s:%u: the answer does not decode", r->host, r->port);
    *out = reply;
    return ERR_OK;
}
