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
    cr_assert_eq(network_open(dir, &wrong, &is, &e), ERR_INVALID);
    cr_assert_eq(network_open(dir, &asked, &is, &e), ERR_OK);
    cr_assert_eq(network_open(dir, &(struct network_asked){.cidr = NULL}, &is, &e), ERR_OK);
    cr_assert_str_eq(is.cidr, "10.0.0.0/9");
    cr_assert_eq(is.part_prefix, 22);
    cr_assert_eq(network_open(dir, &asked, &is, &e), ERR_OK);

    struct network_asked others[] = {{"10.128.0.0/14", 22}, {"10.0.0.0/9", 24}, {NULL, 24}};
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        cr_assert_eq(network_open(dir, &others[i], &is, &e), ERR_INVALID);
        cr_assert(strncmp(e.text, "this cluster's pod network is 10.0.0.0/9 with /22", 49) == 0);
    }
    cr_assert(fs_join(path, dir, "control/network"));
    cr_assert_eq(fs_write(path, STR("10.0.0.0/9"), 0600, &e), ERR_OK);
    cr_assert_eq(network_open(dir, &asked, &is, &e), ERR_CORRUPT);
    cr_assert_eq(fs_remove_tree(dir, &e), ERR_OK);
}
