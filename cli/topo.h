/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topo.h -- a machine as text: sockets, NUMA nodes, caches, cores, threads, and who holds what.
 *
 * WHAT   topo_draw() from plain rows. One cell a core, one character a thread: '.' in the shared pool,
 *        's' in it for good (never exclusive), a letter for an exclusive holder, '-' a thread that
 *        idles beside one. The legend names the letters.
 * OWNS   Nothing; names are borrowed.
 * LIMITS 52 letters: further holders share '#', and the legend still lists them with their cpus.
 */
#ifndef CLI_TOPO_H
#define CLI_TOPO_H

#include "base/buf.h"

struct topo_thread {
    uint32_t cpu, core, cache, numa, socket;
    int32_t holder; /* Index into holders; -1: the pool. */
    bool idle;      /* Its core is held, but this thread was not asked for. */
    bool reserved;  /* Of a core that is never exclusive. */
};

struct topo_numa {
    uint32_t id;
    uint64_t memory_bytes, held_bytes;
};

struct topo_cache {
    uint32_t id;
    uint64_t size_bytes;
};

struct topo_holder {
    struct str name; /* "vmi/default/hello" */
    struct str cpus; /* "2,18"; empty: shared. */
    uint64_t memory_bytes;
    uint32_t shared_milli; /* Of the pool. */
};

struct topo {
    struct str node, note;             /* note: "Ready, tcg". */
    const struct topo_thread *threads; /* Sorted by socket, NUMA node, cache, core, cpu. */
    const struct topo_numa *numas;
    const struct topo_cache *caches;
    const struct topo_holder *holders; /* Exclusive ones first get the letters. */
    uint32_t threads_count, numas_count, caches_count, holders_count;
};

void topo_draw(const struct topo *t, struct buf *out);

/* "512 MiB", "23.4 GiB": the largest unit that leaves at least 1. */
void topo_bytes(uint64_t bytes, struct buf *out);

#endif /* CLI_TOPO_H */
