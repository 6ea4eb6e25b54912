/* SPDX-License-Identifier: Apache-2.0 */
#include "io/logfile.h"

#include "io/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t bytes_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* Whoever writes meanwhile writes to the old file or to the new one: dup2 has no moment between. */
static bool stand_in(int fd)
{
    bool done = dup2(fd, STDOUT_FILENO) >= 0 && dup2(fd, STDERR_FILENO) >= 0;
    close(fd);
    return done;
}

enum err_code logfile_open(struct logfile *l, const char *path, uint64_t max, struct err *e)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "%s: %m", path);
    uint64_t size = bytes_of(fd);
    if (!stand_in(fd))
        return err_set(e, ERR_UNAVAILABLE, "%s: %m", path);
    l->path = path;
    l->max = max;
    atomic_init(&l->size, size);
    lock_init(&l->turning);
    return ERR_OK;
}

/* The new one is there before the old one goes: want of room leaves everything as it is. */
static void turn(const struct logfile *l)
{
    char fresh[FS_PATH_MAX], old[FS_PATH_MAX];

    if (snprintf(fresh, sizeof fresh, "%s.new", l->path) >= (int)sizeof fresh ||
        snprintf(old, sizeof old, "%s.1", l->path) >= (int)sizeof old)
        return;
    int fd = open(fresh, O_WRONLY | O_APPEND | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if ((rename(l->path, old) == 0 || errno == ENOENT) && rename(fresh, l->path) == 0) {
        stand_in(fd);
        return;
    }
    close(fd);
    unlink(fresh);
}

static void turn_when_full(struct logfile *l)
{
    lock_take(&l->turning);
    if (atomic_load(&l->size) >= l->max) { /* Or another thread was here first. */
        uint64_t size = bytes_of(STDERR_FILENO);
        if (size >= l->max) {
            turn(l);
            size = 0;
        }
        atomic_store(&l->size, size);
    }
    lock_give(&l->turning);
}

void logfile_write(void *logfile, struct str line)
{
    struct logfile *l = logfile;
    ssize_t put = write(STDERR_FILENO, line.at, line.len);

    if (l->path != NULL && put > 0 &&
        atomic_fetch_add(&l->size, (uint64_t)put) + (uint64_t)put >= l->max)
        turn_when_full(l);
}
