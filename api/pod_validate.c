/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May this pod be stored? The rules and their order are Kubernetes', so that a manifest that fails
 * here fails there with the same causes. What Kubernetes would store and we cannot run yet is
 * stored too, and fails on its node, visibly (docs/decisions/).
 */
#include "api/pod.h"

static const char *const policies[] = {"Always", "OnFailure", "Never", NULL};
static const char *const dns_policies[] = {"ClusterFirstWithHostNet", "ClusterFirst", "Default",
                                           "None", NULL};

/* ------------------------------------------------------------------ lists of containers */

struct names_seen {
    const char **at;
    size_t count;
};

/* True once; CAUSE_DUPLICATE at f the second time. */
static void check_once(struct kind_call *c, struct names_seen *seen, const struct field *f,
                       const char *name)
{
    for (size_t i = 0; i < seen->count; i++) {
        if (is_text(seen->at[i], name)) {
            struct str quoted = status_quote(c->arena, kind_str(name));
            causes_add(&c->causes, CAUSE_DUPLICATE, f, STR_FMT, STR_ARG(quoted));
            return;
        }
    }
    seen->at[seen->count++] = name;
}

static void container_name(struct kind_call *c, struct names_seen *seen, const Core__Container *k,
                           const struct field *at)
{
    struct field name = field_name(at, "name");
    if (is_empty(k->name)) {
        causes_add(&c->causes, CAUSE_REQUIRED, &name, "%s", "");
        return;
    }
    if (names_check(&c->causes, &name, kind_str(k->name), name_label(kind_str(k->name))))
        check_once(c, seen, &name, k->name);
}

static void not_here(struct kind_call *c, const struct field *at, const char *name, bool is_set,
                     const char *why)
{
    struct field f = field_name(at, name);
    if (is_set)
        causes_add(&c->causes, CAUSE_FORBIDDEN, &f, "%s", why);
}

/* An init container that runs to its end is never asked whether it is well; one that stays is. */
static void init_validate(struct kind_call *c, const Core__Container *k, const struct field *at)
{
    static const char *const why =
        "may not be set for init containers without restartPolicy=Always";
    static const char *const always[] = {"Always", NULL};
    struct field policy = field_name(at, "restartPolicy");
    if (k->restart_policy != NULL) {
        check_one_of(c, &policy, k->restart_policy, always);
        return;
    }
    not_here(c, at, "lifecycle", k->lifecycle != NULL, why);
    not_here(c, at, "livenessProbe", k->liveness_probe != NULL, why);
    not_here(c, at, "readinessProbe", k->readiness_probe != NULL, why);
    not_here(c, at, "startupProbe", k->startup_probe != NULL, why);
}

static void containers_validate(struct kind_call *c, const Core__PodSpec *s,
                                struct names_seen *seen, const struct field *spec)
{
    struct field list = field_name(spec, "containers"), init = field_name(spec, "initContainers");
    struct field ephemeral = field_name(spec, "ephemeralContainers");
    if (s->n_containers == 0)
        causes_add(&c->causes, CAUSE_REQUIRED, &list, "%s", "");
    for (size_t i = 0; i < s->n_containers; i++) {
        struct field at = field_index(&list, i);
        container_name(c, seen, s->containers[i], &at);
        pod_container_validate(c, s, s->containers[i], &at);
        not_here(c, &at, "restartPolicy", s->containers[i]->restart_policy != NULL,
                 "may not be set for non-init containers");
    }
    for (size_t i = 0; i < s->n_init_containers; i++) {
        struct field at = field_index(&init, i);
        container_name(c, seen, s->init_containers[i], &at);
        pod_container_validate(c, s, s->init_containers[i], &at);
        init_validate(c, s->init_containers[i], &at);
    }
    for (size_t i = 0; i < s->n_ephemeral_containers; i++) {
        struct field at = field_index(&ephemeral, i);
        const Core__Container *k = pod_ephemeral(s->ephemeral_containers[i]);
        container_name(c, seen, k, &at);
        pod_container_validate(c, s, k, &at);
    }
}

