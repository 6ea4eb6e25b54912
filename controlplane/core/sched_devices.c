/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices between the cluster's words and the scheduler's numbers: NodeHardware's into rows, what workloads
 * ask for into classes and counts, chosen rows into grants and back.
 *
 * A row's name is its PCI address, or path#share for a device node. Its model says "vfio" where an IOMMU
 * group holds it alone: machines ask for that, containers take any.
 */
#include "api/parts.h"
#include "controlplane/core/sched_view.h"

#include <stdio.h>

enum { ROW_NAME_MAX = 300 };

static const struct str VFIO = STR("vfio");

/* How the thousandths of a resource are called. */
static struct str parts_name(struct str resource, char out[ROW_NAME_MAX])
{
    int len = snprintf(out, ROW_NAME_MAX, STR_FMT "-milli", STR_ARG(resource));
    return str_from(out, (size_t)(len < ROW_NAME_MAX ? len : ROW_NAME_MAX - 1));
}

/* ---- classes ---- */

bool sched_classes_have(const struct sched_classes *s, uint32_t name)
{
    for (uint32_t i = 0; s != NULL && i < s->count; i++)
        if (s->at[i] == name)
            return true;
    return false;
}

MUST_USE static enum err_code class_add(struct sched_classes *s, struct names *n, struct str name,
                                        struct err *e)
{
    uint32_t id;
    enum err_code code = names_intern(n, name, &id, e);
    if (code != ERR_OK || sched_classes_have(s, id))
        return code;
    if (s->count == SCHED_CLASSES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d names of devices in the cluster",
                       SCHED_CLASSES_MAX);
    names_hold(n, id);
    s->at[s->count++] = id;
    return ERR_OK;
}

enum err_code sched_classes_add(struct sched_classes *s, struct names *n,
                                const Baton__NodeHardwareSpec *hw, struct err *e)
{
    enum err_code code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < hw->n_devices; i++) {
        struct str name = str_of(hw->devices[i]->resource);
        char parts[ROW_NAME_MAX];
        if (name.len == 0)
            continue;
        code = class_add(s, n, name, e);
        if (code == ERR_OK && hw->devices[i]->milli)
            code = class_add(s, n, parts_name(name, parts), e);
    }
    return code;
}

/* ---- what a node has ---- */

static uint32_t shares_of(const Baton__Device *d)
{
    return d->shares > 1 ? d->shares : 1;
}

uint64_t sched_devices_count(const Baton__NodeHardwareSpec *hw, struct str resource)
{
    struct str device;
    bool in_parts = part_name(resource, &device);
    uint64_t sum = 0;
    for (size_t i = 0; i < hw->n_devices; i++) {
        const Baton__Device *d = hw->devices[i];
        if (str_eq(str_of(d->resource), in_parts ? device : resource))
            sum += !in_parts ? shares_of(d) : d->milli ? PART_ONE : 0;
    }
    return sum;
}

static bool numa_find(const Baton__NodeHardwareSpec *hw, uint32_t id, uint32_t *out)
{
    for (size_t i = 0; i < hw->n_numa_nodes; i++)
        if (hw->numa_nodes[i]->id == id) {
            *out = (uint32_t)i;
            return true;
        }
    return false;
}

static bool lists_function(const Baton__Device *physical, const char *address)
{
    for (size_t i = 0; i < physical->n_virtual_functions; i++)
        if (str_eq(str_of(physical->virtual_functions[i]), str_of(address)))
            return true;
    return false;
}

MUST_USE static enum err_code function_check(const Baton__NodeHardwareSpec *hw,
                                             const Baton__Device *d, struct err *e)
{
    if (d->n_virtual_functions > d->virtual_functions_max)
        return err_set(e, ERR_INVALID, "device %u has %zu virtual functions, %u are possible",
                       d->id, d->n_virtual_functions, d->virtual_functions_max);
    if (!d->has_parent)
        return ERR_OK;
    if (d->parent >= hw->n_devices || d->parent == d->id ||
        !lists_function(hw->devices[d->parent], d->pci_address))
        return err_set(e, ERR_INVALID, "device %u is no virtual function of device %u", d->id,
                       d->parent);
    if (str_of(d->resource).len > 0 && str_of(hw->devices[d->parent]->resource).len > 0)
        return err_set(e, ERR_INVALID,
                       "device %u is given away, and so is its virtual function, device %u",
                       d->parent, d->id);
    return ERR_OK;
}

