/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal.h -- secrets at rest: values sealed with a key, tokens kept as hashes.
 *
 * WHAT   XChaCha20-Poly1305 (libsodium, IETF variant) with the object's key path as associated data,
 *        so that a sealed value put under another path does not open. Keyed BLAKE2b for tokens.
 * WHY    One door to libsodium. The nonce is random: 192 bits make that safe without a counter.
 * OWNS   struct seal_key is wiped by seal_key_wipe(); it lives in memory that is not dumped where
 *        the caller keeps it in struct seal, which is locked.
 * FAILS  ERR_CORRUPT from seal_open(): altered, truncated, another key or another path.
 *
 * FORMAT  1 byte format (1), 1 byte key number, 24 bytes nonce, ciphertext, 16 bytes tag.
 */
#ifndef IO_SEAL_H
#define IO_SEAL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum {
    SEAL_KEY_SIZE = 32,
    SEAL_OVERHEAD = 2 + 24 + 16, /* A sealed value is longer by this. */
    SEAL_HASH_SIZE = 32,
    TOKEN_ID_LEN = 6,      /* [a-z0-9]: names the token in lists and logs. */
    TOKEN_SECRET_LEN = 32, /* [a-z0-9]: 165 bits. */
    TOKEN_LEN = TOKEN_ID_LEN + 1 + TOKEN_SECRET_LEN,
};

struct seal; /* Opaque: the key, in locked memory. Safe to use from several threads. */

/* Reads the key at path, or makes one there (0600) when there is none. */
MUST_USE enum err_code seal_open_file(const char *path, struct seal **out_seal, struct err *e);
struct seal *seal_from_key(const unsigned char key[SEAL_KEY_SIZE]); /* Tests, simulator. */
void seal_free(struct seal *s);

/* plain sealed and appended to out. bound: the store key. Thread-safe. */
void seal_close(const struct seal *s, struct str plain, struct str bound, struct buf *out);

/* sealed opened and appended to out. */
MUST_USE enum err_code seal_open(const struct seal *s, struct str sealed, struct str bound,
                                 struct buf *out, struct err *e);

/* A fresh bearer or join token: "id.secret". */
void token_make(char out[TOKEN_LEN + 1]);

/* What is stored instead of a token: BLAKE2b keyed with a key derived from the sealing key, so that a
 * stolen database cannot be tried offline. Tokens have 165 bits of entropy; no slow hash is needed. */
void token_hash(const struct seal *s, struct str token, unsigned char out[SEAL_HASH_SIZE]);

/* The id part, {NULL, 0} when text does not have a token's form. */
struct str token_id(struct str text);

bool seal_equal(const void *a, const void *b, size_t len); /* In constant time. */
void seal_wipe(void *at, size_t len);

#endif /* IO_SEAL_H */
