/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/core/agent.h"
#include "base/mem.h"
#include "nodeagent/core/agent_priv.h"
#include "nodeagent/core/peers.h"

static void dispatch(struct agent *a, struct agent_turn *t, const struct agent_event *ev);

struct agent_effects agent_step(struct agent *a, const struct agent_event *ev)
{
    struct agent_turn *t = &a->turn;
    arena_free(&t->arena);
    buf_clear(&t->trace);
    t->effects = NULL;
    t->effects_count = t->effects_size = 0;
    t->agent = a;
    t->now = ev->now;
    t->wall = ev->wall;

    dispatch(a, t, ev);
    if (a->up) {
        for (uint32_t i = 0; i < a->workloads_end; i++)
            if (a->workloads[i] != NULL)
                workload_tick(a, t, a->workloads[i]);
        pool_reconcile(a, t);
        session_tick(a, t);
        certificate_tick(a, t);
        disk_tick(a, t);
        report_flush(a, t);
    }
    return (struct agent_effects){t->effects, t->effects_count};
}

/* Ask a runtime for what it has. Nothing else happens before both have told. */
static void list(struct agent *a, struct agent_turn *t, enum runtime_kind kind)
{
    a->list_at[kind] = (struct instant){0};
    a->list_op[kind] = agent_op(a, kind, OP_AGENT);
    struct agent_effect *fx = agent_do(t, FX_LIST);
    fx->op = a->list_op[kind];
    fx->kind = kind;
}

static void catch_up(struct agent *a, struct agent_turn *t)
{
    if (a->list_op[RUNTIME_CONTAINER] != 0 || a->list_op[RUNTIME_VM] != 0)
        return;
    a->up = true;
    for (uint32_t i = 0; i < a->workloads_end; i++)
        if (a->workloads[i] != NULL)
            workload_catchup(a, t, a->workloads[i]);
}

static void listed(struct agent *a, struct agent_turn *t, enum runtime_kind kind,
                   const struct runtime_event *ev)
{
    if (ev->code != ERR_OK) {
        a->list_at[kind] = instant_add(t->now, SPAN_S(1));
        buf_printf(&t->trace, "%s are not listed: %s\n",
                   kind == RUNTIME_VM ? "machines" : "containers", ev->text);
        return;
    }
    a->list_op[kind] = 0;
    catch_up(a, t);
}

static void runtime_event(struct agent *a, struct agent_turn *t, const struct agent_event *ev)
{
    const struct runtime_event *r = ev->runtime.event;
    enum runtime_kind kind = ev->runtime.kind;
    uint32_t slot = r->op & 0xfff, n = r->op >> 12 & 0xff;

    if (r->type == RUNTIME_FOUND) {
        instance_found(a, t, kind, r);
        return;
    }
    if (r->type == RUNTIME_EXITED) {
        struct str rest = str_of(r->id), uid;
        struct workload *w = str_split(&rest, '.', &uid) ? agent_find_uid(a, uid) : NULL;
        for (uint32_t i = 0; w != NULL && i < w->instances_count; i++)
            instance_runtime_event(a, t, w, i, r);
        return;
    }
    if (!a->up && r->op != 0 && r->op == a->list_op[kind])
        listed(a, t, kind, r);
    else if (slot < AGENT_WORKLOADS_MAX && a->workloads[slot] != NULL &&
             n < a->workloads[slot]->instances_count)
        instance_runtime_event(a, t, a->workloads[slot], n, r);
}

static void host_done(struct agent *a, struct agent_turn *t, const struct agent_event *ev)
{
    uint32_t slot = ev->op & 0xfff, n = ev->op >> 12 & 0xff;
    if (ev->op != 0 && ev->op == a->pool_op) {
        pool_done(a, t, ev->host);
        return;
    }
    if (ev->op != 0 && ev->op == a->certificate.op) {
        certificate_done(a, t, ev->host);
        return;
    }
    struct workload *w = slot < AGENT_WORKLOADS_MAX ? a->workloads[slot] : NULL;
    if (w != NULL && n == OP_OWNER_WORKLOAD)
        workload_done(a, t, w, ev);
    else if (w != NULL && n < w->instances_count)
        instance_host_done(a, t, w, n, ev);
}

