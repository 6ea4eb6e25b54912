/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_fill.h -- a store as it looks after so many pods were created, without a batond and without waiting.
 *
 * WHAT   A core of our own decides (nodes that join, pods that are placed), and its transactions go straight through
 *        store.h. The store is what batond's would be, but for who asked.
 */
#ifndef TESTS_BENCH_STORE_FILL_H
#define TESTS_BENCH_STORE_FILL_H

#include <stdint.h>

enum { STORE_FILL_PODS_OF_A_NODE = 250 }; /* As many as a /24 has addresses for. */

/* dir: the state directory of a batond that was started once and has ended. */
void store_fill(const char *dir, uint32_t pods);

#endif /* TESTS_BENCH_STORE_FILL_H */
