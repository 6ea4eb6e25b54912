/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.h -- the control plane as a function: events in, effects out.
 *
 * WHAT   One thread calls core_step(). It checks preconditions against its own index (which knows
 *        the writes in flight), places workloads on exact hardware, numbers every change, batches
 *        what one turn brought into one store transaction, and answers once it is durable.
 * WHY    Everything the cluster decides is decided here, in one order, so the simulator runs the
 *        same object code and a bug report is a list of events. No socket, clock, malloc or log.
 * OWNS   Events are borrowed for the call; blobs in them are referenced by the core if it keeps
 *        them. Effects are the core's until the next core_step(); the shell references what it keeps.
 * ASYNC  Every EV_WRITE gets exactly one FX_REPLY carrying its op, in a later turn or this one.
 *        Every FX_LOAD, FX_COMMIT and FX_COMPACT is answered by exactly one EV_STORE_DONE; before
 *        that of FX_LOAD come its EV_STORE_ROWs.
 * START  EV_STARTED makes the core ask for FX_LOAD. Until that is done writes are WRITE_UNAVAILABLE
 *        and core_is_ready() is false. After a commit of unknown outcome it loads again by itself.
 * FAILS  Peers' messages and stored bytes are input: a bad one ends its session or marks its object.
 *        A stored object whose envelope or metadata do not decode is there without bytes: readers
 *        refuse it, a deletion takes it away, the store keeps what it has until then.
 * SEAM   controlplane/serve/ performs effects under libuv, tests/sim/ under a seed.
 *
 * Reading never passes here: connection threads read a snapshot of the index and follow the
 * history (index.h, history.h), both published by the turn that saw the write become durable.
 */
#ifndef CONTROLPLANE_CORE_CORE_H
#define CONTROLPLANE_CORE_CORE_H

#include "base/blob.h"
#include "base/slots.h"
#include "base/time.h"
#include "controlplane/store/store.h"

struct core;
struct history;
struct index;

struct core_config {
    uint64_t seed;         /* Of uids and name suffixes: entropy, or the simulator's. */
    size_t history_bytes;  /* 0: HISTORY_BYTES_DEFAULT. */
    struct str cluster_id; /* Names the cluster to its agents. Outlives the core. */
    struct str ca_bundle;  /* PEM, for every namespace's kube-root-ca.crt; empty: none. Outlives. */
    struct str
        pod_network;      /* As network_parse() takes it; empty: the default. Outlives the core. */
    uint32_t node_prefix; /* Of a node's part of it; 0: the default. */
    uint32_t names_max;   /* Of the scheduler; 0: its default. Tests make it small. */
};

enum {
    CORE_OPS_MAX = 8192,  /* Writes not yet answered; one more is WRITE_BUSY. */
    CORE_COMMITS_MAX = 8, /* Transactions in flight; more writes wait for the next one. */
};

struct core *core_new(const struct core_config *config);
void core_free(struct core *c); /* Unanswered writes are forgotten; effects are not performed. */

/* For connection threads; they live as long as the core. */
struct index *core_index(struct core *c);
struct history *core_history(struct core *c);

/* Events are kept in memory alone: an index, a history and revisions of their own, which begin empty and
 * higher than any before with every start (docs/decisions/0060). Readers ask by kind which is theirs. */
bool core_in_memory(struct str group, struct str plural); /* Pure. */
struct index *core_memory_index(struct core *c);
struct history *core_memory_history(struct core *c);
bool core_is_ready(const struct core *c);

/* Since the start: rows chosen (dry runs too), of them durable, and workloads of whose start or end an agent
 * has told for the first time. */
struct core_counts {
    uint64_t decided, durable, acknowledged;
};

struct core_counts core_counts(const struct core *c);

/* Where a core stands beside what is stored: for the flight recorder. Another one that has loaded what was durable (and on
 * its way) then, and takes these, numbers and rolls as this one does; what it remembers of agents and of waiting is new. */
struct core_numbers {
    uint64_t head, next_revision; /* Durable; not given yet. */
    uint64_t rng[4];
};

struct core_numbers core_numbers(const struct core *c);
void core_resume(struct core *c, const struct core_numbers *n);

/* What a client asked to be written. Bodies are complete, defaulted and valid by themselves: the
 * connection thread has done what the object alone allows (and, for an update, prepared the whole
 * new object from the one at if_revision). What only the core can do is left to it. */
enum write_verb {
    WRITE_CREATE, /* Stamps uid, creationTimestamp, a generated name; places a workload. */
    WRITE_REPLACE, /* At if_revision. Keeps uid and creationTimestamp; the last finalizer's end too. */
    WRITE_DELETE, /* Graceful where the kind is; finalizers and the agent may hold it. */
};

