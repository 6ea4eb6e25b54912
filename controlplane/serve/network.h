/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network.h -- the cluster's pod network on disk: DIR/control/network.
 *
 * WHAT   "10.128.0.0/14 24": written at the first start, read at every later one. The same directory, and copies of it
 *        for further control planes, always mean the same network. Where nobody names one, a new cluster takes a
 *        /14 of 10.128.0.0/9: which one, its digits say, past those that this machine's interfaces are in.
 * WHY    Several clusters may share a machine. Two bridges in one network would send the answers for the second
 *        cluster's pods to the first.
 * FAILS  ERR_INVALID: what was asked for is none, or another than this cluster's. ERR_CORRUPT: the file.
 */
#ifndef CONTROLPLANE_SERVE_NETWORK_H
#define CONTROLPLANE_SERVE_NETWORK_H

#include "base/err.h"

#include "io/hostnet.h"

#include <stdint.h>

enum { NETWORK_TEXT_MAX = 32 };

struct network_asked {
    const char *cidr; /* --pod-network; NULL: the cluster's, or network_choose()'s for a new one. */
    uint32_t part_prefix; /* --node-subnet; 0: likewise. */
};

struct network_kept {
    char cidr[NETWORK_TEXT_MAX];
    uint32_t part_prefix;
};

/* Pure. id: the cluster's digits as a number. Where all are taken, the first choice. */
struct network_kept network_choose(uint32_t id, const struct hostnet *used, uint32_t used_count);

/* cluster_id: six hexadecimal digits. */
MUST_USE enum err_code network_open(const char *state, const char *cluster_id,
                                    const struct network_asked *asked, struct network_kept *out,
                                    struct err *e);

#endif /* CONTROLPLANE_SERVE_NETWORK_H */
