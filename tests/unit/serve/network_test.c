/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/network.h"
#include "io/fs.h"
#include "tests/testlib/test.h"

#include <stdlib.h>

/* The first start decides; later ones may say the same, or nothing. */
TEST(network, is_kept_and_cannot_be_changed)
{
    char dir[] = "/tmp/baton-test-XXXXXX", path[FS_PATH_MAX];
    struct network_kept is;
    struct err e;
    cr_assert_not_null(mkdtemp(dir));
    cr_assert(fs_join(path, dir, "control") && fs_mkdir(path, 0700, &e) == ERR_OK);

    struct network_asked wrong = {.cidr = "10.1.0.1/16"}, asked = {"10.0.0.0/9", 22};
    cr_assert_eq(network_open(dir, "00ab05", &wrong, &is, &e), ERR_INVALID);
    cr_assert_eq(network_open(dir, "00ab05", &asked, &is, &e), ERR_OK);
    cr_assert_eq(network_open(dir, "00ab05", &(struct network_asked){.cidr = NULL}, &is, &e),
                 ERR_OK);
    cr_assert_str_eq(is.cidr, "10.0.0.0/9");
    cr_assert_eq(is.part_prefix, 22);
    cr_assert_eq(network_open(dir, "00ab05", &asked, &is, &e), ERR_OK);

    struct network_asked others[] = {{"10.128.0.0/14", 22}, {"10.0.0.0/9", 24}, {NULL, 24}};
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        cr_assert_eq(network_open(dir, "00ab05", &others[i], &is, &e), ERR_INVALID);
        cr_assert(strncmp(e.text, "this cluster's pod network is 10.0.0.0/9 with /22", 49) == 0);
    }
    cr_assert(fs_join(path, dir, "control/network"));
    cr_assert_eq(fs_write(path, STR("10.0.0.0/9"), 0600, &e), ERR_OK);
    cr_assert_eq(network_open(dir, "00ab05", &asked, &is, &e), ERR_CORRUPT);
    cr_assert_eq(fs_remove_tree(dir, &e), ERR_OK);
}

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

/* Two clusters on one machine never have the same network: the bridge of the other stands in the first choice, or the
 * choice lies in a wider network that the machine is in. */
TEST(network, the_digits_choose_past_what_the_machine_is_in)
{
    const struct hostnet bridge = {IP(10, 128, 0, 1), IP(255, 255, 255, 0)};
    const struct hostnet many[] = {{IP(10, 252, 7, 1), IP(255, 255, 255, 0)},
                                   {IP(10, 128, 0, 1), IP(255, 248, 0, 0)},
                                   {IP(192, 168, 1, 4), IP(255, 255, 255, 0)}};
    const struct hostnet all = {IP(10, 0, 0, 5), IP(255, 0, 0, 0)};
    cr_assert_str_eq(network_choose(0, NULL, 0).cidr, "10.128.0.0/14");
    cr_assert_str_eq(network_choose(1, NULL, 0).cidr, "10.132.0.0/14");
    cr_assert_str_eq(network_choose(0xffffff, NULL, 0).cidr, "10.252.0.0/14");
    cr_assert_str_eq(network_choose(32, &bridge, 1).cidr, "10.132.0.0/14");
    cr_assert_str_eq(network_choose(31, many, 3).cidr, "10.136.0.0/14", "past the end and on");
    cr_assert_str_eq(network_choose(3, &all, 1).cidr, "10.140.0.0/14", "none is free: the first");
}
