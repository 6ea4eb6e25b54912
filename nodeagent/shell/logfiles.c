/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/shell/logfiles.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES_MAX = 3 }; /* Each meets a rotation; then what was seen is good enough. */

static void close_all(struct logfile *at, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        close(at[i].fd);
}

static uint64_t size_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static bool open_one(const char *path, uint32_t n, struct logfile *out)
{
    char name[4096 + 16];
    struct stat st;
    snprintf(name, sizeof name, n == 0 ? "%s" : "%s.%u", path, n);
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return false;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return false;
    }
    *out = (struct logfile){fd, st.st_ino};
    return true;
}

/* What is newer than known (0: all), the newest first. A rotation moves files to higher numbers, the way we go: it shows some
 * twice and hides none. In its midst a number is missing. */
static uint32_t scan_once(const char *path, ino_t known, struct logfile out[LOGS_FILES_MAX])
{
    uint32_t count = 0;
    for (uint32_t n = 0; n < LOGS_FILES_MAX && count < LOGS_FILES_MAX; n++) {
        struct logfile one;
        if (!open_one(path, n, &one))
            continue;
        bool is_known = known != 0 && one.inode == known;
        bool again = count > 0 && one.inode == out[count - 1].inode;
        if (is_known || again)
            close(one.fd);
        else
            out[count++] = one;
        if (is_known)
            break;
    }
    return count;
}

/* After two rotations in one scan a newer file would stand behind an older one. */
static uint32_t scan(const char *path, ino_t known, struct logfile out[LOGS_FILES_MAX])
{
    uint32_t count = 0;
    for (int try = 0; try < TRIES_MAX; try++) {
        struct stat st;
        close_all(out, count);
        count = scan_once(path, known, out);
        if (count == 0 || stat(path, &st) != 0 || st.st_ino == out[0].inode)
            break;
    }
    return count;
}

uint32_t logfiles_open(struct logfiles *f, struct str path, struct logs_file out[LOGS_FILES_MAX])
{
    struct logfile newest_first[LOGS_FILES_MAX];
    snprintf(f->path, sizeof f->path, STR_FMT, STR_ARG(path));
    f->count = scan(f->path, 0, newest_first);
    for (uint32_t i = 0; i < f->count; i++) {
        f->at[i] = newest_first[f->count - 1 - i];
        out[i].size = size_of(f->at[i].fd);
    }
    return f->count;
}

static void let_go(struct logfiles *f, struct logs_reader *r)
{
    uint32_t done = logs_let_go(r);
    close_all(f->at, done);
    f->count -= done;
    memmove(f->at, f->at + done, f->count * sizeof f->at[0]);
}

void logfiles_look(struct logfiles *f, struct logs_reader *r)
{
    struct logfile newer[LOGS_FILES_MAX];
    struct stat st;
    uint32_t count = 0;
    struct logfile live = f->at[f->count - 1];
    if (stat(f->path, &st) == 0 && st.st_ino != live.inode)
        count = scan(f->path, live.inode, newer);
    logs_grown(r, size_of(live.fd));
    if (count == 0)
        return;
    let_go(f, r);
    if (f->count + count > LOGS_FILES_MAX) {
        close_all(newer, count);
        logs_stop_following(r);
        return;
    }
    /* Whose file has another behind it has closed it: its size is its last. */
    while (count-- > 0) {
        logs_rotated(r, size_of(f->at[f->count - 1].fd), size_of(newer[count].fd));
        f->at[f->count++] = newer[count];
    }
}

void logfiles_close(struct logfiles *f)
{
    close_all(f->at, f->count);
    f->count = 0;
}
