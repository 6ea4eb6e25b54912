/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine's interfaces and devices (KubeVirt: Interface, HostDevice, GPU, NUMA), each refused with its path.
 * A virtual function's network is called by the resource it is given away as (docs/decisions/0151).
 */
#include "api/parts.h"
#include "api/vmi.h"

/* vendor.com/name */
static bool is_resource(const char *name)
{
    struct str s = kind_str(name);
    size_t slash = str_find(s, '/', 0), dot = str_find(s, '.', 0);
    return slash < s.len && dot < slash && slash + 1 < s.len &&
           str_find(s, '/', slash + 1) == s.len;
}

static const Kubevirt__Network *network_of(const Kubevirt__VirtualMachineInstanceSpec *s,
                                           const char *name)
{
    for (size_t i = 0; i < s->n_networks; i++)
        if (is_text(s->networks[i]->name, name))
            return s->networks[i];
    return NULL;
}

/* ------------------------------------------------------------------ interfaces, networks */

static void binding_validate(struct kind_call *c, const Kubevirt__Interface *n,
                             const Kubevirt__Network *network, const struct field *at)
{
    struct field sriov = field_name(at, "sriov"), name = field_name(at, "name");
    if ((n->bridge != NULL) + (n->masquerade != NULL) + (n->sriov != NULL) > 1)
        causes_add(&c->causes, CAUSE_FORBIDDEN, at, "may not specify more than 1 binding");
    if (network == NULL)
        return;
    if (n->sriov != NULL && network->multus == NULL)
        causes_add(&c->causes, CAUSE_FORBIDDEN, &sriov, "its network is not a multus network");
    else if (n->sriov == NULL && network->multus != NULL)
        causes_invalid(&c->causes, &name, kind_str(n->name),
                       "a multus network wants an interface with sriov");
    if (n->sriov != NULL && !is_empty(n->model)) {
        struct field model = field_name(at, "model");
        causes_add(&c->causes, CAUSE_FORBIDDEN, &model, "a virtual function is what it is");
    }
}

static void network_validate(struct kind_call *c, const Kubevirt__Network *n, bool has_pod,
                             const struct field *at)
{
    struct field name = field_name(at, "name"), multus = field_name(at, "multus");
    struct field network = field_name(&multus, "networkName");
    if (is_empty(n->name))
        causes_add(&c->causes, CAUSE_REQUIRED, &name, "%s", "");
    if (n->multus != NULL && n->pod != NULL)
        causes_add(&c->causes, CAUSE_FORBIDDEN, at, "may not specify more than 1 network source");
    else if (n->multus == NULL && has_pod)
        causes_add(&c->causes, CAUSE_FORBIDDEN, at, "a machine is in the pod network once");
    if (n->multus != NULL && !is_resource(n->multus->network_name))
        causes_invalid(&c->causes, &network, kind_str(n->multus->network_name),
                       "must be the resource that its virtual functions are given away as: "
                       "vendor.com/name");
}

void vmi_networks_validate(struct kind_call *c, const Kubevirt__VirtualMachineInstanceSpec *s,
                           const struct field *at)
{
    struct field domain = field_name(at, "domain"), devices = field_name(&domain, "devices");
    struct field list = field_name(&devices, "interfaces"), networks = field_name(at, "networks");
    const Kubevirt__Devices *d = s->domain->devices;
    bool has_pod = false;
    for (size_t i = 0; d != NULL && i < d->n_interfaces; i++) {
        const Kubevirt__Interface *n = d->interfaces[i];
        const Kubevirt__Network *network =
            is_empty(n->name) ? NULL : network_of(s, kind_str(n->name).at);
        struct field one = field_index(&list, i), f = field_name(&one, "name");
        if (is_empty(n->name))
            causes_add(&c->causes, CAUSE_REQUIRED, &f, "%s", "");
        else if (network == NULL)
            causes_invalid(&c->causes, &f, kind_str(n->name),
                           "no network in spec.networks has this name");
        binding_validate(c, n, network, &one);
    }
    for (size_t i = 0; i < s->n_networks; i++) {
        struct field one = field_index(&networks, i);
        network_validate(c, s->networks[i], has_pod, &one);
        has_pod |= s->networks[i]->multus == NULL;
    }
}

