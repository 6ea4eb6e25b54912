/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_etcd_priv.h -- the machine's inside, for its files.
 *
 * A call goes down (tools/parts.txt):
 *   store_etcd_log.c    jobs in, answers to whom they are for
 *   store_etcd_load.c   opening, the lock, the fence, reading the log
 *   store_etcd_append.c commits
 *   store_etcd_lease.c  keeping the lock, giving it back
 *   store_etcd_copy.c   the marks of a copy between stores
 *   store_etcd_sweep.c  compaction: forgetting rows, merging records, etcd's own history
 *   store_etcd_call.c   requests and their repetition
 *   store_etcd_keys.c   keys
 *   store_etcd_state.c  states, waiting jobs, effects
 */
#ifndef CONTROLPLANE_STORE_STORE_ETCD_PRIV_H
#define CONTROLPLANE_STORE_STORE_ETCD_PRIV_H

#include "base/check.h"
#include "base/mem.h"
#include "controlplane/store/store_etcd.h"
#include "controlplane/store/store_etcd_index.h"
#include "controlplane/store/store_etcd_log.h"
#include "controlplane/store/store_etcd_record.h"

enum {
    ETCD_GROUP_BYTES = 512 << 10,
    ETCD_PATIENCE_MS = 10000,
    ETCD_REQUEST_MS = 4000,
    ETCD_READ_MS = 10000,
    ETCD_BODY_MAX = 4 << 20, /* A record as base64 and what stands around it. */
    ETCD_KEY_MAX = STORE_ETCD_PREFIX_MAX + 32,
};

/* Who asks etcd: one request each at a time. */
enum etcd_caller {
    ETCD_CALL_APPEND,
    ETCD_CALL_STEP,
    ETCD_CALL_SWEEP,
    ETCD_CALL_LEASE,
    ETCD_CALL__COUNT
};

struct etcd_call {
    const char *path;
    struct blob *body;              /* NULL: idle. */
    uint64_t request, number;       /* On its way, 0: not; and the number of the last one sent. */
    struct instant since, again_at; /* The first try; when the next one is due, 0: none waits. */
    uint32_t tries;
    bool in_doubt; /* A try was not answered: it may have been done. */
};

enum etcd_append_state { ETCD_APPEND_IDLE, ETCD_APPEND_SENT, ETCD_APPEND_ASKED };

/* The record on its way. */
struct etcd_append {
    enum etcd_append_state state;
    uint64_t seq;
    struct etcd_record record;
    uint32_t bytes;
    bool continues;                /* The record before it is a part of the same transaction. */
    struct etcd_job *first, *last; /* Those that end in this record. */
    struct err err;                /* ASKED: what etcd said. */
};

/* A load, a following or an opening under way. */
struct etcd_load {
    struct etcd_job *job;
    struct etcd_index index;
    struct etcd_rows *open; /* Rows of a transaction whose end was not read yet. */
    uint64_t open_seq;      /* Its first record; 0: none. */
    uint64_t fence, fence_modified, lock_modified, lock_lease; /* As seen. */
    uint64_t revision;                                         /* etcd's, to read at. */
    uint64_t next_seq, limit, last_revision;
    uint32_t rows_out, takes;
    bool fresh, page_waits; /* There is no store yet; the next page waits for the user. */
};

enum etcd_sweep_step {
    ETCD_SWEEP_NOT,
    ETCD_SWEEP_MARK,
    ETCD_SWEEP_READ,
    ETCD_SWEEP_WRITE,
    ETCD_SWEEP_FETCH,
    ETCD_SWEEP_MERGE,
    ETCD_SWEEP_DOUBT,
    ETCD_SWEEP_HISTORY
};

struct etcd_sweep {
    enum etcd_sweep_step step;
    bool pauses; /* Between two steps, for a load or a following. */
    uint64_t op, target, reached;
    bool whole; /* The lists on their way are all there are. */
    uint32_t merge_begin, merge_from, merge_count, merges;
    uint64_t merge_modified; /* etcd's revision of the record that is replaced. */
    struct etcd_segment merged;
    struct err doubt;               /* What etcd said to the merge. */
    uint64_t history, history_next; /* etcd's revisions: forget up to there; in the next pass. */
};

struct etcd_log {
    struct etcd_log_options options;
    enum etcd_state state;
    struct instant now;

    struct etcd_effect *effects;
    uint32_t effects_at, effects_count, effects_size;

    struct etcd_job *jobs_first, *jobs_last;
    struct etcd_call calls[ETCD_CALL__COUNT];
    uint64_t requests, rotated_at;

    struct etcd_append append;
    uint32_t part_next; /* Writes of the first job that are on their way in parts. */

