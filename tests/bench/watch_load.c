/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watchers of all pods while pods change, some of them not reading.
 *
 *   watch-load DIR PORT PID FORM WATCHERS CONNECTIONS CHANGES IDLE SECONDS
 *
 * FORM: json or protobuf. CHANGES a second, each to the next of 100 pods of 1 KB. IDLE: further watchers, one
 * connection each, that never read. The age of an event counts from the moment its change was sent: the commit is in it.
 * What the changes themselves cost the connection threads is measured before anybody watches, and is not in cpu_us.
 * Prints "METRIC VALUE UNIT".
 */
#include "io/clock.h"
#include "tests/bench/load.h"

#include <stdio.h>
#include <stdlib.h>

enum { OBJECTS = 100, STAMP_DIGITS = 19, WAVE = 20, INITIAL_S = 15, ALONE_MS = 2000 };

struct watcher {
    struct bench *bench;
    struct http_client *http;
    uint32_t left;     /* Protobuf: bytes of the frame that are still to come. */
    uint32_t head_len; /* Protobuf: of the four bytes of its length. */
    uint32_t head;
    int32_t digits; /* Of a time stamp, read so far; -1: none begun. */
    uint64_t stamp;
    bool open;
};

struct bench {
    struct load_target target;
    bool protobuf;
    struct watcher *watchers;
    uint32_t watchers_count, open;
    uint64_t events, bytes, gone;
    struct load_samples ages;
    bool counting;
};

/* ---- what is read ---- */

/* '@' and nineteen digits, wherever the stream was cut. Two '@' are no stamp. */
static void find_stamps(struct watcher *w, struct str bytes, uint64_t now)
{
    const char *at = bytes.at, *end = at + bytes.len;
    while (at < end) {
        if (w->digits < 0) {
            at = memchr(at, '@', (size_t)(end - at));
            if (at == NULL)
                return;
            at++;
            w->digits = 0;
            w->stamp = 0;
            continue;
        }
        if (*at < '0' || *at > '9') {
            w->digits = -1;
            continue;
        }
        w->stamp = w->stamp * 10 + (uint64_t)(*at++ - '0');
        if (++w->digits < STAMP_DIGITS)
            continue;
        w->digits = -1;
        if (w->bench->counting && w->stamp > 0 && now > w->stamp)
            load_sample(&w->bench->ages, now - w->stamp);
    }
}

static uint64_t count_lines(struct str bytes)
{
    uint64_t count = 0;
    const char *at = bytes.at, *end = at + bytes.len;
    while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        count++;
        at++;
    }
    return count;
}

static uint64_t count_frames(struct watcher *w, struct str bytes)
{
    uint64_t count = 0;
    for (size_t at = 0; at < bytes.len;) {
        if (w->left > 0) {
            uint32_t step = (uint32_t)min_size(w->left, bytes.len - at);
            at += step;
            w->left -= step;
            count += w->left == 0;
            continue;
        }
        w->head = w->head << 8 | (uint8_t)bytes.at[at++];
        if (++w->head_len < 4)
            continue;
        w->left = w->head;
        w->head_len = w->head = 0;
    }
    return count;
}

static void watch_told(void *owner, const struct http_client_event *ev)
{
    struct watcher *w = (struct watcher *)owner + ev->op;
    struct bench *b = w->bench;

    switch (ev->type) {
    case HTTP_CLIENT_HEAD:
        if (ev->status != 200)
            load_die("watch", "was refused");
        b->open++;
        break;
    case HTTP_CLIENT_BODY:
        b->bytes += ev->bytes.len;
        b->events += b->protobuf ? count_frames(w, ev->bytes) : count_lines(ev->bytes);
        if (ev->op % 16 ==
            0) /* Looking at every byte of every watcher would cost more than sending them. */
            find_stamps(w, ev->bytes, (uint64_t)ev->now.ns);
        break;
    case HTTP_CLIENT_END:
        b->gone++;
        break;
    case HTTP_CLIENT_FAILED:
    case HTTP_CLIENT_CLOSED:
        load_die("watch", ev->err.text);
    case HTTP_CLIENT_OPEN:
    case HTTP_CLIENT_WRITABLE:
        break;
    }
}

static void watch(struct bench *b, struct http_client *http, uint64_t op, bool reads)
{
    struct http_header accept = {STR("accept"), b->protobuf
                                                    ? STR("application/vnd.kubernetes.protobuf")
                                                    : STR("application/json")};
    struct http_client_request q = {
        .method = "GET",
        .path = "/api/v1/namespaces/default/pods?watch=true&resourceVersion=0",
        .headers = &accept,
        .headers_count = 1,
        .manual_consume = !reads};
    if (http_client_start(http, op, &q).generation == 0)
        load_die("watch", "no further request could be started");
}

