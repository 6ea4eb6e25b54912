/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commits become records, one on its way at a time; what comes meanwhile is the next one. Several on their way were
 * tried: over connections that keep no order nearly every second one overtook the first, was refused by the chain of
 * compares and had to be sent again (docs/decisions/0014).
 *
 *   IDLE   no record is on its way
 *   SENT   one waits for an answer, or for its next try
 *   ASKED  etcd said that it is full. The put that crosses its quota is done and answered so all the same, those behind
 *          it are not done and answered the same: whether the record is there must be read
 */
#include "controlplane/store/store_etcd_priv.h"

#include <stdio.h>

/* ---- One record ---- */

static void send_record(struct etcd_log *m)
{
    struct etcd_append *s = &m->append;
    char key[ETCD_KEY_MAX], own[ETCD_KEY_MAX], before[ETCD_KEY_MAX];
    struct str own_key = etcd_log__seq_key(m, "log/", s->seq, own);
    struct str before_key = etcd_log__seq_key(m, "log/", s->seq - 1, before);
    struct etcd_txn t;
    struct buf value, body;
    buf_init(&value, ETCD_RECORD_MAX + ETCD_RECORD_HEAD_MAX);
    buf_init(&body, ETCD_BODY_MAX);
    etcd_record_print(&s->record, &value);
    s->bytes = (uint32_t)value.len;

    etcd_log__begin(m, &t, &body);
    if (s->seq > 1)
        etcd_txn_exists(&t, before_key, true);
    etcd_txn_exists(&t, own_key, false);
    etcd_txn_then(&t);
    etcd_txn_put(&t, own_key, buf_str(&value), 0);
    etcd_txn_otherwise(&t);
    etcd_txn_get(&t, etcd_log__key(m, "fence", key), STR(""), false);
    etcd_txn_get(&t, own_key, STR(""), true);
    etcd_txn_end(&t);
    buf_free(&value);
    s->state = ETCD_APPEND_SENT;
    etcd_log__call(m, ETCD_CALL_APPEND, "/v3/kv/txn", &body);
}

static void end_record(struct etcd_log *m, enum err_code code, const struct err *e)
{
    struct etcd_append *s = &m->append;
    etcd_log__hang_up(m, ETCD_CALL_APPEND);
    for (struct etcd_job *j = s->first, *next; j != NULL; j = next) {
        next = j->next;
        etcd_log__done(m, j->op, code, e);
        m->counts.commits++;
        m->counts.writes += j->writes_count;
        etcd_job_free(j);
    }
    etcd_record_free(&s->record);
    *s = (struct etcd_append){0};
}

static void lose(struct etcd_log *m, const struct err *why)
{
    struct err e = *why;
    m->lost_why = e;
    m->lost_fence = m->fence;
    m->fence = m->part_next = 0;
    if (m->append.state != ETCD_APPEND_IDLE)
        end_record(m, ERR_UNAVAILABLE, &e);
    etcd_log__move(m, ETCD_LOG_AWAY);
    etcd_sweep__stop(m, e.text);
}

static void take_job(struct etcd_log *m)
{
    struct etcd_append *s = &m->append;
    struct etcd_job *j = etcd_log__pop(m);
    m->part_next = 0;
    m->promised = j->writes[j->writes_count - 1].revision;
    if (s->last == NULL)
        s->first = j;
    else
        s->last->next = j;
    s->last = j;
}

/* Nothing of it was written, or what was is nobody's: the job whose part this is fails with it. */
static void refuse(struct etcd_log *m, enum err_code code, const struct err *why)
{
    struct err e = *why;
    if (m->append.record.head.part)
        take_job(m);
    end_record(m, code, &e);
}

static void written(struct etcd_log *m)
{
    struct etcd_append *s = &m->append;
    m->head_seq = s->seq;
    m->head = s->record.head.last;
    m->counts.records++;
    m->counts.bytes += s->bytes;
    s->record.head.bytes = (uint32_t)s->record.rows.len;
    etcd_index_add(&m->index, s->seq, &s->record.head);
    end_record(m, ERR_OK, NULL);
}

/* The compares failed. Whoever holds the fence now, a record with our number that is older than the fence
 * he took is ours: an earlier try had been done. */
static void compared(struct etcd_log *m, const struct etcd_answer *a)
{
    const struct etcd_kvs *fence = &a->ranges[0], *own = &a->ranges[1];
    bool holds = etcd_log__holds(m, fence);
    struct err e;
    if (own->count == 1 &&
        (holds || (fence->count == 1 && own->at[0].created < fence->at[0].modified))) {
        written(m);
    } else if (!holds) {
        m->deposed = true;
        (void)err_set(&e, ERR_CONFLICT, "another control plane took over the store");
        refuse(m, ERR_CONFLICT, &e);
    } else {
        (void)err_set(&e, ERR_UNAVAILABLE,
                      "the log in etcd ends before record %llx, which was there: was something "
                      "deleted or restored?",
                      (unsigned long long)(m->append.seq - 1));
        lose(m, &e);
    }
}

