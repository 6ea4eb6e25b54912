/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks of a container (Kubernetes: Lifecycle). postStart runs beside the container as soon as it runs, which
 * has not started until it is done; a failed one stops it. preStop runs before the container is asked to end,
 * within the same grace; what it does not finish is cut short, and the container still has HOOK_LEAST to end.
 */
#include "nodeagent/core/agent_priv.h"

static const struct span POST_START_LIMIT = SPAN_S(600);

static const Core__LifecycleHandler *hook_of(const struct workload *w, uint32_t n, bool stop)
{
    const Core__Container *c = w->pod == NULL ? NULL : pod_container(w, n);
    if (c == NULL || c->lifecycle == NULL)
        return NULL;
    return stop ? c->lifecycle->pre_stop : c->lifecycle->post_start;
}

/* False: there is nothing to do. Otherwise *out_op is answered, or it is over at *out_until. */
static bool begin(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                  const Core__LifecycleHandler *h, struct span limit, uint64_t *out_op,
                  struct instant *out_until)
{
    *out_op = 0;
    *out_until = (struct instant){0};
    if (h == NULL)
        return false;
    if (h->sleep != NULL) {
        *out_until = instant_add(t->now, span_seconds(h->sleep->seconds));
        return h->sleep->seconds > 0;
    }
    Core__ProbeHandler same = CORE__PROBE_HANDLER__INIT;
    same.exec = h->exec;
    same.http_get = h->http_get;
    if (!handler_is_known(&same))
        return false;
    *out_op = handler_ask(a, t, w, n, &same, limit);
    return true;
}

bool hook_post_start(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n)
{
    struct instance *i = &w->instances[n];
    i->hooking =
        begin(a, t, w, n, hook_of(w, n, false), POST_START_LIMIT, &i->hook_op, &i->hook_until);
    return i->hooking;
}

bool hook_pre_stop(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                   struct span grace)
{
    struct instance *i = &w->instances[n];
    i->hooking = begin(a, t, w, n, hook_of(w, n, true), grace, &i->hook_op, &i->hook_until);
    return i->hooking;
}

void hook_forget(struct instance *i)
{
    i->hooking = false;
    i->hook_op = 0;
    i->hook_until = (struct instant){0};
}

bool hook_answered(struct agent_turn *t, struct workload *w, uint32_t n,
                   const struct handler_answer *answer)
{
    struct instance *i = &w->instances[n];
    bool stop = i->state == INSTANCE_PRESTOP;
    if (i->hook_op == 0 || i->hook_op != answer->op)
        return false;
    hook_forget(i);
    i->hook_failed = !answer->success;
    if (!answer->success)
        workload_happened(t, w, n, stop ? "FailedPreStopHook" : "FailedPostStartHook", true,
                          "%s hook failed: %s", stop ? "preStop" : "postStart", answer->text);
    return true;
}
