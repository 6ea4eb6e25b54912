/* SPDX-License-Identifier: Apache-2.0 */
/* What SQLite's engine promises beyond the seam: foreign files, secrets, full disks, sudden death. */
#include "base/rng.h"
#include "controlplane/store/store_sqlite.h"
#include "io/clock.h"
#include "io/fs.h"
#include "tests/conformance/store/rig.h"
#include "tests/testlib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static struct rig *sqlite_rig(void)
{
    return rig_new(engines[1]);
}

static void start(struct rig *r)
{
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_OK);
}

static void put_file(const char *path, struct str bytes)
{
    cr_assert_eq(fs_write(path, bytes, 0600, NULL), ERR_OK);
}

static struct buf file_of(const char *path)
{
    struct buf b;
    buf_init(&b, 64 << 20);
    cr_assert_eq(fs_read(path, &b, NULL), ERR_OK);
    return b;
}

TEST(sqlite, a_foreign_file_is_left_alone)
{
    struct rig *r = sqlite_rig();
    struct err e;
    put_file(r->path, STR("this is a letter to my aunt, and longer than a database's head is. "
                          "this is a letter to my aunt, and longer than a database's head is."));
    cr_assert_eq(rig_try_open(r, &e), ERR_CORRUPT);
    cr_assert_not_null(strstr(e.text, "not a database"), "%s", e.text);
    struct buf b = file_of(r->path);
    cr_assert(str_starts(buf_str(&b), STR("this is a letter")));
    buf_free(&b);

    snprintf(r->path, sizeof r->path, "%s/none/store.db", r->dir);
    cr_assert_neq(rig_try_open(r, &e), ERR_OK);
    rig_free(r);
}

TEST(sqlite, another_programs_database_is_refused)
{
    struct rig *r = sqlite_rig();
    struct err e;
    start(r);
    rig_close(r);
    struct buf b = file_of(r->path);
    b.at[68] =
        'X'; /* The application id, bytes 68 to 71 of the head (sqlite.org/fileformat2.html). */
    put_file(r->path, buf_str(&b));
    cr_assert_eq(rig_try_open(r, &e), ERR_CORRUPT);
    cr_assert_not_null(strstr(e.text, "another program"), "%s", e.text);
    b.at[68] = 0x62;
    b.at[63] = 9; /* The user version, bytes 60 to 63. */
    put_file(r->path, buf_str(&b));
    cr_assert_eq(rig_try_open(r, &e), ERR_INVALID);
    cr_assert_not_null(strstr(e.text, "format 9"), "%s", e.text);
    buf_free(&b);
    rig_free(r);
}

/* Damage is told, wherever it lies: at opening or at the load, never by a crash or by fewer objects. */
TEST(sqlite, damage_is_told)
{
    struct rig *r = sqlite_rig();
    start(r);
    for (uint64_t i = 1; i <= 400; i++) {
        char key[32];
        snprintf(key, sizeof key, "key-%llu", (unsigned long long)i);
        struct store_write w = {
            .revision = i, .key = blob_new(str_of(key)), .value = blob_reserve(500)};
        memset(w.value->at, 'v', 500);
        rig_commit(r, r->fence, &w, 1);
        blob_unref(w.key);
        blob_unref(w.value);
        if (i % 100 == 0)
            cr_assert_eq(rig_wait(r, r->op), ERR_OK);
    }
    rig_close(r);
    struct buf whole = file_of(r->path);
    for (size_t page = 0; page * 4096 < whole.len; page += 4) {
        struct err e;
        struct buf b;
        buf_init(&b, 64 << 20);
        buf_add(&b, buf_str(&whole));
        memset(b.at + page * 4096, 0x5a, 4096);
        put_file(r->path, buf_str(&b));
        buf_free(&b);
        enum err_code code = rig_try_open(r, &e);
        if (code == ERR_OK) {
            code = rig_load(r);
            cr_assert(code == ERR_CORRUPT || r->rows_count == 400, "page %zu", page);
            rig_close(r);
        }
        cr_assert(code == ERR_CORRUPT || code == ERR_OK, "page %zu: %d", page, code);
    }
    buf_free(&whole);
    rig_free(r);
}

