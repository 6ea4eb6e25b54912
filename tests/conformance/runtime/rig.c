/* SPDX-License-Identifier: Apache-2.0 */
/* The host's part of every rig: groups, and what failed tests left. A test that fails ends before it tidies up; the next one
 * does it, by the process id in the name. */
#include "io/clock.h"
#include "io/fs.h"
#include "io/loop.h"
#include "nodeagent/host/cgroup.h"
#include "tests/conformance/runtime/suite.h"
#include "tests/testlib/test.h"
#include <errno.h>
#include <signal.h>
#include <string.h>

static bool sweep_one(void *arg, const char *name)
{
    const struct cgroup_layout *layout = arg;
    struct str pid = str_of(strrchr(name, '-') == NULL ? "" : strrchr(name, '-') + 1);
    struct cgroup_tree *tree;
    uint64_t number;

    if (strncmp(name, "baton-conf", 10) != 0 || str_parse_u64(pid, &number) != ERR_OK ||
        kill((pid_t)number, 0) == 0 || errno != ESRCH)
        return true;
    if (cgroup_open(layout, str_of(name), &tree, NULL) != ERR_OK)
        return true;
    (void)!cgroup_purge(tree, NULL); /* Busy: the next test's affair. */
    cgroup_close(tree);
    return true;
}

void rig_sweep(const struct cgroup_layout *layout)
{
    const char *names = layout->mount[layout->unified ? 0 : CGROUP_PIDS];
    (void)!fs_list(names, sweep_one, (void *)(uintptr_t)layout, NULL);
}

void rig_cgroups(const char *parent, struct cgroup_tree **out, struct cpuset *out_pool)
{
    struct cgroup_layout layout;
    struct err e;
    cr_assert_eq(cgroup_layout_read(&layout, &e), ERR_OK, "%s", e.text);
    rig_sweep(&layout);
    cr_assert_eq(cgroup_open(&layout, str_of(parent), out, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(cgroup_pool_get(*out, out_pool, &e), ERR_OK);
}

void rig_turn(const struct rig *r, struct loop *loop, uint32_t ms)
{
    struct instant end = instant_add(clock_now(), SPAN_MS(ms));
    uint32_t before = r->events_count;
    while (clock_now().ns < end.ns && r->events_count == before)
        loop_step(loop, SPAN_MS(ms));
}
