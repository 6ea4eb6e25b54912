/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node may be written while its count is one and so are those of all nodes above it: then only
 * the writer's root leads to it. Anything else is copied first (node_own), and the copy shares the
 * children. So the first write after a snapshot copies one path, the next ones reuse it.
 *
 * A child covers the keys from its low up to the low of the child behind it; the first child's low
 * is never looked at, everything smaller belongs to it.
 */
#include "base/cowtree.h"

#include "base/check.h"
#include "base/mem.h"

enum {
    NODE_MAX = COW_RUN_MAX,
    NODE_MERGE =
        12, /* Two neighbours with fewer slots together become one: room is left to grow. */
};

struct cow_node {
    atomic_uint_fast32_t refs;
    uint32_t level; /* 0: a leaf. */
    uint32_t count;
    uint64_t total;   /* Entries below. */
    struct blob *low; /* NULL: the smallest of all. */
    union {
        struct cow_entry *entry[NODE_MAX];
        struct cow_node *child[NODE_MAX];
    };
};

static struct cow_node *node_new(uint32_t level);
static struct cow_node *node_own(struct cow_node **at);
static void node_split_child(struct cow_node *parent, uint32_t at, struct str key);
static void node_shrink_child(struct cow_node *parent, uint32_t at);
static uint32_t leaf_find(const struct cow_node *leaf, struct str key, bool *out_equal);
static uint32_t child_find(const struct cow_node *node, struct str key);

void cowtree_init(struct cowtree *t)
{
    *t = (struct cowtree){0};
}

void cowtree_fini(struct cowtree *t)
{
    cow_snapshot_unref(t->root);
    *t = (struct cowtree){0};
}

/* Full nodes are split on the way down, so that a split never has to climb. */
struct cow_entry *cowtree_put(struct cowtree *t, struct cow_entry *e)
{
    struct str key = cow_entry_key(e);
    bool is_new = cow_find(t->root, key) == NULL;

    if (t->root == NULL)
        t->root = node_new(0);
    struct cow_node *node = node_own(&t->root);
    if (is_new && node->count == NODE_MAX) {
        t->root = node_new(node->level + 1);
        t->root->child[0] = node;
        t->root->count = 1;
        t->root->total = node->total;
        CHECK(t->root->level < COW_DEPTH_MAX);
        node = t->root;
    }
    while (node->level > 0) {
        node->total += is_new;
        uint32_t at = child_find(node, key);
        if (is_new && node->child[at]->count == NODE_MAX) {
            node_split_child(node, at, key);
            at = child_find(node, key);
        }
        node = node_own(&node->child[at]);
    }

    bool equal;
    uint32_t at = leaf_find(node, key, &equal);
    CHECK(equal == !is_new);
    if (equal) {
        struct cow_entry *before = node->entry[at];
        node->entry[at] = e;
        return before;
    }
    memmove(&node->entry[at + 1], &node->entry[at], (node->count - at) * sizeof node->entry[0]);
    node->entry[at] = e;
    node->count++;
    node->total++;
    return NULL;
}

struct cow_entry *cowtree_remove(struct cowtree *t, struct str key)
{
    struct cow_node *path[COW_DEPTH_MAX];
    uint32_t at[COW_DEPTH_MAX], depth = 0;

    if (cow_find(t->root, key) == NULL)
        return NULL;
    struct cow_node *node = node_own(&t->root);
    for (; node->level > 0; depth++) {
        node->total--;
        path[depth] = node;
        at[depth] = child_find(node, key);
        node = node_own(&node->child[at[depth]]);
    }

    bool equal;
    uint32_t i = leaf_find(node, key, &equal);
    CHECK(equal);
    struct cow_entry *gone = node->entry[i];
    node->count--;
    node->total--;
    memmove(&node->entry[i], &node->entry[i + 1], (node->count - i) * sizeof node->entry[0]);

    while (depth-- > 0)
        node_shrink_child(path[depth], at[depth]);
    while (t->root != NULL &&
           (t->root->count == 0 || (t->root->level > 0 && t->root->count == 1))) {
        struct cow_node *old = t->root;
        t->root = old->count == 0 ? NULL : cow_snapshot_ref(old->child[0]);
        cow_snapshot_unref(old);
    }
    return gone;
}

struct cow_node *cowtree_snapshot(struct cowtree *t)
{
    return cow_snapshot_ref(t->root);
}

struct cow_entry *cow_find(const struct cow_node *root, struct str key)
{
    if (root == NULL)
        return NULL;
    while (root->level > 0)
        root = root->child[child_find(root, key)];
    bool equal;
    uint32_t at = leaf_find(root, key, &equal);
    return equal ? root->entry[at] : NULL;
}

