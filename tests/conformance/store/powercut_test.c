/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The power is cut at every call a history of the store makes to its disk, and each time in every way powercut.h knows.
 * What is then found must open, hold the first n transactions for some n, and n must cover everything acknowledged. So must
 * what a second cut leaves, at any call of the recovery from the first, or of the one from a kill -9.
 */
#include "tests/conformance/store/powercut.h"
#include "tests/conformance/store/rig.h"
#include "tests/testlib/test.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    COMMITS = 18,
    EACH = 2, /* Changes of a commit; commit i has the revisions 2i - 1 and 2i. */
    KEYS = 8,
    LIVES = 4, /* Times the store was opened. */
};

static const uint32_t life_ends[LIVES] = {4, 8, 15, COMMITS};

struct history {
    struct powercut *record;
    uint32_t asked_at[COMMITS + 1], told_at[COMMITS + 1]; /* In calls. */
    uint64_t fence[LIVES];
    uint32_t fence_at[LIVES];
};

/* ---- What is to be there ---- */

struct model {
    uint64_t live[KEYS]; /* The revision of each key's object; 0: none. */
};

static uint32_t key_of(uint64_t revision)
{
    return (uint32_t)(revision % 2 == 0 ? revision / 2 % 3 : 3 + revision / 2 % 5);
}

static bool deletes(uint64_t revision, const struct model *m)
{
    return revision % 7 == 0 && m->live[key_of(revision)] != 0;
}

static void model_add(struct model *m, uint64_t revision)
{
    m->live[key_of(revision)] = deletes(revision, m) ? 0 : revision;
}

static struct model model_after(uint64_t commits)
{
    struct model m = {{0}};
    for (uint64_t revision = 1; revision <= commits * EACH; revision++)
        model_add(&m, revision);
    return m;
}

/* Several pages, and every byte says which revision it is of. */
static struct blob *value_of(uint64_t revision)
{
    struct blob *b = blob_reserve((uint32_t)(600 + revision * 977 % 9000));
    memset(b->at, (int)('A' + revision % 50), b->len);
    return b;
}

static bool is_value_of(const struct blob *b, uint64_t revision)
{
    struct blob *want = value_of(revision);
    bool same = b != NULL && str_eq(blob_str(b), blob_str(want));
    blob_unref(want);
    return same;
}

/* ---- The history ---- */

static uint64_t ask_commit(struct rig *r, uint64_t commit)
{
    struct store_write w[EACH];
    struct model m = model_after(commit - 1);
    for (uint32_t k = 0; k < EACH; k++) {
        uint64_t revision = (commit - 1) * EACH + 1 + k;
        char key[16];
        snprintf(key, sizeof key, "key%u", key_of(revision));
        w[k] = (struct store_write){.revision = revision,
                                    .before = m.live[key_of(revision)],
                                    .key = blob_new(str_of(key)),
                                    .value = deletes(revision, &m) ? NULL : value_of(revision),
                                    .sealed = revision % 5 == 0};
        model_add(&m, revision);
    }
    uint64_t op = rig_commit(r, r->fence, w, EACH);
    for (uint32_t k = 0; k < EACH; k++) {
        blob_unref(w[k].key);
        blob_unref(w[k].value);
    }
    return op;
}

static void live_until(struct rig *r, struct history *h, uint32_t life, uint32_t first)
{
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_OK);
    h->fence[life] = r->fence;
    h->fence_at[life] = powercut_calls(h->record);
    for (uint32_t i = first; i <= life_ends[life]; i++) {
        h->asked_at[i] = powercut_calls(h->record);
        cr_assert_eq(rig_wait(r, ask_commit(r, i)), ERR_OK);
        h->told_at[i] = powercut_calls(h->record);
        if (i % 5 == 0)
            cr_assert_eq(rig_compact(r, (uint64_t)(i - 2) * EACH), ERR_OK);
    }
}

static void live(struct history *h)
{
    struct rig *r = rig_new(engines[1]);
    r->checkpoint_pages = 12; /* So that the checkpointer works beside the commits. */
    struct vfs_guard guard = powercut_guard(h->record);
    vfs_use(&guard);
    for (uint32_t life = 0; life < LIVES; life++) {
        live_until(r, h, life, life == 0 ? 1 : life_ends[life - 1] + 1);
        if (life + 1 < LIVES)
            rig_close(r);
    }
    powercut_pause(h->record, true);
    rig_free(r);
}

