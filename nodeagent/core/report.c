/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the control plane is told, level-triggered: the whole of one workload each time, again every
 * ten seconds until it is acknowledged. A lost report costs a delay and never a wrong answer.
 *
 * While a start goes well nothing is told until it has settled or a second has passed: two durable
 * writes a start are enough.
 */
#include "nodeagent/core/agent_priv.h"
#include "nodeagent/core/devices.h"
#include "nodeagent/core/overdue.h"

#include <stdio.h>

static const struct span REPEAT = SPAN_S(10), SETTLE = SPAN_S(1);

static Agent__ContainerFact *fact_of_end(struct agent_turn *t, const struct instance *i,
                                         const struct instance_end *end)
{
    Agent__ContainerFact *f = arena_alloc(&t->arena, sizeof *f);
    CHECK(f != NULL);
    agent__container_fact__init(f);
    f->has_state = true;
    f->state = AGENT__CONTAINER_STATE__CONTAINER_STATE_TERMINATED;
    f->name = (char *)i->name;
    f->container_id = (char *)end->id;
    f->has_exit_code = f->has_signal = true;
    f->exit_code = end->exit_code;
    f->signal = end->signal;
    f->has_started_at_ns = f->has_finished_at_ns = true;
    f->started_at_ns = end->started.ns;
    f->finished_at_ns = end->finished.ns;
    f->reason = end->oom_killed                           ? (char *)"OOMKilled"
                : end->exit_code == 0 && end->signal == 0 ? (char *)"Completed"
                                                          : (char *)"Error";
    return f;
}

/* An attempt counts once it is made, as Kubernetes counts: one that waits for its back-off does not. */
static uint32_t restarts_of(const struct instance *i)
{
    bool made = instance_live(i) || i->state == INSTANCE_ENDED;
    return made || i->attempt == 0 ? i->attempt : i->attempt - 1;
}

static void devices_of(struct agent_turn *t, const struct workload *w, uint32_t n,
                       Agent__ContainerFact *f)
{
    struct pod_device d = {0};
    size_t most = w->pod == NULL || w->placement == NULL ? 0 : w->placement->spec->n_devices;
    if (most == 0)
        return;
    f->devices = arena_zalloc(&t->arena, most, sizeof *f->devices);
    CHECK(f->devices != NULL);
    while (pod_device_next(w, pod_container(w, n), &d)) {
        Agent__DeviceFact *to = arena_alloc(&t->arena, sizeof *to);
        CHECK(to != NULL);
        agent__device_fact__init(to);
        to->name = d.grant->name;
        to->id = (char *)device_id(d.grant);
        f->devices[f->n_devices++] = to;
    }
}

static void fact_running(const struct instance *i, Agent__ContainerFact *f)
{
    f->state = AGENT__CONTAINER_STATE__CONTAINER_STATE_RUNNING;
    f->has_pid = f->has_started_at_ns = f->has_ready = f->has_started = true;
    f->pid = (uint32_t)i->pid;
    f->started_at_ns = i->started.ns;
    f->ready = i->is_ready;
    f->started = i->is_started;
}

/* The reasons are those of Kubernetes' ContainerStateWaiting. */
static void fact_waiting(const struct workload *w, const struct instance *i,
                         Agent__ContainerFact *f)
{
    f->state = AGENT__CONTAINER_STATE__CONTAINER_STATE_WAITING;
    f->reason = i->trouble != NULL                                  ? (char *)i->trouble
                : w->state != WORKLOAD_RUNNING && w->reason != NULL ? (char *)w->reason
                : i->init || w->instances_count == 1                ? (char *)"ContainerCreating"
                : i->state == INSTANCE_WAITING                      ? (char *)"PodInitializing"
                                                                    : (char *)"ContainerCreating";
    f->message = i->trouble != NULL ? (char *)i->text : (char *)w->text;
}

static Agent__ContainerFact *fact_of(struct agent_turn *t, const struct workload *w, uint32_t n)
{
    const struct instance *i = &w->instances[n];
    bool over = i->end.happened && !i->again;
    bool running = i->state >= INSTANCE_RUNNING && i->state <= INSTANCE_KILLING;
    Agent__ContainerFact *f = fact_of_end(t, i, &i->end);
    if (!over) {
        Agent__ContainerFact fresh = AGENT__CONTAINER_FACT__INIT;
        *f = fresh;
        f->name = (char *)i->name;
        f->container_id = (char *)i->id;
        f->has_state = true;
    }
    devices_of(t, w, n, f);
    f->has_init = true;
    f->init = i->init;
    f->image_id = (char *)i->image_id;
    f->has_restarts = true;
    f->restarts = restarts_of(i);
    const struct instance_end *last = i->end.happened && i->again ? &i->end : &i->last;
    if (last->happened)
        f->last = fact_of_end(t, i, last);
    if (!over && running)
        fact_running(i, f);
    else if (!over)
        fact_waiting(w, i, f);
    return f;
}

