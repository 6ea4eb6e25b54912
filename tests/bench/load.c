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

void load_read(const char *dir, const char *name, struct buf *out)
{
    char path[FS_PATH_MAX];
    struct err e;

    buf_init(out, 1 << 20);
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
    load_read(dir, "control/pki/ca.crt", &t->ca);
    load_read(dir, "control/pki/server.crt", &t->server_cert);
    load_read(dir, "control/pki/server.key", &t->server_key);
    load_read(dir, "control/pki/admin.crt", &cert);
    load_read(dir, "control/pki/admin.key", &key);
    struct tls_client_options o = {
        .ca = buf_str(&t->ca), .cert = buf_str(&cert), .key = buf_str(&key)};
    load_must(tls_client_config(&o, &t->admin, &e), "TLS", &e);
    t->loop = loop_new();
}

/* ---- what it costs ---- */

const char *const load_part_names[] = {"core", "io", "store"};

static bool read_line(const char *dir, const char *name, char *out, int size)
{
    char path[FS_PATH_MAX];
    FILE *f = fs_join(path, dir, name) ? fopen(path, "r") : NULL;
    bool ok = f != NULL && fgets(out, size, f) != NULL;
    if (f != NULL)
        fclose(f);
    return ok; /* A thread may end while it is looked at. */
}

void load_cpu(uint32_t pid, uint64_t out_ns[LOAD_PART__COUNT])
{
    char path[64], task[FS_PATH_MAX], name[64], stat[64];

    snprintf(path, sizeof path, "/proc/%u/task", pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL)
        load_die(path, "no such process");
    memset(out_ns, 0, LOAD_PART__COUNT * sizeof *out_ns);
    for (const struct dirent *d; (d = readdir(tasks)) != NULL;) {
        snprintf(task, sizeof task, "%s/%s", path, d->d_name);
        if (d->d_name[0] == '.' || !read_line(task, "comm", name, sizeof name) ||
            !read_line(task, "schedstat", stat, sizeof stat))
            continue;
        enum load_part part = strncmp(name, "front", 5) == 0   ? LOAD_IO
                              : strncmp(name, "store", 5) == 0 ? LOAD_STORE
                                                               : LOAD_CORE;
        out_ns[part] += strtoull(stat, NULL, 10);
    }
    closedir(tasks);
}

uint64_t load_cpu_all_ns(uint32_t pid)
{
    uint64_t ns[LOAD_PART__COUNT], sum = 0;
    load_cpu(pid, ns);
    for (uint32_t i = 0; i < LOAD_PART__COUNT; i++)
        sum += ns[i];
    return sum;
}

uint64_t load_cpu_ns(const struct load_target *t, bool front)
{
    uint64_t ns[LOAD_PART__COUNT];
    load_cpu(t->pid, ns);
    return front ? ns[LOAD_IO] : load_cpu_all_ns(t->pid);
}

void load_peak_reset(const struct load_target *t)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/clear_refs", t->pid);
    FILE *f = fopen(path, "w");
    if (f == NULL || fputs("5\n", f) < 0 || fclose(f) != 0)
        load_die(path, "cannot be written");
}

/* "Name:   1234 kB", a line each. */
static double read_mib(const char *path, const char *name)
{
    char line[256];
    double kib = 0;
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtod(strchr(line, ':') + 1, NULL);
    if (f != NULL)
        fclose(f);
    return kib / 1024;
}

double load_mib(const struct load_target *t, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/status", t->pid);
    return read_mib(path, name);
}

double load_pss_mib(uint32_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/smaps_rollup", pid);
    return read_mib(path, "Pss:");
}

/* ---- one question ---- */

struct question {
    struct buf *out;
    uint32_t status;
    bool over;
};

static void question_told(void *owner, const struct http_client_event *ev)
{
    struct question *q = owner;
    if (ev->type == HTTP_CLIENT_HEAD)
        q->status = ev->status;
    if (ev->type == HTTP_CLIENT_BODY)
        buf_add(q->out, ev->bytes);
    if (ev->type == HTTP_CLIENT_FAILED || ev->type == HTTP_CLIENT_CLOSED)
        q->status = 0;
    q->over |= ev->type == HTTP_CLIENT_END || ev->type == HTTP_CLIENT_FAILED ||
               ev->type == HTTP_CLIENT_CLOSED;
}

uint32_t load_get(struct load_target *t, const char *path, struct buf *out)
{
    struct question q = {.out = out};
    struct http_client_options o = {
        .host = "127.0.0.1", .port = t->port, .tls = t->admin, .event = question_told, .owner = &q};
    struct http_client *http = http_client_open(t->loop, &o);
    http_client_start(http, 0, &(struct http_client_request){.method = "GET", .path = path});
    while (!q.over)
        loop_step(t->loop, SPAN_S(1));
    http_client_close(http);
    return q.status;
}

double load_metric(struct load_target *t, const char *series)
{
    struct buf text;
    struct str rest, line;
    double value = 0;
    size_t len = strlen(series);

    buf_init(&text, 16 << 20);
    if (load_get(t, "/metrics", &text) != 200)
        load_die("/metrics", "was refused");
    for (rest = buf_str(&text); str_split(&rest, '\n', &line);)
        if (str_starts(line, str_of(series)) && line.len > len && line.at[len] == ' ')
            value = strtod(line.at + len, NULL);
    buf_free(&text);
    return value;
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