/* ---- After the cut ---- */

static void expect_model(struct rig *r, const struct model *want)
{
    struct model have = {{0}};
    for (uint32_t i = 0; i < r->rows_count; i++) {
        const struct rig_row *row = &r->rows[i];
        cr_assert_eq(strtoul(row->key->at + 3, NULL, 10), key_of(row->revision));
        cr_assert(row->value == NULL || is_value_of(row->value, row->revision));
        have.live[key_of(row->revision)] = row->value == NULL ? 0 : row->revision;
    }
    for (uint32_t k = 0; k < KEYS; k++)
        cr_assert_eq(have.live[k], want->live[k], "key %u", k);
}

static void expect_prefix(struct rig *r, const struct history *h, uint32_t calls)
{
    uint64_t asked = 0, told = 0, n = r->head / EACH;
    for (uint32_t i = 1; i <= COMMITS; i++) {
        asked += h->asked_at[i] != 0 && h->asked_at[i] <= calls;
        told += h->told_at[i] != 0 && h->told_at[i] <= calls;
    }
    cr_assert_eq(r->head % EACH, 0, "half a transaction");
    cr_assert_geq(n, told, "acknowledged and lost");
    cr_assert_leq(n, asked);
    struct model want = model_after(n);
    expect_model(r, &want);
    for (uint32_t life = 0; life < LIVES; life++)
        cr_assert(h->fence_at[life] == 0 || h->fence_at[life] > calls || r->fence > h->fence[life],
                  "a fence was given twice");
}

static bool said_recovered;

static void survive(const struct history *h, uint32_t calls, enum powercut_mode mode,
                    struct rng *rng)
{
    struct rig *r = rig_new(engines[1]);
    struct err e;
    powercut_leave(h->record, calls, mode, rng, r->dir);
    cr_assert_eq(rig_try_open(r, &e), ERR_OK, "cut at %u, %s: %s", calls, powercut_names[mode],
                 e.text);
    struct store_sqlite_stats stats = store_sqlite_stats(r->store);
    said_recovered |= stats.recovered_pages > 0;
    cr_assert_eq(rig_load(r), ERR_OK, "cut at %u, %s: %s", calls, powercut_names[mode],
                 r->done[r->op].err.text);
    expect_prefix(r, h, calls);

    /* Work goes on where it was cut. */
    uint64_t next = r->head / EACH + 1;
    cr_assert_eq(rig_wait(r, ask_commit(r, next)), ERR_OK);
    cr_assert_eq(rig_load(r), ERR_OK);
    struct model want = model_after(next);
    expect_model(r, &want);
    rig_free(r);
}

static void cut_everywhere(uint64_t seed, enum powercut_mode first, enum powercut_mode last)
{
    struct history h = {.record = powercut_new()};
    struct rng rng;
    rng_seed(&rng, seed);
    live(&h);
    uint32_t calls = powercut_calls(h.record);
    for (uint32_t cut = 0; cut <= calls; cut++)
        for (enum powercut_mode mode = first; mode <= last; mode++)
            survive(&h, cut, mode, &rng);
    cr_assert_gt(calls, 200);
    cr_assert(said_recovered);
    powercut_free(h.record);
}

TEST(powercut, unsynced_writes_are_lost_or_kept)
{
    cut_everywhere(1, POWERCUT_LOST, POWERCUT_KEPT);
}

TEST(powercut, unsynced_writes_are_kept_in_part_or_in_another_order)
{
    cut_everywhere(2, POWERCUT_PREFIX, POWERCUT_SHUFFLED);
}

TEST(powercut, unsynced_writes_are_torn)
{
    cut_everywhere(3, POWERCUT_TORN, POWERCUT_TORN);
}

TEST(powercut, unsynced_writes_are_noise)
{
    cut_everywhere(4, POWERCUT_NOISE, POWERCUT_NOISE);
}

/* ---- Another cut, while it recovers ---- */

enum { STEP_MAX = 3 }; /* Of every few first cuts one is followed by a second. */

