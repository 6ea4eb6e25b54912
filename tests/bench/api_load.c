/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process that is a whole cluster's load: nodes that join, hold their session and start nothing, and a client
 * that creates pods.
 *
 *   api-load DIR PORT NODES PODS INFLIGHT
 *
 * DIR is the batond's state directory (its administrator's certificate is used). Prints "METRIC VALUE UNIT" lines: join,
 * then create rate and latencies with INFLIGHT requests at once over one connection.
 */
#include "io/clock.h"
#include "io/fs.h"
#include "io/grpc.h"
#include "io/http_client.h"
#include "proto/baton/agent/v1.pb-c.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 64, JOINING_MAX = 16, RENEW_S = 3, STEPS = 3 };

enum step { STEP_TOKEN, STEP_JOIN, STEP_SESSION, STEP_UP };

struct node {
    struct load *load;
    enum step step;
    char name[16], token[256];
    struct buf key, request, answer;
    struct tls_config *tls;
    struct http_client *http;
    struct slot_id call;
    bool done; /* The present step's connection is to be closed. */
};

struct load {
    struct loop_client client;
    struct loop *loop;
    uint16_t port;
    struct tls_config *admin;
    struct buf ca;
    struct node *nodes;
    uint32_t nodes_count, begun, up, failed;
    struct blob *hardware;
    /* Creating: */
    struct http_client *http;
    uint32_t pods, inflight, started, finished, refused;
    uint64_t *began, *took;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "api-load: %s: %s\n", what, why);
    exit(1);
}

static void must(enum err_code code, const char *what, const struct err *e)
{
    if (code != ERR_OK)
        die(what, e->text);
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
    struct load *l = n->load;
    bool grpc = n->step != STEP_TOKEN;
    struct http_header type = {STR("content-type"),
                               grpc ? STR("application/grpc") : STR("application/json")};
    struct http_client_options o = {
        .host = "127.0.0.1", .port = l->port, .tls = tls, .event = node_told, .owner = n};
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
        die("token", n->answer.at);
    must(pki_key_make(&n->key, &e), "key", &e);
    must(pki_request_make(buf_str(&n->key), n->name, &n->request, &e), "request", &e);
    buf_add_char(&n->request, '\0');
    q.token = n->token;
    q.node_name = n->name;
    q.csr_pem = n->request.at;
    struct tls_client_options o = {.ca = buf_str(&n->load->ca)};
    must(tls_client_config(&o, &n->tls, &e), "TLS", &e);
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
        die("join", n->name);
    tls_config_free(n->tls);
    struct tls_client_options o = {
        .ca = buf_str(&n->load->ca), .cert = str_of(r->certificate_pem), .key = buf_str(&n->key)};
    must(tls_client_config(&o, &n->tls, &e), "TLS", &e);
    agent__join_reply__free_unpacked(r, NULL);
    node_call(n, n->tls, "/baton.agent.v1.Agent/Session", STR(""), true);
    hello.has_protocol_min = hello.has_protocol_max = true;
    hello.protocol_min = hello.protocol_max = 1;
    hello.agent_version = hello.boot_id = (char *)"load";
    hello.node_name = n->name;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HELLO;
    m.hello = &hello;
    http_client_send(n->http, n->call, packed(&m.base));
    http_client_send(n->http, n->call, blob_ref(n->load->hardware));
}

static void node_told(void *owner, const struct http_client_event *ev)
{
    struct node *n = owner;

    if (ev->type == HTTP_CLIENT_BODY && n->step < STEP_SESSION)
        buf_add(&n->answer, ev->bytes);
    if (ev->type == HTTP_CLIENT_BODY && n->step == STEP_SESSION) {
        n->step = STEP_UP; /* It was greeted. What comes later is not looked at. */
        n->load->up++;
        n->load->begun--;
    }
    if (ev->type == HTTP_CLIENT_END && n->step < STEP_SESSION)
        n->done = true;
    if (ev->type == HTTP_CLIENT_FAILED || (ev->type == HTTP_CLIENT_END && n->step >= STEP_SESSION))
        die(n->name, ev->err.text);
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
    struct load *l = CONTAINER_OF(self, struct load, client);
    static uint64_t sequence;

    if (ev->type != IO_DEADLINE)
        return;
    sequence++;
    for (uint32_t i = 0; i < l->nodes_count; i++)
        if (l->nodes[i].step == STEP_UP)
            node_renew(&l->nodes[i], sequence);
    loop_set_deadline(self, instant_add(ev->now, SPAN_S(RENEW_S)));
}

