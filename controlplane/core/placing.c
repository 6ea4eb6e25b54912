/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A workload gets its rows inside the call that creates it, or waits with a reason and is looked at
 * again whenever rows may have become free. Object and Placement are one transaction; the ledger's
 * hold is tentative until that is durable.
 */
#include "base/check.h"
#include "base/mem.h"
#include "controlplane/core/cluster.h"
#include "controlplane/core/events.h"
#include "scheduler/explain.h"

#include <stdio.h>

/* One workload on its way to a node. */
struct candidate {
    struct str key, namespace, name, uid;
    Core__Pod *pod; /* One of these two. */
    Kubevirt__VirtualMachineInstance *machine;
    struct request request;
    uint64_t hold;
    struct placement *rows;
    char why[512]; /* Not placed: what is short. */
    const char *reason;
};

static bool is_placed_kind(const struct index_key *at)
{
    return (at->group.len == 0 && str_is(at->plural, "pods")) ||
           (str_is(at->group, "kubevirt.io") && str_is(at->plural, "virtualmachineinstances"));
}

static bool open_candidate(struct core *c, struct candidate *w, struct str key,
                           const struct index_key *at, struct str object)
{
    *w = (struct candidate){
        .key = key, .namespace = at->namespace, .name = at->name, .reason = "Unschedulable"};
    if (at->group.len == 0) {
        w->pod = typed_open(&c->turn, &core__pod__descriptor, object);
        return w->pod != NULL && w->pod->spec != NULL && w->pod->metadata != NULL;
    }
    w->machine = typed_open(&c->turn, &kubevirt__virtual_machine_instance__descriptor, object);
    return w->machine != NULL && w->machine->spec != NULL && w->machine->spec->domain != NULL &&
           w->machine->metadata != NULL;
}

static struct str close_candidate(struct core *c, const struct candidate *w)
{
    return w->pod != NULL ? typed_wrap(&c->turn, "v1", "Pod", &w->pod->base)
                          : typed_wrap(&c->turn, "kubevirt.io/v1", "VirtualMachineInstance",
                                       &w->machine->base);
}

/* Somebody else's scheduler is to place it, or nobody yet. */
static bool is_foreign(const struct candidate *w)
{
    struct str name =
        str_of(w->pod != NULL ? w->pod->spec->scheduler_name : w->machine->spec->scheduler_name);
    return name.len > 0 && !str_is(name, "default-scheduler") && !str_is(name, "baton");
}

/* ---- deciding ---- */

static enum err_code translate(struct core *c, struct candidate *w, struct err *e)
{
    struct names *n = ledger_names(c->cluster->ledger);
    return w->pod != NULL
               ? sched_view_pod(n, &c->turn, w->pod, &w->request, e)
               : sched_view_machine(n, &c->turn, w->machine, &c->cluster->overhead, &w->request, e);
}

/* Rows are held when this is true. */
static bool decide(struct core *c, struct candidate *w)
{
    struct ledger *l = c->cluster->ledger;
    struct err e = {0};
    struct held *former = cluster_held(c, cluster_placement_key(c, w->key));
    if (former != NULL) {
        snprintf(w->why, sizeof w->why, "the former %s of that name is still on node %s",
                 w->pod != NULL ? "pod" : "machine",
                 former->node == NULL ? "?" : former->node->name);
        return false;
    }
    if (w->pod != NULL && w->pod->spec->n_scheduling_gates > 0) {
        w->reason = "SchedulingGated";
        snprintf(w->why, sizeof w->why, "Scheduling is blocked due to non-empty scheduling gates");
        return false;
    }
    w->rows = arena_alloc(&c->turn, sizeof *w->rows);
    if (w->rows == NULL)
        return snprintf(w->why, sizeof w->why, "too much at once"), false;
    enum err_code code = translate(c, w, &e);
    if (code == ERR_OK)
        code = ledger_place(l, &w->request, &w->hold, w->rows, &e);
    if (code == ERR_OK)
        return true;
    struct explanation *x = arena_alloc(&c->turn, sizeof *x);
    if (ledger_nodes_count(l) == 0) {
        snprintf(w->why, sizeof w->why, "0 of 0 nodes fit: no node has joined yet");
    } else if (code == ERR_BUSY && x != NULL) {
        ledger_explain(l, &w->request, x);
        explain_print(l, x, w->why, sizeof w->why);
    } else {
        snprintf(w->why, sizeof w->why, "%s", e.text);
    }
    return false;
}

