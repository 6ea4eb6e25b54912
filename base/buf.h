/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.h -- bytes that grow, up to a limit.
 *
 * WHAT   An output buffer. Appending past the limit sets a sticky flag and drops the bytes, so a
 *        long construction checks once, at its end, with buf_status().
 * OWNS   buf_free() frees the bytes; buf_blob() hands them on as an immutable blob instead.
 * FAILS  ERR_LIMIT from buf_status(): the limit given to buf_init() was reached.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/blob.h"
#include "base/str.h"

struct buf {
    char *at;
    size_t len, size; /* Filled and allocated bytes. */
    size_t limit;     /* len never exceeds it. */
    bool overflow;    /* Sticky. */
};

void buf_init(struct buf *b, size_t limit);
void buf_free(struct buf *b); /* Leaves it empty and usable, with the same limit. */
void buf_clear(struct buf *b);

char *buf_grow(struct buf *b, size_t len); /* The slow half of buf_reserve(). */

void buf_add(struct buf *b, struct str s);
static inline void buf_add_char(struct buf *b, char c);
void buf_add_u64(struct buf *b, uint64_t value); /* Decimal. */
void buf_add_i64(struct buf *b, int64_t value);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);

/* Room for len more bytes at the end, or NULL (and overflow). buf_commit() says how many of them
 * were filled. The pointer dies with the next call that adds. */
static inline char *buf_reserve(struct buf *b, size_t len)
{
    if (__builtin_expect(len < b->size - b->len && len <= b->limit - b->len && !b->overflow, 1))
        return b->at + b->len;
    return buf_grow(b, len);
}

void buf_commit(struct buf *b, size_t len);

static inline void buf_add_char(struct buf *b, char c)
{
    char *room = buf_reserve(b, 1);
    if (room != NULL) {
        *room = c;
        b->len++;
    }
}

void buf_consume(struct buf *b, size_t len); /* Drop bytes from the front. */

static inline struct str buf_str(const struct buf *b)
{
    return (struct str){b->at, b->len};
}

MUST_USE enum err_code buf_status(const struct buf *b, struct err *e);

/* The bytes as a new blob with one reference; NULL after an overflow. The buffer is empty then. */
struct blob *buf_blob(struct buf *b);

#endif /* BASE_BUF_H */
