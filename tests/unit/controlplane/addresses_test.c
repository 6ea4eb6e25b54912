/* SPDX-License-Identifier: Apache-2.0 */
/* An agent says where its machine is. It is believed as long as nobody else is found there. */
#include "api/typed.h"
#include "controlplane/core/core_priv.h"
#include "proto/k8s/core_v1.pb-c.h"
#include "tests/testlib/test.h"
#include "tests/unit/controlplane/session.h"

#include <stdio.h>

static void says(struct world *w, uint64_t session, const char *first, const char *second)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__Hardware hw = AGENT__HARDWARE__INIT;
    Baton__NodeHardwareSpec spec = BATON__NODE_HARDWARE_SPEC__INIT;
    char *addresses[] = {(char *)first, (char *)second};
    spec.host_addresses = addresses;
    spec.n_host_addresses = second == NULL ? 1 : 2;
    hw.spec = &spec;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HARDWARE;
    m.hardware = &hw;
    session_says(w, session, &m);
}

/* Less than a lease, twice: what one decides the other may have to look at again. */
static void work(struct world *w)
{
    for (uint32_t i = 0; i < 40; i++) {
        world_turn(w);
        world_pass(w, SPAN_MS(25));
    }
}

/* "ADDRESS ... CONDITION": InternalIPs of a Node, and what it says of those that were refused. */
static const char *node(struct world *w, const char *name, char out[512])
{
    char key[64];
    struct arena a;
    size_t len = 0;
    arena_init(&a, 16 << 20);
    snprintf(key, sizeof key, "/nodes//%s", name);
    struct cow_entry *e = core_find(w->core, str_of(key));
    cr_assert_not_null(e, "%s", key);
    Core__Node *n = typed_open(&a, &core__node__descriptor, blob_str(e->value));
    cr_assert_not_null(n);
    out[0] = '\0';
    for (size_t i = 0; i < n->status->n_addresses; i++)
        if (str_is(str_of(n->status->addresses[i]->type), "InternalIP"))
            len += (size_t)snprintf(out + len, 512 - len, "%s ", n->status->addresses[i]->address);
    for (size_t i = 0; i < n->status->n_conditions; i++)
        if (str_is(str_of(n->status->conditions[i]->type), "baton.dev/AddressClaimed") &&
            n->status->conditions[i]->message != NULL)
            snprintf(out + len, 512 - len, "%s", n->status->conditions[i]->message);
    arena_free(&a);
    return out;
}

static struct world *two(void)
{
    struct world *w = world_new();
    session_hello(w, 11, "a");
    session_hello(w, 12, "b");
    says(w, 11, "192.0.2.1", "172.17.0.1");
    work(w);
    return w;
}

TEST(addresses, another_live_nodes_is_refused_and_its_own_are_kept)
{
    char text[512];
    struct world *w = two();
    says(w, 12, "192.0.2.1", "192.0.2.2");
    work(w);
    cr_expect_str_eq(node(w, "a", text), "192.0.2.1 172.17.0.1 ");
    cr_expect_str_eq(node(w, "b", text), "192.0.2.2 192.0.2.1 is node a's");
    says(w, 12, "192.0.2.2", "192.0.2.1"); /* Nor as one of several. */
    work(w);
    cr_expect_str_eq(node(w, "b", text), "192.0.2.2 192.0.2.1 is node a's");
    says(w, 12, "192.0.2.2", "172.17.0.1"); /* Machines have the same bridges. */
    work(w);
    cr_expect_str_eq(node(w, "b", text), "192.0.2.2 172.17.0.1 ");
    world_free(w);
}

TEST(addresses, of_the_pod_network_are_no_machines)
{
    char text[512];
    struct world *w = two();
    says(w, 12, "10.128.0.7", "192.0.2.2");
    work(w);
    cr_expect_str_eq(node(w, "b", text), "192.0.2.2 10.128.0.7 is of the pod network");
    says(w, 12, "10.132.0.7", NULL);
    work(w);
    cr_expect_str_eq(node(w, "b", text), "10.132.0.7 ");
    world_free(w);
}

