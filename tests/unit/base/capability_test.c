/* SPDX-License-Identifier: Apache-2.0 */
#include "base/capability.h"
#include "tests/testlib/test.h"

#include <linux/capability.h>

TEST(capability, names_and_numbers_are_the_kernels)
{
    uint32_t n = 0;
    cr_assert(capability_find(STR("NET_ADMIN"), &n) && n == CAP_NET_ADMIN);
    cr_assert(capability_find(STR("cap_checkpoint_restore"), &n) && n == CAP_CHECKPOINT_RESTORE);
    cr_assert_not(capability_find(STR("ALL"), &n));
    cr_assert_eq(CAPABILITY_COUNT, CAP_LAST_CAP + 1);
    cr_assert_str_eq(capability_name(CAP_MKNOD), "MKNOD");
}

TEST(capability, no_container_makes_device_nodes_by_default)
{
    cr_assert_eq(capability_default() & CAPABILITY_BIT(CAP_MKNOD), 0);
    cr_assert_eq(__builtin_popcountll(capability_default()), 13);
}
