/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capability.h -- Linux capabilities by name and number (capabilities(7), linux/capability.h).
 *
 * WHAT   Sets are bits by number: bit n is capability n.
 */
#ifndef BASE_CAPABILITY_H
#define BASE_CAPABILITY_H

#include "base/str.h"

enum { CAPABILITY_COUNT = 41 };

#define CAPABILITY_BIT(number) (UINT64_C(1) << (number))

const char *capability_name(uint32_t number); /* "NET_ADMIN"; number < CAPABILITY_COUNT. */

/* "NET_ADMIN" or "CAP_NET_ADMIN", in any case of letters. False: there is none of that name. */
bool capability_find(struct str name, uint32_t *out_number);

/* What a container gets where nobody says otherwise: Docker's and containerd's fourteen less MKNOD. No
 * cgroup filters devices here, so a node made by the container would be the host's disk; CRI-O and Podman
 * leave it out too. */
uint64_t capability_default(void);

#endif /* BASE_CAPABILITY_H */
