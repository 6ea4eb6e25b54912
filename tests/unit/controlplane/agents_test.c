/* SPDX-License-Identifier: Apache-2.0 */
/* Agents' sessions: whose message is whose, and which subnet a node has. */
#include "api/typed.h"
#include "controlplane/core/cluster.h"
#include "proto/k8s/core_v1.pb-c.h"
#include "tests/testlib/test.h"
#include "tests/unit/controlplane/session.h"

#include <stdio.h>
#include <stdlib.h>

static void session_renew(struct world *w, uint64_t session)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__LeaseRenew r = AGENT__LEASE_RENEW__INIT;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_LEASE_RENEW;
    m.lease_renew = &r;
    session_says(w, session, &m);
}

/* How many messages the turn sends down the session; the subnet in its HelloReply, if there is one. */
static uint32_t told(struct world *w, uint64_t session, char subnet[32])
{
    uint32_t count = 0;
    struct core_effects fx = core_flush(w->core, w->now, w->wall);
    for (uint32_t i = 0; i < fx.count; i++) {
        const struct core_effect *x = &fx.at[i];
        if (x->type != FX_AGENT_SEND || x->session != session)
            continue;
        Agent__ServerMessage *m =
            agent__server_message__unpack(NULL, x->bytes.len, (const uint8_t *)x->bytes.at);
        cr_assert_not_null(m);
        if (m->message_case == AGENT__SERVER_MESSAGE__MESSAGE_HELLO_REPLY)
            snprintf(subnet, 32, "%s", m->hello_reply->cluster->node_subnet);
        agent__server_message__free_unpacked(m, NULL);
        count++;
    }
    return count;
}

TEST(agents, a_message_is_its_sessions_nodes_and_nobody_elses_after_the_end)
{
    char subnet[32] = "";
    struct world *w = world_new();
    session_hello(w, 11, "a");
    session_hello(w, 12, "b");
    told(w, 12, subnet);
    session_renew(w, 12);
    cr_assert_eq(told(w, 12, subnet), 1);
    session_event(w, EV_AGENT_CLOSED, 11, "a", STR(""));
    session_renew(w, 11);
    session_renew(w, 12);
    cr_assert_eq(told(w, 12, subnet), 1);
    session_hello(w, 13, "b"); /* Takes the place of 12, whose end comes late. */
    session_event(w, EV_AGENT_CLOSED, 12, "b", STR(""));
    session_renew(w, 13);
    cr_assert_gt(told(w, 13, subnet), 1);
    session_renew(w, 12);
    cr_assert_eq(told(w, 12, subnet), 0);
    world_free(w);
}

/* ---- what nobody placed ---- */

static void session_reports(struct world *w, uint64_t session, const char *uid, bool gone)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__WorkloadStatus s = AGENT__WORKLOAD_STATUS__INIT;
    s.placement_uid = (char *)uid;
    s.has_sequence = s.has_gone = true;
    s.sequence = 7;
    s.gone = gone;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_WORKLOAD_STATUS;
    m.workload_status = &s;
    session_says(w, session, &m);
}

static void session_has(struct world *w, uint64_t session, uint32_t numa)
{
    session_claims(w, session, numa, NULL);
}

/* "True uid-1"; "" when it is not there. */
static const char *condition_of(struct world *w, const char *type, char out[128])
{
    struct arena a;
    struct index_snapshot is = index_snapshot(core_index(w->core));
    struct cow_entry *e = index_find(&is, STR("/nodes//a"));
    arena_init(&a, 1 << 20);
    cr_assert_not_null(e);
    Core__Node *n = typed_open(&a, &core__node__descriptor, blob_str(e->value));
    cr_assert_not_null(n);
    out[0] = '\0';
    for (size_t i = 0; i < n->status->n_conditions; i++) {
        const Core__NodeCondition *at = n->status->conditions[i];
        if (strcmp(at->type, type) == 0)
            snprintf(out, 128, "%s %s", at->status, at->message == NULL ? "" : at->message);
    }
    arena_free(&a);
    index_snapshot_free(&is);
    return out;
}

static const char *unknown_workload(struct world *w, char out[128])
{
    return condition_of(w, "baton.dev/UnknownWorkload", out);
}

static void work_once(struct world *w)
{
    core_flush(w->core, w->now, w->wall);
}

