/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/core/overdue.h"

const char overdue_reason[] = "DeadlineExceeded";
const char overdue_text[] = "Pod was active on the node longer than the specified deadline";

void overdue_begin(const struct agent_turn *t, struct workload *w)
{
    int64_t passed = w->started.ns == 0 ? 0 : t->wall.ns - w->started.ns;
    if (w->started.ns == 0)
        w->started = t->wall;
    w->active_from.ns = t->now.ns - (passed > 0 ? passed : 0);
}

struct instant overdue_at(const struct workload *w)
{
    struct instant never = {0};
    if (w->pod == NULL || !w->pod->spec->has_active_deadline_seconds || w->started.ns == 0 ||
        w->state == WORKLOAD_LISTING || w->ended || w->unwanted)
        return never;
    struct instant at =
        instant_add(w->active_from, span_seconds(w->pod->spec->active_deadline_seconds));
    return at.ns > 0 ? at : (struct instant){1};
}

void overdue_tick(struct agent_turn *t, struct workload *w)
{
    if (!instant_due(overdue_at(w), t->now))
        return;
    w->ended = w->failed = w->overdue = true;
    w->unsaved = true; /* None of its containers may be there whose end would be written down. */
    w->grace = span_seconds(pod_grace_seconds(w));
    workload_happened(t, w, WORKLOAD_ITSELF, overdue_reason, true, "%s", overdue_text);
    agent_trace_trouble(t, w, NULL, overdue_reason, overdue_text);
    workload_say(t, w);
}
