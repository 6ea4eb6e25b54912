/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two stores on two loops in one thread. The source's rows come as fast as they are taken: a row that fills the batch
 * hands it to the target, and steps the target's loop when too many are on their way.
 */
#include "controlplane/store/copy.h"

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/time.h"
#include "io/clock.h"

#include <stdio.h>
#include <string.h>

enum {
    BATCH_WRITES = 1000,
    BATCH_BYTES = 512 << 10,
    COMMITS_AHEAD = 8,
    SUM_LEN = 32, /* Hexadecimal digits of a row's digest that are kept. */
    STEP_MS = 100,
    POISON_NAMED = 3,
};

struct seen {
    uint64_t revision, superseded; /* By which revision; 0: it is the last of its key. */
    uint64_t bytes;
    struct blob *key;
    char sum[SUM_LEN];
    bool deleted, sealed;
};

/* All that a load told. */
struct book {
    struct seen *at;
    uint32_t count, size;
    struct map last; /* Key -> index into at, plus one. */
    uint32_t poisoned;
    char poison[160]; /* The first ones' keys. */
    enum err_code code;
    struct err err;
};

struct side {
    struct copy *copy;
    enum copy_end end;
    struct store *store;
    struct loop *loop;
    uint64_t op, waits_for;  /* The last op; the one that is waited for, 0: none. */
    struct store_event done; /* Its end. */
    enum err_code code;      /* The first commit that failed. */
    struct err err;
    uint32_t commits; /* On their way. */
    struct book book;
};

struct copy {
    struct side sides[COPY__COUNT];
    struct store_write batch[BATCH_WRITES];
    uint32_t batch_count;
    size_t batch_bytes;
    uint64_t fence, changes, bytes;
    bool copies; /* The source's rows go to the target. */
    struct instant progress_at;
    void (*progress)(void *state, uint64_t changes, uint64_t bytes);
    void *state;
};

/* ---- The book ---- */

static void book_clear(struct book *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        blob_unref(b->at[i].key);
    mem_free(b->at);
    if (b->last.limit > 0)
        map_fini(&b->last);
    *b = (struct book){0};
}

static void sum_row(const struct store_event *ev, char out[SUM_LEN])
{
    char text[DIGEST_TEXT_LEN + 1], head[80];
    struct str key = blob_str(ev->key), value = blob_str(ev->value);
    struct digest *d = digest_begin();
    int len = snprintf(head, sizeof head, "%llu %zu %zu %d %d ", (unsigned long long)ev->revision,
                       key.len, value.len, ev->value == NULL, ev->sealed);
    digest_add(d, str_from(head, (size_t)len));
    digest_add(d, key);
    digest_add(d, value);
    digest_end(d, text);
    memcpy(out, text + DIGEST_TEXT_LEN - 64, SUM_LEN);
}

static void book_poison(struct book *b, struct str key)
{
    size_t len = strlen(b->poison);
    if (b->poisoned++ < POISON_NAMED)
        snprintf(b->poison + len, sizeof b->poison - len, " " STR_FMT,
                 (int)min_u32((uint32_t)key.len, 50), key.at);
}

/* The revision this one supersedes. */
static uint64_t book_add(struct book *b, const struct store_event *ev)
{
    struct str key = blob_str(ev->key);
    if (b->last.limit == 0)
        map_init(&b->last, COPY_KEYS_MAX);
    uintptr_t before = (uintptr_t)map_find(&b->last, key);
    if (b->count == b->size) {
        b->size = b->size == 0 ? 1024 : b->size * 2;
        b->at = mem_resize(b->at, b->size * sizeof *b->at);
    }
    struct seen *s = &b->at[b->count++];
    *s = (struct seen){.revision = ev->revision,
                       .bytes = blob_str(ev->value).len,
                       .key = blob_ref(ev->key),
                       .deleted = ev->value == NULL,
                       .sealed = ev->sealed};
    sum_row(ev, s->sum);
    if (map_put(&b->last, blob_str(s->key), (void *)(uintptr_t)b->count) != ERR_OK &&
        b->code == ERR_OK)
        b->code = err_set(&b->err, ERR_LIMIT, "over %d objects", COPY_KEYS_MAX);
    if (before == 0)
        return 0;
    b->at[before - 1].superseded = ev->revision;
    return b->at[before - 1].revision;
}

/* What a compaction up to oldest leaves. */
static bool counts(const struct seen *s, uint64_t oldest)
{
    bool forgotten = s->superseded != 0 && s->superseded <= oldest;
    return !forgotten && !(s->deleted && s->revision <= oldest);
}

