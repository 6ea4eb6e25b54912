/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LIST: a range of keys of one state, in the client's form, in pages where it asks for them.
 *
 * A page's token names the state's revision and the next key, so any connection thread, and a
 * control plane after a restart as long as the history reaches back, can go on. A state that is
 * forgotten is 410 with a token that goes on from the same key in the present (conformance,
 * "continue listing from the last key").
 *
 * A long list is made in chunks as the client reads: nothing grows with the number of objects. And it is made in
 * slices of time (slice.h), looking included: a list that finds nothing among 100,000 objects gives way, too.
 *
 *    LOOKING    where the page ends, and for protobuf how long it is: both stand in front of the items
 *    FILLING    the first chunk; a list that ends in it is an answer with a length
 *    STREAMING  further chunks, as long as there is room
 */
#include "controlplane/serve/rest_page.h"
#include "controlplane/serve/rest_read.h"
#include "controlplane/serve/slice.h"
#include "io/clock.h"

enum {
    LIST_CHUNK = 64 << 10,  /* About as much as is encrypted in one go. */
    LIST_WHOLE = 256 << 10, /* Lists that are no longer are answered whole. */
};

enum list_phase { LIST_LOOKING, LIST_FILLING, LIST_STREAMING };

/* Where a walk over the entries is. */
struct walk {
    struct past_cursor cursor;
    struct cow_entry *ahead; /* The next that matches; NULL: the end, or not found yet. */
    struct str raw;          /* Its bytes. */
    bool is_over, searching; /* searching: ahead is not known yet, the slice was over before. */
};

struct list {
    struct call *c;
    struct select select;
    struct past past;
    enum list_phase phase;
    struct walk at, look; /* look: LIST_LOOKING's own. */
    bool by_runs;         /* Then these two instead. */
    struct runs runs, look_runs;
    int64_t looked;    /* Items of the page that look has passed, */
    size_t items_len;  /* and their length in protobuf. */
    uint64_t revision; /* Wanted; 0: now. */
    struct str from;   /* First key; "": the prefix's first. */
    int64_t limit;     /* 0: none. */
    struct page page;  /* What it is written as. */
    bool is_open;
};

/* ------------------------------------------------------------------ options */

