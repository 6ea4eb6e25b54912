/* SPDX-License-Identifier: Apache-2.0 */
/* The texts; the kernel's part is in tests/e2e/host. */
#include "nodeagent/host/net.h"
#include "tests/testlib/test.h"

TEST(net, parses_addresses)
{
    struct net_address a;
    uint8_t mac[6];
    cr_assert_eq(net_address_parse(STR("10.128.0.5/16"), &a), ERR_OK);
    cr_assert_eq(a.prefix, 16);
    cr_assert_eq(a.ip[3], 5);
    cr_assert_eq(net_address_parse(STR("10.1.2.3"), &a), ERR_OK);
    cr_assert_eq(a.prefix, 32);
    const char *const bad[] = {"",           "1.2.3",    "1.2.3.4.5", "1.2.3.256",
                               "1.2.3.4/33", "1.2.3.4/", "::1"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_assert_eq(net_address_parse(str_of(bad[i]), &a), ERR_INVALID, "%s", bad[i]);
    cr_assert_eq(net_mac_parse(STR("02:0a:0B:00:ff:01"), mac), ERR_OK);
    cr_assert_eq(mac[2], 0x0b);
    cr_assert_eq(net_mac_parse(STR("02:0a:0b:00:ff"), mac), ERR_INVALID);
    cr_assert_eq(net_mac_parse(STR("02-0a-0b-00-ff-01"), mac), ERR_INVALID);
}

static bool holds(const struct buf *b, const char *part)
{
    return memmem(b->at, b->len, part, strlen(part)) != NULL;
}

TEST(net, nft_program_is_one_transaction_for_its_own_tables)
{
    struct net_port ports[] = {
        {.proto = NET_TCP, .host_port = 8080, .port = 80, .ip = {10, 1, 0, 5}},
        {.proto = NET_TCP, .host_port = 8081, .port = 81, .ip = {10, 1, 0, 6}},
        {.proto = NET_UDP,
         .host_ip = {192, 0, 2, 1},
         .host_port = 53,
         .port = 5353,
         .ip = {10, 1, 0, 7}}};
    struct net_link links[] = {{.name = "bv1", .mac = {2, 0, 0, 0, 0, 1}, .ip = {10, 1, 0, 5}}};
    struct net_peer peers[] = {{.subnet = {{10, 2, 0, 0}, 24}, .address = {192, 0, 2, 2}},
                               {.subnet = {{10, 3, 0, 9}, 24}, .address = {192, 0, 2, 3}}};
    struct net_wish wish = {.ports = ports,
                            .ports_count = 3,
                            .links = links,
                            .links_count = 1,
                            .peers = peers,
                            .peers_count = 2};
    struct net_address gateway = {.ip = {10, 1, 0, 1}, .prefix = 16};
    struct buf b;
    buf_init(&b, 1 << 16);
    net_nft_text(&b, STR("dev-1"), "bt00000001", gateway, &wish);
    cr_assert_eq(buf_status(&b, NULL), ERR_OK);
    cr_assert(
        str_starts(buf_str(&b), STR("add table ip baton-dev-1\ndelete table ip baton-dev-1\n")));
    cr_assert(holds(&b, "elements = { 8080 : 10.1.0.5 . 80, 8081 : 10.1.0.6 . 81 }"));
    cr_assert(holds(&b, "elements = { 192.0.2.1 . 53 : 10.1.0.7 . 5353 }"));
    cr_assert(
        holds(&b, "ip saddr 10.1.0.0/16 ip daddr != @peers oifname != \"bt00000001\" masquerade"));
    cr_assert(holds(&b, "auto-merge\n\t\telements = { 10.2.0.0/24, 10.3.0.0/24 }"));
    cr_assert(holds(&b, "elements = { \"bv1\" . 02:00:00:00:00:01 }"));
    buf_free(&b);
}

TEST(net, peers_that_nobody_told_yet_are_left_as_they_are)
{
    struct net_peer none;
    struct net_wish wish = {0};
    struct buf b;
    buf_init(&b, 1 << 16);
    net_nft_elements_text(&b, STR("dev-1"), &wish);
    cr_assert(!holds(&b, "peers"));
    wish.peers = &none; /* Told that there are none. */
    buf_clear(&b);
    net_nft_elements_text(&b, STR("dev-1"), &wish);
    cr_assert(holds(&b, "flush set ip baton-dev-1 peers\n"));
    cr_assert(!holds(&b, "add element ip baton-dev-1 peers"));
    buf_free(&b);
}

TEST(net, names_are_the_clusters_and_stable)
{
    struct net *a, *b;
    struct net_config one = {.cluster = STR("one"), .netns_directory = STR("/tmp/x")};
    struct net_config two = {.cluster = STR("two"), .netns_directory = STR("/tmp/x")};
    char tap_a[NET_NAME_MAX], tap_b[NET_NAME_MAX];
    cr_assert_eq(net_open(&one, &a, NULL), ERR_OK);
    cr_assert_eq(net_open(&two, &b, NULL), ERR_OK);
    cr_assert_str_neq(net_bridge(a), net_bridge(b));
    net_tap_name(a, STR("uid"), tap_a);
    net_tap_name(b, STR("uid"), tap_b);
    cr_assert_str_neq(tap_a, tap_b);
    cr_assert_eq(strlen(tap_a), 15);
    cr_assert_str_eq(net_bridge(a), "btdd5ec305", "another name would orphan what runs: %s",
                     net_bridge(a));
    net_close(a);
    net_close(b);
    struct net_config bad = {.cluster = STR("a/b")};
    cr_assert_eq(net_open(&bad, &a, NULL), ERR_INVALID);
}
