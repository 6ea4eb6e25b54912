/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of all pods, in every form, whole and in pages, by one client and by eight, beside somebody who creates.
 *
 *   list-load DIR PORT PID [MILLISECONDS [FORM [whole|pages]]]
 *
 * Prints "METRIC[form,how,clients] VALUE UNIT", and of each form's first list, for which nothing is kept yet,
 * "cpu_first[form,how]". "bare" is what TLS alone costs for the same bytes: written into one end in pieces of 16 KiB and
 * taken out again, no socket.
 */
#include "io/clock.h"
#include "tests/bench/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { CLIENTS_MAX = 8, PAGE = 500, TOKEN_MAX = 1024, CHANGES = 100, OBJECTS = 100 };
enum { STILL_MS = 10000, STILL_MAX_MS = 120000, LOOK_MS = 500 };

#define PODS "/api/v1/namespaces/default/pods"

static const struct form {
    const char *name, *accept;
} forms[] = {
    {"json", "application/json"},
    {"table", "application/json;as=Table;v=v1;g=meta.k8s.io"},
    {"protobuf", "application/vnd.kubernetes.protobuf"},
};

struct client {
    struct run *run;
    struct http_client *http;
    struct instant began;
    char head[TOKEN_MAX]; /* The first bytes of an answer: the next page's token is in them. */
    size_t head_len;
};

struct run {
    struct load_target *target;
    const struct form *form;
    bool pages;
    uint32_t clients_count;
    struct client clients[CLIENTS_MAX];
    uint64_t bytes, lists, active;
    struct load_samples took;
    bool stop;
};

static void ask(struct client *c, struct str next)
{
    struct http_header accept = {STR("accept"), str_of(c->run->form->accept)};
    char path[TOKEN_MAX + 128];
    struct http_client_request q = {
        .method = "GET", .path = path, .headers = &accept, .headers_count = 1};

    if (next.len > 0)
        snprintf(path, sizeof path, PODS "?limit=%d&continue=" STR_FMT, PAGE, STR_ARG(next));
    else
        snprintf(path, sizeof path, c->run->pages ? PODS "?limit=%d" : PODS, PAGE);
    if (next.len == 0)
        c->began = clock_now();
    c->head_len = 0;
    if (http_client_start(c->http, 0, &q).generation == 0)
        load_die("list", "no request could be started");
}

/* The token of a page is URL text; in each form it begins with the same letters of base64. */
static struct str token_of(const struct client *c)
{
    static const char begin[] = "eyJ2Ijoi";
    const char *at = memmem(c->head, c->head_len, begin, sizeof begin - 1);
    size_t len = 0, left = at == NULL ? 0 : c->head_len - (size_t)(at - c->head);
    while (len < left && (at[len] == '-' || at[len] == '_' || (at[len] >= '0' && at[len] <= '9') ||
                          (at[len] >= 'A' && at[len] <= 'Z') || (at[len] >= 'a' && at[len] <= 'z')))
        len++;
    return (struct str){at, len};
}

static void list_told(void *owner, const struct http_client_event *ev)
{
    struct client *c = owner;
    struct run *r = c->run;

    switch (ev->type) {
    case HTTP_CLIENT_HEAD:
        if (ev->status != 200)
            load_die("list", "was refused");
        break;
    case HTTP_CLIENT_BODY:
        r->bytes += ev->bytes.len;
        size_t len = min_size(ev->bytes.len, sizeof c->head - c->head_len);
        memcpy(c->head + c->head_len, ev->bytes.at, len);
        c->head_len += len;
        break;
    case HTTP_CLIENT_END: {
        struct str next = token_of(c);
        if (r->pages && next.len > 0) {
            char copy[TOKEN_MAX];
            memcpy(copy, next.at, next.len);
            ask(c, str_from(copy, next.len));
            break;
        }
        load_sample(&r->took, (uint64_t)instant_sub(clock_now(), c->began).ns);
        r->lists++;
        if (r->stop)
            r->active--;
        else
            ask(c, STR(""));
        break;
    }
    case HTTP_CLIENT_FAILED:
    case HTTP_CLIENT_CLOSED:
        load_die("list", ev->err.text);
    case HTTP_CLIENT_OPEN:
    case HTTP_CLIENT_WRITABLE:
        break;
    }
}