/* ---- hardware ---- */

static struct blob *hardware(void)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__Hardware h = AGENT__HARDWARE__INIT;
    Baton__NodeHardwareSpec hw = BATON__NODE_HARDWARE_SPEC__INIT;
    Baton__Socket socket = BATON__SOCKET__INIT, *sockets[] = {&socket};
    Baton__NumaNode numa = BATON__NUMA_NODE__INIT, *numas[] = {&numa};
    Baton__CacheDomain llc = BATON__CACHE_DOMAIN__INIT, *llcs[] = {&llc};
    static Baton__Core cores[THREADS], *cores_at[THREADS];
    static Baton__Thread threads[THREADS], *threads_at[THREADS];

    numa.has_memory_bytes = true;
    numa.memory_bytes = 256ull << 30;
    for (uint32_t i = 0; i < THREADS; i++) {
        cores[i] = (Baton__Core)BATON__CORE__INIT;
        threads[i] = (Baton__Thread)BATON__THREAD__INIT;
        cores[i].has_id = threads[i].has_cpu = threads[i].has_core = true;
        cores[i].id = threads[i].cpu = threads[i].core = i;
        cores_at[i] = &cores[i];
        threads_at[i] = &threads[i];
    }
    hw.sockets = sockets;
    hw.numa_nodes = numas;
    hw.cache_domains = llcs;
    hw.n_sockets = hw.n_numa_nodes = hw.n_cache_domains = 1;
    hw.cores = cores_at;
    hw.threads = threads_at;
    hw.n_cores = hw.n_threads = THREADS;
    hw.has_shared_cores = hw.has_workloads_max = true;
    hw.shared_cores = 1;
    hw.workloads_max = 1000;
    h.spec = &hw;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HARDWARE;
    m.hardware = &h;
    return packed(&m.base);
}

static void join_all(struct load *l)
{
    struct instant from = clock_now();
    uint32_t next = 0;

    while (l->up < l->nodes_count) {
        for (; next < l->nodes_count && l->begun < JOINING_MAX; next++, l->begun++) {
            struct node *n = &l->nodes[next];
            n->load = l;
            snprintf(n->name, sizeof n->name, "load-%u", next);
            buf_init(&n->key, PKI_PEM_MAX);
            buf_init(&n->request, PKI_PEM_MAX);
            buf_init(&n->answer, 1 << 20);
            node_call(n, l->admin, "/apis/baton.dev/v1/jointokens", STR(""), false);
        }
        loop_step(l->loop, SPAN_MS(50));
        for (uint32_t i = 0; i < next; i++)
            if (l->nodes[i].done)
                node_next(&l->nodes[i]);
    }
    int64_t ns = instant_sub(clock_now(), from).ns;
    printf("join[nodes=%u] %.0f nodes/s\n", l->nodes_count, l->nodes_count * 1e9 / (double)ns);
}

/* ---- creating ---- */

static const char pod[] =
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"generateName\":\"load-\",\"labels\":{"
    "\"app\":\"load\"}},\"spec\":{\"containers\":[{\"name\":\"main\",\"image\":\"busybox\","
    "\"command\":["
    "\"sleep\",\"1000\"],\"resources\":{\"requests\":{\"cpu\":\"100m\",\"memory\":\"64Mi\"}}}]}}";

static void create_one(struct load *l)
{
    struct http_header type = {STR("content-type"), STR("application/json")};

    if (l->started == l->pods)
        return;
    l->began[l->started] = (uint64_t)clock_now().ns;
    struct slot_id id =
        http_client_start(l->http, l->started++,
                          &(struct http_client_request){.method = "POST",
                                                        .path = "/api/v1/namespaces/default/pods",
                                                        .headers = &type,
                                                        .headers_count = 1,
                                                        .body = str_of(pod)});
    if (id.generation == 0)
        die("create", "no further request could be started");
}

