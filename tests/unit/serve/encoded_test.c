/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/encoded.h"

#include "tests/testlib/test.h"

static const int pods, nodes;
static struct instant now = {1};

static void put(struct encoded *t, const void *kind, uint64_t revision, uint32_t form, size_t len)
{
    struct blob *b = blob_reserve((uint32_t)len);
    memset(b->at, (int)('a' + revision % 26), len);
    encoded_put(t, &(struct encoded_key){kind, form, 1, {revision}}, b, ENCODED_STAYS, now);
    blob_unref(b);
}

static void pass(struct encoded *t, uint64_t revision, size_t len)
{
    struct blob *b = blob_reserve((uint32_t)len);
    memset(b->at, (int)('a' + revision % 26), len);
    encoded_put(t, &(struct encoded_key){&pods, 0, 1, {revision}}, b, ENCODED_PASSES, now);
    blob_unref(b);
}

static bool has(struct encoded *t, const void *kind, uint64_t revision, uint32_t form)
{
    struct blob *b = encoded_find(t, &(struct encoded_key){kind, form, 1, {revision}}, now);
    bool is_right = b != NULL && b->at[0] == (char)('a' + revision % 26);
    blob_unref(b);
    return is_right;
}

TEST(encoded, kind_revision_and_form_name_it)
{
    struct encoded *t = encoded_new(1 << 20);
    put(t, &pods, 7, 1, 100);
    cr_expect(has(t, &pods, 7, 1));
    cr_expect_not(has(t, &pods, 8, 1));
    cr_expect_not(has(t, &pods, 7, 2));
    cr_expect_not(has(t, &nodes, 7, 1));
    put(t, &nodes, 7, 1, 100);
    cr_expect(has(t, &nodes, 7, 1) && has(t, &pods, 7, 1));
    encoded_free(t);
}

TEST(encoded, what_was_not_asked_for_the_longest_goes_first)
{
    struct encoded *t = encoded_new(2 * 10 * 1300);
    for (uint64_t i = 1; i <= 10; i++)
        put(t, &pods, i, 0, 1000);
    now.ns += SPAN_S(ENCODED_FRESH_S).ns;
    cr_expect(has(t, &pods, 1, 0)); /* Asked for: younger than 2 now. */
    put(t, &pods, 11, 0, 1000);
    cr_expect(has(t, &pods, 1, 0) && has(t, &pods, 11, 0));
    cr_expect_not(has(t, &pods, 2, 0));
    encoded_free(t);
}

/* A list that is too long to be kept goes through its own half. */
TEST(encoded, what_passes_drives_out_nothing_that_stays)
{
    struct encoded *t = encoded_new(40 * 1300);
    for (uint64_t i = 1; i <= 20; i++)
        put(t, &pods, i, 0, 1000);
    for (uint64_t i = 100; i < 1000; i++) {
        pass(t, i, 1000);
        cr_assert(has(t, &pods, i, 0));
        cr_assert_leq(encoded_bytes(t), (size_t)40 * 1300);
    }
    cr_expect(has(t, &pods, 995, 0));
    cr_expect_not(has(t, &pods, 970, 0));
    for (uint64_t i = 1; i <= 20; i++)
        cr_expect(has(t, &pods, i, 0));
    encoded_free(t);
}

/* A list that is longer than what stays, by a fifth, read over and over: each round but the first finds all of it. */
TEST(encoded, a_list_a_little_too_long_finds_itself)
{
    struct encoded *t = encoded_new(40 * 1300);
    for (uint32_t round = 0; round < 4; round++) {
        uint32_t missed = 0;
        for (uint64_t i = 1; i <= 24; i++) {
            if (has(t, &pods, i, 0))
                continue;
            missed++;
            put(t, &pods, i, 0, 1000);
        }
        cr_expect_eq(missed, round == 0 ? 24 : 0, "round %u: %u", round, missed);
    }
    encoded_free(t);
}

/* The limit holds after every step, bytes in work survive, and each that is there is the right one. */
TEST(encoded, never_holds_more_than_its_limit)
{
    struct encoded *t = encoded_new(64 << 10);
    put(t, &pods, 1, 0, 500);
    struct blob *held = encoded_find(t, &(struct encoded_key){&pods, 0, 1, {1}}, now);
    for (uint64_t i = 2; i < 5000; i++) {
        now.ns += SPAN_S(1).ns;
        put(t, &pods, i, (uint32_t)(i % 3), (size_t)(i * 37 % 3000 + 1));
        cr_assert_leq(encoded_bytes(t), (size_t)64 << 10);
        cr_assert(has(t, &pods, i, (uint32_t)(i % 3)));
    }
    cr_expect_not(has(t, &pods, 1, 0));
    cr_expect_eq(held->at[0], 'b');
    blob_unref(held);
    encoded_free(t);
}

/* Neighbours are one item: any other revision among them, or one more, is another one. */
TEST(encoded, a_run_is_named_by_all_its_revisions)
{
    struct encoded *t = encoded_new(1 << 20);
    struct encoded_key run = {&pods, 0, 3, {7, 8, 9}}, key;
    struct blob *b = blob_new(STR("789"));
    encoded_put(t, &run, b, ENCODED_STAYS, now);
    blob_unref(b);
    for (uint32_t i = 0; i < 3; i++) {
        key = run;
        key.revisions[i] = 10;
        cr_expect_null(encoded_find(t, &key, now));
    }
    key = (struct encoded_key){&pods, 0, 2, {7, 8}};
    cr_expect_null(encoded_find(t, &key, now));
    key = (struct encoded_key){&pods, 0, 4, {7, 8, 9, 10}};
    cr_expect_null(encoded_find(t, &key, now));
    b = encoded_find(t, &run, now);
    cr_expect(b != NULL && str_is(blob_str(b), "789"));
    blob_unref(b);
    encoded_free(t);
}

TEST(encoded, counts_and_sizes_have_limits_too)
{
    struct encoded *t = encoded_new(1 << 30);
    for (uint64_t i = 1; i <= ENCODED_COUNT_MAX + 10; i++)
        put(t, &pods, i, 0, 1);
    cr_expect_not(has(t, &pods, 10, 0));
    cr_expect(has(t, &pods, 11, 0) && has(t, &pods, ENCODED_COUNT_MAX + 10, 0));
    put(t, &pods, 99999999, 0, ENCODED_ITEM_MAX + 1);
    cr_expect_not(has(t, &pods, 99999999, 0));
    encoded_free(t);
}

TEST(encoded, what_nobody_asks_for_is_not_kept)
{
    struct encoded *t = encoded_new(1 << 20);
    now.ns = 1000;
    put(t, &pods, 1, 0, 1000);
    put(t, &pods, 2, 0, 1000);
    now.ns = 2000;
    cr_expect(has(t, &pods, 1, 0));
    encoded_expire(t, (struct instant){1500});
    cr_expect(has(t, &pods, 1, 0));
    cr_expect_not(has(t, &pods, 2, 0));
    now.ns = 9000;
    encoded_expire(t, now);
    cr_expect_eq(encoded_bytes(t), 0);
    encoded_free(t);
}
