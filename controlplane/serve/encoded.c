/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Items in a table of slots, found through chains of slot numbers (0: the end) and tied by age in two rings, one of
 * what stays and one of what passes, whose places are the slots 0 and 1: ring.newer is the oldest, ring.older the newest.
 */
#include "controlplane/serve/encoded.h"

#include "base/check.h"
#include "base/lock.h"
#include "base/mem.h"

enum {
    HEADS = 2 * ENCODED_COUNT_MAX,
    SLOTS = ENCODED_STAY__COUNT + ENCODED_COUNT_MAX,
    ITEM_COST = 240,      /* Of an item beside its bytes. */
    TRIM_LEAST = 4 << 20, /* Freed at once, this is worth giving back. */
};

struct item {
    struct encoded_key key;
    struct blob *bytes;
    struct instant used;
    enum encoded_stay stay;
    uint32_t next; /* In its chain, or of the free ones. */
    uint32_t newer, older;
};

struct encoded {
    struct lock lock;
    size_t limit, used[ENCODED_STAY__COUNT];
    uint32_t taken, free_first;
    uint32_t *heads;
    struct item *items; /* The first ones are the rings' places. */
};

struct encoded *encoded_new(size_t limit_bytes)
{
    struct encoded *t = mem_zalloc(1, sizeof *t);
    lock_init(&t->lock);
    t->limit = limit_bytes;
    t->heads = mem_reserve(HEADS, sizeof *t->heads);
    t->items = mem_reserve(SLOTS, sizeof *t->items);
    t->taken = ENCODED_STAY__COUNT;
    for (uint32_t ring = 0; ring < ENCODED_STAY__COUNT; ring++)
        t->items[ring].newer = t->items[ring].older = ring;
    return t;
}

void encoded_free(struct encoded *t)
{
    if (t == NULL)
        return;
    for (uint32_t i = ENCODED_STAY__COUNT; i < t->taken; i++)
        blob_unref(t->items[i].bytes);
    mem_release(t->heads, HEADS, sizeof *t->heads);
    mem_release(t->items, SLOTS, sizeof *t->items);
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
    uint32_t ring = t->items[i].stay, newest = t->items[ring].older;
    t->items[i].older = newest;
    t->items[i].newer = ring;
    t->items[newest].newer = i;
    t->items[ring].older = i;
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

static bool has_any(const struct encoded *t, enum encoded_stay stay)
{
    return t->items[stay].newer != (uint32_t)stay;
}

static void drop_oldest(struct encoded *t, enum encoded_stay stay)
{
    CHECK(has_any(t, stay));
    uint32_t i = t->items[stay].newer, *at = head_of(t, &t->items[i].key);
    while (*at != i)
        at = &t->items[*at].next;
    *at = t->items[i].next;
    untie(t, i);
    t->used[stay] -= t->items[i].bytes->len + ITEM_COST;
    blob_unref(t->items[i].bytes);
    t->items[i] = (struct item){.next = t->free_first};
    t->free_first = i;
}

static uint32_t slot_take(struct encoded *t)
{
    if (t->free_first == 0 && t->taken == SLOTS)
        drop_oldest(t, has_any(t, ENCODED_PASSES) ? ENCODED_PASSES : ENCODED_STAYS);
    uint32_t i = t->free_first;
    if (i == 0)
        return t->taken++;
    t->free_first = t->items[i].next;
    return i;
}

/* What stays drives out only what nobody asked for of late; else a newcomer passes. Lists are read round and round: when
 * each newcomer drove out the oldest, one that is a little too long would never find any of itself. */
static enum encoded_stay stay_if_room(struct encoded *t, size_t cost, struct instant now)
{
    while (t->used[ENCODED_STAYS] + cost > encoded_room(t, ENCODED_STAYS)) {
        const struct item *oldest = &t->items[t->items[ENCODED_STAYS].newer];
        if (!instant_due(instant_add(oldest->used, SPAN_S(ENCODED_FRESH_S)), now))
            return ENCODED_PASSES;
        drop_oldest(t, ENCODED_STAYS);
    }
    return ENCODED_STAYS;
}

void encoded_put(struct encoded *t, const struct encoded_key *key, struct blob *bytes,
                 enum encoded_stay stay, struct instant now)
{
    size_t cost = bytes->len + ITEM_COST;
    CHECK(key->count > 0 && key->count <= ENCODED_RUN_MAX);
    if (bytes->len > ENCODED_ITEM_MAX || cost > t->limit / 2)
        return;
    lock_take(&t->lock);
    if (item_find(t, key) == 0) {
        if (stay == ENCODED_STAYS)
            stay = stay_if_room(t, cost, now);
        while (t->used[stay] + cost > encoded_room(t, stay))
            drop_oldest(t, stay);
        uint32_t i = slot_take(t), *head = head_of(t, key);
        t->items[i] = (struct item){
            .key = *key, .bytes = blob_ref(bytes), .used = now, .stay = stay, .next = *head};
        *head = i;
        tie_newest(t, i);
        t->used[stay] += cost;
    }
    lock_give(&t->lock);
}

static size_t used(const struct encoded *t)
{
    return t->used[ENCODED_STAYS] + t->used[ENCODED_PASSES];
}

void encoded_expire(struct encoded *t, struct instant since)
{
    lock_take(&t->lock);
    size_t before = used(t);
    for (enum encoded_stay stay = 0; stay < ENCODED_STAY__COUNT; stay++)
        while (has_any(t, stay) && t->items[t->items[stay].newer].used.ns < since.ns)
            drop_oldest(t, stay);
    size_t freed = before - used(t);
    lock_give(&t->lock);
    if (freed >= TRIM_LEAST)
        mem_trim();
}

size_t encoded_bytes(struct encoded *t)
{
    lock_take(&t->lock);
    size_t bytes = used(t);
    lock_give(&t->lock);
    return bytes;
}

size_t encoded_room(const struct encoded *t, enum encoded_stay stay)
{
    size_t passing = t->limit / 2;
    return stay == ENCODED_PASSES ? passing : t->limit - passing;
}
