/* SPDX-License-Identifier: Apache-2.0 */
/* A decision written down: the Placement, what the object says of it, and what is told as an Event. */
#include "api/placed.h"
#include "base/check.h"
#include "base/mem.h"
#include "controlplane/core/events.h"
#include "controlplane/core/placing_priv.h"

#include <stdio.h>

enum { AGAIN_S = 1 }; /* What cannot be written now is not tried without a pause. */

static void *message(struct core *c, size_t size, const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *m = arena_alloc(&c->turn, size);
    if (m != NULL)
        protobuf_c_message_init(type, m);
    return m;
}

static const char *api_version_of(const struct candidate *w)
{
    return w->pod != NULL ? "v1" : "kubevirt.io/v1";
}

static const char *kind_of(const struct candidate *w)
{
    return w->pod != NULL ? "Pod" : "VirtualMachineInstance";
}

/* HostPorts carry what the ledger does not: the container and its port. */
static bool host_ports(struct core *c, const struct candidate *w, Baton__PlacementSpec *spec)
{
    spec->host_ports = arena_zalloc(&c->turn, REQUEST_LIST_MAX, sizeof *spec->host_ports);
    if (spec->host_ports == NULL)
        return false;
    for (size_t i = 0; w->pod != NULL && i < w->pod->spec->n_containers; i++) {
        const Core__Container *from = w->pod->spec->containers[i];
        for (size_t k = 0; k < from->n_ports && spec->n_host_ports < REQUEST_LIST_MAX; k++) {
            const Core__ContainerPort *p = from->ports[k];
            int32_t port = w->pod->spec->host_network ? p->container_port : p->host_port;
            if (port <= 0)
                continue;
            Baton__HostPort *to = message(c, sizeof *to, &baton__host_port__descriptor);
            if (to == NULL)
                return false;
            to->protocol = p->protocol != NULL ? p->protocol : (char *)"TCP";
            to->ip = p->host_ip;
            to->container = from->name;
            to->has_port = to->has_target_port = true;
            to->port = (uint32_t)port;
            to->target_port = (uint32_t)p->container_port;
            spec->host_ports[spec->n_host_ports++] = to;
        }
    }
    return true;
}

static bool decision(struct core *c, const struct candidate *w, struct str reason,
                     Baton__PlacementSpec *spec)
{
    Baton__Decision *d = message(c, sizeof *d, &baton__decision__descriptor);
    Meta__MicroTime *at = message(c, sizeof *at, &meta__micro_time__descriptor);
    Baton__WorkloadRef *ref = message(c, sizeof *ref, &baton__workload_ref__descriptor);
    if (d == NULL || at == NULL || ref == NULL)
        return false;
    d->reason = objects_text(&c->turn, reason);
    d->has_nodes_considered = true;
    d->nodes_considered = ledger_nodes_count(c->cluster->ledger);
    at->has_seconds = true;
    at->seconds = wall_seconds(c->wall);
    at->has_nanos = true;
    at->nanos = (int32_t)(c->wall.ns % 1000000000 / 1000 * 1000);
    d->decided_at = at;
    ref->api_version = (char *)api_version_of(w);
    ref->kind = (char *)kind_of(w);
    ref->namespace_ = objects_text(&c->turn, w->namespace);
    ref->name = objects_text(&c->turn, w->name);
    ref->uid = objects_text(&c->turn, w->uid);
    spec->decision = d;
    spec->workload = ref;
    return true;
}

static Meta__ObjectMeta *placement_meta(struct core *c, struct str name, struct str uid,
                                        const Baton__WorkloadRef *ref)
{
    Meta__ObjectMeta *m = message(c, sizeof *m, &meta__object_meta__descriptor);
    Meta__OwnerReference *owner = message(c, sizeof *owner, &meta__owner_reference__descriptor);
    Meta__OwnerReference **owners = arena_zalloc(&c->turn, 1, sizeof *owners);
    if (m == NULL || owner == NULL || owners == NULL)
        return NULL;
    m->name = objects_text(&c->turn, name);
    m->namespace_ = ref->namespace_;
    m->uid = objects_text(&c->turn, uid);
    m->creation_timestamp = objects_time(&c->turn, c->wall);
    owner->api_version = ref->api_version;
    owner->kind = ref->kind;
    owner->name = ref->name;
    owner->uid = ref->uid;
    owner->has_controller = owner->controller = true;
    owners[0] = owner;
    m->owner_references = owners;
    m->n_owner_references = 1;
    return m;
}

