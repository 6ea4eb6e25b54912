/* SPDX-License-Identifier: Apache-2.0 */
/* What every store promises (controlplane/store/store.h), asked of each engine. */
#include "base/rng.h"
#include "tests/conformance/store/rig.h"
#include "tests/testlib/test.h"
#include <stdio.h>
#include <stdlib.h>

#define EACH_ENGINE(r)                                                                             \
    for (uint32_t n = 0; engines[n] != NULL; n++)                                                  \
        for (struct rig *r = rig_new(engines[n]); r != NULL; rig_free(r), r = NULL)

static void start(struct rig *r)
{
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_OK);
}

static void restart(struct rig *r)
{
    rig_close(r);
    start(r);
}

TEST(store, an_empty_one_loads)
{
    EACH_ENGINE(r)
    {
        start(r);
        cr_assert_eq(r->rows_count, 0);
        cr_assert_eq(r->head, 0);
        cr_assert_gt(r->fence, 0);
    }
}

TEST(store, what_was_committed_is_loaded_in_order)
{
    char text[4096];
    EACH_ENGINE(r)
    {
        start(r);
        cr_assert_eq(rig_put(r, 3, 0, "a", "one"), ERR_OK);
        cr_assert_eq(rig_put(r, 4, 0, "b", "two"), ERR_OK);
        cr_assert_eq(rig_put(r, 7, 3, "a", "three"), ERR_OK);
        cr_assert_eq(rig_put(r, 9, 4, "b", NULL), ERR_OK);
        restart(r);
        cr_assert_str_eq(rig_told(r, text), "3 a=one 4 b=two 7 a=three 9 b-", "%s",
                         r->engine->name);
        cr_assert_eq(r->head, 9);
        cr_assert_eq(r->oldest, 0);
        cr_assert_eq(rig_put(r, 10, 0, "b", "again"), ERR_OK);
        cr_assert_eq(rig_follow(r, 7), ERR_OK);
        cr_assert_str_eq(rig_told(r, text), "9 b- 10 b=again");
        cr_assert_eq(rig_follow(r, 10), ERR_OK);
        cr_assert_eq(r->rows_count, 0);
        cr_assert_eq(r->head, 10);
    }
}

TEST(store, an_older_writer_is_fenced)
{
    char text[4096];
    EACH_ENGINE(r)
    {
        start(r);
        uint64_t old = r->fence;
        cr_assert_eq(rig_put(r, 1, 0, "a", "one"), ERR_OK);
        cr_assert_eq(rig_load(r), ERR_OK);
        cr_assert_gt(r->fence, old);

        /* In flight together: the fenced one fails alone. */
        struct blob *key = blob_new(STR("a")), *value = blob_new(STR("two"));
        struct store_write mine = {.revision = 2, .before = 1, .key = key, .value = value};
        struct store_write other = {.revision = 3, .before = 2, .key = key, .value = value};
        uint64_t first = rig_commit(r, old, &mine, 1), second = rig_commit(r, r->fence, &other, 1);
        cr_assert_eq(rig_wait(r, first), ERR_CONFLICT);
        cr_assert_eq(rig_wait(r, second), ERR_OK);
        blob_unref(key);
        blob_unref(value);
        restart(r);
        cr_assert_str_eq(rig_told(r, text), "1 a=one 3 a=two");
    }
}

TEST(store, many_in_flight_are_answered_in_order)
{
    EACH_ENGINE(r)
    {
        start(r);
        uint64_t revision = 1, ops[STORE_INFLIGHT_MAX];
        for (uint32_t i = 0; i < STORE_INFLIGHT_MAX; i++) {
            struct store_write w[3];
            char key[32];
            for (uint32_t k = 0; k < 3; k++) {
                snprintf(key, sizeof key, "k%u/%u", i, k);
                w[k] = (struct store_write){.revision = revision++,
                                            .key = blob_new(str_of(key)),
                                            .value = blob_new(STR("v"))};
            }
            ops[i] = rig_commit(r, r->fence, w, 3);
            for (uint32_t k = 0; k < 3; k++) {
                blob_unref(w[k].key); /* The store has its own references. */
                blob_unref(w[k].value);
            }
        }
        for (uint32_t i = 0; i < STORE_INFLIGHT_MAX; i++)
            cr_assert_eq(rig_wait(r, ops[i]), ERR_OK);
        restart(r);
        cr_assert_eq(r->rows_count, STORE_INFLIGHT_MAX * 3);
        cr_assert_eq(r->head, STORE_INFLIGHT_MAX * 3);
    }
}

TEST(store, compaction_forgets_what_was_superseded)
{
    char text[4096];
    EACH_ENGINE(r)
    {
        start(r);
        rig_put(r, 1, 0, "a", "1");
        rig_put(r, 2, 0, "b", "2");
        rig_put(r, 3, 1, "a", "3");
        rig_put(r, 4, 2, "b", NULL);
        rig_put(r, 5, 0, "c", "5");
        rig_put(r, 6, 3, "a", "6");
        rig_put(r, 8, 5, "c", NULL);
        cr_assert_eq(rig_compact(r, 4), ERR_OK);
        cr_assert_eq(rig_follow(r, 3), ERR_NOT_FOUND);
        cr_assert_eq(rig_follow(r, 4), ERR_OK);
        cr_assert_str_eq(rig_told(r, text), "5 c=5 6 a=6 8 c-");
        restart(r);
        cr_assert_str_eq(rig_told(r, text), "3 a=3 5 c=5 6 a=6 8 c-");
        cr_assert_eq(r->oldest, 4);

        /* The latest change itself may be forgotten; its revision is not used again. */
        cr_assert_eq(rig_compact(r, 100), ERR_OK);
        cr_assert_eq(rig_compact(r, 2), ERR_OK);
        restart(r);
        cr_assert_str_eq(rig_told(r, text), "6 a=6");
        cr_assert_eq(r->head, 8);
        cr_assert_eq(r->oldest, 8);
    }
}