static void create_pod_with(struct world *w, const char *name, Core__PodSpec spec)
{
    char key[64];
    struct arena a;
    Core__Pod p = CORE__POD__INIT;
    Meta__ObjectMeta m = META__OBJECT_META__INIT;
    arena_init(&a, 1 << 20);
    m.name = (char *)name;
    m.namespace_ = (char *)"default";
    spec.restart_policy = (char *)"Never";
    p.metadata = &m;
    p.spec = &spec;
    snprintf(key, sizeof key, "/pods/default/%s", name);
    struct blob *object = blob_new(typed_wrap(&a, "v1", "Pod", &p.base));
    world_write(
        w, &(struct write_request){.verb = WRITE_CREATE, .key = str_of(key), .object = object});
    session_work(w);
    blob_unref(object);
    arena_free(&a);
}

static void create_pod(struct world *w, const char *name)
{
    create_pod_with(w, name, (Core__PodSpec)CORE__POD_SPEC__INIT);
}

/* It keeps what it holds and takes nothing new until it says something better. */
TEST(agents, a_node_whose_hardware_contradicts_itself_takes_nothing_new)
{
    char text[128];
    struct world *w = world_new();
    session_hello(w, 11, "a");
    session_has(w, 11, 0);
    session_work(w);
    create_pod(w, "one");
    cr_assert(world_has(w, "baton.dev/placements/default/pods.one"));
    session_has(w, 11, 3);
    session_work(w);
    cr_assert_str_eq(condition_of(w, "baton.dev/LedgerConflict", text),
                     "True core 0 is in NUMA node 3, which is not there");
    create_pod(w, "two");
    cr_assert(world_has(w, "/pods/default/two"));
    cr_assert(!world_has(w, "baton.dev/placements/default/pods.two"));
    cr_assert(world_has(w, "baton.dev/placements/default/pods.one"));
    world_pass(w, SPAN_S(5));
    session_has(w, 11, 0);
    session_work(w);
    cr_assert_str_eq(condition_of(w, "baton.dev/LedgerConflict", text), "False ");
    cr_assert(world_has(w, "baton.dev/placements/default/pods.two"));
    world_free(w);
}

/* It is acknowledged, so that the agent may forget it; the node says so until it has ended. */
TEST(agents, a_workload_that_nobody_placed_marks_its_node)
{
    char text[128];
    struct world *w = world_new();
    session_hello(w, 11, "a");
    session_has(w, 11, 0);
    cr_assert(world_settle(w));
    cr_assert_str_eq(unknown_workload(w, text), "");
    session_reports(w, 11, "uid-1", false);
    cr_assert(world_settle(w));
    cr_assert_str_eq(unknown_workload(w, text), "True uid-1");
    session_reports(w, 11, "uid-2", true); /* Nothing but an end: everybody's last word. */
    cr_assert(world_settle(w));
    cr_assert_str_eq(unknown_workload(w, text), "True uid-1");
    session_reports(w, 11, "uid-1", true);
    cr_assert(world_settle(w));
    cr_assert_str_eq(unknown_workload(w, text), "False ");
    world_free(w);
}

/* An agent that claims its neighbour's addresses, or all, would be sent their packets by every other node. */
TEST(agents, a_subnet_is_given_once_and_cannot_be_claimed)
{
    static const char *const claims[] = {"10.128.1.0/24", "10.128.0.0/9", "0.0.0.0/1", "nonsense"};
    char subnet[32] = "", text[128], wanted[128];
    struct world *w = world_new();
    session_hello(w, 11, "a");
    told(w, 11, subnet);
    cr_assert_str_eq(subnet, "10.128.0.0/24");
    session_hello(w, 12, "b");
    told(w, 12, subnet);
    cr_assert_str_eq(subnet, "10.128.1.0/24");
    for (size_t i = 0; i < COUNT_OF(claims); i++) {
        world_pass(w, SPAN_S(2));
        session_claims(w, 11, 0, claims[i]);
        session_work(w);
        snprintf(wanted, sizeof wanted, "True its agent says %s; the cluster gave it 10.128.0.0/24",
                 claims[i]);
        cr_assert_str_eq(condition_of(w, "baton.dev/SubnetClaimed", text), wanted);
    }
    session_claims(w, 11, 0, "10.128.0.0/24");
    session_work(w);
    cr_assert_str_eq(condition_of(w, "baton.dev/SubnetClaimed", text), "False ");
    session_hello(w, 13, "c"); /* What was claimed is still to be given. */
    told(w, 13, subnet);
    cr_assert_str_eq(subnet, "10.128.2.0/24");
    session_hello(w, 14, "b"); /* Another session of the same node. */
    told(w, 14, subnet);
    cr_assert_str_eq(subnet, "10.128.1.0/24");
    world_free(w);
}

