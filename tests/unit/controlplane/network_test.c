/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/network.h"
#include "tests/testlib/test.h"

TEST(network, is_cut_into_parts)
{
    struct network n;
    cr_assert_eq(network_parse(STR(""), 0, &n, NULL), ERR_OK);
    cr_assert_eq(n.first, 10u << 24 | 128u << 16);
    cr_assert(n.prefix == 14 && n.part_prefix == 24 && n.parts == 1024);
    cr_assert_eq(network_parse(STR("10.0.0.0/8"), 24, &n, NULL), ERR_OK);
    cr_assert_eq(n.parts, NETWORK_PARTS_MAX);
    cr_assert_eq(network_parse(STR("192.168.7.0/24"), 24, &n, NULL), ERR_OK);
    cr_assert_eq(n.parts, 1);
}

TEST(network, what_is_none_is_refused_in_words)
{
    static const struct {
        const char *cidr;
        uint32_t prefix;
        const char *why;
    } rows[] = {
        {"10.0.0.0", 0, "10.0.0.0 is not ADDRESS/PREFIX of an IPv4 network"},
        {"fd00::/64", 0, "fd00::/64 is not ADDRESS/PREFIX of an IPv4 network"},
        {"10.1.0.1/16", 0, "10.1.0.1/16 is no network: do you mean 10.1.0.0/16?"},
        {"10.0.0.0/25", 0, "10.0.0.0/25 with /24 for a node: wants"},
        {"10.0.0.0/16", 29, "10.0.0.0/16 with /29 for a node: wants"},
        {"8.0.0.0/7", 0, "8.0.0.0/7 with /24 for a node: wants"},
        {"10.0.0.0/8", 25, "10.0.0.0/8 has more than 65536 parts of /25"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct network n;
        struct err e;
        cr_assert_eq(network_parse(str_of(rows[i].cidr), rows[i].prefix, &n, &e), ERR_INVALID);
        cr_assert(strncmp(e.text, rows[i].why, strlen(rows[i].why)) == 0, "%s", e.text);
    }
}
