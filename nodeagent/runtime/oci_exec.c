/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands inside running containers: probes and hooks. `baton-shim --exec` enters the container's groups
 * (and hides what its runtime must not see), runs the runtime's own `exec`, and kills all of it when its time
 * is over: what that command started does not outlive it.
 */
#include "base/arena.h"
#include "nodeagent/runtime/oci_instance.h"
#include <signal.h>
#include <stdio.h>

enum { EXEC_SPARE_S = 5, SAID_MAX = 4096 }; /* SPARE: for the shim to do the killing. */

static const char TIMED_OUT[] = "baton-shim: timed out"; /* nodeagent/shim/exec.c */

static struct oci_exec *take(struct oci *o, uint64_t op)
{
    for (uint32_t i = 0; i < RUNTIME_EXECS_MAX; i++)
        if (o->execs[i].op == 0) {
            o->execs[i].op = op;
            o->execs_count++;
            return &o->execs[i];
        }
    return NULL;
}

static bool fill(const char *argv[], struct arena *a, const struct runtime_exec *x)
{
    for (uint32_t i = 0; i < x->args_count; i++)
        if ((argv[i] = arena_dup(a, x->args[i])) == NULL)
            return false;
    argv[x->args_count] = NULL;
    return true;
}

static void launch(struct oci *o, struct oci_exec *one, const char *directory,
                   const struct runtime_exec *x)
{
    enum { FIXED = 4 };
    char ms[24];
    const char *argv[RUNTIME_ARGS_MAX + FIXED + 1] = {o->shim, "--exec", directory, ms};
    struct arena a;
    arena_init(&a, 4 << 20);
    snprintf(ms, sizeof ms, "%lld", (long long)(x->timeout.ns / 1000000));
    struct proc_request request = {
        .argv = argv,
        .capture_max = SAID_MAX,
        .timeout = {x->timeout.ns + SPAN_S(EXEC_SPARE_S).ns},
        .detached = true, /* So that all of it is killed, should the shim hang. */
    };
    uint64_t io_op = IO_EXEC | (uint64_t)(one - o->execs) << 8;
    if (!fill(argv + FIXED, &a, x))
        argv[1] = "--none"; /* Too long: the shim refuses, and that is the answer. */
    one->proc = proc_run(&o->client, io_op, &request);
    arena_free(&a);
}

void oci__exec(struct runtime *r, uint64_t op, struct str id, const struct runtime_exec *x)
{
    struct oci *o = CONTAINER_OF(r, struct oci, runtime);
    struct instance *i = oci__find(o, id);
    struct err e = {0};
    struct oci_exec *one = NULL;

    if (i == NULL || i->state != OCI_RUNNING)
        err_set(&e, ERR_NOT_FOUND, STR_FMT " does not run", STR_ARG(id));
    else if (x->args_count == 0 || x->args_count > RUNTIME_ARGS_MAX)
        err_set(&e, ERR_INVALID, "a command has 1 to %d words", RUNTIME_ARGS_MAX);
    else if (o->closing || (one = take(o, op)) == NULL)
        err_set(&e, ERR_BUSY, "too many commands in containers at once");
    if (e.code != ERR_OK)
        oci__done(o, op, id, e.code, &e);
    else
        launch(o, one, i->directory, x);
}

/* The end of what it said: there stands why. */
static void said(const struct io_event *ev, char *out, size_t size)
{
    struct str text = str_trim(ev->proc.out);
    if (text.len == 0)
        text = str_trim(ev->proc.err);
    size_t from = text.len >= size ? text.len - size + 1 : 0;
    text = str_slice(text, from, text.len);
    snprintf(out, size, STR_FMT, STR_ARG(str_is_utf8(text) ? text : STR("(not text)")));
}

void oci__exec_done(struct oci *o, const struct io_event *ev)
{
    struct oci_exec *one = &o->execs[ev->op >> 8 & 0xff];
    struct runtime_event done = oci__event(RUNTIME_DONE, one->op, (struct str){NULL, 0});

    *one = (struct oci_exec){0};
    o->execs_count--;
    said(ev, done.text, sizeof done.text);
    done.exit_code = ev->proc.signo != 0 ? 128 + ev->proc.signo : ev->proc.status;
    if (!ev->proc.started) {
        done.code = ERR_UNAVAILABLE;
        snprintf(done.text, sizeof done.text, "%s", ev->err.text);
    } else if (ev->proc.timed_out || str_ends(str_trim(ev->proc.err), str_of(TIMED_OUT))) {
        done.code = ERR_UNAVAILABLE;
        snprintf(done.text, sizeof done.text, "command timed out");
    }
    oci__later(o, &done);
}

void oci__exec_kill(struct oci *o)
{
    for (uint32_t i = 0; i < RUNTIME_EXECS_MAX; i++)
        if (o->execs[i].op != 0 && o->execs[i].proc != NULL)
            proc_kill(o->execs[i].proc, SIGKILL);
}
