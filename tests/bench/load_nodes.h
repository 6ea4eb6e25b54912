/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_nodes.h -- a cluster's nodes in one process: each joins with a token of its own, holds its session, renews its
 * lease and starts nothing. What benchmarks need before they can measure a control plane.
 */
#ifndef TESTS_BENCH_LOAD_NODES_H
#define TESTS_BENCH_LOAD_NODES_H

#include "io/loop.h"
#include "io/tls.h"

/* How to reach a batond as its administrator: from its state directory. */
struct load_target {
    uint16_t port;
    struct buf ca;
    struct tls_config *admin;
};

void load_die(const char *what, const char *why); /* Prints both and ends the program. */
void load_must(enum err_code code, const char *what, const struct err *e);
uint32_t load_number(const char *text);
void load_target_open(struct load_target *t, const char *state_dir, const char *port);

struct load_nodes;

/* Named load-0, load-1, ... Returns when all of them were greeted. */
struct load_nodes *load_nodes_join(struct loop *l, const struct load_target *t, uint32_t count);
uint64_t
load_nodes_assigns(const struct load_nodes *all); /* Bytes of what came down, all of them. */

#endif /* TESTS_BENCH_LOAD_NODES_H */
