/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hardware.h -- what was discovered, as the control plane stores it.
 *
 * WHAT   baton.dev/v1 NodeHardwareSpec, encoded, from host/discover.h, host/devices.h, host/accel.h and what
 *        the command line reserves.
 *        The node's part of the pod network is left to the control plane, which gives it.
 * OWNS   Bytes are appended to the caller's buffer.
 */
#ifndef NODEAGENT_START_HARDWARE_H
#define NODEAGENT_START_HARDWARE_H

#include "base/buf.h"
#include "nodeagent/host/accel.h"
#include "nodeagent/host/devices.h"
#include "nodeagent/host/discover.h"

struct hardware_settings {
    uint32_t shared_cores, system_cpu_millis, workloads_max;
    uint64_t system_memory_bytes;
    uint64_t reserved_storage_bytes; /* With less free nothing new comes here. */
    const char *runtime_version;     /* "crun://1.8.1" */
    const struct devices *devices;   /* NULL: none is given away. */
};

void hardware_encode(const struct discover *d, const struct accel *a,
                     const struct hardware_settings *s, struct buf *out);

#endif /* NODEAGENT_START_HARDWARE_H */
