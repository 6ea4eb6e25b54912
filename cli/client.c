/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include "base/mem.h"
#include "cli/kubeconfig.h"
#include "cli/print.h"
#include "io/grpc.h"
#include "io/http_client.h"
#include "io/loop.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { CLIENT_MEMORY_MAX = 16 << 20 };

/* One request in flight. */
struct call {
    const struct client_request *request;
    struct buf body;
    uint32_t status;
    bool headed, ended, stopped;
    struct err err;
    struct err refused; /* What gRPC's status says. */
};

struct client {
    struct arena arena; /* What the kubeconfig says. */
    const char *path;   /* Its path; main()'s. */
    struct kubeconfig config;
    struct tls_config *tls;
    struct loop *loop;
    struct http_client *http;
    struct loop_client timer;
    struct call *call;                  /* The one in flight. */
    bool timed_out, readable, writable; /* readable: a duplex call's input. */
    int signo;                          /* Came while a duplex call was on; 0: none. */
    struct err closed;                  /* code ERR_OK: the connection stands. */
};

static void on_timer(struct loop_client *self, const struct io_event *ev)
{
    struct client *c = CONTAINER_OF(self, struct client, timer);
    if (ev->type == IO_DEADLINE)
        c->timed_out = true;
    if (ev->type == IO_FD_READABLE)
        c->readable = true;
    if (ev->type == IO_SIGNAL)
        c->signo = ev->signo;
}

static void on_body(struct call *call, struct str bytes)
{
    const struct client_request *r = call->request;
    if (r->bytes != NULL && call->status < 300)
        call->stopped = call->stopped || !r->bytes(r->owner, bytes);
    else
        buf_add(&call->body, bytes);
}

/* Warning: 299 - "text" (RFC 9111 5.5), as kubectl prints it. */
static void say_warnings(const struct http_headers *h)
{
    for (uint32_t i = 0; i < h->count; i++) {
        struct str text = h->at[i].value;
        size_t quote = str_find(text, '"', 0);
        if (!str_is(h->at[i].name, "warning") || quote + 1 >= text.len)
            continue;
        text = str_slice(text, quote + 1, text.len - (str_ends(text, STR("\"")) ? 1 : 0));
        fputs("Warning: ", stderr);
        for (size_t from = 0, to; from < text.len; from = to) {
            /* A quoted pair loses its backslash. */
            from += text.at[from] == '\\' && from + 1 < text.len;
            to = min_size(str_find(text, '\\', from + 1), text.len);
            print_complaint(str_slice(text, from, to));
        }
        fputc('\n', stderr);
    }
}

static void on_http(void *owner, const struct http_client_event *ev)
{
    struct client *c = owner;
    struct call *call = c->call;

    switch (ev->type) {
    case HTTP_CLIENT_HEAD:
        if (call != NULL) {
            call->status = ev->status;
            call->headed = true;
            (void)grpc_reason(&ev->headers, &call->refused); /* Of an answer without a body. */
            say_warnings(&ev->headers);
        }
        break;
    case HTTP_CLIENT_BODY:
        if (call != NULL)
            on_body(call, ev->bytes);
        break;
    case HTTP_CLIENT_END:
        if (call != NULL) {
            (void)grpc_reason(&ev->headers, &call->refused);
            call->ended = true;
        }
        break;
    case HTTP_CLIENT_FAILED:
        if (call != NULL) {
            call->err = ev->err;
            call->ended = true;
        }
        break;
    case HTTP_CLIENT_CLOSED:
        c->closed = ev->err;
        if (c->closed.code == ERR_OK)
            err_set(&c->closed, ERR_UNAVAILABLE, "the server closed the connection");
        break;
    case HTTP_CLIENT_WRITABLE:
        c->writable = true;
        break;
    case HTTP_CLIENT_OPEN:
        break;
    }
}

/* Again, when the connection is gone: a control plane that starts anew must not end whoever waits for something. */
static void dial(struct client *c)
{
    http_client_close(c->http);
    c->closed = (struct err){0};
    c->http = http_client_open(c->loop, &(struct http_client_options){.host = c->config.host,
                                                                      .port = c->config.port,
                                                                      .tls = c->tls,
                                                                      .event = on_http,
                                                                      .owner = c});
}

enum err_code client_open(const char *kubeconfig, struct client **out, struct err *e)
{
    struct client *c = mem_zalloc(1, sizeof *c);
    arena_init(&c->arena, CLIENT_MEMORY_MAX);
    enum err_code code = kubeconfig_read(&c->arena, kubeconfig, &c->config, e);
    if (code == ERR_OK)
        code = tls_client_config(&(struct tls_client_options){.ca = c->config.ca,
                                                              .cert = c->config.cert,
                                                              .key = c->config.key},
                                 &c->tls, e);
    if (code != ERR_OK && c->config.host != NULL)
        err_wrap(e, "%s", kubeconfig);
    if (code != ERR_OK) {
        client_close(c);
        return code;
    }
    c->path = kubeconfig;
    c->loop = loop_new();
    c->timer.event = on_timer;
    loop_join(c->loop, &c->timer);
    dial(c);
    *out = c;
    return ERR_OK;
}

