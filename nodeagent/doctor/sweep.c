/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/doctor/sweep.h"

#include "base/log.h"
#include "io/clock.h"
#include "io/fs.h"
#include "io/proc.h"
#include "nodeagent/host/resctrl.h"
#include "nodeagent/host/vfio.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_MS = 5, NFT_LIMIT_S = 20 };

void sweep_pause(void)
{
    nanosleep(&(struct timespec){.tv_nsec = SPAN_MS(PAUSE_MS).ns}, NULL);
}

/* A pidfd is the process or nobody; a bare pid may be somebody else by now. */
static enum err_code end_process(const struct host_thing *t, struct err *e)
{
    CLEANUP(fs_close) int fd = (int)syscall(SYS_pidfd_open, t->pid, 0);
    if (fd < 0 || proc_start_time(t->pid) != t->start)
        return ERR_OK;
    if (syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0 || errno == ESRCH)
        return ERR_OK;
    return err_set(e, ERR_UNAVAILABLE, "kill %d: %m", t->pid);
}

/* What was killed takes a moment to be gone; until then its group is busy. */
static enum err_code end_group(struct inventory *v, struct str id, struct err *e)
{
    struct instant until = instant_add(clock_now(), SPAN_MS(SWEEP_PATIENCE_MS));
    for (;;) {
        enum err_code code = cgroup_kill(v->cgroups, id, e);
        if (code == ERR_OK)
            code = cgroup_remove(v->cgroups, id, e);
        if (code != ERR_BUSY || instant_due(until, clock_now()))
            return code;
        sweep_pause();
    }
}

static enum err_code unmount(struct str path, struct err *e)
{
    if (umount2(path.at, MNT_DETACH) == 0 || errno == EINVAL || errno == ENOENT)
        return ERR_OK;
    return err_set(e, ERR_UNAVAILABLE, "unmount " STR_FMT ": %m", STR_ARG(path));
}

/* Fails when it is gone already, and then all is well: the agent replaces its tables whole. */
static enum err_code delete_element(struct str element, struct err *e)
{
    const char *const argv[] = {"nft", "delete", "element", element.at, NULL};
    struct proc_request r = {.argv = argv, .timeout = SPAN_S(NFT_LIMIT_S), .no_capture = true};
    int status = 0;
    return proc_run_wait(&r, NULL, NULL, &status, e);
}

static enum err_code release_device(const struct inventory *v, struct str uid, struct err *e)
{
    char path[FS_PATH_MAX];
    if (!fs_join(path, v->state, "devices"))
        return err_set(e, ERR_LIMIT, "the path of the devices is too long");
    return vfio_release(&(struct vfio){sysfs_real(), path}, uid, e);
}

enum err_code sweep_remove(struct inventory *v, const struct host_thing *t, struct err *e)
{
    char link[NET_NAME_MAX];
    if (inventory_is_recorded(v, t->uid))
        return err_set(e, ERR_CONFLICT, "its workload has been recorded meanwhile");
    switch (t->kind) {
    case HOST_PROCESS:
        return end_process(t, e);
    case HOST_CGROUP:
        return end_group(v, t->name, e);
    case HOST_MOUNT:
        return unmount(t->name, e);
    case HOST_NETNS:
        return net_pod_remove(v->net, t->uid, e);
    case HOST_LINK:
        snprintf(link, sizeof link, STR_FMT, STR_ARG(t->link));
        return net_link_remove(v->net, link, e);
    case HOST_NFT:
        return delete_element(t->name, e);
    case HOST_DEVICE:
        return release_device(v, t->uid, e);
    case HOST_CACHE:
        return resctrl_remove(sysfs_real(), t->name, e);
    case HOST_INSTANCE:
    case HOST_SOCKET:
    case HOST_WORKLOAD:
    case HOST_LOGS:
    case HOST_TEMPORARY:
        return fs_remove_tree(t->name.at, e);
    case HOST_KIND__COUNT:
        break;
    }
    return ERR_OK;
}

void sweep_all(struct inventory *v, const struct leftover_view *view,
               void (*told)(void *arg, const struct host_thing *t, const char *why,
                            enum err_code code, const struct err *e),
               void *arg)
{
    for (int kind = 0; kind < HOST_KIND__COUNT; kind++)
        for (uint32_t i = 0; i < view->things_count; i++) {
            const struct host_thing *t = &view->things[i];
            const char *why = (int)t->kind == kind ? leftover_why(view, i) : NULL;
            struct err e = {0};
            if (why != NULL) {
                enum err_code code = sweep_remove(v, t, &e);
                told(arg, t, why, code, &e);
            }
        }
}

/* ---- the agent's start ---- */

static void log_one(void *arg, const struct host_thing *t, const char *why, enum err_code code,
                    const struct err *e)
{
    (void)arg;
    if (code == ERR_OK)
        log_event(LOG_INFO, "leftover.removed", "kind=%s name=%s why=%s", host_kind_names[t->kind],
                  log_quote(t->name).text, log_quote(str_of(why)).text);
    else
        log_event(LOG_WARN, "leftover.stays", "kind=%s name=%s err=%s", host_kind_names[t->kind],
                  log_quote(t->name).text, log_quote(str_of(e->text)).text);
}

void sweep_at_start(const char *state)
{
    struct inventory v;
    struct err e;
    enum err_code code = inventory_read(state, &v, &e);
    if (code == ERR_OK)
        code = inventory_read_wanted(&v, &e);
    if (code == ERR_OK) {
        inventory_drop_logs(&v);
        struct leftover_view view = inventory_view(&v, false);
        sweep_all(&v, &view, log_one, NULL);
    } else {
        log_event(LOG_WARN, "leftover.unknown", "err=%s", log_quote(str_of(e.text)).text);
    }
    inventory_free(&v);
}
