/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/cluster.h"
#include "controlplane/core/images.h"
#include "controlplane/core/queue.h"
#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>

enum { HELD_MAX = 1000000, SPEC_BYTES_MAX = 4 << 20 };

struct cluster *cluster_new(const struct core_config *config)
{
    struct cluster *k = mem_zalloc(1, sizeof *k);
    k->ledger = ledger_new(&(struct ledger_limits){
        .nodes_max = CLUSTER_NODES_MAX, .holds_max = HELD_MAX, .names_max = config->names_max});
    map_init(&k->nodes, CLUSTER_NODES_MAX);
    map_init(&k->addresses, CLUSTER_NODES_MAX);
    map_init(&k->by_session, CLUSTER_NODES_MAX);
    map_init(&k->held, HELD_MAX);
    map_init(&k->by_uid, HELD_MAX);
    k->by_hold = mem_reserve(HELD_MAX, sizeof(struct held *));
    k->waiting = queue_new();
    k->images = images_new();
    CHECK(network_parse(config->pod_network, config->node_prefix, &k->network, NULL) == ERR_OK);
    return k;
}

static void held_free(struct held *h)
{
    blob_unref(h->report);
    mem_free(h->mentions);
    mem_free(h->reason);
    mem_free(h->key);
    mem_free(h);
}

void cluster_free(struct cluster *k)
{
    const struct map_entry *e;
    if (k == NULL)
        return;
    for (uint32_t at = 0; (e = map_next(&k->held, &at)) != NULL;)
        held_free(e->value);
    for (uint32_t at = 0; (e = map_next(&k->nodes, &at)) != NULL;) {
        struct node_state *n = e->value;
        blob_unref(n->reported);
        blob_unref(n->barred);
        mem_free(n->images);
        cluster_set_hardware(n, NULL);
        mem_free(n);
    }
    map_fini(&k->nodes);
    map_fini(&k->addresses);
    map_fini(&k->by_session);
    map_fini(&k->held);
    map_fini(&k->by_uid);
    mem_release(k->by_hold, HELD_MAX, sizeof(struct held *));
    queue_free(k->waiting);
    images_free(k->images);
    blob_unref(k->peers_whole);
    blob_unref(k->peers_retired);
    ledger_free(k->ledger);
    mem_free(k);
}

struct node_state *cluster_node(struct core *c, struct str name)
{
    return map_find(&c->cluster->nodes, name);
}

/* Maps by a number have its bytes as key. */
static struct str number_key(const uint64_t *number)
{
    return str_from(number, sizeof *number);
}

struct node_state *cluster_node_session(struct core *c, uint64_t session)
{
    return map_find(&c->cluster->by_session, number_key(&session));
}

void cluster_set_session(struct core *c, struct node_state *n, uint64_t session)
{
    struct map *m = &c->cluster->by_session;
    if (n->session != 0 && map_find(m, number_key(&n->session)) == n)
        map_remove(m, number_key(&n->session));
    n->session = session;
    n->greeted = false;
    if (session != 0) /* As many as nodes at most: it fits. */
        CHECK(map_put(m, number_key(&n->session), n) == ERR_OK);
}

static uint64_t *given_word(struct cluster *k, uint32_t part)
{
    return &k->given[part / 64];
}

/* All parts of the pod network that lie in [first, first + count). */
static void give_range(struct cluster *k, uint64_t first, uint64_t count)
{
    const struct network *w = &k->network;
    uint32_t shift = 32 - w->part_prefix;
    uint64_t end = (uint64_t)w->first + ((uint64_t)w->parts << shift);
    uint64_t from = max_u64(first, w->first), to = min_u64(first + count, end);
    for (uint64_t ip = from; ip < to; ip = (ip >> shift << shift) + (1ull << shift)) {
        uint32_t part = (uint32_t)((ip - w->first) >> shift);
        *given_word(k, part) |= 1ull << part % 64;
    }
}

void cluster_set_subnet(struct core *c, struct node_state *n, struct str subnet)
{
    uint32_t first, prefix;
    snprintf(n->subnet, sizeof n->subnet, STR_FMT, STR_ARG(subnet));
    if (sched_view_subnet(subnet, &first, &prefix) == ERR_OK)
        give_range(c->cluster, first, 1ull << (32 - prefix));
}

void cluster_give_subnet(struct core *c, struct node_state *n)
{
    struct cluster *k = c->cluster;
    const struct network *w = &k->network;
    for (; n->subnet[0] == '\0' && k->next_part < w->parts; k->next_part++) {
        uint32_t part = k->next_part, ip = w->first + (part << (32 - w->part_prefix));
        if (*given_word(k, part) >> part % 64 & 1)
            continue;
        snprintf(n->subnet, sizeof n->subnet, "%u.%u.%u.%u/%u", ip >> 24, ip >> 16 & 255,
                 ip >> 8 & 255, ip & 255, w->part_prefix);
    }
}

