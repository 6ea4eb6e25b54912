/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where each node's pods are, told to every other node: its part of the pod network and its address.
 * What changed is gathered for a moment and told to all in one message; a session that begins is told
 * everything, unless it still knows (a control plane that restarts meets agents that never left).
 */
#include "base/check.h"
#include "base/fnv.h"
#include "controlplane/core/cluster.h"

#include <stdio.h>

/* A thousand nodes that join together make some broadcasts and not a thousand. */
static const struct span GATHER = SPAN_MS(200);

static uint64_t digest_of(const struct node_state *n)
{
    if (n->peer_subnet[0] == '\0')
        return 0;
    uint64_t h = fnv_add(FNV_BASIS, str_of(n->name));
    h = fnv_add(fnv_add(h, STR("/")), str_of(n->peer_subnet));
    return fnv_add(fnv_add(h, STR("/")), str_of(n->peer_address));
}

/* True: what its hardware says is not what was told. */
static bool take_row(struct cluster *k, struct node_state *n)
{
    char subnet[sizeof n->peer_subnet] = "", address[sizeof n->peer_address] = "";
    const Baton__NodeHardwareSpec *hw = n->forgotten ? NULL : n->spec;
    if (hw != NULL && hw->pod_network != NULL && hw->n_host_addresses > 0 &&
        !network_is_loopback(str_of(hw->host_addresses[0])) &&
        str_of(hw->pod_network->subnet).len > 0) {
        snprintf(subnet, sizeof subnet, "%s", hw->pod_network->subnet);
        snprintf(address, sizeof address, "%s", hw->host_addresses[0]);
    }
    if (strcmp(subnet, n->peer_subnet) == 0 && strcmp(address, n->peer_address) == 0)
        return false;
    k->peers_digest -= digest_of(n);
    memcpy(n->peer_subnet, subnet, sizeof subnet);
    memcpy(n->peer_address, address, sizeof address);
    k->peers_digest += digest_of(n);
    return true;
}

static struct str pack(struct core *c, Agent__Peers *peers)
{
    Agent__ServerMessage m = AGENT__SERVER_MESSAGE__INIT;
    m.message_case = AGENT__SERVER_MESSAGE__MESSAGE_PEERS;
    m.peers = peers;
    return objects_pack(&c->turn, &m.base);
}

static void add(struct core *c, Agent__Peers *to, struct node_state *n)
{
    Agent__Peer *p = arena_alloc(&c->turn, sizeof *p);
    if (p == NULL)
        return; /* Packing will fail for the same reason, and nothing is sent. */
    agent__peer__init(p);
    p->node_name = n->name;
    p->subnet = n->peer_subnet;
    p->address = n->peer_address;
    to->peers[to->n_peers++] = p;
}

static void emit(struct core *c, const struct node_state *n, struct str bytes)
{
    core_emit(c,
              &(struct core_effect){.type = FX_AGENT_SEND, .session = n->session, .bytes = bytes});
}

/* Kept for as long as it is true: many sessions begin together. */
static struct blob *whole(struct core *c)
{
    struct cluster *k = c->cluster;
    Agent__Peers peers = AGENT__PEERS__INIT;
    const struct map_entry *e;
    if (k->peers_whole != NULL)
        return k->peers_whole;
    peers.peers = arena_zalloc(&c->turn, k->nodes.live + 1, sizeof *peers.peers);
    peers.has_whole = peers.whole = true;
    if (peers.peers == NULL)
        return NULL;
    for (uint32_t at = 0; (e = map_next(&k->nodes, &at)) != NULL;) {
        struct node_state *n = e->value;
        if (n->peer_subnet[0] != '\0')
            add(c, &peers, n);
    }
    struct str bytes = pack(c, &peers);
    if (bytes.at != NULL)
        k->peers_whole = blob_new(bytes);
    return k->peers_whole;
}

void peers_greet(struct core *c, struct node_state *n, uint64_t digest)
{
    struct blob *all = digest == c->cluster->peers_digest ? NULL : whole(c);
    if (all != NULL)
        emit(c, n, blob_str(all));
}

static void broadcast(struct core *c, struct str bytes)
{
    const struct map_entry *e;
    for (uint32_t at = 0; (e = map_next(&c->cluster->nodes, &at)) != NULL;) {
        const struct node_state *n = e->value;
        if (n->session != 0 && n->greeted)
            emit(c, n, bytes);
    }
}

enum reconcile peers_reconcile(struct core *c, struct str key)
{
    struct cluster *k = c->cluster;
    Agent__Peers peers = AGENT__PEERS__INIT;
    const struct map_entry *e;
    (void)key; /* There is one. */
    if (!cluster_has_room(c))
        return RECONCILE_LATER;
    peers.peers = arena_zalloc(&c->turn, k->nodes.live + 1, sizeof *peers.peers);
    CHECK(peers.peers != NULL);
    for (uint32_t at = 0; (e = map_next(&k->nodes, &at)) != NULL;)
        if (take_row(k, e->value))
            add(c, &peers, e->value);
    if (peers.n_peers == 0)
        return RECONCILE_DONE;
    /* This turn's effects may point into the one that was; those of the turn before are done with. */
    blob_unref(k->peers_retired);
    k->peers_retired = k->peers_whole;
    k->peers_whole = NULL;
    struct str bytes = pack(c, &peers);
    CHECK(bytes.at != NULL);
    broadcast(c, bytes);
    return RECONCILE_DONE;
}

void peers_changed(struct core *c, const struct core_change *change)
{
    if (str_is(change->at.group, "baton.dev") && str_is(change->at.plural, "nodehardware"))
        core_mark_at(c, CONTROL_PEERS, STR("peers"), instant_add(c->now, GATHER));
}

/* nodes_loaded() has read the hardware. Agents that know all this already are not told again. */
void peers_loaded(struct core *c)
{
    const struct map_entry *e;
    for (uint32_t at = 0; (e = map_next(&c->cluster->nodes, &at)) != NULL;)
        take_row(c->cluster, e->value);
}
