/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.h -- every object as it durably is, readable on any thread.
 *
 * WHAT   A copy-on-write tree from key to encoded object, and the latest published snapshot of it:
 *        a root and the revision it stands for. A list is a range of keys of one snapshot.
 * WHY    Reading never passes the core thread, never sees a half done turn, and a page read later
 *        from the same snapshot belongs to the same state.
 * OWNS   The core owns the index and is its only writer. index_snapshot() hands out a reference;
 *        index_snapshot_free() gives it back, on any thread. Entries found are borrowed from it.
 * FORM   Key: group/plural/namespace/name; the core group and a cluster-scoped object's namespace
 *        are empty ("/pods/default/web", "/nodes//n1"). Entry: stamp is the revision, value the
 *        envelope (k8s\0, apiVersion, kind, raw) with metadata.resourceVersion already in it.
 */
#ifndef CONTROLPLANE_CORE_INDEX_H
#define CONTROLPLANE_CORE_INDEX_H

#include "base/cowtree.h"

enum { INDEX_KEY_MAX = 512 };

/* The parts of a key, borrowed from it. */
struct index_key {
    struct str group, plural, namespace, name;
};

/* False when text is no key. */
bool index_key_parse(struct str text, struct index_key *out);

/* The key's text into out, NUL-terminated; its length, or 0 when it is longer than INDEX_KEY_MAX. With
 * an empty name it is the prefix of one namespace; see index_prefix_all() for every namespace. */
size_t index_key_print(const struct index_key *key, char out[INDEX_KEY_MAX + 1]);

/* "group/plural/": the prefix of all objects of a kind, in every namespace. */
size_t index_prefix_all(struct str group, struct str plural, char out[INDEX_KEY_MAX + 1]);

struct index; /* Opaque. */

struct index_snapshot {
    const struct cow_node *root;
    struct cow_snapshot *held; /* What keeps root; NULL: borrowed from somebody who does. */
    uint64_t revision; /* Of the whole store: what a list's metadata.resourceVersion says. */
};

struct index *index_new(void);
void index_free(struct index *x);

/* Any thread. */
struct index_snapshot index_snapshot(struct index *x);
struct index_snapshot index_snapshot_ref(const struct index_snapshot *s); /* One more of it. */
void index_snapshot_free(struct index_snapshot *s);                       /* Zeroed is allowed. */

static inline struct cow_entry *index_find(const struct index_snapshot *s, struct str key)
{
    return cow_find(s->root, key);
}

/* How many objects' keys start with prefix; with from, only those at or behind it
 * (metadata.remainingItemCount is the count from the first key of the next page). */
uint64_t index_count(const struct index_snapshot *s, struct str prefix, struct str from);

/* A range: every entry whose key starts with prefix, from the key from on (empty: the first). */
struct index_range {
    struct cow_cursor cursor;
    uint64_t left;
};

void index_range(struct index_range *r, const struct index_snapshot *s, struct str prefix,
                 struct str from);
struct cow_entry *index_range_next(struct index_range *r); /* Borrowed; NULL at the end. */
uint32_t index_range_run(struct index_range *r, uint32_t max,
                         struct cow_entry *const **out); /* cow_next_run() */

/* The core's own side, on its thread: changes, then one publication a turn. */
struct cowtree *index_tree(struct index *x);
void index_publish(struct index *x, uint64_t revision);
/* Frees some of what only readers saw that are done; between publications. */
void index_reap(struct index *x);

#endif /* CONTROLPLANE_CORE_INDEX_H */