static bool ever_ran(const struct workload *w)
{
    for (uint32_t n = 0; n < w->instances_count; n++) {
        const struct instance *i = &w->instances[n];
        if (!i->init && (i->attempt > 0 || i->end.happened ||
                         (i->state >= INSTANCE_RUNNING && i->state <= INSTANCE_SAVING)))
            return true;
    }
    return false;
}

static Agent__RuntimePhase phase_of(const struct workload *w, bool record)
{
    bool told = record || w->state == WORKLOAD_ENDED || w->state == WORKLOAD_FORGETTING ||
                w->state == WORKLOAD_GONE;
    if (w->ended && told)
        return w->failed ? AGENT__RUNTIME_PHASE__RUNTIME_PHASE_FAILED
                         : AGENT__RUNTIME_PHASE__RUNTIME_PHASE_SUCCEEDED;
    if (w->unwanted)
        return AGENT__RUNTIME_PHASE__RUNTIME_PHASE_STOPPING;
    return ever_ran(w) ? AGENT__RUNTIME_PHASE__RUNTIME_PHASE_RUNNING
                       : AGENT__RUNTIME_PHASE__RUNTIME_PHASE_PREPARING;
}

static void cpus_read_back(struct agent_turn *t, const struct workload *w, Agent__WorkloadStatus *s)
{
    struct cpuset all = {0};
    for (uint32_t n = 0; n < w->instances_count; n++)
        if (w->instances[n].state == INSTANCE_RUNNING)
            cpuset_join(&all, &w->instances[n].cpus);
    s->cpus = arena_zalloc(&t->arena, cpuset_count(&all) + 1, sizeof *s->cpus);
    CHECK(s->cpus != NULL);
    for (uint32_t cpu = 0; cpu < RUNTIME_CPUS_MAX; cpu++)
        if (cpuset_has(&all, cpu))
            s->cpus[s->n_cpus++] = cpu;
}

static void guest_of(struct agent_turn *t, const struct workload *w, Agent__WorkloadStatus *s)
{
    if (w->machine == NULL || w->instances_count == 0)
        return;
    s->guest = arena_alloc(&t->arena, sizeof *s->guest);
    CHECK(s->guest != NULL);
    agent__guest_fact__init(s->guest);
    s->guest->has_pid = true;
    s->guest->pid = (uint32_t)w->instances[0].pid;
}

static Agent__WorkloadStatus *status_of(struct agent_turn *t, const struct workload *w, bool record)
{
    Agent__WorkloadStatus *s = arena_alloc(&t->arena, sizeof *s);
    CHECK(s != NULL);
    agent__workload_status__init(s);
    s->placement_uid = (char *)w->placement_uid;
    s->workload_uid = (char *)w->uid;
    s->has_sequence = s->has_phase = s->has_gone = s->has_observed_at_ns = true;
    s->sequence = w->sequence;
    if (w->assign != NULL) {
        s->has_placement_revision = s->has_assign_revision = true;
        s->placement_revision = w->assign->placement_revision;
        s->assign_revision = w->assign->revision;
    }
    s->phase = phase_of(w, record);
    s->gone = w->state == WORKLOAD_GONE;
    s->observed_at_ns = t->wall.ns;
    s->has_started_at_ns = w->started.ns != 0;
    s->started_at_ns = w->started.ns;
    bool evicted = w->evicted[0] != '\0';
    s->reason = evicted      ? (char *)"Evicted"
                : w->overdue ? (char *)overdue_reason
                             : (char *)w->reason;
    s->message = evicted             ? (char *)w->evicted
                 : w->overdue        ? (char *)overdue_text
                 : w->reason != NULL ? (char *)w->text
                                     : NULL;
    s->containers = arena_zalloc(&t->arena, w->instances_count + 1, sizeof *s->containers);
    CHECK(s->containers != NULL);
    for (uint32_t n = 0; n < w->instances_count; n++)
        s->containers[s->n_containers++] = fact_of(t, w, n);
    size_t addresses = w->placement == NULL ? 0 : w->placement->spec->n_addresses;
    s->ips = arena_zalloc(&t->arena, addresses + 1, sizeof *s->ips);
    CHECK(s->ips != NULL);
    for (size_t i = 0; i < addresses && w->started.ns != 0; i++)
        s->ips[s->n_ips++] = w->placement->spec->addresses[i]->ip;
    cpus_read_back(t, w, s);
    guest_of(t, w, s);
    return s;
}

struct str report_record(struct agent_turn *t, const struct workload *w)
{
    Agent__Record r = AGENT__RECORD__INIT;
    r.assign = w->assign;
    r.status = status_of(t, w, true);
    size_t len = agent__record__get_packed_size(&r);
    uint8_t *bytes = arena_alloc(&t->arena, len + 1);
    CHECK(bytes != NULL);
    agent__record__pack(&r, bytes);
    return str_from(bytes, len);
}