static void *message(struct core *c, size_t size, const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *m = arena_alloc(&c->turn, size);
    if (m != NULL)
        protobuf_c_message_init(type, m);
    return m;
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

static bool decision(struct core *c, const struct candidate *w, Baton__PlacementSpec *spec)
{
    char text[512];
    Baton__Decision *d = message(c, sizeof *d, &baton__decision__descriptor);
    Meta__MicroTime *at = message(c, sizeof *at, &meta__micro_time__descriptor);
    Baton__WorkloadRef *ref = message(c, sizeof *ref, &baton__workload_ref__descriptor);
    if (d == NULL || at == NULL || ref == NULL)
        return false;
    ledger_explain_hold(c->cluster->ledger, w->hold, text, sizeof text);
    d->reason = objects_text(&c->turn, str_of(text));
    d->has_nodes_considered = true;
    d->nodes_considered = ledger_nodes_count(c->cluster->ledger);
    at->has_seconds = true;
    at->seconds = wall_seconds(c->wall);
    at->has_nanos = true;
    at->nanos = (int32_t)(c->wall.ns % 1000000000 / 1000 * 1000);
    d->decided_at = at;
    ref->api_version = w->pod != NULL ? (char *)"v1" : (char *)"kubevirt.io/v1";
    ref->kind = w->pod != NULL ? (char *)"Pod" : (char *)"VirtualMachineInstance";
    ref->namespace_ = objects_text(&c->turn, w->namespace);
    ref->name = objects_text(&c->turn, w->name);
    ref->uid = objects_text(&c->turn, w->uid);
    spec->decision = d;
    spec->workload = ref;
    return true;
}

static Meta__ObjectMeta *placement_meta(struct core *c, const struct candidate *w,
                                        const Baton__WorkloadRef *ref)
{
    struct str key = cluster_placement_key(c, w->key);
    struct index_key at;
    char uid[RNG_UUID_LEN + 1];
    Meta__ObjectMeta *m = message(c, sizeof *m, &meta__object_meta__descriptor);
    Meta__OwnerReference *owner = message(c, sizeof *owner, &meta__owner_reference__descriptor);
    Meta__OwnerReference **owners = arena_zalloc(&c->turn, 1, sizeof *owners);
    if (m == NULL || owner == NULL || owners == NULL || !index_key_parse(key, &at))
        return NULL;
    rng_uuid(&c->rng, uid);
    m->name = objects_text(&c->turn, at.name);
    m->namespace_ = ref->namespace_;
    m->uid = objects_text(&c->turn, str_of(uid));
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

static Baton__Placement *placement_of(struct core *c, const struct candidate *w,
                                      const struct node_state *n)
{
    struct names *names = ledger_names(c->cluster->ledger);
    const Baton__NodeHardwareSpec *hw = n->spec;
    Baton__Placement *p = message(c, sizeof *p, &baton__placement__descriptor);
    Baton__PlacementSpec *spec = message(c, sizeof *spec, &baton__placement_spec__descriptor);
    Baton__PlacementStatus *status =
        message(c, sizeof *status, &baton__placement_status__descriptor);
    if (hw == NULL || p == NULL || spec == NULL || status == NULL ||
        sched_view_rows(names, &c->turn, w->rows, &w->request, hw, spec, NULL) != ERR_OK ||
        !host_ports(c, w, spec) || !decision(c, w, spec))
        return NULL;
    spec->has_host_network = w->pod != NULL && w->pod->spec->host_network;
    spec->host_network = spec->has_host_network;
    spec->has_emulator_in_pool = w->machine != NULL;
    spec->emulator_in_pool = w->machine != NULL;
    spec->has_generation = true;
    spec->generation = 1;
    status->phase = (char *)"Held";
    p->metadata = placement_meta(c, w, spec->workload);
    p->spec = spec;
    p->status = status;
    return p->metadata == NULL ? NULL : p;
}

/* ---- what the object says ---- */

static void say_placed(struct core *c, struct candidate *w, const char *node)
{
    if (w->pod != NULL) {
        w->pod->spec->node_name = (char *)node;
        w->pod->status->message = NULL;
        status_pod_condition(c, w->pod->status, "PodScheduled", true, NULL, STR(""));
    } else {
        w->machine->status->node_name = (char *)node;
        status_machine_phase(c, w->machine->status, "Scheduled");
        status_machine_condition(c, w->machine->status, "PodScheduled", true, NULL, STR(""));
        status_machine_condition(c, w->machine->status, "Ready", false, "GuestNotRunning",
                                 STR("Guest VM is not reported as running"));
    }
}

static void say_waiting(struct core *c, struct candidate *w)
{
    if (w->pod != NULL) {
        status_pod_condition(c, w->pod->status, "PodScheduled", false, w->reason, str_of(w->why));
        w->pod->status->message = w->why; /* Where `kubectl describe` shows it, too. */
    } else {
        status_machine_phase(c, w->machine->status, "Pending");
        status_machine_condition(c, w->machine->status, "PodScheduled", false, w->reason,
                                 str_of(w->why));
    }
}

/* The same words as the condition's. Waiting behind a gate is nothing that happened. */
static void tell_waiting(struct core *c, const struct candidate *w)
{
    if (strcmp(w->reason, "Unschedulable") != 0)
        return;
    events_tell(c, &(struct event_note){.api_version = w->pod != NULL ? "v1" : "kubevirt.io/v1",
                                        .kind = w->pod != NULL ? "Pod" : "VirtualMachineInstance",
                                        .namespace = w->namespace,
                                        .name = w->name,
                                        .uid = w->uid,
                                        .reason = "FailedScheduling",
                                        .warning = true,
                                        .message = str_of(w->why)});
}

/* The same words as the Placement's, when it is durable. */
static void tell_placed(struct core *c, const struct held *h)
{
    struct cow_entry *e = events_wanted(c) ? core_find(c, str_of(h->key)) : NULL;
    Baton__Placement *p =
        e == NULL ? NULL : typed_open(&c->turn, &baton__placement__descriptor, blob_str(e->value));
    if (p == NULL || p->spec == NULL || p->spec->workload == NULL || p->spec->decision == NULL)
        return;
    const Baton__WorkloadRef *ref = p->spec->workload;
    events_tell(c, &(struct event_note){.api_version = h->is_machine ? "kubevirt.io/v1" : "v1",
                                        .kind = h->is_machine ? "VirtualMachineInstance" : "Pod",
                                        .namespace = str_of(ref->namespace_),
                                        .name = str_of(ref->name),
                                        .uid = str_of(ref->uid),
                                        .reason = "Scheduled",
                                        .message = str_of(p->spec->decision->reason)});
}

static bool have_status(struct core *c, struct candidate *w)
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
        tell_placed(c, h);
        return;
    }
    map_remove(&c->cluster->by_hold, str_from(&h->hold, sizeof h->hold));
    ledger_undo(c->cluster->ledger, hold);
    h->hold = 0;
    cluster_unhold(c, h);
}

