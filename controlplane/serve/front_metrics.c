/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is counted and logged of each request. Names are Kubernetes' where it has one.
 */
#include "base/log.h"
#include "controlplane/serve/front_priv.h"
#include "controlplane/serve/sessions.h"
#include "io/clock.h"
#include "io/process.h"

enum { LABELS_MAX = 512 };

#define MS(n) ((uint64_t)(n)*1000000)
/* Kubernetes' buckets, and some below: its fastest is our slow. */
static const uint64_t bounds[] = {MS(1) / 4, MS(1),    MS(5),     MS(25),   MS(50),   MS(100),
                                  MS(200),   MS(400),  MS(600),   MS(800),  MS(1000), MS(2000),
                                  MS(4000),  MS(8000), MS(30000), MS(60000)};

static const struct metric request_duration = {
    .name = "apiserver_request_duration_seconds",
    .help = "Time from a request's head to the end of its answer; watches are not in it.",
    .kind = METRIC_HISTOGRAM,
    .bounds_ns = bounds,
    .bounds_count = COUNT_OF(bounds)};
static const struct metric request_total = {.name = "apiserver_request_total",
                                            .help = "Requests by what they asked and were told.",
                                            .kind = METRIC_COUNTER};
static const struct metric response_sizes = {.name = "apiserver_response_bytes_total",
                                             .help = "Bytes of answers' bodies.",
                                             .kind = METRIC_COUNTER};
static const struct metric inflight = {.name = "apiserver_current_inflight_requests",
                                       .help = "Requests in work, by kind.",
                                       .kind = METRIC_GAUGE};
static const struct metric watchers = {.name = "apiserver_longrunning_requests",
                                       .help = "Requests that follow the history.",
                                       .kind = METRIC_GAUGE};
static const struct metric connections = {
    .name = "baton_http_connections", .help = "Open connections.", .kind = METRIC_GAUGE};
static const struct metric accepted = {.name = "baton_http_connections_accepted_total",
                                       .help = "Connections accepted; by what became of them.",
                                       .kind = METRIC_COUNTER};
static const struct metric handshakes = {.name = "baton_http_handshakes",
                                         .help = "TLS handshakes in work, and waiting for that.",
                                         .kind = METRIC_GAUGE};
static const struct metric strangers = {.name = "baton_http_strangers",
                                        .help = "Connections that showed no certificate of ours.",
                                        .kind = METRIC_GAUGE};
static const struct metric limited = {.name = "baton_http_limited_total",
                                      .help = "Requests and connections refused for a limit.",
                                      .kind = METRIC_COUNTER};
static const struct metric bytes = {.name = "baton_http_bytes_total",
                                    .help = "Bytes through sockets, TLS included.",
                                    .kind = METRIC_COUNTER};
static const struct metric sessions = {.name = "baton_agent_sessions",
                                       .help = "Agents' sessions that are open.",
                                       .kind = METRIC_GAUGE};

static const struct metric process_cpu = {.name = "process_cpu_seconds_total",
                                          .help = "User and system time of all threads.",
                                          .kind = METRIC_COUNTER,
                                          .in_ns = true};
static const struct metric process_started = {.name = "process_start_time_seconds",
                                              .help = "Start of the process since 1970.",
                                              .kind = METRIC_GAUGE,
                                              .in_ns = true};
static const struct metric process_resident = {.name = "process_resident_memory_bytes",
                                               .help = "Memory that is in RAM.",
                                               .kind = METRIC_GAUGE};
static const struct metric process_virtual = {.name = "process_virtual_memory_bytes",
                                              .help = "Address space, touched or not.",
                                              .kind = METRIC_GAUGE};
static const struct metric process_fds = {
    .name = "process_open_fds", .help = "Open descriptors.", .kind = METRIC_GAUGE};
static const struct metric process_fds_max = {
    .name = "process_max_fds", .help = "Descriptors that may be open.", .kind = METRIC_GAUGE};
static const struct metric process_threads = {
    .name = "process_threads", .help = "Threads.", .kind = METRIC_GAUGE};

static const char *verb_name(const struct rest_request *r)
{
    static const char *const names[] = {
        [REST_GET] = "GET",       [REST_LIST] = "LIST",
        [REST_WATCH] = "WATCH",   [REST_CREATE] = "POST",
        [REST_UPDATE] = "PUT",    [REST_PATCH] = "PATCH",
        [REST_DELETE] = "DELETE", [REST_DELETE_COLLECTION] = "DELETECOLLECTION",
        [REST_OTHER] = "GET",
    };
    return names[r->verb];
}

static struct str scope_of(const struct rest_request *r)
{
    if (!r->at.is_resource)
        return STR("");
    if (r->at.name.len > 0)
        return STR("resource");
    return r->at.namespace.len > 0 ? STR("namespace") : STR("cluster");
}

/* A resource that is not there has no label of its own: its name is the client's invention, and anybody may invent, before he
 * is asked who he is. */