/* On its way up, and nothing is wrong: more is coming in a moment. */
static bool settling(const struct workload *w)
{
    if (w->unwanted || w->ended)
        return false;
    if (w->state == WORKLOAD_POOL) /* Narrowing takes a moment; a longer wait is told. */
        return true;
    if (w->reason != NULL)
        return false;
    for (uint32_t n = 0; n < w->instances_count; n++) {
        const struct instance *i = &w->instances[n];
        if (i->state >= INSTANCE_IMAGE && i->state <= INSTANCE_STARTING && i->trouble == NULL)
            return true;
    }
    return false;
}

static void send(struct agent_turn *t, struct workload *w)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    if (w->dirty || w->sequence == 0)
        w->sequence++;
    w->dirty = false;
    w->report_at = instant_add(t->now, REPEAT);
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_WORKLOAD_STATUS;
    m.workload_status = status_of(t, w, false);
    workload_tell_happenings(t, w, m.workload_status);
    agent_send(t, &m);
}

void report_flush(struct agent *a, struct agent_turn *t)
{
    if (a->session.state != SESSION_UP)
        return;
    for (uint32_t i = 0; i < a->workloads_end; i++) {
        struct workload *w = a->workloads[i];
        if (w == NULL)
            continue;
        bool now =
            w->dirty && (!settling(w) || instant_due(instant_add(w->report_from, SETTLE), t->now));
        if (now || (w->sequence != w->acked && instant_due(w->report_at, t->now)))
            send(t, w);
    }
}

uint32_t report_all(struct agent *a, struct agent_turn *t)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->workloads_end; i++) {
        if (a->workloads[i] == NULL)
            continue;
        send(t, a->workloads[i]);
        count++;
    }
    return count;
}

void report_acked(struct agent *a, struct agent_turn *t, const Agent__StatusAck *ack)
{
    (void)t;
    struct workload *w = agent_find(a, str_of(ack->placement_uid));
    if (w == NULL || ack->sequence != w->sequence)
        return;
    w->acked = ack->sequence;
    workload_forget_happenings(w, w->told_ns);
    if (w->state == WORKLOAD_GONE && !w->dirty)
        agent_give(a, w);
}

struct instant report_deadline(const struct agent *a, const struct workload *w)
{
    if (a->session.state != SESSION_UP)
        return (struct instant){0};
    struct instant at = {0};
    if (w->dirty)
        at = instant_add(w->report_from, SETTLE);
    if (w->sequence != w->acked)
        at = instant_earlier(at, w->report_at);
    return at;
}

static void end_of_fact(const Agent__ContainerFact *f, struct instance_end *out)
{
    *out = (struct instance_end){.happened = true,
                                 .exit_code = f->exit_code,
                                 .signal = f->signal,
                                 .started = {f->started_at_ns},
                                 .finished = {f->finished_at_ns}};
    out->oom_killed = str_is(str_of(f->reason), "OOMKilled");
    snprintf(out->id, sizeof out->id, "%s", f->container_id == NULL ? "" : f->container_id);
}

/* What we knew of a workload before our own restart. */
void report_restore(struct workload *w, const Agent__WorkloadStatus *s)
{
    w->ended = s->phase == AGENT__RUNTIME_PHASE__RUNTIME_PHASE_SUCCEEDED ||
               s->phase == AGENT__RUNTIME_PHASE__RUNTIME_PHASE_FAILED;
    w->failed = s->phase == AGENT__RUNTIME_PHASE__RUNTIME_PHASE_FAILED;
    w->started = (struct wall){s->started_at_ns};
    if (w->failed && str_is(str_of(s->reason), "Evicted"))
        snprintf(w->evicted, sizeof w->evicted, "%s", s->message == NULL ? "" : s->message);
    w->overdue = w->failed && str_is(str_of(s->reason), overdue_reason);
    for (size_t k = 0; k < s->n_containers; k++) {
        const Agent__ContainerFact *f = s->containers[k];
        for (uint32_t n = 0; n < w->instances_count; n++) {
            struct instance *i = &w->instances[n];
            if (f->name == NULL || strcmp(f->name, i->name) != 0)
                continue;
            bool waits = f->state == AGENT__CONTAINER_STATE__CONTAINER_STATE_WAITING;
            i->attempt = f->restarts + (waits && f->last != NULL ? 1 : 0);
            snprintf(i->image_id, sizeof i->image_id, "%s", f->image_id == NULL ? "" : f->image_id);
            i->is_started = f->started;
            i->is_ready = f->ready;
            if (f->last != NULL)
                end_of_fact(f->last, &i->last);
            if (f->state == AGENT__CONTAINER_STATE__CONTAINER_STATE_TERMINATED)
                end_of_fact(f, &i->end);
        }
    }
}
