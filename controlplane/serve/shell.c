/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/shell.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "controlplane/core/core.h"
#include "controlplane/core/recording.h"
#include "controlplane/store/store_mem.h"
#include "controlplane/store/store_sqlite.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/fs.h"

#include <stdio.h>

enum {
    INBOX_OP = 1,
    FLUSH_ROUNDS = 64,   /* A store in memory answers within the turn; then others have theirs. */
    FAILING_SAID_S = 30, /* A trouble of one kind is not put into new words more often. */
    DRAIN_S = 10,        /* For connections to end by themselves. */
};

static const uint64_t CLOSE_OP = UINT64_MAX; /* No effect has it: the core counts from 1. */

struct shell {
    struct loop_client client;
    struct core *core;
    struct recording *recording; /* NULL: none. */
    struct store *store;
    struct store_mem_disk *disk; /* store "mem" */
    struct mailbox inbox;
    struct shell_front *fronts[SHELL_FRONTS_MAX];
    uint32_t fronts_count, fronts_drained;
    struct metrics *metrics;
    struct core_counts counted;                /* As /metrics has them. */
    uint64_t commits_op[2 * CORE_COMMITS_MAX]; /* Transactions in flight, by op: */
    struct instant commits_began[2 * CORE_COMMITS_MAX];
    atomic_bool is_ready;
    bool stepped, stopping, closing, done, deposed;
    struct err failing; /* What the store fails with, how often it did, when that was said last. */
    uint64_t failing_count;
    struct instant failing_said;
    struct instant drain_until;
    char marker[FS_PATH_MAX]; /* store "etcd"; "" otherwise. */
};

static const struct metric commits_total = {.name = "baton_store_transactions_total",
                                            .help = "Transactions handed to the store.",
                                            .kind = METRIC_COUNTER};
static const struct metric writes_total = {.name = "baton_store_writes_total",
                                           .help = "Object changes in those transactions.",
                                           .kind = METRIC_COUNTER};
static const struct metric decided_total = {.name = "baton_placements_decided_total",
                                            .help = "Workloads for which rows were chosen.",
                                            .kind = METRIC_COUNTER};
static const struct metric durable_total = {.name = "baton_placements_durable_total",
                                            .help = "Of them, those that became durable.",
                                            .kind = METRIC_COUNTER};
static const struct metric acknowledged_total = {
    .name = "baton_placements_acknowledged_total",
    .help = "Of them, those on which their node's agent has reported.",
    .kind = METRIC_COUNTER};
static const struct metric inbox_letters = {.name = "baton_core_inbox_letters",
                                            .help = "Writes and agents' messages that wait.",
                                            .kind = METRIC_GAUGE};

#define US(n) ((uint64_t)(n)*1000)
static const uint64_t commit_bounds[] = {US(100),    US(250),     US(500),    US(1000),  US(2500),
                                         US(5000),   US(10000),   US(25000),  US(50000), US(100000),
                                         US(250000), US(1000000), US(5000000)};
static const struct metric commit_duration = {
    .name = "baton_store_commit_duration_seconds",
    .help = "From handing a transaction to the store to its answer.",
    .kind = METRIC_HISTOGRAM,
    .bounds_ns = commit_bounds,
    .bounds_count = COUNT_OF(commit_bounds)};

/* ---- events in ---- */

static void shell_step(struct shell *s, struct core_event *ev)
{
    ev->now = loop_now(s->client.loop);
    ev->wall = clock_wall();
    if (s->recording != NULL)
        recording_event(s->recording, ev);
    core_step(s->core, ev);
    s->stepped = true;
}

enum err_code shell_leave_marker(const char *path, struct err *e)
{
    return fs_write(path, STR("The state of this cluster is in etcd, not in this directory.\n"),
                    0600, e);
}

/* From the first load on an empty etcd would be a loss, not a beginning. */
static void leave_marker(struct shell *s)
{
    struct err e;
    if (s->marker[0] == '\0' || fs_exists(s->marker))
        return;
    if (shell_leave_marker(s->marker, &e) != ERR_OK)
        log_event(LOG_WARN, "store.unmarked", "why=%s then=%s", log_quote(str_of(e.text)).text,
                  "\"an empty etcd would not be noticed at the next start\"");
}