void client_close(struct client *c)
{
    if (c == NULL)
        return;
    if (c->loop != NULL) {
        http_client_close(c->http);
        loop_leave(&c->timer);
        loop_free(c->loop);
    }
    tls_config_free(c->tls);
    arena_free(&c->arena);
    mem_free(c);
}

const char *client_server(const struct client *c)
{
    return c->config.server.at;
}

const char *client_namespace(const struct client *c)
{
    return c->config.namespace.at == NULL ? "" : c->config.namespace.at;
}

void client_wait(struct client *c, struct span wait)
{
    c->timed_out = false;
    loop_set_deadline(&c->timer, instant_add(loop_now(c->loop), wait));
    while (!c->timed_out)
        loop_step(c->loop, wait);
}

static uint32_t headers_of(struct client *c, const struct client_request *r,
                           struct http_header *out)
{
    uint32_t count = 0;
    out[count++] = (struct http_header){STR("accept"),
                                        str_of(r->accept == NULL ? "application/json" : r->accept)};
    out[count++] = (struct http_header){STR("user-agent"), STR("baton")};
    if (r->body.len > 0)
        out[count++] = (struct http_header){
            STR("content-type"),
            str_of(r->content_type == NULL ? "application/json" : r->content_type)};
    if (c->config.token.len > 0)
        out[count++] =
            (struct http_header){STR("authorization"), arena_printf(&c->arena, "Bearer " STR_FMT,
                                                                    STR_ARG(c->config.token))};
    return count;
}

/* Until the call ended, was stopped, timed out, or the connection went. */
static void run(struct client *c, struct call *call)
{
    struct span timeout = call->request->timeout.ns == 0 ? SPAN_S(60) : call->request->timeout;

    c->timed_out = false;
    loop_set_deadline(&c->timer, instant_add(loop_now(c->loop), timeout));
    loop_step(c->loop, (struct span){0}); /* The turn that sends what was asked outside of one. */
    while (!call->ended && !call->stopped && !c->timed_out && c->closed.code == ERR_OK) {
        loop_step(c->loop, SPAN_S(1));
        if (call->headed && call->request->bytes != NULL && call->status < 300) {
            loop_set_deadline(&c->timer, (struct instant){0});
            c->timed_out = false;
        }
    }
    loop_set_deadline(&c->timer, (struct instant){0});
}

static enum err_code outcome(struct client *c, struct call *call, struct err *e)
{
    const char *server = client_server(c);
    if (call->ended && call->err.code == ERR_OK)
        return buf_status(&call->body, e);
    if (call->stopped)
        return ERR_OK;
    if (call->ended)
        *e = call->err;
    else if (c->closed.code != ERR_OK)
        *e = c->closed;
    else
        err_set(e, ERR_UNAVAILABLE, "no answer in time");
    return err_wrap(e, "%s", server);
}

enum err_code client_ask(struct client *c, struct arena *a, const struct client_request *r,
                         struct client_reply *out, struct err *e)
{
    struct call call = {.request = r};
    struct http_header headers[4];
    struct http_client_request request = {.method = r->method == NULL ? "GET" : r->method,
                                          .path = r->path,
                                          .headers = headers,
                                          .headers_count = headers_of(c, r, headers),
                                          .body = r->body};

    buf_init(&call.body, CLIENT_BODY_MAX);
    if (c->closed.code != ERR_OK)
        dial(c);
    c->call = &call;
    struct slot_id id = http_client_start(c->http, 1, &request);
    run(c, &call);
    if (!call.ended)
        http_client_cancel(c->http, id);
    c->call = NULL;

    enum err_code code = outcome(c, &call, e);
    if (code == ERR_OK)
        *out = (struct client_reply){call.status, arena_str(a, buf_str(&call.body))};
    buf_free(&call.body);
    return code == ERR_OK ? arena_status(a, e) : code;
}

static enum err_code code_of(uint32_t status)
{
    if (status == 404)
        return ERR_NOT_FOUND;
    if (status == 409)
        return ERR_CONFLICT;
    if (status == 401 || status == 403)
        return ERR_DENIED;
    if (status == 413)
        return ERR_LIMIT;
    if (status == 429)
        return ERR_BUSY;
    return status >= 500 ? ERR_UNAVAILABLE : ERR_INVALID;
}

