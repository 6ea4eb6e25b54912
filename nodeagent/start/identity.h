/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.h -- who this node is: its key, its certificate, and what its cluster told it at the join.
 *
 * WHAT   STATE/pki/{node.key,node.crt,ca.crt} and STATE/cluster. The key is made here and never leaves.
 *        A join sends the token and a certificate request to a server whose CA has the fingerprint that
 *        the token holds, and keeps what comes back. Later starts read it, and join again, under the same
 *        name and key, when the certificate has ended.
 * OWNS   identity_open() fills the struct, identity_free() wipes and frees it.
 * ASYNC  Blocks, for start-up, JOIN_LIMIT_S at most. One try: whoever supervises the agent starts it again.
 * FAILS  As join.h. ERR_CORRUPT: a file, by its path.
 */
#ifndef NODEAGENT_START_IDENTITY_H
#define NODEAGENT_START_IDENTITY_H

#include "base/buf.h"
#include "base/time.h"
#include "nodeagent/start/options.h"
#include "proto/baton/agent/v1.pb-c.h"

enum { IDENTITY_TEXT_MAX = 256 };

struct identity {
    struct buf key, cert, ca; /* PEM. */
    struct wall from, until;  /* The certificate's life, from when it was made. */
    char node_name[IDENTITY_TEXT_MAX], cluster_id[IDENTITY_TEXT_MAX];
};

/* hostname: for the default node name. */
MUST_USE enum err_code identity_open(const struct options *o, const char *hostname,
                                     struct identity *out, struct err *e);

/* Only what is on disk; ERR_NOT_FOUND before the first join. */
MUST_USE enum err_code identity_read(const char *state, struct identity *out, struct err *e);
void identity_free(struct identity *i);

/* A certificate request of this node's key. */
MUST_USE enum err_code identity_request(const struct identity *i, struct buf *out, struct err *e);

/* The certificate in reply is this node's from now on: durably, then in i. ERR_CORRUPT: it is for another
 * name or key, and what there was stays. */
MUST_USE enum err_code identity_renewed(struct identity *i, const char *state,
                                        const Agent__JoinReply *reply, struct err *e);

/* "HOST:PORT", "[V6]:PORT" */
MUST_USE enum err_code identity_server(const char *text, char host[256], uint16_t *out_port,
                                       struct err *e);

#endif /* NODEAGENT_START_IDENTITY_H */
