/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writes_priv.h -- what stage.c, commit.c, writes.c and core.c share about writes under way.
 *
 * A client's write goes: event -> (waits while its key is in flight or no transaction has room) ->
 * writes.c checks it and fills a stage -> stage.c puts the stage into the open transaction and marks its
 * keys in flight -> commit.c hands the transaction to the store at the end of the turn, and settles its
 * stages when the answer comes: applied to index and history, or failed.
 *
 * After an answer of unknown outcome that transaction and all behind it are in doubt: their keys stay in
 * flight until the store was loaded again and says which of them it holds.
 */
#ifndef CONTROLPLANE_CORE_WRITES_PRIV_H
#define CONTROLPLANE_CORE_WRITES_PRIV_H

#include "base/map.h"
#include "controlplane/core/core_priv.h"

enum {
    COMMIT_BYTES_MAX = 8 << 20, /* A transaction takes no more stages beyond this. */
    COMMIT_ROOM = STORE_WRITES_MAX - STAGE_WRITES_MAX,
    COMPACT_EVERY = 8192, /* Revisions that left the history since the last compaction. */
};

struct stage_change {
    struct cow_entry *now, *before; /* Counted. now has the revision, also for a deletion. */
    uint64_t topic;
    bool deleted, sealed;
    /* In flight, its key is core_writes.busy: whose it is, and who waits for it. */
    struct stage *stage;
    struct write_op *waiters_first, *waiters_last;
};

struct stage {
    struct core *core;
    struct stage *next;
    enum write_result result;
    struct str text; /* Of a refusal; in the turn's arena. */
    struct stage_change at[STAGE_WRITES_MAX];
    uint32_t count;
    struct {
        void (*settled)(struct core *c, uint64_t name, bool durable);
        uint64_t name;
    } settled[STAGE_SETTLED_MAX];
    uint32_t settled_count;

    /* A client's: whom to answer, and with which object. */
    bool has_client, dry_run, gone;
    uint64_t op, reply_revision;
    struct blob *reply;

    /* A reconcile's: which key to mark again when this fails. */
    struct blob *origin; /* NULL: none. */
    enum core_control control;

    struct cow_entry *before; /* Of what is between stage_put_begin() and _end(). */
    bool in_memory;           /* Its keys are: settled where it ends. */
    bool seen_new, seen_old;  /* While in doubt: rows of the load that decide it. */
};

/* A client's write that has to wait: a copy of its request. */
struct write_op {
    struct write_op *next;
    uint64_t op;
    struct write_request request;
    char text[];
};

struct commit {
    uint64_t op;
    struct stage *first, *last;
    struct store_write *writes;
    uint32_t count, size;
    size_t bytes;
};

enum load_state {
    LOAD_NOT,   /* Nothing is known: before EV_STARTED, or the first load failed. */
    LOAD_FIRST, /* Rows go into the index. */
    LOAD_DONE,  /* At work. */
    LOAD_WAIT, /* In doubt: transactions in flight are still to be answered, or it is not time yet. */
    LOAD_AGAIN,  /* In doubt: rows decide what was written. */
    LOAD_DEPOSED /* Another writer has the store. */
};

struct core_writes {
    enum load_state load;
    uint64_t load_op;
    struct instant load_at; /* LOAD_WAIT, LOAD_NOT: when to try again; 0: at once. */
    uint64_t fence, next_op, next_revision;

    struct map busy;          /* Keys in flight -> struct stage_change. */
    struct stage *open_stage; /* Begun and not ended: at most one. */
    const struct stage
        *settling; /* Applied, and its settled functions run: they ask for its objects first. */
    struct commit open;                     /* Being filled. */
    struct commit flight[CORE_COMMITS_MAX]; /* A ring, in order. */
    uint32_t flight_first, flight_count;
    struct stage *doubt_first, *doubt_last;

    struct write_op *ready_first, *ready_last; /* To be tried in this turn. */
    uint32_t ops_count;                        /* Clients' writes not answered yet. */

    uint64_t head;      /* Highest revision that is durable. */
    bool moved;         /* head moved since the last publication. */
    uint64_t compacted; /* The store was asked to forget up to here. */
    uint64_t compact_op;
    struct buf scratch; /* An object being rewritten. */
};

struct core_writes *writes_new(void);
void writes_free(struct core *c);

/* writes.c */
void writes_event(struct core *c, uint64_t op, const struct write_request *request);
void writes_run_ready(struct core *c);
void writes_ready(struct core_writes *w, struct write_op *op);

/* stage.c */

/* object with edit applied and that revision in it: a new blob. False: the stage is refused. */
bool stage_encode(struct stage *s, struct str object, const struct meta_edit *edit,
                  uint64_t revision, struct blob **out);
void stage_free(struct stage *s);
void stage_answer(struct stage *s, enum write_result result, struct str text);
void stage_settle(struct stage *s, bool durable);

/* memory.c */
struct core_memory {
    struct index *index;
    struct history *history;
    uint64_t next_revision, head;
    bool moved; /* head moved since the last publication. */
};

struct core_memory *memory_new(void);
void memory_free(struct core_memory *m);
void memory_start(struct core *c); /* Revisions begin. */
bool memory_has(struct str key);   /* The key's object lives here. */
void memory_settle(struct core *c, struct stage *s);
void memory_flush(struct core *c);

/* commit.c */
void commit_apply(struct core *c, struct cowtree *tree, struct history *h,
                  const struct stage_change *change);
bool commit_has_room(const struct core *c);
/* So many writes more become durable together with what is open. */
bool commit_has_room_for(const struct core *c, uint32_t writes);
void commit_add(struct core *c, struct stage *s);
/* What several stages must do together: those that ended since the mark, in this very reconcile, fail as if refused. */
struct commit_mark {
    struct stage *last;
    uint32_t count;
    size_t bytes;
};
struct commit_mark commit_mark(const struct core *c);
void commit_take_back(struct core *c, const struct commit_mark *to);
void commit_flush(struct core *c);
void commit_row(struct core *c, const struct store_event *ev);
void commit_done(struct core *c, const struct store_event *ev);
void commit_start(struct core *c);
void commit_free(struct core *c);
struct instant commit_deadline(const struct core *c);

/* marks.c */
struct core_marks *marks_new(void);
void marks_free(struct core_marks *m);
void marks_run(struct core *c);
struct instant marks_deadline(const struct core *c);

/* controllers.c: what they remember. What they do is called through core->above. */
void controllers_new(struct core *c);
void controllers_free(struct core *c);
extern const struct core_above controllers_above;

#endif /* CONTROLPLANE_CORE_WRITES_PRIV_H */
