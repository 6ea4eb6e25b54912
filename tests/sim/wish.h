/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wish.h -- what the clients of a simulated cluster want next.
 *
 * WHAT   Workloads of every kind that the scheduler tells apart: exclusive and shared, machines, priorities, pod groups,
 *        spreading, affinity, host ports, taints; operators who cordon, taint and relabel nodes, evict, change labels,
 *        and cut cables. All named w0, w1, ... in the order they were made.
 */
#ifndef TESTS_SIM_WISH_H
#define TESTS_SIM_WISH_H

#include "tests/sim/sim.h"

struct wishes {
    uint64_t made, most; /* Workloads. */
    uint32_t nodes;
    bool has_budget;
};

const char *wish_kind(uint64_t i); /* "Pod" or "VirtualMachineInstance". */

void wish(struct sim *s, struct wishes *w);

/* Cables, disks and nodes are in order from now on. */
void wish_heal(struct sim *s, const struct wishes *w);
void wish_away(struct sim *s, const struct wishes *w); /* Everything is deleted. */

#endif /* TESTS_SIM_WISH_H */
