/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/host/inroot.h"
#include "io/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* O_NONBLOCK: opening a named pipe of the image must not wait for its other end. */
static int open_below(int directory, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(unsigned)flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

static enum err_code open_failed(struct err *e, const char *path)
{
    enum err_code code = errno == ENOENT || errno == ENOTDIR                   ? ERR_NOT_FOUND
                         : errno == EXDEV || errno == ELOOP || errno == EACCES ? ERR_DENIED
                                                                               : ERR_UNAVAILABLE;
    return err_set(e, code, "open %s: %m", path);
}

/* The only regular file in a directory. */
static enum err_code only_entry(int directory, const char *path, char out_name[256], struct err *e)
{
    int again = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = again < 0 ? NULL : fdopendir(again);
    uint32_t count = 0;
    if (list == NULL) {
        fs_close(&again);
        return err_set(e, ERR_UNAVAILABLE, "list %s: %m", path);
    }
    for (struct dirent *entry; count < 2 && (entry = readdir(list)) != NULL;) {
        struct stat st;
        if (fstatat(directory, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(st.st_mode))
            continue;
        snprintf(out_name, 256, "%s", entry->d_name);
        count++;
    }
    closedir(list);
    if (count == 1)
        return ERR_OK;
    return err_set(e, count == 0 ? ERR_NOT_FOUND : ERR_INVALID,
                   "%s holds %s files; one is wanted, or its path", path,
                   count == 0 ? "no" : "several");
}

/* fd is path's; makes it the file inside when it is a directory. */
static enum err_code regular_of(int *fd, const char *path, int flags, struct err *e)
{
    struct stat st;
    if (fstat(*fd, &st) != 0)
        return open_failed(e, path);
    if (S_ISREG(st.st_mode))
        return ERR_OK;
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_INVALID, "%s is not a regular file", path);
    char name[256];
    enum err_code code = only_entry(*fd, path, name, e);
    if (code != ERR_OK)
        return code;
    int inside = open_below(*fd, name, flags | O_NOFOLLOW);
    if (inside < 0)
        return open_failed(e, path);
    fs_close(fd);
    *fd = inside;
    if (fstat(inside, &st) != 0 || !S_ISREG(st.st_mode))
        return err_set(e, ERR_INVALID, "%s: not a regular file any more", path);
    return ERR_OK;
}

enum err_code inroot_open(const char *root, const char *path, int flags, int *out_fd, struct err *e)
{
    CLEANUP(fs_close) int directory = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return open_failed(e, root);
    CLEANUP(fs_close) int fd = open_below(directory, path, flags);
    if (fd < 0 && errno == EISDIR) /* O_RDWR on a directory: look into it first. */
        fd = open_below(directory, path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return open_failed(e, path);
    enum err_code code = regular_of(&fd, path, flags, e);
    if (code != ERR_OK)
        return code;
    *out_fd = fd;
    fd = -1;
    return ERR_OK;
}
