/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"

#include "base/check.h"

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void rng_seed(struct rng *r, uint64_t seed)
{
    for (uint32_t i = 0; i < COUNT_OF(r->s); i++)
        r->s[i] = splitmix(&seed);
}

static inline uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

uint64_t rng_u64(struct rng *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *r, uint64_t bound)
{
    CHECK(bound > 0);
    uint64_t tail = (0 - bound) % bound; /* Values below it would make low results more likely. */
    uint64_t x;
    do
        x = rng_u64(r);
    while (x < tail);
    return x % bound;
}

/* The lowest so many digits; returns what is behind them. */
static char *put_hex(char *at, uint64_t bits, uint32_t digits)
{
    for (uint32_t i = digits; i-- > 0; bits >>= 4)
        at[i] = "0123456789abcdef"[bits & 15];
    return at + digits;
}

void rng_uuid(struct rng *r, char out[RNG_UUID_LEN + 1])
{
    uint64_t words[2] = {rng_u64(r), rng_u64(r)};
    words[0] = (words[0] & ~UINT64_C(0xf000)) | 0x4000u;
    words[1] = (words[1] & ~(UINT64_C(3) << 62)) | UINT64_C(2) << 62;

    char *at = put_hex(out, words[0] >> 32, 8);
    *at++ = '-';
    at = put_hex(at, words[0] >> 16, 4);
    *at++ = '-';
    at = put_hex(at, words[0], 4);
    *at++ = '-';
    at = put_hex(at, words[1] >> 48, 4);
    *at++ = '-';
    *put_hex(at, words[1], 12) = '\0';
}

void rng_suffix(struct rng *r, char out[RNG_SUFFIX_LEN + 1])
{
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789"; /* No vowels: no words. */
    for (uint32_t i = 0; i < RNG_SUFFIX_LEN; i++)
        out[i] = letters[rng_below(r, sizeof letters - 1)];
    out[RNG_SUFFIX_LEN] = '\0';
}
