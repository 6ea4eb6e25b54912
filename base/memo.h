/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memo.h -- what was made of some bytes, found again by the same bytes.
 *
 * WHAT   A cache from bytes to a pointer: sets of MEMO_WAYS places; the bytes' hash says which set, and in it the value used
 *        longest ago makes room. Bytes are compared, all of them: equal hashes are not enough.
 * WHY    What comes in series (a template's pods) need not be worked out for each. What comes once must cost next to
 *        nothing: bytes get a place when they are asked for the second time, and until then they are a word in a table.
 * OWNS   Copies the bytes. Values are the memo's from memo_put() on; drop() ends them, when it likes.
 * FAILS  Never: what is too long, or has no place, is not there the next time.
 *
 * The hash is keyed by the process: nobody outside chooses what meets in a set, and what is found depends on more than
 * the order of questions. Not for a core.
 */
#ifndef BASE_MEMO_H
#define BASE_MEMO_H

#include "base/str.h"

enum { MEMO_WAYS = 4 };

struct memo;

/* sets: a power of two. key_max: longer ones are not kept. */
struct memo *memo_new(uint32_t sets, size_t key_max, void (*drop)(void *value));
void memo_free(struct memo *m); /* NULL is allowed. */

struct memo_found {
    void *value;   /* Good until the next memo_put() or memo_clear(). NULL: not there. */
    bool is_again; /* Not there, and asked for before: worth memo_put(). */
};

struct memo_found memo_find(struct memo *m, struct str key);
void memo_put(struct memo *m, struct str key, void *value);
void memo_clear(struct memo *m);

#endif /* BASE_MEMO_H */
