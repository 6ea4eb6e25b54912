/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_disk.h -- a simulated node's disk, as a measurement of it.
 */
#ifndef TESTS_SIM_SIM_DISK_H
#define TESTS_SIM_SIM_DISK_H

#include "base/blob.h"
#include "nodeagent/core/agent_fx.h"

/* Containers and volumes of one name hold so much each, on a disk with so much left. */
struct sim_disk {
    uint64_t free_bytes, bytes;
    char place[32];
};

/* What FX_MEASURE is answered with: a baton.agent.v1 Disk. The caller's. */
struct blob *sim_disk_answer(const struct sim_disk *d, uint64_t size_bytes,
                             const struct agent_effect *fx);

#endif /* TESTS_SIM_SIM_DISK_H */
