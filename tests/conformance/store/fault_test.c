/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite's engine on a disk that fails: one write or sync call of a history gives EIO, every one in turn. The first run
 * counts the calls, so the sweep needs no list of them.
 */
#include "tests/conformance/store/rig.h"
#include "tests/testlib/test.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { COMMITS = 8, TOGETHER = 2 };

/* ---- A VFS in front of the system's, which can be made to fail once ---- */

static atomic_long calls, trip;

struct faulty {
    sqlite3_file base;
    sqlite3_file *real; /* Behind this struct. */
};

static sqlite3_vfs *system_vfs;

static sqlite3_file *real_of(sqlite3_file *f)
{
    return ((struct faulty *)(void *)f)->real;
}

static bool fails(void)
{
    return atomic_fetch_add(&calls, 1) + 1 == atomic_load(&trip);
}

static int f_close(sqlite3_file *f)
{
    return real_of(f)->pMethods->xClose(real_of(f));
}

static int f_read(sqlite3_file *f, void *at, int n, sqlite3_int64 from)
{
    return real_of(f)->pMethods->xRead(real_of(f), at, n, from);
}

static int f_write(sqlite3_file *f, const void *at, int n, sqlite3_int64 to)
{
    return fails() ? SQLITE_IOERR_WRITE : real_of(f)->pMethods->xWrite(real_of(f), at, n, to);
}

static int f_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return fails() ? SQLITE_IOERR_TRUNCATE : real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int f_sync(sqlite3_file *f, int flags)
{
    return fails() ? SQLITE_IOERR_FSYNC : real_of(f)->pMethods->xSync(real_of(f), flags);
}

static int f_size(sqlite3_file *f, sqlite3_int64 *out)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), out);
}

static int f_lock(sqlite3_file *f, int kind)
{
    return real_of(f)->pMethods->xLock(real_of(f), kind);
}

static int f_unlock(sqlite3_file *f, int kind)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), kind);
}

static int f_reserved(sqlite3_file *f, int *out)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int f_control(sqlite3_file *f, int op, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int f_sector(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int f_device(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int f_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}

static int f_shm_lock(sqlite3_file *f, int from, int n, int flags)
{
    return real_of(f)->pMethods->xShmLock(real_of(f), from, n, flags);
}

static void f_shm_barrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int f_shm_unmap(sqlite3_file *f, int remove)
{
    return real_of(f)->pMethods->xShmUnmap(real_of(f), remove);
}

static const sqlite3_io_methods methods = {.iVersion = 2,
                                           .xClose = f_close,
                                           .xRead = f_read,
                                           .xWrite = f_write,
                                           .xTruncate = f_truncate,
                                           .xSync = f_sync,
                                           .xFileSize = f_size,
                                           .xLock = f_lock,
                                           .xUnlock = f_unlock,
                                           .xCheckReservedLock = f_reserved,
                                           .xFileControl = f_control,
                                           .xSectorSize = f_sector,
                                           .xDeviceCharacteristics = f_device,
                                           .xShmMap = f_shm_map,
                                           .xShmLock = f_shm_lock,
                                           .xShmBarrier = f_shm_barrier,
                                           .xShmUnmap = f_shm_unmap};

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    struct faulty *file = (struct faulty *)(void *)f;
    (void)vfs;
    file->real = (sqlite3_file *)(void *)(file + 1);
    file->base.pMethods = NULL;
    int rc = system_vfs->xOpen(system_vfs, name, file->real, flags, out);
    if (rc == SQLITE_OK)
        file->base.pMethods = &methods;
    return rc;
}

static void use_faulty_vfs(void)
{
    static sqlite3_vfs vfs;
    system_vfs = sqlite3_vfs_find(NULL);
    vfs = *system_vfs;
    vfs.zName = "faulty";
    vfs.pNext = NULL;
    vfs.szOsFile = system_vfs->szOsFile + (int)sizeof(struct faulty);
    vfs.xOpen = faulty_open;
    cr_assert_eq(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}

/* ---- A history ---- */

struct outcome {
    uint64_t acknowledged[COMMITS * 2];
    uint32_t count, failures;
};

/* One fault, so the second try must do. */
static void open_twice(struct rig *r)
{
    struct err e;
    if (rig_try_open(r, &e) != ERR_OK)
        cr_assert_eq(rig_try_open(r, &e), ERR_OK, "%s", e.text);
}

static void load_twice(struct rig *r)
{
    if (rig_load(r) != ERR_OK)
        cr_assert_eq(rig_load(r), ERR_OK, "%s", r->done[r->op].err.text);
}

static enum err_code commit_pair(struct rig *r, uint64_t revision)
{
    struct store_write w[TOGETHER];
    for (uint32_t k = 0; k < TOGETHER; k++) {
        char key[32];
        snprintf(key, sizeof key, "k%llu/%u", (unsigned long long)revision, k);
        w[k] = (struct store_write){
            .revision = revision + k, .key = blob_new(str_of(key)), .value = blob_reserve(3000)};
        memset(w[k].value->at, 'v', 3000);
    }
    uint64_t op = rig_commit(r, r->fence, w, TOGETHER);
    for (uint32_t k = 0; k < TOGETHER; k++) {
        blob_unref(w[k].key);
        blob_unref(w[k].value);
    }
    return rig_wait(r, op);
}

static void live_through(struct rig *r, struct outcome *out)
{
    open_twice(r);
    load_twice(r);
    uint64_t revision = 1;
    for (uint32_t i = 0; i < COMMITS; i++) {
        enum err_code code = commit_pair(r, revision);
        if (code == ERR_OK) {
            out->acknowledged[out->count++] = revision;
            revision += TOGETHER;
            continue;
        }
        out->failures++;
        cr_assert(code == ERR_UNAVAILABLE || code == ERR_LIMIT, "%d", code);
        load_twice(r); /* What every user does after an unknown outcome. */
        revision = r->head + 1;
    }
    rig_close(r);
}

static bool has_row(struct rig *r, uint64_t revision)
{
    for (uint32_t i = 0; i < r->rows_count; i++)
        if (r->rows[i].revision == revision)
            return true;
    return false;
}

TEST(fault, any_one_call_fails_and_nothing_acknowledged_is_lost)
{
    uint32_t failures = 0;
    use_faulty_vfs();
    for (long k = 0, points = 1; k <= points; k++) {
        struct rig *r = rig_new(engines[1]);
        struct outcome out = {0};
        atomic_store(&calls, 0);
        atomic_store(&trip, k); /* 0: the undisturbed run, which counts. */
        live_through(r, &out);
        if (k == 0)
            points = atomic_load(&calls);
        failures += out.failures;

        rig_open(r);
        cr_assert_eq(rig_load(r), ERR_OK);
        for (uint32_t i = 0; i < out.count; i++)
            cr_assert(has_row(r, out.acknowledged[i]), "call %ld of %ld", k, points);
        cr_assert_eq(r->rows_count % TOGETHER, 0, "half a transaction, call %ld", k);
        rig_free(r);
    }
    cr_assert_gt(failures, COMMITS); /* The sweep reached the commits. */
}
