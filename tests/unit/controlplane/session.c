/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/controlplane/session.h"
#include "proto/baton/v1.pb-c.h"

#include <stdlib.h>

void session_event(struct world *w, enum core_event_type type, uint64_t session, const char *node,
                   struct str bytes)
{
    struct core_event ev = {.type = type,
                            .now = w->now,
                            .wall = w->wall,
                            .agent = {.session = session, .node = str_of(node), .bytes = bytes}};
    core_step(w->core, &ev);
}

void session_says(struct world *w, uint64_t session, Agent__AgentMessage *m)
{
    size_t len = agent__agent_message__get_packed_size(m);
    uint8_t *bytes = malloc(len + 1);
    agent__agent_message__pack(m, bytes);
    session_event(w, EV_AGENT_MESSAGE, session, "", str_from(bytes, len));
    free(bytes);
}

void session_hello(struct world *w, uint64_t session, const char *node)
{
    session_from(w, session, node, STR(""));
}

void session_from(struct world *w, uint64_t session, const char *node, struct str addresses)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__Hello h = AGENT__HELLO__INIT;
    session_event(w, EV_AGENT_OPENED, session, node, addresses);
    h.has_protocol_min = h.has_protocol_max = true;
    h.protocol_min = h.protocol_max = 1;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HELLO;
    m.hello = &h;
    session_says(w, session, &m);
}

void session_claims(struct world *w, uint64_t session, uint32_t numa, const char *subnet)
{
    Baton__PodNetwork network = BATON__POD_NETWORK__INIT;
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__Hardware hw = AGENT__HARDWARE__INIT;
    Baton__NodeHardwareSpec spec = BATON__NODE_HARDWARE_SPEC__INIT;
    Baton__Socket socket = BATON__SOCKET__INIT, *sockets[] = {&socket};
    Baton__NumaNode node = BATON__NUMA_NODE__INIT, *nodes[] = {&node};
    Baton__CacheDomain cache = BATON__CACHE_DOMAIN__INIT, *caches[] = {&cache};
    Baton__Core core = BATON__CORE__INIT, *cores[] = {&core};
    Baton__Thread thread = BATON__THREAD__INIT, *threads[] = {&thread};
    node.has_memory_bytes = core.has_numa_node = true;
    node.memory_bytes = 1 << 30;
    core.numa_node = numa;
    spec.n_sockets = spec.n_numa_nodes = spec.n_cache_domains = spec.n_cores = spec.n_threads = 1;
    spec.sockets = sockets;
    spec.numa_nodes = nodes;
    spec.cache_domains = caches;
    spec.cores = cores;
    spec.threads = threads;
    network.subnet = (char *)subnet;
    spec.pod_network = subnet == NULL ? NULL : &network;
    hw.spec = &spec;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HARDWARE;
    m.hardware = &hw;
    session_says(w, session, &m);
}

void session_work(struct world *w)
{
    for (uint32_t i = 0; i < 50; i++) {
        struct instant next = store_mem_deadline(w->store);
        if (next.ns > w->now.ns)
            world_pass(w, instant_sub(next, w->now));
        world_turn(w);
    }
}
