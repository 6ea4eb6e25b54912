/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/core/disk.h"
#include "nodeagent/core/agent_priv.h"
#include "nodeagent/core/disk_priv.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    INODES_RESERVE = 20, /* One in so many is kept free (Kubernetes: nodefs.inodesFree). */
    WALK_REST = 4,       /* Times as long as looking took, nobody looks. */
    WORTH = 256,         /* Who holds less than such a part of the reserve is not in the way. */
    PRIORITY_CRITICAL = 2000000000
};

static const struct span LOOK_LEAST = SPAN_S(1), LOOK_MOST = SPAN_S(10);
static const struct span CALM = SPAN_S(10); /* Room again for so long: no pressure any more. */
static const struct span IMAGES_FIRST =
    SPAN_S(5); /* For unused images to go before anybody must. */
static const struct span LEAVES_WITHIN = SPAN_S(30); /* Later nobody waits for who was evicted. */
static const struct span KNOWN_WITHIN =
    SPAN_S(20); /* Later nobody waits for who was not looked into. */
static const struct span GRACE = SPAN_S(1);
static const struct span COLLECT_EVERY = SPAN_S(30);
static const struct span WALK_MOST = SPAN_S(60);

/* ---- decisions ---- */

enum disk_state disk_judge(const struct disk_room *room, uint64_t reserve_bytes, bool pressed)
{
    if (reserve_bytes == 0) /* Whoever wants no reserve wants none of inodes either. */
        return DISK_ROOMY;
    uint64_t bytes = reserve_bytes + (pressed ? reserve_bytes / 4 : 0);
    uint64_t inodes = room->inodes / INODES_RESERVE;
    bool lacks_inodes = room->inodes_free < inodes + (pressed ? inodes / 4 : 0);
    if (room->free_bytes < reserve_bytes / 2 || room->inodes_free < inodes / 2)
        return DISK_NEARLY_GONE;
    return room->free_bytes < bytes || lacks_inodes ? DISK_SHORT : DISK_ROOMY;
}

struct span disk_pause(const struct disk_room *room, uint64_t reserve_bytes, bool pressed)
{
    uint64_t room_bytes = room->free_bytes - min_u64(room->free_bytes, reserve_bytes);
    uint64_t seconds = room_bytes / DISK_FILLS_PER_S;
    if (pressed || seconds <= 1)
        return LOOK_LEAST;
    return seconds >= 10 ? LOOK_MOST : SPAN_S((int64_t)seconds);
}

static bool is_over_request(const struct disk_tenant *x, bool by_inodes)
{
    return by_inodes || x->use->partial || x->use->bytes > x->request_bytes;
}

/* Beyond what was set aside for it; nobody sets inodes aside. */
static uint64_t excess(const struct disk_tenant *x, bool by_inodes)
{
    if (x->use->partial)
        return UINT64_MAX;
    return by_inodes ? x->use->inodes : x->use->bytes - min_u64(x->use->bytes, x->request_bytes);
}

bool disk_worse(const struct disk_tenant *a, const struct disk_tenant *b, bool by_inodes)
{
    bool over_a = is_over_request(a, by_inodes), over_b = is_over_request(b, by_inodes);
    if (over_a != over_b)
        return over_a;
    if (a->priority != b->priority)
        return a->priority < b->priority;
    uint64_t excess_a = excess(a, by_inodes), excess_b = excess(b, by_inodes);
    return excess_a != excess_b ? excess_a > excess_b : a->use->bytes > b->use->bytes;
}

/* ---- who leaves ---- */

static bool may_leave(const struct workload *w)
{
    return w != NULL && w->state == WORKLOAD_RUNNING && !w->unwanted && !w->ended;
}

/* What it did not finish is not begun again: it has failed, and says why. */
static void evict(struct agent_turn *t, struct workload *w, const char *text)
{
    w->ended = w->failed = true;
    w->evicted_at = t->now;
    w->grace = GRACE;
    snprintf(w->evicted, sizeof w->evicted, "%s", text);
    workload_happened(t, w, WORKLOAD_ITSELF, "Evicted", true, "%s", text);
    agent_trace_trouble(t, w, NULL, "Evicted", text);
    workload_say(t, w);
}

static int64_t priority_of(const struct workload *w)
{
    return w->pod != NULL ? w->pod->spec->priority : 0;
}

static struct disk_tenant tenant(const struct workload *w)
{
    return (struct disk_tenant){priority_of(w), disk__request(w), &w->disk};
}

/* Room that is about to come back is waited for. */
static bool somebody_leaves(const struct agent *a, struct instant now)
{
    for (uint32_t i = 0; i < a->workloads_end; i++) {
        const struct workload *w = a->workloads[i];
        if (w != NULL && w->evicted[0] != '\0' && w->state < WORKLOAD_ENDED &&
            !instant_due(instant_add(w->evicted_at, LEAVES_WITHIN), now))
            return true;
    }
    return false;
}

