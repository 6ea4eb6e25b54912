/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs.h -- small files, read and written whole, and the directories they are in.
 *
 * WHAT   Synchronous: for start-up, keys, a node's Placements, cgroup and proc files. Not for bulk.
 * WHY    "Written" means: after a power cut there is the old file or the new one, never a part.
 * FAILS  ERR_NOT_FOUND, ERR_DENIED, ERR_LIMIT (larger than the caller allows), ERR_CONFLICT (exists),
 *        ERR_UNAVAILABLE (anything else, with the system's words).
 */
#ifndef IO_FS_H
#define IO_FS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include <sys/types.h>

enum { FS_PATH_MAX = 4096, FS_LIST_MAX = 1 << 20 };

/* The whole file appended to out, which must have room for it (its limit is the cap). */
MUST_USE enum err_code fs_read(const char *path, struct buf *out, struct err *e);

/* Replace or create path durably: a temporary file beside it, synced, renamed, directory synced.
 * mode is the new file's, whatever the umask: 0600 for keys. */
MUST_USE enum err_code fs_write(const char *path, struct str bytes, mode_t mode, struct err *e);

/* The same, but ERR_CONFLICT when path exists. */
MUST_USE enum err_code fs_create(const char *path, struct str bytes, mode_t mode, struct err *e);

/* Replace or create path atomically but not durably: for what a reboot makes worthless anyway. */
MUST_USE enum err_code fs_put(const char *path, struct str bytes, mode_t mode, struct err *e);

/* One write(2) into an existing file: cgroup, proc and sys. Not durable, not atomic. */
MUST_USE enum err_code fs_poke(const char *path, struct str bytes, struct err *e);

MUST_USE enum err_code fs_mkdir(const char *path, mode_t mode, struct err *e); /* With parents. */
MUST_USE enum err_code fs_remove(const char *path, struct err *e); /* A file; gone already is ok. */
MUST_USE enum err_code fs_remove_tree(const char *path, struct err *e); /* Follows no link, leaves
                                                                            other file systems alone. */
MUST_USE enum err_code fs_sync_dir(const char *path, struct err *e);
bool fs_exists(const char *path);

/* Calls visit for each entry but "." and "..", in byte order of names. Stops at a false. Visits nothing when not all can be
 * read, or FS_LIST_MAX are there (ERR_LIMIT). */
MUST_USE enum err_code fs_list(const char *path, bool (*visit)(void *arg, const char *name),
                               void *arg, struct err *e);

/* An exclusive lock on path, created 0600, held until the process ends or fd is closed.
 * ERR_CONFLICT: another process holds it. Two batond on one state directory meet here. */
MUST_USE enum err_code fs_lock(const char *path, int *out_fd, struct err *e);

/* errno after a failure: for want of descriptors or memory of our own. It says nothing of the file, nor of what it is about. */
bool fs_is_short(int error);

void fs_close(int *fd); /* For CLEANUP(fs_close); -1 is allowed. */

/* a/b into out; false when it does not fit. */
bool fs_join(char out[FS_PATH_MAX], const char *a, const char *b);

#endif /* IO_FS_H */
