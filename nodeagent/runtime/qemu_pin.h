/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu_pin.h -- QEMU's threads on the cpus that were decided.
 *
 * WHAT   vCPU i on the i-th granted cpu (by number, or in the order given) and nowhere else, every other thread in the shared pool; or
 *        all in the pool, for a machine without cpus of its own. Set, then read back from /proc.
 * WHY    QEMU says which thread is which vCPU, and QEMU may be in a guest's hands: a thread that is
 *        not the process's own is never touched.
 * FAILS  ERR_CORRUPT: QEMU named a thread that is not its own. ERR_CONFLICT: the kernel has something
 *        else than was set. ERR_NOT_FOUND: the process is gone.
 */
#ifndef NODEAGENT_RUNTIME_QEMU_PIN_H
#define NODEAGENT_RUNTIME_QEMU_PIN_H

#include "base/err.h"
#include "nodeagent/runtime/runtime.h"

enum { QEMU_THREADS_MAX = 4096 };

struct qemu_pins {
    int32_t pid;
    const int32_t *vcpus; /* Thread ids. */
    uint32_t vcpus_count;
    bool exclusive;
    struct cpuset cpus, pool; /* cpus: as many as vCPUs at least, when exclusive. */
    const uint16_t *order;    /* cpus, one after another. */
    uint32_t order_count;     /* 0: by rising number. */
};

MUST_USE enum err_code qemu_pin_set(const struct qemu_pins *p, struct err *e);

/* As the kernel has it: fails unless every thread is where it should be; of a machine that shares, on no other cpu than
 * the pool's, for the pool may be narrower by now than p says. out_vcpus: the union over the vCPUs' threads. */
MUST_USE enum err_code qemu_pin_read(const struct qemu_pins *p, struct cpuset *out_vcpus,
                                     struct err *e);

/* The cpus on which thread i's vCPU belongs. Pure. */
struct cpuset qemu_pin_of_vcpu(const struct qemu_pins *p, uint32_t i);

/* The cpus of all other threads: what was granted beyond the vCPUs, or else the pool. Pure. */
struct cpuset qemu_pin_of_helpers(const struct qemu_pins *p);

#endif /* NODEAGENT_RUNTIME_QEMU_PIN_H */