/* Who holds next to nothing stays: that it left would help nobody. */
static bool is_worth_it(const struct agent *a, const struct disk_use *use, bool by_inodes)
{
    uint64_t held = by_inodes ? use->inodes : use->bytes,
             lacking =
                 by_inodes ? a->disk.room.inodes / INODES_RESERVE : a->config.disk_reserve_bytes;
    return use->partial || held > lacking / WORTH;
}

/* NULL: nobody may leave; or, with patience, somebody was not looked into since the disk is short. */
static struct workload *worst(struct agent *a, bool by_inodes, bool is_patient)
{
    struct workload *found = NULL;
    struct disk_tenant most = {0};
    for (uint32_t i = 0; i < a->workloads_end; i++) {
        struct workload *w = a->workloads[i];
        if (!may_leave(w) || priority_of(w) >= PRIORITY_CRITICAL)
            continue;
        if (w->disk.at.ns < a->disk.since.ns && is_patient)
            return NULL;
        struct disk_tenant x = tenant(w);
        if (is_worth_it(a, &w->disk, by_inodes) &&
            (found == NULL || disk_worse(&x, &most, by_inodes))) {
            found = w;
            most = x;
        }
    }
    return found;
}

static void say_why(const struct agent *a, const struct workload *w, bool by_inodes, char *text,
                    size_t size)
{
    const struct disk_room *room = &a->disk.room;
    char least[QUANTITY_TEXT_MAX], left[QUANTITY_TEXT_MAX], used[QUANTITY_TEXT_MAX],
        asked[QUANTITY_TEXT_MAX];
    const char *more = w->disk.partial ? "more than " : "";
    if (by_inodes) {
        snprintf(text, size,
                 "The node was low on resource: inodes. Threshold quantity: %llu, available: %llu. "
                 "It was using %s%llu.",
                 (unsigned long long)(room->inodes / INODES_RESERVE),
                 (unsigned long long)room->inodes_free, more, (unsigned long long)w->disk.inodes);
        return;
    }
    disk__bytes_text(a->config.disk_reserve_bytes, least);
    disk__bytes_text(room->free_bytes, left);
    disk__bytes_text(w->disk.bytes, used);
    disk__bytes_text(disk__request(w), asked);
    snprintf(text, size,
             "The node was low on resource: ephemeral-storage. Threshold quantity: %s, available: "
             "%s. It was using %s%s, request is %s.",
             least, left, more, used, asked);
}

static void make_room(struct agent *a, struct agent_turn *t, bool is_nearly_gone)
{
    struct instant since = a->disk.since;
    bool by_inodes = a->disk.room.free_bytes >= a->config.disk_reserve_bytes;
    bool is_patient = !is_nearly_gone && !instant_due(instant_add(since, KNOWN_WITHIN), t->now);
    char text[EVICTED_MAX];
    if (!is_nearly_gone && !instant_due(instant_add(since, IMAGES_FIRST), t->now))
        return;
    struct workload *w = somebody_leaves(a, t->now) ? NULL : worst(a, by_inodes, is_patient);
    if (w == NULL)
        return;
    say_why(a, w, by_inodes, text, sizeof text);
    evict(t, w, text);
}

/* ---- what was measured ---- */

static void press(struct disk *d, struct instant now, enum disk_state state)
{
    if (state != DISK_ROOMY)
        d->calm_at = (struct instant){0};
    else if (d->pressed && d->calm_at.ns == 0)
        d->calm_at = instant_add(now, CALM);
    if (state != DISK_ROOMY && !d->pressed) {
        d->pressed = true;
        d->since = d->walk_at = now; /* Everybody is looked into, as soon as may be. */
    } else if (d->pressed && instant_due(d->calm_at, now)) {
        d->pressed = false;
        d->calm_at = (struct instant){0};
    }
}

static void judge_node(struct agent *a, struct agent_turn *t)
{
    struct disk *d = &a->disk;
    uint64_t reserve = a->config.disk_reserve_bytes;
    bool was = d->pressed;
    press(d, t->now, disk_judge(&d->room, reserve, d->pressed));
    if (d->pressed != was || !d->known)
        session_renew_soon(a, t);
    d->known = true;
    enum disk_state state = disk_judge(&d->room, reserve, false);
    if (was && state != DISK_ROOMY)
        make_room(a, t, state == DISK_NEARLY_GONE);
}

static void judge_workload(struct agent *a, struct agent_turn *t, struct workload *w,
                           const struct disk_found *f)
{
    char text[EVICTED_MAX];
    struct disk_use use = {.at = a->disk.asked_at};
    for (size_t i = 0; i < f->count; i++) {
        use.bytes += f->at[i]->bytes;
        use.inodes += f->at[i]->inodes;
        use.partial |= f->at[i]->partial;
    }
    w->disk = use;
    if (may_leave(w) && disk__over(w, f, text, sizeof text))
        evict(t, w, text);
}

