/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger_priv.h -- what the files of this folder share: the tables behind struct ledger.
 *
 * WHAT   class: the contents of a request, shared by all equal requests. labels: the namespace and
 *        labels of workloads. hold: one workload's rows, 64 bytes and 24. Nodes are in machine_priv.h.
 * OWNS   Everything hangs on struct ledger; shapes, classes and label sets are counted.
 */
#ifndef SCHEDULER_LEDGER_PRIV_H
#define SCHEDULER_LEDGER_PRIV_H

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "scheduler/columns.h"
#include "scheduler/explain.h"
#include "scheduler/ledger.h"
#include "scheduler/machine_priv.h"

enum {
    HOLD_INLINE = 4, /* Words of rows inside the hold; longer ones are allocated. */
    FACTS_LOG = 4096,
    FORETOLD = 8, /* A power of two. */
    ORDER_PATIENCE = 64,
    MEMO_SIZE = 1024, /* Classes and label sets found without the maps; a power of two. */
    MEMO_KEPT = 4096, /* A class of no more bytes stays while it is found there. */
};
#define HOLD_NONE UINT32_MAX

/* The contents of a request. Equal requests are one class. */
struct class
{
    struct str key;
    uint32_t id, refs;
    size_t bytes;
    struct shortlist *lists;           /* What is remembered for it (shortlist.h). */
    struct class_terms *terms;         /* NULL: none. */
    struct class_explained *explained; /* explain.c; NULL: never refused. */
    uint32_t mix_seen;                 /* Where its shape was in the mix. */
    uint32_t order_rests;              /* Decisions for which the order is not tried (search.c). */
    struct request r; /* Points into its own block; labels, cookie, started, gang are not part. */
};

/* What a set of labels means to the terms there are (terms.h). */
struct profile {
    uint64_t serial; /* Of l->terms_serial when it was made. */
    uint64_t hash;   /* Of the content: part of the name of a shortlist. */
    uint32_t matched_count, felt_count;
    uint32_t *terms; /* matched (it is counted by), then felt (terms of others that match it). */
};

/* Namespace and labels of workloads; equal ones are one set. leaves: of those that are being deleted. */
struct labels {
    struct str key;
    uint32_t id, refs;
    uint32_t namespace_name, leaves, labels_count;
    const struct topology_label *labels; /* Sorted by key. */
    struct profile profile;
};

enum hold_state { HOLD_FREE, HOLD_TENTATIVE, HOLD_COMMITTED };

/* A cache line: what placing and removing touch. */
struct hold {
    uint32_t node; /* While free: the next free one. */
    uint32_t class_id, labels_id;
    uint32_t generation;
    uint32_t prev, next; /* In the list of its node. */
    uint32_t address;    /* Index into the node's pool + 1; 0: none. */
    uint8_t state : 2, cpus_each : 4, memory_mask, devices_count, words_count; /* each: core. */
    union {
        uint64_t words[HOLD_INLINE];
        uint64_t *more;
    } rows; /* Packed: see rows.c. */
};
_Static_assert(sizeof(struct hold) == 64, "a hold is a cache line");

/* What only questions about a workload need. */
struct hold_tag {
    uint64_t cookie, started;
    uint32_t gang;
};

/* A growing table of pointers with free indices; the index is the thing's name. */
struct table {
    void **at;
    uint32_t *spare; /* Indices that were given back. */
    uint32_t count, size, spare_count, spare_size;
};

uint32_t table__add(struct table *t, void *thing);
void table__remove(struct table *t, uint32_t id);
void table__fini(struct table *t);

/* Usual requests, as far as devices are concerned, and how usual (mix.c). */
enum { MIX_SHAPES_MAX = 1024, MIX_USUAL_MAX = 128, MIX_MODELS_MAX = 8 };

struct mix_shape {
    uint32_t cpu_milli, device_class, count, units, models_count;
    uint32_t models[MIX_MODELS_MAX];
    uint64_t arrived, weight; /* How often so far; its part of the usual ones. */
};

struct mix {
    uint64_t arrived, next, epoch, faded;
    uint32_t seen_count, count;      /* Shapes seen; usual ones. */
    struct mix_shape *seen, *shapes; /* The usual ones are copies. */
};

