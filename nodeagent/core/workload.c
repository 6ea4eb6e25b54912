/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/core/workload.h"
#include "api/meta.h"
#include "nodeagent/core/agent_priv.h"
#include "nodeagent/core/overdue.h"
#include "nodeagent/core/devices.h"

#include <stdio.h>

static const struct span BACKOFF_FIRST = SPAN_S(1), BACKOFF_MAX = SPAN_S(60);

#define S(name, to) [WORKLOAD_##name] = {#name, to},
#define TO(name) (1u << WORKLOAD_##name)
const struct sm_state workload_states[WORKLOAD__COUNT] = {WORKLOAD_STATES(S, TO)};
#undef S
#undef TO

static void stop_all(struct agent *a, struct agent_turn *t, struct workload *w);

static void move(struct agent_turn *t, struct workload *w, enum workload_state next)
{
    workload_move(w, next);
    w->retry_at = (struct instant){0};
    agent_trace_move(t, w, NULL, workload_states[next].name);
}

static struct agent_effect *ask(struct agent *a, struct agent_turn *t, struct workload *w,
                                enum agent_effect_type type)
{
    w->op = agent_op(a, w->slot.slot, OP_OWNER_WORKLOAD);
    w->retry_at = (struct instant){0};
    struct agent_effect *fx = agent_do(t, type);
    fx->op = w->op;
    fx->uid = str_of(w->uid);
    fx->kind = w->kind->runtime;
    return fx;
}

static void trouble(struct agent_turn *t, struct workload *w, const char *reason, const char *text)
{
    w->reason = reason;
    snprintf(w->text, sizeof w->text, "%s", text == NULL ? "" : text);
    workload_happened(t, w, WORKLOAD_ITSELF, reason, true, "%s", w->text);
    agent_trace_trouble(t, w, NULL, reason, w->text);
    workload_say(t, w);
}

static void retry_later(struct agent_turn *t, struct workload *w)
{
    w->backoff = w->backoff.ns == 0 ? BACKOFF_FIRST : (struct span){w->backoff.ns * 2};
    if (w->backoff.ns > BACKOFF_MAX.ns)
        w->backoff = BACKOFF_MAX;
    w->retry_at = instant_add(t->now, w->backoff);
}

/* ---- on the way up ---- */

/* The first record is for our own restart, which finds what was made since. After a power cut nothing of that is
 * there, and the control plane assigns again what was on its way. */
static void save(struct agent *a, struct agent_turn *t, struct workload *w)
{
    struct agent_effect *fx = ask(a, t, w, FX_SAVE);
    fx->bytes = report_record(t, w);
    fx->unsynced = w->state == WORKLOAD_SAVING;
}

/* The decision's own: address, gateway, MAC and host ports, to the bit. */
static void network_of(struct agent_turn *t, const struct workload *w, struct agent_fx_network *out)
{
    const Baton__PlacementSpec *spec = w->placement->spec;
    struct agent_port *ports = arena_zalloc(&t->arena, spec->n_host_ports + 1, sizeof *ports);
    CHECK(ports != NULL);
    *out = (struct agent_fx_network){.machine = w->kind == &workload_vm,
                                     .hostname = workload_name(w),
                                     .ports = ports,
                                     .ports_count = (uint32_t)spec->n_host_ports};
    for (size_t i = 0; i < spec->n_host_ports; i++) {
        const Baton__HostPort *p = spec->host_ports[i];
        ports[i] = (struct agent_port){.host = (uint16_t)p->port,
                                       .container = (uint16_t)p->target_port,
                                       .host_ip = str_of(p->ip),
                                       .udp = str_is(str_of(p->protocol), "UDP")};
    }
    for (size_t i = 0; i < spec->n_addresses && i < COUNT_OF(out->addresses); i++) {
        const Baton__Address *from = spec->addresses[i];
        out->addresses[i].cidr = arena_printf(&t->arena, "%s/%u", from->ip, from->prefix);
        out->addresses[i].gateway = str_of(from->gateway);
        out->addresses_count++;
        unsigned m[6] = {0};
        if (i == 0 && from->mac != NULL &&
            sscanf(from->mac, "%2x:%2x:%2x:%2x:%2x:%2x", m, m + 1, m + 2, m + 3, m + 4, m + 5) == 6)
            for (uint32_t k = 0; k < 6; k++)
                out->mac[k] = (uint8_t)m[k];
    }
}

