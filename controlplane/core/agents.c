/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sessions of node agents. Down goes what is wanted of each Placement, up comes what is: both
 * level-triggered, so that whatever is lost costs a delay. A report is acknowledged when what it
 * changed is durable.
 */
#include "api/kinds.h"
#include "base/check.h"
#include "base/mem.h"
#include "controlplane/core/cluster.h"
#include "controlplane/core/events.h"
#include "controlplane/core/images.h"

#include <stdio.h>

enum {
    PROTOCOL = 1,
    MESSAGE_BYTES_MAX = 8 << 20, /* One message, decoded. */
    REPORT_BYTES_MAX = 256 << 10,
    REPORT_CONTAINERS_MAX = KIND_CONTAINERS_MAX,
    REPORT_DEVICES_MAX = 1024, /* Of all its containers. */
    REASON_MAX = 64,
    MESSAGE_MAX = 1024,
};

static void close_session(struct core *c, uint64_t session, const char *why)
{
    core_emit(c, &(struct core_effect){.type = FX_AGENT_CLOSE, .session = session, .text = why});
}

static void hang_up(struct core *c, struct node_state *n, const char *why)
{
    close_session(c, n->session, why);
    cluster_set_session(c, n, 0);
}

/* ---- down ---- */

static void resync(struct core *c, struct node_state *n)
{
    Agent__ServerMessage m = AGENT__SERVER_MESSAGE__INIT;
    Agent__ResyncBegin begin = AGENT__RESYNC_BEGIN__INIT;
    Agent__ResyncEnd end = AGENT__RESYNC_END__INIT;
    m.message_case = AGENT__SERVER_MESSAGE__MESSAGE_RESYNC_BEGIN;
    m.resync_begin = &begin;
    agents__send(c, n, &m);
    end.has_assigns_count = true;
    for (struct held *h = n->first; h != NULL; h = h->next) {
        if (h->revision == 0)
            continue; /* Not durable yet: its own change brings it. */
        h->told_session = 0;
        agents_tell(c, h);
        end.assigns_count++;
    }
    m.message_case = AGENT__SERVER_MESSAGE__MESSAGE_RESYNC_END;
    m.resync_end = &end;
    agents__send(c, n, &m);
}

static void ack(struct core *c, struct node_state *n, const char *uid, uint64_t sequence)
{
    Agent__ServerMessage m = AGENT__SERVER_MESSAGE__INIT;
    Agent__StatusAck a = AGENT__STATUS_ACK__INIT;
    a.placement_uid = (char *)uid;
    a.has_sequence = true;
    a.sequence = sequence;
    m.message_case = AGENT__SERVER_MESSAGE__MESSAGE_STATUS_ACK;
    m.status_ack = &a;
    agents__send(c, n, &m);
}

/* ---- up ---- */

static void hello(struct core *c, struct node_state *n, const Agent__Hello *h)
{
    Agent__ServerMessage m = AGENT__SERVER_MESSAGE__INIT;
    Agent__HelloReply r = AGENT__HELLO_REPLY__INIT;
    Agent__Cluster cluster = AGENT__CLUSTER__INIT;
    struct meta meta;
    if (h->protocol_min > PROTOCOL || h->protocol_max < PROTOCOL) {
        hang_up(c, n, "this control plane speaks protocol version 1");
        return;
    }
    struct cow_entry *e = core_find(c, core_key(c, "", "nodes", STR(""), str_of(n->name)));
    if (e != NULL && meta_read(blob_str(e->value), &meta, NULL) == ERR_OK)
        r.node_uid = arena_dup(&c->turn, meta.uid);
    cluster.id = objects_text(&c->turn, c->config.cluster_id);
    cluster.pod_network = objects_text(&c->turn, c->config.pod_network);
    cluster_give_subnet(c, n);
    cluster.node_subnet = n->subnet;
    r.has_protocol = r.has_lease_ns = r.has_renew_ns = true;
    r.protocol = PROTOCOL;
    r.lease_ns = nodes_lease().ns;
    r.renew_ns = nodes_renew().ns;
    r.cluster = &cluster;
    m.message_case = AGENT__SERVER_MESSAGE__MESSAGE_HELLO_REPLY;
    m.hello_reply = &r;
    agents__send(c, n, &m);
    n->greeted = true;
    nodes_opened(c, n);
    peers_greet(c, n, h->peers_digest);
    resync(c, n);
}

