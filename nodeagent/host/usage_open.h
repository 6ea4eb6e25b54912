/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage_open.h -- what is deleted and still open: in no directory, and on the disk all the same.
 *
 * WHAT   Looks through the processes for regular files without a name that they hold open or mapped, on the file system
 *        of a directory or on an overlay, and adds their blocks to whom the process belongs. One file counts once.
 * WHY    A pod that writes to what it has deleted fills the disk, and a walk of directories (usage.h) finds nothing.
 * FAILS  Never: a process that ended meanwhile holds nothing; with more than USAGE_OPEN_MAX such files, or at the end of its
 *        entries or time, the rest is not counted and the result of whom it was is partial.
 *
 * Nothing is opened that a process opened, and no file system is asked about it (statx: AT_STATX_DONT_SYNC): one of the
 * process' own making could keep us waiting. Not seen: a file that is only on its way through a socket.
 */
#ifndef NODEAGENT_HOST_USAGE_OPEN_H
#define NODEAGENT_HOST_USAGE_OPEN_H

#include "base/str.h"
#include "nodeagent/host/usage.h"

enum { USAGE_OPEN_MAX = 65536 };

struct usage_open {
    const char *directory;         /* On the file system that is meant. */
    const struct usage_walk *walk; /* entries_max: of all processes together. */
    /* Whose process is it? groups: its /proc/PID/cgroup. NULL: nobody's that matters. */
    struct usage *(*whose)(void *arg, int32_t pid, struct str groups);
    void *arg;
};

void usage_open(const struct usage_open *q);

#endif /* NODEAGENT_HOST_USAGE_OPEN_H */
