/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_join.h -- nodes join a batond: each with a token and a key of its own, over a connection of its own.
 */
#ifndef TESTS_BENCH_LOAD_JOIN_H
#define TESTS_BENCH_LOAD_JOIN_H

#include "nodeagent/start/identity.h"
#include "tests/bench/load.h"

/* Named load-FIRST and on. Fills count identities; returns when all have joined, and prints how fast they did. */
void load_join(struct load_target *t, uint32_t first, uint32_t count, struct identity *out);

#endif /* TESTS_BENCH_LOAD_JOIN_H */
