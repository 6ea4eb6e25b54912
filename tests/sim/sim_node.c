/* SPDX-License-Identifier: Apache-2.0 */
/* A node: the agent's core over a disk that outlives it and two fake runtimes that do, too. */
#include "api/transcode.h"
#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "nodeagent/core/flight.h"
#include "nodeagent/runtime/runtime_fake.h"
#include "proto/baton/v1.pb-c.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_disk.h"

#include <stdio.h>

enum { ANSWERS_MAX = 65536, TWIN_EVERY = 199, TWIN_STEPS = 60 };

struct answer { /* A host effect being performed. */
    struct instant at;
    uint64_t op;
    enum err_code code;
    const char *text;
    bool image, machine;
    struct blob *measured; /* Not a host effect's answer, but EV_MEASURED. */
};

struct sim_node {
    struct sim *sim;
    uint32_t index;
    char name[16], where[48];
    struct agent *agent;
    struct agent_config config;
    struct agent *twin; /* Made of a snapshot of it; NULL: just now there is none. */
    uint64_t steps, twin_left;
    struct runtime *runtimes[2];
    struct map disk; /* uid -> record */
    struct sim_disk usage;
    struct answer *answers;
    uint32_t answers_count;
    uint64_t session;
    bool cut, starting, crashed;
    struct instant restart_at, due;
    struct buf hardware;
    struct cpuset cpus;
};

struct record {
    char uid[64];
    struct blob *bytes;
    bool logs; /* There are files of which nobody would know any more. */
};

void sim_node_name(uint32_t index, char out[16])
{
    snprintf(out, 16, "n%u", index);
}

/* ---- hardware ---- */

static void add_cpus(struct sim_node *n, const Baton__NodeHardwareSpec *hw)
{
    for (size_t i = 0; i < hw->n_threads; i++)
        n->cpus.bits[hw->threads[i]->cpu / 64] |= 1ull << hw->threads[i]->cpu % 64;
}

/* The test's own machine; the node adds where it is reached. */
static void describe_as_told(struct sim_node *n)
{
    const struct schema_message *m = schema_message(STR("baton.dev.v1.NodeHardwareSpec"));
    struct arena a;
    struct buf raw;
    ProtobufCMessage *hw = NULL;
    char *host = n->where;
    arena_init(&a, 16 << 20);
    buf_init(&raw, 1 << 20);
    CHECK(transcode_from_json(m, str_of(n->sim->options.hardware), &a, NULL, NULL, &raw, NULL) ==
          ERR_OK);
    CHECK(transcode_unpack(m, buf_str(&raw), &a, &hw, NULL) == ERR_OK);
    Baton__NodeHardwareSpec *spec = (Baton__NodeHardwareSpec *)hw;
    spec->host_addresses = &host;
    spec->n_host_addresses = 1;
    add_cpus(n, spec);
    size_t len = protobuf_c_message_get_packed_size(hw);
    protobuf_c_message_pack(hw, (uint8_t *)buf_reserve(&n->hardware, len));
    buf_commit(&n->hardware, len);
    buf_free(&raw);
    arena_free(&a);
}

