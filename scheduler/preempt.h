/* SPDX-License-Identifier: Apache-2.0 */
/*
 * preempt.h -- who would have to go, and decisions about several workloads at once.
 *
 * WHAT   ledger_preempt(): the node and the holds of lower priority whose end would let a request in.
 *        ledger_place_gang(): all members or none. ledger_plan_*(): the same questions without
 *        consequences, for `baton plan`.
 * WHY    Each is the ordinary search on a ledger that was changed for the question and changed back:
 *        rows inside a node are chosen again after every removal, so a victim never dies for cores
 *        that turn out to be in the wrong NUMA node.
 * OWNS   Nothing outlives the call but the holds of a gang that was placed.
 * FAILS  ERR_BUSY: even without every lower hold (every member placed) it does not fit; ERR_INVALID
 *        and ERR_LIMIT as ledger_place(). What was held before the call is held after it, with the
 *        same rows.
 */
#ifndef SCHEDULER_PREEMPT_H
#define SCHEDULER_PREEMPT_H

#include "scheduler/ledger.h"

enum { PREEMPT_VICTIMS_MAX = 256, PREEMPT_BUDGETS_MAX = 256 };

/* A PodDisruptionBudget, as far as it matters here. */
struct preempt_budget {
    uint32_t namespace_name;
    struct request_selector selector;
    uint32_t disruptions_allowed;
};

struct preempt_result {
    uint32_t node;
    uint32_t victims_count, violations;    /* violations: victims over some budget. */
    uint64_t victims[PREEMPT_VICTIMS_MAX]; /* Holds, the most important first. */
};

/* Kubernetes' order of preference between nodes: fewest budget violations, lowest highest priority
 * of a victim, lowest sum of priorities, fewest victims, latest start of the most important victim.
 * The 64 nodes that look best by sums are compared so; when none of them will do, the first that does;
 * with budgets, every node is.
 * Nothing is removed: the caller ends the victims and places again when they are gone. */
MUST_USE enum err_code ledger_preempt(struct ledger *l, const struct request *r,
                                      const struct preempt_budget *budgets, uint32_t budgets_count,
                                      struct preempt_result *out, struct err *e);

/* Largest first in the search, results in the caller's order. out_failed: the member that found no
 * room (written on ERR_BUSY). */
MUST_USE enum err_code ledger_place_gang(struct ledger *l, const struct request *members,
                                         uint32_t count, uint64_t *out_holds, uint32_t *out_failed,
                                         struct err *e);

/* One line of a plan. */
struct plan_step {
    uint64_t hold;     /* Of a workload that would move; 0 for the members of a manifest. */
    uint32_t index;    /* Of the manifest's request. */
    uint32_t from, to; /* LEDGER_NODE_NONE: from nowhere; does not fit anywhere. */
    struct preempt_result preempted; /* Only when to is NONE and victims would help. */
};

/* Where would these go? Each sees the ones before it. */
MUST_USE enum err_code ledger_plan_place(struct ledger *l, const struct request *requests,
                                         uint32_t count, struct plan_step *out, struct err *e);

/* Where would everything on this node go if it were drained, or died? The most important first.
 * Fills at most size steps and returns how many workloads there are. */
uint32_t ledger_plan_drain(struct ledger *l, uint32_t node, struct plan_step *out, uint32_t size);

#endif /* SCHEDULER_PREEMPT_H */