static void network(struct agent *a, struct agent_turn *t, struct workload *w)
{
    if (w->placement->spec->host_network && w->pod != NULL) {
        w->network[0] = '\0';
        w->op = 0;
        move(t, w, WORKLOAD_NETWORK);
        return; /* workload_tick() goes on in this same step. */
    }
    network_of(t, w, &ask(a, t, w, FX_NETWORK)->network);
    move(t, w, WORKLOAD_NETWORK);
}

static void volumes(struct agent *a, struct agent_turn *t, struct workload *w)
{
    struct workload_volumes v = {0};
    char text[sizeof w->text] = "";
    move(t, w, WORKLOAD_VOLUMES);
    if (w->pod != NULL && !pod_volumes(t, w, &v, text, sizeof text)) {
        trouble(t, w, "CreateContainerConfigError", text);
        retry_later(t, w);
        struct instant retry_at = w->retry_at;
        move(t, w, WORKLOAD_BACKOFF);
        w->retry_at = retry_at;
        return;
    }
    struct agent_effect *fx = ask(a, t, w, FX_VOLUMES);
    fx->volumes.at = v.at;
    fx->volumes.count = v.count;
    fx->volumes.vfio = device_functions(t, w, &fx->volumes.vfio_count);
    fx->volumes.caches = device_caches(t, w, &fx->volumes.caches_count);
    fx->volumes.cpus = &w->exclusive;
}

/* Exclusive rows first leave the pool; the first instance is made when nobody else is on them. */
static void pool(struct agent *a, struct agent_turn *t, struct workload *w)
{
    char before[sizeof w->text];
    snprintf(before, sizeof before, "%s", w->text);
    if (workload_exclusive(w) && ((!w->holds && !pool_take(a, w)) || !pool_is_clear(a, w))) {
        w->reason = "WaitingForCores";
        if (strcmp(before, w->text) != 0)
            workload_say(t, w);
        return;
    }
    w->reason = NULL;
    w->text[0] = '\0';
    w->backoff = (struct span){0};
    move(t, w, WORKLOAD_RUNNING);
}

/* ---- on the way down ---- */

static bool instances_over(const struct workload *w)
{
    for (uint32_t n = 0; n < w->instances_count; n++)
        if (w->instances[n].state != INSTANCE_ENDED)
            return false;
    return true;
}

static void stop_all(struct agent *a, struct agent_turn *t, struct workload *w)
{
    for (uint32_t n = 0; n < w->instances_count; n++)
        instance_stop(a, t, w, n, w->grace);
}

static void clean(struct agent *a, struct agent_turn *t, struct workload *w)
{
    CHECK(w->uid[0] != '\0'); /* It names the directory that goes. */
    w->holds = false;         /* The last thread on these rows is gone: everything is destroyed. */
    if (w->state != WORKLOAD_CLEANING)
        move(t, w, WORKLOAD_CLEANING);
    struct agent_effect *fx = ask(a, t, w, FX_CLEAN);
    if (w->placement != NULL && !(w->placement->spec->host_network && w->pod != NULL))
        network_of(t, w, &fx->network);
    fx->logs = w->cleans_logs = w->removed;
    if (w->removed)
        fx->bytes = workload_log_dir(a, &t->arena, w);
}

static void forget(struct agent *a, struct agent_turn *t, struct workload *w)
{
    if (w->state != WORKLOAD_FORGETTING)
        move(t, w, WORKLOAD_FORGETTING);
    ask(a, t, w, FX_FORGET);
}

void workload_unwant(struct agent *a, struct agent_turn *t, struct workload *w, struct span grace)
{
    if (!w->unwanted || grace.ns < w->grace.ns)
        w->grace = grace;
    w->unwanted = w->removed = true;
    if (w->state == WORKLOAD_STOPPING)
        stop_all(a, t, w);
    workload_say(t, w);
}

/* ---- events ---- */

