/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime_qemu.c -- the operations of runtime.h on machines, and what happens to them meanwhile.
 *
 * Three things happen to a machine: its process ends (IO_PROC_DONE, IO_PROC_GONE), its QMP session says
 * something (IO_TCP_*), its deadline passes. Each finds the machine by slot and generation, so what
 * comes late for one that is gone finds nobody.
 */
#include "base/mem.h"
#include "io/clock.h"
#include "io/fs.h"
#include "nodeagent/runtime/qemu_priv.h"

#include <signal.h>
#include <stdio.h>

static const struct span CREATE_LIMIT = SPAN_S(QEMU_CREATE_LIMIT_S);
static const struct span ANSWER_LIMIT = SPAN_S(QEMU_ANSWER_LIMIT_S);
static const struct span REMOVE_RETRY = SPAN_MS(5); /* A group whose last thread is dying. */
static const struct span BUTTON_EVERY = SPAN_S(1);
static const struct span LOGS_EVERY = SPAN_S(5);

/* Give the sink what is queued. It may ask for more meanwhile, which is queued behind. */
static void posts_flush(struct runtime_qemu *r)
{
    for (uint32_t i = 0; i < r->posts_count; i++) {
        struct runtime_event ev = r->posts[i];
        r->base.sink.post(r->base.sink.state, &ev);
    }
    r->posts_count = 0;
}

static struct machine *by_op(const struct runtime_qemu *r, uint64_t op)
{
    struct slot_id id = slot_unpack(op);
    return slots_live(&r->slots, id) ? r->machines[id.slot] : NULL;
}

/* ---- its end ---- */

/* Its group and files, tried again until the kernel lets go. */
static void remove_now(struct runtime_qemu *r, struct machine *m)
{
    struct err e;
    enum err_code code = machine__remove(r, m, &e);
    if (code == ERR_BUSY) {
        m->deadline = instant_add(clock_now(), REMOVE_RETRY);
        return;
    }
    if (m->failure.code != ERR_OK)
        machine__answer(r, m, OP_CREATE, &m->failure);
    machine__answer(r, m, OP_DESTROY, code == ERR_OK ? NULL : &e);
    machine__free(r, m);
}

static void remove_begin(struct runtime_qemu *r, struct machine *m)
{
    machine__move(m, MACHINE_REMOVING);
    remove_now(r, m);
}

/* Nobody holds the process any more: told to end, and gone for good. */
static void tell_end(struct runtime_qemu *r, struct machine *m)
{
    struct runtime_event *ev = machine__post(r, m, RUNTIME_EXITED, 0);
    struct cgroup_stats stats = {0};
    if (r->cgroups != NULL && cgroup_get_stats(r->cgroups, str_of(m->record.id), &stats, NULL) == 0)
        ev->oom_killed = stats.oom_kills > 0;
    ev->finished = clock_wall();
    m->end_told = true;
    if (m->record.guest_ended)
        return; /* 0: the guest's own decision. */
    if (m->panicked) {
        ev->exit_code = 1;
        return;
    }
    ev->signal = m->end.known && m->end.signo != 0 ? m->end.signo : SIGKILL;
    ev->exit_code = 128 + ev->signal;
    if (m->end.known && m->end.signo == 0 && !m->killed) {
        ev->signal = 0; /* QEMU gave up by itself. */
        ev->exit_code = m->end.status != 0 ? m->end.status : 1;
    }
}

static void process_ended(struct runtime_qemu *r, struct machine *m)
{
    struct err e;
    proc_unwatch(m->watch);
    m->watch = NULL;
    machine__disconnect(m);
    if (m->state != MACHINE_DYING)
        machine__move(m, MACHINE_DYING);
    machine__move(m, MACHINE_DEAD);
    if (m->found)
        machine__tell_found(r, m);
    m->deadline = (struct instant){0};
    machine__last_words(m, &e);
    machine__answer(r, m, OP_START, &e);
    machine__answer(r, m, OP_STOP, NULL);
    machine__answer(r, m, OP_KILL, NULL);
    if (m->was_running && ((r->list_op == 0 && !r->unlisted) || m->unwanted))
        tell_end(r, m); /* Else when the list is done: FOUND, DONE, EXITED. */
    if (m->ops[OP_CREATE] != 0 && m->failure.code == ERR_OK)
        m->failure = e;
    if (m->unwanted || m->ops[OP_CREATE] != 0)
        remove_begin(r, m);
}