/* All 1,024 parts of the default network are somebody else's. */
TEST(agents, a_node_without_a_subnet_says_so_and_takes_nothing_that_wants_an_address)
{
    char text[128], name[16];
    struct world *w = world_new();
    for (uint32_t i = 0; i < 1024; i++) {
        snprintf(name, sizeof name, "n%u", i);
        session_hello(w, 100 + i, name);
        session_event(w, EV_AGENT_CLOSED, 100 + i, name, STR(""));
        work_once(w);
    }
    session_hello(w, 11, "a");
    session_has(w, 11, 0);
    session_work(w);
    condition_of(w, "NetworkUnavailable", text);
    cr_assert(strncmp(text, "True all 1024 subnets of /24", 28) == 0, "%s", text);
    create_pod(w, "one");
    cr_assert(world_has(w, "/pods/default/one"));
    cr_assert(!world_has(w, "baton.dev/placements/default/pods.one"));
    world_free(w);
}

static uint32_t closed(struct world *w, uint64_t session)
{
    uint32_t count = 0;
    struct core_effects fx = core_flush(w->core, w->now, w->wall);
    for (uint32_t i = 0; i < fx.count; i++)
        count += fx.at[i].type == FX_AGENT_CLOSE && fx.at[i].session == session;
    return count;
}

static void session_describes(struct world *w, uint64_t session, Baton__NodeHardwareSpec *spec)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__Hardware hw = AGENT__HARDWARE__INIT;
    hw.spec = spec;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HARDWARE;
    m.hardware = &hw;
    session_says(w, session, &m);
}

/* Each would be answered with all that is placed there. */
TEST(agents, a_session_has_one_hello)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__Hello h = AGENT__HELLO__INIT;
    struct world *w = world_new();
    session_hello(w, 11, "a");
    cr_assert_eq(closed(w, 11), 0);
    h.has_protocol_min = h.has_protocol_max = true;
    h.protocol_min = h.protocol_max = 1;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HELLO;
    m.hello = &h;
    session_says(w, 11, &m);
    cr_assert_eq(closed(w, 11), 1);
    world_free(w);
}

/* What its Node is made of is every agent's in one memory. */
TEST(agents, a_description_longer_than_any_machines_ends_the_session)
{
    enum { ADDRESSES = 60000 };
    static char text[] = "224.0.0.1", no_text[] = "caf\xc3";
    Baton__NodeHardwareSpec spec = BATON__NODE_HARDWARE_SPEC__INIT;
    char **list = calloc(ADDRESSES, sizeof *list);
    struct world *w = world_new();
    session_hello(w, 11, "a");
    session_has(w, 11, 0);
    session_work(w);
    for (uint32_t i = 0; i < ADDRESSES; i++)
        list[i] = text;
    spec.host_addresses = list;
    spec.n_host_addresses = ADDRESSES;
    session_describes(w, 11, &spec);
    cr_expect_eq(closed(w, 11), 1);
    session_work(w);
    session_hello(w, 12, "a");
    cr_expect_eq(closed(w, 12), 0);
    spec.n_host_addresses = 0;
    spec.hostname = no_text;
    session_describes(w, 12, &spec);
    cr_expect_eq(closed(w, 12), 1);
    session_work(w);
    free(list);
    world_free(w);
}