TEST(sqlite, secrets_are_sealed_and_bound_to_their_key)
{
    struct rig *r = sqlite_rig();
    start(r);
    struct blob *a = blob_new(STR("/secrets/default/a")),
                *b = blob_new(STR("/configmaps/default/b"));
    struct blob *secret = blob_new(STR("correct horse battery staple"));
    struct blob *open = blob_new(STR("plain for everyone to read"));
    struct store_write w[] = {{.revision = 1, .key = a, .value = secret, .sealed = true},
                              {.revision = 2, .key = b, .value = open}};
    cr_assert_eq(rig_wait(r, rig_commit(r, r->fence, w, 2)), ERR_OK);
    rig_close(r);
    struct buf file = file_of(r->path);
    cr_assert_null(memmem(file.at, file.len, "horse battery", 13));
    cr_assert_not_null(memmem(file.at, file.len, "plain for everyone", 18));

    /* The same bytes under another path do not open. */
    char *path = memmem(file.at, file.len, "/secrets/default/a", 18);
    cr_assert_not_null(path);
    path[17] = 'z';
    struct buf moved = file;
    put_file(r->path, buf_str(&moved));
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_OK);
    cr_assert_eq(r->rows[0].code, ERR_CORRUPT);
    cr_assert_eq(r->rows[0].value->len, 0);
    cr_assert_eq(r->rows[1].code, ERR_OK); /* Others are not harmed. */
    cr_assert_not_null(strstr(r->row_err.text, "/secrets/default/z"));
    rig_close(r);
    path[17] = 'a';
    put_file(r->path, buf_str(&file));

    /* Neither does another key open them. */
    rig_use_key(r, 2);
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_OK);
    cr_assert_eq(r->rows[0].code, ERR_CORRUPT);
    rig_close(r);
    rig_use_key(r, 1);
    start(r);
    cr_assert_eq(r->rows[0].code, ERR_OK);
    cr_assert(str_is(blob_str(r->rows[0].value), "correct horse battery staple"));
    buf_free(&file);
    blob_unref(a);
    blob_unref(b);
    blob_unref(secret);
    blob_unref(open);
    rig_free(r);
}

static enum err_code put_large(struct rig *r, uint64_t revision, uint64_t before)
{
    struct store_write w = {.revision = revision,
                            .before = before,
                            .key = blob_new(STR("large")),
                            .value = blob_reserve(200000)};
    memset(w.value->at, 'L', 200000);
    uint64_t op = rig_commit(r, r->fence, &w, 1);
    blob_unref(w.key);
    blob_unref(w.value);
    return rig_wait(r, op);
}

TEST(sqlite, a_full_disk_refuses_and_heals)
{
    struct rig *r = sqlite_rig();
    r->limit_bytes = 2 << 20;
    start(r);
    uint64_t revision = 1;
    enum err_code code;
    while ((code = put_large(r, revision, revision - 1)) == ERR_OK)
        cr_assert_lt(++revision, 100);
    cr_assert_eq(code, ERR_LIMIT);
    cr_assert_not_null(strstr(r->done[r->op].err.text, "no room"));
    cr_assert_eq(put_large(r, revision, revision - 1), ERR_LIMIT);

    cr_assert_eq(rig_compact(r, revision - 1), ERR_OK); /* Makes room. */
    cr_assert_eq(put_large(r, revision, revision - 1), ERR_OK);
    rig_close(r);
    start(r);
    cr_assert_eq(r->head, revision);
    rig_free(r);
}

/* A file system of 5 MiB, really full: wherever the last byte went, the answer says that nothing was
 * written, what was acknowledged stays, and room brings it back to work. */