static void failed(struct agent_turn *t, struct workload *w, const struct agent_host_done *done)
{
    static const char *const reasons[WORKLOAD__COUNT] = {
        [WORKLOAD_SAVING] = "StateNotSaved",       [WORKLOAD_NETWORK] = "NetworkNotReady",
        [WORKLOAD_VOLUMES] = "VolumeNotReady",     [WORKLOAD_CLEANING] = "CleanupFailed",
        [WORKLOAD_FORGETTING] = "StateNotRemoved", [WORKLOAD_ENDED] = "StateNotSaved",
    };
    trouble(t, w, reasons[w->state], done->text);
    retry_later(t, w);
    if (w->state == WORKLOAD_NETWORK || w->state == WORKLOAD_VOLUMES) {
        struct instant retry_at = w->retry_at;
        move(t, w, WORKLOAD_BACKOFF);
        w->retry_at = retry_at;
    }
}

void workload_done(struct agent *a, struct agent_turn *t, struct workload *w,
                   const struct agent_event *ev)
{
    if (w->op != ev->op)
        return;
    w->op = 0;
    if (ev->host->code != ERR_OK) {
        failed(t, w, ev->host);
        return;
    }
    switch (w->state) {
    case WORKLOAD_SAVING:
        if (!w->unwanted)
            network(a, t, w);
        break;
    case WORKLOAD_NETWORK:
        snprintf(w->network, sizeof w->network, STR_FMT, STR_ARG(ev->host->network));
        break;
    case WORKLOAD_VOLUMES:
        if (w->started.ns == 0)
            overdue_begin(t, w);
        if (!w->unwanted)
            move(t, w, WORKLOAD_POOL);
        break;
    case WORKLOAD_CLEANING:
        w->backoff = (struct span){0};
        workload_say(t, w);
        if (w->removed && w->cleans_logs)
            forget(a, t, w);
        else if (w->removed) /* The word came while this was under way: once more, logs too. */
            clean(a, t, w);
        else
            move(t, w, WORKLOAD_ENDED);
        break;
    case WORKLOAD_FORGETTING:
        move(t, w, WORKLOAD_GONE);
        workload_say(t, w);
        break;
    case WORKLOAD_ENDED:
        w->unsaved = false;
        break;
    case WORKLOAD_LISTING:
    case WORKLOAD_POOL:
    case WORKLOAD_BACKOFF:
    case WORKLOAD_RUNNING:
    case WORKLOAD_STOPPING:
    case WORKLOAD_GONE:
    case WORKLOAD__COUNT:
        break;
    }
}

static void stopping(struct agent *a, struct agent_turn *t, struct workload *w)
{
    if (w->state != WORKLOAD_STOPPING)
        move(t, w, WORKLOAD_STOPPING);
    workload_say(t, w);
    stop_all(a, t, w);
}

/* A restored workload that is not wanted any more is listed first: what runs must be stopped. */
static void tick_up(struct agent *a, struct agent_turn *t, struct workload *w)
{
    bool due = instant_due(w->retry_at, t->now);
    if (w->state == WORKLOAD_SAVING && (w->unwanted || due)) {
        if (w->unwanted)
            clean(a, t, w);
        else
            save(a, t, w);
    } else if ((w->unwanted || w->ended) && w->state != WORKLOAD_SAVING) {
        stopping(a, t, w);
    } else if (w->state == WORKLOAD_BACKOFF && due) {
        network(a, t, w);
    }
    if (w->state == WORKLOAD_NETWORK && w->op == 0)
        volumes(a, t, w); /* It is there, or hostNetwork needs none. */
    if (w->state == WORKLOAD_POOL)
        pool(a, t, w);
}

static void tick_down(struct agent *a, struct agent_turn *t, struct workload *w)
{
    bool due = instant_due(w->retry_at, t->now);
    if (w->state == WORKLOAD_STOPPING) {
        stop_all(a, t, w); /* What was still being made when the stop came. */
        if (instances_over(w))
            clean(a, t, w);
    } else if (w->state == WORKLOAD_CLEANING && due) {
        clean(a, t, w);
    } else if (w->state == WORKLOAD_ENDED && w->unwanted && w->uid[0] == '\0') {
        move(t, w, WORKLOAD_GONE); /* Never understood: nothing was made under any name. */
        workload_say(t, w);
    } else if (w->state == WORKLOAD_ENDED && w->unwanted) {
        clean(a, t, w);
    } else if (w->state == WORKLOAD_ENDED && w->unsaved && (due || w->retry_at.ns == 0)) {
        save(a, t, w); /* What it left is gone: there should be room. */
    } else if (w->state == WORKLOAD_FORGETTING && due) {
        forget(a, t, w);
    }
}

