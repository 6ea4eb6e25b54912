/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmi.h -- the parts of a machine's validation that have files of their own.
 */
#ifndef API_VMI_H
#define API_VMI_H

#include "api/kinds_priv.h"
#include "proto/kubevirt/v1.pb-c.h"

/* Devices a machine is given: hostDevices, gpus, virtual functions. */
enum { VMI_DEVICES_MAX = 16 };

/* Interfaces and networks, and what binds them. */
void vmi_networks_validate(struct kind_call *c, const Kubevirt__VirtualMachineInstanceSpec *s,
                           const struct field *at);
void vmi_devices_validate(struct kind_call *c, const Kubevirt__VirtualMachineInstanceSpec *s,
                          const struct field *at);
/* numa.guestMappingPassthrough and what it needs. */
void vmi_numa_validate(struct kind_call *c, const Kubevirt__DomainSpec *d, const struct field *at);

#endif /* API_VMI_H */
