/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measured (docs/decisions, append-only log): without an index beside the row id, 3 to 4 times as many
 * changes go through. So nothing here ever looks for a key: a row names the row it supersedes.
 */
#include "controlplane/store/store_sqlite_db.h"

#include "base/mem.h"
#include "controlplane/store/value.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>

enum {
    APPLICATION = 0x62746f6e, /* "bton" in the file's head: whose it is. */
    VERSION = 1,
    BUSY_MS = 5000,
    CACHE_KIB = 256, /* A transaction of 150 changes; nothing is looked up (docs/decisions/0296). */
    WAL_KEEP = 64 << 20, /* A larger WAL file is cut when it starts anew. */
};

/* The statements kept prepared. */
/* clang-format off */
#define STATEMENTS(X)                                                                              \
    X(BEGIN,    "BEGIN IMMEDIATE")                                                                 \
    X(COMMIT,   "COMMIT")                                                                          \
    X(ROLLBACK, "ROLLBACK")                                                                        \
    X(SAVE,     "SAVEPOINT one")                                                                   \
    X(RELEASE,  "RELEASE one")                                                                     \
    X(UNDO,     "ROLLBACK TO one")                                                                 \
    X(ADD,      "INSERT INTO log(rev, before, key, value) VALUES(?1, ?2, ?3, ?4)")                 \
    X(HEAD,     "SELECT fence, compacted, max(head, (SELECT coalesce(max(rev), 0) FROM log)) FROM state") \
    X(FENCE,    "UPDATE state SET fence = fence + 1")                                              \
    X(ROWS,     "SELECT rev, key, value FROM log WHERE rev > ?1 ORDER BY rev LIMIT ?2")            \
    X(OLD,      "SELECT rev, before, value IS NULL FROM log WHERE rev > ?1 AND rev <= ?2 ORDER BY rev LIMIT ?3") \
    X(FORGET,   "DELETE FROM log WHERE rev = ?1")                                                  \
    X(MARK,     "UPDATE state SET compacted = max(compacted, ?1), head = max(head, ?2)")
/* clang-format on */

enum statement {
#define X(name, text) DO_##name,
    STATEMENTS(X)
#undef X
        DO__COUNT
};

static const char *const statement_texts[DO__COUNT] = {
#define X(name, text) [DO_##name] = text,
    STATEMENTS(X)
#undef X
};

static const char SCHEMA[] =
    "CREATE TABLE log(rev INTEGER PRIMARY KEY, before INTEGER NOT NULL, key TEXT NOT NULL,"
    " value BLOB);"
    "CREATE TABLE state(one INTEGER PRIMARY KEY CHECK(one = 1), fence INTEGER NOT NULL,"
    " compacted INTEGER NOT NULL, head INTEGER NOT NULL);"
    "INSERT INTO state VALUES(1, 0, 0, 0);";

struct db {
    sqlite3 *sql;
    const struct seal *seal;
    sqlite3_stmt *prepared[DO__COUNT];
    struct buf scratch;
    uint64_t wal_pages, fence; /* fence: of the transaction under way. */
    uint64_t owed,
        owed_head; /* A fence told but not written yet, and the head it was told at; 0. */
    bool alone;    /* No room for what two connections share: ours is in memory. */
};

/* ---- Codes ---- */

/* What SQLite says, as ours. Not written for certain: LIMIT. Perhaps written: UNAVAILABLE, which a sync that fails always
 * is, whatever its reason: what was written before it may reach the disk yet. */
static enum err_code failed(struct db *d, int rc, const char *what, struct err *e)
{
    int system = d->sql == NULL ? 0 : sqlite3_system_errno(d->sql);
    const char *text = d->sql == NULL ? sqlite3_errstr(rc) : sqlite3_errmsg(d->sql);
    enum err_code code = ERR_UNAVAILABLE;
    int primary = rc & 0xff;
    bool is_sync = d->sql != NULL && sqlite3_extended_errcode(d->sql) == SQLITE_IOERR_FSYNC;
    if (primary == SQLITE_FULL ||
        (primary == SQLITE_IOERR && !is_sync && (system == ENOSPC || system == EDQUOT)))
        return err_set(e, ERR_LIMIT, "%s: no room left for the store", what);
    if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB)
        code = ERR_CORRUPT;
    else if (primary == SQLITE_CONSTRAINT)
        code = ERR_CONFLICT;
    else if (primary == SQLITE_TOOBIG)
        code = ERR_LIMIT;
    else if (primary == SQLITE_PERM || primary == SQLITE_READONLY || primary == SQLITE_AUTH)
        code = ERR_DENIED;
    return err_set(e, code, "%s: %s", what, text);
}