static void describe(struct sim_node *n)
{
    const struct sim_options *o = &n->sim->options;
    Baton__NodeHardwareSpec hw = BATON__NODE_HARDWARE_SPEC__INIT;
    Baton__Socket socket = BATON__SOCKET__INIT, *sockets[] = {&socket};
    Baton__NumaNode numa = BATON__NUMA_NODE__INIT, *numas[] = {&numa};
    Baton__CacheDomain llc = BATON__CACHE_DOMAIN__INIT, *llcs[] = {&llc};
    Baton__Accelerator accelerator = BATON__ACCELERATOR__INIT;
    Baton__VmmOverhead overhead = BATON__VMM_OVERHEAD__INIT;
    uint32_t threads_count = o->cores * o->threads_per_core;
    Baton__Core *cores = mem_zalloc(o->cores, sizeof *cores);
    Baton__Core **cores_at = mem_zalloc(o->cores, sizeof *cores_at);
    Baton__Thread *threads = mem_zalloc(threads_count, sizeof *threads);
    Baton__Thread **threads_at = mem_zalloc(threads_count, sizeof *threads_at);
    char *host = n->where;
    numa.has_memory_bytes = true;
    numa.memory_bytes = 16ull << 30;
    accelerator.name = (char *)"kvm";
    overhead.has_vm_bytes = true;
    overhead.vm_bytes = 40 << 20;
    for (uint32_t i = 0; i < o->cores; i++) {
        cores[i] = (Baton__Core)BATON__CORE__INIT;
        cores[i].has_id = true;
        cores[i].id = i;
        cores_at[i] = &cores[i];
    }
    for (uint32_t i = 0; i < threads_count; i++) {
        threads[i] = (Baton__Thread)BATON__THREAD__INIT;
        threads[i].has_cpu = threads[i].has_core = true;
        threads[i].cpu = i;
        threads[i].core = i % o->cores;
        threads_at[i] = &threads[i];
    }
    hw.sockets = sockets;
    hw.numa_nodes = numas;
    hw.cache_domains = llcs;
    hw.n_sockets = hw.n_numa_nodes = hw.n_cache_domains = 1;
    hw.cores = cores_at;
    hw.n_cores = o->cores;
    hw.threads = threads_at;
    hw.n_threads = threads_count;
    add_cpus(n, &hw);
    hw.has_shared_cores = hw.has_system_cpu_millis = true;
    hw.shared_cores = 1;
    hw.system_cpu_millis = 250;
    hw.has_storage_bytes = hw.has_reserved_storage_bytes = o->disk_bytes > 0;
    hw.storage_bytes = o->disk_bytes;
    hw.reserved_storage_bytes = o->disk_bytes / 10;
    hw.accelerator = &accelerator;
    hw.vmm_overhead = &overhead;
    hw.host_addresses = &host;
    hw.n_host_addresses = 1;
    size_t len = baton__node_hardware_spec__get_packed_size(&hw);
    baton__node_hardware_spec__pack(&hw, (uint8_t *)buf_reserve(&n->hardware, len));
    buf_commit(&n->hardware, len);
    mem_free(cores);
    mem_free(cores_at);
    mem_free(threads);
    mem_free(threads_at);
}

/* ---- the agent's life ---- */

static void perform(struct sim_node *n, const struct agent_effect *fx);

static void broken(struct sim_node *n, const char *why)
{
    struct sim *s = n->sim;
    fprintf(stderr, "%.*s\n%s: %s (seed %llu)\n", STR_ARG(buf_str(&s->story)), n->name, why,
            (unsigned long long)s->options.seed);
    CHECK(false);
}

/* What an agent is after a snapshot of it must be what it is: from time to time one is made of it, and given the same events. */
static void twin_begin(struct sim_node *n)
{
    Flight__Snapshot *s;
    struct arena a;
    if (n->twin != NULL || ++n->steps % TWIN_EVERY != 0)
        return;
    arena_init(&a, 256 << 20);
    struct str bytes = flight_snapshot(&a, n->agent);
    s = flight__snapshot__unpack(NULL, bytes.len, (const uint8_t *)bytes.at);
    n->twin = s == NULL ? NULL : flight_agent_of(&n->config, s);
    n->twin_left = TWIN_STEPS;
    if (n->twin == NULL)
        broken(n, "no agent could be made of its snapshot");
    flight__snapshot__free_unpacked(s, NULL);
    arena_free(&a);
}

static void twin_end(struct sim_node *n)
{
    agent_free(n->twin);
    n->twin = NULL;
}

