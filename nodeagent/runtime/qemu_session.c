/* SPDX-License-Identifier: Apache-2.0 */
/* qemu_session.c -- what a machine's QEMU says, and what is asked of it. */
#include "io/clock.h"
#include "io/fs.h"
#include "nodeagent/runtime/qemu_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct span HEARD_SPAN = SPAN_S(10);

/* From the session's end to the process's: of one that is begun, and of one that is looked for. */
static const struct span LAST_WORDS = SPAN_S(2), ENDING = SPAN_MS(200);

/* The threads are known: pin them. Both a new machine and a found one come here. */
static void threads_known(struct runtime_qemu *r, struct machine *m, const struct qmp_event *ev)
{
    struct err e;
    struct cpuset cpus;
    if (ev->threads_count != m->record.vcpus) {
        machine__fail(r, m, ERR_CORRUPT, "QEMU has another number of vCPUs than it was given");
        return;
    }
    memcpy(m->threads, ev->threads, ev->threads_count * sizeof m->threads[0]);
    m->threads_known = true;
    struct qemu_pins pins = machine__pins(m);
    enum err_code code = qemu_pin_set(&pins, &e);
    if (code == ERR_OK)
        code = qemu_pin_read(&pins, &cpus, &e);
    m->deadline = (struct instant){0};
    if (m->state == MACHINE_ATTACHING) {
        machine__tell_found(r, m);
    } else if (code != ERR_OK) {
        machine__fail(r, m, e.code, e.text);
    } else {
        machine__move(m, MACHINE_CREATED);
        machine__answer(r, m, OP_CREATE, NULL);
    }
}

static void was_started(struct runtime_qemu *r, struct machine *m)
{
    struct qemu_pins pins = machine__pins(m);
    struct cpuset cpus;
    struct err e;
    m->record.started = clock_wall();
    if (qemu_pin_read(&pins, &cpus, &e) != ERR_OK || machine__save(m, &e) != ERR_OK) {
        machine__fail(r, m, e.code, e.text);
        return;
    }
    machine__move(m, MACHINE_RUNNING);
    m->was_running = true;
    m->deadline = (struct instant){0};
    machine__post(r, m, RUNTIME_DONE, m->ops[OP_START])->cpus = cpus;
    m->ops[OP_START] = 0;
}

static void was_answered(struct runtime_qemu *r, struct machine *m, const struct qmp_event *ev)
{
    struct err e;
    if (ev->code != ERR_OK)
        err_set(&e, ev->code, "QEMU: " STR_FMT, STR_ARG(ev->text));
    switch (ev->command) {
    case QMP_QUERY_CPUS:
        if (ev->code == ERR_OK)
            threads_known(r, m, ev);
        else if (m->state == MACHINE_LAUNCHING)
            machine__fail(r, m, e.code, e.text);
        return;
    case QMP_QUERY_STATUS:
        /* prelaunch: the guest reset the machine right behind its power-off, and QEMU did both. */
        m->paused_for_good = m->was_running && (str_is(str_of(ev->reason), "shutdown") ||
                                                str_is(str_of(ev->reason), "prelaunch"));
        return;
    case QMP_CONT:
        if (m->state == MACHINE_STARTING && ev->code == ERR_OK)
            was_started(r, m);
        else if (m->state == MACHINE_STARTING)
            machine__fail(r, m, e.code, e.text);
        return;
    case QMP_SYSTEM_POWERDOWN:
        machine__answer(r, m, OP_STOP, ev->code == ERR_OK ? NULL : &e);
        return;
    case QMP_CAPABILITIES:
    case QMP_STOP:
    case QMP_QUIT:
    case QMP__COMMANDS:
        return;
    }
}

/* The guest is over; QEMU stands and waits until it is told to go (shutdown=pause). */
void machine__guest_over(struct runtime_qemu *r, struct machine *m, bool by_guest)
{
    if (m->state != MACHINE_RUNNING && m->state != MACHINE_STARTING)
        return;
    m->record.guest_ended = by_guest && !m->panicked;
    if (m->state == MACHINE_STARTING) /* Quicker than the answer to cont. */
        was_started(r, m);
    else
        (void)!machine__save(m, NULL); /* For an agent that begins while QEMU goes. */
    machine__kill(m, false);
}