static void renew(struct core *c, struct node_state *n, const Agent__LeaseRenew *r)
{
    Agent__ServerMessage m = AGENT__SERVER_MESSAGE__INIT;
    Agent__LeaseGrant g = AGENT__LEASE_GRANT__INIT;
    g.has_sequence = g.has_sent_ns = g.has_lease_ns = true;
    g.sequence = r->sequence;
    g.sent_ns = r->sent_ns;
    g.lease_ns = nodes_lease().ns;
    m.message_case = AGENT__SERVER_MESSAGE__MESSAGE_LEASE_GRANT;
    m.lease_grant = &g;
    nodes_heard(c, n);
    pressure_told(c, n, r);
    agents__send(c, n, &m);
}

/* Level-triggered reports carry news beside the state; each is told once. */
static void news(struct core *c, struct held *h, const Agent__WorkloadStatus *s)
{
    struct index_key at;
    if (!index_key_parse(str_of(h->workload_key), &at))
        return;
    for (size_t i = 0; i < s->n_happenings; i++) {
        const Agent__Happening *from = s->happenings[i];
        struct str reason = str_of(from->reason), container = str_of(from->container);
        struct str text = str_slice(str_of(from->message), 0, MESSAGE_MAX);
        if (from->at_ns <= h->happened_ns || reason.len == 0 || reason.len > REASON_MAX ||
            container.len > CLUSTER_NAME_MAX || !str_is_utf8(reason) || !str_is_utf8(container) ||
            !str_is_utf8(text))
            continue; /* No agent of ours says that. */
        h->happened_ns = from->at_ns;
        struct event_note note = {.api_version = h->is_machine ? "kubevirt.io/v1" : "v1",
                                  .kind = h->is_machine ? "VirtualMachineInstance" : "Pod",
                                  .namespace = at.namespace,
                                  .name = at.name,
                                  .uid = str_of(h->workload_uid),
                                  .reason = from->reason,
                                  .warning = from->warning,
                                  .message = text,
                                  .node = str_of(h->node->name),
                                  .at = {from->at_ns}};
        if (container.len > 0)
            note.field_path =
                arena_printf(&c->turn, "spec.%s{" STR_FMT "}",
                             from->init ? "initContainers" : "containers", STR_ARG(container));
        events_tell(c, &note);
    }
}

/* Something runs there that nobody placed there. Its end, or the next session, clears the node of it. */
static void stranger(struct core *c, struct node_state *n, const Agent__WorkloadStatus *s)
{
    struct str uid = str_of(s->placement_uid);
    if (s->gone ? !str_is(uid, n->stranger) : uid.len == 0 || uid.len >= sizeof n->stranger)
        return;
    snprintf(n->stranger, sizeof n->stranger, "%s", s->gone ? "" : s->placement_uid);
    nodes_look(c, n);
}

static size_t devices_of(const Agent__WorkloadStatus *s)
{
    size_t count = 0;
    for (size_t i = 0; i < s->n_containers; i++)
        count += s->containers[i]->n_devices;
    return count;
}

static void report(struct core *c, struct node_state *n, const Agent__WorkloadStatus *s)
{
    if (s->n_containers > REPORT_CONTAINERS_MAX || devices_of(s) > REPORT_DEVICES_MAX ||
        protobuf_c_message_get_packed_size(&s->base) > REPORT_BYTES_MAX)
        return; /* No agent of ours says so much; it will not be acknowledged. */
    struct held *h = cluster_held_uid(c, str_of(s->placement_uid));
    if (h == NULL || h->node != n || h->revision == 0) {
        stranger(c, n, s);
        if (s->placement_uid != NULL) /* Nobody knows it any more: the agent may forget it, too. */
            ack(c, n, s->placement_uid, s->sequence);
        return;
    }
    news(c, h, s);
    struct str bytes = objects_pack(&c->turn, &s->base);
    if (bytes.at == NULL)
        return;
    blob_unref(h->report);
    h->report = blob_new(bytes);
    h->sequence = s->sequence;
    c->counts.acknowledged += !h->acknowledged;
    h->acknowledged = true;
    core_mark(c, CONTROL_AGENTS, str_of(h->key));
}

static void dispatch(struct core *c, struct node_state *n, const Agent__AgentMessage *m);

/* Decoded in memory of its own: what an agent sends cannot eat the turn's. */
static void up(struct core *c, struct node_state *n, struct str bytes)
{
    struct arena scratch;
    arena_init(&scratch, MESSAGE_BYTES_MAX);
    ProtobufCAllocator allocator = typed_allocator(&scratch);
    dispatch(c, n, agent__agent_message__unpack(&allocator, bytes.len, (const uint8_t *)bytes.at));
    arena_free(&scratch);
}