/* The Placement into the stage that holds the object. False: it was refused, and nothing is held. */
static bool stage_placement(struct core *c, struct stage *s, struct candidate *w)
{
    struct node_state *n =
        cluster_node(c, names_text(ledger_names(c->cluster->ledger), w->rows->node_name));
    struct str key = cluster_placement_key(c, w->key);
    Baton__Placement *p = n == NULL ? NULL : placement_of(c, w, n);
    struct str bytes = p == NULL ? (struct str){NULL, 0}
                                 : typed_wrap(&c->turn, "baton.dev/v1", "Placement", &p->base);
    struct held *h = bytes.at == NULL ? NULL : cluster_hold(c, key, w->key, n);
    if (h == NULL) {
        ledger_undo(c->cluster->ledger, w->hold);
        stage_refuse(s, WRITE_BUSY, "the decision could not be written down");
        return false;
    }
    snprintf(h->uid, sizeof h->uid, "%s", p->metadata->uid);
    snprintf(h->workload_uid, sizeof h->workload_uid, STR_FMT, STR_ARG(w->uid));
    h->is_machine = w->machine != NULL;
    h->hold = w->hold;
    CHECK(map_put(&c->cluster->by_hold, str_from(&h->hold, sizeof h->hold), h) == ERR_OK);
    CHECK(map_put(&c->cluster->by_uid, str_of(h->uid), h) == ERR_OK);
    stage_on_settled(s, settled, w->hold);
    stage_put(s, key, bytes, NULL);
    if (!stage_is_refused(s))
        say_placed(c, w, n->name);
    return !stage_is_refused(s);
}