static void twin_step(struct sim_node *n, const struct agent_event *ev,
                      const struct agent_effects *fx)
{
    if (n->twin == NULL)
        return;
    struct agent_effects same = agent_step(n->twin, ev);
    if (same.count != fx->count || flight_hash(&same) != flight_hash(fx) ||
        !str_eq(agent_trace(n->twin), agent_trace(n->agent)) ||
        agent_deadline(n->twin).ns != agent_deadline(n->agent).ns)
        broken(n, "an agent made of a snapshot does something else");
    if (--n->twin_left == 0)
        twin_end(n);
}

static void step(struct sim_node *n, struct agent_event ev)
{
    struct sim *s = n->sim;
    if (n->agent == NULL)
        return;
    ev.now = s->now;
    ev.wall = s->wall;
    twin_begin(n);
    struct agent_effects fx = agent_step(n->agent, &ev);
    twin_step(n, &ev, &fx);
    struct str trace = agent_trace(n->agent), line;
    const char *why = "";
    while (trace.len > 0 && str_split(&trace, '\n', &line))
        if (line.len > 0)
            sim_trace(s, "%s " STR_FMT, n->name, STR_ARG(line));
    if (!agent_invariant(n->agent, &why))
        broken(n, why);
    for (uint32_t i = 0; i < fx.count && !n->crashed; i++)
        perform(n, &fx.at[i]);
    if (n->crashed)
        sim_agent_crash(s, n->index);
}

static void on_runtime(struct sim_node *n, enum runtime_kind kind, const struct runtime_event *ev)
{
    step(n, (struct agent_event){.type = EV_RUNTIME, .op = ev->op, .runtime = {kind, ev}});
}

static void on_containers(void *state, const struct runtime_event *ev)
{
    on_runtime(state, RUNTIME_CONTAINER, ev);
}

static void on_machines(void *state, const struct runtime_event *ev)
{
    on_runtime(state, RUNTIME_VM, ev);
}

static struct runtime_sink sink_of(struct sim_node *n, enum runtime_kind kind)
{
    return (struct runtime_sink){kind == RUNTIME_VM ? on_machines : on_containers, n};
}

static void boot(struct sim_node *n)
{
    const struct map_entry *e;
    n->config = (struct agent_config){
        .node_name = str_of(n->name),
        .version = STR("sim"),
        .boot_id = STR("boot"),
        .state_dir = STR("/sim"),
        .cgroup = STR("baton-sim"),
        .host_ip = str_of(n->where),
        .hardware = buf_str(&n->hardware),
        .cpus = n->cpus,
        .measure_every = n->sim->options.disk_bytes > 0 ? SPAN_S(10) : (struct span){0},
        .disk_reserve_bytes = n->sim->options.disk_bytes / 10,
        .accelerator = STR("kvm"),
        .seed = rng_u64(&n->sim->rng),
    };
    n->restart_at = (struct instant){0};
    n->agent = agent_new(&n->config);
    for (uint32_t kind = 0; kind < 2; kind++)
        runtime_fake_orphan(n->runtimes[kind], sink_of(n, kind));
    for (uint32_t at = 0; (e = map_next(&n->disk, &at)) != NULL;)
        step(n, (struct agent_event){.type = EV_SAVED,
                                     .bytes = blob_str(((struct record *)e->value)->bytes)});
    step(n, (struct agent_event){.type = EV_STARTED});
}

static void drop_answers(struct sim_node *n)
{
    for (uint32_t i = 0; i < n->answers_count; i++)
        blob_unref(n->answers[i].measured);
    n->answers_count = 0;
}

void sim_agent_crash(struct sim *s, uint32_t node)
{
    struct sim_node *n = s->nodes[node];
    uint64_t session = n->session;
    if (n->agent == NULL)
        return;
    sim_trace(s, "%s agent killed", n->name);
    twin_end(n);
    agent_free(n->agent);
    n->agent = NULL;
    drop_answers(n);
    n->session = 0;
    n->crashed = false;
    for (uint32_t kind = 0; kind < 2; kind++)
        runtime_fake_orphan(n->runtimes[kind], sink_of(n, kind));
    sim_net_close(s, node, session, false);
    n->restart_at = instant_add(s->now, SPAN_MS(100));
}

