/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_mem.h -- the store of the simulator and of tests: memory, with dials for trouble.
 *
 * WHAT   A disk that outlives its store, and a store on it whose ops take the time the dials say and
 *        fail as they say. Nothing happens by itself: store_mem_step() performs what is due.
 * WHY    It passes the same conformance suite as the real engines, and can in addition be made to
 *        do at will what those do once a year.
 * OWNS   The disk belongs to who made it and must outlive the store. A store ends by its close op, or by
 *        store_mem_crash(), after which no op is answered.
 * FAULTS A commit may be lost or written while its answer says ERR_UNAVAILABLE, or be refused with
 *        ERR_LIMIT (full disk). A load may break off. A crash keeps what was performed, whether answered or not.
 */
#ifndef CONTROLPLANE_STORE_STORE_MEM_H
#define CONTROLPLANE_STORE_STORE_MEM_H

#include "base/rng.h"
#include "base/time.h"
#include "controlplane/store/store.h"

enum store_mem_fault {
    STORE_MEM_LOST,    /* Answered ERR_UNAVAILABLE, not written. */
    STORE_MEM_WRITTEN, /* Answered ERR_UNAVAILABLE, but written. */
    STORE_MEM_FULL,    /* Answered ERR_LIMIT, not written. */
    STORE_MEM_FAULT__COUNT
};

struct store_mem_dials {
    struct span latency_min, latency_max;       /* Of each op; they still end in order. */
    uint32_t per_mille[STORE_MEM_FAULT__COUNT]; /* How many commits of a thousand. */
    uint64_t trip_point; /* The commit of this number, from 1, gets trip_fault; 0: none does. */
    enum store_mem_fault trip_fault;
    uint32_t
        load_breaks; /* The next load ends with ERR_UNAVAILABLE after so many rows; 0: none does. */
};

struct store_mem_disk; /* Opaque. */

struct store_mem_disk *store_mem_disk_new(void);
void store_mem_disk_free(struct store_mem_disk *d);
uint64_t store_mem_disk_head(const struct store_mem_disk *d);    /* Latest revision written. */
uint32_t store_mem_disk_changes(const struct store_mem_disk *d); /* Held, superseded ones too. */

/* The latest value of key becomes what decay makes of it (a new reference): bytes rot, other programs write. False: no such
 * key. For the next load. */
bool store_mem_disk_rot(struct store_mem_disk *d, struct str key,
                        struct blob *(*decay)(struct str value));

struct store *store_mem_open(struct store_mem_disk *d, uint64_t seed,
                             const struct store_sink *sink);
void store_mem_set_dials(struct store *s, const struct store_mem_dials *dials);

/* Perform and answer what is due. An op given now is due at the earliest in the next step. After a
 * close op was answered the store is gone, and false is returned. */
bool store_mem_step(struct store *s, struct instant now);

/* When to step next; ns 0: nothing to do. */
struct instant store_mem_deadline(const struct store *s);

void store_mem_crash(struct store *s);

uint64_t store_mem_points(const struct store *s); /* Commits performed or failed so far. */

#endif /* CONTROLPLANE_STORE_STORE_MEM_H */