static void book_sum(const struct book *b, const struct store_event *done, struct copy_sum *out)
{
    struct digest *d = digest_begin();
    *out = (struct copy_sum){.head = done->revision, .oldest = done->oldest};
    for (uint32_t i = 0; i < b->count; i++) {
        const struct seen *s = &b->at[i];
        if (!counts(s, done->oldest))
            continue;
        bool live = s->superseded == 0 && !s->deleted;
        out->objects += live;
        out->secrets += live && s->sealed;
        out->changes++;
        out->bytes += s->bytes;
        digest_add(d, str_from(s->sum, SUM_LEN));
    }
    digest_end(d, out->digest);
}

/* ---- Committing ---- */

static uint64_t next_op(struct side *s)
{
    return ++s->op;
}

static void batch_drop(struct copy *c)
{
    for (uint32_t i = 0; i < c->batch_count; i++) {
        blob_unref(c->batch[i].key);
        blob_unref(c->batch[i].value);
    }
    c->batch_count = 0;
    c->batch_bytes = 0;
}

static void batch_send(struct copy *c)
{
    struct side *to = &c->sides[COPY_TO];
    while (to->commits >= COMMITS_AHEAD)
        loop_step(to->loop, SPAN_MS(STEP_MS));
    if (c->batch_count > 0 && to->code == ERR_OK) {
        to->commits++;
        to->store->ops->commit(to->store, next_op(to), c->fence, c->batch, c->batch_count);
    }
    batch_drop(c);
}

static void batch_add(struct copy *c, const struct store_event *ev, uint64_t before)
{
    size_t bytes = blob_str(ev->key).len + blob_str(ev->value).len;
    if (c->batch_count == BATCH_WRITES || c->batch_bytes + bytes > BATCH_BYTES)
        batch_send(c);
    c->batch[c->batch_count++] = (struct store_write){.revision = ev->revision,
                                                      .before = before,
                                                      .key = blob_ref(ev->key),
                                                      .value = blob_ref(ev->value),
                                                      .sealed = ev->sealed};
    c->batch_bytes += bytes;
}

/* ---- What the stores tell ---- */

static void say_progress(struct copy *c, const struct store_event *ev)
{
    c->changes++;
    c->bytes += blob_str(ev->value).len;
    if (c->progress == NULL || c->changes % 256 != 0 || clock_now().ns < c->progress_at.ns)
        return;
    c->progress_at = instant_add(clock_now(), SPAN_S(1));
    c->progress(c->state, c->changes, c->bytes);
}

static void told_row(struct side *s, const struct store_event *ev)
{
    struct copy *c = s->copy;
    if (ev->code != ERR_OK) {
        book_poison(&s->book, blob_str(ev->key));
        return;
    }
    uint64_t before = book_add(&s->book, ev);
    if (s->end == COPY_TO || !c->copies)
        return;
    batch_add(c, ev, before);
    say_progress(c, ev);
}

static void told(void *state, const struct store_event *ev)
{
    struct side *s = state;
    if (ev->type == STORE_ROW) {
        told_row(s, ev);
    } else if (ev->op == s->waits_for) {
        s->done = *ev;
        s->waits_for = 0;
    } else {
        s->commits--;
        if (ev->code != ERR_OK && s->code == ERR_OK) {
            s->code = ev->code;
            s->err = ev->err;
        }
    }
}

/* ---- The copy ---- */

static enum err_code finish_op(struct side *s, struct err *e)
{
    while (s->waits_for != 0)
        loop_step(s->loop, SPAN_MS(STEP_MS));
    if (s->done.code == ERR_OK)
        return ERR_OK;
    *e = s->done.err;
    return s->done.code;
}

enum err_code copy_op(struct copy *c, enum copy_end end, void (*ask)(struct store *s, uint64_t op),
                      struct err *e)
{
    struct side *s = &c->sides[end];
    s->waits_for = next_op(s);
    ask(s->store, s->waits_for);
    return finish_op(s, e);
}

static enum err_code load(struct copy *c, enum copy_end end, struct copy_sum *out, struct err *e)
{
    struct side *s = &c->sides[end];
    book_clear(&s->book);
    enum err_code code = copy_op(c, end, s->store->ops->load, e);
    if (code != ERR_OK)
        return err_wrap(e, end == COPY_FROM ? "the source" : "the target");
    if (s->book.poisoned > 0)
        return err_set(e, ERR_CORRUPT,
                       "%u values do not open:%s%s; delete them while the cluster runs, or find "
                       "the right control/seal.key",
                       s->book.poisoned, s->book.poison,
                       s->book.poisoned > POISON_NAMED ? " ..." : "");
    if (s->book.code != ERR_OK) {
        *e = s->book.err;
        return s->book.code;
    }
    book_sum(&s->book, &s->done, out);
    return ERR_OK;
}

