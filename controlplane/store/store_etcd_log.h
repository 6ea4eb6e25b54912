/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_etcd_log.h -- the machine that keeps an ordered log in etcd. No socket, thread or clock.
 *
 * WHAT   Jobs, answers and time go in; requests, rows and the jobs' ends come out as effects, in order.
 * WHY    What happens to a request whose answer is lost is decided here, where a test can lose it.
 * OWNS   A job belongs to the machine from etcd_log_ask() on. A POST's body is a reference of the effect's
 *        taker, ROWS too are his. Answers are borrowed for the call.
 * ASYNC  Nothing is called back: take effects with etcd_log_next() after each of the calls that say now.
 * ORDER  One record is on its way at a time. It is one transaction that compares: the fence is ours, the record
 *        before it is there, its own is not. So whatever is repeated or comes late, the log has no gap, no
 *        double and no line of another writer.
 * FAILS  As store.h and store_etcd.h say.
 *
 * LOG    Record SEQ stands behind SEQ - 1 when it is written. Compaction later merges records, into the
 *        last of them, and never touches the newest: its revision is the head.
 */
#ifndef CONTROLPLANE_STORE_STORE_ETCD_LOG_H
#define CONTROLPLANE_STORE_STORE_ETCD_LOG_H

#include "base/sm.h"
#include "base/time.h"
#include "controlplane/store/store.h"
#include "controlplane/store/store_etcd.h"
#include "controlplane/store/store_etcd_wire.h"
#include "controlplane/store/store_user.h"
#include "io/seal.h"

/* clang-format off */
#define ETCD_STATES(S, TO)                                                                           \
    S(AWAY,     TO(LOOKING) | TO(CLOSING))               /* an opening, a load, a following      */  \
    S(LOOKING,  TO(AWAY) | TO(LEADING) | TO(GRANTING) | TO(TAKING) | TO(RECALLING))                  \
                                                         /* what is there, and whose             */  \
    S(GRANTING, TO(AWAY) | TO(TAKING))                   /* a lease                              */  \
    S(TAKING,   TO(AWAY) | TO(LOOKING) | TO(RECALLING))  /* lock and fence                       */  \
    S(RECALLING, TO(AWAY) | TO(LEADING) | TO(READING))   /* what compaction forgot               */  \
    S(READING,  TO(AWAY) | TO(LEADING) | TO(TRIMMING))   /* records, a page at a time            */  \
    S(TRIMMING, TO(AWAY) | TO(LEADING))                  /* half a transaction to be removed     */  \
    S(LEADING,  TO(AWAY) | TO(LOOKING) | TO(MARKING) | TO(CLOSING))                                  \
                                                         /* jobs                                 */  \
    S(MARKING,  TO(LEADING))                             /* a mark of a copy                     */  \
    S(CLOSING,  0)                                       /* the lease to be given back           */
/* clang-format on */

enum etcd_state {
#define S(name, to) ETCD_LOG_##name,
    ETCD_STATES(S, TO)
#undef S
        ETCD_LOG__COUNT
};

extern const struct sm_state etcd_log_states[ETCD_LOG__COUNT];

struct etcd_log_options {
    const char *prefix, *cluster, *holder; /* store_etcd.h; borrowed. */
    enum store_etcd_use use;
    bool must_exist;
    const struct seal *seal;
};

enum etcd_job_type {
    ETCD_JOB_LOAD = STORE_ASK_LOAD,
    ETCD_JOB_COMMIT = STORE_ASK_COMMIT,
    ETCD_JOB_FOLLOW = STORE_ASK_FOLLOW,
    ETCD_JOB_COMPACT = STORE_ASK_COMPACT,
    ETCD_JOB_CLOSE = STORE_ASK_CLOSE,
    ETCD_JOB_OPEN = STORE_ASK__COUNT, /* Is it ours? Answered like an op. */
    ETCD_JOB_MARK
};

struct etcd_job {
    enum etcd_job_type type;
    uint64_t op, argument; /* The fence, a revision, or a mark. */
    struct etcd_job *next;
    size_t cost; /* Bytes it takes in a record, at most. */
    uint32_t writes_count;
    struct store_write writes[];
};

/* Takes its own references to keys and values. */
struct etcd_job *etcd_job_new(enum etcd_job_type type, uint64_t op, uint64_t argument,
                              const struct store_write *writes, uint32_t writes_count);
void etcd_job_free(void *job);

/* Rows of a load: one FX_ROWS, delivered together. */
struct etcd_rows {
    uint64_t op;
    uint32_t count, size;
    struct etcd_loaded {
        uint64_t revision;
        struct blob *key, *value;
        struct err *poison; /* Why the value is an empty one instead of what is stored; NULL. */
        bool sealed;
    } * at;
};

void etcd_rows_free(void *rows);

enum etcd_effect_type {
    ETCD_FX_POST,   /* request, path, body, timeout */
    ETCD_FX_CANCEL, /* request */
    ETCD_FX_ROTATE, /* The endpoint does not answer: use the next one. */
    ETCD_FX_ROWS,   /* rows; etcd_log_delivered() when the user has them. */
    ETCD_FX_DONE    /* done: the end of a job. */
};

struct etcd_effect {
    enum etcd_effect_type type;
    uint64_t request;
    const char *path;
    struct blob *body;
    struct span timeout;
    struct etcd_rows *rows;
    struct store_event done;
};

struct etcd_log_counts {
    uint64_t records, commits, writes, bytes, again, merges, fences;
};

struct etcd_log;

struct etcd_log *etcd_log_new(const struct etcd_log_options *o);
void etcd_log_free(struct etcd_log *m); /* Jobs that were not answered are dropped. */

void etcd_log_ask(struct etcd_log *m, struct instant now, struct etcd_job *job);
void etcd_log_answered(struct etcd_log *m, struct instant now, uint64_t request,
                       const struct etcd_answer *a);
void etcd_log_delivered(struct etcd_log *m, struct instant now);
void etcd_log_tick(struct etcd_log *m, struct instant now);
struct instant etcd_log_deadline(const struct etcd_log *m); /* When to tick; 0: never. */

/* The next effect; false: none. */
bool etcd_log_next(struct etcd_log *m, struct etcd_effect *out);

struct etcd_log_counts etcd_log_counts(const struct etcd_log *m);
enum etcd_state etcd_log_state(const struct etcd_log *m);

#endif /* CONTROLPLANE_STORE_STORE_ETCD_LOG_H */