TEST(store, keeps_any_bytes_of_any_size)
{
    EACH_ENGINE(r)
    {
        start(r);
        struct blob *big = blob_reserve(STORE_VALUE_MAX), *key = blob_reserve(STORE_KEY_MAX);
        struct blob *odd = blob_new(str_from("\0\xff'\n\0", 5)), *empty = blob_new(STR(""));
        for (uint32_t i = 0; i < big->len; i++)
            big->at[i] = (char)(i * 7);
        memset(key->at, 'k', key->len);
        struct blob *small = blob_new(STR("odd")), *third = blob_new(STR("empty"));
        struct store_write w[] = {{.revision = 1, .key = key, .value = big},
                                  {.revision = 2, .key = small, .value = odd},
                                  {.revision = 3, .key = third, .value = empty, .sealed = true}};
        cr_assert_eq(rig_wait(r, rig_commit(r, r->fence, w, 3)), ERR_OK);
        restart(r);
        cr_assert_eq(r->rows_count, 3);
        cr_assert(str_eq(blob_str(r->rows[0].value), blob_str(big)));
        cr_assert(str_eq(blob_str(r->rows[0].key), blob_str(key)));
        cr_assert(str_eq(blob_str(r->rows[1].value), blob_str(odd)));
        cr_assert_not_null(r->rows[2].value);
        cr_assert_eq(r->rows[2].value->len, 0);
        cr_assert(r->rows[2].sealed && !r->rows[0].sealed, "%s", r->engine->name);
        for (uint32_t i = 0; i < 3; i++) {
            blob_unref(w[i].key);
            blob_unref(w[i].value);
        }
    }
}

/* ---- Random histories against a model ---- */

enum { KEYS = 20 };

struct model {
    uint64_t revision[KEYS], value[KEYS]; /* Of the live ones; 0: not there. */
    uint64_t head;
};

static void random_commit(struct rig *r, struct rng *rng, struct model *m)
{
    struct store_write w[4];
    uint32_t count = 1 + (uint32_t)rng_below(rng, 4), first = (uint32_t)rng_below(rng, KEYS);
    for (uint32_t i = 0; i < count; i++) {
        char text[32];
        uint32_t k = (first + i) % KEYS;
        bool gone = m->revision[k] != 0 && rng_below(rng, 3) == 0;
        uint64_t revision = m->head + 1 + rng_below(rng, 3);
        snprintf(text, sizeof text, "key%u", k);
        w[i] = (struct store_write){.revision = revision,
                                    .before = m->revision[k],
                                    .key = blob_new(str_of(text)),
                                    .sealed = rng_below(rng, 4) == 0};
        snprintf(text, sizeof text, "%llu", (unsigned long long)revision);
        if (!gone)
            w[i].value = blob_new(str_of(text));
        m->head = revision;
        m->revision[k] = gone ? 0 : revision;
    }
    uint64_t op = rig_commit(r, r->fence, w, count);
    for (uint32_t i = 0; i < count; i++) {
        blob_unref(w[i].key);
        blob_unref(w[i].value);
    }
    if (rng_below(rng, 4) == 0)
        cr_assert_eq(rig_wait(r, op), ERR_OK, "%s: %s", r->engine->name, r->done[op].err.text);
}

static void compare(struct rig *r, const struct model *m)
{
    struct model have = {0};
    char text[32];
    for (uint32_t i = 0; i < r->rows_count; i++) {
        uint32_t k = (uint32_t)strtoul(r->rows[i].key->at + 3, NULL, 10);
        snprintf(text, sizeof text, "%llu", (unsigned long long)r->rows[i].revision);
        have.revision[k] = r->rows[i].value == NULL ? 0 : r->rows[i].revision;
        cr_assert(r->rows[i].value == NULL || str_is(blob_str(r->rows[i].value), text));
    }
    for (uint32_t k = 0; k < KEYS; k++)
        cr_assert_eq(have.revision[k], m->revision[k]);
    cr_assert_eq(r->head, m->head);
}

TEST(store, random_histories_end_as_the_model_says)
{
    EACH_ENGINE(r)
    {
        struct rng rng;
        struct model m = {0};
        rng_seed(&rng, 42);
        start(r);
        for (uint32_t step = 1; step <= 900; step++) {
            random_commit(r, &rng, &m);
            if (step % 90 == 0)
                cr_assert_eq(rig_compact(r, m.head - rng_below(&rng, 50)), ERR_OK);
            if (step % 150 == 0) {
                restart(r);
                compare(r, &m);
            }
        }
    }
}

/* Closing answers everything that was asked before. */
TEST(store, closing_waits_for_what_is_in_flight)
{
    EACH_ENGINE(r)
    {
        start(r);
        struct blob *key = blob_new(STR("a")), *value = blob_new(STR("b"));
        for (uint64_t i = 1; i <= 50; i++) {
            struct store_write w = {.revision = i, .before = i - 1, .key = key, .value = value};
            rig_commit(r, r->fence, &w, 1);
        }
        rig_close(r);
        for (uint64_t op = 1; op <= r->op; op++)
            cr_assert(r->is_done[op]);
        blob_unref(key);
        blob_unref(value);
        start(r);
        cr_assert_eq(r->head, 50);
    }
}
