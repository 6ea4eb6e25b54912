/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/serve/whole.h"

#include "controlplane/serve/directory.h"
#include "controlplane/serve/encoded.h"
#include "io/clock.h"
#include "io/fs.h"
#include "proto/baton/agent/v1.pb-c.h"
#include "tests/testlib/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void read_pki(const struct whole *w, const char *name, struct buf *out)
{
    char path[FS_PATH_MAX];
    struct err e = {0};
    cr_assert(fs_join(path, w->dir, name));
    buf_init(out, PKI_PEM_MAX);
    cr_assert_eq(fs_read(path, out, &e), ERR_OK, "%s", e.text);
}

static void open_tls(struct whole *w)
{
    struct buf cert, key;
    struct err e = {0};
    struct tls_server_options server = {.cert = buf_str(&w->authority.server_cert),
                                        .key = buf_str(&w->authority.server_key),
                                        .client_ca = buf_str(&w->authority.ca_cert)};
    cr_assert_eq(tls_server_config(&server, &w->tls, &e), ERR_OK, "%s", e.text);
    read_pki(w, "control/pki/admin.crt", &cert);
    read_pki(w, "control/pki/admin.key", &key);
    struct tls_client_options admin = {
        .ca = buf_str(&w->authority.ca_cert), .cert = buf_str(&cert), .key = buf_str(&key)};
    cr_assert_eq(tls_client_config(&admin, &w->admin_tls, &e), ERR_OK, "%s", e.text);
    buf_free(&cert);
    buf_free(&key);
}

void whole_open(struct whole *w)
{
    unsigned char key[SEAL_KEY_SIZE] = {7};
    struct err e = {0};
    *w = (struct whole){.dir = "/tmp/baton-whole-XXXXXX"};
    signal(SIGPIPE, SIG_IGN);
    cr_assert_not_null(mkdtemp(w->dir));
    w->loop = loop_new();
    w->seal = seal_from_key(key);
    struct authority_options a = {.state = w->dir, .port = 1, .now = clock_wall()};
    cr_assert_eq(authority_open(&a, &w->authority, &e), ERR_OK, "%s", e.text);
    open_tls(w);
    struct shell_options s = {.store = "mem", .cluster_id = w->authority.cluster_id};
    cr_assert_eq(shell_open(w->loop, &s, &w->shell, &e), ERR_OK, "%s", e.text);
    w->shared = (struct front_shared){.shell = w->shell,
                                      .certificate_life = SPAN_S(365 * 86400),
                                      .index = core_index(shell_core(w->shell)),
                                      .history = core_history(shell_core(w->shell)),
                                      .memory_index = core_memory_index(shell_core(w->shell)),
                                      .memory_history = core_memory_history(shell_core(w->shell)),
                                      .seal = w->seal,
                                      .authority = &w->authority,
                                      .tls = w->tls,
                                      .api_url = "https://127.0.0.1",
                                      .sets = {shell_metrics(w->shell)},
                                      .sets_count = 1,
                                      .directory = directory_new(),
                                      .encoded = encoded_new(1 << 20)};
    struct front_options o = {
        .address = "127.0.0.1", .limits = http_server_limits_default(), .shared = &w->shared};
    for (uint32_t i = 0; i < WHOLE_FRONTS; i++) {
        o.number = i;
        cr_assert_eq(front_open(&o, &w->fronts[i], &e), ERR_OK, "%s", e.text);
        o.port = front_port(w->fronts[0]);
    }
    for (uint32_t i = 0; i < WHOLE_FRONTS; i++)
        front_start(w->fronts[i]);
    for (int i = 0; i < 1000 && !shell_is_ready(w->shell); i++)
        loop_step(w->loop, SPAN_MS(10));
    cr_assert(shell_is_ready(w->shell));
}

void whole_stop(struct whole *w)
{
    shell_stop(w->shell);
    for (int i = 0; i < 2000 && !shell_is_done(w->shell); i++)
        loop_step(w->loop, SPAN_MS(10));
    cr_assert(shell_is_done(w->shell));
}

void whole_join(struct whole *w)
{
    for (uint32_t i = 0; i < WHOLE_FRONTS && !w->joined; i++)
        front_stop(w->fronts[i]);
    for (uint32_t i = 0; i < WHOLE_FRONTS && !w->joined; i++)
        front_join(w->fronts[i]);
    w->joined = true;
}