/* What a life behind a first cut, or a kill, was told; in calls of its own record. */
struct recovery {
    struct powercut *record;
    uint64_t head, fence; /* Of its load. */
    uint32_t loaded_at, asked_at, told_at;
};

static void recover(struct recovery *v, const struct history *h, uint32_t calls,
                    enum powercut_mode mode, bool killed, struct rng *rng)
{
    struct rig *r = rig_new(engines[1]);
    powercut_leave(h->record, calls, killed ? POWERCUT_KEPT : mode, rng, r->dir);
    *v = (struct recovery){.record =
                               killed ? powercut_behind(h->record, calls) : powercut_after(r->dir)};
    struct vfs_guard guard = powercut_guard(v->record);
    vfs_use(&guard);
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_OK);
    v->loaded_at = powercut_calls(v->record);
    v->head = r->head;
    v->fence = r->fence;
    v->asked_at = powercut_calls(v->record);
    cr_assert_eq(rig_wait(r, ask_commit(r, r->head / EACH + 1)), ERR_OK);
    v->told_at = powercut_calls(v->record);
    powercut_pause(v->record, true);
    rig_free(r);
}

static void expect_after_both(struct rig *r, const struct history *h, uint32_t calls,
                              const struct recovery *v, uint32_t calls_then)
{
    uint64_t n = r->head / EACH, least = 0, most = v->head / EACH;
    for (uint32_t i = 1; i <= COMMITS; i++) {
        least += h->told_at[i] != 0 && h->told_at[i] <= calls;
        most = h->asked_at[i] != 0 && h->asked_at[i] <= calls && i > most ? i : most;
    }
    if (v->loaded_at <= calls_then)
        least = v->head / EACH; /* It was shown. */
    if (v->told_at <= calls_then)
        least = v->head / EACH + 1;
    if (v->asked_at <= calls_then && v->head / EACH + 1 > most)
        most = v->head / EACH + 1;
    cr_assert_eq(r->head % EACH, 0, "half a transaction");
    cr_assert_geq(n, least, "cut at %u, then at %u: shown or acknowledged, and lost", calls,
                  calls_then);
    cr_assert_leq(n, most);
    struct model want = model_after(n);
    expect_model(r, &want);
    cr_assert(v->loaded_at > calls_then || r->fence > v->fence, "a fence was given twice");
}

static void cut_again(const struct history *h, uint32_t calls, const struct recovery *v,
                      struct rng *rng)
{
    uint32_t least = powercut_first(v->record), count = powercut_calls(v->record) - least + 1;
    uint32_t then = least + (uint32_t)rng_below(rng, count);
    enum powercut_mode mode = (enum powercut_mode)rng_below(rng, POWERCUT__COUNT);
    struct rig *r = rig_new(engines[1]);
    struct err e;
    powercut_leave(v->record, then, mode, rng, r->dir);
    cr_assert_eq(rig_try_open(r, &e), ERR_OK, "cut at %u, then at %u, %s: %s", calls, then,
                 powercut_names[mode], e.text);
    cr_assert_eq(rig_load(r), ERR_OK, "cut at %u, then at %u, %s: %s", calls, then,
                 powercut_names[mode], r->done[r->op].err.text);
    expect_after_both(r, h, calls, v, then);
    rig_free(r);
}

static void cut_twice(uint64_t seed, bool killed)
{
    struct history h = {.record = powercut_new()};
    struct rng rng;
    rng_seed(&rng, seed);
    live(&h);
    uint32_t calls = powercut_calls(h.record), cuts = 0, behind = 0;
    for (uint32_t cut = 0; cut <= calls; cut += 1 + (uint32_t)rng_below(&rng, STEP_MAX)) {
        struct recovery v;
        recover(&v, &h, cut, (enum powercut_mode)rng_below(&rng, POWERCUT__COUNT), killed, &rng);
        behind += powercut_calls(v.record) - powercut_first(v.record);
        cut_again(&h, cut, &v, &rng);
        powercut_free(v.record);
        cuts++;
    }
    cr_assert_gt(behind, 5 * cuts, "a recovery writes");
    powercut_free(h.record);
}

TEST(powercut, another_one_while_it_recovers)
{
    cut_twice(5, false);
}

TEST(powercut, one_while_it_recovers_from_a_kill)
{
    cut_twice(6, true);
}
