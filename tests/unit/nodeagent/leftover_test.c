/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/core/leftover.h"
#include "tests/testlib/test.h"

static const struct str wanted[] = {STR("u1"), STR("u2")};

static bool is_left(struct host_thing thing, bool agent_runs)
{
    struct leftover_view v = {.things = &thing,
                              .wanted = wanted,
                              .things_count = 1,
                              .wanted_count = COUNT_OF(wanted),
                              .agent_runs = agent_runs,
                              .now = {SPAN_S(100000).ns}};
    return leftover_why(&v, 0) != NULL;
}

TEST(leftover, what_a_recorded_workload_has_stays)
{
    for (int kind = 0; kind < HOST_TEMPORARY; kind++)
        cr_assert_not(
            is_left((struct host_thing){.kind = (enum host_kind)kind, .uid = STR("u2")}, false));
}

TEST(leftover, what_nobody_has_recorded_goes)
{
    for (int kind = 0; kind < HOST_TEMPORARY; kind++) {
        struct host_thing others = {.kind = (enum host_kind)kind, .uid = STR("u3")};
        struct host_thing nameless = {.kind = (enum host_kind)kind};
        cr_assert(is_left(others, false) && is_left(others, true));
        cr_assert(is_left(nameless, false) && is_left(nameless, true));
    }
}

/* A name that begins like a recorded one is another's. */
TEST(leftover, names_are_compared_whole)
{
    cr_assert(is_left((struct host_thing){.kind = HOST_CGROUP, .uid = STR("u")}, false));
    cr_assert(is_left((struct host_thing){.kind = HOST_CGROUP, .uid = STR("u11")}, false));
}

/* An agent that runs may be writing it, unless that was long ago. */
TEST(leftover, a_write_under_way_stays)
{
    struct host_thing young = {.kind = HOST_TEMPORARY, .since = {SPAN_S(99000).ns}};
    struct host_thing old = {.kind = HOST_TEMPORARY, .since = {SPAN_S(90000).ns}};
    struct host_thing undated = {.kind = HOST_TEMPORARY};
    cr_assert(is_left(young, false) && is_left(old, false) && is_left(undated, false));
    cr_assert_not(is_left(young, true));
    cr_assert(is_left(old, true));
    cr_assert_not(is_left(undated, true));
}