void whole_close(struct whole *w)
{
    struct err e;
    whole_stop(w);
    whole_join(w);
    for (uint32_t i = 0; i < WHOLE_FRONTS; i++)
        front_free(w->fronts[i]);
    directory_free(w->shared.directory);
    encoded_free(w->shared.encoded);
    shell_free(w->shell);
    loop_free(w->loop);
    tls_config_free(w->tls);
    tls_config_free(w->admin_tls);
    authority_free(&w->authority);
    seal_free(w->seal);
    cr_assert_eq(fs_remove_tree(w->dir, &e), ERR_OK);
}

/* ---- clients ---- */

static bool on_message(void *arg, struct str bytes)
{
    struct caller *c = arg;
    c->messages++;
    if (c->message != NULL)
        return c->message(c, bytes);
    buf_clear(&c->body);
    buf_add(&c->body, bytes);
    return true;
}

static void note_status(struct caller *c, const struct http_headers *h)
{
    struct str text;
    if (http_header(h, "grpc-status").len == 0)
        return;
    c->grpc_status = grpc_status_of(h, &text);
    snprintf(c->why, sizeof c->why, STR_FMT, STR_ARG(text));
}

static void on_http(void *owner, const struct http_client_event *ev)
{
    struct caller *c = owner;
    struct err e = {0};

    switch (ev->type) {
    case HTTP_CLIENT_OPEN:
        c->open = true;
        break;
    case HTTP_CLIENT_HEAD:
        c->status = ev->status;
        note_status(c, &ev->headers);
        break;
    case HTTP_CLIENT_BODY:
        if (!c->grpc)
            buf_add(&c->body, ev->bytes);
        else
            cr_assert_eq(grpc_reader_feed(&c->reader, ev->bytes, on_message, c, &e), ERR_OK, "%s",
                         e.text);
        break;
    case HTTP_CLIENT_END:
        c->ended = true;
        note_status(c, &ev->headers);
        break;
    case HTTP_CLIENT_FAILED:
        c->ended = c->failed = true;
        break;
    case HTTP_CLIENT_CLOSED:
        c->closed = true;
        break;
    case HTTP_CLIENT_WRITABLE:
        break;
    }
}

struct http_client *caller_connect(struct caller *c, struct whole *w, const struct tls_config *tls)
{
    struct http_client_options o = {.host = "127.0.0.1",
                                    .port = front_port(w->fronts[0]),
                                    .tls = tls,
                                    .event = on_http,
                                    .owner = c};
    c->whole = w;
    c->grpc_status = GRPC_UNKNOWN;
    buf_init(&c->body, 64 << 20);
    grpc_reader_init(&c->reader, 1 << 20);
    c->http = http_client_open(w->loop, &o);
    return c->http;
}

void caller_start(struct caller *c, const char *method, const char *path, struct str body,
                  bool stream)
{
    struct http_header headers[] = {{STR("content-type"), c->content_type != NULL
                                                              ? str_of(c->content_type)
                                                          : c->grpc ? STR("application/grpc")
                                                                    : STR("application/json")},
                                    {STR(""), STR("")},
                                    {STR(""), STR("")}};
    uint32_t count = 1;
    if (c->accept != NULL)
        headers[count++] = (struct http_header){STR("accept"), str_of(c->accept)};
    if (c->as != NULL)
        headers[count++] = (struct http_header){STR("impersonate-user"), str_of(c->as)};
    struct http_client_request q = {.method = method,
                                    .path = path,
                                    .headers = headers,
                                    .headers_count = count,
                                    .body = body,
                                    .streaming = stream};
    c->call = http_client_start(c->http, 0, &q);
    cr_assert_neq(c->call.generation, 0);
}

void caller_close(struct caller *c)
{
    http_client_close(c->http);
    buf_free(&c->body);
    grpc_reader_free(&c->reader);
}

void whole_until(struct whole *w, const bool *flag)
{
    struct instant limit = instant_add(clock_now(), SPAN_S(20));
    while (!*flag && clock_now().ns < limit.ns)
        loop_step(w->loop, SPAN_MS(20));
    cr_assert(*flag, "nothing happened in 20 s");
}

void whole_ask(struct caller *c, struct whole *w, const struct tls_config *tls, const char *method,
               const char *path, struct str body)
{
    caller_connect(c, w, tls);
    caller_start(c, method, path, body, false);
    whole_until(w, &c->ended);
}