static enum err_code drain(struct copy *c, struct err *e)
{
    struct side *to = &c->sides[COPY_TO];
    batch_send(c);
    while (to->commits > 0)
        loop_step(to->loop, SPAN_MS(STEP_MS));
    if (to->code == ERR_OK)
        return ERR_OK;
    *e = to->err;
    return err_wrap(e, "the target");
}

/* The last revision may be of a change that was forgotten; it is not given away a second time. No object has this
 * key, and the compaction behind it forgets the line. */
static void copy_head(struct copy *c, uint64_t head)
{
    const struct book *b = &c->sides[COPY_FROM].book;
    if (head == 0 || (b->count > 0 && b->at[b->count - 1].revision == head))
        return;
    struct store_event last = {.revision = head, .key = blob_new(STR("copied up to here"))};
    batch_add(c, &last, 0);
    blob_unref(last.key);
}

static enum err_code compact_target(struct copy *c, uint64_t oldest, struct err *e)
{
    struct side *to = &c->sides[COPY_TO];
    if (oldest == 0)
        return ERR_OK;
    to->waits_for = next_op(to);
    to->store->ops->compact(to->store, to->waits_for, oldest);
    enum err_code code = finish_op(to, e);
    return code == ERR_OK ? ERR_OK : err_wrap(e, "the target");
}

static enum err_code compare(const struct copy_sum *from, const struct copy_sum *to, struct err *e)
{
    if (from->head == to->head && from->oldest == to->oldest && from->changes == to->changes &&
        strcmp(from->digest, to->digest) == 0)
        return ERR_OK;
    return err_set(
        e, ERR_CORRUPT,
        "the copy differs: %llu changes to revision %llu, of %llu to %llu; digests %.15s "
        "and %.15s",
        (unsigned long long)to->changes, (unsigned long long)to->head,
        (unsigned long long)from->changes, (unsigned long long)from->head, to->digest,
        from->digest);
}

enum err_code copy_run(struct copy *c, struct copy_sum *out, struct err *e)
{
    struct side *to = &c->sides[COPY_TO];
    struct copy_sum from_sum, to_sum;
    enum err_code code = load(c, COPY_TO, &to_sum, e);
    if (code != ERR_OK)
        return code;
    if (to_sum.head != 0)
        return err_set(e, ERR_DENIED, "the target is not empty: it is at revision %llu",
                       (unsigned long long)to_sum.head);
    c->fence = to->done.fence;
    c->copies = true;
    code = load(c, COPY_FROM, &from_sum, e);
    if (code == ERR_OK)
        copy_head(c, from_sum.head);
    c->copies = false;
    if (code == ERR_OK)
        code = drain(c, e);
    if (code == ERR_OK)
        code = compact_target(c, from_sum.oldest, e);
    if (code == ERR_OK)
        code = load(c, COPY_TO, &to_sum, e);
    if (code == ERR_OK)
        code = compare(&from_sum, &to_sum, e);
    if (code == ERR_OK)
        *out = to_sum;
    return code;
}

/* ---- Beginning and end ---- */

struct copy *copy_new(void (*progress)(void *state, uint64_t changes, uint64_t bytes), void *state)
{
    struct copy *c = mem_zalloc(1, sizeof *c);
    c->progress = progress;
    c->state = state;
    for (uint32_t i = 0; i < COPY__COUNT; i++)
        c->sides[i] = (struct side){.copy = c, .end = (enum copy_end)i};
    return c;
}

struct store_sink copy_sink(struct copy *c, enum copy_end end)
{
    return (struct store_sink){.post = told, .state = &c->sides[end]};
}

void copy_take(struct copy *c, enum copy_end end, struct store *s, struct loop *l)
{
    c->sides[end].store = s;
    c->sides[end].loop = l;
}

void copy_close(struct copy *c, enum copy_end end)
{
    struct side *s = &c->sides[end];
    struct err e;
    if (s->store == NULL)
        return;
    CHECK(copy_op(c, end, s->store->ops->close, &e) == ERR_OK); /* Closing cannot fail. */
    s->store = NULL;
}

void copy_free(struct copy *c)
{
    if (c == NULL)
        return;
    batch_drop(c);
    for (uint32_t i = 0; i < COPY__COUNT; i++) {
        copy_close(c, (enum copy_end)i);
        book_clear(&c->sides[i].book);
    }
    mem_free(c);
}