/* Nobody opens a VFIO group twice, and a device of many holders is counted by them. */
MUST_USE static enum err_code shares_check(const Baton__Device *d, struct err *e)
{
    struct str device;
    bool pci = str_of(d->pci_address).len > 0;
    if (part_name(str_of(d->resource), &device))
        return err_set(e, ERR_INVALID, "device %u is given away as thousandths: %s", d->id,
                       d->resource);
    if (shares_of(d) > (pci ? 1 : SCHED_SHARES_MAX))
        return err_set(e, ERR_INVALID, "device %u has %u shares, %d are possible", d->id, d->shares,
                       pci ? 1 : SCHED_SHARES_MAX);
    if (d->milli && (shares_of(d) > 1 || str_is(str_of(d->driver), "vfio-pci")))
        return err_set(e, ERR_INVALID, "device %u has one holder or shares, and thousandths, too",
                       d->id);
    return ERR_OK;
}

MUST_USE static enum err_code device_check(const Baton__NodeHardwareSpec *hw, uint32_t i,
                                           struct err *e)
{
    const Baton__Device *d = hw->devices[i];
    bool pci = str_of(d->pci_address).len > 0;
    uint32_t numa;
    if (d->id != i)
        return err_set(e, ERR_INVALID, "device %u is not in its own list", d->id);
    if (d->has_numa_node && !numa_find(hw, d->numa_node, &numa))
        return err_set(e, ERR_INVALID, "device %u is in NUMA node %u, which is not there", d->id,
                       d->numa_node);
    if (!pci && d->n_paths == 0 && str_of(d->resource).len > 0)
        return err_set(e, ERR_INVALID, "device %u has neither an address nor a path", d->id);
    for (uint32_t k = 0; k < i && d->has_iommu_group; k++)
        if (hw->devices[k]->has_iommu_group && str_of(d->resource).len > 0 &&
            str_of(hw->devices[k]->resource).len > 0 &&
            hw->devices[k]->iommu_group == d->iommu_group)
            return err_set(e, ERR_INVALID, "devices %u and %u are of one IOMMU group, %u", k, i,
                           d->iommu_group);
    enum err_code code = shares_check(d, e);
    return code == ERR_OK ? function_check(hw, d, e) : code;
}

static int row_name(char out[ROW_NAME_MAX], const char *address, const char *path, uint32_t share)
{
    int len = str_of(address).len > 0
                  ? snprintf(out, ROW_NAME_MAX, "%s", address)
                  : snprintf(out, ROW_NAME_MAX, "%s#%u", path == NULL ? "" : path, share);
    return len < ROW_NAME_MAX ? len : ROW_NAME_MAX - 1;
}

MUST_USE static enum err_code device_row(struct names *n, const Baton__NodeHardwareSpec *hw,
                                         const Baton__Device *d, uint32_t share,
                                         struct topology_device *to, struct err *e)
{
    char name[ROW_NAME_MAX];
    int len = row_name(name, d->pci_address, d->n_paths > 0 ? d->paths[0] : NULL, share);
    *to = (struct topology_device){.units = d->milli ? TOPOLOGY_DEVICE_UNITS : 1,
                                   .numa = TOPOLOGY_NUMA_NONE,
                                   .parent = TOPOLOGY_DEVICE_NONE};
    if (d->has_numa_node && !numa_find(hw, d->numa_node, &to->numa))
        return err_set(e, ERR_INVALID, "device %u is in no NUMA node", d->id);
    enum err_code code = names_intern(n, str_of(d->resource), &to->class_name, e);
    if (code == ERR_OK)
        code = names_intern(n, str_from(name, (size_t)len), &to->id_name, e);
    if (code == ERR_OK && d->has_iommu_group)
        code = names_intern(n, VFIO, &to->model_name, e);
    return code;
}

enum err_code sched_devices_topology(struct names *n, struct arena *a,
                                     const Baton__NodeHardwareSpec *hw, struct topology *out,
                                     struct err *e)
{
    struct topology_device *at = arena_zalloc(a, TOPOLOGY_DEVICES_MAX, sizeof *at);
    if (at == NULL)
        return err_set(e, ERR_LIMIT, "the description is too large");
    for (uint32_t i = 0; i < hw->n_devices; i++) {
        const Baton__Device *d = hw->devices[i];
        enum err_code code = device_check(hw, i, e);
        for (uint32_t share = 0; code == ERR_OK && share < shares_of(d); share++) {
            if (str_of(d->resource).len == 0)
                break; /* Here because of its virtual functions. */
            if (out->devices_count == TOPOLOGY_DEVICES_MAX)
                return err_set(e, ERR_LIMIT, "more than %d devices", TOPOLOGY_DEVICES_MAX);
            code = device_row(n, hw, d, share, &at[out->devices_count++], e);
        }
        if (code != ERR_OK)
            return code;
    }
    out->devices = at;
    return ERR_OK;
}

/* ---- what a workload wants ---- */

