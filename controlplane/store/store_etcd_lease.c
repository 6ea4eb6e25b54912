/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock is for people and for those who want to start: it says who leads and ends when he does. It keeps
 * nobody from writing; the fence does. So losing it is no reason to stop: a new one is put in its place
 * under the fence, and only when the fence is gone too were we deposed.
 */
#include "controlplane/store/store_etcd_priv.h"

enum { CLOSE_MS = 1000 }; /* The lease ends without us, too. */

static void ask(struct etcd_log *m, const char *path, const char *name, uint64_t number)
{
    struct buf body;
    buf_init(&body, ETCD_BODY_MAX);
    etcd_number_print(&body, name, number);
    etcd_log__call(m, ETCD_CALL_LEASE, path, &body);
}

void etcd_lease__tick(struct etcd_log *m)
{
    if (!instant_due(m->lease_due, m->now))
        return;
    m->lease_due = instant_add(m->now, SPAN_S(STORE_ETCD_LEASE_S / 3));
    if (etcd_log__is_calling(m, ETCD_CALL_LEASE))
        return; /* Still at it. */
    if (m->lease != 0)
        ask(m, "/v3/lease/keepalive", "ID", m->lease);
    else if (m->state == ETCD_LOG_LEADING && !m->deposed)
        ask(m, "/v3/lease/grant", "TTL", STORE_ETCD_LEASE_S);
}

static void lock_again(struct etcd_log *m, uint64_t lease)
{
    char key[ETCD_KEY_MAX];
    struct etcd_txn t;
    struct buf body;
    m->lease = lease;
    buf_init(&body, ETCD_BODY_MAX);
    etcd_log__begin(m, &t, &body);
    etcd_txn_then(&t);
    etcd_txn_put(&t, etcd_log__key(m, "lock", key), str_of(m->options.holder), lease);
    etcd_txn_otherwise(&t);
    etcd_txn_get(&t, etcd_log__key(m, "fence", key), STR(""), false);
    etcd_txn_end(&t);
    etcd_log__call(m, ETCD_CALL_LEASE, "/v3/kv/txn", &body);
}

/* Three kinds of answers, told apart by what is in them. */
void etcd_lease__answered(struct etcd_log *m, const struct etcd_answer *a)
{
    if (a->outcome != ETCD_FINE || m->state == ETCD_LOG_CLOSING)
        return; /* The next tick tries again. */
    bool is_lock = a->lease == 0;
    if (is_lock && !a->succeeded) {
        m->deposed = m->state == ETCD_LOG_LEADING && !etcd_log__holds(m, &a->ranges[0]);
        m->lease = 0;
    } else if (!is_lock && m->lease == 0) {
        if (m->state == ETCD_LOG_LEADING)
            lock_again(m, a->lease);
    } else if (!is_lock && a->lease == m->lease &&
               a->ttl_s == 0) { /* Expired: etcd was away for longer. */
        m->lease = 0;
        m->lease_due = m->now;
    }
}

void etcd_lease__give_back(struct etcd_log *m, uint64_t op)
{
    struct buf body;
    etcd_log__hang_up(m, ETCD_CALL_LEASE);
    m->lease_due = (struct instant){0};
    etcd_log__move(m, ETCD_LOG_CLOSING);
    if (m->lease == 0) {
        etcd_log__done(m, op, ERR_OK, NULL);
        return;
    }
    m->close_op = op;
    buf_init(&body, ETCD_BODY_MAX);
    etcd_number_print(&body, "ID", m->lease);
    etcd_log__call(m, ETCD_CALL_STEP, "/v3/lease/revoke", &body);
    m->calls[ETCD_CALL_STEP].since.ns -= SPAN_MS(ETCD_PATIENCE_MS - CLOSE_MS).ns;
}
