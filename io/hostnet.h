/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostnet.h -- the networks that this machine's interfaces are in.
 *
 * WHAT   IPv4, as the kernel has them now; loopback left out.
 * FAILS  Never: what cannot be read is not listed, and what is over max is left out.
 */
#ifndef IO_HOSTNET_H
#define IO_HOSTNET_H

#include "base/str.h"

struct hostnet {
    uint32_t ip, mask; /* In host order. */
};

uint32_t hostnet_list(struct hostnet *out, uint32_t max);

#endif /* IO_HOSTNET_H */
