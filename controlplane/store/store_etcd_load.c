/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From nothing to leading: look, take a lease, lock and fence in one transaction, then read. A following
 * only looks and reads, and so does the load of a store that was opened to be read; an opening only looks.
 *
 * Everything is read at the etcd revision of the transaction that took the fence (or that looked), so pages
 * fit together whatever happens meanwhile.
 */
#include "controlplane/store/store_etcd_priv.h"

#include <stdio.h>

enum {
    TAKES_MAX = 8,        /* Somebody else took it in between, again and again. */
    PAGE_BYTES = 8 << 20, /* Of an answer, aimed at. */
    PAGE_RECORDS = 16,    /* The first page. */
    PAGE_RECORDS_MAX = 2048,
    ROWS_OUT_MAX = 2, /* Pages the user has not taken yet. */
    TEXT_MAX = 100,
};

static void looked(struct etcd_log *m, const struct etcd_answer *a);
static void granted(struct etcd_log *m, const struct etcd_answer *a);
static void taken(struct etcd_log *m, const struct etcd_answer *a);
static void recalled(struct etcd_log *m, const struct etcd_answer *a);
static void page_read(struct etcd_log *m, const struct etcd_answer *a);
static void finish(struct etcd_log *m);

/* ---- The frame ---- */

static void look(struct etcd_log *m)
{
    char key[ETCD_KEY_MAX];
    struct etcd_txn t;
    struct buf body;
    buf_init(&body, ETCD_BODY_MAX);
    etcd_txn_begin(&t, &body);
    etcd_txn_then(&t);
    etcd_txn_get(&t, etcd_log__key(m, "state", key), STR(""), false);
    etcd_txn_get(&t, etcd_log__key(m, "fence", key), STR(""), false);
    etcd_txn_get(&t, etcd_log__key(m, "lock", key), STR(""), false);
    etcd_txn_end(&t);
    etcd_log__move(m, ETCD_LOG_LOOKING);
    etcd_log__call(m, ETCD_CALL_STEP, "/v3/kv/txn", &body);
}

void etcd_load__begin(struct etcd_log *m, struct etcd_job *job)
{
    m->load = (struct etcd_load){.job = job, .next_seq = 1, .limit = PAGE_RECORDS};
    look(m);
}

void etcd_load__drop(struct etcd_log *m)
{
    struct etcd_load *l = &m->load;
    etcd_rows_free(l->open);
    etcd_index_free(&l->index);
    etcd_job_free(l->job);
    *l = (struct etcd_load){0};
}

/* A load that failed may have raised the fence: the old one is good for nothing. */
static void fail(struct etcd_log *m, enum err_code code, const struct err *e)
{
    uint64_t op = m->load.job->op;
    if (m->load.job->type == ETCD_JOB_LOAD && m->fence != 0) {
        m->lost_fence = m->fence;
        m->lost_why = *e;
        m->fence = 0;
    }
    etcd_load__drop(m);
    etcd_log__move(m, m->fence != 0 ? ETCD_LOG_LEADING : ETCD_LOG_AWAY);
    if (m->fence == 0)
        etcd_sweep__stop(m, e->text);
    etcd_log__done(m, op, code, e);
}

void etcd_load__answered(struct etcd_log *m, const struct etcd_answer *a)
{
    struct err e;
    if (a->outcome != ETCD_FINE) {
        enum err_code code = etcd_log__why(a, "load", &e);
        fail(m, code, &e);
        return;
    }
    switch (m->state) {
    case ETCD_LOG_LOOKING:
        looked(m, a);
        break;
    case ETCD_LOG_GRANTING:
        granted(m, a);
        break;
    case ETCD_LOG_TAKING:
        taken(m, a);
        break;
    case ETCD_LOG_RECALLING:
        recalled(m, a);
        break;
    case ETCD_LOG_READING:
        page_read(m, a);
        break;
    case ETCD_LOG_TRIMMING:
        finish(m);
        break;
    case ETCD_LOG_AWAY:
    case ETCD_LOG_LEADING:
    case ETCD_LOG_MARKING:
    case ETCD_LOG_CLOSING:
    case ETCD_LOG__COUNT:
        CHECK(false); /* Nothing of a load was asked. */
    }
}

