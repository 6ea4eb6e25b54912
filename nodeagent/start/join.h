/* SPDX-License-Identifier: Apache-2.0 */
/*
 * join.h -- the unary call that turns a certificate request into a certificate: once by a token, later by
 * the certificate there is.
 *
 * WHAT   baton.agent.v1.Agent/Join over a connection of its own.
 * OWNS   join_start() to join_free(), which may come at any time. Everything in the request is copied but
 *        tls, which outlives the call.
 * ASYNC  done() is called once, never from inside join_start(); it may free the call. join_by_token()
 *        blocks, JOIN_LIMIT_S at most.
 * FAILS  ERR_DENIED: the token is used up, expired, or for another cluster. ERR_CONFLICT: the name belongs
 *        to another key. ERR_UNAVAILABLE: nobody answers. ERR_CORRUPT: the answer does not decode. ERR_INVALID: the
 *        token has not its form.
 */
#ifndef NODEAGENT_START_JOIN_H
#define NODEAGENT_START_JOIN_H

#include "io/http_client.h"
#include "proto/baton/agent/v1.pb-c.h"

enum { JOIN_LIMIT_S = 20 };

struct join;

struct join_request {
    const char *host;
    uint16_t port;
    const struct tls_config *tls;
    struct str token; /* "id.secret"; empty: renew, by the certificate in tls. */
    struct str csr;
    const char *node_name;
};

/* reply: borrowed until it returns; NULL: why says what went wrong. */
typedef void join_done(void *owner, const Agent__JoinReply *reply, const struct err *why);

struct join *join_start(struct loop *l, const struct join_request *r, join_done *done, void *owner);
void join_free(struct join *j); /* NULL is allowed. */

/* r->token: "id.secret.fingerprint", of which the last is how the server is known; r->tls is not read. The
 * caller frees *out with agent__join_reply__free_unpacked(). */
MUST_USE enum err_code join_by_token(const struct join_request *r, Agent__JoinReply **out,
                                     struct err *e);

#endif /* NODEAGENT_START_JOIN_H */
