/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h -- the store that a benchmark is told to use.
 *
 * WHAT   WHERE is a directory, and the store is SQLite's file NAME.db in it; or it is etcd's endpoints, and the store
 *        has the prefix /NAME/. Opened and loaded.
 */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include "controlplane/store/store.h"
#include "io/loop.h"
#include "io/seal.h"

struct engine {
    const char *where;
    const struct seal *seal;
    struct loop *loop;
    const char *cluster;    /* etcd's; NULL: "bench". */
    struct store_sink sink; /* Gets the load's rows, and everything behind the load. */
    struct store *store;
    uint64_t op, fence;
    bool waiting; /* For the load, or for the end. */
};

bool engine_is_etcd(const char *where);
void engine_open(struct engine *e, const char *name);
void engine_close(struct engine *e);

#endif /* BENCH_ENGINE_H */
