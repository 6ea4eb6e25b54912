/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each Event has a record: found by what it says (a hash), by its key, by the object it is about, and in the
 * order of when it was seen last. A new one waits in a queue until its object is made.
 */
#include "controlplane/core/events.h"
#include "controlplane/core/controllers_priv.h"

#include "base/check.h"
#include "base/mem.h"
#include "controlplane/core/cluster.h"

/* What a note said, until it is an object. */
struct pending {
    struct event_note note;
    char text[];
};

struct told {
    struct told *older, *newer; /* By when it was seen last. */
    struct told *same, *waits;  /* Of the same object; not written yet. */
    struct about *about;        /* NULL: a client's own Event. */
    struct pending *pending;    /* NULL: it is written. */
    uint64_t hash;
    uint32_t count;
    struct wall last;
    struct instant seen, written;
    size_t key_len;
    char key[];
};

/* One object that Events are about. */
struct about {
    uint64_t hash; /* Of its uid. */
    struct told *first;
    uint32_t count;
};

struct events {
    struct map by_hash, by_key, by_about;
    struct told *oldest, *newest, *waits_first, *waits_last;
    uint32_t count, waits_count;
};

struct events *events_new(void)
{
    struct events *e = mem_zalloc(1, sizeof *e);
    map_init(&e->by_hash, 2 * EVENTS_MAX);
    map_init(&e->by_key, 2 * EVENTS_MAX);
    map_init(&e->by_about, 2 * EVENTS_MAX);
    return e;
}

static struct str key_of(const struct told *t)
{
    return str_from(t->key, t->key_len);
}

static struct str hash_key(const uint64_t *hash)
{
    return str_from(hash, sizeof *hash);
}

/* ---- the order of when they were seen ---- */

static void order_remove(struct events *e, struct told *t)
{
    *(t->older == NULL ? &e->oldest : &t->older->newer) = t->newer;
    *(t->newer == NULL ? &e->newest : &t->newer->older) = t->older;
    t->older = t->newer = NULL;
}

static void order_add(struct events *e, struct told *t)
{
    t->older = e->newest;
    *(e->newest == NULL ? &e->oldest : &e->newest->newer) = t;
    e->newest = t;
}

/* ---- records ---- */

static struct told *told_new(struct events *e, struct str key, struct instant now)
{
    struct told *t = mem_zalloc(1, sizeof *t + key.len + 1);
    str_put(t->key, key);
    t->key_len = key.len;
    t->count = 1;
    t->seen = now;
    order_add(e, t);
    CHECK(map_put(&e->by_key, key_of(t), t) == ERR_OK);
    e->count++;
    return t;
}

static void about_add(struct events *e, struct told *t, uint64_t hash)
{
    struct about *a = map_find(&e->by_about, hash_key(&hash));
    if (a == NULL) {
        a = mem_zalloc(1, sizeof *a);
        a->hash = hash;
        CHECK(map_put(&e->by_about, hash_key(&a->hash), a) == ERR_OK);
    }
    t->about = a;
    t->same = a->first;
    a->first = t;
    a->count++;
}

static void about_remove(struct events *e, struct told *t)
{
    struct about *a = t->about;
    if (a == NULL)
        return;
    struct told **link = &a->first;
    while (*link != t)
        link = &(*link)->same;
    *link = t->same;
    if (--a->count > 0)
        return;
    map_remove(&e->by_about, hash_key(&a->hash));
    mem_free(a);
}

static void told_free(struct events *e, struct told *t)
{
    order_remove(e, t);
    map_remove(&e->by_key, key_of(t));
    if (t->about != NULL)
        map_remove(&e->by_hash, hash_key(&t->hash));
    about_remove(e, t);
    mem_free(t->pending);
    mem_free(t);
    e->count--;
}

void events_free(struct events *e)
{
    while (e->oldest != NULL)
        told_free(e, e->oldest);
    map_fini(&e->by_hash);
    map_fini(&e->by_key);
    map_fini(&e->by_about);
    mem_free(e);
}

/* ---- telling ---- */

bool events_wanted(const struct core *c)
{
    return c->controls->events->waits_count < EVENTS_PENDING_MAX;
}

static struct str keep(char **at, struct str text)
{
    struct str kept = str_from(*at, text.len);
    str_put(*at, text);
    (*at)[text.len] = '\0';
    *at += text.len + 1;
    return kept;
}

