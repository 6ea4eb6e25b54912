/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/host/resctrl.h"

#include "io/fs.h"
#include "base/cpuset.h"

#include <stdio.h>

enum { FILE_MAX = 64 << 10, WHOLE = 100, LEVEL = 3, INDEX_MAX = 8 };

/* Every group of ours begins so: two agents of one machine see each other's. */
static const struct str OURS = STR("baton-");

/* ---- files ---- */

static bool path_of(const struct sysfs *s, struct str group, const char *file,
                    char out[FS_PATH_MAX])
{
    int len = snprintf(out, FS_PATH_MAX, "%s%s" STR_FMT "%s%s", s->resctrl,
                       group.len > 0 ? "/" : "", STR_ARG(group), file[0] != '\0' ? "/" : "", file);
    return len > 0 && len < FS_PATH_MAX;
}

static bool read_text(const char *path, struct buf *out)
{
    struct err e;
    buf_clear(out);
    return fs_read(path, out, &e) == ERR_OK;
}

static uint32_t hex(struct str s)
{
    uint32_t value = 0;
    s = str_trim(s);
    for (size_t i = 0; i < s.len && str_hex_digit(s.at[i]) >= 0; i++)
        value = value << 4 | (uint32_t)str_hex_digit(s.at[i]);
    return value;
}

/* info/FILE; masks are written in hexadecimal. 0: not there. */
static uint32_t info(const struct sysfs *s, const char *file, bool is_mask)
{
    char path[FS_PATH_MAX];
    struct buf text;
    uint64_t value = 0;
    buf_init(&text, FILE_MAX);
    snprintf(path, sizeof path, "%s/info/%s", s->resctrl, file);
    if (!read_text(path, &text))
        value = 0;
    else if (is_mask)
        value = hex(buf_str(&text));
    else if (str_parse_u64(str_trim(buf_str(&text)), &value) != ERR_OK || value > UINT32_MAX)
        value = 0;
    buf_free(&text);
    return (uint32_t)value;
}

static enum err_code write_file(const struct sysfs *s, struct str group, const char *file,
                                struct str text, struct err *e)
{
    char path[FS_PATH_MAX];
    struct buf why;
    if (!path_of(s, group, file, path))
        return err_set(e, ERR_LIMIT, "the path of a resctrl group is too long");
    enum err_code code = s->poke(s, path, text, e);
    if (code == ERR_OK)
        return ERR_OK;
    buf_init(&why, FILE_MAX);
    snprintf(path, sizeof path, "%s/info/last_cmd_status", s->resctrl);
    if (read_text(path, &why) && why.len > 0)
        code = err_wrap(e, "resctrl: " STR_FMT, STR_ARG(str_trim(buf_str(&why))));
    buf_free(&why);
    return code;
}

/* ---- what there is ---- */

/* "    L3:0=7ff;1=7ff": the number before each =. */
static void read_domains(struct str schemata, const char *resource, struct resctrl *out)
{
    struct str line, part, name;
    while (str_split(&schemata, '\n', &line)) {
        struct str rest = str_trim(line);
        if (!str_split(&rest, ':', &name) || !str_is(name, resource))
            continue;
        while (rest.at != NULL && str_split(&rest, ';', &part)) {
            uint64_t id;
            if (str_parse_u64(str_slice(part, 0, str_find(part, '=', 0)), &id) == ERR_OK &&
                id <= UINT32_MAX && out->domains_count < RESCTRL_DOMAINS_MAX)
                out->domains[out->domains_count++] = (uint32_t)id;
        }
    }
}

