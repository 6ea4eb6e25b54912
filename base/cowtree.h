/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cowtree.h -- an ordered map from key bytes to counted bytes, whose past stays readable.
 *
 * WHAT   A B-tree with one writer. cowtree_snapshot() freezes it in constant time: from then on the writer copies a
 *        node that a held snapshot sees before touching it and goes on, readers keep what they hold.
 * WHY    A list of 100,000 objects is read page by page on another thread while writes continue.
 * OWNS   cowtree_put() takes the reference of the entry it is given; what put and remove return is
 *        the caller's reference. find and cursors borrow: what they give lives as long as the tree or snapshot is held.
 *        A snapshot is counted; cow_snapshot_ref/unref work on any thread. All are given back before cowtree_fini().
 * GONE   Nodes are not counted. Each knows since when it is in the tree, each snapshot when it was taken: what is no
 *        longer in the tree waits with the newest held snapshot that sees it. When that one is given back, what the next
 *        older one sees waits there, and the rest is freed. So a copy touches the node alone, not what hangs from it.
 *        An entry's stamp stands for its since: stamps should not fall from one put to the next; where they do,
 *        what is replaced waits for all older snapshots, too.
 * SAFE   One thread writes; it also frees, in cowtree_reap(). What a snapshot sees is never written again: any number
 *        of threads may read it.
 * COST   log16 n for every operation, a few cache lines a level; 12 bytes and some slack per entry beside the entry itself.
 */
#ifndef BASE_COWTREE_H
#define BASE_COWTREE_H

#include "base/blob.h"
#include "base/str.h"

/* What the tree holds: a key, a number of the owner's (a revision) and shared bytes. Immutable. */
struct cow_entry {
    atomic_uint_least32_t refs;
    uint32_t key_len;
    uint64_t stamp;
    struct blob *value; /* The entry holds one reference. */
    char key[];         /* Followed by one NUL. */
};

/* Takes the caller's reference of value (which may be NULL). Returns the first reference. */
struct cow_entry *cow_entry_new(struct str key, uint64_t stamp, struct blob *value);
struct cow_entry *
cow_entry_ref(struct cow_entry *e); /* Returns e. NULL is allowed, here and below. */
void cow_entry_unref(struct cow_entry *e);

static inline struct str cow_entry_key(const struct cow_entry *e)
{
    return (struct str){e->key, e->key_len};
}

struct cow_node; /* Opaque. What is read begins at a root; NULL is an empty tree. */
struct cow_snapshot;

struct cow_spare {
    struct cow_node *first;
    uint32_t count;
};

struct cowtree {
    struct cow_node *root;
    uint64_t version;            /* Nodes made now are of it; a snapshot ends it. */
    uint64_t stamp;              /* The highest that was put. */
    struct cow_snapshot *newest; /* Of those held; the others hang behind it. */
    /* Given back, and not yet looked at by the writer: the only word that other threads write. */
    _Atomic(struct cow_snapshot *) returned;
    struct cow_snapshot *ending; /* Taken from there; not all of what waits with them is freed. */
    struct cow_spare
        spare[2]; /* Leaves, and nodes above: hundreds come and go with each snapshot. */
};

void cowtree_init(struct cowtree *t);
void cowtree_fini(struct cowtree *t);

/* Both return what was there before (NULL: nothing); the caller unrefs it. */
struct cow_entry *cowtree_put(struct cowtree *t, struct cow_entry *e);
struct cow_entry *cowtree_remove(struct cowtree *t, struct str key);

/* The tree as it is now. It stays where it is: snapshots find their way back to it. */
struct cow_snapshot *cowtree_snapshot(struct cowtree *t);
struct cow_snapshot *
cow_snapshot_ref(struct cow_snapshot *s); /* Returns s. NULL is allowed, in all three. */
void cow_snapshot_unref(struct cow_snapshot *s);
const struct cow_node *cow_snapshot_root(const struct cow_snapshot *s);

/* Frees what only snapshots saw that were given back since; at most max nodes and entries, the rest the next time. The
 * writer calls it whenever it has time, and after it gave a snapshot back itself. Costs nothing when there is none. */
void cowtree_reap(struct cowtree *t, uint32_t max);

struct cow_entry *cow_find(const struct cow_node *root, struct str key); /* NULL: not there. */
uint64_t cow_count(const struct cow_node *root);
uint64_t cow_rank(const struct cow_node *root, struct str key); /* Entries with a smaller key. */

/* A place in a snapshot, or in the tree while nobody writes. */
enum { COW_DEPTH_MAX = 16 }; /* 8 entries a leaf at the least: more than memory can hold. */

struct cow_cursor {
    struct {
        const struct cow_node *node;
        uint32_t at;
    } path[COW_DEPTH_MAX];
    uint32_t depth;
};

/* Stand before the first entry whose key is not less than from. */
void cow_seek(struct cow_cursor *c, const struct cow_node *root, struct str from);
struct cow_entry *cow_next(struct cow_cursor *c); /* Borrowed; NULL at the end. */

/* The next entries that lie side by side, at most max of them; 0: the end. They are fetched, what they hold is not.
 * A tree that was not written to in between is cut into the same runs again. */
enum { COW_RUN_MAX = 16 };
uint32_t cow_next_run(struct cow_cursor *c, uint32_t max, struct cow_entry *const **out);

#endif /* BASE_COWTREE_H */
