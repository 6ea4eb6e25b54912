/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blob.h -- immutable bytes, shared by counting.
 *
 * WHAT   An encoded object: one copy serves the index, the history and a thousand watchers.
 * WHY    The only reference-counted thing in the program; never written after blob_new(), so
 *        sharing it between threads needs no thought.
 * OWNS   blob_new() gives one reference. ref/unref may be called on any thread.
 */
#ifndef BASE_BLOB_H
#define BASE_BLOB_H

#include "base/str.h"
#include <stdatomic.h>

struct blob {
    atomic_uint_least32_t refs;
    uint32_t len;
    char at[]; /* Followed by one NUL, so that text blobs print. */
};

struct blob *blob_new(struct str bytes);

/* Room of len bytes that the caller fills before anybody else sees it. */
struct blob *blob_reserve(uint32_t len);

/* Memory of mem_alloc()'s that holds len bytes where at stands, and room for one more: it becomes a blob in place. */
struct blob *blob_adopt(void *memory, uint32_t len);

struct blob *blob_ref(struct blob *b); /* Returns b. NULL is allowed, here and below. */
void blob_unref(struct blob *b);

static inline struct str blob_str(const struct blob *b)
{
    return b == NULL ? (struct str){NULL, 0} : (struct str){b->at, b->len};
}

#endif /* BASE_BLOB_H */