/* The constant words stay where they are; what is about one object is copied. */
static struct pending *pending_new(const struct event_note *n, struct wall wall)
{
    size_t size = n->namespace.len + n->name.len + n->uid.len + n->field_path.len + n->message.len +
                  n->node.len + strlen(n->reason) + 7;
    struct pending *p = mem_zalloc(1, sizeof *p + size);
    char *at = p->text;
    p->note = *n;
    p->note.namespace = keep(&at, n->namespace);
    p->note.name = keep(&at, n->name);
    p->note.uid = keep(&at, n->uid);
    p->note.field_path = keep(&at, n->field_path);
    p->note.message = keep(&at, n->message);
    p->note.node = keep(&at, n->node);
    p->note.reason = keep(&at, str_of(n->reason)).at;
    p->note.at = n->at.ns != 0 ? n->at : wall;
    return p;
}

static uint64_t mix(uint64_t hash, struct str text)
{
    return hash * 0x9e3779b97f4a7c15u + str_hash(text);
}

static void again(struct core *c, struct told *t, const struct event_note *n)
{
    struct events *e = c->controls->events;
    t->count++;
    t->seen = c->now;
    t->last = n->at.ns != 0 ? n->at : c->wall;
    order_remove(e, t);
    order_add(e, t);
    if (t->pending == NULL)
        core_mark_at(c, CONTROL_EVENTS, key_of(t),
                     instant_add(t->written, SPAN_S(EVENTS_REPEAT_S)));
}

void events_tell(struct core *c, const struct event_note *n)
{
    struct events *e = c->controls->events;
    uint64_t about = mix(str_hash(n->uid), n->name), hash = about;
    hash = mix(mix(mix(hash, n->field_path), str_of(n->reason)), n->message);
    struct told *t = map_find(&e->by_hash, hash_key(&hash));
    if (t != NULL) {
        again(c, t, n);
        return;
    }
    struct str name = arena_printf(&c->turn, STR_FMT ".%016llx",
                                   STR_ARG(str_slice(n->name, 0, 230)), (unsigned long long)hash);
    struct str space = n->namespace.len > 0 ? n->namespace : STR("default");
    struct str key = name.at == NULL ? name : core_key(c, "", "events", space, name);
    if (!events_wanted(c) || key.at == NULL || map_find(&e->by_key, key) != NULL)
        return;
    t = told_new(e, key, c->now);
    t->hash = hash;
    t->pending = pending_new(n, c->wall);
    t->last = t->pending->note.at;
    CHECK(map_put(&e->by_hash, hash_key(&t->hash), t) == ERR_OK);
    about_add(e, t, about);
    *(e->waits_last == NULL ? &e->waits_first : &e->waits_last->waits) = t;
    e->waits_last = t;
    e->waits_count++;
    core_mark(c, CONTROL_EVENTS, STR(""));
}

/* ---- objects ---- */

static char *text_of(struct core *c, struct str text)
{
    return objects_text(&c->turn, text);
}

/* Nothing is made in a namespace that is leaving. */
static bool has_namespace(struct core *c, struct str namespace)
{
    struct meta m;
    struct cow_entry *e = core_find(c, core_key(c, "", "namespaces", STR(""), namespace));
    return e != NULL && meta_read(blob_str(e->value), &m, NULL) == ERR_OK && !m.is_deleting;
}

static void put(struct core *c, struct str key, const Core__Event *event,
                const struct meta_edit *edit)
{
    struct stage *s = stage_begin(c);
    struct str bytes = typed_wrap(&c->turn, "v1", "Event", event);
    if (bytes.at == NULL)
        stage_refuse(s, WRITE_BUSY, "too much at once");
    else
        stage_put(s, key, bytes, edit);
    stage_end(s);
}

static void make(struct core *c, struct told *t)
{
    const struct event_note *n = &t->pending->note;
    struct index_key at;
    char uid[RNG_UUID_LEN + 1];
    if (!index_key_parse(key_of(t), &at) || !has_namespace(c, at.namespace))
        return;
    Core__Event ev = CORE__EVENT__INIT;
    Core__ObjectReference ref = CORE__OBJECT_REFERENCE__INIT;
    Core__EventSource source = CORE__EVENT_SOURCE__INIT;
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    ref.api_version = (char *)n->api_version;
    ref.kind = (char *)n->kind;
    ref.namespace_ = text_of(c, n->namespace);
    ref.name = text_of(c, n->name);
    ref.uid = text_of(c, n->uid);
    ref.field_path = text_of(c, n->field_path);
    source.component = n->node.len > 0 ? (char *)"baton-agent" : (char *)"batond";
    source.host = text_of(c, n->node);
    ev.metadata = &meta;
    ev.involved_object = &ref;
    ev.source = &source;
    ev.reporting_component = source.component;
    ev.reporting_instance = source.host;
    ev.reason = (char *)n->reason;
    ev.message = text_of(c, n->message);
    ev.type = n->warning ? (char *)"Warning" : (char *)"Normal";
    ev.first_timestamp = objects_time(&c->turn, n->at);
    ev.last_timestamp = objects_time(&c->turn, t->last);
    ev.has_count = true;
    ev.count = (int32_t)t->count;
    rng_uuid(&c->memory_rng, uid);
    put(c, key_of(t), &ev,
        &(struct meta_edit){.name = at.name,
                            .namespace = at.namespace,
                            .uid = str_of(uid),
                            .set_created = true,
                            .created_s = wall_seconds(c->wall)});
}

