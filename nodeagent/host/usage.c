/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/host/usage.h"
#include "io/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BLOCK_BYTES = 512, LOOK_AT_CLOCK = 256 };

enum err_code usage_disk(const char *path, struct usage_disk *out, struct err *e)
{
    struct statvfs fs;
    if (statvfs(path, &fs) != 0 || fs.f_blocks == 0)
        return err_set(e, ERR_UNAVAILABLE, "the size of the disk of %.80s: %m", path);
    *out = (struct usage_disk){(uint64_t)fs.f_blocks * fs.f_frsize,
                               (uint64_t)fs.f_bavail * fs.f_frsize, fs.f_files, fs.f_favail};
    return ERR_OK;
}

struct walking {
    const struct usage_walk *walk;
    struct usage *out;
    uint64_t entries;
    dev_t device;
    bool late;
};

static bool may_go_on(struct walking *w)
{
    const struct usage_walk *k = w->walk;
    if (w->entries++ >= k->entries_max)
        w->out->partial = true;
    else if (k->until.ns != 0 && w->entries % LOOK_AT_CLOCK == 0 && instant_due(k->until, k->now()))
        w->late = w->out->partial = true;
    return w->entries <= k->entries_max && !w->late;
}

/* One of its names carries its share: together they are what it is. */
static void count(struct walking *w, const struct stat *st)
{
    uint64_t names = st->st_nlink > 1 && !S_ISDIR(st->st_mode) ? st->st_nlink : 1;
    w->out->bytes += (uint64_t)st->st_blocks * BLOCK_BYTES / names;
    w->out->inodes++;
}

static int open_below(int parent, const char *name)
{
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV};
    return (int)syscall(SYS_openat2, parent, name, &how, sizeof how);
}

static void walk(struct walking *w, int directory, uint32_t depth);

static void look_at(struct walking *w, int directory, const char *name, uint32_t depth)
{
    struct stat st;
    if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0)
        return; /* Gone meanwhile. */
    if (st.st_dev != w->device)
        return; /* Memory, or somebody else's. */
    count(w, &st);
    if (!S_ISDIR(st.st_mode))
        return;
    int below = depth < USAGE_DEPTH_MAX ? open_below(directory, name) : -1;
    if (below < 0)
        w->out->partial |= depth == USAGE_DEPTH_MAX || (errno != ENOENT && errno != EXDEV);
    else
        walk(w, below, depth + 1);
}

/* Takes the descriptor. */
static void walk(struct walking *w, int directory, uint32_t depth)
{
    DIR *list = fdopendir(directory);
    if (list == NULL) {
        fs_close(&directory);
        w->out->partial = true;
        return;
    }
    for (struct dirent *d; (d = readdir(list)) != NULL;) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        if (!may_go_on(w))
            break;
        look_at(w, directory, d->d_name, depth);
    }
    closedir(list);
}

bool usage_directory(const char *path, const struct usage_walk *how, struct usage *out)
{
    struct stat st;
    struct walking w = {.walk = how, .out = out};
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME);
    if (directory < 0 || fstat(directory, &st) != 0) {
        out->partial |= errno != ENOENT && errno != ENOTDIR;
        fs_close(&directory);
        return true;
    }
    w.device = st.st_dev;
    count(&w, &st);
    walk(&w, directory, 0);
    return !w.late;
}
