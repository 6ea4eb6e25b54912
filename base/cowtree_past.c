/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots see what was in the tree when they were taken. Whatever leaves the tree was in it from one version to
 * another, so the held snapshots that see it are neighbours, and the newest of all held ones is among them, if any is.
 * There it waits. When that one ends, the next older one is the newest that may see it: it does if the thing is no younger.
 * So a thing moves at most once for each held snapshot, and mostly, as snapshots end in their order, never.
 */
#include "base/check.h"
#include "base/cowtree_priv.h"
#include "base/mem.h"

/* Spare nodes of each size: what a turn of some hundred writes copies. */
enum { SPARE_MAX = 1024 };

static void list_add(struct cow_list *l, void *thing)
{
    if (l->count == l->size) {
        CHECK(l->size <= UINT32_MAX / 2);
        l->size = l->size == 0 ? 16 : l->size * 2;
        l->at = mem_resize(l->at, l->size * sizeof *l->at);
    }
    l->at[l->count++] = thing;
}

/* The last; those before it are on their way meanwhile. */
static void *list_take(struct cow_list *l)
{
    enum { AHEAD = 8 };
    void *thing = l->at[--l->count];
    if (l->count >= AHEAD)
        __builtin_prefetch(l->at[l->count - AHEAD]);
    return thing;
}

struct cow_node *cowtree__take(struct cowtree *t, uint32_t level)
{
    struct cow_spare *spare = &t->spare[level > 0];
    struct cow_node *node = spare->first;
    if (node == NULL)
        return mem_alloc(cow_node_size(level));
    spare->first = node->next;
    spare->count--;
    return node;
}

void cowtree__give(struct cowtree *t, struct cow_node *node)
{
    struct cow_spare *spare = &t->spare[node->level > 0];
    if (spare->count == SPARE_MAX) {
        mem_free(node);
        return;
    }
    node->next = spare->first;
    spare->first = node;
    spare->count++;
}

void cowtree__gone(struct cowtree *t, struct cow_node *node)
{
    if (cowtree__is_seen(t, node))
        list_add(&t->newest->nodes, node);
    else
        cowtree__give(t, node);
}

struct cow_entry *cowtree__gone_entry(struct cowtree *t, struct cow_entry *e)
{
    if (t->newest == NULL || e->stamp > t->newest->stamp)
        return e;
    list_add(&t->newest->entries, e);
    return cow_entry_ref(e);
}

struct cow_snapshot *cowtree_snapshot(struct cowtree *t)
{
    struct cow_snapshot *s = mem_alloc(sizeof *s);
    *s = (struct cow_snapshot){
        .root = t->root, .version = t->version++, .stamp = t->stamp, .tree = t, .older = t->newest};
    atomic_init(&s->refs, 1);
    if (t->newest != NULL)
        t->newest->newer = s;
    t->newest = s;
    return s;
}

const struct cow_node *cow_snapshot_root(const struct cow_snapshot *s)
{
    return s == NULL ? NULL : s->root;
}

struct cow_snapshot *cow_snapshot_ref(struct cow_snapshot *s)
{
    if (s != NULL)
        atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

/* All reads of all holders are over before the writer takes it from there. */
void cow_snapshot_unref(struct cow_snapshot *s)
{
    if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) > 1)
        return;
    struct cowtree *t = s->tree;
    s->next = atomic_load_explicit(&t->returned, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&t->returned, &s->next, s, memory_order_release,
                                                  memory_order_relaxed))
        ;
}

/* What is left of max. */
static uint32_t pass_on(struct cow_snapshot *s, uint32_t max)
{
    struct cow_snapshot *older = s->older;
    for (; s->nodes.count > 0 && max > 0; max--) {
        struct cow_node *node = list_take(&s->nodes);
        if (older != NULL && node->born <= older->version)
            list_add(&older->nodes, node);
        else
            cowtree__give(s->tree, node);
    }
    for (; s->entries.count > 0 && max > 0; max--) {
        struct cow_entry *e = list_take(&s->entries);
        if (older != NULL && e->stamp <= older->stamp)
            list_add(&older->entries, e);
        else
            cow_entry_unref(e);
    }
    return max;
}

static void snapshot_end(struct cow_snapshot *s)
{
    if (s->newer != NULL)
        s->newer->older = s->older;
    else
        s->tree->newest = s->older;
    if (s->older != NULL)
        s->older->newer = s->newer;
    mem_free(s->nodes.at);
    mem_free(s->entries.at);
    mem_free(s);
}

void cowtree_reap(struct cowtree *t, uint32_t max)
{
    struct cow_snapshot *s, *next;
    if (atomic_load_explicit(&t->returned, memory_order_relaxed) != NULL) {
        s = atomic_exchange_explicit(&t->returned, NULL, memory_order_acquire);
        for (; s != NULL; s = next) {
            next = s->next;
            s->next = t->ending;
            t->ending = s;
        }
    }
    while ((s = t->ending) != NULL && max > 0) {
        max = pass_on(s, max);
        if (s->nodes.count > 0 || s->entries.count > 0)
            return;
        t->ending = s->next;
        snapshot_end(s);
    }
}

void cowtree__end(struct cowtree *t)
{
    cowtree_reap(t, UINT32_MAX);
    CHECK(t->newest == NULL); /* Somebody still reads. */
    for (uint32_t i = 0; i < COUNT_OF(t->spare); i++)
        for (struct cow_node *node = t->spare[i].first, *next; node != NULL; node = next) {
            next = node->next;
            mem_free(node);
        }
}

/* ---- entries ---- */

struct cow_entry *cow_entry_new(struct str key, uint64_t stamp, struct blob *value)
{
    CHECK(key.len < UINT32_MAX);
    struct cow_entry *e = mem_alloc(sizeof *e + key.len + 1);
    atomic_init(&e->refs, 1);
    e->key_len = (uint32_t)key.len;
    e->stamp = stamp;
    e->value = value;
    str_put(e->key, key);
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