static struct node_state *node_of(struct core *c, const struct candidate *w)
{
    return cluster_node(c, names_text(ledger_names(c->cluster->ledger), w->rows->node_name));
}

Baton__PlacementSpec *placing__spec(struct core *c, const struct candidate *w)
{
    struct names *names = ledger_names(c->cluster->ledger);
    const struct node_state *n = node_of(c, w);
    const Baton__NodeHardwareSpec *hw = n == NULL ? NULL : n->spec;
    Baton__PlacementSpec *spec = message(c, sizeof *spec, &baton__placement_spec__descriptor);
    if (hw == NULL || spec == NULL ||
        sched_view_rows(names, &c->turn, w->rows, &w->request, hw, spec, NULL) != ERR_OK ||
        !host_ports(c, w, spec))
        return NULL;
    spec->has_host_network = w->pod != NULL && w->pod->spec->host_network;
    spec->host_network = spec->has_host_network;
    const Kubevirt__CPU *cpu = w->machine == NULL ? NULL : w->machine->spec->domain->cpu;
    spec->emulator_in_pool = w->machine != NULL && (cpu == NULL || !cpu->isolate_emulator_thread);
    spec->has_emulator_in_pool = spec->emulator_in_pool;
    spec->has_generation = true;
    spec->generation = 1;
    return spec;
}

/* ---- what is written ---- */

struct str placing__by_struct(struct core *c, const struct candidate *w,
                              const struct placing_words *words)
{
    const struct str none = {NULL, 0};
    Baton__Placement *p = message(c, sizeof *p, &baton__placement__descriptor);
    Baton__PlacementSpec *spec = placing__spec(c, w);
    Baton__PlacementStatus *status =
        message(c, sizeof *status, &baton__placement_status__descriptor);
    if (p == NULL || spec == NULL || status == NULL || !decision(c, w, words->reason, spec))
        return none;
    status->phase = (char *)"Held";
    p->metadata = placement_meta(c, words->name, words->uid, spec->workload);
    p->spec = spec;
    p->status = status;
    return p->metadata == NULL ? none : typed_wrap(&c->turn, "baton.dev/v1", "Placement", &p->base);
}

/* What placed.h has no words for. */
static bool is_special(const struct candidate *w)
{
    return w->rows->devices_count > 0 || w->rows->caches_count > 0 || w->request.ports_count > 0;
}

static void address_facts(const struct candidate *w, const Baton__NodeHardwareSpec *hw,
                          struct placed *p)
{
    uint32_t first;
    if (w->rows->address == 0 || hw->pod_network == NULL ||
        sched_view_subnet(str_of(hw->pod_network->subnet), &first, &p->prefix) != ERR_OK)
        return;
    p->address = w->rows->address;
    p->mac = w->rows->mac;
    p->gateway = str_of(hw->pod_network->gateway);
    p->gateway_address = first + 1;
}

static void memory_facts(const struct candidate *w, const Baton__NodeHardwareSpec *hw,
                         struct placed_numa to[TOPOLOGY_NUMA_MAX], struct placed *p)
{
    for (uint32_t i = 0; i < hw->n_numa_nodes && i < TOPOLOGY_NUMA_MAX; i++) {
        const struct placement_memory *m = &w->rows->memory[i];
        if (w->rows->numa_mask >> i & 1)
            to[p->numa_count++] = (struct placed_numa){hw->numa_nodes[i]->id, m->bytes,
                                                       m->hugepages_2m, m->hugepages_1g};
    }
    p->numa = to;
}

