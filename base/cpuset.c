/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpuset.h"

enum { WORDS = CPUSET_MAX / 64 };

void cpuset_join(struct cpuset *s, const struct cpuset *other)
{
    for (uint32_t i = 0; i < WORDS; i++)
        s->bits[i] |= other->bits[i];
}

void cpuset_drop(struct cpuset *s, const struct cpuset *other)
{
    for (uint32_t i = 0; i < WORDS; i++)
        s->bits[i] &= ~other->bits[i];
}

bool cpuset_is_empty(const struct cpuset *s)
{
    return cpuset_count(s) == 0;
}

bool cpuset_eq(const struct cpuset *a, const struct cpuset *b)
{
    return memcmp(a->bits, b->bits, sizeof a->bits) == 0;
}

bool cpuset_within(const struct cpuset *inner, const struct cpuset *outer)
{
    uint64_t beyond = 0;
    for (uint32_t i = 0; i < WORDS; i++)
        beyond |= inner->bits[i] & ~outer->bits[i];
    return beyond == 0;
}

bool cpuset_overlaps(const struct cpuset *a, const struct cpuset *b)
{
    uint64_t common = 0;
    for (uint32_t i = 0; i < WORDS; i++)
        common |= a->bits[i] & b->bits[i];
    return common != 0;
}

uint32_t cpuset_count(const struct cpuset *s)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < WORDS; i++)
        count += (uint32_t)__builtin_popcountll(s->bits[i]);
    return count;
}

struct cpuset cpuset_union(const struct cpuset *a, const struct cpuset *b)
{
    struct cpuset all = *a;
    cpuset_join(&all, b);
    return all;
}

/* "3" or "3-7". */
static enum err_code parse_range(struct str part, struct cpuset *out)
{
    size_t dash = str_find(part, '-', 0);
    uint64_t first, last;
    if (str_parse_u64(str_slice(part, 0, dash), &first) != ERR_OK)
        return ERR_INVALID;
    last = first;
    if (dash < part.len && str_parse_u64(str_slice(part, dash + 1, part.len), &last) != ERR_OK)
        return ERR_INVALID;
    if (last < first || last >= CPUSET_MAX)
        return ERR_INVALID;
    for (uint64_t cpu = first; cpu <= last; cpu++)
        cpuset_add(out, (uint32_t)cpu);
    return ERR_OK;
}

enum err_code cpuset_parse(struct str text, struct cpuset *out)
{
    struct cpuset set = {0};
    struct str rest = str_trim(text), part;

    while (rest.len > 0 && str_split(&rest, ',', &part))
        if (parse_range(part, &set) != ERR_OK)
            return ERR_INVALID;
    *out = set;
    return ERR_OK;
}

void cpuset_print(const struct cpuset *s, struct buf *out)
{
    const char *comma = "";
    for (uint32_t cpu = 0; cpu < CPUSET_MAX; cpu++) {
        if (!cpuset_has(s, cpu))
            continue;
        uint32_t first = cpu;
        while (cpuset_has(s, cpu + 1))
            cpu++;
        if (cpu == first)
            buf_printf(out, "%s%u", comma, first);
        else
            buf_printf(out, "%s%u-%u", comma, first, cpu);
        comma = ",";
    }
}
