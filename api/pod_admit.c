/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Kubernetes' admission plugins add to a new pod, because clients and controllers count on it:
 * the service account and its credentials' volume, a priority, and tolerations that keep a pod on a
 * node that is lost for five minutes.
 */
#include "api/pod.h"
#include "base/fnv.h"

/* ------------------------------------------------------------------ service account */

static Core__VolumeProjection *projection(struct kind_call *c)
{
    return kind_new(c->arena, &core__volume_projection__descriptor);
}

static void token_source(struct kind_call *c, Core__VolumeProjection *p)
{
    p->service_account_token =
        kind_new(c->arena, &core__service_account_token_projection__descriptor);
    if (p->service_account_token == NULL)
        return;
    p->service_account_token->has_expiration_seconds = true;
    p->service_account_token->expiration_seconds = 3607;
    default_text(&p->service_account_token->path, "token");
}

static void ca_source(struct kind_call *c, Core__VolumeProjection *p)
{
    Core__ConfigMapProjection *m = kind_new(c->arena, &core__config_map_projection__descriptor);
    Core__KeyToPath *item = kind_new(c->arena, &core__key_to_path__descriptor);
    p->config_map = m;
    if (m == NULL || item == NULL)
        return;
    m->local_object_reference = kind_new(c->arena, &core__local_object_reference__descriptor);
    if (m->local_object_reference != NULL)
        default_text(&m->local_object_reference->name, "kube-root-ca.crt");
    default_text(&item->key, "ca.crt");
    default_text(&item->path, "ca.crt");
    m->items = kind_grow(c->arena, &item, 1, 0);
    m->n_items = m->items != NULL;
}

static void namespace_source(struct kind_call *c, Core__VolumeProjection *p)
{
    Core__DownwardAPIProjection *d = kind_new(c->arena, &core__downward_apiprojection__descriptor);
    Core__DownwardAPIVolumeFile *file =
        kind_new(c->arena, &core__downward_apivolume_file__descriptor);
    p->downward_api = d;
    if (d == NULL || file == NULL)
        return;
    default_text(&file->path, "namespace");
    file->field_ref = kind_new(c->arena, &core__object_field_selector__descriptor);
    if (file->field_ref != NULL) {
        default_text(&file->field_ref->api_version, "v1");
        default_text(&file->field_ref->field_path, "metadata.namespace");
    }
    d->items = kind_grow(c->arena, &file, 1, 0);
    d->n_items = d->items != NULL;
}

static bool has_volume(const Core__PodSpec *s, const char *name)
{
    for (size_t i = 0; i < s->n_volumes; i++)
        if (is_text(s->volumes[i]->name, name))
            return true;
    return false;
}

/* Kubernetes ends it with five random letters. Ours follow from what the token is of, so that all pods of a template
 * have the same bytes for a spec: what is opened once serves them all (specs.h). */
static char *token_name(struct kind_call *c, const Core__PodSpec *s)
{
    for (uint64_t h = fnv_add(FNV_BASIS, kind_str(s->service_account_name));; h++) {
        char *name = (char *)(uintptr_t)arena_printf(c->arena, POD_TOKEN_VOLUME STR_FMT,
                                                     STR_ARG(kind_letters(c->arena, h)))
                         .at;
        if (name == NULL || !has_volume(s, name))
            return name;
    }
}

static char *token_volume(struct kind_call *c, Core__PodSpec *s)
{
    Core__VolumeProjection *sources[] = {projection(c), projection(c), projection(c)};
    Core__Volume *v = kind_new(c->arena, &core__volume__descriptor);
    Core__VolumeSource *source = kind_new(c->arena, &core__volume_source__descriptor);
    Core__ProjectedVolumeSource *p = kind_new(c->arena, &core__projected_volume_source__descriptor);
    Core__Volume **volumes = kind_grow(c->arena, s->volumes, s->n_volumes, 1);
    if (sources[0] == NULL || sources[1] == NULL || sources[2] == NULL || v == NULL ||
        source == NULL || p == NULL || volumes == NULL)
        return NULL;
    token_source(c, sources[0]);
    ca_source(c, sources[1]);
    namespace_source(c, sources[2]);
    p->sources = kind_grow(c->arena, sources, COUNT_OF(sources), 0);
    p->n_sources = p->sources == NULL ? 0 : COUNT_OF(sources);
    p->has_default_mode = true;
    p->default_mode = 420;
    source->projected = p;
    v->volume_source = source;
    v->name = token_name(c, s);
    volumes[s->n_volumes++] = v;
    s->volumes = volumes;
    return v->name;
}

static bool has_token(const Core__Container *k)
{
    for (size_t i = 0; i < k->n_volume_mounts; i++)
        if (is_text(k->volume_mounts[i]->mount_path, POD_TOKEN_PATH))
            return true;
    return false;
}

static void token_mount(struct kind_call *c, Core__Container *k, char *volume)
{
    Core__VolumeMount **mounts = kind_grow(c->arena, k->volume_mounts, k->n_volume_mounts, 1);
    Core__VolumeMount *mount = kind_new(c->arena, &core__volume_mount__descriptor);
    if (mounts == NULL || mount == NULL || has_token(k))
        return;
    mount->name = volume;
    mount->has_read_only = mount->read_only = true;
    default_text(&mount->mount_path, POD_TOKEN_PATH);
    mounts[k->n_volume_mounts++] = mount;
    k->volume_mounts = mounts;
}

