/* SPDX-License-Identifier: Apache-2.0 */
/* What controllers remember between two turns, and the rules they bring. */
#ifndef CONTROLPLANE_CORE_CONTROLLERS_PRIV_H
#define CONTROLPLANE_CORE_CONTROLLERS_PRIV_H

#include "controlplane/core/writes_priv.h"

struct events;
struct budgets;
struct quotas;

struct core_control_state {
    struct cowtree dependents; /* collector.c: "owner's uid/dependent's key". */
    struct cowtree members;    /* placing_gang.c: "namespace/group/workload's key". */
    struct events *events;     /* events.c: one record for each Event. */
    struct budgets *budgets;   /* budgets.c: disruption budgets and what they count. */
    struct quotas *quotas;     /* quotas.c: what namespaces with a quota hold. */
};

/* events.c */
struct events *events_new(void);
void events_free(struct events *e);
void events_create(struct core *c, struct stage *s, struct draft *d);

/* limits.c */
void limits_create(struct core *c, struct stage *s, struct draft *d);

/* namespaces.c */
void namespace_create(struct core *c, struct stage *s, struct draft *d);
void namespace_replace(struct core *c, struct stage *s, struct draft *d);
void namespace_remove(struct core *c, struct stage *s, struct draft *d);

#endif /* CONTROLPLANE_CORE_CONTROLLERS_PRIV_H */
