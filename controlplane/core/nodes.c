/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes as people see them: made from what an agent discovered and from whether it is heard of. A
 * lease lives in memory; only a change of the Ready condition is written. A node without contact
 * becomes NotReady after its lease: nothing is moved, nothing is stopped.
 */
#include "api/version.h"
#include "base/check.h"
#include "controlplane/core/cluster.h"
#include "controlplane/core/events.h"
#include "controlplane/core/images.h"

#include <stdio.h>
#include <stdlib.h>

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

/* The subnet is the cluster's to give: an agent that claims another would get its neighbours' packets. */
void nodes_hardware(struct core *c, struct node_state *n, const Baton__NodeHardwareSpec *spec)
{
    Baton__NodeHardwareSpec whole = *spec;
    Baton__PodNetwork network = BATON__POD_NETWORK__INIT;
    if (whole.pod_network != NULL)
        network = *whole.pod_network;
    struct str claim = str_of(network.subnet);
    bool is_given = claim.len == 0 || str_is(claim, n->subnet);
    snprintf(n->claim, sizeof n->claim, "%s", is_given ? "" : network.subnet);
    network.subnet = n->subnet;
    whole.pod_network = &network;
    struct str bytes = objects_pack(&c->turn, &whole.base);
    if (bytes.at == NULL)
        return;
    blob_unref(n->reported);
    n->reported = blob_new(bytes);
    nodes_look(c, n);
}

/* ---- the objects ---- */

static void *message(struct core *c, size_t size, const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *m = arena_alloc(&c->turn, size);
    CHECK(m != NULL);
    protobuf_c_message_init(type, m);
    return m;
}

static Meta__ObjectMeta *new_meta(struct core *c, const struct node_state *n)
{
    char uid[RNG_UUID_LEN + 1];
    Meta__ObjectMeta *m = message(c, sizeof *m, &meta__object_meta__descriptor);
    rng_uuid(&c->rng, uid);
    m->name = (char *)n->name;
    m->uid = objects_text(&c->turn, str_of(uid));
    m->creation_timestamp = objects_time(&c->turn, c->wall);
    return m;
}

static void label(struct core *c, Meta__ObjectMeta *m, const char *key, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    for (size_t i = 0; i < m->n_labels; i++)
        if (str_is(str_of(m->labels[i]->key), key)) {
            m->labels[i]->value = (char *)value;
            return;
        }
    Meta__ObjectMeta__LabelsEntry **more = arena_zalloc(&c->turn, m->n_labels + 1, sizeof *more);
    Meta__ObjectMeta__LabelsEntry *to =
        message(c, sizeof *to, &meta__object_meta__labels_entry__descriptor);
    CHECK(more != NULL);
    to->key = (char *)key;
    to->value = (char *)value;
    size_t at = 0; /* Map entries are stored by rising key. */
    while (at < m->n_labels && str_cmp(str_of(m->labels[at]->key), str_of(key)) < 0)
        at++;
    for (size_t i = 0; i <= m->n_labels; i++)
        more[i] = i < at ? m->labels[i] : i == at ? to : m->labels[i - 1];
    m->labels = more;
    m->n_labels++;
}

static void condition(struct core *c, Core__NodeStatus *st, const char *type, const char *value,
                      const char *reason, const char *text)
{
    Core__NodeCondition *at = NULL;
    for (size_t i = 0; i < st->n_conditions; i++)
        if (str_is(str_of(st->conditions[i]->type), type))
            at = st->conditions[i];
    if (at == NULL) {
        Core__NodeCondition **more = arena_zalloc(&c->turn, st->n_conditions + 1, sizeof *more);
        CHECK(more != NULL);
        for (size_t i = 0; i < st->n_conditions; i++)
            more[i] = st->conditions[i];
        at = message(c, sizeof *at, &core__node_condition__descriptor);
        at->type = (char *)type;
        more[st->n_conditions++] = at;
        st->conditions = more;
    }
    if (!str_is(str_of(at->status), value)) {
        at->last_transition_time = objects_time(&c->turn, c->wall);
        at->last_heartbeat_time = objects_time(&c->turn, c->wall);
    }
    at->status = (char *)value;
    at->reason = (char *)reason;
    at->message = objects_text(&c->turn, str_of(text));
}

