/* SPDX-License-Identifier: Apache-2.0 */
/* What a pod is when its manifest does not say it. The values are Kubernetes'; the reference lists
 * them (Appendix D, 29), and the recorded answers prove them. */
#include "api/pod.h"
#include <stddef.h>

static_assert(sizeof(Core__Container) == sizeof(Core__EphemeralContainerCommon) &&
                  offsetof(Core__Container, restart_policy) ==
                      offsetof(Core__EphemeralContainerCommon, restart_policy),
              "both messages are generated from the same fields in the same order");

const Core__Container *pod_ephemeral(const Core__EphemeralContainer *e)
{
    return (const Core__Container *)(const void *)e->ephemeral_container_common;
}

static void default_i32(protobuf_c_boolean *has, int32_t *value, int32_t standard)
{
    if (*has && *value != 0)
        return;
    *has = true;
    *value = standard;
}

/* ------------------------------------------------------------------ probes, handlers */

static void http_defaults(Core__HTTPGetAction *http)
{
    if (http == NULL)
        return;
    default_text(&http->path, "/");
    default_text(&http->scheme, "HTTP");
}

static void probe_defaults(Core__Probe *p)
{
    if (p == NULL)
        return;
    if (p->handler != NULL) {
        http_defaults(p->handler->http_get);
        if (p->handler->grpc != NULL && p->handler->grpc->service == NULL)
            p->handler->grpc->service = (char *)(uintptr_t) "";
    }
    default_i32(&p->has_timeout_seconds, &p->timeout_seconds, 1);
    default_i32(&p->has_period_seconds, &p->period_seconds, 10);
    default_i32(&p->has_success_threshold, &p->success_threshold, 1);
    default_i32(&p->has_failure_threshold, &p->failure_threshold, 3);
}

static void lifecycle_defaults(Core__Lifecycle *l)
{
    if (l != NULL && l->post_start != NULL)
        http_defaults(l->post_start->http_get);
    if (l != NULL && l->pre_stop != NULL)
        http_defaults(l->pre_stop->http_get);
}

/* ------------------------------------------------------------------ containers */

/* The tag latest, said or not, is pulled always; everything else once. */
static const char *pull_policy(struct str image)
{
    size_t digest = str_find(image, '@', 0), slash = 0;
    struct str name = str_slice(image, 0, digest);
    for (size_t i = str_find(name, '/', 0); i < name.len; i = str_find(name, '/', i + 1))
        slash = i;
    size_t colon = str_find(name, ':', slash);
    struct str tag = str_slice(name, colon + 1, name.len);
    if (digest < image.len)
        return "IfNotPresent";
    return colon == name.len || str_is(tag, "latest") ? "Always" : "IfNotPresent";
}

static void field_ref_defaults(Core__ObjectFieldSelector *f)
{
    if (f != NULL)
        default_text(&f->api_version, "v1");
}

static void divisor_defaults(struct kind_call *c, Core__ResourceFieldSelector *f)
{
    if (f == NULL || (f->divisor != NULL && !is_empty(f->divisor->string)))
        return;
    f->divisor = kind_new(c->arena, &resource__quantity__descriptor);
    if (f->divisor != NULL)
        default_text(&f->divisor->string, "0");
}

static void env_defaults(struct kind_call *c, Core__Container *k)
{
    for (size_t i = 0; i < k->n_env; i++) {
        Core__EnvVarSource *from = k->env[i]->value_from;
        if (from == NULL)
            continue;
        field_ref_defaults(from->field_ref);
        divisor_defaults(c, from->resource_field_ref);
    }
}

/* A limit without a request is a request of the same amount. */
static void request_defaults(struct kind_call *c, Core__ResourceRequirements *r)
{
    struct quantity amount;
    if (r == NULL || r->n_limits == 0)
        return;
    r->requests = kind_grow(c->arena, r->requests, r->n_requests, r->n_limits);
    for (size_t i = 0; r->requests != NULL && i < r->n_limits; i++) {
        if (pod_request(r, r->limits[i]->key, &amount))
            continue;
        Core__ResourceRequirements__RequestsEntry *entry =
            kind_new(c->arena, &core__resource_requirements__requests_entry__descriptor);
        if (entry == NULL)
            return;
        entry->key = r->limits[i]->key;
        entry->value = r->limits[i]->value;
        r->requests[r->n_requests++] = entry;
    }
}

/* Nothing finer than a thousandth of a resource can be asked for: rounded up, as by Kubernetes. */
static void round_milli(struct kind_call *c, Resource__Quantity *q)
{
    struct quantity amount;
    struct err e;
    char text[QUANTITY_TEXT_MAX];
    if (q == NULL || quantity_parse(kind_str(q->string), &amount, &e) != ERR_OK)
        return;
    if (amount.nano % 1000000 == 0)
        return;
    amount.nano += 1000000 - amount.nano % 1000000;
    size_t len = quantity_print(&amount, text);
    q->string = arena_dup(c->arena, str_from(text, len));
}

