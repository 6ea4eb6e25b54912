/* SPDX-License-Identifier: Apache-2.0 */
/*
 * join.h -- one machine's Join: a token and a certificate request against a certificate.
 *
 * WHAT   Checks the token and the request, then in one transaction uses the token up (deletes its Secret under
 *        its uid, so that of two who present it one wins) and binds the name to the key, and signs. A node that
 *        presents its own certificate needs no token: it renews, for the same name and the same key.
 * FAILS  PERMISSION_DENIED for a token that is not good, without saying why; ALREADY_EXISTS when the name
 *        is bound to another key; INVALID_ARGUMENT for the request; UNAVAILABLE to try again. A token outlives a join that
 *        failed. One whose answer was lost has used it: the machine needs another.
 */
#ifndef CONTROLPLANE_SERVE_JOIN_H
#define CONTROLPLANE_SERVE_JOIN_H

#include "controlplane/serve/front.h"
#include "io/grpc.h"

enum { JOIN_REQUEST_MAX = 64 << 10 }; /* Bytes of one: a stranger may send that much. */

struct join;

/* reply: a JoinReply, one reference for the receiver; NULL with any status but OK. */
typedef void join_answer(void *owner, enum grpc_status status, struct str text, struct blob *reply);

struct join *join_new(struct front *f, const struct http_request *q);
bool join_message(struct join *j, struct str bytes); /* False: one was enough. */
void join_begin(struct join *j, join_answer *answer, void *owner);
void join_free(struct join *j); /* NULL is allowed; answers that are on their way are forgotten. */

#endif /* CONTROLPLANE_SERVE_JOIN_H */