struct node_state *cluster_node_make(struct core *c, struct str name)
{
    struct node_state *n = cluster_node(c, name);
    if (n != NULL || name.len >= CLUSTER_NAME_MAX)
        return n;
    n = mem_zalloc(1, sizeof *n);
    snprintf(n->name, sizeof n->name, STR_FMT, STR_ARG(name));
    n->index = LEDGER_NODE_NONE;
    arena_init(&n->spec_arena, SPEC_BYTES_MAX);
    if (map_put(&c->cluster->nodes, str_of(n->name), n) != ERR_OK) {
        mem_free(n);
        return NULL;
    }
    return n;
}

/* NULL: the one before stays the last. */
static struct held *last_is(struct cluster *k, struct held *h)
{
    k->last = h != NULL ? h : k->last;
    return h;
}

struct held *cluster_held(struct core *c, struct str placement_key)
{
    struct cluster *k = c->cluster;
    if (k->last != NULL && str_eq(str_of(k->last->key), placement_key))
        return k->last;
    return last_is(k, map_find(&k->held, placement_key));
}

struct held *cluster_held_uid(struct core *c, struct str placement_uid)
{
    return map_find(&c->cluster->by_uid, placement_uid);
}

static struct held **hold_slot(struct cluster *k, uint64_t hold)
{
    CHECK(ledger_hold_slot(hold) < HELD_MAX);
    return &k->by_hold[ledger_hold_slot(hold)];
}

struct held *cluster_held_hold(struct core *c, uint64_t hold)
{
    struct held *h = hold == 0 ? NULL : *hold_slot(c->cluster, hold);
    return h != NULL && h->hold == hold ? h : NULL;
}

void cluster_set_hold(struct core *c, struct held *h, uint64_t hold)
{
    if (cluster_held_hold(c, h->hold) == h)
        *hold_slot(c->cluster, h->hold) = NULL;
    h->hold = hold;
    if (hold != 0)
        *hold_slot(c->cluster, hold) = h;
}

struct held *cluster_hold(struct core *c, struct str key, struct str workload_key,
                          struct node_state *n)
{
    struct held *h = mem_zalloc(1, sizeof *h);
    h->key = mem_zalloc(1, key.len + workload_key.len + 2);
    h->workload_key = h->key + key.len + 1;
    str_put(h->key, key);
    str_put(h->workload_key, workload_key);
    if (map_put(&c->cluster->held, str_of(h->key), h) != ERR_OK) {
        held_free(h);
        return NULL;
    }
    c->cluster->last = h;
    h->node = n;
    if (n != NULL) {
        h->next = n->first;
        h->link = &n->first;
        if (n->first != NULL)
            n->first->link = &h->next;
        n->first = h;
    }
    return h;
}

void cluster_set_missing(struct core *c, struct held *h, uint32_t missing)
{
    c->cluster->lacking += (missing > 0) - (h->told_missing > 0);
    h->told_missing = missing;
}

void cluster_unhold(struct core *c, struct held *h)
{
    cluster_set_missing(c, h, 0);
    if (c->cluster->last == h)
        c->cluster->last = NULL;
    map_remove(&c->cluster->held, str_of(h->key));
    if (cluster_held_uid(c, str_of(h->uid)) == h)
        map_remove(&c->cluster->by_uid, str_of(h->uid));
    cluster_set_hold(c, h, 0);
    if (h->unrestored && h->node != NULL) {
        h->node->unrestored--;
        core_mark(c, CONTROL_NODES, core_key(c, "", "nodes", STR(""), str_of(h->node->name)));
    }
    if (h->link != NULL) {
        *h->link = h->next;
        if (h->next != NULL)
            h->next->link = h->link;
    }
    held_free(h);
}

void cluster_set_hardware(struct node_state *n, struct blob *hardware)
{
    if (n->hardware == hardware || (n->hardware != NULL && hardware != NULL &&
                                    str_eq(blob_str(n->hardware), blob_str(hardware))))
        return;
    n->told.hardware = false;
    ProtobufCAllocator allocator = typed_allocator(&n->spec_arena);
    blob_unref(n->hardware);
    arena_free(&n->spec_arena);
    n->hardware = blob_ref(hardware);
    n->spec = hardware == NULL ? NULL
                               : baton__node_hardware_spec__unpack(&allocator, hardware->len,
                                                                   (const uint8_t *)hardware->at);
}

struct str cluster_placement_key(struct core *c, struct str workload_key)
{
    struct index_key at;
    if (!index_key_parse(workload_key, &at))
        return (struct str){NULL, 0};
    const struct str parts[] = {
        STR("baton.dev/placements/"), at.namespace, STR("/"), at.plural, STR("."), at.name};
    struct str key = arena_join(&c->turn, parts, COUNT_OF(parts));
    return key.len > INDEX_KEY_MAX ? (struct str){NULL, 0} : key;
}
