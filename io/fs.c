/* SPDX-License-Identifier: Apache-2.0 */
#include "io/fs.h"

#include "base/mem.h"
#include "io/entropy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_STEP = 16 << 10, TREE_DEPTH_MAX = 64, TREE_ROUNDS_MAX = 1000 };

static enum err_code fs_err(struct err *e, const char *what, const char *path)
{
    int was = errno;
    enum err_code code = was == ENOENT || was == ENOTDIR                 ? ERR_NOT_FOUND
                         : was == EACCES || was == EPERM || was == EROFS ? ERR_DENIED
                         : was == EEXIST                                 ? ERR_CONFLICT
                                                                         : ERR_UNAVAILABLE;
    errno = was;
    err_set(e, code, "%s %s: %m", what, path);
    errno = was;
    return code;
}

bool fs_is_short(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM;
}

void fs_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

bool fs_join(char out[FS_PATH_MAX], const char *a, const char *b)
{
    int length = snprintf(out, FS_PATH_MAX, "%s/%s", a, b);
    return length > 0 && length < FS_PATH_MAX;
}

bool fs_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

enum err_code fs_read(const char *path, struct buf *out, struct err *e)
{
    CLEANUP(fs_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fs_err(e, "open", path);

    for (;;) {
        size_t left = out->limit - out->len;
        char last, *room = left == 0 ? &last : buf_reserve(out, min_size(left, READ_STEP));
        ssize_t got = read(fd, room, left == 0 ? 1 : min_size(left, READ_STEP));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fs_err(e, "read", path);
        if (got == 0)
            return ERR_OK;
        if (left == 0)
            return err_set(e, ERR_LIMIT, "%s is over %zu bytes", path, out->limit);
        buf_commit(out, (size_t)got);
    }
}

static enum err_code write_all(int fd, struct str bytes, const char *path, struct err *e)
{
    while (bytes.len > 0) {
        ssize_t put = write(fd, bytes.at, bytes.len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return fs_err(e, "write", path);
        bytes = str_slice(bytes, (size_t)put, bytes.len);
    }
    return ERR_OK;
}

enum err_code fs_sync_dir(const char *path, struct err *e)
{
    CLEANUP(fs_close) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fs_err(e, "open", path);
    return fsync(fd) == 0 ? ERR_OK : fs_err(e, "sync", path);
}

static enum err_code sync_parent(const char *path, struct err *e)
{
    char dir[FS_PATH_MAX];
    snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash == NULL)
        return fs_sync_dir(".", e);
    slash[slash == dir] = '\0';
    return fs_sync_dir(dir, e);
}

/* bytes in a new file beside path; its name in temp. */
static enum err_code write_beside(const char *path, struct str bytes, mode_t mode, bool durable,
                                  char temp[FS_PATH_MAX], struct err *e)
{
    int length = snprintf(temp, FS_PATH_MAX, "%s.%08" PRIx32 ".tmp", path, (uint32_t)entropy_u64());
    if (length >= FS_PATH_MAX)
        return err_set(e, ERR_LIMIT, "path %s is too long", path);

    CLEANUP(fs_close) int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fs_err(e, "create", temp);
    if (fchmod(fd, mode) != 0)
        return fs_err(e, "chmod", temp);
    enum err_code code = write_all(fd, bytes, temp, e);
    if (code == ERR_OK && durable && fsync(fd) != 0)
        code = fs_err(e, "sync", temp);
    return code;
}

static enum err_code replace(const char *path, struct str bytes, mode_t mode, bool durable,
                             struct err *e)
{
    char temp[FS_PATH_MAX];
    enum err_code code = write_beside(path, bytes, mode, durable, temp, e);
    if (code == ERR_OK && rename(temp, path) != 0)
        code = fs_err(e, "rename to", path);
    if (code != ERR_OK)
        unlink(temp);
    return code;
}

enum err_code fs_put(const char *path, struct str bytes, mode_t mode, struct err *e)
{
    return replace(path, bytes, mode, false, e);
}

enum err_code fs_write(const char *path, struct str bytes, mode_t mode, struct err *e)
{
    enum err_code code = replace(path, bytes, mode, true, e);
    return code == ERR_OK ? sync_parent(path, e) : code;
}

enum err_code fs_create(const char *path, struct str bytes, mode_t mode, struct err *e)
{
    char temp[FS_PATH_MAX];
    enum err_code code = write_beside(path, bytes, mode, true, temp, e);
    if (code == ERR_OK && link(temp, path) != 0) /* Unlike rename(), refuses an existing one. */
        code = fs_err(e, "create", path);
    unlink(temp);
    return code == ERR_OK ? sync_parent(path, e) : code;
}

enum err_code fs_poke(const char *path, struct str bytes, struct err *e)
{
    CLEANUP(fs_close) int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return fs_err(e, "open", path);
    ssize_t put = write(fd, bytes.at, bytes.len);
    return put == (ssize_t)bytes.len ? ERR_OK : fs_err(e, "write", path);
}

enum err_code fs_mkdir(const char *path, mode_t mode, struct err *e)
{
    char part[FS_PATH_MAX];
    size_t length = strlen(path);