enum err_code sched_devices_want(struct arena *a, struct request *out,
                                 const struct request_device *want, struct err *e)
{
    struct request_device *at = (struct request_device *)out->devices;
    if (want->count == 0)
        return ERR_OK;
    if (at == NULL)
        out->devices = at = arena_zalloc(a, REQUEST_DEVICES_MAX, sizeof *at);
    if (at == NULL)
        return err_set(e, ERR_LIMIT, "the request is too large");
    uint32_t i = 0;
    while (i < out->devices_count &&
           (at[i].class_name != want->class_name || at[i].units != want->units))
        i++;
    if (i == REQUEST_DEVICES_MAX || want->count > REQUEST_DEVICE_COUNT_MAX - at[i].count)
        return err_set(e, ERR_LIMIT, "more than %d kinds of devices, or %d of one",
                       REQUEST_DEVICES_MAX, REQUEST_DEVICE_COUNT_MAX);
    uint32_t before = at[i].count;
    at[i] = *want;
    at[i].count += before;
    out->devices_count = max_u32(out->devices_count, i + 1);
    return ERR_OK;
}

/* The name by which a network gives its virtual functions: there are no NetworkAttachmentDefinitions to say
 * so, and the name of one stands for itself. */
const char *sched_view_network(const Kubevirt__VirtualMachineInstanceSpec *spec,
                               const Kubevirt__Interface *nic)
{
    for (size_t i = 0; i < spec->n_networks; i++)
        if (str_eq(str_of(spec->networks[i]->name), str_of(nic->name)))
            return spec->networks[i]->multus == NULL ? NULL
                                                     : spec->networks[i]->multus->network_name;
    return NULL;
}

/* In the order in which the guest gets them: its order does not matter to the guest. */
static const char *wanted_at(const Kubevirt__VirtualMachineInstanceSpec *spec, size_t i, bool *over)
{
    const Kubevirt__Devices *d = spec->domain->devices;
    *over = d == NULL;
    if (d == NULL)
        return NULL;
    if (i < d->n_host_devices)
        return d->host_devices[i]->device_name;
    i -= d->n_host_devices;
    if (i < d->n_gpus)
        return d->gpus[i]->device_name;
    i -= d->n_gpus;
    *over = i >= d->n_interfaces;
    return *over || d->interfaces[i]->sriov == NULL ? NULL
                                                    : sched_view_network(spec, d->interfaces[i]);
}

uint32_t sched_view_machine_devices(const Kubevirt__VirtualMachineInstanceSpec *spec,
                                    struct str resource)
{
    bool over = false;
    uint32_t count = 0;
    for (size_t i = 0; !over; i++) {
        struct str name = str_of(wanted_at(spec, i, &over));
        count += name.len > 0 && (resource.len == 0 || str_eq(name, resource));
    }
    return count;
}

enum err_code sched_devices_machine(struct names *n, struct arena *a,
                                    const Kubevirt__VirtualMachineInstanceSpec *spec,
                                    struct request *out, struct err *e)
{
    bool over = false;
    for (size_t i = 0; !over; i++) {
        const char *name = wanted_at(spec, i, &over);
        uint32_t class_name;
        if (name == NULL || name[0] == '\0')
            continue;
        enum err_code code = names_intern(n, str_of(name), &class_name, e);
        if (code == ERR_OK)
            code = sched_devices_want(
                a, out, &(struct request_device){.class_name = class_name, .count = 1}, e);
        if (code != ERR_OK)
            return code;
    }
    uint32_t *model = arena_zalloc(a, 1, sizeof *model);
    if (model == NULL)
        return err_set(e, ERR_LIMIT, "the request is too large");
    for (uint32_t i = 0; i < out->devices_count; i++) {
        struct request_device *d = (struct request_device *)&out->devices[i];
        d->models = model;
        d->models_count = 1;
    }
    return names_intern(n, VFIO, model, e);
}

/* ---- what was chosen ---- */

static const Baton__Device *device_find(const Baton__NodeHardwareSpec *hw, struct str row,
                                        uint32_t *out_share)
{
    char name[ROW_NAME_MAX];
    for (size_t i = 0; i < hw->n_devices; i++) {
        const Baton__Device *d = hw->devices[i];
        for (uint32_t share = 0; share < shares_of(d); share++) {
            int len = row_name(name, d->pci_address, d->n_paths > 0 ? d->paths[0] : NULL, share);
            if (str_of(d->resource).len > 0 && str_eq(str_from(name, (size_t)len), row)) {
                *out_share = share;
                return d;
            }
        }
    }
    return NULL;
}

/* A class is wanted whole or in parts, by machines or by containers: the first says it of all. */
static const struct request_device *want_of(const struct request *r, uint32_t class_name)
{
    static const struct request_device nothing;
    for (uint32_t i = 0; i < r->devices_count; i++)
        if (r->devices[i].class_name == class_name)
            return &r->devices[i];
    return &nothing;
}

