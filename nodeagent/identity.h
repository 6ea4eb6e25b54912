/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.h -- who this node is: its key, its certificate, and what its cluster told it at the join.
 *
 * WHAT   STATE/pki/{node.key,node.crt,ca.crt} and STATE/cluster. The key is made here and never leaves.
 *        A join sends the token and a certificate request to a server whose CA has the fingerprint that
 *        the token holds, and keeps what comes back. Later starts read it.
 * OWNS   identity_open() fills the struct, identity_free() wipes and frees it.
 * ASYNC  Blocks, for start-up, 20 s at most. One try: whoever supervises the agent starts it again.
 * FAILS  ERR_DENIED: the token is used up, expired, or for another cluster; the name belongs to another
 *        key. ERR_UNAVAILABLE: nobody answers. ERR_CORRUPT: a file, by its path.
 */
#ifndef NODEAGENT_IDENTITY_H
#define NODEAGENT_IDENTITY_H

#include "base/buf.h"
#include "nodeagent/options.h"

enum { IDENTITY_TEXT_MAX = 256 };

struct identity {
    struct buf key, cert, ca; /* PEM. */
    char node_name[IDENTITY_TEXT_MAX], cluster_id[IDENTITY_TEXT_MAX];
};

/* hostname: for the default node name. */
MUST_USE enum err_code identity_open(const struct options *o, const char *hostname,
                                     struct identity *out, struct err *e);

/* Only what is on disk; ERR_NOT_FOUND before the first join. */
MUST_USE enum err_code identity_read(const char *state, struct identity *out, struct err *e);
void identity_free(struct identity *i);

/* "HOST:PORT", "[V6]:PORT" */
MUST_USE enum err_code identity_server(const char *text, char host[256], uint16_t *out_port,
                                       struct err *e);

#endif /* NODEAGENT_IDENTITY_H */
