/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WATCH: a position in the history. Nothing is queued for a watcher: when there is room in its
 * stream and the history is ahead of it, what it wants is encoded; a slow one is simply behind, and
 * one that falls off the history's end is told 410 and lists again.
 *
 *    STARTING   the present state as ADDED events, where no resourceVersion was given (or 0)
 *    FOLLOWING  changes behind the position, until timeoutSeconds
 *
 * Watchers at one position read the history once for all. A frame is made once for all threads and watchers in a form
 * (encoded.h); those who want everything find it with the reading (rest_thread.c).
 */
#include "api/meta.h"
#include "api/watch.h"
#include "controlplane/serve/rest_read.h"
#include "controlplane/serve/slice.h"
#include "io/clock.h"
#include <stdlib.h>

enum {
    WATCH_TIMEOUT_MIN_S = 1800, /* Without timeoutSeconds: this, up to twice as long. */
    BOOKMARK_S = 60,
    ERROR_MAX = 4096,
};

struct watch {
    struct select select;
    struct str prefix;
    uint64_t seen; /* Everything up to here was sent or was not wanted. */
    struct instant end_at, bookmark_at;
    bool bookmarks, has_columns; /* has_columns: a Table's columns were sent. */
    struct cow_entry **initial;  /* Of c->snapshot, by revision. */
    uint32_t initial_count, initial_at;
};

/* ------------------------------------------------------------------ frames */

static struct blob *frame_json(struct call *c, enum watch_type event, struct str raw,
                               uint64_t revision, bool with_columns)
{
    struct buf out;
    struct err e;
    buf_init(&out, REST_REPLY_MAX);
    watch_json_begin(&out, event);
    enum err_code rc = object_json(c, raw, revision, with_columns, &out, &e);
    watch_json_end(&out);
    struct blob *frame = rc == ERR_OK ? buf_blob(&out) : NULL;
    buf_free(&out);
    return frame;
}

static struct blob *frame_protobuf(struct call *c, enum watch_type event, struct str raw,
                                   uint64_t revision)
{
    struct buf object, out;
    struct err e;
    bool is_whole = c->form.as == AS_OBJECT;
    struct transcode_envelope env = {{is_whole ? c->schema->api_version : STR("meta.k8s.io/v1"),
                                      is_whole ? c->schema->kind : STR("PartialObjectMetadata")},
                                     raw};
    enum err_code rc = ERR_OK;
    buf_init(&object, REST_REPLY_MAX);
    buf_init(&out, REST_REPLY_MAX);
    if (revision != 0) {
        rc = transcode_set_version(c->schema->message, raw, revision, &object, &e);
        env.raw = buf_str(&object);
    }
    if (!is_whole)
        env.raw = meta_partial(env.raw);
    watch_protobuf(&out, event, &env);
    struct blob *frame = rc == ERR_OK ? buf_blob(&out) : NULL;
    buf_free(&object);
    buf_free(&out);
    return frame;
}

static struct blob *frame_make(struct call *c, enum watch_type event, struct str raw,
                               uint64_t revision, bool with_columns)
{
    return c->form.type == FORM_PROTOBUF ? frame_protobuf(c, event, raw, revision)
                                         : frame_json(c, event, raw, revision, with_columns);
}

/* A reference. NULL: the object does not decode; it is left out. */
static struct blob *frame_get(struct call *c, enum watch_type event, const struct cow_entry *entry)
{
    struct watch *w = c->own;
    bool first_table = c->form.as == AS_TABLE && !w->has_columns;
    uint32_t what = ENCODED_FRAME + (uint32_t)event;
    w->has_columns = true;
    if (first_table)
        return frame_make(c, event, entry_raw(entry), 0, true);
    struct blob *kept = encoded_get(c, entry->stamp, what);
    if (kept != NULL)
        return kept;
    struct blob *bytes = frame_make(c, event, entry_raw(entry), 0, false);
    if (bytes != NULL)
        encoded_keep(c, entry->stamp, what, bytes);
    return bytes;
}

static void send(struct call *c, struct blob *frame)
{
    if (frame != NULL)
        (void)rest_chunk(c->r, frame);
}

/* ------------------------------------------------------------------ one change */

static bool wanted(const struct watch *w, const struct cow_entry *e)
{
    struct str raw = e == NULL ? (struct str){NULL, 0} : entry_raw(e);
    return raw.at != NULL && (select_is_all(&w->select) || select_matches(&w->select, raw));
}

/* A reference; NULL: not kept, or the watch does not want everything. Whoever made it looked whether both objects decode, which
 * is more cold memory than the frame. */
static struct blob *frame_kept(struct call *c, const struct history_change *change)
{
    const struct watch *w = c->own;
    enum watch_type event = change->deleted          ? WATCH_DELETED
                            : change->before != NULL ? WATCH_MODIFIED
                                                     : WATCH_ADDED;
    if (!select_is_all(&w->select) || c->form.as == AS_TABLE)
        return NULL;
    return encoded_get(c, change->now->stamp, ENCODED_FRAME + (uint32_t)event);
}

