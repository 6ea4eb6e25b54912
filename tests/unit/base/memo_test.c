/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memo.h"

#include "tests/testlib/test.h"

static uint32_t dropped;

static void drop(void *value)
{
    (void)value;
    dropped++;
}

static struct memo *memo_of(uint32_t sets, size_t key_max)
{
    return memo_new(&(struct memo_options){sets, key_max, str_hash, drop});
}

TEST(memo, keeps_what_is_put_and_says_what_came_before)
{
    struct memo *m = memo_of(4, 8);
    int value = 0, other = 0;
    dropped = 0;
    cr_expect_not(memo_find(m, STR("a")).is_again);
    cr_expect(memo_find(m, STR("a")).is_again);
    (void)memo_put(m, STR("a"), &value);
    cr_expect_eq(memo_find(m, STR("a")).value, &value);
    cr_expect_null(memo_find(m, STR("b")).value);
    cr_expect_null(memo_find(m, STR("")).value);
    (void)memo_put(m, STR("a"), &other);
    cr_expect_eq(dropped, 1);
    cr_expect_eq(memo_find(m, STR("a")).value, &other);
    memo_clear(m);
    cr_expect_eq(dropped, 2);
    cr_expect_null(memo_find(m, STR("a")).value);
    memo_free(m);
    memo_free(NULL);
    cr_expect_eq(dropped, 2);
}

TEST(memo, what_is_too_long_is_never_there)
{
    struct memo *m = memo_of(1, 4);
    int value = 0;
    dropped = 0;
    for (int i = 0; i < 3; i++)
        cr_expect_not(memo_find(m, STR("12345")).is_again);
    cr_expect_not(memo_put(m, STR("12345"), &value));
    cr_expect_eq(dropped, 1);
    cr_expect_null(memo_find(m, STR("12345")).value);
    memo_free(m);
    cr_expect_eq(dropped, 1);
}

TEST(memo, in_a_set_the_one_used_longest_ago_makes_room)
{
    struct memo *m = memo_of(1, 8);
    static const char *const keys[] = {"a", "b", "c", "d"};
    int values[5] = {0};
    dropped = 0;
    for (int i = 0; i < MEMO_WAYS; i++)
        cr_expect(memo_put(m, str_of(keys[i]), &values[i]));
    (void)memo_find(m, STR("a"));
    (void)memo_put(m, STR("e"), &values[4]);
    cr_expect_eq(dropped, 1);
    cr_expect_eq(memo_find(m, STR("a")).value, &values[0]);
    cr_expect_null(memo_find(m, STR("b")).value);
    cr_expect_eq(memo_find(m, STR("e")).value, &values[4]);
    memo_free(m);
    cr_expect_eq(dropped, 5);
}

TEST(memo, what_a_turn_has_used_makes_no_room_before_its_end)
{
    struct memo *m = memo_of(1, 8);
    static const char *const keys[] = {"a", "b", "c", "d"};
    int values[6] = {0};
    dropped = 0;
    memo_turn(m);
    for (int i = 0; i < MEMO_WAYS; i++)
        cr_expect(memo_put(m, str_of(keys[i]), &values[i]));
    for (int i = 0; i < 3; i++) /* There is no place for it. */
        cr_expect_not(memo_find(m, STR("e")).is_again);
    cr_expect_not(memo_put(m, STR("e"), &values[4]));
    cr_expect_not(memo_put(m, STR("a"), &values[4]));
    cr_expect_eq(dropped, 2);
    cr_expect_eq(memo_find(m, STR("a")).value, &values[0]);
    memo_turn(m);
    for (int i = 1; i < MEMO_WAYS; i++)
        (void)memo_find(m, str_of(keys[i]));
    cr_expect(memo_find(m, STR("e")).is_again);
    cr_expect(memo_put(m, STR("e"), &values[4]));
    cr_expect_not(memo_put(m, STR("f"), &values[5]));
    cr_expect_null(memo_find(m, STR("a")).value);
    cr_expect_eq(memo_find(m, STR("b")).value, &values[1]);
    memo_free(m);
    cr_expect_eq(dropped, 8);
}
