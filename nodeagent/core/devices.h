/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devices.h -- the devices that a Placement names, as its containers and its machine get them.
 *
 * Everything lives in the turn's arena or in the Placement.
 */
#ifndef NODEAGENT_CORE_DEVICES_H
#define NODEAGENT_CORE_DEVICES_H

#include "nodeagent/core/agent_priv.h"

/* The devices of its pod that a container gets, one after another. */
struct pod_device {
    size_t next; /* 0 at first. */
    const Baton__DeviceGrant *grant;
};
bool pod_device_next(const struct workload *w, const Core__Container *c, struct pod_device *at);
void pod_devices(struct agent_turn *t, const struct workload *w, const Core__Container *c,
                 struct runtime_container *out);
/* What the n-th of its limits is told as in the environment. */
struct pod_variable {
    struct str name, value;
};
/* False: it is no PCI device. */
bool pod_device_variable(struct agent_turn *t, const struct workload *w, const Core__Container *c,
                         size_t n, struct pod_variable *out);
/* False: it has no part of one. */
bool pod_part_variables(struct agent_turn *t, const struct workload *w, const Core__Container *c,
                        size_t n, struct pod_variable out[2]);

/* PCI addresses for vfio-pci, of a pod or a machine. */
const struct str *device_functions(struct agent_turn *t, const struct workload *w,
                                   uint32_t *out_count);
/* What it has of caches; domains by their numbers in resctrl. */
const struct agent_cache *device_caches(struct agent_turn *t, const struct workload *w,
                                        uint32_t *out_count);
/* What people know it by: its PCI address, or its first path. */
const char *device_id(const Baton__DeviceGrant *g);

/* vm_hardware.c: vCPUs' order, NUMA nodes, devices; vcpus is known by now. */
void vm_hardware(struct agent_turn *t, const struct workload *w, struct runtime_vm *vm);

#endif /* NODEAGENT_CORE_DEVICES_H */
