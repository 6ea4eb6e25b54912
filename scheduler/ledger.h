/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger.h -- all rows of all nodes and who holds each; the one place where anything is chosen.
 *
 * WHAT   ledger_place() chooses node and exact rows in one search and holds them at once, so that
 *        the creates of one batch see each other. Then ledger_commit() when the write is durable,
 *        ledger_undo() when it failed, ledger_release() when the agent says the workload is gone.
 *        ledger_restore() takes again what a stored Placement names.
 * WHY    Node and cores chosen apart is how a node comes to refuse what the cluster promised.
 * OWNS   The ledger copies everything it keeps. Names are ids of ledger_names(), and good until the next
 *        ledger_sweep() (names.h). A hold is a name
 *        that goes stale safely: after undo or release every call with it is ERR_NOT_FOUND or a
 *        no-op. Nothing is a pointer, nothing calls back, nothing reads a clock.
 * ASYNC  Nothing. Every call ends before it returns, in bounded time.
 * FAILS  ledger_place(): ERR_BUSY nothing has room now (ledger_explain() says why, and whether it
 *        could ever fit); ERR_INVALID the request contradicts itself; ERR_LIMIT a full table.
 *        ledger_restore(): ERR_NOT_FOUND the node is not known; ERR_CONFLICT a row is held by
 *        another or not there: the node is then marked and takes nothing new until
 *        ledger_node_put() mends it.
 * CPU    An exclusive grant is whole cores: n CPUs take n / threads-per-core of them, rounded up.
 *        All other cores are the shared pool, never fewer than shared_cores. Shared requests fit
 *        while their sum is at most 1000 x pool threads - system_cpu; a grant that would break that
 *        does not fit.
 */
#ifndef SCHEDULER_LEDGER_H
#define SCHEDULER_LEDGER_H

#include "scheduler/names.h"
#include "scheduler/request.h"

struct ledger;

struct ledger_limits {
    uint32_t nodes_max, holds_max;
    uint32_t names_max;       /* Distinct texts. */
    uint64_t names_bytes_max; /* Their bytes together. */
    uint64_t cache_bytes_max; /* What is remembered per class of request; the least used goes. */
};

/* 0 in any limit: the default (10,000 nodes, 1,000,000 holds, 4,000,000 names, 512 MiB, 256 MiB).
 * Tables are reserved, and touched as they fill. */
struct ledger *ledger_new(const struct ledger_limits *limits);
void ledger_free(struct ledger *l);
struct names *ledger_names(struct ledger *l);

/* Between two turns of the caller, when no request or topology of the former is in use any more: names that
 * nobody holds are forgotten. While more than half of the names there may be are held, what is remembered of classes
 * goes too, some at a time, since it holds theirs. */
void ledger_sweep(struct ledger *l);

/* ---- nodes ---- */

#define LEDGER_NODE_NONE UINT32_MAX

/* Add the node, or bring it up to date: what is held stays held. When the new description no longer
 * has a held row, or contradicts itself, the node is marked with the reason and ERR_INVALID or
 * ERR_CONFLICT returned; a marked node takes nothing new. An index stays the node's until it is
 * removed and its last hold is gone. */
MUST_USE enum err_code ledger_node_put(struct ledger *l, const struct topology *t,
                                       uint32_t *out_node, struct err *e);

/* Takes nothing new from now on; its holds stay until released. */
void ledger_node_remove(struct ledger *l, uint32_t node);

/* The frequent small changes, without describing the machine again. */
void ledger_node_set_ready(struct ledger *l, uint32_t node, bool ready);
void ledger_node_set_unschedulable(struct ledger *l, uint32_t node, bool unschedulable);
MUST_USE enum err_code ledger_node_set_images(struct ledger *l, uint32_t node,
                                              const struct topology_image *images, uint32_t count,
                                              struct err *e);

uint32_t ledger_node_find(const struct ledger *l, uint32_t name); /* LEDGER_NODE_NONE: not known. */
uint32_t ledger_nodes_count(const struct ledger *l);              /* Removed ones not counted. */
uint32_t ledger_nodes_end(const struct ledger *l); /* Indices are below this; some may be unused. */

struct ledger_node_info {
    uint32_t name;
    bool used, removed, ready, unschedulable;
    struct str marked; /* Why it takes nothing; "" when it does. Valid until the next change. */
    uint32_t cores_count, threads_count, numa_count;
    uint32_t cores_free;       /* That may still be given exclusively. */
    uint32_t pool_threads;     /* In the shared pool now. */
    uint64_t shared_milli_max; /* 1000 x pool_threads - system_cpu. */
    uint64_t shared_milli_held;
    uint64_t memory_bytes, memory_bytes_held;
    uint32_t pods_max, holds_count, addresses_count, addresses_held;
};

void ledger_node_info(const struct ledger *l, uint32_t node, struct ledger_node_info *out);

/* One per hardware thread, for a drawing of who holds what. */
struct ledger_thread {
    uint32_t os_cpu, core, llc, numa, socket;
    bool reserved; /* Of the cores that are never exclusive. */
    bool idle;     /* Belongs to an exclusive core, but its holder did not ask for it. */
    uint64_t hold; /* The exclusive holder; 0: in the shared pool. */
};