/* ---- Looking ---- */

/* "name=" in a line of such words. */
static struct str word_of(struct str line, const char *name)
{
    struct str word;
    size_t len = strlen(name);
    while (str_split(&line, ' ', &word))
        if (str_starts(word, str_of(name)))
            return str_slice(word, len, word.len);
    return (struct str){NULL, 0};
}

static enum err_code check_state(struct etcd_log *m, const struct etcd_kvs *state, struct err *e)
{
    uint64_t form;
    m->load.fresh = state->count == 0;
    m->mark = m->options.use == STORE_ETCD_COPY_TO ? STORE_ETCD_UNFINISHED : STORE_ETCD_WHOLE;
    m->compacted = m->load.fresh ? 0 : m->compacted;
    if (state->count == 0)
        return !m->options.must_exist
                   ? ERR_OK
                   : err_set(
                         e, ERR_DENIED,
                         "etcd holds nothing under %s, and this control plane's store was there; "
                         "is it the right etcd, or was it restored empty?",
                         m->options.prefix);
    struct str text = state->at[0].value, cluster = word_of(text, "cluster=");
    if (str_parse_u64(word_of(text, "format="), &form) != ERR_OK ||
        str_parse_u64(word_of(text, "compacted="), &m->compacted) != ERR_OK ||
        str_parse_u64(word_of(text, "swept="), &m->swept) != ERR_OK)
        return err_set(e, ERR_CORRUPT, "%sstate in etcd is not ours", m->options.prefix);
    if (form != 1)
        return err_set(e, ERR_INVALID, "%s in etcd has format %llu, this program reads 1",
                       m->options.prefix, (unsigned long long)form);
    if (!str_is(cluster, m->options.cluster))
        return err_set(e, ERR_DENIED,
                       "%s in etcd belongs to cluster " STR_FMT
                       ", we are %s; use another --etcd-prefix",
                       m->options.prefix, (int)min_u32((uint32_t)cluster.len, TEXT_MAX), cluster.at,
                       m->options.cluster);
    return etcd_copy__check(m, word_of(text, "copy="), e);
}

static void recall(struct etcd_log *m)
{
    char key[ETCD_KEY_MAX], end[ETCD_KEY_MAX];
    struct buf body;
    buf_init(&body, ETCD_BODY_MAX);
    etcd_range_print(&body, &(struct etcd_range){.key = etcd_log__key(m, "gone/", key),
                                                 .end = etcd_log__key(m, "gone0", end),
                                                 .revision = m->load.revision});
    etcd_log__move(m, ETCD_LOG_RECALLING);
    etcd_log__call(m, ETCD_CALL_STEP, "/v3/kv/range", &body);
}

static void take(struct etcd_log *m)
{
    struct etcd_load *l = &m->load;
    char key[ETCD_KEY_MAX], lock[ETCD_KEY_MAX], fence[24];
    struct etcd_txn t;
    struct buf body;
    struct str lock_key = etcd_log__key(m, "lock", lock);
    snprintf(fence, sizeof fence, "%llu", (unsigned long long)l->fence + 1);
    buf_init(&body, ETCD_BODY_MAX);
    etcd_txn_begin(&t, &body);
    etcd_txn_modified_is(&t, etcd_log__key(m, "fence", key), l->fence_modified);
    etcd_txn_modified_is(&t, lock_key, l->lock_modified);
    etcd_txn_then(&t);
    etcd_txn_put(&t, etcd_log__key(m, "fence", key), str_of(fence), 0);
    etcd_txn_put(&t, lock_key, str_of(m->options.holder), m->lease);
    if (m->options.use == STORE_ETCD_COPY_TO)
        etcd_copy__take(m, &t);
    if (l->fresh)
        etcd_log__put_state(m, &t, 0, 0);
    etcd_txn_end(&t);
    etcd_log__move(m, ETCD_LOG_TAKING);
    etcd_log__call(m, ETCD_CALL_STEP, "/v3/kv/txn", &body);
}

