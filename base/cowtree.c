/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node may be written while its count is one and so are those of all nodes above it: then only
 * the writer's root leads to it. Anything else is copied first (node_own), and the copy shares the
 * children. So the first write after a snapshot copies one path, the next ones reuse it.
 *
 * A child covers the keys from its low up to the low of the child behind it; the first child's low
 * is never looked at, everything smaller belongs to it.
 *
 * Looking for a key waits for memory, and keys lie elsewhere, each on a line of its own. So a node has of each key
 * the four bytes that matter most: its head, which stands behind what all keys of the node begin with. Heads decide
 * nearly always; only where they are alike, the keys themselves are looked at.
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
    atomic_uint_least32_t refs;
    uint32_t level; /* 0: a leaf. */
    uint32_t count;
    uint32_t skip;           /* So many bytes all keys in it have in common; fewer may be said. */
    uint64_t total;          /* Entries below. */
    struct blob *low;        /* NULL: the smallest of all. */
    struct blob *like;       /* Those bytes. A leaf has none: any of its keys tells. */
    uint32_t head[NODE_MAX]; /* Of each slot's key what follows them, as a number. */
    union {
        struct cow_entry *entry[NODE_MAX];
        struct cow_node *child[NODE_MAX];
    };
};

static struct cow_node *node_new(uint32_t level);
static struct cow_node *node_own(struct cow_node **at);
static void node_split_child(struct cow_node *parent, uint32_t at, struct str key);
static void node_shrink_child(struct cow_node *parent, uint32_t at);
static void slot_make_room(struct cow_node *node, uint32_t at);
static void slot_made(struct cow_node *node, uint32_t at);
static void slot_close(struct cow_node *node, uint32_t at);
static void heads_make(struct cow_node *node);
static uint32_t head_of(struct str key, uint32_t skip);
static void node_fetch(const struct cow_node *node);
static uint32_t slot_find(const struct cow_node *node, struct str key, bool *out_equal);
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
    uint32_t at = slot_find(node, key, &equal);
    CHECK(equal == !is_new);
    if (equal) {
        struct cow_entry *before = node->entry[at];
        node->entry[at] = e;
        return before;
    }
    slot_make_room(node, at);
    node->entry[at] = e;
    slot_made(node, at);
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
    uint32_t i = slot_find(node, key, &equal);
    CHECK(equal);
    struct cow_entry *gone = node->entry[i];
    slot_close(node, i);
    node->total--;

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
    while (root->level > 0) {
        root = root->child[child_find(root, key)];
        node_fetch(root);
    }
    uint32_t head = head_of(key, root->skip);
    for (uint32_t i = 0; i < root->count; i++)
        if (root->head[i] == head && str_eq(cow_entry_key(root->entry[i]), key))
            return root->entry[i];
    return NULL;
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
    return rank + slot_find(root, key, &equal);
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
    c->path[c->depth].at = slot_find(root, from, &equal);
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

/* ---- slots and their heads ---- */

/* The first child's key is not looked at. */
static uint32_t slot_first(const struct cow_node *node)
{
    return node->level > 0;
}

static struct str slot_key(const struct cow_node *node, uint32_t at)
{
    return node->level > 0 ? blob_str(node->child[at]->low) : cow_entry_key(node->entry[at]);
}

/* All of a node at once, not line after line. */
static void node_fetch(const struct cow_node *node)
{
    enum { LINE = 64 };
    for (size_t at = 0; at < sizeof *node; at += LINE)
        __builtin_prefetch((const char *)node + at);
}

