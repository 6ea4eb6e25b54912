/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.h -- what this process takes of its machine, as the kernel counts it (proc(5)).
 *
 * WHAT   For metrics: Prometheus' process_* (its client libraries' names and meanings).
 * FAILS  What cannot be read is 0.
 */
#ifndef IO_PROCESS_H
#define IO_PROCESS_H

#include "base/time.h"

struct process_usage {
    int64_t cpu_ns;      /* User and system, of all threads. */
    struct wall started; /* To a hundredth of a second, as /proc/self/stat has it. */
    uint64_t resident_bytes, virtual_bytes;
    uint64_t fds, fds_max; /* Open descriptors; the soft limit. */
    uint64_t threads;
};

void process_usage(struct process_usage *out);

#endif /* IO_PROCESS_H */
