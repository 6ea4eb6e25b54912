/* SPDX-License-Identifier: Apache-2.0 */
/* One container's rules: ports, environment, mounts, resources, probes. */
#include "api/pod.h"

/* ------------------------------------------------------------------ ports */

static const char *const protocols[] = {"SCTP", "TCP", "UDP", NULL};

static void port_number(struct kind_call *c, const struct field *f, int64_t port, bool is_required)
{
    if (port == 0 && is_required)
        causes_add(&c->causes, CAUSE_REQUIRED, f, "%s", "");
    else if (port != 0 && (port < 1 || port > 65535))
        causes_invalid_i64(&c->causes, f, port, "must be between 1 and 65535, inclusive");
}

/* first_name, first: where a port of that name, and of that number and protocol, is for the first time. */
static void port_validate(struct kind_call *c, const Core__Container *k, size_t i,
                          const struct field *list, size_t first_name, size_t first)
{
    const Core__ContainerPort *p = k->ports[i];
    struct field one = field_index(list, i), name = field_name(&one, "name");
    struct field number = field_name(&one, "containerPort"), twin = field_index(list, first);
    struct field host = field_name(&one, "hostPort"), proto = field_name(&one, "protocol");
    struct field address = field_name(&one, "hostIP");
    if (!is_empty(p->name) &&
        names_check(&c->causes, &name, kind_str(p->name), name_port(kind_str(p->name))) &&
        first_name < i) {
        struct str quoted = status_quote(c->arena, kind_str(p->name));
        causes_add(&c->causes, CAUSE_DUPLICATE, &name, STR_FMT, STR_ARG(quoted));
    }
    if (first < i) {
        struct str other = field_print(&twin, c->arena);
        kind_warn(c, &one, "duplicate port definition with " STR_FMT, STR_ARG(other));
    }
    port_number(c, &number, p->container_port, true);
    port_number(c, &host, p->host_port, false);
    if (!is_empty(p->host_ip))
        names_check(&c->causes, &address, kind_str(p->host_ip), name_ipv4(kind_str(p->host_ip)));
    check_one_of(c, &proto, p->protocol, protocols);
}

static void ports_validate(struct kind_call *c, const Core__Container *k, const struct field *at)
{
    struct field list = field_name(at, "ports");
    struct str *keys = arena_zalloc(c->arena, k->n_ports + 1, sizeof *keys);
    for (size_t i = 0; keys != NULL && i < k->n_ports; i++)
        keys[i] = kind_str(k->ports[i]->name);
    const size_t *names = keys == NULL ? NULL : kind_twins(c->arena, keys, k->n_ports);
    for (size_t i = 0; keys != NULL && i < k->n_ports; i++)
        keys[i] = arena_printf(c->arena, "%d/%s", k->ports[i]->container_port,
                               kind_str(k->ports[i]->protocol).at);
    const size_t *ports = keys == NULL ? NULL : kind_twins(c->arena, keys, k->n_ports);
    for (size_t i = 0; names != NULL && ports != NULL && i < k->n_ports; i++)
        port_validate(c, k, i, &list, names[i], ports[i]);
}

/* ------------------------------------------------------------------ environment */

static void env_validate(struct kind_call *c, const Core__Container *k, const struct field *at)
{
    struct field list = field_name(at, "env");
    struct str *names = arena_zalloc(c->arena, k->n_env + 1, sizeof *names);
    for (size_t i = 0; names != NULL && i < k->n_env; i++)
        names[i] = kind_str(k->env[i]->name);
    const size_t *first = names == NULL ? NULL : kind_twins(c->arena, names, k->n_env);
    for (size_t i = 0; first != NULL && i < k->n_env; i++) {
        const Core__EnvVar *e = k->env[i];
        struct field one = field_index(&list, i), name = field_name(&one, "name");
        struct field from = field_name(&one, "valueFrom");
        if (is_empty(e->name))
            causes_add(&c->causes, CAUSE_REQUIRED, &name, "%s", "");
        else
            names_check(&c->causes, &name, kind_str(e->name), name_env(kind_str(e->name)));
        if (e->value_from != NULL && !is_empty(e->value))
            causes_invalid(&c->causes, &from, STR(""),
                           "may not be specified when `value` is not empty");
        if (e->value_from != NULL && protobuf_c_message_get_packed_size(&e->value_from->base) == 0)
            causes_invalid(&c->causes, &from, STR(""),
                           "must specify one of: `fieldRef`, `resourceFieldRef`, "
                           "`configMapKeyRef` or `secretKeyRef`");
        if (!is_empty(e->name) && first[i] < i)
            kind_warn(c, &one,
                      "hides previous definition of \"%s\", which may be dropped when "
                      "using apply",
                      e->name);
    }
}