/* There while it holds, and False from then on. */
static void trouble(struct core *c, Core__NodeStatus *st, const char *type, const char *reason,
                    const char *text)
{
    bool was_told = false;
    for (size_t i = 0; i < st->n_conditions; i++)
        was_told |= str_is(str_of(st->conditions[i]->type), type);
    if (text[0] != '\0')
        condition(c, st, type, "True", reason, text);
    else if (was_told)
        condition(c, st, type, "False", "Resolved", NULL);
}

static uint64_t memory_of(const Baton__NodeHardwareSpec *hw)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < hw->n_numa_nodes; i++)
        bytes += hw->numa_nodes[i]->memory_bytes;
    return bytes;
}

static uint64_t hugepages_of(const Baton__NodeHardwareSpec *hw, uint64_t page)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < hw->n_numa_nodes; i++)
        for (size_t k = 0; k < hw->numa_nodes[i]->n_hugepages; k++)
            if (hw->numa_nodes[i]->hugepages[k]->page_bytes == page)
                bytes += page * hw->numa_nodes[i]->hugepages[k]->pages;
    return bytes;
}

static void *amount(struct core *c, const char *key, Resource__Quantity *value, bool allocatable)
{
    Core__NodeStatus__CapacityEntry *to =
        message(c, sizeof *to,
                allocatable ? &core__node_status__allocatable_entry__descriptor
                            : &core__node_status__capacity_entry__descriptor);
    to->key = (char *)key;
    to->value = value;
    return to;
}

struct amount_row {
    const char *key;
    Resource__Quantity *value;
};

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct amount_row *)a)->key, ((const struct amount_row *)b)->key);
}

static uint32_t device_row(struct core *c, const Baton__NodeHardwareSpec *hw, struct str name,
                           struct amount_row *rows, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++)
        if (str_is(name, rows[k].key))
            return count;
    rows[count] =
        (struct amount_row){name.at, objects_milli(&c->turn, 1000 * sched_devices_count(hw, name))};
    return count + 1;
}

/* A row for each name under which it gives devices away, and for their thousandths: what is had of the one is
 * free of neither. */
static uint32_t device_rows(struct core *c, const Baton__NodeHardwareSpec *hw,
                            struct amount_row *rows)
{
    uint32_t count = 0;
    for (size_t i = 0; i < hw->n_devices; i++) {
        struct str name = str_of(hw->devices[i]->resource);
        if (name.len == 0)
            continue;
        count = device_row(c, hw, name, rows, count);
        if (hw->devices[i]->milli)
            count = device_row(c, hw, arena_printf(&c->turn, STR_FMT "-milli", STR_ARG(name)), rows,
                               count);
    }
    return count;
}

/* What somebody else advertises stays, unless the name means exact devices. */
static uint32_t foreign_rows(struct core *c, const Core__NodeStatus *before,
                             struct amount_row *rows)
{
    struct cluster *k = c->cluster;
    uint32_t count = 0, id;
    for (size_t i = 0; i < before->n_capacity; i++) {
        struct str name = str_of(before->capacity[i]->key);
        if (str_find(name, '/', 0) < name.len &&
            names_intern(ledger_names(k->ledger), name, &id, NULL) == ERR_OK &&
            !sched_classes_have(&k->classes, id))
            rows[count++] = (struct amount_row){name.at, before->capacity[i]->value};
    }
    return count;
}