/* ---- the bare thing ---- */

static void shovel(struct tls *from, struct tls *to, char *scratch, size_t size)
{
    struct err e;
    for (size_t len; (len = tls_drain(from, scratch, size)) > 0;)
        load_must(tls_feed(to, str_from(scratch, len), &e), "bare TLS", &e);
}

/* Nanoseconds of processor time to encrypt a byte and take it out. */
static double bare_ns_per_byte(const struct load_target *t)
{
    enum { TOTAL = 256 << 20, PIECE = 16 << 10 };
    static char scratch[64 << 10], plain[PIECE];
    struct tls_server_options o = {.cert = buf_str(&t->server_cert),
                                   .key = buf_str(&t->server_key),
                                   .client_ca = buf_str(&t->ca)};
    struct tls_config *config;
    struct err e;

    load_must(tls_server_config(&o, &config, &e), "bare TLS", &e);
    struct tls *server = tls_new_server(config), *client = tls_new_client(t->admin, "127.0.0.1");
    for (int i = 0; i < 10 && !tls_is_open(server); i++) {
        shovel(client, server, scratch, sizeof scratch);
        shovel(server, client, scratch, sizeof scratch);
    }
    int64_t from = clock_thread_cpu_ns();
    for (size_t sent = 0; sent < TOTAL; sent += PIECE) {
        load_must(tls_write(server, str_from(plain, sizeof plain), &e), "bare TLS", &e);
        while (tls_drain(server, scratch, sizeof scratch) > 0)
            continue;
    }
    double ns = (double)(clock_thread_cpu_ns() - from) / TOTAL;
    tls_free(server);
    tls_free(client);
    tls_config_free(config);
    return ns;
}

/* ---- before all rows ---- */

static uint64_t revision_now(struct load_target *t)
{
    static const char name[] = "\"resourceVersion\": \"";
    struct buf body;
    buf_init(&body, 1 << 20);
    if (load_get(t, PODS "?limit=1&pretty=true", &body) != 200)
        load_die("list", "was refused");
    const char *at = memmem(body.at, body.len, name, sizeof name - 1);
    uint64_t revision = at == NULL ? 0 : strtoull(at + sizeof name - 1, NULL, 10);
    buf_free(&body);
    return revision;
}

/* Whoever made the pods has closed its agents' sessions: some seconds later their nodes are lost, and each pod is told.
 * Lists of what changes 6,000 times a second are encoded each time, whichever row that falls on. */
static void await_still(struct load_target *t)
{
    uint64_t before = 0;
    for (int64_t still = 0, waited = 0; still < STILL_MS && waited < STILL_MAX_MS;
         waited += LOOK_MS) {
        uint64_t revision = revision_now(t);
        still = revision == before ? still + LOOK_MS : 0;
        before = revision;
        load_wait(t, LOOK_MS);
    }
}

/* ---- one row ---- */

static void begin(struct run *r)
{
    for (uint32_t i = 0; i < r->clients_count; i++) {
        struct client *c = &r->clients[i];
        struct http_client_options o = {.host = "127.0.0.1",
                                        .port = r->target->port,
                                        .tls = r->target->admin,
                                        .event = list_told,
                                        .owner = c};
        c->run = r;
        c->http = http_client_open(r->target->loop, &o);
        r->active++;
        ask(c, STR(""));
    }
}

/* Lists go on beside a writer for so long; milliseconds of processor time per list, the writes' included. */
static double beside(struct run *r, struct load_writer *w, uint32_t rate, uint32_t objects,
                     int64_t ms)
{
    load_writer_start(w, r->target, rate, objects);
    uint64_t cpu = load_cpu_ns(r->target, true), lists = r->lists;
    r->stop = false;
    for (uint32_t i = 0; i < r->clients_count; i++, r->active++)
        ask(&r->clients[i], STR(""));
    load_wait(r->target, ms);
    r->stop = true;
    while (r->active > 0)
        loop_step(r->target->loop, SPAN_S(1));
    load_writer_stop(w);
    return (double)(load_cpu_ns(r->target, true) - cpu) / 1e6 / (double)(r->lists - lists);
}