static void dispatch(struct agent *a, struct agent_turn *t, const struct agent_event *ev)
{
    switch (ev->type) {
    case EV_SAVED:
        workload_restore(a, t, ev->bytes);
        break;
    case EV_STARTED:
        list(a, t, RUNTIME_CONTAINER);
        list(a, t, RUNTIME_VM);
        break;
    case EV_SESSION_OPENED:
    case EV_SESSION_MESSAGE:
    case EV_SESSION_CLOSED:
    case EV_IMAGES:
        session_step(a, t, ev);
        break;
    case EV_MEASURED:
        disk_measured(a, t, ev);
        break;
    case EV_HOST_DONE:
        host_done(a, t, ev);
        break;
    case EV_RUNTIME:
        runtime_event(a, t, ev);
        break;
    case EV_DEADLINE:
        for (uint32_t kind = 0; kind < 2; kind++)
            if (instant_due(a->list_at[kind], t->now))
                list(a, t, kind);
        break;
    }
}

/* ---- life ---- */

struct instant agent_deadline(const struct agent *a)
{
    if (!a->up)
        return instant_earlier(a->list_at[0], a->list_at[1]);
    struct instant at = instant_earlier(session_deadline(a), a->certificate.look_at);
    at = instant_earlier(at, disk_deadline(a));
    if (a->pool_op == 0)
        at = instant_earlier(at, a->pool_retry_at);
    for (uint32_t i = 0; i < a->workloads_end; i++)
        if (a->workloads[i] != NULL) {
            at = instant_earlier(at, workload_deadline(a->workloads[i]));
            at = instant_earlier(at, report_deadline(a, a->workloads[i]));
        }
    return at;
}

struct agent *agent_new(const struct agent_config *config)
{
    struct agent *a = mem_zalloc(1, sizeof *a);
    arena_init(&a->arena, AGENT_MESSAGE_MAX);
    arena_init(&a->turn.arena, AGENT_TURN_BYTES_MAX);
    buf_init(&a->turn.trace, 64 << 10);
    slots_init(&a->slots, AGENT_WORKLOADS_MAX);
    map_init(&a->peers, AGENT_PEERS_MAX);
    rng_seed(&a->rng, config->seed);
    certificate_set(a, &config->certificate);
    a->config = *config;
    struct str *texts[] = {&a->config.node_name, &a->config.version,   &a->config.boot_id,
                           &a->config.node_uid,  &a->config.state_dir, &a->config.cgroup,
                           &a->config.host_ip,   &a->config.hardware,  &a->config.accelerator};
    for (uint32_t i = 0; i < COUNT_OF(texts); i++)
        *texts[i] = arena_str(&a->arena, *texts[i]);
    ProtobufCAllocator allocator = typed_allocator(&a->arena);
    a->hardware = baton__node_hardware_spec__unpack(&allocator, a->config.hardware.len,
                                                    (const uint8_t *)a->config.hardware.at);
    CHECK(!a->arena.overflow && a->hardware != NULL);
    return a;
}

void agent_free(struct agent *a)
{
    if (a == NULL)
        return;
    for (uint32_t i = 0; i < a->workloads_end; i++)
        if (a->workloads[i] != NULL)
            agent_give(a, a->workloads[i]);
    slots_fini(&a->slots);
    blob_unref(a->images);
    peers_forget(a);
    map_fini(&a->peers);
    arena_free(&a->turn.arena);
    arena_free(&a->arena);
    buf_free(&a->turn.trace);
    mem_free(a);
}

/* Two holders of one core, or an instance that runs on another's: what must never be. */
static bool alone(const struct agent *a, const struct workload *w, const char **out_why)
{
    for (uint32_t i = 0; i < a->workloads_end; i++) {
        const struct workload *other = a->workloads[i];
        if (other == NULL || other == w)
            continue;
        if (other->holds && cpuset_overlaps(&other->exclusive, &w->exclusive))
            return *out_why = "two workloads hold one core", false;
    }
    for (uint32_t n = 0; n < w->instances_count; n++)
        if (w->instances[n].state == INSTANCE_STARTING && a->up &&
            cpuset_overlaps(&a->pool, &w->exclusive))
            return *out_why = "an exclusive workload started before the pool left its cores", false;
    return true;
}

bool agent_invariant(const struct agent *a, const char **out_why)
{
    for (uint32_t i = 0; i < a->workloads_end; i++) {
        const struct workload *w = a->workloads[i];
        if (w == NULL)
            continue;
        if (w->holds && !alone(a, w, out_why))
            return false;
        for (uint32_t n = 0; n < w->instances_count; n++)
            if (!instance_invariant(&w->instances[n]))
                return *out_why = "an instance is in a state it cannot be in", false;
    }
    return true;
}
