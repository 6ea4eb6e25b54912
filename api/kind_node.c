/* SPDX-License-Identifier: Apache-2.0 */
/* Node, and Baton's own NodeHardware and Placement, which describe what a node has and holds. */
#include "api/kinds_priv.h"
#include "api/table.h"
#include "base/buf.h"
#include "proto/baton/v1.pb-c.h"

#define NOT_READY "node.kubernetes.io/not-ready"

/* A node that a client registers takes no work until somebody calls it ready. */
static void node_taint(struct kind_call *c, Core__NodeSpec *s)
{
    for (size_t i = 0; i < s->n_taints; i++)
        if (is_text(s->taints[i]->key, NOT_READY))
            return;
    Core__Taint **taints = kind_grow(c->arena, s->taints, s->n_taints, 1);
    Core__Taint *taint = kind_new(c->arena, &core__taint__descriptor);
    if (taints == NULL || taint == NULL)
        return;
    default_text(&taint->key, NOT_READY);
    default_text(&taint->effect, "NoSchedule");
    taints[s->n_taints++] = taint;
    s->taints = taints;
}

static void node_prepare(struct kind_call *c, ProtobufCMessage *object, const ProtobufCMessage *old)
{
    Core__Node *n = (Core__Node *)object;
    (void)old;
    if (n->spec == NULL)
        n->spec = kind_new(c->arena, &core__node_spec__descriptor);
    if (n->spec == NULL)
        return;
    if (n->spec->n_pod_cidrs == 0 && !is_empty(n->spec->pod_cidr)) {
        n->spec->pod_cidrs = kind_grow(c->arena, &n->spec->pod_cidr, 1, 0);
        n->spec->n_pod_cidrs = 1;
    } else if (n->spec->n_pod_cidrs > 0) {
        n->spec->pod_cidr = n->spec->pod_cidrs[0];
    }
    if (c->write == KIND_CREATE)
        node_taint(c, n->spec);
    if (n->status == NULL)
        n->status = kind_new(c->arena, &core__node_status__descriptor);
}

static void node_validate(struct kind_call *c, const ProtobufCMessage *object,
                          const ProtobufCMessage *old)
{
    static const char *const effects[] = {"NoExecute", "NoSchedule", "PreferNoSchedule", NULL};
    const Core__Node *n = (const Core__Node *)object;
    const Core__Node *was = (const Core__Node *)old;
    struct field spec = field_name(NULL, "spec"), taints = field_name(&spec, "taints");
    for (size_t i = 0; n->spec != NULL && i < n->spec->n_taints; i++) {
        struct field at = field_index(&taints, i);
        struct field key = field_name(&at, "key"), effect = field_name(&at, "effect");
        struct str name = kind_str(n->spec->taints[i]->key);
        names_check(&c->causes, &key, name, name_qualified(name));
        check_one_of(c, &effect, n->spec->taints[i]->effect, effects);
    }
    struct field cidrs = field_name(&spec, "podCIDRs");
    if (was != NULL && was->spec != NULL && !is_empty(was->spec->pod_cidr) &&
        !is_text(n->spec->pod_cidr, was->spec->pod_cidr))
        causes_add(&c->causes, CAUSE_FORBIDDEN, &cidrs,
                   "node updates may not change podCIDR except from \"\" to valid");
}

static struct str node_status(const Core__Node *n, struct arena *a)
{
    const char *ready = "Unknown";
    for (size_t i = 0; n->status != NULL && i < n->status->n_conditions; i++)
        if (is_text(n->status->conditions[i]->type, "Ready"))
            ready = is_text(n->status->conditions[i]->status, "True") ? "Ready" : "NotReady";
    bool is_off = n->spec != NULL && n->spec->unschedulable;
    return arena_printf(a, "%s%s", ready, is_off ? ",SchedulingDisabled" : "");
}

/* Roles are labels; their order is the labels' own, which is sorted. */
static struct str node_roles(const Core__Node *n, struct arena *a)
{
    static const char prefix[] = "node-role.kubernetes.io/";
    struct str roles = STR("");
    for (size_t i = 0; n->metadata != NULL && i < n->metadata->n_labels; i++) {
        struct str key = kind_str(n->metadata->labels[i]->key);
        struct str role = {NULL, 0};
        if (str_starts(key, str_of(prefix)))
            role = str_slice(key, sizeof prefix - 1, key.len);
        else if (str_is(key, "kubernetes.io/role"))
            role = kind_str(n->metadata->labels[i]->value);
        if (role.len > 0)
            roles = arena_printf(a, STR_FMT "%s" STR_FMT, STR_ARG(roles), roles.len ? "," : "",
                                 STR_ARG(role));
    }
    return roles.len > 0 ? roles : STR("<none>");
}

