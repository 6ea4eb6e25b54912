/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entropy.h -- true randomness, from the kernel.
 *
 * WHAT   Seeds for cores, keys, token secrets. Never fails: without a source of randomness the
 *        program ends.
 */
#ifndef IO_ENTROPY_H
#define IO_ENTROPY_H

#include <stddef.h>
#include <stdint.h>

void entropy_fill(void *out, size_t len);
uint64_t entropy_u64(void);

#endif /* IO_ENTROPY_H */
