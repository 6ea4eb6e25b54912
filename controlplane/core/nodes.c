/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes as people see them (node_object.c): made from what an agent discovered and from whether it is heard of. A
 * lease lives in memory; only a change of the Ready condition is written. A node without contact
 * becomes NotReady after its lease: nothing is moved, nothing is stopped.
 */
#include "base/check.h"
#include "controlplane/core/cluster.h"
#include "controlplane/core/events.h"
#include "controlplane/core/images.h"
#include "controlplane/core/node_priv.h"

#include <stdio.h>

/* What a node's description may hold: more of anything than a machine that the ledger takes (scheduler/topology.h), and more
 * addresses than an agent of ours tells. */
enum { NODE_LIST_MAX = 4096, NODE_ADDRESSES_MAX = 64, NODE_BYTES_MAX = 1 << 20 };

static const struct span LEASE = SPAN_S(10), RENEW = SPAN_S(3);

struct span nodes_lease(void)
{
    return LEASE;
}

struct span nodes_renew(void)
{
    return RENEW;
}

static struct str node_key(struct core *c, const struct node_state *n)
{
    return core_key(c, "", "nodes", STR(""), str_of(n->name));
}

static struct str hardware_key(struct core *c, const struct node_state *n)
{
    return core_key(c, "baton.dev", "nodehardware", STR(""), str_of(n->name));
}

void nodes_look(struct core *c, struct node_state *n)
{
    n->look = true;
    core_mark(c, CONTROL_NODES, node_key(c, n));
}

void nodes_heard(struct core *c, struct node_state *n)
{
    n->lease_until = instant_add(c->now, LEASE);
    core_mark_at(c, CONTROL_NODES, node_key(c, n), n->lease_until);
    if (!n->ready)
        nodes_look(c, n);
}

void nodes_opened(struct core *c, struct node_state *n)
{
    blob_unref(n->reported);
    n->reported = NULL;
    n->stranger[0] = '\0'; /* What is not in its resync it ends. */
    nodes_heard(c, n);
}

/* Who reads it compares each with each, in memory that a turn shares with everybody. */
static bool is_short_enough(const Baton__NodeHardwareSpec *hw)
{
    const size_t lists[] = {hw->n_sockets, hw->n_numa_nodes, hw->n_cache_domains, hw->n_cores,
                            hw->n_threads, hw->n_devices,    hw->n_host_addresses};
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        if (lists[i] > NODE_LIST_MAX)
            return false;
    return hw->n_host_addresses <= NODE_ADDRESSES_MAX &&
           protobuf_c_message_get_packed_size(&hw->base) <= NODE_BYTES_MAX;
}

/* The subnet is the cluster's to give: an agent that claims another would get its neighbours' packets. */
bool nodes_hardware(struct core *c, struct node_state *n, const Baton__NodeHardwareSpec *spec)
{
    if (!is_short_enough(spec))
        return false;
    Baton__NodeHardwareSpec whole = *spec;
    Baton__PodNetwork network = BATON__POD_NETWORK__INIT;
    if (whole.pod_network != NULL)
        network = *whole.pod_network;
    struct str claim = str_of(network.subnet);
    bool is_given = claim.len == 0 || str_is(claim, n->subnet);
    snprintf(n->claim, sizeof n->claim, "%s", is_given ? "" : network.subnet);
    network.subnet = n->subnet;
    whole.pod_network = &network;
    if (typed_pack(&c->turn, &whole).at == NULL)
        return false; /* Texts that are none could not be stored. */
    struct str bytes = objects_pack(&c->turn, &whole.base);
    if (bytes.at == NULL)
        return false;
    blob_unref(n->reported);
    n->reported = blob_new(bytes);
    nodes_look(c, n);
    return true;
}

/* ---- reconciling ---- */

/* The description into the ledger, with the Node's labels, taints and cordon. */
static void describe(struct core *c, struct node_state *n, const Baton__NodeHardwareSpec *hw,
                     const Core__Node *node)
{
    struct cluster *k = c->cluster;
    struct topology t;
    struct err e = {0};
    enum err_code code = sched_classes_add(&k->classes, ledger_names(k->ledger), hw, &e);
    if (code == ERR_OK)
        code = sched_view_topology(ledger_names(k->ledger), &c->turn, &k->classes, str_of(n->name),
                                   hw, node, n->ready, &t, &e);
    uint32_t index = LEDGER_NODE_NONE;
    n->is_absurd = code != ERR_OK;
    if (n->is_absurd && n->index != LEDGER_NODE_NONE) /* It keeps what it holds, takes no more. */
        ledger_node_set_ready(k->ledger, n->index, false);
    if (code == ERR_OK)
        code = ledger_node_put(k->ledger, &t, &index, &e);
    if (index != LEDGER_NODE_NONE)
        n->index = index;
    images_describe(c, n);
    if (code != ERR_OK)
        snprintf(n->marked, sizeof n->marked, "%s", e.text);
    else
        n->marked[0] = '\0';
    if (n->unrestored > 0)
        placing_restore(c, n);
    else
        n->contradiction[0] = '\0';
    if (hw->vmm_overhead != NULL) {
        k->overhead.vm_bytes = max_u64(k->overhead.vm_bytes, hw->vmm_overhead->vm_bytes);
        k->overhead.device_bytes =
            max_u64(k->overhead.device_bytes, hw->vmm_overhead->device_bytes);
        k->overhead.vcpu_bytes = max_u64(k->overhead.vcpu_bytes, hw->vmm_overhead->vcpu_bytes);
    }
}