/* ---- effects ---- */

static void answer(struct sim_node *n, uint64_t op, struct span in, bool fails, const char *text)
{
    CHECK(n->answers_count < ANSWERS_MAX);
    n->answers[n->answers_count++] = (struct answer){.at = instant_add(n->sim->now, in),
                                                     .op = op,
                                                     .code = fails ? ERR_UNAVAILABLE : ERR_OK,
                                                     .text = fails ? text : ""};
}

static void image(struct sim_node *n, const struct agent_effect *fx)
{
    struct sim *s = n->sim;
    answer(n, fx->op, sim_fault(s, SIM_IMAGE_SLOW) ? SPAN_S(20) : SPAN_MS(20),
           sim_fault(s, SIM_IMAGE_FAILS), "registry: connection refused");
    n->answers[n->answers_count - 1].image = true;
}

/* A slow registry is waited for no longer; what was nearly here comes. */
static void give_up(struct sim_node *n, uint64_t op)
{
    struct instant soon = instant_add(n->sim->now, SPAN_MS(250));
    for (uint32_t i = 0; i < n->answers_count; i++)
        if (n->answers[i].op == op && n->answers[i].at.ns > soon.ns) {
            n->answers[i].at = soon;
            n->answers[i].code = ERR_UNAVAILABLE;
            n->answers[i].text = "nobody wants it any more";
        }
}

static void forget(struct sim_node *n, struct str uid)
{
    struct record *r = map_remove(&n->disk, uid);
    if (r == NULL)
        return;
    blob_unref(r->bytes);
    mem_free(r);
}

static void forget_durably(struct sim_node *n, const struct agent_effect *fx)
{
    const struct record *r = map_find(&n->disk, fx->uid);
    if (r != NULL && r->logs)
        broken(n, "a record is forgotten before its logs are removed");
    forget(n, fx->uid);
    answer(n, fx->op, SPAN_MS(1), false, "");
}

/* What was logged is removed before its record is. */
static void mark_logs(struct sim_node *n, struct str uid, bool there)
{
    struct record *r = map_find(&n->disk, uid);
    if (r != NULL)
        r->logs = there;
}

static void clean(struct sim_node *n, const struct agent_effect *fx)
{
    bool fails = sim_fault(n->sim, SIM_CLEAN_FAILS);
    if (!fails && fx->logs)
        mark_logs(n, fx->uid, false);
    answer(n, fx->op, SPAN_MS(2), fails, "umount: busy");
}

static void save(struct sim_node *n, const struct agent_effect *fx)
{
    bool fails = sim_fault(n->sim, SIM_SAVE_FAILS);
    if (!fails) {
        struct record *r = mem_zalloc(1, sizeof *r), *old = map_find(&n->disk, fx->uid);
        r->logs = old != NULL && old->logs;
        forget(n, fx->uid);
        snprintf(r->uid, sizeof r->uid, STR_FMT, STR_ARG(fx->uid));
        r->bytes = blob_new(fx->bytes);
        CHECK(map_put(&n->disk, str_of(r->uid), r) == ERR_OK);
    }
    answer(n, fx->op, SPAN_MS(1), fails, "no space left on device");
}

static void send(struct sim_node *n, const struct agent_effect *fx)
{
    struct sim *s = n->sim;
    bool report = fx->bytes.len > 0 && fx->bytes.at[0] == (4 << 3 | 2); /* workload_status */
    if (report && sim_fault(s, SIM_REPORT_LOST))
        return;
    sim_net_send(s, n->index, n->session, true, fx->bytes);
    if (report && sim_fault(s, SIM_REPORT_DOUBLED))
        sim_net_send(s, n->index, n->session, true, fx->bytes);
}