static bool match_check(struct call *c, struct str match)
{
    struct str version = rest_query(c->r, "resourceVersion");
    struct str next = rest_query(c->r, "continue");
    if (rest_query(c->r, "sendInitialEvents").len > 0)
        return options_forbidden(c, "sendInitialEvents", "sendInitialEvents is forbidden for list");
    if (match.len == 0)
        return true;
    if (next.len > 0)
        return options_forbidden(c, "resourceVersionMatch",
                                 "resourceVersionMatch is forbidden when continue is provided");
    if (version.len == 0)
        return options_forbidden(
            c, "resourceVersionMatch",
            "resourceVersionMatch is forbidden unless resourceVersion is provided");
    if (!str_is(match, "Exact") && !str_is(match, "NotOlderThan"))
        return options_unsupported(c, "ListOptions", "resourceVersionMatch",
                                   status_quote(&c->r->arena, match),
                                   "\"Exact\", \"NotOlderThan\", \"\"");
    if (str_is(match, "Exact") && str_is(version, "0"))
        return options_forbidden(
            c, "resourceVersionMatch",
            "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
    return true;
}

/* Sets l->revision to an exact state, *out_least to what must have been published. */
static bool list_options(struct list *l, uint64_t *out_least)
{
    struct call *c = l->c;
    struct str match = rest_query(c->r, "resourceVersionMatch");
    struct str next = rest_query(c->r, "continue");
    struct str version = rest_query(c->r, "resourceVersion");
    uint64_t revision = 0;
    if (!match_check(c, match) || !query_i64(c, "limit", &l->limit) ||
        !select_parse(c, &l->select) || !revision_parse(c, &revision))
        return false;
    if (l->limit < 0 || (str_is(version, "0") && next.len == 0))
        l->limit = 0;
    *out_least = revision;
    if (next.len > 0) {
        if (revision != 0)
            return status_set(&c->status, &c->r->arena, STATUS_BAD_REQUEST,
                              "specifying resource version is not allowed when using continue");
        return page_token_parse(c, next, l->past.prefix, &l->from, &l->revision);
    }
    bool exact = str_is(match, "Exact") || (match.len == 0 && l->limit > 0);
    l->revision = exact ? revision : 0;
    return true;
}

/* ------------------------------------------------------------------ the page */

/* On to the next that matches. False: the slice is over, and it is not found yet. */
static bool walk_on(struct list *l, struct walk *w, struct slice *s)
{
    struct cow_entry *e;
    w->searching = true;
    while ((e = past_next(&w->cursor, &l->past)) != NULL) {
        struct str raw = entry_raw(e);
        /* One without bytes (core.h, FAILS) would spoil the list for all others. */
        bool matches =
            raw.at != NULL && (select_is_all(&l->select) || select_matches(&l->select, raw));
        bool is_over = slice_over(s);
        if (matches) {
            *w = (struct walk){.cursor = w->cursor, .ahead = e, .raw = raw};
            return true;
        }
        if (is_over)
            return false;
    }
    *w = (struct walk){.cursor = w->cursor, .is_over = true};
    return true;
}

static bool page_look_runs(struct list *l, struct slice *s)
{
    while (!runs_over(&l->look_runs)) {
        if (l->c->form.type == FORM_PROTOBUF)
            l->items_len += runs_next_len(&l->look_runs);
        else
            runs_pass(&l->look_runs);
        if (slice_over(s))
            return false;
    }
    l->look.ahead = runs_behind(&l->look_runs);
    l->look.is_over = l->look.ahead == NULL;
    return true;
}

/* What the next page begins with, and what protobuf says of this one's length, stand in front of the
 * items: the page is walked over first. JSON without a limit has neither. False: the slice is over. */
static bool page_look(struct list *l, struct slice *s)
{
    bool is_protobuf = l->c->form.type == FORM_PROTOBUF, partial = l->c->form.as != AS_OBJECT;
    if (l->limit == 0 && !is_protobuf)
        return true;
    if (l->by_runs)
        return page_look_runs(l, s);
    while (l->limit == 0 || l->looked < l->limit) {
        if (l->look.searching && !walk_on(l, &l->look, s))
            return false;
        if (l->look.is_over)
            return true;
        if (is_protobuf)
            l->items_len += list_item_len(l->look.raw, partial);
        l->looked++;
        l->look.searching = true;
    }
    /* The page is full: is there another? */
    return !l->look.searching || walk_on(l, &l->look, s);
}

static void page_next(struct list *l, struct list_head *h)
{
    if (l->limit == 0 || l->look.is_over)
        return;
    struct str key = cow_entry_key(l->look.ahead);
    h->remaining = select_is_all(&l->select) ? past_count(&l->past, key) : 0;
    h->next = page_token(&l->c->r->arena, l->past.prefix, key, l->past.revision);
    if (l->past.revision == l->past.now.revision)
        state_keep(l->c, &l->past.now);
}

static struct list_head head_of(struct list *l)
{
    struct call *c = l->c;
    bool is_table = c->form.as == AS_TABLE, is_whole = c->form.as == AS_OBJECT;
    struct str kind = is_whole ? c->schema->kind : STR("PartialObjectMetadata");
    struct list_head h = {.revision = l->past.revision, .table = is_table ? c->kind : NULL};
    page_next(l, &h);
    h.api_version = is_whole       ? c->schema->api_version
                    : c->form.beta ? STR("meta.k8s.io/v1beta1")
                                   : STR("meta.k8s.io/v1");
    h.kind = is_table ? STR("Table") : arena_printf(&c->r->arena, STR_FMT "List", STR_ARG(kind));
    return h;
}

/* ------------------------------------------------------------------ one answer, or many chunks */

static bool list_done(const struct list *l)
{
    if (l->by_runs)
        return runs_over(&l->runs);
    return l->at.is_over || (l->limit > 0 && l->page.written >= (uint64_t)l->limit);
}

static void list_end(struct call *c)
{
    struct list *l = c->own;
    if (l->is_open)
        past_close(&l->past);
    page_close(&l->page);
}

/* list_fill() for a list by runs. */
static enum err_code list_fill_runs(struct list *l, size_t enough, struct slice *s,
                                    bool *out_enough, struct err *e)
{
    *out_enough = true;
    while (l->page.out.len < enough && !runs_over(&l->runs)) {
        struct blob *run = runs_next(&l->runs, e);
        if (run == NULL)
            return e->code;
        page_run(&l->page, blob_str(run));
        blob_unref(run);
        *out_enough = l->page.out.len >= enough || runs_over(&l->runs) || !slice_over(s);
        if (!*out_enough)
            break;
    }
    return arena_status(&l->c->r->arena, e);
}

/* Items into out until there is enough; false in *out_enough: the slice was over before. */
static enum err_code list_fill(struct list *l, size_t enough, struct slice *s, bool *out_enough,
                               struct err *e)
{
    if (l->by_runs)
        return list_fill_runs(l, enough, s, out_enough, e);
    *out_enough = false;
    while (l->page.out.len < enough) {
        if (l->at.searching && !walk_on(l, &l->at, s))
            return ERR_OK;
        if (list_done(l))
            break;
        enum err_code rc = page_item(&l->page, &(struct page_item){l->at.ahead, l->at.raw}, e);
        if (rc != ERR_OK)
            return rc;
        l->at.searching = true;
        if (list_done(l))
            break;
    }
    *out_enough = true;
    return arena_status(&l->c->r->arena, e);
}

/* The first chunk: the whole answer, or the beginning of a long one. False: nothing more is to be done. */
static bool list_reply(struct list *l)
{
    struct call *c = l->c;
    struct err e;
    struct blob *first = page_chunk(&l->page, list_done(l), &e);
    const char *type = form_content_type(&c->form, false);
    if (first == NULL)
        reply_err(c, &e);
    else if (list_done(l))
        rest_reply(c->r, 200, type, first);
    if (first == NULL || list_done(l))
        return false;
    l->phase = LIST_STREAMING;
    rest_stream(c->r, 200, type);
    (void)rest_chunk(c->r, first);
    return true;
}

/* One more chunk. False: there is none, or it cannot be made. */
static bool list_send(struct list *l)
{
    struct err e;
    struct blob *chunk = page_chunk(&l->page, list_done(l), &e);
    if (chunk == NULL) {
        rest_cut(l->c->r);
        return false;
    }
    (void)rest_chunk(l->c->r, chunk);
    if (list_done(l))
        rest_finish(l->c->r);
    return !list_done(l);
}

/* One slice of runs, given on as they are. False: the request was answered, or cannot be. */
static bool list_send_runs(struct list *l, struct slice *s)
{
    struct err e;
    size_t room = 1;
    while (!runs_over(&l->runs) && room > 0 && !slice_over(s)) {
        struct blob *run = runs_next(&l->runs, &e);
        if (run == NULL) {
            rest_cut(l->c->r);
            return false;
        }
        room = rest_chunk(l->c->r, run);
    }
    return !runs_over(&l->runs) || room == 0 || list_send(l); /* The end waits for room, too. */
}

/* One slice of looking. False: the request was answered. */
static bool list_look(struct list *l, struct slice *s)
{
    struct err e;
    if (!page_look(l, s))
        return true;
    if (!l->by_runs && l->at.searching &&
        !walk_on(l, &l->at, s)) /* An empty list in YAML begins otherwise. */
        return true;
    l->phase = LIST_FILLING;
    struct list_head h = head_of(l);
    if (page_begin(&l->page, &h, l->items_len, l->at.is_over, &e) == ERR_OK)
        return true;
    reply_err(l->c, &e);
    return false;
}

/* One slice of making chunks. False: the request was answered. */
static bool list_make(struct list *l, struct slice *s)
{
    struct err e;
    bool is_enough, is_first = l->phase == LIST_FILLING;
    if (l->by_runs && !is_first)
        return list_send_runs(l, s);
    enum err_code rc = list_fill(l, is_first ? LIST_WHOLE : LIST_CHUNK, s, &is_enough, &e);
    if (rc != ERR_OK && is_first)
        reply_err(l->c, &e);
    else if (rc != ERR_OK)
        rest_cut(l->c->r);
    if (rc != ERR_OK)
        return false;
    if (!is_enough)
        return true;
    return is_first ? list_reply(l) : list_send(l);
}

static void list_more(struct call *c)
{
    struct list *l = c->own;
    struct slice s = slice_begin(clock_now, SLICE_US);
    if (l->phase == LIST_STREAMING && rest_room(c->r) == 0)
        return; /* We are called again when there is some. */
    if (l->phase == LIST_LOOKING ? list_look(l, &s) : list_make(l, &s))
        rest_yield(c->r);
}

static void list_expired(struct list *l, bool is_page)
{
    struct call *c = l->c;
    status_set(&c->status, &c->r->arena, STATUS_EXPIRED, "%s",
               is_page ? "The provided continue parameter is too old to display a consistent list "
                         "result. You can start a new list without the continue parameter, or use "
                         "the continue token in this response to retrieve the remainder of the "
                         "results. Continuing with the provided token results in an inconsistent "
                         "list - objects that were created, modified, or deleted between the time "
                         "the first chunk was returned and now may show up in the list."
                       : "The resourceVersion for the provided list is too old.");
    if (is_page)
        c->status.next = page_token(&c->r->arena, l->past.prefix, l->from, 0);
    reply_status(c);
}

static void list_open(struct call *c, struct list *l)
{
    struct err e;
    struct index_snapshot kept;
    struct str prefix = l->past.prefix, from = l->from;
    enum err_code rc = ERR_OK;
    c->own = l;
    c->end = list_end;
    if (l->revision != 0 && state_find(c, l->revision, &kept))
        past_kept(&l->past, &kept, prefix);
    else
        rc = past_open(&l->past, rest_index(c->r), rest_history(c->r), prefix, l->revision,
                       &c->r->arena, &e);
    if (rc == ERR_NOT_FOUND) {
        l->past.prefix = prefix;
        list_expired(l, from.len > 0);
        return;
    }
    if (rc != ERR_OK) {
        reply_err(c, &e);
        return;
    }
    l->is_open = true;
    l->by_runs = runs_fit(&c->form) && select_is_all(&l->select) && l->past.changed_count == 0;
    if (l->by_runs) {
        runs_open(&l->runs, c, &l->past.now, l->past.prefix, from, (uint64_t)l->limit);
        l->look_runs = l->runs;
    }
    past_seek(&l->at.cursor, &l->past, from);
    l->at.searching = true;
    l->look = l->at;
    c->more = list_more;
    list_more(c);
}

static void list_awaited(struct call *c)
{
    list_open(c, c->list);
}

void list_begin(struct call *c)
{
    struct list *l = arena_zalloc(&c->r->arena, 1, sizeof *l);
    uint64_t least = 0;
    if (l == NULL) {
        rest_cut(c->r);
        return;
    }
    l->c = c;
    l->from = STR("");
    l->past.prefix = call_prefix(c);
    page_open(&l->page, c);
    c->list = l;
    if (list_options(l, &least))
        revision_await(c, least, list_awaited);
    else
        reply_status(c);
}
