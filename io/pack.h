/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack.h -- bytes made smaller (zlib, at its fastest), and back.
 *
 * WHAT   One buffer to another, in one call.
 * OWNS   Everything is appended to the caller's buffer, whose limit holds.
 * FAILS  pack_open(): ERR_CORRUPT: not packed bytes, or not of that size when they are open. Nothing was appended.
 */
#ifndef IO_PACK_H
#define IO_PACK_H

#include "base/buf.h"
#include "base/err.h"

/* False: they do not get smaller, and nothing was appended. */
bool pack_close(struct str plain, struct buf *out);

MUST_USE enum err_code pack_open(struct str packed, size_t plain_size, struct buf *out,
                                 struct err *e);

#endif /* IO_PACK_H */