/* Both lists are the same pair; allocatable is what is left of capacity. */
static Core__NodeStatus__CapacityEntry **amounts(struct core *c, const Baton__NodeHardwareSpec *hw,
                                                 const Core__NodeStatus *before, bool allocatable,
                                                 size_t *out_count)
{
    uint64_t milli = 1000ull * hw->n_threads, memory = memory_of(hw);
    uint64_t small = hugepages_of(hw, 2ull << 20), large = hugepages_of(hw, 1ull << 30);
    uint64_t disk = hw->storage_bytes;
    if (allocatable) {
        milli -= milli > hw->system_cpu_millis ? hw->system_cpu_millis : 0;
        memory -= min_u64(memory, hw->system_memory_bytes + small + large);
        disk -= min_u64(disk, hw->reserved_storage_bytes);
    }
    const struct amount_row own[] = {
        {"cpu", objects_milli(&c->turn, milli)},
        {"hugepages-1Gi", objects_bytes(&c->turn, large)},
        {"hugepages-2Mi", objects_bytes(&c->turn, small)},
        {"memory", objects_bytes(&c->turn, memory)},
        {"pods", objects_milli(&c->turn, 1000ull * (hw->workloads_max ? hw->workloads_max : 110))},
        {"ephemeral-storage", objects_bytes(&c->turn, disk)},
    };
    size_t most = COUNT_OF(own) + 2 * hw->n_devices + before->n_capacity;
    struct amount_row *rows = arena_zalloc(&c->turn, most, sizeof *rows);
    Core__NodeStatus__CapacityEntry **at = arena_zalloc(&c->turn, most, sizeof *at);
    CHECK(rows != NULL && at != NULL);
    uint32_t count = COUNT_OF(own) - (hw->storage_bytes == 0);
    memcpy(rows, own, count * sizeof *rows);
    count += device_rows(c, hw, rows + count);
    count += foreign_rows(c, before, rows + count);
    qsort(rows, count, sizeof *rows, by_key); /* Map entries are stored by rising key. */
    for (uint32_t i = 0; i < count; i++)
        at[i] = amount(c, rows[i].key, rows[i].value, allocatable);
    *out_count = count;
    return at;
}

static void addresses(struct core *c, const Baton__NodeHardwareSpec *hw, const char *hostname,
                      Core__NodeStatus *st)
{
    st->addresses = arena_zalloc(&c->turn, hw->n_host_addresses + 1, sizeof *st->addresses);
    CHECK(st->addresses != NULL);
    st->n_addresses = 0;
    for (size_t i = 0; i <= hw->n_host_addresses; i++) {
        Core__NodeAddress *to = message(c, sizeof *to, &core__node_address__descriptor);
        bool last = i == hw->n_host_addresses;
        to->type = last ? (char *)"Hostname" : (char *)"InternalIP";
        to->address = last ? (char *)hostname : hw->host_addresses[i];
        st->addresses[st->n_addresses++] = to;
    }
}

static Core__NodeSystemInfo *system_info(struct core *c, const Baton__SystemInfo *from)
{
    Core__NodeSystemInfo *to = message(c, sizeof *to, &core__node_system_info__descriptor);
    if (from == NULL)
        return to;
    to->machine_id = from->machine_id;
    to->system_uuid = from->system_uuid;
    to->boot_id = from->boot_id;
    to->kernel_version = from->kernel_version;
    to->os_image = from->os_image;
    to->container_runtime_version = from->container_runtime_version;
    to->kubelet_version =
        (char *)arena_printf(&c->turn, KUBERNETES_VERSION "%s",
                             from->agent_version == NULL ? "" : from->agent_version)
            .at;
    to->operating_system = from->operating_system;
    to->architecture = from->architecture;
    return to;
}