    if (length >= sizeof part)
        return err_set(e, ERR_LIMIT, "path %s is too long", path);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, mode) != 0 && errno != EEXIST)
            return fs_err(e, "mkdir", part);
    }
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return err_set(e, ERR_CONFLICT, "%s is not a directory", path);
    return ERR_OK;
}

enum err_code fs_remove(const char *path, struct err *e)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return ERR_OK;
    return fs_err(e, "remove", path);
}

/* ---- trees ---- */

struct tree {
    int root;     /* Directories that are too deep are moved here and met again later. */
    dev_t device; /* Others are mounts: left alone. */
};

static int tree_empty(struct tree *t, int dir, uint32_t depth);

/* Removes what name is in dir. -1: errno says why. */
static int tree_remove(struct tree *t, int dir, const char *name, uint32_t depth)
{
    struct stat st;
    char aside[32];

    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -1;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_dev != t->device)
        return st.st_dev == t->device ? -1 : (errno = EBUSY, -1);
    if (depth == TREE_DEPTH_MAX) {
        /* A name that nobody has: who filled the tree may have guessed, and a pass that was cut off has left some. */
        snprintf(aside, sizeof aside, ".deep-%016" PRIx64, entropy_u64());
        return renameat(dir, name, t->root, aside);
    }
    CLEANUP(fs_close) int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || tree_empty(t, fd, depth + 1) != 0)
        return -1;
    return unlinkat(dir, name, AT_REMOVEDIR);
}

static int tree_empty(struct tree *t, int dir, uint32_t depth)
{
    int again = fcntl(dir, F_DUPFD_CLOEXEC, 0);
    DIR *d = again < 0 ? NULL : fdopendir(again);
    int rc = 0;

    if (d == NULL) {
        fs_close(&again);
        return -1;
    }
    rewinddir(d);
    for (struct dirent *at = readdir(d); at != NULL && rc == 0; at = readdir(d)) {
        bool self = strcmp(at->d_name, ".") == 0 || strcmp(at->d_name, "..") == 0;
        if (!self)
            rc = tree_remove(t, dir, at->d_name, depth);
    }
    int was = errno;
    closedir(d);
    errno = was;
    return rc;
}

enum err_code fs_remove_tree(const char *path, struct err *e)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? ERR_OK : fs_err(e, "stat", path);
    if (!S_ISDIR(st.st_mode))
        return fs_remove(path, e);

    CLEANUP(fs_close) int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fs_err(e, "open", path);
    struct tree t = {.root = fd, .device = st.st_dev};
    for (uint32_t round = 0; round < TREE_ROUNDS_MAX; round++) {
        if (tree_empty(&t, fd, 0) != 0)
            return fs_err(e, "empty", path);
        if (rmdir(path) == 0)
            return ERR_OK;
        if (errno != ENOTEMPTY)
            break;
    }
    return fs_err(e, "remove", path);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What comes next but "." and ".."; NULL: the end, or errno says why not. */
static const char *next_name(DIR *d)
{
    struct dirent *at;
    do {
        errno = 0;
        at = readdir(d);
    } while (at != NULL && (strcmp(at->d_name, ".") == 0 || strcmp(at->d_name, "..") == 0));
    return at == NULL ? NULL : at->d_name;
}

struct names {
    char **at;
    size_t count, size;
};

/* Whole, or not at all: half a list would be taken for what there is. */
static enum err_code read_names(const char *path, struct names *out, struct err *e)
{
    DIR *d = opendir(path);
    const char *name = NULL;

    if (d == NULL)
        return fs_err(e, "open", path);
    while (out->count < FS_LIST_MAX && (name = next_name(d)) != NULL) {
        if (out->count == out->size) {
            out->size = out->size == 0 ? 32 : out->size * 2;
            out->at = mem_resize(out->at, out->size * sizeof *out->at);
        }
        size_t length = strlen(name) + 1;
        out->at[out->count] = mem_alloc(length);
        memcpy(out->at[out->count++], name, length);
    }
    enum err_code code = ERR_OK;
    if (out->count == FS_LIST_MAX)
        code = err_set(e, ERR_LIMIT, "%s holds %d things or more", path, FS_LIST_MAX);
    else if (errno != 0)
        code = fs_err(e, "read", path);
    closedir(d);
    return code;
}

enum err_code fs_list(const char *path, bool (*visit)(void *arg, const char *name), void *arg,
                      struct err *e)
{
    struct names names = {0};
    enum err_code code = read_names(path, &names, e);
    bool more = code == ERR_OK;

    if (names.count > 1)
        qsort(names.at, names.count, sizeof *names.at, by_name);
    for (size_t i = 0; i < names.count; i++) {
        more = more && visit(arg, names.at[i]);
        mem_free(names.at[i]);
    }
    mem_free(names.at);
    return code;
}

enum err_code fs_lock(const char *path, int *out_fd, struct err *e)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fs_err(e, "open", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        enum err_code code = errno == EWOULDBLOCK ? ERR_CONFLICT : ERR_UNAVAILABLE;
        close(fd);
        return err_set(e, code, "%s is locked by another process", path);
    }
    *out_fd = fd;
    return ERR_OK;
}