static void look_at_lock(struct etcd_log *m, const struct etcd_kvs *lock)
{
    struct etcd_load *l = &m->load;
    struct err e;
    l->lock_modified = lock->count > 0 ? lock->at[0].modified : 0;
    l->lock_lease = lock->count > 0 ? lock->at[0].lease : 0;
    if (lock->count > 0 && !str_is(lock->at[0].value, m->options.holder)) {
        struct str holder = lock->at[0].value;
        enum err_code code = err_set(
            &e, ERR_BUSY,
            "another control plane (" STR_FMT ") has the store; its lock ends when that one "
            "stops, or %d s after it died",
            (int)min_u32((uint32_t)holder.len, TEXT_MAX), holder.at, STORE_ETCD_LEASE_S);
        fail(m, code, &e);
        return;
    }
    if (m->lease != 0 && l->lock_lease == m->lease) {
        take(m);
        return;
    }
    struct buf body;
    buf_init(&body, ETCD_BODY_MAX);
    etcd_number_print(&body, "TTL", STORE_ETCD_LEASE_S);
    etcd_log__move(m, ETCD_LOG_GRANTING);
    etcd_log__call(m, ETCD_CALL_STEP, "/v3/lease/grant", &body);
}

static void looked(struct etcd_log *m, const struct etcd_answer *a)
{
    struct etcd_load *l = &m->load;
    const struct etcd_kvs *fence = &a->ranges[1];
    struct err e;
    l->fence = 0;
    enum err_code code = check_state(m, &a->ranges[0], &e);
    if (code == ERR_OK && fence->count > 0 &&
        str_parse_u64(fence->at[0].value, &l->fence) != ERR_OK)
        code = err_set(&e, ERR_CORRUPT, "%sfence in etcd is no number", m->options.prefix);
    if (code == ERR_OK && l->job->type == ETCD_JOB_FOLLOW && l->job->argument < m->compacted)
        code = err_set(&e, ERR_NOT_FOUND, "changes up to %llu are compacted",
                       (unsigned long long)m->compacted);
    if (code != ERR_OK) {
        fail(m, code, &e);
        return;
    }
    l->revision = a->revision;
    l->fence_modified = fence->count > 0 ? fence->at[0].modified : 0;
    bool reads = m->options.use == STORE_ETCD_READ;
    if (l->job->type == ETCD_JOB_LOAD && !reads)
        look_at_lock(m, &a->ranges[2]);
    else if (l->job->type == ETCD_JOB_FOLLOW || l->job->type == ETCD_JOB_LOAD)
        recall(m);
    else
        finish(m);
}

static void granted(struct etcd_log *m, const struct etcd_answer *a)
{
    m->lease = a->lease;
    m->lease_due = instant_add(m->now, SPAN_S(STORE_ETCD_LEASE_S / 3));
    take(m);
}

/* The compares also fail when a try without an answer had succeeded: look again, and take the next one. */
static void taken(struct etcd_log *m, const struct etcd_answer *a)
{
    struct etcd_load *l = &m->load;
    struct err e;
    if (!a->succeeded && ++l->takes < TAKES_MAX) {
        look(m);
        return;
    }
    if (!a->succeeded) {
        enum err_code code = err_set(&e, ERR_BUSY, "others take the store all the time");
        fail(m, code, &e);
        return;
    }
    m->fence = ++l->fence;
    m->deposed = false;
    m->counts.fences++;
    l->revision = a->revision;
    recall(m);
}

/* ---- Reading ---- */

static void page_print(const struct etcd_log *m, struct buf *body)
{
    const struct etcd_load *l = &m->load;
    char key[ETCD_KEY_MAX], end[ETCD_KEY_MAX];
    buf_init(body, ETCD_BODY_MAX);
    etcd_range_print(body,
                     &(struct etcd_range){.key = etcd_log__seq_key(m, "log/", l->next_seq, key),
                                          .end = etcd_log__key(m, "log0", end),
                                          .limit = l->limit,
                                          .revision = l->revision});
}

static void ask_page(struct etcd_log *m)
{
    struct buf body;
    page_print(m, &body);
    etcd_log__move(m, ETCD_LOG_READING);
    etcd_log__call(m, ETCD_CALL_STEP, "/v3/kv/range", &body);
}

