/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/own_addresses.h"

#include "tests/testlib/test.h"

static void bars(const char *peer, const char *came_to, const char *want)
{
    struct buf out;
    buf_init(&out, 4096);
    own_addresses_bar(STR("192.0.2.9 api.example"), peer, came_to, &out);
    cr_expect(str_is(buf_str(&out), want), "%s to %s: " STR_FMT, peer, came_to,
              STR_ARG(buf_str(&out)));
    buf_free(&out);
}

TEST(own_addresses, are_barred_to_whoever_comes_from_elsewhere)
{
    bars("192.0.2.1:4711", "192.0.2.7:6443", "192.0.2.9 api.example 192.0.2.7");
    bars("[::ffff:192.0.2.1]:4711", "[::ffff:192.0.2.7]:6443", "192.0.2.9 api.example 192.0.2.7");
    bars("[2001:db8::1]:4711", "[2001:db8::7]:6443", "192.0.2.9 api.example 2001:db8::7");
}

TEST(own_addresses, are_open_to_an_agent_on_the_same_machine)
{
    bars("192.0.2.7:4711", "192.0.2.7:6443", "");
    bars("[::ffff:192.0.2.7]:4711", "[::ffff:192.0.2.7]:6443", "");
    bars("127.0.0.1:4711", "127.0.0.1:6443", "");
    bars("[::1]:4711", "[::1]:6443", "");
}

/* Nothing is known of such a connection, so nothing is given away. */
TEST(own_addresses, what_cannot_be_read_is_from_elsewhere)
{
    bars("?:0", "192.0.2.7:6443", "192.0.2.9 api.example 192.0.2.7");
}