struct write_request {
    enum write_verb verb;
    struct str key;         /* group/plural/namespace/name; name empty with generate. */
    struct str generate;    /* metadata.generateName, when the name is to be made up. */
    struct blob *object;    /* Envelope: k8s\0, apiVersion, kind, raw. NULL for WRITE_DELETE. */
    uint64_t if_revision;   /* 0: whatever is there. */
    struct str if_uid;      /* Empty: whatever is there. */
    int64_t grace_seconds;  /* WRITE_DELETE; -1: the object's own. */
    struct str propagation; /* WRITE_DELETE: "", Background, Foreground, Orphan. */
    /* WRITE_CREATE: this other object goes in the same transaction, or nothing is created; NOT_FOUND or OTHER_UID are then
     * about it. Empty: none. */
    struct str spends, spends_uid;
    bool evicts;  /* WRITE_DELETE: only where the disruption budgets allow it. */
    bool dry_run; /* Everything but the commit; a placement is searched and undone. */
};

/* Why a write was refused; serve/ makes Kubernetes' Status of it (api/status.h). */
/* clang-format off */
#define WRITE_RESULTS(X)                                                       \
    X(WRITE_OK)            /* durable                                        */ \
    X(WRITE_EXISTS)        /* create: the name is taken                      */ \
    X(WRITE_NOT_FOUND)     /* replace, delete: nothing has that name         */ \
    X(WRITE_STALE)         /* if_revision is not the object's any more       */ \
    X(WRITE_OTHER_UID)     /* if_uid is not the object's                     */ \
    X(WRITE_NO_NAMESPACE)  /* create: its namespace is not there             */ \
    X(WRITE_TERMINATING)   /* create: its namespace is being deleted         */ \
    X(WRITE_DENIED)        /* may not be done to this object; text says why  */ \
    X(WRITE_DISRUPTS)      /* evicts: a budget forbids it; text says which   */ \
    X(WRITE_INVALID)       /* contradicts what is stored; text says what     */ \
    X(WRITE_TOO_LARGE)     /* over STORE_VALUE_MAX once stamped              */ \
    X(WRITE_BUSY)          /* the queue is full: 429                         */ \
    X(WRITE_UNAVAILABLE)   /* the store failed; the outcome may be unknown   */ \
    X(WRITE_STORE_FULL)    /* no room on the disk; heals by itself           */
/* clang-format on */

enum write_result {
#define X(name) name,
    WRITE_RESULTS(X)
#undef X
};

enum core_event_type {
    EV_STARTED,    /* Once, the first: load the store. */
    EV_WRITE,      /* A client's write; op comes back in FX_REPLY. */
    EV_STORE_ROW,  /* One change of a load; op is FX_LOAD's. */
    EV_STORE_DONE, /* A load, commit or compaction ended; op is its effect's. */
    EV_AGENT_OPENED, /* An authenticated session: session, node (the certificate's CN). bytes: the control
                       * plane's own addresses, a space between; empty: the agent is on its machine. */
    EV_AGENT_MESSAGE, /* One baton.agent.v1 message that came up. */
    EV_AGENT_CLOSED,  /* The connection is gone; nothing is moved or stopped for it. */
    EV_DEADLINE,      /* core_deadline() was reached. */
};

struct core_event {
    enum core_event_type type;
    struct instant now;
    struct wall wall;
    uint64_t op;
    union {
        const struct write_request *write;
        const struct store_event *store; /* As the store posted it, ROW or DONE. */
        struct {
            uint64_t session; /* slot_pack() of the shell's session. */
            struct str node;
            struct str bytes;
        } agent;
    };
};

enum core_effect_type {
    FX_REPLY,       /* Answer a write. */
    FX_LOAD,        /* Take the store's fence and load everything. */
    FX_COMMIT,      /* Hand a transaction to the store. */
    FX_COMPACT,     /* Let the store forget what lies behind revision. */
    FX_DEPOSED,     /* Another writer has the store: end the program. text says so. */
    FX_PUBLISHED,   /* Index and history moved to revision: wake watchers on every thread. */
    FX_AGENT_SEND,  /* One baton.agent.v1 message to go down a session. */
    FX_AGENT_CLOSE, /* End a session; text says why. */
    FX_POISONED, /* Something stored cannot be what it should: bytes is its key, text says why. */
};

struct core_effect {
    enum core_effect_type type;
    uint64_t op; /* FX_REPLY: the write's. FX_COMMIT, FX_COMPACT: a new one. */
    uint64_t session, revision, fence;
    enum write_result result;
    struct blob *
        object; /* FX_REPLY: as stored (the last state, for a finished deletion). FX_AGENT_SEND: has the bytes. */
    bool gone; /* FX_REPLY: the object is there no more. */
    const struct store_write *writes;
    uint32_t writes_count;
    struct str bytes; /* FX_AGENT_SEND, FX_POISONED. */
    const char *text; /* FX_REPLY with a refusal, FX_AGENT_CLOSE, FX_POISONED. */
};

struct core_effects {
    const struct core_effect *at;
    uint32_t count; /* Performed in this order. */
};

/* Feed one event. Several may be fed before the effects are performed: core_step() queues writes,
 * core_flush() ends the turn and returns everything that is to be done. */
void core_step(struct core *c, const struct core_event *ev);
struct core_effects core_flush(struct core *c, struct instant now, struct wall wall);
struct instant core_deadline(const struct core *c); /* ns 0: never. */

#endif /* CONTROLPLANE_CORE_CORE_H */
