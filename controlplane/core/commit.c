/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions: filled by stages, handed to the store once a turn, up to CORE_COMMITS_MAX of them in
 * flight. The store answers in order. A stage is applied when its answer says that it is durable; what
 * is in flight shares no key with anything else in flight, so a failed one harms no other.
 *
 *   load     is left
 *   NOT      by EV_STARTED, or when a failed first load is tried again
 *   FIRST    when the store has told everything: the index stands, controllers look at all of it
 *   DONE     by an answer of unknown outcome, or by losing the fence
 *   WAIT     when nothing is in flight any more and load_at is reached
 *   AGAIN    when the store has told everything: every stage in doubt is decided
 *   DEPOSED  never: another writer has the store, the shell ends the program
 */
#include "controlplane/core/writes_priv.h"

#include "api/kinds.h"
#include "base/check.h"
#include "base/mem.h"

enum { RETRY_S = 1 };

static void settle_ok(struct core *c, struct stage *s);
static void settle_failed(struct core *c, struct stage *s, enum write_result result,
                          const char *text);
static void flight_done(struct core *c, const struct store_event *ev);
static void load_done(struct core *c, const struct store_event *ev);
static void load_begin(struct core *c, enum load_state state);
static void decide_doubts(struct core *c);

static struct instant retry_at(const struct core *c)
{
    return instant_add(c->now, SPAN_S(RETRY_S));
}

void commit_start(struct core *c)
{
    if (c->writes->load == LOAD_NOT)
        load_begin(c, LOAD_FIRST);
}

/* ---- Filling and handing over ---- */

bool commit_has_room(const struct core *c)
{
    const struct core_writes *w = c->writes;
    return w->load == LOAD_DONE && w->open.count <= COMMIT_ROOM && w->open.bytes < COMMIT_BYTES_MAX;
}

static void write_add(struct commit *t, const struct stage_change *change)
{
    const struct cow_entry *now = change->now;
    if (t->count == t->size) {
        t->size = t->size == 0 ? 64 : t->size * 2;
        t->writes = mem_resize(t->writes, t->size * sizeof *t->writes);
    }
    t->writes[t->count++] =
        (struct store_write){.revision = now->stamp,
                             .before = change->before == NULL ? 0 : change->before->stamp,
                             .key = blob_new(cow_entry_key(now)),
                             .value = change->deleted ? NULL : now->value,
                             .sealed = change->sealed};
    t->bytes += now->key_len + (change->deleted ? 0 : blob_str(now->value).len);
}

bool commit_has_room_for(const struct core *c, uint32_t writes)
{
    return commit_has_room(c) && c->writes->open.count + writes <= STORE_WRITES_MAX;
}

void commit_add(struct core *c, struct stage *s)
{
    struct core_writes *w = c->writes;
    for (uint32_t i = 0; i < s->count; i++) {
        s->at[i].stage = s;
        CHECK(map_put(&w->busy, cow_entry_key(s->at[i].now), &s->at[i]) == ERR_OK);
        write_add(&w->open, &s->at[i]);
    }
    if (w->open.last == NULL)
        w->open.first = s;
    else
        w->open.last->next = s;
    w->open.last = s;
}

static void open_send(struct core *c)
{
    struct core_writes *w = c->writes;
    struct commit *t = &w->flight[(w->flight_first + w->flight_count++) % CORE_COMMITS_MAX];
    *t = w->open;
    t->op = w->next_op++;
    w->open = (struct commit){0};
    core_emit(c, &(struct core_effect){.type = FX_COMMIT,
                                       .op = t->op,
                                       .fence = w->fence,
                                       .writes = t->writes,
                                       .writes_count = t->count});
}

static void compact(struct core *c)
{
    struct core_writes *w = c->writes;
    uint64_t oldest = history_bounds(c->history).oldest;
    if (w->compact_op != 0 || oldest < w->compacted + COMPACT_EVERY)
        return;
    w->compact_op = w->next_op++;
    w->compacted = oldest;
    core_emit(c,
              &(struct core_effect){.type = FX_COMPACT, .op = w->compact_op, .revision = oldest});
}

void commit_flush(struct core *c)
{
    struct core_writes *w = c->writes;
    if (w->load == LOAD_WAIT && w->flight_count == 0 && w->load_at.ns <= c->now.ns)
        load_begin(c, LOAD_AGAIN);
    if (w->load == LOAD_NOT && instant_due(w->load_at, c->now))
        load_begin(c, LOAD_FIRST);
    if (w->load != LOAD_DONE)
        return;
    if (w->moved) {
        index_publish(c->index, w->head);
        history_publish(c->history, w->head, c->now);
        core_emit(c, &(struct core_effect){.type = FX_PUBLISHED, .revision = w->head});
        w->moved = false;
        compact(c);
    } else {
        index_reap(c->index);
    }
    if (w->open.count > 0 && w->flight_count < CORE_COMMITS_MAX)
        open_send(c);
}

