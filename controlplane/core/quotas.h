/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quotas.h -- how much of something a namespace may hold (Kubernetes: ResourceQuota).
 *
 * WHAT   quotas_admit() is asked in every client's create, before anything is placed: what is durable and what
 *        is in flight count together, so that two creates of one turn cannot pass the same last place.
 *        The controller keeps status.hard and status.used.
 * OWNS   One record per namespace that has a quota; namespaces without one cost a look into an empty map.
 *        Nothing of it is stored: after a start it is counted again.
 * FAILS  A refusal of the stage, WRITE_DENIED, in Kubernetes' words.
 */
#ifndef CONTROLPLANE_CORE_QUOTAS_H
#define CONTROLPLANE_CORE_QUOTAS_H

#include "controlplane/core/core_priv.h"
#include "controlplane/core/objects.h"

enum { QUOTA_NAMES_MAX = 128 }; /* Distinct resources in the quotas of one namespace. */

struct quotas;

struct quotas *quotas_new(void);
void quotas_free(struct quotas *q);

void quotas_admit(struct core *c, struct stage *s, struct draft *d);

/* The same for one workload of a Plan, and from then on it counts until the plan's end. Empty: no quota minds. */
struct str quotas_plan(struct core *c, struct str namespace, Core__Pod *pod,
                       Kubevirt__VirtualMachineInstance *machine);
void quotas_plan_end(struct core *c);

#endif /* CONTROLPLANE_CORE_QUOTAS_H */
