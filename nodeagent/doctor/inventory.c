/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/doctor/inventory.h"

#include "base/mem.h"
#include "io/clock.h"
#include "io/fs.h"
#include "nodeagent/host/resctrl.h"
#include "nodeagent/host/vfio.h"

#include <stdio.h>
#include <sys/stat.h>

enum { MOUNTS_MAX = 4 << 20, ARENA_MAX = 64 << 20 };

static const struct str SUFFIX_TEMPORARY = {".tmp", 4}, SUFFIX_CONSOLE = {".console", 8};

static struct wall changed(const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return (struct wall){0};
    return (struct wall){(int64_t)st.st_mtim.tv_sec * SPAN_S(1).ns + st.st_mtim.tv_nsec};
}

/* "UID.container.attempt" */
static struct str uid_of(struct str id)
{
    return str_slice(id, 0, str_find(id, '.', 0));
}

struct leftover_view inventory_view(struct inventory *v, bool agent_runs)
{
    inventory__name_links(v);
    return (struct leftover_view){.things = v->things,
                                  .wanted = v->wanted,
                                  .things_count = v->things_count,
                                  .wanted_count = v->wanted_count,
                                  .agent_runs = agent_runs,
                                  .now = clock_wall()};
}

bool inventory_is_recorded(const struct inventory *v, struct str uid)
{
    char path[FS_PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/records/" STR_FMT, v->state, STR_ARG(uid));
    return uid.len > 0 && len < (int)sizeof path && fs_exists(path);
}

/* ---- cgroups ---- */

static bool visit_group(void *arg, struct str id)
{
    struct inventory *v = arg;
    const char *mount = v->layout.mount[v->layout.unified ? 0 : CGROUP_PIDS];
    struct buf below;
    struct host_thing thing = {.kind = HOST_CGROUP, .uid = uid_of(id), .name = id};

    buf_init(&below, CGROUP_PATH_MAX);
    if (cgroup_path(v->cgroups, id, &below, NULL) == ERR_OK)
        thing.since =
            changed(arena_printf(&v->arena, "%s" STR_FMT, mount, STR_ARG(buf_str(&below))).at);
    buf_free(&below);
    inventory__add(v, thing);
    return true;
}

/* cgroup_open() would make what is not there, and looking shall change nothing. */
static enum err_code read_groups(struct inventory *v, struct err *e)
{
    char path[FS_PATH_MAX];
    enum err_code code = cgroup_layout_read(&v->layout, e);
    if (code != ERR_OK ||
        !fs_join(path, v->layout.mount[v->layout.unified ? 0 : CGROUP_PIDS], v->group) ||
        !fs_exists(path))
        return code;
    code = cgroup_open(&v->layout, str_of(v->group), &v->cgroups, e);
    return code == ERR_OK ? cgroup_list(v->cgroups, visit_group, v, e) : code;
}

/* ---- mounts: the fifth field of mountinfo, with blanks and the like in octal (proc(5)) ---- */

static struct str unescape(struct arena *a, struct str escaped)
{
    char *out = arena_alloc(a, escaped.len + 1);
    size_t len = 0;
    for (size_t i = 0; out != NULL && i < escaped.len; i++) {
        const char *c = escaped.at + i;
        bool octal = *c == '\\' && i + 3 < escaped.len;
        out[len++] = octal ? (char)((c[1] - '0') * 64 + (c[2] - '0') * 8 + (c[3] - '0')) : *c;
        i += octal ? 3 : 0;
    }
    return out == NULL ? (struct str){NULL, 0} : str_from(out, len);
}

/* The last made comes first: nothing is unmounted under something else. */
static enum err_code read_mounts(struct inventory *v, struct err *e)
{
    struct buf text;
    struct str below = arena_printf(&v->arena, "%s/pods/", v->state);

    buf_init(&text, MOUNTS_MAX);
    enum err_code code = fs_read("/proc/self/mountinfo", &text, e);
    for (size_t end = text.len; end > 0;) {
        size_t begin = end - 1;
        while (begin > 0 && text.at[begin - 1] != '\n')
            begin--;
        struct str line = str_slice(buf_str(&text), begin, end), part = {0};
        end = begin;
        for (int field = 0; field < 5 && str_split(&line, ' ', &part); field++)
            ;
        struct str path = unescape(&v->arena, part), rest = path;
        if (!str_starts(path, below))
            continue;
        rest = str_slice(path, below.len, path.len);
        inventory__add(v, (struct host_thing){.kind = HOST_MOUNT,
                                              .uid = str_slice(rest, 0, str_find(rest, '/', 0)),
                                              .name = path,
                                              .since = changed(arena_dup(&v->arena, path))});
    }
    buf_free(&text);
    return code;
}

/* ---- the agent's folders ---- */

struct folder {
    struct inventory *v;
    const char *path;
    enum host_kind kind;
};

static bool visit_file(void *arg, const char *name)
{
    struct folder *f = arg;
    char path[FS_PATH_MAX];
    struct str text = str_of(name);
    struct host_thing thing = {.kind = f->kind, .uid = text};

    if (!fs_join(path, f->path, name))
        return true;
    if (f->kind == HOST_TEMPORARY && !str_ends(text, SUFFIX_TEMPORARY) &&
        !str_starts(text, STR("tmp-")))
        return true;
    if (f->kind == HOST_TEMPORARY)
        thing.uid = (struct str){NULL, 0};
    if (f->kind == HOST_INSTANCE) {
        thing.uid = uid_of(text);
        thing.kind = str_ends(text, SUFFIX_CONSOLE) ? HOST_SOCKET : HOST_INSTANCE;
    } else if (f->kind == HOST_LOGS) {
        size_t at = text.len;
        while (at > 0 && name[at - 1] != '_')
            at--;
        thing.uid = str_slice(text, at, text.len);
    }
    thing.name = str_of(path);
    thing.since = changed(path);
    inventory__add(f->v, thing);
    return true;
}

static enum err_code read_folders(struct inventory *v, struct err *e)
{
    static const struct {
        const char *name;
        enum host_kind kind;
    } rows[] = {{"netns", HOST_NETNS},
                {"run", HOST_INSTANCE},
                {"pods", HOST_WORKLOAD},
                {"logs", HOST_LOGS},
                {"records", HOST_TEMPORARY},
                {"images/refs", HOST_TEMPORARY},
                {"images/blobs", HOST_TEMPORARY},
                {"images/layers", HOST_TEMPORARY}};
    char path[FS_PATH_MAX];
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < COUNT_OF(rows) && code == ERR_OK; i++) {
        struct folder f = {v, path, rows[i].kind};
        code = fs_join(path, v->state, rows[i].name) ? fs_list(path, visit_file, &f, e)
                                                     : err_set(e, ERR_LIMIT, "--state is too long");
        if (code == ERR_NOT_FOUND)
            code = ERR_OK;
    }
    return code;
}

