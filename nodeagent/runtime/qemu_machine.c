/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done to one machine by whoever finds it necessary: told about, asked by QMP, killed, removed. Who decides that is
 * above: runtime_qemu.c (the caller, time), qemu_session.c (what QEMU says), qemu_attach.c (what was there before us).
 */
#include "base/mem.h"
#include "io/clock.h"
#include "io/fs.h"
#include "nodeagent/runtime/qemu_priv.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#define S(name, to) [MACHINE_##name] = {#name, to},
#define TO(name) (1u << MACHINE_##name)
const struct sm_state machine_states[MACHINE__COUNT] = {MACHINE_STATES(S, TO)};
#undef S
#undef TO

static const struct span QUIT_LIMIT = SPAN_S(2); /* From quit to SIGKILL. */

void machine__move(struct machine *m, enum machine_state next)
{
    sm_check(machine_states, m->state, next);
    m->state = next;
}

/* ---- telling ---- */

struct runtime_event *machine__post(struct runtime_qemu *r, const struct machine *m,
                                    enum runtime_event_type type, uint64_t op)
{
    if (r->posts_count == r->posts_size) {
        r->posts_size = r->posts_size == 0 ? 16 : r->posts_size * 2;
        r->posts = mem_resize(r->posts, r->posts_size * sizeof *r->posts);
    }
    struct runtime_event *ev = &r->posts[r->posts_count++];
    *ev = (struct runtime_event){.type = type, .op = op};
    if (m != NULL) {
        memcpy(ev->id, m->record.id, sizeof ev->id);
        ev->pid = m->record.pid;
        ev->started = m->record.started;
    }
    return ev;
}

void machine__post_failure(struct runtime_qemu *r, const struct machine *m, uint64_t op,
                           enum err_code code, const char *text)
{
    struct runtime_event *ev = machine__post(r, m, RUNTIME_DONE, op);
    ev->code = code;
    snprintf(ev->text, sizeof ev->text, "%s", text);
}

void machine__answer(struct runtime_qemu *r, struct machine *m, enum machine_op op,
                     const struct err *e)
{
    if (m->ops[op] == 0)
        return;
    if (e == NULL)
        machine__post(r, m, RUNTIME_DONE, m->ops[op]);
    else
        machine__post_failure(r, m, m->ops[op], e->code, e->text);
    m->ops[op] = 0;
}

void machine__tell_found(struct runtime_qemu *r, struct machine *m)
{
    struct runtime_event *ev;
    struct err e;
    m->deadline = (struct instant){0};
    if (m->state == MACHINE_ATTACHING)
        machine__move(m, m->was_running ? MACHINE_RUNNING : MACHINE_CREATED);
    if (!m->found)
        return;
    m->found = false;
    ev = machine__post(r, m, RUNTIME_FOUND, r->list_op);
    ev->state = !m->was_running                                  ? RUNTIME_CREATED
                : m->state >= MACHINE_DEAD || m->paused_for_good ? RUNTIME_STOPPED
                                                                 : RUNTIME_RUNNING;
    struct qemu_pins pins = machine__pins(m);
    if (m->threads_known && m->state < MACHINE_DYING &&
        qemu_pin_read(&pins, &ev->cpus, &e) != ERR_OK)
        ev->cpus = (struct cpuset){0}; /* The caller sees that it is not where it should be. */
}

/* ---- its session ---- */

void machine__disconnect(struct machine *m)
{
    if (m->tcp == NULL)
        return;
    tcp_close(m->tcp);
    qmp_fini(&m->qmp);
    m->tcp = NULL;
}

void machine__flush(struct machine *m)
{
    struct str out = qmp_output(&m->qmp);
    if (out.len == 0)
        return;
    if (tcp_write(m->tcp, out) != ERR_OK)
        qmp_end(&m->qmp); /* It does not read. What waits is answered by the next drain. */
    qmp_sent(&m->qmp, out.len);
}

void machine__ask(struct machine *m, enum qmp_command command)
{
    if (m->tcp == NULL || qmp_ask(&m->qmp, command, 0, NULL) != ERR_OK)
        return; /* The deadline says what follows. */
    machine__flush(m);
}

