/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing follows one pattern: put(), then where it matters get() and compare. The two versions
 * differ in file names and units only, which cgroup_files.c knows; where a group lies cgroup_tree.c. How it ends is in
 * cgroup_end.c.
 */
#include "nodeagent/host/cgroup.h"
#include "base/mem.h"
#include "io/fs.h"
#include "nodeagent/host/cgroup_priv.h"
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err_code read_set(const char *directory, const char *file, struct cpuset *out,
                              struct err *e)
{
    struct buf text;
    buf_init(&text, CGROUP_TEXT_MAX);
    enum err_code code = cgroup__get(directory, file, &text, e);
    if (code == ERR_OK && cpuset_parse(buf_str(&text), out) != ERR_OK)
        code = err_set(e, ERR_CORRUPT, "%s/%s: not a list of cpus", directory, file);
    buf_free(&text);
    return code;
}

/* Write a set and believe only what the kernel says it now is. */
static enum err_code write_set(const char *directory, const char *file, const struct cpuset *want,
                               struct err *e)
{
    struct cpuset have;
    struct buf text;

    buf_init(&text, CGROUP_TEXT_MAX);
    cpuset_print(want, &text);
    enum err_code code = cgroup__put(directory, file, buf_str(&text), e);
    if (code == ERR_OK)
        code = read_set(directory, file, &have, e);
    if (code == ERR_OK && !cpuset_eq(&have, want)) {
        struct buf got;
        buf_init(&got, CGROUP_TEXT_MAX);
        cpuset_print(&have, &got);
        code = err_set(e, ERR_CONFLICT, "%s/%s: wrote %.*s, reads %.*s", directory, file,
                       STR_ARG(buf_str(&text)), STR_ARG(buf_str(&got)));
        buf_free(&got);
    }
    buf_free(&text);
    return code;
}

static enum err_code make_directory(const char *path, struct err *e)
{
    if (mkdir(path, 0755) == 0 || errno == EEXIST)
        return ERR_OK;
    return err_set(e, ERR_UNAVAILABLE, "make %s: %m", path);
}

/* v2: children may use the controllers. Writing what is set already changes nothing. */
static enum err_code delegate(const struct cgroup_tree *t, const char *directory, struct err *e)
{
    if (!t->layout.unified)
        return ERR_OK;
    return cgroup__put(directory, "cgroup.subtree_control",
                       t->layout.hugetlb ? STR("+cpuset +cpu +memory +pids +hugetlb")
                                         : STR("+cpuset +cpu +memory +pids"),
                       e);
}

/* A cpuset that was never written is empty, and v1 lets nobody in then: it gets its parent's. */
static enum err_code inherit_set(const char *parent, const char *directory, const char *file,
                                 const char *parents_file, struct err *e)
{
    struct cpuset have, all;
    enum err_code code = read_set(directory, file, &have, e);
    if (code != ERR_OK || !cpuset_is_empty(&have))
        return code;
    code = read_set(parent, parents_file, &all, e);
    return code != ERR_OK ? code : write_set(directory, file, &all, e);
}

static enum err_code inherit_cpus(const struct cgroup_tree *t, const char *parent,
                                  const char *directory, struct err *e)
{
    bool v2 = t->layout.unified;
    const char *cpus = v2 ? "cpuset.cpus.effective" : "cpuset.cpus";
    const char *mems = v2 ? "cpuset.mems.effective" : "cpuset.mems";
    enum err_code code = inherit_set(parent, directory, "cpuset.cpus", cpus, e);
    return code != ERR_OK || v2 ? code : inherit_set(parent, directory, "cpuset.mems", mems, e);
}

/* Both together weigh against the rest of the machine as all its cpus do. */
static enum err_code set_tree_weight(const struct cgroup_tree *t, const char *directory,
                                     struct err *e)
{
    struct cgroup_limits l = {.weight_milli = 1000 * (uint32_t)sysconf(_SC_NPROCESSORS_ONLN)};
    return cgroup__write_limits(t, CGROUP_CPU, directory, &l, e);
}

static enum err_code open_hierarchy(struct cgroup_tree *t, uint32_t c, struct err *e)
{
    char parent[CGROUP_FILE_MAX], pool[CGROUP_FILE_MAX];
    cgroup__path(t, c, (struct str){NULL, 0}, false, parent);
    parent[strlen(parent) - 1] = '\0'; /* The slash before the empty id. */
    snprintf(pool, sizeof pool, "%.*s/%s", CGROUP_FILE_MAX - 8, parent, CGROUP_POOL);