void etcd_load__smaller(struct etcd_log *m)
{
    struct etcd_call *c = &m->calls[ETCD_CALL_STEP];
    struct buf body;
    m->load.limit = max_u64(m->load.limit / 8, 1);
    page_print(m, &body);
    blob_unref(c->body);
    c->body = buf_blob(&body);
}

static void recalled(struct etcd_log *m, const struct etcd_answer *a)
{
    struct etcd_load *l = &m->load;
    const struct etcd_kvs *kvs = &a->ranges[0];
    struct err e;
    for (uint32_t i = 0; i < kvs->count; i++) {
        uint64_t seq;
        enum err_code code =
            !etcd_log__key_seq(kvs->at[i].key, &seq)
                ? err_set(&e, ERR_CORRUPT, "a key under %sgone/ is not ours", m->options.prefix)
                : etcd_gone_read(etcd_index_gone_at(&l->index, seq), kvs->at[i].value, &e);
        if (code != ERR_OK) {
            fail(m, code, &e);
            return;
        }
    }
    ask_page(m);
}

static struct etcd_rows *rows_new(uint64_t op)
{
    struct etcd_rows *rows = mem_zalloc(1, sizeof *rows);
    rows->op = op;
    return rows;
}

static struct etcd_loaded *rows_add(struct etcd_rows *rows)
{
    if (rows->count == rows->size) {
        rows->size = rows->size == 0 ? 256 : rows->size * 2;
        rows->at = mem_resize(rows->at, rows->size * sizeof *rows->at);
    }
    rows->at[rows->count] = (struct etcd_loaded){0};
    return &rows->at[rows->count++];
}

/* A value that does not open is told as such and stays as it is; its neighbours are none the worse. */
static void row_read(struct etcd_log *m, const struct etcd_row *row, struct etcd_rows *out)
{
    struct etcd_loaded *loaded = rows_add(out);
    struct err e;
    loaded->revision = row->revision;
    loaded->key = blob_new(row->key);
    if (row->value.at == NULL || value_decode(m->options.seal, row->key, row->revision, row->value,
                                              &loaded->value, &loaded->sealed, &e) == ERR_OK)
        return;
    loaded->value = blob_new(STR(""));
    loaded->poison = mem_alloc(sizeof *loaded->poison);
    *loaded->poison = e;
}

/* One record's rows; those of a transaction that ends in a later one are there, too. */
static enum err_code record_read(struct etcd_log *m, const struct etcd_kv *kv,
                                 struct etcd_rows *out, struct err *e)
{
    struct etcd_load *l = &m->load;
    struct etcd_record_reader r;
    struct etcd_row row;
    uint64_t seq, after = l->job->type == ETCD_JOB_FOLLOW ? l->job->argument : 0;
    if (!etcd_log__key_seq(kv->key, &seq) || seq < l->next_seq)
        return err_set(e, ERR_CORRUPT, "a key under %slog/ is not ours", m->options.prefix);
    enum err_code code = etcd_record_open(&r, kv->value, e);
    if (code == ERR_OK && r.head.first <= l->last_revision)
        code = err_set(e, ERR_CORRUPT, "its revisions were there before");
    const struct etcd_gone *gone = etcd_index_gone(&l->index, seq);
    while (code == ERR_OK && etcd_record_next(&r, &row))
        if (row.revision > after && !etcd_gone_has(gone, row.revision))
            row_read(m, &row, out);
    if (code == ERR_OK)
        code = etcd_record_end(&r, e);
    etcd_record_close(&r);
    if (code != ERR_OK)
        return err_wrap(e, "record %llx", (unsigned long long)seq);
    etcd_index_add(&l->index, seq, &r.head);
    l->last_revision = r.head.last;
    l->next_seq = seq + 1;
    l->open_seq = !r.head.part ? 0 : l->open_seq != 0 ? l->open_seq : seq;
    return ERR_OK;
}

/* Rows behind the last whole transaction wait for its end. */
static void keep_open(struct etcd_load *l, struct etcd_rows *rows, uint32_t whole)
{
    if (whole == rows->count)
        return;
    l->open = rows_new(rows->op);
    for (uint32_t i = whole; i < rows->count; i++)
        *rows_add(l->open) = rows->at[i];
    rows->count = whole;
}

