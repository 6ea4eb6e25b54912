/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h -- memory with one owner and one end.
 *
 * WHAT   A request, a reconcile pass, a simulator turn each get one; nothing in it is freed alone.
 *        A chain of chunks from the thread's pool: a small request costs one chunk, a body of 3 MiB
 *        is possible, and limit is the cap. The first chunk may lie in memory of the owner's.
 * OWNS   arena_free() ends everything in it. Chunks go back to the pool of the calling thread.
 * FAILS  arena_alloc() gives NULL past the limit and sets overflow, which is sticky: check it once,
 *        where the answer is sent. Helpers take NULL and pass it on.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/err.h"
#include "base/str.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *last; /* The chunk being filled; the others hang behind it. */
    size_t held, limit;       /* Bytes taken from the pool, and the most that may be. */
    bool overflow;
};

void arena_init(struct arena *a, size_t limit);

/* The first size bytes (ARENA_ROOM_MIN at least) come from room, aligned to 16, which outlives what is in it. */
enum { ARENA_ROOM_MIN = 256 };
void arena_init_in(struct arena *a, size_t limit, void *room, size_t size);
void arena_free(struct arena *a); /* Empty and usable again. */

/* A part of an arena: an arena under what is left of the limit, that ends with arena_free(), or with arena_adopt(): then
 * what it holds ends with the whole. Nothing is taken from the whole meanwhile. */
void arena_part(struct arena *part, const struct arena *whole);
void arena_adopt(struct arena *whole, struct arena *part);

/* What was allocated behind a mark ends with arena_rewind(); something too large for a chunk may take its room until
 * arena_free(). That an overflow happened stays. */
struct arena_mark {
    struct arena_chunk *last;
    size_t used;
};
struct arena_mark arena_mark(const struct arena *a);
void arena_rewind(struct arena *a, const struct arena_mark *to);

/* The calling thread's pool goes: it is about to end, or to rest. */
void arena_pool_free(void);

void *arena_alloc(struct arena *a, size_t size);                /* Not zeroed; aligned to 16. */
void *arena_zalloc(struct arena *a, size_t count, size_t size); /* Zeroed array. */
char *arena_dup(struct arena *a, struct str s);                 /* NUL-terminated copy. */
struct str arena_str(struct arena *a, struct str s);            /* The same as a str; {NULL,0}. */
/* All parts, one after the other: a printf that needs no format. */
struct str arena_join(struct arena *a, const struct str *parts, uint32_t parts_count);
struct str arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3);

MUST_USE enum err_code arena_status(const struct arena *a, struct err *e);

#endif /* BASE_ARENA_H */