struct instant commit_deadline(const struct core *c)
{
    const struct core_writes *w = c->writes;
    bool waits = (w->load == LOAD_WAIT && w->flight_count == 0) || w->load == LOAD_NOT;
    return waits ? w->load_at : (struct instant){0};
}

/* ---- The store's answers ---- */

void commit_done(struct core *c, const struct store_event *ev)
{
    struct core_writes *w = c->writes;
    if (ev->op == w->load_op) {
        w->load_op = 0;
        load_done(c, ev);
    } else if (ev->op == w->compact_op) {
        w->compact_op = 0;
        if (ev->code != ERR_OK)
            w->compacted = 0; /* It will be asked again; it only costs room. */
    } else {
        flight_done(c, ev);
    }
}

static void to_doubt(struct core_writes *w, struct commit *t)
{
    if (w->doubt_last == NULL)
        w->doubt_first = t->first;
    else
        w->doubt_last->next = t->first;
    w->doubt_last = t->last;
}

static void commit_clear(struct commit *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        blob_unref(t->writes[i].key);
    mem_free(t->writes);
    *t = (struct commit){0};
}

static void fail_all(struct core *c, struct commit *t, enum write_result result, const char *text)
{
    for (struct stage *s = t->first, *next; s != NULL; s = next) {
        next = s->next;
        settle_failed(c, s, result, text);
    }
}

struct commit_mark commit_mark(const struct core *c)
{
    const struct commit *t = &c->writes->open;
    return (struct commit_mark){t->last, t->count, t->bytes};
}

/* Their revisions are never used: gaps are allowed. */
void commit_take_back(struct core *c, const struct commit_mark *to)
{
    struct commit *t = &c->writes->open;
    struct stage **first = to->last == NULL ? &t->first : &to->last->next, *back = *first;
    *first = NULL;
    t->last = to->last;
    t->bytes = to->bytes;
    while (t->count > to->count)
        blob_unref(t->writes[--t->count].key);
    for (struct stage *next; back != NULL; back = next) {
        next = back->next;
        settle_failed(c, back, WRITE_UNAVAILABLE, "taken back");
    }
}

/* What was not handed over yet can simply be taken back. */
static void depose(struct core *c)
{
    struct core_writes *w = c->writes;
    static const char text[] = "another control plane took over";
    if (w->load == LOAD_DEPOSED)
        return;
    w->load = LOAD_DEPOSED;
    fail_all(c, &w->open, WRITE_UNAVAILABLE, text);
    commit_clear(&w->open);
    core_emit(c, &(struct core_effect){.type = FX_DEPOSED, .text = text});
}

static void flight_done(struct core *c, const struct store_event *ev)
{
    struct core_writes *w = c->writes;
    struct commit t = w->flight[w->flight_first];
    CHECK(w->flight_count > 0 && t.op == ev->op); /* The seam's promise: in order, once. */
    w->flight_first = (w->flight_first + 1) % CORE_COMMITS_MAX;
    w->flight_count--;

    if (ev->code == ERR_CONFLICT) {
        depose(c);
        fail_all(c, &t, WRITE_UNAVAILABLE, "another control plane took over");
    } else if (ev->code == ERR_LIMIT) {
        fail_all(c, &t, WRITE_STORE_FULL, ev->err.text);
    } else if (ev->code != ERR_OK || w->load == LOAD_WAIT) {
        /* Behind one in doubt even a good one must wait: changes are told in order. */
        to_doubt(w, &t);
        if (w->load == LOAD_DONE) {
            w->load = LOAD_WAIT;
            w->load_at = c->now;
        }
    } else {
        for (struct stage *s = t.first, *next; s != NULL; s = next) {
            next = s->next;
            settle_ok(c, s);
        }
    }
    commit_clear(&t);
}

/* ---- Settling ---- */

static void release_keys(struct core *c, struct stage *s)
{
    struct core_writes *w = c->writes;
    for (uint32_t i = 0; i < s->count; i++) {
        struct stage_change *b = map_remove(&w->busy, cow_entry_key(s->at[i].now));
        CHECK(b == &s->at[i]);
        for (struct write_op *op = b->waiters_first, *next; op != NULL; op = next) {
            next = op->next;
            writes_ready(w, op);
        }
    }
}