TEST(sqlite, a_really_full_disk_refuses_and_heals)
{
    struct rig *r = sqlite_rig();
    char ballast[128];
    if (mount("baton-test", r->dir, "tmpfs", 0, "size=5m") != 0) {
        cr_assert_eq(errno, EPERM);
        rig_free(r);
        return; /* Not root: the test with limit_bytes says most of it. */
    }
    snprintf(ballast, sizeof ballast, "%s/ballast", r->dir);
    struct buf weight;
    buf_init(&weight, 3 << 20);
    memset(buf_reserve(&weight, 3 << 20), 'b', 3 << 20);
    buf_commit(&weight, 3 << 20);
    put_file(ballast, buf_str(&weight));
    buf_free(&weight);

    start(r);
    uint64_t revision = 1;
    enum err_code code;
    while ((code = put_large(r, revision, revision - 1)) == ERR_OK)
        cr_assert_lt(++revision, 100);
    cr_assert_eq(code, ERR_LIMIT, "%s", r->done[r->op].err.text);
    cr_assert_eq(put_large(r, revision, revision - 1), ERR_LIMIT);
    cr_assert_eq(unlink(ballast), 0);
    cr_assert_eq(put_large(r, revision, revision - 1), ERR_OK, "%s", r->done[r->op].err.text);
    rig_close(r);
    start(r);
    cr_assert_eq(r->head, revision);
    rig_close(r);
    cr_assert_eq(umount2(r->dir, MNT_DETACH), 0);
    rig_free(r);
}

/* Not a byte is free, not even for what SQLite's connections share beside the file. */
TEST(sqlite, a_really_full_disk_can_be_started_on)
{
    struct rig *r = sqlite_rig();
    char ballast[128], text[4096] = "";
    r->checkpoint_pages = 10;
    if (mount("baton-test", r->dir, "tmpfs", 0, "size=1m") != 0) {
        cr_assert_eq(errno, EPERM);
        rig_free(r);
        return;
    }
    start(r);
    cr_assert_eq(rig_put(r, 1, 0, "a", "one"), ERR_OK);
    rig_close(r);
    snprintf(ballast, sizeof ballast, "%s/ballast", r->dir);
    int fd = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    while (write(fd, text, sizeof text) > 0)
        continue;
    cr_assert_eq(errno, ENOSPC);
    close(fd);

    start(r);
    cr_assert_str_eq(rig_told(r, text), "1 a=one");
    cr_assert_eq(rig_put(r, 2, 1, "a", "two"), ERR_LIMIT, "%s", r->done[r->op].err.text);
    cr_assert_eq(unlink(ballast), 0);
    cr_assert_eq(rig_put(r, 2, 1, "a", "two"), ERR_OK, "%s", r->done[r->op].err.text);
    for (uint64_t i = 3; i <= 100; i++) /* Pages are moved without a helper, too. */
        cr_assert_eq(rig_put(r, i, i - 1, "a", "more"), ERR_OK);
    rig_close(r);
    start(r);
    cr_assert_eq(r->head, 100);
    rig_close(r);
    cr_assert_eq(umount2(r->dir, MNT_DETACH), 0);
    rig_free(r);
}

TEST(sqlite, commits_that_wait_together_are_one_transaction)
{
    struct rig *r = sqlite_rig();
    start(r);
    struct blob *key = blob_new(STR("a")), *value = blob_new(STR("b"));
    for (uint64_t i = 1; i <= 200; i++) {
        struct store_write w = {.revision = i, .before = i - 1, .key = key, .value = value};
        rig_commit(r, r->fence, &w, 1);
    }
    cr_assert_eq(rig_wait(r, r->op), ERR_OK);
    struct store_sqlite_stats stats = store_sqlite_stats(r->store);
    cr_assert_eq(stats.commits, 200);
    cr_assert_lt(stats.transactions, 150);
    blob_unref(key);
    blob_unref(value);
    rig_free(r);
}

/* The WAL does not grow without end while commits go on. */
TEST(sqlite, checkpoints_go_on_beside_commits)
{
    struct rig *r = sqlite_rig();
    start(r);
    for (uint64_t i = 1; i <= 150; i++)
        cr_assert_eq(put_large(r, i, i - 1), ERR_OK);
    struct store_sqlite_stats stats = store_sqlite_stats(r->store);
    cr_assert_gt(stats.checkpoints, 0);
    cr_assert_lt(stats.wal_pages, 6000); /* 150 times 50 pages went through. */
    rig_free(r);
}

/* ---- Sudden death ---- */

