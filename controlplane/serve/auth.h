/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth.h -- who asks, and may he.
 *
 * WHAT   Authentication by client certificate (CN, each O) or bearer token; without either, anonymous.
 *        Authorisation until there is RBAC: system:masters may do everything; a node (CN
 *        system:node:NAME, O system:nodes) may read its own Node, NodeHardware and Lease and renew that
 *        Lease; everybody sees /version, health and discovery of nothing else; the rest is refused.
 * WHY    Pure functions of request and objects: connection threads call them without asking anybody.
 * OWNS   struct user's text lives in the arena.
 * FAILS  auth_user(): ERR_DENIED for a credential that is presented and not good (401): never taken for
 *        anonymous.
 */
#ifndef CONTROLPLANE_SERVE_AUTH_H
#define CONTROLPLANE_SERVE_AUTH_H

#include "controlplane/serve/rest.h"
#include "controlplane/serve/tokens.h"
#include "io/http.h"

/* authorization: the header's value; {NULL, 0} when there is none. A certificate beats a token. */
MUST_USE enum err_code auth_user(const struct http_peer *peer, struct str authorization,
                                 const struct index_snapshot *objects, const struct seal *seal,
                                 struct wall now, struct arena *a, struct user *out, struct err *e);

struct auth_question {
    const struct user *user;
    enum rest_verb verb;
    const struct rest_path *at;
    struct str method, path; /* Where at names no resource. */
};

/* False: *out_text is the sentence of the 403, in Kubernetes' words. */
MUST_USE bool auth_may(const struct auth_question *q, struct arena *a, struct str *out_text);

#endif /* CONTROLPLANE_SERVE_AUTH_H */
