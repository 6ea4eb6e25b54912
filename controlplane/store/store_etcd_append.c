/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commits become records, and records are on their way in a ring of slots. A slot that is
 *
 *   SENT      waits for an answer, or for its next try
 *   HELD      was there before the record it stands behind; it is sent again once that one is done
 *   ASKED     waits for an answer, too. The put that crosses etcd's quota is done and answered with "no space",
 *             those behind it are not done and answered the same: whether the record is there must be read
 *   DONE      is in the log, and so is everything before it
 *   REFUSED   is not, and never will be: no space. Its number is free again, but a late request of a slot
 *             behind it could still name it. So nothing new is sent until every slot has an answer; then
 *             the others get new numbers.
 */
#include "controlplane/store/store_etcd_priv.h"

#include <stdio.h>

static void settle(struct etcd_log *m);

/* ---- Slots ---- */

static struct etcd_slot *slot_at(struct etcd_log *m, uint32_t i)
{
    return &m->slots[(m->slots_first + i) % ETCD_WINDOW];
}

static enum etcd_caller caller_of(const struct etcd_log *m, const struct etcd_slot *s)
{
    return (enum etcd_caller)(s - m->slots);
}

static void slot_send(struct etcd_log *m, struct etcd_slot *s)
{
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
    s->state = ETCD_SLOT_SENT;
    s->sent_alone = m->head_seq + 1 == s->seq;
    etcd_log__hang_up(m, caller_of(m, s));
    etcd_log__call(m, caller_of(m, s), "/v3/kv/txn", &body);
}

static void answer_jobs(struct etcd_log *m, struct etcd_slot *s, enum err_code code,
                        const struct err *e)
{
    for (struct etcd_job *j = s->first, *next; j != NULL; j = next) {
        next = j->next;
        etcd_log__done(m, j->op, code, e);
        m->counts.commits++;
        m->counts.writes += j->writes_count;
        etcd_job_free(j);
    }
    s->first = s->last = NULL;
}

static void slots_pop(struct etcd_log *m)
{
    struct etcd_slot *s = slot_at(m, 0);
    etcd_log__hang_up(m, caller_of(m, s));
    etcd_record_free(&s->record);
    m->slots_first = (m->slots_first + 1) % ETCD_WINDOW;
    m->slots_count--;
}

void etcd_log__lose(struct etcd_log *m, const struct err *why)
{
    struct err e = *why;
    m->lost_why = e;
    m->lost_fence = m->fence;
    m->fence = m->part_next = 0;
    while (m->slots_count > 0) {
        answer_jobs(m, slot_at(m, 0), ERR_UNAVAILABLE, &e);
        slots_pop(m);
    }
    etcd_log__move(m, ETCD_LOG_AWAY);
    etcd_sweep__stop(m, e.text);
}

static void slot_refuse(struct etcd_log *m, struct etcd_slot *s, enum err_code code,
                        const struct err *e)
{
    s->state = ETCD_SLOT_REFUSED;
    s->err = *e;
    s->err.code = code;
    etcd_log__hang_up(m, caller_of(m, s));
}

/* The compares failed. Whoever holds the fence now, a record with our number that is older than the fence
 * he took is ours: an earlier try had been done. */
static void append_compared(struct etcd_log *m, struct etcd_slot *s, const struct etcd_answer *a)
{
    const struct etcd_kvs *fence = &a->ranges[0], *own = &a->ranges[1];
    bool holds = etcd_log__holds(m, fence);
    struct err e;
    if (own->count == 1 &&
        (holds || (fence->count == 1 && own->at[0].created < fence->at[0].modified))) {
        s->state = ETCD_SLOT_DONE;
    } else if (!holds) {
        m->deposed = true;
        m->part_next = 0;
        (void)err_set(&e, ERR_CONFLICT, "another control plane took over the store");
        slot_refuse(m, s, ERR_CONFLICT, &e);
    } else if (s->sent_alone) {
        (void)err_set(&e, ERR_UNAVAILABLE,
                      "the log in etcd ends before record %llx, which was there: was something "
                      "deleted or restored?",
                      (unsigned long long)(s->seq - 1));
        etcd_log__lose(m, &e);
    } else {
        m->counts.misordered++;
        s->state = ETCD_SLOT_HELD;
    }
}