static void commit_told(struct shell *s, const struct store_event *told)
{
    struct instant *began = &s->commits_began[told->op % COUNT_OF(s->commits_began)];

    if (told->type != STORE_DONE || began->ns == 0 ||
        s->commits_op[told->op % COUNT_OF(s->commits_op)] != told->op)
        return;
    metrics_observe(s->metrics, &commit_duration, STR(""), instant_sub(clock_now(), *began));
    *began = (struct instant){0};
}

static void commit_begun(struct shell *s, uint64_t op)
{
    s->commits_op[op % COUNT_OF(s->commits_op)] = op;
    s->commits_began[op % COUNT_OF(s->commits_began)] = clock_now();
}

/* A standby asks each second and a full disk refuses each write: said when it begins, when it changes and when
 * it is over. */
static void say_trouble(struct shell *s, const struct store_event *told)
{
    struct err *f = &s->failing;
    struct instant now = loop_now(s->client.loop);
    bool recent = instant_sub(now, s->failing_said).ns < SPAN_S(FAILING_SAID_S).ns;
    if (told->code == ERR_OK && f->code != ERR_OK) {
        log_event(LOG_INFO, "store.works_again", "failed=%llu was=%s",
                  (unsigned long long)s->failing_count, err_name(f->code));
        *f = (struct err){0};
    } else if (told->code != ERR_OK && told->code == f->code &&
               (recent || strcmp(told->err.text, f->text) == 0)) {
        s->failing_count++; /* Texts that hold a time or a number differ, and say no more. */
    } else if (told->code != ERR_OK) {
        log_event(LOG_WARN, "store.failed", "op=%llu code=%s text=%s", (unsigned long long)told->op,
                  err_name(told->code), log_quote(str_of(told->err.text)).text);
        s->failing_count = f->code == told->code ? s->failing_count + 1 : 1;
        s->failing_said = now;
        *f = told->err;
        f->code = told->code;
    }
}

/* What the store tells, on this thread. */
static void store_told(void *state, const struct store_event *told)
{
    struct shell *s = state;

    commit_told(s, told);
    if (told->op == CLOSE_OP) {
        s->done = true;
        loop_stop(s->client.loop);
    } else if (!s->closing) {
        shell_step(
            s, &(struct core_event){.type = told->type == STORE_ROW ? EV_STORE_ROW : EV_STORE_DONE,
                                    .op = told->op,
                                    .store = told});
    }
    if (told->type == STORE_DONE && told->code == ERR_OK && told->fence != 0) {
        log_event(LOG_INFO, "store.loaded", "revision=%llu oldest=%llu fence=%llu",
                  (unsigned long long)told->revision, (unsigned long long)told->oldest,
                  (unsigned long long)told->fence);
        leave_marker(s);
    }
    if (told->type == STORE_DONE && told->op != CLOSE_OP)
        say_trouble(s, told);
}

static void shell_mail(struct shell *s, const struct mail *m)
{
    struct letter *l = m->body;
    struct core_event ev = {.op = m->op};

    switch ((enum letter_type)m->type) {
    case LETTER_WRITE:
        l->write.object = l->object;
        ev.type = EV_WRITE;
        ev.write = &l->write;
        shell_step(s, &ev);
        break;
    case LETTER_AGENT_OPENED:
    case LETTER_AGENT_MESSAGE:
    case LETTER_AGENT_CLOSED:
        ev.type = m->type == LETTER_AGENT_OPENED    ? EV_AGENT_OPENED
                  : m->type == LETTER_AGENT_MESSAGE ? EV_AGENT_MESSAGE
                                                    : EV_AGENT_CLOSED;
        ev.agent.session = l->agent.session;
        ev.agent.node = l->agent.node;
        ev.agent.bytes = l->agent.bytes;
        shell_step(s, &ev);
        break;
    case LETTER_FRONT_DRAINED:
        s->fronts_drained++;
        break;
    case LETTER_WRITTEN:
    case LETTER_PUBLISHED:
    case LETTER_AGENT_SEND:
    case LETTER_AGENT_CLOSE:
    case LETTER_DRAIN:
    case LETTER_STOP:
    case LETTER_STREAM_OPENED:
    case LETTER_STREAM_DATA:
    case LETTER_STREAM_END:
    case LETTER_STREAM_ERROR:
    case LETTER_STREAM_ACK:
    case LETTER_STREAM_UP:
    case LETTER_STREAM_CLOSE:
        CHECK(false); /* Those go the other way. */
    }
    letter_free(l);
}

