/* SPDX-License-Identifier: Apache-2.0 */
/*
 * discover.h -- what this machine has, in plain numbers.
 *
 * WHAT   Sockets, NUMA nodes with memory, hugepages and distances, last-level caches, cores and threads
 *        by hwloc; the system's own names from /proc and /etc. Of a machine that is not here, from an
 *        hwloc synthetic description ("package:2 numa:2 core:8 pu:2") or an XML file.
 * WHY    The only file that knows hwloc. What is published is made of it in nodeagent/start/hardware.c.
 * OWNS   The caller's struct; nothing is allocated. It is large (about 120 KB): not for a small stack.
 * FAILS  ERR_INVALID: hwloc does not understand the description, or it contradicts itself (a core in no
 *        NUMA node); ERR_LIMIT: more of something than fits below.
 */
#ifndef NODEAGENT_HOST_DISCOVER_H
#define NODEAGENT_HOST_DISCOVER_H

#include "base/err.h"
#include "nodeagent/runtime/runtime.h"

enum {
    DISCOVER_SOCKETS_MAX = 64,
    DISCOVER_NUMA_MAX = 64,
    DISCOVER_CACHES_MAX = 256,
    DISCOVER_CORES_MAX = RUNTIME_CPUS_MAX,
    DISCOVER_PAGES_MAX = 4,
    DISCOVER_ADDRESSES_MAX = 8,
    DISCOVER_TEXT_MAX = 128,
};

struct discover_socket {
    uint32_t id;
    char model[DISCOVER_TEXT_MAX];
};

struct discover_pages {
    uint64_t page_bytes, pages;
};

struct discover_numa {
    uint32_t id; /* As the kernel numbers it. */
    uint32_t socket;
    uint64_t memory_bytes; /* Hugepages included. */
    struct discover_pages hugepages[DISCOVER_PAGES_MAX];
    uint32_t hugepages_count;
    uint32_t distances[DISCOVER_NUMA_MAX]; /* To each node, in the order of numas[]. */
};

struct discover_cache {
    uint32_t level, socket;
    uint64_t size_bytes;
    uint32_t ways, bandwidth_step, resctrl_id; /* By resctrl.h; 0: none. */
};

struct discover_core {
    uint32_t socket, numa, cache; /* socket and numa: ids; cache: index. */
    uint32_t kind;                /* Efficiency class; higher is faster. */
};

struct discover_thread {
    uint32_t cpu;  /* As the kernel numbers it. */
    uint32_t core; /* Index. */
};

struct discover {
    struct discover_socket sockets[DISCOVER_SOCKETS_MAX];
    struct discover_numa numas[DISCOVER_NUMA_MAX];
    struct discover_cache caches[DISCOVER_CACHES_MAX];
    struct discover_core cores[DISCOVER_CORES_MAX];
    struct discover_thread threads[RUNTIME_CPUS_MAX];
    uint32_t sockets_count, numas_count, caches_count, cores_count, threads_count;
    struct cpuset cpus;    /* Of all threads. */
    uint32_t cache_groups; /* resctrl.groups */
    char architecture[DISCOVER_TEXT_MAX], kernel[DISCOVER_TEXT_MAX], os_image[DISCOVER_TEXT_MAX];
    char hostname[DISCOVER_TEXT_MAX], machine_id[DISCOVER_TEXT_MAX], boot_id[DISCOVER_TEXT_MAX];
    char system_uuid[DISCOVER_TEXT_MAX];
    char addresses[DISCOVER_ADDRESSES_MAX][46]; /* The one of the default route first. */
    uint32_t addresses_count;
    uint64_t storage_bytes;
};

/* topology: NULL for this machine, "file.xml" or a synthetic description otherwise. state_dir: whose
 * file system's size is meant. */
MUST_USE enum err_code discover(const char *topology, const char *state_dir, struct discover *out,
                                struct err *e);

/* The addresses of wanted alone: one IPv4 address of this machine, or an interface with all of its own.
 * ERR_INVALID: no interface that is up has it; e says what there is. */
MUST_USE enum err_code discover_address(struct discover *d, const char *wanted, struct err *e);
/* The same for a node that runs nothing: any IPv4 address. NULL: loopback, since nobody is to send anything there. */
MUST_USE enum err_code discover_made_up(struct discover *d, const char *wanted, struct err *e);

#endif /* NODEAGENT_HOST_DISCOVER_H */
