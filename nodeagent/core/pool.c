/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/core/pool.h"
#include "nodeagent/core/agent_priv.h"

#include <stdio.h>

static const struct span RETRY = SPAN_S(1);

void pool_now(const struct agent *a, struct cpuset *out)
{
    *out = a->config.cpus;
    for (uint32_t i = 0; i < a->workloads_end; i++)
        if (a->workloads[i] != NULL && a->workloads[i]->holds)
            cpuset_drop(out, &a->workloads[i]->exclusive);
}

/* Which cpus may this machine's pool threads be on? Its own, when it is shared, are the pool's. */
static void machine_cpu(const struct workload *w, const struct cpuset *pool,
                        struct runtime_cpu *out)
{
    *out = (struct runtime_cpu){.pool = *pool, .exclusive = w->holds};
    out->cpus = w->holds ? w->run_cpus : *pool;
}

static void machine_reconcile(struct agent *a, struct agent_turn *t, struct workload *w,
                              const struct cpuset *pool)
{
    for (uint32_t n = 0; n < w->instances_count; n++) {
        struct instance *i = &w->instances[n];
        bool movable = i->state >= INSTANCE_RUNNING && i->state <= INSTANCE_STOPPING;
        if (!movable || cpuset_eq(&i->helper, pool)) {
            i->cpus_retry_at = (struct instant){0};
            continue;
        }
        if (i->cpus_op != 0)
            continue;
        if (i->cpus_retry_at.ns > t->now.ns)
            continue;
        i->cpus_retry_at = (struct instant){0};
        struct runtime_cpu *cpu = arena_zalloc(&t->arena, 1, sizeof *cpu);
        CHECK(cpu != NULL);
        machine_cpu(w, pool, cpu);
        i->cpus_op = agent_op(a, w->slot.slot, n);
        i->asked = *pool;
        struct agent_effect *fx = agent_do(t, FX_SET_CPUS);
        fx->op = i->cpus_op;
        fx->kind = RUNTIME_VM;
        fx->id = str_of(i->id);
        fx->uid = str_of(w->uid);
        fx->cpu = cpu;
    }
}

void pool_reconcile(struct agent *a, struct agent_turn *t)
{
    struct cpuset pool;
    pool_now(a, &pool);
    if (cpuset_is_empty(&pool))
        return; /* pool_take() never lets it come to this; a machine without cpus does. */
    if (a->pool_op == 0 && !cpuset_eq(&a->pool, &pool) && a->pool_retry_at.ns <= t->now.ns) {
        struct cpuset *told = arena_alloc(&t->arena, sizeof *told);
        CHECK(told != NULL);
        *told = a->pool_asked = pool;
        a->pool_op = agent_op(a, 0, OP_AGENT);
        struct agent_effect *fx = agent_do(t, FX_POOL);
        fx->op = a->pool_op;
        fx->pool = told;
    }
    for (uint32_t i = 0; i < a->workloads_end; i++)
        if (a->workloads[i] != NULL && a->workloads[i]->kind == &workload_vm)
            machine_reconcile(a, t, a->workloads[i], &pool);
}

void pool_done(struct agent *a, struct agent_turn *t, const struct agent_host_done *done)
{
    a->pool_op = 0;
    a->pool_retry_at = (struct instant){0};
    a->pool_text[0] = '\0';
    if (done->code == ERR_OK) {
        a->pool = a->pool_asked;
        return;
    }
    a->pool =
        (struct cpuset){0}; /* It may be either; nothing exclusive starts until it is known. */
    a->pool_retry_at = instant_add(t->now, RETRY);
    snprintf(a->pool_text, sizeof a->pool_text, "%s", done->text);
}

bool pool_take(struct agent *a, struct workload *w)
{
    struct cpuset pool;
    for (uint32_t i = 0; i < a->workloads_end; i++) {
        const struct workload *other = a->workloads[i];
        if (other == NULL || other == w || !other->holds ||
            !cpuset_overlaps(&other->exclusive, &w->exclusive))
            continue;
        snprintf(w->text, sizeof w->text, "cores of this placement are still held by " STR_FMT,
                 STR_ARG(workload_name(other)));
        return false;
    }
    pool_now(a, &pool);
    cpuset_drop(&pool, &w->exclusive);
    if (cpuset_is_empty(&pool)) {
        snprintf(w->text, sizeof w->text, "nothing would be left of the shared pool");
        return false;
    }
    w->holds = true;
    return true;
}

/* A machine that is being made still runs, or will run, where it was told to. */
static bool machine_is_off(const struct workload *other, const struct cpuset *rows)
{
    if (other->kind != &workload_vm)
        return true; /* Containers move with the pool's group. */
    for (uint32_t n = 0; n < other->instances_count; n++) {
        const struct instance *i = &other->instances[n];
        if (instance_live(i) && (cpuset_overlaps(&i->helper, rows) ||
                                 (i->cpus_op != 0 && cpuset_overlaps(&i->asked, rows))))
            return false;
    }
    return true;
}

bool pool_is_clear(const struct agent *a, struct workload *w)
{
    if (cpuset_is_empty(&a->pool) || cpuset_overlaps(&a->pool, &w->exclusive)) {
        snprintf(w->text, sizeof w->text, "waiting for the shared pool to leave its cores%s%s",
                 a->pool_text[0] == '\0' ? "" : ": ", a->pool_text);
        return false;
    }
    for (uint32_t i = 0; i < a->workloads_end; i++) {
        const struct workload *other = a->workloads[i];
        if (other == NULL || other == w || machine_is_off(other, &w->exclusive))
            continue;
        snprintf(w->text, sizeof w->text, "waiting for " STR_FMT " to leave its cores",
                 STR_ARG(workload_name(other)));
        return false;
    }
    return true;
}