void placing_create(struct core *c, struct stage *s, struct draft *d)
{
    struct candidate w;
    if (!cluster_has_room(c)) {
        stage_refuse(s, WRITE_BUSY, "too much at once");
        return;
    }
    if (!open_candidate(c, &w, d->key, &d->at, d->object)) {
        stage_refuse(s, WRITE_INVALID, "the object does not decode");
        return;
    }
    w.uid = d->edit.uid;
    if (!have_status(c, &w))
        return;
    if (!is_foreign(&w)) {
        if (!decide(c, &w)) {
            say_waiting(c, &w);
            if (!d->request->dry_run)
                tell_waiting(c, &w);
        } else if (!stage_placement(c, s, &w)) {
            return;
        }
    }
    struct str bytes = close_candidate(c, &w);
    if (bytes.at != NULL)
        d->object = bytes;
    else
        stage_refuse(s, WRITE_BUSY, "too much at once");
}

/* Graceful while an agent may have it; at once when nobody does, or when the client insists. */
void placing_remove(struct core *c, struct stage *s, struct draft *d)
{
    struct candidate w;
    struct held *h = cluster_held(c, cluster_placement_key(c, d->key));
    (void)s;
    d->grace_s = 0;
    if (h == NULL || !open_candidate(c, &w, d->key, &d->at, d->object))
        return;
    d->grace_s = d->request->grace_seconds;
    if (d->grace_s >= 0)
        return;
    d->grace_s = 30;
    if (w.pod != NULL && w.pod->spec->has_termination_grace_period_seconds)
        d->grace_s = w.pod->spec->termination_grace_period_seconds;
    if (w.machine != NULL && w.machine->spec->has_termination_grace_period_seconds)
        d->grace_s = w.machine->spec->termination_grace_period_seconds;
    /* Its own zero means "at once", but rows are given back by the agent: one second, as the
     * kubelet's shortest. A client's explicit 0 is a force delete. */
    if (d->grace_s == 0)
        d->grace_s = 1;
}

/* Its rows are taken as long as it stands: only the agent's word ends it. */
void placing_keep(struct core *c, struct stage *s, struct draft *d)
{
    (void)s;
    d->grace_s = 0;
    d->hold = cluster_held(c, d->key) != NULL;
}

uint64_t placing_topic(struct core *c, const struct cow_entry *e)
{
    const struct held *h = cluster_held(c, cow_entry_key(e));
    return h == NULL || h->node == NULL ? 0 : str_hash(str_of(h->node->name));
}

/* ---- waiting ---- */