static void resource_defaults(struct kind_call *c, Core__ResourceRequirements *r)
{
    for (size_t i = 0; r != NULL && i < r->n_limits; i++)
        round_milli(c, r->limits[i]->value);
    for (size_t i = 0; r != NULL && i < r->n_requests; i++)
        round_milli(c, r->requests[i]->value);
    request_defaults(c, r);
}

static void container_defaults(struct kind_call *c, const Core__PodSpec *s, Core__Container *k)
{
    default_text(&k->image_pull_policy, pull_policy(kind_str(k->image)));
    default_text(&k->termination_message_path, "/dev/termination-log");
    default_text(&k->termination_message_policy, "File");
    for (size_t i = 0; i < k->n_ports; i++) {
        Core__ContainerPort *p = k->ports[i];
        default_text(&p->protocol, "TCP");
        if (s->has_host_network && s->host_network && p->host_port == 0 && p->container_port != 0) {
            p->has_host_port = true;
            p->host_port = p->container_port;
        }
    }
    probe_defaults(k->liveness_probe);
    probe_defaults(k->readiness_probe);
    probe_defaults(k->startup_probe);
    lifecycle_defaults(k->lifecycle);
    env_defaults(c, k);
    resource_defaults(c, k->resources);
}

/* ------------------------------------------------------------------ volumes */

static void projected_defaults(struct kind_call *c, Core__ProjectedVolumeSource *p)
{
    for (size_t i = 0; i < p->n_sources; i++) {
        Core__ServiceAccountTokenProjection *token = p->sources[i]->service_account_token;
        Core__DownwardAPIProjection *down = p->sources[i]->downward_api;
        if (token != NULL && !token->has_expiration_seconds) {
            token->has_expiration_seconds = true;
            token->expiration_seconds = 3600;
        }
        for (size_t n = 0; down != NULL && n < down->n_items; n++) {
            field_ref_defaults(down->items[n]->field_ref);
            divisor_defaults(c, down->items[n]->resource_field_ref);
        }
    }
}

static bool has_source(const Core__VolumeSource *s)
{
    return s != NULL && protobuf_c_message_get_packed_size(&s->base) > 0;
}

enum { MODE_0644 = 420 };

static void mode_default(protobuf_c_boolean *has, int32_t *mode)
{
    if (!*has)
        *mode = MODE_0644;
    *has = true;
}

static void volume_defaults(struct kind_call *c, Core__Volume *v)
{
    Core__VolumeSource *s = v->volume_source;
    if (!has_source(s)) {
        s = v->volume_source = kind_new(c->arena, &core__volume_source__descriptor);
        if (s != NULL)
            s->empty_dir = kind_new(c->arena, &core__empty_dir_volume_source__descriptor);
        return;
    }
    if (s->secret != NULL)
        mode_default(&s->secret->has_default_mode, &s->secret->default_mode);
    if (s->config_map != NULL)
        mode_default(&s->config_map->has_default_mode, &s->config_map->default_mode);
    if (s->host_path != NULL && s->host_path->type == NULL)
        s->host_path->type = (char *)(uintptr_t) "";
    if (s->projected != NULL) {
        mode_default(&s->projected->has_default_mode, &s->projected->default_mode);
        projected_defaults(c, s->projected);
    }
    if (s->downward_api != NULL) {
        mode_default(&s->downward_api->has_default_mode, &s->downward_api->default_mode);
        for (size_t i = 0; i < s->downward_api->n_items; i++) {
            field_ref_defaults(s->downward_api->items[i]->field_ref);
            divisor_defaults(c, s->downward_api->items[i]->resource_field_ref);
        }
    }
}

/* ------------------------------------------------------------------ the pod */

void pod_defaults(struct kind_call *c, Core__PodSpec *s)
{
    default_text(&s->restart_policy, "Always");
    default_text(&s->dns_policy, "ClusterFirst");
    default_text(&s->scheduler_name, "default-scheduler");
    if (!s->has_termination_grace_period_seconds)
        s->termination_grace_period_seconds = 30;
    s->has_termination_grace_period_seconds = true;
    if (!s->has_enable_service_links)
        s->enable_service_links = true;
    s->has_enable_service_links = true;
    if (s->security_context == NULL)
        s->security_context = kind_new(c->arena, &core__pod_security_context__descriptor);
    if (is_empty(s->service_account_name))
        s->service_account_name = s->service_account;
    s->service_account = s->service_account_name;
    for (size_t i = 0; i < s->n_volumes; i++)
        volume_defaults(c, s->volumes[i]);
    for (size_t i = 0; i < s->n_containers; i++)
        container_defaults(c, s, s->containers[i]);
    for (size_t i = 0; i < s->n_init_containers; i++)
        container_defaults(c, s, s->init_containers[i]);
    for (size_t i = 0; i < s->n_ephemeral_containers; i++)
        container_defaults(c, s,
                           (Core__Container *)(uintptr_t)pod_ephemeral(s->ephemeral_containers[i]));
}
