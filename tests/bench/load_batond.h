/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_batond.h -- a batond as a child of the benchmark, for what needs it killed and started again.
 */
#ifndef TESTS_BENCH_LOAD_BATOND_H
#define TESTS_BENCH_LOAD_BATOND_H

#include "tests/bench/load.h"

enum { LOAD_BATOND_ARGS_MAX = 16 };

struct load_batond {
    const char *program, *state;
    uint16_t port;
    const char *more[LOAD_BATOND_ARGS_MAX]; /* Further options, ended by NULL. */
    uint32_t pid;
    struct instant started;
};

/* Starts it and waits until /readyz says yes to its administrator; in out_ns, how long that took. The target is opened
 * the first time, and told the new pid every time. */
void load_batond_start(struct load_batond *b, struct load_target *t, int64_t *out_ns);
void load_batond_stop(struct load_batond *b, int signo); /* Waits for its end. */

#endif /* TESTS_BENCH_LOAD_BATOND_H */
