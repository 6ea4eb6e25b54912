/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include "base/check.h"

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

void *mem_zalloc_lines(size_t count, size_t size)
{
    size_t bytes;
    bool fits = !__builtin_mul_overflow(count, size, &bytes) && bytes <= SIZE_MAX - LARGE_PAGE;
    CHECK(fits);
    size_t align = bytes >= LARGE_PAGE ? LARGE_PAGE : LINE;
    bytes = (bytes + align - 1) & ~(align - 1);
    void *at = aligned_alloc(align, bytes == 0 ? align : bytes);
    CHECK(at != NULL);
    if (align == LARGE_PAGE)
        (void)madvise(at, bytes, MADV_HUGEPAGE); /* A wish: without it, small pages do. */
    memset(at, 0, bytes);
    return at;
}
