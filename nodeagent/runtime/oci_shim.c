/* SPDX-License-Identifier: Apache-2.0 */
/* What is heard of a shim, its container's exit with it, and what follows: a start's answer, a destroy's next try. */
#include "io/clock.h"
#include "io/fs.h"
#include "nodeagent/host/cpuset_proc.h"
#include "nodeagent/runtime/oci_instance.h"
#include <signal.h>
#include <stdio.h>

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
    if (!o->unlisted)
        oci__tell_exit(o, i);
    if (i->state == OCI_RUNNING)
        oci__move(i, OCI_STOPPED);
    if (i->state == OCI_DESTROYING)
        oci__step_destroy(o, i);
}

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