/* Messages are cut to size where they are made, within a character at times. */
TEST(agents, a_message_that_is_no_text_takes_no_report_with_it)
{
    static char message[] = "no such file: caf\xc3\xa9/caf\xc3";
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__WorkloadStatus s = AGENT__WORKLOAD_STATUS__INIT;
    struct arena a;
    struct world *w = world_new();
    session_hello(w, 11, "a");
    session_has(w, 11, 0);
    session_work(w);
    create_pod(w, "one");
    struct held *h = cluster_held(w->core, STR("baton.dev/placements/default/pods.one"));
    cr_assert_not_null(h);
    s.placement_uid = h->uid;
    s.has_sequence = s.has_phase = true;
    s.sequence = 7;
    s.phase = AGENT__RUNTIME_PHASE__RUNTIME_PHASE_FAILED;
    s.message = message;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_WORKLOAD_STATUS;
    m.workload_status = &s;
    session_says(w, 11, &m);
    session_work(w);
    arena_init(&a, 1 << 20);
    struct cow_entry *e = core_find(w->core, STR("/pods/default/one"));
    Core__Pod *pod = typed_open(&a, &core__pod__descriptor, blob_str(e->value));
    cr_assert_not_null(pod);
    cr_expect_str_eq(pod->status->phase, "Failed");
    cr_expect_str_eq(pod->status->message, "no such file: caf\xc3\xa9/caf?");
    arena_free(&a);
    world_free(w);
}

/* ---- many of them ---- */

/* The ledger has room for as many nodes as the cluster: the default of the one was a fifth of the other's limit. */
TEST(agents, there_may_be_more_than_ten_thousand_nodes)
{
    enum { NODES = 10001 };
    struct world *w = world_new();
    struct ledger *l = w->core->cluster->ledger;
    struct topology_storage storage;
    struct topology t;
    struct err e = {0};
    char name[16];
    uint32_t node;
    cr_assert_eq(topology_uniform(&(struct topology_spec){1, 1, 1, 2, 1, 1 << 30, 0, 0, 0, 0},
                                  &storage, &t, &e),
                 ERR_OK);
    for (uint32_t i = 0; i < NODES; i++) {
        snprintf(name, sizeof name, "n%u", i);
        cr_assert_eq(names_intern(ledger_names(l), str_of(name), &t.name, &e), ERR_OK);
        cr_assert_eq(ledger_node_put(l, &t, &node, &e), ERR_OK, "%s", e.text);
    }
    world_free(w);
}

/* ---- a status that has no room ---- */

/* A pod of so many bytes. */
static enum write_result create_large(struct world *w, const char *name, size_t bytes)
{
    char key[64], *text = calloc(1, bytes + 1);
    struct arena a;
    Core__Pod p = CORE__POD__INIT;
    Core__PodSpec spec = CORE__POD_SPEC__INIT;
    Core__Container container = CORE__CONTAINER__INIT, *containers[] = {&container};
    Core__EnvVar variable = CORE__ENV_VAR__INIT, *env[] = {&variable};
    Meta__ObjectMeta m = META__OBJECT_META__INIT;
    arena_init(&a, 8 << 20);
    m.name = (char *)name;
    m.namespace_ = (char *)"default";
    container.name = (char *)"a";
    variable.name = (char *)"X";
    variable.value = memset(text, 'x', bytes);
    container.env = env;
    spec.containers = containers;
    container.n_env = spec.n_containers = 1;
    spec.restart_policy = (char *)"Never";
    p.metadata = &m;
    p.spec = &spec;
    snprintf(key, sizeof key, "/pods/default/%s", name);
    text[2 * bytes - typed_wrap(&a, "v1", "Pod", &p.base).len] = '\0';
    struct blob *object = blob_new(typed_wrap(&a, "v1", "Pod", &p.base));
    uint64_t op = world_write(
        w, &(struct write_request){.verb = WRITE_CREATE, .key = str_of(key), .object = object});
    session_work(w);
    blob_unref(object);
    arena_free(&a);
    free(text);
    return w->answers[op].result;
}

static uint64_t acked;

static void note_ack(void *arg, uint64_t session, struct str bytes)
{
    (void)arg;
    (void)session;
    Agent__ServerMessage *m =
        agent__server_message__unpack(NULL, bytes.len, (const uint8_t *)bytes.at);
    if (m->message_case == AGENT__SERVER_MESSAGE__MESSAGE_STATUS_ACK)
        acked = m->status_ack->sequence;
    agent__server_message__free_unpacked(m, NULL);
}

