/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compaction, beside commits, one request at a time. Forgetting a row costs a few bytes in its record's list of
 * forgotten ones; a record is rewritten only when half of it is gone or when it has many small
 * neighbours, so a row is rewritten a handful of times in its life.
 *
 *   MARK     say that changes up to target may be missing from now on
 *   READ     the records behind what was swept: what do their rows supersede?
 *   WRITE    the lists that grew, and how far we are; then READ again, or
 *   FETCH    records worth merging
 *   MERGE    one record in their place; then FETCH again, or
 *   DOUBT    etcd said that it is full, and may have merged all the same: did it?
 *   HISTORY  tell etcd to forget what its keys were before the pass before this one
 *
 * A crash between two steps costs nothing: what was marked and not swept is swept by the next pass. The newest
 * record is never touched: the next one will ask whether it is there.
 */
#include "controlplane/store/store_etcd_priv.h"

enum {
    READ_BYTES = 1 << 20,
    LISTS_MAX = 60, /* Puts of one transaction; etcd takes 128. */
    LISTS_BYTES = 512 << 10,
    MERGED_BYTES = 1 << 20,
    SMALL_BYTES = MERGED_BYTES / 4,
    RUN_MIN = 8,     /* Small ones together that are worth it. */
    RUN_MAX = 512,   /* Read at a time. */
    MERGES_MAX = 64, /* In one pass; the rest is for the next one. */
};

static void mark(struct etcd_log *m);
static void read_next(struct etcd_log *m);
static void rows_read(struct etcd_log *m, const struct etcd_answer *a);
static void write_lists(struct etcd_log *m);
static void lists_written(struct etcd_log *m);
static void merge_next(struct etcd_log *m);
static void fetched(struct etcd_log *m, const struct etcd_answer *a);
static void merged(struct etcd_log *m, const struct etcd_answer *a);
static void ask_merged(struct etcd_log *m);
static void doubt_ended(struct etcd_log *m, const struct etcd_answer *a);
static void forget_history(struct etcd_log *m);
static void finish(struct etcd_log *m, enum err_code code, const struct err *e);

/* ---- The frame ---- */

void etcd_sweep__begin(struct etcd_log *m, uint64_t op, uint64_t before)
{
    struct etcd_sweep *s = &m->sweep;
    struct err e;
    s->op = op;
    if (m->fence == 0 || m->deposed) {
        enum err_code code = err_set(&e, ERR_UNAVAILABLE, "compact: load first");
        etcd_log__done(m, op, code, &e);
        return;
    }
    s->target = min_u64(before, m->head);
    s->merges = s->merge_begin = 0;
    mark(m);
}

void etcd_sweep__resume(struct etcd_log *m, bool afresh)
{
    struct etcd_sweep *s = &m->sweep;
    if (s->step == ETCD_SWEEP_NOT || etcd_log__is_calling(m, ETCD_CALL_SWEEP) ||
        !(afresh || s->pauses))
        return;
    s->pauses = false;
    s->merge_begin = 0;
    mark(m); /* Once more is harmless, and from there everything is read again. */
}

void etcd_sweep__stop(struct etcd_log *m, const char *why)
{
    struct err e;
    if (m->sweep.step == ETCD_SWEEP_NOT)
        return;
    etcd_log__hang_up(m, ETCD_CALL_SWEEP);
    enum err_code code = err_set(&e, ERR_UNAVAILABLE, "compact: %s", why);
    finish(m, code, &e);
}

static void finish(struct etcd_log *m, enum err_code code, const struct err *e)
{
    m->sweep.step = ETCD_SWEEP_NOT;
    m->sweep.pauses = false;
    etcd_log__done(m, m->sweep.op, code, e);
}

static void answered_ok(struct etcd_log *m, const struct etcd_answer *a)
{
    switch (m->sweep.step) {
    case ETCD_SWEEP_MARK:
        m->compacted = max_u64(m->compacted, m->sweep.target);
        read_next(m);
        break;
    case ETCD_SWEEP_READ:
        rows_read(m, a);
        break;
    case ETCD_SWEEP_WRITE:
        lists_written(m);
        break;
    case ETCD_SWEEP_FETCH:
        fetched(m, a);
        break;
    case ETCD_SWEEP_MERGE:
        merged(m, a);
        break;
    case ETCD_SWEEP_DOUBT:
        doubt_ended(m, a);
        break;
    case ETCD_SWEEP_HISTORY:
    case ETCD_SWEEP_NOT:
        break;
    }
}