/* The first list in a form, alone: nothing of it is kept yet. A handshake (about 1 ms) is in it. */
static void first(struct load_target *t, const struct form *form)
{
    static struct run r;

    r = (struct run){.target = t, .form = form, .clients_count = 1, .stop = true};
    uint64_t cpu = load_cpu_ns(t, true);
    begin(&r);
    while (r.active > 0)
        loop_step(t->loop, SPAN_S(1));
    printf("cpu_first[%s,whole] %.2f ms\n", form->name, (double)(load_cpu_ns(t, true) - cpu) / 1e6);
    http_client_close(r.clients[0].http);
    free(r.took.at);
}

static void row(struct load_target *t, const struct form *form, bool pages, uint32_t clients,
                int64_t ms, double bare)
{
    static struct run r;
    struct load_writer w;
    char name[64];

    r = (struct run){.target = t, .form = form, .pages = pages, .clients_count = clients};
    load_peak_reset(t);
    double before = load_mib(t, "VmRSS");
    begin(&r);
    uint64_t cpu = load_cpu_ns(t, true);
    struct instant from = clock_now();
    load_wait(t, ms);
    r.stop = true;
    while (r.active > 0)
        loop_step(t->loop, SPAN_S(1));
    double s = (double)instant_sub(clock_now(), from).ns / 1e9, lists = (double)r.lists;
    double cpu_ms = (double)(load_cpu_ns(t, true) - cpu) / 1e6 / lists;
    double mib = load_mib(t, "VmHWM") - before, size = (double)r.bytes / lists;

    snprintf(name, sizeof name, "%s,%s,clients=%u", form->name, pages ? "pages" : "whole", clients);
    printf("size[%s] %.2f MB\n", name, size / 1e6);
    printf("rate[%s] %.0f MB/s\n", name, (double)r.bytes / 1e6 / s);
    printf("p50[%s] %.1f ms\n", name, load_percentile(&r.took, 0.5));
    printf("cpu[%s] %.2f ms\n", name, cpu_ms);
    printf("bare[%s] %.2f ms\n", name, bare * size / 1e6);
    printf("peak_memory[%s] %.1f MiB\n", name, mib);

    beside(&r, &w, 0, 0, ms); /* The same beside creates, for as long, */
    printf("creates_beside_p99[%s] %.1f ms\n", name, load_percentile(&w.took, 0.99));
    free(w.took.at);
    cpu_ms = beside(&r, &w, CHANGES, OBJECTS, ms); /* and beside changes of what is listed. */
    printf("cpu_changing[%s] %.2f ms\n", name, cpu_ms);
    fflush(stdout);
    for (uint32_t i = 0; i < clients; i++)
        http_client_close(r.clients[i].http);
    free(r.took.at);
    free(w.took.at);
}

int main(int argc, char **argv)
{
    struct load_target t;
    struct load_writer w;

    if (argc < 4)
        load_die("usage", "list-load DIR PORT PID [MILLISECONDS [FORM [whole|pages]]]");
    load_open(&t, argv[1], argv[2], argv[3]);
    int64_t ms = argc > 4 ? load_number(argv[4]) : 3000;
    await_still(&t);
    double bare = bare_ns_per_byte(&t);
    load_writer_start(&w, &t, 0, 0);
    load_wait(&t, ms);
    load_writer_stop(&w);
    printf("creates_alone_p99 %.1f ms\n", load_percentile(&w.took, 0.99));
    for (size_t f = 0; f < COUNT_OF(forms); f++) {
        if (argc > 5 && strcmp(argv[5], forms[f].name) != 0)
            continue;
        first(&t, &forms[f]);
        for (int pages = 0; pages < 2; pages++) {
            if (argc > 6 && strcmp(argv[6], pages ? "pages" : "whole") != 0)
                continue;
            for (uint32_t clients = 1; clients <= CLIENTS_MAX; clients += CLIENTS_MAX - 1)
                row(&t, &forms[f], pages, clients, ms, bare);
        }
    }
    return 0; /* The kernel takes the rest back. */
}
