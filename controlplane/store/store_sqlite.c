/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three threads meet here.
 *
 *   the user's loop     ops become jobs in the inbox; answers come out of the outbox
 *   the writer          takes jobs in order; commits that wait together are one transaction; between
 *                       jobs it compacts, a slice at a time
 *   the checkpointer    moves pages out of the WAL, through a connection of its own, while commits go on
 *
 * A WAL starts anew only when every page of it was moved and nobody writes. Under load the checkpointer never
 * gets there alone, so it does the bulk, and the writer the few pages that came meanwhile.
 */
#include "controlplane/store/store_sqlite.h"

#include "base/check.h"
#include "base/mem.h"
#include "controlplane/store/store_sqlite_db.h"
#include "controlplane/store/store_user.h"
#include "io/thread.h"

#include <stdatomic.h>

enum {
    GROUP_WRITES_MAX = 8192, /* Of one transaction. */
    GROUP_BYTES_MAX = 32 << 20,
    CHUNK_ROWS = 256, /* Of one mail of a load. */
    CHUNKS_AHEAD = 4, /* Mails of a load under way. */
    COMPACT_SLICE = 256,
    WAL_SOFT_PAGES = 1000,     /* From here on the checkpointer works. */
    WAL_REST_PAGES = 2048,     /* What the writer moves itself. */
    WAL_HARD_PAGES = 64 << 10, /* 256 MiB: commits wait. */
};

enum mail_type {
    JOB_LOAD = STORE_ASK_LOAD,
    JOB_COMMIT = STORE_ASK_COMMIT,
    JOB_FOLLOW = STORE_ASK_FOLLOW,
    JOB_COMPACT = STORE_ASK_COMPACT,
    JOB_CLOSE = STORE_ASK_CLOSE,
    JOB_CHECKPOINTED = STORE_ASK__COUNT, /* From the checkpointer; op: pages left in the WAL. */
    ANSWER_ROWS,
    ANSWER_DONE,
    ANSWER_CLOSED,
    ASK_CHECKPOINT,
    CREDIT,
};

struct job {
    uint64_t op, argument; /* The fence, or a revision. */
    enum err_code code;
    struct err err;
    size_t bytes;
    uint32_t writes_count;
    struct store_write writes[];
};

struct chunk {
    uint64_t op;
    uint32_t count;
    struct db_row rows[CHUNK_ROWS];
};

struct answers {
    uint32_t count;
    struct store_event at[];
};

struct counters {
    _Atomic uint64_t transactions, commits, writes, bytes, checkpoints, wal_pages;
};

struct store_sqlite {
    struct store_user user;
    struct loop_client client;
    struct mailbox inbox, outbox, credit, checks;
    struct thread writer, checkpointer;

    /* The writer's own. */
    struct db *db;
    struct mail held; /* Taken from the inbox while a group was gathered. */
    bool has_held, closing, checkpointing, needs_proof, compacting;
    uint64_t compact_op, compact_before, close_op;

    struct db *helper; /* The checkpointer's own; NULL: none, the writer moves pages itself. */
    struct counters counters;
    uint64_t soft_pages, recovered_pages; /* Set at opening. */
};

static struct store_sqlite *sqlite_of(struct store *s)
{
    return CONTAINER_OF(store_user_of(s), struct store_sqlite, user);
}

/* ---- The loop's side ---- */

static void job_free(void *body)
{
    struct job *j = body;
    for (uint32_t i = 0; i < j->writes_count; i++) {
        blob_unref(j->writes[i].key);
        blob_unref(j->writes[i].value);
    }
    mem_free(j);
}

static void ask(struct store_user *u, uint32_t what, uint64_t op, uint64_t argument,
                const struct store_write *writes, uint32_t writes_count)
{
    struct store_sqlite *s = CONTAINER_OF(u, struct store_sqlite, user);
    struct job *j = mem_alloc(sizeof *j + writes_count * sizeof *writes);
    *j = (struct job){.op = op, .argument = argument, .writes_count = writes_count};
    for (uint32_t i = 0; i < writes_count; i++) {
        j->writes[i] = writes[i];
        j->bytes += blob_ref(writes[i].key)->len + blob_str(blob_ref(writes[i].value)).len;
    }
    store_post(&s->inbox, what, op, j, job_free);
}

static void chunk_free(void *body)
{
    struct chunk *c = body;
    for (uint32_t i = 0; i < c->count; i++)
        db_row_fini(&c->rows[i]);
    mem_free(c);
}