void workload_tick(struct agent *a, struct agent_turn *t, struct workload *w)
{
    if (w->state == WORKLOAD_LISTING)
        return;
    for (uint32_t n = 0; n < w->instances_count; n++)
        instance_tick(a, t, w, n);
    overdue_tick(t, w);
    if (w->op != 0)
        return;
    if (w->state == WORKLOAD_RUNNING && (w->unwanted || w->ended))
        stopping(a, t, w);
    if (w->state < WORKLOAD_RUNNING)
        tick_up(a, t, w);
    if (w->state == WORKLOAD_RUNNING)
        for (uint32_t n = 0; n < w->instances_count; n++)
            instance_tick(a, t, w, n);
    if (w->state > WORKLOAD_RUNNING && w->op == 0)
        tick_down(a, t, w);
}

/* ---- the control plane's word ---- */

static const Meta__ObjectMeta *metadata(const struct workload *w)
{
    if (w->pod != NULL)
        return w->pod->metadata;
    return w->machine != NULL ? w->machine->metadata : NULL;
}

static struct span grace_of(const struct workload *w)
{
    const Meta__ObjectMeta *meta = metadata(w);
    if (meta != NULL && meta->has_deletion_grace_period_seconds)
        return span_seconds(meta->deletion_grace_period_seconds);
    return SPAN_S(30);
}

static bool is_leaving(const struct workload *w)
{
    return metadata(w) != NULL && metadata(w)->deletion_timestamp != NULL;
}

static struct workload *take(struct agent *a, const char *placement_uid)
{
    struct workload *w = agent_take(a);
    if (w == NULL)
        return NULL;
    w->kind = &workload_pod; /* Until it is read; and when it cannot be. */
    snprintf(w->placement_uid, sizeof w->placement_uid, "%s", placement_uid);
    return w;
}

static void assign_new(struct agent *a, struct agent_turn *t, const Agent__Assign *assign)
{
    char text[200] = "";
    struct workload *w = take(a, assign->placement_uid);
    if (w == NULL)
        return; /* Over workloads_max of our own NodeHardware; nothing is reported, so it stays
                 * Pending there. The ledger's count keeps it from coming to this. */
    if (!workload_load(a, w, assign, text, sizeof text)) {
        trouble(t, w, "NotUnderstood", text);
        w->ended = w->failed = true;
        w->state = WORKLOAD_ENDED;
        return;
    }
    w->state = WORKLOAD_SAVING;
    agent_trace_move(t, w, NULL, workload_states[w->state].name);
    if (is_leaving(w))
        workload_unwant(a, t, w, grace_of(w));
    else
        save(a, t, w);
}

/* The workload or its object was deleted. A Placement that is there still waits to hear that nothing is left. */
static void withdrawn(struct agent *a, struct agent_turn *t, struct workload *w,
                      const Agent__Assign *assign)
{
    if (w->state != WORKLOAD_GONE)
        workload_unwant(a, t, w, (struct span){0});
    else if (assign->has_placement_revision)
        workload_say(t, w);
    else
        agent_give(a, w); /* Nobody is left to hear of it. */
}

/* It was placed and withdrawn while we were out of reach: its rows wait for our word. */
static void never_heard_of(struct agent *a, struct agent_turn *t, const Agent__Assign *assign)
{
    struct workload *w = take(a, assign->placement_uid);
    if (w == NULL)
        return; /* The next resync asks again. */
    w->unwanted = w->removed = true;
    w->state = WORKLOAD_GONE;
    workload_say(t, w);
}

