/* SPDX-License-Identifier: Apache-2.0 */
/*
 * preempt.h -- who would have to go, and decisions about several workloads at once.
 *
 * WHAT   ledger_preempt(): the node and the holds of lower priority whose end would let a request in.
 *        ledger_place_gang(): all members or none. ledger_keep(): free rows for who waits. plan_*(): the same questions without
 *        consequences, for `baton plan`.
 * WHY    Each is the ordinary search on a ledger that was changed for the question and changed back:
 *        rows inside a node are chosen again after every removal, so a victim never dies for cores
 *        that turn out to be in the wrong NUMA node.
 * OWNS   Nothing outlives the call but the holds of a gang that was placed, and a plan until its end.
 * FAILS  ERR_BUSY: it does not fit (or not every member), not even without the lower holds of a node, of which the
 *        PREEMPT_VICTIMS_MAX least important ones are looked at; ERR_INVALID and ERR_LIMIT as ledger_place(). What was held
 *        before the call is held after it, with the same rows.
 */
#ifndef SCHEDULER_PREEMPT_H
#define SCHEDULER_PREEMPT_H

#include "scheduler/ledger.h"

enum { PREEMPT_VICTIMS_MAX = 256, PREEMPT_BUDGETS_MAX = 1 << 16 };

/* A PodDisruptionBudget, as far as it matters here. Lists of them are sorted by namespace_name. */
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
 * The 64 nodes that look best by sums and budgets are compared so. When none of them will do, the first that does; when
 * each of them breaks a budget, up to 1024 more are, as far as the first that breaks none.
 * Nothing is removed: the caller ends the victims and places again when they are gone. */
MUST_USE enum err_code ledger_preempt(struct ledger *l, const struct request *r,
                                      const struct preempt_budget *budgets, uint32_t budgets_count,
                                      struct preempt_result *out, struct err *e);

/* Largest first in the search, results in the caller's order. out_failed: the member that found no
 * room (written on ERR_BUSY). */
MUST_USE enum err_code ledger_place_gang(struct ledger *l, const struct request *members,
                                         uint32_t count, uint64_t *out_holds, uint32_t *out_failed,
                                         struct err *e);

/* No search could ever place all of them together: some one does not fit any node that is there even if it were empty, or they
 * want more than such nodes have all in all. False does not promise that they fit. */
bool ledger_gang_is_hopeless(struct ledger *l, const struct request *members, uint32_t count);

/* What of these rows nobody holds, held for r until released: it waits for somebody to give the rest of them back, and nobody
 * else is to have these meanwhile. Counts as a hold of r's priority without labels or address. 0: nothing could be held. */
uint64_t ledger_keep(struct ledger *l, const struct request *r, const struct placement *rows);

/* ---- plans ---- */

enum {
    PLAN_STEPS_MAX = 4096, /* Of one plan, everything that was lifted counted too. */
    PLAN_LOOKS_MAX =
        1
        << 19, /* Nodes that one plan looks at for victims, searches times nodes: half a second. */
};

/* A question in progress: what if this node took nothing more, what if these came? Each answer is tried out on
 * the ledger itself, so that it sees the ones before it. Until plan_end(), which takes all of it back, the
 * ledger may only be read and explained. */
struct plan;

/* What one request would get. */
struct plan_step {
    uint64_t hold; /* For ledger_hold_rows() and ledger_explain_hold(), until the plan's end. */
    struct preempt_result victims; /* Who would have to go first; victims_count 0: nobody. */
};

struct plan *plan_begin(struct ledger *l, const struct preempt_budget *budgets,
                        uint32_t budgets_count); /* Both borrowed until the end. */
void plan_end(struct plan *p);                   /* NULL is allowed. */

/* Drained or dead: nothing new comes here. ERR_LIMIT: the plan is full. */
MUST_USE enum err_code plan_close(struct plan *p, uint32_t node, struct err *e);

/* Its workload leaves: its rows are free for the rest of the plan. ERR_NOT_FOUND: no such hold, or it was lifted
 * before. */
MUST_USE enum err_code plan_lift(struct plan *p, uint64_t hold, struct err *e);

/* Placed, by preemption where nothing else helps; victims have then left for the rest of the plan. ERR_BUSY: not
 * even so (ledger_explain() says why); otherwise as ledger_place(). */
MUST_USE enum err_code plan_place(struct plan *p, const struct request *r, struct plan_step *out,
                                  struct err *e);

/* All members or none, largest first, answers in the caller's order. Nobody leaves for them whose priority is not below the
 * least of theirs, and nobody at all when one of them never preempts. out_failed: who found no room (written on ERR_BUSY); the
 * plan is then as it was before. */
MUST_USE enum err_code plan_place_gang(struct plan *p, const struct request *members,
                                       uint32_t count, struct plan_step *out, uint32_t *out_failed,
                                       struct err *e);

/* Everything since the mark never happened. */
uint32_t plan_mark(const struct plan *p);
void plan_back(struct plan *p, uint32_t mark);

#endif /* SCHEDULER_PREEMPT_H */
