/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfs.h -- SQLite's door to the disk, with somebody standing in it.
 *
 * WHAT   The system's VFS, made the default one under another name: every call that changes a disk (write, truncate,
 *        sync, a new file, a deleted one) is shown to a guard first, who lets it pass or gives SQLite's code for a failure.
 * WHY    fault_test.c makes calls fail, powercut.c writes down what a power cut could have left of them.
 * ASYNC  The guard is called on whatever thread SQLite runs on. A sync that may pass is not performed: no test here
 *        depends on the machine's own power.
 */
#ifndef CONFORMANCE_STORE_VFS_H
#define CONFORMANCE_STORE_VFS_H

#include <stddef.h>
#include <stdint.h>

enum vfs_kind { VFS_NEW, VFS_WRITE, VFS_TRUNCATE, VFS_SYNC, VFS_DELETE };

struct vfs_call {
    enum vfs_kind kind;
    const char *path;
    uint64_t at;       /* Where a write goes; what a truncate leaves. */
    const void *bytes; /* Of a write; len of them. */
    size_t len;
    int directory_too; /* VFS_DELETE: the directory is to be synced. */
};

struct vfs_guard {
    /* SQLITE_OK lets it pass; else the call fails with this code, and errno is what the system said. */
    int (*ask)(void *state, const struct vfs_call *call);
    void *state;
};

void vfs_use(const struct vfs_guard *guard); /* From here on, for every file opened. */

#endif /* CONFORMANCE_STORE_VFS_H */
