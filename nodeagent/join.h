/* SPDX-License-Identifier: Apache-2.0 */
/*
 * join.h -- one unary call in a node's life.
 */
#ifndef NODEAGENT_JOIN_H
#define NODEAGENT_JOIN_H

#include "base/arena.h"
#include "proto/baton/agent/v1.pb-c.h"

struct join_request {
    const char *host;
    uint16_t port;
    struct str token; /* "id.secret.fingerprint" */
    struct str csr;
    const char *node_name;
};

/* The caller frees *out with agent__join_reply__free_unpacked(). FAILS as identity.h; ERR_INVALID: the
 * token has not that form. */
MUST_USE enum err_code join_call(const struct join_request *r, struct arena *a,
                                 Agent__JoinReply **out, struct err *e);

#endif /* NODEAGENT_JOIN_H */