/* A reference; NULL: this watch does not want it. */
static struct blob *change_frame(struct call *c, const struct history_change *change)
{
    struct watch *w = c->own;
    struct blob *kept = frame_kept(c, change);
    if (kept != NULL)
        return kept;
    bool was = wanted(w, change->before);
    bool is = !change->deleted && wanted(w, change->now);
    if (change->deleted && was)
        return frame_get(c, WATCH_DELETED, change->now);
    if (is)
        return frame_get(c, was ? WATCH_MODIFIED : WATCH_ADDED, change->now);
    if (!was)
        return NULL;
    /* It stopped matching: as it last matched, with the revision of the change. */
    bool first_table = c->form.as == AS_TABLE && !w->has_columns;
    w->has_columns = true;
    return frame_make(c, WATCH_DELETED, entry_raw(change->before), change->revision, first_table);
}

/* Whoever wants everything gets the frame that the first one got. */
static void change_send(struct call *c, const struct history_change *change, struct blob **shared)
{
    if (shared == NULL) {
        send(c, change_frame(c, change));
        return;
    }
    if (*shared == NULL)
        *shared = change_frame(c, change);
    send(c, blob_ref(*shared));
}

static void bookmark_send(struct call *c)
{
    struct watch *w = c->own;
    struct buf raw;
    buf_init(&raw, 256);
    watch_bookmark(w->seen, &raw);
    send(c, frame_make(c, WATCH_BOOKMARK, buf_str(&raw), 0, false));
    buf_free(&raw);
}

/* ------------------------------------------------------------------ the end */

/* The client lists again whatever it reads here. */
static void error_protobuf(struct call *c, struct str json, struct buf *out)
{
    const struct schema_message *m =
        schema_message(STR("k8s.io.apimachinery.pkg.apis.meta.v1.Status"));
    struct buf raw;
    struct err e;
    buf_init(&raw, ERROR_MAX);
    if (m != NULL && transcode_from_json(m, json, &c->r->arena, NULL, NULL, &raw, &e) == ERR_OK) {
        struct transcode_envelope env = {{STR("v1"), STR("Status")}, buf_str(&raw)};
        watch_protobuf(out, WATCH_ERROR, &env);
    }
    buf_free(&raw);
}

static void watch_expired(struct call *c)
{
    struct watch *w = c->own;
    struct buf out, status;
    struct history_bounds b = history_bounds(rest_history(c->r));
    status_set(&c->status, &c->r->arena, STATUS_EXPIRED, "too old resource version: %llu (%llu)",
               (unsigned long long)w->seen, (unsigned long long)b.oldest);
    buf_init(&status, ERROR_MAX);
    buf_init(&out, 2 * ERROR_MAX);
    status_json(&c->status, &status);
    if (c->form.type == FORM_PROTOBUF) {
        error_protobuf(c, buf_str(&status), &out);
    } else {
        watch_json_begin(&out, WATCH_ERROR);
        buf_add(&out, str_trim(buf_str(&status)));
        watch_json_end(&out);
    }
    send(c, buf_blob(&out));
    buf_free(&status);
    buf_free(&out);
    rest_finish(c->r);
}

/* ------------------------------------------------------------------ going on */

/* False: no room, or the watch is over. */
static bool watch_batch(struct call *c, bool *out_more)
{
    struct watch *w = c->own;
    const struct history_batch *batch;
    struct err e;
    *out_more = false;
    if (history_head(rest_history(c->r)) <= w->seen)
        return true; /* Nothing new; or a revision of the future: it comes. */
    enum err_code rc = changes_read(c, w->seen, w->prefix, &batch, &e);
    if (rc != ERR_OK) {
        watch_expired(c);
        return false;
    }
    bool is_first_table = c->form.as == AS_TABLE && !w->has_columns;
    bool is_shared = select_is_all(&w->select) && !is_first_table;
    struct blob **frames = is_shared ? changes_frames(c) : NULL;
    uint32_t sent = 0;
    for (; sent < batch->count && (sent == 0 || rest_room(c->r) > 0); sent++)
        change_send(c, &batch->at[sent], frames == NULL ? NULL : &frames[sent]);
    bool is_whole = sent == batch->count; /* Otherwise the next read begins behind what was sent. */
    w->seen = is_whole ? batch->seen : batch->at[sent - 1].revision;
    *out_more = batch->more || !is_whole;
    return true;
}

/* False: there is more of it, later. */
static bool initial_send(struct call *c)
{
    struct watch *w = c->own;
    struct slice s = slice_begin(clock_now, SLICE_US);
    while (w->initial_at < w->initial_count) {
        if (rest_room(c->r) == 0)
            return false;
        send(c, frame_get(c, WATCH_ADDED, w->initial[w->initial_at++]));
        if (slice_over(&s)) {
            rest_yield(c->r);
            return false;
        }
    }
    return true;
}

