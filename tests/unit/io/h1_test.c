/* SPDX-License-Identifier: Apache-2.0 */
#include "io/h1.h"

#include "tests/testlib/test.h"

#include <stdio.h>

static uint32_t parse(const char *text, struct h1_request *q)
{
    static char bytes[8192];
    const char *why = "";
    size_t len = strlen(text);
    memcpy(bytes, text, len);
    size_t head = h1_find_head(str_from(bytes, len), 0);
    if (head == 0)
        return 1; /* Not complete. */
    uint32_t status = h1_parse_head(bytes, head, q, &why);
    cr_assert(status == 0 || why[0] != '\0');
    return status;
}

TEST(h1, takes_a_request_apart)
{
    struct h1_request q;
    cr_assert_eq(parse("POST /api/v1?a=b%20c HTTP/1.1\r\nHost: x:1\r\nContent-LENGTH: 12\r\n"
                       "Accept:  a/b ,\tc \r\nConnection: keep-alive, Close\r\nExpect: "
                       "100-continue\r\n\r\n",
                       &q),
                 0);
    cr_assert(str_is(q.head.method, "POST"));
    cr_assert(str_is(q.head.path, "/api/v1"));
    cr_assert(str_is(q.head.query, "a=b%20c"));
    cr_assert(str_is(q.head.authority, "x:1"));
    cr_assert(str_is(http_header(&q.head.headers, "accept"), "a/b ,\tc"));
    cr_assert_eq(q.body, H1_BODY_LENGTH);
    cr_assert_eq(q.length, 12);
    cr_assert_not(q.keep_alive);
    cr_assert(q.expects_continue);
}

/* Each of these is somebody's smuggled request, or a step towards one. */
TEST(h1, refuses_what_is_not_plain)
{
#define H "Host: x\r\n"
    static const struct {
        const char *text;
        uint32_t status;
    } rows[] = {
        {"GET / HTTP/1.1\r\n" H "X-Abc: \rxTransfer-Encoding: chunked\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "A: b\r\n C: 5\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "Content-Length : 5\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "A : b\r\n\r\n", 400},
        {"GET / HTTP/1.1\n" H "\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "A: b\nC: d\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", 501},
        {"GET / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {"GET / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
         400},
        {"GET / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 505},
        {"GET / HTTP/2.0\r\n" H "\r\n", 505},
        {"GET /\r\n" H "\r\n", 400},
        {"GET  / HTTP/1.1\r\n" H "\r\n", 400},
        {"GET / HTTP/1.1 \r\n" H "\r\n", 505},
        {"GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n", 400},
        {"GET http://x/ HTTP/1.1\r\n" H "\r\n", 400},
        {"G@T / HTTP/1.1\r\n" H "\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H H "\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H ": b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "A\x7f: b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "A: b\x01\r\n\r\n", 400},
        {"\r\nGET / HTTP/1.1\r\n" H "\r\n", 400},
        {"PRI * HTTP/2.0\r\n\r\n", 505},
    };
    struct h1_request q;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        cr_assert_eq(parse(rows[i].text, &q), rows[i].status, "row %zu: %s gave %u", i,
                     rows[i].text, parse(rows[i].text, &q));
#undef H
}

TEST(h1, has_a_limit_of_headers)
{
    char text[8192] = "GET / HTTP/1.1\r\nHost: x\r\n";
    struct h1_request q;
    for (int i = 1; i < HTTP_HEADERS_MAX; i++)
        strncat(text, "a: b\r\n", sizeof text - strlen(text) - 1);
    size_t len = strlen(text);
    strncat(text, "\r\n", sizeof text - len - 1);
    cr_assert_eq(parse(text, &q), 0);
    text[len] = '\0';
    strncat(text, "a: b\r\n\r\n", sizeof text - len - 1);
    cr_assert_eq(parse(text, &q), 431);
}

/* The whole body fed in pieces of step bytes; what came out, and how it ended. */
static enum h1_step unchunk(const char *text, size_t step, struct buf *out, size_t *out_left)
{
    struct h1_request q = {.body = H1_BODY_CHUNKED};
    struct h1_reader r;
    struct str all = str_of(text), piece;
    enum h1_step result = H1_MORE;
    h1_reader_init(&r, &q);
    while (all.len > 0 && result == H1_MORE) {
        struct str in = str_slice(all, 0, step);
        size_t given = in.len;
        do {
            result = h1_reader_feed(&r, &in, &piece);
            buf_add(out, piece);
        } while (result == H1_MORE && in.len > 0);
        all = str_slice(all, given - in.len, all.len);
    }
    *out_left = all.len;
    return result;
}

TEST(h1, chunks_in_any_pieces)
{
    struct buf out;
    size_t left;
    buf_init(&out, 1000);
    for (size_t step = 1; step < 60; step++) {
        buf_clear(&out);
        cr_assert_eq(unchunk("5\r\nhello\r\n00006;x=\"y\"\r\n world\r\n0\r\nT: v\r\n\r\nGET /",
                             step, &out, &left),
                     H1_DONE);
        cr_assert(str_is(buf_str(&out), "hello world"));
        cr_assert_eq(left, 5, "the next request stays");
    }
    static const char *const bad[] = {
        "5\nhello\r\n",
        "0x5\r\nhello\r\n",
        "+5\r\nhello\r\n",
        "\r\nhello",
        "5\r\nhelloX\r\n0\r\n",
        "5\r\nhello\n0\r\n",
        ";x\r\n",
        "5 \r\nhello\r\n",
        "fffffffffffffffff\r\n",
        "5\rX",
        "0\r\nT: v\rX",
        "0\r\n\rX",
        "5;\x01\r\nhello\r\n",
        "-1\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        buf_clear(&out);
        cr_assert_eq(unchunk(bad[i], 1000, &out, &left), H1_BAD, "row %zu", i);
    }
    buf_free(&out);
}

TEST(http, unescapes)
{
    char out[64];
    size_t len;
    cr_assert(http_unescape(STR("a%20b+c"), true, out, &len));
    cr_assert(str_is(str_from(out, len), "a b c"));
    cr_assert(http_unescape(STR("a%2Fb+c"), false, out, &len));
    cr_assert(str_is(str_from(out, len), "a/b+c"));
    cr_assert_not(http_unescape(STR("%"), false, out, &len));
    cr_assert_not(http_unescape(STR("%2"), false, out, &len));
    cr_assert_not(http_unescape(STR("%zz"), false, out, &len));
    cr_assert_not(http_unescape(STR("%00"), false, out, &len));
}
