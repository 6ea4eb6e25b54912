/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/shell/recordwork.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "nodeagent/host/worker.h"
#include "nodeagent/shell/records.h"

enum { BOX_WRITTEN = 1 };

/* One effect. */
struct change {
    struct change *next;
    uint64_t op;
    bool forget, unsynced;
    struct str uid, bytes; /* Behind the change, in its own memory. */
    enum err_code code;
    struct err err;
};

/* In the order in which they came. */
struct changes {
    struct change *first, **end;
};

struct batch {
    struct worker_job worker;
    const char *state;
    struct changes changes;
};

struct recordwork {
    struct recordwork_options o;
    struct loop_client client;
    struct worker *worker;
    struct changes waiting;
    struct batch
        *writing; /* NULL: the worker has nothing to do. Its list is not touched meanwhile. */
};

static void changes_init(struct changes *c)
{
    *c = (struct changes){.end = &c->first};
}

static void changes_free(struct changes *c)
{
    for (struct change *one; (one = c->first) != NULL;) {
        c->first = one->next;
        mem_free(one);
    }
}

static void batch_drop(struct worker_job *w)
{
    struct batch *b = CONTAINER_OF(w, struct batch, worker);
    changes_free(&b->changes);
    mem_free(b);
}

/* ---- on the worker ---- */

/* Whose record is gone is told to be gone, and its rows become another's: it must not come back with the next power
 * cut. */
static void sync_forgotten(struct batch *b)
{
    struct err e = {0};
    bool forgot = false;
    for (struct change *c = b->changes.first; c != NULL; c = c->next)
        forgot |= c->forget && c->code == ERR_OK;
    enum err_code code = forgot ? records_sync(b->state, &e) : ERR_OK;
    for (struct change *c = b->changes.first; c != NULL && code != ERR_OK; c = c->next)
        if (c->forget && c->code == ERR_OK) {
            c->code = code;
            c->err = e;
        }
}

static void batch_run(struct worker_job *w)
{
    struct batch *b = CONTAINER_OF(w, struct batch, worker);
    for (struct change *c = b->changes.first; c != NULL; c = c->next)
        c->code = c->forget ? records_forget(b->state, c->uid, &c->err)
                            : records_save(b->state, c->uid, c->bytes, c->unsynced, &c->err);
    sync_forgotten(b);
}

/* ---- on the loop ---- */

static void submit(struct recordwork *r)
{
    if (r->writing != NULL || r->waiting.first == NULL)
        return;
    struct batch *b = mem_zalloc(1, sizeof *b);
    *b = (struct batch){.worker = {.run = batch_run, .drop = batch_drop},
                        .state = r->o.state,
                        .changes.first = r->waiting.first};
    changes_init(&r->waiting);
    r->writing = b;
    CHECK(worker_run(r->worker, 0, &b->worker) == ERR_OK); /* Its queue holds one job. */
}

static void answer(struct recordwork *r, const struct change *c)
{
    struct agent_host_done done = {.code = c->code, .text = c->err.text};
    if (c->code != ERR_OK)
        log_event(LOG_WARN, "record.failed", "uid=" STR_FMT " err=%s", STR_ARG(c->uid),
                  log_quote(str_of(c->err.text)).text);
    r->o.done(r->o.owner, c->op, &done);
}

/* Whoever is told may ask for more: that is the next batch, whose turn it is when all of this one have been told. */
static void on_event(struct loop_client *self, const struct io_event *ev)
{
    struct recordwork *r = CONTAINER_OF(self, struct recordwork, client);
    if (ev->type == IO_MAIL) {
        struct batch *b = CONTAINER_OF((struct worker_job *)ev->mail.body, struct batch, worker);
        for (const struct change *c = b->changes.first; c != NULL; c = c->next)
            answer(r, c);
        r->writing = NULL;
        batch_drop(&b->worker);
    }
    submit(r);
}

void recordwork_do(struct recordwork *r, const struct agent_effect *fx)
{
    size_t bytes_len = fx->type == FX_SAVE ? fx->bytes.len : 0;
    struct change *c = mem_alloc(sizeof *c + fx->uid.len + bytes_len);
    char *at = (char *)(c + 1);
    *c = (struct change){.op = fx->op,
                         .forget = fx->type == FX_FORGET,
                         .unsynced = fx->type == FX_SAVE && fx->unsynced,
                         .uid = str_from(at, fx->uid.len),
                         .bytes = str_from(at + fx->uid.len, bytes_len)};
    str_put(at, fx->uid);
    if (bytes_len > 0)
        str_put(at + fx->uid.len, fx->bytes);
    *r->waiting.end = c;
    r->waiting.end = &c->next;
    loop_set_deadline(&r->client, loop_now(r->o.loop)); /* With what else this turn brings. */
}

static bool has(const struct change *c, struct str uid)
{
    while (c != NULL && !str_eq(c->uid, uid))
        c = c->next;
    return c != NULL;
}

bool recordwork_has(const struct recordwork *r, struct str uid)
{
    return has(r->waiting.first, uid) ||
           (r->writing != NULL && has(r->writing->changes.first, uid));
}

struct recordwork *recordwork_new(const struct recordwork_options *o)
{
    struct recordwork *r = mem_zalloc(1, sizeof *r);
    r->o = *o;
    r->client.event = on_event;
    changes_init(&r->waiting);
    loop_join(o->loop, &r->client);
    r->worker = worker_start(&r->client, BOX_WRITTEN, "records");
    return r;
}

void recordwork_free(struct recordwork *r)
{
    if (r == NULL)
        return;
    worker_stop(r->worker); /* What it has is written to its end. */
    struct batch last = {.state = r->o.state, .changes = r->waiting};
    batch_run(&last.worker);
    changes_free(&last.changes);
    loop_leave(&r->client);
    mem_free(r);
}
