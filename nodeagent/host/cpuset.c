/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/host/cpuset.h"
#include "io/fs.h"
#include <stdio.h>

enum { WORDS = RUNTIME_CPUS_MAX / 64, STATUS_MAX = 64 << 10 };

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
    struct cpuset all;
    for (uint32_t i = 0; i < WORDS; i++)
        all.bits[i] = a->bits[i] | b->bits[i];
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
    if (last < first || last >= RUNTIME_CPUS_MAX)
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
    for (uint32_t cpu = 0; cpu < RUNTIME_CPUS_MAX; cpu++) {
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

enum err_code cpuset_of_status(struct str status, struct cpuset *out)
{
    struct str line;
    while (str_split(&status, '\n', &line))
        if (str_starts(line, STR("Cpus_allowed_list:")))
            return cpuset_parse(str_slice(line, sizeof "Cpus_allowed_list:" - 1, line.len), out);
    return ERR_INVALID;
}

struct threads_visit {
    int32_t pid;
    struct cpuset cpus;
    uint32_t count;
    enum err_code code;
    struct err *e;
};

static bool visit_thread(void *arg, const char *name)
{
    struct threads_visit *v = arg;
    struct buf text;
    struct cpuset cpus;
    char path[64];

    buf_init(&text, STATUS_MAX);
    snprintf(path, sizeof path, "/proc/%d/task/%s/status", v->pid, name);
    enum err_code code = fs_read(path, &text, NULL);
    if (code == ERR_OK && cpuset_of_status(buf_str(&text), &cpus) == ERR_OK) {
        v->cpus = cpuset_union(&v->cpus, &cpus);
        v->count++;
    } else if (code == ERR_OK) {
        v->code = err_set(v->e, ERR_CORRUPT, "%s names no cpus", path);
    } /* Else the thread has ended since the listing. */
    buf_free(&text);
    return v->code == ERR_OK;
}

enum err_code cpuset_of_threads(int32_t pid, struct cpuset *out, uint32_t *out_threads_count,
                                struct err *e)
{
    struct threads_visit v = {.pid = pid, .e = e};
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    enum err_code code = fs_list(path, visit_thread, &v, e);
    if (code != ERR_OK)
        return code;
    if (v.code != ERR_OK)
        return v.code;
    if (v.count == 0)
        return err_set(e, ERR_NOT_FOUND, "process %d has no threads left", pid);
    *out = v.cpus;
    *out_threads_count = v.count;
    return ERR_OK;
}
