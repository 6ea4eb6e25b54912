/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memo.h -- what was made of some bytes, found again by the same bytes.
 *
 * WHAT   A cache from bytes to a pointer: sets of MEMO_WAYS places; the bytes' hash says which set, and in it the value used
 *        longest ago makes room. Bytes are compared, all of them: equal hashes are not enough.
 * WHY    What comes in series (a template's pods) need not be worked out for each. What comes once must cost next to
 *        nothing: bytes get a place when they are asked for the second time, and until then they are a word in a table.
 * OWNS   Copies the bytes. Values are the memo's from memo_put() on; drop() ends them, when it likes.
 * FAILS  Never: what is too long, or finds no place, is not there the next time.
 *
 * With str_hash(), which the process keys, nobody outside chooses what meets in a set. A core takes one without a key: what
 * is found must follow from what was asked, in that order, and from nothing else.
 */
#ifndef BASE_MEMO_H
#define BASE_MEMO_H

#include "base/str.h"

enum { MEMO_WAYS = 4 };

struct memo;

struct memo_options {
    uint32_t sets;  /* A power of two. */
    size_t key_max; /* Longer ones are not kept. */
    uint64_t (*hash)(struct str key);
    void (*drop)(void *value);
};

struct memo *memo_new(const struct memo_options *o);
void memo_free(struct memo *m); /* NULL is allowed. */

struct memo_found {
    void *value;   /* NULL: not there. */
    bool is_again; /* Not there, asked for before, and there is a place for it: worth memo_put(). */
};

struct memo_found memo_find(struct memo *m, struct str key);
/* False: value is dropped, for the key is too long or the turn uses all of its set. */
bool memo_put(struct memo *m, struct str key, void *value);
void memo_clear(struct memo *m);

/* A turn begins: what is found or put in it stands until the next call. Who never calls it has values that stand until the
 * next memo_put(). */
void memo_turn(struct memo *m);

#endif /* BASE_MEMO_H */
