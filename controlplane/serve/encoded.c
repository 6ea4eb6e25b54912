/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Items in a table of slots, found through chains of slot numbers (slot + 1; 0: the end) and tied by age in a ring
 * whose place is slot 0: ring.newer is the oldest, ring.older the newest.
 */
#include "controlplane/serve/encoded.h"

#include "base/check.h"
#include "base/lock.h"
#include "base/mem.h"

enum {
    HEADS = 2 * ENCODED_COUNT_MAX,
    ITEM_COST = 240,      /* Of an item beside its bytes. */
    TRIM_LEAST = 4 << 20, /* Freed at once, this is worth giving back. */
};

struct item {
    struct encoded_key key;
    struct blob *bytes;
    struct instant used;
    uint32_t next; /* In its chain, or of the free ones. */
    uint32_t newer, older;
};

struct encoded {
    struct lock lock;
    size_t limit, used;
    uint32_t taken, free_first;
    uint32_t *heads;
    struct item *items; /* Slot 0 is the ring's place. */
};

struct encoded *encoded_new(size_t limit_bytes)
{
    struct encoded *t = mem_zalloc(1, sizeof *t);
    lock_init(&t->lock);
    t->limit = limit_bytes;
    t->heads = mem_reserve(HEADS, sizeof *t->heads);
    t->items = mem_reserve(ENCODED_COUNT_MAX + 1, sizeof *t->items);
    return t;
}

void encoded_free(struct encoded *t)
{
    if (t == NULL)
        return;
    for (uint32_t i = t->items[0].newer; i != 0; i = t->items[i].newer)
        blob_unref(t->items[i].bytes);
    mem_release(t->heads, HEADS, sizeof *t->heads);
    mem_release(t->items, ENCODED_COUNT_MAX + 1, sizeof *t->items);
    lock_fini(&t->lock);
    mem_free(t);
}

static uint32_t *head_of(const struct encoded *t, const struct encoded_key *k)
{
    uint64_t hash = (uintptr_t)k->kind + k->form;
    for (uint32_t i = 0; i < k->count; i++)
        hash = (hash ^ k->revisions[i]) * 0x9e3779b97f4a7c15u;
    hash = (hash ^ hash >> 29) * 0xbf58476d1ce4e5b9u;
    return &t->heads[(hash >> 32) % HEADS];
}

static bool is_key(const struct encoded_key *a, const struct encoded_key *b)
{
    return a->count == b->count && a->form == b->form && a->kind == b->kind &&
           memcmp(a->revisions, b->revisions, a->count * sizeof a->revisions[0]) == 0;
}

static void untie(struct encoded *t, uint32_t i)
{
    t->items[t->items[i].newer].older = t->items[i].older;
    t->items[t->items[i].older].newer = t->items[i].newer;
}

static void tie_newest(struct encoded *t, uint32_t i)
{
    uint32_t newest = t->items[0].older;
    t->items[i].older = newest;
    t->items[i].newer = 0;
    t->items[newest].newer = i;
    t->items[0].older = i;
}

static uint32_t item_find(const struct encoded *t, const struct encoded_key *key)
{
    uint32_t i = *head_of(t, key);
    while (i != 0 && !is_key(&t->items[i].key, key))
        i = t->items[i].next;
    return i;
}

struct blob *encoded_find(struct encoded *t, const struct encoded_key *key, struct instant now)
{
    lock_take(&t->lock);
    uint32_t i = item_find(t, key);
    struct blob *found = NULL;
    if (i != 0) {
        untie(t, i);
        tie_newest(t, i);
        t->items[i].used = now;
        found = blob_ref(t->items[i].bytes);
    }
    lock_give(&t->lock);
    return found;
}

static void drop_oldest(struct encoded *t)
{
    uint32_t i = t->items[0].newer, *at = head_of(t, &t->items[i].key);
    CHECK(i != 0);
    while (*at != i)
        at = &t->items[*at].next;
    *at = t->items[i].next;
    untie(t, i);
    t->used -= t->items[i].bytes->len + ITEM_COST;
    blob_unref(t->items[i].bytes);
    t->items[i] = (struct item){.next = t->free_first};
    t->free_first = i;
}

static uint32_t slot_take(struct encoded *t)
{
    if (t->free_first == 0 && t->taken == ENCODED_COUNT_MAX)
        drop_oldest(t);
    uint32_t i = t->free_first;
    if (i == 0)
        return ++t->taken;
    t->free_first = t->items[i].next;
    return i;
}

void encoded_put(struct encoded *t, const struct encoded_key *key, struct blob *bytes,
                 struct instant now)
{
    size_t cost = bytes->len + ITEM_COST;
    CHECK(key->count > 0 && key->count <= ENCODED_RUN_MAX);
    if (bytes->len > ENCODED_ITEM_MAX || cost > t->limit)
        return;
    lock_take(&t->lock);
    if (item_find(t, key) == 0) {
        while (t->used + cost > t->limit)
            drop_oldest(t);
        uint32_t i = slot_take(t), *head = head_of(t, key);
        t->items[i] =
            (struct item){.key = *key, .bytes = blob_ref(bytes), .used = now, .next = *head};
        *head = i;
        tie_newest(t, i);
        t->used += cost;
    }
    lock_give(&t->lock);
}

void encoded_expire(struct encoded *t, struct instant since)
{
    lock_take(&t->lock);
    size_t before = t->used;
    while (t->items[0].newer != 0 && t->items[t->items[0].newer].used.ns < since.ns)
        drop_oldest(t);
    size_t freed = before - t->used;
    lock_give(&t->lock);
    if (freed >= TRIM_LEAST)
        mem_trim();
}

size_t encoded_bytes(struct encoded *t)
{
    lock_take(&t->lock);
    size_t used = t->used;
    lock_give(&t->lock);
    return used;
}

size_t encoded_limit(const struct encoded *t)
{
    return t->limit;
}