/* A session begins with its one Hello: each is answered with all that is placed there. */
static void dispatch(struct core *c, struct node_state *n, const Agent__AgentMessage *m)
{
    bool greets = m != NULL && m->message_case == AGENT__AGENT_MESSAGE__MESSAGE_HELLO;
    if (m == NULL || greets == n->greeted) {
        hang_up(c, n, "a message that does not decode, or no Hello first, or a second one");
        return;
    }
    switch (m->message_case) {
    case AGENT__AGENT_MESSAGE__MESSAGE_HELLO:
        hello(c, n, m->hello);
        break;
    case AGENT__AGENT_MESSAGE__MESSAGE_HARDWARE:
        if (m->hardware->spec != NULL && !nodes_hardware(c, n, m->hardware->spec))
            hang_up(c, n, "its hardware is longer than any machine's, or holds what is no text");
        break;
    case AGENT__AGENT_MESSAGE__MESSAGE_IMAGES:
        images_told(c, n, m->images);
        nodes_look(c, n);
        break;
    case AGENT__AGENT_MESSAGE__MESSAGE_LEASE_RENEW:
        renew(c, n, m->lease_renew);
        break;
    case AGENT__AGENT_MESSAGE__MESSAGE_WORKLOAD_STATUS:
        report(c, n, m->workload_status);
        break;
    case AGENT__AGENT_MESSAGE__MESSAGE_STATUS_END:
    case AGENT__AGENT_MESSAGE__MESSAGE_USAGE:
    case AGENT__AGENT_MESSAGE__MESSAGE_STREAM_READY: /* The shell's: streams do not pass here. */
    case AGENT__AGENT_MESSAGE__MESSAGE_STREAM_ERROR:
    case AGENT__AGENT_MESSAGE__MESSAGE__NOT_SET: /* From a later version. */
    case _AGENT__AGENT_MESSAGE__MESSAGE__CASE_IS_INT_SIZE:
        break;
    }
}

void agents_event(struct core *c, const struct core_event *ev)
{
    struct node_state *n;
    if (ev->type == EV_AGENT_OPENED) {
        n = c->is_loaded ? cluster_node_make(c, ev->agent.node) : NULL;
        if (n == NULL) {
            close_session(c, ev->agent.session, "not ready for agents yet");
            return;
        }
        if (n->session != 0)
            close_session(c, n->session, "the node opened another session");
        cluster_set_session(c, n, ev->agent.session);
        addresses_bar(n, ev->agent.bytes);
        return;
    }
    n = cluster_node_session(c, ev->agent.session);
    if (n == NULL)
        return;
    if (ev->type == EV_AGENT_MESSAGE)
        up(c, n, ev->agent.bytes);
    else
        cluster_set_session(c, n, 0);
}

/* ---- reports become durable ---- */

static void settled(struct core *c, uint64_t hold, bool durable)
{
    struct held *h = cluster_held_hold(c, hold);
    if (h == NULL || h->report == NULL)
        return;
    core_mark(c, CONTROL_AGENTS,
              str_of(h->key)); /* It looks again: then nothing differs, and acks. */
    (void)durable;
}

/* The agent says that nothing is left: the Placement goes, and with it the object that was leaving. The
 * same for what a forgotten node held, as Kubernetes' pod garbage collector does: should the node come
 * back, its resync names none of it, and it stops what still runs. */
static enum reconcile gone(struct core *c, struct held *h)
{
    struct meta meta;
    struct cow_entry *workload = agents__workload(c, h, &meta);
    if (core_is_busy(c, str_of(h->key)) || core_is_busy(c, str_of(h->workload_key)))
        return RECONCILE_LATER;
    if (workload != NULL && (meta.is_deleting || h->node->forgotten) &&
        !core_delete(c, str_of(h->workload_key), str_of(h->workload_uid), 0, ""))
        return RECONCILE_LATER;
    if (h->hold != 0)
        ledger_foretell(c->cluster->ledger, h->hold);
    struct stage *s = stage_begin(c);
    stage_remove(s, str_of(h->key));
    stage_end(s);
    return RECONCILE_DONE;
}

static bool is_over(const Agent__WorkloadStatus *s)
{
    return s->phase == AGENT__RUNTIME_PHASE__RUNTIME_PHASE_SUCCEEDED ||
           s->phase == AGENT__RUNTIME_PHASE__RUNTIME_PHASE_FAILED;
}

/* A finished workload's rows are free: the agent reports the end only when everything is gone. */
static void release(struct core *c, struct held *h, struct stage *s, Baton__Placement *p)
{
    if (p == NULL || p->status == NULL)
        return;
    ledger_foretell(c->cluster->ledger, h->hold); /* When this is durable, it goes. */
    p->status->phase = (char *)"Released";
    p->status->released_at = objects_time(&c->turn, c->wall);
    stage_put(s, str_of(h->key), typed_wrap(&c->turn, "baton.dev/v1", "Placement", &p->base), NULL);
}

