/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime_qemu.h -- virtual machines, each one QEMU that we drive over QMP.
 *
 * WHAT   create: the instance's directory and cgroup, QEMU with its vCPUs standing (-S), QMP, every
 *        thread pinned. start: affinities read back from /proc, then cont. stop: the power button,
 *        each second anew: a guest that boots does not notice it. kill: quit, and SIGKILL where QEMU
 *        does not answer. destroy: no process, group, file left.
 * WHY    No libvirt: what a Placement names is given to QEMU and to the kernel and read back, with
 *        nobody in between who would choose (docs/decisions/0007-qemu-without-libvirt.md).
 * OWNS   As runtime.h says. runtime_qemu_open() allocates; close() frees at its DONE and leaves the
 *        machines running.
 * ASYNC  A QEMU is the agent's child, but in its own session, without a pipe to us: it outlives us.
 *        list() finds it again by the record in its directory, pid and start time, and QMP. Its end is
 *        seen by SIGCHLD or pidfd, at once.
 * FAILS  A machine that cannot be made: QEMU's own last words. ERR_INVALID: the spec asks what this
 *        QEMU or machine type cannot do. Too slow (CREATE_LIMIT, ANSWER_LIMIT): ERR_UNAVAILABLE.
 * SEAM   runtime.h; tests/conformance/runtime.
 *
 * Threads: vCPU i is on the i-th granted cpu alone; every other thread of QEMU is in spec.cpu.pool. A
 * shared machine's threads all are in the pool.
 *
 * Users: each machine has a uid of its own, uid_first + n with the lowest n free. The default range,
 * 1,900,000,000 to 1,900,002,047, lies above what systemd gives to containers and below 2^31 (systemd,
 * docs/UIDS-GIDS.md). Clusters on one machine share it: a uid is taken by a lock on /run/baton-uids/N
 * that QEMU inherits, so it is free again exactly when nobody runs under it.
 *
 * From the first machine on there is a spare QEMU, loaded, which becomes the next one (../spare/spare.h); it is
 * no machine before that, and ends with the agent.
 *
 * DIRECTORY (root's alone) holds: vm (the record), qemu.pid, qmp.sock, serial.sock unless the spec puts
 * it elsewhere, qemu.log (what QEMU said), and work/ (the machine's): disk-N.raw for empty disks.
 * Overlays of ephemeral disks are unlinked files in work/. The serial log is the workload's and stays.
 *
 * Paths of kernel, initrd and disks that go through a component "rootfs" are an image's: what lies
 * behind it is opened as if it were "/", so no link leads out. A directory stands for the only file in
 * it (containerDisk's /disk).
 */
#ifndef NODEAGENT_RUNTIME_RUNTIME_QEMU_H
#define NODEAGENT_RUNTIME_RUNTIME_QEMU_H

#include "io/loop.h"
#include "nodeagent/host/cgroup.h"
#include "nodeagent/runtime/runtime.h"

enum {
    QEMU_UID_FIRST = 1900000000,
    QEMU_UID_COUNT = RUNTIME_INSTANCES_MAX,
    QEMU_SERIAL_LOG_MAX = 8 << 20, /* Then the log moves to "<log>.1" and starts anew. */
    QEMU_LOG_MAX = 1 << 20,        /* Of what QEMU itself says, likewise. */
    QEMU_CREATE_LIMIT_S = 60,      /* QEMU up and pinned; preallocating memory may take long. */
    QEMU_HEARD_MAX =
        1 << 20, /* Bytes by QMP in 10 s; over it the session ends, the machine runs on. */
    QEMU_ANSWER_LIMIT_S = 10, /* One QMP command. */
};

struct runtime_qemu_options {
    struct str command;          /* Path of qemu-system-x86_64; empty: from PATH. */
    struct str state;            /* DIR/instances: list() looks for DIRECTORY/vm here. */
    struct cgroup_tree *cgroups; /* The caller's; outlives the runtime. NULL: no groups (tests). */
    uint32_t uid_first;          /* 0: QEMU_UID_FIRST. */
    struct str spare;            /* Path of baton-spare.so; empty: there is no spare QEMU. */
};

MUST_USE enum err_code runtime_qemu_open(struct loop *l, const struct runtime_qemu_options *opt,
                                         struct runtime_sink sink, struct runtime **out,
                                         struct err *e);

#endif /* NODEAGENT_RUNTIME_RUNTIME_QEMU_H */
