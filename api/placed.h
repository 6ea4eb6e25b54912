/* SPDX-License-Identifier: Apache-2.0 */
/*
 * placed.h -- a Placement written straight from what was decided, without a struct in between.
 *
 * WHAT   placed_write() appends the bytes that typed_wrap() gives of a Baton__Placement with the same contents, and
 *        with metadata.resourceVersion in place: nothing of it is written a second time.
 * WHY    Every create writes one. As struct and bytes it was a fifth of the core's instructions (docs/decisions/0191).
 * SCOPE  What nearly all Placements have: no devices, cache ways, host ports. Those go through the struct.
 * OWNS   Texts are borrowed. They are UTF-8 without NUL, which whoever has them from elsewhere asks first.
 * FAILS  The buffer's limit, by buf_status().
 */
#ifndef API_PLACED_H
#define API_PLACED_H

#include "base/buf.h"
#include "base/time.h"

struct placed_numa {
    uint32_t id;
    uint64_t bytes;                      /* 0: no memory of it, */
    uint32_t hugepages_2m, hugepages_1g; /* and no such pages. */
};

struct placed {
    struct str name, namespace, uid; /* The Placement's. */
    uint64_t revision;               /* 0: none, in a dry run. */
    struct {
        struct str api_version, kind, name, uid; /* In the same namespace. */
    } workload;
    struct wall now;
    struct str node;
    const uint16_t *cpus, *cores; /* Exclusive ones; counts 0: none. */
    uint32_t cpus_count, cores_count, shared_milli;
    bool emulator_in_pool, host_network;
    uint64_t memory_bytes, overhead_bytes;
    const struct placed_numa *numa;
    uint32_t numa_count;
    uint32_t address, prefix, gateway_address; /* address 0: none. IPv4, the first byte highest. */
    struct str gateway; /* Instead of gateway_address, where it is not empty. */
    uint64_t mac;       /* 0: none. */
    struct str reason;  /* Why there. */
    uint32_t nodes_considered;
};

void placed_write(const struct placed *p, struct buf *out);

#endif /* API_PLACED_H */