uint64_t cow_count(const struct cow_node *root)
{
    return root == NULL ? 0 : root->total;
}

uint64_t cow_rank(const struct cow_node *root, struct str key)
{
    uint64_t rank = 0;
    if (root == NULL)
        return 0;
    while (root->level > 0) {
        uint32_t at = child_find(root, key);
        for (uint32_t i = 0; i < at; i++)
            rank += root->child[i]->total;
        root = root->child[at];
    }
    bool equal;
    return rank + leaf_find(root, key, &equal);
}

void cow_seek(struct cow_cursor *c, const struct cow_node *root, struct str from)
{
    c->depth = 0;
    if (root == NULL)
        return;
    for (; root->level > 0; c->depth++) {
        uint32_t at = child_find(root, from);
        c->path[c->depth].node = root;
        c->path[c->depth].at = at;
        root = root->child[at];
    }
    bool equal;
    c->path[c->depth].node = root;
    c->path[c->depth].at = leaf_find(root, from, &equal);
    c->depth++;
}

/* A walk waits for memory more than for anything else: ask for a leaf's entries, and then for what they hold, at once
 * instead of one after the other. */
static void entries_fetch(const struct cow_node *leaf)
{
    for (uint32_t i = 0; i < leaf->count; i++)
        __builtin_prefetch(leaf->entry[i]);
}

static void values_fetch(const struct cow_node *leaf)
{
    for (uint32_t i = 0; i < leaf->count; i++)
        __builtin_prefetch(leaf->entry[i]->value);
}

/* The leaf in which the cursor stands before an entry; NULL at the end. */
static const struct cow_node *leaf_ahead(struct cow_cursor *c)
{
    while (c->depth > 0) {
        const struct cow_node *node = c->path[c->depth - 1].node;
        uint32_t *at = &c->path[c->depth - 1].at;
        if (*at >= node->count) { /* This one is done: on to the next child of the one above. */
            if (--c->depth > 0)
                c->path[c->depth - 1].at++;
            continue;
        }
        if (node->level == 0) {
            if (*at == 0)
                entries_fetch(node);
            return node;
        }
        c->path[c->depth].node = node->child[*at];
        c->path[c->depth].at = 0;
        c->depth++;
    }
    return NULL;
}

struct cow_entry *cow_next(struct cow_cursor *c)
{
    const struct cow_node *leaf = leaf_ahead(c);
    if (leaf == NULL)
        return NULL;
    uint32_t *at = &c->path[c->depth - 1].at;
    if (*at == 0)
        values_fetch(leaf);
    return leaf->entry[(*at)++];
}

uint32_t cow_next_run(struct cow_cursor *c, uint32_t max, struct cow_entry *const **out)
{
    const struct cow_node *leaf = leaf_ahead(c);
    if (leaf == NULL)
        return 0;
    uint32_t *at = &c->path[c->depth - 1].at;
    uint32_t left = leaf->count - *at, count = left < max ? left : max;
    *out = &leaf->entry[*at];
    *at += count;
    return count;
}

