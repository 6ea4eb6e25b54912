/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare_put.h -- what etcd does by itself: a put of some bytes through its gateway, one after another, by libcurl.
 */
#ifndef BENCH_BARE_PUT_H
#define BENCH_BARE_PUT_H

#include "base/str.h"

struct bare_put;

struct bare_put *bare_put_open(const char *endpoint);
void bare_put(struct bare_put *b,
              struct str value); /* Under a key of its own; waits for the answer. */
void bare_put_close(struct bare_put *b);

#endif /* BENCH_BARE_PUT_H */