static void admit_account(struct kind_call *c, Core__PodSpec *s)
{
    bool wanted = !s->has_automount_service_account_token || s->automount_service_account_token;
    size_t needing = 0;
    default_text(&s->service_account_name, "default");
    s->service_account = s->service_account_name;
    for (size_t i = 0; i < s->n_containers; i++)
        needing += !has_token(s->containers[i]);
    if (!wanted || needing == 0)
        return;
    char *volume = token_volume(c, s);
    for (size_t i = 0; volume != NULL && i < s->n_init_containers; i++)
        token_mount(c, s->init_containers[i], volume);
    for (size_t i = 0; volume != NULL && i < s->n_containers; i++)
        token_mount(c, s->containers[i], volume);
}

/* ------------------------------------------------------------------ priority */

/* What the shell found; the system's two are known everywhere. */
static bool class_of(const struct kind_call *c, const char *name, struct kind_priority *out)
{
    int32_t value = 0;
    *out = c->priority;
    if (c->priority.is_known || is_empty(name))
        return true;
    out->is_known = kind_system_priority(kind_str(name), &value);
    out->value = value;
    out->preemption_policy = STR("PreemptLowerPriority");
    return out->is_known;
}

static void admit_priority(struct kind_call *c, Core__PodSpec *s)
{
    struct kind_priority class;
    if (!class_of(c, s->priority_class_name, &class))
        kind_deny(c, "no PriorityClass with name %s was found", s->priority_class_name);
    else if (s->has_priority && s->priority != class.value)
        kind_deny(c,
                  "the integer value of priority (%d) must not be provided in pod spec; priority "
                  "admission controller computed %d from the given PriorityClass name",
                  s->priority, class.value);
    if (is_empty(s->priority_class_name) && class.is_known)
        s->priority_class_name = arena_dup(c->arena, class.name);
    s->has_priority = true;
    s->priority = class.value;
    if (class.preemption_policy.len > 0 && is_empty(s->preemption_policy))
        s->preemption_policy = arena_dup(c->arena, class.preemption_policy);
    default_text(&s->preemption_policy, "PreemptLowerPriority");
}

/* ------------------------------------------------------------------ tolerations */

static bool tolerates(const Core__PodSpec *s, const char *key)
{
    for (size_t i = 0; i < s->n_tolerations; i++) {
        const Core__Toleration *t = s->tolerations[i];
        bool same_key =
            is_text(t->key, key) || (is_empty(t->key) && is_text(t->operator_, "Exists"));
        bool same_effect = is_empty(t->effect) || is_text(t->effect, "NoExecute");
        if (same_key && same_effect)
            return true;
    }
    return false;
}

void pod_tolerations(struct kind_call *c, Core__PodSpec *s)
{
    static const char *const keys[] = {"node.kubernetes.io/not-ready",
                                       "node.kubernetes.io/unreachable"};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        Core__Toleration **list = kind_grow(c->arena, s->tolerations, s->n_tolerations, 1);
        Core__Toleration *t = kind_new(c->arena, &core__toleration__descriptor);
        if (list == NULL || t == NULL || tolerates(s, keys[i]))
            continue;
        default_text(&t->key, keys[i]);
        default_text(&t->operator_, "Exists");
        default_text(&t->effect, "NoExecute");
        t->has_toleration_seconds = true;
        t->toleration_seconds = 300;
        list[s->n_tolerations++] = t;
        s->tolerations = list;
    }
}

/* ------------------------------------------------------------------ first status */

static void gated(struct kind_call *c, Core__PodStatus *status)
{
    Core__PodCondition *cond = kind_new(c->arena, &core__pod_condition__descriptor);
    if (cond == NULL)
        return;
    default_text(&cond->type, "PodScheduled");
    default_text(&cond->status, "False");
    default_text(&cond->reason, "SchedulingGated");
    default_text(&cond->message, "Scheduling is blocked due to non-empty scheduling gates");
    cond->last_transition_time = kind_new(c->arena, &meta__time__descriptor);
    if (cond->last_transition_time != NULL) {
        cond->last_transition_time->has_seconds = true;
        cond->last_transition_time->seconds = wall_seconds(c->wall);
    }
    status->conditions = kind_grow(c->arena, &cond, 1, 0);
    status->n_conditions = status->conditions != NULL;
}

void pod_admit(struct kind_call *c, Core__Pod *pod)
{
    Core__PodStatus *status = kind_new(c->arena, &core__pod_status__descriptor);
    if (pod->spec->termination_grace_period_seconds < 0)
        pod->spec->termination_grace_period_seconds = 1;
    admit_account(c, pod->spec);
    admit_priority(c, pod->spec);
    pod_tolerations(c, pod->spec);
    pod->status = status;
    if (status == NULL)
        return;
    default_text(&status->phase, "Pending");
    default_text(&status->qos_class, pod_qos(pod->spec));
    if (pod->spec->n_scheduling_gates > 0)
        gated(c, status);
}
