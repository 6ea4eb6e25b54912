/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topology.h -- what one node has: every row that can be handed out, as the agent found it.
 *
 * WHAT   A plain description of a machine: sockets, NUMA nodes with distances, last-level-cache
 *        domains, cores, threads, memory and hugepages, devices, addresses, and the Kubernetes
 *        facts of its Node (labels, taints, images, capabilities).
 * WHY    The ledger is filled from this and nothing else, so a test writes a machine of 256 threads
 *        in five lines and the translation file is the only code that knows NodeHardware.
 * OWNS   Everything is borrowed for the duration of ledger_node_put(), which copies what it needs.
 * FAILS  topology_check(): ERR_INVALID names the contradiction (a core in no NUMA node, more
 *        virtual functions than the device has), ERR_LIMIT a size over the limits below. The ledger
 *        then refuses the description and marks the node; it never stops the program.
 * SEAM   topology_uniform() builds the synthetic machines of tests and benchmarks.
 */
#ifndef SCHEDULER_TOPOLOGY_H
#define SCHEDULER_TOPOLOGY_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    TOPOLOGY_SOCKETS_MAX = 8,
    TOPOLOGY_NUMA_MAX = 8, /* The Topology Manager's own limit; the in-node search tries subsets. */
    TOPOLOGY_LLCS_MAX = 128,
    TOPOLOGY_WAYS_MAX = 32,
    TOPOLOGY_CORES_MAX = 512,
    TOPOLOGY_CORE_THREADS_MAX = 8,
    TOPOLOGY_THREADS_MAX = 1024,
    TOPOLOGY_DEVICES_MAX = 512,
    TOPOLOGY_SCALARS_MAX = 64,
    TOPOLOGY_LABELS_MAX = 256,
    TOPOLOGY_TAINTS_MAX = 64,
    TOPOLOGY_IMAGES_MAX = 512,
    TOPOLOGY_CAPABILITIES_MAX = 128,
    TOPOLOGY_ADDRESSES_MAX = 65536,
    TOPOLOGY_OS_CPU_MAX = 4096,   /* Linux numbers may have holes. */
    TOPOLOGY_DEVICE_UNITS = 1000, /* A device that may be shared is a thousand thousandths. */
};

struct topology_numa {
    uint32_t socket;       /* Index of the socket it belongs to. */
    uint64_t memory_bytes; /* What workloads may use: without hugepages and the system's share. */
    uint32_t hugepages_2m; /* Pages, not bytes. */
    uint32_t hugepages_1g;
    uint8_t distance[TOPOLOGY_NUMA_MAX]; /* SLIT: 10 is local. 0 everywhere: not known. */
};

struct topology_llc {
    uint32_t numa; /* Index of the NUMA node it belongs to. */
    uint32_t
        ways; /* Ways that may be given out (Intel CAT, AMD QoS); 0: no partitioning. A grant is
                    * ways side by side, as Intel's masks must be. */
    uint32_t
        bandwidth_mbps; /* That may be reserved, in whatever unit requests have; 0: no control. */
};

/* A core's index in the array is its name in this library and in Placements. */
struct topology_core {
    uint32_t llc; /* Index; the core's NUMA node and socket follow from it. */
    uint32_t threads_count;
    uint32_t os_cpu[TOPOLOGY_CORE_THREADS_MAX]; /* Linux CPU numbers, lowest first. */
};

/* One thing of which at most one holder, or units_count thousandths of holders, exist. */
struct topology_device {
    uint32_t class_name; /* "nvidia.com/gpu", "sriov.intel.com/vf", "baton.dev/nvme". */
    uint32_t id_name;    /* PCI address or path; unique within the node. */
    uint32_t model_name; /* What a request may ask for by model; 0: not told. */
    uint32_t numa;       /* Index, or TOPOLOGY_NUMA_NONE when the firmware does not say. */
    uint32_t units;  /* 1: only whole. TOPOLOGY_DEVICE_UNITS: may be shared by the thousandth. */
    uint32_t parent; /* Index of the physical device a virtual function hangs on, or _NONE. */
    uint32_t functions_max; /* On a physical device: how many virtual functions it can have. */
};
#define TOPOLOGY_MEMORY_MAX (1ull << 50) /* Bytes per NUMA node. */
#define TOPOLOGY_NUMA_NONE UINT32_MAX
#define TOPOLOGY_DEVICE_NONE UINT32_MAX

/* A Kubernetes extended resource without identity: only how many. */
struct topology_scalar {
    uint32_t name;
    uint64_t amount;
};

struct topology_label {
    uint32_t key, value;
};

enum topology_effect { TAINT_NO_SCHEDULE, TAINT_PREFER_NO_SCHEDULE, TAINT_NO_EXECUTE };

struct topology_taint {
    uint32_t key, value;
    enum topology_effect effect;
};

struct topology_image {
    uint32_t name;
    uint64_t size_bytes;
};

struct topology {
    uint32_t name; /* The Node's; unique in the ledger. */

    uint32_t sockets_count, numa_count, llcs_count, cores_count;
    const struct topology_numa *numa;
    const struct topology_llc *llcs;
    const struct topology_core *cores;

    uint32_t shared_cores; /* The first so many cores are never given exclusively; at least 1. */
    uint32_t system_cpu_milli; /* Taken off the shared pool for agent and system. */
    uint32_t pods_max;         /* Workloads at the same time; Kubernetes' default is 110. */

    uint32_t devices_count, scalars_count;
    const struct topology_device *devices;
    const struct topology_scalar *scalars;

    /* The node's part of the pod network: host addresses first..first+count-1 (IPv4 as a number,
     * network and gateway left out by the caller), and MACs mac_first.. of the same length. */
    uint32_t address_first, addresses_count;
    uint64_t mac_first; /* 48 bits. */

    uint32_t labels_count, taints_count, images_count, capabilities_count;
    const struct topology_label *labels; /* Each key once. Includes kubernetes.io/hostname. */
    const struct topology_taint *taints;
    const struct topology_image *images;
    const uint32_t *capabilities; /* Names: "arch=amd64", "kvm", "kernel=6.1", "core=qualified". */

    bool unschedulable; /* Node.spec.unschedulable. */
    bool ready;         /* False: no contact; nothing new comes here. */
};

MUST_USE enum err_code topology_check(const struct topology *t, struct err *e);

/* A regular machine: every level has the same number of children. Memory and hugepages are per
 * NUMA node. Threads are numbered as Linux does on x86: first all first siblings, then the second.
 * Fills the arrays of storage and points out_t at them. */
struct topology_spec {
    uint32_t sockets, numa_per_socket, llcs_per_numa, cores_per_llc, threads_per_core;
    uint64_t memory_bytes;
    uint32_t hugepages_2m, hugepages_1g, ways, bandwidth_mbps;
};

struct topology_storage {
    struct topology_numa numa[TOPOLOGY_NUMA_MAX];
    struct topology_llc llcs[TOPOLOGY_LLCS_MAX];
    struct topology_core cores[TOPOLOGY_CORES_MAX];
};

MUST_USE enum err_code topology_uniform(const struct topology_spec *spec,
                                        struct topology_storage *storage, struct topology *out_t,
                                        struct err *e);

#endif /* SCHEDULER_TOPOLOGY_H */