/* Two containers of a pod cannot have the same port of the host. */
static void host_ports_validate(struct kind_call *c, const Core__PodSpec *s,
                                const struct field *spec)
{
    struct field list = field_name(spec, "containers");
    size_t count = 0, seen = 0;
    for (size_t i = 0; i < s->n_containers; i++)
        count += s->containers[i]->n_ports;
    struct str *keys = arena_zalloc(c->arena, count + 1, sizeof *keys);
    for (size_t i = 0, to = 0; keys != NULL && i < s->n_containers; i++)
        for (size_t n = 0; n < s->containers[i]->n_ports; n++, to++) {
            const Core__ContainerPort *p = s->containers[i]->ports[n];
            if (p->host_port != 0)
                keys[to] = arena_printf(c->arena, "%s/%s/%d", kind_str(p->protocol).at,
                                        kind_str(p->host_ip).at, p->host_port);
        }
    const size_t *first = keys == NULL ? NULL : kind_twins(c->arena, keys, count);
    for (size_t i = 0; first != NULL && i < s->n_containers; i++) {
        struct field at = field_index(&list, i), ports = field_name(&at, "ports");
        for (size_t n = 0; n < s->containers[i]->n_ports; n++, seen++) {
            struct field one = field_index(&ports, n), f = field_name(&one, "hostPort");
            if (first[seen] < seen && keys[seen].len > 0)
                causes_add(&c->causes, CAUSE_DUPLICATE, &f, "\"" STR_FMT "\"", STR_ARG(keys[seen]));
        }
    }
}

static void images_validate(struct kind_call *c, const Core__PodSpec *s, const struct field *spec)
{
    struct field list = field_name(spec, "containers");
    for (size_t i = 0; i < s->n_containers; i++) {
        struct field at = field_index(&list, i), f = field_name(&at, "image");
        struct str image = kind_str(s->containers[i]->image);
        if (str_trim(image).len != image.len)
            causes_invalid(&c->causes, &f, image, "must not have leading or trailing whitespace");
    }
}

/* ------------------------------------------------------------------ where it may run */

static void node_selector_validate(struct kind_call *c, const Core__PodSpec *s,
                                   const struct field *spec)
{
    struct field f = field_name(spec, "nodeSelector");
    for (size_t i = 0; i < s->n_node_selector; i++) {
        struct str key = kind_str(s->node_selector[i]->key);
        struct str value = kind_str(s->node_selector[i]->value);
        names_check(&c->causes, &f, key, name_qualified(key));
        names_check(&c->causes, &f, value, name_label_value(value));
    }
}

static void toleration_validate(struct kind_call *c, const Core__Toleration *t,
                                const struct field *at)
{
    static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};
    static const char *const operators[] = {"Equal", "Exists", NULL};
    struct field key = field_name(at, "key"), operator_ = field_name(at, "operator");
    struct field effect = field_name(at, "effect");
    bool exists = is_text(t->operator_, "Exists");
    if (!is_empty(t->key))
        names_check(&c->causes, &key, kind_str(t->key), name_qualified(kind_str(t->key)));
    if (is_empty(t->key) && !exists)
        causes_invalid(&c->causes, &operator_, kind_str(t->operator_),
                       "operator must be Exists when `key` is empty, which means \"match all "
                       "values and all keys\"");
    if (t->has_toleration_seconds && !is_text(t->effect, "NoExecute"))
        causes_invalid(&c->causes, &effect, kind_str(t->effect),
                       "effect must be 'NoExecute' when `tolerationSeconds` is set");
    if (exists && !is_empty(t->value))
        causes_invalid(&c->causes, &operator_, kind_str(t->value),
                       "value must be empty when `operator` is 'Exists'");
    if (!is_empty(t->operator_))
        check_one_of(c, &operator_, t->operator_, operators);
    if (!is_empty(t->effect))
        check_one_of(c, &effect, t->effect, effects);
}

static void scheduling_validate(struct kind_call *c, const Core__PodSpec *s,
                                const struct field *spec)
{
    struct field gates = field_name(spec, "schedulingGates");
    struct field affinity = field_name(spec, "affinity");
    for (size_t i = 0; i < s->n_scheduling_gates; i++) {
        struct field at = field_index(&gates, i), f = field_name(&at, "name");
        struct str name = kind_str(s->scheduling_gates[i]->name);
        names_check(&c->causes, &f, name, name_qualified(name));
    }
    pod_affinity_validate(c, s->affinity, &affinity);
    pod_spreads_validate(c, s->topology_spread_constraints, s->n_topology_spread_constraints, spec);
}