    uint64_t fence, lost_fence;         /* Ours; the one with which we lost our place. */
    uint64_t head_seq, head, promised;  /* Written; and the revision of the last one sent. */
    uint64_t compacted, swept, cluster; /* cluster: etcd's own id. */
    struct err lost_why;
    bool deposed;
    enum store_etcd_mark mark; /* As in PREFIX/state. */
    struct etcd_index index;
    struct etcd_load load;
    struct etcd_sweep sweep;
    uint64_t lease;
    struct instant lease_due;
    uint64_t close_op;
    struct etcd_job *marking; /* MARKING: the job. */
    struct etcd_log_counts counts;
};

/* store_etcd_state.c */
void etcd_log__move(struct etcd_log *m, enum etcd_state next);
struct etcd_effect *etcd_log__emit(struct etcd_log *m, enum etcd_effect_type type);
void etcd_log__done(struct etcd_log *m, uint64_t op, enum err_code code, const struct err *e);
struct etcd_job *etcd_log__pop(struct etcd_log *m);   /* The first job. */
bool etcd_log__wants_quiet(const struct etcd_log *m); /* The next job is none for company. */

/* store_etcd_keys.c: PREFIX/name; PREFIX/name and the number. */
struct str etcd_log__key(const struct etcd_log *m, const char *name, char out[ETCD_KEY_MAX]);
struct str etcd_log__seq_key(const struct etcd_log *m, const char *name, uint64_t seq,
                             char out[ETCD_KEY_MAX]);
bool etcd_log__key_seq(struct str key, uint64_t *out_seq);
/* A transaction that only the holder of the fence can make: begins it, up to its first op. */
void etcd_log__begin(const struct etcd_log *m, struct etcd_txn *t, struct buf *out);
bool etcd_log__holds(const struct etcd_log *m, const struct etcd_kvs *fence);
void etcd_log__put_state(const struct etcd_log *m, struct etcd_txn *t, uint64_t compacted,
                         uint64_t swept);

/* store_etcd_call.c. Body is taken over and left empty. */
void etcd_log__call(struct etcd_log *m, enum etcd_caller who, const char *path, struct buf *body);
void etcd_log__calls_tick(struct etcd_log *m);                      /* Second tries that are due. */
bool etcd_log__try_again(struct etcd_log *m, enum etcd_caller who); /* False: patience is over. */
void etcd_log__hang_up(struct etcd_log *m, enum etcd_caller who);
bool etcd_log__end_call(struct etcd_log *m, enum etcd_caller who); /* True: some try is in doubt. */
bool etcd_log__is_calling(const struct etcd_log *m, enum etcd_caller who);
/* Whose request that is; false: of a call that was hung up. */
bool etcd_log__caller(const struct etcd_log *m, uint64_t request, enum etcd_caller *out_who);
/* What etcd answered instead of doing it, as ours. */
enum err_code etcd_log__why(const struct etcd_answer *a, const char *what, struct err *e);

/* store_etcd_append.c */
bool etcd_append__next(struct etcd_log *m); /* A commit is the first job. False: it has to wait. */
void etcd_append__answered(struct etcd_log *m, bool in_doubt, const struct etcd_answer *a);
void etcd_append__drop(struct etcd_log *m);

/* store_etcd_load.c */
void etcd_load__begin(struct etcd_log *m, struct etcd_job *job);
void etcd_load__answered(struct etcd_log *m, const struct etcd_answer *a);
void etcd_load__delivered(struct etcd_log *m);
void etcd_load__smaller(struct etcd_log *m); /* A page did not come: ask for less. */
void etcd_load__drop(struct etcd_log *m);

/* store_etcd_lease.c */
void etcd_lease__tick(struct etcd_log *m);
void etcd_lease__answered(struct etcd_log *m, const struct etcd_answer *a);
void etcd_lease__give_back(struct etcd_log *m, uint64_t op);

/* store_etcd_copy.c */
MUST_USE enum err_code etcd_copy__check(struct etcd_log *m, struct str mark, struct err *e);
void etcd_copy__take(const struct etcd_log *m, struct etcd_txn *t); /* Removes what is there. */
void etcd_copy__begin(struct etcd_log *m, struct etcd_job *job);
void etcd_copy__answered(struct etcd_log *m, const struct etcd_answer *a);

/* store_etcd_sweep.c */
void etcd_sweep__begin(struct etcd_log *m, uint64_t op, uint64_t before);
void etcd_sweep__answered(struct etcd_log *m, const struct etcd_answer *a);
void etcd_sweep__resume(struct etcd_log *m, bool afresh); /* afresh: the index was read anew. */
void etcd_sweep__stop(struct etcd_log *m, const char *why);

#endif /* CONTROLPLANE_STORE_STORE_ETCD_PRIV_H */