bool placing__write(struct core *c, const struct candidate *w, const struct placing_words *words,
                    uint64_t revision, struct buf *out)
{
    struct placed_numa numa[TOPOLOGY_NUMA_MAX];
    const struct node_state *n = node_of(c, w);
    const Kubevirt__CPU *cpu = w->machine == NULL ? NULL : w->machine->spec->domain->cpu;
    if (n == NULL || n->spec == NULL || is_special(w))
        return false;
    struct placed p = {
        .name = words->name,
        .namespace = w->namespace,
        .uid = words->uid,
        .revision = revision,
        .workload = {str_of(api_version_of(w)), str_of(kind_of(w)), w->name, w->uid},
        .now = c->wall,
        .node = names_text(ledger_names(c->cluster->ledger), w->rows->node_name),
        .cpus = w->rows->cpus,
        .cores = w->rows->cores,
        .cpus_count = w->rows->cpus_count,
        .cores_count = w->rows->cores_count,
        .shared_milli = w->rows->shared_milli,
        .emulator_in_pool = w->machine != NULL && (cpu == NULL || !cpu->isolate_emulator_thread),
        .host_network = w->pod != NULL && w->pod->spec->host_network,
        .memory_bytes = w->request.memory_bytes,
        .overhead_bytes = w->request.overhead_bytes,
        .reason = words->reason,
        .nodes_considered = ledger_nodes_count(c->cluster->ledger),
    };
    memory_facts(w, n->spec, numa, &p);
    address_facts(w, n->spec, &p);
    if (!str_is_text(p.gateway) || !str_is_text(p.reason) || !str_is_text(p.node))
        return false; /* An agent said it. */
    placed_write(&p, out);
    return true;
}

/* ---- what the object says ---- */

static void say_placed(struct core *c, struct candidate *w, const char *node)
{
    if (w->pod != NULL) {
        w->pod->spec->node_name = (char *)node;
        w->pod->status->message = NULL;
        w->pod->status->nominated_node_name = NULL;
        status_pod_condition(c, w->pod->status, "PodScheduled", true, NULL, STR(""));
    } else {
        w->machine->status->node_name = (char *)node;
        status_machine_phase(c, w->machine->status, "Scheduled");
        status_machine_condition(c, w->machine->status, "PodScheduled", true, NULL, STR(""));
        status_machine_condition(c, w->machine->status, "Ready", false, "GuestNotRunning",
                                 STR("Guest VM is not reported as running"));
    }
}

void placing__say_waiting(struct core *c, struct candidate *w)
{
    if (w->pod != NULL) {
        status_pod_condition(c, w->pod->status, "PodScheduled", false, w->reason, str_of(w->why));
        w->pod->status->nominated_node_name = (char *)preempt__node(c, w->key);
        w->pod->status->message = w->why; /* Where `kubectl describe` shows it, too. */
    } else {
        status_machine_phase(c, w->machine->status, "Pending");
        status_machine_condition(c, w->machine->status, "PodScheduled", false, w->reason,
                                 str_of(w->why));
    }
}

/* The same words as the condition's. Waiting behind a gate is nothing that happened. */
void placing__tell_waiting(struct core *c, const struct candidate *w)
{
    if (strcmp(w->reason, "Unschedulable") != 0)
        return;
    events_tell(c, &(struct event_note){.api_version = api_version_of(w),
                                        .kind = kind_of(w),
                                        .namespace = w->namespace,
                                        .name = w->name,
                                        .uid = w->uid,
                                        .reason = "FailedScheduling",
                                        .warning = true,
                                        .message = str_of(w->why)});
}

/* The same words as the Placement's, when it is durable. */
static void tell_placed(struct core *c, struct held *h)
{
    struct index_key at;
    if (h->reason != NULL && events_wanted(c) && index_key_parse(str_of(h->workload_key), &at))
        events_tell(c,
                    &(struct event_note){.api_version = h->is_machine ? "kubevirt.io/v1" : "v1",
                                         .kind = h->is_machine ? "VirtualMachineInstance" : "Pod",
                                         .namespace = at.namespace,
                                         .name = at.name,
                                         .uid = str_of(h->workload_uid),
                                         .reason = "Scheduled",
                                         .message = str_of(h->reason)});
    mem_free(h->reason);
    h->reason = NULL;
}

bool placing__have_status(struct core *c, struct candidate *w)
{
    if (w->pod != NULL) {
        if (w->pod->status == NULL)
            w->pod->status = message(c, sizeof *w->pod->status, &core__pod_status__descriptor);
        if (w->pod->status == NULL)
            return false;
        if (w->pod->status->phase == NULL)
            w->pod->status->phase = (char *)"Pending";
        if (w->pod->status->qos_class == NULL)
            w->pod->status->qos_class = (char *)sched_view_qos(w->pod->spec);
        return true;
    }
    if (w->machine->status == NULL)
        w->machine->status = message(c, sizeof *w->machine->status,
                                     &kubevirt__virtual_machine_instance_status__descriptor);
    return w->machine->status != NULL;
}

/* ---- writing ---- */