void machine__connect(struct runtime_qemu *r, struct machine *m)
{
    char path[64];
    int directory = open(m->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d/qmp.sock", directory);
    qmp_init(&m->qmp);
    m->tcp = tcp_connect_unix(&r->client, slot_pack(m->slot), path);
    fs_close(&directory); /* connect(2) on a Unix socket is done by now. */
}

/* ---- the table of machines ---- */

struct machine *machine__find(const struct runtime_qemu *r, struct str id)
{
    for (uint32_t i = 0; i < RUNTIME_INSTANCES_MAX; i++)
        if (r->machines[i] != NULL && str_is(id, r->machines[i]->record.id))
            return r->machines[i];
    return NULL;
}

bool machine__id_ok(struct str id)
{
    for (size_t i = 0; i < id.len; i++) {
        char c = id.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
            return false;
    }
    return id.len > 0 && id.len < RUNTIME_ID_MAX && id.at[0] != '.';
}

struct machine *machine__new(struct runtime_qemu *r, struct str id)
{
    struct slot_id slot;
    if (!machine__id_ok(id) || !slots_take(&r->slots, &slot))
        return NULL;
    struct machine *m = mem_zalloc(1, sizeof *m);
    m->slot = slot;
    str_put(m->record.id, id);
    snprintf(m->directory, sizeof m->directory, "%s/" STR_FMT, r->state, STR_ARG(id));
    r->machines[slot.slot] = m;
    return m;
}

void machine__free(struct runtime_qemu *r, struct machine *m)
{
    machine__disconnect(m);
    proc_forget(m->child);
    proc_unwatch(m->watch);
    r->machines[m->slot.slot] = NULL;
    slots_give(&r->slots, m->slot);
    mem_free(m);
}

struct qemu_pins machine__pins(const struct machine *m)
{
    return (struct qemu_pins){.pid = m->record.pid,
                              .vcpus = m->threads,
                              .vcpus_count = m->record.vcpus,
                              .exclusive = m->record.exclusive,
                              .cpus = m->record.cpus,
                              .pool = m->record.pool,
                              .order = m->record.order,
                              .order_count = m->record.order_count};
}

/* ---- its end ---- */

static void signal_process(const struct machine *m)
{
    if (m->child != NULL)
        proc_kill(m->child, SIGKILL);
    else if (m->record.pid > 0 && proc_start_time(m->record.pid) == m->record.start_time)
        kill(m->record.pid, SIGKILL);
}

/* quit writes what is in QEMU's caches; SIGKILL follows where it does not answer. */
void machine__kill(struct machine *m, bool now)
{
    if (m->state != MACHINE_DYING)
        machine__move(m, MACHINE_DYING);
    if (!now && m->tcp != NULL && m->qmp.state == QMP_READY) {
        m->deadline = instant_add(clock_now(), QUIT_LIMIT);
        machine__ask(m, QMP_QUIT);
        return;
    }
    signal_process(m);
    m->deadline = instant_add(clock_now(), QUIT_LIMIT); /* And again: a process in its last read. */
}

void machine__fail(struct runtime_qemu *r, struct machine *m, enum err_code code, const char *what)
{
    if (m->failure.code == ERR_OK)
        err_set(&m->failure, code, "%s", what);
    machine__answer(r, m, OP_START, &m->failure);
    machine__kill(m, true);
}

static void remove_file(const char *path, struct err *e)
{
    if (path[0] != '\0')
        (void)!fs_remove(path, e);
}

enum err_code machine__remove(struct runtime_qemu *r, struct machine *m, struct err *e)
{
    struct str id = str_of(m->record.id);
    enum err_code code = ERR_OK;
    if (r->cgroups != NULL)
        code = cgroup_kill(r->cgroups, id, e);
    if (code == ERR_OK && r->cgroups != NULL)
        code = cgroup_remove(r->cgroups, id, e);
    if (code != ERR_OK)
        return code;
    remove_file(m->record.serial_socket, e); /* The log stays: it is the workload's, not ours. */
    return fs_remove_tree(m->directory, e);
}