enum { ROUNDS = 20, TOGETHER = 3, PIPELINE = 8, TRANSACTIONS = 2000 };

static void commit_three(struct rig *r, uint64_t n)
{
    struct store_write w[TOGETHER];
    for (uint32_t k = 0; k < TOGETHER; k++) {
        char key[32];
        snprintf(key, sizeof key, "%llu/%u", (unsigned long long)(n % 50), k);
        w[k] = (struct store_write){.revision = n * TOGETHER + k,
                                    .before = n > 50 ? (n - 50) * TOGETHER + k : 0,
                                    .key = blob_new(str_of(key)),
                                    .value = blob_reserve(800)};
        memset(w[k].value->at, 'a' + (char)k, 800);
    }
    rig_commit(r, r->fence, w, TOGETHER);
    for (uint32_t k = 0; k < TOGETHER; k++) {
        blob_unref(w[k].key);
        blob_unref(w[k].value);
    }
}

/* Commits without end, several in flight, and says on fd what was acknowledged. Never returns. */
static void write_until_killed(const char *path, int fd)
{
    struct rig *r = rig_new(engines[1]);
    if (rmdir(r->dir) != 0) /* Its own disk is not used. */
        _exit(1);
    snprintf(r->path, sizeof r->path, "%s", path);
    start(r);
    uint64_t first = r->head / TOGETHER + 1, told = 0, ops[TRANSACTIONS];
    for (uint64_t i = 0; i < TRANSACTIONS; i++) {
        uint64_t n = first + i;
        commit_three(r, n);
        ops[i] = r->op;
        if (i >= PIPELINE && rig_wait(r, ops[i - PIPELINE]) != ERR_OK)
            _exit(1);
        for (; told <= i && r->is_done[ops[told]]; told++) {
            uint64_t acknowledged = first + told;
            if (write(fd, &acknowledged, sizeof acknowledged) != sizeof acknowledged)
                _exit(1);
        }
        if (n % 40 == 0 && n > 100 && rig_compact(r, (n - 100) * TOGETHER) != ERR_OK)
            _exit(1);
    }
    pause();
}

static uint64_t run_and_kill(const char *path, struct rng *rng)
{
    int ends[2];
    uint64_t acknowledged = 0, n;
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        write_until_killed(path, ends[1]);
        _exit(1);
    }
    close(ends[1]);
    struct instant until = {0};
    bool killed = false;
    while (read(ends[0], &n, sizeof n) == sizeof n) {
        acknowledged = n;
        if (until.ns == 0)
            until = instant_add(clock_now(), SPAN_MS(1 + rng_below(rng, 40)));
        if (!killed && clock_now().ns >= until.ns) {
            kill(pid, SIGKILL);
            killed = true;
        }
    }
    kill(pid, SIGKILL);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
    close(ends[0]);
    return acknowledged;
}

TEST(sqlite, killed_at_any_moment_nothing_acknowledged_is_lost)
{
    struct rig *home = sqlite_rig();
    struct rng rng;
    uint64_t total = 0;
    rng_seed(&rng, 5);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint64_t acknowledged = run_and_kill(home->path, &rng);
        start(home);
        cr_assert_geq(home->head, acknowledged * TOGETHER + TOGETHER - 1, "round %u", round);
        cr_assert_eq(home->head % TOGETHER, TOGETHER - 1, "half a transaction");
        /* What is live at the end of the log comes in whole transactions. */
        uint32_t live[50] = {0};
        uint64_t last[50] = {0};
        for (uint32_t i = 0; i < home->rows_count; i++) {
            uint64_t n = home->rows[i].revision / TOGETHER;
            live[n % 50] = last[n % 50] == n ? live[n % 50] + 1 : 1;
            last[n % 50] = n;
        }
        for (uint32_t i = 0; i < 50; i++)
            cr_assert(last[i] == 0 || live[i] == TOGETHER);
        total += acknowledged > 0;
        rig_close(home);
        if (home->loop != NULL)
            loop_free(home->loop); /* A child must not inherit our descriptors' state. */
        home->loop = NULL;
    }
    cr_assert_gt(total, ROUNDS / 2); /* Most rounds got somewhere. */
    rig_free(home);
}
