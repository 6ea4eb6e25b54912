/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in a Node: made from what is known of the node, over what clients wrote there. */
#include "api/version.h"
#include "base/check.h"
#include "controlplane/core/images.h"
#include "controlplane/core/node_priv.h"

#include <stdio.h>

void *node__message(struct core *c, size_t size, const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *m = arena_alloc(&c->turn, size);
    CHECK(m != NULL);
    protobuf_c_message_init(type, m);
    return m;
}

Meta__ObjectMeta *node__meta(struct core *c, const struct node_state *n)
{
    char uid[RNG_UUID_LEN + 1];
    Meta__ObjectMeta *m = node__message(c, sizeof *m, &meta__object_meta__descriptor);
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
        node__message(c, sizeof *to, &meta__object_meta__labels_entry__descriptor);
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
        at = node__message(c, sizeof *at, &core__node_condition__descriptor);
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

static void addresses(struct core *c, const struct node_state *n, const Baton__NodeHardwareSpec *hw,
                      Core__NodeStatus *st)
{
    const char *hostname = hw->hostname != NULL && hw->hostname[0] != '\0' ? hw->hostname : n->name;
    st->addresses = arena_zalloc(&c->turn, hw->n_host_addresses + 1, sizeof *st->addresses);
    CHECK(st->addresses != NULL);
    st->n_addresses = 0;
    for (size_t i = 0; i <= hw->n_host_addresses; i++) {
        Core__NodeAddress *to = node__message(c, sizeof *to, &core__node_address__descriptor);
        bool last = i == hw->n_host_addresses;
        to->type = last ? (char *)"Hostname" : (char *)"InternalIP";
        to->address = last ? (char *)hostname : hw->host_addresses[i];
        st->addresses[st->n_addresses++] = to;
    }
}

static Core__NodeSystemInfo *system_info(struct core *c, const Baton__SystemInfo *from)
{
    Core__NodeSystemInfo *to = node__message(c, sizeof *to, &core__node_system_info__descriptor);
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

/* The object has a place for everything; what clients put there stays. */
static void open_parts(struct core *c, const struct node_state *n, Core__Node *node)
{
    if (node->metadata == NULL)
        node->metadata = node__meta(c, n);
    if (node->spec == NULL)
        node->spec = node__message(c, sizeof *node->spec, &core__node_spec__descriptor);
    if (node->status == NULL)
        node->status = node__message(c, sizeof *node->status, &core__node_status__descriptor);
}

static void labels(struct core *c, const struct node_state *n, const Baton__NodeHardwareSpec *hw,
                   Core__Node *node)
{
    if (hw->system != NULL) {
        label(c, node->metadata, "kubernetes.io/arch", hw->system->architecture);
        label(c, node->metadata, "kubernetes.io/os", hw->system->operating_system);
    }
    label(c, node->metadata, "kubernetes.io/hostname", n->name);
}

/* What kubelet says of itself, with its reasons; of a node that is silent nobody knows. */
static void health(struct core *c, const struct node_state *n, Core__NodeStatus *st,
                   bool short_of_disk)
{
    const char *unknown = "Unknown", *silent = "NodeStatusUnknown";
    if (!n->ready) {
        condition(c, st, "MemoryPressure", unknown, silent, NULL);
        condition(c, st, "DiskPressure", unknown, silent,
                  short_of_disk ? "less than its reserve is free" : NULL);
        condition(c, st, "PIDPressure", unknown, silent, NULL);
        condition(c, st, "Ready", unknown, silent, "the node agent stopped renewing its lease");
        return;
    }
    condition(c, st, "MemoryPressure", "False", NULL, NULL);
    if (short_of_disk)
        condition(c, st, "DiskPressure", "True", "AgentHasDiskPressure",
                  "less than its reserve is free");
    else
        condition(c, st, "DiskPressure", "False", "AgentHasNoDiskPressure", NULL);
    condition(c, st, "PIDPressure", "False", NULL, NULL);
    condition(c, st, "Ready", "True", "AgentReady", "the node agent renews its lease");
}

static void troubles(struct core *c, const struct node_state *n, Core__NodeStatus *st)
{
    char claim[sizeof n->claim + sizeof n->subnet + 64] = "";
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

void node__fill(struct core *c, const struct node_state *n, const Baton__NodeHardwareSpec *hw,
                Core__Node *node)
{
    open_parts(c, n, node);
    Core__NodeStatus *st = node->status;
    labels(c, n, hw, node);
    subnet(c, n, node);
    node__amounts(c, hw, st);
    addresses(c, n, hw, st);
    st->node_info = system_info(c, hw->system);
    if (n->images != NULL)
        images_fill(c, n, st); /* Until its agent has told, they are what they were. */
    health(c, n, st, pressure_fill(c, n, node));
    troubles(c, n, st);
}