static void slot_ask(struct etcd_log *m, struct etcd_slot *s, const struct err *why)
{
    char key[ETCD_KEY_MAX], own[ETCD_KEY_MAX];
    struct etcd_txn t;
    struct buf body;
    buf_init(&body, ETCD_BODY_MAX);
    etcd_txn_begin(&t, &body);
    etcd_txn_then(&t);
    etcd_txn_get(&t, etcd_log__key(m, "fence", key), STR(""), false);
    etcd_txn_get(&t, etcd_log__seq_key(m, "log/", s->seq, own), STR(""), true);
    etcd_txn_end(&t);
    s->state = ETCD_SLOT_ASKED;
    s->err = *why;
    etcd_log__call(m, caller_of(m, s), "/v3/kv/txn", &body);
}

/* Nobody else writes under our fence, so a record with this number is this one. */
static void asked(struct etcd_log *m, struct etcd_slot *s, const struct etcd_answer *a)
{
    struct err e = s->err;
    if (a->outcome != ETCD_FINE) {
        (void)etcd_log__why(a, "commit", &e);
        etcd_log__lose(m, &e);
    } else if (a->ranges[1].count == 1 || !etcd_log__holds(m, &a->ranges[0])) {
        append_compared(m, s, a);
    } else {
        slot_refuse(m, s, ERR_LIMIT, &e);
    }
}

void etcd_append__answered(struct etcd_log *m, uint32_t slot, bool in_doubt,
                           const struct etcd_answer *a)
{
    struct etcd_slot *s = &m->slots[slot];
    struct err e;
    if (s->state == ETCD_SLOT_ASKED) {
        asked(m, s, a);
    } else if (a->outcome == ETCD_FINE && a->succeeded) {
        s->state = ETCD_SLOT_DONE;
    } else if (a->outcome == ETCD_FINE) {
        append_compared(m, s, a);
    } else {
        enum err_code code = etcd_log__why(a, "commit", &e);
        if (a->outcome == ETCD_FULL && !in_doubt && !s->continues)
            slot_ask(m, s, &e);
        else if (code == ERR_LIMIT && !in_doubt && !s->continues)
            slot_refuse(m, s, code, &e);
        else
            etcd_log__lose(m, &e);
    }
    settle(m);
}

/* What stands before one that is there, is there; its own answer may still be on its way. */
static void settle_done(struct etcd_log *m)
{
    uint32_t done = 0;
    for (uint32_t i = 0; i < m->slots_count; i++)
        if (slot_at(m, i)->state == ETCD_SLOT_DONE)
            done = i + 1;
    for (; done > 0; done--) {
        struct etcd_slot *s = slot_at(m, 0);
        m->head_seq = s->seq;
        m->head = s->record.head.last;
        m->counts.records++;
        m->counts.bytes += s->bytes;
        etcd_index_add(&m->index, s->seq, &s->record.head, s->bytes);
        answer_jobs(m, s, ERR_OK, NULL);
        slots_pop(m);
    }
}

/* Every slot has its answer: the refused ones go, the others close up and are sent with new numbers. One that was
 * refused behind one that is sent again is sent again, too: answers come in order. */
static void close_up(struct etcd_log *m)
{
    struct etcd_slot kept[ETCD_WINDOW];
    uint32_t kept_count = 0;
    while (m->slots_count > 0) {
        struct etcd_slot *s = slot_at(m, 0);
        if (s->state == ETCD_SLOT_REFUSED && kept_count == 0) {
            answer_jobs(m, s, s->err.code, &s->err);
        } else {
            kept[kept_count++] = *s;
            etcd_record_init(&s->record); /* Its bytes moved. */
        }
        slots_pop(m);
    }
    for (uint32_t i = 0; i < kept_count; i++) {
        struct etcd_slot *s = slot_at(m, m->slots_count++);
        *s = kept[i];
        s->seq = m->head_seq + 1 + i;
        slot_send(m, s);
    }
}

static void settle(struct etcd_log *m)
{
    bool refused = false, waiting = false;
    settle_done(m);
    for (uint32_t i = 0; i < m->slots_count; i++) {
        struct etcd_slot *s = slot_at(m, i);
        refused = refused || s->state == ETCD_SLOT_REFUSED;
        waiting = waiting || s->state == ETCD_SLOT_SENT || s->state == ETCD_SLOT_ASKED;
        if (s->state == ETCD_SLOT_REFUSED && s->record.head.part && !m->deposed) {
            struct err e =
                s->err; /* Half a transaction cannot close up: the next load removes it. */
            etcd_log__lose(m, &e);
            return;
        }
    }
    if (refused && !waiting)
        close_up(m);
    else if (!refused && m->slots_count > 0 && slot_at(m, 0)->state == ETCD_SLOT_HELD)
        slot_send(m, slot_at(m, 0));
}

