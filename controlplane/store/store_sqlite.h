/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_sqlite.h -- the embedded store: one SQLite file, its own thread.
 *
 * WHAT   An append-only table of changes in a WAL database. Commits that queue up while one is being
 *        synced become one transaction (group commit); a second thread checkpoints, so that no
 *        commit waits for it.
 * OWNS   store_sqlite_open() reads the file's head in the calling thread, then starts the threads. The
 *        store joins loop as a client and answers through it. seal must outlive it. It ends by its
 *        close op; there is no other way.
 * FAILS  Opening: ERR_CORRUPT: damaged, not a database, or another program's; ERR_DENIED, ERR_NOT_FOUND
 *        as the system says; ERR_INVALID: written by a newer version; ERR_UNAVAILABLE: the rest.
 *        A commit is ERR_LIMIT when disk or limit_bytes is full: nothing is written, and it heals when
 *        there is room again. A commit is ERR_UNAVAILABLE when writing or syncing failed; after that,
 *        load first moves everything to the database file, so that what it tells was truly written.
 *        On a disk that takes nothing the first load tells what is there all the same; its fence is
 *        written by the first commit that gets through, provided that nobody wrote before it.
 * FORM   log(rev, before, key, value): a change; before is the revision it superseded; value is NULL for
 *        a deletion, else value.h's form. state: one row: fence, compacted, head.
 */
#ifndef CONTROLPLANE_STORE_STORE_SQLITE_H
#define CONTROLPLANE_STORE_STORE_SQLITE_H

#include "controlplane/store/store.h"
#include "io/loop.h"
#include "io/seal.h"

struct store_sqlite_options {
    const char *path; /* Made when it is not there. */
    const struct seal *seal;
    struct loop *loop;
    uint64_t limit_bytes;      /* Of the database file; 0: the disk's. */
    uint32_t checkpoint_pages; /* Of the WAL, from which the checkpointer works; 0: 1000. */
};

MUST_USE enum err_code store_sqlite_open(const struct store_sqlite_options *o,
                                         const struct store_sink *sink, struct store **out,
                                         struct err *e);

/* For metrics. Any thread. */
struct store_sqlite_stats {
    uint64_t transactions, commits, writes, bytes; /* Group commit: commits of a transaction. */
    uint64_t checkpoints, wal_pages;               /* wal_pages: now. */
    /* Found in the WAL at opening: the last end was not an orderly one. */
    uint64_t recovered_pages;
    bool alone; /* Opened on a full disk: commits wait for checkpoints until the next start. */
};

struct store_sqlite_stats store_sqlite_stats(struct store *s);

#endif /* CONTROLPLANE_STORE_STORE_SQLITE_H */