static void create_told(void *owner, const struct http_client_event *ev)
{
    struct load *l = owner;

    if (ev->type == HTTP_CLIENT_HEAD)
        l->refused += ev->status != 201;
    if (ev->type == HTTP_CLIENT_FAILED || ev->type == HTTP_CLIENT_CLOSED)
        die("create", ev->err.text);
    if (ev->type != HTTP_CLIENT_END)
        return;
    l->took[ev->op] = (uint64_t)clock_now().ns - l->began[ev->op];
    l->finished++;
    create_one(l);
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void create_all(struct load *l)
{
    struct http_client_options o = {.host = "127.0.0.1",
                                    .port = l->port,
                                    .tls = l->admin,
                                    .requests_max = 1024,
                                    .event = create_told,
                                    .owner = l};

    l->began = calloc(l->pods, sizeof *l->began);
    l->took = calloc(l->pods, sizeof *l->took);
    l->http = http_client_open(l->loop, &o);
    struct instant from = clock_now();
    int64_t cpu = clock_thread_cpu_ns();
    for (uint32_t i = 0; i < l->inflight; i++)
        create_one(l);
    while (l->finished < l->pods)
        loop_step(l->loop, SPAN_S(1));
    double ns = (double)instant_sub(clock_now(), from).ns;
    qsort(l->took, l->pods, sizeof *l->took, by_size);
    printf("rate[inflight=%u] %.0f pods/s\n", l->inflight, l->pods * 1e9 / ns);
    printf("p50[inflight=%u] %.2f ms\n", l->inflight, (double)l->took[l->pods / 2] / 1e6);
    printf("p99[inflight=%u] %.2f ms\n", l->inflight, (double)l->took[l->pods / 100 * 99] / 1e6);
    printf("cpu_us[client] %.1f us\n", (double)(clock_thread_cpu_ns() - cpu) / 1e3 / l->pods);
    if (l->refused > 0)
        printf("refused %u pods\n", l->refused);
}

static void read_file(const char *dir, const char *name, struct buf *out)
{
    char path[FS_PATH_MAX];
    struct err e;

    buf_init(out, PKI_PEM_MAX);
    if (!fs_join(path, dir, name))
        die(name, "the path is too long");
    must(fs_read(path, out, &e), "read", &e);
}

static uint32_t number(const char *text)
{
    uint64_t value = 0;
    if (str_parse_u64(str_of(text), &value) != ERR_OK || value > UINT32_MAX)
        die(text, "not a number");
    return (uint32_t)value;
}

int main(int argc, char **argv)
{
    struct load l = {.client = {.event = load_told}};
    struct buf cert, key;
    struct err e;

    if (argc != 6)
        die("usage", "api-load DIR PORT NODES PODS INFLIGHT");
    signal(SIGPIPE, SIG_IGN);
    read_file(argv[1], "control/pki/ca.crt", &l.ca);
    read_file(argv[1], "control/pki/admin.crt", &cert);
    read_file(argv[1], "control/pki/admin.key", &key);
    struct tls_client_options o = {
        .ca = buf_str(&l.ca), .cert = buf_str(&cert), .key = buf_str(&key)};
    must(tls_client_config(&o, &l.admin, &e), "TLS", &e);
    l.port = (uint16_t)number(argv[2]);
    l.nodes_count = number(argv[3]);
    l.pods = number(argv[4]);
    l.inflight = number(argv[5]);
    l.nodes = calloc(l.nodes_count + 1, sizeof *l.nodes);
    l.hardware = hardware();
    l.loop = loop_new();
    loop_join(l.loop, &l.client);
    loop_set_deadline(&l.client, instant_add(clock_now(), SPAN_S(RENEW_S)));
    join_all(&l);
    for (struct instant until = instant_add(clock_now(), SPAN_S(1)); clock_now().ns < until.ns;)
        loop_step(l.loop, SPAN_MS(50)); /* The last nodes' hardware becomes rows. */
    create_all(&l);
    return 0; /* The kernel takes back a thousand connections faster than we close them. */
}
