/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instance is one slot of a fixed table. Its life here:
 *
 *   CREATED --start--> STARTING --shim reports--> RUNNING --shim is gone--> STOPPED
 *      any of them --destroy--> DESTROYING (kill, wait for the shim, remove) --> slot free
 *
 * Everything but the shim's launch, the shim's end and the kernel's own tidying is done at once; DONE
 * is queued and posted from the loop, never from inside the call.
 */
#include "base/mem.h"
#include "io/clock.h"
#include "io/fs.h"
#include "nodeagent/host/cpuset_proc.h"
#include "nodeagent/runtime/oci_instance.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static enum err_code put(const struct instance *i, const char *file, struct str text, struct err *e)
{
    char path[OCI_PATH_MAX];
    if (!fs_join(path, i->directory, file))
        return err_set(e, ERR_LIMIT, "%s is too long", i->directory);
    return fs_put(path, text, 0600, e);
}

/* --- create --- */

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

static enum err_code write_config(struct oci *o, const struct instance *i,
                                  const struct runtime_spec *spec, struct err *e)
{
    struct runtime_mount kept[RUNTIME_MOUNTS_MAX];
    struct oci_host host = o->host;
    struct runtime_spec here = *spec;
    struct buf text, group;
    struct oci_node nodes[RUNTIME_DEVICES_MAX];
    enum err_code code = look_at_nodes(&spec->container, nodes, e);

    if (code != ERR_OK)
        return code;
    host.nodes = nodes;
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
static enum err_code make(struct oci *o, struct instance *i, const struct runtime_spec *spec,
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

static void oci_create(struct runtime *r, uint64_t op, const struct runtime_spec *spec)
{
    struct oci *o = CONTAINER_OF(r, struct oci, runtime);
    struct err e = {0};

    if (oci__find(o, spec->id) != NULL) {
        oci__done(o, op, spec->id, err_set(&e, ERR_CONFLICT, STR_FMT " exists", STR_ARG(spec->id)),
                  &e);
        return;
    }
    struct instance *i = oci__take(o, spec->id, spec->directory, &e);
    if (i == NULL) {
        oci__done(o, op, spec->id, e.code, &e);
        return;
    }
    oci__move(i, OCI_CREATED);
    enum err_code code = make(o, i, spec, &e);
    if (code != ERR_OK) { /* Nobody is in the group: it goes at once. */
        (void)!cgroup_remove(o->cgroups, spec->id, NULL);
        (void)!fs_remove_tree(i->directory, NULL);
        oci__move(i, OCI_FREE);
        oci__give(o, i);
    }
    oci__done(o, op, spec->id, code, &e);
}

/* --- start --- */

/* An exclusive instance starts only beside a pool that has left its cpus. */
static enum err_code pool_has_left(struct oci *o, const struct instance *i, struct err *e)
{
    struct cpuset pool;
    if (!i->record.exclusive)
        return ERR_OK;
    enum err_code code = cgroup_pool_get(o->cgroups, &pool, e);
    if (code == ERR_OK && cpuset_overlaps(&pool, &i->record.cpus))
        code = err_set(e, ERR_CONFLICT, "the shared pool is still on %s's cpus", i->id);
    return code;
}

static void oci_start(struct runtime *r, uint64_t op, struct str id)
{
    struct oci *o = CONTAINER_OF(r, struct oci, runtime);
    struct instance *i = oci__find(o, id);
    struct err e = {0};

    if (i == NULL || i->state != OCI_CREATED) {
        oci__done(o, op, id,
                  err_set(&e, i == NULL ? ERR_NOT_FOUND : ERR_CONFLICT,
                          STR_FMT " is not there to start", STR_ARG(id)),
                  &e);
        return;
    }
    if (pool_has_left(o, i, &e) != ERR_OK) {
        oci__done(o, op, id, e.code, &e);
        return;
    }
    const char *argv[] = {o->shim, i->directory, NULL};
    struct proc_request request = {
        .argv = argv, .capture_max = 4096, .timeout = SPAN_S(START_LIMIT_S)};
    oci__move(i, OCI_STARTING);
    i->start_op = op;
    i->launch = proc_run(&o->client, oci__io_op(i, IO_START), &request);
}

void oci__watch_shim(struct oci *o, struct instance *i)
{
    i->owes_exit = true;
    i->watch = proc_watch(&o->client, oci__io_op(i, IO_SHIM), i->shim.shim_pid, i->shim.shim_start);
}

/* The kernel's word on where the instance may run: its threads, or its group when it has ended. */
enum err_code oci__read_back(struct oci *o, const struct instance *i, struct cpuset *out,
                             struct err *e)
{
    struct cpuset allowed;
    uint32_t threads;
    enum err_code code = cgroup_get_cpus(o->cgroups, str_of(i->id), &allowed, e);
    if (code != ERR_OK)
        return code;
    code = cpuset_of_threads(i->shim.pid, out, &threads, e);
    if (code == ERR_NOT_FOUND || proc_start_time(i->shim.pid) != i->shim.start) {
        *out = allowed;
        return ERR_OK;
    }
    if (code == ERR_OK && !cpuset_within(out, &allowed))
        code = err_set(e, ERR_CONFLICT, "%s has threads beyond its cpus", i->id);
    if (code == ERR_OK && i->record.exclusive && !cpuset_within(out, &i->record.cpus))
        code = err_set(e, ERR_CONFLICT, "%s has threads beyond the granted cpus", i->id);
    return code;
}

static void start_failed(struct oci *o, struct instance *i, enum err_code code, const struct err *e)
{
    uint64_t op = i->start_op;
    i->start_op = 0;
    (void)!cgroup_kill(o->cgroups, str_of(i->id), NULL);
    oci__done(o, op, str_of(i->id), code, e);
    if (i->state == OCI_STARTING)
        oci__move(i, OCI_CREATED);
}

static void start_succeeded(struct oci *o, struct instance *i)
{
    struct runtime_event ev = oci__event(RUNTIME_DONE, i->start_op, str_of(i->id));
    struct err e = {0};

    oci__watch_shim(o, i);
    if (i->state == OCI_STARTING)
        oci__move(i, OCI_RUNNING);
    ev.code = cgroup_set_weight(o->cgroups, str_of(i->id), i->record.weight_milli, &e);
    if (ev.code == ERR_OK)
        ev.code = oci__read_back(o, i, &ev.cpus, &e);
    ev.pid = i->shim.pid;
    ev.started = i->shim.started;
    if (ev.code != ERR_OK) {
        snprintf(ev.text, sizeof ev.text, "%s", e.text);
        (void)!cgroup_kill(o->cgroups, str_of(i->id), NULL);
        i->owes_exit = false; /* No successful start, no EXITED. */
    }
    i->start_op = 0;
    oci__later(o, &ev);
}

void oci__shim_reported(struct oci *o, struct instance *i, const struct io_event *ev)
{
    struct err e = {0};
    i->launch = NULL;
    if (ev->proc.started && ev->proc.status == 0 &&
        oci_shim_parse(ev->proc.out, &i->shim) == ERR_OK) {
        start_succeeded(o, i);
        return;
    }
    if (!ev->proc.started)
        e = ev->err;
    else if (ev->proc.timed_out)
        err_set(&e, ERR_UNAVAILABLE, "the runtime did not start it within %d s", START_LIMIT_S);
    else
        err_set(&e, ERR_UNAVAILABLE, STR_FMT, STR_ARG(str_trim(ev->proc.out)));
    start_failed(o, i, ERR_UNAVAILABLE, &e);
}

/* --- its end --- */

/* A pidfd is the process or nobody; a bare pid may be somebody else by now. */
static enum err_code send_signal(const struct instance *i, int signo, struct err *e)
{
    CLEANUP(fs_close) int fd = (int)syscall(SYS_pidfd_open, i->shim.pid, 0);
    if (fd < 0 || proc_start_time(i->shim.pid) != i->shim.start)
        return ERR_OK; /* It is gone: nobody to ask. */
    if (syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0) == 0 || errno == ESRCH)
        return ERR_OK;
    return err_set(e, ERR_UNAVAILABLE, "signal %d to %s: %m", signo, i->id);
}

static void oci_stop(struct runtime *r, uint64_t op, struct str id)
{
    struct oci *o = CONTAINER_OF(r, struct oci, runtime);
    struct instance *i = oci__find(o, id);
    struct err e = {0};
    enum err_code code = ERR_OK;

    if (i == NULL)
        code = err_set(&e, ERR_NOT_FOUND, "no instance " STR_FMT, STR_ARG(id));
    else if (i->state == OCI_RUNNING)
        code = send_signal(i, i->record.stop_signal, &e);
    oci__done(o, op, id, code, &e);
}

static void oci_kill(struct runtime *r, uint64_t op, struct str id)
{
    struct oci *o = CONTAINER_OF(r, struct oci, runtime);
    struct instance *i = oci__find(o, id);
    struct err e = {0};
    enum err_code code = ERR_OK;

    if (i == NULL)
        code = err_set(&e, ERR_NOT_FOUND, "no instance " STR_FMT, STR_ARG(id));
    else
        code = cgroup_kill(o->cgroups, id, &e);
    oci__done(o, op, id, code == ERR_BUSY ? ERR_OK : code, &e); /* Told; EXITED says when. */
}

static void read_exit(const struct instance *i, struct runtime_event *ev)
{
    struct buf text;
    struct oci_exit x = {137, SIGKILL, {0}}; /* No file: the shim itself was killed. */

    buf_init(&text, 4096);
    if (oci__get(i->directory, "exit", &text, NULL) != ERR_OK ||
        oci_exit_parse(buf_str(&text), &x) != ERR_OK)
        x.finished = clock_wall();
    buf_free(&text);
    ev->exit_code = x.code;
    ev->signal = x.signal;
    ev->finished = x.finished;
}

void oci__tell_exit(struct oci *o, struct instance *i)
{
    struct runtime_event ev = oci__event(RUNTIME_EXITED, 0, str_of(i->id));
    struct cgroup_stats stats;

    if (!i->owes_exit)
        return;
    i->owes_exit = false;
    read_exit(i, &ev);
    ev.pid = i->shim.pid;
    ev.started = i->shim.started;
    ev.oom_killed =
        cgroup_get_stats(o->cgroups, str_of(i->id), &stats, NULL) == ERR_OK && stats.oom_kills > 0;
    oci__later(o, &ev);
}

/* Also when the shim was killed and the container lives: without its shim it is ended, because its
 * output has no reader and its exit no witness. */
void oci__shim_is_gone(struct oci *o, struct instance *i)
{
    i->watch = NULL;
    (void)!cgroup_kill(o->cgroups, str_of(i->id), NULL);
    oci__tell_exit(o, i);
    if (i->state == OCI_RUNNING)
        oci__move(i, OCI_STOPPED);
    if (i->state == OCI_DESTROYING)
        oci__step_destroy(o, i);
}

/* --- destroy --- */

static void retry_later(struct oci *o, struct instance *i, struct instant now)
{
    i->retry_at = instant_add(now, i->retry_in);
    i->retry_in.ns = i->retry_in.ns * 2 < SPAN_MS(RETRY_MAX_MS).ns ? i->retry_in.ns * 2
                                                                   : SPAN_MS(RETRY_MAX_MS).ns;
    loop_set_deadline(&o->client, instant_earlier(o->client.deadline, i->retry_at));
}

static enum err_code try_remove(struct oci *o, struct instance *i, struct err *e)
{
    enum err_code code = cgroup_kill(o->cgroups, str_of(i->id), e);
    if (code == ERR_OK)
        code = cgroup_remove(o->cgroups, str_of(i->id), e);
    if (code == ERR_OK && (i->launch != NULL || i->watch != NULL))
        code = err_set(e, ERR_BUSY, "%s's shim is still there", i->id);
    return code != ERR_OK ? code : fs_remove_tree(i->directory, e);
}

void oci__step_destroy(struct oci *o, struct instance *i)
{
    struct instant now = loop_now(o->client.loop);
    struct err e = {0};
    enum err_code code = try_remove(o, i, &e);

    if (code != ERR_OK && !instant_due(i->give_up_at, now)) {
        retry_later(o, i, now);
        return;
    }
    if (code != ERR_OK && i->watch != NULL)
        kill(i->shim.shim_pid, SIGKILL); /* Not even its container's end moved it. */
    oci__tell_exit(o, i);
    oci__done(o, i->end_op, str_of(i->id), code, &e);
    o->destroying_count--;
    if (code != ERR_OK) { /* It stays, so that another destroy can try again. */
        i->end_op = 0;
        i->retry_at = (struct instant){0};
        return;
    }
    oci__move(i, OCI_FREE);
    oci__give(o, i);
}

static void oci_destroy(struct runtime *r, uint64_t op, struct str id)
{
    struct oci *o = CONTAINER_OF(r, struct oci, runtime);
    struct instance *i = oci__find(o, id);
    struct err e = {0};
    char directory[OCI_PATH_MAX];

    if (i == NULL) { /* Nobody we know; but what a crash left under that name goes too. */
        int len = snprintf(directory, sizeof directory, "%s/" STR_FMT, o->state, STR_ARG(id));
        i = oci__take(o, id, str_from(directory, (size_t)len), &e);
    }
    if (i == NULL || i->end_op != 0) {
        if (i != NULL)
            err_set(&e, ERR_CONFLICT, "%s is being destroyed", i->id);
        oci__done(o, op, id, e.code, &e);
        return;
    }
    if (i->state != OCI_DESTROYING)
        oci__move(i, OCI_DESTROYING);
    i->end_op = op;
    o->destroying_count++;
    i->retry_in = SPAN_MS(RETRY_FIRST_MS);
    i->give_up_at = instant_add(loop_now(o->client.loop), SPAN_S(DESTROY_LIMIT_S));
    oci__step_destroy(o, i);
}

/* --- set_cpus --- */

static void oci_set_cpus(struct runtime *r, uint64_t op, struct str id,
                         const struct runtime_cpu *cpu)
{
    struct oci *o = CONTAINER_OF(r, struct oci, runtime);
    struct instance *i = oci__find(o, id);
    struct runtime_event ev = oci__event(RUNTIME_DONE, op, id);
    struct err e = {0};

    if (i == NULL)
        ev.code = err_set(&e, ERR_NOT_FOUND, "no instance " STR_FMT, STR_ARG(id));
    else if (!i->record.exclusive)
        ev.code = cgroup_pool_set(o->cgroups, &cpu->cpus, &e);
    if (ev.code == ERR_OK)
        ev.code = i->state == OCI_RUNNING ? oci__read_back(o, i, &ev.cpus, &e)
                                          : cgroup_get_cpus(o->cgroups, id, &ev.cpus, &e);
    if (ev.code != ERR_OK)
        snprintf(ev.text, sizeof ev.text, "%s", e.text);
    oci__later(o, &ev);
}

const struct runtime_ops oci__ops = {oci_create,   oci_start, oci_stop,  oci_kill,  oci_destroy,
                                     oci_set_cpus, oci__exec, oci__list, oci__close};