/* What cannot be stored whole is stored short, heard, and asked for no more. */
TEST(agents, a_status_without_room_is_cut_and_acknowledged)
{
    static char message[40 << 10];
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__WorkloadStatus s = AGENT__WORKLOAD_STATUS__INIT;
    Agent__ContainerFact f = AGENT__CONTAINER_FACT__INIT, *facts[] = {&f};
    struct arena a;
    struct world *w = world_new();
    w->sent = note_ack;
    session_hello(w, 11, "a");
    session_has(w, 11, 0);
    session_work(w);
    cr_expect_eq(create_large(w, "two", STORE_VALUE_MAX - (10 << 10)), WRITE_TOO_LARGE);
    cr_assert_eq(create_large(w, "one", STORE_VALUE_MAX - (20 << 10)), WRITE_OK);
    struct held *h = cluster_held(w->core, STR("baton.dev/placements/default/pods.one"));
    cr_assert_not_null(h);
    memset(message, 'm', sizeof message - 1);
    f.name = (char *)"a";
    f.message = message;
    s.containers = facts;
    s.n_containers = 1;
    s.placement_uid = h->uid;
    s.has_sequence = s.has_phase = true;
    s.sequence = 6;
    s.phase = AGENT__RUNTIME_PHASE__RUNTIME_PHASE_RUNNING;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_WORKLOAD_STATUS;
    m.workload_status = &s;
    acked = 0;
    session_says(w, 11, &m);
    session_work(w);
    cr_expect_eq(acked, 6);
    cr_expect_gt(core_deadline(w->core).ns, w->now.ns, "there is nothing left to do");
    s.sequence = 7;
    s.phase = AGENT__RUNTIME_PHASE__RUNTIME_PHASE_FAILED;
    s.message = message;
    s.reason = (char *)"Error";
    session_says(w, 11, &m);
    session_work(w);
    cr_expect_eq(acked, 7);
    cr_expect_gt(core_deadline(w->core).ns, w->now.ns, "there is nothing left to do");
    cr_expect_eq(h->hold, 0, "its rows are free");
    arena_init(&a, 8 << 20);
    struct cow_entry *e = core_find(w->core, STR("/pods/default/one"));
    Core__Pod *pod = typed_open(&a, &core__pod__descriptor, blob_str(e->value));
    cr_assert_not_null(pod);
    cr_expect_str_eq(pod->status->phase, "Failed");
    cr_expect_str_eq(pod->status->reason, "Error");
    arena_free(&a);
    world_free(w);
}

/* Each name of a device is told with room for all of them: what no machine has ends in no memory. */
TEST(agents, a_report_of_more_devices_than_any_machine_has_is_not_heard)
{
    enum { DEVICES = 6000 };
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__WorkloadStatus s = AGENT__WORKLOAD_STATUS__INIT;
    Agent__ContainerFact f = AGENT__CONTAINER_FACT__INIT, *facts[] = {&f};
    static Agent__DeviceFact devices[DEVICES], *list[DEVICES];
    static char names[DEVICES][8];
    struct world *w = world_new();
    w->sent = note_ack;
    session_hello(w, 11, "a");
    session_has(w, 11, 0);
    session_work(w);
    create_pod(w, "one");
    struct held *h = cluster_held(w->core, STR("baton.dev/placements/default/pods.one"));
    cr_assert_not_null(h);
    for (uint32_t i = 0; i < DEVICES; i++) {
        agent__device_fact__init(&devices[i]);
        snprintf(names[i], sizeof names[i], "%u", i);
        devices[i].name = names[i];
        list[i] = &devices[i];
    }
    f.name = (char *)"a";
    f.devices = list;
    f.n_devices = DEVICES;
    s.containers = facts;
    s.n_containers = 1;
    s.placement_uid = h->uid;
    s.has_sequence = true;
    s.sequence = 9;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_WORKLOAD_STATUS;
    m.workload_status = &s;
    acked = 0;
    session_says(w, 11, &m);
    session_work(w);
    cr_expect_eq(acked, 0);
    world_free(w);
}

