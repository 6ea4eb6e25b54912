/* SPDX-License-Identifier: Apache-2.0 */
/* A test that fails ends before it tidies up. The next one does it, by the process id in the name. */
#include "io/fs.h"
#include "nodeagent/host/cgroup.h"
#include "tests/conformance/runtime/suite.h"
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