TEST(addresses, loopback_is_everybodys)
{
    char text[512];
    struct world *w = two();
    says(w, 11, "127.0.0.1", NULL);
    says(w, 12, "127.0.0.1", NULL);
    work(w);
    cr_expect_str_eq(node(w, "a", text), "127.0.0.1 ");
    cr_expect_str_eq(node(w, "b", text), "127.0.0.1 ");
    world_free(w);
}

/* Other spellings of a neighbour's address would lead to it all the same. */
TEST(addresses, what_is_no_machines_is_nobodys)
{
    static const char *const cases[] = {
        "192.0.2.01", "192.0.2.1/32", " 192.0.2.1", "0.0.0.0", "224.0.0.1", "", "a.b.c.d"};
    char text[512];
    struct world *w = two();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        says(w, 12, cases[i], "192.0.2.2");
        work(w);
        cr_expect_str_eq(node(w, "b", text), "192.0.2.2 what it says is no machine's address");
    }
    world_free(w);
}

/* But whose agent is on its machine. */
TEST(addresses, the_control_planes_are_no_other_machines)
{
    char text[512];
    struct world *w = world_new();
    session_from(w, 11, "a", STR("198.51.100.1 api.example 192.0.2.9 127.0.0.1"));
    session_hello(w, 12, "b");
    says(w, 11, "192.0.2.9", "192.0.2.1");
    says(w, 12, "192.0.2.9", NULL);
    work(w);
    cr_expect_str_eq(node(w, "a", text), "192.0.2.1 192.0.2.9 is the control plane's");
    cr_expect_str_eq(node(w, "b", text), "192.0.2.9 ");
    says(w, 11, "127.0.0.1", NULL);
    work(w);
    cr_expect_str_eq(node(w, "a", text), "127.0.0.1 ");
    session_hello(w, 13, "a"); /* It comes back from the machine itself. */
    says(w, 12, "192.0.2.2", NULL);
    says(w, 13, "192.0.2.9", NULL);
    work(w);
    cr_expect_str_eq(node(w, "a", text), "192.0.2.9 ");
    world_free(w);
}

static void renew(struct world *w, uint64_t session)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__LeaseRenew r = AGENT__LEASE_RENEW__INIT;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_LEASE_RENEW;
    m.lease_renew = &r;
    session_says(w, session, &m);
}

/* Its neighbour may be away for as long as it likes. */
TEST(addresses, a_silent_nodes_are_its_own)
{
    char text[512];
    struct world *w = two();
    says(w, 12, "192.0.2.1", NULL);
    session_event(w, EV_AGENT_CLOSED, 11, "", STR(""));
    for (uint32_t i = 0; i < 15; i++) {
        work(w);
        renew(w, 12);
    }
    work(w);
    cr_expect_str_eq(
        node(w, "b", text),
        "192.0.2.1 is node a's, which is silent (delete the Node of a machine that is gone)");
    session_hello(w, 13, "a");
    says(w, 13, "192.0.2.1", NULL);
    work(w);
    cr_expect_str_eq(node(w, "b", text), "192.0.2.1 is node a's");
    cr_expect_str_eq(node(w, "a", text), "192.0.2.1 ");
    world_free(w);
}

/* One that moves away leaves its address to whoever asked for it meanwhile. */
TEST(addresses, what_is_given_up_goes_to_who_was_refused)
{
    char text[512];
    struct world *w = two();
    says(w, 12, "192.0.2.1", NULL);
    work(w);
    cr_expect_str_eq(node(w, "b", text), "192.0.2.1 is node a's");
    says(w, 11, "192.0.2.9", NULL);
    work(w);
    cr_expect_str_eq(node(w, "a", text), "192.0.2.9 ");
    cr_expect_str_eq(node(w, "b", text), "192.0.2.1 ");
    world_free(w);
}