/* Kubernetes: a time below nothing is one second. It is not at once: its agent has it yet. */
TEST(agents, a_grace_below_nothing_is_a_second)
{
    Core__PodSpec spec = CORE__POD_SPEC__INIT;
    struct world *w = world_new();
    session_hello(w, 11, "a");
    session_has(w, 11, 0);
    session_work(w);
    spec.has_termination_grace_period_seconds = true;
    spec.termination_grace_period_seconds = -5;
    create_pod_with(w, "one", spec);
    cr_assert(world_has(w, "baton.dev/placements/default/pods.one"));
    world_write(w, &(struct write_request){
                       .verb = WRITE_DELETE, .key = STR("/pods/default/one"), .grace_seconds = -1});
    session_work(w);
    cr_assert(world_has(w, "/pods/default/one"));
    cr_expect(world_meta(w, "/pods/default/one").is_deleting);
    cr_expect_eq(world_meta(w, "/pods/default/one").grace_s, 1);
    world_free(w);
}

/* A machine that starts again and again makes its object no longer each time. */
TEST(agents, a_machines_phases_are_told_once_each)
{
    static const Agent__RuntimePhase to_and_fro[] = {AGENT__RUNTIME_PHASE__RUNTIME_PHASE_RUNNING,
                                                     AGENT__RUNTIME_PHASE__RUNTIME_PHASE_PREPARING};
    Kubevirt__VirtualMachineInstance vm = KUBEVIRT__VIRTUAL_MACHINE_INSTANCE__INIT;
    Kubevirt__VirtualMachineInstanceSpec spec = KUBEVIRT__VIRTUAL_MACHINE_INSTANCE_SPEC__INIT;
    Kubevirt__DomainSpec domain = KUBEVIRT__DOMAIN_SPEC__INIT;
    Kubevirt__CPU cpu = KUBEVIRT__CPU__INIT;
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    Agent__WorkloadStatus s = AGENT__WORKLOAD_STATUS__INIT;
    struct world *w = world_new();
    struct arena *a = &w->core->turn;
    meta.name = (char *)"m";
    cpu.has_cores = true;
    cpu.cores = 2;
    domain.cpu = &cpu;
    spec.domain = &domain;
    vm.metadata = &meta;
    vm.spec = &spec;
    struct str object = typed_wrap(a, "kubevirt.io/v1", "VirtualMachineInstance", &vm.base), next;
    s.has_phase = true;
    for (uint32_t i = 0; i < 20; i++) {
        s.phase = to_and_fro[i % 2];
        cr_assert_eq(status_machine(w->core, object, &s, NULL, &next), STATUS_OTHER);
        object = next;
    }
    Kubevirt__VirtualMachineInstance *is =
        typed_open(a, &kubevirt__virtual_machine_instance__descriptor, object);
    cr_assert_not_null(is);
    cr_expect_str_eq(is->status->phase, "Scheduled");
    cr_expect_eq(is->status->n_phase_transition_timestamps, 2);
    world_free(w);
}

static struct blob *grown(struct str value)
{
    struct arena a;
    arena_init(&a, 8 << 20);
    Core__Pod *pod = typed_open(&a, &core__pod__descriptor, value);
    char *text = arena_zalloc(&a, STORE_VALUE_MAX, 1);
    cr_assert(pod != NULL && text != NULL);
    pod->spec->hostname = memset(text, 'x', STORE_VALUE_MAX - value.len - 20);
    struct blob *large = blob_new(typed_wrap(&a, "v1", "Pod", &pod->base));
    arena_free(&a);
    return large;
}

/* A pod that was stored when there was no room to be left is no pod for a node with a long name; which is found out once a
 * second, not all the time. */
TEST(agents, what_cannot_be_written_down_is_not_tried_without_a_pause)
{
    char node[CLUSTER_NAME_MAX];
    struct world *w = world_new();
    create_pod(w, "one");
    cr_assert(store_mem_disk_rot(w->disk, STR("/pods/default/one"), grown));
    w = world_crash(w);
    session_work(w);
    memset(node, 'n', sizeof node - 1);
    node[sizeof node - 1] = '\0';
    session_hello(w, 11, node);
    session_has(w, 11, 0);
    for (uint32_t i = 0; i < 50; i++) {
        world_pass(w, SPAN_MS(20));
        world_turn(w);
    }
    cr_expect(world_has(w, "/pods/default/one"));
    cr_expect_not(world_has(w, "baton.dev/placements/default/pods.one"));
    cr_expect_gt(core_counts(w->core).decided, 0);
    cr_expect_lt(core_counts(w->core).decided, 10);
    world_free(w);
}
