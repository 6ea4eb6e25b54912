/* SPDX-License-Identifier: Apache-2.0 */
/* What every part asks of a workload: its names, its folders, its containers, how much a quantity is, and how its bytes are read. */
#include "api/quantity.h"
#include "api/typed.h"
#include "nodeagent/core/agent_priv.h"

struct str workload_name(const struct workload *w)
{
    if (w->pod != NULL)
        return str_of(w->pod->metadata->name);
    if (w->machine != NULL)
        return str_of(w->machine->metadata->name);
    return str_of(w->uid[0] != '\0' ? w->uid : "(not understood)");
}

struct str workload_namespace(const struct workload *w)
{
    if (w->pod != NULL)
        return str_of(w->pod->metadata->namespace_);
    return w->machine != NULL ? str_of(w->machine->metadata->namespace_) : STR("");
}

void workload_say(struct agent_turn *t, struct workload *w)
{
    if (!w->dirty)
        w->report_from = t->now;
    w->dirty = true;
}

struct str workload_dir(const struct agent *a, struct arena *arena, const struct workload *w)
{
    return arena_printf(arena, STR_FMT "/pods/%s", STR_ARG(a->config.state_dir), w->uid);
}

struct str workload_log_dir(const struct agent *a, struct arena *arena, const struct workload *w)
{
    return arena_printf(arena, STR_FMT "/logs/" STR_FMT "_" STR_FMT "_%s",
                        STR_ARG(a->config.state_dir), STR_ARG(workload_namespace(w)),
                        STR_ARG(workload_name(w)), w->uid);
}

const Core__Container *pod_container(const struct workload *w, uint32_t n)
{
    const Core__PodSpec *spec = w->pod->spec;
    return n < spec->n_init_containers ? spec->init_containers[n]
                                       : spec->containers[n - spec->n_init_containers];
}

int64_t pod_grace_seconds(const struct workload *w)
{
    bool said = w->pod != NULL && w->pod->spec->has_termination_grace_period_seconds;
    return said ? w->pod->spec->termination_grace_period_seconds : 30;
}

int64_t workload_quantity(const Resource__Quantity *q)
{
    struct quantity parsed;
    if (q == NULL || quantity_parse(str_of(q->string), &parsed, NULL) != ERR_OK)
        return 0;
    return quantity_units(&parsed);
}

int64_t workload_milli(const Resource__Quantity *q)
{
    struct quantity parsed;
    if (q == NULL || quantity_parse(str_of(q->string), &parsed, NULL) != ERR_OK)
        return 0;
    return quantity_milli(&parsed);
}
