/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two threads meet here.
 *
 *   the user's loop     ops become jobs in the inbox; answers and rows come out of the outbox
 *   the store's thread  a loop of its own: jobs and etcd's answers go into the machine (store_etcd_log.h), its
 *                       effects become requests and mail
 */
#include "controlplane/store/store_etcd.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "controlplane/store/store_etcd_http.h"
#include "controlplane/store/store_etcd_log.h"
#include "controlplane/store/store_user.h"
#include "io/thread.h"

#include <stdatomic.h>
#include <stdio.h>

enum {
    INBOX = 1,
    ROWS_AHEAD = 8, /* Mails of a load under way; the machine makes two. */
    ANSWER_MEMORY_MAX = 512 << 20,
    RETRY_LOG_S = 5,
};

enum mail_type { ASK, CREDIT, ANSWER_ROWS, ANSWER_DONE, ANSWER_CLOSED };

struct counters {
    _Atomic uint64_t records, commits, writes, bytes, again, merges, fences;
};

/* What the opening thread waits for. */
struct opened {
    enum err_code code;
    struct err err;
};

struct store_etcd {
    struct store_user user;
    struct loop_client client;
    struct mailbox inbox, outbox, openings;
    struct thread thread;

    /* The store's thread's own. */
    struct store_etcd_options options;
    struct loop *loop;
    struct loop_client worker;
    struct etcd_http *http;
    struct etcd_log *log;
    struct instant warned;
    uint64_t open_op, close_op;
    bool closing;
    struct counters counters;
    char prefix[STORE_ETCD_PREFIX_MAX + 1], cluster[80], holder[300];
};

static struct store_etcd *etcd_of(struct store *s)
{
    return CONTAINER_OF(store_user_of(s), struct store_etcd, user);
}

/* ---- The user's side ---- */

static void ask(struct store_user *u, uint32_t what, uint64_t op, uint64_t argument,
                const struct store_write *writes, uint32_t writes_count)
{
    struct store_etcd *s = CONTAINER_OF(u, struct store_etcd, user);
    struct etcd_job *j = etcd_job_new((enum etcd_job_type)what, op, argument, writes, writes_count);
    store_post(&s->inbox, ASK, op, j, etcd_job_free);
}

void store_etcd_mark(struct store *s, uint64_t op, enum store_etcd_mark mark)
{
    store_user_ask(store_user_of(s), ETCD_JOB_MARK, op, mark, NULL, 0);
}

static void deliver_rows(struct store_etcd *s, struct etcd_rows *rows)
{
    for (uint32_t i = 0; i < rows->count; i++)
        store_user_row(&s->user,
                       &(struct store_event){.op = rows->op,
                                             .revision = rows->at[i].revision,
                                             .key = rows->at[i].key,
                                             .value = rows->at[i].value,
                                             .sealed = rows->at[i].sealed},
                       rows->at[i].poison);
    etcd_rows_free(rows);
    store_post(&s->inbox, CREDIT, 0, NULL, NULL);
}

/* Ends the thread and frees everything. Nothing of ours is left in the user's loop. */
static void end(struct store_etcd *s)
{
    thread_join(&s->thread);
    loop_detach(&s->client, &s->outbox);
    loop_leave(&s->client);
    mailbox_fini(&s->inbox);
    mailbox_fini(&s->outbox);
    mailbox_fini(&s->openings);
    mem_free(s);
}

static void deliver_done(struct store_etcd *s, struct store_event *done)
{
    store_user_done(&s->user, done);
    mem_free(done);
}

static void deliver_closed(struct store_etcd *s, uint64_t op)
{
    struct store_event done = {.type = STORE_DONE, .op = op};
    struct store_sink sink = s->user.base.sink;
    end(s);
    sink.post(sink.state, &done);
}

static void on_event(struct loop_client *self, const struct io_event *ev)
{
    struct store_etcd *s = CONTAINER_OF(self, struct store_etcd, client);
    if (ev->type != IO_MAIL)
        return;
    if (ev->mail.type == ANSWER_ROWS)
        deliver_rows(s, ev->mail.body);
    else if (ev->mail.type == ANSWER_DONE)
        deliver_done(s, ev->mail.body);
    else if (ev->mail.type == ANSWER_CLOSED)
        deliver_closed(s, ev->mail.op);
}

