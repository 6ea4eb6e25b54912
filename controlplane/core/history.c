/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A change has a number, counted from 0 and never used again; it lies at that number modulo the ring's
 * size. Numbers from first up to published are seen by readers, those up to next are the core's until
 * it publishes. Each change knows the number of the one before it with the same topic.
 */
#include "controlplane/core/history.h"

#include "base/check.h"
#include "base/lock.h"
#include "base/mem.h"

enum {
    HISTORY_AGE_S = 300, /* Kubernetes' clients count on five minutes. */
    HISTORY_OVERHEAD = 128,
    RING_MIN = 1024,
    TOPICS_MIN = 64,
};

static const uint64_t NONE = UINT64_MAX; /* No number. */

struct slot {
    struct history_change change;
    struct instant at;
    uint64_t topic_before; /* A number, perhaps of one that is dropped already. */
    uint64_t bytes;
};

struct topic {
    uint64_t topic, last; /* topic 0: a free place. */
};

struct history {
    atomic_uint_fast64_t shown; /* The head, once everything up to it can be read. */
    struct lock lock;           /* Around everything below. */
    struct slot *ring;
    uint64_t ring_size; /* A power of two. */
    uint64_t first, published, next;
    uint64_t oldest, head; /* Revisions. */
    size_t bytes, limit_bytes;
    struct topic *topics;
    uint32_t topics_count, topics_size;
};

static void change_free(struct history_change *c);

struct history *history_new(size_t limit_bytes)
{
    struct history *h = mem_zalloc(1, sizeof *h);
    lock_init(&h->lock);
    h->limit_bytes = limit_bytes == 0 ? HISTORY_BYTES_DEFAULT : limit_bytes;
    h->ring_size = RING_MIN;
    h->ring = mem_zalloc(h->ring_size, sizeof *h->ring);
    h->topics_size = TOPICS_MIN;
    h->topics = mem_zalloc(h->topics_size, sizeof *h->topics);
    return h;
}

static struct slot *slot_at(struct history *h, uint64_t number)
{
    return &h->ring[number & (h->ring_size - 1)];
}

/* ---- Reading ---- */