void pod_tolerations_validate(struct kind_call *c, Core__Toleration *const *list, size_t count,
                              const struct field *spec)
{
    struct field at = field_name(spec, "tolerations");
    for (size_t i = 0; i < count; i++) {
        struct field one = field_index(&at, i);
        toleration_validate(c, list[i], &one);
    }
}

/* ------------------------------------------------------------------ the rest of the spec */

static void label_if_given(struct kind_call *c, const struct field *spec, const char *name,
                           const char *value)
{
    struct field f = field_name(spec, name);
    if (!is_empty(value))
        names_check(&c->causes, &f, kind_str(value), name_label(kind_str(value)));
}

static void subdomain_if_given(struct kind_call *c, const struct field *spec, const char *name,
                               const char *value)
{
    struct field f = field_name(spec, name);
    if (!is_empty(value))
        names_check(&c->causes, &f, kind_str(value), name_subdomain(kind_str(value)));
}

static bool container_counts_fit(struct kind_call *c, const Core__Container *k,
                                 const struct field *at)
{
    struct field ports = field_name(at, "ports"), env = field_name(at, "env");
    struct field mounts = field_name(at, "volumeMounts"), resources = field_name(at, "resources");
    size_t amounts = k->resources == NULL ? 0 : k->resources->n_limits + k->resources->n_requests;
    return check_count(c, &ports, k->n_ports) && check_count(c, &env, k->n_env) &&
           check_count(c, &mounts, k->n_volume_mounts) && check_count(c, &resources, amounts);
}

static bool counts_fit(struct kind_call *c, const Core__PodSpec *s, const struct field *spec)
{
    struct field list = field_name(spec, "containers"), volumes = field_name(spec, "volumes");
    struct field init = field_name(spec, "initContainers");
    struct field tolerations = field_name(spec, "tolerations");
    size_t containers = s->n_containers + s->n_init_containers + s->n_ephemeral_containers;
    bool fits = check_most(c, &list, containers, KIND_CONTAINERS_MAX) &&
                check_count(c, &volumes, s->n_volumes) &&
                check_count(c, &tolerations, s->n_tolerations);
    for (size_t i = 0; fits && i < s->n_containers; i++) {
        struct field at = field_index(&list, i);
        fits = container_counts_fit(c, s->containers[i], &at);
    }
    for (size_t i = 0; fits && i < s->n_init_containers; i++) {
        struct field at = field_index(&init, i);
        fits = container_counts_fit(c, s->init_containers[i], &at);
    }
    return fits;
}

void pod_spec_validate(struct kind_call *c, const Core__PodSpec *s, const struct field *at)
{
    struct field restart = field_name(at, "restartPolicy"), dns = field_name(at, "dnsPolicy");
    struct field deadline = field_name(at, "activeDeadlineSeconds");
    size_t names = s->n_containers + s->n_init_containers + s->n_ephemeral_containers;
    if (!counts_fit(c, s, at))
        return;
    struct names_seen seen = {arena_zalloc(c->arena, names + 1, sizeof(char *)), 0};
    if (seen.at == NULL)
        return;
    pod_volumes_validate(c, s, at);
    containers_validate(c, s, &seen, at);
    check_one_of(c, &restart, s->restart_policy, policies);
    check_one_of(c, &dns, s->dns_policy, dns_policies);
    node_selector_validate(c, s, at);
    host_ports_validate(c, s, at);
    scheduling_validate(c, s, at);
    subdomain_if_given(c, at, "serviceAccountName", s->service_account_name);
    subdomain_if_given(c, at, "nodeName", s->node_name);
    if (s->has_active_deadline_seconds &&
        (s->active_deadline_seconds < 1 || s->active_deadline_seconds > INT32_MAX))
        causes_invalid_i64(&c->causes, &deadline, s->active_deadline_seconds,
                           "must be between 1 and 2147483647, inclusive");
    label_if_given(c, at, "hostname", s->hostname);
    label_if_given(c, at, "subdomain", s->subdomain);
    pod_tolerations_validate(c, s->tolerations, s->n_tolerations, at);
    subdomain_if_given(c, at, "priorityClassName", s->priority_class_name);
    images_validate(c, s, at);
}
