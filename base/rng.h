/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rng.h -- the only randomness a core may use: seeded.
 *
 * WHAT   xoshiro256** (Blackman and Vigna, 2018), seeded from one number by splitmix64; uids and
 *        name suffixes. From entropy in production, from --seed in the simulator. Not for secrets:
 *        those come from libsodium in io/.
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include "base/str.h"

struct rng {
    uint64_t s[4];
};

void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t bound); /* 0 <= result < bound; bound > 0. Unbiased. */

enum { RNG_UUID_LEN = 36, RNG_SUFFIX_LEN = 5 };

void rng_uuid(struct rng *r, char out[RNG_UUID_LEN + 1]); /* Version 4, RFC 9562 5.4. */

/* What Kubernetes appends to generateName: five of "bcdfghjklmnpqrstvwxz2456789". */
void rng_suffix(struct rng *r, char out[RNG_SUFFIX_LEN + 1]);

#endif /* BASE_RNG_H */
