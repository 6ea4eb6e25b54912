/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/shell/hostjobs.h"

#include "io/fs.h"
#include "nodeagent/host/vfio.h"

#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* ---- networks ---- */

/* Without tables (somebody flushed them) there is nothing to be put in; the next pass makes them. */
static enum err_code guard(struct hostjob *j, const struct net_link *l)
{
    enum err_code code = net_guard(j->net, l, &j->err);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

/* Who is told that he has a network is guarded in it. */
void hostjob_network(struct hostjob *j)
{
    char tap[NET_NAME_MAX];

    if (j->machine) {
        struct net_tap wanted = {.id = str_of(j->uid)};
        j->code = net_tap_make(j->net, &wanted, tap, &j->err);
        if (j->code == ERR_OK)
            snprintf(j->path, sizeof j->path, "%s", tap);
    } else {
        j->code = net_pod_make(j->net, &j->pod, j->path, &j->err);
    }
    if (j->code == ERR_OK)
        j->code = guard(j, &j->link);
}

void hostjob_guards(struct hostjob *j)
{
    j->code = arena_status(&j->arena, &j->err);
    for (uint32_t i = 0; i < j->wish.links_count && j->code == ERR_OK; i++)
        j->code = guard(j, &j->wish.links[i]);
}

void hostjob_tables(struct hostjob *j)
{
    j->code = arena_status(&j->arena, &j->err); /* Half a wish would take ports away. */
    if (j->code == ERR_OK)
        j->code = net_apply(j->net, &j->wish, &j->err);
}

/* ---- volumes ---- */

static enum err_code host_path(const struct agent_volume *v, struct err *e)
{
    const char *path = v->host_path.at;
    struct stat st;
    bool there = stat(path, &st) == 0;

    if (str_is(v->host_type, "DirectoryOrCreate") && !there)
        return fs_mkdir(path, 0755, e);
    if (str_is(v->host_type, "FileOrCreate") && !there)
        return fs_create(path, STR(""), 0644, e);
    if (v->host_type.len == 0 || (there && str_ends(v->host_type, STR("OrCreate"))))
        return ERR_OK;
    static const struct {
        const char *type;
        mode_t mode;
    } rows[] = {{"Directory", S_IFDIR},
                {"File", S_IFREG},
                {"Socket", S_IFSOCK},
                {"CharDevice", S_IFCHR},
                {"BlockDevice", S_IFBLK}};
    for (size_t i = 0; there && i < COUNT_OF(rows); i++)
        if (str_is(v->host_type, rows[i].type) && (st.st_mode & S_IFMT) == rows[i].mode)
            return ERR_OK;
    return err_set(e, ERR_NOT_FOUND, "hostPath %s is not a " STR_FMT, path, STR_ARG(v->host_type));
}

static bool is_mounted(const char *path)
{
    struct stat own, above;
    char parent[FS_PATH_MAX];
    return fs_join(parent, path, "..") && stat(path, &own) == 0 && stat(parent, &above) == 0 &&
           own.st_dev != above.st_dev;
}

static enum err_code memory_volume(const struct agent_volume *v, struct err *e)
{
    char options[64];
    if (is_mounted(v->path.at))
        return ERR_OK;
    snprintf(options, sizeof options, v->size_bytes > 0 ? "mode=0777,size=%llu" : "mode=0777",
             (unsigned long long)v->size_bytes);
    if (mount("tmpfs", v->path.at, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0)
        return ERR_OK;
    return err_set(e, ERR_UNAVAILABLE, "mount a tmpfs at %s: %m", v->path.at);
}

/* admin-guide/mm/hugetlbpage.rst. Pages are charged to whoever touches them. No size of our own: Linux (6.18, too) counts a page
 * against it that the toucher's group was refused, and never gives it back. */
static enum err_code huge_volume(const struct agent_volume *v, struct err *e)
{
    char options[96];
    if (is_mounted(v->path.at))
        return ERR_OK;
    int len = snprintf(options, sizeof options, "mode=0777,pagesize=%lluM",
                       (unsigned long long)v->page_bytes >> 20);
    if (v->size_bytes > 0)
        snprintf(options + len, sizeof options - (size_t)len, ",size=%llu",
                 (unsigned long long)v->size_bytes);
    if (mount("hugetlbfs", v->path.at, "hugetlbfs", MS_NOSUID | MS_NODEV, options) == 0)
        return ERR_OK;
    return err_set(e, ERR_UNAVAILABLE, "mount a hugetlbfs at %s: %m", v->path.at);
}

static enum err_code volume_files(const struct agent_volume *v, struct err *e)
{
    char path[FS_PATH_MAX], folder[FS_PATH_MAX];
    enum err_code code = ERR_OK;

