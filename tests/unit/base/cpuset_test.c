/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpuset.h"
#include "tests/testlib/test.h"

static struct cpuset set_of(const char *text)
{
    struct cpuset s;
    cr_assert_eq(cpuset_parse(str_of(text), &s), ERR_OK, "%s", text);
    return s;
}

TEST(cpuset, prints_what_it_parsed)
{
    const char *const texts[] = {"", "0", "0-3", "0,2-3,1023", "63-64"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct cpuset s = set_of(texts[i]);
        struct buf b;
        buf_init(&b, 1024);
        cpuset_print(&s, &b);
        cr_assert(str_is(buf_str(&b), texts[i]), "%s", texts[i]);
        buf_free(&b);
    }
    struct cpuset s = set_of(" 0-1\n");
    cr_assert_eq(cpuset_count(&s), 2);
}

TEST(cpuset, refuses_what_the_kernel_would_not_write)
{
    const char *const bad[] = {"a", "1-", "-1", "3-1", "1024", "0,,1", "0-18446744073709551615"};
    struct cpuset s;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_assert_eq(cpuset_parse(str_of(bad[i]), &s), ERR_INVALID, "%s", bad[i]);
}

TEST(cpuset, compares)
{
    struct cpuset a = set_of("0-3"), b = set_of("2"), c = set_of("4"), d = set_of("0-4");
    struct cpuset all = cpuset_union(&a, &c);
    cr_assert(cpuset_within(&b, &a) && !cpuset_within(&a, &b));
    cr_assert(cpuset_overlaps(&a, &b) && !cpuset_overlaps(&a, &c));
    cr_assert(cpuset_eq(&all, &d));
}

TEST(cpuset, grows_and_shrinks_in_place)
{
    struct cpuset s = set_of("0-3"), other = set_of("2-5"), more = set_of("0-5"),
                  less = set_of("0-1");
    struct cpuset all = s;
    cpuset_join(&all, &other);
    cr_assert(cpuset_eq(&all, &more));
    cpuset_drop(&s, &other);
    cr_assert(cpuset_eq(&s, &less));
    cpuset_add(&s, CPUSET_MAX);
    cr_assert(cpuset_eq(&s, &less) && !cpuset_has(&s, CPUSET_MAX));
    cpuset_drop(&s, &more);
    cr_assert(cpuset_is_empty(&s));
}