static bool has_no_trouble(const struct node_state *n)
{
    return n->unrestored == 0 && n->contradiction[0] == '\0' && n->marked[0] == '\0';
}

static uint64_t revision_of(const struct cow_entry *e)
{
    return e == NULL ? 0 : e->stamp;
}

/* After a start and at each session every node is looked at, and nearly none has changed: the ledger's tables are the
 * dearest part of that. */
static void describe_news(struct core *c, struct node_state *n, const Baton__NodeHardwareSpec *hw,
                          const struct cow_entry *e, const Core__Node *node)
{
    bool known = n->index != LEDGER_NODE_NONE && n->told.hardware && n->told.ready == n->ready &&
                 n->told.revision == revision_of(e) && !n->is_absurd;
    if (known && has_no_trouble(n))
        return;
    describe(c, n, hw, e == NULL ? NULL : node);
    n->told.hardware = true;
    n->told.ready = n->ready;
    n->told.revision = revision_of(e);
}

static void put_hardware(struct core *c, struct node_state *n, struct stage *s,
                         const Baton__NodeHardwareSpec *spec)
{
    struct str key = hardware_key(c, n);
    struct cow_entry *e = core_find(c, key);
    Baton__NodeHardware *hw =
        e == NULL ? NULL
                  : typed_open(&c->turn, &baton__node_hardware__descriptor, blob_str(e->value));
    struct str before = {NULL, 0};
    if (hw != NULL && hw->metadata != NULL) {
        before = typed_wrap(&c->turn, "baton.dev/v1", "NodeHardware", &hw->base);
    } else {
        hw = node__message(c, sizeof *hw, &baton__node_hardware__descriptor);
        hw->metadata = node__meta(c, n);
    }
    hw->spec = (Baton__NodeHardwareSpec *)spec;
    struct str after = typed_wrap(&c->turn, "baton.dev/v1", "NodeHardware", &hw->base);
    if (!str_eq(before, after)) /* Both canonical: equal objects are equal bytes. */
        stage_put(s, key, after, NULL);
}

static Core__Node *node_of(struct core *c, struct cow_entry *e)
{
    Core__Node *node =
        e == NULL ? NULL : typed_open(&c->turn, &core__node__descriptor, blob_str(e->value));
    return node != NULL ? node : node__message(c, sizeof *node, &core__node__descriptor);
}

/* An administrator deleted the Node of a machine that is not heard of: it is forgotten. */
static enum reconcile forget(struct core *c, struct node_state *n)
{
    struct str key = hardware_key(c, n);
    if (n->index != LEDGER_NODE_NONE)
        ledger_node_remove(c->cluster->ledger, n->index);
    n->index = LEDGER_NODE_NONE;
    n->forgotten = true;
    images_forget(c, n);
    addresses_forget(c, n);
    cluster_set_hardware(n, NULL);
    for (struct held *h = n->first; h != NULL; h = h->next)
        core_mark(c, CONTROL_AGENTS, str_of(h->key));
    bool deleted = core_find(c, key) == NULL || core_delete(c, key, STR(""), 0, "");
    return deleted ? RECONCILE_DONE : RECONCILE_LATER;
}

static const Core__NodeCondition *ready_of(const Core__Node *node)
{
    for (size_t i = 0; node->status != NULL && i < node->status->n_conditions; i++)
        if (str_is(str_of(node->status->conditions[i]->type), "Ready"))
            return node->status->conditions[i];
    return NULL;
}

static bool was_ready(const Core__Node *node)
{
    const Core__NodeCondition *ready = ready_of(node);
    return ready != NULL && str_is(str_of(ready->status), "True");
}

static void tell_ready(struct core *c, const Core__Node *node)
{
    const Core__NodeCondition *ready = ready_of(node);
    if (ready == NULL)
        return;
    events_tell(c, &(struct event_note){.api_version = "v1",
                                        .kind = "Node",
                                        .name = str_of(node->metadata->name),
                                        .uid = str_of(node->metadata->uid),
                                        .reason = was_ready(node) ? "NodeReady" : "NodeNotReady",
                                        .warning = !was_ready(node),
                                        .message = str_of(ready->message)});
}

