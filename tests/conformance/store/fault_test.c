/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite's engine on a disk that fails, at every write and sync call of a history in turn. The first run counts the calls, so
 * the sweep needs no list of them.
 */
#include "tests/conformance/store/rig.h"
#include "tests/conformance/store/vfs.h"
#include "tests/testlib/test.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { COMMITS = 8, TOGETHER = 2, LASTS = 40 };

/* What happens to the disk, and for how many of the calls that change it. */
struct trouble {
    const char *name;
    int system; /* errno */
    long calls;
};

static const struct trouble fails_once = {"EIO", EIO, 1};
static const struct trouble is_full = {"ENOSPC", ENOSPC, LASTS};
static const struct trouble is_read_only = {"EROFS", EROFS, LASTS};

static atomic_long calls, trip, lasts;
static atomic_int system_code;

static int code_of(enum vfs_kind kind)
{
    static const int codes[] = {[VFS_NEW] = SQLITE_CANTOPEN,
                                [VFS_WRITE] = SQLITE_IOERR_WRITE,
                                [VFS_TRUNCATE] = SQLITE_IOERR_TRUNCATE,
                                [VFS_SYNC] = SQLITE_IOERR_FSYNC,
                                [VFS_DELETE] = SQLITE_IOERR_DELETE};
    return kind == VFS_WRITE && system_code == ENOSPC ? SQLITE_FULL : codes[kind];
}

static int fail_some(void *state, const struct vfs_call *call)
{
    (void)state;
    if (call->kind == VFS_NEW || call->kind == VFS_DELETE)
        return SQLITE_OK;
    long n = atomic_fetch_add(&calls, 1) + 1, first = atomic_load(&trip);
    if (first == 0 || n < first || n >= first + atomic_load(&lasts))
        return SQLITE_OK;
    errno = system_code;
    return code_of(call->kind);
}

/* ---- A history ---- */

struct outcome {
    uint64_t acknowledged[COMMITS * 2];
    uint32_t count, failures;
};

/* Troubles end; until then the user asks again, as the control plane does. */
static void open_again(struct rig *r)
{
    struct err e;
    enum err_code code = rig_try_open(r, &e);
    for (uint32_t i = 0; i < LASTS && code != ERR_OK; i++)
        code = rig_try_open(r, &e);
    cr_assert_eq(code, ERR_OK, "%s", e.text);
}

static void load_again(struct rig *r)
{
    enum err_code code = rig_load(r);
    for (uint32_t i = 0; i < LASTS && code != ERR_OK; i++)
        code = rig_load(r);
    cr_assert_eq(code, ERR_OK, "%s", r->done[r->op].err.text);
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
    open_again(r);
    load_again(r);
    uint64_t revision = r->head + 1;
    while (out->count < COMMITS && out->failures < LASTS + COMMITS) {
        enum err_code code = commit_pair(r, revision);
        if (code == ERR_OK) {
            out->acknowledged[out->count++] = revision;
            revision += TOGETHER;
            continue;
        }
        out->failures++;
        cr_assert(code == ERR_UNAVAILABLE || code == ERR_LIMIT || code == ERR_DENIED, "%d: %s",
                  code, r->done[r->op].err.text);
        if (code == ERR_LIMIT)
            continue;  /* Nothing was written: the next try may be the same. */
        load_again(r); /* What every user does after an unknown outcome. */
        revision = r->head + 1;
    }
    cr_assert_eq(out->count, COMMITS, "it never healed");
    rig_close(r);
}

static bool has_row(struct rig *r, uint64_t revision)
{
    for (uint32_t i = 0; i < r->rows_count; i++)
        if (r->rows[i].revision == revision)
            return true;
    return false;
}

