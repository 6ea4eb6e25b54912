/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota_scope.h -- which workloads a quota with scopes counts (ResourceQuotaSpec, scopes and scopeSelector).
 *
 * WHAT   All scopes of a quota must hold. They are about pods and machines: of other objects a quota with scopes counts
 *        nothing. A machine has no deadline and asks for memory, so it is never Terminating nor BestEffort.
 * OWNS   quota_scope_new() allocates; quota_scope_free().
 */
#ifndef CONTROLPLANE_CORE_QUOTA_SCOPE_H
#define CONTROLPLANE_CORE_QUOTA_SCOPE_H

#include "controlplane/core/objects.h"

struct quota_scope;

/* Equal for quotas with the same scopes, and 0 without any. */
uint64_t quota_scope_id(struct arena *a, const Core__ResourceQuotaSpec *spec);

struct quota_scope *quota_scope_new(const Core__ResourceQuotaSpec *spec);
void quota_scope_free(struct quota_scope *s);

/* One of the two, or neither: another object. */
bool quota_scope_holds(const struct quota_scope *s, const Core__PodSpec *pod,
                       const Kubevirt__VirtualMachineInstanceSpec *machine);

#endif /* CONTROLPLANE_CORE_QUOTA_SCOPE_H */