struct ledger {
    struct ledger_limits limits;
    struct names names;
    struct buf scratch;          /* The key of the request at hand. */
    uint32_t name_unschedulable; /* node.kubernetes.io/unschedulable */
    struct map shapes;           /* Key bytes -> struct shape. */
    struct map nodes_map;        /* Name (4 bytes) -> struct node. */
    struct map classes_map, labels_map;
    struct class
        *classes_memo[MEMO_SIZE]; /* By hash of the key, the last one that was asked for. */
    struct labels *labels_memo[MEMO_SIZE];
    struct table nodes, classes, labels, terms, topos;
    struct columns columns;
    uint64_t terms_serial;                       /* Moves when terms come or go. */
    uint64_t rules_epoch;                        /* Every shortlist is void. */
    uint32_t *facts_log;                         /* Nodes whose facts changed, a ring; */
    uint64_t facts_end;                          /* entries ever written. */
    uint32_t prefer_nodes;                       /* Nodes with a taint PreferNoSchedule. */
    struct shortlist *list_newest, *list_oldest; /* By last use. */
    uint32_t list_keep;                          /* Nodes on a shortlist; tests make it small, */
    uint32_t order_patience;                     /* and blocks that a walk may see in vain. */
    uint32_t memo_swept; /* Of the memo of classes, the next place to be emptied. */
    uint64_t cache_bytes, builds;
    struct mix mix;
    bool has_devices; /* Some node has, or had. */
    bool is_question; /* A plan is asked for: nothing is learned from its requests. */
    struct shortlist_rule *rules_scratch; /* Of the request at hand. */
    uint32_t rules_size;
    struct hold *holds;
    struct hold_tag *tags;   /* By index, as holds. */
    struct node *node_slots; /* Where nodes live. */
    uint32_t holds_end, hold_free, holds_count, nodes_count;
    uint32_t foretold[FORETOLD], foretold_count; /* Holds that go soon, a ring; ever named. */
    uint32_t node_slots_end, node_slot_free;     /* node_slot_free: + 1, of a list through index. */
    uint64_t nodes_memory, holds_memory, classes_memory;
    uint64_t cpu_scale, memory_scale, device_scale; /* See cost.c. */
    uint64_t cpu_most, memory_most, devices_most;   /* Of any node. */
    uint64_t decisions, refusals;
    uint64_t changes; /* Of any node. */
};

static inline struct node *ledger__node(const struct ledger *l, uint32_t i)
{
    return i < l->nodes.count ? l->nodes.at[i] : NULL;
}

static inline struct class *ledger__class(const struct ledger *l, uint32_t id)
{
    return l->classes.at[id];
}

static inline struct labels *ledger__labels(const struct ledger *l, uint32_t id)
{
    return l->labels.at[id];
}

static inline struct hold *ledger__hold(const struct ledger *l, uint32_t i)
{
    return &l->holds[i];
}

static inline struct hold_tag *ledger__tag(const struct ledger *l, uint32_t i)
{
    return &l->tags[i];
}

static inline uint64_t ledger__hold_name(const struct ledger *l, uint32_t index)
{
    return (uint64_t)ledger__hold(l, index)->generation << 32 | index;
}

/* The hold behind a name, or NULL when it is gone. */
struct hold *ledger__hold_find(const struct ledger *l, uint64_t name, uint32_t *out_index);

/* ---- hashes: the same on every machine and in every run ---- */
static inline uint64_t hash__mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9E3779B97F4A7C15ull;
    return h ^ h >> 29;
}

uint64_t hash__bytes(uint64_t h, const void *at, size_t len);

static inline uint64_t hash__name(const struct ledger *l, uint64_t h, uint32_t name)
{
    struct str text = names_text(&l->names, name);
    return hash__bytes(h, text.at, text.len);
}

/* ---- shape.c ---- */
MUST_USE enum err_code shape__intern(struct ledger *l, const struct topology *t, struct shape **out,
                                     struct err *e);
void shape__unref(struct ledger *l, struct shape *s);

/* ---- class.c ---- */

/* Checks the request too; one that equals a known one has passed. */
MUST_USE enum err_code class__intern(struct ledger *l, const struct request *r, struct class **out,
                                     struct err *e); /* One reference. */
void class__unref(struct ledger *l, struct class *c);
MUST_USE enum err_code labels__intern(struct ledger *l, const struct request *r, bool leaves,
                                      struct labels **out, struct err *e);
void labels__unref(struct ledger *l, struct labels *s);
void class__free(struct class *c);                             /* NULL is allowed. */
void class__free_if_unused(struct ledger *l, struct class *c); /* No hold and nothing remembered. */
void class__drop_unused(struct ledger *l, uint32_t count);     /* And lists: the least used. */

/* ---- facts.c ---- */
void node__content(const struct ledger *l, struct node *n); /* What does not change with holds. */
void node__rehash(struct node *n);                          /* Everything: it breaks ties. */
const struct topology_label *node__label(const struct node *n, uint32_t key);

/* ---- node.c ---- */
void node__forget_if_unused(struct ledger *l, uint32_t node);
void node__free(struct ledger *l, struct node *n);
uint32_t node__slots(const struct ledger *l); /* How many nodes may be there, removed ones too. */
void node__list(struct ledger *l, struct node *n, uint32_t hold);
void node__unlist(struct ledger *l, struct node *n, uint32_t hold);
void node__mark(struct node *n, const char *why);
/* What a placement or a removal reads of it is brought near, if it has no more than five NUMA nodes. */
static inline void node__expect(const struct node *n)
{
    for (size_t i = 0; i < offsetof(struct node, numa[5]); i += 64)
        __builtin_prefetch((const char *)n + i, 1);
}

static inline bool node__takes(const struct node *n)
{
    return !n->removed && n->marked == NULL;
}

/* ---- ledger.c: one reference to each ---- */
MUST_USE enum err_code ledger__intern(struct ledger *l, const struct request *r,
                                      struct class **out_class, struct labels **out_labels,
                                      struct err *e);

/* ---- changes.c: the one door for every change of a node. facts: not only its free rows ---- */
void ledger__node_changed(struct ledger *l, uint32_t node, bool facts);
void ledger__node_log(struct ledger *l, uint32_t node);

#endif /* SCHEDULER_LEDGER_PRIV_H */