static uint32_t run(const struct trouble *t, long at, long *out_calls)
{
    struct rig *r = rig_new(engines[1]);
    struct outcome out = {0};
    atomic_store(&calls, 0);
    atomic_store(&system_code, t->system);
    atomic_store(&lasts, t->calls);
    atomic_store(&trip, at); /* 0: the undisturbed run, which counts. */
    live_through(r, &out);
    *out_calls = atomic_load(&calls);

    atomic_store(&trip, 0);
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_OK);
    for (uint32_t i = 0; i < out.count; i++)
        cr_assert(has_row(r, out.acknowledged[i]), "%s at call %ld", t->name, at);
    cr_assert_eq(r->rows_count % TOGETHER, 0, "half a transaction, %s at call %ld", t->name, at);
    rig_free(r);
    return out.failures;
}

static void sweep(const struct trouble *t)
{
    struct vfs_guard guard = {fail_some, NULL};
    long points, ignored;
    uint32_t failures = 0;
    vfs_use(&guard);
    cr_assert_eq(run(t, 0, &points), 0);
    for (long k = 1; k <= points; k++)
        failures += run(t, k, &ignored);
    cr_assert_gt(failures, COMMITS); /* The sweep reached the commits. */
}

TEST(fault, any_one_call_fails_and_nothing_acknowledged_is_lost)
{
    sweep(&fails_once);
}

TEST(fault, full_from_any_call_on_it_refuses_and_heals)
{
    sweep(&is_full);
}

TEST(fault, read_only_from_any_call_on_it_refuses_and_heals)
{
    sweep(&is_read_only);
}

static int fail_syncs(void *state, const struct vfs_call *call)
{
    (void)state;
    errno = ENOSPC;
    return call->kind == VFS_SYNC && trip != 0 ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

/* Delayed allocation finds the disk full only when it syncs: what was written may be there after a crash. */
TEST(fault, a_sync_without_room_has_an_unknown_outcome)
{
    struct vfs_guard guard = {fail_syncs, NULL};
    struct rig *r = rig_new(engines[1]);
    vfs_use(&guard);
    trip = 0;
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_OK);
    trip = 1;
    cr_assert_eq(commit_pair(r, 1), ERR_UNAVAILABLE);
    cr_assert_neq(rig_load(r), ERR_OK);
    trip = 0;
    cr_assert_eq(rig_load(r), ERR_OK);
    cr_assert_eq(commit_pair(r, r->head + 1), ERR_OK);
    rig_free(r);
}

/* ---- A start on a disk that takes nothing ---- */

/* What is stored is told; commits say why not; the first after there is room goes through, under a fence of its own. */
static void start_without_room(const struct trouble *t, enum err_code refusal)
{
    struct vfs_guard guard = {fail_some, NULL};
    struct rig *r = rig_new(engines[1]);
    vfs_use(&guard);
    atomic_store(&trip, 0);
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_OK);
    cr_assert_eq(commit_pair(r, 1), ERR_OK);
    uint64_t fence = r->fence;
    rig_close(r);

    atomic_store(&calls, 0);
    atomic_store(&system_code, t->system);
    atomic_store(&lasts, 1 << 20);
    atomic_store(&trip, 1);
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_OK, "%s", r->done[r->op].err.text);
    cr_assert_eq(r->rows_count, TOGETHER);
    cr_assert_gt(r->fence, fence);
    cr_assert_eq(commit_pair(r, 3), refusal, "%s", r->done[r->op].err.text);
    cr_assert_eq(commit_pair(r, 3), refusal);

    atomic_store(&trip, 0);
    if (refusal != ERR_LIMIT)
        cr_assert_eq(rig_load(r), ERR_OK);
    cr_assert_eq(commit_pair(r, 3), ERR_OK, "%s", r->done[r->op].err.text);
    fence = r->fence;
    rig_close(r);
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_OK);
    cr_assert_eq(r->head, 4);
    cr_assert_gt(r->fence, fence);
    rig_free(r);
}

TEST(fault, a_start_on_a_full_disk_serves_what_is_stored)
{
    start_without_room(&is_full, ERR_LIMIT);
}

TEST(fault, a_start_on_a_read_only_disk_serves_what_is_stored)
{
    start_without_room(&is_read_only, ERR_UNAVAILABLE);
}