/* ---- effects out ---- */

/* There is room for the core's answers and ends of sessions: others yield earlier (letters.h). */
static bool front_post(struct shell *s, uint64_t name, enum letter_type type, struct letter *l)
{
    uint32_t front = letter_front(name);

    CHECK(front < s->fronts_count);
    struct mail m = {.type = type, .op = name, .body = l, .drop = letter_free};
    if (mailbox_post(s->fronts[front]->inbox, &m) == ERR_OK)
        return true;
    letter_free(l);
    return false;
}

static void publish(struct shell *s)
{
    for (uint32_t i = 0; i < s->fronts_count; i++)
        if (!atomic_exchange(&s->fronts[i]->published, true))
            front_post(s, letter_name(i, (struct slot_id){0}), LETTER_PUBLISHED, NULL);
}

/* A thread that does not keep up loses its sessions: their agents come again and are told everything. */
static void agent_send(struct shell *s, const struct core_effect *fx)
{
    struct shell_front *f = s->fronts[letter_front(fx->session)];

    if (mailbox_count(f->inbox) >= FRONT_FRAMES_MAX) {
        atomic_store(&f->behind, true);
        return;
    }
    front_post(s, fx->session, LETTER_AGENT_SEND,
               fx->object != NULL ? letter_agent_message(fx->session, fx->object)
                                  : letter_agent(fx->session, (struct str){NULL, 0}, fx->bytes));
}

static void agent_close(struct shell *s, const struct core_effect *fx)
{
    front_post(s, fx->session, LETTER_AGENT_CLOSE,
               letter_agent(fx->session, (struct str){NULL, 0}, str_of(fx->text)));
}

static void perform(struct shell *s, const struct core_effect *fx)
{
    const struct store_ops *ops = s->store->ops;

    switch (fx->type) {
    case FX_REPLY:
        CHECK(front_post(s, fx->op, LETTER_WRITTEN, letter_written(fx)) || s->stopping);
        break;
    case FX_LOAD:
        ops->load(s->store, fx->op);
        break;
    case FX_COMMIT:
        metrics_add(s->metrics, &commits_total, STR(""), 1);
        metrics_add(s->metrics, &writes_total, STR(""), fx->writes_count);
        commit_begun(s, fx->op);
        ops->commit(s->store, fx->op, fx->fence, fx->writes, fx->writes_count);
        break;
    case FX_COMPACT:
        ops->compact(s->store, fx->op, fx->revision);
        break;
    case FX_DEPOSED:
        log_event(LOG_ERROR, "store.deposed", "why=%s then=%s", log_quote(str_of(fx->text)).text,
                  "\"this batond ends\"");
        s->deposed = true;
        shell_stop(s);
        break;
    case FX_PUBLISHED:
        publish(s);
        break;
    case FX_AGENT_SEND:
        agent_send(s, fx);
        break;
    case FX_AGENT_CLOSE:
        agent_close(s, fx);
        break;
    case FX_POISONED:
        log_event(LOG_WARN, "object.poisoned", "key=%s why=%s then=%s", log_quote(fx->bytes).text,
                  log_quote(str_of(fx->text)).text,
                  "\"it is kept as it is; deleting it is the way out\"");
        break;
    }
}

/* A rate needs the zero it began with. */
static void count_from_zero(struct metrics *m)
{
    static const struct metric *const all[] = {&commits_total, &writes_total, &decided_total,
                                               &durable_total, &acknowledged_total};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        metrics_add(m, all[i], STR(""), 0);
}

static void count_one(struct shell *s, const struct metric *m, uint64_t *had, uint64_t is)
{
    if (*had != is)
        metrics_add(s->metrics, m, STR(""), is - *had);
    *had = is;
}

