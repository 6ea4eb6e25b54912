/* SPDX-License-Identifier: Apache-2.0 */
/* Which NUMA node gives the rows of a request that one of them can serve alone. */
#include "tests/testlib/test.h"
#include "tests/unit/scheduler/world.h"

/* The one with fewer cores left would be taken, but what else is wanted is only in the other. */
static void takes_the_other(const struct request *first, const struct request *second)
{
    struct ledger *l = ledger_new(NULL);
    struct placement a, b;
    put(l, "n1", 1, 2, 1, 4, 1, 16);
    place_ok(l, first, &a);
    place_ok(l, second, &b);
    cr_assert_eq(a.numa_mask & b.numa_mask, 0);
    cr_assert_eq(__builtin_popcount(b.numa_mask), 1);
    ledger_free(l);
}

TEST(fit, pages_count_as_cores_do)
{
    struct request small = {.exclusive_cpus = 1, .hugepages_2m = 40};
    struct request large = {.exclusive_cpus = 1, .hugepages_1g = 2};
    takes_the_other(&small, &small);
    takes_the_other(&large, &large);
}

TEST(fit, memory_counts_as_cores_do)
{
    struct request most = {.exclusive_cpus = 1, .memory_bytes = 12 * GIB};
    struct request some = {.exclusive_cpus = 1, .memory_bytes = 5 * GIB};
    takes_the_other(&most, &some);
}

/* Of two that serve the tighter one, as the plain search says too. */
TEST(fit, the_tighter_of_two)
{
    struct ledger *l = ledger_new(NULL);
    struct request one = {.exclusive_cpus = 1, .memory_bytes = GIB};
    struct placement a, b;
    put(l, "n1", 1, 2, 1, 4, 1, 16);
    place_ok(l, &one, &a);
    place_ok(l, &one, &b);
    cr_assert_eq(a.numa_mask, b.numa_mask);
    ledger_free(l);
}
