/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of `kubectl get pods`: how Kubernetes sums a pod up in one word (reference: 3). */
#include "api/pod.h"
#include "api/table.h"

static bool is_sidecar(const Core__Pod *pod, const char *name)
{
    for (size_t i = 0; i < pod->spec->n_init_containers; i++)
        if (is_text(pod->spec->init_containers[i]->name, name))
            return is_text(pod->spec->init_containers[i]->restart_policy, "Always");
    return false;
}

static bool condition_is(const Core__Pod *pod, const char *type, const char *status)
{
    for (size_t i = 0; i < pod->status->n_conditions; i++)
        if (is_text(pod->status->conditions[i]->type, type))
            return is_text(pod->status->conditions[i]->status, status);
    return false;
}

/* ------------------------------------------------------------------ STATUS */

static struct str ended(const Core__ContainerStateTerminated *t, const char *prefix,
                        struct arena *a)
{
    if (!is_empty(t->reason))
        return arena_printf(a, "%s%s", prefix, t->reason);
    if (t->signal != 0)
        return arena_printf(a, "%sSignal:%d", prefix, t->signal);
    return arena_printf(a, "%sExitCode:%d", prefix, t->exit_code);
}

/* The first init container that is not done decides; {NULL, 0}: all are. */
static struct str init_status(const Core__Pod *pod, struct arena *a)
{
    for (size_t i = 0; i < pod->status->n_init_container_statuses; i++) {
        const Core__ContainerStatus *s = pod->status->init_container_statuses[i];
        const Core__ContainerState *state = s->state;
        if (state != NULL && state->terminated != NULL && state->terminated->exit_code == 0)
            continue;
        if (is_sidecar(pod, s->name) && s->has_started && s->started)
            continue;
        if (state != NULL && state->terminated != NULL)
            return ended(state->terminated, "Init:", a);
        if (state != NULL && state->waiting != NULL && !is_empty(state->waiting->reason) &&
            !is_text(state->waiting->reason, "PodInitializing"))
            return arena_printf(a, "Init:%s", state->waiting->reason);
        return arena_printf(a, "Init:%zu/%zu", i, pod->spec->n_init_containers);
    }
    return (struct str){NULL, 0};
}

static struct str container_status(const Core__Pod *pod, struct str so_far, struct arena *a)
{
    bool has_running = false;
    struct str reason = so_far;
    for (size_t i = pod->status->n_container_statuses; i > 0; i--) {
        const Core__ContainerStatus *s = pod->status->container_statuses[i - 1];
        if (s->state != NULL && s->state->waiting != NULL && !is_empty(s->state->waiting->reason))
            reason = kind_str(s->state->waiting->reason);
        else if (s->state != NULL && s->state->terminated != NULL)
            reason = ended(s->state->terminated, "", a);
        else if (s->has_ready && s->ready && s->state != NULL && s->state->running != NULL)
            has_running = true;
    }
    if (str_is(reason, "Completed") && has_running)
        return condition_is(pod, "Ready", "True") ? STR("Running") : STR("NotReady");
    return reason;
}

static bool is_gated(const Core__Pod *pod)
{
    for (size_t i = 0; i < pod->status->n_conditions; i++)
        if (is_text(pod->status->conditions[i]->type, "PodScheduled"))
            return is_text(pod->status->conditions[i]->reason, "SchedulingGated");
    return false;
}

static struct str pod_word(const Core__Pod *pod, struct arena *a)
{
    struct str phase = kind_str(pod->status->phase);
    struct str reason = is_empty(pod->status->reason) ? phase : kind_str(pod->status->reason);
    if (is_gated(pod))
        reason = STR("SchedulingGated");
    struct str init = init_status(pod, a);
    reason = init.at != NULL ? init : container_status(pod, reason, a);
    bool is_over = str_is(phase, "Succeeded") || str_is(phase, "Failed");
    if (pod->metadata->deletion_timestamp == NULL)
        return reason;
    if (is_text(pod->status->reason, "NodeLost"))
        return STR("Unknown");
    return is_over ? reason : STR("Terminating");
}

/* ------------------------------------------------------------------ READY, RESTARTS */

static struct str ready_cell(const Core__Pod *pod, struct arena *a)
{
    size_t ready = 0, total = pod->spec->n_containers;
    for (size_t i = 0; i < pod->spec->n_init_containers; i++)
        total += is_text(pod->spec->init_containers[i]->restart_policy, "Always");
    for (size_t i = 0; i < pod->status->n_container_statuses; i++) {
        const Core__ContainerStatus *s = pod->status->container_statuses[i];
        ready += s->ready && s->state != NULL && s->state->running != NULL;
    }
    for (size_t i = 0; i < pod->status->n_init_container_statuses; i++) {
        const Core__ContainerStatus *s = pod->status->init_container_statuses[i];
        ready += is_sidecar(pod, s->name) && s->ready;
    }
    return arena_printf(a, "%zu/%zu", ready, total);
}

static struct str restarts_cell(const Core__Pod *pod, struct wall now, struct arena *a)
{
    int64_t count = 0, last = 0;
    for (size_t i = 0; i < pod->status->n_container_statuses; i++) {
        const Core__ContainerStatus *s = pod->status->container_statuses[i];
        count += s->restart_count;
        if (s->last_state != NULL && s->last_state->terminated != NULL &&
            s->last_state->terminated->finished_at != NULL &&
            s->last_state->terminated->finished_at->seconds > last)
            last = s->last_state->terminated->finished_at->seconds;
    }
    if (count == 0 || last == 0)
        return arena_printf(a, "%lld", (long long)count);
    struct str age = table_age(last, now, a);
    return arena_printf(a, "%lld (" STR_FMT " ago)", (long long)count, STR_ARG(age));
}

static struct str gates_cell(const Core__Pod *pod, struct arena *a)
{
    size_t passed = 0, total = pod->spec->n_readiness_gates;
    if (total == 0)
        return STR("<none>");
    for (size_t i = 0; i < total; i++)
        passed +=
            condition_is(pod, kind_str(pod->spec->readiness_gates[i]->condition_type).at, "True");
    return arena_printf(a, "%zu/%zu", passed, total);
}

static struct str or_none(const char *text)
{
    return is_empty(text) ? STR("<none>") : str_of(text);
}

struct kind_cell pod_cell(const ProtobufCMessage *object, struct str column, struct wall now,
                          struct arena *a)
{
    const Core__Pod *pod = (const Core__Pod *)object;
    struct str text = STR("");
    if (pod->spec == NULL || pod->status == NULL || pod->metadata == NULL)
        return (struct kind_cell){.text = STR("<unknown>")};
    if (str_is(column, "Ready"))
        text = ready_cell(pod, a);
    else if (str_is(column, "Status"))
        text = pod_word(pod, a);
    else if (str_is(column, "Restarts"))
        text = restarts_cell(pod, now, a);
    else if (str_is(column, "IP"))
        text =
            or_none(pod->status->n_pod_ips > 0 ? pod->status->pod_ips[0]->ip : pod->status->pod_ip);
    else if (str_is(column, "Node"))
        text = or_none(pod->spec->node_name);
    else if (str_is(column, "Nominated Node"))
        text = or_none(pod->status->nominated_node_name);
    else if (str_is(column, "Readiness Gates"))
        text = gates_cell(pod, a);
    return (struct kind_cell){.text = text};
}