static int run(struct db *d, enum statement which)
{
    sqlite3_stmt *st = d->prepared[which];
    int rc = sqlite3_step(st);
    sqlite3_reset(st);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static void give_up(struct db *d)
{
    if (db_is_open(d))
        run(d, DO_ROLLBACK);
}

/* ---- Opening ---- */

static int count_pages(void *state, sqlite3 *sql, const char *name, int pages)
{
    struct db *d = state;
    (void)sql;
    (void)name;
    d->wal_pages = (uint64_t)pages;
    return SQLITE_OK;
}

static int number_of(struct db *d, const char *pragma, int64_t *out)
{
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v2(d->sql, pragma, -1, &st, NULL);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        *out = sqlite3_column_int64(st, 0);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(st);
    return rc;
}

static int configure(struct db *d, uint64_t limit_bytes)
{
    char text[400];
    snprintf(text, sizeof text,
             "PRAGMA locking_mode=%s;PRAGMA synchronous=FULL;PRAGMA wal_autocheckpoint=0;PRAGMA "
             "secure_delete=OFF;"
             "PRAGMA temp_store=MEMORY;PRAGMA cache_size=-%d;PRAGMA journal_size_limit=%d;",
             d->alone ? "EXCLUSIVE" : "NORMAL", CACHE_KIB, WAL_KEEP);
    int rc = sqlite3_exec(d->sql, text, NULL, NULL, NULL);
    if (rc == SQLITE_OK && limit_bytes > 0) {
        snprintf(text, sizeof text, "PRAGMA max_page_count=%llu",
                 (unsigned long long)(limit_bytes / DB_PAGE + 1));
        rc = sqlite3_exec(d->sql, text, NULL, NULL, NULL);
    }
    sqlite3_wal_hook(d->sql, count_pages, d);
    return rc;
}

/* What an end without order left in the WAL. Moving it at once is tried, and may fail: it stays there. */
static uint64_t pages_found(struct db *d)
{
    int wal = 0, moved = 0;
    sqlite3_wal_checkpoint_v2(d->sql, NULL, SQLITE_CHECKPOINT_PASSIVE, &wal, &moved);
    return wal > 0 ? (uint64_t)wal : 0;
}

/* A file of ours, or an empty one that becomes ours. Anything else is left as it is. */
static enum err_code adopt(struct db *d, const char *path, struct err *e)
{
    int64_t application = 0, version = 0, tables = 0;
    char text[600];
    int rc = number_of(d, "SELECT count(*) FROM sqlite_schema", &tables);
    if (rc == SQLITE_OK)
        rc = number_of(d, "PRAGMA application_id", &application);
    if (rc == SQLITE_OK)
        rc = number_of(d, "PRAGMA user_version", &version);
    if (rc != SQLITE_OK)
        return failed(d, rc, path, e);
    if (tables > 0 && application != APPLICATION)
        return err_set(e, ERR_CORRUPT, "%s is a database of another program", path);
    if (tables > 0 && version != VERSION)
        return err_set(e, ERR_INVALID, "%s has format %lld, this program reads %d", path,
                       (long long)version, VERSION);
    if (tables > 0) {
        d->wal_pages = pages_found(d);
        return ERR_OK;
    }
    snprintf(text, sizeof text,
             "PRAGMA page_size=%d;PRAGMA journal_mode=WAL;BEGIN IMMEDIATE;%s"
             "PRAGMA application_id=%d;PRAGMA user_version=%d;COMMIT",
             DB_PAGE, SCHEMA, APPLICATION, VERSION);
    rc = sqlite3_exec(d->sql, text, NULL, NULL, NULL);
    return rc == SQLITE_OK ? ERR_OK : failed(d, rc, path, e);
}

static enum err_code prepare_all(struct db *d, const char *path, struct err *e)
{
    for (uint32_t i = 0; i < DO__COUNT; i++) {
        int rc = sqlite3_prepare_v3(d->sql, statement_texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                    &d->prepared[i], NULL);
        if (rc != SQLITE_OK) /* A damaged schema shows here: "no such table". */
            return err_set(e, ERR_CORRUPT, "%s: %s", path, sqlite3_errmsg(d->sql));
    }
    return ERR_OK;
}

static enum err_code open_as(const char *path, const struct seal *seal, uint64_t limit_bytes,
                             enum db_kind kind, struct db **out, struct err *e)
{
    struct db *d = mem_zalloc(1, sizeof *d);
    struct db_head head;
    d->seal = seal;
    d->alone = kind == DB_ALONE;
    buf_init(&d->scratch, STORE_VALUE_MAX + 4096);
    int rc = sqlite3_open_v2(
        path, &d->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    enum err_code code = ERR_OK;
    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(d->sql, BUSY_MS);
        rc = configure(d, limit_bytes);
    }
    if (rc != SQLITE_OK)
        code = failed(d, rc, path, e);
    if (code == ERR_OK && kind != DB_HELPER) {
        code = adopt(d, path, e);
        if (code == ERR_OK)
            code = prepare_all(d, path, e);
        if (code == ERR_OK)
            code = db_head(d, &head, e);
    }
    if (code != ERR_OK) {
        db_close(d);
        return code;
    }
    *out = d;
    return ERR_OK;
}

/* The first look into the file needs 32 KiB on the disk for what connections share (the -shm file). Without that room
 * the WAL's index is kept in memory, and there can be no second connection until the next start. */
enum err_code db_open(const char *path, const struct seal *seal, uint64_t limit_bytes,
                      enum db_kind kind, struct db **out, struct err *e)
{
    enum err_code code = open_as(path, seal, limit_bytes, kind, out, e);
    if (kind == DB_MAIN && (code == ERR_LIMIT || code == ERR_UNAVAILABLE))
        code = open_as(path, seal, limit_bytes, DB_ALONE, out, e);
    return code;
}

void db_close(struct db *d)
{
    if (d == NULL)
        return;
    for (uint32_t i = 0; i < DO__COUNT; i++)
        sqlite3_finalize(d->prepared[i]);
    sqlite3_close(d->sql);
    buf_free(&d->scratch);
    mem_free(d);
}

/* ---- Commits ---- */

/* Nobody may have written since it was told: neither another that took the store, nor the one before us. */
static enum err_code pay_fence(struct db *d, struct db_head *head, struct err *e)
{
    if (head->fence + 1 != d->owed || head->head != d->owed_head)
        return err_set(e, ERR_CONFLICT, "another writer came before our fence was written");
    int rc = run(d, DO_FENCE);
    if (rc != SQLITE_OK)
        return failed(d, rc, "take the fence", e);
    head->fence = d->owed;
    return ERR_OK;
}

enum err_code db_begin(struct db *d, struct err *e)
{
    struct db_head head;
    int rc = run(d, DO_BEGIN);
    if (rc != SQLITE_OK)
        return failed(d, rc, "begin", e);
    enum err_code code = db_head(d, &head, e);
    if (code == ERR_OK && d->owed != 0)
        code = pay_fence(d, &head, e);
    if (code != ERR_OK)
        give_up(d);
    else
        d->fence = head.fence;
    return code;
}

static int add_one(struct db *d, const struct store_write *w)
{
    sqlite3_stmt *st = d->prepared[DO_ADD];
    struct str key = blob_str(w->key);
    sqlite3_bind_int64(st, 1, (int64_t)w->revision);
    sqlite3_bind_int64(st, 2, (int64_t)w->before);
    sqlite3_bind_text(st, 3, key.at, (int)key.len, SQLITE_STATIC);
    if (w->value == NULL) {
        sqlite3_bind_null(st, 4);
    } else {
        buf_clear(&d->scratch);
        value_encode(d->seal, key, w->revision, blob_str(w->value), w->sealed, &d->scratch);
        if (d->scratch.overflow) {
            d->scratch.overflow = false;
            return SQLITE_TOOBIG;
        }
        sqlite3_bind_blob(st, 4, d->scratch.at, (int)d->scratch.len, SQLITE_STATIC);
    }
    int rc = run(d, DO_ADD);
    sqlite3_clear_bindings(st);
    return rc;
}

enum err_code db_add(struct db *d, uint64_t fence, const struct store_write *writes,
                     uint32_t writes_count, struct err *e)
{
    if (fence != d->fence)
        return err_set(e, ERR_CONFLICT, "another writer took over (fence %llu, ours %llu)",
                       (unsigned long long)d->fence, (unsigned long long)fence);
    int rc = run(d, DO_SAVE);
    for (uint32_t i = 0; rc == SQLITE_OK && i < writes_count; i++)
        rc = add_one(d, &writes[i]);
    if (rc == SQLITE_OK)
        rc = run(d, DO_RELEASE);
    if (rc == SQLITE_OK)
        return ERR_OK;

    enum err_code code = failed(d, rc, "commit", e);
    bool others_stand = (code == ERR_CONFLICT || rc == SQLITE_TOOBIG) && db_is_open(d) &&
                        run(d, DO_UNDO) == SQLITE_OK && run(d, DO_RELEASE) == SQLITE_OK;
    if (!others_stand)
        give_up(d);
    return code;
}

bool db_is_open(const struct db *d)
{
    return !sqlite3_get_autocommit(d->sql);
}

enum err_code db_end(struct db *d, struct err *e)
{
    int rc = run(d, DO_COMMIT);
    if (rc == SQLITE_OK) {
        d->owed = 0;
        return ERR_OK;
    }
    enum err_code code = failed(d, rc, "commit", e);
    give_up(d);
    return code;
}

/* ---- Reading ---- */

enum err_code db_head(struct db *d, struct db_head *out, struct err *e)
{
    sqlite3_stmt *st = d->prepared[DO_HEAD];
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *out = (struct db_head){.fence = (uint64_t)sqlite3_column_int64(st, 0),
                                .compacted = (uint64_t)sqlite3_column_int64(st, 1),
                                .head = (uint64_t)sqlite3_column_int64(st, 2)};
    sqlite3_reset(st);
    if (rc == SQLITE_ROW)
        return ERR_OK;
    if (rc == SQLITE_DONE)
        return err_set(e, ERR_CORRUPT, "the store's state row is missing");
    return failed(d, rc, "read the store's state", e);
}

enum err_code db_take_fence(struct db *d, struct db_head *out, struct err *e)
{
    int rc = run(d, DO_BEGIN);
    if (rc == SQLITE_OK)
        rc = run(d, DO_FENCE);
    if (rc == SQLITE_OK)
        rc = run(d, DO_COMMIT);
    if (rc != SQLITE_OK) {
        enum err_code code = failed(d, rc, "take the fence", e);
        give_up(d);
        return code;
    }
    d->owed = 0;
    return db_head(d, out, e);
}

enum err_code db_owe_fence(struct db *d, struct db_head *out, struct err *e)
{
    enum err_code code = db_head(d, out, e);
    if (code != ERR_OK)
        return code;
    d->owed = ++out->fence;
    d->owed_head = out->head;
    return ERR_OK;
}

static void row_read(struct db *d, sqlite3_stmt *st, struct db_row *row)
{
    struct err e;
    row->revision = (uint64_t)sqlite3_column_int64(st, 0);
    struct str key = {(const char *)sqlite3_column_text(st, 1), 0};
    key.len = (size_t)sqlite3_column_bytes(st, 1);
    struct str value = {sqlite3_column_blob(st, 2), 0};
    value.len = (size_t)sqlite3_column_bytes(st, 2);
    row->value = NULL;
    row->poison = NULL;
    row->sealed = false;
    row->key = blob_new(key);
    if (sqlite3_column_type(st, 2) == SQLITE_NULL ||
        value_decode(d->seal, key, row->revision, value, &row->value, &row->sealed, &e) == ERR_OK)
        return;
    row->value = blob_new(STR(""));
    row->poison = mem_alloc(sizeof *row->poison);
    *row->poison = e;
}

void db_row_fini(struct db_row *row)
{
    blob_unref(row->key);
    blob_unref(row->value);
    mem_free(row->poison);
}

enum err_code db_rows(struct db *d, uint64_t after, struct db_row *out, uint32_t max,
                      uint32_t *out_count, struct err *e)
{
    sqlite3_stmt *st = d->prepared[DO_ROWS];
    uint32_t count = 0;
    enum err_code code = ERR_OK;
    int rc = SQLITE_ROW;
    sqlite3_bind_int64(st, 1, (int64_t)after);
    sqlite3_bind_int64(st, 2, max);
    while (count < max && (rc = sqlite3_step(st)) == SQLITE_ROW)
        row_read(d, st, &out[count++]);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        code = failed(d, rc, "load", e);
    sqlite3_reset(st);
    if (code == ERR_OK) {
        *out_count = count;
        return ERR_OK;
    }
    for (uint32_t i = 0; i < count; i++)
        db_row_fini(&out[i]);
    return code;
}

/* ---- Compaction ---- */

static int forget(struct db *d, int64_t revision)
{
    sqlite3_bind_int64(d->prepared[DO_FORGET], 1, revision);
    return run(d, DO_FORGET);
}

/* A deletion's own row goes, too, once what it deleted is gone: nothing is left to remember. The row the
 * statement stands on is deleted only after it has stepped on. */
static int forget_slice(struct db *d, uint64_t from, uint64_t before, uint32_t max,
                        uint64_t *out_last, uint32_t *out_count)
{
    sqlite3_stmt *st = d->prepared[DO_OLD];
    int64_t deletion = 0;
    int rc, done = SQLITE_OK;
    sqlite3_bind_int64(st, 1, (int64_t)from);
    sqlite3_bind_int64(st, 2, (int64_t)before);
    sqlite3_bind_int64(st, 3, max);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW && done == SQLITE_OK) {
        int64_t revision = sqlite3_column_int64(st, 0), old = sqlite3_column_int64(st, 1);
        bool is_deletion = sqlite3_column_int(st, 2) != 0;
        if (deletion != 0)
            done = forget(d, deletion);
        if (done == SQLITE_OK && old > 0)
            done = forget(d, old);
        deletion = is_deletion ? revision : 0;
        *out_last = (uint64_t)revision;
        (*out_count)++;
    }
    sqlite3_reset(st);
    if (done == SQLITE_OK && deletion != 0)
        done = forget(d, deletion);
    return done != SQLITE_OK ? done : rc == SQLITE_DONE ? SQLITE_OK : rc;
}