/* ---- time ---- */

/* A guest that is still booting does not notice its power button: it is pressed until the guest is
 * over or the caller kills it. */
static void button_again(struct runtime_qemu *r, struct machine *m)
{
    struct err e;
    if (instant_due(m->stop_until, clock_now())) {
        m->stop_until = (struct instant){0};
        err_set(&e, ERR_UNAVAILABLE, "QEMU does not answer");
        machine__answer(r, m, OP_STOP, &e);
    }
    if (m->ops[OP_STOP] == 0)
        machine__ask(m, QMP_SYSTEM_POWERDOWN);
    m->deadline = instant_add(clock_now(), BUTTON_EVERY);
}

static void machine_late(struct runtime_qemu *r, struct machine *m)
{
    m->deadline = (struct instant){0};
    switch (m->state) {
    case MACHINE_LAUNCHING:
        machine__fail(r, m, ERR_UNAVAILABLE, "QEMU is not ready within its time");
        return;
    case MACHINE_STARTING:
        machine__fail(r, m, ERR_UNAVAILABLE, "QEMU does not answer");
        return;
    case MACHINE_ATTACHING:
        machine__disconnect(m);
        machine__tell_found(r, m);
        return;
    case MACHINE_DYING:
        machine__kill(m, true);
        return;
    case MACHINE_REMOVING:
        remove_now(r, m);
        return;
    case MACHINE_RUNNING:
        button_again(r, m);
        return;
    case MACHINE_CREATED:
    case MACHINE_DEAD:
    case MACHINE__COUNT:
        return;
    }
}

static void logs_trim(struct runtime_qemu *r, struct instant now)
{
    bool any = false;
    if (r->logs_at.ns != 0 && !instant_due(r->logs_at, now))
        return;
    for (uint32_t i = 0; i < RUNTIME_INSTANCES_MAX; i++)
        if (r->machines[i] != NULL && r->machines[i]->state < MACHINE_DEAD) {
            any = true;
            machine__trim_logs(r->machines[i]);
        }
    r->logs_at = any ? instant_add(now, LOGS_EVERY) : (struct instant){0};
}

/* ---- the loop's side ---- */

static void close_now(struct runtime_qemu *r)
{
    struct runtime_sink sink = r->base.sink;
    struct runtime_event done = {.type = RUNTIME_DONE, .op = r->close_op};
    for (uint32_t i = 0; i < RUNTIME_INSTANCES_MAX; i++)
        if (r->machines[i] != NULL)
            machine__free(r, r->machines[i]);
    spare__close(r);
    loop_leave(&r->client);
    slots_fini(&r->slots);
    mem_free(r->posts);
    mem_free(r);
    sink.post(sink.state, &done);
}

static void list_check(struct runtime_qemu *r)
{
    if (r->list_op == 0)
        return;
    for (uint32_t i = 0; i < RUNTIME_INSTANCES_MAX; i++)
        if (r->machines[i] != NULL && r->machines[i]->found)
            return;
    machine__post(r, NULL, RUNTIME_DONE, r->list_op);
    r->list_op = 0;
    for (uint32_t i = 0; i < RUNTIME_INSTANCES_MAX; i++) { /* What ended while nobody looked. */
        struct machine *m = r->machines[i];
        if (m != NULL && m->paused_for_good && m->state == MACHINE_RUNNING)
            machine__guest_over(r, m, true);
        else if (m != NULL && m->state == MACHINE_DEAD && m->was_running && !m->end_told)
            tell_end(r, m);
        if (m != NULL)
            m->paused_for_good = false;
    }
}

/* When to be woken: at once for what is queued, else at the earliest deadline. */
static void rearm(struct runtime_qemu *r)
{
    struct instant at = instant_earlier(r->logs_at, r->spare.make_at);
    bool live = false;
    for (uint32_t i = 0; i < RUNTIME_INSTANCES_MAX; i++)
        if (r->machines[i] != NULL) {
            live = live || r->machines[i]->state < MACHINE_DEAD;
            at = instant_earlier(at, r->machines[i]->deadline);
        }
    if (live && r->logs_at.ns == 0)
        r->logs_at = instant_add(clock_now(), LOGS_EVERY);
    if (r->posts_count > 0 || r->close_op != 0)
        at = clock_now();
    loop_set_deadline(&r->client, at);
}

