/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

enum {
    BUF_FIRST = 256,
    BUF_KEEP =
        16 << 10, /* From here on buf_blob() hands the bytes on where they are; smaller ones when
                            they fill most of what was reserved. */
};

/* A blob's head has its place in front of the bytes. */
static const size_t head_size = offsetof(struct blob, at);

void buf_init(struct buf *b, size_t limit)
{
    *b = (struct buf){.limit = limit};
}

void buf_free(struct buf *b)
{
    if (b->at != NULL)
        mem_free(b->at - head_size);
    *b = (struct buf){.limit = b->limit};
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->overflow = false;
}

char *buf_grow(struct buf *b, size_t len)
{
    if (b->overflow || len > b->limit - b->len) {
        b->overflow = true;
        return NULL;
    }
    if (b->at == NULL || len > b->size - b->len) {
        size_t size = b->size < BUF_FIRST ? BUF_FIRST : b->size * 2;
        while (size < b->len + len)
            size *= 2;
        b->at = (char *)mem_resize(b->at == NULL ? NULL : b->at - head_size, head_size + size) +
                head_size;
        b->size = size;
    }
    return b->at + b->len;
}

void buf_commit(struct buf *b, size_t len)
{
    CHECK(len <= b->size - b->len);
    b->len += len;
}

void buf_add(struct buf *b, struct str s)
{
    if (s.len == 0)
        return;
    char *room = buf_reserve(b, s.len);
    if (room == NULL)
        return;
    str_put(room, s);
    b->len += s.len;
}

void buf_add_u64(struct buf *b, uint64_t value)
{
    char digits[20];
    size_t begin = sizeof digits;
    do {
        digits[--begin] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    buf_add(b, str_from(digits + begin, sizeof digits - begin));
}

void buf_add_i64(struct buf *b, int64_t value)
{
    if (value < 0)
        buf_add_char(b, '-');
    buf_add_u64(b, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    CHECK(length >= 0);

    char *room = buf_reserve(b, (size_t)length + 1); /* vsnprintf writes a NUL we do not count. */
    if (room != NULL) {
        vsnprintf(room, (size_t)length + 1, fmt, again);
        b->len += (size_t)length;
    }
    va_end(again);
}

void buf_consume(struct buf *b, size_t len)
{
    CHECK(len <= b->len);
    if (len == 0)
        return;
    memmove(b->at, b->at + len, b->len - len);
    b->len -= len;
}

enum err_code buf_status(const struct buf *b, struct err *e)
{
    if (b->overflow)
        return err_set(e, ERR_LIMIT, "output is over %zu bytes", b->limit);
    return ERR_OK;
}

struct blob *buf_blob(struct buf *b)
{
    struct blob *blob = NULL;
    size_t slack = b->size - b->len;
    bool stays = b->len >= BUF_KEEP || (b->at != NULL && slack > 0 && slack <= b->len / 2);
    if (!b->overflow && stays && b->len < UINT32_MAX) {
        blob = blob_adopt(mem_resize(b->at - head_size, head_size + b->len + 1), (uint32_t)b->len);
        b->at = NULL;
    } else if (!b->overflow) {
        blob = blob_new(buf_str(b));
    }
    buf_free(b);
    return blob;
}
