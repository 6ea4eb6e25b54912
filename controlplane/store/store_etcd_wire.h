/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_etcd_wire.h -- etcd's REST gateway as text: requests printed, answers read. No I/O.
 *
 * WHAT   The few messages of etcd's rpc.proto that we use, in the JSON of its gateway (etcd 3.4 to 3.6): bytes
 *        are base64, 64-bit numbers are strings, zero values are left out.
 * WHY    Apart from the sockets, so that the decoder can be fuzzed and the machine tested without a server.
 * OWNS   Answers live in the caller's arena and borrow from the body.
 * FAILS  Whatever etcd says becomes one of the few outcomes that make a difference to us.
 */
#ifndef CONTROLPLANE_STORE_STORE_ETCD_WIRE_H
#define CONTROLPLANE_STORE_STORE_ETCD_WIRE_H

#include "base/arena.h"
#include "base/buf.h"

/* ---- Requests ---- */

struct etcd_txn {
    struct buf *out;
    bool comma;
};

/* begin, compares, then, ops, otherwise, ops, end. An empty end: that one key. */
void etcd_txn_begin(struct etcd_txn *t, struct buf *out);
void etcd_txn_value_is(struct etcd_txn *t, struct str key, struct str value);
void etcd_txn_modified_is(struct etcd_txn *t, struct str key, uint64_t revision); /* 0: absent. */
void etcd_txn_exists(struct etcd_txn *t, struct str key, bool exists);
void etcd_txn_then(struct etcd_txn *t);
void etcd_txn_otherwise(struct etcd_txn *t);
void etcd_txn_put(struct etcd_txn *t, struct str key, struct str value, uint64_t lease);
void etcd_txn_delete(struct etcd_txn *t, struct str key, struct str end);
void etcd_txn_get(struct etcd_txn *t, struct str key, struct str end, bool keys_only);
void etcd_txn_end(struct etcd_txn *t);

struct etcd_range {
    struct str key, end;
    uint64_t limit, revision; /* 0: none; the newest. */
};

void etcd_range_print(struct buf *out, const struct etcd_range *r);
void etcd_number_print(struct buf *out, const char *name, uint64_t value); /* {"name":"value"} */

/* ---- Answers ---- */

/* clang-format off */
#define ETCD_OUTCOMES(X)                                                                             \
    X(FINE)      /* It was done, or the compares failed: succeeded says which. */                    \
    X(AGAIN)     /* No answer, no leader, too busy: whether it was done is not known. */              \
    X(FULL)      /* Not done: no space. */                                                           \
    X(TOO_LARGE) /* Not done, and never will be. */                                                  \
    X(COMPACTED) /* That revision is history. */                                                     \
    X(DENIED)    /* Not allowed. */                                                                  \
    X(BROKEN)    /* It is no answer of etcd's. */
/* clang-format on */

enum etcd_outcome {
#define X(name) ETCD_##name,
    ETCD_OUTCOMES(X)
#undef X
};

enum { ETCD_RANGES_MAX = 8 };

struct etcd_kv {
    struct str key, value;
    uint64_t created, modified, lease;
};

struct etcd_kvs {
    struct etcd_kv *at;
    uint32_t count, size;
    bool more; /* There are further ones behind the limit. */
};

struct etcd_answer {
    enum etcd_outcome outcome;
    char text[160];        /* Not FINE: what etcd said. */
    uint64_t cluster;      /* etcd's own cluster id; 0: it did not say. */
    uint64_t revision;     /* etcd's. */
    uint64_t lease, ttl_s; /* Of lease calls. ttl_s 0: it is gone. */
    bool succeeded;
    struct etcd_kvs ranges[ETCD_RANGES_MAX]; /* By the number of the op; a plain range is 0. */
};

/* status: of HTTP; 0: none came, and body is what went wrong. Never fails: an answer that is none is BROKEN
 * or, when it came from something between us and etcd, AGAIN. */
void etcd_answer_read(struct arena *a, uint32_t status, struct str body, struct etcd_answer *out);

#endif /* CONTROLPLANE_STORE_STORE_ETCD_WIRE_H */
