/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain.h -- why a request was placed where it is, or nowhere.
 *
 * WHAT   For a refusal: how many nodes failed on which rule or resource, how much was wanted and how
 *        much is free at best, and the nearest node with all that it lacks. For a success: what
 *        decided.
 * WHY    Apart from the search, so that a decision pays nothing for it: it is worked out again on
 *        demand, node by node, by the plain rules.
 * OWNS   Text goes into the caller's buffer, NUL-terminated and cut at its end.
 * FAILS  Nothing; a request that fits says so.
 */
#ifndef SCHEDULER_EXPLAIN_H
#define SCHEDULER_EXPLAIN_H

#include "scheduler/ledger.h"

/* Why a node cannot have a request. The order is the order of the checks; each node is counted
 * once, under the first that fails. Texts of rules are Kubernetes', so that people and tools
 * recognise them; resources are printed as "NAME: W wanted, F free". */
/* clang-format off */
#define EXPLAIN_REASONS(R)                                                                         \
    R(FITS,          false, "fits")                                                                \
    R(MARKED,        false, "node(s) contradict their own description")                            \
    R(NOT_READY,     false, "node(s) were not ready")                                              \
    R(NODE_NAME,     false, "node(s) didn't match the requested node name")                        \
    R(UNSCHEDULABLE, false, "node(s) were unschedulable")                                          \
    R(TAINT,         false, "node(s) had untolerated taint")                                       \
    R(NODE_AFFINITY, false, "node(s) didn't match Pod's node affinity/selector")                   \
    R(CAPABILITY,    false, "node(s) lack a wanted capability")                                    \
    R(PORT,          false, "node(s) didn't have free ports for the requested pod ports")          \
    R(PODS,          true,  "pods")                                                                \
    R(CPU,           true,  "cpu (millicores of the shared pool)")                                 \
    R(CORES,         true,  "exclusive cores")                                                     \
    R(MEMORY,        true,  "memory (MiB)")                                                        \
    R(HUGEPAGES_2M,  true,  "hugepages-2Mi")                                                       \
    R(HUGEPAGES_1G,  true,  "hugepages-1Gi")                                                       \
    R(CACHE_WAYS,    true,  "cache ways")                                                          \
    R(BANDWIDTH,     true,  "memory bandwidth (MB/s)")                                             \
    R(DEVICE,        true,  "devices")                                                             \
    R(PART,          true,  "devices")                                                             \
    R(SCALAR,        true,  "extended resource")                                                   \
    R(ADDRESS,       true,  "pod addresses")                                                       \
    R(NUMA,          false, "node(s) cannot satisfy the NUMA policy")                              \
    R(SMT,           false, "node(s) would leave threads of a core idle (full cores only)")        \
    R(LLC,           false, "node(s) cannot align the cores to cache domains")                     \
    R(SPREAD_LABEL,  false, "node(s) didn't match pod topology spread constraints (missing required label)") \
    R(SPREAD,        false, "node(s) didn't match pod topology spread constraints")  \
    R(AFFINITY,      false, "node(s) didn't match pod affinity rules")                             \
    R(ANTI_AFFINITY, false, "node(s) didn't match pod anti-affinity rules")                        \
    R(EXISTING_ANTI, false, "node(s) didn't satisfy existing pods anti-affinity rules")
/* clang-format on */

enum explain_reason {
#define R(name, resource, text) EXPLAIN_##name,
    EXPLAIN_REASONS(R)
#undef R
        EXPLAIN__COUNT
};

/* Which one it is: names of the ledger's table, 0 for none. DEVICE, PART, SCALAR and CAPABILITY have a name
 * alone; TAINT the taint's key and value; NODE_AFFINITY the label's, without a value where it may have several. */
struct explain_about {
    uint32_t name, value;
};

struct explain_count {
    uint32_t nodes;             /* That failed on this first. */
    struct explain_about about; /* Of the best such node. */
    uint64_t wanted;            /* Resources: what was asked for. */
    uint64_t free_most;         /* Resources: the most any of those nodes has free. */
};

enum { EXPLAIN_MORE_MAX = 8 };

struct explanation {
    uint32_t nodes_count, fits_count, more_count;
    struct explain_count by_reason[EXPLAIN__COUNT];
    /* TAINT, CAPABILITY, DEVICE, PART and SCALAR: nodes that failed on another one than those of by_reason. Of more than
     * so many, by_reason counts the nodes of the rest, too. */
    struct {
        enum explain_reason reason;
        struct explain_count is;
    } more[EXPLAIN_MORE_MAX];
    bool never; /* No node could hold it even if it were empty. */
};

/* Every node is asked, unless nothing changed since an equal request was explained. */
void ledger_explain(struct ledger *l, const struct request *r, struct explanation *out);

/* "0 of 3 nodes fit: 2 exclusive cores: 4 wanted, 1 free; 1 node(s) were unschedulable". What has a name stands once for
 * each name. The count
 * is left out where there is one node only. */
void explain_print(const struct ledger *l, const struct explanation *x, char *out, size_t size);

/* The node with the fewest things short, and least of them; every node is asked for each of them.
 * "nearest: n7, which lacks exclusive cores: 4 wanted, 1 free; hugepages-2Mi: 64 wanted, 0 free". Empty where
 * nothing is near or something fits. */
void explain_print_nearest(const struct ledger *l, const struct request *r,
                           const struct explanation *x, char *out, size_t size);

/* What decided for a hold that stands: "n7: the node with least left over; rows of 1 of 2 NUMA nodes". rows: its own, or NULL
 * where nobody has them at hand. */
void ledger_explain_hold(const struct ledger *l, uint64_t hold, const struct placement *rows,
                         char *out, size_t size);

#endif /* SCHEDULER_EXPLAIN_H */