static void pool(struct sim_node *n, const struct agent_effect *fx)
{
    bool fails = sim_fault(n->sim, SIM_POOL_FAILS);
    for (uint32_t kind = 0; kind < 2 && !fails; kind++)
        runtime_fake_set_pool(n->runtimes[kind], fx->pool);
    answer(n, fx->op, SPAN_MS(1), fails, "the pool's cpus are not what was written");
}

void sim_disk(struct sim *s, uint32_t node, uint64_t free_bytes, const char *place, uint64_t bytes)
{
    struct sim_disk *w = &s->nodes[node]->usage;
    w->free_bytes = free_bytes;
    w->bytes = bytes;
    snprintf(w->place, sizeof w->place, "%s", place);
}

static void measure(struct sim_node *n, const struct agent_effect *fx)
{
    answer(n, fx->op, SPAN_MS(10), false, "");
    n->answers[n->answers_count - 1].measured =
        sim_disk_answer(&n->usage, n->sim->options.disk_bytes, fx);
}

static void perform(struct sim_node *n, const struct agent_effect *fx)
{
    struct sim *s = n->sim;
    n->crashed = sim_fault(s, SIM_AGENT_CRASHES);
    if (n->crashed)
        return; /* This effect and what follows it never happened. */
    struct runtime *r = n->runtimes[fx->kind];
    runtime_fake_now(r, s->now, s->wall);
    switch (fx->type) {
    case FX_CONNECT:
        n->session = sim_net_connect(s, n->index);
        break;
    case FX_DISCONNECT:
        sim_net_close(s, n->index, n->session, false);
        n->session = 0;
        break;
    case FX_SEND:
        send(n, fx);
        break;
    case FX_SAVE:
    case FX_FORGET:
        (fx->type == FX_SAVE ? save : forget_durably)(n, fx);
        break;
    case FX_IMAGE:
        image(n, fx);
        break;
    case FX_GIVE_UP:
        give_up(n, fx->op);
        break;
    case FX_NETWORK:
        answer(n, fx->op, SPAN_MS(2), sim_fault(s, SIM_NETWORK_FAILS), "netlink: no space");
        n->answers[n->answers_count - 1].machine = fx->network.machine;
        break;
    case FX_VOLUMES:
        answer(n, fx->op, SPAN_MS(1), sim_fault(s, SIM_VOLUMES_FAIL), "mkdir: read-only");
        break;
    case FX_CLEAN:
    case FX_POOL:
    case FX_MEASURE:
        (fx->type == FX_CLEAN ? clean : fx->type == FX_POOL ? pool : measure)(n, fx);
        break;
    case FX_RENEW: /* A simulated node has no certificate. */
    case FX_TELL:
    case FX_STREAM:
    case FX_PEERS: /* Nobody sends packets here. */
        break;
    case FX_CREATE:
        mark_logs(n, fx->uid, true);
        r->ops->create(r, fx->op, fx->spec);
        break;
    case FX_START:
    case FX_STOP:
        (fx->type == FX_START ? r->ops->start : r->ops->stop)(r, fx->op, fx->id);
        break;
    case FX_KILL:
    case FX_DESTROY:
        (fx->type == FX_KILL ? r->ops->kill : r->ops->destroy)(r, fx->op, fx->id);
        break;
    case FX_SET_CPUS:
        r->ops->set_cpus(r, fx->op, fx->id, fx->cpu);
        break;
    case FX_EXEC:
        r->ops->exec(r, fx->op, fx->id, &fx->exec);
        break;
    case FX_CHECK: /* Nobody listens at port 1. */
        answer(n, fx->op, SPAN_MS(1), fx->check.port == 1, "connection refused");
        break;
    case FX_LIST:
        r->ops->list(r, fx->op);
        break;
    }
}

/* ---- time ---- */