void etcd_sweep__answered(struct etcd_log *m, const struct etcd_answer *a)
{
    struct etcd_sweep *s = &m->sweep;
    bool changes = s->step == ETCD_SWEEP_MARK || s->step == ETCD_SWEEP_WRITE;
    struct err e;
    if (s->step == ETCD_SWEEP_HISTORY) { /* Somebody else may have done it. */
        finish(m, ERR_OK, NULL);
    } else if (a->outcome == ETCD_FULL && s->step == ETCD_SWEEP_MERGE) {
        (void)etcd_log__why(a, "compact", &s->doubt);
        ask_merged(m);
    } else if (a->outcome != ETCD_FINE) {
        enum err_code code = etcd_log__why(a, "compact", &e);
        finish(m, code, &e);
    } else if (changes && !a->succeeded) {
        enum err_code code = err_set(&e, ERR_CONFLICT, "another control plane took over the store");
        m->deposed = true;
        finish(m, code, &e);
    } else {
        answered_ok(m, a);
    }
    s->pauses = s->step != ETCD_SWEEP_NOT && !etcd_log__is_calling(m, ETCD_CALL_SWEEP);
}

/* False: a load is waiting; we go on behind it. */
static bool may_ask(const struct etcd_log *m)
{
    return !etcd_log__wants_quiet(m) && m->state == ETCD_LOG_LEADING;
}

static void begin(struct etcd_log *m, struct etcd_txn *t, struct buf *body)
{
    buf_init(body, ETCD_BODY_MAX);
    etcd_log__begin(m, t, body);
}

static void ask(struct etcd_log *m, enum etcd_sweep_step step, const char *path, struct buf *body)
{
    m->sweep.step = step;
    etcd_log__call(m, ETCD_CALL_SWEEP, path, body);
}

static void mark(struct etcd_log *m)
{
    struct etcd_txn t;
    struct buf body;
    begin(m, &t, &body);
    etcd_txn_then(&t);
    etcd_log__put_state(m, &t, max_u64(m->compacted, m->sweep.target), m->swept);
    etcd_txn_end(&t);
    ask(m, ETCD_SWEEP_MARK, "/v3/kv/txn", &body);
}

/* ---- Forgetting ---- */

static void ask_segments(struct etcd_log *m, enum etcd_sweep_step step, uint32_t from,
                         uint32_t count)
{
    const struct etcd_segment *at = m->index.segments + from;
    char key[ETCD_KEY_MAX], end[ETCD_KEY_MAX];
    struct buf body;
    buf_init(&body, ETCD_BODY_MAX);
    etcd_range_print(&body, &(struct etcd_range){
                                .key = etcd_log__seq_key(m, "log/", at[0].seq, key),
                                .end = etcd_log__seq_key(m, "log/", at[count - 1].seq + 1, end)});
    ask(m, step, "/v3/kv/range", &body);
}

static void read_next(struct etcd_log *m)
{
    struct etcd_sweep *s = &m->sweep;
    const struct etcd_index *x = &m->index;
    uint32_t from = etcd_index_find(x, m->swept + 1), count = 0;
    uint64_t bytes = 0;
    if (!may_ask(m))
        return;
    while (from + count < x->segments_count && count < RUN_MAX && bytes < READ_BYTES &&
           x->segments[from + count].first <= s->target)
        bytes += x->segments[from + count++].bytes;
    if (m->swept >= s->target || count == 0) {
        s->reached = max_u64(s->target, m->swept);
        write_lists(m);
        return;
    }
    s->reached = min_u64(x->segments[from + count - 1].last, s->target);
    ask_segments(m, ETCD_SWEEP_READ, from, count);
}

static void forget(struct etcd_log *m, uint64_t revision)
{
    uint32_t i = etcd_index_find(&m->index, revision);
    if (i < m->index.segments_count && m->index.segments[i].first <= revision)
        etcd_gone_add(etcd_index_gone_at(&m->index, m->index.segments[i].seq), revision);
}