/* The first published number whose revision lies behind after. */
static uint64_t find_behind(struct history *h, uint64_t after)
{
    uint64_t low = h->first, high = h->published;
    while (low < high) {
        uint64_t mid = low + (high - low) / 2;
        if (slot_at(h, mid)->change.revision <= after)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void batch_add(struct history_batch *b, const struct history_change *c)
{
    struct history_change *copy = &b->at[b->count++];
    *copy = *c;
    cow_entry_ref(copy->before);
    cow_entry_ref(copy->now);
}

static void read_all(struct history *h, uint64_t after, struct str prefix,
                     struct history_batch *out)
{
    uint64_t number = find_behind(h, after);
    uint64_t end = min_u64(h->published, number + HISTORY_LOOK_MAX);
    for (; number < end && out->count < HISTORY_READ_MAX; number++) {
        const struct history_change *c = &slot_at(h, number)->change;
        if (str_starts(cow_entry_key(c->now), prefix))
            batch_add(out, c);
        out->seen = c->revision;
    }
    out->more = number < h->published;
}

static struct topic *topic_at(struct history *h, uint64_t topic)
{
    uint32_t mask = h->topics_size - 1, i = (uint32_t)topic & mask;
    while (h->topics[i].topic != 0 && h->topics[i].topic != topic)
        i = (i + 1) & mask;
    return &h->topics[i];
}

/* The chain leads from the latest change backwards: the last ones met are those to give first. */
static void read_topic(struct history *h, uint64_t after, const struct history_filter *f,
                       struct history_batch *out)
{
    uint64_t met[HISTORY_READ_MAX], met_count = 0;
    const struct topic *t = topic_at(h, f->topic);
    uint64_t number = t->topic == 0 ? NONE : t->last;
    while (number != NONE && number >= h->first) {
        const struct slot *s = slot_at(h, number);
        if (s->change.revision <= after)
            break;
        if (number < h->published && str_starts(cow_entry_key(s->change.now), f->prefix))
            met[met_count++ % HISTORY_READ_MAX] = number;
        number = s->topic_before;
    }
    out->more = met_count > HISTORY_READ_MAX;
    for (uint32_t i = 0; i < HISTORY_READ_MAX && i < met_count; i++) {
        uint64_t back = met_count - 1 - i;
        const struct history_change *c = &slot_at(h, met[back % HISTORY_READ_MAX])->change;
        batch_add(out, c);
        out->seen = c->revision;
    }
}

enum err_code history_read(struct history *h, uint64_t after, const struct history_filter *filter,
                           struct history_batch *out, struct err *e)
{
    lock_take(&h->lock);
    if (after < h->oldest) {
        uint64_t oldest = h->oldest;
        lock_give(&h->lock);
        return err_set(e, ERR_NOT_FOUND, "too old resource version: %llu (%llu)",
                       (unsigned long long)after, (unsigned long long)oldest);
    }
    out->count = 0;
    out->seen = after;
    if (filter->topic != 0)
        read_topic(h, after, filter, out);
    else
        read_all(h, after, filter->prefix, out);
    if (!out->more) /* Nothing else happened up to the head, gaps included. */
        out->seen = max_u64(after, h->head);
    lock_give(&h->lock);
    return ERR_OK;
}

void history_batch_free(struct history_batch *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        change_free(&b->at[i]);
    b->count = 0;
}

struct history_bounds history_bounds(struct history *h)
{
    lock_take(&h->lock);
    struct history_bounds b = {.oldest = h->oldest,
                               .head = h->head,
                               .bytes = h->bytes,
                               .count = (uint32_t)(h->next - h->first)};
    lock_give(&h->lock);
    return b;
}

/* ---- The core's side ---- */

static void drop_first(struct history *h)
{
    struct slot *s = slot_at(h, h->first);
    h->first++;
    h->bytes -= s->bytes;
    h->oldest = max_u64(h->oldest, s->change.revision);
    change_free(&s->change);
}

static void ring_grow(struct history *h)
{
    uint64_t size = h->ring_size * 2;
    struct slot *ring = mem_zalloc(size, sizeof *ring);
    for (uint64_t n = h->first; n < h->next; n++)
        ring[n & (size - 1)] = *slot_at(h, n);
    mem_free(h->ring);
    h->ring = ring;
    h->ring_size = size;
}

/* Topics whose last change has left the ring are forgotten. */
static void topics_grow(struct history *h)
{
    struct topic *old = h->topics;
    uint32_t old_size = h->topics_size, live = 0;
    for (uint32_t i = 0; i < old_size; i++)
        live += old[i].topic != 0 && old[i].last >= h->first;
    while (live * 4 >= h->topics_size * 2)
        h->topics_size *= 2;
    h->topics = mem_zalloc(h->topics_size, sizeof *h->topics);
    h->topics_count = live;
    for (uint32_t i = 0; i < old_size; i++)
        if (old[i].topic != 0 && old[i].last >= h->first)
            *topic_at(h, old[i].topic) = old[i];
    mem_free(old);
}

static uint64_t topic_link(struct history *h, uint64_t topic, uint64_t number)
{
    if (topic == 0)
        return NONE;
    if (h->topics_count * 4 >= h->topics_size * 3)
        topics_grow(h);
    struct topic *t = topic_at(h, topic);
    uint64_t before = NONE;
    if (t->topic == 0) {
        t->topic = topic;
        h->topics_count++;
    } else {
        before = t->last;
    }
    t->last = number;
    return before;
}

/* What this change keeps in memory: its own state, and the one before where the ring does not hold
 * that as a change of its own. */
static uint64_t change_bytes(const struct history *h, const struct history_change *c)
{
    uint64_t bytes = HISTORY_OVERHEAD + c->now->key_len + blob_str(c->now->value).len;
    if (c->before != NULL && c->before->stamp <= h->oldest)
        bytes += c->before->key_len + blob_str(c->before->value).len;
    return bytes;
}

void history_append(struct history *h, const struct history_change *change, struct instant now)
{
    lock_take(&h->lock);
    CHECK(h->next == h->first || slot_at(h, h->next - 1)->change.revision < change->revision);
    if (h->next - h->first == h->ring_size) {
        if (h->ring_size < HISTORY_COUNT_MAX)
            ring_grow(h);
        else
            drop_first(h);
    }
    uint64_t number = h->next++;
    struct slot *s = slot_at(h, number);
    *s = (struct slot){.change = *change,
                       .at = now,
                       .bytes = change_bytes(h, change),
                       .topic_before = topic_link(h, change->topic, number)};
    h->bytes += s->bytes;
    lock_give(&h->lock);
}

static bool is_too_much(struct history *h, struct instant now)
{
    if (h->first == h->published)
        return false;
    if (h->bytes > h->limit_bytes)
        return true;
    int64_t age_ns = instant_sub(now, slot_at(h, h->first)->at).ns;
    return h->bytes > h->limit_bytes / 8 && age_ns > SPAN_S(HISTORY_AGE_S).ns;
}

void history_publish(struct history *h, uint64_t head, struct instant now)
{
    lock_take(&h->lock);
    CHECK(head >= h->head);
    h->published = h->next;
    h->head = head;
    while (is_too_much(h, now))
        drop_first(h);
    lock_give(&h->lock);
    atomic_store_explicit(&h->shown, head, memory_order_release);
}

uint64_t history_head(const struct history *h)
{
    return atomic_load_explicit(&h->shown, memory_order_acquire);
}

void history_forget(struct history *h, uint64_t revision)
{
    lock_take(&h->lock);
    h->published = h->next;
    while (h->first < h->next && slot_at(h, h->first)->change.revision <= revision)
        drop_first(h);
    h->oldest = max_u64(h->oldest, revision);
    lock_give(&h->lock);
}

void history_begin_anew(struct history *h)
{
    lock_take(&h->lock);
    CHECK(h->published == 0);
    uint64_t oldest = h->oldest;
    while (h->first < h->next)
        drop_first(h);
    h->oldest = oldest;
    lock_give(&h->lock);
}

static void change_free(struct history_change *c)
{
    cow_entry_unref(c->before);
    cow_entry_unref(c->now);
    c->before = c->now = NULL;
}

void history_free(struct history *h)
{
    if (h == NULL)
        return;
    while (h->first < h->next)
        drop_first(h);
    lock_fini(&h->lock);
    mem_free(h->ring);
    mem_free(h->topics);
    mem_free(h);
}
