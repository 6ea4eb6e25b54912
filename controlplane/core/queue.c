/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ready entries are in their lane's heap (a lane is a namespace) and in one list by the time they became
 * ready; all others but those being tried are in one heap by time: when a back-off ends, or when a blocked
 * one is tried without an event.
 */
#include "controlplane/core/queue.h"

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"

enum entry_state { READY, RESTING, BLOCKED, TRYING };

struct lane;

struct entry {
    struct str key;
    struct lane *lane;
    enum entry_state state;
    int32_t priority;
    uint32_t attempts;
    uint64_t since; /* Order of arrival. */
    uint64_t needs, version;
    struct instant rest_until; /* Back-off. */
    struct instant at;         /* RESTING, BLOCKED: when it is looked at. */
    uint32_t heap_at;          /* In the lane's heap or in the heap by time. */
    struct entry *next, *prev; /* READY: by the time it became so. */
    char text[];
};

/* Sorted by a comparison; an entry knows its place. */
struct heap {
    struct entry **at;
    uint32_t count, size;
    bool (*before)(const struct entry *a, const struct entry *b);
};

struct lane {
    struct heap ready;
    uint64_t served; /* The turn it was served last. */
    uint32_t entries;
    struct str name;
    char text[];
};

struct queue {
    struct map by_key, lanes;
    struct heap timers;
    struct entry *ready_first, *ready_last;
    uint64_t arrivals, turns, events;
};

static bool more_urgent(const struct entry *a, const struct entry *b)
{
    return a->priority != b->priority ? a->priority > b->priority : a->since < b->since;
}

static bool earlier(const struct entry *a, const struct entry *b)
{
    return a->at.ns != b->at.ns ? a->at.ns < b->at.ns : a->since < b->since;
}

/* ---- heaps ---- */

static void heap_set(struct heap *h, uint32_t at, struct entry *e)
{
    h->at[at] = e;
    e->heap_at = at;
}

static void heap_up(struct heap *h, uint32_t at)
{
    struct entry *e = h->at[at];
    for (; at > 0 && h->before(e, h->at[(at - 1) / 2]); at = (at - 1) / 2)
        heap_set(h, at, h->at[(at - 1) / 2]);
    heap_set(h, at, e);
}

static void heap_down(struct heap *h, uint32_t at)
{
    struct entry *e = h->at[at];
    for (uint32_t child; (child = at * 2 + 1) < h->count; at = child) {
        if (child + 1 < h->count && h->before(h->at[child + 1], h->at[child]))
            child++;
        if (!h->before(h->at[child], e))
            break;
        heap_set(h, at, h->at[child]);
    }
    heap_set(h, at, e);
}

static void heap_add(struct heap *h, struct entry *e)
{
    if (h->count == h->size) {
        h->size = h->size == 0 ? 16 : h->size * 2;
        h->at = mem_resize(h->at, h->size * sizeof(struct entry *));
    }
    h->at[h->count++] = e;
    heap_up(h, h->count - 1);
}

static void heap_remove(struct heap *h, struct entry *e)
{
    uint32_t at = e->heap_at;
    struct entry *moved = h->at[--h->count];
    if (moved == e)
        return;
    heap_set(h, at, moved);
    heap_up(h, at);
    heap_down(h, moved->heap_at);
}

/* ---- states ---- */

static void leave(struct queue *q, struct entry *e)
{
    if (e->state == READY) {
        heap_remove(&e->lane->ready, e);
        *(e->prev == NULL ? &q->ready_first : &e->prev->next) = e->next;
        *(e->next == NULL ? &q->ready_last : &e->next->prev) = e->prev;
    } else if (e->state != TRYING) {
        heap_remove(&q->timers, e);
    }
    e->state = TRYING;
}

static void make_ready(struct queue *q, struct entry *e)
{
    if (e->state == READY)
        return;
    leave(q, e);
    e->state = READY;
    heap_add(&e->lane->ready, e);
    e->next = NULL;
    e->prev = q->ready_last;
    *(q->ready_last == NULL ? &q->ready_first : &q->ready_last->next) = e;
    q->ready_last = e;
}

static void wait_until(struct queue *q, struct entry *e, enum entry_state state, struct instant at)
{
    leave(q, e);
    e->state = state;
    e->at = at;
    heap_add(&q->timers, e);
}

/* ---- in and out ---- */

struct queue *queue_new(void)
{
    struct queue *q = mem_zalloc(1, sizeof *q);
    map_init(&q->by_key, QUEUE_MAX);
    map_init(&q->lanes, QUEUE_MAX);
    q->timers.before = earlier;
    return q;
}

static struct lane *lane_of(struct queue *q, struct str name)
{
    struct lane *l = map_find(&q->lanes, name);
    if (l != NULL)
        return l;
    l = mem_zalloc(1, sizeof *l + name.len + 1);
    str_put(l->text, name);
    l->name = str_from(l->text, name.len);
    l->ready.before = more_urgent;
    l->served = q->turns; /* A new one does not overtake everybody who came before it. */
    CHECK(map_put(&q->lanes, l->name, l) == ERR_OK); /* No more lanes than entries. */
    return l;
}

static void lane_give(struct queue *q, struct lane *l)
{
    if (--l->entries > 0)
        return;
    map_remove(&q->lanes, l->name);
    mem_free(l->ready.at);
    mem_free(l);
}

