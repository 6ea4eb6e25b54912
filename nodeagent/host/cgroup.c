/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing follows one pattern: put(), then where it matters get() and compare. The two versions
 * differ in file names and units only, which cgroup_files.c knows; where a group lies is decided here.
 */
#include "nodeagent/host/cgroup.h"
#include "base/mem.h"
#include "io/fs.h"
#include "nodeagent/host/cgroup_priv.h"
#include "base/cpuset.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char POOL[] = "pool", SYSTEM[] = "system";

static bool name_ok(struct str s, size_t max)
{
    if (s.len == 0 || s.len >= max || s.at[0] == '.')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_'))
            return false;
    }
    return !str_is(s, POOL) && !str_is(s, SYSTEM);
}

/* Is controller c a hierarchy of its own? In v2 there is one, found under the first. */
static bool has_hierarchy(const struct cgroup_tree *t, uint32_t c)
{
    return t->layout.mount[c][0] != '\0' && !(t->layout.unified && c > 0);
}

/* Do we make groups there? Those of the devices hierarchy are runc's. */
static bool is_ours(const struct cgroup_tree *t, uint32_t c)
{
    return has_hierarchy(t, c) && c != CGROUP_DEVICES;
}

static const char *mount_of(const struct cgroup_tree *t, uint32_t c)
{
    return t->layout.mount[t->layout.unified ? 0 : c];
}

/* The parent's directory (id empty), the pool's (id "pool") or an instance's. A shared instance has
 * no directory in v1's cpuset hierarchy: it is in the pool's. */
static void group_path(const struct cgroup_tree *t, uint32_t c, struct str id, bool in_pool,
                       char out[CGROUP_FILE_MAX])
{
    bool pool_itself = in_pool && !t->layout.unified && c == CGROUP_CPUSET;
    if (pool_itself)
        snprintf(out, CGROUP_FILE_MAX, "%s/%s/%s", mount_of(t, c), t->parent, POOL);
    else
        snprintf(out, CGROUP_FILE_MAX, "%s/%s/%s" STR_FMT, mount_of(t, c), t->parent,
                 in_pool ? "pool/" : "", STR_ARG(id));
}

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
    group_path(t, c, (struct str){NULL, 0}, false, parent);
    parent[strlen(parent) - 1] = '\0'; /* The slash before the empty id. */
    snprintf(pool, sizeof pool, "%.*s/%s", CGROUP_FILE_MAX - 8, parent, POOL);

    enum err_code code = delegate(t, mount_of(t, c), e);
    if (code == ERR_OK)
        code = make_directory(parent, e);
    if (code == ERR_OK && c == CGROUP_CPUSET)
        code = inherit_cpus(t, mount_of(t, c), parent, e);
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
    if (!name_ok(parent, CGROUP_NAME_MAX))
        return err_set(e, ERR_INVALID, "\"" STR_FMT "\" cannot name a cgroup", STR_ARG(parent));

    struct cgroup_tree *t = mem_zalloc(1, sizeof *t);
    t->layout = *layout;
    memcpy(t->parent, parent.at, parent.len);
    for (uint32_t c = 0; c < CGROUP__COUNT; c++) {
        if (!is_ours(t, c))
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
    group_path(t, CGROUP_CPUSET, str_of(POOL), false, path);
    return write_set(path, "cpuset.cpus", cpus, e);
}

enum err_code cgroup_pool_get(struct cgroup_tree *t, struct cpuset *out, struct err *e)
{
    char path[CGROUP_FILE_MAX];
    group_path(t, CGROUP_CPUSET, str_of(POOL), false, path);
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
        group_path(t, CGROUP_CPUSET, str_of(POOL), false, path);
        return write_pid(path, pid, e);
    }
    group_path(t, 0, str_of(SYSTEM), true, path); /* v2: no processes in an inner node. */
    enum err_code code = make_directory(path, e);
    return code != ERR_OK ? code : write_pid(path, pid, e);
}

/* Whether id's group hangs below the pool, by looking. ERR_NOT_FOUND: there is none at all. */
static enum err_code find_group(const struct cgroup_tree *t, struct str id, bool *out_in_pool,
                                struct err *e)
{
    char path[CGROUP_FILE_MAX];
    if (!name_ok(id, RUNTIME_ID_MAX))
        return err_set(e, ERR_INVALID, "\"" STR_FMT "\" cannot name a cgroup", STR_ARG(id));
    for (int in_pool = 0; in_pool <= 1; in_pool++)
        for (uint32_t c = CGROUP__COUNT; c-- > 0;) {
            if (!has_hierarchy(t, c) || (in_pool && !t->layout.unified && c == CGROUP_CPUSET))
                continue;
            group_path(t, c, id, in_pool, path);
            if (access(path, F_OK) == 0) {
                *out_in_pool = in_pool;
                return ERR_OK;
            }
        }
    return err_set(e, ERR_NOT_FOUND, "no cgroup " STR_FMT, STR_ARG(id));
}

