/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.h -- what an engine writes for an object's bytes, and gets back.
 *
 * WHAT   A small head in front of the bytes, and the sealing of secrets behind it. All engines that
 *        reach a disk or a wire store this form; the same value may move between them.
 * WHY    Sealing is done here, below the seam, so that it costs the store's thread and not the core's,
 *        and so that no path to a disk can forget it.
 * FAILS  ERR_CORRUPT from value_decode(): not of this form, of another revision than its row says, or a
 *        sealed one that does not open under this key and this path.
 *
 * FORM   1 byte format (1), 1 byte flags (1: sealed), 8 bytes revision (little endian), then the bytes,
 *        or io/seal.h's form of them bound to the object's key.
 */
#ifndef CONTROLPLANE_STORE_VALUE_H
#define CONTROLPLANE_STORE_VALUE_H

#include "base/blob.h"
#include "io/seal.h"

enum { VALUE_HEAD = 10 };

/* Appended to out. */
void value_encode(const struct seal *seal, struct str key, uint64_t revision, struct str bytes,
                  bool sealed, struct buf *out);

/* out_bytes: a new reference, the caller's. */
MUST_USE enum err_code value_decode(const struct seal *seal, struct str key, uint64_t revision,
                                    struct str value, struct blob **out_bytes, bool *out_sealed,
                                    struct err *e);

#endif /* CONTROLPLANE_STORE_VALUE_H */