static void count(struct shell *s)
{
    struct core_counts is = core_counts(s->core);

    count_one(s, &decided_total, &s->counted.decided, is.decided);
    count_one(s, &durable_total, &s->counted.durable, is.durable);
    count_one(s, &acknowledged_total, &s->counted.acknowledged, is.acknowledged);
    metrics_set(s->metrics, &inbox_letters, STR(""), mailbox_count(&s->inbox));
}

static void flush(struct shell *s, struct instant now)
{
    struct wall wall = clock_wall();

    if (s->recording != NULL)
        recording_flush(s->recording, now, wall);
    struct core_effects fx = core_flush(s->core, now, wall);
    if (s->recording != NULL)
        recording_done(s->recording, s->core, &fx);
    for (uint32_t i = 0; i < fx.count; i++)
        perform(s, &fx.at[i]);
    count(s);
    atomic_store(&s->is_ready, core_is_ready(s->core) && !s->stopping);
}

/* ---- the end ---- */

static void shell_wind_down(struct shell *s, struct instant now)
{
    bool drained = s->fronts_drained == s->fronts_count || instant_due(s->drain_until, now);

    if (!drained || s->closing) {
        loop_set_deadline(&s->client, instant_add(now, SPAN_MS(50)));
        return;
    }
    s->closing = true;
    s->store->ops->close(s->store, CLOSE_OP);
    loop_set_deadline(&s->client, now);
}

void shell_stop(struct shell *s)
{
    if (s->stopping)
        return;
    s->stopping = true;
    atomic_store(&s->is_ready, false);
    s->drain_until = instant_add(loop_now(s->client.loop), SPAN_S(DRAIN_S));
    for (uint32_t i = 0; i < s->fronts_count; i++)
        front_post(s, letter_name(i, (struct slot_id){0}), LETTER_DRAIN, NULL);
}

bool shell_is_done(const struct shell *s)
{
    return s->done;
}

bool shell_is_deposed(const struct shell *s)
{
    return s->deposed;
}

/* ---- the loop's side ---- */

static void shell_event(struct loop_client *self, const struct io_event *ev)
{
    struct shell *s = CONTAINER_OF(self, struct shell, client);

    if (ev->type == IO_MAIL)
        shell_mail(s, &ev->mail);
    else if (ev->type == IO_DEADLINE && !s->closing && instant_due(core_deadline(s->core), ev->now))
        shell_step(s, &(struct core_event){.type = EV_DEADLINE});
}

static void shell_turn(struct loop_client *self, struct instant now)
{
    struct shell *s = CONTAINER_OF(self, struct shell, client);
    struct instant next = {0};

    for (uint32_t round = 0; s->stepped && !s->closing && round < FLUSH_ROUNDS; round++) {
        s->stepped = false;
        flush(s, now);
        if (s->disk != NULL)
            store_mem_step(s->store, now);
    }
    if (s->disk != NULL && !s->done) {
        if (s->closing)
            store_mem_step(s->store, now);
        next = s->done ? next : store_mem_deadline(s->store);
    }
    if (!s->closing)
        next = instant_earlier(next, core_deadline(s->core));
    loop_set_deadline(&s->client, s->stepped ? now : next);
    if (s->stopping && !s->done)
        shell_wind_down(s, now);
}

static void say_how_opened(struct store_sqlite_stats stats)
{
    if (stats.recovered_pages > 0)
        log_event(LOG_INFO, "store.recovered", "pages=%llu why=%s",
                  (unsigned long long)stats.recovered_pages,
                  "\"the last end was not an orderly one\"");
    if (stats.alone)
        log_event(LOG_WARN, "store.alone", "why=%s then=%s", "\"no room on the disk at the start\"",
                  "\"commits wait for checkpoints until the next start\"");
}

static enum err_code open_sqlite(struct shell *s, const struct shell_options *o,
                                 const struct store_sink *sink, struct err *e)
{
    if (o->marker != NULL && fs_exists(o->marker))
        return err_set(e, ERR_DENIED,
                       "this cluster's state is in etcd (%s); start with --store etcd, or bring it "
                       "back with baton store copy",
                       o->marker);
    struct store_sqlite_options sqlite = {.path = o->path, .seal = o->seal, .loop = s->client.loop};
    enum err_code code = store_sqlite_open(&sqlite, sink, &s->store, e);
    if (code == ERR_OK)
        say_how_opened(store_sqlite_stats(s->store));
    return code;
}

