/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu_attach.c -- machines that are there already, and how they go.
 *
 * A directory with a record whose process lives is attached to: QMP again, its threads again, pinned
 * again. One whose process is gone is told of as stopped. One without a record is what an agent left
 * that died while making it: its shell has gone with it, so it is removed. Want of descriptors or memory says nothing of
 * any: nobody is told of then, and nothing removed.
 */
#include "io/clock.h"
#include "io/fs.h"
#include "nodeagent/runtime/qemu_priv.h"

#include <errno.h>
#include <stdio.h>

static const struct span ATTACH_LIMIT = SPAN_S(QEMU_ANSWER_LIMIT_S);

static const char CONSOLE[] = ".console"; /* Behind an id: the socket the core names. */

/* The record in directory; ERR_NOT_FOUND when it is not one of ours at all, ERR_UNAVAILABLE when we are short of something
 * and do not know. */
static enum err_code record_read(const char *directory, struct qemu_record *out, struct err *e)
{
    char path[FS_PATH_MAX];
    struct buf text;
    if (!fs_join(path, directory, "vm"))
        return err_set(e, ERR_LIMIT, "path of vm");
    buf_init(&text, QEMU_RECORD_MAX);
    enum err_code code = fs_read(path, &text, e);
    if (code == ERR_UNAVAILABLE && !fs_is_short(errno))
        code = err_set(e, ERR_CORRUPT, "%s cannot be read", path);
    if (code == ERR_OK)
        code = qemu_record_parse(buf_str(&text), out, e);
    buf_free(&text);
    return code;
}

/* Made with the directory, before anything else. */
static bool is_ours(const char *directory)
{
    char path[FS_PATH_MAX];
    return fs_join(path, directory, "work") && fs_exists(path);
}

/* Into the table: alive and watched, or dead. */
static enum err_code machine_place(struct runtime_qemu *r, struct machine *m, struct err *e)
{
    bool alive = false;
    if (m->record.pid > 0) {
        enum err_code code = proc_is_here(m->record.pid, m->record.start_time, &alive, e);
        if (code != ERR_OK)
            return code;
    }
    m->state = MACHINE_ATTACHING;
    m->was_running = m->record.started.ns != 0;
    if (!alive) {
        machine__move(m, MACHINE_DYING);
        machine__move(m, MACHINE_DEAD);
        return ERR_OK;
    }
    m->watch = proc_watch(&r->client, slot_pack(m->slot), m->record.pid, m->record.start_time);
    return ERR_OK;
}

enum err_code machine__adopt(struct runtime_qemu *r, struct str id, struct machine **out,
                             struct err *e)
{
    struct qemu_record record;
    struct machine *m = machine__new(r, id);
    if (m == NULL)
        return err_set(e, ERR_NOT_FOUND, "no such machine");
    enum err_code code = record_read(m->directory, &record, e);
    if (code == ERR_OK && str_is(id, record.id))
        m->record = record;
    else if (code != ERR_UNAVAILABLE && !is_ours(m->directory))
        code = err_set(e, ERR_NOT_FOUND, "no such machine");
    else if (code != ERR_UNAVAILABLE)
        code = ERR_OK; /* Without a record there is no process: pid 0. */
    if (code == ERR_OK)
        code = machine_place(r, m, e);
    if (code != ERR_OK) {
        machine__free(r, m);
        return code;
    }
    *out = m;
    return ERR_OK;
}

/* Its machine stands before it in the order of names: none is there, or none was ever written down. */
static void remove_console(struct runtime_qemu *r, struct str name)
{
    char path[FS_PATH_MAX];
    if (machine__find(r, str_slice(name, 0, name.len - (sizeof CONSOLE - 1))) == NULL &&
        fs_join(path, r->state, name.at))
        (void)!fs_remove(path, NULL);
}

struct listing {
    struct runtime_qemu *r;
    enum err_code code;
    struct err *e;
};

static bool visit(void *arg, const char *name)
{
    struct listing *l = arg;
    struct runtime_qemu *r = l->r;
    struct machine *m;
    struct err e;
    if (str_ends(str_of(name), str_of(CONSOLE))) {
        remove_console(r, str_of(name));
        return true;
    }
    if (machine__find(r, str_of(name)) != NULL)
        return true;
    enum err_code code = machine__adopt(r, str_of(name), &m, &e);
    if (code != ERR_OK && code != ERR_NOT_FOUND) {
        l->code = err_set(l->e, code, "%s: %s", name, e.text);
        return false;
    }
    if (code == ERR_OK && m->record.pid == 0) { /* No record: nobody was told of it. */
        if (machine__remove(r, m, &e) == ERR_BUSY)
            return true; /* The next list removes it. */
        machine__free(r, m);
    }
    return true;
}

static void tell_all(struct runtime_qemu *r)
{
    for (uint32_t i = 0; i < RUNTIME_INSTANCES_MAX; i++) {
        struct machine *m = r->machines[i];
        if (m == NULL || m->state == MACHINE_REMOVING || m->state == MACHINE_LAUNCHING)
            continue;
        m->found = true;
        if (m->state == MACHINE_ATTACHING && m->tcp == NULL) {
            m->deadline = instant_add(clock_now(), ATTACH_LIMIT);
            machine__connect(r, m);
            continue;
        }
        if (m->state != MACHINE_ATTACHING)
            machine__tell_found(r, m);
    }
}

enum err_code machine__list(struct runtime_qemu *r, struct err *e)
{
    struct listing l = {.r = r, .e = e};
    enum err_code code = fs_list(r->state, visit, &l, e);
    if (code == ERR_OK)
        code = l.code;
    if (code == ERR_NOT_FOUND)
        code = ERR_OK; /* No directory yet: no machines. */
    if (code == ERR_OK)
        tell_all(r);
    return code;
}
