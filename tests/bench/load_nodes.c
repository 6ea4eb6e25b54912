/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/load_nodes.h"

#include "io/clock.h"
#include "io/fs.h"
#include "io/grpc.h"
#include "io/http_client.h"
#include "tests/bench/load_hardware.h"

#include <stdio.h>
#include <stdlib.h>

enum { JOINING_MAX = 16, RENEW_S = 3 };

enum step { STEP_TOKEN, STEP_JOIN, STEP_SESSION, STEP_UP };

struct node {
    struct load_nodes *all;
    enum step step;
    char name[16], token[256];
    struct buf key, request, answer;
    struct tls_config *tls;
    struct http_client *http;
    struct slot_id call;
    bool done; /* The present step's connection is to be closed. */
};

struct load_nodes {
    struct loop_client client;
    struct loop *loop;
    const struct load_target *target;
    struct node *at;
    uint32_t count, begun, up;
    uint64_t sequence, down_bytes;
    struct blob *hardware;
};

void load_die(const char *what, const char *why)
{
    fprintf(stderr, "load: %s: %s\n", what, why);
    exit(1);
}

void load_must(enum err_code code, const char *what, const struct err *e)
{
    if (code != ERR_OK)
        load_die(what, e->text);
}

uint32_t load_number(const char *text)
{
    uint64_t value = 0;
    if (str_parse_u64(str_of(text), &value) != ERR_OK || value > UINT32_MAX)
        load_die(text, "not a number");
    return (uint32_t)value;
}

static void read_file(const char *dir, const char *name, struct buf *out)
{
    char path[FS_PATH_MAX];
    struct err e;

    buf_init(out, PKI_PEM_MAX);
    if (!fs_join(path, dir, name))
        load_die(name, "the path is too long");
    load_must(fs_read(path, out, &e), "read", &e);
}

void load_target_open(struct load_target *t, const char *state_dir, const char *port)
{
    struct buf cert, key;
    struct err e;

    read_file(state_dir, "control/pki/ca.crt", &t->ca);
    read_file(state_dir, "control/pki/admin.crt", &cert);
    read_file(state_dir, "control/pki/admin.key", &key);
    struct tls_client_options o = {
        .ca = buf_str(&t->ca), .cert = buf_str(&cert), .key = buf_str(&key)};
    load_must(tls_client_config(&o, &t->admin, &e), "TLS", &e);
    t->port = (uint16_t)load_number(port);
}

/* ---- a node's life ---- */

static void node_next(struct node *n);
static void node_told(void *owner, const struct http_client_event *ev);

static struct blob *packed(const ProtobufCMessage *m)
{
    struct blob *frame = grpc_frame_reserve((uint32_t)protobuf_c_message_get_packed_size(m));
    protobuf_c_message_pack(m, (uint8_t *)frame->at + GRPC_FRAME_HEAD);
    return frame;
}

static void node_call(struct node *n, const struct tls_config *tls, const char *path,
                      struct str body, bool stream)
{
    struct load_nodes *l = n->all;
    bool grpc = n->step != STEP_TOKEN;
    struct http_header type = {STR("content-type"),
                               grpc ? STR("application/grpc") : STR("application/json")};
    struct http_client_options o = {
        .host = "127.0.0.1", .port = l->target->port, .tls = tls, .event = node_told, .owner = n};
    n->http = http_client_open(l->loop, &o);
    buf_clear(&n->answer);
    n->call = http_client_start(n->http, 0,
                                &(struct http_client_request){.method = "POST",
                                                              .path = path,
                                                              .headers = &type,
                                                              .headers_count = 1,
                                                              .body = body,
                                                              .streaming = stream});
}

static void node_join(struct node *n)
{
    Agent__JoinRequest q = AGENT__JOIN_REQUEST__INIT;
    struct err e;
    char *at = NULL;

    buf_add_char(&n->answer, '\0');
    at = n->answer.at == NULL ? NULL : strstr(n->answer.at, "\"token\":\"");
    if (at == NULL || sscanf(at + 9, "%255[a-z0-9.]", n->token) != 1)
        load_die("token", n->answer.at);
    load_must(pki_key_make(&n->key, &e), "key", &e);
    load_must(pki_request_make(buf_str(&n->key), n->name, &n->request, &e), "request", &e);
    buf_add_char(&n->request, '\0');
    q.token = n->token;
    q.node_name = n->name;
    q.csr_pem = n->request.at;
    struct tls_client_options o = {.ca = buf_str(&n->all->target->ca)};
    load_must(tls_client_config(&o, &n->tls, &e), "TLS", &e);
    struct blob *frame = packed(&q.base);
    node_call(n, n->tls, "/baton.agent.v1.Agent/Join", blob_str(frame), false);
    blob_unref(frame);
}