static void write(struct core *c, struct node_state *n, const Baton__NodeHardwareSpec *hw,
                  struct cow_entry *e)
{
    Core__Node *node = node_of(c, e);
    struct str before = typed_wrap(&c->turn, "v1", "Node", &node->base);
    uint64_t revision = revision_of(e);
    bool is_other = n->index == LEDGER_NODE_NONE || n->described != revision;
    n->described = revision;
    bool ready = was_ready(node);
    describe_news(c, n, hw, e, node);
    node__fill(c, n, hw, node);
    struct str after = typed_wrap(&c->turn, "v1", "Node", &node->base);
    if (e == NULL || was_ready(node) != ready)
        tell_ready(c, node);
    struct stage *s = stage_begin(c);
    put_hardware(c, n, s, hw);
    if (!str_eq(before, after))
        stage_put(s, node_key(c, n), after, NULL);
    stage_end(s);
    if (is_other ||
        !str_eq(before, after)) /* Joined, uncordoned, another label: some may fit now. */
        placing_room(c);
}

/* Nothing but its lease needs to be looked at. */
static bool is_in_order(const struct node_state *n)
{
    return n->ready && !n->look && has_no_trouble(n);
}

enum reconcile nodes_reconcile(struct core *c, struct str key)
{
    struct index_key at;
    if (!index_key_parse(key, &at))
        return RECONCILE_DONE;
    struct node_state *n = cluster_node(c, at.name);
    if (n == NULL)
        return RECONCILE_DONE;
    if (!cluster_has_room(c))
        return RECONCILE_LATER;
    struct str node = node_key(c, n), hardware = hardware_key(c, n);
    if (core_is_busy(c, node) || core_is_busy(c, hardware))
        return RECONCILE_LATER;
    bool alive = !instant_due(n->lease_until, c->now);
    if (alive && n->lease_until.ns != 0)
        core_mark_at(c, CONTROL_NODES, key, n->lease_until);
    if (alive && is_in_order(n))
        return RECONCILE_DONE; /* The end of a lease that was renewed meanwhile. */
    n->look = false;
    struct cow_entry *e = core_find(c, node);
    if (n->reported != NULL) {
        cluster_set_hardware(n, n->reported);
        n->forgotten = false;
    }
    if (n->spec == NULL)
        return RECONCILE_DONE; /* Its agent has not said what it has. */
    if (e == NULL && !alive)
        return forget(c, n);
    /* After our own start a node keeps the Ready it had until its lease would have run out. */
    bool was_heard = n->ready;
    if (n->reported != NULL || !alive)
        n->ready = alive;
    if (n->reported != NULL)
        addresses_judge(c, n);
    if (was_heard != n->ready)
        addresses_review(c); /* Who was refused for its sake is told whether it lives. */
    write(c, n, n->spec, e);
    return RECONCILE_DONE;
}

void nodes_changed(struct core *c, const struct core_change *change)
{
    bool node = change->at.group.len == 0 && str_is(change->at.plural, "nodes");
    bool hardware =
        str_is(change->at.group, "baton.dev") && str_is(change->at.plural, "nodehardware");
    struct node_state *n = node || hardware ? cluster_node(c, change->at.name) : NULL;
    if (n != NULL)
        nodes_look(c, n);
}

/* ---- at start ---- */

static void load(struct core *c, struct cow_entry *e)
{
    struct index_key at;
    Baton__NodeHardware *hw =
        typed_open(&c->turn, &baton__node_hardware__descriptor, blob_str(e->value));
    if (hw == NULL || hw->spec == NULL || !index_key_parse(cow_entry_key(e), &at))
        return;
    struct node_state *n = cluster_node_make(c, at.name);
    if (n == NULL)
        return;
    if (hw->spec->pod_network != NULL && hw->spec->pod_network->subnet != NULL)
        cluster_set_subnet(c, n, str_of(hw->spec->pod_network->subnet));
    struct blob *bytes = blob_new(objects_pack(&c->turn, &hw->spec->base));
    cluster_set_hardware(n, bytes);
    blob_unref(bytes);
    addresses_loaded(c, n);
    struct cow_entry *object = core_find(c, node_key(c, n));
    Core__Node *node = node_of(c, object);
    n->ready = was_ready(node);
    n->lease_until = instant_add(c->now, LEASE); /* One whole lease before any is called dead. */
    core_mark_at(c, CONTROL_NODES, node_key(c, n), n->lease_until);
    describe_news(c, n, hw->spec, object, node);
}

/* Everything that is placed stands on these rows: they come before the Placements. Each with memory of its
 * own: together they may be more than a turn's. */
void nodes_loaded(struct core *c)
{
    struct arena turn = c->turn;
    struct index_range r;
    struct cow_entry *e;
    core_range(c, &r, STR("baton.dev/nodehardware/"));
    while ((e = index_range_next(&r)) != NULL) {
        arena_init(&c->turn, turn.limit);
        load(c, e);
        arena_free(&c->turn);
    }
    c->turn = turn;
}
