/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_nodes.h -- a cluster's nodes in one process: each holds its session, renews its lease and starts nothing.
 * What benchmarks need before they can measure a control plane.
 */
#ifndef TESTS_BENCH_LOAD_NODES_H
#define TESTS_BENCH_LOAD_NODES_H

#include "tests/bench/load.h"

/* Joins load-0, load-1, ... Returns when all of them were greeted. They live as long as the target's loop turns. */
void load_nodes_join(struct load_target *t, uint32_t count);

#endif /* TESTS_BENCH_LOAD_NODES_H */