static void qmp_says(struct runtime_qemu *r, struct machine *m, const struct qmp_event *ev)
{
    switch (ev->type) {
    case QMP_IS_READY:
        if (m->state == MACHINE_ATTACHING)
            machine__ask(m, QMP_QUERY_STATUS);
        if (m->state == MACHINE_LAUNCHING || m->state == MACHINE_ATTACHING)
            machine__ask(m, QMP_QUERY_CPUS);
        else if (m->state == MACHINE_DYING)
            machine__ask(m, QMP_QUIT);
        return;
    case QMP_ANSWERED:
        was_answered(r, m, ev);
        return;
    case QMP_SHUTDOWN:
        machine__guest_over(r, m, ev->guest);
        return;
    case QMP_PANICKED:
        m->panicked = true;
        return;
    case QMP_WAS_RESET:
    case QMP_STOPPED:
    case QMP_RESUMED:
    case QMP_POWERDOWN:
    case QMP_ENDED:
        return;
    }
}

static void session_drain(struct runtime_qemu *r, struct machine *m)
{
    struct qmp_event ev;
    while (qmp_next(&m->qmp, &ev)) {
        bool over = ev.type == QMP_ENDED;
        qmp_says(r, m, &ev);
        if (over)
            break;
    }
    machine__flush(m);
}

/* A machine that cannot be asked any more runs on; it can still be killed. */
void machine__session_over(struct runtime_qemu *r, struct machine *m)
{
    qmp_end(&m->qmp);
    session_drain(r, m);
    machine__disconnect(m);
    /* Its process may be ending, and then says more than the session's end does. */
    if (m->state == MACHINE_ATTACHING)
        m->deadline = instant_add(clock_now(), ENDING);
    else if (m->state == MACHINE_LAUNCHING || m->state == MACHINE_STARTING)
        m->deadline = instant_add(clock_now(), LAST_WORDS);
}

/* QEMU says little, and repeats no event more than once a second: one that talks on is its guest's by now. */
static bool says_too_much(struct runtime_qemu *r, struct machine *m, size_t len)
{
    struct instant now = loop_now(r->client.loop);

    if (instant_sub(now, m->heard_since).ns > HEARD_SPAN.ns) {
        m->heard_since = now;
        m->heard_bytes = 0;
    }
    m->heard_bytes += len;
    return m->heard_bytes > QEMU_HEARD_MAX;
}

void machine__hear(struct runtime_qemu *r, struct machine *m, struct str bytes)
{
    if (says_too_much(r, m, bytes.len)) {
        machine__session_over(r, m);
        return;
    }
    qmp_feed(&m->qmp, bytes);
    session_drain(r, m);
    if (m->tcp != NULL && m->qmp.state == QMP_OVER) /* A lie. What comes behind it is not read. */
        machine__session_over(r, m);
}

/* Moved by copying: QEMU appends to the file it has. */
static void trim_log(const char *path, off_t most)
{
    char old[QEMU_PATH_MAX + 2];
    struct stat st;
    CLEANUP(fs_close) int log = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (log < 0 || fstat(log, &st) != 0 || st.st_size <= most)
        return;
    snprintf(old, sizeof old, "%s.1", path);
    CLEANUP(fs_close) int copy = open(old, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    off_t at = st.st_size - most;
    while (copy >= 0 && at < st.st_size && sendfile(copy, log, &at, (size_t)(st.st_size - at)) > 0)
        ;
    if (ftruncate(log, 0) != 0)
        return; /* Next time. */
}

/* A guest may print for ever, and may have QEMU complain of it for ever: of every bad descriptor in its rings, say. */
void machine__trim_logs(const struct machine *m)
{
    char path[FS_PATH_MAX];
    if (m->record.serial_log[0] != '\0')
        trim_log(m->record.serial_log, QEMU_SERIAL_LOG_MAX);
    if (fs_join(path, m->directory, "qemu.log"))
        trim_log(path, QEMU_LOG_MAX);
}
