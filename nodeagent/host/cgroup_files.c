/* SPDX-License-Identifier: Apache-2.0 */
/* Names, units and contents of the kernel's files, for both versions. */
#include "io/fs.h"
#include "nodeagent/host/cgroup_priv.h"
#include <stdio.h>

enum { PERIOD_US = 100000 };

uint64_t cgroup_shares(uint32_t milli)
{
    uint64_t shares = (uint64_t)milli * 1024 / 1000;
    return shares < 2 ? 2 : min_u64(shares, 262144);
}

uint64_t cgroup_weight(uint32_t milli)
{
    return 1 + (cgroup_shares(milli) - 2) * 9999 / 262142;
}

enum err_code cgroup_field(struct str flat_keyed, const char *key, uint64_t *out)
{
    struct str line, name;
    while (str_split(&flat_keyed, '\n', &line))
        if (str_split(&line, ' ', &name) && str_is(name, key) && line.at != NULL)
            return str_parse_u64(str_trim(line), out);
    return ERR_NOT_FOUND;
}

enum err_code cgroup__put(const char *directory, const char *file, struct str text, struct err *e)
{
    char path[CGROUP_FILE_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", directory, file);
    return fs_poke(path, text, e);
}

enum err_code cgroup__get(const char *directory, const char *file, struct buf *out, struct err *e)
{
    char path[CGROUP_FILE_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", directory, file);
    return fs_read(path, out, e);
}

static enum err_code put_u64(const char *directory, const char *file, uint64_t value, struct err *e)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return cgroup__put(directory, file, str_from(text, (size_t)len), e);
}

/* 0 is no limit, which each file spells in its own way. */
static enum err_code put_limit(const char *directory, const char *file, uint64_t value,
                               struct str none, struct err *e)
{
    return value == 0 ? cgroup__put(directory, file, none, e) : put_u64(directory, file, value, e);
}

static enum err_code write_cpu_v1(const char *directory, const struct cgroup_limits *l,
                                  struct err *e)
{
    enum err_code code = put_u64(directory, "cpu.shares", cgroup_shares(l->weight_milli), e);
    if (code == ERR_OK && l->quota_us != 0)
        code = put_u64(directory, "cpu.cfs_period_us", PERIOD_US, e);
    if (code == ERR_OK)
        code = put_limit(directory, "cpu.cfs_quota_us", l->quota_us, STR("-1"), e);
    return code;
}

static enum err_code write_cpu_v2(const char *directory, const struct cgroup_limits *l,
                                  struct err *e)
{
    char text[48];
    enum err_code code = put_u64(directory, "cpu.weight", cgroup_weight(l->weight_milli), e);
    if (code != ERR_OK)
        return code;
    if (l->quota_us == 0)
        snprintf(text, sizeof text, "max %d", PERIOD_US);
    else
        snprintf(text, sizeof text, "%llu %d", (unsigned long long)l->quota_us, PERIOD_US);
    return cgroup__put(directory, "cpu.max", str_of(text), e);
}

/* A kernel that does not count swap has no file for it. */
static enum err_code or_absent(enum err_code code)
{
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

/* Memory and swap together; it is never less than memory alone, so it steps aside first. */
static enum err_code write_memory_v1(const char *directory, const struct cgroup_limits *l,
                                     struct err *e)
{
    static const char both[] = "memory.memsw.limit_in_bytes";
    enum err_code code = or_absent(cgroup__put(directory, both, STR("-1"), e));
    if (code == ERR_OK)
        code = put_limit(directory, "memory.limit_in_bytes", l->memory_bytes, STR("-1"), e);
    if (code == ERR_OK && l->memory_bytes != 0)
        code = or_absent(put_u64(directory, both, l->memory_bytes, e));
    return code;
}

/* Where the host swaps, a limit of memory alone would be no limit: as with kubelet (NoSwap), who has one has no swap. */
static enum err_code write_memory(bool unified, const char *directory,
                                  const struct cgroup_limits *l, struct err *e)
{
    if (!unified)
        return write_memory_v1(directory, l, e);
    enum err_code code = put_limit(directory, "memory.max", l->memory_bytes, STR("max"), e);
    if (code == ERR_OK)
        code = or_absent(cgroup__put(directory, "memory.swap.max",
                                     l->memory_bytes == 0 ? STR("max") : STR("0"), e));
    /* A container that lost one process to memory is not what it was: all of it ends, as
     * Kubernetes does since 1.28. */
    return code != ERR_OK ? code : cgroup__put(directory, "memory.oom.group", STR("1"), e);
}

/* ---- huge pages ---- */

static const char *size_suffix(const struct cgroup_tree *t)
{
    return t->layout.unified ? ".max" : ".limit_in_bytes";
}

struct sizes_visit {
    struct cgroup_tree *t;
    const char *directory;
};

/* "hugetlb.2MB.max", "hugetlb.2MB.limit_in_bytes" */
static bool see_size(void *arg, const char *file)
{
    struct sizes_visit *v = arg;
    struct cgroup_tree *t = v->t;
    struct str name = str_of(file), kind = STR("hugetlb."), suffix = str_of(size_suffix(t));
    struct str size = str_slice(name, kind.len, name.len - min_u64(name.len, suffix.len));
    char path[CGROUP_FILE_MAX + 64];
    if (!str_starts(name, kind) || !str_ends(name, suffix) || str_find(size, '.', 0) < size.len ||
        size.len >= sizeof t->sizes[0].name || t->sizes_count == CGROUP_SIZES_MAX)
        return true;
    struct cgroup_size *to = &t->sizes[t->sizes_count++];
    snprintf(to->name, sizeof to->name, STR_FMT, STR_ARG(size));
    snprintf(path, sizeof path, "%s/hugetlb.%s.rsvd%s", v->directory, to->name, size_suffix(t));
    to->is_reserved = fs_exists(path);
    return true;
}

void cgroup__read_sizes(struct cgroup_tree *t, const char *directory)
{
    struct sizes_visit v = {t, directory};
    t->sizes_count = 0;
    (void)!fs_list(directory, see_size, &v, NULL); /* Without the controller there are none. */
}

static enum err_code write_hugetlb(const struct cgroup_tree *t, const char *directory,
                                   const struct cgroup_limits *l, struct err *e)
{
    enum err_code code = ERR_OK;
    char file[64];
    for (uint32_t i = 0; i < t->sizes_count && code == ERR_OK && !l->any_huge; i++) {
        const struct cgroup_size *s = &t->sizes[i];
        uint64_t bytes = strcmp(s->name, "2MB") == 0   ? l->huge_2m_bytes
                         : strcmp(s->name, "1GB") == 0 ? l->huge_1g_bytes
                                                       : 0;
        snprintf(file, sizeof file, "hugetlb.%s%s", s->name, size_suffix(t));
        code = put_u64(directory, file, bytes, e);
        snprintf(file, sizeof file, "hugetlb.%s.rsvd%s", s->name, size_suffix(t));
        if (code == ERR_OK && s->is_reserved)
            code = put_u64(directory, file, bytes, e);
    }
    return code;
}

enum err_code cgroup__write_limits(const struct cgroup_tree *t, uint32_t c, const char *directory,
                                   const struct cgroup_limits *l, struct err *e)
{
    bool unified = t->layout.unified;
    switch ((enum cgroup_controller)c) {
    case CGROUP_CPU:
        return unified ? write_cpu_v2(directory, l, e) : write_cpu_v1(directory, l, e);
    case CGROUP_MEMORY:
        return write_memory(unified, directory, l, e);
    case CGROUP_PIDS:
        return put_limit(directory, "pids.max", l->pids_max < 0 ? 0 : (uint64_t)l->pids_max,
                         STR("max"), e);
    case CGROUP_HUGETLB:
        return write_hugetlb(t, directory, l, e);
    case CGROUP_CPUSET:
    case CGROUP_CPUACCT:
    case CGROUP_DEVICES:
    case CGROUP__COUNT:
        break;
    }
    return ERR_OK;
}

/* key NULL: the whole file is the number. */
static uint64_t get_u64(const char *directory, const char *file, const char *key)
{
    struct buf text;
    uint64_t value = 0;

    buf_init(&text, CGROUP_TEXT_MAX);
    if (cgroup__get(directory, file, &text, NULL) == ERR_OK) {
        enum err_code code = key == NULL ? str_parse_u64(str_trim(buf_str(&text)), &value)
                                         : cgroup_field(buf_str(&text), key, &value);
        if (code != ERR_OK)
            value = 0;
    }
    buf_free(&text);
    return value;
}

enum err_code cgroup__read_stats(const struct cgroup_tree *t,
                                 char path[CGROUP__COUNT][CGROUP_FILE_MAX],
                                 struct cgroup_stats *out, struct err *e)
{
    const char *cpu = path[CGROUP_CPU], *memory = path[CGROUP_MEMORY];
    struct cgroup_stats s = {.pids_count = get_u64(path[CGROUP_PIDS], "pids.current", NULL)};
    uint64_t cold;
    (void)e;

    if (t->layout.unified) {
        s.cpu_us = get_u64(cpu, "cpu.stat", "usage_usec");
        s.throttled_us = get_u64(cpu, "cpu.stat", "throttled_usec");
        s.memory_bytes = get_u64(memory, "memory.current", NULL);
        s.memory_peak_bytes = get_u64(memory, "memory.peak", NULL);
        s.oom_kills = get_u64(memory, "memory.events", "oom_kill");
        cold = get_u64(memory, "memory.stat", "inactive_file");
    } else {
        s.cpu_us = get_u64(path[CGROUP_CPUACCT], "cpuacct.usage", NULL) / 1000;
        s.throttled_us = get_u64(cpu, "cpu.stat", "throttled_time") / 1000;
        s.memory_bytes = get_u64(memory, "memory.usage_in_bytes", NULL);
        s.memory_peak_bytes = get_u64(memory, "memory.max_usage_in_bytes", NULL);
        s.oom_kills = get_u64(memory, "memory.oom_control", "oom_kill");
        cold = get_u64(memory, "memory.stat", "total_inactive_file");
    }
    s.memory_working_bytes = s.memory_bytes > cold ? s.memory_bytes - cold : 0;
    *out = s;
    return ERR_OK;
}
