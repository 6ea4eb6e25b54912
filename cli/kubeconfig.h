/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kubeconfig.h -- where a cluster is and who asks, from the file kubectl reads.
 *
 * WHAT   The current context of a kubeconfig: server, CA, client certificate or token, namespace. Data
 *        inside the file (…-data) and paths beside it (relative to it) both work.
 * FAILS  ERR_NOT_FOUND: no such file. ERR_INVALID: what is missing or wrong, by its name in the file.
 *        Not supported and refused: exec and auth-provider plugins, passwords, skipping verification.
 */
#ifndef CLI_KUBECONFIG_H
#define CLI_KUBECONFIG_H

#include "base/arena.h"

struct kubeconfig {
    struct str server; /* As written: "https://127.0.0.1:6443" */
    const char *host;
    uint16_t port;
    struct str ca, cert, key, token; /* PEM, and the bearer token; empty where not given. */
    struct str namespace;
};

/* Everything in *out lives in the arena. */
MUST_USE enum err_code kubeconfig_read(struct arena *a, const char *path, struct kubeconfig *out,
                                       struct err *e);

#endif /* CLI_KUBECONFIG_H */