static void rows_read(struct etcd_log *m, const struct etcd_answer *a)
{
    const struct etcd_kvs *kvs = &a->ranges[0];
    enum err_code code = ERR_OK;
    struct err e;
    for (uint32_t i = 0; i < kvs->count && code == ERR_OK; i++) {
        struct etcd_record_reader r;
        struct etcd_row row;
        code = etcd_record_open(&r, kvs->at[i].value, &e);
        while (code == ERR_OK && etcd_record_next(&r, &row)) {
            if (row.revision <= m->swept || row.revision > m->sweep.target)
                continue;
            if (row.before > 0)
                forget(m, row.before);
            if (row.value.at == NULL) /* Nothing is left that it would have to hide. */
                forget(m, row.revision);
        }
        if (code == ERR_OK)
            code = etcd_record_end(&r, &e);
        etcd_record_close(&r);
    }
    if (code != ERR_OK)
        finish(m, code, &e);
    else
        write_lists(m);
}

static void write_lists(struct etcd_log *m)
{
    char key[ETCD_KEY_MAX];
    struct etcd_txn t;
    struct buf body, list;
    uint32_t count = 0;
    if (!may_ask(m))
        return;
    m->sweep.whole = true;
    buf_init(&list, ETCD_RECORD_MAX);
    begin(m, &t, &body);
    etcd_txn_then(&t);
    for (uint32_t i = 0; i < m->index.gone_count; i++) {
        struct etcd_gone *g = &m->index.gone[i];
        g->sent = g->dirty && count < LISTS_MAX && body.len < LISTS_BYTES;
        m->sweep.whole = m->sweep.whole && g->sent == g->dirty;
        if (!g->sent)
            continue;
        count++;
        buf_clear(&list);
        etcd_gone_print(g, &list);
        etcd_txn_put(&t, etcd_log__seq_key(m, "gone/", g->seq, key), buf_str(&list), 0);
    }
    buf_free(&list);
    etcd_log__put_state(m, &t, m->compacted,
                        m->sweep.whole ? max_u64(m->swept, m->sweep.reached) : m->swept);
    etcd_txn_end(&t);
    ask(m, ETCD_SWEEP_WRITE, "/v3/kv/txn", &body);
}

static void lists_written(struct etcd_log *m)
{
    for (uint32_t i = 0; i < m->index.gone_count; i++) {
        struct etcd_gone *g = &m->index.gone[i];
        g->dirty = g->dirty && !g->sent;
        g->sent = false;
    }
    if (!m->sweep.whole) {
        write_lists(m);
        return;
    }
    m->swept = max_u64(m->swept, m->sweep.reached);
    if (m->swept >= m->sweep.target)
        merge_next(m);
    else
        read_next(m);
}

/* ---- Merging ---- */

/* Bytes of the rows that are still there, about. */
static uint32_t live_bytes(const struct etcd_index *x, const struct etcd_segment *at)
{
    const struct etcd_gone *gone = etcd_index_gone(x, at->seq);
    uint32_t rows = gone == NULL ? at->rows : at->rows - min_u32(gone->count, at->rows);
    return at->rows == 0 ? 0 : (uint32_t)((uint64_t)at->bytes * rows / at->rows);
}

/* The next records to be merged, at or behind begin: neighbours that are small or half gone. The end of a transaction is
 * not merged without its beginning: with nothing left in it it would go, and what was a part would have no end. False:
 * none is worth it. */