static enum err_code open_etcd(struct shell *s, const struct shell_options *o,
                               const struct store_sink *sink, struct err *e)
{
    struct store_etcd_options etcd = *o->etcd;
    if (fs_exists(o->path) && !fs_exists(o->marker))
        return err_set(e, ERR_DENIED,
                       "this cluster's state is in %s; move it with baton store copy, or start "
                       "with --store sqlite",
                       o->path);
    etcd.seal = o->seal;
    etcd.loop = s->client.loop;
    etcd.cluster = o->cluster_id;
    etcd.must_exist = fs_exists(o->marker);
    snprintf(s->marker, sizeof s->marker, "%s", o->marker);
    return store_etcd_open(&etcd, sink, &s->store, e);
}

static enum err_code store_open(struct shell *s, const struct shell_options *o, struct err *e)
{
    struct store_sink sink = {.post = store_told, .state = s};

    if (strcmp(o->store, "mem") == 0) {
        s->disk = store_mem_disk_new();
        s->store = store_mem_open(s->disk, entropy_u64(), &sink);
        return ERR_OK;
    }
    if (strcmp(o->store, "etcd") == 0)
        return open_etcd(s, o, &sink, e);
    if (strcmp(o->store, "sqlite") == 0)
        return open_sqlite(s, o, &sink, e);
    return err_set(e, ERR_INVALID, "there is no store %s: sqlite, etcd or mem", o->store);
}

static void open_core(struct shell *s, const struct shell_options *o)
{
    struct core_config config = {.seed = entropy_u64(),
                                 .cluster_id = str_of(o->cluster_id),
                                 .ca_bundle = o->ca_bundle,
                                 .pod_network = o->pod_network,
                                 .node_prefix = o->node_prefix};
    s->core = core_new(&config);
    if (o->flight_bytes == 0)
        return;
    s->recording = mem_zalloc(1, sizeof *s->recording);
    recording_init(s->recording, &config, BATON_VERSION, o->flight_bytes);
}

enum err_code shell_open(struct loop *l, const struct shell_options *o, struct shell **out_shell,
                         struct err *e)
{
    struct shell *s = mem_zalloc(1, sizeof *s);

    s->client = (struct loop_client){.event = shell_event, .turn = shell_turn};
    loop_join(l, &s->client);
    enum err_code code = store_open(s, o, e);
    if (code != ERR_OK) {
        loop_leave(&s->client);
        mem_free(s);
        return code;
    }
    mailbox_init(&s->inbox, SHELL_INBOX_MAX);
    loop_attach(&s->client, INBOX_OP, &s->inbox);
    s->metrics = metrics_new();
    count_from_zero(s->metrics);
    open_core(s, o);
    shell_step(s, &(struct core_event){.type = EV_STARTED});
    *out_shell = s;
    return ERR_OK;
}

void shell_free(struct shell *s)
{
    loop_leave(&s->client);
    mailbox_fini(&s->inbox);
    core_free(s->core);
    if (s->recording != NULL)
        recording_fini(s->recording);
    mem_free(s->recording);
    store_mem_disk_free(s->disk);
    metrics_free(s->metrics);
    mem_free(s);
}

void shell_add_front(struct shell *s, struct shell_front *f)
{
    CHECK(s->fronts_count < SHELL_FRONTS_MAX);
    s->fronts[s->fronts_count++] = f;
}

struct mailbox *shell_inbox(struct shell *s)
{
    return &s->inbox;
}

struct core *shell_core(struct shell *s)
{
    return s->core;
}

struct metrics *shell_metrics(struct shell *s)
{
    return s->metrics;
}

struct recorder *shell_recorder(struct shell *s)
{
    return s->recording == NULL ? NULL : &s->recording->frames;
}

bool shell_is_ready(struct shell *s)
{
    return atomic_load(&s->is_ready);
}
