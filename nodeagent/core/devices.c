/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of its pod's devices a container gets. The Placement names them for the pod, one list for each
 * resource, of thousandths one for each size; those that run together take theirs from its front, in the order of the manifest. An init
 * container takes what nobody before it keeps, and those after it get the same again (Kubernetes does so
 * with a pod's devices, too).
 */
#include "nodeagent/core/devices.h"

#include "api/parts.h"

/* How many devices like g, whole or by so many thousandths, a container asks for. */
static int64_t amount_of(const struct workload *w, const Core__Container *c,
                         const Baton__DeviceGrant *g)
{
    const Core__ResourceRequirements *r = c->resources;
    const Meta__ObjectMeta *meta = w->pod->metadata;
    struct str resource = str_of(g->name);
    if (g->has_milli)
        return part_of(c, meta, resource) == g->milli ? part_devices(meta) : 0;
    for (size_t i = 0; r != NULL && i < r->n_limits; i++)
        if (str_eq(str_of(r->limits[i]->key), resource))
            return workload_quantity(r->limits[i]->value);
    return 0;
}

static bool alike(const Baton__DeviceGrant *a, const Baton__DeviceGrant *b)
{
    return str_eq(str_of(a->name), str_of(b->name)) && a->milli == b->milli;
}

static bool stays(const Core__Container *c)
{
    return str_is(str_of(c->restart_policy), "Always");
}

/* How many like g are taken by those that run beside c and stand before it. */
static int64_t taken_before(const struct workload *w, const Core__Container *c,
                            const Baton__DeviceGrant *g)
{
    const Core__PodSpec *spec = w->pod->spec;
    int64_t sum = 0;
    for (size_t i = 0; i < spec->n_init_containers; i++) {
        if (spec->init_containers[i] == c)
            return sum;
        sum += stays(spec->init_containers[i]) ? amount_of(w, spec->init_containers[i], g) : 0;
    }
    for (size_t i = 0; i < spec->n_containers && spec->containers[i] != c; i++)
        sum += amount_of(w, spec->containers[i], g);
    return sum;
}

bool pod_device_next(const struct workload *w, const Core__Container *c, struct pod_device *at)
{
    const Baton__PlacementSpec *p = w->placement->spec;
    for (; at->next < p->n_devices; at->next++) {
        const Baton__DeviceGrant *g = p->devices[at->next];
        int64_t index = 0, first = taken_before(w, c, g), count = amount_of(w, c, g);
        for (size_t i = 0; i < at->next; i++)
            index += alike(p->devices[i], g);
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

/* PREFIX_VENDOR_COM_NAME */
static struct str variable(struct agent_turn *t, const char *prefix, struct str resource)
{
    char *name = arena_dup(&t->arena, resource);
    CHECK(name != NULL);
    for (size_t i = 0; name[i] != '\0'; i++)
        name[i] = upper(name[i]);
    return arena_printf(&t->arena, "%s_%s", prefix, name);
}

/* PCIDEVICE_VENDOR_COM_NAME=ADDRESS,ADDRESS for the n-th of its limits, as the SR-IOV device plugin has it:
 * programs that drive a function themselves (DPDK) look there. Without addresses there is nothing to say. */
bool pod_device_variable(struct agent_turn *t, const struct workload *w, const Core__Container *c,
                         size_t n, struct pod_variable *out)
{
    struct str resource = str_of(c->resources->limits[n]->key), value = STR("");
    struct pod_device d = {0};
    while (pod_device_next(w, c, &d))
        if (str_eq(str_of(d.grant->name), resource) && str_of(d.grant->pci_address).len > 0)
            value = arena_printf(&t->arena, STR_FMT "%s%s", STR_ARG(value),
                                 value.len > 0 ? "," : "", d.grant->pci_address);
    if (value.len == 0)
        return false;
    *out = (struct pod_variable){variable(t, "PCIDEVICE", resource), value};
    return true;
}

/* DEVICE_MILLI_VENDOR_COM_GPU=250 and DEVICE_PERCENT_VENDOR_COM_GPU=25 for the n-th of its limits: of each of its
 * devices. What holds a program to its share inside the device is the driver's; NVIDIA's MPS takes the percentage. */
bool pod_part_variables(struct agent_turn *t, const struct workload *w, const Core__Container *c,
                        size_t n, struct pod_variable out[2])
{
    struct str resource = str_of(c->resources->limits[n]->key), device;
    struct pod_device d = {0};
    while (pod_device_next(w, c, &d)) {
        uint32_t milli = d.grant->milli;
        if (milli == 0 || !str_eq(str_of(d.grant->name), resource) || !part_name(resource, &device))
            continue;
        out[0] = (struct pod_variable){variable(t, "DEVICE_MILLI", device),
                                       arena_printf(&t->arena, "%u", milli)};
        out[1] = (struct pod_variable){
            variable(t, "DEVICE_PERCENT", device),
            milli % 10 == 0 ? arena_printf(&t->arena, "%u", milli / 10)
                            : arena_printf(&t->arena, "%u.%u", milli / 10, milli % 10)};
        return true;
    }
    return false;
}