static bool find_run(const struct etcd_index *x, uint32_t begin, uint32_t *out_from,
                     uint32_t *out_count)
{
    uint32_t from = 0, count = 0;
    uint64_t live = 0, bytes = 0;
    for (uint32_t i = begin; i < x->segments_count; i++) {
        const struct etcd_segment *at = &x->segments[i];
        uint32_t alive = live_bytes(x, at);
        bool newest = i + 1 == x->segments_count, half_gone = alive * 2ull <= at->bytes;
        bool is_worth_it = !newest && (half_gone || at->bytes < SMALL_BYTES);
        bool may_begin = is_worth_it && (i == 0 || !x->segments[i - 1].part);
        bool takes = is_worth_it && (count > 0 || may_begin) && count < RUN_MAX &&
                     live + alive <= MERGED_BYTES && bytes + at->bytes <= 4u * MERGED_BYTES;
        if (!takes) {
            if (count >= RUN_MIN || (count > 0 && live * 2 <= bytes))
                break;
            count = 0;
            live = bytes = 0;
            if (!may_begin)
                continue;
        }
        from = count == 0 ? i : from;
        count++;
        live += alive;
        bytes += at->bytes;
    }
    *out_from = from;
    *out_count = count;
    return count >= RUN_MIN || (count > 0 && live * 2 <= bytes);
}

static void merge_next(struct etcd_log *m)
{
    struct etcd_sweep *s = &m->sweep;
    if (!may_ask(m))
        return;
    if (s->merges >= MERGES_MAX ||
        !find_run(&m->index, s->merge_begin, &s->merge_from, &s->merge_count)) {
        forget_history(m);
        return;
    }
    s->merges++;
    s->merge_begin = s->merge_from + 1; /* Once over the log in a pass, so that this ends. */
    ask_segments(m, ETCD_SWEEP_FETCH, s->merge_from, s->merge_count);
}

static bool add_live_rows(struct etcd_record_reader *r, const struct etcd_gone *gone,
                          struct etcd_record *out)
{
    struct etcd_row row;
    while (etcd_record_next(r, &row)) {
        size_t cost = row.key.len + row.value.len + ETCD_ROW_OVERHEAD;
        if (etcd_gone_has(gone, row.revision))
            continue;
        if (!etcd_record_fits(out, cost))
            return false;
        etcd_record_add_row(out, &row);
    }
    return true;
}

/* How much is live was an estimate: when a record does not fit any more, the run ends before it. */
static enum err_code merge_records(struct etcd_log *m, const struct etcd_kvs *kvs,
                                   struct etcd_record *out, struct err *e)
{
    struct etcd_sweep *s = &m->sweep;
    const struct etcd_segment *run = m->index.segments + s->merge_from;
    if (kvs->count != s->merge_count)
        return err_set(e, ERR_CORRUPT, "compact: records of the log are missing in etcd");
    out->head.first = run[0].first;
    for (uint32_t i = 0; i < s->merge_count; i++) {
        struct etcd_record_head head = out->head;
        uint64_t at = out->at;
        size_t len = out->rows.len;
        struct etcd_record_reader r;
        enum err_code code = etcd_record_open(&r, kvs->at[i].value, e);
        bool is_same = r.head.first >= run[i].first && r.head.last <= run[i].last;
        bool fits = code == ERR_OK && is_same &&
                    add_live_rows(&r, etcd_index_gone(&m->index, run[i].seq), out);
        if (code == ERR_OK && (!is_same || (!fits && i == 0)))
            code = err_set(e, ERR_CORRUPT, "compact: record %llx is not what it was",
                           (unsigned long long)run[i].seq);
        if (code == ERR_OK && fits)
            code = etcd_record_end(&r, e);
        etcd_record_close(&r);
        if (code != ERR_OK)
            return code;
        if (!fits) {
            out->head = head;
            out->at = at;
            out->rows.len = len;
            s->merge_count = i;
        }
    }
    out->head.last = run[s->merge_count - 1].last;
    out->head.fence = m->fence;
    out->head.part = run[s->merge_count - 1].part;
    return ERR_OK;
}

