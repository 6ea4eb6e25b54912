/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logfiles.h -- the files of one log, open, while its writer rotates them.
 *
 * WHAT   PATH is written, PATH.1 is what was before it, PATH.2 what was before that (../shim/log.c). logfiles_open() opens what is
 *        there; logfiles_look() tells a reader how far the last one has grown, and which have come behind it.
 * WHY    Between two looks any number of rotations may lie, and between two system calls one. So files are known by their
 *        inodes, never by the names that they had.
 * OWNS   Its descriptors, until logfiles_close(). What a reader is through with is closed when a newer one comes.
 * ASYNC  Some system calls on local files, on the loop.
 * FAILS  A file that cannot be opened is not there. Over LOGS_FILES_MAX that nobody has read yet the reading ends.
 */
#ifndef NODEAGENT_SHELL_LOGFILES_H
#define NODEAGENT_SHELL_LOGFILES_H

#include "nodeagent/host/logs.h"

#include <sys/types.h>

struct logfile {
    int fd;
    ino_t inode;
};

struct logfiles {
    char path[4096];
    struct logfile at[LOGS_FILES_MAX]; /* Oldest first. */
    uint32_t count;
};

/* As many as it has opened: 0, nothing was written yet. path: below 4096 bytes. */
uint32_t logfiles_open(struct logfiles *f, struct str path, struct logs_file out[LOGS_FILES_MAX]);
void logfiles_look(struct logfiles *f, struct logs_reader *r); /* r: begun with what was opened. */
void logfiles_close(struct logfiles *f);

#endif /* NODEAGENT_SHELL_LOGFILES_H */