static void labels_of(const struct rest_request *r, struct buf *out)
{
    bool known =
        r->at.is_resource && r->status != 404 && (r->status < 400 || rest_is_served(&r->at));

    metrics_label(out, "verb", str_of(verb_name(r)));
    metrics_label(out, "group", known ? r->at.group : STR(""));
    metrics_label(out, "version", known ? r->at.version : STR(""));
    metrics_label(out, "resource", known ? r->at.resource : STR(""));
    metrics_label(out, "subresource", known ? r->at.subresource : STR(""));
    metrics_label(out, "scope", known ? scope_of(r) : STR(""));
}

/* The audit line: every write and every refusal; reads at debug. Never a body, never a credential.
 * Who has no name is not written down more than ten times a minute. */
static void log_request(const struct rest_request *r, struct span took)
{
    bool reads = r->verb == REST_GET || r->verb == REST_LIST || r->verb == REST_WATCH ||
                 r->verb == REST_OTHER;
    bool refused = r->status == 401 || r->status == 403 || r->status == 429;
    enum log_level level = reads && !refused ? LOG_DEBUG : LOG_INFO;

    bool stranger = r->status == 401 || r->user.anonymous;
    if (!log_is_on(level) || (stranger && !front_stranger(r->front, STRANGER_ASKS)))
        return; /* Quoting costs more than the rest. */
    log_event(level, "api.request", "user=%s verb=%s path=%s code=%u us=%lld bytes=%llu",
              log_quote(r->user.name).text, verb_name(r), log_quote(r->path).text, r->status,
              (long long)(took.ns / 1000), (unsigned long long)r->sent_bytes);
}

void front_count(struct rest_request *r)
{
    struct metrics *m = r->front->metrics;
    struct span took = instant_sub(clock_now(), r->began);
    char text[LABELS_MAX];
    struct buf labels = {.at = text, .size = sizeof text, .limit = sizeof text};

    log_request(r, took);
    labels_of(r, &labels);
    if (r->verb != REST_WATCH)
        metrics_observe(m, &request_duration, buf_str(&labels), took);
    buf_add(&labels, STR(",code=\""));
    buf_add_u64(&labels, r->status);
    buf_add_char(&labels, '"');
    metrics_add(m, &request_total, buf_str(&labels), 1);
    metrics_add(m, &response_sizes, STR(""), r->sent_bytes);
}

void front_gauges(struct front *f)
{
    struct metrics *m = f->metrics;
    struct http_server_stats s = http_server_stats(f->server);

    metrics_set(m, &inflight, STR("request_kind=\"readOnly\""), f->reading);
    metrics_set(m, &inflight, STR("request_kind=\"mutating\""), f->writing);
    metrics_set(m, &watchers, STR("verb=\"WATCH\""), f->following);
    metrics_set(m, &connections, STR(""), s.connections);
    metrics_set(m, &accepted, STR("outcome=\"served\""), (int64_t)(s.accepted - s.refused));
    metrics_set(m, &accepted, STR("outcome=\"refused\""), (int64_t)s.refused);
    metrics_set(m, &accepted, STR("outcome=\"handshake_failed\""), (int64_t)s.handshakes_failed);
    metrics_set(m, &accepted, STR("outcome=\"resumed\""), (int64_t)s.resumed);
    metrics_set(m, &accepted, STR("outcome=\"displaced\""), (int64_t)s.displaced);
    metrics_set(m, &handshakes, STR("state=\"working\""), s.handshakes);
    metrics_set(m, &handshakes, STR("state=\"waiting\""), s.handshakes_waiting);
    metrics_set(m, &strangers, STR(""), s.strangers);
    metrics_set(m, &limited, STR(""), (int64_t)s.limited);
    metrics_set(m, &bytes, STR("direction=\"in\""), (int64_t)s.bytes_in);
    metrics_set(m, &bytes, STR("direction=\"out\""), (int64_t)s.bytes_out);
    metrics_set(m, &sessions, STR(""), sessions_count(f->sessions));
}

/* The process' own are nobody's thread: a set for this scrape alone. */
void front_print_metrics(struct front *f, struct buf *out)
{
    struct front_shared *shared = f->shared;
    struct metrics *sets[COUNT_OF(shared->sets) + 1], *m = metrics_new();
    struct process_usage u;

    front_gauges(f);
    process_usage(&u);
    metrics_set(m, &process_cpu, STR(""), u.cpu_ns);
    metrics_set(m, &process_started, STR(""), u.started.ns);
    metrics_set(m, &process_resident, STR(""), (int64_t)u.resident_bytes);
    metrics_set(m, &process_virtual, STR(""), (int64_t)u.virtual_bytes);
    metrics_set(m, &process_fds, STR(""), (int64_t)u.fds);
    metrics_set(m, &process_fds_max, STR(""), (int64_t)u.fds_max);
    metrics_set(m, &process_threads, STR(""), (int64_t)u.threads);
    memcpy(sets, shared->sets, sizeof shared->sets);
    sets[shared->sets_count] = m;
    metrics_print(sets, shared->sets_count + 1, out);
    metrics_free(m);
}