uint32_t whole_status(struct whole *w, const struct tls_config *tls, const char *method,
                      const char *path)
{
    struct caller c = {0};
    whole_ask(&c, w, tls, method, path, STR(""));
    uint32_t status = c.status;
    caller_close(&c);
    return status;
}

/* ---- nodes ---- */

void node_token(struct whole *w, struct node *n)
{
    struct caller c = {0};
    whole_ask(&c, w, w->admin_tls, "POST", "/apis/baton.dev/v1/jointokens",
              STR("{\"ttlSeconds\": 600}"));
    cr_assert_eq(c.status, 201, STR_FMT, STR_ARG(buf_str(&c.body)));
    buf_add_char(&c.body, '\0');
    const char *at = strstr(c.body.at, "\"token\":\"");
    cr_assert_not_null(at);
    cr_assert_eq(sscanf(at + 9, "%255[a-z0-9.]", n->token), 1);
    caller_close(&c);
}

void node_make(struct node *n, const char *name)
{
    struct err e = {0};
    *n = (struct node){0};
    snprintf(n->name, sizeof n->name, "%s", name);
    buf_init(&n->key, PKI_PEM_MAX);
    buf_init(&n->request, PKI_PEM_MAX);
    buf_init(&n->cert, PKI_PEM_MAX);
    cr_assert_eq(pki_key_make(&n->key, &e), ERR_OK);
    cr_assert_eq(pki_request_make(buf_str(&n->key), "system:masters", &n->request, &e), ERR_OK);
}

void node_free(struct node *n)
{
    tls_config_free(n->tls);
    buf_free(&n->key);
    buf_free(&n->request);
    buf_free(&n->cert);
}

/* The frame of a request: one reference. */
struct blob *node_join_request(struct node *n, const char *token)
{
    Agent__JoinRequest q = AGENT__JOIN_REQUEST__INIT;
    uint8_t packed[PKI_PEM_MAX];
    buf_add_char(&n->request, '\0');
    q.token = (char *)(uintptr_t)token;
    q.node_name = n->name;
    q.csr_pem = n->request.at;
    struct blob *frame = grpc_frame(str_from(packed, agent__join_request__pack(&q, packed)));
    n->request.len--;
    return frame;
}

/* The request with a token, over a connection that presents tls' certificate, if any. */
enum grpc_status node_join_over(struct whole *w, struct node *n, const char *token,
                                const struct tls_config *tls)
{
    struct err e = {0};
    struct caller c = {.grpc = true};
    struct blob *frame = node_join_request(n, token);
    whole_ask(&c, w, tls, "POST", "/baton.agent.v1.Agent/Join", blob_str(frame));
    blob_unref(frame);
    cr_assert_not(c.failed);
    enum grpc_status status = c.grpc_status;
    if (status == GRPC_OK) {
        Agent__JoinReply *r =
            agent__join_reply__unpack(NULL, c.body.len, (const uint8_t *)c.body.at);
        cr_assert_not_null(r);
        buf_clear(&n->cert);
        buf_add(&n->cert, str_of(r->certificate_pem));
        cr_assert_str_eq(r->cluster->id, w->authority.cluster_id);
        struct tls_client_options mine = {
            .ca = str_of(r->ca_pem), .cert = buf_str(&n->cert), .key = buf_str(&n->key)};
        struct tls_config *before = n->tls;
        cr_assert_eq(tls_client_config(&mine, &n->tls, &e), ERR_OK, "%s", e.text);
        agent__join_reply__free_unpacked(r, NULL);
        caller_close(&c);
        tls_config_free(before); /* It may be the one this connection used. */
        return status;
    }
    caller_close(&c);
    return status;
}

/* As an agent does: the server is believed by the fingerprint in the token. */
enum grpc_status node_join(struct whole *w, struct node *n)
{
    struct tls_config *pinned = NULL;
    struct err e = {0};
    struct tls_client_options o = {.ca_fingerprint = strrchr(n->token, '.') + 1};
    cr_assert_eq(tls_client_config(&o, &pinned, &e), ERR_OK, "%s", e.text);
    enum grpc_status status = node_join_over(w, n, n->token, pinned);
    tls_config_free(pinned);
    return status;
}
