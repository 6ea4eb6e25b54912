/* SPDX-License-Identifier: Apache-2.0 */
/* The copy-on-write tree against a sorted array, with snapshots that must not move. */
#include "base/cowtree.h"
#include "base/rng.h"
#include "tests/testlib/test.h"
#include <pthread.h>
#include <stdio.h>

enum { KEYS = 600, SNAPSHOTS = 6 };

/* The model: key number -> stamp, 0 for absent. Numbers with leading zeros sort like their text. */
struct model {
    uint64_t stamp[KEYS];
};

static struct str key_text(uint32_t n, char out[64])
{
    /* Different lengths and long common beginnings, but the order of the numbers. */
    int len =
        snprintf(out, 64, "%03u/common-%.*s", n, (int)(n % 30), "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    return (struct str){out, (size_t)len};
}

static void put(struct cowtree *t, struct model *m, uint32_t n, uint64_t stamp)
{
    char text[64];
    struct str key = key_text(n, text);
    struct cow_entry *before = cowtree_put(t, cow_entry_new(key, stamp, blob_new(STR("value"))));
    cr_assert_eq(before == NULL ? 0 : before->stamp, m->stamp[n]);
    cow_entry_unref(before);
    m->stamp[n] = stamp;
}

static void take(struct cowtree *t, struct model *m, uint32_t n)
{
    char text[64];
    struct cow_entry *gone = cowtree_remove(t, key_text(n, text));
    cr_assert_eq(gone == NULL ? 0 : gone->stamp, m->stamp[n]);
    cow_entry_unref(gone);
    m->stamp[n] = 0;
}

static void compare(const struct cow_node *root, const struct model *m, uint32_t from)
{
    char text[64];
    struct cow_cursor c;
    uint64_t before = 0, after = 0;

    cow_seek(&c, root, key_text(from, text));
    for (uint32_t n = 0; n < KEYS; n++) {
        if (m->stamp[n] == 0)
            continue;
        if (n < from) {
            before++;
            continue;
        }
        after++;
        struct cow_entry *e = cow_next(&c);
        cr_assert_not_null(e);
        cr_assert_eq(e->stamp, m->stamp[n]);
        cr_assert_eq(cow_find(root, key_text(n, text)), e);
    }
    cr_assert_null(cow_next(&c));
    cr_assert_null(cow_next(&c));
    cr_assert_eq(cow_rank(root, key_text(from, text)), before);
    cr_assert_eq(cow_count(root), before + after);
}

TEST(cowtree, agrees_with_a_sorted_array)
{
    struct rng r;
    rng_seed(&r, 20261121);
    struct cowtree t;
    struct model m = {0}, old[SNAPSHOTS] = {0};
    struct cow_snapshot *held[SNAPSHOTS] = {0};

    cowtree_init(&t);
    for (uint64_t step = 1; step <= 40000; step++) {
        /* The tree grows and shrinks in turns, so that splits and merges both happen a lot. */
        uint32_t n = (uint32_t)rng_below(&r, KEYS);
        bool growing = step / 4000 % 2 == 0;
        if (rng_below(&r, 10) < (growing ? 8 : 2))
            put(&t, &m, n, step);
        else
            take(&t, &m, n);
        if (rng_below(&r, 50) == 0) {
            uint32_t i = (uint32_t)rng_below(&r, SNAPSHOTS);
            compare(cow_snapshot_root(held[i]), &old[i], (uint32_t)rng_below(&r, KEYS));
            cow_snapshot_unref(held[i]);
            cowtree_reap(&t, (uint32_t)rng_below(&r, 200));
            held[i] = cowtree_snapshot(&t);
            old[i] = m;
            compare(t.root, &m, (uint32_t)rng_below(&r, KEYS));
        }
    }
    for (uint32_t n = 0; n < KEYS; n++)
        take(&t, &m, n);
    cr_assert_null(t.root);
    for (uint32_t i = 0; i < SNAPSHOTS; i++) {
        compare(cow_snapshot_root(held[i]), &old[i], 0);
        cow_snapshot_unref(held[i]);
    }
    cowtree_fini(&t);
}

/* Every entry ever put is held by the test, too: its count tells whether the tree or a snapshot still has it. */
enum { LIVES = 4000, LIVES_KEYS = 150 };

struct lives {
    struct cowtree tree;
    struct cow_snapshot *held[SNAPSHOTS];
    uint64_t taken[SNAPSHOTS]; /* At which step; 0: not held. */
    struct cow_entry *all[LIVES];
    uint64_t gone[LIVES];     /* At which step; 0: it is in the tree. */
    uint32_t now[LIVES_KEYS]; /* Which of them has the key. */
};

static void lives_forget(struct lives *l, uint32_t n, struct cow_entry *before, uint64_t step)
{
    uint32_t was = l->now[n];
    cr_assert_eq(before, was == 0 ? NULL : l->all[was]);
    l->gone[was] = step;
    l->now[n] = 0;
    cow_entry_unref(before);
}

static void lives_step(struct lives *l, struct rng *r, uint64_t step)
{
    char text[64];
    uint32_t n = (uint32_t)rng_below(r, LIVES_KEYS), i = (uint32_t)rng_below(r, SNAPSHOTS);
    if (rng_below(r, 5) == 0) { /* Held ones end in any order. */
        cow_snapshot_unref(l->held[i]);
        l->held[i] = rng_below(r, 3) == 0 ? NULL : cowtree_snapshot(&l->tree);
        l->taken[i] = l->held[i] == NULL ? 0 : step;
    } else if (rng_below(r, 3) == 0) {
        lives_forget(l, n, cowtree_remove(&l->tree, key_text(n, text)), step);
    }
    l->all[step] = cow_entry_new(key_text(n, text), step, NULL);
    lives_forget(l, n, cowtree_put(&l->tree, cow_entry_ref(l->all[step])), step);
    l->now[n] = (uint32_t)step;
}

static bool lives_wanted(const struct lives *l, uint64_t step)
{
    bool wanted = l->gone[step] == 0;
    for (uint32_t i = 0; i < SNAPSHOTS; i++)
        wanted = wanted || (step < l->taken[i] && l->taken[i] <= l->gone[step]);
    return wanted;
}

/* Neither sooner nor later: what no held snapshot sees is freed, whatever older or newer ones are held. */
TEST(cowtree, what_is_gone_waits_for_those_who_see_it_alone)
{
    static struct lives l;
    struct rng r;
    rng_seed(&r, 230);
    l = (struct lives){0};
    cowtree_init(&l.tree);
    for (uint64_t step = 1; step < LIVES; step++) {
        lives_step(&l, &r, step);
        cowtree_reap(&l.tree, (uint32_t)rng_below(&r, 8));
        if (step % 50 != 0)
            continue;
        cowtree_reap(&l.tree, UINT32_MAX);
        for (uint64_t i = 1; i <= step; i++)
            cr_assert_eq(atomic_load(&l.all[i]->refs), lives_wanted(&l, i) ? 2 : 1);
    }
    for (uint32_t i = 0; i < SNAPSHOTS; i++)
        cow_snapshot_unref(l.held[i]);
    cowtree_fini(&l.tree);
    for (uint64_t i = 1; i < LIVES; i++)
        cow_entry_unref(l.all[i]);
}

/* Keys that begin alike, contain each other, hold zeros and the highest byte: what heads cannot tell apart. */
enum { NASTY = 400, NASTY_LEN = 14 };

static struct str nasty_key(struct rng *r, char out[NASTY_LEN])
{
    static const char bytes[] = {'\0', 'a', 'a', 'a', 'b', (char)0xff};
    size_t len = (size_t)rng_below(r, NASTY_LEN + 1);
    for (size_t i = 0; i < len; i++)
        out[i] = i < 6 && rng_below(r, 8) > 0 ? 'a' : bytes[rng_below(r, sizeof bytes)];
    return str_from(out, len);
}

struct nasty {
    struct cow_entry *at[NASTY]; /* Borrowed from the tree. */
    uint32_t count;
};

static void nasty_compare(const struct cow_node *root, const struct nasty *m, struct str key)
{
    const struct cow_entry *found = NULL;
    uint64_t below = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        int order = str_cmp(cow_entry_key(m->at[i]), key);
        below += order < 0;
        found = order == 0 ? m->at[i] : found;
    }
    cr_assert_eq(cow_find(root, key), found);
    cr_assert_eq(cow_rank(root, key), below);
}

