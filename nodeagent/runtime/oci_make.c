/* SPDX-License-Identifier: Apache-2.0 */
/* What a create leaves on the host: a group, a directory, config.json for the runtime's command, shim.conf for the shim. */
#include "io/fs.h"
#include "nodeagent/runtime/oci_instance.h"
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static enum err_code put(const struct instance *i, const char *file, struct str text, struct err *e)
{
    char path[OCI_PATH_MAX];
    if (!fs_join(path, i->directory, file))
        return err_set(e, ERR_LIMIT, "%s is too long", i->directory);
    return fs_put(path, text, 0600, e);
}

static struct cgroup_limits limits_of(const struct oci *o, const struct runtime_spec *spec)
{
    const struct runtime_cpu *cpu = &spec->cpu;
    int64_t pids = spec->container.pids_max;
    struct cgroup_limits l = {.exclusive = cpu->exclusive,
                              .cpus = cpu->cpus,
                              .weight_milli = cpu->exclusive ? cpuset_count(&cpu->cpus) * 1000
                                                             : cpu->weight_milli,
                              .quota_us = cpu->exclusive ? 0 : cpu->quota_us,
                              .memory_bytes = spec->memory_max_bytes,
                              .huge_2m_bytes = spec->huge_2m_bytes,
                              .huge_1g_bytes = spec->huge_1g_bytes,
                              .pids_max = pids > 0 ? pids : o->pids_max};
    for (uint32_t n = 0; n < cpu->numa_nodes_count && n < COUNT_OF(cpu->numa_nodes); n++)
        cpuset_add(&l.mems, cpu->numa_nodes[n]);
    return l;
}

/* Looked at now: what VFIO made for this container has its numbers since a moment ago. */
static enum err_code look_at_nodes(const struct runtime_container *c,
                                   struct oci_node out[RUNTIME_DEVICES_MAX], struct err *e)
{
    if (c->devices_count > RUNTIME_DEVICES_MAX)
        return err_set(e, ERR_LIMIT, "%u device nodes; a container gets %d", c->devices_count,
                       RUNTIME_DEVICES_MAX);
    for (uint32_t i = 0; i < c->devices_count; i++) {
        char path[OCI_PATH_MAX];
        struct stat st;
        snprintf(path, sizeof path, STR_FMT, STR_ARG(c->devices[i]));
        if (stat(path, &st) != 0)
            return err_set(e, ERR_UNAVAILABLE, "device %s: %m", path);
        if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
            return err_set(e, ERR_INVALID, "%s is no device", path);
        out[i] = (struct oci_node){S_ISBLK(st.st_mode), major(st.st_rdev), minor(st.st_rdev)};
    }
    return ERR_OK;
}

/* What the host has of the mounts. The array is the caller's, of RUNTIME_MOUNTS_MAX. */
static void leave_out_missing(struct runtime_container *c, struct runtime_mount *kept)
{
    char path[FS_PATH_MAX];
    uint32_t count = 0;

    for (uint32_t i = 0; i < c->mounts_count; i++) {
        snprintf(path, sizeof path, STR_FMT, STR_ARG(c->mounts[i].source));
        if (!c->mounts[i].optional || fs_exists(path))
            kept[count++] = c->mounts[i];
    }
    c->mounts = kept;
    c->mounts_count = count;
}

/* The shim looks at what lies between a volume and a part of it, when it mounts that part. */
static enum err_code check_parts(const struct runtime_container *c, struct err *e)
{
    for (uint32_t i = 0; i < c->mounts_count; i++) {
        const struct runtime_mount *m = &c->mounts[i];
        if (m->below.len > 0 &&
            (!str_starts(m->source, m->below) || str_find(m->source, '\n', 0) < m->source.len))
            return err_set(e, ERR_INVALID, STR_FMT " names no part of a volume",
                           STR_ARG(m->source));
    }
    return ERR_OK;
}

