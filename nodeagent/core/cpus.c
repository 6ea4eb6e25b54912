/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/core/cpus.h"

enum { WORDS = RUNTIME_CPUS_MAX / 64 };

void cpus_join(struct cpuset *s, const struct cpuset *other)
{
    for (uint32_t i = 0; i < WORDS; i++)
        s->bits[i] |= other->bits[i];
}

void cpus_drop(struct cpuset *s, const struct cpuset *other)
{
    for (uint32_t i = 0; i < WORDS; i++)
        s->bits[i] &= ~other->bits[i];
}

bool cpus_empty(const struct cpuset *s)
{
    return cpus_count(s) == 0;
}

bool cpus_equal(const struct cpuset *a, const struct cpuset *b)
{
    return cpus_within(a, b) && cpus_within(b, a);
}

bool cpus_meets(const struct cpuset *a, const struct cpuset *b)
{
    uint64_t both = 0;
    for (uint32_t i = 0; i < WORDS; i++)
        both |= a->bits[i] & b->bits[i];
    return both != 0;
}

bool cpus_within(const struct cpuset *inner, const struct cpuset *outer)
{
    uint64_t outside = 0;
    for (uint32_t i = 0; i < WORDS; i++)
        outside |= inner->bits[i] & ~outer->bits[i];
    return outside == 0;
}

uint32_t cpus_count(const struct cpuset *s)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < WORDS; i++)
        count += (uint32_t)__builtin_popcountll(s->bits[i]);
    return count;
}

void cpus_print(const struct cpuset *s, struct buf *out)
{
    const char *comma = "";
    for (uint32_t cpu = 0; cpu < RUNTIME_CPUS_MAX; cpu++) {
        if (!cpus_has(s, cpu))
            continue;
        uint32_t last = cpu;
        while (cpus_has(s, last + 1))
            last++;
        buf_printf(out, last == cpu ? "%s%u" : "%s%u-%u", comma, cpu, last);
        comma = ",";
        cpu = last;
    }
}
