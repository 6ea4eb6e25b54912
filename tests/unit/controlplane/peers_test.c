/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes are told where other nodes' pods are: together, and not what they know. */
#include "base/fnv.h"
#include "tests/testlib/test.h"
#include "tests/unit/controlplane/session.h"

#include <stdio.h>

/* What session 11's node knows, as its agent would keep it: "name=subnet@address " by rising name. */
struct known {
    char rows[8][64];
    uint32_t count, messages;
};

static void forget(struct known *k, const char *name)
{
    size_t len = strlen(name);
    for (uint32_t i = 0; i < k->count; i++)
        if (strncmp(k->rows[i], name, len) == 0 && k->rows[i][len] == '=')
            memcpy(k->rows[i--], k->rows[--k->count], sizeof k->rows[0]);
}

static void listen(void *arg, uint64_t session, struct str bytes)
{
    struct known *k = arg;
    Agent__ServerMessage *m =
        agent__server_message__unpack(NULL, bytes.len, (const uint8_t *)bytes.at);
    cr_assert_not_null(m);
    if (session == 11 && m->message_case == AGENT__SERVER_MESSAGE__MESSAGE_PEERS) {
        k->messages++;
        if (m->peers->whole)
            k->count = 0;
        for (size_t i = 0; i < m->peers->n_peers; i++) {
            const Agent__Peer *p = m->peers->peers[i];
            forget(k, p->node_name);
            if (p->subnet[0] != '\0')
                snprintf(k->rows[k->count++], sizeof k->rows[0], "%s=%s@%s", p->node_name,
                         p->subnet, p->address);
        }
    }
    agent__server_message__free_unpacked(m, NULL);
}

static void hear(struct world *w, struct known *k)
{
    w->sent = listen;
    w->sent_arg = k;
}

static bool knows(const struct known *k, const char *row)
{
    for (uint32_t i = 0; i < k->count; i++)
        if (strcmp(k->rows[i], row) == 0)
            return true;
    return false;
}

static void session_at(struct world *w, uint64_t session, const char *address)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__Hardware hw = AGENT__HARDWARE__INIT;
    Baton__NodeHardwareSpec spec = BATON__NODE_HARDWARE_SPEC__INIT;
    char *addresses[] = {(char *)address};
    spec.host_addresses = addresses;
    spec.n_host_addresses = 1;
    hw.spec = &spec;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HARDWARE;
    m.hardware = &hw;
    session_says(w, session, &m);
}

static void b_comes(struct world *w)
{
    session_hello(w, 12, "b");
    session_at(w, 12, "192.0.2.2");
}

static void hello_knowing(struct world *w, uint64_t session, const char *node, uint64_t digest)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__Hello h = AGENT__HELLO__INIT;
    session_event(w, EV_AGENT_OPENED, session, node, STR(""));
    h.has_protocol_min = h.has_protocol_max = h.has_peers_digest = true;
    h.protocol_min = h.protocol_max = 1;
    h.peers_digest = digest;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HELLO;
    m.hello = &h;
    session_says(w, session, &m);
}

/* Less than a lease. */
static void work(struct world *w)
{
    for (uint32_t i = 0; i < 40; i++) {
        world_turn(w);
        world_pass(w, SPAN_MS(25));
    }
}

TEST(peers, nodes_that_come_together_are_told_together)
{
    struct known k = {0};
    struct world *w = world_new();
    hear(w, &k);
    session_hello(w, 11, "a");
    session_hello(w, 12, "b");
    session_hello(w, 13, "c");
    session_at(w, 11, "192.0.2.1");
    session_at(w, 12, "192.0.2.2");
    session_at(w, 13, "192.0.2.3");
    work(w);
    cr_assert_eq(k.messages, 1);
    cr_assert_eq(k.count, 3);
    cr_assert(knows(&k, "b=10.128.1.0/24@192.0.2.2"));
    cr_assert(knows(&k, "c=10.128.2.0/24@192.0.2.3"));
    session_at(w, 12, "192.0.2.9"); /* It moved. */
    work(w);
    cr_assert_eq(k.messages, 2);
    cr_assert(knows(&k, "b=10.128.1.0/24@192.0.2.9"));
    session_at(w, 12, "192.0.2.9"); /* It says the same. */
    work(w);
    cr_assert_eq(k.messages, 2);
    session_at(w, 12, "127.0.0.1"); /* Whoever sent packets there would have them back. */
    work(w);
    cr_assert_eq(k.messages, 3);
    cr_assert_eq(k.count, 2);
    world_free(w);
}

TEST(peers, a_session_that_begins_is_told_everything_unless_it_knows)
{
    struct known k = {0};
    struct world *w = world_new();
    b_comes(w);
    work(w);
    hear(w, &k);
    session_hello(w, 11, "a");
    work(w);
    cr_assert_eq(k.messages, 1);
    cr_assert(knows(&k, "b=10.128.0.0/24@192.0.2.2"));
    session_event(w, EV_AGENT_CLOSED, 11, "a", STR(""));
    hello_knowing(w, 11, "a", fnv_add(FNV_BASIS, STR("b/10.128.0.0/24/192.0.2.2")));
    work(w);
    cr_assert_eq(k.messages, 1);
    session_event(w, EV_AGENT_CLOSED, 11, "a", STR(""));
    hello_knowing(w, 11, "a", 1); /* It knows something else. */
    work(w);
    cr_assert_eq(k.messages, 2);
    world_free(w);
}

TEST(peers, a_control_plane_that_comes_back_knows_what_agents_know)
{
    struct known k = {0};
    struct world *w = world_new();
    b_comes(w);
    work(w);
    w = world_crash(w);
    work(w);
    hear(w, &k);
    hello_knowing(w, 11, "a", fnv_add(FNV_BASIS, STR("b/10.128.0.0/24/192.0.2.2")));
    work(w);
    cr_assert_eq(k.messages, 0);
    world_free(w);
}

TEST(peers, a_node_that_is_forgotten_is_taken_back)
{
    struct known k = {0};
    struct world *w = world_new();
    hear(w, &k);
    session_hello(w, 11, "a");
    b_comes(w);
    work(w);
    cr_assert(knows(&k, "b=10.128.1.0/24@192.0.2.2"));
    session_event(w, EV_AGENT_CLOSED, 12, "b", STR(""));
    cr_assert(world_settle(w)); /* Its lease ends. */
    world_pass(w, SPAN_S(20));
    work(w);
    world_delete(w, "/nodes//b", "");
    work(w);
    cr_assert_eq(k.count, 0);
    world_free(w);
}