static enum err_code write_config(struct oci *o, const struct instance *i,
                                  const struct runtime_spec *spec, struct err *e)
{
    struct runtime_mount kept[RUNTIME_MOUNTS_MAX];
    struct oci_host host = o->host;
    struct runtime_spec here = *spec;
    struct buf text, group;
    struct oci_node nodes[RUNTIME_DEVICES_MAX];
    enum err_code code = look_at_nodes(&spec->container, nodes, e);

    if (code == ERR_OK)
        code = check_parts(&spec->container, e);
    if (code != ERR_OK)
        return code;
    host.nodes = nodes;
    host.directory = str_of(i->directory);
    buf_init(&text, OCI_CONFIG_MAX);
    buf_init(&group, OCI_PATH_MAX);
    if (o->is_runc)
        code = cgroup_path(o->cgroups, spec->id, &group, e);
    host.cgroups_path = buf_str(&group);
    leave_out_missing(&here.container, kept);
    oci_config_print(&text, &here, &host);
    if (code == ERR_OK)
        code = buf_status(&text, e);
    if (code == ERR_OK)
        code = put(i, "config.json", buf_str(&text), e);
    buf_free(&group);
    buf_free(&text);
    return code;
}

/* What the runtime's command must not see of the hierarchies. crun refuses a host that has v2 beside v1
 * and is told to leave groups alone; runc cannot be told, and shall find no v1 hierarchy but devices,
 * without which it refuses to run: docs/decisions/0071. */
static void print_hides(const struct oci *o, struct buf *out)
{
    const struct cgroup_layout *l = cgroup_layout(o->cgroups);
    if (l->beside[0] != '\0')
        buf_printf(out, "%s\n", l->beside);
    for (uint32_t i = 0; o->is_runc && !l->unified && i < l->v1_count; i++)
        if (strcmp(l->v1[i], l->mount[CGROUP_DEVICES]) != 0)
            buf_printf(out, "%s\n", l->v1[i]);
}

static enum err_code write_conf(struct oci *o, const struct instance *i,
                                const struct runtime_spec *spec, struct err *e)
{
    struct buf files, hides, text;

    buf_init(&files, OCI_RECORD_MAX);
    buf_init(&hides, OCI_RECORD_MAX);
    print_hides(o, &hides);
    buf_init(&text, OCI_RECORD_MAX);
    enum err_code code = cgroup_procs_files(o->cgroups, spec->id, &files, e);
    if (code == ERR_OK) {
        oci_conf_print(&text, spec, o->command, buf_str(&hides), buf_str(&files), &i->record);
        code = buf_status(&text, e);
    }
    if (code == ERR_OK)
        code = put(i, "shim.conf", buf_str(&text), e);
    buf_free(&text);
    buf_free(&hides);
    buf_free(&files);
    return code;
}

static enum err_code make_log_directory(struct str log_path, struct err *e)
{
    char path[OCI_PATH_MAX];
    snprintf(path, sizeof path, STR_FMT, STR_ARG(log_path));
    char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path || log_path.len >= sizeof path ||
        str_find(log_path, '\n', 0) < log_path.len)
        return err_set(e, ERR_INVALID, "log path " STR_FMT, STR_ARG(log_path));
    *slash = '\0';
    return fs_mkdir(path, 0755, e);
}

/* The record is written last: a directory without it is a create that never came to its end. */
enum err_code oci__make(struct oci *o, struct instance *i, const struct runtime_spec *spec,
                        struct err *e)
{
    const struct runtime_container *c = &spec->container;
    struct cgroup_limits limits = limits_of(o, spec);

    i->record = (struct oci_record){.exclusive = spec->cpu.exclusive,
                                    .cpus = spec->cpu.cpus,
                                    .weight_milli = limits.weight_milli};
    limits.weight_milli = max_u32(limits.weight_milli, START_WEIGHT_MILLI);
    if (c->args_count == 0)
        return err_set(e, ERR_INVALID, "neither the image nor the container names a command");
    if (oci_signal_parse(c->stop_signal, &i->record.stop_signal) != ERR_OK)
        return err_set(e, ERR_INVALID, "no signal is called " STR_FMT, STR_ARG(c->stop_signal));
    enum err_code code = make_log_directory(c->log_path, e);
    if (code == ERR_OK)
        code = fs_mkdir(i->directory, 0700, e);
    if (code == ERR_OK)
        code = cgroup_make(o->cgroups, spec->id, &limits, e);
    if (code == ERR_OK)
        code = write_config(o, i, spec, e);
    return code != ERR_OK ? code : write_conf(o, i, spec, e);
}