/* Whoever gets a group opens it and the container of groups (driver-api/vfio.rst). */
static bool vfio_paths(struct arena *a, Baton__DeviceGrant *to)
{
    to->paths = arena_zalloc(a, 2, sizeof *to->paths);
    if (to->paths == NULL)
        return false;
    to->paths[0] = (char *)"/dev/vfio/vfio";
    to->paths[1] = (char *)arena_printf(a, "/dev/vfio/%u", to->iommu_group).at;
    to->n_paths = 2;
    return to->paths[1] != NULL;
}

static bool grant(struct arena *a, const Baton__Device *from, bool machine, Baton__DeviceGrant *to)
{
    to->has_device = from->id != 0;
    to->device = from->id;
    to->pci_address = from->pci_address;
    to->name = from->resource;
    to->has_numa_node = from->has_numa_node;
    to->numa_node = from->numa_node;
    to->vfio = machine || str_is(str_of(from->driver), "vfio-pci");
    to->has_vfio = to->vfio;
    to->paths = from->paths;
    to->n_paths = machine ? 0 : from->n_paths;
    if (!to->vfio)
        return true;
    to->has_iommu_group = from->has_iommu_group;
    to->iommu_group = from->iommu_group;
    to->companions = from->companions;
    to->n_companions = from->n_companions;
    return machine || vfio_paths(a, to);
}

static bool grant_part(struct arena *a, const struct placement_device *row, Baton__DeviceGrant *to)
{
    to->has_milli = true;
    to->milli = row->units == 0 ? PART_ONE : row->units; /* All of it is told as the whole. */
    to->name = (char *)arena_printf(a, "%s-milli", to->name).at;
    return to->name != NULL;
}

enum err_code sched_devices_rows(struct names *n, struct arena *a, const struct placement *rows,
                                 const struct request *r, const Baton__NodeHardwareSpec *hw,
                                 Baton__PlacementSpec *out, struct err *e)
{
    if (rows->devices_count == 0)
        return ERR_OK;
    out->devices = arena_zalloc(a, rows->devices_count, sizeof *out->devices);
    for (uint32_t i = 0; out->devices != NULL && i < rows->devices_count; i++) {
        uint32_t share = 0;
        const struct placement_device *row = &rows->devices[i];
        const struct request_device *want = want_of(r, row->class_name);
        const Baton__Device *from = device_find(hw, names_text(n, row->id_name), &share);
        Baton__DeviceGrant *to = arena_alloc(a, sizeof *to);
        if (from == NULL)
            return err_set(e, ERR_INVALID, "a device is not in the description");
        if (to == NULL)
            break;
        baton__device_grant__init(to);
        to->has_share = share > 0;
        to->share = share;
        if (!grant(a, from, want->models_count > 0, to) ||
            (want->units > 0 && !grant_part(a, row, to)))
            break;
        out->devices[out->n_devices++] = to;
    }
    return out->n_devices == rows->devices_count
               ? ERR_OK
               : err_set(e, ERR_LIMIT, "the placement is too large");
}

enum err_code sched_devices_stored(struct names *n, const Baton__PlacementSpec *spec,
                                   struct placement *out, struct err *e)
{
    char name[ROW_NAME_MAX];
    if (spec->n_devices > PLACEMENT_DEVICES_MAX)
        return err_set(e, ERR_LIMIT, "%zu devices are stored", spec->n_devices);
    for (size_t i = 0; i < spec->n_devices; i++) {
        const Baton__DeviceGrant *from = spec->devices[i];
        struct placement_device *to = &out->devices[out->devices_count++];
        int len = row_name(name, from->pci_address, from->n_paths > 0 ? from->paths[0] : NULL,
                           from->share);
        struct str name_of = str_of(from->name);
        if (from->has_milli &&
            (from->milli == 0 || from->milli > PART_ONE || !part_name(name_of, &name_of)))
            return err_set(e, ERR_INVALID, "%u thousandths of %s are stored", from->milli,
                           from->name == NULL ? "" : from->name);
        *to = (struct placement_device){.units = from->milli % PART_ONE};
        enum err_code code = names_intern(n, name_of, &to->class_name, e);
        if (code == ERR_OK)
            code = names_intern(n, str_from(name, (size_t)len), &to->id_name, e);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}

/* What is stored as exact rows is not counted besides, whatever its name means by now. */
void sched_devices_restored(struct names *n, const Baton__PlacementSpec *spec, struct request *out)
{
    struct request_scalar *at = (struct request_scalar *)out->scalars;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < out->scalars_count; i++) {
        bool exact = false;
        for (size_t k = 0; k < spec->n_devices; k++)
            exact |= str_eq(names_text(n, at[i].name), str_of(spec->devices[k]->name));
        if (!exact)
            at[kept++] = at[i];
    }
    out->scalars_count = kept;
}
