/* SPDX-License-Identifier: Apache-2.0 */
/* Members that die, hang or come back late, under load. */
#include "tests/conformance/etcd/home.h"
#include "tests/conformance/etcd/traffic.h"
#include "tests/testlib/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

TEST_WITHIN(etcd, killed_and_started_again_under_load, 600)
{
    struct rig *r = home_new(NULL);
    struct traffic t;
    rig_open(r);
    traffic_start(&t, r);
    for (uint32_t round = 0, rounds = home_rounds(3); round < rounds; round++) {
        uint32_t taken = t.taken;
        traffic_run(&t, SPAN_MS(150 + 40 * (round % 4)));
        etcd_server_kill(&r->etcd[0]);
        traffic_run(&t, SPAN_MS(100));
        etcd_server_start(&r->etcd[0]);
        traffic_settle(&t);
        cr_assert_gt(t.taken, taken);
    }
    traffic_check(&t);
    cr_assert_eq(t.doubtful, 0); /* It was away for less than our patience. */
    rig_free(r);
}

static uint32_t find_leader(const struct rig *r)
{
    char out[512];
    for (uint32_t i = 0; i < 3; i++)
        if (etcd_ctl(&r->etcd[i], "endpoint status", out, sizeof out) == 0 &&
            strstr(out, "true") != NULL)
            return i;
    cr_assert(false, "no leader");
    return 0;
}

TEST_WITHIN(etcd, the_leader_of_three_is_killed_under_load, 600)
{
    char endpoints[256];
    struct rig *r = home_of_three(endpoints);
    struct traffic t;
    rig_open(r);
    traffic_start(&t, r);
    for (uint32_t round = 0, rounds = home_rounds(2); round < rounds; round++) {
        uint32_t leader = find_leader(r), taken;
        traffic_run(&t, SPAN_MS(300));
        etcd_server_kill(&r->etcd[leader]);
        taken = t.taken;
        traffic_run(&t, SPAN_MS(300));
        traffic_settle(&t); /* An election later, on the other two. */
        cr_assert_gt(t.taken, taken);
        etcd_server_start(&r->etcd[leader]);
        home_wait(&r->etcd[leader]);
    }
    traffic_check(&t);
    cr_assert_eq(t.doubtful, 0);
    rig_free(r);
}

/* Two of three are not enough to write: nothing is said to be done until one is back. */
TEST(etcd, without_a_majority_nothing_is_acknowledged)
{
    char endpoints[256];
    struct rig *r = home_of_three(endpoints);
    struct traffic t;
    rig_open(r);
    traffic_start(&t, r);
    traffic_run(&t, SPAN_MS(200));
    uint32_t leader = find_leader(r);
    etcd_server_kill(&r->etcd[leader]);
    etcd_server_kill(&r->etcd[(leader + 1) % 3]);
    traffic_run(&t, SPAN_MS(50)); /* What was answered and not read yet. */
    uint32_t taken = t.taken;
    traffic_run(&t, SPAN_MS(2000));
    cr_assert_eq(t.taken, taken);
    etcd_server_start(&r->etcd[leader]);
    traffic_check(&t);
    cr_assert_gt(t.taken, taken);
    rig_free(r);
}

/* It does not answer, and its connections stand: a request that hangs is given up after 4 s and repeated. */
TEST(etcd, one_that_hangs_is_waited_for)
{
    struct rig *r = home_new(NULL);
    struct traffic t;
    rig_open(r);
    traffic_start(&t, r);
    traffic_run(&t, SPAN_MS(200));
    kill(r->etcd[0].pid, SIGSTOP);
    traffic_run(&t, SPAN_MS(5000));
    kill(r->etcd[0].pid, SIGCONT);
    traffic_check(&t);
    cr_assert_eq(t.doubtful, 0);
    rig_free(r);
}

/* Away for longer than our patience: unknown outcomes, which a load decides when it is back. */
TEST(etcd, away_for_long_leaves_doubts_and_a_load_ends_them)
{
    struct rig *r = home_new(NULL);
    struct traffic t;
    rig_open(r);
    traffic_start(&t, r);
    traffic_run(&t, SPAN_MS(200));
    etcd_server_kill(&r->etcd[0]);
    traffic_run(&t, SPAN_MS(20)); /* All may have been answered: now something is in flight. */
    bool sure = traffic_drain(&t);
    cr_assert(!sure && t.doubtful > 0);
    cr_assert_eq(rig_put(r, 1u << 30, 0, "/configmaps/x/y", "v"), ERR_UNAVAILABLE); /* At once. */
    cr_assert_not_null(strstr(r->done[r->op].err.text, "load first"));
    etcd_server_start(&r->etcd[0]);
    traffic_check(&t);
    uint32_t taken = t.taken;
    traffic_run(&t, SPAN_MS(200));
    traffic_check(&t);
    cr_assert_gt(t.taken, taken);
    rig_free(r);
}
