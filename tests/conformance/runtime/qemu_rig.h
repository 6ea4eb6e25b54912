/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu_rig.h -- the real QEMU for tests: opened, filled, asked.
 */
#ifndef TESTS_CONFORMANCE_RUNTIME_QEMU_RIG_H
#define TESTS_CONFORMANCE_RUNTIME_QEMU_RIG_H

#include "io/loop.h"
#include "nodeagent/host/cgroup.h"
#include "tests/conformance/runtime/suite.h"

/* Each test is a process of its own. */
struct own {
    struct loop *loop, *dead_loop;
    struct runtime *dead_runtime;
    struct cgroup_tree *cgroups;
    struct cpuset all;
    const char *command; /* NULL: QEMU itself. */
    char directory[64], state[128], path[4096], log[4096], console[4096], parent[64];
};
extern struct own own;
extern const struct rig_kind qemu_rig;

bool qemu_open(struct rig *r);
void qemu_open_runtime(struct rig *r);
void qemu_hang_up(void);
void qemu_reopen(struct rig *r);
void qemu_pass(struct rig *r, uint32_t ms);
void qemu_fill(struct rig *r, struct runtime_spec *spec, const char *id, enum rig_deed deed);
const struct runtime_event *qemu_run(struct rig *r, const struct runtime_spec *spec);
void qemu_destroy(struct rig *r, const char *id);
const char *qemu_text_of(const char *path);
/* The thread whose name begins so may run on want and nowhere else. */
void qemu_assert_on(int32_t pid, const char *name, const struct cpuset *want);
/* What QMP answers to a question, asked beside the agent as after its death: QEMU takes one client. */
const char *qemu_ask(const char *id, const char *question);

#endif /* TESTS_CONFORMANCE_RUNTIME_QEMU_RIG_H */
