/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuset.h -- sets of cpus as the kernel writes them.
 *
 * WHAT   struct cpuset (runtime.h) to and from the list form "0-3,8" of cpuset files and of
 *        Cpus_allowed_list in /proc (cpuset(7), "Formats"), and the set's few operations.
 * FAILS  ERR_INVALID: not a list, or a cpu at or above RUNTIME_CPUS_MAX.
 */
#ifndef NODEAGENT_HOST_CPUSET_H
#define NODEAGENT_HOST_CPUSET_H

#include "base/buf.h"
#include "nodeagent/runtime/runtime.h"

static inline bool cpuset_has(const struct cpuset *s, uint32_t cpu)
{
    return cpu < RUNTIME_CPUS_MAX && (s->bits[cpu / 64] >> (cpu % 64) & 1) != 0;
}

static inline void cpuset_add(struct cpuset *s, uint32_t cpu)
{
    if (cpu < RUNTIME_CPUS_MAX)
        s->bits[cpu / 64] |= (uint64_t)1 << (cpu % 64);
}

bool cpuset_is_empty(const struct cpuset *s);
bool cpuset_eq(const struct cpuset *a, const struct cpuset *b);
bool cpuset_within(const struct cpuset *inner, const struct cpuset *outer); /* Subset, or equal. */
bool cpuset_overlaps(const struct cpuset *a, const struct cpuset *b);
uint32_t cpuset_count(const struct cpuset *s);
struct cpuset cpuset_union(const struct cpuset *a, const struct cpuset *b);

/* "0-3,8"; nothing for the empty set. Blanks around it (the kernel's newline) are allowed. */
MUST_USE enum err_code cpuset_parse(struct str text, struct cpuset *out);
void cpuset_print(const struct cpuset *s, struct buf *out);

/* The cpus on which a thread of pid may run: the union over /proc/PID/task, and how many threads were
 * read. ERR_NOT_FOUND: the process is gone. */
MUST_USE enum err_code cpuset_of_threads(int32_t pid, struct cpuset *out,
                                         uint32_t *out_threads_count, struct err *e);

/* The "Cpus_allowed_list:" line of a /proc/PID/status file. Pure. */
MUST_USE enum err_code cpuset_of_status(struct str status, struct cpuset *out);

#endif /* NODEAGENT_HOST_CPUSET_H */
