/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/load.h"

#include "io/clock.h"
#include "io/fs.h"

#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

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

void load_open(struct load_target *t, const char *dir, const char *port, const char *pid)
{
    struct buf cert, key;
    struct err e;

    signal(SIGPIPE, SIG_IGN);
    *t = (struct load_target){.port = (uint16_t)load_number(port), .pid = load_number(pid)};
    read_file(dir, "control/pki/ca.crt", &t->ca);
    read_file(dir, "control/pki/server.crt", &t->server_cert);
    read_file(dir, "control/pki/server.key", &t->server_key);
    read_file(dir, "control/pki/admin.crt", &cert);
    read_file(dir, "control/pki/admin.key", &key);
    struct tls_client_options o = {
        .ca = buf_str(&t->ca), .cert = buf_str(&cert), .key = buf_str(&key)};
    load_must(tls_client_config(&o, &t->admin, &e), "TLS", &e);
    t->loop = loop_new();
}

/* ---- what it costs ---- */

static bool is_front(const char *task)
{
    char path[600], name[32] = "";
    snprintf(path, sizeof path, "%s/comm", task);
    FILE *f = fopen(path, "r");
    if (f != NULL && fgets(name, sizeof name, f) == NULL)
        name[0] = '\0';
    if (f != NULL)
        fclose(f);
    return strncmp(name, "front", 5) == 0;
}

static uint64_t task_cpu_ns(const char *task)
{
    char path[600];
    uint64_t ns = 0;
    snprintf(path, sizeof path, "%s/schedstat", task);
    FILE *f = fopen(path, "r");
    if (f != NULL && fscanf(f, "%" SCNu64, &ns) != 1)
        ns = 0;
    if (f != NULL)
        fclose(f);
    return ns;
}

uint64_t load_cpu_ns(const struct load_target *t, bool front)
{
    char path[64], task[400];
    uint64_t ns = 0;
    snprintf(path, sizeof path, "/proc/%u/task", t->pid);
    DIR *tasks = opendir(path);
    for (struct dirent *d; tasks != NULL && (d = readdir(tasks)) != NULL;) {
        snprintf(task, sizeof task, "%s/%s", path, d->d_name);
        if (d->d_name[0] != '.' && (!front || is_front(task)))
            ns += task_cpu_ns(task);
    }
    if (tasks == NULL)
        load_die(path, "batond is gone");
    closedir(tasks);
    return ns;
}

void load_peak_reset(const struct load_target *t)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/clear_refs", t->pid);
    FILE *f = fopen(path, "w");
    if (f == NULL || fputs("5\n", f) < 0 || fclose(f) != 0)
        load_die(path, "cannot be written");
}

double load_mib(const struct load_target *t, const char *name)
{
    char path[64], line[256];
    double kib = 0;
    snprintf(path, sizeof path, "/proc/%u/status", t->pid);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtod(strchr(line, ':') + 1, NULL);
    if (f != NULL)
        fclose(f);
    return kib / 1024;
}

/* ---- samples ---- */

