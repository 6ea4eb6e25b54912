/* SPDX-License-Identifier: Apache-2.0 */
/* The pod's row. Its rules are in pod_*.c. */
#include "api/limits.h"
#include "api/pod.h"
#include "api/policy.h"
#include "api/parts.h"

/* Kubernetes' static CPU manager, for the pod as a whole (controlplane/core/sched_view.h). */
static bool is_exclusive(const Core__PodSpec *s)
{
    struct quantity q;
    for (size_t i = 0; i < s->n_containers; i++)
        if (!pod_limit(s->containers[i]->resources, "cpu", &q) || q.nano % 1000000000 != 0)
            return false;
    return is_text(pod_qos(s), "Guaranteed");
}

/* ------------------------------------------------------------------ the row */

/* A door that may change one thing only takes that one thing. */
static void keep_all_but(struct kind_call *c, Core__Pod *pod, const Core__Pod *old)
{
    Core__PodSpec *spec = arena_alloc(c->arena, sizeof *spec);
    if (spec == NULL || old->spec == NULL || pod->spec == NULL)
        return;
    *spec = *old->spec;
    if (c->write == KIND_EPHEMERAL) {
        spec->n_ephemeral_containers = pod->spec->n_ephemeral_containers;
        spec->ephemeral_containers = pod->spec->ephemeral_containers;
    } else if (c->write == KIND_UPDATE) {
        spec = pod->spec; /* Ephemeral containers come through their own door. */
        spec->n_ephemeral_containers = old->spec->n_ephemeral_containers;
        spec->ephemeral_containers = old->spec->ephemeral_containers;
    } else {
        spec->node_name = pod->spec->node_name;
    }
    pod->spec = spec;
}

static void bound(struct kind_call *c, Core__Pod *pod)
{
    Core__PodCondition *cond = kind_new(c->arena, &core__pod_condition__descriptor);
    Core__PodStatus *status = kind_new(c->arena, &core__pod_status__descriptor);
    if (cond == NULL || status == NULL)
        return;
    if (pod->status != NULL)
        *status = *pod->status;
    default_text(&cond->type, "PodScheduled");
    default_text(&cond->status, "True");
    cond->last_transition_time = kind_new(c->arena, &meta__time__descriptor);
    if (cond->last_transition_time != NULL) {
        cond->last_transition_time->has_seconds = true;
        cond->last_transition_time->seconds = wall_seconds(c->wall);
    }
    status->conditions = kind_grow(c->arena, status->conditions, status->n_conditions, 1);
    if (status->conditions != NULL)
        status->conditions[status->n_conditions++] = cond;
    pod->status = status;
}

/* podIP and the first of podIPs are the same thing: the older name is what older clients write. */
static void first_address(struct kind_call *c, Core__PodStatus *s)
{
    Core__PodIP *ip = kind_new(c->arena, &core__pod_ip__descriptor);
    if (ip == NULL || is_empty(s->pod_ip) ||
        (s->n_pod_ips > 0 && is_text(s->pod_ips[0]->ip, s->pod_ip)))
        return;
    ip->ip = s->pod_ip;
    s->pod_ips = kind_grow(c->arena, &ip, 1, 0);
    s->n_pod_ips = s->pod_ips != NULL;
}

static void pod_prepare(struct kind_call *c, ProtobufCMessage *object, const ProtobufCMessage *old)
{
    Core__Pod *pod = (Core__Pod *)object;
    if (c->spec_is_prepared)
        return;
    if (pod->spec == NULL)
        pod->spec = kind_new(c->arena, &core__pod_spec__descriptor);
    if (pod->spec == NULL)
        return;
    if (old != NULL && c->write != KIND_STATUS)
        keep_all_but(c, pod, (const Core__Pod *)old);
    pod_defaults(c, pod->spec);
    if (c->write == KIND_CREATE) {
        pod_limits_fill(c, pod);
        pod_admit(c, pod);
    }
    if (c->write == KIND_UPDATE)
        pod_tolerations(c, pod->spec);
    if (c->write == KIND_BIND)
        bound(c, pod);
    if (c->write == KIND_STATUS && pod->status != NULL)
        first_address(c, pod->status);
}

static void status_validate(struct kind_call *c, const Core__Pod *pod, const Core__Pod *old)
{
    struct field status = field_name(NULL, "status"), qos = field_name(&status, "qosClass");
    const char *was = old->status == NULL ? NULL : old->status->qos_class;
    const char *is = pod->status == NULL ? NULL : pod->status->qos_class;
    struct field ips = field_name(&status, "podIPs");
    for (size_t i = 0; pod->status != NULL && i < pod->status->n_pod_ips; i++) {
        struct field at = field_index(&ips, i);
        struct str ip = kind_str(pod->status->pod_ips[i]->ip);
        if (ip.len > 0)
            names_check(&c->causes, &at, ip, name_ip(ip));
    }
    if (!is_empty(was) && !is_text(is, was))
        causes_invalid(&c->causes, &qos, kind_str(is), "field is immutable");
}

static void pod_validate(struct kind_call *c, const ProtobufCMessage *object,
                         const ProtobufCMessage *old)
{
    const Core__Pod *pod = (const Core__Pod *)object;
    struct field spec = field_name(NULL, "spec");
    if (c->write == KIND_STATUS) {
        status_validate(c, pod, (const Core__Pod *)old);
        return;
    }
    if (c->write == KIND_BIND || c->spec_is_prepared)
        return;
    pod_spec_validate(c, pod->spec, &spec);
    policy_validate(c, pod->metadata, is_exclusive(pod->spec) ? pod_cpus(pod->spec) : 0);
    parts_validate(c, pod, (const Core__Pod *)old);
    if (old != NULL)
        pod_update_validate(c, pod, (const Core__Pod *)old);
    else if (c->causes.count == 0)
        pod_limits_check(c, pod);
}

static const char *const pod_fields[] = {"spec.nodeName",
                                         "spec.host",
                                         "spec.restartPolicy",
                                         "spec.schedulerName",
                                         "spec.serviceAccountName",
                                         "spec.hostNetwork",
                                         "status.phase",
                                         "status.podIP",
                                         "status.nominatedNodeName",
                                         NULL};

static const struct kind_subresource pod_subresources[] = {
    {"binding", NULL, NULL, "Binding", "create"},
    {"ephemeralcontainers", NULL, NULL, NULL, "get patch update"},
    {"eviction", "policy", "v1", "Eviction", "create"},
    {"log", NULL, NULL, NULL, "get"},
    {"status", NULL, NULL, NULL, "get patch update"},
    {NULL, NULL, NULL, NULL, NULL},
};

const struct kind kind_pod = {
    .group = "",
    .plural = "pods",
    .name_rule = name_subdomain,
    .flags = KIND_COUNTS | KIND_DELETED_BODY | KIND_WARNS,
    .fields = pod_fields,
    .subresources = pod_subresources,
    .prepare = pod_prepare,
    .validate = pod_validate,
    .notes = pod_notes,
    .cell = pod_cell,
};