static void wait(struct core *c, struct str key)
{
    if (map_find(&c->cluster->waiting, key) != NULL)
        return;
    char *copy = mem_zalloc(1, key.len + 1);
    memcpy(copy, key.at, key.len);
    if (map_put(&c->cluster->waiting, str_of(copy), copy) != ERR_OK)
        mem_free(copy);
}

static void wait_no_more(struct core *c, struct str key)
{
    mem_free(map_remove(&c->cluster->waiting, key));
}

void placing_room(struct core *c)
{
    const struct map_entry *e;
    for (uint32_t at = 0; (e = map_next(&c->cluster->waiting, &at)) != NULL;)
        core_mark(c, CONTROL_PLACING, e->key);
}

void placing_changed(struct core *c, const struct core_change *change)
{
    bool placement =
        str_is(change->at.group, "baton.dev") && str_is(change->at.plural, "placements");
    if (placement || is_placed_kind(&change->at))
        core_mark(c, CONTROL_PLACING, cow_entry_key(change->is.now));
}

/* A Placement as it durably is: its revision is the start's fencing token. */
static void placement_seen(struct core *c, struct str key)
{
    struct cow_entry *e = core_find(c, key);
    struct held *h = cluster_held(c, key);
    if (h != NULL && e == NULL && h->revision != 0) {
        struct str workload = arena_str(&c->turn, str_of(h->workload_key));
        agents_tell_removed(c, h);
        cluster_unhold(c, h);
        placing_room(c);
        core_mark(c, CONTROL_PLACING, workload);
    } else if (h != NULL && e != NULL && h->revision == 0) {
        h->revision = e->stamp;
        agents_tell(c, h);
    }
}

/* Leaving, or it ran somewhere once: nothing is run a second time by itself. */
static bool is_over(const struct candidate *w)
{
    const char *phase = w->pod != NULL ? w->pod->status->phase : w->machine->status->phase;
    const Meta__ObjectMeta *m = w->pod != NULL ? w->pod->metadata : w->machine->metadata;
    return (phase != NULL && !str_is(str_of(phase), "Pending")) || m->deletion_timestamp != NULL;
}

/* One workload without a Placement: try again, and say what is short when that has changed. */
static enum reconcile retry(struct core *c, struct candidate *w)
{
    struct str before = close_candidate(c, w);
    struct stage *s = stage_begin(c);
    bool placed = decide(c, w);
    if (placed && !stage_placement(c, s, w)) {
        stage_end(s);
        return RECONCILE_LATER;
    }
    if (!placed) {
        say_waiting(c, w);
        tell_waiting(c, w);
    }
    struct str after = close_candidate(c, w);
    if (after.at == NULL)
        stage_refuse(s, WRITE_BUSY, "too much at once");
    else if (placed || !str_eq(before, after))
        stage_put(s, w->key, after, NULL);
    else
        stage_refuse(s, WRITE_OK, "nothing has changed");
    stage_end(s);
    return RECONCILE_DONE;
}

enum reconcile placing_reconcile(struct core *c, struct str key)
{
    struct index_key at;
    struct candidate w;
    struct cow_entry *e = core_find(c, key);
    if (!index_key_parse(key, &at))
        return RECONCILE_DONE;
    if (!is_placed_kind(&at)) {
        placement_seen(c, key);
        return RECONCILE_DONE;
    }
    struct held *h = cluster_held(c, cluster_placement_key(c, key));
    struct meta m;
    bool mine = h != NULL && e != NULL && meta_read(blob_str(e->value), &m, NULL) == ERR_OK &&
                str_is(m.uid, h->workload_uid);
    if (h != NULL && h->revision != 0)
        agents_tell(c, h);
    if (e == NULL || mine) {
        wait_no_more(c, key);
        return RECONCILE_DONE;
    }
    if (core_is_busy(c, key) || !cluster_has_room(c))
        return RECONCILE_LATER;
    if (!open_candidate(c, &w, key, &at, blob_str(e->value)) || !have_status(c, &w) ||
        is_over(&w) || is_foreign(&w)) {
        wait_no_more(c, key);
        return RECONCILE_DONE;
    }
    w.uid = str_of(w.pod != NULL ? w.pod->metadata->uid : w.machine->metadata->uid);
    wait(c, key);
    return retry(c, &w);
}