/* It came again: the same object with another count, whatever a client made of the rest. */
static void count(struct core *c, struct told *t)
{
    struct cow_entry *e = core_find(c, key_of(t));
    Core__Event *ev =
        e == NULL ? NULL : typed_open(&c->turn, &core__event__descriptor, blob_str(e->value));
    if (ev == NULL || (ev->has_count && ev->count == (int32_t)t->count))
        return;
    ev->has_count = true;
    ev->count = (int32_t)t->count;
    ev->last_timestamp = objects_time(&c->turn, t->last);
    t->written = c->now;
    put(c, key_of(t), ev, NULL);
}

static void remove_oldest(struct core *c, struct told *t)
{
    if (core_find(c, key_of(t)) == NULL) {
        told_free(c->controls->events, t);
        return;
    }
    struct stage *s = stage_begin(c);
    stage_remove(s, key_of(t)); /* events_changed() forgets the record. */
    stage_end(s);
}

/* What is over the limit at once, what is an hour old bit by bit. What waits to be made is left for its
 * turn. */
static void tidy(struct core *c)
{
    struct events *e = c->controls->events;
    uint32_t expired = 0;
    for (struct told *t = e->oldest, *newer; t != NULL; t = newer) {
        struct instant end = instant_add(t->seen, SPAN_S(EVENTS_LIVE_S));
        bool over = e->count > EVENTS_MAX;
        newer = t->newer;
        if (t->pending != NULL)
            continue;
        if (!over && (!instant_due(end, c->now) || expired++ == EVENTS_A_PASS))
            break;
        remove_oldest(c, t);
    }
}

/* Of one object's the one seen least lately, when there are too many. */
static void tidy_about(struct core *c, const struct about *a)
{
    struct told *oldest = NULL;
    for (struct told *t = a->first; a->count > EVENTS_OF_ONE && t != NULL; t = t->same)
        if (t->pending == NULL && (oldest == NULL || t->seen.ns < oldest->seen.ns))
            oldest = t;
    if (oldest != NULL)
        remove_oldest(c, oldest);
}

static void make_waiting(struct core *c)
{
    struct events *e = c->controls->events;
    for (uint32_t i = 0; i < EVENTS_A_PASS && e->waits_first != NULL && cluster_has_room(c); i++) {
        struct told *t = e->waits_first;
        e->waits_first = t->waits;
        if (e->waits_first == NULL)
            e->waits_last = NULL;
        e->waits_count--;
        make(c, t);
        mem_free(t->pending);
        t->pending = NULL;
        t->written = c->now;
        tidy_about(c, t->about);
    }
}

enum reconcile events_reconcile(struct core *c, struct str key)
{
    struct events *e = c->controls->events;
    struct told *t = key.len == 0 ? NULL : map_find(&e->by_key, key);
    if (key.len > 0) {
        if (t != NULL && t->pending == NULL)
            count(c, t);
        return RECONCILE_DONE;
    }
    make_waiting(c);
    tidy(c);
    if (e->oldest == NULL)
        return RECONCILE_DONE;
    struct instant soon = instant_add(c->now, SPAN_MS(EVENTS_PASS_MS));
    struct instant end = instant_add(e->oldest->seen, SPAN_S(EVENTS_LIVE_S));
    core_mark_at(c, CONTROL_EVENTS, key, e->waits_first != NULL || end.ns < soon.ns ? soon : end);
    return RECONCILE_DONE;
}

void events_create(struct core *c, struct stage *s, struct draft *d)
{
    (void)d;
    if (c->controls->events->count >= EVENTS_MAX + EVENTS_PENDING_MAX)
        stage_refuse(s, WRITE_BUSY, "too many Events at once");
}

/* A client's Event has a record, too: it counts, and goes after an hour. */
void events_changed(struct core *c, const struct core_change *change)
{
    struct events *e = c->controls->events;
    struct str key = cow_entry_key(change->is.now);
    if (!memory_has(key))
        return;
    struct told *t = map_find(&e->by_key, key);
    if (change->is.deleted) {
        if (t != NULL && t->pending == NULL)
            told_free(e, t);
    } else if (t == NULL) {
        told_new(e, key, c->now);
        core_mark(c, CONTROL_EVENTS, STR(""));
    } else if (t->about == NULL) {
        t->seen = c->now;
        order_remove(e, t);
        order_add(e, t);
    }
}

void events_loaded(struct core *c)
{
    (void)c; /* They begin empty with every start. */
}
