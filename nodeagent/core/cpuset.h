/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuset.h -- sets of OS cpu ids, as runtime.h has them.
 *
 * WHAT   The few operations the agent's core needs; all total, all in place or by value.
 */
#ifndef NODEAGENT_CORE_CPUSET_H
#define NODEAGENT_CORE_CPUSET_H

#include "base/buf.h"
#include "nodeagent/runtime/runtime.h"

static inline void cpuset_add(struct cpuset *s, uint32_t cpu)
{
    if (cpu < RUNTIME_CPUS_MAX)
        s->bits[cpu / 64] |= 1ull << cpu % 64;
}

static inline bool cpuset_has(const struct cpuset *s, uint32_t cpu)
{
    return cpu < RUNTIME_CPUS_MAX && (s->bits[cpu / 64] >> cpu % 64 & 1) != 0;
}

void cpuset_join(struct cpuset *s, const struct cpuset *other);
void cpuset_drop(struct cpuset *s, const struct cpuset *other);
bool cpuset_empty(const struct cpuset *s);
bool cpuset_equal(const struct cpuset *a, const struct cpuset *b);
bool cpuset_meets(const struct cpuset *a, const struct cpuset *b); /* They share a cpu. */
bool cpuset_within(const struct cpuset *inner, const struct cpuset *outer);
uint32_t cpuset_count(const struct cpuset *s);
void cpuset_print(const struct cpuset *s, struct buf *out); /* "0-3,8" as cpuset.cpus has it. */

#endif /* NODEAGENT_CORE_CPUSET_H */