/* The record that stays must still be the one that was read: a late second try of a merge must find nothing. */
static void write_merged(struct etcd_log *m, const struct etcd_record *record)
{
    struct etcd_sweep *s = &m->sweep;
    const struct etcd_segment *run = m->index.segments + s->merge_from;
    uint64_t first = run[0].seq, last = run[s->merge_count - 1].seq;
    char key[ETCD_KEY_MAX], from[ETCD_KEY_MAX], end[ETCD_KEY_MAX];
    struct str last_key = etcd_log__seq_key(m, "log/", last, key);
    struct etcd_txn t;
    struct buf body, value;
    buf_init(&value, ETCD_RECORD_MAX + ETCD_RECORD_HEAD_MAX);
    begin(m, &t, &body);
    etcd_txn_modified_is(&t, last_key, s->merge_modified);
    etcd_txn_then(&t);
    if (record->head.rows > 0) {
        etcd_record_print(record, &value);
        etcd_txn_put(&t, last_key, buf_str(&value), 0);
    } else {
        etcd_txn_delete(&t, last_key, STR(""));
    }
    if (first != last)
        etcd_txn_delete(&t, etcd_log__seq_key(m, "log/", first, from), last_key);
    etcd_txn_delete(&t, etcd_log__seq_key(m, "gone/", first, from),
                    etcd_log__seq_key(m, "gone/", last + 1, end));
    etcd_txn_otherwise(&t);
    etcd_txn_get(&t, etcd_log__key(m, "fence", from), STR(""), false);
    etcd_txn_end(&t);
    s->merged = (struct etcd_segment){.seq = last,
                                      .first = record->head.first,
                                      .last = record->head.last,
                                      .rows = record->head.rows,
                                      .bytes = (uint32_t)record->rows.len,
                                      .part = record->head.part};
    buf_free(&value);
    ask(m, ETCD_SWEEP_MERGE, "/v3/kv/txn", &body);
}

static void fetched(struct etcd_log *m, const struct etcd_answer *a)
{
    const struct etcd_kvs *kvs = &a->ranges[0];
    struct etcd_record record;
    struct err e;
    etcd_record_init(&record);
    enum err_code code = merge_records(m, kvs, &record, &e);
    if (code != ERR_OK) {
        finish(m, code, &e);
    } else if (may_ask(m)) {
        m->sweep.merge_modified = kvs->at[m->sweep.merge_count - 1].modified;
        write_merged(m, &record);
    }
    etcd_record_free(&record);
}

/* With the fence still ours a compare that fails means that an earlier try was done after all. */
static void merged(struct etcd_log *m, const struct etcd_answer *a)
{
    struct etcd_sweep *s = &m->sweep;
    struct err e;
    if (!a->succeeded && !etcd_log__holds(m, &a->ranges[0])) {
        enum err_code code = err_set(&e, ERR_CONFLICT, "another control plane took over the store");
        m->deposed = true;
        finish(m, code, &e);
        return;
    }
    etcd_index_replace(&m->index, s->merge_from, s->merge_count, &s->merged);
    m->counts.merges++;
    s->history_next = a->revision;
    merge_next(m);
}

static void ask_merged(struct etcd_log *m)
{
    struct etcd_sweep *s = &m->sweep;
    char key[ETCD_KEY_MAX], last[ETCD_KEY_MAX];
    struct etcd_txn t;
    struct buf body;
    begin(m, &t, &body);
    etcd_txn_modified_is(&t, etcd_log__seq_key(m, "log/", s->merged.seq, last), s->merge_modified);
    etcd_txn_then(&t);
    etcd_txn_otherwise(&t);
    etcd_txn_get(&t, etcd_log__key(m, "fence", key), STR(""), false);
    etcd_txn_end(&t);
    ask(m, ETCD_SWEEP_DOUBT, "/v3/kv/txn", &body);
}

static void doubt_ended(struct etcd_log *m, const struct etcd_answer *a)
{
    struct etcd_sweep *s = &m->sweep;
    if (!a->succeeded && etcd_log__holds(m, &a->ranges[0]))
        etcd_index_replace(&m->index, s->merge_from, s->merge_count, &s->merged);
    finish(m, ERR_LIMIT, &s->doubt);
}

/* ---- etcd's own history ---- */

/* Up to where it stood at the end of the pass before: readers of that time are done. */
static void forget_history(struct etcd_log *m)
{
    struct etcd_sweep *s = &m->sweep;
    struct buf body;
    uint64_t history = s->history;
    s->history = s->history_next;
    if (history == 0 || history == s->history) {
        finish(m, ERR_OK, NULL);
        return;
    }
    buf_init(&body, ETCD_BODY_MAX);
    etcd_number_print(&body, "revision", history);
    ask(m, ETCD_SWEEP_HISTORY, "/v3/kv/compaction", &body);
}
