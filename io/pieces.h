/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pieces.h -- bytes that wait to go out, without copying them: a ring of counted blobs.
 *
 * WHAT   Pushed at one end whole, pulled at the other in any amounts. Server replies and client requests
 *        hold what the peer has not asked for yet in one of these.
 * OWNS   A pushed reference is the ring's, until it was pulled to its end or dropped.
 * FAILS  Never; whoever pushes looks at queued_bytes first. That is the limit.
 */
#ifndef IO_PIECES_H
#define IO_PIECES_H

#include "base/blob.h"

struct piece {
    struct blob *blob;
    size_t from; /* What is before it was pulled. */
};

struct pieces {
    struct piece *ring; /* size is a power of two, or 0. */
    uint32_t first, count, size;
    size_t queued_bytes;
};

void pieces_push(struct pieces *p, struct blob *blob); /* NULL and empty ones are forgotten. */
size_t pieces_pull(struct pieces *p, char *out, size_t size);
void pieces_drop(struct pieces *p); /* Everything; also the end of it. */

#endif /* IO_PIECES_H */