void commit_apply(struct core *c, struct cowtree *tree, struct history *h,
                  const struct stage_change *change)
{
    struct cow_entry *before = change->deleted ? cowtree_remove(tree, cow_entry_key(change->now))
                                               : cowtree_put(tree, cow_entry_ref(change->now));
    CHECK(before == change->before); /* Nobody else wrote this key meanwhile. */
    cow_entry_unref(before);

    struct history_change told = {.revision = change->now->stamp,
                                  .before = cow_entry_ref(change->before),
                                  .now = cow_entry_ref(change->now),
                                  .deleted = change->deleted,
                                  .topic = change->topic};
    history_append(h, &told, c->now);
    c->above->changed(c, &told);
}

static void settle_ok(struct core *c, struct stage *s)
{
    struct core_writes *w = c->writes;
    for (uint32_t i = 0; i < s->count; i++)
        commit_apply(c, index_tree(c->index), c->history, &s->at[i]);
    w->head = s->at[s->count - 1].now->stamp;
    w->moved = true;
    release_keys(c, s);
    stage_answer(s, WRITE_OK,
                 (struct str){NULL, 0}); /* First: the client waits, others hear of it. */
    w->settling = s;
    stage_settle(s, true);
    w->settling = NULL;
    stage_free(s);
}

static void settle_failed(struct core *c, struct stage *s, enum write_result result,
                          const char *text)
{
    release_keys(c, s);
    stage_settle(s, false);
    stage_answer(s, result, str_of(text));
    if (s->origin != NULL)
        core_mark_at(c, s->control, blob_str(s->origin), retry_at(c));
    stage_free(s);
}

/* ---- Loading ---- */

static void load_begin(struct core *c, enum load_state state)
{
    struct core_writes *w = c->writes;
    w->load = state;
    w->load_op = w->next_op++;
    for (struct stage *s = w->doubt_first; s != NULL; s = s->next)
        s->seen_new = s->seen_old = false;
    core_emit(c, &(struct core_effect){.type = FX_LOAD, .op = w->load_op});
}

/* A stage is one transaction: its first change tells of all. */
static void row_in_doubt(struct core *c, const struct store_event *ev)
{
    const struct stage_change *b = map_find(&c->writes->busy, blob_str(ev->key));
    if (b == NULL || b != &b->stage->at[0])
        return;
    if (ev->revision == b->now->stamp)
        b->stage->seen_new = true;
    else if (b->before != NULL && ev->revision == b->before->stamp)
        b->stage->seen_old = true;
}

/* The last state of what a loaded deletion took away, with that deletion's revision, for followers who
 * come back after our restart. NULL: it does not decode. */
static struct cow_entry *last_state(struct core *c, const struct cow_entry *before,
                                    uint64_t revision)
{
    struct buf *b = &c->writes->scratch;
    struct meta_edit edit = {.revision = revision};
    buf_clear(b);
    if (meta_write(blob_str(before->value), &edit, b, NULL) != ERR_OK ||
        buf_status(b, NULL) != ERR_OK) {
        b->overflow = false;
        return NULL;
    }
    return cow_entry_new(cow_entry_key(before), revision, blob_new(buf_str(b)));
}

/* Of a version this program does not know it would lose what it does not know, at the next write. */
static enum err_code kind_check(const struct index_key *at, struct str envelope, struct err *e)
{
    struct meta_type type;
    const struct kind *k = kind_find(at->group, at->plural);
    if (k == NULL)
        return err_set(e, ERR_CORRUPT, "there is no such kind");
    enum err_code code = meta_type(envelope, &type, e);
    if (code != ERR_OK)
        return code;
    const struct schema_kind *is = kind_schema(k);
    if (!str_eq(type.api_version, is->api_version) || !str_eq(type.kind, is->kind))
        return err_set(e, ERR_CORRUPT,
                       "stored as " STR_FMT " " STR_FMT ", this program reads " STR_FMT " " STR_FMT,
                       STR_ARG(type.api_version), STR_ARG(type.kind), STR_ARG(is->api_version),
                       STR_ARG(is->kind));
    return ERR_OK;
}

/* What is served can at least say what it is. A reference. */
static struct blob *readable(struct core *c, const struct store_event *ev,
                             const struct index_key *at)
{
    struct meta meta;
    struct err e = ev->err;
    enum err_code code = ev->code;
    if (code == ERR_OK)
        code = kind_check(at, blob_str(ev->value), &e);
    if (code == ERR_OK)
        code = meta_read(blob_str(ev->value), &meta, &e);
    if (code == ERR_OK)
        return blob_ref(ev->value);
    core_poisoned(c, blob_str(ev->key), e.text);
    return blob_new(STR(""));
}