static void released(struct core *c, uint64_t hold, bool durable)
{
    struct held *h = cluster_held_hold(c, hold);
    if (h == NULL || !durable)
        return;
    h->released = true;
    placing_let_go(c, h);
    cluster_set_hold(c, h, 0);
    core_mark(c, CONTROL_AGENTS, str_of(h->key));
}

static void heard(struct core *c, struct held *h)
{
    ack(c, h->node, h->uid, h->sequence);
    blob_unref(h->report);
    h->report = NULL;
}

/* What the report says into the object, and the rows' end with it, as one transaction. */
static enum reconcile carry(struct core *c, struct held *h, const Agent__WorkloadStatus *s,
                            const struct cow_entry *placement, const struct cow_entry *workload)
{
    Baton__Placement *p =
        typed_open(&c->turn, &baton__placement__descriptor, blob_str(placement->value));
    struct str after, object = blob_str(workload->value);
    bool is_other =
        STATUS_OTHER == (h->is_machine
                             ? status_machine(c, object, s, p == NULL ? NULL : p->spec, &after)
                             : status_pod(c, object, s, h->node, &after));
    bool ends = is_over(s) && !h->released && h->hold != 0;
    if (!is_other && !ends) {
        heard(c, h);
        return RECONCILE_DONE;
    }
    struct stage *stage = stage_begin(c);
    if (is_other)
        stage_put(stage, str_of(h->workload_key), after, NULL);
    if (ends)
        release(c, h, stage, p);
    stage_on_settled(stage, ends ? released : settled, h->hold);
    stage_end(stage);
    return RECONCILE_DONE;
}

enum reconcile agents_reconcile(struct core *c, struct str key)
{
    struct held *h = cluster_held(c, key);
    struct meta meta;
    if (h != NULL && !cluster_has_room(c))
        return RECONCILE_LATER;
    if (h != NULL && h->node != NULL && h->node->forgotten)
        return gone(c, h);
    if (h == NULL || h->report == NULL)
        return RECONCILE_DONE;
    if (core_is_busy(c, str_of(h->key)) || core_is_busy(c, str_of(h->workload_key)))
        return RECONCILE_LATER;
    ProtobufCAllocator allocator = typed_allocator(&c->turn);
    Agent__WorkloadStatus *s =
        agent__workload_status__unpack(&allocator, h->report->len, (const uint8_t *)h->report->at);
    struct cow_entry *placement = core_find(c, key);
    struct cow_entry *workload = agents__workload(c, h, &meta);
    if (s == NULL || placement == NULL)
        return RECONCILE_DONE;
    if (s->gone)
        return gone(c, h);
    if (workload == NULL) {
        heard(c, h);
        return RECONCILE_DONE;
    }
    return carry(c, h, s, placement, workload);
}

/* Its name was freed, or bound anew: whoever has the session may not be whose the name is. If he is, he comes again. */
static void binding_changed(struct core *c, const struct core_change *change)
{
    struct str name = change->at.name, prefix = STR(CLUSTER_BINDING);
    if (!str_is(change->at.namespace, "kube-system") || !str_starts(name, prefix))
        return;
    struct node_state *n = cluster_node(c, str_slice(name, prefix.len, name.len));
    if (n != NULL && n->session != 0)
        hang_up(c, n, "the node's name is no longer bound to this key: join again");
}

/* placing_changed() sees Placements and workloads, and tells. What a workload waits for may come after it:
 * kubectl apply makes them in the order of its files. */
void agents_changed(struct core *c, const struct core_change *change)
{
    if (change->at.group.len == 0 && str_is(change->at.plural, "secrets"))
        binding_changed(c, change);
    bool mentioned =
        str_is(change->at.plural, "secrets") || str_is(change->at.plural, "configmaps");
    const struct map_entry *e;
    struct index_key at;
    if (!mentioned || change->is.deleted || c->cluster->lacking == 0)
        return;
    for (uint32_t i = 0; (e = map_next(&c->cluster->held, &i)) != NULL;) {
        const struct held *h = e->value;
        if (h->told_missing > 0 && index_key_parse(str_of(h->workload_key), &at) &&
            str_eq(at.namespace, change->at.namespace))
            core_mark(c, CONTROL_PLACING, str_of(h->workload_key));
    }
}

void agents_loaded(struct core *c)
{
    (void)c; /* Sessions begin anew. */
}
