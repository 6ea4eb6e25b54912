/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage.h -- how full a disk is, and how much of it a directory holds.
 *
 * WHAT   Free bytes and inodes of a file system; bytes and inodes below a directory that somebody hostile fills, as
 *        blocks that are really taken: a file of many names counts once, a sparse one what it holds.
 * WHY    Root file systems of machines seldom have project quotas; statfs and a walk work everywhere.
 * FAILS  ERR_UNAVAILABLE: the file system does not say. A walk never fails: what it could not count (deeper than
 *        USAGE_DEPTH_MAX, more entries or time than it was given, unreadable) makes the result partial. What is not
 *        there holds nothing.
 *
 * Follows no link, enters no other file system, opens nothing but directories. What is deleted and still open is in no
 * directory: usage_open.h.
 */
#ifndef NODEAGENT_HOST_USAGE_H
#define NODEAGENT_HOST_USAGE_H

#include "base/err.h"
#include "base/time.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    USAGE_DEPTH_MAX = 200,
    USAGE_ENTRIES_MAX = 1000000, /* Of one directory, all below it included. */
};

struct usage_disk {
    uint64_t size_bytes, free_bytes; /* free: to anybody, root's reserve left out. */
    uint64_t inodes, inodes_free;    /* inodes 0: as many as it needs. */
};

struct usage {
    uint64_t bytes, inodes;
    bool partial;
};

MUST_USE enum err_code usage_disk(const char *path, struct usage_disk *out, struct err *e);

/* now: the clock that until is of; asked now and then. until.ns 0: no matter how long. */
struct usage_walk {
    uint64_t entries_max;
    struct instant until;
    struct instant (*now)(void);
};

/* Adds to *out. False: until was reached before it was done; *out is what was counted. */
bool usage_directory(const char *path, const struct usage_walk *walk, struct usage *out);

#endif /* NODEAGENT_HOST_USAGE_H */
