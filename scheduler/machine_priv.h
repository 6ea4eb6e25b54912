/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_priv.h -- a node as the ledger keeps it.
 *
 * WHAT   shape: the unchanging part of a machine, shared by all nodes built alike. node: what is free
 *        on one, and its Kubernetes facts.
 * OWNS   A shape is counted by its nodes. A node owns its arrays; node__free() ends them.
 */
#ifndef SCHEDULER_MACHINE_PRIV_H
#define SCHEDULER_MACHINE_PRIV_H

#include "scheduler/request.h"
#include "base/str.h"

enum { CORE_WORDS = TOPOLOGY_CORES_MAX / 64, MASKS_MAX = (1 << TOPOLOGY_NUMA_MAX) - 1 };

/* A set of NUMA nodes that could serve a request, and how good it is before anything is counted. */
struct shape_mask {
    uint8_t set, sockets, count;
    uint8_t level;     /* Equal level: equally good in sockets, NUMA nodes and distance. */
    uint32_t distance; /* Sum of the SLIT distances inside the set. */
};

struct shape {
    struct str key; /* The bytes it was made from; belongs to it. */
    uint32_t refs;
    uint32_t sockets_count, numa_count, llcs_count, cores_count, threads_count, words, masks_count;
    uint32_t shared_cores;
    uint32_t core_threads_min, core_threads_max; /* A core counts for the least of them. */
    uint32_t llc_cores_max;                      /* Cores of the largest cache domain. */
    bool has_cache_rows;                         /* Some domain has ways or bandwidth to give. */
    uint64_t content;                            /* Hash of the bytes, the same on every machine. */
    uint8_t numa_socket[TOPOLOGY_NUMA_MAX];
    uint8_t core_llc[TOPOLOGY_CORES_MAX], core_threads[TOPOLOGY_CORES_MAX];
    uint16_t core_first[TOPOLOGY_CORES_MAX]; /* Index of its first thread in os_cpu. */
    uint16_t os_cpu[TOPOLOGY_THREADS_MAX];
    uint8_t llc_numa[TOPOLOGY_LLCS_MAX];
    uint16_t llc_ways[TOPOLOGY_LLCS_MAX];
    uint32_t llc_bandwidth[TOPOLOGY_LLCS_MAX];
    uint16_t llc_first_word[TOPOLOGY_LLCS_MAX], llc_last_word[TOPOLOGY_LLCS_MAX];
    uint8_t numa_llcs[TOPOLOGY_LLCS_MAX]; /* Cache domains by NUMA node, in ascending order... */
    uint8_t numa_llcs_from[TOPOLOGY_NUMA_MAX + 1]; /* ...from here to the next one's. */
    uint64_t usable[CORE_WORDS];                   /* Cores that may be given exclusively. */
    uint64_t numa_cores[TOPOLOGY_NUMA_MAX][CORE_WORDS];
    uint64_t llc_cores[TOPOLOGY_LLCS_MAX][CORE_WORDS];
    uint16_t numa_usable[TOPOLOGY_NUMA_MAX];
    struct shape_mask masks[MASKS_MAX]; /* Best first. */
};

/* Set bits. Not the builtin: without an instruction for it that is a call. */
static inline uint32_t bits_count(uint64_t v)
{
#ifdef __POPCNT__
    return (uint32_t)__builtin_popcountll(v);
#else
    v -= v >> 1 & 0x5555555555555555u;
    v = (v & 0x3333333333333333u) + (v >> 2 & 0x3333333333333333u);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (uint32_t)(v * 0x0101010101010101u >> 56);
#endif
}

struct node_numa {
    uint64_t memory_free, memory_total;
    uint32_t huge2m_free, huge2m_total, huge1g_free, huge1g_total;
};

struct node_llc {
    uint32_t ways_free; /* Side by side: the longest stretch. */
    uint32_t ways_held; /* Bit n: way n. */
    uint32_t ways_total, bandwidth_free;
};

struct node_device {
    uint32_t class_name, id_name, model_name;
    uint16_t units, used;
    uint8_t numa; /* NODE_NUMA_ANY: not known. */
};
enum { NODE_NUMA_ANY = 255 };

struct node_scalar {
    uint32_t name;
    uint64_t amount, held;
};

/* In the order of use: what every decision and every removal touches comes first. Whole cache lines:
 * nodes stand side by side. */
struct __attribute__((aligned(64))) node {
    struct shape *shape;
    uint64_t content;      /* Hash of what does not change with holds; without the name. */
    uint32_t tie;          /* Of everything, content and state: breaks ties. */
    uint32_t pool_threads; /* Of cores that are not exclusive. */
    uint64_t shared_held;
    uint64_t memory_free, huge2m_free, huge1g_free; /* Of all NUMA nodes. */
    uint32_t system_cpu_milli;
    uint32_t pods_max, holds_count; /* holds_count: whose rows are taken. */
    uint32_t hold_first;            /* Head of their list. */
    uint32_t name, index;
    bool removed, ready, unschedulable;
    uint16_t cores_free[TOPOLOGY_NUMA_MAX]; /* That may be given exclusively. */
    uint64_t taken[CORE_WORDS];             /* Exclusive cores. */
    struct node_numa numa[TOPOLOGY_NUMA_MAX];
    struct node_llc *llcs; /* NULL when nothing can be partitioned. */
    char *marked;          /* Why it takes nothing; NULL when it does. */
    uint64_t fragments,
        fragments_epoch; /* Of its devices, at that epoch of the mix; 0: not known. */

    uint32_t devices_count, scalars_count, ports_count, ports_size;
    struct node_device *devices;
    struct node_scalar *scalars;
    struct request_port *ports;

    uint32_t address_first, addresses_count, addresses_held, address_hint;
    uint64_t mac_first;
    uint64_t *addresses; /* Bitmap of held ones. */

    uint32_t labels_count, taints_count, images_count, capabilities_count;
    struct topology_label *labels; /* Sorted by key. */
    struct topology_taint *taints;
    struct topology_image *images;
    uint32_t *capabilities;
};

#endif /* SCHEDULER_MACHINE_PRIV_H */