static void ask_for_it(struct etcd_log *m, const struct err *why)
{
    struct etcd_append *s = &m->append;
    char key[ETCD_KEY_MAX], own[ETCD_KEY_MAX];
    struct etcd_txn t;
    struct buf body;
    buf_init(&body, ETCD_BODY_MAX);
    etcd_txn_begin(&t, &body);
    etcd_txn_then(&t);
    etcd_txn_get(&t, etcd_log__key(m, "fence", key), STR(""), false);
    etcd_txn_get(&t, etcd_log__seq_key(m, "log/", s->seq, own), STR(""), true);
    etcd_txn_end(&t);
    s->state = ETCD_APPEND_ASKED;
    s->err = *why;
    etcd_log__call(m, ETCD_CALL_APPEND, "/v3/kv/txn", &body);
}

/* Nobody else writes under our fence, so a record with this number is this one. */
static void told_of_it(struct etcd_log *m, const struct etcd_answer *a)
{
    struct err e = m->append.err;
    if (a->outcome != ETCD_FINE) {
        (void)etcd_log__why(a, "commit", &e);
        lose(m, &e);
    } else if (a->ranges[1].count == 1 || !etcd_log__holds(m, &a->ranges[0])) {
        compared(m, a);
    } else {
        refuse(m, ERR_LIMIT, &e);
    }
}

void etcd_append__answered(struct etcd_log *m, bool in_doubt, const struct etcd_answer *a)
{
    bool sure = !in_doubt && !m->append.continues; /* If this one is not there, nothing is. */
    struct err e;
    if (m->append.state == ETCD_APPEND_ASKED) {
        told_of_it(m, a);
    } else if (a->outcome == ETCD_FINE && a->succeeded) {
        written(m);
    } else if (a->outcome == ETCD_FINE) {
        compared(m, a);
    } else {
        enum err_code code = etcd_log__why(a, "commit", &e);
        if (a->outcome == ETCD_FULL && sure)
            ask_for_it(m, &e);
        else if (code == ERR_LIMIT && sure)
            refuse(m, code, &e);
        else
            lose(m, &e);
    }
}

/* ---- Filling records ---- */

/* Why this commit cannot be written, if so. */
static enum err_code admit(const struct etcd_log *m, const struct etcd_job *j, struct err *e)
{
    if (m->part_next > 0)
        return ERR_OK; /* Its first part was admitted. */
    if (j->argument != m->fence && j->argument == m->lost_fence)
        return err_set(e, ERR_UNAVAILABLE, "load first: %.180s", m->lost_why.text);
    if (j->argument != m->fence || m->fence == 0 || m->deposed)
        return err_set(e, ERR_CONFLICT, "another writer took over (fence %llu, ours %llu)",
                       (unsigned long long)m->fence, (unsigned long long)j->argument);
    if (j->writes[0].revision <= m->promised)
        return err_set(e, ERR_CONFLICT, "revision %llu was used before",
                       (unsigned long long)j->writes[0].revision);
    return ERR_OK;
}

/* As much of the first job as fits. True: all of it. */
static bool add_writes(struct etcd_log *m, const struct etcd_job *j)
{
    for (; m->part_next < j->writes_count; m->part_next++) {
        const struct store_write *w = &j->writes[m->part_next];
        if (!etcd_record_fits(&m->append.record, etcd_record_cost(w)))
            return false;
        etcd_record_add(&m->append.record, m->options.seal, w);
    }
    return true;
}

static void fill_record(struct etcd_log *m)
{
    struct etcd_record *r = &m->append.record;
    struct err e;
    r->head.fence = m->fence;
    m->append.continues = m->part_next > 0;
    while (m->jobs_first != NULL && m->jobs_first->type == ETCD_JOB_COMMIT &&
           r->rows.len < ETCD_GROUP_BYTES) {
        struct etcd_job *j = m->jobs_first;
        bool alone = m->part_next > 0 || j->cost > ETCD_RECORD_MAX - ETCD_RECORD_HEAD_MAX;
        if (r->head.rows > 0 &&
            (alone || !etcd_record_fits(r, j->cost) || admit(m, j, &e) != ERR_OK))
            return;
        bool whole = add_writes(m, j);
        r->head.part = !whole;
        if (!whole)
            return;
        take_job(m);
        if (alone)
            return; /* Its last part: nothing else must depend on it. */
    }
}

/* False: it has to wait. */
bool etcd_append__next(struct etcd_log *m)
{
    struct etcd_append *s = &m->append;
    struct err e;
    if (s->state != ETCD_APPEND_IDLE)
        return false;
    enum err_code code = admit(m, m->jobs_first, &e);
    if (code != ERR_OK) {
        struct etcd_job *j = etcd_log__pop(m);
        etcd_log__done(m, j->op, code, &e);
        etcd_job_free(j);
        return true;
    }
    *s = (struct etcd_append){.seq = m->head_seq + 1};
    etcd_record_init(&s->record);
    fill_record(m);
    send_record(m);
    return true;
}

void etcd_append__drop(struct etcd_log *m)
{
    struct etcd_append *s = &m->append;
    for (struct etcd_job *j = s->first, *next; j != NULL; j = next) {
        next = j->next;
        etcd_job_free(j);
    }
    if (s->state != ETCD_APPEND_IDLE)
        etcd_record_free(&s->record);
    *s = (struct etcd_append){0};
}