static void deliver_rows(struct store_sqlite *s, struct chunk *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        store_user_row(&s->user,
                       &(struct store_event){.op = c->op,
                                             .revision = c->rows[i].revision,
                                             .key = c->rows[i].key,
                                             .value = c->rows[i].value,
                                             .sealed = c->rows[i].sealed},
                       c->rows[i].poison);
    chunk_free(c);
    store_post(&s->credit, CREDIT, 0, NULL, NULL);
}

static void deliver_done(struct store_sqlite *s, struct answers *a)
{
    for (uint32_t i = 0; i < a->count; i++)
        store_user_done(&s->user, &a->at[i]);
    mem_free(a);
}

/* The writer has ended; nothing of ours is left in the loop when the user hears of it. */
static void deliver_closed(struct store_sqlite *s, uint64_t op)
{
    struct store_event done = {.type = STORE_DONE, .op = op};
    struct store_sink sink = s->user.base.sink;
    thread_join(&s->writer);
    loop_detach(&s->client, &s->outbox);
    loop_leave(&s->client);
    mailbox_fini(&s->inbox);
    mailbox_fini(&s->outbox);
    mailbox_fini(&s->credit);
    mailbox_fini(&s->checks);
    mem_free(s);
    sink.post(sink.state, &done);
}

static void on_event(struct loop_client *self, const struct io_event *ev)
{
    struct store_sqlite *s = CONTAINER_OF(self, struct store_sqlite, client);
    if (ev->type != IO_MAIL)
        return;
    if (ev->mail.type == ANSWER_ROWS)
        deliver_rows(s, ev->mail.body);
    else if (ev->mail.type == ANSWER_DONE)
        deliver_done(s, ev->mail.body);
    else if (ev->mail.type == ANSWER_CLOSED)
        deliver_closed(s, ev->mail.op);
}

/* ---- The writer: answers ---- */

static void answer(struct store_sqlite *s, uint64_t op, enum err_code code, const struct err *e,
                   const struct db_head *head)
{
    struct answers *a = mem_zalloc(1, sizeof *a + sizeof a->at[0]);
    a->count = 1;
    a->at[0] = (struct store_event){.type = STORE_DONE, .op = op, .code = code};
    if (code != ERR_OK)
        a->at[0].err = *e;
    if (head != NULL) {
        a->at[0].revision = head->head;
        a->at[0].fence = head->fence;
        a->at[0].oldest = head->compacted;
    }
    store_post(&s->outbox, ANSWER_DONE, op, a, mem_free);
}

/* ---- The writer: commits ---- */

struct group {
    struct job *at[STORE_INFLIGHT_MAX];
    uint32_t count, writes;
    size_t bytes;
};

static bool next_mail(struct store_sqlite *s, struct span wait, struct mail *out)
{
    if (s->has_held) {
        *out = s->held;
        s->has_held = false;
        return true;
    }
    return wait.ns == 0 ? mailbox_take(&s->inbox, out) : mailbox_wait(&s->inbox, wait, out);
}

static void group_add(struct group *g, struct job *j)
{
    g->at[g->count++] = j;
    g->writes += j->writes_count;
    g->bytes += j->bytes;
}

/* Everything that queued up while the last transaction was being synced. */
static void group_gather(struct store_sqlite *s, struct group *g, struct job *first)
{
    struct mail m;
    group_add(g, first);
    while (g->count < STORE_INFLIGHT_MAX && g->writes < GROUP_WRITES_MAX &&
           g->bytes < GROUP_BYTES_MAX && next_mail(s, (struct span){0}, &m)) {
        if (m.type != JOB_COMMIT) {
            s->held = m;
            s->has_held = true;
            return;
        }
        group_add(g, m.body);
    }
}

/* Those that had succeeded so far, and those not tried yet, share the transaction's fate. */
static void group_fail(struct group *g, uint32_t tried, enum err_code code, const struct err *e)
{
    for (uint32_t i = 0; i < g->count; i++)
        if (i >= tried || g->at[i]->code == ERR_OK) {
            g->at[i]->code = code;
            g->at[i]->err = *e;
        }
}

static void group_perform(struct store_sqlite *s, struct group *g)
{
    struct err e;
    enum err_code code = db_begin(s->db, &e);
    uint32_t i = 0;
    if (code == ERR_OK) {
        while (i < g->count && db_is_open(s->db)) {
            struct job *j = g->at[i++];
            j->code = db_add(s->db, j->argument, j->writes, j->writes_count, &j->err);
        }
        if (db_is_open(s->db)) {
            code = db_end(s->db, &e);
        } else { /* The last one tried ended it. */
            code = g->at[i - 1]->code;
            e = g->at[i - 1]->err;
        }
    }
    if (code != ERR_OK)
        group_fail(g, i, code, &e);
    if (code == ERR_UNAVAILABLE || code == ERR_CORRUPT)
        s->needs_proof = true;
}