TEST(cowtree, keys_that_begin_alike_are_told_apart)
{
    struct rng r;
    struct cowtree t;
    struct nasty m = {.count = 0};
    char text[NASTY_LEN];
    rng_seed(&r, 7);
    cowtree_init(&t);
    for (uint32_t step = 0; step < 30000; step++) {
        struct str key = nasty_key(&r, text);
        bool growing = step / 3000 % 2 == 0;
        nasty_compare(t.root, &m, key);
        if (m.count < NASTY && rng_below(&r, 10) < (growing ? 8 : 3)) {
            struct cow_entry *e = cow_entry_new(key, step, NULL);
            struct cow_entry *before = cowtree_put(&t, e);
            for (uint32_t i = 0; before != NULL && i < m.count; i++)
                m.at[i] = m.at[i] == before ? e : m.at[i];
            if (before == NULL)
                m.at[m.count++] = e;
            cow_entry_unref(before);
        } else if (m.count > 0) {
            uint32_t i = (uint32_t)rng_below(&r, m.count);
            cr_assert_eq(cowtree_remove(&t, cow_entry_key(m.at[i])), m.at[i]);
            cow_entry_unref(m.at[i]);
            m.at[i] = m.at[--m.count];
        }
    }
    cowtree_fini(&t);
}

