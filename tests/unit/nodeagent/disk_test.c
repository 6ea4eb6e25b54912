/* SPDX-License-Identifier: Apache-2.0 */
/* The decisions about the node's disk, one by one. How they work together: tests/story/disk_test.c. */
#include "nodeagent/core/disk.h"
#include "tests/testlib/test.h"

#define GIB (1ull << 30)

TEST(disk, is_short_below_its_reserve_and_roomy_only_a_quarter_above_it)
{
    static const struct {
        struct disk_room room;
        bool pressed;
        enum disk_state state;
    } rows[] = {
        {{100 * GIB, 10 * GIB, 0, 0}, false, DISK_ROOMY},
        {{100 * GIB, 10 * GIB - 1, 0, 0}, false, DISK_SHORT},
        {{100 * GIB, 12 * GIB, 0, 0}, true, DISK_SHORT},
        {{100 * GIB, 13 * GIB, 0, 0}, true, DISK_ROOMY},
        {{100 * GIB, 5 * GIB, 0, 0}, false, DISK_SHORT},
        {{100 * GIB, 5 * GIB - 1, 0, 0}, false, DISK_NEARLY_GONE},
        {{100 * GIB, 50 * GIB, 1000, 50}, false, DISK_ROOMY},
        {{100 * GIB, 50 * GIB, 1000, 49}, false, DISK_SHORT},
        {{100 * GIB, 50 * GIB, 1000, 61}, true, DISK_SHORT},
        {{100 * GIB, 50 * GIB, 1000, 24}, false, DISK_NEARLY_GONE},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        cr_expect_eq(disk_judge(&rows[i].room, 10 * GIB, rows[i].pressed), rows[i].state, "row %zu",
                     i);
    cr_expect_eq(disk_judge(&(struct disk_room){0, 0, 1000, 0}, 0, true), DISK_ROOMY,
                 "no reserve of bytes, none of inodes");
    cr_expect_eq(disk_judge(&(struct disk_room){GIB, 0, 0, 0}, 0, false), DISK_ROOMY,
                 "without a reserve nobody watches");
}

TEST(disk, is_looked_at_before_it_could_be_full)
{
    struct disk_room room = {100 * GIB, 100 * GIB, 0, 0};
    cr_expect_eq(disk_pause(&room, 10 * GIB, false).ns, SPAN_S(10).ns);
    cr_expect_eq(disk_pause(&room, 10 * GIB, true).ns, SPAN_S(1).ns);
    room.free_bytes = 20 * GIB;
    cr_expect_eq(disk_pause(&room, 10 * GIB, false).ns, SPAN_S(5).ns);
    room.free_bytes = 3 * GIB;
    cr_expect_eq(disk_pause(&room, 10 * GIB, false).ns, SPAN_S(1).ns);
}

TEST(disk, the_worst_leaves_first)
{
    const struct disk_use large = {.bytes = 9 * GIB, .inodes = 10},
                          small = {.bytes = GIB, .inodes = 5000},
                          uncounted = {.bytes = GIB, .inodes = 10, .partial = true};
    static const struct {
        int64_t priority[2];
        uint64_t request[2];
        int use[2];
        bool by_inodes, first_leaves;
    } rows[] = {
        {{0, 0}, {0, 0}, {0, 1}, false, true},
        {{0, 0}, {0, 0}, {1, 0}, false, false},
        {{0, 0}, {8 * GIB + GIB / 2, 0}, {0, 1}, false, false}, /* 0.5 over against 1. */
        {{0, 100}, {20 * GIB, 0}, {0, 1}, false, false},        /* Within its request. */
        {{100, 0}, {0, 0}, {0, 1}, false, false},               /* Both over: priority. */
        {{0, 0}, {0, 0}, {2, 0}, false, true},                  /* More than was counted. */
        {{0, 0}, {0, 0}, {0, 1}, true, false},
        {{0, 0}, {20 * GIB, 20 * GIB}, {1, 0}, true, true},
    };
    const struct disk_use *const uses[] = {&large, &small, &uncounted};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct disk_tenant x[2];
        for (int k = 0; k < 2; k++)
            x[k] =
                (struct disk_tenant){rows[i].priority[k], rows[i].request[k], uses[rows[i].use[k]]};
        cr_expect_eq(disk_worse(&x[0], &x[1], rows[i].by_inodes), rows[i].first_leaves, "row %zu",
                     i);
        cr_expect_neq(disk_worse(&x[0], &x[1], rows[i].by_inodes),
                      disk_worse(&x[1], &x[0], rows[i].by_inodes), "row %zu", i);
    }
}
