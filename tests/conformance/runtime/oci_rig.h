/* SPDX-License-Identifier: Apache-2.0 */
/* oci_rig.h -- the real thing: crun and runc, the shim, this machine's cgroups. Needs root; without it, or without crun, it
 * says so and passes. */
#ifndef TESTS_CONFORMANCE_RUNTIME_OCI_RIG_H
#define TESTS_CONFORMANCE_RUNTIME_OCI_RIG_H

#include "base/cpuset.h"
#include "nodeagent/host/cgroup.h"
#include "tests/conformance/runtime/suite.h"

/* Each test is a process of its own. */
extern struct oci_own {
    struct loop *loop, *dead_loop;
    struct runtime *dead_runtime;
    struct cgroup_tree *cgroups;
    struct cpuset all;
    char directory[64], rootfs[128], state[128], path[4096], log[4096], parent[64];
    const char *command;
} oci_own;

extern const struct rig_kind oci_rig, runc_rig;

bool oci_open(struct rig *r);
void oci_reopen(struct rig *r);
void oci_fill(struct rig *r, struct runtime_spec *spec, const char *id, enum rig_deed deed);

/* Creates it and answers how its start ended. */
const struct runtime_event *oci_run(const struct rig_kind *k, struct rig *r,
                                    const struct runtime_spec *spec);

#endif /* TESTS_CONFORMANCE_RUNTIME_OCI_RIG_H */
