/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encoded.h -- objects as they were encoded, kept for the next who wants them the same way.
 *
 * WHAT   A table from (kind, revision of the object, form) to bytes, up to a limit in bytes; what was not asked for the
 *        longest is dropped first.
 * WHY    Encoding is half of what a JSON list costs, and an informer's list, its neighbour's and a thousand watchers of
 *        one change all want the same bytes. Nothing has to be invalidated: a revision names one state of one object
 *        for ever.
 * OWNS   One table per connection thread: no lock. Bytes are counted references; what is in work stays readable after
 *        it was dropped here.
 * LIMITS ENCODED_BYTES_MAX for all threads together, and ENCODED_ITEM_MAX for one item: a larger one is not kept.
 */
#ifndef CONTROLPLANE_SERVE_ENCODED_H
#define CONTROLPLANE_SERVE_ENCODED_H

#include "base/blob.h"
#include "base/time.h"

enum {
    ENCODED_BYTES_MAX = 32 << 20,
    ENCODED_ITEM_MAX = 256 << 10,
    ENCODED_COUNT_MAX = 32768, /* In one table. */
    ENCODED_AGE_S = 60,        /* What is not asked for this long, is not kept. */
};

struct encoded_key {
    const void *kind;  /* Two kinds may have a revision in common: Events have their own. */
    uint64_t revision; /* Of the object; not 0. */
    uint32_t form;     /* Whatever else the bytes depend on. */
};

struct encoded; /* Opaque. */

struct encoded *encoded_new(size_t limit_bytes);
void encoded_free(struct encoded *t);

/* Borrowed until the next call; NULL: not there. */
struct blob *encoded_find(struct encoded *t, const struct encoded_key *key, struct instant now);

/* Takes a reference of its own. What is there under the key already, stays. */
void encoded_put(struct encoded *t, const struct encoded_key *key, struct blob *bytes,
                 struct instant now);

/* What nobody asked for since then goes: a control plane that is idle holds none of it. */
void encoded_expire(struct encoded *t, struct instant since);

size_t encoded_bytes(const struct encoded *t); /* Now. */
size_t encoded_limit(const struct encoded *t);

#endif /* CONTROLPLANE_SERVE_ENCODED_H */