/* Ordered as the keys are, where they differ in it; a key that ends there has zeros. */
static uint32_t head_of(struct str key, uint32_t skip)
{
    unsigned char b[4] = {0};
    if (key.len > skip)
        memcpy(b, key.at + skip, key.len - skip < sizeof b ? key.len - skip : sizeof b);
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static uint32_t common(struct str a, struct str b)
{
    uint32_t len = 0;
    while (len < a.len && len < b.len && a.at[len] == b.at[len])
        len++;
    return len;
}

/* What the first and the last have in common, all between them have, too. */
static uint32_t skip_of(const struct cow_node *node)
{
    return common(slot_key(node, slot_first(node)), slot_key(node, node->count - 1));
}

static void heads_make(struct cow_node *node)
{
    if (node->count <= slot_first(node))
        return;
    node->skip = skip_of(node);
    if (node->level > 0) {
        blob_unref(node->like);
        node->like = blob_new(str_slice(slot_key(node, node->count - 1), 0, node->skip));
    }
    for (uint32_t i = slot_first(node); i < node->count; i++)
        node->head[i] = head_of(slot_key(node, i), node->skip);
}

static void slot_make_room(struct cow_node *node, uint32_t at)
{
    uint32_t behind = node->count++ - at;
    memmove(&node->entry[at + 1], &node->entry[at], behind * sizeof node->entry[0]);
    memmove(&node->head[at + 1], &node->head[at], behind * sizeof node->head[0]);
}

/* The slot has its key now. Alone it may have nothing in common with those that were here before. */
static void slot_made(struct cow_node *node, uint32_t at)
{
    uint32_t first = slot_first(node), last = node->count - 1;
    bool at_end = at == first || at == last;
    if (first == last || (at_end && skip_of(node) != node->skip))
        heads_make(node);
    else
        node->head[at] = head_of(slot_key(node, at), node->skip);
}

static void slot_close(struct cow_node *node, uint32_t at)
{
    uint32_t behind = --node->count - at;
    memmove(&node->entry[at], &node->entry[at + 1], behind * sizeof node->entry[0]);
    memmove(&node->head[at], &node->head[at + 1], behind * sizeof node->head[0]);
}

/* What all keys of the node begin with. */
static struct str begins(const struct cow_node *node)
{
    struct str all = node->level > 0 ? blob_str(node->like) : cow_entry_key(node->entry[0]);
    return str_slice(all, 0, node->skip);
}

/* The first slot whose key is not less. A key that does not begin as all here do is before or behind all of them. */
static uint32_t slot_find(const struct cow_node *node, struct str key, bool *out_equal)
{
    uint32_t first = slot_first(node), at = first, alike = 0, head = head_of(key, node->skip);
    *out_equal = false;
    if (node->count <= first)
        return first;
    int order = str_cmp(begins(node), str_slice(key, 0, node->skip));
    if (order != 0)
        return order < 0 ? node->count : first;
    for (uint32_t i = first; i < node->count; i++) {
        at += node->head[i] < head;
        alike += node->head[i] == head;
    }
    for (; alike > 0; at++, alike--) {
        order = str_cmp(slot_key(node, at), key);
        *out_equal = order == 0;
        if (order >= 0)
            break;
    }
    return at;
}

/* The last child whose low is not greater. */
static uint32_t child_find(const struct cow_node *node, struct str key)
{
    bool equal;
    uint32_t at = slot_find(node, key, &equal);
    return equal ? at : at - 1;
}

/* ---- nodes ---- */

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
    node->skip = old->skip;
    node->total = old->total;
    node->low = blob_ref(old->low);
    node->like = blob_ref(old->like);
    memcpy(node->head, old->head, sizeof node->head);
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
    uint32_t len = common(left, right);
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
    uint32_t pos = left->level == 0 ? slot_find(left, key, &equal) : child_find(left, key) + 1;
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
    heads_make(left);
    heads_make(right);

    slot_make_room(parent, at + 1);
    parent->child[at + 1] = right;
    slot_made(parent, at + 1);
}

static void node_drop_child(struct cow_node *parent, uint32_t at)
{
    cow_snapshot_unref(parent->child[at]);
    slot_close(parent, at);
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
    heads_make(left);
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
    blob_unref(root->like);
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