/* Connections stand in waves: a thousand handshakes at once would be over the server's limit in time for each. */
static void open_watchers(struct bench *b, uint32_t connections)
{
    struct http_client **http = calloc(connections, sizeof(struct http_client *));
    for (uint32_t i = 0; i < b->watchers_count; i++) {
        struct http_client_options o = {.host = "127.0.0.1",
                                        .port = b->target.port,
                                        .tls = b->target.admin,
                                        .event = watch_told,
                                        .owner = b->watchers};
        if (i < connections)
            http[i] = http_client_open(b->target.loop, &o);
        b->watchers[i] = (struct watcher){.bench = b, .digits = -1};
        watch(b, http[i % connections], i, true);
        while (i < connections && (i + 1) % WAVE == 0 && b->open <= i)
            loop_step(b->target.loop, SPAN_MS(50));
    }
    while (b->open < b->watchers_count)
        loop_step(b->target.loop, SPAN_MS(50));
    free(http);
}

/* What is there at the beginning comes as events, too: a hundred for each watcher, whose ages mean nothing. */
static void await_initial(struct bench *b)
{
    struct instant limit = instant_add(clock_now(), SPAN_S(INITIAL_S));
    while (b->events < (uint64_t)b->watchers_count * OBJECTS && clock_now().ns < limit.ns)
        loop_step(b->target.loop, SPAN_MS(50));
}

/* ---- the changes ---- */

static void writer_rate(struct load_writer *w, uint32_t rate)
{
    w->rate = rate;
    w->next = clock_now();
}

/* Nanoseconds of the connection threads' processor time for a change that nobody watches. */
static double change_alone_ns(struct bench *b, struct load_writer *w, uint32_t changes)
{
    writer_rate(w, changes);
    load_wait(&b->target, 1000);
    uint64_t front = load_cpu_ns(&b->target, true), written = w->answered;
    load_wait(&b->target, ALONE_MS);
    front = load_cpu_ns(&b->target, true) - front;
    written = w->answered - written;
    writer_rate(w, 1);
    return written == 0 ? 0 : (double)front / (double)written;
}

/* ---- those who do not read ---- */

static void idle_told(void *owner, const struct http_client_event *ev)
{
    (void)owner;
    (void)ev; /* Reset after a while, or not: that is the server's business. */
}

static void open_idle(struct bench *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct http_client_options o = {.host = "127.0.0.1",
                                        .port = b->target.port,
                                        .tls = b->target.admin,
                                        .event = idle_told};
        watch(b, http_client_open(b->target.loop, &o), 0, false);
    }
    load_wait(&b->target, 200);
}

int main(int argc, char **argv)
{
    static struct bench b;
    struct load_writer w;

    if (argc != 10)
        load_die("usage", "watch-load DIR PORT PID FORM WATCHERS CONNECTIONS CHANGES IDLE SECONDS");
    load_open(&b.target, argv[1], argv[2], argv[3]);
    b.protobuf = strcmp(argv[4], "protobuf") == 0;
    b.watchers_count = load_number(argv[5]);
    b.watchers = calloc(b.watchers_count, sizeof *b.watchers);
    uint32_t changes = load_number(argv[7]), seconds = load_number(argv[9]);
    char name[96];

    load_writer_start(&w, &b.target, 1, OBJECTS);
    double change_ns = change_alone_ns(&b, &w, changes);
    open_watchers(&b, load_number(argv[6]));
    open_idle(&b, load_number(argv[8]));
    await_initial(&b);
    writer_rate(&w, changes);
    load_wait(&b.target, 1000); /* The first events, and everything warm. */
    double rss = load_mib(&b.target, "VmRSS");
    uint64_t front = load_cpu_ns(&b.target, true), all = load_cpu_ns(&b.target, false);
    uint64_t events = b.events, bytes = b.bytes, written = w.answered;
    struct instant from = clock_now();
    b.counting = true;
    load_wait(&b.target, 1000 * (int64_t)seconds);
    b.counting = false;
    double s = (double)instant_sub(clock_now(), from).ns / 1e9;
    front = load_cpu_ns(&b.target, true) - front;
    all = load_cpu_ns(&b.target, false) - all;
    double count = (double)(b.events - events), changed = (double)(w.answered - written);

    snprintf(name, sizeof name, "%s,watchers=%s,connections=%s,changes=%s,idle=%s", argv[4],
             argv[5], argv[6], argv[7], argv[8]);
    printf("changes[%s] %.0f /s\n", name, changed / s);
    printf("delivered[%s] %.0f events/s\n", name, count / s);
    printf("bytes[%s] %.0f MB/s\n", name, (double)(b.bytes - bytes) / 1e6 / s);
    printf("p50[%s] %.1f ms\n", name, load_percentile(&b.ages, 0.5));
    printf("p99[%s] %.1f ms\n", name, load_percentile(&b.ages, 0.99));
    printf("p999[%s] %.1f ms\n", name, load_percentile(&b.ages, 0.999));
    printf("cpu_us[%s] %.2f us per event\n", name,
           ((double)front - change_ns * changed) / 1e3 / count);
    printf("cpu_us_change[%s] %.2f us per change\n", name, change_ns / 1e3);
    printf("cpu_us_all[%s] %.2f us per event\n", name, (double)all / 1e3 / count);
    printf("memory_grew[%s] %.1f MiB\n", name, load_mib(&b.target, "VmRSS") - rss);
    printf("ended[%s] %llu watches\n", name, (unsigned long long)b.gone);
    return 0; /* The kernel takes the rest back. */
}