/* ------------------------------------------------------------------ mounts */

static bool has_volume(const Core__PodSpec *s, const char *name)
{
    for (size_t i = 0; i < s->n_volumes; i++)
        if (is_text(s->volumes[i]->name, name))
            return true;
    return false;
}

static void mounts_validate(struct kind_call *c, const Core__PodSpec *s, const Core__Container *k,
                            const struct field *at)
{
    struct field list = field_name(at, "volumeMounts");
    struct str *paths = arena_zalloc(c->arena, k->n_volume_mounts + 1, sizeof *paths);
    for (size_t i = 0; paths != NULL && i < k->n_volume_mounts; i++)
        paths[i] = kind_str(k->volume_mounts[i]->mount_path);
    const size_t *first = paths == NULL ? NULL : kind_twins(c->arena, paths, k->n_volume_mounts);
    for (size_t i = 0; first != NULL && i < k->n_volume_mounts; i++) {
        const Core__VolumeMount *m = k->volume_mounts[i];
        struct field one = field_index(&list, i), name = field_name(&one, "name");
        struct field path = field_name(&one, "mountPath"), sub = field_name(&one, "subPath");
        if (is_empty(m->name)) {
            causes_add(&c->causes, CAUSE_REQUIRED, &name, "%s", "");
        } else if (!has_volume(s, m->name)) {
            struct str quoted = status_quote(c->arena, kind_str(m->name));
            causes_add(&c->causes, CAUSE_NOT_FOUND, &name, STR_FMT, STR_ARG(quoted));
        }
        if (is_empty(m->mount_path))
            causes_add(&c->causes, CAUSE_REQUIRED, &path, "%s", "");
        else if (first[i] < i)
            causes_invalid(&c->causes, &path, kind_str(m->mount_path), "must be unique");
        if (!is_empty(m->sub_path) && m->sub_path[0] == '/')
            causes_invalid(&c->causes, &sub, kind_str(m->sub_path), "must be a relative path");
        else if (!is_empty(m->sub_path) && str_goes_up(str_of(m->sub_path)))
            causes_invalid(&c->causes, &sub, kind_str(m->sub_path), "must not contain '..'");
    }
}

/* ------------------------------------------------------------------ resources */

static bool is_standard(struct str name)
{
    static const char *const names[] = {"cpu", "memory", "ephemeral-storage"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_is(name, names[i]))
            return true;
    return str_starts(name, STR("hugepages-"));
}

static bool is_extended(struct str name)
{
    return str_find(name, '/', 0) < name.len && !str_starts(name, STR("kubernetes.io/"));
}

/* Shown without quotes where the name itself is wrong. */
static void resource_name(struct kind_call *c, struct str name, const struct field *f)
{
    if (str_find(name, '/', 0) < name.len) {
        names_check(&c->causes, f, name, name_qualified(name));
        return;
    }
    if (is_standard(name))
        return;
    causes_add(&c->causes, CAUSE_INVALID, f,
               STR_FMT ": must be a standard resource type or fully qualified", STR_ARG(name));
    causes_add(&c->causes, CAUSE_INVALID, f, STR_FMT ": must be a standard resource for containers",
               STR_ARG(name));
}

static void resource_amount(struct kind_call *c, struct str name, const Resource__Quantity *q,
                            const struct field *f)
{
    struct quantity amount;
    struct err e;
    struct str text = kind_str(q == NULL ? NULL : q->string);
    if (quantity_parse(text, &amount, &e) != ERR_OK)
        return; /* Refused on decoding. */
    if (amount.nano < 0)
        causes_invalid(&c->causes, f, text, "must be greater than or equal to 0");
    if (is_extended(name) && amount.nano % 1000000000 != 0)
        causes_invalid(&c->causes, f, text, "must be an integer");
}

static void request_against_limit(struct kind_call *c, const Core__ResourceRequirements *r,
                                  const char *name, const Resource__Quantity *q,
                                  const struct field *requests, const struct field *limits)
{
    struct quantity limit, request;
    struct err e;
    bool has_limit = pod_limit(r, name, &limit);
    char text[QUANTITY_TEXT_MAX];
    if (quantity_parse(kind_str(q == NULL ? NULL : q->string), &request, &e) != ERR_OK)
        return;
    bool is_fixed = is_extended(kind_str(name)) || str_starts(kind_str(name), STR("hugepages-"));
    if (!has_limit) {
        if (is_fixed)
            causes_add(&c->causes, CAUSE_REQUIRED, limits,
                       "Limit must be set for non overcommitable resources");
        return;
    }
    quantity_print(&limit, text);
    if (is_fixed && quantity_cmp(&request, &limit) != 0)
        causes_add(&c->causes, CAUSE_INVALID, requests, "\"%s\": must be equal to %s limit of %s",
                   q->string, name, text);
    else if (quantity_cmp(&request, &limit) > 0)
        causes_add(&c->causes, CAUSE_INVALID, requests,
                   "\"%s\": must be less than or equal to %s limit of %s", q->string, name, text);
}

