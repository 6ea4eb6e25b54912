/* SPDX-License-Identifier: Apache-2.0 */
/*
 * budgets.h -- how many workloads may be away at a time by somebody's decision (policy/v1, PodDisruptionBudget).
 *
 * WHAT   budgets_ask() is called in every delete of a pod or machine: an eviction is refused when a budget forbids it,
 *        any other delete is only counted. budgets_all() is the same for preemption. The controller keeps status.
 * WHY    Kubernetes decides by a status that a controller writes behind the events, and needs a list of pods it let go
 *        meanwhile. Here the one writer counts what is durable and what is in flight, so two evictions of one turn cannot
 *        both be the last one allowed (docs/decisions/0160).
 * OWNS   One record per budget, in a list per namespace; a namespace without a budget costs a look into a map. Nothing of
 *        it is stored: it is counted when it is first asked for.
 * FAILS  A refusal of the stage: WRITE_DISRUPTS with Kubernetes' cause, WRITE_DENIED over BUDGETS_MAX.
 */
#ifndef CONTROLPLANE_CORE_BUDGETS_H
#define CONTROLPLANE_CORE_BUDGETS_H

#include "controlplane/core/core_priv.h"
#include "scheduler/preempt.h"

enum {
    BUDGETS_MAX = 256
}; /* Of one namespace: each is held against every change of a workload in it. */

struct budgets;

struct budgets *budgets_new(void);
void budgets_free(struct budgets *b);

/* Rows of core_rules[]: one more budget; a pod or machine that is deleted. */
void budgets_create(struct core *c, struct stage *s, struct draft *d);
void budgets_ask(struct core *c, struct stage *s, struct draft *d);

/* All of them by namespace, as preemption wants them; in the turn's memory. False: that is full. */
bool budgets_all(struct core *c, const struct preempt_budget **out, uint32_t *out_count);

#endif /* CONTROLPLANE_CORE_BUDGETS_H */
