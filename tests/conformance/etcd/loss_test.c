/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that arrive and whose answers do not; transactions of which only a part arrives. */
#include "tests/conformance/etcd/home.h"
#include "tests/conformance/etcd/traffic.h"
#include "tests/testlib/cutter.h"
#include "tests/testlib/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Every fourth answer is lost with its connection: repeated requests find that they were done. */
TEST_WITHIN(etcd, lost_answers_cost_time_and_nothing_else, 600)
{
    struct rig *r = home_new(NULL);
    struct cutter c;
    struct traffic t;
    cutter_start(&c, r->etcd[0].client_port);
    r->endpoints = c.url;
    rig_open(r);
    traffic_start(&t, r);
    c.dials->lose_each = 4;
    traffic_run(&t, SPAN_MS(home_rounds(3000)));
    traffic_check(&t);
    cr_assert_gt(c.dials->lost, 20);
    cr_assert_gt(t.taken, 100);
    cr_assert_eq(t.doubtful, 0);
    rig_close(r);
    cutter_stop(&c);
    rig_free(r);
}

/* No answer comes for longer than our patience, and everything is done: a load finds it. */
TEST(etcd, an_unknown_outcome_is_decided_by_reading)
{
    struct rig *r = home_new(NULL);
    struct cutter c;
    struct traffic t;
    cutter_start(&c, r->etcd[0].client_port);
    r->endpoints = c.url;
    rig_open(r);
    traffic_start(&t, r);
    traffic_run(&t, SPAN_MS(200));
    traffic_settle(&t);
    c.dials->lose_each = 1;
    uint64_t first = t.next;
    traffic_run(&t, SPAN_MS(50));
    cr_assert(!traffic_drain(&t));
    cr_assert_eq(t.fate[first], TRAFFIC_DOUBTFUL);
    c.dials->lose_each = 0;
    traffic_check(&t);
    cr_assert_gt(t.there[first % TRAFFIC_SLOTS], first); /* It was done all the time. */
    traffic_run(&t, SPAN_MS(100));
    traffic_check(&t);
    rig_close(r);
    cutter_stop(&c);
    rig_free(r);
}

/* ---- Parts ---- */

enum { PARTS_WRITES = 4, PARTS_BYTES = 1 << 20 };

/* Four values of 1 MiB: as many records. */
static uint64_t commit_large(struct rig *r, uint64_t revision, uint64_t before)
{
    struct store_write w[PARTS_WRITES];
    char key[32];
    for (uint32_t i = 0; i < PARTS_WRITES; i++) {
        snprintf(key, sizeof key, "/configmaps/large/%u", i);
        w[i] = (struct store_write){.revision = revision + i,
                                    .before = before == 0 ? 0 : before + i,
                                    .key = blob_new(str_of(key)),
                                    .value = blob_reserve(PARTS_BYTES)};
        traffic_noise(revision + i, w[i].value->at, PARTS_BYTES);
    }
    uint64_t op = rig_commit(r, r->fence, w, PARTS_WRITES);
    for (uint32_t i = 0; i < PARTS_WRITES; i++) {
        blob_unref(w[i].key);
        blob_unref(w[i].value);
    }
    return op;
}

/* A process that loads, says so, commits one large transaction and is killed in the middle of it. */
static pid_t start_writer(struct rig *home, const char *url, int *out_ready)
{
    int ends[2];
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct rig *r = home_guest(home, NULL);
        r->endpoints = url;
        rig_open(r);
        if (rig_load(r) != ERR_OK || write(ends[1], "x", 1) != 1)
            _exit(1);
        rig_wait(r, commit_large(r, r->head + 1, 0));
        pause();
    }
    close(ends[1]);
    *out_ready = ends[0];
    return pid;
}

static void wait_until_swallowed(const struct cutter *c)
{
    for (uint32_t tries = 0; tries < 1000 && c->dials->swallowed == 0; tries++)
        usleep(10000);
    cr_assert_gt(c->dials->swallowed, 0);
}

TEST(etcd, a_crash_between_the_parts_leaves_no_half)
{
    struct rig *r = home_new(NULL);
    home_wait(&r->etcd[0]);
    for (uint32_t parts = 0; parts < PARTS_WRITES; parts++) {
        struct cutter c;
        char byte;
        int ready;
        cutter_start(&c, r->etcd[0].client_port);
        pid_t writer = start_writer(r, c.url, &ready);
        cr_assert_eq(read(ready, &byte, 1), 1);
        c.dials->pass_only = parts;
        wait_until_swallowed(&c);
        usleep(200000); /* What may pass, arrives. */

        struct rig *reader = home_guest(r, "reader");
        rig_open(reader);
        cr_assert_eq(rig_follow(reader, 0), ERR_OK);
        cr_assert_eq(reader->rows_count, 0, "%u parts are seen by a follower", parts);
        rig_free(reader);
        kill(writer, SIGKILL);
        cr_assert_eq(waitpid(writer, NULL, 0), writer);
        close(ready);
        cutter_stop(&c);

        rig_open(r); /* The same holder: it need not wait for the lock. */
        cr_assert_eq(rig_load(r), ERR_OK);
        cr_assert_eq(r->rows_count, 0, "after %u parts half a transaction is there", parts);
        cr_assert_eq(r->head, 0);
        rig_close(r);
    }
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_OK);
    cr_assert_eq(rig_wait(r, commit_large(r, 1, 0)), ERR_OK);
    cr_assert_eq(rig_wait(r, commit_large(r, 11, 1)), ERR_OK);
    cr_assert_eq(rig_load(r), ERR_OK);
    cr_assert_eq(r->rows_count, 2 * PARTS_WRITES);
    rig_free(r);
}
