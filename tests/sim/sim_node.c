/* SPDX-License-Identifier: Apache-2.0 */
/* A node: the agent's core over a disk that outlives it and two fake runtimes that do, too. */
#include "nodeagent/core/flight.h"
#include "tests/sim/sim_node_priv.h"

#include <stdio.h>

enum { TWIN_EVERY = 199, TWIN_STEPS = 60 };

void sim_node_name(uint32_t index, char out[16])
{
    snprintf(out, 16, "n%u", index);
}

/* ---- the agent's life ---- */

void sim_node__broken(struct sim_node *n, const char *why)
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
        sim_node__broken(n, "no agent could be made of its snapshot");
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
        sim_node__broken(n, "an agent made of a snapshot does something else");
    if (--n->twin_left == 0)
        twin_end(n);
}

void sim_node__step(struct sim_node *n, struct agent_event ev)
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
        sim_node__broken(n, why);
    for (uint32_t i = 0; i < fx.count && !n->crashed; i++)
        sim_node__perform(n, &fx.at[i]);
    if (n->crashed)
        sim_agent_crash(s, n->index);
}

static void on_runtime(struct sim_node *n, enum runtime_kind kind, const struct runtime_event *ev)
{
    sim_node__step(n,
                   (struct agent_event){.type = EV_RUNTIME, .op = ev->op, .runtime = {kind, ev}});
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
        sim_node__step(n,
                       (struct agent_event){.type = EV_SAVED,
                                            .bytes = blob_str(((struct record *)e->value)->bytes)});
    sim_node__step(n, (struct agent_event){.type = EV_STARTED});
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
    sim_node__drop_answers(n);
    n->session = 0;
    n->crashed = false;
    for (uint32_t kind = 0; kind < 2; kind++)
        runtime_fake_orphan(n->runtimes[kind], sink_of(n, kind));
    sim_net_close(s, node, session, false);
    n->restart_at = instant_add(s->now, SPAN_MS(100));
}

/* ---- time ---- */

struct instant sim_node_deadline(const struct sim *s, uint32_t node)
{
    const struct sim_node *n = s->nodes[node];
    uint32_t i = sim_node__earliest(n);
    struct instant at = n->restart_at;
    if (n->agent != NULL)
        at = instant_earlier(at, agent_deadline(n->agent));
    if (i < n->answers_count)
        at = instant_earlier(at, n->answers[i].at);
    at = instant_earlier(at, runtime_fake_deadline(n->runtimes[0]));
    return instant_earlier(at, runtime_fake_deadline(n->runtimes[1]));
}

void sim_node_turn(struct sim *s, uint32_t node)
{
    struct sim_node *n = s->nodes[node];
    if (instant_due(n->restart_at, s->now))
        boot(n);
    sim_node__answer_next(n);
    for (uint32_t kind = 0; kind < 2; kind++)
        runtime_fake_turn(n->runtimes[kind], s->now, s->wall);
    if (n->agent != NULL && instant_due(agent_deadline(n->agent), s->now))
        sim_node__step(n, (struct agent_event){.type = EV_DEADLINE});
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
    sim_node__step(n, (struct agent_event){.type = types[p->type], .bytes = blob_str(p->bytes)});
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

/* Who runs on an exclusive core runs there alone, whatever anybody believes. */
static void check_pair(struct sim *s, const struct sim_node *n,
                       const struct runtime_fake_instance *a, const struct runtime_fake_instance *b)
{
    if (a->state != RUNTIME_RUNNING || b->state != RUNTIME_RUNNING ||
        (!a->exclusive && !b->exclusive))
        return;
    bool clash = cpuset_overlaps(&a->cpus, &b->cpus) ||
                 (a->exclusive && cpuset_overlaps(&a->cpus, &b->helper)) ||
                 (b->exclusive && cpuset_overlaps(&b->cpus, &a->helper));
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
    n->answers = mem_zalloc(SIM_ANSWERS_MAX, sizeof *n->answers);
    for (uint32_t kind = 0; kind < 2; kind++)
        n->runtimes[kind] = runtime_fake_open(
            sink_of(n, kind),
            &(struct runtime_fake_options){.kind = kind, .fault = fake_fault, .fault_state = s});
    sim_node__describe(n);
    n->restart_at = s->now;
    return n;
}

void sim_move(struct sim *s, uint32_t node, const char *address)
{
    struct sim_node *n = s->nodes[node];
    sim_agent_crash(s, node);
    snprintf(n->where, sizeof n->where, "%s", address);
    buf_clear(&n->hardware);
    sim_node__describe(n);
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
    sim_node__drop_answers(n);
    mem_free(n->answers);
    mem_free(n);
}