/* ---- The store's thread: effects ---- */

static void perform_done(struct store_etcd *s, const struct store_event *done)
{
    if (s->open_op != 0 && done->op == s->open_op) {
        struct opened *o = mem_zalloc(1, sizeof *o);
        *o = (struct opened){.code = done->code, .err = done->err};
        s->open_op = 0;
        s->closing = done->code != ERR_OK;
        store_post(&s->openings, 0, 0, o, mem_free);
    } else if (s->close_op != 0 && done->op == s->close_op) {
        s->closing = true;
    } else {
        struct store_event *copy = mem_alloc(sizeof *copy);
        *copy = *done;
        store_post(&s->outbox, ANSWER_DONE, done->op, copy, mem_free);
    }
}

static void perform(struct store_etcd *s, struct etcd_effect *fx)
{
    switch (fx->type) {
    case ETCD_FX_POST:
        etcd_http_post(s->http, fx->request, fx->path, fx->body, fx->timeout);
        blob_unref(fx->body);
        break;
    case ETCD_FX_CANCEL:
        etcd_http_cancel(s->http, fx->request);
        break;
    case ETCD_FX_ROTATE:
        etcd_http_rotate(s->http);
        break;
    case ETCD_FX_ROWS:
        store_post(&s->outbox, ANSWER_ROWS, fx->rows->op, fx->rows, etcd_rows_free);
        break;
    case ETCD_FX_DONE:
        perform_done(s, &fx->done);
        break;
    }
}

static void count(struct store_etcd *s)
{
    struct etcd_log_counts c = etcd_log_counts(s->log);
    s->counters.records = c.records;
    s->counters.commits = c.commits;
    s->counters.writes = c.writes;
    s->counters.bytes = c.bytes;
    s->counters.again = c.again;
    s->counters.merges = c.merges;
    s->counters.fences = c.fences;
}

static void on_turn(struct loop_client *self, struct instant now)
{
    struct store_etcd *s = CONTAINER_OF(self, struct store_etcd, worker);
    struct etcd_effect fx;
    (void)now;
    while (etcd_log_next(s->log, &fx))
        perform(s, &fx);
    count(s);
    loop_set_deadline(self, etcd_log_deadline(s->log));
    if (s->closing)
        loop_stop(s->loop);
}

/* ---- The store's thread: events ---- */

static void on_work(struct loop_client *self, const struct io_event *ev)
{
    struct store_etcd *s = CONTAINER_OF(self, struct store_etcd, worker);
    struct instant now = loop_now(s->loop);
    if (ev->type == IO_DEADLINE) {
        etcd_log_tick(s->log, now);
    } else if (ev->type == IO_MAIL && ev->mail.type == CREDIT) {
        etcd_log_delivered(s->log, now);
    } else if (ev->type == IO_MAIL) {
        struct etcd_job *j = ev->mail.body;
        if (j->type == ETCD_JOB_CLOSE)
            s->close_op = j->op;
        etcd_log_ask(s->log, now, j);
    }
}

/* Degraded, not failed: the request is tried again. Said once in a while. */
static void warn(struct store_etcd *s, const struct etcd_answer *a)
{
    struct instant now = loop_now(s->loop);
    if (a->outcome != ETCD_AGAIN || !instant_due(s->warned, now))
        return;
    s->warned = instant_add(now, SPAN_S(RETRY_LOG_S));
    log_event(LOG_WARN, "store.etcd_again", "endpoint=%s why=%s then=%s",
              etcd_http_endpoint(s->http), log_quote(str_of(a->text)).text, "\"asking again\"");
}

static void answered(void *owner, uint64_t request, uint32_t status, struct str body)
{
    struct store_etcd *s = owner;
    struct arena arena;
    struct etcd_answer a;
    arena_init(&arena, ANSWER_MEMORY_MAX);
    etcd_answer_read(&arena, status, body, &a);
    warn(s, &a);
    etcd_log_answered(s->log, loop_now(s->loop), request, &a);
    arena_free(&arena);
}

