/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger_priv.h -- what the files of this folder share: the tables behind struct ledger.
 *
 * WHAT   shape: the unchanging part of a machine, shared by all nodes built alike. node: what is
 *        free on one. class: the contents of a request, shared by all equal requests. labels: the
 *        namespace and labels of workloads. hold: one workload's rows, 88 bytes.
 * OWNS   Everything hangs on struct ledger; shapes, classes and label sets are counted.
 */
#ifndef SCHEDULER_LEDGER_PRIV_H
#define SCHEDULER_LEDGER_PRIV_H

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "scheduler/explain.h"
#include "scheduler/ledger.h"

enum {
    CORE_WORDS = TOPOLOGY_CORES_MAX / 64,
    MASKS_MAX = (1 << TOPOLOGY_NUMA_MAX) - 1,
    HOLD_CHUNK =
        4096,        /* Holds come in chunks, so that a big table costs nothing before it fills. */
    HOLD_INLINE = 4, /* Words of rows inside the hold; longer ones are allocated. */
};
#define HOLD_NONE UINT32_MAX

/* A set of NUMA nodes that could serve a request, and how good it is before anything is counted. */
struct shape_mask {
    uint8_t set, sockets, count;
    uint8_t level;     /* Equal level: equally good in sockets, NUMA nodes and distance. */
    uint32_t distance; /* Sum of the SLIT distances inside the set. */
};

struct shape {
    struct str key; /* The bytes it was made from; belongs to it. */
    uint32_t refs;
    uint32_t sockets_count, numa_count, llcs_count, cores_count, threads_count, words, masks_count;
    uint32_t shared_cores;
    uint32_t core_threads_min, core_threads_max; /* A core counts for the least of them. */
    uint32_t llc_cores_max;                      /* Cores of the largest cache domain. */
    bool has_cache_rows;                         /* Some domain has ways or bandwidth to give. */
    uint64_t content;                            /* Hash of the bytes, the same on every machine. */
    uint8_t numa_socket[TOPOLOGY_NUMA_MAX];
    uint8_t core_llc[TOPOLOGY_CORES_MAX], core_threads[TOPOLOGY_CORES_MAX];
    uint16_t core_first[TOPOLOGY_CORES_MAX]; /* Index of its first thread in os_cpu. */
    uint16_t os_cpu[TOPOLOGY_THREADS_MAX];
    uint8_t llc_numa[TOPOLOGY_LLCS_MAX];
    uint16_t llc_ways[TOPOLOGY_LLCS_MAX];
    uint32_t llc_bandwidth[TOPOLOGY_LLCS_MAX];
    uint16_t llc_first_word[TOPOLOGY_LLCS_MAX], llc_last_word[TOPOLOGY_LLCS_MAX];
    uint64_t usable[CORE_WORDS]; /* Cores that may be given exclusively. */
    uint64_t numa_cores[TOPOLOGY_NUMA_MAX][CORE_WORDS];
    uint64_t llc_cores[TOPOLOGY_LLCS_MAX][CORE_WORDS];
    uint16_t numa_usable[TOPOLOGY_NUMA_MAX];
    struct shape_mask masks[MASKS_MAX]; /* Best first. */
};

struct node_numa {
    uint64_t memory_free, memory_total;
    uint32_t huge2m_free, huge2m_total, huge1g_free, huge1g_total;
};

struct node_llc {
    uint32_t ways_free, bandwidth_free;
};

struct node_device {
    uint32_t class_name, id_name, model_name;
    uint16_t units, used;
    uint8_t numa; /* NODE_NUMA_ANY: not known. */
};
enum { NODE_NUMA_ANY = 255 };

struct node_scalar {
    uint32_t name;
    uint64_t amount, held;
};

struct node {
    uint32_t name, index;
    bool removed, ready, unschedulable;
    struct shape *shape;

    uint64_t taken[CORE_WORDS];             /* Exclusive cores. */
    uint16_t cores_free[TOPOLOGY_NUMA_MAX]; /* That may be given exclusively. */
    uint32_t pool_threads;                  /* Of cores that are not exclusive. */
    uint32_t system_cpu_milli;
    uint64_t shared_held;
    struct node_numa numa[TOPOLOGY_NUMA_MAX];
    struct node_llc *llcs; /* NULL when nothing can be partitioned. */

    uint32_t devices_count, scalars_count, ports_count, ports_size;
    struct node_device *devices;
    struct node_scalar *scalars;
    struct request_port *ports;

