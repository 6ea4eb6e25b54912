/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that controllers are to look at: each once, now (a list in order of marking) or at an instant
 * (a heap). What is marked now is not put off; what waits is brought forward, never back.
 */
#include "controlplane/core/writes_priv.h"

#include "base/check.h"
#include "base/mem.h"

enum {
    RUN_MAX = 256,       /* Reconciles a turn: clients' writes come between. */
    LATER_MS = 10,       /* RECONCILE_LATER: by then what was in flight is durable. */
    LATER_EACH_US = 100, /* More for each that waits so: a disk that hangs costs no processor. */
    MARKS_MAX = 1 << 24,
    HEAP_NONE = -1,
};

struct mark {
    struct mark *next;
    struct str key;
    struct instant at;
    int64_t heap_at; /* Place in the heap; HEAP_NONE: in the list. */
    bool later;      /* In the heap after RECONCILE_LATER. */
    enum core_control control;
    char text[];
};

struct core_marks {
    struct map by_key[CONTROL__COUNT];
    struct mark *first, *last;
    struct mark **heap;
    uint32_t heap_count, heap_size, later_count;
};

struct core_marks *marks_new(void)
{
    struct core_marks *m = mem_zalloc(1, sizeof *m);
    for (uint32_t i = 0; i < CONTROL__COUNT; i++)
        map_init(&m->by_key[i], MARKS_MAX);
    return m;
}

/* ---- The heap, by instant ---- */

static void heap_set(struct core_marks *m, uint32_t at, struct mark *mark)
{
    m->heap[at] = mark;
    mark->heap_at = at;
}

static void heap_up(struct core_marks *m, uint32_t at)
{
    struct mark *mark = m->heap[at];
    while (at > 0 && m->heap[(at - 1) / 2]->at.ns > mark->at.ns) {
        heap_set(m, at, m->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_set(m, at, mark);
}

static void heap_down(struct core_marks *m, uint32_t at)
{
    struct mark *mark = m->heap[at];
    for (uint32_t child; (child = at * 2 + 1) < m->heap_count; at = child) {
        if (child + 1 < m->heap_count && m->heap[child + 1]->at.ns < m->heap[child]->at.ns)
            child++;
        if (m->heap[child]->at.ns >= mark->at.ns)
            break;
        heap_set(m, at, m->heap[child]);
    }
    heap_set(m, at, mark);
}

static void heap_add(struct core_marks *m, struct mark *mark)
{
    if (m->heap_count == m->heap_size) {
        m->heap_size = m->heap_size == 0 ? 64 : m->heap_size * 2;
        m->heap = mem_resize(m->heap, m->heap_size * sizeof *m->heap);
    }
    m->heap[m->heap_count++] = mark;
    heap_up(m, m->heap_count - 1);
}

static void heap_remove(struct core_marks *m, struct mark *mark)
{
    uint32_t at = (uint32_t)mark->heap_at;
    struct mark *moved = m->heap[--m->heap_count];
    mark->heap_at = HEAP_NONE;
    m->later_count -= mark->later;
    mark->later = false;
    if (moved == mark)
        return;
    heap_set(m, at, moved);
    heap_up(m, at);
    heap_down(m, (uint32_t)moved->heap_at);
}

/* ---- Marking ---- */

static void list_add(struct core_marks *m, struct mark *mark)
{
    mark->heap_at = HEAP_NONE;
    mark->next = NULL;
    if (m->last == NULL)
        m->first = mark;
    else
        m->last->next = mark;
    m->last = mark;
}

static struct mark *mark_new(struct core_marks *m, enum core_control control, struct str key)
{
    struct mark *mark = mem_zalloc(1, sizeof *mark + key.len + 1);
    str_put(mark->text, key);
    mark->key = str_from(mark->text, key.len);
    mark->control = control;
    CHECK(map_put(&m->by_key[control], mark->key, mark) == ERR_OK);
    return mark;
}

void core_mark(struct core *c, enum core_control control, struct str key)
{
    struct core_marks *m = c->marks;
    struct mark *mark = map_find(&m->by_key[control], key);
    if (mark == NULL)
        mark = mark_new(m, control, key);
    else if (mark->heap_at != HEAP_NONE)
        heap_remove(m, mark);
    else
        return;
    list_add(m, mark);
}

/* In the heap, if that brings it forward; NULL: it stands where it stood. */
static struct mark *mark_at(struct core_marks *m, enum core_control control, struct str key,
                            struct instant at)
{
    struct mark *mark = map_find(&m->by_key[control], key);
    if (mark != NULL && (mark->heap_at == HEAP_NONE || mark->at.ns <= at.ns))
        return NULL;
    if (mark == NULL)
        mark = mark_new(m, control, key);
    else
        heap_remove(m, mark);
    mark->at = at;
    heap_add(m, mark);
    return mark;
}

void core_mark_at(struct core *c, enum core_control control, struct str key, struct instant at)
{
    mark_at(c->marks, control, key, at);
}

static void mark_later(struct core *c, const struct mark *busy)
{
    struct core_marks *m = c->marks;
    int64_t ns = SPAN_MS(LATER_MS).ns + (int64_t)m->later_count * LATER_EACH_US * 1000;
    struct mark *mark =
        mark_at(m, busy->control, busy->key, instant_add(c->now, (struct span){ns}));
    if (mark != NULL) {
        mark->later = true;
        m->later_count++;
    }
}

/* ---- Running ---- */

static struct mark *take_first(struct core_marks *m)
{
    struct mark *mark = m->first;
    m->first = mark->next;
    if (m->first == NULL)
        m->last = NULL;
    map_remove(&m->by_key[mark->control], mark->key);
    return mark;
}

void marks_run(struct core *c)
{
    struct core_marks *m = c->marks;
    while (m->heap_count > 0 && instant_due(m->heap[0]->at, c->now)) {
        struct mark *due = m->heap[0];
        heap_remove(m, due);
        list_add(m, due);
    }
    for (uint32_t i = 0; i < RUN_MAX && m->first != NULL && commit_has_room(c); i++) {
        struct mark *mark = take_first(m);
        struct core_part part;
        core_part_begin(c, &part);
        c->reconciling = mark->key;
        c->reconciling_control = mark->control;
        enum reconcile result = c->above->reconcile(c, mark->control, mark->key);
        c->reconciling = (struct str){NULL, 0};
        core_part_end(c, &part);
        if (result == RECONCILE_LATER)
            mark_later(c, mark);
        mem_free(mark);
    }
}

struct instant marks_deadline(const struct core *c)
{
    const struct core_marks *m = c->marks;
    if (m->first != NULL && commit_has_room(c))
        return c->now.ns > 0 ? c->now : (struct instant){1};
    return m->heap_count > 0 ? m->heap[0]->at : (struct instant){0};
}

void marks_free(struct core_marks *m)
{
    while (m->first != NULL)
        mem_free(take_first(m));
    for (uint32_t i = 0; i < m->heap_count; i++)
        mem_free(m->heap[i]);
    for (uint32_t i = 0; i < CONTROL__COUNT; i++)
        map_fini(&m->by_key[i]);
    mem_free(m->heap);
    mem_free(m);
}
