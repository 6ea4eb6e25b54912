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
#include "io/fs.h"
#include "nodeagent/runtime/oci_instance.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- create --- */

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
    enum err_code code = oci__make(o, i, spec, &e);
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

/* --- its end --- */

/* A pidfd is the process or nobody; a bare pid may be somebody else by now. */
static enum err_code send_signal(const struct instance *i, int signo, struct err *e)
{
    CLEANUP(fs_close) int fd = (int)syscall(SYS_pidfd_open, i->shim.pid, 0);
    if (fd < 0 && fs_is_short(errno))
        return err_set(e, ERR_UNAVAILABLE, "signal %d to %s: %m", signo, i->id);
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