    for (uint32_t i = 0; i < v->files_count && code == ERR_OK; i++) {
        const struct agent_file *f = &v->files[i];
        if (!fs_join(path, v->path.at, f->path.at))
            return err_set(e, ERR_LIMIT, "the path of %s is too long", f->path.at);
        snprintf(folder, sizeof folder, "%s", path);
        *strrchr(folder, '/') = '\0';
        code = fs_mkdir(folder, 0755, e);
        if (code == ERR_OK && (v->replace || !fs_exists(path)))
            code = fs_put(path, f->bytes, f->mode == 0 ? 0644 : f->mode, e); /* Remade at need. */
    }
    return code;
}

static void bind_functions(struct hostjob *j)
{
    char directory[FS_PATH_MAX];
    struct vfio v = {j->sysfs, directory};
    if (j->functions_count > 0 && !fs_join(directory, j->state, "devices"))
        j->code = err_set(&j->err, ERR_LIMIT, "the path of the devices is too long");
    for (uint32_t i = 0; i < j->functions_count && j->code == ERR_OK; i++)
        j->code = vfio_bind(&v, j->functions[i], str_of(j->uid), &j->err);
}

void hostjob_volumes(struct hostjob *j)
{
    for (uint32_t i = 0; i < j->volumes_count && j->code == ERR_OK; i++) {
        const struct agent_volume *v = &j->volumes[i];
        if (v->host_path.len > 0) {
            j->code = host_path(v, &j->err);
            continue;
        }
        j->code = fs_mkdir(v->path.at, 0755, &j->err);
        /* An emptyDir is everybody's in the pod, whatever user a container runs as. */
        if (j->code == ERR_OK && v->files_count == 0 && chmod(v->path.at, 0777) != 0)
            j->code = err_set(&j->err, ERR_UNAVAILABLE, "chmod %s: %m", v->path.at);
        if (j->code == ERR_OK && v->memory)
            j->code = memory_volume(v, &j->err);
        if (j->code == ERR_OK && v->page_bytes > 0)
            j->code = huge_volume(v, &j->err);
        if (j->code == ERR_OK)
            j->code = volume_files(v, &j->err);
    }
    bind_functions(j);
    if (j->code == ERR_OK && j->caches_count > 0)
        j->code =
            resctrl_make(j->sysfs, str_of(j->group), j->caches, j->caches_count, &j->cpus, &j->err);
}

/* ---- the end ---- */

struct folder {
    struct hostjob *job;
    const char *path;
};

static bool unmount_root(void *arg, const char *name)
{
    struct folder *f = arg;
    char path[FS_PATH_MAX];
    if (f->job->code == ERR_OK && fs_join(path, f->path, name))
        f->job->code = image_unmount(path, &f->job->err);
    return f->job->code == ERR_OK;
}

static bool unmount_volume(void *arg, const char *name)
{
    struct folder *f = arg;
    char path[FS_PATH_MAX];
    if (fs_join(path, f->path, name) && is_mounted(path) && umount2(path, MNT_DETACH) != 0)
        f->job->code = err_set(&f->job->err, ERR_UNAVAILABLE, "unmount %s: %m", path);
    return f->job->code == ERR_OK;
}

static void each(struct hostjob *j, const char *below, bool (*visit)(void *arg, const char *name))
{
    char path[FS_PATH_MAX];
    struct folder f = {j, path};
    struct err e;
    if (j->code != ERR_OK)
        return;
    snprintf(path, sizeof path, "%s/pods/%s/%s", j->state, j->uid, below);
    enum err_code code = fs_list(path, visit, &f, &e);
    if (code != ERR_OK && code != ERR_NOT_FOUND && j->code == ERR_OK) {
        j->code = code;
        j->err = e;
    }
}

/* Level-triggered: what is not there needs no removing, and what comes behind it does. */
static enum err_code or_absent(enum err_code code)
{
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

static enum err_code clean_network(struct hostjob *j)
{
    enum err_code code = ERR_OK;
    if (j->link.name[0] != '\0')
        code = or_absent(net_unguard(j->net, &j->link, &j->err));
    if (code == ERR_OK)
        code = or_absent(net_pod_remove(j->net, str_of(j->uid), &j->err));
    if (code == ERR_OK)
        code = or_absent(net_tap_remove(j->net, str_of(j->uid), &j->err));
    return code;
}

void hostjob_clean(struct hostjob *j)
{
    char path[FS_PATH_MAX];

    each(j, "roots", unmount_root);
    each(j, "volumes", unmount_volume);
    snprintf(path, sizeof path, "%s/pods/%s", j->state, j->uid);
    if (j->code == ERR_OK)
        j->code = or_absent(fs_remove_tree(path, &j->err));
    if (j->code == ERR_OK && j->logs != NULL)
        j->code = or_absent(fs_remove_tree(j->logs, &j->err));
    if (j->code == ERR_OK && j->net != NULL)
        j->code = clean_network(j);
    if (j->code == ERR_OK)
        j->code = or_absent(resctrl_remove(j->sysfs, str_of(j->group), &j->err));
    if (j->code == ERR_OK && fs_join(path, j->state, "devices"))
        j->code = or_absent(vfio_release(&(struct vfio){j->sysfs, path}, str_of(j->uid), &j->err));
}