static void deadlines(struct runtime_qemu *r, struct instant now)
{
    for (uint32_t i = 0; i < RUNTIME_INSTANCES_MAX; i++)
        if (r->machines[i] != NULL && instant_due(r->machines[i]->deadline, now))
            machine_late(r, r->machines[i]);
    logs_trim(r, now);
    spare__tick(r, now);
}

static void machine_event(struct runtime_qemu *r, struct machine *m, const struct io_event *ev)
{
    switch (ev->type) {
    case IO_PROC_DONE:
        if (m->child == NULL)
            return; /* It never began, and that was told. */
        m->child = NULL;
        m->end = (struct machine_end){true, ev->proc.status, ev->proc.signo};
        process_ended(r, m);
        return;
    case IO_PROC_GONE:
        m->watch = NULL;
        process_ended(r, m);
        return;
    case IO_TCP_READ:
        machine__hear(r, m, ev->bytes);
        return;
    case IO_TCP_CLOSED:
        machine__session_over(r, m);
        return;
    case IO_DEADLINE:
    case IO_MAIL:
    case IO_SIGNAL:
    case IO_FD_READABLE:
    case IO_FD_WRITABLE:
    case IO_TCP_OPEN:
    case IO_TCP_ACCEPTED:
    case IO_TCP_WRITABLE:
        return;
    }
}

static void on_event(struct loop_client *self, const struct io_event *ev)
{
    struct runtime_qemu *r = CONTAINER_OF(self, struct runtime_qemu, client);
    struct machine *m = ev->type == IO_DEADLINE ? NULL : by_op(r, ev->op);
    if (ev->type == IO_DEADLINE)
        deadlines(r, ev->now);
    else if (ev->type == IO_PROC_DONE && ev->op == SPARE_OP)
        spare__ended(r);
    else if (m != NULL)
        machine_event(r, m, ev);
    list_check(r);
    posts_flush(r);
    if (r->close_op != 0)
        close_now(r);
    else
        rearm(r);
}

/* ---- the operations ---- */

static struct runtime_qemu *self_of(struct runtime *base)
{
    return CONTAINER_OF(base, struct runtime_qemu, base);
}

static void op_create(struct runtime *base, uint64_t op, const struct runtime_spec *spec)
{
    struct runtime_qemu *r = self_of(base);
    struct machine *m = NULL;
    if (spec->kind != RUNTIME_VM)
        machine__post_failure(r, NULL, op, ERR_INVALID, "not a machine");
    else if (machine__find(r, spec->id) != NULL)
        machine__post_failure(r, NULL, op, ERR_CONFLICT, "it exists already");
    else if ((m = machine__new(r, spec->id)) == NULL)
        machine__post_failure(r, NULL, op, machine__id_ok(spec->id) ? ERR_LIMIT : ERR_INVALID,
                              machine__id_ok(spec->id) ? "too many machines on this node"
                                                       : "not an instance's id");
    if (m == NULL) {
        rearm(r);
        return;
    }
    snprintf(m->directory, sizeof m->directory, STR_FMT, STR_ARG(spec->directory));
    m->ops[OP_CREATE] = op;
    enum err_code code = machine__launch(r, m, spec, &m->failure);
    if (code == ERR_OK) {
        m->failure = (struct err){0};
        m->deadline = instant_add(clock_now(), CREATE_LIMIT);
        machine__connect(r, m);
    } else if (m->child == NULL) {
        machine__move(m, MACHINE_DYING);
        process_ended(r, m);
    } else {
        machine__kill(
            m, true); /* It would go by itself, having read the end of its gate: if it reads. */
    }
    spare__wish(r);
    rearm(r);
}

static void op_start(struct runtime *base, uint64_t op, struct str id)
{
    struct runtime_qemu *r = self_of(base);
    struct machine *m = machine__find(r, id);
    struct cpuset cpus;
    struct err e;
    if (m == NULL || m->state != MACHINE_CREATED) {
        machine__post_failure(r, NULL, op, m == NULL ? ERR_NOT_FOUND : ERR_CONFLICT,
                              m == NULL ? "no such machine" : "it is not waiting to be started");
        rearm(r);
        return;
    }
    machine__move(m, MACHINE_STARTING);
    m->ops[OP_START] = op;
    m->deadline = instant_add(clock_now(), ANSWER_LIMIT);
    struct qemu_pins pins = machine__pins(m);
    if (qemu_pin_read(&pins, &cpus, &e) == ERR_OK)
        machine__ask(m, QMP_CONT);
    else
        machine__fail(r, m, e.code, e.text);
    rearm(r);
}