/* False: there is more of it, later, or the watch is over. Most times there is one batch: no look at the clock. */
static bool changes_send(struct call *c)
{
    struct instant until = {0};
    for (bool more = true; more;) {
        if (rest_room(c->r) == 0 || !watch_batch(c, &more))
            return false;
        if (more && until.ns == 0)
            until = instant_add(clock_now(), (struct span){SLICE_US * 1000});
        if (more && instant_due(until, clock_now())) {
            rest_yield(c->r);
            return false;
        }
    }
    return true;
}

static void watch_more(struct call *c)
{
    struct watch *w = c->own;
    struct instant now = rest_now(c->r);
    if (w->initial_at < w->initial_count && !initial_send(c))
        return;
    if (!changes_send(c))
        return;
    bool is_over = instant_due(w->end_at, now);
    if (w->bookmarks && (is_over || instant_due(w->bookmark_at, now))) {
        bookmark_send(c);
        w->bookmark_at = instant_add(now, SPAN_S(BOOKMARK_S));
    }
    if (is_over)
        rest_finish(c->r);
    else
        rest_wake(c->r, w->bookmarks ? instant_earlier(w->end_at, w->bookmark_at) : w->end_at);
}

/* ------------------------------------------------------------------ beginning */

/* sendInitialEvents is not served: 422 makes clients list and then watch (reference: 4.3). */
static bool no_initial_events(struct call *c)
{
    struct causes causes;
    struct field match = field_name(NULL, "resourceVersionMatch");
    struct field events = field_name(NULL, "sendInitialEvents");
    causes_init(&causes, &c->r->arena);
    if (!str_is(rest_query(c->r, "resourceVersionMatch"), "NotOlderThan"))
        causes_add(&causes, CAUSE_FORBIDDEN, &match,
                   "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    causes_add(&causes, CAUSE_FORBIDDEN, &events,
               "sendInitialEvents is forbidden for watch unless the WatchList feature gate is "
               "enabled");
    return status_invalid(&c->status, STR("meta.k8s.io"), STR("ListOptions"), STR(""), &causes);
}

static bool watch_options(struct call *c, struct watch *w, int64_t *out_seconds)
{
    if (rest_query(c->r, "continue").len > 0)
        return options_forbidden(c, "resourceVersionMatch",
                                 "resourceVersionMatch is forbidden when continue is provided");
    if (rest_query(c->r, "sendInitialEvents").len > 0)
        return no_initial_events(c);
    if (rest_query(c->r, "resourceVersionMatch").len > 0)
        return options_forbidden(
            c, "resourceVersionMatch",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is "
            "provided");
    w->bookmarks = query_flag(c->r, "allowWatchBookmarks");
    return query_i64(c, "timeoutSeconds", out_seconds) && select_parse(c, &w->select) &&
           revision_parse(c, &w->seen);
}

static int by_revision(const void *a, const void *b)
{
    const struct cow_entry *const *x = a, *const *y = b;
    return ((*x)->stamp > (*y)->stamp) - ((*x)->stamp < (*y)->stamp);
}

/* What is there now, by revision: a client that resumes from the last it saw skips nothing. */
static bool watch_initial(struct call *c, struct watch *w)
{
    struct index_range range;
    struct cow_entry *e;
    c->snapshot = index_snapshot(rest_index(c->r));
    uint64_t count = index_count(&c->snapshot, w->prefix, STR(""));
    w->initial = arena_zalloc(&c->r->arena, count + 1, sizeof(struct cow_entry *));
    if (w->initial == NULL)
        return false;
    index_range(&range, &c->snapshot, w->prefix, STR(""));
    while ((e = index_range_next(&range)) != NULL)
        if (wanted(w, e))
            w->initial[w->initial_count++] = e;
    qsort(w->initial, w->initial_count, sizeof(struct cow_entry *), by_revision);
    w->seen = c->snapshot.revision;
    return true;
}

static bool watch_open(struct call *c, struct watch *w)
{
    int64_t seconds = 0;
    if (!watch_options(c, w, &seconds))
        return false;
    if (seconds <= 0)
        seconds = WATCH_TIMEOUT_MIN_S + (int64_t)(rest_random(c->r) % WATCH_TIMEOUT_MIN_S);
    struct instant now = rest_now(c->r);
    w->end_at = instant_add(now, span_seconds(seconds));
    w->bookmark_at = instant_add(now, SPAN_S(BOOKMARK_S));
    w->prefix = call_prefix(c);
    if (w->seen == 0 && !watch_initial(c, w))
        return status_set(&c->status, &c->r->arena, STATUS_TOO_LARGE,
                          "too many objects for the initial events; list and watch instead");
    return true;
}

void watch_begin(struct call *c)
{
    struct watch *w = arena_zalloc(&c->r->arena, 1, sizeof *w);
    if (w == NULL) {
        rest_cut(c->r);
        return;
    }
    c->own = w;
    if (!watch_open(c, w)) {
        reply_status(c);
        return;
    }
    c->more = watch_more;
    rest_follow(c->r, true);
    rest_stream(c->r, 200, form_content_type(&c->form, true));
    watch_more(c);
}
