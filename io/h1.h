/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1.h -- HTTP/1.1 messages, strictly (RFC 9112): parse requests, write responses. No I/O.
 *
 * WHAT   A request's head from a contiguous buffer; a body by length or in chunks from any pieces.
 * WHY    Every leniency of a parser is somebody's smuggled request. What RFC 9112 lets a server refuse
 *        is refused: bare CR or LF, folded lines, blanks before a colon, two lengths, a length beside
 *        chunks, codings but "chunked", versions but 1.1, targets that are not a path.
 * OWNS   The head borrows from the caller's buffer, in which names are put into lower case.
 * FAILS  By status: what to answer before closing the connection. Nothing after a refusal is parsed.
 */
#ifndef IO_H1_H
#define IO_H1_H

#include "base/buf.h"
#include "io/http.h"

enum { H1_CHUNK_LINE_MAX = 256, H1_TRAILER_MAX = 8 << 10 };

enum h1_body { H1_BODY_NONE, H1_BODY_LENGTH, H1_BODY_CHUNKED };

struct h1_request {
    struct http_head head; /* headers.at points to headers below: copy with care. */
    struct http_header headers[HTTP_HEADERS_MAX];
    enum h1_body body;
    uint64_t length; /* H1_BODY_LENGTH */
    bool keep_alive, expects_continue;
};

/* Bytes of the head up to and with its empty line, 0 when that is not there yet. from: where the last
 * search of the same buffer ended (its length then), so that slow senders cost linear time. */
size_t h1_find_head(struct str in, size_t from);

/* Parses exactly the len bytes that h1_find_head() measured. 0: fine; otherwise 400, 414, 431, 501 or
 * 505, and *out_why says what is wrong. */
uint32_t h1_parse_head(char *at, size_t len, struct h1_request *out, const char **out_why);

enum h1_step { H1_MORE, H1_DONE, H1_BAD };

struct h1_reader {
    enum { H1_R_LENGTH, H1_R_SIZE, H1_R_DATA, H1_R_DATA_END, H1_R_TRAILER, H1_R_DONE } state;
    uint64_t left;
    uint32_t line_len; /* Of the size line or all trailer lines so far. */
    uint32_t digits;
    bool in_extension, saw_cr, line_empty;
};

void h1_reader_init(struct h1_reader *r, const struct h1_request *q);

/* Takes from the front of *in; body bytes found are *out (borrowed from in, maybe empty). Call again
 * while it says H1_MORE and in is not empty. */
enum h1_step h1_reader_feed(struct h1_reader *r, struct str *in, struct str *out);

struct h1_response {
    uint32_t status;
    const struct http_header *headers;
    uint32_t headers_count;
    bool close, chunked, no_length; /* Otherwise content-length: length. */
    uint64_t length;
};

void h1_write_head(struct buf *out, const struct h1_response *r);
void h1_write_chunk_head(struct buf *out, size_t len); /* The data, then "\r\n". */
void h1_write_last_chunk(struct buf *out);

#endif /* IO_H1_H */