static void op_stop(struct runtime *base, uint64_t op, struct str id)
{
    struct runtime_qemu *r = self_of(base);
    struct machine *m = machine__find(r, id);
    if (m == NULL)
        machine__post_failure(r, NULL, op, ERR_NOT_FOUND, "no such machine");
    else if (m->state >= MACHINE_DYING)
        machine__post(r, m, RUNTIME_DONE, op); /* It ends as it is. */
    else if (m->ops[OP_STOP] != 0)
        machine__post_failure(r, m, op, ERR_BUSY, "it is being stopped");
    else if (m->state != MACHINE_RUNNING || m->tcp == NULL || m->qmp.state != QMP_READY)
        machine__post_failure(r, m, op, ERR_UNAVAILABLE,
                              "there is nobody to press its power button");
    else {
        m->ops[OP_STOP] = op;
        m->stop_until = instant_add(clock_now(), ANSWER_LIMIT);
        m->deadline = instant_add(clock_now(), BUTTON_EVERY);
        machine__ask(m, QMP_SYSTEM_POWERDOWN);
    }
    rearm(r);
}

static void op_kill(struct runtime *base, uint64_t op, struct str id)
{
    struct runtime_qemu *r = self_of(base);
    struct machine *m = machine__find(r, id);
    if (m == NULL) {
        machine__post_failure(r, NULL, op, ERR_NOT_FOUND, "no such machine");
    } else {
        if (m->state < MACHINE_DEAD) {
            m->killed = m->killed || m->state < MACHINE_DYING;
            machine__kill(m, m->state == MACHINE_DYING);
        }
        machine__post(r, m, RUNTIME_DONE, op);
    }
    rearm(r);
}

static void op_destroy(struct runtime *base, uint64_t op, struct str id)
{
    struct runtime_qemu *r = self_of(base);
    struct machine *m = machine__find(r, id);
    enum err_code code = ERR_OK;
    struct err why = {0};
    if (m == NULL &&
        machine__id_ok(id)) /* Known to the disk only: an agent died while making it. */
        code = machine__adopt(r, id, &m, &why);
    if (code != ERR_OK && code != ERR_NOT_FOUND) {
        machine__post_failure(r, NULL, op, code, why.text);
    } else if (m == NULL) {
        machine__post(r, NULL, RUNTIME_DONE, op);
    } else if (m->ops[OP_DESTROY] != 0) {
        machine__post_failure(r, m, op, ERR_BUSY, "it is being removed");
    } else {
        struct err e;
        err_set(&e, ERR_CONFLICT, "it was removed meanwhile");
        m->ops[OP_DESTROY] = op;
        m->unwanted = true;
        if (m->failure.code == ERR_OK)
            m->failure = e;
        machine__answer(r, m, OP_START, &e);
        if (m->state < MACHINE_DEAD) {
            m->killed = m->killed || m->state < MACHINE_DYING;
            machine__kill(m, false);
        } else if (m->state == MACHINE_DEAD) {
            remove_begin(r, m);
        }
    }
    rearm(r);
}

static enum err_code move_cpus(struct runtime_qemu *r, struct machine *m,
                               const struct runtime_cpu *cpu, struct cpuset *out, struct err *e)
{
    if (!m->threads_known || m->state >= MACHINE_DYING)
        return err_set(e, ERR_BUSY, "its threads are not known");
    if (cpuset_is_empty(&cpu->pool))
        return err_set(e, ERR_INVALID, "no cpus for QEMU's own threads");
    m->record.pool = cpu->pool;
    if (!m->record.exclusive)
        m->record.cpus = cpu->pool;
    struct qemu_pins pins = machine__pins(m);
    enum err_code code = machine__group(r, m, e);
    if (code == ERR_OK)
        code = qemu_pin_set(&pins, e);
    if (code == ERR_OK)
        code = qemu_pin_read(&pins, out, e);
    return code == ERR_OK ? machine__save(m, e) : code;
}

