/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpus.h -- sets of OS cpu ids, as runtime.h has them.
 *
 * WHAT   The few operations the agent's core needs; all total, all in place or by value.
 */
#ifndef NODEAGENT_CORE_CPUS_H
#define NODEAGENT_CORE_CPUS_H

#include "base/buf.h"
#include "nodeagent/runtime/runtime.h"

static inline void cpus_add(struct cpuset *s, uint32_t cpu)
{
    if (cpu < RUNTIME_CPUS_MAX)
        s->bits[cpu / 64] |= 1ull << cpu % 64;
}

static inline bool cpus_has(const struct cpuset *s, uint32_t cpu)
{
    return cpu < RUNTIME_CPUS_MAX && (s->bits[cpu / 64] >> cpu % 64 & 1) != 0;
}

void cpus_join(struct cpuset *s, const struct cpuset *other);
void cpus_drop(struct cpuset *s, const struct cpuset *other);
bool cpus_empty(const struct cpuset *s);
bool cpus_equal(const struct cpuset *a, const struct cpuset *b);
bool cpus_meets(const struct cpuset *a, const struct cpuset *b); /* They share a cpu. */
bool cpus_within(const struct cpuset *inner, const struct cpuset *outer);
uint32_t cpus_count(const struct cpuset *s);
void cpus_print(const struct cpuset *s, struct buf *out); /* "0-3,8" as cpuset.cpus has it. */

#endif /* NODEAGENT_CORE_CPUS_H */