static void settled(struct core *c, uint64_t hold, bool durable)
{
    struct held *h = cluster_held_hold(c, hold);
    if (h == NULL)
        return;
    if (durable) {
        ledger_commit(c->cluster->ledger, hold);
        c->counts.durable++;
        tell_placed(c, h);
        placing__stands(c);
        placing__landed(c, h);
        return;
    }
    core_mark_at(c, CONTROL_PLACING, arena_str(&c->turn, str_of(h->workload_key)),
                 instant_add(c->now, SPAN_S(AGAIN_S)));
    ledger_undo(c->cluster->ledger, hold);
    cluster_set_hold(c, h, 0);
    placing__unhold(c, h);
}

static bool put_placement(struct core *c, struct stage *s, const struct candidate *w,
                          struct str key, const struct placing_words *words)
{
    uint64_t revision;
    struct buf *out = stage_put_begin(s, key, &revision);
    if (out == NULL)
        return false;
    if (placing__write(c, w, words, revision, out)) {
        stage_put_end(s, key);
        return !stage_is_refused(s);
    }
    struct str bytes = placing__by_struct(c, w, words);
    if (bytes.at == NULL)
        stage_refuse(s, WRITE_BUSY, "the decision could not be written down");
    else
        stage_put(s, key, bytes, NULL);
    return !stage_is_refused(s);
}

static void copy_uid(char to[CLUSTER_UID_MAX], struct str uid)
{
    struct str kept = str_slice(uid, 0, CLUSTER_UID_MAX - 1);
    str_put(to, kept);
    to[kept.len] = '\0';
}

static void keep_held(struct core *c, const struct candidate *w, struct held *h,
                      const struct placing_words *words)
{
    copy_uid(h->uid, words->uid);
    copy_uid(h->workload_uid, w->uid);
    h->is_machine = w->machine != NULL;
    words__keep(c, h, w);
    h->mentions = w->pod == NULL ? NULL : agents_mentions(w->pod->spec);
    h->mentions_known = true;
    h->reason = objects_keep(words->reason);
    cluster_set_hold(c, h, w->hold);
    CHECK(map_put(&c->cluster->by_uid, str_of(h->uid), h) == ERR_OK);
    if (w->request.priority < c->cluster->priority_least)
        c->cluster->priority_least = w->request.priority;
}

/* The Placement into the stage that holds the object. False: it was refused, and nothing is held. */
bool placing__stage(struct core *c, struct stage *s, struct candidate *w)
{
    char uid[RNG_UUID_LEN + 1], reason[512];
    struct node_state *n = node_of(c, w);
    struct str key = cluster_placement_key(c, w->key);
    struct index_key at;
    bool ok = n != NULL && index_key_parse(key, &at);
    struct held *h = ok ? cluster_hold(c, key, w->key, n) : NULL;
    if (h == NULL) {
        ledger_undo(c->cluster->ledger, w->hold);
        stage_refuse(s, WRITE_BUSY, "the decision could not be written down");
        return false;
    }
    rng_uuid(&c->rng, uid);
    ledger_explain_hold(c->cluster->ledger, w->hold, w->rows, reason, sizeof reason);
    struct placing_words words = {at.name, str_of(uid), str_of(reason)};
    keep_held(c, w, h, &words);
    stage_on_settled(s, settled, w->hold);
    if (put_placement(c, s, w, key, &words))
        say_placed(c, w, n->name);
    return !stage_is_refused(s);
}

/* ---- what cannot be believed ---- */

enum reconcile placing__lost(struct core *c, struct candidate *w)
{
    static char reason[] = "PlacementLost", why[] = "its Placement does not decode";
    struct str placement = cluster_placement_key(c, w->key);
    if (core_is_busy(c, placement))
        return RECONCILE_LATER;
    if (w->pod != NULL) {
        w->pod->status->phase = (char *)"Failed";
        w->pod->status->reason = reason;
        w->pod->status->message = why;
        status_pod_condition(c, w->pod->status, "Ready", false, reason, STR(""));
    } else {
        w->machine->status->reason = reason;
        status_machine_phase(c, w->machine->status, "Failed");
        status_machine_condition(c, w->machine->status, "Ready", false, reason, str_of(why));
    }
    struct str after = placing__close(c, w);
    struct stage *s = stage_begin(c);
    if (after.at == NULL)
        stage_refuse(s, WRITE_BUSY, "too much at once");
    else
        stage_put(s, w->key, after, NULL);
    stage_remove(s, placement);
    stage_end(s);
    return RECONCILE_DONE;
}
