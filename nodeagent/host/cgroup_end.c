/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is in a group, and its end: killed, removed, listed, all of them taken away. An instance's group may hold groups of the
 * instance's own (systemd in a privileged container makes some): they end with it.
 */
#include "base/mem.h"
#include "io/fs.h"
#include "nodeagent/host/cgroup_priv.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INSIDE_DEPTH_MAX = 32 }; /* Deeper ones are left, and keep the group busy. */

/* ---- groups in a group ---- */

struct inside {
    const char *path;
    uint32_t depth;
    void (*visit)(void *arg, const char *path);
    void *arg;
};

/* In cgroupfs, as in most, a directory has a link from each directory in it. */
static bool has_inside(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && st.st_nlink > 2;
}

static void each_inside(const struct inside *in);

static bool visit_inside(void *arg, const char *name)
{
    const struct inside *in = arg;
    char path[FS_PATH_MAX];
    struct stat st;
    if (!fs_join(path, in->path, name) || lstat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return true;
    each_inside(&(struct inside){path, in->depth + 1, in->visit, in->arg});
    in->visit(in->arg, path);
    return true;
}

/* The innermost first. What ends meanwhile is no matter: whoever kills or removes looks again. */
static void each_inside(const struct inside *in)
{
    if (in->depth < INSIDE_DEPTH_MAX && has_inside(in->path))
        (void)!fs_list(in->path, visit_inside, (void *)(uintptr_t)in, NULL);
}

/* ---- who is there ---- */

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

static enum err_code read_pids(const char *path, int32_t *pids, uint32_t pids_size,
                               uint32_t *out_count, struct err *e)
{
    struct buf text;

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

enum err_code cgroup_get_pids(struct cgroup_tree *t, struct str id, int32_t *pids,
                              uint32_t pids_size, uint32_t *out_count, struct err *e)
{
    char path[CGROUP_FILE_MAX];
    bool in_pool;
    enum err_code code = cgroup__find(t, id, &in_pool, e);
    if (code != ERR_OK)
        return code;
    cgroup__path(t, t->layout.unified ? 0 : CGROUP_PIDS, id, in_pool, path);
    return read_pids(path, pids, pids_size, out_count, e);
}

/* ---- the end of one ---- */

struct killing {
    int32_t *pids; /* Room for CGROUP_PIDS_MAX. */
    uint32_t alive;
};

static enum err_code kill_in(struct killing *k, const char *path, struct err *e)
{
    uint32_t count = 0;
    enum err_code code = read_pids(path, k->pids, CGROUP_PIDS_MAX, &count, e);
    for (uint32_t i = 0; i < count && code == ERR_OK; i++)
        if (k->pids[i] > 1) /* 0: in a pid namespace we cannot see; never ours. */
            kill(k->pids[i], SIGKILL);
    k->alive += count;
    return code;
}

/* A group of threads (v2) names no processes; they stand in the group around it. */
static void kill_inside(void *arg, const char *path)
{
    (void)!kill_in(arg, path, NULL);
}

/* In every hierarchy: a launcher that was killed while it entered is in some of them only. */
static enum err_code kill_round(const struct cgroup_tree *t, struct str id, bool in_pool,
                                uint32_t *out_alive, struct err *e)
{
    struct killing k = {.pids = mem_alloc(sizeof *k.pids * CGROUP_PIDS_MAX)};
    char path[CGROUP_FILE_MAX];
    enum err_code code = ERR_OK;

    for (uint32_t c = 0; c < CGROUP__COUNT && code == ERR_OK; c++) {
        if (!cgroup__is_its_own(t, c, in_pool))
            continue;
        cgroup__path(t, c, id, in_pool, path);
        code = kill_in(&k, path, e);
        each_inside(&(struct inside){path, 0, kill_inside, &k});
    }
    mem_free(k.pids);
    *out_alive = k.alive;
    return code;
}

enum err_code cgroup_kill(struct cgroup_tree *t, struct str id, struct err *e)
{
    char path[CGROUP_FILE_MAX];
    bool in_pool;
    uint32_t alive = 0;
    enum err_code code = cgroup__find(t, id, &in_pool, e);
    if (code != ERR_OK)
        return code == ERR_NOT_FOUND ? ERR_OK : code;

    cgroup__path(t, CGROUP_PIDS, id, in_pool, path);
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

static void remove_inside(void *arg, const char *path)
{
    (void)arg;
    (void)rmdir(path); /* The one around it says what is left. */
}

static enum err_code remove_directory(const char *path, struct err *e)
{
    if (rmdir(path) == 0 || errno == ENOENT)
        return ERR_OK;
    return err_set(e, errno == EBUSY ? ERR_BUSY : ERR_UNAVAILABLE, "remove %s: %m", path);
}

static enum err_code remove_whole(const char *path, struct err *e)
{
    if (rmdir(path) != 0 && errno == EBUSY)
        each_inside(&(struct inside){path, 0, remove_inside, NULL});
    return remove_directory(path, e);
}

enum err_code cgroup_remove(struct cgroup_tree *t, struct str id, struct err *e)
{
    char path[CGROUP_FILE_MAX];
    if (!cgroup__name_ok(id, RUNTIME_ID_MAX))
        return err_set(e, ERR_INVALID, "\"" STR_FMT "\" cannot name a cgroup", STR_ARG(id));
    for (int in_pool = 0; in_pool <= 1; in_pool++)
        for (uint32_t c = 0; c < CGROUP__COUNT; c++) {
            if (!cgroup__is_its_own(t, c, in_pool))
                continue;
            cgroup__path(t, c, id, in_pool, path);
            enum err_code code = remove_whole(path, e);
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
            if (!cgroup__is_its_own(v->t, c, in_pool))
                continue;
            cgroup__path(v->t, c, id, in_pool, path);
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
    bool instance =
        cgroup__name_ok(id, RUNTIME_ID_MAX) && lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
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
            if (!cgroup__is_its_own(t, c, in_pool))
                continue;
            v.controller = c;
            v.in_pool = in_pool;
            cgroup__path(t, c, (struct str){NULL, 0}, in_pool, v.directory);
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
        for (uint32_t i = 0; i < COUNT_OF(inner) && cgroup__has_hierarchy(t, c) && code == ERR_OK;
             i++) {
            snprintf(path, sizeof path, "%s/%s%s", cgroup__mount(t, c), t->parent, inner[i]);
            code = remove_directory(path, e);
        }
    }
    return code;
}