/* ------------------------------------------------------------------ devices */

struct named {
    const char *name, *device;
};

/* Names are once among all devices, as KubeVirt's aliases are. */
static void device_validate(struct kind_call *c, const struct named *all, size_t i,
                            const struct field *at)
{
    struct field name = field_name(at, "name"), device = field_name(at, "deviceName");
    struct str quoted = status_quote(c->arena, kind_str(all[i].name)), whole;
    bool is_taken = false;
    for (size_t k = 0; k < i; k++)
        is_taken |= !is_empty(all[i].name) && is_text(all[k].name, all[i].name);
    if (is_empty(all[i].name))
        causes_add(&c->causes, CAUSE_REQUIRED, &name, "%s", "");
    else if (is_taken)
        causes_add(&c->causes, CAUSE_DUPLICATE, &name, STR_FMT, STR_ARG(quoted));
    if (is_empty(all[i].device))
        causes_add(&c->causes, CAUSE_REQUIRED, &device, "%s",
                   "the resource it is given away as: vendor.com/name");
    else if (!is_resource(all[i].device))
        causes_invalid(&c->causes, &device, kind_str(all[i].device),
                       "must be a resource's name: vendor.com/name");
    else if (part_name(kind_str(all[i].device), &whole))
        causes_invalid(&c->causes, &device, kind_str(all[i].device), "a machine has devices whole");
}

void vmi_devices_validate(struct kind_call *c, const Kubevirt__VirtualMachineInstanceSpec *s,
                          const struct field *at)
{
    struct field domain = field_name(at, "domain"), devices = field_name(&domain, "devices");
    struct field hosts = field_name(&devices, "hostDevices"), gpus = field_name(&devices, "gpus");
    struct field machine = field_name(&domain, "machine"), type = field_name(&machine, "type");
    const Kubevirt__Devices *d = s->domain->devices;
    struct named all[2 * VMI_DEVICES_MAX];
    size_t count = 0, functions = 0;
    for (size_t i = 0; d != NULL && i < d->n_interfaces; i++)
        functions += d->interfaces[i]->sriov != NULL;
    if (d == NULL || d->n_host_devices + d->n_gpus + functions == 0)
        return;
    if (d->n_host_devices + d->n_gpus + functions > VMI_DEVICES_MAX) {
        causes_add(&c->causes, CAUSE_FORBIDDEN, &devices,
                   "a machine has at most %d hostDevices, gpus and sriov interfaces",
                   VMI_DEVICES_MAX);
        return;
    }
    for (size_t i = 0; i < d->n_host_devices + d->n_gpus; i++, count++) {
        bool gpu = i >= d->n_host_devices;
        size_t k = gpu ? i - d->n_host_devices : i;
        struct field one = field_index(gpu ? &gpus : &hosts, k);
        all[i] = gpu ? (struct named){d->gpus[k]->name, d->gpus[k]->device_name}
                     : (struct named){d->host_devices[k]->name, d->host_devices[k]->device_name};
        device_validate(c, all, i, &one);
    }
    if (s->domain->machine != NULL && is_text(s->domain->machine->type, "microvm"))
        causes_invalid(&c->causes, &type, STR("microvm"), "has no PCI for a device of the host");
}

/* ------------------------------------------------------------------ NUMA */

void vmi_numa_validate(struct kind_call *c, const Kubevirt__DomainSpec *d, const struct field *at)
{
    struct field cpu = field_name(at, "cpu"), numa = field_name(&cpu, "numa");
    struct field mapping = field_name(&numa, "guestMappingPassthrough");
    if (d->cpu == NULL || d->cpu->numa == NULL || d->cpu->numa->guest_mapping_passthrough == NULL)
        return;
    if (!d->cpu->dedicated_cpu_placement)
        causes_add(&c->causes, CAUSE_FORBIDDEN, &mapping, "needs dedicatedCpuPlacement");
    if (d->memory == NULL || d->memory->hugepages == NULL)
        causes_add(&c->causes, CAUSE_FORBIDDEN, &mapping, "needs memory.hugepages");
}
