/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuset.h -- a set of OS cpu ids, as the kernel's cpuset files and affinity masks know them.
 *
 * WHAT   A value of fixed size, its few operations, and the list form "0-3,8" (cpuset(7), "Formats").
 * FAILS  cpuset_parse() only. A cpu at or above CPUSET_MAX is in no set, and adding it adds nothing.
 */
#ifndef BASE_CPUSET_H
#define BASE_CPUSET_H

#include "base/buf.h"

enum { CPUSET_MAX = 1024 };

struct cpuset {
    uint64_t bits[CPUSET_MAX / 64];
};

static inline bool cpuset_has(const struct cpuset *s, uint32_t cpu)
{
    return cpu < CPUSET_MAX && (s->bits[cpu / 64] >> cpu % 64 & 1) != 0;
}

static inline void cpuset_add(struct cpuset *s, uint32_t cpu)
{
    if (cpu < CPUSET_MAX)
        s->bits[cpu / 64] |= 1ull << cpu % 64;
}

void cpuset_join(struct cpuset *s, const struct cpuset *other);
void cpuset_drop(struct cpuset *s, const struct cpuset *other);
struct cpuset cpuset_union(const struct cpuset *a, const struct cpuset *b);

bool cpuset_is_empty(const struct cpuset *s);
bool cpuset_eq(const struct cpuset *a, const struct cpuset *b);
bool cpuset_within(const struct cpuset *inner, const struct cpuset *outer); /* Subset, or equal. */
bool cpuset_overlaps(const struct cpuset *a, const struct cpuset *b);
uint32_t cpuset_count(const struct cpuset *s);

/* "0-3,8"; nothing for the empty set. Blanks around it (the kernel's newline) are allowed. ERR_INVALID: not a list, or
 * a cpu at or above CPUSET_MAX. */
MUST_USE enum err_code cpuset_parse(struct str text, struct cpuset *out);
void cpuset_print(const struct cpuset *s, struct buf *out);

#endif /* BASE_CPUSET_H */
