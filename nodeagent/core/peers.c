/* SPDX-License-Identifier: Apache-2.0 */
/* Where other nodes' pods are, as the control plane tells it. Kept by the session's end: the packets of what
 * runs here need no control plane. */
#include "base/fnv.h"
#include "base/mem.h"
#include "nodeagent/core/peers.h"

enum { TEXT_MAX = 64 };

struct peer {
    struct str name, subnet, address; /* In the same allocation. */
    uint64_t digest;
    char text[];
};

static struct peer *peer_new(struct str name, struct str subnet, struct str address)
{
    struct str parts[] = {name, subnet, address};
    struct peer *n = mem_zalloc(1, sizeof *n + parts[0].len + parts[1].len + parts[2].len + 1);
    struct str *to[] = {&n->name, &n->subnet, &n->address};
    char *at = n->text;
    n->digest = FNV_BASIS;
    for (uint32_t i = 0; i < COUNT_OF(parts); i++) {
        *to[i] = str_keep(&at, parts[i]);
        n->digest = fnv_add(i == 0 ? n->digest : fnv_add(n->digest, STR("/")), parts[i]);
    }
    return n;
}

static void drop(struct agent *a, struct str name)
{
    struct peer *was = map_remove(&a->peers, name);
    if (was == NULL)
        return;
    a->peers_digest -= was->digest;
    mem_free(was);
}

static void take(struct agent *a, const Agent__Peer *p)
{
    struct str name = str_of(p->node_name);
    if (name.len == 0 || str_of(p->subnet).len > TEXT_MAX || str_of(p->address).len > TEXT_MAX)
        return;
    drop(a, name);
    if (str_of(p->subnet).len == 0)
        return;
    struct peer *n = peer_new(name, str_of(p->subnet), str_of(p->address));
    if (map_put(&a->peers, n->name, n) != ERR_OK) {
        mem_free(n);
        return;
    }
    a->peers_digest += n->digest;
}

void peers_forget(struct agent *a)
{
    const struct map_entry *e;
    for (uint32_t at = 0; (e = map_next(&a->peers, &at)) != NULL;)
        mem_free(e->value);
    map_fini(&a->peers);
    map_init(&a->peers, AGENT_PEERS_MAX);
    a->peers_digest = 0;
}

void peers_told(struct agent *a, struct agent_turn *t, const Agent__Peers *peers)
{
    const struct map_entry *e;
    uint32_t count = 0;
    if (peers->whole)
        peers_forget(a);
    for (size_t i = 0; i < peers->n_peers; i++)
        take(a, peers->peers[i]);

    struct agent_peer *all = arena_alloc(&t->arena, (a->peers.live + 1) * sizeof *all);
    CHECK(all != NULL);
    for (uint32_t at = 0; (e = map_next(&a->peers, &at)) != NULL;) {
        const struct peer *p = e->value;
        if (!str_eq(p->name, a->config.node_name)) /* Its own bridge leads there. */
            all[count++] = (struct agent_peer){.subnet = p->subnet, .address = p->address};
    }
    struct agent_effect *fx = agent_do(t, FX_PEERS);
    fx->peers.at = all;
    fx->peers.count = count;
}

static ProtobufCBinaryData bytes(struct str s)
{
    return (ProtobufCBinaryData){s.len, (uint8_t *)(uintptr_t)s.at};
}

Flight__Neighbour **peers_snapshot(struct arena *arena, const struct agent *a, size_t *out_count)
{
    Flight__Neighbour **all = arena_zalloc(arena, a->peers.live + 1, sizeof *all);
    const struct map_entry *e;
    size_t count = 0;
    for (uint32_t at = 0; all != NULL && (e = map_next(&a->peers, &at)) != NULL;) {
        const struct peer *p = e->value;
        Flight__Neighbour *one = arena_alloc(arena, sizeof *one);
        if (one == NULL)
            return NULL;
        flight__neighbour__init(one);
        one->has_name = one->has_subnet = one->has_address = true;
        one->name = bytes(p->name);
        one->subnet = bytes(p->subnet);
        one->address = bytes(p->address);
        all[count++] = one;
    }
    *out_count = count;
    return all;
}

static struct str str_of_bytes(const ProtobufCBinaryData *b)
{
    return str_from((const char *)b->data, b->len);
}

void peers_restore(struct agent *a, Flight__Neighbour *const *from, size_t count)
{
    uint64_t digest = a->peers_digest;
    for (size_t i = 0; i < count; i++) {
        struct peer *n = peer_new(str_of_bytes(&from[i]->name), str_of_bytes(&from[i]->subnet),
                                  str_of_bytes(&from[i]->address));
        drop(a, n->name);
        if (map_put(&a->peers, n->name, n) != ERR_OK)
            mem_free(n);
    }
    a->peers_digest = digest;
}
