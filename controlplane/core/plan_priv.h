/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_priv.h -- one Plan while it is answered, as plan.c and plan_gang.c share it.
 */
#ifndef CONTROLPLANE_CORE_PLAN_PRIV_H
#define CONTROLPLANE_CORE_PLAN_PRIV_H

#include "controlplane/core/placing_priv.h"
#include "proto/baton/plan_v1.pb-c.h"
#include "scheduler/preempt.h"

enum { PLAN_TEXT_MAX = 800, PLAN_EXPLAINED_MAX = 32 };

struct question {
    struct core *c;
    struct plan *plan;
    Baton__PlanStatus *status;
    uint64_t *holds; /* Of the steps; 0: none. */
    size_t bytes;
    uint32_t explained;
};

/* plan.c */
/* What it would hold and who would leave for it; from: the node that it leaves, or NULL. */
void plan__placed(struct question *q, struct candidate *w, const char *from,
                  const struct plan_step *answer);
void plan__refused(struct question *q, const struct candidate *w, const char *from,
                   const char *text);
/* In the words of Events, and then the node that comes nearest. */
void plan__explain(struct question *q, struct candidate *w, enum err_code code, const struct err *e,
                   char text[PLAN_TEXT_MAX]);
bool plan__copy_name(struct question *q, struct candidate *w, uint32_t copy);
/* Ready to be asked for: its priority is found and it stands behind no gate. False: it was answered. */
bool plan__open_new(struct question *q, const Baton__PlanWorkload *from, struct candidate *out);

/* What the namespace's quotas have against it: its create would be refused. Empty: nothing, and it counts from now on. */
struct str plan__quota(struct question *q, const struct candidate *w);

/* plan_gang.c */
struct str plan__group_of(const Baton__PlanWorkload *from); /* Empty: it is by itself. */
/* All workloads of the plan from that one on that belong to its group; out_asked marks them. */
void plan__ask_group(struct question *q, const Baton__PlanSpec *spec, size_t first,
                     bool *out_asked);
/* One member that waits, answered for by its whole group. */
void plan__why_group(struct question *q, const struct candidate *w);

#endif /* CONTROLPLANE_CORE_PLAN_PRIV_H */