static uint32_t earliest(const struct sim_node *n)
{
    uint32_t best = n->answers_count;
    for (uint32_t i = 0; i < n->answers_count; i++)
        if (best == n->answers_count || n->answers[i].at.ns < n->answers[best].at.ns ||
            (n->answers[i].at.ns == n->answers[best].at.ns &&
             n->answers[i].op < n->answers[best].op))
            best = i;
    return best;
}

struct instant sim_node_deadline(const struct sim *s, uint32_t node)
{
    const struct sim_node *n = s->nodes[node];
    uint32_t i = earliest(n);
    struct instant at = n->restart_at;
    if (n->agent != NULL)
        at = instant_earlier(at, agent_deadline(n->agent));
    if (i < n->answers_count)
        at = instant_earlier(at, n->answers[i].at);
    at = instant_earlier(at, runtime_fake_deadline(n->runtimes[0]));
    return instant_earlier(at, runtime_fake_deadline(n->runtimes[1]));
}

static void answer_next(struct sim_node *n)
{
    static const struct str cmd[] = {STR("run")};
    uint32_t i = earliest(n);
    if (i == n->answers_count || n->answers[i].at.ns > n->sim->now.ns)
        return;
    struct answer a = n->answers[i];
    n->answers[i] = n->answers[--n->answers_count];
    if (a.measured != NULL) {
        step(n,
             (struct agent_event){.type = EV_MEASURED, .op = a.op, .bytes = blob_str(a.measured)});
        blob_unref(a.measured);
        return;
    }
    struct agent_host_done done = {.code = a.code, .text = a.text};
    if (a.image) {
        done.image.id = STR("image@sha256:0");
        done.image.cmd = cmd;
        done.image.cmd_count = 1;
    }
    done.network = a.machine ? STR("tap0") : STR("/sim/netns");
    step(n, (struct agent_event){.type = EV_HOST_DONE, .op = a.op, .host = &done});
}

void sim_node_turn(struct sim *s, uint32_t node)
{
    struct sim_node *n = s->nodes[node];
    if (instant_due(n->restart_at, s->now))
        boot(n);
    answer_next(n);
    for (uint32_t kind = 0; kind < 2; kind++)
        runtime_fake_turn(n->runtimes[kind], s->now, s->wall);
    if (n->agent != NULL && instant_due(agent_deadline(n->agent), s->now))
        step(n, (struct agent_event){.type = EV_DEADLINE});
    sim_node_check(s, node);
}

void sim_node_packet(struct sim *s, const struct sim_packet *p)
{
    static const enum agent_event_type types[] = {
        [SIM_OPEN] = EV_SESSION_OPENED,
        [SIM_MESSAGE] = EV_SESSION_MESSAGE,
        [SIM_CLOSE] = EV_SESSION_CLOSED,
    };
    struct sim_node *n = s->nodes[p->node];
    if (p->type == SIM_CLOSE)
        n->session = 0;
    step(n, (struct agent_event){.type = types[p->type], .bytes = blob_str(p->bytes)});
    sim_node_check(s, p->node);
}

uint64_t sim_node_session(const struct sim *s, uint32_t node)
{
    return s->nodes[node]->session;
}

bool sim_node_is_cut(const struct sim *s, uint32_t node)
{
    return s->nodes[node]->cut;
}

/* Neither side hears of it: that is what a lease is for. */
void sim_cut(struct sim *s, uint32_t node, bool cut)
{
    struct sim_node *n = s->nodes[node];
    sim_trace(s, "%s %s", n->name, cut ? "cut off" : "within reach");
    n->cut = cut;
    if (!cut)
        sim_net_close(s, node, n->session, true); /* TCP finds out. */
}

/* ---- invariants ---- */

static bool meet(const struct cpuset *a, const struct cpuset *b)
{
    for (uint32_t i = 0; i < COUNT_OF(a->bits); i++)
        if ((a->bits[i] & b->bits[i]) != 0)
            return true;
    return false;
}

