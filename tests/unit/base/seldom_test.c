/* SPDX-License-Identifier: Apache-2.0 */
#include "base/seldom.h"
#include "tests/testlib/test.h"

static struct instant at_s(int64_t s)
{
    return instant_add((struct instant){1}, SPAN_S(s));
}

TEST(seldom, tells_the_first_lines_of_a_minute_and_the_sum_of_the_others)
{
    struct seldom s = {0};
    for (int i = 0; i < SELDOM_LINES; i++)
        cr_expect(seldom_may(&s, at_s(i)));
    cr_expect_eq(seldom_deadline(&s).ns, 0, "nothing was left out");
    for (int i = 0; i < 1000; i++)
        cr_expect(!seldom_may(&s, at_s(20)));
    cr_expect_eq(seldom_deadline(&s).ns, at_s(60).ns);
    cr_expect_eq(seldom_withheld(&s, at_s(59)), 0, "the minute is not over");
    cr_expect_eq(seldom_withheld(&s, at_s(60)), 1000);
    cr_expect_eq(seldom_withheld(&s, at_s(61)), 0, "told once");
    cr_expect(seldom_may(&s, at_s(61)), "a new minute");
}

TEST(seldom, few_lines_are_all_told)
{
    struct seldom s = {0};
    for (int i = 0; i < 10 * SELDOM_LINES; i++)
        cr_expect(seldom_may(&s, at_s(7 * i)));
    cr_expect_eq(seldom_withheld(&s, at_s(10000)), 0);
}

TEST(seldom, a_sum_that_nobody_asked_for_is_kept)
{
    struct seldom s = {0};
    for (int i = 0; i < SELDOM_LINES + 5; i++)
        (void)seldom_may(&s, at_s(0));
    cr_expect(!seldom_may(&s, at_s(500)));
    cr_expect_eq(seldom_withheld(&s, at_s(500)), 6);
}
