/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The marks of a copy between stores (copy.h), a word of PREFIX/state. Opened for COPY_TO, the first load takes away what an
 * unfinished copy left, in the transaction that takes the fence; the loads behind it, which verify, find their own
 * copy and leave it.
 */
#include "controlplane/store/store_etcd_priv.h"

/* Of a store that is there and is this cluster's. */
enum err_code etcd_copy__check(struct etcd_log *m, struct str mark, struct err *e)
{
    bool unfinished = str_is(mark, "unfinished");
    if (m->options.use == STORE_ETCD_COPY_TO && unfinished) {
        m->load.fresh = m->fence == 0;
        m->compacted = m->load.fresh ? 0 : m->compacted;
        m->swept = m->load.fresh ? 0 : m->swept;
        return ERR_OK;
    }
    if (m->options.use == STORE_ETCD_COPY_TO)
        return err_set(e, ERR_DENIED,
                       "%s in etcd holds this cluster's store; to copy over it, delete it first: "
                       "etcdctl del --prefix %s",
                       m->options.prefix, m->options.prefix);
    if (unfinished)
        return err_set(
            e, ERR_DENIED,
            "%s in etcd is half a copy, its making was interrupted; run baton store copy "
            "again, or serve from the store it was to be copied from",
            m->options.prefix);
    if (mark.len > 0)
        return err_set(e, ERR_DENIED,
                       "what %s in etcd holds was copied to a local store and left behind; serve "
                       "from there, with --store sqlite",
                       m->options.prefix);
    return ERR_OK;
}

void etcd_copy__take(const struct etcd_log *m, struct etcd_txn *t)
{
    char key[ETCD_KEY_MAX], end[ETCD_KEY_MAX];
    if (!m->load.fresh)
        return;
    etcd_txn_delete(t, etcd_log__key(m, "log/", key), etcd_log__key(m, "log0", end));
    etcd_txn_delete(t, etcd_log__key(m, "gone/", key), etcd_log__key(m, "gone0", end));
}

static void finish(struct etcd_log *m, enum err_code code, const struct err *e)
{
    uint64_t op = m->marking->op;
    etcd_job_free(m->marking);
    m->marking = NULL;
    etcd_log__done(m, op, code, e);
}

void etcd_copy__begin(struct etcd_log *m, struct etcd_job *job)
{
    struct etcd_txn t;
    struct buf body;
    struct err e;
    m->marking = job;
    if (m->fence == 0 || m->deposed) {
        enum err_code code = err_set(&e, ERR_UNAVAILABLE, "mark: load first");
        finish(m, code, &e);
        return;
    }
    m->mark = (enum store_etcd_mark)job->argument;
    buf_init(&body, ETCD_BODY_MAX);
    etcd_log__begin(m, &t, &body);
    etcd_txn_then(&t);
    etcd_log__put_state(m, &t, m->compacted, m->swept);
    etcd_txn_end(&t);
    etcd_log__move(m, ETCD_LOG_MARKING);
    etcd_log__call(m, ETCD_CALL_STEP, "/v3/kv/txn", &body);
}

void etcd_copy__answered(struct etcd_log *m, const struct etcd_answer *a)
{
    struct err e;
    enum err_code code = ERR_OK;
    if (a->outcome != ETCD_FINE)
        code = etcd_log__why(a, "mark", &e);
    else if (!a->succeeded)
        code = err_set(&e, ERR_CONFLICT, "another control plane took over the store");
    etcd_log__move(m, ETCD_LOG_LEADING);
    finish(m, code, &e);
}
