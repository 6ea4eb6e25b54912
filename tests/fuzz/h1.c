/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 from bytes: a head, then a body in two different cuts, which must give the same. */
#include "base/check.h"
#include "io/h1.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum h1_step read_body(const struct h1_request *q, struct str all, size_t step,
                              struct buf *out)
{
    struct h1_reader r;
    enum h1_step result = H1_MORE;

    h1_reader_init(&r, q);
    while (all.len > 0 && result == H1_MORE) {
        struct str in = str_slice(all, 0, step), piece;
        size_t given = in.len;
        do {
            result = h1_reader_feed(&r, &in, &piece);
            buf_add(out, piece);
        } while (result == H1_MORE && in.len > 0);
        all = str_slice(all, given - in.len, all.len);
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct h1_request q;
    const char *why;
    struct buf whole, cut;
    size_t head = h1_find_head(str_from(data, size), 0);

    if (head == 0 || size > 65536)
        return 0;
    char *copy = malloc(size);
    CHECK(copy != NULL);
    memcpy(copy, data, size);
    if (h1_parse_head(copy, head, &q, &why) == 0) {
        CHECK(q.head.headers.count <= HTTP_HEADERS_MAX && q.head.target.len > 0);
        buf_init(&whole, size);
        buf_init(&cut, size);
        struct str body = str_from(copy + head, size - head);
        enum h1_step a = read_body(&q, body, size, &whole), b = read_body(&q, body, 1, &cut);
        CHECK(a == b && str_eq(buf_str(&whole), buf_str(&cut)));
        buf_free(&whole);
        buf_free(&cut);
    }
    free(copy);
    return 0;
}
