/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_priv.h -- the inside of the core: how its parts read, stage writes and come back later.
 *
 * READ   core_find() gives an object as it durably is. What is in flight is not seen by anybody, but
 *        core_is_busy() says that a key is being written: come back (RECONCILE_LATER), do not guess.
 * STAGE  A stage is up to STAGE_WRITES_MAX objects that become durable together or not at all:
 *
 *            struct stage *s = stage_begin(c);
 *            stage_put(s, pod_key, pod_bytes, &edit);
 *            stage_put(s, placement_key, placement_bytes, NULL);
 *            stage_on_settled(s, placing_settled, hold);
 *            stage_end(s);
 *
 *        stage_put() numbers the write and puts metadata.resourceVersion in. stage_end() hands it to
 *        the turn's transaction, or drops it after stage_refuse() or in a dry run. In every case
 *        settled functions are called once: true when durable, false when it never will be.
 * RULES  A kind's own part in a client's write is a row of core_rules[] (rules.c): the functions are
 *        called with the client's stage open and may change the draft, stage more, or refuse.
 * AFTER  Every durable change passes X_changed() of every controller (the list below), on start-up and
 *        after a reload too; it only marks keys. core_flush() then calls X_reconcile() for the marked
 *        keys, some a turn, with nothing else in between: it looks at what is and stages what lacks.
 *        A write that failed marks the key of the reconcile that staged it again, later.
 * TIME   core_mark_at() is the only timer.
 * MEMORY c->turn ends with the turn; within one write or one reconcile it is a part (core_part_begin()), which ends
 *        with it unless there are effects that may point into it. So the next one finds the same memory, still cached.
 */
#ifndef CONTROLPLANE_CORE_CORE_PRIV_H
#define CONTROLPLANE_CORE_CORE_PRIV_H

#include "api/meta.h"
#include "api/typed.h"
#include "base/arena.h"
#include "base/rng.h"
#include "controlplane/core/core.h"
#include "controlplane/core/history.h"
#include "controlplane/core/index.h"
#include <protobuf-c/protobuf-c.h>

/* Name, and the prefix of its functions: X_changed(), X_reconcile(). In the order they run. */
/* clang-format off */
#define CORE_CONTROLLERS(X)                                                     \
    X(CONTROL_NAMESPACES, namespaces) /* namespaces there must be; emptying   */ \
    X(CONTROL_ACCOUNTS,   accounts)   /* the default ServiceAccount           */ \
    X(CONTROL_PRIORITIES, priorities) /* the system's PriorityClasses         */ \
    X(CONTROL_COLLECTOR,  collector)  /* garbage: objects whose owners are gone */ \
    X(CONTROL_QUOTAS,     quotas)     /* what namespaces hold of what they may */ \
    X(CONTROL_BUDGETS,    budgets)    /* how many may be away at a time       */ \
    X(CONTROL_NODES,      nodes)      /* Nodes of what agents found; leases   */ \
    X(CONTROL_PLACING,    placing)    /* rows for what waits                  */ \
    X(CONTROL_WORDS,      words)      /* labels that mean something else     */ \
    X(CONTROL_AGENTS,     agents)     /* what agents reported                 */ \
    X(CONTROL_PEERS,      peers)      /* where other nodes' pods are          */ \
    X(CONTROL_EVENTS,     events)     /* what happened, as Event objects      */
/* clang-format on */

enum core_control {
#define X(name, prefix) name,
    CORE_CONTROLLERS(X)
#undef X
        CONTROL__COUNT
};

enum reconcile {
    RECONCILE_DONE,  /* Nothing to do, or staged: the change itself brings us back. */
    RECONCILE_LATER, /* Something is in flight: try again soon. */
};

/* A durable change, with metadata read once for all: zeroed where there is no object or it is broken. */
struct core_change {
    struct history_change is;
    struct index_key at;
    struct meta now, before;
};

