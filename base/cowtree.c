/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node may be written while no held snapshot sees it. What is above it was made no earlier, so the same is true of
 * that. Anything else is copied first (node_own), and its copy has the same children. So the first write after a snapshot copies
 * one path, the next ones reuse it. What snapshots see waits for them: cowtree_past.c.
 *
 * A child covers the keys from where it begins up to where the child behind it begins. Where the first one begins is
 * not said: everything smaller belongs to it.
 *
 * Looking for a key waits for memory, and keys lie elsewhere, each on a line of its own. So a node has of each key
 * the four bytes that matter most: its head, which stands behind what all keys of the node begin with. Heads decide
 * nearly always; only where they are alike, the keys themselves are looked at.
 */
#include "base/cowtree_priv.h"

#include "base/check.h"
#include "base/mem.h"

/* Two neighbours with fewer slots together become one: room is left to grow. */
enum { NODE_MERGE = 12 };

/* From the root to the slot of a leaf where a key is or would be. */
struct path {
    struct cow_node *node[COW_DEPTH_MAX];
    uint32_t at[COW_DEPTH_MAX];
    uint32_t depth; /* Of the leaf. */
};

static bool path_find(const struct cowtree *t, struct str key, struct path *p);
static void path_own(struct cowtree *t, struct path *p);
static void path_insert(struct cowtree *t, const struct path *p, struct cow_entry *e);
static struct cow_node *node_new(struct cowtree *t, uint32_t level);
static void nodes_free(struct cow_node *node);
static void node_shrink_child(struct cowtree *t, struct cow_node *parent, uint32_t at);
static void node_fetch(const struct cow_node *node, uint32_t level);
static void slot_close(struct cow_node *node, uint32_t at);
static void heads_end(struct cow_node *node);
static uint32_t head_of(struct str key, uint32_t skip);
static uint32_t slot_find(const struct cow_node *node, struct str key, bool *out_equal);
static uint32_t child_find(const struct cow_node *node, struct str key);

void cowtree_init(struct cowtree *t)
{
    *t = (struct cowtree){0};
}

void cowtree_fini(struct cowtree *t)
{
    nodes_free(t->root);
    cowtree__end(t);
    *t = (struct cowtree){0};
}

struct cow_entry *cowtree_put(struct cowtree *t, struct cow_entry *e)
{
    struct path p;
    t->stamp = e->stamp > t->stamp ? e->stamp : t->stamp;
    if (t->root == NULL)
        t->root = node_new(t, 0);
    bool is_there = path_find(t, cow_entry_key(e), &p);
    path_own(t, &p);
    if (!is_there) {
        path_insert(t, &p, e);
        return NULL;
    }
    struct cow_entry **slot = &p.node[p.depth]->key[p.at[p.depth]], *before = *slot;
    *slot = e;
    return cowtree__gone_entry(t, before);
}

struct cow_entry *cowtree_remove(struct cowtree *t, struct str key)
{
    struct path p;
    if (t->root == NULL || !path_find(t, key, &p))
        return NULL;
    path_own(t, &p);
    struct cow_entry *gone = p.node[p.depth]->key[p.at[p.depth]];
    slot_close(p.node[p.depth], p.at[p.depth]);
    for (uint32_t i = 0; i <= p.depth; i++)
        p.node[i]->total--;

    while (p.depth-- > 0)
        node_shrink_child(t, p.node[p.depth], p.at[p.depth]);
    while (t->root != NULL &&
           (t->root->count == 0 || (t->root->level > 0 && t->root->count == 1))) {
        struct cow_node *old = t->root;
        t->root = old->count == 0 ? NULL : old->child[0];
        cowtree__gone(t, old);
    }
    return cowtree__gone_entry(t, gone);
}

struct cow_entry *cow_find(const struct cow_node *root, struct str key)
{
    if (root == NULL)
        return NULL;
    for (uint32_t level = root->level; level-- > 0;) {
        root = root->child[child_find(root, key)];
        node_fetch(root, level);
    }
    uint32_t head = head_of(key, root->skip);
    for (uint32_t i = 0; i < root->count; i++)
        if (root->head[i] == head && str_eq(cow_entry_key(root->key[i]), key))
            return root->key[i];
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
        __builtin_prefetch(leaf->key[i]);
}

static void values_fetch(const struct cow_node *leaf)
{
    for (uint32_t i = 0; i < leaf->count; i++)
        __builtin_prefetch(leaf->key[i]->value);
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
    return leaf->key[(*at)++];
}

uint32_t cow_next_run(struct cow_cursor *c, uint32_t max, struct cow_entry *const **out)
{
    const struct cow_node *leaf = leaf_ahead(c);
    if (leaf == NULL)
        return 0;
    uint32_t *at = &c->path[c->depth - 1].at;
    uint32_t left = leaf->count - *at, count = left < max ? left : max;
    *out = &leaf->key[*at];
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
    return cow_entry_key(node->key[at]);
}

