/* SPDX-License-Identifier: Apache-2.0 */
/* Which NUMA node gives the rows of a request that one of them can serve alone. */
#include "tests/testlib/test.h"
#include "tests/unit/scheduler/world.h"

/* With a third of its cores and memory gone the first NUMA node would be the tighter and the more even
 * one, but the pages that the second request wants are only in the other. */
static void takes_the_other(uint32_t pages_2m, uint32_t pages_1g)
{
    struct ledger *l = ledger_new(NULL);
    struct request r = {.exclusive_cpus = 1,
                        .memory_bytes = 5 * GIB,
                        .hugepages_2m = pages_2m,
                        .hugepages_1g = pages_1g};
    struct placement a, b;
    put(l, "n1", 1, 2, 1, 4, 1, 16);
    place_ok(l, &r, &a);
    place_ok(l, &r, &b);
    cr_assert_eq(a.numa_mask, 1);
    cr_assert_eq(b.numa_mask, 2);
    ledger_free(l);
}

TEST(fit, pages_count_as_cores_do)
{
    takes_the_other(40, 0);
    takes_the_other(0, 2);
}

/* Without pages it is the first again. */
TEST(fit, the_more_even_of_two)
{
    struct ledger *l = ledger_new(NULL);
    struct request one = {.exclusive_cpus = 1, .memory_bytes = 5 * GIB};
    struct placement a, b;
    put(l, "n1", 1, 2, 1, 4, 1, 16);
    place_ok(l, &one, &a);
    place_ok(l, &one, &b);
    cr_assert_eq(a.numa_mask, b.numa_mask);
    ledger_free(l);
}
