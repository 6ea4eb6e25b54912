/* SPDX-License-Identifier: Apache-2.0 */
#include "base/blob.h"

#include "base/check.h"
#include "base/mem.h"

struct blob *blob_reserve(uint32_t len)
{
    return blob_adopt(mem_alloc(sizeof(struct blob) + (size_t)len + 1), len);
}

struct blob *blob_adopt(void *memory, uint32_t len)
{
    struct blob *b = memory;
    atomic_init(&b->refs, 1);
    b->len = len;
    b->at[len] = '\0';
    return b;
}

struct blob *blob_new(struct str bytes)
{
    CHECK(bytes.len < UINT32_MAX);
    struct blob *b = blob_reserve((uint32_t)bytes.len);
    str_put(b->at, bytes);
    return b;
}

struct blob *blob_ref(struct blob *b)
{
    if (b != NULL)
        atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void blob_unref(struct blob *b)
{
    if (b == NULL)
        return;
    uint_least32_t before = atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel);
    CHECK(before > 0);
    if (before == 1)
        mem_free(b);
}