/* changed: marks keys, nothing else. before is NULL for what was loaded. loaded: once, before all that
 * was loaded passes changed(). */
#define X(name, prefix)                                                                            \
    void prefix##_loaded(struct core *c);                                                          \
    void prefix##_changed(struct core *c, const struct core_change *change);                       \
    enum reconcile prefix##_reconcile(struct core *c, struct str key);
CORE_CONTROLLERS(X)
#undef X

struct core_memory;
struct core_writes;
struct core_marks;
struct core_control_state;
struct core_above;
struct cluster;
struct specs;

struct core {
    struct core_config config;
    struct rng rng,
        memory_rng; /* For what is stored, and for what never is: Events come when there is time. */
    struct instant now; /* Of the event being stepped or the turn being flushed. */
    struct wall wall;
    struct arena turn; /* Emptied by the first core_step() after a core_flush(). */
    struct index *index;
    struct history *history;
    struct core_memory *memory;          /* memory.c: what never reaches the store. */
    struct core_writes *writes;          /* writes.c: queue, stages in flight, transactions. */
    struct core_marks *marks;            /* marks.c: keys that controllers are to look at. */
    const struct core_above *above;      /* controllers.c: called from below. */
    struct core_control_state *controls; /* controllers.c: what each controller remembers. */
    struct cluster *cluster;             /* cluster.h: nodes, placements, sessions. */
    struct specs *specs;                 /* specs.h: pods' specs, opened once. */
    struct str reconciling; /* The key X_reconcile() is called for; at NULL: none is. */
    enum core_control reconciling_control;
    bool is_loaded;

    struct core_effect *effects; /* Of this turn. */
    uint32_t effects_count, effects_size;
    size_t sent_bytes; /* Of this turn's messages to agents, which are not in its arena. */
    struct core_counts counts;
    bool flushed; /* The next core_step() begins a turn. */
};

/* ---- Reading ---- */

struct cow_entry *core_find(struct core *c, struct str key); /* Borrowed; NULL: not there. */
bool core_is_busy(struct core *c, struct str key);           /* A write of it is in flight. */

/* The present objects under a prefix, for controllers; the tree must not change meanwhile, and it
 * does not while a reconcile runs. */
void core_range(struct core *c, struct index_range *r, struct str prefix);

/* A key's text in the turn's arena; {NULL, 0} when it is too long. */
struct str core_key(struct core *c, const char *group, const char *plural, struct str namespace,
                    struct str name);

/* ---- Staging ---- */

enum { STAGE_WRITES_MAX = 8, STAGE_SETTLED_MAX = 2 };

struct stage;

struct stage *stage_begin(struct core *c);

/* Create or replace. object: an envelope, copied. edit: further metadata to change; NULL: none. Refuses the stage when it is too large (WRITE_TOO_LARGE), broken
 * (WRITE_INVALID), or when the key is in flight (WRITE_BUSY: a reconcile asks core_is_busy() first). */
void stage_put(struct stage *s, struct str key, struct str object, const struct meta_edit *edit);

/* The same over before, which core_find() gave for the key while this stage was open, or NULL. */
void stage_put_over(struct stage *s, struct str key, struct cow_entry *before, struct str object,
                    const struct meta_edit *edit);

/* The same for an object that is written from the start: whoever calls it appends the envelope, canonical and with that
 * metadata.resourceVersion (0: without), and calls stage_put_end() next. NULL: refused, and there is no end. */
struct buf *stage_put_begin(struct stage *s, struct str key, uint64_t *out_revision);
void stage_put_end(struct stage *s, struct str key);

/* Delete. The last state stays in the history with the deletion's revision in it. */
void stage_remove(struct stage *s, struct str key);

/* The first refusal stays. The text is copied; it goes to the client. */
void stage_refuse(struct stage *s, enum write_result result, const char *fmt, ...) PRINTF(3, 4);
bool stage_is_refused(const struct stage *s);