static void group_answer(struct store_sqlite *s, struct group *g)
{
    struct answers *a = mem_zalloc(1, sizeof *a + g->count * sizeof a->at[0]);
    for (uint32_t i = 0; i < g->count; i++) {
        struct job *j = g->at[i];
        a->at[a->count++] =
            (struct store_event){.type = STORE_DONE, .op = j->op, .code = j->code, .err = j->err};
        job_free(j);
    }
    s->counters.transactions++;
    s->counters.commits += g->count;
    s->counters.writes += g->writes;
    s->counters.bytes += g->bytes;
    s->counters.wal_pages = db_wal_pages(s->db);
    store_post(&s->outbox, ANSWER_DONE, 0, a, mem_free);
}

/* ---- The writer: checkpoints ---- */

static void move_pages(struct store_sqlite *s, bool whole)
{
    uint64_t wal, moved;
    struct err
        e; /* It is tried again; until then the WAL grows, and commits say when the disk is full. */
    if (db_checkpoint(s->db, whole, &wal, &moved, &e) == ERR_OK)
        s->counters.checkpoints++;
}

static void mind_wal(struct store_sqlite *s)
{
    uint64_t pages = db_wal_pages(s->db);
    if (pages >= WAL_HARD_PAGES && !s->checkpointing) {
        move_pages(s, true);
    } else if (pages >= s->soft_pages && s->helper == NULL) {
        move_pages(s, false);
    } else if (pages >= s->soft_pages && !s->checkpointing) {
        s->checkpointing = true;
        store_post(&s->checks, ASK_CHECKPOINT, 0, NULL, NULL);
    }
}

static void checkpointed(struct store_sqlite *s, uint64_t pages_left)
{
    s->checkpointing = false;
    if (pages_left <= WAL_REST_PAGES)
        move_pages(s, false);
}

static void checkpointer_run(void *arg)
{
    struct store_sqlite *s = arg;
    struct mail m;
    while (mailbox_wait(&s->checks, (struct span){-1}, &m)) {
        uint64_t wal = UINT64_MAX, moved = 0;
        struct err e;
        if (db_checkpoint(s->helper, false, &wal, &moved, &e) != ERR_OK)
            moved = 0;
        store_post(&s->inbox, JOB_CHECKPOINTED, wal - moved, NULL, NULL);
    }
}

/* ---- The writer: loading ---- */

static enum err_code send_rows(struct store_sqlite *s, uint64_t op, uint64_t after, struct err *e)
{
    uint32_t ahead = 0, count = CHUNK_ROWS;
    struct mail credit;
    enum err_code code = ERR_OK;
    while (code == ERR_OK && count == CHUNK_ROWS) {
        struct chunk *c = mem_alloc(sizeof *c);
        c->op = op;
        c->count = 0;
        code = db_rows(s->db, after, c->rows, CHUNK_ROWS, &count, e);
        if (code != ERR_OK || count == 0) {
            mem_free(c);
            break;
        }
        c->count = count;
        after = c->rows[count - 1].revision;
        store_post(&s->outbox, ANSWER_ROWS, op, c, chunk_free);
        for (ahead++;
             ahead == CHUNKS_AHEAD && mailbox_wait(&s->credit, (struct span){-1}, &credit);)
            ahead--;
    }
    for (; ahead > 0 && mailbox_wait(&s->credit, (struct span){-1}, &credit); ahead--)
        continue;
    return code;
}

static void load(struct store_sqlite *s, uint64_t op)
{
    struct db_head head;
    struct err e;
    uint64_t wal, moved;
    enum err_code code = ERR_OK;
    if (s->needs_proof)
        code = db_checkpoint(s->db, true, &wal, &moved, &e);
    if (code == ERR_OK) {
        s->needs_proof = false;
        code = db_take_fence(s->db, &head, &e);
        if (code == ERR_LIMIT ||
            code ==
                ERR_UNAVAILABLE) /* What is stored can be served; commits will say what is wrong. */
            code = db_owe_fence(s->db, &head, &e);
    }
    if (code == ERR_OK)
        code = send_rows(s, op, 0, &e);
    answer(s, op, code, &e, code == ERR_OK ? &head : NULL);
}

static void follow(struct store_sqlite *s, uint64_t op, uint64_t after)
{
    struct db_head head;
    struct err e;
    enum err_code code = db_head(s->db, &head, &e);
    if (code == ERR_OK && after < head.compacted)
        code = err_set(&e, ERR_NOT_FOUND, "changes up to %llu are compacted",
                       (unsigned long long)head.compacted);
    if (code == ERR_OK)
        code = send_rows(s, op, after, &e);
    answer(s, op, code, &e, code == ERR_OK ? &head : NULL);
}

