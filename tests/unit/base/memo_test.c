/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memo.h"

#include "tests/testlib/test.h"

static uint32_t dropped;

static void drop(void *value)
{
    (void)value;
    dropped++;
}

TEST(memo, keeps_what_is_put_and_says_what_came_before)
{
    struct memo *m = memo_new(4, 8, drop);
    int value = 0, other = 0;
    dropped = 0;
    cr_expect_not(memo_find(m, STR("a")).is_again);
    cr_expect(memo_find(m, STR("a")).is_again);
    memo_put(m, STR("a"), &value);
    cr_expect_eq(memo_find(m, STR("a")).value, &value);
    cr_expect_null(memo_find(m, STR("b")).value);
    cr_expect_null(memo_find(m, STR("")).value);
    memo_put(m, STR("a"), &other);
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
    struct memo *m = memo_new(1, 4, drop);
    int value = 0;
    dropped = 0;
    for (int i = 0; i < 3; i++)
        cr_expect_not(memo_find(m, STR("12345")).is_again);
    memo_put(m, STR("12345"), &value);
    cr_expect_eq(dropped, 1);
    cr_expect_null(memo_find(m, STR("12345")).value);
    memo_free(m);
    cr_expect_eq(dropped, 1);
}

TEST(memo, in_a_set_the_one_used_longest_ago_makes_room)
{
    struct memo *m = memo_new(1, 8, drop);
    static const char *const keys[] = {"a", "b", "c", "d"};
    int values[5] = {0};
    dropped = 0;
    for (int i = 0; i < MEMO_WAYS; i++)
        memo_put(m, str_of(keys[i]), &values[i]);
    (void)memo_find(m, STR("a"));
    memo_put(m, STR("e"), &values[4]);
    cr_expect_eq(dropped, 1);
    cr_expect_eq(memo_find(m, STR("a")).value, &values[0]);
    cr_expect_null(memo_find(m, STR("b")).value);
    cr_expect_eq(memo_find(m, STR("e")).value, &values[4]);
    memo_free(m);
    cr_expect_eq(dropped, 5);
}