/* One that came when all parts of the pod network were given away runs what wants no address. */
static void subnet(struct core *c, const struct node_state *n, Core__Node *node)
{
    const struct network *w = &c->cluster->network;
    char text[192] = "";
    node->spec->pod_cidr = (char *)n->subnet;
    node->spec->pod_cidrs = arena_zalloc(&c->turn, 1, sizeof(char *));
    CHECK(node->spec->pod_cidrs != NULL);
    node->spec->pod_cidrs[0] = (char *)n->subnet;
    node->spec->n_pod_cidrs = n->subnet[0] != '\0';
    if (n->subnet[0] == '\0')
        snprintf(
            text, sizeof text,
            "all %u subnets of /%u of the pod network are given to other nodes: workloads that "
            "want an address have no room here",
            w->parts, w->part_prefix);
    trouble(c, node->status, "NetworkUnavailable", "NoSubnetLeft", text);
}

static void fill(struct core *c, const struct node_state *n, const Baton__NodeHardwareSpec *hw,
                 Core__Node *node)
{
    if (node->metadata == NULL)
        node->metadata = new_meta(c, n);
    if (node->spec == NULL)
        node->spec = message(c, sizeof *node->spec, &core__node_spec__descriptor);
    if (node->status == NULL)
        node->status = message(c, sizeof *node->status, &core__node_status__descriptor);
    Core__NodeStatus *st = node->status;
    char claim[sizeof n->claim + sizeof n->subnet + 64] = "";
    const char *hostname = hw->hostname != NULL && hw->hostname[0] != '\0' ? hw->hostname : n->name;
    if (hw->system != NULL) {
        label(c, node->metadata, "kubernetes.io/arch", hw->system->architecture);
        label(c, node->metadata, "kubernetes.io/os", hw->system->operating_system);
    }
    label(c, node->metadata, "kubernetes.io/hostname", n->name);
    subnet(c, n, node);
    st->allocatable =
        (Core__NodeStatus__AllocatableEntry **)(void *)amounts(c, hw, st, true, &st->n_allocatable);
    st->capacity = amounts(c, hw, st, false, &st->n_capacity);
    addresses(c, hw, hostname, st);
    st->node_info = system_info(c, hw->system);
    if (n->images != NULL)
        images_fill(c, n, st); /* Until its agent has told, they are what they were. */
    bool short_of_disk = pressure_fill(c, n, node);
    const char *unknown = n->ready ? "False" : "Unknown";
    const char *silent = n->ready ? NULL : "NodeStatusUnknown";
    condition(c, st, "MemoryPressure", unknown, silent, NULL);
    condition(c, st, "DiskPressure",
              !n->ready       ? unknown
              : short_of_disk ? "True"
                              : "False",
              !n->ready       ? silent
              : short_of_disk ? "AgentHasDiskPressure"
                              : "AgentHasNoDiskPressure",
              short_of_disk ? "less than its reserve is free" : NULL);
    condition(c, st, "PIDPressure", unknown, silent, NULL);
    condition(c, st, "Ready", n->ready ? "True" : "Unknown",
              n->ready ? "AgentReady" : "NodeStatusUnknown",
              n->ready ? "the node agent renews its lease"
                       : "the node agent stopped renewing its lease");
    trouble(c, st, "baton.dev/LedgerConflict",
            n->is_absurd ? "HardwareContradictsItself" : "StoredRowsContradict",
            n->marked[0] != '\0' ? n->marked : n->contradiction);
    if (n->claim[0] != '\0')
        snprintf(claim, sizeof claim, "its agent says %s; the cluster gave it %s", n->claim,
                 n->subnet[0] == '\0' ? "none" : n->subnet);
    trouble(c, st, "baton.dev/SubnetClaimed", "NotItsOwn", claim);
    trouble(c, st, "baton.dev/AddressClaimed", "NotItsOwn", n->mistaken);
    trouble(c, st, "baton.dev/UnknownWorkload", "NobodyPlacedIt", n->stranger);
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
        hw = message(c, sizeof *hw, &baton__node_hardware__descriptor);
        hw->metadata = new_meta(c, n);
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
    return node != NULL ? node : message(c, sizeof *node, &core__node__descriptor);
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
    fill(c, n, hw, node);
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
