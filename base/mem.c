/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include "base/check.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LINE = 64, LARGE_PAGE = 2 << 20 };

void *mem_alloc(size_t size)
{
    void *at = malloc(size == 0 ? 1 : size);
    CHECK(at != NULL);
    return at;
}

void *mem_zalloc(size_t count, size_t size)
{
    void *at = calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);
    CHECK(at != NULL);
    return at;
}

void *mem_resize(void *at, size_t size)
{
    void *moved = realloc(at, size == 0 ? 1 : size);
    CHECK(moved != NULL);
    return moved;
}

void mem_free(void *at)
{
    free(at);
}

void mem_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

static size_t whole(size_t count, size_t size, size_t of)
{
    size_t bytes;
    bool fits = !__builtin_mul_overflow(count, size, &bytes) && bytes <= SIZE_MAX - of;
    CHECK(fits);
    return bytes == 0 ? of : (bytes + of - 1) / of * of;
}

void *mem_zalloc_lines(size_t count, size_t size)
{
    size_t bytes = whole(count, size, LINE);
    bool large = bytes >= LARGE_PAGE;
    bytes = large ? whole(count, size, LARGE_PAGE) : bytes;
    void *at = aligned_alloc(large ? LARGE_PAGE : LINE, bytes);
    CHECK(at != NULL);
    if (large) /* A wish: without it, small pages do. */
        (void)madvise(at, bytes, MADV_HUGEPAGE);
    return memset(at, 0, bytes);
}

void *mem_grow_lines(void *at, size_t from, size_t to, size_t size)
{
    void *grown = mem_zalloc_lines(to, size);
    if (from > 0)
        memcpy(grown, at, from * size);
    mem_free(at);
    return grown;
}

void *mem_reserve(size_t count, size_t size)
{
    size_t bytes = whole(count, size, LARGE_PAGE);
    char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(at != MAP_FAILED);
    if (bytes > LARGE_PAGE) /* A wish: without it, small pages do. */
        (void)madvise(at + LARGE_PAGE, bytes - LARGE_PAGE, MADV_HUGEPAGE);
    return at;
}

void mem_release(void *at, size_t count, size_t size)
{
    if (at != NULL)
        (void)munmap(at, whole(count, size, LARGE_PAGE));
}