static struct entry *entry_new(struct queue *q, struct str key, struct str namespace)
{
    struct entry *e = mem_zalloc(1, sizeof *e + key.len + 1);
    str_put(e->text, key);
    e->key = str_from(e->text, key.len);
    e->state = TRYING;
    e->since = ++q->arrivals;
    if (map_put(&q->by_key, e->key, e) != ERR_OK) {
        mem_free(e);
        return NULL;
    }
    e->lane = lane_of(q, namespace);
    e->lane->entries++;
    return e;
}

bool queue_put(struct queue *q, struct str key, struct str namespace, int32_t priority,
               uint64_t version, struct instant now)
{
    struct entry *e = map_find(&q->by_key, key);
    bool is_new = e == NULL;
    if (is_new)
        e = entry_new(q, key, namespace);
    if (e == NULL)
        return false;
    if (!is_new && e->version == version && e->priority == priority)
        return true;
    bool was_trying = !is_new && e->state == TRYING;
    leave(q, e);
    e->version = version;
    e->priority = priority;
    e->attempts = 0;
    e->rest_until = now;
    if (!was_trying) /* Its attempt is under way and sees the change. */
        make_ready(q, e);
    return true;
}

void queue_drop(struct queue *q, struct str key)
{
    struct entry *e = map_remove(&q->by_key, key);
    if (e == NULL)
        return;
    leave(q, e);
    lane_give(q, e->lane);
    mem_free(e);
}

bool queue_has(const struct queue *q, struct str key)
{
    return map_find(&q->by_key, key) != NULL;
}

bool queue_is_trying(const struct queue *q, struct str key)
{
    const struct entry *e = map_find(&q->by_key, key);
    return e != NULL && e->state == TRYING;
}

uint32_t queue_count(const struct queue *q)
{
    return q->by_key.live;
}

void queue_free(struct queue *q)
{
    const struct map_entry *m;
    if (q == NULL)
        return;
    for (uint32_t at = 0; (m = map_next(&q->by_key, &at)) != NULL;)
        mem_free(m->value);
    for (uint32_t at = 0; (m = map_next(&q->lanes, &at)) != NULL;) {
        mem_free(((struct lane *)m->value)->ready.at);
        mem_free(m->value);
    }
    map_fini(&q->by_key);
    map_fini(&q->lanes);
    mem_free(q->timers.at);
    mem_free(q);
}

/* ---- waiting ---- */

void queue_failed(struct queue *q, struct str key, uint64_t needs, struct instant now)
{
    struct entry *e = map_find(&q->by_key, key);
    if (e == NULL)
        return;
    int64_t rest_ms = e->attempts < 8 ? (int64_t)QUEUE_REST_MS << e->attempts : QUEUE_REST_MAX_MS;
    if (rest_ms > QUEUE_REST_MAX_MS)
        rest_ms = QUEUE_REST_MAX_MS;
    e->attempts++;
    e->needs = needs;
    e->rest_until = instant_add(now, SPAN_MS(rest_ms));
    wait_until(q, e, BLOCKED, instant_add(now, SPAN_S(QUEUE_BLOCKED_MAX_S)));
}

void queue_event(struct queue *q, uint64_t event)
{
    q->events |= event;
}

void queue_wake(struct queue *q, struct str key, struct instant now)
{
    struct entry *e = map_find(&q->by_key, key);
    if (e == NULL)
        return;
    e->rest_until = now;
    make_ready(q, e);
}

static void apply_events(struct queue *q, struct instant now)
{
    const struct map_entry *m;
    uint64_t events = q->events;
    q->events = 0;
    for (uint32_t at = 0; events != 0 && (m = map_next(&q->by_key, &at)) != NULL;) {
        struct entry *e = m->value;
        if (e->state != BLOCKED || (e->needs & events) == 0)
            continue;
        if (e->rest_until.ns <= now.ns)
            make_ready(q, e);
        else
            wait_until(q, e, RESTING, e->rest_until);
    }
    while (q->timers.count > 0 && q->timers.at[0]->at.ns <= now.ns)
        make_ready(q, q->timers.at[0]);
}

/* ---- choosing ---- */

static struct entry *most_urgent(const struct queue *q)
{
    const struct map_entry *m;
    struct entry *best = NULL;
    for (uint32_t at = 0; (m = map_next(&q->lanes, &at)) != NULL;) {
        const struct lane *l = m->value;
        struct entry *e = l->ready.count == 0 ? NULL : l->ready.at[0];
        if (e == NULL)
            continue;
        if (best == NULL || e->priority > best->priority ||
            (e->priority == best->priority && l->served < best->lane->served))
            best = e;
    }
    return best;
}

struct str queue_next(struct queue *q, struct instant now)
{
    apply_events(q, now);
    if (q->ready_first == NULL)
        return (struct str){NULL, 0};
    q->turns++;
    struct entry *e = q->turns % QUEUE_TURN == 0 ? q->ready_first : most_urgent(q);
    e->lane->served = q->turns;
    leave(q, e);
    return e->key;
}

struct instant queue_deadline(const struct queue *q, struct instant now)
{
    if (q->ready_first != NULL || (q->events != 0 && q->by_key.live > 0))
        return now.ns > 0 ? now : (struct instant){1};
    return q->timers.count > 0 ? q->timers.at[0]->at : (struct instant){0};
}
