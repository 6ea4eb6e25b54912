/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokens.h -- bearer and join tokens: Secrets that hold a hash, never the token.
 *
 * WHAT   A token is "id.secret". Its record is the Secret token-<id> in kube-system of type
 *        baton.dev/token: hash, expires (Unix seconds), use (join or user), user, groups. A join token
 *        is handed out as "id.secret.<SHA-256 of the CA>", so that the machine that joins can verify the
 *        server before it says anything.
 * WHY    No second store and no second expiry: tokens are listed, deleted and sealed like any Secret.
 *        Deleting the Secret under its uid is what makes a join token single-use.
 * OWNS   Text lives in the arena.
 * FAILS  ERR_DENIED for every reason a token is not good; the caller tells the client nothing more.
 */
#ifndef CONTROLPLANE_SERVE_TOKENS_H
#define CONTROLPLANE_SERVE_TOKENS_H

#include "base/arena.h"
#include "base/time.h"
#include "controlplane/core/index.h"
#include "io/seal.h"

#define TOKENS_NAMESPACE "kube-system"
#define TOKENS_TYPE "baton.dev/token"

enum { TOKENS_TTL_MIN_S = 60, TOKENS_TTL_MAX_S = 7 * 86400 };

struct token_record {
    struct str key;    /* Of the Secret, as the index has it. */
    struct str uid;    /* Of the Secret: delete it under this. */
    struct str user;   /* use=user: who the bearer is. */
    struct str groups; /* Separated by commas. */
    bool join;
    struct wall expires;
};

/* text: what was presented; a join token's fingerprint part is ignored here. */
MUST_USE enum err_code token_check(const struct index_snapshot *objects, const struct seal *seal,
                                   struct str text, struct wall now, struct arena *a,
                                   struct token_record *out, struct err *e);

/* Those whose time is over, at most max: key and uid of their Secrets. A join that comes deletes its own; nobody comes
 * with these. */
uint32_t tokens_expired(const struct index_snapshot *objects, struct wall now, struct arena *a,
                        struct token_record *out, uint32_t max);

struct token_made {
    char text[TOKEN_LEN + 1]; /* To be shown once. */
    struct str name;          /* Of the Secret: "token-<id>". */
    struct blob *object;      /* The Secret's envelope, one reference. */
};

/* A fresh token and the Secret to create for it. */
void token_new(const struct seal *seal, const struct token_record *wanted, struct arena *a,
               struct token_made *out);

#endif /* CONTROLPLANE_SERVE_TOKENS_H */
