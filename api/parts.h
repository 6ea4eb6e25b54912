/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parts.h -- parts of devices, by the thousandth (docs/decisions/0215).
 *
 * WHAT   Where a node gives parts of the devices that it gives away as vendor.com/gpu, vendor.com/gpu-milli counts their
 *        thousandths. A container's amount is of one device, or spread evenly over as many as the annotation
 *        baton.dev/gpu-count of its pod says, each another one.
 * WHY    Control plane and agent must agree on what a limit means: this is the only place that knows.
 * FAILS  parts_validate(): a cause at spec.containers[].resources.limits[NAME] or metadata.annotations[KEY].
 */
#ifndef API_PARTS_H
#define API_PARTS_H

#include "api/kinds.h"
#include "proto/k8s/core_v1.pb-c.h"

enum { PART_ONE = 1000, PART_DEVICES_MAX = 64 };

/* "vendor.com/gpu-milli": true, and "vendor.com/gpu". */
bool part_name(struct str name, struct str *out_device);

/* Over how many devices a pod spreads each of its amounts: 1, or what its annotation says. */
uint32_t part_devices(const Meta__ObjectMeta *m);

/* Thousandths of each of those devices that a container asks for under name; 0: none. What is not understood counts
 * as none: stored objects may be older than a rule. */
uint32_t part_of(const Core__Container *c, const Meta__ObjectMeta *m, struct str name);

/* old: NULL on create; afterwards only the annotation is looked at, which stays. */
void parts_validate(struct kind_call *c, const Core__Pod *pod, const Core__Pod *old);

/* A guest has devices whole. */
void parts_refuse(struct kind_call *c, const Meta__ObjectMeta *m);

#endif /* API_PARTS_H */