/* ---- at start ---- */

/* What the rows stand for: the workload's own words, for the rules between workloads; its amounts as they
 * were decided. A workload that is gone, or is another by now, leaves only the amounts. */
static void restored_request(struct core *c, struct str key, const Baton__PlacementSpec *spec,
                             struct request *out)
{
    struct candidate w;
    struct index_key at;
    struct cow_entry *e = core_find(c, key);
    *out = (struct request){0};
    if (e != NULL && index_key_parse(key, &at) &&
        open_candidate(c, &w, key, &at, blob_str(e->value)) && translate(c, &w, NULL) == ERR_OK)
        *out = w.request;
    out->memory_bytes = spec->memory_bytes;
    out->overhead_bytes = spec->overhead_bytes;
    out->shared_milli = spec->shared_millis;
    out->exclusive_cpus = spec->exclusive == NULL ? 0 : (uint32_t)spec->exclusive->n_cpus;
    out->address_wanted = out->mac_wanted = spec->n_addresses > 0;
}

static void restore(struct core *c, struct cow_entry *e)
{
    struct cluster *k = c->cluster;
    struct err err = {0};
    Baton__Placement *p = typed_open(&c->turn, &baton__placement__descriptor, blob_str(e->value));
    if (p == NULL || p->spec == NULL || p->spec->workload == NULL || p->metadata == NULL)
        return;
    const Baton__WorkloadRef *ref = p->spec->workload;
    bool machine = str_is(str_of(ref->kind), "VirtualMachineInstance");
    struct str workload =
        core_key(c, machine ? "kubevirt.io" : "", machine ? "virtualmachineinstances" : "pods",
                 str_of(ref->namespace_), str_of(ref->name));
    struct node_state *n = cluster_node_make(c, str_of(p->spec->node));
    struct held *h = n == NULL ? NULL : cluster_hold(c, cow_entry_key(e), workload, n);
    if (h == NULL)
        return;
    snprintf(h->uid, sizeof h->uid, "%s", p->metadata->uid == NULL ? "" : p->metadata->uid);
    snprintf(h->workload_uid, sizeof h->workload_uid, "%s", ref->uid == NULL ? "" : ref->uid);
    h->is_machine = machine;
    h->revision = e->stamp;
    h->released = p->status != NULL && str_is(str_of(p->status->phase), "Released");
    CHECK(map_put(&k->by_uid, str_of(h->uid), h) == ERR_OK);
    const Baton__NodeHardwareSpec *hw = n->spec;
    struct placement *rows = arena_alloc(&c->turn, sizeof *rows);
    struct request r;
    if (h->released || hw == NULL || rows == NULL)
        return;
    restored_request(c, workload, p->spec, &r);
    enum err_code code = sched_view_stored(ledger_names(k->ledger), p->spec, hw, rows, &err);
    r.ports = rows->ports;
    r.ports_count = rows->ports_count;
    if (code == ERR_OK)
        code = ledger_restore(k->ledger, &r, rows, &h->hold, &err);
    if (code == ERR_OK)
        CHECK(map_put(&k->by_hold, str_from(&h->hold, sizeof h->hold), h) == ERR_OK);
    else
        snprintf(n->marked, sizeof n->marked, "%s: %s", h->key, err.text);
}

/* Each with memory of its own: together they may be more than a turn's. */
void placing_loaded(struct core *c)
{
    struct arena turn = c->turn;
    struct index_range r;
    struct cow_entry *e;
    core_range(c, &r, STR("baton.dev/placements/"));
    while ((e = index_range_next(&r)) != NULL) {
        arena_init(&c->turn, turn.limit);
        restore(c, e);
        arena_free(&c->turn);
    }
    c->turn = turn;
}
