/* SPDX-License-Identifier: Apache-2.0 */
/* cowtree_priv.h -- what cowtree.c (the tree) and cowtree_past.c (what snapshots still see) share. */
#ifndef BASE_COWTREE_PRIV_H
#define BASE_COWTREE_PRIV_H

#include "base/cowtree.h"

enum { NODE_MAX = COW_RUN_MAX };

/* A leaf ends before child. */
struct cow_node {
    union {
        uint64_t born; /* The tree's version then: a snapshot of that or a later one may see it. */
        struct cow_node *next; /* Of the spare ones. */
    };
    uint32_t total; /* Entries below. */
    uint16_t skip;  /* So many bytes all keys in it have in common; fewer may be said. */
    uint8_t level;  /* 0: a leaf. */
    uint8_t count;
    uint32_t head
        [NODE_MAX]; /* Of each slot's key what follows those bytes, as a number; behind the last slot the highest. */
    /* A leaf: what is stored. Above: where the child begins, an entry of no value; the first has none. */
    struct cow_entry *key[NODE_MAX];
    struct cow_node *child[];
};

struct cow_list {
    void **at;
    uint32_t count, size;
};

struct cow_snapshot {
    atomic_uint_least32_t refs;
    struct cow_node *root;
    uint64_t version, stamp; /* It sees nodes and entries of up to these. */
    struct cowtree *tree;
    struct cow_snapshot *older, *newer; /* The tree's held ones. */
    struct cow_snapshot *next;          /* In tree.returned, then in tree.ending. */
    struct cow_list nodes, entries;     /* Gone from the tree; no newer one sees them. */
};

static inline size_t cow_node_size(uint32_t level)
{
    size_t leaf = sizeof(struct cow_node);
    return level == 0 ? leaf : leaf + NODE_MAX * sizeof(struct cow_node *);
}

static inline bool cowtree__is_seen(const struct cowtree *t, const struct cow_node *node)
{
    return t->newest != NULL && node->born <= t->newest->version;
}

/* One to be filled. */
struct cow_node *cowtree__take(struct cowtree *t, uint32_t level);
void cowtree__give(struct cowtree *t, struct cow_node *node);

/* Everything that left the tree is freed; nobody holds a snapshot. */
void cowtree__end(struct cowtree *t);

/* It left the tree: freed, or waits. */
void cowtree__gone(struct cowtree *t, struct cow_node *node);

/* The same of an entry; the caller gets a reference. */
struct cow_entry *cowtree__gone_entry(struct cowtree *t, struct cow_entry *e);

#endif /* BASE_COWTREE_PRIV_H */