static void op_set_cpus(struct runtime *base, uint64_t op, struct str id,
                        const struct runtime_cpu *cpu)
{
    struct runtime_qemu *r = self_of(base);
    struct machine *m = machine__find(r, id);
    struct cpuset cpus;
    struct err e;
    if (m == NULL)
        machine__post_failure(r, NULL, op, ERR_NOT_FOUND, "no such machine");
    else if (move_cpus(r, m, cpu, &cpus, &e) != ERR_OK)
        machine__post_failure(r, m, op, e.code, e.text);
    else
        machine__post(r, m, RUNTIME_DONE, op)->cpus = cpus;
    rearm(r);
}

static void op_list(struct runtime *base, uint64_t op)
{
    struct runtime_qemu *r = self_of(base);
    if (r->list_op != 0) {
        machine__post_failure(r, NULL, op, ERR_BUSY, "a list is being made");
    } else {
        struct err e;
        r->list_op = op;
        enum err_code code = machine__list(r, &e);
        r->unlisted = code != ERR_OK;
        if (r->unlisted) {
            r->list_op = 0;
            machine__post_failure(r, NULL, op, code, e.text);
        }
        list_check(r);
    }
    rearm(r);
}

static void op_close(struct runtime *base, uint64_t op)
{
    struct runtime_qemu *r = self_of(base);
    struct err e;
    err_set(&e, ERR_UNAVAILABLE, "the runtime was closed");
    for (uint32_t i = 0; i < RUNTIME_INSTANCES_MAX; i++)
        for (uint32_t k = 0; r->machines[i] != NULL && k < OP__COUNT; k++)
            machine__answer(r, r->machines[i], (enum machine_op)k, &e);
    if (r->list_op != 0)
        machine__post_failure(r, NULL, r->list_op, e.code, e.text);
    r->list_op = 0;
    r->close_op = op;
    rearm(r);
}

static void op_exec(struct runtime *base, uint64_t op, struct str id, const struct runtime_exec *x)
{
    (void)id;
    (void)x;
    machine__post_failure(self_of(base), NULL, op, ERR_DENIED, "a machine runs no commands");
}

static const struct runtime_ops qemu_ops = {
    .create = op_create,
    .start = op_start,
    .stop = op_stop,
    .kill = op_kill,
    .destroy = op_destroy,
    .set_cpus = op_set_cpus,
    .exec = op_exec,
    .list = op_list,
    .close = op_close,
};

/* "0" is one node, "0-1" or "0,2" are several. */
static bool has_several_nodes(void)
{
    struct buf text;
    buf_init(&text, 256);
    enum err_code code = fs_read("/sys/devices/system/node/online", &text, NULL);
    struct str online = str_trim(buf_str(&text));
    bool several = code == ERR_OK &&
                   (str_find(online, '-', 0) < online.len || str_find(online, ',', 0) < online.len);
    buf_free(&text);
    return several;
}

enum err_code runtime_qemu_open(struct loop *l, const struct runtime_qemu_options *opt,
                                struct runtime_sink sink, struct runtime **out, struct err *e)
{
    struct str command = opt->command.len > 0 ? opt->command : STR("qemu-system-x86_64");
    if (opt->state.len == 0 || opt->state.len + RUNTIME_ID_MAX + 64 > QEMU_PATH_MAX ||
        command.len >= QEMU_PATH_MAX)
        return err_set(e, ERR_INVALID, "qemu: the state directory's path");
    struct runtime_qemu *r = mem_zalloc(1, sizeof *r);
    r->base = (struct runtime){.ops = &qemu_ops, .sink = sink};
    r->client.event = on_event;
    r->cgroups = opt->cgroups;
    r->uid_first = opt->uid_first != 0 ? opt->uid_first : QEMU_UID_FIRST;
    r->numa = has_several_nodes();
    snprintf(r->command, sizeof r->command, STR_FMT, STR_ARG(command));
    snprintf(r->state, sizeof r->state, STR_FMT, STR_ARG(opt->state));
    spare__init(r, opt->spare);
    slots_init(&r->slots, RUNTIME_INSTANCES_MAX);
    loop_join(l, &r->client);
    *out = &r->base;
    return ERR_OK;
}
