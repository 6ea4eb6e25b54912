/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h -- the control plane's only durable state.
 *
 * WHAT   An ordered log of object changes, one revision each. A commit writes several objects
 *        together: all of them become durable, or none.
 * WHY    Everything else the control plane holds is a cache of this and may be dropped.
 * OWNS   commit() copies nothing: keys and values are counted references which the store takes
 *        itself and gives back when it is done with them. writes[] itself is borrowed for the call.
 * ASYNC  Nothing completes inside the call that asked. Every op gets exactly one STORE_DONE carrying
 *        its op id, cancelled and closed ones included; load() posts STORE_ROW events before it.
 *        Ops are performed and answered in the order they were given; several commits may be in
 *        flight. After one that did not end with ERR_OK, those behind it are still tried; an engine
 *        that lost its place answers ERR_UNAVAILABLE to all until the next load.
 * ORDER  load() and follow() give changes by rising revision. An engine may give every change it
 *        still has, superseded ones and deletions included, or only the live objects: applying
 *        them in order ends the same.
 * SECRET A write with sealed set is encrypted by the engine before it reaches a disk or a wire, and
 *        opened on load (value.h); above the store everything is plain.
 * FAILS  ERR_CONFLICT: another writer holds the fence; step down. ERR_UNAVAILABLE: it may have
 *        been written; load the head before going on. ERR_LIMIT: too large or no room on the
 *        disk, nothing was written. ERR_CORRUPT: stored bytes do not decode.
 *        ERR_BUSY, of a load: another control plane leads; ask again.
 * POISON One value that does not open (of no form we know, of another revision, sealed under another key)
 *        is told as a STORE_ROW with code ERR_CORRUPT and an empty value: it harms nobody else, and the
 *        row stays in the store as it is until it is superseded.
 * SEAM   store_mem.c, store_sqlite.c, store_etcd.c: all pass tests/conformance/store/.
 */
#ifndef CONTROLPLANE_STORE_STORE_H
#define CONTROLPLANE_STORE_STORE_H

#include "base/blob.h"
#include "base/err.h"
#include "base/str.h"

/* The value limit is the smallest engine's: etcd takes requests of 1.5 MiB. */
enum {
    STORE_KEY_MAX = 512,
    STORE_VALUE_MAX = 1400 << 10,
    STORE_WRITES_MAX = 4096, /* In one commit. */
    STORE_INFLIGHT_MAX = 256 /* Ops not yet answered; one more is our bug. */
};

struct store_write {
    uint64_t revision;  /* Given by the one writer; higher than any before it. */
    uint64_t before;    /* The revision this one supersedes, which compact() may forget; 0: none. */
    struct blob *key;   /* group/plural/namespace/name */
    struct blob *value; /* NULL: a deletion, which is a change like any other. */
    bool sealed;        /* The value is a secret. */
};

enum store_event_type {
    STORE_ROW, /* load(), follow(): one change; key, value and revision are set. code: see POISON. */
    STORE_DONE, /* The op ended; code and err say how. */
};

struct store_event {
    enum store_event_type type;
    uint64_t op;
    enum err_code code;
    struct err err;
    uint64_t revision;        /* ROW: its own. DONE of load, follow: the head. */
    uint64_t oldest;          /* DONE(load): no change behind this one was left out. */
    uint64_t fence;           /* DONE(load): what this writer's commits must carry. */
    struct blob *key, *value; /* ROW: borrowed for the call. value NULL: a deletion. */
    bool sealed;              /* ROW: it was written as a secret. */
};

/* Where a store tells what happened: called on the thread that owns the store's user (an engine
 * with a thread of its own posts through the loop), never from inside an op. */
struct store_sink {
    void (*post)(void *state, const struct store_event *ev);
    void *state;
};

struct store;

struct store_ops {
    /* Takes the fence: commits under an older one fail from now on. Then everything at the head. */
    void (*load)(struct store *s, uint64_t op);
    void (*commit)(struct store *s, uint64_t op, uint64_t fence, const struct store_write *writes,
                   uint32_t writes_count);
    /* The changes behind after, once. ERR_NOT_FOUND: some of them are compacted away. */
    void (*follow)(struct store *s, uint64_t op, uint64_t after);
    /* Forget what was superseded at or before that revision. Live objects stay, whatever their age. */
    void (*compact)(struct store *s, uint64_t op, uint64_t before);
    void (*close)(struct store *s,
                  uint64_t op); /* The last op. s is gone once its DONE is posted. */
};

struct store {
    const struct store_ops *ops;
    struct store_sink sink;
};

#endif /* CONTROLPLANE_STORE_STORE_H */
