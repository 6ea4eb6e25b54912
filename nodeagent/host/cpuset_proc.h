/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuset_proc.h -- where the kernel says that threads may run.
 *
 * WHAT   Cpus_allowed_list of /proc/PID/task/TID/status (proc(5)), for reading back what was set.
 * FAILS  ERR_NOT_FOUND: the process is gone. ERR_CORRUPT, ERR_INVALID: the file names no cpus.
 */
#ifndef NODEAGENT_HOST_CPUSET_PROC_H
#define NODEAGENT_HOST_CPUSET_PROC_H

#include "base/cpuset.h"

/* The cpus on which a thread of pid may run: the union over /proc/PID/task, and how many threads were read. */
MUST_USE enum err_code cpuset_of_threads(int32_t pid, struct cpuset *out,
                                         uint32_t *out_threads_count, struct err *e);

/* The "Cpus_allowed_list:" line of a /proc/PID/status file. Pure. */
MUST_USE enum err_code cpuset_of_status(struct str status, struct cpuset *out);

#endif /* NODEAGENT_HOST_CPUSET_PROC_H */
