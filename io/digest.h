/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest.h -- SHA-256 of a stream, as container images name their bytes.
 *
 * WHAT   begin, add, end: "sha256:" and 64 hex digits. By OpenSSL, so with the CPU's instructions.
 * OWNS   digest_begin() allocates, digest_end() or digest_drop() frees.
 */
#ifndef IO_DIGEST_H
#define IO_DIGEST_H

#include "base/str.h"

enum { DIGEST_TEXT_LEN = 71 };

struct digest;

struct digest *digest_begin(void);
void digest_add(struct digest *d, struct str bytes);
void digest_end(struct digest *d, char out[DIGEST_TEXT_LEN + 1]);
void digest_drop(struct digest *d); /* NULL is allowed. */

void digest_of(struct str bytes, char out[DIGEST_TEXT_LEN + 1]);

/* "sha256:" and 64 lower-case hex digits, nothing else: safe as a file's name. */
bool digest_is_valid(struct str text);

#endif /* IO_DIGEST_H */
