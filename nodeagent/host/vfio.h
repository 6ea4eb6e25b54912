/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfio.h -- PCI functions between the host's drivers and vfio-pci.
 *
 * WHAT   vfio_bind() gives a function to vfio-pci for one workload, vfio_release() gives all of a
 *        workload's back to the drivers they had. A function the operator bound himself stays bound.
 *        Before the first write a record says whose it is and what it had: DIRECTORY/ADDRESS. So a crash
 *        at any point leaves something that release, or the next bind, finishes.
 * WHY    The driver is the host's own affair; what a workload gets is a group that nobody else holds.
 * ASYNC  Blocking: a driver may take its time to let go. For a worker.
 * FAILS  ERR_NOT_FOUND no such function; ERR_CONFLICT another workload's; ERR_UNAVAILABLE what the kernel
 *        says, or that the function has another driver than was asked for when read back.
 *
 * Sources: Documentation/ABI/testing/sysfs-bus-pci (driver_override, drivers_probe, unbind).
 */
#ifndef NODEAGENT_HOST_VFIO_H
#define NODEAGENT_HOST_VFIO_H

#include "nodeagent/host/sysfs.h"

enum { VFIO_OWNER_MAX = 64 };

struct vfio {
    const struct sysfs *sysfs;
    const char *directory; /* STATE/devices; made when it is needed. */
};

/* Level-triggered: what is bound for owner already is left alone. */
MUST_USE enum err_code vfio_bind(const struct vfio *v, struct str address, struct str owner,
                                 struct err *e);

/* Everything of owner's. */
MUST_USE enum err_code vfio_release(const struct vfio *v, struct str owner, struct err *e);

/* Every record; owner points into memory of the call. Stops at a false. A directory that is not there has
 * none. */
MUST_USE enum err_code vfio_list(const struct vfio *v,
                                 bool (*visit)(void *arg, const char *address, struct str owner),
                                 void *arg, struct err *e);

#endif /* NODEAGENT_HOST_VFIO_H */