/* First slot whose key is not less. */
static uint32_t leaf_find(const struct cow_node *leaf, struct str key, bool *out_equal)
{
    uint32_t low = 0, high = leaf->count;
    *out_equal = false;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        int order = str_cmp(cow_entry_key(leaf->entry[mid]), key);
        if (order == 0) {
            *out_equal = true;
            return mid;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The last child whose low is not greater; the first one without a look at its low. */
static uint32_t child_find(const struct cow_node *node, struct str key)
{
    uint32_t low = 1, high = node->count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (str_cmp(blob_str(node->child[mid]->low), key) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low - 1;
}

static struct cow_node *node_new(uint32_t level)
{
    struct cow_node *node = mem_zalloc(1, sizeof *node);
    atomic_init(&node->refs, 1);
    node->level = level;
    return node;
}

/* The acquire pairs with the release of whoever let go of the last snapshot: his reads are over
 * before we write. */
static struct cow_node *node_own(struct cow_node **at)
{
    struct cow_node *old = *at;
    if (atomic_load_explicit(&old->refs, memory_order_acquire) == 1)
        return old;

    struct cow_node *node = mem_alloc(sizeof *node);
    atomic_init(&node->refs, 1);
    node->level = old->level;
    node->count = old->count;
    node->total = old->total;
    node->low = blob_ref(old->low);
    memcpy(node->entry, old->entry, old->count * sizeof old->entry[0]);
    /* The counts lie on as many cache lines: ask for all of them before waiting for the first. */
    for (uint32_t i = 0; i < node->count; i++)
        __builtin_prefetch(node->entry[i], 1);
    for (uint32_t i = 0; i < node->count; i++)
        if (node->level == 0)
            cow_entry_ref(node->entry[i]);
        else
            cow_snapshot_ref(node->child[i]);
    cow_snapshot_unref(old);
    *at = node;
    return node;
}

/* The shortest text that is greater than left and not greater than right. */
static struct blob *separator(struct str left, struct str right)
{
    size_t len = 0;
    while (len < left.len && len < right.len && left.at[len] == right.at[len])
        len++;
    CHECK(len < right.len);
    return blob_new(str_slice(right, 0, len + 1));
}

/* Keys that come in order (generated names seldom, rebuilt indexes always) leave full nodes behind
 * instead of half full ones. */
static void node_split_child(struct cow_node *parent, uint32_t at, struct str key)
{
    struct cow_node *left = node_own(&parent->child[at]);
    struct cow_node *right = node_new(left->level);
    bool equal;
    uint32_t pos = left->level == 0 ? leaf_find(left, key, &equal) : child_find(left, key) + 1;
    uint32_t keep = pos == NODE_MAX ? NODE_MAX - 1 : NODE_MAX / 2;

    right->count = left->count - keep;
    left->count = keep;
    memcpy(right->entry, &left->entry[keep], right->count * sizeof right->entry[0]);
    if (left->level == 0) {
        right->low =
            separator(cow_entry_key(left->entry[keep - 1]), cow_entry_key(right->entry[0]));
        right->total = right->count;
    } else {
        right->low = blob_ref(right->child[0]->low);
        for (uint32_t i = 0; i < right->count; i++)
            right->total += right->child[i]->total;
    }
    left->total -= right->total;

    memmove(&parent->child[at + 2], &parent->child[at + 1],
            (parent->count - at - 1) * sizeof parent->child[0]);
    parent->child[at + 1] = right;
    parent->count++;
}

static void node_drop_child(struct cow_node *parent, uint32_t at)
{
    cow_snapshot_unref(parent->child[at]);
    parent->count--;
    memmove(&parent->child[at], &parent->child[at + 1],
            (parent->count - at) * sizeof parent->child[0]);
}

/* The first child moved becomes one whose low counts: it takes over where its old parent began. */
static void node_merge(struct cow_node *parent, uint32_t at)
{
    struct cow_node *left = node_own(&parent->child[at]);
    struct cow_node *right = node_own(&parent->child[at + 1]);

    if (right->level > 0 && right->count > 0) {
        struct cow_node *first = node_own(&right->child[0]);
        struct blob *low = first->low;
        first->low = blob_ref(right->low);
        blob_unref(low);
    }
    memcpy(&left->entry[left->count], right->entry, right->count * sizeof right->entry[0]);
    left->count += right->count;
    left->total += right->total;
    right->count = 0;
    node_drop_child(parent, at + 1);
}

static void node_shrink_child(struct cow_node *parent, uint32_t at)
{
    uint32_t count = parent->child[at]->count;
    if (count == 0)
        node_drop_child(parent, at);
    else if (at + 1 < parent->count && count + parent->child[at + 1]->count < NODE_MERGE)
        node_merge(parent, at);
    else if (at > 0 && count + parent->child[at - 1]->count < NODE_MERGE)
        node_merge(parent, at - 1);
}

struct cow_node *cow_snapshot_ref(struct cow_node *root)
{
    if (root != NULL)
        atomic_fetch_add_explicit(&root->refs, 1, memory_order_relaxed);
    return root;
}

/* Recursion is as deep as the tree. */
void cow_snapshot_unref(struct cow_node *root)
{
    if (root == NULL || atomic_fetch_sub_explicit(&root->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (uint32_t i = 0; i < root->count; i++)
        __builtin_prefetch(root->entry[i], 1);
    for (uint32_t i = 0; i < root->count; i++)
        if (root->level == 0)
            cow_entry_unref(root->entry[i]);
        else
            cow_snapshot_unref(root->child[i]);
    blob_unref(root->low);
    mem_free(root);
}

struct cow_entry *cow_entry_new(struct str key, uint64_t stamp, struct blob *value)
{
    CHECK(key.len < UINT32_MAX);
    struct cow_entry *e = mem_alloc(sizeof *e + key.len + 1);
    atomic_init(&e->refs, 1);
    e->key_len = (uint32_t)key.len;
    e->stamp = stamp;
    e->value = value;
    if (key.len > 0)
        memcpy(e->key, key.at, key.len);
    e->key[key.len] = '\0';
    return e;
}

struct cow_entry *cow_entry_ref(struct cow_entry *e)
{
    if (e != NULL)
        atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    return e;
}

void cow_entry_unref(struct cow_entry *e)
{
    if (e == NULL || atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) > 1)
        return;
    blob_unref(e->value);
    mem_free(e);
}
