/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses a node says are its own, in a network namespace of the test's. Needs root and ip. */
#include "nodeagent/host/discover_system.h"
#include "tests/testlib/test.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void add_link(const char *name, const char *address)
{
    char script[512];
    snprintf(script, sizeof script,
             "ip link add %s type bridge && ip addr add %s dev %s && ip link set %s up", name,
             address, name, name);
    cr_assert_eq(system(script), 0, "%s", script);
}

/* Its clusters' bridges and tunnels are there when an agent starts anew: another node would be led into the pod network. */
TEST(discover, what_a_cluster_made_is_no_address_of_the_node)
{
    if (geteuid() != 0 || access("/sbin/ip", X_OK) != 0 || unshare(CLONE_NEWNET) != 0) {
        fputs("skipped: needs root and ip\n", stderr);
        return;
    }
    struct discover *d = calloc(1, sizeof *d);
    add_link("bt01234567", "10.144.0.1/24");
    add_link("bx01234567", "10.144.0.0/32");
    add_link("bx0", "192.0.2.6/24"); /* Somebody else's. */
    add_link("eth7", "192.0.2.5/24");
    discover_system(".", d);
    cr_assert_eq(d->addresses_count, 2);
    cr_assert_str_eq(d->addresses[0], "192.0.2.6");
    cr_assert_str_eq(d->addresses[1], "192.0.2.5");
    free(d);
}