static void trim(struct etcd_log *m)
{
    struct etcd_load *l = &m->load;
    char key[ETCD_KEY_MAX], end[ETCD_KEY_MAX];
    struct etcd_txn t;
    struct buf body;
    buf_init(&body, ETCD_BODY_MAX);
    etcd_log__begin(m, &t, &body);
    etcd_txn_then(&t);
    etcd_txn_delete(&t, etcd_log__seq_key(m, "log/", l->open_seq, key),
                    etcd_log__key(m, "log0", end));
    etcd_txn_end(&t);
    etcd_index_drop_from(&l->index, l->open_seq);
    etcd_log__move(m, ETCD_LOG_TRIMMING);
    etcd_log__call(m, ETCD_CALL_STEP, "/v3/kv/txn", &body);
}

static void next_limit(struct etcd_load *l, const struct etcd_kvs *kvs)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < kvs->count; i++)
        bytes += kvs->at[i].value.len;
    if (kvs->count == l->limit && bytes < PAGE_BYTES / 2)
        l->limit = min_u32((uint32_t)l->limit * 2, PAGE_RECORDS_MAX);
    else if (bytes > PAGE_BYTES)
        l->limit = max_u64(l->limit / 2, 1);
}

static void page_read(struct etcd_log *m, const struct etcd_answer *a)
{
    struct etcd_load *l = &m->load;
    const struct etcd_kvs *kvs = &a->ranges[0];
    struct etcd_rows *rows = l->open != NULL ? l->open : rows_new(l->job->op);
    enum err_code code = ERR_OK;
    struct err e;
    uint32_t whole = 0;
    l->open = NULL;
    for (uint32_t i = 0; i < kvs->count && code == ERR_OK; i++) {
        code = record_read(m, &kvs->at[i], rows, &e);
        whole = l->open_seq == 0 ? rows->count : whole;
    }
    if (code != ERR_OK) {
        etcd_rows_free(rows);
        fail(m, code, &e);
        return;
    }
    next_limit(l, kvs);
    keep_open(l, rows, whole);
    l->rows_out++;
    etcd_log__emit(m, ETCD_FX_ROWS)->rows = rows;
    if (kvs->more && kvs->count > 0 && l->rows_out < ROWS_OUT_MAX)
        ask_page(m);
    else if (kvs->more && kvs->count > 0)
        l->page_waits = true;
    else if (l->open_seq != 0 && l->job->type == ETCD_JOB_LOAD && m->fence != 0)
        trim(m);
    else
        finish(m);
}

void etcd_load__delivered(struct etcd_log *m)
{
    struct etcd_load *l = &m->load;
    if (l->rows_out > 0)
        l->rows_out--;
    if (!l->page_waits)
        return;
    l->page_waits = false;
    ask_page(m);
}

/* ---- The end ---- */

static void lead(struct etcd_log *m)
{
    struct etcd_load *l = &m->load;
    etcd_index_free(&m->index);
    m->index = l->index;
    l->index = (struct etcd_index){0};
    uint32_t count = m->index.segments_count;
    m->head_seq = count == 0 ? 0 : m->index.segments[count - 1].seq;
    m->head = m->promised = count == 0 ? 0 : m->index.segments[count - 1].last;
}

static void finish(struct etcd_log *m)
{
    struct etcd_load *l = &m->load;
    struct store_event done = {.type = STORE_DONE, .op = l->job->op};
    bool is_load = l->job->type == ETCD_JOB_LOAD;
    if (is_load) {
        lead(m);
        done.revision = m->head;
        done.oldest = m->compacted;
        done.fence = m->fence;
    } else if (l->job->type == ETCD_JOB_FOLLOW) {
        done.revision = l->last_revision;
    }
    etcd_load__drop(m);
    etcd_log__move(m, m->fence != 0 ? ETCD_LOG_LEADING : ETCD_LOG_AWAY);
    etcd_log__emit(m, ETCD_FX_DONE)->done = done;
    if (is_load)
        etcd_sweep__resume(m, true);
}