enum err_code resctrl_look(const struct sysfs *s, struct resctrl *out, struct err *e)
{
    char path[FS_PATH_MAX];
    struct buf text;
    *out = (struct resctrl){0};
    buf_init(&text, FILE_MAX);
    if (!path_of(s, STR(""), "schemata", path) || !read_text(path, &text)) {
        buf_free(&text);
        return err_set(e, ERR_NOT_FOUND, "resctrl is not mounted at %s", s->resctrl);
    }
    uint32_t total = (uint32_t)__builtin_popcount(info(s, "L3/cbm_mask", true));
    uint32_t shared = (uint32_t)__builtin_popcount(info(s, "L3/shareable_bits", true));
    uint32_t kept = max_u32(max_u32(shared, info(s, "L3/min_cbm_bits", false)), 1);
    uint32_t l3 = info(s, "L3/num_closids", false), mb = info(s, "MB/num_closids", false);
    out->ways_total = total;
    out->ways = total > kept ? total - kept : 0;
    if (mb > 0)
        out->step =
            max_u32(info(s, "MB/bandwidth_gran", false), info(s, "MB/min_bandwidth", false));
    uint32_t classes = l3 == 0 ? mb : mb == 0 ? l3 : min_u32(l3, mb);
    out->groups = classes > 0 ? classes - 1 : 0;
    read_domains(buf_str(&text), out->ways > 0 ? "L3" : "MB", out);
    buf_free(&text);
    return ERR_OK;
}

/* The number that the kernel gives cpu's third-level cache. */
static uint32_t cache_id(const struct sysfs *s, uint32_t cpu)
{
    char path[FS_PATH_MAX];
    struct buf text;
    uint64_t value, id = UINT32_MAX;
    buf_init(&text, FILE_MAX);
    for (uint32_t i = 0; i < INDEX_MAX && id == UINT32_MAX; i++) {
        snprintf(path, sizeof path, "%s/devices/system/cpu/cpu%u/cache/index%u/level", s->sys, cpu,
                 i);
        if (!read_text(path, &text) || str_parse_u64(str_trim(buf_str(&text)), &value) != ERR_OK ||
            value != LEVEL)
            continue;
        snprintf(path, sizeof path, "%s/devices/system/cpu/cpu%u/cache/index%u/id", s->sys, cpu, i);
        if (!read_text(path, &text) || str_parse_u64(str_trim(buf_str(&text)), &id) != ERR_OK)
            id = UINT32_MAX;
    }
    buf_free(&text);
    return (uint32_t)id;
}

void resctrl_describe(const struct sysfs *s, struct discover *d)
{
    struct resctrl r;
    struct err e;
    if (resctrl_look(s, &r, &e) != ERR_OK || r.ways + r.step == 0)
        return;
    d->cache_groups = r.groups;
    for (uint32_t i = d->threads_count; i-- > 0;) {
        struct discover_cache *c = &d->caches[d->cores[d->threads[i].core].cache];
        if (c->ways + c->bandwidth_step > 0)
            continue;
        c->resctrl_id = cache_id(s, d->threads[i].cpu);
        for (uint32_t k = 0; k < r.domains_count; k++)
            if (r.domains[k] == c->resctrl_id) {
                c->ways = r.ways;
                c->bandwidth_step = r.step;
            }
    }
}

/* ---- the default group: what nobody was given ---- */

struct given {
    uint32_t top;     /* Above the highest way that is given away. */
    uint32_t percent; /* Sum. */
};

/* VALUE of domain in RESOURCE's line; absent where there is none. */
static uint32_t value_in(struct str schemata, const char *resource, uint32_t domain, uint32_t other)
{
    struct str line, name, part;
    while (str_split(&schemata, '\n', &line)) {
        struct str rest = str_trim(line);
        if (!str_split(&rest, ':', &name) || !str_is(name, resource))
            continue;
        while (rest.at != NULL && str_split(&rest, ';', &part)) {
            size_t eq = str_find(part, '=', 0);
            uint64_t id, value;
            if (str_parse_u64(str_slice(part, 0, eq), &id) != ERR_OK || id != domain)
                continue;
            struct str text = str_trim(str_slice(part, eq + 1, part.len));
            if (str_is(str_of(resource), "L3"))
                return hex(text);
            return str_parse_u64(text, &value) == ERR_OK ? (uint32_t)value : other;
        }
    }
    return other;
}