enum err_code client_json(struct client *c, struct arena *a, const struct client_request *r,
                          const struct json **out, struct err *e)
{
    struct client_reply reply;
    struct json *tree = NULL;

    enum err_code code = client_ask(c, a, r, &reply, e);
    if (code != ERR_OK)
        return code;
    code = json_parse(a, reply.body, &tree, e);
    if (reply.status >= 300) {
        struct str message =
            code == ERR_OK ? json_text(json_find(tree, STR("message"))) : reply.body;
        if (reply.status == 401)
            return err_set(
                e, ERR_DENIED,
                "%s does not know whoever %s names: it belongs to another cluster, or its "
                "certificate or token has ended",
                client_server(c), c->path);
        return err_set(e, code_of(reply.status), STR_FMT, STR_ARG(str_slice(message, 0, 200)));
    }
    if (code != ERR_OK)
        return err_wrap(e, "%s: the answer is not JSON", r->path);
    *out = tree;
    return ERR_OK;
}

/* ---- both ways ---- */

struct duplex {
    const struct client_duplex *d;
    struct grpc_reader reader;
    bool opened;
};

/* The first message says that the other end is there, and may be empty. */
static bool on_message(void *arg, struct str bytes)
{
    struct duplex *x = arg;
    if (!x->opened)
        x->d->opened(x->d->owner);
    x->opened = true;
    return bytes.len == 0 || x->d->bytes(x->d->owner, bytes);
}

static bool on_frames(void *owner, struct str bytes)
{
    struct duplex *x = owner;
    struct err e;
    return grpc_reader_feed(&x->reader, bytes, on_message, x, &e) == ERR_OK;
}

/* One read of input, sent up. False: input ended, or the escape was typed. */
static bool pass_input(struct client *c, struct slot_id id, const struct client_duplex *d)
{
    char bytes[4096];
    ssize_t got = read(d->input_fd, bytes, sizeof bytes);

    c->readable = false;
    if (got <= 0)
        return false;
    const char *escape = d->escape == 0 ? NULL : memchr(bytes, d->escape, (size_t)got);
    size_t len = escape == NULL ? (size_t)got : (size_t)(escape - bytes);
    if (len > 0)
        c->writable = http_client_send(c->http, id, grpc_frame(str_from(bytes, len))) > 0;
    return escape == NULL;
}

static struct slot_id start_duplex(struct client *c, const struct client_request *r)
{
    struct http_header headers[5];
    uint32_t count = headers_of(c, r, headers);

    headers[count++] = (struct http_header){STR("content-type"), STR("application/grpc")};
    c->writable = true;
    return http_client_start(c->http, 1,
                             &(struct http_client_request){.method = "POST",
                                                           .path = r->path,
                                                           .headers = headers,
                                                           .headers_count = count,
                                                           .streaming = true});
}

/* Until somebody ends it. False: input did. */
static bool pass_both(struct client *c, struct call *call, struct duplex *x, struct slot_id id)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    struct loop_fd *input = NULL;
    bool more = true;

    for (size_t i = 0; i < COUNT_OF(signals); i++)
        loop_signal(&c->timer, signals[i]);
    loop_step(c->loop, (struct span){0});
    while (more && c->signo == 0 && !call->ended && !call->stopped && c->closed.code == ERR_OK) {
        if (input !=
            NULL) /* While there is no room for it, that it can be read must not keep us awake. */
            loop_want_fd(input, c->writable, false);
        loop_step(c->loop, SPAN_MS(200));
        if (x->opened && input == NULL)
            input = loop_watch_fd(&c->timer, 0, x->d->input_fd);
        if (c->readable && c->writable)
            more = pass_input(c, id, x->d);
    }
    if (input != NULL)
        loop_unwatch_fd(input);
    return more;
}

enum err_code client_duplex(struct client *c, const struct client_duplex *d,
                            struct client_ending *out, struct err *e)
{
    struct duplex x = {.d = d};
    struct client_request r = {
        .path = d->path, .bytes = on_frames, .owner = &x, .accept = "application/grpc"};
    struct call call = {.request = &r};

    grpc_reader_init(&x.reader, GRPC_MESSAGE_MAX);
    buf_init(&call.body, CLIENT_BODY_MAX);
    c->call = &call;
    struct slot_id id = start_duplex(c, &r);
    bool more = pass_both(c, &call, &x, id);
    if (!call.ended)
        http_client_cancel(c->http, id);
    c->call = NULL;
    call.stopped = call.stopped || !more || c->signo != 0;

    enum err_code code = outcome(c, &call, e);
    if (code == ERR_OK && call.ended && call.refused.code != ERR_OK) {
        *e = call.refused;
        code = e->code;
    } else if (code == ERR_OK && call.status >= 300) {
        code = err_set(e, code_of(call.status), STR_FMT,
                       STR_ARG(str_slice(buf_str(&call.body), 0, 180)));
    }
    if (code == ERR_OK)
        *out = (struct client_ending){c->signo != 0  ? CLIENT_KILLED
                                      : call.stopped ? CLIENT_LEFT
                                                     : CLIENT_ENDED,
                                      c->signo};
    buf_free(&call.body);
    grpc_reader_free(&x.reader);
    return code;
}