static void row_first(struct core *c, const struct store_event *ev)
{
    struct index_key parts;
    struct cowtree *tree = index_tree(c->index);
    struct str key = blob_str(ev->key);
    struct cow_entry *before, *now;
    if (!index_key_parse(key, &parts) || memory_has(key))
        return; /* Not an object of ours; it stays in the store as it is. */
    if (ev->value == NULL) {
        before = cowtree_remove(tree, key);
        now = before == NULL ? NULL : last_state(c, before, ev->revision);
    } else {
        now = cow_entry_new(key, ev->revision, readable(c, ev, &parts));
        before = cowtree_put(tree, cow_entry_ref(now));
    }
    if (now == NULL) {
        cow_entry_unref(before);
        return;
    }
    const struct core_rule *rule = core_rule(c, parts.group, parts.plural);
    uint64_t topic = rule == NULL || rule->topic == NULL ? 0 : rule->topic(c, now);
    history_append(c->history,
                   &(struct history_change){.revision = ev->revision,
                                            .before = before,
                                            .now = now,
                                            .deleted = ev->value == NULL,
                                            .topic = topic},
                   c->now);
}

void commit_row(struct core *c, const struct store_event *ev)
{
    struct core_writes *w = c->writes;
    if (ev->op != w->load_op)
        return;
    w->head = max_u64(w->head, w->load == LOAD_FIRST ? ev->revision : 0);
    if (w->load == LOAD_FIRST)
        row_first(c, ev);
    else
        row_in_doubt(c, ev);
}

/* Every object is a change from nothing to what it is: controllers need no second way to start. */
static void tell_everything(struct core *c)
{
    struct cow_cursor cursor;
    struct cow_snapshot *all = cowtree_snapshot(index_tree(c->index));
    cow_seek(&cursor, cow_snapshot_root(all), STR(""));
    for (struct cow_entry *e = cow_next(&cursor); e != NULL; e = cow_next(&cursor))
        c->above->changed(c, &(struct history_change){.revision = e->stamp, .now = e});
    cow_snapshot_unref(all);
}

/* Half of everything is nothing: the next attempt tells all of it again, perhaps without what was deleted meanwhile. */
static void forget_rows(struct core *c)
{
    cowtree_fini(index_tree(c->index));
    cowtree_init(index_tree(c->index));
    history_begin_anew(c->history);
    c->writes->head = 0;
}

static void load_done(struct core *c, const struct store_event *ev)
{
    struct core_writes *w = c->writes;
    if (ev->code != ERR_OK) { /* The store says why; it is asked again. */
        if (w->load == LOAD_FIRST)
            forget_rows(c);
        w->load = w->load == LOAD_FIRST ? LOAD_NOT : LOAD_WAIT;
        w->load_at = retry_at(c);
        return;
    }
    w->fence = ev->fence;
    w->next_revision = max_u64(w->next_revision, ev->revision + 1);
    if (w->load == LOAD_AGAIN) {
        decide_doubts(c);
    } else {
        w->head = max_u64(w->head, ev->revision);
        w->compacted = ev->oldest;
        w->moved = true;
        history_forget(c->history, ev->oldest);
    }
    w->load = LOAD_DONE;
    if (!c->is_loaded) {
        c->is_loaded = true;
        c->above->loaded(c);
        tell_everything(c);
    }
}

/* An engine that tells only live objects shows a deletion by not showing the object. */
static void decide_doubts(struct core *c)
{
    struct core_writes *w = c->writes;
    struct stage *s = w->doubt_first, *next;
    w->doubt_first = w->doubt_last = NULL;
    for (; s != NULL; s = next) {
        next = s->next;
        s->next = NULL;
        if (s->seen_new || (s->at[0].deleted && !s->seen_old))
            settle_ok(c, s);
        else
            settle_failed(c, s, WRITE_UNAVAILABLE, "the store did not take it; try again");
    }
}

void commit_free(struct core *c)
{
    struct core_writes *w = c->writes;
    for (; w->flight_count > 0; w->flight_count--) {
        struct commit *t = &w->flight[w->flight_first];
        to_doubt(w, t);
        commit_clear(t);
        w->flight_first = (w->flight_first + 1) % CORE_COMMITS_MAX;
    }
    if (w->open.first != NULL)
        to_doubt(w, &w->open);
    commit_clear(&w->open);
    for (struct stage *s = w->doubt_first, *next; s != NULL; s = next) {
        next = s->next;
        release_keys(c, s);
        stage_free(s);
    }
}
