/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/host/tap.h"
#include "io/proc.h"
#include "tests/testlib/test.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

/* Needs root; in a network namespace of the test's own. */
static bool tap_made(void)
{
    const char *const argv[] = {"ip", "tuntap", "add", "t0", "mode", "tap", "vnet_hdr", NULL};
    int status = 1;
    if (geteuid() != 0 || access("/dev/net/tun", R_OK) != 0 || unshare(CLONE_NEWNET) != 0) {
        fputs("skipped: needs root and /dev/net/tun\n", stderr);
        return false;
    }
    cr_assert_eq(proc_run_wait(&(struct proc_request){.argv = argv}, NULL, NULL, &status, NULL),
                 ERR_OK);
    cr_assert_eq(status, 0);
    return true;
}

TEST(tap, is_opened_and_never_made)
{
    struct err e;
    int fd, again;
    if (!tap_made())
        return;
    cr_assert_eq(tap_open(STR("t0"), &fd, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(tap_open(STR("t0"), &again, &e), ERR_BUSY);
    cr_assert_eq(tap_open(STR("t1"), &again, &e), ERR_NOT_FOUND);
    cr_assert_eq(tap_open(STR("t1"), &again, &e), ERR_NOT_FOUND, "the first call made it");
    cr_assert_eq(tap_open(STR(""), &again, &e), ERR_INVALID);
    cr_assert_eq(tap_open(STR("a-name-of-16-byte"), &again, &e), ERR_INVALID);
    close(fd);
}

static void *close_later(void *fd)
{
    poll(NULL, 0, 20);
    close(*(int *)fd);
    return NULL;
}

/* A child between fork and exec holds what its parent had open, for a moment. */
TEST(tap, waits_for_a_child_on_its_way_to_exec)
{
    struct err e;
    pthread_t thread;
    int fd, again;
    if (!tap_made())
        return;
    cr_assert_eq(tap_open(STR("t0"), &fd, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(pthread_create(&thread, NULL, close_later, &fd), 0);
    cr_assert_eq(tap_open(STR("t0"), &again, &e), ERR_OK, "%s", e.text);
    pthread_join(thread, NULL);
    close(again);
}
