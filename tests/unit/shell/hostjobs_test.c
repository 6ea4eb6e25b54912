/* SPDX-License-Identifier: Apache-2.0 */
/* What is done on the host for a workload, where it meets what is not there. */
#include "nodeagent/shell/hostjobs.h"

#include "io/fs.h"
#include "nodeagent/host/vfio.h"
#include "tests/testlib/test.h"
#include "tests/unit/host/kernel.h"

#include <stdio.h>

/* resctrl was unmounted under a workload that has a part of a cache and a GPU: the GPU is given back all the same. */
TEST(hostjobs, what_is_absent_does_not_end_the_cleaning)
{
    struct kernel *k = kernel_new();
    char devices[FS_PATH_MAX];
    struct vfio v = {&k->sysfs, devices};
    struct hostjob j = {.type = FX_CLEAN, .state = k->state, .uid = "u1", .sysfs = &k->sysfs};
    struct err e;
    snprintf(j.group, sizeof j.group, "baton-c.u1");
    k->native = "nouveau";
    cr_assert(fs_join(devices, k->state, "devices"));
    cr_assert_eq(vfio_bind(&v, STR("0000:41:00.0"), STR("u1"), &e), ERR_OK, "%s", e.text);
    kernel_file(k, "sys/fs/resctrl/baton-c.u1/cpus_list", "0-1\n");
    kernel_gone(k, "sys/fs/resctrl/schemata");
    hostjob_clean(&j);
    cr_assert_eq(j.code, ERR_OK, "%s", j.err.text);
    cr_assert_str_eq(kernel_driver(k, "0000:41:00.0"), "nouveau");
    kernel_free(k);
}
