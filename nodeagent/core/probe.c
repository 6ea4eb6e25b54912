/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/core/probe.h"
#include "nodeagent/core/agent_priv.h"

#include <stdio.h>

#define S(name, to) [PROBE_##name] = {#name, to},
#define TO(name) (1u << PROBE_##name)
const struct sm_state probe_states[PROBE__COUNT] = {PROBE_STATES(S, TO)};
#undef S
#undef TO

static const char *const names[PROBE_KINDS] = {"Startup", "Liveness", "Readiness"};

static void move(struct probe *p, enum probe_state next)
{
    sm_check(probe_states, p->state, next);
    p->state = next;
}

static const Core__Probe *spec_of(const struct workload *w, uint32_t n, enum probe_kind kind)
{
    const Core__Container *c = w->pod == NULL ? NULL : pod_container(w, n);
    if (c == NULL || (w->instances[n].init && !w->instances[n].sidecar))
        return NULL;
    const Core__Probe *p = kind == PROBE_STARTUP    ? c->startup_probe
                           : kind == PROBE_LIVENESS ? c->liveness_probe
                                                    : c->readiness_probe;
    return p == NULL || p->handler == NULL || !handler_is_known(p->handler) ? NULL : p;
}

static struct span seconds(int32_t value, int32_t least)
{
    return SPAN_S(value < least ? least : value);
}

enum probe_verdict probe_count(struct probe *p, enum probe_kind kind, const Core__Probe *spec,
                               bool success)
{
    int32_t wanted = success ? spec->success_threshold : spec->failure_threshold;
    int32_t *count = success ? &p->successes : &p->failures;
    *(success ? &p->failures : &p->successes) = 0;
    *count += *count < INT32_MAX;
    if (*count < (wanted < 1 ? 1 : wanted))
        return PROBE_SAME;
    bool fatal = !success && kind != PROBE_READINESS;
    bool changed = p->holds != success;
    p->holds = success;
    return fatal ? PROBE_FATAL : changed ? PROBE_CHANGED : PROBE_SAME;
}

bool probes_judge(struct agent_turn *t, struct workload *w, uint32_t n)
{
    struct instance *i = &w->instances[n];
    bool started = !i->hooking && (spec_of(w, n, PROBE_STARTUP) == NULL ||
                                   i->probes[PROBE_STARTUP].holds || i->is_started);
    bool ready =
        started && (spec_of(w, n, PROBE_READINESS) == NULL || i->probes[PROBE_READINESS].holds);
    if (started == i->is_started && ready == i->is_ready)
        return false;
    i->is_started = started;
    i->is_ready = ready;
    workload_say(t, w);
    return true;
}

void probes_begin(struct agent_turn *t, struct workload *w, uint32_t n)
{
    struct instance *i = &w->instances[n];
    for (uint32_t k = 0; k < PROBE_KINDS; k++)
        i->probes[k] = (struct probe){.holds = k == PROBE_LIVENESS};
    /* After our own restart the container is what it was, until it says otherwise. */
    i->probes[PROBE_STARTUP].holds = i->is_started;
    i->probes[PROBE_READINESS].holds = i->is_ready;
    (void)probes_judge(t, w, n);
}

void probes_end(struct instance *i)
{
    for (uint32_t k = 0; k < PROBE_KINDS; k++) {
        if (i->probes[k].state != PROBE_IDLE)
            move(&i->probes[k], PROBE_IDLE);
        i->probes[k].op = 0;
    }
}

/* Startup is asked until it has held, the others from then on. */
static bool is_wanted(const struct workload *w, uint32_t n, enum probe_kind kind)
{
    const struct instance *i = &w->instances[n];
    if (i->state != INSTANCE_RUNNING || i->hooking || w->unwanted || spec_of(w, n, kind) == NULL)
        return false;
    return (kind == PROBE_STARTUP) != i->is_started;
}

static void ask(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                enum probe_kind kind)
{
    const Core__Probe *spec = spec_of(w, n, kind);
    struct probe *p = &w->instances[n].probes[kind];
    p->asked_at = t->now;
    p->op = handler_ask(a, t, w, n, spec->handler, seconds(spec->timeout_seconds, 1));
    move(p, PROBE_ASKING);
}

void probes_tick(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n)
{
    struct instance *i = &w->instances[n];
    for (enum probe_kind k = 0; k < PROBE_KINDS; k++) {
        struct probe *p = &i->probes[k];
        bool wanted = is_wanted(w, n, k);
        if (!wanted && p->state != PROBE_IDLE) {
            move(p, PROBE_IDLE);
            p->op = 0;
        } else if (wanted && p->state == PROBE_IDLE) {
            struct span delay = seconds(spec_of(w, n, k)->initial_delay_seconds, 0);
            p->next_at = instant_add(i->running_since, delay);
            if (p->next_at.ns < t->now.ns)
                p->next_at = t->now;
            move(p, PROBE_WAITING);
        }
        if (p->state == PROBE_WAITING && instant_due(p->next_at, t->now))
            ask(a, t, w, n, k);
    }
}

static void failed_for_good(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                            enum probe_kind kind)
{
    const Core__Probe *spec = spec_of(w, n, kind);
    int64_t grace = spec->has_termination_grace_period_seconds
                        ? spec->termination_grace_period_seconds
                        : pod_grace_seconds(w);
    char why[160];
    snprintf(why, sizeof why, "Container %s failed %s probe, will be restarted",
             w->instances[n].name, kind == PROBE_STARTUP ? "startup" : "liveness");
    instance_stop_because(a, t, w, n, span_seconds(grace), why);
}

bool probes_answered(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                     const struct handler_answer *answer)
{
    struct instance *i = &w->instances[n];
    enum probe_kind k = 0;
    while (k < PROBE_KINDS && (i->probes[k].op == 0 || i->probes[k].op != answer->op))
        k++;
    if (k == PROBE_KINDS)
        return false;
    struct probe *p = &i->probes[k];
    const Core__Probe *spec = spec_of(w, n, k);
    p->op = 0;
    if (spec == NULL) {
        move(p, PROBE_IDLE);
        return true;
    }
    p->next_at = instant_add(p->asked_at, seconds(spec->period_seconds, 1));
    move(p, PROBE_WAITING);
    if (answer->is_unasked)
        return true;
    if (!answer->success) {
        workload_happened(t, w, n, "Unhealthy", true, "%s probe failed: %s", names[k],
                          answer->text);
        workload_say(t, w); /* Changes no status: nothing is written for it. */
    }
    enum probe_verdict verdict = probe_count(p, k, spec, answer->success);
    if (verdict == PROBE_FATAL)
        failed_for_good(a, t, w, n, k);
    else if (probes_judge(t, w, n))
        instance_note(a, t, w);
    return true;
}

struct instant probes_deadline(const struct instance *i)
{
    struct instant at = {0};
    for (uint32_t k = 0; k < PROBE_KINDS; k++)
        if (i->probes[k].state == PROBE_WAITING)
            at = instant_earlier(at, i->probes[k].next_at);
    return at;
}