TEST(cowtree, keys_in_order_fill_their_nodes)
{
    struct cowtree t;
    struct model m = {0};
    cowtree_init(&t);
    for (uint32_t n = 0; n < KEYS; n++)
        put(&t, &m, n, n + 1);
    compare(t.root, &m, 17);
    for (uint32_t n = KEYS; n-- > 0;)
        take(&t, &m, n);
    cowtree_fini(&t);
}

TEST(cowtree, an_empty_tree_answers)
{
    struct cow_cursor c;
    cr_assert_null(cow_find(NULL, STR("a")));
    cr_assert_eq(cow_rank(NULL, STR("a")), 0);
    cow_seek(&c, NULL, STR(""));
    cr_assert_null(cow_next(&c));
    cow_snapshot_unref(NULL);
}

/* Runs are the same walk in larger steps, and cut the same way again. */
TEST(cowtree, runs_are_what_next_gives)
{
    struct cowtree t;
    struct model m = {0};
    struct cow_cursor one, run, again;
    struct cow_entry *const *at, *const *same;

    cowtree_init(&t);
    for (uint32_t n = 0; n < KEYS; n++)
        put(&t, &m, (n * 7) % KEYS, n + 1);
    cow_seek(&one, t.root, STR(""));
    cow_seek(&run, t.root, STR(""));
    cow_seek(&again, t.root, STR(""));
    for (uint32_t step = 0, max, count;
         max = step % 5 == 4 ? 3 : COW_RUN_MAX, (count = cow_next_run(&run, max, &at)) > 0;
         step++) {
        cr_assert_leq(count, max);
        cr_assert_eq(cow_next_run(&again, max, &same), count);
        cr_assert_eq(at, same);
        for (uint32_t i = 0; i < count; i++)
            cr_assert_eq(at[i], cow_next(&one));
    }
    cr_assert_null(cow_next(&one));
    cr_assert_eq(cow_next_run(&run, COW_RUN_MAX, &at), 0);
    for (uint32_t n = KEYS; n-- > 0;)
        take(&t, &m, n);
    cowtree_fini(&t);
    cow_seek(&one, NULL, STR(""));
    cr_assert_eq(cow_next_run(&one, COW_RUN_MAX, &at), 0);
}

/* One writer, readers that hold a snapshot each: TSan and ASan watch the counts. */
struct reader {
    struct cow_snapshot *all;
    uint64_t sum;
};

static void *reader_run(void *arg)
{
    struct reader *r = arg;
    struct cow_cursor c;
    cow_seek(&c, cow_snapshot_root(r->all), STR(""));
    for (struct cow_entry *e = cow_next(&c); e != NULL; e = cow_next(&c))
        r->sum += e->stamp;
    cow_snapshot_unref(r->all);
    return NULL;
}

TEST(cowtree, readers_on_other_threads_see_their_snapshot)
{
    struct cowtree t;
    struct model m = {0};
    cowtree_init(&t);
    for (uint32_t n = 0; n < KEYS; n++)
        put(&t, &m, n, 1);

    for (uint32_t round = 0; round < 20; round++) {
        struct reader readers[3];
        pthread_t threads[3];
        for (uint32_t i = 0; i < 3; i++) {
            readers[i] = (struct reader){.all = cowtree_snapshot(&t)};
            cr_assert_eq(pthread_create(&threads[i], NULL, reader_run, &readers[i]), 0);
        }
        for (uint32_t n = 0; n < KEYS; n++)
            put(&t, &m, n, round + 2);
        for (uint32_t i = 0; i < 3; i++) {
            pthread_join(threads[i], NULL);
            cr_assert_eq(readers[i].sum, (uint64_t)KEYS * (round + 1));
        }
    }
    cowtree_fini(&t);
}
