/* SPDX-License-Identifier: Apache-2.0 */
/* Finding again what an earlier life of the agent left: directories, shims, exit files. */
#include "base/log.h"
#include "io/fs.h"
#include "nodeagent/runtime/oci_instance.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

/* --- list --- */

/* The shim that holds DIRECTORY/lock; 0: none. */
static int32_t lock_holder(const struct instance *i)
{
    char path[OCI_PATH_MAX];
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (!fs_join(path, i->directory, "lock"))
        return 0;
    CLEANUP(fs_close) int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK)
        return 0;
    return lock.l_pid;
}

/* ERR_UNAVAILABLE: we are short of something. Else what is there that does not read counts as absent. */
static enum err_code read_if_there(const char *directory, const char *file, struct buf *out,
                                   struct err *e)
{
    enum err_code code = oci__get(directory, file, out, e);
    if (code == ERR_OK || (code == ERR_UNAVAILABLE && fs_is_short(errno)))
        return code;
    buf_clear(out);
    return ERR_OK;
}

static void take_over(struct oci *o, struct instance *i, bool alive)
{
    oci__move(i, alive ? OCI_RUNNING : OCI_STOPPED);
    i->owes_exit = true;
    if (alive) {
        (void)!cgroup_set_weight(o->cgroups, str_of(i->id), i->record.weight_milli, NULL);
        oci__watch_shim(o, i);
    }
}

/* A launch that was under way when the agent died is ended: nobody waits for its report any more. */
static void end_launch(struct oci *o, struct instance *i)
{
    int32_t pid = lock_holder(i);
    if (pid > 1)
        kill(pid, SIGKILL);
    (void)!cgroup_kill(o->cgroups, str_of(i->id), NULL);
    oci__move(i, OCI_CREATED);
}

/* What a directory says. */
static enum err_code recognise(struct oci *o, struct instance *i, struct err *e)
{
    struct buf text;
    bool alive = false;
    buf_init(&text, 4096);
    enum err_code code = read_if_there(i->directory, "shim", &text, e);
    bool launched = code == ERR_OK && oci_shim_parse(buf_str(&text), &i->shim) == ERR_OK;
    buf_free(&text);
    if (launched)
        code = proc_is_here(i->shim.shim_pid, i->shim.shim_start, &alive, e);
    if (code == ERR_OK && launched)
        take_over(o, i, alive);
    else if (code == ERR_OK)
        end_launch(o, i);
    return code;
}

static void tell_found(struct oci *o, uint64_t op, struct instance *i)
{
    struct runtime_event ev = oci__event(RUNTIME_FOUND, op, str_of(i->id));
    ev.state = i->state == OCI_RUNNING   ? RUNTIME_RUNNING
               : i->state == OCI_STOPPED ? RUNTIME_STOPPED
                                         : RUNTIME_CREATED;
    ev.pid = i->shim.pid;
    ev.started = i->shim.started;
    if (i->state != OCI_RUNNING || oci__read_back(o, i, &ev.cpus, NULL) != ERR_OK)
        ev.cpus = i->record.cpus;
    oci__later(o, &ev);
}

struct list_visit {
    struct oci *o;
    enum err_code code;
    struct err *e;
};

/* A machine's directory has "work" from its first moment. A console's socket is no directory. */
static bool is_anothers(const char *directory)
{
    struct stat st;
    char work[OCI_PATH_MAX];
    return lstat(directory, &st) != 0 || !S_ISDIR(st.st_mode) ||
           (fs_join(work, directory, "work") && fs_exists(work));
}

static enum err_code read_record(const char *directory, struct oci_record *out, bool *out_whole,
                                 struct err *e)
{
    struct buf text;
    buf_init(&text, OCI_RECORD_MAX);
    enum err_code code = read_if_there(directory, "shim.conf", &text, e);
    *out_whole = code == ERR_OK && oci_conf_parse(buf_str(&text), out) == ERR_OK;
    buf_free(&text);
    return code;
}

/* Half made counts as created: who lists has it destroyed, and made anew if it is wanted. */
static enum err_code adopt(struct oci *o, const char *name, struct err *e)
{
    struct oci_record record = {.stop_signal = SIGTERM};
    char directory[OCI_PATH_MAX];
    struct err why;
    bool whole;

    int len = snprintf(directory, sizeof directory, "%s/%s", o->state, name);
    enum err_code code = read_record(directory, &record, &whole, e);
    if (code != ERR_OK || (!whole && is_anothers(directory)))
        return code;
    struct instance *i = oci__take(o, str_of(name), str_from(directory, (size_t)len), &why);
    if (i == NULL) {
        log_event(LOG_WARN, "oci.skipped", "id=%s why=%s", log_quote(str_of(name)).text,
                  log_quote(str_of(why.text)).text);
        return ERR_OK;
    }
    i->record = record;
    code = recognise(o, i, e);
    if (code != ERR_OK)
        oci__give(o, i);
    return code;
}

static bool visit_directory(void *arg, const char *name)
{
    struct list_visit *v = arg;
    if (oci__find(v->o, str_of(name)) == NULL)
        v->code = adopt(v->o, name, v->e);
    return v->code == ERR_OK;
}

/* Once all of them are known: a list that fails tells of none, and is asked for again. */
static void tell_all(struct oci *o, uint64_t op)
{
    const struct map_entry *entry;
    for (uint32_t at = 0; (entry = map_next(&o->by_id, &at)) != NULL;)
        if (o->pending_count + 4 < PENDING_MAX)
            tell_found(o, op, entry->value);
}

/* After the list's end: before it nobody knows the instance whose exit this is. */
static void tell_exits(struct oci *o)
{
    const struct map_entry *entry;
    for (uint32_t at = 0; (entry = map_next(&o->by_id, &at)) != NULL;) {
        struct instance *i = entry->value;
        if (i->state == OCI_STOPPED && o->pending_count + 4 < PENDING_MAX)
            oci__tell_exit(o, i);
    }
}

void oci__list(struct runtime *r, uint64_t op)
{
    struct oci *o = CONTAINER_OF(r, struct oci, runtime);
    struct err e = {0};
    struct list_visit v = {.o = o, .e = &e};
    enum err_code code = fs_list(o->state, visit_directory, &v, &e);
    if (code == ERR_NOT_FOUND)
        code = ERR_OK; /* Nothing was ever made here. */
    if (code == ERR_OK)
        code = v.code;
    o->unlisted = code != ERR_OK;
    if (code == ERR_OK)
        tell_all(o, op);
    oci__done(o, op, (struct str){NULL, 0}, code, &e);
    if (code == ERR_OK)
        tell_exits(o);
}
