/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include "base/check.h"

#include <stdlib.h>

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
