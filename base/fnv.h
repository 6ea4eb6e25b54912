/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fnv.h -- FNV-1a, 64 bits (IETF draft-eastlake-fnv): the same number in every life and on every machine.
 *
 * WHY    For names and digests that two programs must agree on. str_hash() is keyed anew by each process; maps
 *        want that, and nothing else does. Nobody is kept from choosing colliding bytes.
 */
#ifndef BASE_FNV_H
#define BASE_FNV_H

#include "base/str.h"

#define FNV_BASIS 0xcbf29ce484222325ull

static inline uint64_t fnv_add(uint64_t h, struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (uint8_t)s.at[i]) * 0x100000001b3ull;
    return h;
}

#endif /* BASE_FNV_H */
