/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process that is a whole cluster's load: nodes that join, hold their session and start nothing, and a client
 * that creates pods.
 *
 *   api-load DIR PORT PID NODES PODS INFLIGHT...
 *
 * DIR is the state directory of the batond that runs as PID. For each INFLIGHT, PODS pods are created (a twentieth of
 * them, one at a time) over as many connections as that takes. Prints "METRIC VALUE UNIT" lines. Processor time is the
 * threads' own, as the kernel counts it, over the creates alone.
 */
#include "io/clock.h"
#include "tests/bench/load_nodes.h"

#include <stdio.h>
#include <stdlib.h>

enum { STREAMS = 128, CONNECTIONS_MAX = 16 };

struct load {
    struct load_target *target;
    struct http_client *http[CONNECTIONS_MAX];
    uint32_t connections;
    uint32_t pods, inflight, started, finished, refused;
    uint64_t *began;
    struct load_samples took;
};

/* ---- creating ---- */

static const char pod[] =
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"generateName\":\"load-\",\"labels\":{"
    "\"app\":\"load\"}},\"spec\":{\"containers\":[{\"name\":\"main\",\"image\":\"busybox\","
    "\"command\":["
    "\"sleep\",\"1000\"],\"resources\":{\"requests\":{\"cpu\":\"100m\",\"memory\":\"64Mi\"}}}]}}";

static void create_one(struct load *l)
{
    struct http_header type = {STR("content-type"), STR("application/json")};
    struct http_client *http = l->http[l->started % l->connections];

    if (l->started == l->pods)
        return;
    l->began[l->started] = (uint64_t)clock_now().ns;
    struct slot_id id =
        http_client_start(http, l->started++,
                          &(struct http_client_request){.method = "POST",
                                                        .path = "/api/v1/namespaces/default/pods",
                                                        .headers = &type,
                                                        .headers_count = 1,
                                                        .body = str_of(pod)});
    if (id.generation == 0)
        load_die("create", "no further request could be started");
}

static void create_told(void *owner, const struct http_client_event *ev)
{
    struct load *l = owner;

    if (ev->type == HTTP_CLIENT_HEAD)
        l->refused += ev->status != 201;
    if (ev->type == HTTP_CLIENT_FAILED || ev->type == HTTP_CLIENT_CLOSED)
        load_die("create", ev->err.text);
    if (ev->type != HTTP_CLIENT_END)
        return;
    load_sample(&l->took, (uint64_t)clock_now().ns - l->began[ev->op]);
    l->finished++;
    create_one(l);
}

static void create_open(struct load *l)
{
    struct http_client_options o = {.host = "127.0.0.1",
                                    .port = l->target->port,
                                    .tls = l->target->admin,
                                    .requests_max = 1024,
                                    .event = create_told,
                                    .owner = l};

    l->connections = (l->inflight + STREAMS - 1) / STREAMS;
    if (l->connections > CONNECTIONS_MAX)
        load_die("INFLIGHT", "too many");
    for (uint32_t i = 0; i < l->connections; i++)
        l->http[i] = http_client_open(l->target->loop, &o);
    l->began = calloc(l->pods, sizeof *l->began);
}

static void create_close(struct load *l)
{
    for (uint32_t i = 0; i < l->connections; i++)
        http_client_close(l->http[i]);
    free(l->began);
    free(l->took.at);
}

static void create_all(struct load *l)
{
    uint64_t before[LOAD_PART__COUNT], after[LOAD_PART__COUNT];

    create_open(l);
    double commits = load_metric(l->target, "baton_store_transactions_total");
    double writes = load_metric(l->target, "baton_store_writes_total");
    struct instant from = clock_now();
    int64_t cpu = clock_thread_cpu_ns();
    load_cpu(l->target->pid, before);
    for (uint32_t i = 0; i < l->inflight && i < l->pods; i++)
        create_one(l);
    while (l->finished < l->pods)
        loop_step(l->target->loop, SPAN_S(1));
    double ns = (double)instant_sub(clock_now(), from).ns;
    cpu = clock_thread_cpu_ns() - cpu;
    load_cpu(l->target->pid, after);
    commits = load_metric(l->target, "baton_store_transactions_total") - commits;
    writes = load_metric(l->target, "baton_store_writes_total") - writes;
    printf("rate[inflight=%u] %.0f pods/s\n", l->inflight, l->pods * 1e9 / ns);
    printf("p50[inflight=%u] %.2f ms\n", l->inflight, load_percentile(&l->took, 0.5));
    printf("p99[inflight=%u] %.2f ms\n", l->inflight, load_percentile(&l->took, 0.99));
    printf("cpu_us[client,inflight=%u] %.1f us\n", l->inflight, (double)cpu / 1e3 / l->pods);
    for (uint32_t i = 0; i < LOAD_PART__COUNT; i++)
        printf("cpu_us[%s,inflight=%u] %.1f us\n", load_part_names[i], l->inflight,
               (double)(after[i] - before[i]) / 1e3 / l->pods);
    printf("batch[inflight=%u] %.1f writes\n", l->inflight, writes / commits);
    if (l->refused > 0)
        printf("refused[inflight=%u] %u pods\n", l->inflight, l->refused);
    fflush(stdout);
    create_close(l);
}

int main(int argc, char **argv)
{
    struct load_target target;

    if (argc < 7)
        load_die("usage", "api-load DIR PORT PID NODES PODS INFLIGHT...");
    load_open(&target, argv[1], argv[2], argv[3]);
    load_nodes_join(&target, load_number(argv[4]));
    for (int i = 6; i < argc; i++) {
        struct load l = {.target = &target, .inflight = load_number(argv[i])};
        l.pods = load_number(argv[5]) / (l.inflight == 1 ? 20 : 1);
        create_all(&l);
    }
    return 0; /* The kernel takes back a thousand connections faster than we close them. */
}