/* It is a question: the client gets the draft, and nothing is kept. */
void stage_keep_nothing(struct stage *s);

/* settled(c, name, durable) is called once, when the stage's end is known. */
void stage_on_settled(struct stage *s, void (*settled)(struct core *c, uint64_t name, bool durable),
                      uint64_t name);

/* s is gone afterwards. False: refused. */
bool stage_end(struct stage *s);

/* ---- A kind's part in a client's write ---- */

struct draft {
    const struct write_request *request;
    struct str key;
    struct index_key at;
    struct cow_entry *before; /* NULL on create. */
    struct meta meta;         /* Of object; of before on delete. */
    struct str object;     /* What will be stored. A rule may point it to other bytes in c->turn. */
    struct meta_edit edit; /* Applied to object when it is staged. */
    int64_t grace_s;       /* remove: seconds until it is to be gone; 0: at once. */
    /* Being deleted it stays until core_delete() or a replace without hold, even though it has no finalizers and no
     * grace: a namespace with content. */
    bool hold;
};

struct core_rule {
    const char *group, *plural;
    bool sealed;   /* Encrypted in the store. */
    bool internal; /* Only the core writes it, and takes it away with what it belongs to. */
    uint32_t room; /* Bytes a client leaves free for what the core will say. */
    /* Each may be NULL. create, replace: the draft is complete and about to be staged. */
    void (*create)(struct core *c, struct stage *s, struct draft *d);
    void (*replace)(struct core *c, struct stage *s, struct draft *d);
    /* A first or shorter deletion: sets grace_s from the request's and the object's, or hold. */
    void (*remove)(struct core *c, struct stage *s, struct draft *d);
    /* The object is about to go for good: by delete, by its last finalizer, at grace 0. */
    void (*gone)(struct core *c, struct stage *s, struct draft *d);
    /* What history.h's topic is for this object, also when it was loaded; 0: none. */
    uint64_t (*topic)(struct core *c, const struct cow_entry *e);
};

/* NULL: none. */
const struct core_rule *core_rule(struct core *c, struct str group, struct str plural);

/* What the writes call without knowing it: they lie below the controllers (tools/parts.txt). */
struct core_above {
    void (*loaded)(struct core *c); /* Of every controller, in their order. */
    void (*changed)(struct core *c, const struct history_change *change);
    enum reconcile (*reconcile)(struct core *c, enum core_control control, struct str key);
    void (*admit)(struct core *c, struct stage *s, struct draft *d); /* A create; may refuse. */
    const struct core_rule *rules;
    uint32_t rules_count;
};

/* Writes from the inside (a controller, an agent's report), by the same rules as a client's. Not while a
 * stage is open. False: the key is in flight, come back; a refusal is nobody's business: it means that the
 * object changed meanwhile. grace_s -1: the object's own. uid empty: whoever it is. */
MUST_USE bool core_delete(struct core *c, struct str key, struct str uid, int64_t grace_s,
                          const char *propagation);

/* Replace with object, made of what core_find() gave in this very call; or with what is there now and edit
 * applied (object at NULL). The last finalizer's end deletes. */
MUST_USE bool core_replace(struct core *c, struct str key, struct str object,
                           const struct meta_edit *edit);

/* ---- Coming back ---- */

void core_mark(struct core *c, enum core_control control, struct str key);
void core_mark_at(struct core *c, enum core_control control, struct str key, struct instant at);

/* ---- Memory ---- */

struct core_part {
    struct arena turn;
    uint32_t effects_count;
};

void core_part_begin(struct core *c, struct core_part *p);
void core_part_end(struct core *c, struct core_part *p);

/* ---- Effects ---- */

/* What is stored under key is not what it should be: a line for the log. */
void core_poisoned(struct core *c, struct str key, const char *why);

/* fx is copied; what it points to is not. */
void core_emit(struct core *c, const struct core_effect *fx);

#endif /* CONTROLPLANE_CORE_CORE_PRIV_H */