/* ---- The writer: compaction ---- */

static void compact_slice(struct store_sqlite *s)
{
    bool done = true;
    struct err e;
    enum err_code code = db_compact(s->db, s->compact_before, COMPACT_SLICE, &done, &e);
    if (code == ERR_OK && !done)
        return;
    s->compacting = false;
    answer(s, s->compact_op, code, &e, NULL);
}

static void compact_begin(struct store_sqlite *s, uint64_t op, uint64_t before)
{
    while (s->compacting) /* One at a time. */
        compact_slice(s);
    s->compacting = true;
    s->compact_op = op;
    s->compact_before = before;
}

/* ---- The writer ---- */

static void perform(struct store_sqlite *s, struct mail *m)
{
    struct job *j = m->body;
    struct group g;
    switch ((enum mail_type)m->type) {
    case JOB_COMMIT:
        g.count = g.writes = 0;
        g.bytes = 0;
        group_gather(s, &g, j);
        group_perform(s, &g);
        group_answer(s, &g);
        return; /* The jobs are freed. */
    case JOB_LOAD:
        load(s, j->op);
        break;
    case JOB_FOLLOW:
        follow(s, j->op, j->argument);
        break;
    case JOB_COMPACT:
        compact_begin(s, j->op, j->argument);
        break;
    case JOB_CLOSE:
        s->closing = true;
        s->close_op = j->op;
        break;
    case JOB_CHECKPOINTED:
        checkpointed(s, m->op);
        return;
    case ANSWER_ROWS:
    case ANSWER_DONE:
    case ANSWER_CLOSED:
    case ASK_CHECKPOINT:
    case CREDIT:
        return;
    }
    job_free(j);
}

static void writer_run(void *arg)
{
    struct store_sqlite *s = arg;
    struct mail m;
    while (!s->closing) {
        struct span wait = {s->compacting ? 0 : -1};
        if (next_mail(s, wait, &m))
            perform(s, &m);
        if (s->compacting)
            compact_slice(s);
        mind_wal(s);
    }
    while (s->compacting)
        compact_slice(s);
    mailbox_close(&s->checks);
    thread_join(&s->checkpointer);
    db_close(s->helper);
    move_pages(s, true);
    db_close(s->db);
    store_post(&s->outbox, ANSWER_CLOSED, s->close_op, NULL, NULL);
}

/* ---- Opening ---- */

enum err_code store_sqlite_open(const struct store_sqlite_options *o, const struct store_sink *sink,
                                struct store **out, struct err *e)
{
    struct db *db, *helper = NULL;
    enum err_code code = db_open(o->path, o->seal, o->limit_bytes, DB_MAIN, &db, e);
    if (code == ERR_OK && !db_is_alone(db)) {
        code = db_open(o->path, o->seal, 0, DB_HELPER, &helper, e);
        if (code != ERR_OK)
            db_close(db);
    }
    if (code != ERR_OK) {
        err_wrap(e, "open the store");
        return code;
    }
    struct store_sqlite *s = mem_zalloc(1, sizeof *s);
    store_user_init(&s->user, sink, ask);
    s->db = db;
    s->helper = helper;
    s->soft_pages = o->checkpoint_pages == 0 ? WAL_SOFT_PAGES : o->checkpoint_pages;
    s->recovered_pages = db_wal_pages(db);
    mailbox_init(&s->inbox, STORE_INFLIGHT_MAX + 8);
    mailbox_init(&s->outbox, STORE_INFLIGHT_MAX + CHUNKS_AHEAD + 8);
    mailbox_init(&s->credit, CHUNKS_AHEAD + 8);
    mailbox_init(&s->checks, 8);
    s->client = (struct loop_client){.event = on_event};
    loop_join(o->loop, &s->client);
    loop_attach(&s->client, 0, &s->outbox);
    thread_start(&s->checkpointer, "store-check", checkpointer_run, s);
    thread_start(&s->writer, "store", writer_run, s);
    *out = &s->user.base;
    return ERR_OK;
}

struct store_sqlite_stats store_sqlite_stats(struct store *base)
{
    const struct store_sqlite *s = sqlite_of(base);
    const struct counters *c = &s->counters;
    return (struct store_sqlite_stats){.transactions = c->transactions,
                                       .commits = c->commits,
                                       .writes = c->writes,
                                       .bytes = c->bytes,
                                       .checkpoints = c->checkpoints,
                                       .wal_pages = c->wal_pages,
                                       .recovered_pages = s->recovered_pages,
                                       .alone = s->helper == NULL};
}