    enum err_code code = delegate(t, cgroup__mount(t, c), e);
    if (code == ERR_OK)
        code = make_directory(parent, e);
    if (code == ERR_OK && c == CGROUP_CPUSET)
        code = inherit_cpus(t, cgroup__mount(t, c), parent, e);
    if (code == ERR_OK)
        code = delegate(t, parent, e);
    if (code == ERR_OK)
        code = make_directory(pool, e);
    if (code == ERR_OK && c == CGROUP_CPUSET)
        code = inherit_cpus(t, parent, pool, e);
    if (code == ERR_OK)
        code = delegate(t, pool, e);
    if (code == ERR_OK && (c == CGROUP_CPU || t->layout.unified)) {
        code = set_tree_weight(t, parent, e);
        if (code == ERR_OK)
            code = set_tree_weight(t, pool, e);
    }
    if (code == ERR_OK && (c == CGROUP_HUGETLB || t->layout.unified))
        cgroup__read_sizes(t, pool);
    return code;
}

enum err_code cgroup_open(const struct cgroup_layout *layout, struct str parent,
                          struct cgroup_tree **out, struct err *e)
{
    if (!cgroup__name_ok(parent, CGROUP_NAME_MAX))
        return err_set(e, ERR_INVALID, "\"" STR_FMT "\" cannot name a cgroup", STR_ARG(parent));

    struct cgroup_tree *t = mem_zalloc(1, sizeof *t);
    t->layout = *layout;
    str_put(t->parent, parent);
    for (uint32_t c = 0; c < CGROUP__COUNT; c++) {
        if (!cgroup__is_ours(t, c))
            continue;
        enum err_code code = open_hierarchy(t, c, e);
        if (code != ERR_OK) {
            cgroup_close(t);
            return code;
        }
    }
    *out = t;
    return ERR_OK;
}

void cgroup_close(struct cgroup_tree *t)
{
    mem_free(t);
}

const struct cgroup_layout *cgroup_layout(const struct cgroup_tree *t)
{
    return &t->layout;
}

enum err_code cgroup_pool_set(struct cgroup_tree *t, const struct cpuset *cpus, struct err *e)
{
    char path[CGROUP_FILE_MAX];
    struct cpuset have;

    if (cpuset_is_empty(cpus))
        return err_set(e, ERR_INVALID, "the pool cannot be without cpus");
    enum err_code code = cgroup_pool_get(t, &have, e);
    if (code != ERR_OK || cpuset_eq(&have, cpus))
        return code;
    cgroup__path(t, CGROUP_CPUSET, str_of(CGROUP_POOL), false, path);
    return write_set(path, "cpuset.cpus", cpus, e);
}

enum err_code cgroup_pool_get(struct cgroup_tree *t, struct cpuset *out, struct err *e)
{
    char path[CGROUP_FILE_MAX];
    cgroup__path(t, CGROUP_CPUSET, str_of(CGROUP_POOL), false, path);
    return read_set(path, "cpuset.cpus", out, e);
}

static enum err_code write_pid(const char *directory, int32_t pid, struct err *e)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%d", pid);
    return cgroup__put(directory, "cgroup.procs", str_from(text, (size_t)len), e);
}

enum err_code cgroup_pool_join(struct cgroup_tree *t, int32_t pid, struct err *e)
{
    char path[CGROUP_FILE_MAX];
    if (!t->layout.unified) { /* Only the cpus: its memory is not the cluster's affair. */
        cgroup__path(t, CGROUP_CPUSET, str_of(CGROUP_POOL), false, path);
        return write_pid(path, pid, e);
    }
    cgroup__path(t, 0, str_of(CGROUP_SYSTEM), true, path); /* v2: no processes in an inner node. */
    enum err_code code = make_directory(path, e);
    return code != ERR_OK ? code : write_pid(path, pid, e);
}

static enum err_code make_in_hierarchy(struct cgroup_tree *t, uint32_t c, struct str id,
                                       const struct cgroup_limits *l, struct err *e)
{
    char path[CGROUP_FILE_MAX], parent[CGROUP_FILE_MAX];
    cgroup__path(t, c, id, !l->exclusive, path);
    enum err_code code = make_directory(path, e);
    for (uint32_t k = 0; k < CGROUP__COUNT && code == ERR_OK; k++)
        if (k == c || t->layout.unified)
            code = cgroup__write_limits(t, k, path, l, e);
    if (code != ERR_OK || c != CGROUP_CPUSET || !l->exclusive)
        return code;

    snprintf(parent, sizeof parent, "%s/%s", cgroup__mount(t, c), t->parent);
    if (!cpuset_is_empty(&l->mems))
        code = write_set(path, "cpuset.mems", &l->mems, e);
    else if (!t->layout.unified)
        code = inherit_set(parent, path, "cpuset.mems", "cpuset.mems", e);
    return code != ERR_OK ? code : write_set(path, "cpuset.cpus", &l->cpus, e);
}

