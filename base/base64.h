/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64.h -- bytes as text, RFC 4648 section 4, as Kubernetes writes []byte in JSON.
 *
 * WHAT   The standard alphabet with padding. Decoding skips CR and LF, as Go's decoder does, and
 *        refuses everything else that is not exact (section 3.3, 3.5: no trailing bits).
 * WHY    Not for secrets' comparison: lookups depend on the data. io/seal.h has its own.
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"

/* Room that encoding len bytes takes, without a NUL. */
static inline size_t base64_encoded_len(size_t len)
{
    return (len + 2) / 3 * 4;
}

/* Room that is always enough for what len characters decode to. */
static inline size_t base64_decoded_max(size_t len)
{
    return len / 4 * 3 + 3;
}

/* out has base64_encoded_len(in.len) bytes of room; that many are written. */
void base64_encode(struct str in, char *out);

/* out has base64_decoded_max(in.len) bytes of room. ERR_INVALID: not base64. */
MUST_USE enum err_code base64_decode(struct str in, char *out, size_t *out_len);

void buf_add_base64(struct buf *b, struct str in);

#endif /* BASE_BASE64_H */