    uint32_t address_first, addresses_count, addresses_held, address_hint;
    uint64_t mac_first;
    uint64_t *addresses; /* Bitmap of held ones. */

    uint32_t labels_count, taints_count, images_count, capabilities_count;
    struct topology_label *labels; /* Sorted by key. */
    struct topology_taint *taints;
    struct topology_image *images;
    uint32_t *capabilities;

    uint32_t pods_max, holds_count, hold_first; /* Head of the list of its holds. */
    uint64_t content; /* Hash of what does not change with holds; without the name. */
    uint64_t tie;     /* Hash of everything, content and state: breaks ties. */
    char *marked;     /* Why it takes nothing; NULL when it does. */
};

/* The contents of a request. Equal requests are one class. */
struct class
{
    struct str key;
    uint32_t id, refs;
    size_t bytes;
    struct request r; /* Points into its own block; labels, cookie, started, gang are not part. */
};

/* Namespace and labels of workloads; equal ones are one set. */
struct labels {
    struct str key;
    uint32_t id, refs;
    uint32_t namespace_name, labels_count;
    const struct topology_label *labels; /* Sorted by key. */
};

enum hold_state { HOLD_FREE, HOLD_TENTATIVE, HOLD_COMMITTED };

struct hold {
    uint64_t cookie, started;
    uint32_t node, class_id, labels_id, gang;
    uint32_t generation;
    uint32_t prev, next; /* In the list of its node; next is also the free list. */
    uint32_t address;    /* Index into the node's pool + 1; 0: none. */
    uint8_t state, memory_mask, devices_count, words_count;
    union {
        uint64_t words[HOLD_INLINE];
        uint64_t *more;
    } rows; /* Packed: see rows.c. */
};
_Static_assert(sizeof(struct hold) <= 96, "a hold has a budget");

/* A growing table of pointers with free indices; the index is the thing's name. */
struct table {
    void **at;
    uint32_t *spare; /* Indices that were given back. */
    uint32_t count, size, spare_count, spare_size;
};

uint32_t table__add(struct table *t, void *thing);
void table__remove(struct table *t, uint32_t id);
void table__fini(struct table *t);

struct ledger {
    struct ledger_limits limits;
    struct names names;
    struct buf scratch;          /* The key of the request at hand. */
    uint32_t name_unschedulable; /* node.kubernetes.io/unschedulable */
    struct map shapes;           /* Key bytes -> struct shape. */
    struct map nodes_map;        /* Name (4 bytes) -> struct node. */
    struct map classes_map, labels_map;
    struct table nodes, classes, labels;
    struct hold **holds; /* Chunks. */
    uint32_t holds_end, hold_free, holds_count, nodes_count;
    uint64_t nodes_memory, holds_memory, classes_memory;
    uint64_t cpu_scale, memory_scale, device_scale; /* See cost.c. */
    uint64_t cpu_most, memory_most, devices_most;   /* Of any node. */
    uint64_t decisions, refusals;
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
    return &l->holds[i / HOLD_CHUNK][i % HOLD_CHUNK];
}

/* The hold behind a name, or NULL when it is gone. */
struct hold *ledger__hold_find(const struct ledger *l, uint64_t name, uint32_t *out_index);

/* ---- hash.c-like helpers: the same on every machine and in every run ---- */

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
MUST_USE enum err_code class__intern(struct ledger *l, const struct request *r, struct class **out,
                                     struct err *e); /* One reference. */
void class__unref(struct ledger *l, struct class *c);
MUST_USE enum err_code labels__intern(struct ledger *l, const struct request *r,
                                      struct labels **out, struct err *e);
void labels__unref(struct ledger *l, struct labels *s);

/* ---- node.c ---- */
void node__forget_if_unused(struct ledger *l, uint32_t node);
void node__rehash(struct node *n);
void node__free(struct ledger *l, struct node *n);
void node__mark(struct node *n, const char *why);
const struct topology_label *node__label(const struct node *n, uint32_t key);
static inline bool node__takes(const struct node *n)
{
    return !n->removed && n->marked == NULL;
}

/* ---- ledger.c ---- */
uint64_t ledger__hold_name(const struct ledger *l, uint32_t index);

/* The one door through which every change of a node goes. facts: not only its free rows. */
void ledger__node_changed(struct ledger *l, uint32_t node, bool facts);

#endif /* SCHEDULER_LEDGER_PRIV_H */