static void node_session(struct node *n)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__Hello hello = AGENT__HELLO__INIT;
    struct err e;
    struct str reply = str_slice(buf_str(&n->answer), GRPC_FRAME_HEAD, n->answer.len);
    Agent__JoinReply *r = agent__join_reply__unpack(NULL, reply.len, (const uint8_t *)reply.at);

    if (r == NULL || r->certificate_pem == NULL)
        load_die("join", n->name);
    tls_config_free(n->tls);
    struct tls_client_options o = {.ca = buf_str(&n->all->target->ca),
                                   .cert = str_of(r->certificate_pem),
                                   .key = buf_str(&n->key)};
    load_must(tls_client_config(&o, &n->tls, &e), "TLS", &e);
    agent__join_reply__free_unpacked(r, NULL);
    node_call(n, n->tls, "/baton.agent.v1.Agent/Session", STR(""), true);
    hello.has_protocol_min = hello.has_protocol_max = true;
    hello.protocol_min = hello.protocol_max = 1;
    hello.agent_version = hello.boot_id = (char *)"load";
    hello.node_name = n->name;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HELLO;
    m.hello = &hello;
    http_client_send(n->http, n->call, packed(&m.base));
    http_client_send(n->http, n->call, blob_ref(n->all->hardware));
}

static void node_told(void *owner, const struct http_client_event *ev)
{
    struct node *n = owner;

    if (ev->type == HTTP_CLIENT_BODY && n->step == STEP_UP)
        n->all->down_bytes += ev->bytes.len;
    if (ev->type == HTTP_CLIENT_BODY && n->step < STEP_SESSION)
        buf_add(&n->answer, ev->bytes);
    if (ev->type == HTTP_CLIENT_BODY && n->step == STEP_SESSION) {
        n->step = STEP_UP; /* It was greeted. What comes later is not looked at. */
        n->all->up++;
        n->all->begun--;
    }
    if (ev->type == HTTP_CLIENT_END && n->step < STEP_SESSION)
        n->done = true;
    if (ev->type == HTTP_CLIENT_FAILED || (ev->type == HTTP_CLIENT_END && n->step >= STEP_SESSION))
        load_die(n->name, ev->err.text);
}

static void node_next(struct node *n)
{
    http_client_close(n->http);
    n->done = false;
    n->step++;
    if (n->step == STEP_JOIN)
        node_join(n);
    else
        node_session(n);
}

static void node_renew(struct node *n, uint64_t sequence)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__LeaseRenew renew = AGENT__LEASE_RENEW__INIT;

    renew.has_sequence = renew.has_sent_ns = true;
    renew.sequence = sequence;
    renew.sent_ns = clock_now().ns;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_LEASE_RENEW;
    m.lease_renew = &renew;
    http_client_send(n->http, n->call, packed(&m.base));
}

static void load_told(struct loop_client *self, const struct io_event *ev)
{
    struct load_nodes *l = CONTAINER_OF(self, struct load_nodes, client);

    if (ev->type != IO_DEADLINE)
        return;
    l->sequence++;
    for (uint32_t i = 0; i < l->count; i++)
        if (l->at[i].step == STEP_UP)
            node_renew(&l->at[i], l->sequence);
    loop_set_deadline(self, instant_add(ev->now, SPAN_S(RENEW_S)));
}

static void join_all(struct load_nodes *l)
{
    struct instant from = clock_now();
    uint32_t next = 0;

    while (l->up < l->count) {
        for (; next < l->count && l->begun < JOINING_MAX; next++, l->begun++) {
            struct node *n = &l->at[next];
            n->all = l;
            snprintf(n->name, sizeof n->name, "load-%u", next);
            buf_init(&n->key, PKI_PEM_MAX);
            buf_init(&n->request, PKI_PEM_MAX);
            buf_init(&n->answer, 1 << 20);
            node_call(n, l->target->admin, "/apis/baton.dev/v1/jointokens", STR(""), false);
        }
        loop_step(l->loop, SPAN_MS(50));
        for (uint32_t i = 0; i < next; i++)
            if (l->at[i].done)
                node_next(&l->at[i]);
    }
    int64_t ns = instant_sub(clock_now(), from).ns;
    printf("join[nodes=%u] %.0f nodes/s\n", l->count, l->count * 1e9 / (double)ns);
}

struct load_nodes *load_nodes_join(struct loop *loop, const struct load_target *t, uint32_t count)
{
    struct load_nodes *l = calloc(1, sizeof *l);

    l->client.event = load_told;
    l->loop = loop;
    l->target = t;
    l->count = count;
    l->at = calloc(count + 1, sizeof *l->at);
    l->hardware = packed(&load_hardware()->base);
    loop_join(loop, &l->client);
    loop_set_deadline(&l->client, instant_add(clock_now(), SPAN_S(RENEW_S)));
    join_all(l);
    for (struct instant until = instant_add(clock_now(), SPAN_S(1)); clock_now().ns < until.ns;)
        loop_step(loop, SPAN_MS(50)); /* The last nodes' hardware becomes rows. */
    return l;
}

uint64_t load_nodes_assigns(const struct load_nodes *all)
{
    return all->down_bytes;
}
