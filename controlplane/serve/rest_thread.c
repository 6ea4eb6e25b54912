/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What requests share. Encodings (encoded.h), for all threads, need no invalidation, since a revision names one state
 * for ever; a watch's frames that tell an age are shared within a second. A thread's reading of the history is good as
 * long as the history's head is where it was, or when it did not reach it.
 */
#include "api/prepared.h"
#include "api/texts.h"
#include "base/mem.h"
#include "controlplane/serve/encoded.h"
#include "controlplane/serve/rest_priv.h"
#include "controlplane/serve/states.h"

/* What was read, in one form. */
struct frames {
    const void *kind; /* NULL: of nobody. */
    uint32_t form;
    struct blob *at[HISTORY_READ_MAX];
};

enum { READING_FORMS = 4 }; /* JSON, protobuf, a Table, metadata; who comes later, encodes again. */

struct reading {
    struct history *history; /* NULL: nothing was read. */
    uint64_t after, head;
    char prefix[INDEX_KEY_MAX + 1];
    size_t prefix_len;
    struct history_batch batch;
    struct frames frames[READING_FORMS];
};

struct rest_shared {
    struct encoded *encoded; /* Everybody's. */
    struct reading reading;
    struct states states;
    struct prepared *prepared; /* Of objects that come in series: new pods' specs, */
    struct texts *texts;       /* and parts of any as JSON. */
    struct instant series;     /* When either was last asked for; 0: nothing is kept. */
};

void *rest_thread_new(struct encoded *encoded)
{
    struct rest_shared *t = mem_zalloc(1, sizeof *t);
    t->encoded = encoded;
    t->prepared = prepared_new();
    t->texts = texts_new();
    return t;
}

static void reading_drop(struct reading *r)
{
    for (struct frames *f = r->frames; f < r->frames + READING_FORMS && f->kind != NULL; f++) {
        for (uint32_t i = 0; i < r->batch.count; i++)
            blob_unref(f->at[i]);
        *f = (struct frames){0};
    }
    if (r->history != NULL)
        history_batch_free(&r->batch);
    r->history = NULL;
}

void rest_thread_free(void *thread)
{
    struct rest_shared *t = thread;
    if (t == NULL)
        return;
    reading_drop(&t->reading);
    states_fini(&t->states);
    prepared_free(t->prepared);
    texts_free(t->texts);
    mem_free(t);
}

/* False: nothing of it is left. */
static bool series_expire(struct rest_shared *t, struct instant before)
{
    if (t->series.ns > before.ns)
        return true;
    if (t->series.ns == 0)
        return false;
    prepared_clear(t->prepared);
    texts_clear(t->texts);
    t->series = (struct instant){0};
    return false;
}

struct instant rest_thread_expire(void *thread, struct instant now)
{
    struct rest_shared *t = thread;
    bool has_states = states_expire(&t->states, now);
    bool has_series = series_expire(t, instant_add(now, SPAN_S(-ENCODED_AGE_S)));
    if (encoded_bytes(t->encoded) == 0 && !has_states && !has_series)
        return (struct instant){0};
    encoded_expire(t->encoded, instant_add(now, SPAN_S(-ENCODED_AGE_S)));
    return instant_add(now, SPAN_S(ENCODED_AGE_S / 2));
}

/* ---- encodings ---- */

static uint32_t form_of(const struct call *c, uint32_t what)
{
    uint32_t form = (uint32_t)c->form.type | (uint32_t)c->form.as << 2 |
                    (uint32_t)c->form.include << 4 | (uint32_t)c->form.beta << 6 | what << 8;
    if (c->form.as == AS_TABLE && what != ENCODED_ITEM && what != ENCODED_RUN)
        form |= (uint32_t)wall_seconds(rest_wall(c->r)) << 16;
    return form;
}

static struct blob *find(const struct call *c, const struct encoded_key *key)
{
    const struct rest_shared *t = rest_thread(c->r);
    return encoded_find(t->encoded, key, rest_now(c->r));
}

