/* SPDX-License-Identifier: Apache-2.0 */
/*
 * impersonate.h -- an administrator who asks as somebody else (kubectl --as, --as-group).
 *
 * WHAT   Impersonate-User and -Group replace the user of a request, where the user may do that.
 * WHY    Never ignored: who asks as somebody with fewer rights must not act with his own.
 * OWNS   The new user's text lives in the arena.
 * FAILS  ERR_DENIED: the user may not (403). ERR_INVALID: groups or a uid without a user (400).
 */
#ifndef CONTROLPLANE_SERVE_IMPERSONATE_H
#define CONTROLPLANE_SERVE_IMPERSONATE_H

#include "controlplane/serve/user.h"
#include "io/http.h"

/* Without such headers u stays as it is. */
MUST_USE enum err_code impersonate(const struct http_headers *h, struct arena *a, struct user *u,
                                   struct err *e);

#endif /* CONTROLPLANE_SERVE_IMPERSONATE_H */