static void run(void *arg)
{
    struct store_etcd *s = arg;
    struct opened *o = NULL;
    struct err e;
    struct etcd_http_options http = {.endpoints = s->options.endpoints,
                                     .ca = s->options.ca,
                                     .cert = s->options.cert,
                                     .key = s->options.key,
                                     .answered = answered,
                                     .owner = s};
    s->loop = http.loop = loop_new();
    s->worker = (struct loop_client){.event = on_work, .turn = on_turn};
    loop_join(s->loop, &s->worker);
    s->warned = loop_now(s->loop);
    if (etcd_http_open(&http, &s->http, &e) != ERR_OK) {
        o = mem_zalloc(1, sizeof *o);
        *o = (struct opened){.code = e.code, .err = e};
        store_post(&s->openings, 0, 0, o, mem_free);
    } else {
        struct etcd_log_options log = {.prefix = s->prefix,
                                       .cluster = s->cluster,
                                       .holder = s->holder,
                                       .use = s->options.use,
                                       .must_exist = s->options.must_exist,
                                       .seal = s->options.seal};
        s->log = etcd_log_new(&log);
        loop_attach(&s->worker, INBOX, &s->inbox);
        loop_run(s->loop);
        loop_detach(&s->worker, &s->inbox);
    }
    etcd_http_close(s->http);
    etcd_log_free(s->log);
    loop_leave(&s->worker);
    loop_free(s->loop);
    arena_pool_free();
    if (s->close_op != 0)
        store_post(&s->outbox, ANSWER_CLOSED, s->close_op, NULL, NULL);
}

/* ---- Opening ---- */

enum err_code store_etcd_check_endpoints(const char *endpoints, struct err *e)
{
    return etcd_http_check(endpoints, e);
}

static enum err_code check(const struct store_etcd_options *o, struct err *e)
{
    const char *prefix = o->prefix == NULL ? "/baton/" : o->prefix;
    size_t len = strlen(prefix);
    if (len == 0 || len > STORE_ETCD_PREFIX_MAX || prefix[len - 1] != '/')
        return err_set(e, ERR_INVALID,
                       "the etcd prefix %s does not end in a slash, or is over %d bytes", prefix,
                       STORE_ETCD_PREFIX_MAX);
    return store_etcd_check_endpoints(o->endpoints, e);
}

static void set_up(struct store_etcd *s, const struct store_etcd_options *o,
                   const struct store_sink *sink)
{
    store_user_init(&s->user, sink, ask);
    s->options = *o;
    snprintf(s->prefix, sizeof s->prefix, "%s", o->prefix == NULL ? "/baton/" : o->prefix);
    snprintf(s->cluster, sizeof s->cluster, "%s", o->cluster);
    snprintf(s->holder, sizeof s->holder, "%s", o->holder);
    mailbox_init(&s->inbox, STORE_INFLIGHT_MAX + ROWS_AHEAD + 8);
    mailbox_init(&s->outbox, STORE_INFLIGHT_MAX + ROWS_AHEAD + 8);
    mailbox_init(&s->openings, 2);
    s->client = (struct loop_client){.event = on_event};
    loop_join(o->loop, &s->client);
    loop_attach(&s->client, 0, &s->outbox);
    s->open_op = UINT64_MAX;
}

enum err_code store_etcd_open(const struct store_etcd_options *o, const struct store_sink *sink,
                              struct store **out, struct err *e)
{
    struct mail told;
    enum err_code code = check(o, e);
    if (code != ERR_OK)
        return code;
    struct store_etcd *s = mem_zalloc(1, sizeof *s);
    set_up(s, o, sink);
    store_post(&s->inbox, ASK, s->open_op, etcd_job_new(ETCD_JOB_OPEN, s->open_op, 0, NULL, 0),
               etcd_job_free);
    thread_start(&s->thread, "store", run, s);
    CHECK(mailbox_wait(&s->openings, (struct span){-1}, &told));
    struct opened *opened = told.body;
    code = opened->code;
    if (code != ERR_OK) {
        *e = opened->err;
        err_wrap(e, "open the store in etcd");
        end(s);
    } else {
        *out = &s->user.base;
    }
    mem_free(opened);
    return code;
}

struct store_etcd_stats store_etcd_stats(struct store *base)
{
    struct counters *c = &etcd_of(base)->counters;
    return (struct store_etcd_stats){.records = c->records,
                                     .commits = c->commits,
                                     .writes = c->writes,
                                     .bytes = c->bytes,
                                     .again = c->again,
                                     .merges = c->merges,
                                     .leader_changes = c->fences};
}
