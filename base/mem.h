/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem.h -- the only malloc outside io/.
 *
 * WHAT   Allocation that cannot fail: it aborts through CHECK. For sizes that we choose ourselves.
 * WHY    What an outsider may choose the size of comes from a capped arena or buffer instead, and
 *        fails there as ERR_LIMIT long before memory ends.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size);                /* Not zeroed. */
void *mem_zalloc(size_t count, size_t size); /* Zeroed array; the product is checked. */
void *mem_resize(void *at, size_t size);
void mem_free(void *at); /* NULL is allowed. */

/* Whole pages that were freed go back to the system: the allocator keeps what it has been given, for ever if small
 * things lie between. Looks at everything that is free, a few milliseconds for hundreds of megabytes: after a large
 * release, not after each. */
void mem_trim(void);

/* Zeroed, beginning at a cache line of 64 bytes. For mem_free(). */
void *mem_zalloc_lines(size_t count, size_t size);
/* The same with the first from elements of at, which is freed; NULL with from 0. */
void *mem_grow_lines(void *at, size_t from, size_t to, size_t size);

/* Room for a table that may become large: zeroed, costs nothing before it is touched, never moves.
 * Behind the first two megabytes of large pages where the system has them, since a table that is
 * read here and there waits for the translation of addresses more than for its bytes. */
void *mem_reserve(size_t count, size_t size);
void mem_release(void *at, size_t count, size_t size); /* NULL is allowed. */

#endif /* BASE_MEM_H */