struct summing {
    const struct sysfs *s;
    const struct resctrl *r;
    struct given *given; /* By place in r->domains. */
    struct str without;
};

static bool sum_group(void *arg, const char *group)
{
    struct summing *m = arg;
    char path[FS_PATH_MAX];
    struct buf text;
    buf_init(&text, FILE_MAX);
    bool is_there = !str_eq(str_of(group), m->without) &&
                    path_of(m->s, str_of(group), "schemata", path) && read_text(path, &text);
    for (uint32_t i = 0; is_there && i < m->r->domains_count; i++) {
        uint32_t id = m->r->domains[i], bits = (1u << m->r->ways) - 1;
        uint32_t ways = value_in(buf_str(&text), "L3", id, 0) & bits;
        uint32_t percent = value_in(buf_str(&text), "MB", id, WHOLE);
        if (ways != 0)
            m->given[i].top = max_u32(m->given[i].top, 32 - (uint32_t)__builtin_clz(ways));
        m->given[i].percent += percent < WHOLE ? percent : 0;
    }
    buf_free(&text);
    return true;
}

static uint32_t upper_ways(const struct resctrl *r, uint32_t from)
{
    return (uint32_t)(((1ull << r->ways_total) - 1) & ~((1ull << from) - 1));
}

/* A line of each resource; ways and percent of domain i are told by the two functions' tables. */
static void print(struct buf *out, const struct resctrl *r, const uint32_t *ways,
                  const uint32_t *percent)
{
    for (uint32_t i = 0; r->ways > 0 && i < r->domains_count; i++)
        buf_printf(out, "%s%u=%x", i == 0 ? "L3:" : ";", r->domains[i], ways[i]);
    if (r->ways > 0)
        buf_add_char(out, '\n');
    for (uint32_t i = 0; r->step > 0 && i < r->domains_count; i++)
        buf_printf(out, "%s%u=%u", i == 0 ? "MB:" : ";", r->domains[i], percent[i]);
    if (r->step > 0)
        buf_add_char(out, '\n');
}

/* One more group's grants, or none, beside those that are there but without. */
static enum err_code set_default(const struct sysfs *s, const struct resctrl *r, struct str without,
                                 const struct resctrl_grant *grants, uint32_t count, struct err *e)
{
    struct given given[RESCTRL_DOMAINS_MAX] = {0};
    uint32_t ways[RESCTRL_DOMAINS_MAX], percent[RESCTRL_DOMAINS_MAX];
    struct summing m = {s, r, given, without};
    struct buf text;
    enum err_code code = resctrl_list(s, OURS, sum_group, &m, e);
    if (code != ERR_OK)
        return code;
    for (uint32_t i = 0; i < r->domains_count; i++) {
        for (uint32_t k = 0; k < count; k++) {
            if (grants[k].domain != r->domains[i])
                continue;
            if (grants[k].ways != 0)
                given[i].top = max_u32(given[i].top, 32 - (uint32_t)__builtin_clz(grants[k].ways));
            given[i].percent += grants[k].percent;
        }
        ways[i] = upper_ways(r, given[i].top);
        uint32_t left = WHOLE - min_u32(given[i].percent, WHOLE);
        percent[i] = max_u32(left, r->step);
    }
    buf_init(&text, FILE_MAX);
    print(&text, r, ways, percent);
    code = write_file(s, STR(""), "schemata", buf_str(&text), e);
    buf_free(&text);
    return code;
}

/* ---- groups ---- */

