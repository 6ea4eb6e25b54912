/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_sqlite_db.h -- the SQLite side of store_sqlite.c: files, statements, codes. No threads, no mail.
 *
 * WHAT   What the store's thread does, synchronously: one call is one transaction. Only this module sees
 *        sqlite3.h.
 * OWNS   A struct db belongs to one thread at a time.
 * FAILS  As store_sqlite.h says. After a failed call nothing is left half open.
 */
#ifndef CONTROLPLANE_STORE_STORE_SQLITE_DB_H
#define CONTROLPLANE_STORE_STORE_SQLITE_DB_H

#include "controlplane/store/store.h"
#include "io/seal.h"

enum { DB_PAGE = 4096 };

struct db; /* Opaque: a connection and its prepared statements. */

enum db_kind {
    DB_MAIN,
    DB_ALONE,  /* Shares nothing on the disk: for a start where there is no room for it. */
    DB_HELPER, /* A second connection beside DB_MAIN, for db_checkpoint() only. */
};

/* A DB_MAIN that finds no room becomes a DB_ALONE by itself. */
MUST_USE enum err_code db_open(const char *path, const struct seal *seal, uint64_t limit_bytes,
                               enum db_kind kind, struct db **out, struct err *e);
void db_close(struct db *d); /* NULL is allowed. */

/* One transaction: begin, any number of adds, end. An add may fail with ERR_CONFLICT (fence, or a revision
 * used before) without spoiling the others. After another failure the transaction is over. */
MUST_USE enum err_code db_begin(struct db *d, struct err *e);
MUST_USE enum err_code db_add(struct db *d, uint64_t fence, const struct store_write *writes,
                              uint32_t writes_count, struct err *e);
bool db_is_open(const struct db *d); /* Is a transaction under way? */
MUST_USE enum err_code db_end(struct db *d, struct err *e);

struct db_head {
    uint64_t fence, compacted, head;
};

/* Raises the fence. */
MUST_USE enum err_code db_take_fence(struct db *d, struct db_head *out, struct err *e);
/* For a disk that takes nothing now: the fence that the next transaction will write first, under the condition
 * that nobody wrote anything before it. */
MUST_USE enum err_code db_owe_fence(struct db *d, struct db_head *out, struct err *e);
MUST_USE enum err_code db_head(struct db *d, struct db_head *out, struct err *e);

/* Up to max changes behind after, by revision. Keys and values are references of the caller's. */
struct db_row {
    uint64_t revision;
    struct blob *key, *value;
    bool sealed;
    struct err
        *poison; /* Why the value is an empty one instead of what is stored; NULL. The caller's. */
};

void db_row_fini(struct db_row *row);

MUST_USE enum err_code db_rows(struct db *d, uint64_t after, struct db_row *out, uint32_t max,
                               uint32_t *out_count, struct err *e);

/* Forgets what changes in (compacted, before] superseded; looks at up to max of them. */
MUST_USE enum err_code db_compact(struct db *d, uint64_t before, uint32_t max, bool *out_done,
                                  struct err *e);

/* Moves pages from the WAL to the database. whole: all of them, waiting for readers, and the WAL starts
 * anew. out_*: pages in the WAL, and of those the moved ones. */
MUST_USE enum err_code db_checkpoint(struct db *d, bool whole, uint64_t *out_wal,
                                     uint64_t *out_moved, struct err *e);

bool db_is_alone(const struct db *d);      /* Opened without room: no helper can be opened. */
uint64_t db_wal_pages(const struct db *d); /* After the last commit. */

#endif /* CONTROLPLANE_STORE_STORE_SQLITE_DB_H */
