/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logfile.h -- where a program's lines go: standard error, or a file that never grows without end.
 *
 * WHAT   logfile_open() makes FILE standard output and standard error, so that what others print there (a library, a
 *        sanitizer, the C library's last words) is in it, too. logfile_write() is the log's sink (base/log.h). Once
 *        FILE holds `max` bytes it becomes FILE.1, in place of an older one, and a new FILE begins.
 * WHY    Nobody but the program is there between two of its starts, and those may be years apart.
 * OWNS   `path` is borrowed for the life of the program.
 * SAFE   logfile_write() from any thread. A line is one write(2): lines do not mix, and none is lost at the turn, though
 *        FILE.1 may get a last one or two of other threads.
 * FAILS  logfile_open(): ERR_UNAVAILABLE, the file cannot be opened; standard error is what it was. A FILE that cannot
 *        be turned (no room, no right) goes on, and the turn is tried again after as many bytes. A line that cannot be
 *        written is lost: there is nobody to tell.
 */
#ifndef IO_LOGFILE_H
#define IO_LOGFILE_H

#include "base/err.h"
#include "base/lock.h"
#include "base/str.h"

#include <stdatomic.h>

enum { LOGFILE_MAX = 16 << 20 }; /* Bytes. */

struct logfile {
    const char *path; /* NULL: standard error, whatever that is. */
    uint64_t max;     /* Bytes. */
    _Atomic uint64_t
        size; /* Of FILE as far as we know: others may write there, and somebody may empty it. */
    struct lock turning;
};

enum err_code logfile_open(struct logfile *l, const char *path, uint64_t max, struct err *e);
void logfile_write(void *logfile,
                   struct str line); /* Without logfile_open(), of zeroes: standard error. */

#endif /* IO_LOGFILE_H */