void load_sample(struct load_samples *s, uint64_t ns)
{
    if (s->count == s->size) {
        s->size = s->size == 0 ? 1024 : 2 * s->size;
        s->at = realloc(s->at, s->size * sizeof *s->at);
    }
    s->at[s->count++] = ns;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

double load_percentile(struct load_samples *s, double share)
{
    if (s->count == 0)
        return 0;
    qsort(s->at, s->count, sizeof *s->at, by_size);
    return (double)s->at[(uint32_t)((s->count - 1) * share)] / 1e6;
}

void load_wait(struct load_target *t, int64_t ms)
{
    struct instant until = instant_add(clock_now(), SPAN_MS(ms));
    for (struct instant now = clock_now(); now.ns < until.ns; now = clock_now())
        loop_step(t->loop, instant_sub(until, now));
}

/* ---- the writer ---- */

static const char pod[] =
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"load-%u\",\"labels\":{"
    "\"app\":\"load\"},"
    "\"annotations\":{\"at\":\"@0000000000000000000\"}},\"spec\":{\"containers\":[{\"name\":"
    "\"main\","
    "\"image\":\"busybox\",\"command\":[\"sleep\",\"1000\"],\"resources\":{\"requests\":{"
    "\"cpu\":\"100m\",\"memory\":\"64Mi\"}}}]}}";

/* What is created beside lists is of another kind: the lists stay as long as they are. */
static const char config_map[] =
    "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"generateName\":\"beside-\"},"
    "\"data\":{\"key\":\"value\"}}";

static void write_post(struct load_writer *w, uint64_t op, const char *path, struct str body)
{
    struct http_header type = {STR("content-type"), STR("application/json")};
    struct http_client_request q = {
        .method = "POST", .path = path, .headers = &type, .headers_count = 1, .body = body};
    if (http_client_start(w->http, op, &q).generation == 0)
        load_die("write", "no further request could be started");
}

/* The instant of the change is in the object: whoever sees the event knows how old it is. */
static void write_patch(struct load_writer *w, uint64_t op)
{
    struct http_header type = {STR("content-type"), STR("application/merge-patch+json")};
    char path[128], body[128];
    snprintf(path, sizeof path, "/api/v1/namespaces/default/pods/load-%" PRIu64,
             w->number % w->objects);
    snprintf(body, sizeof body, "{\"metadata\":{\"annotations\":{\"at\":\"@%019" PRIu64 "\"}}}",
             (uint64_t)clock_now().ns);
    struct http_client_request q = {.method = "PATCH",
                                    .path = path,
                                    .headers = &type,
                                    .headers_count = 1,
                                    .body = str_of(body)};
    if (http_client_start(w->http, op, &q).generation == 0)
        w->refused++; /* The server does not keep up with the rate: it shows. */
}

static void write_one(struct load_writer *w)
{
    uint64_t op = w->number % COUNT_OF(w->began);
    w->began[op] = (uint64_t)clock_now().ns;
    if (w->objects == 0)
        write_post(w, op, "/api/v1/namespaces/default/configmaps", str_of(config_map));
    else
        write_patch(w, op);
    w->number++;
}

static void writer_told(void *owner, const struct http_client_event *ev)
{
    struct load_writer *w = owner;

    if (ev->type == HTTP_CLIENT_HEAD)
        w->refused += ev->status >= 300;
    if (ev->type == HTTP_CLIENT_FAILED || ev->type == HTTP_CLIENT_CLOSED)
        load_die("write", ev->err.text);
    if (ev->type != HTTP_CLIENT_END)
        return;
    w->answered++;
    load_sample(&w->took, (uint64_t)clock_now().ns - w->began[ev->op]);
    if (w->rate == 0 && !w->stop)
        write_one(w);
}

static void writer_due(struct loop_client *self, const struct io_event *ev)
{
    struct load_writer *w = CONTAINER_OF(self, struct load_writer, client);

    if (ev->type != IO_DEADLINE || w->stop)
        return;
    while (w->next.ns <= ev->now.ns) {
        write_one(w);
        w->next.ns += 1000000000 / w->rate;
    }
    loop_set_deadline(self, w->next);
}

void load_writer_start(struct load_writer *w, struct load_target *t, uint32_t rate,
                       uint32_t objects)
{
    struct http_client_options o = {.host = "127.0.0.1",
                                    .port = t->port,
                                    .tls = t->admin,
                                    .requests_max = 200,
                                    .event = writer_told,
                                    .owner = w};

    *w = (struct load_writer){
        .target = t, .client = {.event = writer_due}, .rate = 1, .objects = objects};
    w->http = http_client_open(t->loop, &o);
    loop_join(t->loop, &w->client);
    for (uint32_t i = 0; i < objects; i++) { /* Those that are there already are refused. */
        char body[1024];
        snprintf(body, sizeof body, pod, i);
        write_post(w, 0, "/api/v1/namespaces/default/pods", str_of(body));
        while (w->answered <= i)
            loop_step(t->loop,
                      SPAN_MS(1)); /* What is begun outside of a turn goes out after the next. */
    }
    w->took.count = 0;
    w->answered = w->refused = 0;
    w->rate = rate;
    w->next = clock_now();
    if (rate == 0)
        write_one(w);
    else
        loop_set_deadline(&w->client, w->next);
}

void load_writer_stop(struct load_writer *w)
{
    struct instant limit = instant_add(clock_now(), SPAN_S(10));
    w->stop = true;
    while (w->answered + w->refused < w->number && clock_now().ns < limit.ns)
        loop_step(w->target->loop, SPAN_MS(50));
    http_client_close(w->http);
    loop_leave(&w->client);
}
