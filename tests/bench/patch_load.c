/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patches of pods in each of the three forms, one and 64 in flight.
 *
 *   patch-load DIR PORT PID PATCHES
 *
 * DIR is the state directory of the batond that runs as PID. Each patch changes one annotation of the next of 100 pods; of one
 * in flight there are a twentieth of PATCHES. Prints "METRIC VALUE UNIT"; processor time is the threads' own.
 */
#include "io/clock.h"
#include "tests/bench/load.h"

#include <stdio.h>

enum { OBJECTS = 100, ALONE = 20 };

#define ANNOTATION "{\"metadata\":{\"annotations\":{\"at\":\""

static const struct form {
    const char *name, *content_type;
    const char *before, *behind; /* Around a value that is another one each time. */
} forms[] = {
    {"merge", "application/merge-patch+json", ANNOTATION, "\"}}}"},
    {"strategic", "application/strategic-merge-patch+json", ANNOTATION, "\"}}}"},
    {"json", "application/json-patch+json",
     "[{\"op\":\"add\",\"path\":\"/metadata/annotations/at\",\"value\":\"", "\"}]"},
};

struct patches {
    struct load_target *target;
    struct http_client *http;
    const struct form *form;
    uint32_t count, started, finished, refused;
    uint64_t began[OBJECTS];
    struct load_samples took;
};

static void patch_one(struct patches *p)
{
    struct http_header type = {STR("content-type"), str_of(p->form->content_type)};
    char path[96], body[160];
    if (p->started == p->count)
        return;
    uint32_t op = p->started++ % OBJECTS;
    snprintf(path, sizeof path, "/api/v1/namespaces/default/pods/load-%u", op);
    snprintf(body, sizeof body, "%s%u%s", p->form->before, p->started, p->form->behind);
    p->began[op] = (uint64_t)clock_now().ns;
    struct http_client_request q = {.method = "PATCH",
                                    .path = path,
                                    .headers = &type,
                                    .headers_count = 1,
                                    .body = str_of(body)};
    if (http_client_start(p->http, op, &q).generation == 0)
        load_die("patch", "no further request could be started");
}

static void patch_told(void *owner, const struct http_client_event *ev)
{
    struct patches *p = owner;
    if (ev->type == HTTP_CLIENT_HEAD)
        p->refused += ev->status != 200;
    if (ev->type == HTTP_CLIENT_FAILED || ev->type == HTTP_CLIENT_CLOSED)
        load_die("patch", ev->err.text);
    if (ev->type != HTTP_CLIENT_END)
        return;
    load_sample(&p->took, (uint64_t)clock_now().ns - p->began[ev->op]);
    p->finished++;
    patch_one(p);
}

static void patch_all(struct patches *p, uint32_t inflight)
{
    const char *name = p->form->name;
    uint64_t before[LOAD_PART__COUNT], after[LOAD_PART__COUNT];
    struct http_client_options o = {.host = "127.0.0.1",
                                    .port = p->target->port,
                                    .tls = p->target->admin,
                                    .requests_max = OBJECTS,
                                    .event = patch_told,
                                    .owner = p};
    p->http = http_client_open(p->target->loop, &o);
    load_cpu(p->target->pid, before);
    struct instant from = clock_now();
    for (uint32_t i = 0; i < inflight; i++)
        patch_one(p);
    while (p->finished < p->count)
        loop_step(p->target->loop, SPAN_S(1));
    double ns = (double)instant_sub(clock_now(), from).ns;
    load_cpu(p->target->pid, after);
    printf("rate[%s,inflight=%u] %.0f patches/s\n", name, inflight, p->count * 1e9 / ns);
    printf("p50[%s,inflight=%u] %.2f ms\n", name, inflight, load_percentile(&p->took, 0.5));
    for (uint32_t i = 0; i < LOAD_PART__COUNT; i++)
        printf("cpu_us[%s,%s,inflight=%u] %.1f us\n", load_part_names[i], name, inflight,
               (double)(after[i] - before[i]) / 1e3 / p->count);
    if (p->refused > 0)
        printf("refused[%s,inflight=%u] %u patches\n", name, inflight, p->refused);
    fflush(stdout);
    http_client_close(p->http);
}

int main(int argc, char **argv)
{
    static const uint32_t inflight[] = {1, 64};
    struct load_target target;
    struct load_writer w;
    if (argc != 5)
        load_die("usage", "patch-load DIR PORT PID PATCHES");
    load_open(&target, argv[1], argv[2], argv[3]);
    load_writer_start(&w, &target, 1, OBJECTS);
    load_writer_stop(&w);
    for (size_t f = 0; f < COUNT_OF(forms); f++)
        for (size_t i = 0; i < COUNT_OF(inflight); i++) {
            struct patches p = {
                .target = &target, .form = &forms[f], .count = load_number(argv[4])};
            p.count = inflight[i] == 1 ? p.count / ALONE : p.count;
            patch_all(&p, inflight[i]);
        }
    return 0; /* The kernel takes the rest back. */
}
