/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/slice.h"

#include "tests/testlib/test.h"

static struct instant now;
static uint32_t looks;

static struct instant fake_clock(void)
{
    looks++;
    return now;
}

/* Steps until the slice is over, when each takes that long. */
static uint32_t steps_of(int64_t step_ns)
{
    uint32_t steps = 0;
    looks = 0;
    now = (struct instant){1000000000};
    struct slice s = slice_begin(fake_clock, SLICE_US);
    do {
        steps++;
        now.ns += step_ns;
    } while (!slice_over(&s));
    return steps;
}

TEST(slice, ends_in_time_whatever_a_step_costs)
{
    static const int64_t costs_ns[] = {100, 1000, 4000, 30000};
    for (size_t i = 0; i < COUNT_OF(costs_ns); i++) {
        int64_t took = steps_of(costs_ns[i]) * costs_ns[i];
        cr_expect_geq(took, SLICE_US * 1000);
        cr_expect_leq(took, SLICE_US * 1000 + SLICE_STEPS * costs_ns[i]);
    }
}

TEST(slice, gets_on_though_each_step_is_longer_than_it)
{
    cr_expect_eq(steps_of(SLICE_US * 2000), SLICE_STEPS);
}

TEST(slice, looks_at_the_clock_seldom)
{
    uint32_t steps = steps_of(100);
    cr_expect_leq(looks, steps / SLICE_STEPS + 1);
}
