/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encoded.h -- objects as they were encoded, kept for the next who wants them the same way.
 *
 * WHAT   A table from (kind, revisions of one object or of a run of neighbours, form) to bytes, up to a limit in bytes;
 *        what was not asked for the longest is dropped first. Half of it is for what passes: the parts of lists
 *        too long to be kept, which readers that go side by side share and which drive out nobody else's.
 * WHY    Encoding is most of what a list costs, and an informer's list, its neighbour's and a thousand watchers of one
 *        change all want the same bytes. Nothing has to be invalidated: a revision names one state of one object for
 *        ever (docs/decisions/0130).
 * OWNS   One table for all connection threads, behind a lock that is held for a look or a change of the table, never
 *        while something is encoded. Bytes are counted references; what is in work stays readable after it was
 *        dropped here.
 * LIMITS The one given to encoded_new(), ENCODED_COUNT_MAX items, and ENCODED_ITEM_MAX for one of them: a larger one is
 *        not kept.
 */
#ifndef CONTROLPLANE_SERVE_ENCODED_H
#define CONTROLPLANE_SERVE_ENCODED_H

#include "base/blob.h"
#include "base/time.h"

enum {
    ENCODED_BYTES_MAX = 32 << 20, /* What batond gives a table. */
    ENCODED_ITEM_MAX = 256 << 10,
    ENCODED_COUNT_MAX = 32768,
    ENCODED_RUN_MAX = 16, /* Neighbours in one item: a leaf of the index. */
    ENCODED_AGE_S = 60,   /* What is not asked for this long, is not kept. */
    ENCODED_FRESH_S = 5, /* What was asked for within this, is not driven out by what would stay. */
};

struct encoded_key {
    const void *kind; /* Two kinds may have a revision in common: Events have their own. */
    uint32_t form;    /* Whatever else the bytes depend on. */
    uint32_t count;   /* Of revisions. */
    uint64_t revisions[ENCODED_RUN_MAX]; /* Of the objects, in their order; none is 0. */
};

enum encoded_stay { ENCODED_STAYS, ENCODED_PASSES, ENCODED_STAY__COUNT };

struct encoded; /* Opaque. */

struct encoded *encoded_new(size_t limit_bytes);
void encoded_free(struct encoded *t);

/* A reference; NULL: not there. */
struct blob *encoded_find(struct encoded *t, const struct encoded_key *key, struct instant now);

/* Takes a reference of its own. What is there under the key already, stays. What would stay, passes while all that does
 * is fresh. */
void encoded_put(struct encoded *t, const struct encoded_key *key, struct blob *bytes,
                 enum encoded_stay stay, struct instant now);

/* What nobody asked for since then goes: a control plane that is idle holds none of it, and what it took goes back to
 * the system. */
void encoded_expire(struct encoded *t, struct instant since);

size_t encoded_bytes(struct encoded *t); /* Now. */
size_t encoded_room(const struct encoded *t,
                    enum encoded_stay stay); /* Bytes that are kept at most. */

#endif /* CONTROLPLANE_SERVE_ENCODED_H */