/* Domains that it was not granted anything of: it has no cpu there, and shares what is never given away. */
static enum err_code set_group(const struct sysfs *s, const struct resctrl *r, struct str group,
                               const struct resctrl_grant *grants, uint32_t count, struct err *e)
{
    uint32_t ways[RESCTRL_DOMAINS_MAX], percent[RESCTRL_DOMAINS_MAX];
    struct buf text;
    for (uint32_t i = 0; i < r->domains_count; i++) {
        ways[i] = upper_ways(r, r->ways);
        percent[i] = WHOLE;
        for (uint32_t k = 0; k < count; k++)
            if (grants[k].domain == r->domains[i]) {
                ways[i] = grants[k].ways != 0 ? grants[k].ways : ways[i];
                percent[i] = grants[k].percent != 0 ? max_u32(grants[k].percent, r->step) : WHOLE;
            }
    }
    buf_init(&text, FILE_MAX);
    print(&text, r, ways, percent);
    enum err_code code = write_file(s, group, "schemata", buf_str(&text), e);
    buf_free(&text);
    return code;
}

static enum err_code set_cpus(const struct sysfs *s, struct str group, const struct cpuset *cpus,
                              struct err *e)
{
    char path[FS_PATH_MAX];
    struct buf text;
    struct cpuset have;
    buf_init(&text, FILE_MAX);
    cpuset_print(cpus, &text);
    enum err_code code = write_file(s, group, "cpus_list", buf_str(&text), e);
    if (code == ERR_OK &&
        (!path_of(s, group, "cpus_list", path) || !read_text(path, &text) ||
         cpuset_parse(str_trim(buf_str(&text)), &have) != ERR_OK || !cpuset_eq(&have, cpus)))
        code = err_set(e, ERR_CONFLICT, "resctrl has other cpus in its group");
    buf_free(&text);
    return code;
}

enum err_code resctrl_make(const struct sysfs *s, struct str group,
                           const struct resctrl_grant *grants, uint32_t count,
                           const struct cpuset *cpus, struct err *e)
{
    struct resctrl r;
    char path[FS_PATH_MAX];
    if (group.len > RESCTRL_NAME_MAX || !str_starts(group, OURS) || !path_of(s, group, "", path))
        return err_set(e, ERR_INVALID, "no name of a resctrl group");
    enum err_code code = resctrl_look(s, &r, e);
    if (code == ERR_OK && !fs_exists(path)) {
        code = s->mkdir(s, path, e);
        if (code == ERR_UNAVAILABLE) /* ENOSPC, as a rule. */
            code = (err_wrap(e, "is a class of service free?"), ERR_LIMIT);
    }
    /* First the others leave the ways, then it gets them, then its cpus use them. */
    if (code == ERR_OK)
        code = set_default(s, &r, group, grants, count, e);
    if (code == ERR_OK)
        code = set_group(s, &r, group, grants, count, e);
    return code == ERR_OK ? set_cpus(s, group, cpus, e) : code;
}

enum err_code resctrl_remove(const struct sysfs *s, struct str group, struct err *e)
{
    struct resctrl r;
    char path[FS_PATH_MAX];
    if (!str_starts(group, OURS) || !path_of(s, group, "", path) || !fs_exists(path))
        return ERR_OK;
    enum err_code code = s->rmdir(s, path, e);
    if (code != ERR_OK && code != ERR_NOT_FOUND)
        return code;
    code = resctrl_look(s, &r, e);
    return code == ERR_OK ? set_default(s, &r, group, NULL, 0, e) : code;
}

struct listing {
    struct str prefix;
    bool (*visit)(void *arg, const char *group);
    void *arg;
};

static bool list_one(void *arg, const char *name)
{
    struct listing *l = arg;
    return !str_starts(str_of(name), l->prefix) || l->visit(l->arg, name);
}

enum err_code resctrl_list(const struct sysfs *s, struct str prefix,
                           bool (*visit)(void *arg, const char *group), void *arg, struct err *e)
{
    struct listing l = {prefix, visit, arg};
    enum err_code code = fs_list(s->resctrl, list_one, &l, e);
    return code == ERR_NOT_FOUND ? ERR_OK : code; /* Without resctrl there is no group. */
}