/* ---- Filling records ---- */

/* Why this commit cannot be written, if so. */
static enum err_code admit(const struct etcd_log *m, const struct etcd_job *j, struct err *e)
{
    if (m->part_next > 0)
        return ERR_OK; /* Its first part was admitted. */
    if (j->argument != m->fence && j->argument == m->lost_fence)
        return err_set(e, ERR_UNAVAILABLE, "load first: %.180s", m->lost_why.text);
    if (j->argument != m->fence || m->deposed)
        return err_set(e, ERR_CONFLICT, "another writer took over (fence %llu, ours %llu)",
                       (unsigned long long)m->fence, (unsigned long long)j->argument);
    if (j->writes[0].revision <= m->promised)
        return err_set(e, ERR_CONFLICT, "revision %llu was used before",
                       (unsigned long long)j->writes[0].revision);
    return ERR_OK;
}

static void slot_take_job(struct etcd_log *m, struct etcd_slot *s)
{
    struct etcd_job *j = etcd_log__pop(m);
    m->part_next = 0;
    m->promised = j->writes[j->writes_count - 1].revision;
    if (s->last == NULL)
        s->first = j;
    else
        s->last->next = j;
    s->last = j;
}

/* As much of the first job as fits. True: all of it. */
static bool add_writes(struct etcd_log *m, struct etcd_slot *s, const struct etcd_job *j)
{
    for (; m->part_next < j->writes_count; m->part_next++) {
        const struct store_write *w = &j->writes[m->part_next];
        if (!etcd_record_fits(&s->record, etcd_record_cost(w)))
            return false;
        etcd_record_add(&s->record, m->options.seal, w);
    }
    return true;
}

static void slot_fill(struct etcd_log *m, struct etcd_slot *s)
{
    struct etcd_record *r = &s->record;
    struct err e;
    r->head.fence = m->fence;
    s->continues = m->part_next > 0;
    while (m->jobs_first != NULL && m->jobs_first->type == ETCD_JOB_COMMIT &&
           r->rows.len < ETCD_GROUP_BYTES) {
        struct etcd_job *j = m->jobs_first;
        bool alone = m->part_next > 0 || j->cost > ETCD_RECORD_MAX - ETCD_RECORD_HEAD_MAX;
        if (r->head.rows > 0 &&
            (alone || !etcd_record_fits(r, j->cost) || admit(m, j, &e) != ERR_OK))
            return;
        bool whole = add_writes(m, s, j);
        r->head.part = !whole;
        if (!whole)
            return;
        slot_take_job(m, s);
        if (alone)
            return; /* Its last part: nothing else must depend on it. */
    }
}

static bool is_refusing(const struct etcd_log *m)
{
    for (uint32_t i = 0; i < m->slots_count; i++)
        if (m->slots[(m->slots_first + i) % ETCD_WINDOW].state == ETCD_SLOT_REFUSED)
            return true;
    return false;
}

/* False: it has to wait. */
bool etcd_append__next(struct etcd_log *m)
{
    struct err e;
    enum err_code code = admit(m, m->jobs_first, &e);
    if (code != ERR_OK) {
        if (m->slots_count > 0)
            return false; /* Answers come in order. */
        struct etcd_job *j = etcd_log__pop(m);
        etcd_log__done(m, j->op, code, &e);
        etcd_job_free(j);
        return true;
    }
    if (m->slots_count == ETCD_WINDOW || is_refusing(m))
        return false;
    struct etcd_slot *s = slot_at(m, m->slots_count);
    uint64_t last = m->slots_count == 0 ? m->head_seq : slot_at(m, m->slots_count - 1)->seq;
    *s = (struct etcd_slot){.seq = last + 1};
    etcd_record_init(&s->record);
    m->slots_count++;
    slot_fill(m, s);
    slot_send(m, s);
    return true;
}

void etcd_append__drop(struct etcd_log *m)
{
    for (; m->slots_count > 0; slots_pop(m))
        for (struct etcd_job *j = slot_at(m, 0)->first, *next; j != NULL; j = next) {
            next = j->next;
            etcd_job_free(j);
        }
}