static void put(const struct call *c, const struct encoded_key *key, struct blob *bytes,
                enum encoded_stay stay)
{
    const struct rest_shared *t = rest_thread(c->r);
    encoded_put(t->encoded, key, bytes, stay, rest_now(c->r));
}

static struct encoded_key key_of_run(const struct call *c, struct cow_entry *const *at,
                                     uint32_t count)
{
    struct encoded_key key = {.kind = c->kind, .form = form_of(c, ENCODED_RUN), .count = count};
    for (uint32_t i = 0; i < count; i++)
        key.revisions[i] = at[i]->stamp;
    return key;
}

struct blob *encoded_get(const struct call *c, uint64_t revision, uint32_t what)
{
    return find(c, &(struct encoded_key){c->kind, form_of(c, what), 1, {revision}});
}

void encoded_keep(const struct call *c, uint64_t revision, uint32_t what, struct blob *bytes)
{
    put(c, &(struct encoded_key){c->kind, form_of(c, what), 1, {revision}}, bytes, ENCODED_STAYS);
}

struct blob *encoded_run_get(const struct call *c, struct cow_entry *const *at, uint32_t count)
{
    struct encoded_key key = key_of_run(c, at, count);
    return find(c, &key);
}

void encoded_run_keep(const struct call *c, struct cow_entry *const *at, uint32_t count,
                      struct blob *bytes, enum encoded_stay stay)
{
    struct encoded_key key = key_of_run(c, at, count);
    put(c, &key, bytes, stay);
}

size_t encoded_room_of(const struct call *c)
{
    const struct rest_shared *t = rest_thread(c->r);
    return encoded_room(t->encoded, ENCODED_STAYS);
}

/* ---- what comes in series ---- */

struct prepared *rest_prepared(const struct call *c)
{
    struct rest_shared *t = rest_thread(c->r);
    t->series = rest_now(c->r);
    return t->prepared;
}

struct texts *rest_texts(const struct call *c)
{
    struct rest_shared *t = rest_thread(c->r);
    t->series = rest_now(c->r);
    return t->texts;
}

/* ---- states ---- */

void state_keep(const struct call *c, const struct index_snapshot *s)
{
    struct rest_shared *t = rest_thread(c->r);
    states_keep(&t->states, rest_history(c->r), s, rest_now(c->r));
}

bool state_find(const struct call *c, uint64_t revision, struct index_snapshot *out)
{
    struct rest_shared *t = rest_thread(c->r);
    return states_find(&t->states, rest_history(c->r), revision, rest_now(c->r), out);
}

/* ---- the history ---- */

static bool reading_is(const struct reading *r, const struct history *h, uint64_t after,
                       struct str prefix, uint64_t head)
{
    return r->history == h && r->after == after && (r->head == head || r->batch.more) &&
           str_eq(str_from(r->prefix, r->prefix_len), prefix);
}

enum err_code changes_read(const struct call *c, uint64_t after, struct str prefix,
                           const struct history_batch **out, struct err *e)
{
    struct rest_shared *t = rest_thread(c->r);
    struct reading *r = &t->reading;
    struct history *h = rest_history(c->r);
    struct history_filter filter = {.prefix = prefix};
    uint64_t head =
        history_head(h); /* Before reading: what comes meanwhile makes the reading old. */
    *out = &r->batch;
    if (reading_is(r, h, after, prefix, head))
        return ERR_OK;
    reading_drop(r);
    enum err_code rc = history_read(h, after, &filter, &r->batch, e);
    if (rc != ERR_OK)
        return rc;
    r->history = h;
    r->after = after;
    r->head = head;
    r->prefix_len = min_size(prefix.len, sizeof r->prefix);
    memcpy(r->prefix, prefix.at, r->prefix_len);
    return ERR_OK;
}

struct blob **changes_frames(const struct call *c)
{
    struct rest_shared *t = rest_thread(c->r);
    uint32_t form = form_of(c, ENCODED_FRAME);
    for (struct frames *f = t->reading.frames; f < t->reading.frames + READING_FORMS; f++) {
        if (f->kind == NULL)
            *f = (struct frames){.kind = c->kind, .form = form};
        if (f->kind == c->kind && f->form == form)
            return f->at;
    }
    return NULL;
}