enum err_code db_compact(struct db *d, uint64_t before, uint32_t max, bool *out_done, struct err *e)
{
    struct db_head head;
    uint32_t count = 0;
    int rc = run(d, DO_BEGIN);
    if (rc != SQLITE_OK)
        return failed(d, rc, "compact", e);
    enum err_code code = db_head(d, &head, e);
    uint64_t last = head.compacted;
    before = min_u64(before, head.head);
    if (code == ERR_OK && before > head.compacted)
        rc = forget_slice(d, head.compacted, before, max, &last, &count);
    bool done = count < max;
    if (code == ERR_OK && rc == SQLITE_OK) {
        sqlite3_bind_int64(d->prepared[DO_MARK], 1, (int64_t)(done ? before : last));
        sqlite3_bind_int64(d->prepared[DO_MARK], 2, (int64_t)head.head);
        rc = run(d, DO_MARK);
    }
    if (code == ERR_OK && rc == SQLITE_OK)
        rc = run(d, DO_COMMIT);
    if (code == ERR_OK && rc != SQLITE_OK)
        code = failed(d, rc, "compact", e);
    if (code != ERR_OK) {
        give_up(d);
        return code;
    }
    *out_done = done;
    return ERR_OK;
}

/* ---- Checkpoints ---- */

enum err_code db_checkpoint(struct db *d, bool whole, uint64_t *out_wal, uint64_t *out_moved,
                            struct err *e)
{
    int wal = 0, moved = 0;
    int rc = sqlite3_wal_checkpoint_v2(
        d->sql, NULL, whole ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, &wal, &moved);
    if (rc != SQLITE_OK && !(rc == SQLITE_BUSY && !whole))
        return failed(d, rc, "checkpoint", e);
    *out_wal = wal > 0 ? (uint64_t)wal : 0;
    *out_moved = moved > 0 ? (uint64_t)moved : 0;
    if (whole)
        d->wal_pages = 0;
    return ERR_OK;
}

bool db_is_alone(const struct db *d)
{
    return d->alone;
}

uint64_t db_wal_pages(const struct db *d)
{
    return d->wal_pages;
}
