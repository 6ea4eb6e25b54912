/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.h -- the latest changes, in order, for everybody who follows.
 *
 * WHAT   One ring of durable changes, limited by bytes. A follower (watch, agent, controller) is a
 *        revision it has seen; it asks for what came behind it.
 * WHY    No queue per follower: a slow one costs nothing until it falls off the ring's end and has
 *        to list again (410).
 * OWNS   The core appends. history_read() hands out counted entries: history_changes_free() gives
 *        them back. Any thread may read; the lock is held for looking at most at HISTORY_LOOK_MAX.
 * LIMITS bytes (default 64 MiB) of keys and values, and HISTORY_COUNT_MAX changes. Changes older than
 *        five minutes leave earlier, once they hold more than an eighth of the bytes.
 * COST   Finding a position is a binary search. A topic (one node's placements) is a chain through the
 *        ring, so that an agent's read costs what is for it and not what happened in the cluster.
 * FAILS  ERR_NOT_FOUND: the revision lies behind the ring (410 Expired).
 */
#ifndef CONTROLPLANE_CORE_HISTORY_H
#define CONTROLPLANE_CORE_HISTORY_H

#include "base/cowtree.h"
#include "base/time.h"

enum {
    HISTORY_BYTES_DEFAULT = 64 << 20,
    HISTORY_COUNT_MAX = 1 << 20,
    HISTORY_READ_MAX = 64,  /* Changes in one batch, */
    HISTORY_LOOK_MAX = 256, /* and looked at for it under one taking of the lock. */
};

/* One change of one object. before NULL: it was created. deleted: now is the last state, with the
 * deletion's revision in it (what a DELETED event carries); otherwise it was created or modified.
 * A selector watch compares before and now: it turns MODIFIED into ADDED where before did not match
 * and into DELETED where now does not. */
struct history_change {
    uint64_t revision;
    struct cow_entry *before, *now;
    bool deleted;
    uint64_t topic; /* str_hash() of the node a Placement is for; 0: none. A topic is chained. */
};

struct history; /* Opaque. */

struct history *history_new(size_t limit_bytes);
void history_free(struct history *h);

/* Which changes a follower wants. A prefix is a range of keys as in index.h: of a kind, of a namespace,
 * of one object; empty: everything. */
struct history_filter {
    struct str prefix;
    uint64_t topic; /* Not 0: only this topic. Two may hash alike: look at the object, too. */
};

struct history_batch {
    struct history_change at[HISTORY_READ_MAX];
    uint32_t count;
    uint64_t seen; /* Everything up to here was looked at: the position to go on from. */
    bool more;     /* There is more behind seen already. */
};

/* The changes behind after, in order, as many as fit; out is filled only on success. */
MUST_USE enum err_code history_read(struct history *h, uint64_t after,
                                    const struct history_filter *filter, struct history_batch *out,
                                    struct err *e);
void history_batch_free(struct history_batch *b);

/* Any thread. head: the latest revision published. oldest: the earliest after that can be read. */
struct history_bounds {
    uint64_t oldest, head;
    uint64_t bytes;
    uint32_t count;
} history_bounds(struct history *h);

/* The head alone, without the lock: for a follower to see that nothing happened. */
uint64_t history_head(const struct history *h);

/* The core's own side. Takes the references of change's entries. Readers see what was appended after
 * history_publish(), which also moves the head over gaps and drops what is too old or too much. */
void history_append(struct history *h, const struct history_change *change, struct instant now);
void history_publish(struct history *h, uint64_t head, struct instant now);

/* Before anything was published: what was appended never was. */
void history_begin_anew(struct history *h);

/* Drop what lies at or before revision; nobody can go on from an earlier one. */
void history_forget(struct history *h, uint64_t revision);

#endif /* CONTROLPLANE_CORE_HISTORY_H */