/* One that was never understood is at least heard to leave. */
static void renewed(struct agent *a, struct agent_turn *t, struct workload *w,
                    const Agent__Assign *assign)
{
    char text[200];
    struct meta meta;
    if (w->state == WORKLOAD_GONE)
        return;
    if (w->assign == NULL) {
        struct str object = str_from(assign->workload.data, assign->workload.len);
        if (assign->has_workload && meta_read(object, &meta, NULL) == ERR_OK && meta.is_deleting)
            workload_unwant(a, t, w, (struct span){0});
        return;
    }
    if (assign->revision != w->assign->revision && workload_load(a, w, assign, text, sizeof text) &&
        is_leaving(w))
        workload_unwant(a, t, w, grace_of(w));
}

void workload_assign(struct agent *a, struct agent_turn *t, const Agent__Assign *assign)
{
    if (assign->placement_uid == NULL || strlen(assign->placement_uid) >= WORKLOAD_UID_MAX)
        return;
    struct workload *w = agent_find(a, str_of(assign->placement_uid));
    bool is_new = w == NULL && !assign->removed;
    if (is_new)
        assign_new(a, t, assign);
    else if (w == NULL && assign->has_placement_revision)
        never_heard_of(a, t, assign);
    if (w == NULL)
        w = agent_find(a, str_of(assign->placement_uid));
    if (w == NULL)
        return;
    a->named[w->slot.slot] = true;
    if (assign->removed)
        withdrawn(a, t, w, assign);
    else if (!is_new)
        renewed(a, t, w, assign);
}

/* ---- restart ---- */

/* What runs of it is nobody's and ends; the control plane assigns again what is to be here. */
static void not_restored(struct agent_turn *t, const Agent__Record *r, const char *why)
{
    bool is_named = r != NULL && r->assign != NULL && r->assign->placement_uid != NULL;
    agent_do(t, FX_TELL)->text =
        arena_printf(&t->arena, "the record of Placement %.*s is not carried out: %s",
                     WORKLOAD_UID_MAX, is_named ? r->assign->placement_uid : "without a name", why)
            .at;
}

void workload_restore(struct agent *a, struct agent_turn *t, struct str record)
{
    char text[200] = "it does not decode";
    struct arena scratch;
    arena_init(&scratch, AGENT_MESSAGE_MAX);
    ProtobufCAllocator allocator = typed_allocator(&scratch);
    Agent__Record *r = agent__record__unpack(&allocator, record.len, (const uint8_t *)record.at);
    struct workload *w = NULL;
    if (r != NULL && r->assign != NULL && r->assign->placement_uid != NULL &&
        strlen(r->assign->placement_uid) < WORKLOAD_UID_MAX) {
        w = take(a, r->assign->placement_uid);
        snprintf(text, sizeof text, "over %d workloads are recorded here", AGENT_WORKLOADS_MAX);
    }
    if (w == NULL) {
        not_restored(t, r, text);
    } else if (!workload_load(a, w, r->assign, text, sizeof text)) {
        agent_give(a, w);
        not_restored(t, r, text);
    } else {
        w->state = WORKLOAD_LISTING;
        if (r->status != NULL)
            report_restore(w, r->status);
        if (w->started.ns != 0)
            overdue_begin(t, w);
        if (is_leaving(w))
            workload_unwant(a, t, w, grace_of(w));
    }
    arena_free(&scratch);
}

/* Every list is in: what runs is taken over where it runs, and the rest goes its usual way. */
void workload_catchup(struct agent *a, struct agent_turn *t, struct workload *w)
{
    if (w->state != WORKLOAD_LISTING)
        return;
    for (uint32_t n = 0; n < w->instances_count; n++)
        w->holds |= w->instances[n].found && workload_exclusive(w);
    for (uint32_t n = 0; n < w->instances_count; n++)
        instance_catchup(a, t, w, n);
    workload_say(t, w);
    if (w->ended || w->unwanted) {
        move(t, w, WORKLOAD_STOPPING);
        stop_all(a, t, w);
    } else {
        network(a, t, w);
    }
}

struct instant workload_deadline(const struct workload *w)
{
    struct instant at = w->op == 0 ? w->retry_at : (struct instant){0};
    at = instant_earlier(at, overdue_at(w));
    for (uint32_t n = 0; n < w->instances_count; n++)
        at = instant_earlier(at, instance_deadline(w, &w->instances[n]));
    return at;
}