/* All of a node at once, not line after line. */
static void node_fetch(const struct cow_node *node, uint32_t level)
{
    enum { LINE = 64 };
    for (size_t at = 0; at < cow_node_size(level); at += LINE)
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
static uint16_t skip_of(const struct cow_node *node)
{
    uint32_t len = common(slot_key(node, slot_first(node)), slot_key(node, node->count - 1u));
    return len < UINT16_MAX ? (uint16_t)len : UINT16_MAX;
}

/* So that all heads of a node can be looked at, some at once, however many count. */
static void heads_end(struct cow_node *node)
{
    for (uint32_t i = node->count; i < NODE_MAX; i++)
        node->head[i] = UINT32_MAX;
}

static void heads_make(struct cow_node *node)
{
    if (node->count <= slot_first(node))
        return;
    node->skip = skip_of(node);
    for (uint32_t i = slot_first(node); i < node->count; i++)
        node->head[i] = head_of(slot_key(node, i), node->skip);
    heads_end(node);
}

/* Alone, a key may have nothing in common with those that were here before. */
static void slot_insert(struct cow_node *node, uint32_t at, struct cow_entry *key,
                        struct cow_node *child)
{
    uint32_t behind = node->count++ - at, first = slot_first(node), last = node->count - 1u;
    memmove(&node->key[at + 1], &node->key[at], behind * sizeof node->key[0]);
    memmove(&node->head[at + 1], &node->head[at], behind * sizeof node->head[0]);
    node->key[at] = key;
    if (node->level > 0) {
        memmove(&node->child[at + 1], &node->child[at], behind * sizeof node->child[0]);
        node->child[at] = child;
    }
    if (first == last || ((at == first || at == last) && skip_of(node) != node->skip))
        heads_make(node);
    else
        node->head[at] = head_of(slot_key(node, at), node->skip);
}

static void slot_close(struct cow_node *node, uint32_t at)
{
    uint32_t behind = --node->count - at;
    memmove(&node->key[at], &node->key[at + 1], behind * sizeof node->key[0]);
    memmove(&node->head[at], &node->head[at + 1], behind * sizeof node->head[0]);
    if (node->level > 0)
        memmove(&node->child[at], &node->child[at + 1], behind * sizeof node->child[0]);
    heads_end(node);
}

/* What all keys of the node begin with: any of them tells. */
static struct str begins(const struct cow_node *node)
{
    return str_slice(slot_key(node, slot_first(node)), 0, node->skip);
}

/* The first slot whose key is not less. A key that does not begin as all here do is before or behind all of them. */
static uint32_t slot_find(const struct cow_node *node, struct str key, bool *out_equal)
{
    uint32_t first = slot_first(node), at = 0, alike = 0, head = head_of(key, node->skip);
    *out_equal = false;
    if (node->count <= first)
        return first;
    int order = str_cmp(begins(node), str_slice(key, 0, node->skip));
    if (order != 0)
        return order < 0 ? node->count : first;
    for (uint32_t i = 0; i < NODE_MAX; i++) {
        at += node->head[i] < head;
        alike += node->head[i] == head;
    }
    if (first > 0) { /* That of the first child says nothing. */
        at += node->head[0] >= head;
        alike -= node->head[0] == head;
    }
    for (; alike > 0 && at < node->count; at++, alike--) {
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

static struct cow_node *node_new(struct cowtree *t, uint32_t level)
{
    CHECK(level < COW_DEPTH_MAX);
    struct cow_node *node = cowtree__take(t, level);
    *node = (struct cow_node){.born = t->version, .level = (uint8_t)level};
    heads_end(node);
    return node;
}

static void nodes_free(struct cow_node *node)
{
    if (node == NULL)
        return;
    for (uint32_t i = 0; i < node->count; i++) {
        cow_entry_unref(node->key[i]);
        if (node->level > 0)
            nodes_free(node->child[i]);
    }
    mem_free(node);
}

/* What hangs from it is shared with those that see the old one: nothing there is touched. */
static struct cow_node *node_own(struct cowtree *t, struct cow_node *old)
{
    if (!cowtree__is_seen(t, old))
        return old;
    struct cow_node *node = cowtree__take(t, old->level);
    memcpy(node, old, cow_node_size(old->level));
    node->born = t->version;
    cowtree__gone(t, old);
    return node;
}

/* The shortest text that is greater than left and not greater than right. No older than what it stands between. */
static struct cow_entry *separator(const struct cowtree *t, struct str left, struct str right)
{
    uint32_t len = common(left, right);
    CHECK(len < right.len);
    return cow_entry_new(str_slice(right, 0, len + 1), t->stamp, NULL);
}

static void node_count(struct cow_node *node)
{
    node->total = node->level == 0 ? node->count : 0;
    for (uint32_t i = 0; node->level > 0 && i < node->count; i++)
        node->total += node->child[i]->total;
}

/* The slots from keep on. */
static struct cow_node *node_split(struct cowtree *t, struct cow_node *left, uint32_t keep)
{
    struct cow_node *right = node_new(t, left->level);
    right->count = (uint8_t)(left->count - keep);
    left->count = (uint8_t)keep;
    memcpy(right->key, &left->key[keep], right->count * sizeof right->key[0]);
    if (left->level > 0)
        memcpy(right->child, &left->child[keep], right->count * sizeof right->child[0]);
    return right;
}

static void node_drop_child(struct cowtree *t, struct cow_node *parent, uint32_t at)
{
    uint32_t lost = at == 0 && parent->count > 1 ? 1 : at; /* The next one becomes the first. */
    struct cow_entry *key = parent->key[lost];
    parent->key[lost] = parent->key[at];
    cowtree__gone(t, parent->child[at]);
    slot_close(parent, at);
    if (key != NULL)
        cow_entry_unref(cowtree__gone_entry(t, key));
}

/* The first child of the right one becomes one whose beginning counts. */
static void node_merge(struct cowtree *t, struct cow_node *parent, uint32_t at)
{
    struct cow_node *left = parent->child[at] = node_own(t, parent->child[at]);
    const struct cow_node *right = parent->child[at + 1];

    memcpy(&left->key[left->count], right->key, right->count * sizeof right->key[0]);
    if (left->level > 0) {
        memcpy(&left->child[left->count], right->child, right->count * sizeof right->child[0]);
        left->key[left->count] = parent->key[at + 1];
        parent->key[at + 1] = NULL;
    }
    left->count = (uint8_t)(left->count + right->count);
    left->total += right->total;
    heads_make(left);
    node_drop_child(t, parent, at + 1);
}

static void node_shrink_child(struct cowtree *t, struct cow_node *parent, uint32_t at)
{
    uint32_t count = parent->child[at]->count;
    if (count == 0)
        node_drop_child(t, parent, at);
    else if (at + 1u < parent->count && count + parent->child[at + 1]->count < NODE_MERGE)
        node_merge(t, parent, at);
    else if (at > 0 && count + parent->child[at - 1]->count < NODE_MERGE)
        node_merge(t, parent, at - 1);
}

/* ---- paths ---- */

/* Is the key there? */
static bool path_find(const struct cowtree *t, struct str key, struct path *p)
{
    struct cow_node *node = t->root;
    bool equal;
    for (p->depth = 0; p->depth < t->root->level; p->depth++) {
        p->node[p->depth] = node;
        p->at[p->depth] = child_find(node, key);
        node = node->child[p->at[p->depth]];
        node_fetch(node, t->root->level - p->depth - 1);
    }
    p->node[p->depth] = node;
    p->at[p->depth] = slot_find(node, key, &equal);
    return equal;
}

static void path_own(struct cowtree *t, struct path *p)
{
    struct cow_node **link = &t->root;
    for (uint32_t i = 0; i <= p->depth; i++) {
        p->node[i] = *link = node_own(t, p->node[i]);
        link = &p->node[i]->child[p->at[i]];
    }
}

static void root_grow(struct cowtree *t, struct cow_entry *key, struct cow_node *right)
{
    struct cow_node *left = t->root;
    t->root = node_new(t, left->level + 1u);
    t->root->child[0] = left;
    t->root->count = 1;
    slot_insert(t->root, 1, key, right);
    node_count(t->root);
}

/* Into a full node, at one of its slots: half of it goes to one of its own, and where that begins. Keys that come in
 * order (generated names seldom, rebuilt indexes always) leave full nodes behind instead of half full ones. */
static struct cow_node *split_insert(struct cowtree *t, struct cow_node *left, uint32_t at,
                                     struct cow_entry **key, struct cow_node *child)
{
    uint32_t keep = at == NODE_MAX ? NODE_MAX - 1 : NODE_MAX / 2;
    struct cow_node *right = node_split(t, left, keep);
    struct cow_entry *begins_at = right->level > 0 ? right->key[0] : NULL;

    if (right->level > 0)
        right->key[0] = NULL;
    heads_make(left);
    heads_make(right);
    if (at <= keep)
        slot_insert(left, at, *key, child);
    else
        slot_insert(right, at - keep, *key, child);
    node_count(left);
    node_count(right);
    *key = right->level > 0 ? begins_at
                            : separator(t, slot_key(left, left->count - 1u), slot_key(right, 0));
    return right;
}

/* From the leaf upwards, as far as nodes are full. */
static void path_insert(struct cowtree *t, const struct path *p, struct cow_entry *e)
{
    struct cow_entry *key = e;
    struct cow_node *child = NULL;
    for (uint32_t i = 0; i <= p->depth; i++)
        p->node[i]->total++;
    for (uint32_t i = p->depth + 1; i-- > 0;) {
        struct cow_node *node = p->node[i];
        uint32_t at = node->level > 0 ? p->at[i] + 1 : p->at[i];
        if (node->count < NODE_MAX) {
            slot_insert(node, at, key, child);
            return;
        }
        child = split_insert(t, node, at, &key, child);
    }
    root_grow(t, key, child);
}
