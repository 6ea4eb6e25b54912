/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of its pod's devices a container gets. The Placement names them for the pod, one list for each
 * resource; those that run together take theirs from its front, in the order of the manifest. An init
 * container takes what nobody before it keeps, and those after it get the same again (Kubernetes does so
 * with a pod's devices, too).
 */
#include "nodeagent/core/devices.h"

static int64_t amount_of(const Core__Container *c, struct str resource)
{
    const Core__ResourceRequirements *r = c->resources;
    for (size_t i = 0; r != NULL && i < r->n_limits; i++)
        if (str_eq(str_of(r->limits[i]->key), resource))
            return workload_quantity(r->limits[i]->value);
    return 0;
}

static bool stays(const Core__Container *c)
{
    return str_is(str_of(c->restart_policy), "Always");
}

/* How many of resource are taken by those that run beside c and stand before it. */
static int64_t taken_before(const Core__PodSpec *spec, const Core__Container *c,
                            struct str resource)
{
    int64_t sum = 0;
    for (size_t i = 0; i < spec->n_init_containers; i++) {
        if (spec->init_containers[i] == c)
            return sum;
        sum += stays(spec->init_containers[i]) ? amount_of(spec->init_containers[i], resource) : 0;
    }
    for (size_t i = 0; i < spec->n_containers && spec->containers[i] != c; i++)
        sum += amount_of(spec->containers[i], resource);
    return sum;
}

bool pod_device_next(const struct workload *w, const Core__Container *c, struct pod_device *at)
{
    const Baton__PlacementSpec *p = w->placement->spec;
    for (; at->next < p->n_devices; at->next++) {
        struct str name = str_of(p->devices[at->next]->name);
        int64_t index = 0, first = taken_before(w->pod->spec, c, name), count = amount_of(c, name);
        for (size_t i = 0; i < at->next; i++)
            index += str_eq(str_of(p->devices[i]->name), name);
        if (index < first || index >= first + count)
            continue;
        at->grant = p->devices[at->next++];
        return true;
    }
    return false;
}

const char *device_id(const Baton__DeviceGrant *g)
{
    if (g->pci_address != NULL && g->pci_address[0] != '\0')
        return g->pci_address;
    return g->n_paths > 0 ? g->paths[0] : "";
}

/* What is bound to vfio-pci before anything runs: each device with what is of its group. */
const struct str *device_functions(struct agent_turn *t, const struct workload *w,
                                   uint32_t *out_count)
{
    const Baton__PlacementSpec *p = w->placement->spec;
    size_t most = 0;
    for (size_t i = 0; i < p->n_devices; i++)
        most += p->devices[i]->vfio ? 1 + p->devices[i]->n_companions : 0;
    struct str *at = arena_zalloc(&t->arena, most + 1, sizeof *at);
    CHECK(at != NULL);
    *out_count = 0;
    for (size_t i = 0; i < p->n_devices; i++) {
        const Baton__DeviceGrant *g = p->devices[i];
        if (!g->vfio)
            continue;
        at[(*out_count)++] = str_of(g->pci_address);
        for (size_t k = 0; k < g->n_companions; k++)
            at[(*out_count)++] = str_of(g->companions[k]);
    }
    return at;
}

const struct agent_cache *device_caches(struct agent_turn *t, const struct workload *w,
                                        uint32_t *out_count)
{
    const Baton__PlacementSpec *p = w->placement->spec;
    const Baton__NodeHardwareSpec *hw = t->agent->hardware;
    struct agent_cache *at = arena_zalloc(&t->arena, p->n_caches + 1, sizeof *at);
    CHECK(at != NULL);
    *out_count = 0;
    for (size_t i = 0; i < p->n_caches; i++) {
        const Baton__CacheGrant *g = p->caches[i];
        if (hw == NULL || g->cache_domain >= hw->n_cache_domains)
            continue; /* Hardware that is not here any more; the ledger has marked the node. */
        at[(*out_count)++] = (struct agent_cache){hw->cache_domains[g->cache_domain]->resctrl_id,
                                                  (uint32_t)g->ways_mask, g->bandwidth_percent};
    }
    return at;
}

static bool has_path(const struct str *at, uint32_t count, struct str path)
{
    for (uint32_t i = 0; i < count; i++)
        if (str_eq(at[i], path))
            return true;
    return false;
}

/* Several devices of VFIO share the container of groups: it is named once. */
void pod_devices(struct agent_turn *t, const struct workload *w, const Core__Container *c,
                 struct runtime_container *out)
{
    struct str *at = arena_zalloc(&t->arena, RUNTIME_DEVICES_MAX, sizeof *at);
    struct pod_device d = {0};
    CHECK(at != NULL);
    while (pod_device_next(w, c, &d))
        for (size_t i = 0; i < d.grant->n_paths && out->devices_count < RUNTIME_DEVICES_MAX; i++) {
            struct str path = str_of(d.grant->paths[i]);
            if (!has_path(at, out->devices_count, path))
                at[out->devices_count++] = path;
            out->locks_memory |= d.grant->vfio;
        }
    out->devices = at;
}

static char upper(char c)
{
    if (c >= 'a' && c <= 'z')
        return (char)(c - 'a' + 'A');
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_';
}

/* PCIDEVICE_VENDOR_COM_NAME=ADDRESS,ADDRESS for the n-th of its limits, as the SR-IOV device plugin has it:
 * programs that drive a function themselves (DPDK) look there. Without addresses there is nothing to say. */
bool pod_device_variable(struct agent_turn *t, const struct workload *w, const Core__Container *c,
                         size_t n, struct str *out_name, struct str *out_value)
{
    struct str resource = str_of(c->resources->limits[n]->key), value = STR("");
    struct pod_device d = {0};
    while (pod_device_next(w, c, &d))
        if (str_eq(str_of(d.grant->name), resource) && str_of(d.grant->pci_address).len > 0)
            value = arena_printf(&t->arena, STR_FMT "%s%s", STR_ARG(value),
                                 value.len > 0 ? "," : "", d.grant->pci_address);
    if (value.len == 0)
        return false;
    char *name = arena_dup(&t->arena, resource);
    CHECK(name != NULL);
    for (size_t i = 0; name[i] != '\0'; i++)
        name[i] = upper(name[i]);
    *out_name = arena_printf(&t->arena, "PCIDEVICE_%s", name);
    *out_value = value;
    return true;
}
