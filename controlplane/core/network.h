/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network.h -- the pod network, and how it is cut into a part for each node.
 *
 * WHAT   "10.128.0.0/14" in parts of /24: 1,024 nodes with 253 addresses each. Fixed for the cluster's life: nodes and
 *        workloads have addresses of it.
 * FAILS  ERR_INVALID, with the reason in words for whoever gave it. Pure.
 * LIMITS NETWORK_PARTS_MAX parts. A node that finds all of them given away says so in its condition NetworkUnavailable, and
 *        takes no workload that wants an address.
 */
#ifndef CONTROLPLANE_CORE_NETWORK_H
#define CONTROLPLANE_CORE_NETWORK_H

#include "base/err.h"
#include "base/str.h"

enum {
    NETWORK_PARTS_MAX = 1 << 16,
    NETWORK_PREFIX_MIN = 8, /* Of the whole. */
    NETWORK_PART_PREFIX_DEFAULT = 24,
    NETWORK_PART_PREFIX_MAX = 28, /* 13 addresses beside network, gateway and broadcast. */
};

#define NETWORK_DEFAULT "10.128.0.0/14"

struct network {
    uint32_t first, prefix; /* The whole pod network: IPv4 as a number. */
    uint32_t part_prefix, parts;
};

/* cidr: empty for the default; part_prefix: 0 for the default. */
MUST_USE enum err_code network_parse(struct str cidr, uint32_t part_prefix, struct network *out,
                                     struct err *e);

/* A machine without a network tells this, and agents that run nothing: it leads nowhere else, so it is everybody's. */
bool network_is_loopback(struct str address);

#endif /* CONTROLPLANE_CORE_NETWORK_H */
