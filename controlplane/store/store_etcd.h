/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_etcd.h -- the store on an etcd cluster, for control planes that must survive a machine.
 *
 * WHAT   The ordered log of store.h as etcd keys: a record a key, several transactions in a record. A thread of
 *        its own speaks etcd's REST gateway (/v3) through libcurl, which is loaded when the store is opened
 *        and not before.
 * WHY    SQLite lives and dies with one machine. etcd does not, but a put costs it 0.1 ms: what waits
 *        together is one put (docs/decisions/0014).
 * OWNS   Options are copied, seal and loop must outlive the store. It ends by its close op; there is no
 *        other way.
 * ASYNC  Opening asks etcd once, in the calling thread, and waits up to 10 s for the answer.
 *        A request without an answer is sent again, to the next endpoint, for up to 10 s: writing is
 *        idempotent. Only then is a commit ERR_UNAVAILABLE, as is everything until the next load.
 * LEADER load() takes a lock under a lease of 10 s, then raises the fence. It is ERR_BUSY while another
 *        holder's lease lives, so a second control plane waits as a standby. The lock keeps others from starting;
 *        what keeps an old writer from writing is the fence, compared in each transaction. Opened to READ, load()
 *        gives what was there at one moment, and the fence 0, with which every commit is ERR_CONFLICT.
 * FAILS  Opening: ERR_NOT_FOUND: no libcurl. ERR_DENIED: certificates, or the store belongs to another
 *        cluster. ERR_INVALID: an endpoint that is none, or a form from a newer version. ERR_CORRUPT:
 *        what is there is not ours. ERR_UNAVAILABLE: no endpoint answers.
 *        An etcd with --client-cert-auth shows its own server certificate to itself for what comes by the
 *        gateway: it must be good for clients, too, or nothing is answered ("connection closed").
 *        A commit is ERR_LIMIT when etcd has no space (its NOSPACE alarm): nothing is written, and it
 *        heals when there is space and the alarm is disarmed; so it is for load(), which must write the fence.
 * FORM   PREFIX/state, fence, lock: text. PREFIX/log/SEQ: records (store_etcd_record.h), SEQ 16 hexadecimal
 *        digits. PREFIX/gone/SEQ: the revisions in that record which compaction forgot.
 */
#ifndef CONTROLPLANE_STORE_STORE_ETCD_H
#define CONTROLPLANE_STORE_STORE_ETCD_H

#include "controlplane/store/store.h"
#include "io/loop.h"
#include "io/seal.h"

enum { STORE_ETCD_ENDPOINTS_MAX = 16, STORE_ETCD_PREFIX_MAX = 64, STORE_ETCD_LEASE_S = 10 };

/* What the store is opened for. A copy between stores (copy.h) leaves a mark in PREFIX/state, so that nobody takes
 * half a copy, or what was left behind, for the cluster's store. */
enum store_etcd_use {
    STORE_ETCD_SERVE,     /* Refused (ERR_DENIED) with either mark. */
    STORE_ETCD_COPY_TO,   /* Nothing there, or an unfinished copy, which the load takes away. */
    STORE_ETCD_COPY_FROM, /* As serving, and it must be there. */
    STORE_ETCD_READ, /* Beside whoever leads: a load takes no lock and no fence, and nothing is ever written. */
};

enum store_etcd_mark {
    STORE_ETCD_WHOLE,      /* None: serve from it. */
    STORE_ETCD_UNFINISHED, /* COPY_TO's load sets it. */
    STORE_ETCD_LEFT,       /* Its content was copied away. */
};

struct store_etcd_options {
    const char *endpoints;       /* "https://a:2379,https://b:2379" */
    const char *ca, *cert, *key; /* PEM files; NULL: the system's CAs, no client certificate. */
    const char *prefix;          /* NULL: "/baton/". Ends in a slash. */
    const char *cluster;         /* The control plane's cluster: a store of another is refused. */
    const char *holder;          /* Who we are: "HOST DIR". Takes its own old lock at once. */
    enum store_etcd_use use;
    bool must_exist; /* An empty etcd is refused, too: there was a store before. */
    const struct seal *seal;
    struct loop *loop;
};

/* Are these endpoints? http or https, host, port; at most STORE_ETCD_ENDPOINTS_MAX. */
MUST_USE enum err_code store_etcd_check_endpoints(const char *endpoints, struct err *e);

MUST_USE enum err_code store_etcd_open(const struct store_etcd_options *o,
                                       const struct store_sink *sink, struct store **out,
                                       struct err *e);

/* An op like the seam's, for one that leads: sets that mark, durably. */
void store_etcd_mark(struct store *s, uint64_t op, enum store_etcd_mark mark);

/* For metrics. Any thread. */
struct store_etcd_stats {
    uint64_t records, commits, writes, bytes; /* Group commit: commits of a record. */
    uint64_t again, merges,
        leader_changes; /* Requests repeated; compaction's rewrites; fences taken. */
};

struct store_etcd_stats store_etcd_stats(struct store *s);

#endif /* CONTROLPLANE_STORE_STORE_ETCD_H */