enum err_code cgroup_make(struct cgroup_tree *t, struct str id, const struct cgroup_limits *l,
                          struct err *e)
{
    if (!cgroup__name_ok(id, RUNTIME_ID_MAX))
        return err_set(e, ERR_INVALID, "\"" STR_FMT "\" cannot name a cgroup", STR_ARG(id));
    if (l->exclusive && cpuset_is_empty(&l->cpus))
        return err_set(e, ERR_INVALID, STR_FMT ": exclusive without cpus", STR_ARG(id));
    for (uint32_t c = 0; c < CGROUP__COUNT; c++) {
        bool pools = !t->layout.unified && c == CGROUP_CPUSET && !l->exclusive;
        if (!cgroup__is_ours(t, c) || pools)
            continue;
        enum err_code code = make_in_hierarchy(t, c, id, l, e);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}

/* A group that was made while the host had no hierarchy for huge pages is not there. */
static bool is_absent(uint32_t c, const char *path)
{
    return c == CGROUP_HUGETLB && access(path, F_OK) != 0;
}

enum err_code cgroup_procs_files(struct cgroup_tree *t, struct str id, struct buf *out,
                                 struct err *e)
{
    char path[CGROUP_FILE_MAX];
    bool in_pool;
    enum err_code code = cgroup__find(t, id, &in_pool, e);
    if (code != ERR_OK)
        return code;
    for (uint32_t c = 0; c < CGROUP__COUNT; c++) {
        if (!cgroup__is_ours(t, c))
            continue;
        cgroup__path(t, c, id, in_pool, path);
        if (is_absent(c, path))
            continue;
        buf_printf(out, "%s/%s\n", path, t->layout.unified ? "cgroup.procs" : "tasks");
    }
    return buf_status(out, e);
}

enum err_code cgroup_join(struct cgroup_tree *t, struct str id, int32_t pid, struct err *e)
{
    char path[CGROUP_FILE_MAX];
    bool in_pool;
    enum err_code code = cgroup__find(t, id, &in_pool, e);
    for (uint32_t c = 0; c < CGROUP__COUNT && code == ERR_OK; c++) {
        if (!cgroup__is_ours(t, c))
            continue;
        cgroup__path(t, c, id, in_pool, path);
        if (!is_absent(c, path))
            code = write_pid(path, pid, e);
    }
    return code;
}

enum err_code cgroup_path(struct cgroup_tree *t, struct str id, struct buf *out, struct err *e)
{
    bool in_pool;
    enum err_code code = cgroup__find(t, id, &in_pool, e);
    if (code == ERR_OK)
        buf_printf(out, "/%s/%s" STR_FMT, t->parent, in_pool ? "pool/" : "", STR_ARG(id));
    return code != ERR_OK ? code : buf_status(out, e);
}

enum err_code cgroup_set_weight(struct cgroup_tree *t, struct str id, uint32_t milli, struct err *e)
{
    char path[CGROUP_FILE_MAX], text[24];
    bool in_pool, v2 = t->layout.unified;
    enum err_code code = cgroup__find(t, id, &in_pool, e);
    if (code != ERR_OK)
        return code;
    cgroup__path(t, CGROUP_CPU, id, in_pool, path);
    int len = snprintf(text, sizeof text, "%llu",
                       (unsigned long long)(v2 ? cgroup_weight(milli) : cgroup_shares(milli)));
    return cgroup__put(path, v2 ? "cpu.weight" : "cpu.shares", str_from(text, (size_t)len), e);
}

enum err_code cgroup_get_cpus(struct cgroup_tree *t, struct str id, struct cpuset *out,
                              struct err *e)
{
    char path[CGROUP_FILE_MAX];
    bool in_pool;
    enum err_code code = cgroup__find(t, id, &in_pool, e);
    if (code != ERR_OK)
        return code;
    cgroup__path(t, CGROUP_CPUSET, id, in_pool, path);
    return read_set(path, t->layout.unified ? "cpuset.cpus.effective" : "cpuset.cpus", out, e);
}

enum err_code cgroup_get_stats(struct cgroup_tree *t, struct str id, struct cgroup_stats *out,
                               struct err *e)
{
    char path[CGROUP__COUNT][CGROUP_FILE_MAX];
    bool in_pool;
    enum err_code code = cgroup__find(t, id, &in_pool, e);
    if (code != ERR_OK)
        return code;
    for (uint32_t c = 0; c < CGROUP__COUNT; c++)
        cgroup__path(t, c == CGROUP_CPUACCT && !cgroup__has_hierarchy(t, c) ? CGROUP_CPU : c, id,
                     in_pool, path[c]);
    return cgroup__read_stats(t, path, out, e);
}
