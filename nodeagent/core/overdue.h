/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overdue.h -- a pod that may be active for so long, and has been: PodSpec.activeDeadlineSeconds.
 *
 * WHAT   It counts from status.startTime on, on the clock that nobody sets; what passed before our own restart is taken
 *        from the other one. Over, the pod has failed and its containers are ended within its grace.
 * FAILS  A time of day that was set back at a restart gives it as much again, at most.
 */
#ifndef NODEAGENT_CORE_OVERDUE_H
#define NODEAGENT_CORE_OVERDUE_H

#include "nodeagent/core/agent_priv.h"

extern const char overdue_reason[], overdue_text[]; /* Kubernetes' kubelet's. */

void overdue_begin(const struct agent_turn *t,
                   struct workload *w);              /* Active from now on, or since it was. */
struct instant overdue_at(const struct workload *w); /* {0}: never. */
void overdue_tick(struct agent_turn *t, struct workload *w); /* Is its time over? */

#endif /* NODEAGENT_CORE_OVERDUE_H */
