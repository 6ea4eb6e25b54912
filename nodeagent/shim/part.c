/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of volumes (subPath). Whoever runs in the pod may put a link where the part is, at any moment; the runtime's
 * command, who is root, would follow it. So the part is opened here, a name at a time and never through a link, and what
 * was opened is mounted at a place that no container reaches. The namespace is our own: its end ends the mounts.
 *
 * Source: openat2(2); Kubernetes' subPath: what is missing is made, with the volume's mode.
 */
#include "nodeagent/shim/shim.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int step(int at, const char *name)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, at, name, &how, sizeof how);
}

/* Somebody else may have made it since: then that is it, or is refused by step(). */
static int step_or_make(int at, const char *name, mode_t mode, bool make)
{
    int next = step(at, name);
    if (next >= 0 || errno != ENOENT || !make)
        return next;
    mode_t before = umask(0);
    int made = mkdirat(at, name, mode);
    int why = errno;
    umask(before);
    errno = why;
    return made != 0 && why != EEXIST ? -1 : step(at, name);
}

/* rest is below volume, and is cut into its names. The descriptor; -1 with errno. */
static int open_part(const char *volume, char *rest, bool make)
{
    struct stat st;
    char *more;
    int at = open(volume, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (at < 0 || fstat(at, &st) != 0)
        return at; /* Of an open descriptor fstat() does not fail. */
    for (char *name = strtok_r(rest, "/", &more); name != NULL && at >= 0;
         name = strtok_r(NULL, "/", &more)) {
        int next = step_or_make(at, name, st.st_mode & 01777, make);
        int why = errno;
        close(at);
        errno = why;
        at = next;
    }
    return at;
}

/* A folder is mounted on a folder, anything else on a file. */
static bool make_place(int fd, const char *place)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return false;
    if (S_ISDIR(st.st_mode))
        return mkdir(place, 0700) == 0 || errno == EEXIST;
    int made = open(place, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (made >= 0)
        close(made);
    return made >= 0;
}

static enum err_code mount_part(const char *part, const char *place, struct err *e)
{
    char volume[SHIM_PATH_MAX], rest[SHIM_PATH_MAX], link[64], *path;
    bool make = part[0] == '1';
    size_t len = part[0] == '\0' ? 0 : strtoul(part + 1, &path, 10);
    if (len == 0 || *path++ != ' ' || strlen(path) <= len || strlen(path) >= sizeof rest)
        return err_set(e, ERR_CORRUPT, "shim.conf: part=%s", part);
    memcpy(volume, path, len);
    volume[len] = '\0';
    snprintf(rest, sizeof rest, "%s", path + len);
    int fd = open_part(volume, rest, make);
    if (fd < 0 && (errno == ELOOP || errno == EXDEV))
        return err_set(e, ERR_DENIED, "%s: a link lies on the way, and is not followed", path);
    if (fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "open %s: %m", path);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    bool done = make_place(fd, place) && mount(link, place, NULL, MS_BIND | MS_REC, NULL) == 0;
    if (!done)
        err_set(e, ERR_UNAVAILABLE, "mount %s at %s: %m", path, place);
    close(fd);
    return done ? ERR_OK : e->code;
}

enum err_code shim_mount_parts(const struct shim_conf *conf, struct err *e)
{
    char place[SHIM_PATH_MAX];
    enum err_code code = ERR_OK;
    snprintf(place, sizeof place, "%s/parts", conf->directory);
    if (conf->parts_count > 0 && mkdir(place, 0700) != 0 && errno != EEXIST)
        return err_set(e, ERR_UNAVAILABLE, "mkdir %s: %m", place);
    for (uint32_t i = 0; i < conf->parts_count && code == ERR_OK; i++) {
        snprintf(place, sizeof place, "%s/parts/%u", conf->directory, i);
        code = mount_part(conf->parts[i], place, e);
    }
    return code;
}