static bool huge_alone(const Core__ResourceRequirements *r)
{
    struct quantity q;
    bool huge = false;
    for (size_t i = 0; i < r->n_limits; i++)
        huge = huge || str_starts(kind_str(r->limits[i]->key), STR("hugepages-"));
    bool beside = pod_limit(r, "cpu", &q) || pod_limit(r, "memory", &q) ||
                  pod_request(r, "cpu", &q) || pod_request(r, "memory", &q);
    return huge && !beside;
}

void pod_resources_validate(struct kind_call *c, const Core__ResourceRequirements *r,
                            const struct field *at)
{
    struct field limits = field_name(at, "limits"), requests = field_name(at, "requests");
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->n_limits; i++) {
        struct str name = kind_str(r->limits[i]->key);
        struct field f = field_key(&limits, name);
        resource_name(c, name, &f);
        resource_amount(c, name, r->limits[i]->value, &f);
    }
    for (size_t i = 0; i < r->n_requests; i++) {
        struct str name = kind_str(r->requests[i]->key);
        struct field f = field_key(&requests, name);
        resource_name(c, name, &f);
        resource_amount(c, name, r->requests[i]->value, &f);
        request_against_limit(c, r, name.at, r->requests[i]->value, &requests, &limits);
    }
    if (huge_alone(r))
        causes_add(&c->causes, CAUSE_FORBIDDEN, at, "HugePages require cpu or memory");
}

/* ------------------------------------------------------------------ probes */

static void probe_validate(struct kind_call *c, const Core__Probe *p, const struct field *at)
{
    if (p == NULL)
        return;
    const struct {
        const char *name;
        int32_t value;
    } numbers[] = {{"initialDelaySeconds", p->initial_delay_seconds},
                   {"timeoutSeconds", p->timeout_seconds},
                   {"periodSeconds", p->period_seconds},
                   {"successThreshold", p->success_threshold},
                   {"failureThreshold", p->failure_threshold}};
    const Core__ProbeHandler *h = p->handler;
    size_t handlers = h == NULL ? 0
                                : (size_t)(h->exec != NULL) + (h->http_get != NULL) +
                                      (h->tcp_socket != NULL) + (h->grpc != NULL);
    if (handlers == 0)
        causes_add(&c->causes, CAUSE_REQUIRED, at, "must specify a handler type");
    else if (handlers > 1)
        causes_add(&c->causes, CAUSE_FORBIDDEN, at, "may not specify more than 1 handler type");
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        struct field f = field_name(at, numbers[i].name);
        if (numbers[i].value < 0)
            causes_invalid_i64(&c->causes, &f, numbers[i].value,
                               "must be greater than or equal to 0");
    }
}

static void probes_validate(struct kind_call *c, const Core__Container *k, const struct field *at)
{
    struct field live = field_name(at, "livenessProbe"), ready = field_name(at, "readinessProbe");
    struct field start = field_name(at, "startupProbe");
    probe_validate(c, k->liveness_probe, &live);
    probe_validate(c, k->readiness_probe, &ready);
    probe_validate(c, k->startup_probe, &start);
}

/* ------------------------------------------------------------------ the container */

void pod_container_validate(struct kind_call *c, const Core__PodSpec *s, const Core__Container *k,
                            const struct field *at)
{
    static const char *const pulls[] = {"Always", "IfNotPresent", "Never", NULL};
    static const char *const messages[] = {"FallbackToLogsOnError", "File", NULL};
    struct field image = field_name(at, "image"), pull = field_name(at, "imagePullPolicy");
    struct field message = field_name(at, "terminationMessagePolicy");
    struct field resources = field_name(at, "resources");
    if (is_empty(k->image))
        causes_add(&c->causes, CAUSE_REQUIRED, &image, "%s", "");
    probes_validate(c, k, at);
    ports_validate(c, k, at);
    env_validate(c, k, at);
    mounts_validate(c, s, k, at);
    check_one_of(c, &pull, k->image_pull_policy, pulls);
    check_one_of(c, &message, k->termination_message_policy, messages);
    pod_resources_validate(c, k->resources, &resources);
}