static enum err_code make_in_hierarchy(struct cgroup_tree *t, uint32_t c, struct str id,
                                       const struct cgroup_limits *l, struct err *e)
{
    char path[CGROUP_FILE_MAX], parent[CGROUP_FILE_MAX];
    group_path(t, c, id, !l->exclusive, path);
    enum err_code code = make_directory(path, e);
    for (uint32_t k = 0; k < CGROUP__COUNT && code == ERR_OK; k++)
        if (k == c || t->layout.unified)
            code = cgroup__write_limits(t, k, path, l, e);
    if (code != ERR_OK || c != CGROUP_CPUSET || !l->exclusive)
        return code;

    snprintf(parent, sizeof parent, "%s/%s", mount_of(t, c), t->parent);
    if (!cpuset_is_empty(&l->mems))
        code = write_set(path, "cpuset.mems", &l->mems, e);
    else if (!t->layout.unified)
        code = inherit_set(parent, path, "cpuset.mems", "cpuset.mems", e);
    return code != ERR_OK ? code : write_set(path, "cpuset.cpus", &l->cpus, e);
}

enum err_code cgroup_make(struct cgroup_tree *t, struct str id, const struct cgroup_limits *l,
                          struct err *e)
{
    if (!name_ok(id, RUNTIME_ID_MAX))
        return err_set(e, ERR_INVALID, "\"" STR_FMT "\" cannot name a cgroup", STR_ARG(id));
    if (l->exclusive && cpuset_is_empty(&l->cpus))
        return err_set(e, ERR_INVALID, STR_FMT ": exclusive without cpus", STR_ARG(id));
    for (uint32_t c = 0; c < CGROUP__COUNT; c++) {
        bool pools = !t->layout.unified && c == CGROUP_CPUSET && !l->exclusive;
        if (!is_ours(t, c) || pools)
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
    enum err_code code = find_group(t, id, &in_pool, e);
    if (code != ERR_OK)
        return code;
    for (uint32_t c = 0; c < CGROUP__COUNT; c++) {
        if (!is_ours(t, c))
            continue;
        group_path(t, c, id, in_pool, path);
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
    enum err_code code = find_group(t, id, &in_pool, e);
    for (uint32_t c = 0; c < CGROUP__COUNT && code == ERR_OK; c++) {
        if (!is_ours(t, c))
            continue;
        group_path(t, c, id, in_pool, path);
        if (!is_absent(c, path))
            code = write_pid(path, pid, e);
    }
    return code;
}

enum err_code cgroup_path(struct cgroup_tree *t, struct str id, struct buf *out, struct err *e)
{
    bool in_pool;
    enum err_code code = find_group(t, id, &in_pool, e);
    if (code == ERR_OK)
        buf_printf(out, "/%s/%s" STR_FMT, t->parent, in_pool ? "pool/" : "", STR_ARG(id));
    return code != ERR_OK ? code : buf_status(out, e);
}

enum err_code cgroup_set_weight(struct cgroup_tree *t, struct str id, uint32_t milli, struct err *e)
{
    char path[CGROUP_FILE_MAX], text[24];
    bool in_pool, v2 = t->layout.unified;
    enum err_code code = find_group(t, id, &in_pool, e);
    if (code != ERR_OK)
        return code;
    group_path(t, CGROUP_CPU, id, in_pool, path);
    int len = snprintf(text, sizeof text, "%llu",
                       (unsigned long long)(v2 ? cgroup_weight(milli) : cgroup_shares(milli)));
    return cgroup__put(path, v2 ? "cpu.weight" : "cpu.shares", str_from(text, (size_t)len), e);
}

enum err_code cgroup_get_cpus(struct cgroup_tree *t, struct str id, struct cpuset *out,
                              struct err *e)
{
    char path[CGROUP_FILE_MAX];
    bool in_pool;
    enum err_code code = find_group(t, id, &in_pool, e);
    if (code != ERR_OK)
        return code;
    group_path(t, CGROUP_CPUSET, id, in_pool, path);
    return read_set(path, t->layout.unified ? "cpuset.cpus.effective" : "cpuset.cpus", out, e);
}

enum err_code cgroup_get_stats(struct cgroup_tree *t, struct str id, struct cgroup_stats *out,
                               struct err *e)
{
    char path[CGROUP__COUNT][CGROUP_FILE_MAX];
    bool in_pool;
    enum err_code code = find_group(t, id, &in_pool, e);
    if (code != ERR_OK)
        return code;
    for (uint32_t c = 0; c < CGROUP__COUNT; c++)
        group_path(t, c == CGROUP_CPUACCT && !has_hierarchy(t, c) ? CGROUP_CPU : c, id, in_pool,
                   path[c]);
    return cgroup__read_stats(t, path, out, e);
}

static enum err_code parse_pids(struct str text, int32_t *pids, uint32_t pids_size,
                                uint32_t *out_count, struct err *e)
{
    struct str line;
    uint32_t count = 0;
    while (str_split(&text, '\n', &line)) {
        uint64_t pid;
        if (line.len == 0)
            continue;
        if (str_parse_u64(line, &pid) != ERR_OK || pid > INT32_MAX)
            return err_set(e, ERR_CORRUPT, "cgroup.procs holds no pids");
        if (count == pids_size)
            return err_set(e, ERR_LIMIT, "over %u processes in a cgroup", pids_size);
        pids[count++] = (int32_t)pid;
    }
    *out_count = count;
    return ERR_OK;
}

/* In one hierarchy: a launcher that was killed while it entered is in some of them only. */
static enum err_code read_pids(const struct cgroup_tree *t, uint32_t c, struct str id, bool in_pool,
                               int32_t *pids, uint32_t pids_size, uint32_t *out_count,
                               struct err *e)
{
    char path[CGROUP_FILE_MAX];
    struct buf text;

    group_path(t, c, id, in_pool, path);
    buf_init(&text, CGROUP_PIDS_MAX * 8);
    enum err_code code = cgroup__get(path, "cgroup.procs", &text, e);
    if (code == ERR_OK)
        code = parse_pids(buf_str(&text), pids, pids_size, out_count, e);
    else if (code == ERR_NOT_FOUND) {
        *out_count = 0;
        code = ERR_OK;
    }
    buf_free(&text);
    return code;
}

/* v1's cpuset hierarchy has the pool's whole population where a shared instance would be. */
static bool holds_only_the_instance(const struct cgroup_tree *t, uint32_t c, bool in_pool)
{
    return has_hierarchy(t, c) && !(in_pool && !t->layout.unified && c == CGROUP_CPUSET);
}

enum err_code cgroup_get_pids(struct cgroup_tree *t, struct str id, int32_t *pids,
                              uint32_t pids_size, uint32_t *out_count, struct err *e)
{
    bool in_pool;
    enum err_code code = find_group(t, id, &in_pool, e);
    if (code != ERR_OK)
        return code;
    return read_pids(t, t->layout.unified ? 0 : CGROUP_PIDS, id, in_pool, pids, pids_size,
                     out_count, e);
}

static enum err_code kill_round(const struct cgroup_tree *t, struct str id, bool in_pool,
                                uint32_t *out_alive, struct err *e)
{
    int32_t *pids = mem_alloc(sizeof *pids * CGROUP_PIDS_MAX);
    uint32_t alive = 0;
    enum err_code code = ERR_OK;

    for (uint32_t c = 0; c < CGROUP__COUNT && code == ERR_OK; c++) {
        uint32_t count = 0;
        if (!holds_only_the_instance(t, c, in_pool))
            continue;
        code = read_pids(t, c, id, in_pool, pids, CGROUP_PIDS_MAX, &count, e);
        for (uint32_t i = 0; i < count && code == ERR_OK; i++)
            if (pids[i] > 1) /* 0: in a pid namespace we cannot see; never ours. */
                kill(pids[i], SIGKILL);
        alive += count;
    }
    mem_free(pids);
    *out_alive = alive;
    return code;
}

enum err_code cgroup_kill(struct cgroup_tree *t, struct str id, struct err *e)
{
    char path[CGROUP_FILE_MAX];
    bool in_pool;
    uint32_t alive = 0;
    enum err_code code = find_group(t, id, &in_pool, e);
    if (code != ERR_OK)
        return code == ERR_NOT_FOUND ? ERR_OK : code;

    group_path(t, CGROUP_PIDS, id, in_pool, path);
    (void)!cgroup__put(path, "pids.max", STR("0"), NULL); /* Nobody outruns us by forking. */
    if (t->layout.unified) /* Before Linux 5.14 there is none; the rounds below do it. */
        (void)!cgroup__put(path, "cgroup.kill", STR("1"), NULL);
    for (uint32_t round = 0; round < CGROUP_KILL_ROUNDS_MAX; round++) {
        code = kill_round(t, id, in_pool, &alive, e);
        if (code != ERR_OK || alive == 0)
            return code;
    }
    return err_set(e, ERR_BUSY, STR_FMT ": %u processes still dying", STR_ARG(id), alive);
}

static enum err_code remove_directory(const char *path, struct err *e)
{
    if (rmdir(path) == 0 || errno == ENOENT)
        return ERR_OK;
    return err_set(e, errno == EBUSY ? ERR_BUSY : ERR_UNAVAILABLE, "remove %s: %m", path);
}

enum err_code cgroup_remove(struct cgroup_tree *t, struct str id, struct err *e)
{
    char path[CGROUP_FILE_MAX];
    if (!name_ok(id, RUNTIME_ID_MAX))
        return err_set(e, ERR_INVALID, "\"" STR_FMT "\" cannot name a cgroup", STR_ARG(id));
    for (int in_pool = 0; in_pool <= 1; in_pool++)
        for (uint32_t c = 0; c < CGROUP__COUNT; c++) {
            if (!holds_only_the_instance(t, c, in_pool))
                continue;
            group_path(t, c, id, in_pool, path);
            enum err_code code = remove_directory(path, e);
            if (code != ERR_OK)
                return code;
        }
    return ERR_OK;
}

struct list_visit {
    struct cgroup_tree *t;
    char directory[CGROUP_FILE_MAX];
    uint32_t controller;
    bool in_pool, go_on;
    bool (*visit)(void *arg, struct str id);
    void *arg;
};

/* An instance is named by the first hierarchy that has it. */
static bool seen_before(const struct list_visit *v, struct str id)
{
    char path[CGROUP_FILE_MAX];
    for (int in_pool = 0; in_pool <= v->in_pool; in_pool++) {
        uint32_t end = in_pool == v->in_pool ? v->controller : CGROUP__COUNT;
        for (uint32_t c = 0; c < end; c++) {
            if (!holds_only_the_instance(v->t, c, in_pool))
                continue;
            group_path(v->t, c, id, in_pool, path);
            if (access(path, F_OK) == 0)
                return true;
        }
    }
    return false;
}

static bool visit_group(void *arg, const char *name)
{
    struct list_visit *v = arg;
    struct stat st;
    char path[CGROUP_FILE_MAX + 300];
    struct str id = str_of(name);

    snprintf(path, sizeof path, "%s/%s", v->directory, name);
    bool instance = name_ok(id, RUNTIME_ID_MAX) && lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
    if (instance && !seen_before(v, id))
        v->go_on = v->visit(v->arg, id);
    return v->go_on;
}

enum err_code cgroup_list(struct cgroup_tree *t, bool (*visit)(void *arg, struct str id), void *arg,
                          struct err *e)
{
    struct list_visit v = {.t = t, .go_on = true, .visit = visit, .arg = arg};
    for (int in_pool = 0; in_pool <= 1; in_pool++)
        for (uint32_t c = 0; c < CGROUP__COUNT && v.go_on; c++) {
            if (!holds_only_the_instance(t, c, in_pool))
                continue;
            v.controller = c;
            v.in_pool = in_pool;
            group_path(t, c, (struct str){NULL, 0}, in_pool, v.directory);
            enum err_code code = fs_list(v.directory, visit_group, &v, e);
            if (code != ERR_OK && code != ERR_NOT_FOUND)
                return code;
        }
    return ERR_OK;
}

struct purge_visit {
    struct cgroup_tree *t;
    struct err *e;
    enum err_code code;
};

static bool purge_group(void *arg, struct str id)
{
    struct purge_visit *v = arg;
    v->code = cgroup_kill(v->t, id, v->e);
    if (v->code == ERR_OK)
        v->code = cgroup_remove(v->t, id, v->e);
    return v->code == ERR_OK;
}

enum err_code cgroup_purge(struct cgroup_tree *t, struct err *e)
{
    struct purge_visit v = {.t = t, .e = e};
    char path[CGROUP_FILE_MAX];

    enum err_code code = cgroup_list(t, purge_group, &v, e);
    if (code == ERR_OK)
        code = v.code;
    for (uint32_t c = 0; c < CGROUP__COUNT && code == ERR_OK; c++) {
        const char *const inner[] = {"/pool/system", "/pool", ""};
        for (uint32_t i = 0; i < COUNT_OF(inner) && has_hierarchy(t, c) && code == ERR_OK; i++) {
            snprintf(path, sizeof path, "%s/%s%s", mount_of(t, c), t->parent, inner[i]);
            code = remove_directory(path, e);
        }
    }
    return code;
}