static bool visit_function(void *arg, const char *address, struct str owner)
{
    inventory__add(arg,
                   (struct host_thing){.kind = HOST_DEVICE, .uid = owner, .name = str_of(address)});
    return true;
}

static bool visit_cache(void *arg, const char *group)
{
    struct inventory *v = arg;
    struct str name = str_of(group);
    inventory__add(v, (struct host_thing){.kind = HOST_CACHE,
                                          .uid = str_slice(name, strlen(v->group) + 1, name.len),
                                          .name = name});
    return true;
}

static enum err_code read_caches(struct inventory *v, struct err *e)
{
    struct str prefix = arena_printf(&v->arena, "%s.", v->group);
    return resctrl_list(sysfs_real(), prefix, visit_cache, v, e);
}

static enum err_code read_functions(struct inventory *v, struct err *e)
{
    char path[FS_PATH_MAX];
    if (!fs_join(path, v->state, "devices"))
        return err_set(e, ERR_LIMIT, "--state is too long");
    return vfio_list(&(struct vfio){sysfs_real(), path}, visit_function, v, e);
}

/* ---- what should be ---- */

static bool visit_record(void *arg, const char *name)
{
    struct inventory *v = arg;
    if (!str_ends(str_of(name), SUFFIX_TEMPORARY)) {
        inventory_want(v, str_of(name));
        v->records_count++;
    }
    return true;
}

enum err_code inventory_read_wanted(struct inventory *v, struct err *e)
{
    char path[FS_PATH_MAX];
    if (!fs_join(path, v->state, "records"))
        return err_set(e, ERR_LIMIT, "--state is too long");
    enum err_code code = fs_list(path, visit_record, v, e);
    return code == ERR_OK ? ERR_OK
                          : (err_wrap(e, "what should be here is not known"), ERR_UNAVAILABLE);
}

void inventory_drop_logs(struct inventory *v)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < v->things_count; i++)
        if (v->things[i].kind != HOST_LOGS)
            v->things[kept++] = v->things[i];
    v->things_count = kept;
}

/* ---- all of it ---- */

static enum err_code name_it(struct inventory *v, struct err *e)
{
    enum err_code code = identity_read(v->state, &v->identity, e);
    int len = snprintf(v->group, sizeof v->group, "baton-%s-%s", v->identity.cluster_id,
                       v->identity.node_name);
    if (code == ERR_OK && len >= (int)sizeof v->group)
        code = err_set(e, ERR_LIMIT, "the names of cluster and node are too long");
    return code;
}

enum err_code inventory_read(const char *state, struct inventory *out, struct err *e)
{
    struct inventory *v = out;
    *v = (struct inventory){.state = state};
    arena_init(&v->arena, ARENA_MAX);
    enum err_code code = name_it(v, e);
    if (code != ERR_OK)
        return code;
    code = inventory__processes(v, e);
    if (code == ERR_OK)
        code = read_groups(v, e);
    if (code == ERR_OK)
        code = read_mounts(v, e);
    if (code == ERR_OK)
        code = read_folders(v, e);
    if (code == ERR_OK)
        code = read_functions(v, e);
    if (code == ERR_OK)
        code = read_caches(v, e);
    if (code == ERR_OK)
        code = inventory__links(v, e);
    if (code == ERR_OK)
        code = arena_status(&v->arena, e);
    if (code == ERR_OK && v->full != ERR_OK)
        code = err_set(e, ERR_LIMIT, "over %d things on this host", HOST_THINGS_MAX);
    return code == ERR_NOT_FOUND ? ERR_UNAVAILABLE : code; /* Only who never joined is not found. */
}

void inventory_free(struct inventory *v)
{
    cgroup_close(v->cgroups);
    net_close(v->net);
    mem_free(v->things);
    mem_free(v->wanted);
    arena_free(&v->arena);
    identity_free(&v->identity);
}