/* Who runs on an exclusive core runs there alone, whatever anybody believes. */
static void check_pair(struct sim *s, const struct sim_node *n,
                       const struct runtime_fake_instance *a, const struct runtime_fake_instance *b)
{
    if (a->state != RUNTIME_RUNNING || b->state != RUNTIME_RUNNING ||
        (!a->exclusive && !b->exclusive))
        return;
    bool clash = meet(&a->cpus, &b->cpus) || (a->exclusive && meet(&a->cpus, &b->helper)) ||
                 (b->exclusive && meet(&b->cpus, &a->helper));
    if (!clash)
        return;
    fprintf(stderr, "%.*s\n%s: %s and %s share a core (seed %llu, trip %llu)\n",
            STR_ARG(buf_str(&s->story)), n->name, a->id, b->id, (unsigned long long)s->options.seed,
            (unsigned long long)s->options.trip);
    CHECK(false);
}

void sim_node_check(struct sim *s, uint32_t node)
{
    const struct sim_node *n = s->nodes[node];
    struct runtime_fake_instance a, b;
    for (uint32_t ka = 0; ka < 2; ka++)
        for (uint32_t i = 0; runtime_fake_at(n->runtimes[ka], i, &a); i++)
            for (uint32_t kb = 0; a.exclusive && kb < 2; kb++)
                for (uint32_t k = 0; runtime_fake_at(n->runtimes[kb], k, &b); k++)
                    if (strncmp(a.id, b.id, RNG_UUID_LEN) != 0) /* Of another workload. */
                        check_pair(s, n, &a, &b);
}

/* ---- life ---- */

static bool fake_fault(void *state, enum runtime_fault which)
{
    return sim_fault(state, (enum sim_fault)(SIM_CREATE_FAILS + which));
}

static void describe_it(struct sim_node *n)
{
    if (n->sim->options.hardware != NULL)
        describe_as_told(n);
    else
        describe(n);
}

struct sim_node *sim_node_new(struct sim *s, uint32_t index)
{
    struct sim_node *n = mem_zalloc(1, sizeof *n);
    n->sim = s;
    n->index = index;
    sim_node_name(index, n->name);
    snprintf(n->where, sizeof n->where, "192.0.2.%u", index);
    map_init(&n->disk, AGENT_WORKLOADS_MAX);
    buf_init(&n->hardware, 1 << 20);
    n->usage.free_bytes = s->options.disk_bytes;
    n->answers = mem_zalloc(ANSWERS_MAX, sizeof *n->answers);
    for (uint32_t kind = 0; kind < 2; kind++)
        n->runtimes[kind] = runtime_fake_open(
            sink_of(n, kind),
            &(struct runtime_fake_options){.kind = kind, .fault = fake_fault, .fault_state = s});
    describe_it(n);
    n->restart_at = s->now;
    return n;
}

void sim_move(struct sim *s, uint32_t node, const char *address)
{
    struct sim_node *n = s->nodes[node];
    sim_agent_crash(s, node);
    snprintf(n->where, sizeof n->where, "%s", address);
    buf_clear(&n->hardware);
    describe_it(n);
}

void sim_node_free(struct sim_node *n)
{
    const struct map_entry *e;
    twin_end(n);
    agent_free(n->agent);
    for (uint32_t kind = 0; kind < 2; kind++) {
        runtime_fake_orphan(n->runtimes[kind], (struct runtime_sink){0});
        runtime_fake_free(n->runtimes[kind]);
    }
    for (uint32_t at = 0; (e = map_next(&n->disk, &at)) != NULL;) {
        struct record *r = e->value;
        blob_unref(r->bytes);
        mem_free(r);
    }
    map_fini(&n->disk);
    buf_free(&n->hardware);
    drop_answers(n);
    mem_free(n->answers);
    mem_free(n);
}