/* Fills at most count and returns how many threads there are. */
uint32_t ledger_node_threads(const struct ledger *l, uint32_t node, struct ledger_thread *out,
                             uint32_t count);

/* ---- holds ---- */

struct placement_memory {
    uint64_t bytes;
    uint32_t hugepages_2m, hugepages_1g;
};

struct placement_device {
    uint32_t class_name, id_name;
    uint32_t units; /* 0: the whole device. */
};

struct placement_cache {
    uint32_t llc, way_first, ways, bandwidth_mbps; /* Ways way_first to way_first + ways - 1. */
};

enum { PLACEMENT_DEVICES_MAX = REQUEST_DEVICE_COUNT_MAX };

/* The exact rows: what a Placement stores, what an agent executes. About 6 KB, for a stack. Only
 * the first _count entries of a list are written. */
struct placement {
    uint32_t node; /* Index; restore: found by node_name. */
    uint32_t node_name;
    uint32_t
        cpus_count; /* Exclusive threads, one per CPU asked for, in the order of the guest's. */
    uint32_t cores_count;                /* Exclusive cores; holds the idle siblings too. */
    uint16_t cpus[TOPOLOGY_THREADS_MAX]; /* OS CPU numbers. */
    uint16_t cores[TOPOLOGY_CORES_MAX];
    uint32_t shared_milli;
    uint32_t numa_mask; /* NUMA nodes that give cores, memory or devices. */
    struct placement_memory memory[TOPOLOGY_NUMA_MAX];
    uint32_t devices_count, caches_count, ports_count;
    struct placement_device devices[PLACEMENT_DEVICES_MAX];
    struct placement_cache caches[TOPOLOGY_LLCS_MAX];
    struct request_port ports[REQUEST_LIST_MAX];
    uint32_t address; /* 0: none. */
    uint64_t mac;     /* 0: none. */
};

/* Holds are named by where they stand, below holds_max, and which of those that stood there they are; no name is 0. So who
 * keeps something for each may keep it in a table. */
static inline uint32_t ledger_hold_slot(uint64_t hold)
{
    return (uint32_t)hold;
}

/* out_rows may be NULL where only the hold is wanted (ledger_hold_rows() gives them later). */
MUST_USE enum err_code ledger_place(struct ledger *l, const struct request *r, uint64_t *out_hold,
                                    struct placement *out_rows, struct err *e);

/* The same search without any cache: small and slow. The oracle of the tests; same answer. */
MUST_USE enum err_code ledger_place_plain(struct ledger *l, const struct request *r,
                                          uint64_t *out_hold, struct placement *out_rows,
                                          struct err *e);

/* The rows as stored; r says what else they stand for (labels, priority, cookie). The hold is
 * committed already. */
MUST_USE enum err_code ledger_restore(struct ledger *l, const struct request *r,
                                      const struct placement *rows, uint64_t *out_hold,
                                      struct err *e);

/* Its workload stands for something else now: labels, rules, priority. Rows and amounts stay as they are, whatever r says of
 * them. ERR_NOT_FOUND, or as ledger_place(): then nothing has changed. */
MUST_USE enum err_code ledger_reword(struct ledger *l, uint64_t hold, const struct request *r,
                                     struct err *e);

/* Its workload is being deleted: spreading counts it no more, as Kubernetes counts no terminating pod there. All else it is
 * and has until its release. True: some constraint counted it, and whoever waits by that may have a place now. */
bool ledger_hold_leaves(struct ledger *l, uint64_t hold);

void ledger_commit(struct ledger *l, uint64_t hold);
void ledger_undo(struct ledger *l, uint64_t hold);    /* The write failed: as if never placed. */
void ledger_release(struct ledger *l, uint64_t hold); /* The agent reported it gone. */

/* Foretells a release (or undo), for who has several before it: a hold that is named some eight calls
 * before it goes has its rows, its node and its neighbours in the caches when it does. Every call
 * takes those named before a step further. A hint: wrong names and other orders do no harm. */
void ledger_foretell(struct ledger *l, uint64_t hold);

MUST_USE enum err_code ledger_hold_rows(const struct ledger *l, uint64_t hold,
                                        struct placement *out_rows, struct err *e);

struct ledger_hold_info {
    uint64_t cookie;
    uint32_t node;
    bool committed;
    int32_t priority;
};

bool ledger_hold_info(const struct ledger *l, uint64_t hold, struct ledger_hold_info *out);
uint32_t ledger_holds_count(const struct ledger *l);

/* ---- proof ---- */

/* Counts everything again from the holds and compares: no row held twice, sums equal detail. For
 * tests and the simulator, after every step. ERR_CORRUPT says what differs. */
MUST_USE enum err_code ledger_verify(const struct ledger *l, struct err *e);

struct ledger_stats {
    uint64_t node_bytes, hold_bytes, cache_bytes, names_bytes;
    uint32_t classes_count;
    uint64_t decisions, refusals;
};

void ledger_stats(const struct ledger *l, struct ledger_stats *out);

#endif /* SCHEDULER_LEDGER_H */