static void judge_workloads(struct agent *a, struct agent_turn *t, const Agent__Disk *m)
{
    for (size_t i = 0, end; i < m->n_places; i = end) {
        struct str uid = str_of(m->places[i]->workload_uid);
        for (end = i + 1; end < m->n_places; end++)
            if (!str_eq(uid, str_of(m->places[end]->workload_uid)))
                break;
        struct workload *w = agent_find_uid(a, uid);
        if (w != NULL)
            judge_workload(a, t, w, &(struct disk_found){m->places + i, end - i});
    }
}

/* Whatever there is to look into, most of the time nobody looks. */
static struct span rest(const struct agent *a, const Agent__Disk *m)
{
    int64_t took_ns = m->took_ns < 0 || m->took_ns > WALK_MOST.ns ? WALK_MOST.ns : m->took_ns;
    struct span rest = {WALK_REST * took_ns};
    bool is_shorter = !a->disk.pressed && rest.ns < a->config.measure_every.ns;
    return is_shorter ? a->config.measure_every : rest;
}

void disk_measured(struct agent *a, struct agent_turn *t, const struct agent_event *ev)
{
    struct disk *d = &a->disk;
    ProtobufCAllocator allocator = typed_allocator(&t->arena);
    if (ev->op == 0 || ev->op != d->op)
        return;
    d->op = 0;
    d->look_at = instant_add(t->now, LOOK_LEAST);
    Agent__Disk *m = agent__disk__unpack(&allocator, ev->bytes.len, (const uint8_t *)ev->bytes.at);
    if (m == NULL || m->size_bytes == 0)
        return; /* It could not be measured: again. */
    d->room = (struct disk_room){m->size_bytes, m->free_bytes, m->inodes, m->inodes_free};
    if (m->n_places > 0)
        d->walk_at = instant_add(t->now, rest(a, m));
    judge_workloads(a, t, m);
    judge_node(a, t);
    d->look_at =
        instant_add(t->now, disk_pause(&d->room, a->config.disk_reserve_bytes, d->pressed));
}

/* ---- asking ---- */

static int by_age(const void *a, const void *b)
{
    const struct workload *const *x = a, *const *y = b;
    return ((*x)->disk.at.ns > (*y)->disk.at.ns) - ((*x)->disk.at.ns < (*y)->disk.at.ns);
}

/* Whoever was not looked into for longest comes first: a turn that ends early misses nobody for ever. */
static uint32_t whom(struct agent *a, struct workload **out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->workloads_end; i++) {
        struct workload *w = a->workloads[i];
        if (may_leave(w) && (a->disk.pressed || disk__is_limited(w)))
            out[count++] = w;
    }
    qsort(out, count, sizeof *out, by_age);
    return count;
}

static void add_places(struct agent *a, struct agent_turn *t, struct agent_effect *fx)
{
    struct workload **list = arena_zalloc(&t->arena, a->workloads_end + 1, sizeof *list);
    CHECK(list != NULL);
    uint32_t count = whom(a, list), places = 0;
    size_t most = 1;
    for (uint32_t i = 0; i < count; i++)
        most += 2 * list[i]->instances_count +
                (list[i]->pod == NULL ? 0 : list[i]->pod->spec->n_volumes);
    struct agent_place *at = arena_zalloc(&t->arena, most, sizeof *at);
    CHECK(at != NULL);
    for (uint32_t i = 0; i < count; i++)
        places += disk__places(t, list[i], at + places);
    fx->measure.at = at;
    fx->measure.count = places;
}

void disk_tick(struct agent *a, struct agent_turn *t)
{
    struct disk *d = &a->disk;
    if (a->config.measure_every.ns == 0 || d->op != 0 ||
        (d->look_at.ns != 0 && !instant_due(d->look_at, t->now)))
        return;
    struct agent_effect *fx = agent_do(t, FX_MEASURE);
    fx->op = d->op = agent_op(a, 0, OP_AGENT);
    d->asked_at = t->now;
    fx->measure.collect =
        d->pressed && (d->collect_at.ns == 0 || instant_due(d->collect_at, t->now));
    if (fx->measure.collect)
        d->collect_at = instant_add(t->now, COLLECT_EVERY);
    if (d->walk_at.ns == 0 || instant_due(d->walk_at, t->now))
        add_places(a, t, fx);
}

struct instant disk_deadline(const struct agent *a)
{
    bool asks = a->config.measure_every.ns != 0 && a->disk.op == 0;
    return asks ? a->disk.look_at : (struct instant){0};
}
