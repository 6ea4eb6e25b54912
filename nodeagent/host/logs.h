/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logs.h -- container logs: one line format, a reader for `kubectl logs`.
 *
 * WHAT   The CRI format, one entry a line: "2026-11-21T08:48:00.123456789Z stdout F text\n"; tag P says
 *        that the line goes on in the next entry. Rotated files are LOG, LOG.1 (next older), LOG.2 ...
 *        logs_reader is sans-I/O: it is asked which bytes it wants, is fed them, and gives text.
 * WHY    The shim writes it, the agent reads it, and a container chooses its content: the parser
 *        is fuzzed and bounded.
 * OWNS   The reader holds at most LOGS_LINE_MAX bytes; what logs_feed() appends belongs to the caller.
 * FAILS  A line that is not in the format is given as it is, with the time of the one before.
 * SEAM   Source: Kubernetes, design proposal "CRI: Container Stdout/Stderr Logs"; PodLogOptions.
 */
#ifndef NODEAGENT_HOST_LOGS_H
#define NODEAGENT_HOST_LOGS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/time.h"

enum { LOGS_LINE_MAX = 16 << 10, LOGS_HEAD_MAX = 64, LOGS_FILES_MAX = 16 };

enum logs_stream { LOGS_STDOUT, LOGS_STDERR };

struct logs_entry {
    struct wall at;
    enum logs_stream stream;
    bool partial;    /* Tag P: the line goes on. */
    struct str text; /* Without the newline. */
};

/* One line without its newline. ERR_CORRUPT: not the format. Pure. */
MUST_USE enum err_code logs_parse(struct str line, struct logs_entry *out);

/* "2026-... stdout F " without the text, so that a writer sends text and newline from where they are. */
size_t logs_head(struct wall at, enum logs_stream stream, bool partial, char out[LOGS_HEAD_MAX]);

/* What kubectl asks for (core/v1 PodLogOptions). */
struct logs_options {
    bool follow, timestamps;
    int64_t tail_lines;  /* -1: all. */
    int64_t limit_bytes; /* -1: no limit; at least 1 otherwise. */
    struct wall since;   /* 0: all. */
};

struct logs_file { /* As found by the agent: oldest first, the live one last. */
    uint64_t size;
};

/* The way of a reading: with a tail, first backwards in blocks to find where it begins, then forwards.
 *
 *     logs_begin(&r, opt, files, count);
 *     while ((want = logs_next(&r)).type == LOGS_READ)
 *         logs_feed(&r, bytes of files[want.file] at want.offset, at most want.size, &out);
 *
 * LOGS_WAIT: the end of the live file was reached and follow is set: call logs_grown() when it is
 * longer, logs_rotated() when the live file became LOG.1 and a new one took its place. */
enum logs_want_type { LOGS_READ, LOGS_WAIT, LOGS_END };

struct logs_want {
    enum logs_want_type type;
    uint32_t file;
    uint64_t offset;
    uint32_t size;
};

struct logs_reader {
    struct logs_options opt;
    struct logs_file files[LOGS_FILES_MAX];
    uint32_t files_count;
    uint32_t file; /* Being read, and where. */
    uint64_t offset;
    bool backwards; /* Still looking for the tail's first line. */
    int64_t newlines_left;
    bool line_open; /* The last entry given was partial: the next goes on in the same line. */
    bool ended;
    int64_t given_bytes;
    struct wall last;
    struct buf rest; /* An unfinished line of the file. */
};

void logs_begin(struct logs_reader *r, const struct logs_options *opt,
                const struct logs_file *files, uint32_t files_count);
struct logs_want logs_next(const struct logs_reader *r);

/* bytes: what was at the wanted place, searching backwards all of it; empty: the file is shorter than
 * was said. Text for the client is appended to out. */
void logs_feed(struct logs_reader *r, struct str bytes, struct buf *out);

void logs_grown(struct logs_reader *r, uint64_t live_size);
void logs_rotated(struct logs_reader *r, uint64_t old_size, uint64_t live_size);
/* The reading is through with so many files at the front: they are forgotten, and the others move up. */
uint32_t logs_let_go(struct logs_reader *r);
void logs_stop_following(struct logs_reader *r); /* The container is gone: end at the live end. */
void logs_end(struct logs_reader *r);            /* Frees. */

#endif /* NODEAGENT_HOST_LOGS_H */
