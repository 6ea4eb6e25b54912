/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network.h -- the cluster's pod network on disk: DIR/control/network.
 *
 * WHAT   "10.128.0.0/14 24": written at the first start, read at every later one. The same directory, and copies of it
 *        for further control planes, always mean the same network.
 * FAILS  ERR_INVALID: what was asked for is none, or another than this cluster's. ERR_CORRUPT: the file.
 */
#ifndef CONTROLPLANE_SERVE_NETWORK_H
#define CONTROLPLANE_SERVE_NETWORK_H

#include "base/err.h"

#include <stdint.h>

enum { NETWORK_TEXT_MAX = 32 };

struct network_asked {
    const char *cidr;     /* --pod-network; NULL: the cluster's, or the default for a new one. */
    uint32_t part_prefix; /* --node-subnet; 0: likewise. */
};

struct network_kept {
    char cidr[NETWORK_TEXT_MAX];
    uint32_t part_prefix;
};

MUST_USE enum err_code network_open(const char *state, const struct network_asked *asked,
                                    struct network_kept *out, struct err *e);

#endif /* CONTROLPLANE_SERVE_NETWORK_H */
