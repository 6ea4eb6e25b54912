/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu_record.h -- what a later agent must know of a machine.
 *
 * WHAT   DIRECTORY/vm, one "key value" a line: process, user, cpus, limits. Written before QEMU's first
 *        instruction and again when the guest was started and when it ended; replaced whole.
 * WHY    DIRECTORY is root's alone, so the machine cannot forge it; still it is read as input.
 * FAILS  ERR_CORRUPT: a key is missing or its value is none.
 */
#ifndef NODEAGENT_RUNTIME_QEMU_RECORD_H
#define NODEAGENT_RUNTIME_QEMU_RECORD_H

#include "base/buf.h"
#include "nodeagent/runtime/runtime.h"

enum { QEMU_RECORD_MAX = 16 << 10, QEMU_PATH_MAX = 4096 };

struct qemu_record {
    char id[RUNTIME_ID_MAX];
    int32_t pid;         /* 0: QEMU was not begun. */
    uint64_t start_time; /* Of pid: field 22 of /proc/PID/stat. */
    uint32_t uid;
    uint32_t vcpus;
    bool exclusive;
    struct cpuset cpus, pool;
    uint16_t order[RUNTIME_CPUS_MAX]; /* cpus, vCPUs' first; order_count 0: by rising number. */
    uint32_t order_count;
    uint32_t weight_milli;
    uint64_t quota_us, memory_bytes; /* The group's limits. */
    uint64_t huge_2m_bytes, huge_1g_bytes;
    bool any_huge;                /* From before they were written down. */
    struct wall created, started; /* started 0: the guest never ran. */
    bool guest_ended;             /* The guest shut down by itself; QEMU was told to go. */
    char serial_log[QEMU_PATH_MAX], serial_socket[QEMU_PATH_MAX]; /* May be empty. */
};

void qemu_record_print(struct buf *out, const struct qemu_record *r);
MUST_USE enum err_code qemu_record_parse(struct str text, struct qemu_record *out, struct err *e);

#endif /* NODEAGENT_RUNTIME_QEMU_RECORD_H */
