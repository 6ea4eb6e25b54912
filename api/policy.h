/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h -- how exactly a workload wants its hardware, for pods and machines alike.
 *
 * WHAT   Annotations of the workload (docs/decisions/0083), after the kubelet's Topology Manager and CPU
 *        Manager options, which are the node's there and the workload's own here:
 *          baton.dev/numa-policy: none (default), best-effort, restricted, single-numa-node
 *          baton.dev/core-policy: full-cores-only (an even number of CPUs), one-thread-per-core
 *          baton.dev/align-caches: "true"   fewest last-level caches, or nowhere
 *          baton.dev/spread-numa: "true"    even over NUMA nodes where one is not enough
 *          baton.dev/choice: pack (default), spread
 *          baton.dev/cache-ways: 1 to 32    of each last-level cache that gives it a core, nobody else's
 *          baton.dev/memory-bandwidth: 1 to 100   percent of each such domain's
 * WHY    Pod and VirtualMachineInstance have no field for these, and the one scheduler knows them.
 * FAILS  policy_validate(): a cause at metadata.annotations[KEY] for what is unknown or contradicts itself.
 */
#ifndef API_POLICY_H
#define API_POLICY_H

#include "api/kinds.h"

enum policy_numa {
    POLICY_NUMA_NONE,
    POLICY_NUMA_BEST_EFFORT,
    POLICY_NUMA_RESTRICTED,
    POLICY_NUMA_SINGLE
};
enum policy_cores { POLICY_CORES_ANY, POLICY_CORES_FULL, POLICY_CORES_ONE_THREAD };

struct policy {
    enum policy_numa numa;
    enum policy_cores cores;
    bool align_caches, spread_numa, spread;
    uint32_t cache_ways, bandwidth_percent; /* 0: not asked for. */
};

/* What is not understood counts as absent: stored objects may be older than a rule. */
struct policy policy_read(const Meta__ObjectMeta *m);

/* cpus: of its own, in all; 0: it shares the pool. */
void policy_validate(struct kind_call *c, const Meta__ObjectMeta *m, uint64_t cpus);

#endif /* API_POLICY_H */