static struct str node_address(const Core__Node *n, const char *type)
{
    for (size_t i = 0; n->status != NULL && i < n->status->n_addresses; i++)
        if (is_text(n->status->addresses[i]->type, type))
            return kind_str(n->status->addresses[i]->address);
    return STR("<none>");
}

static struct kind_cell node_cell(const void *object, struct str column, struct arena *a)
{
    const Core__Node *n = object;
    struct str text = STR("");
    if (str_is(column, "Status"))
        text = node_status(n, a);
    else if (str_is(column, "Roles"))
        text = node_roles(n, a);
    else if (str_is(column, "Internal-IP"))
        text = node_address(n, "InternalIP");
    else if (str_is(column, "External-IP"))
        text = node_address(n, "ExternalIP");
    return (struct kind_cell){.text = text};
}

static const char *const node_fields[] = {"spec.unschedulable", NULL};
static const struct kind_subresource status_subresource[] = {
    {"status", NULL, NULL, NULL, "get patch update"},
    {NULL, NULL, NULL, NULL, NULL},
};

const struct kind kind_node = {
    .group = "",
    .plural = "nodes",
    .name_rule = name_subdomain,
    .fields = node_fields,
    .subresources = status_subresource,
    .prepare = node_prepare,
    .validate = node_validate,
    .cell = node_cell,
};

/* ------------------------------------------------------------------ Baton's own */

static struct kind_cell number_cell(uint64_t n)
{
    return (struct kind_cell){.number = (int64_t)n, .is_number = true};
}

static struct str bytes_text(uint64_t bytes, struct arena *a)
{
    static const char *const units[] = {"", "Ki", "Mi", "Gi", "Ti"};
    size_t unit = 0;
    uint64_t left = bytes;
    while (unit + 1 < COUNT_OF(units) && left >= 10240) {
        left /= 1024;
        unit++;
    }
    return arena_printf(a, "%llu%s", (unsigned long long)left, units[unit]);
}

static struct kind_cell hardware_cell(const void *object, struct str column, struct arena *a)
{
    const Baton__NodeHardwareSpec *s = ((const Baton__NodeHardware *)object)->spec;
    uint64_t bytes = 0;
    if (s == NULL)
        return (struct kind_cell){.text = STR("")};
    if (str_is(column, "Sockets"))
        return number_cell(s->n_sockets);
    if (str_is(column, "Cores"))
        return number_cell(s->n_cores);
    if (str_is(column, "Threads"))
        return number_cell(s->n_threads);
    for (size_t i = 0; i < s->n_numa_nodes; i++)
        bytes += s->numa_nodes[i]->memory_bytes;
    return (struct kind_cell){.text = bytes_text(bytes, a)};
}

const struct kind kind_node_hardware = {
    .group = "baton.dev",
    .plural = "nodehardware",
    .name_rule = name_subdomain,
    .flags = KIND_READ_ONLY,
    .cell = hardware_cell,
};

static struct str placement_cpus(const Baton__PlacementSpec *s, struct arena *a)
{
    struct buf text;
    if (s->exclusive == NULL || s->exclusive->n_cpus == 0)
        return STR("shared");
    buf_init(&text, 4096);
    for (size_t i = 0; i < s->exclusive->n_cpus; i++)
        buf_printf(&text, "%s%u", i == 0 ? "" : ",", s->exclusive->cpus[i]);
    struct str out = arena_str(a, buf_str(&text));
    buf_free(&text);
    return out;
}

static struct kind_cell placement_cell(const void *object, struct str column, struct arena *a)
{
    const Baton__PlacementSpec *s = ((const Baton__Placement *)object)->spec;
    struct str text = STR("");
    if (s == NULL)
        return (struct kind_cell){.text = text};
    if (str_is(column, "CPUs"))
        text = placement_cpus(s, a);
    else if (str_is(column, "Pool"))
        text = s->shared_millis == 0 ? STR("") : arena_printf(a, "%um", s->shared_millis);
    else if (str_is(column, "Memory"))
        text = bytes_text(s->memory_bytes + s->overhead_bytes, a);
    else if (str_is(column, "Address") && s->n_addresses > 0)
        text = kind_str(s->addresses[0]->ip);
    return (struct kind_cell){.text = text};
}

const struct kind kind_placement = {
    .group = "baton.dev",
    .plural = "placements",
    .name_rule = name_subdomain,
    .flags = KIND_READ_ONLY,
    .subresources = status_subresource,
    .cell = placement_cell,
};
