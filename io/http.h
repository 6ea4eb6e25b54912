/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h -- the words HTTP/1.1 and HTTP/2, server and client, share.
 *
 * WHAT   Headers as pairs of borrowed bytes, names in lower case; a request's head; what TLS knows of
 *        the peer.
 * WHY    Above io/ nobody sees which version is spoken (RFC 9110: one semantics, two encodings).
 */
#ifndef IO_HTTP_H
#define IO_HTTP_H

#include "base/err.h"
#include "base/str.h"
#include "io/pki.h"

enum http_proto { HTTP_1_1, HTTP_2 };

enum { HTTP_HEADERS_MAX = 100 }; /* Of one message. */

struct http_header {
    struct str name, value; /* Name in lower case, value trimmed. */
};

struct http_headers {
    const struct http_header *at;
    uint32_t count;
};

/* The first value of name (lower case), {NULL, 0} when there is none. */
struct str http_header(const struct http_headers *h, const char *name);

struct http_head {
    enum http_proto proto;
    struct str method; /* "GET" */
    struct str target; /* As sent: path and query, percent-encoded. Begins with "/" (or is "*"). */
    struct str path;   /* The target before "?". */
    struct str query;  /* Behind it; {NULL, 0} when there is no "?". */
    struct str authority; /* Host or :authority. */
    struct http_headers headers;
};

/* Splits target into path and query. */
void http_head_target(struct http_head *head, struct str target);

/* Percent-decoded into out, which has room for in.len bytes; "+" is a blank when query. False: bad
 * escape, or a NUL. */
bool http_unescape(struct str in, bool query, char *out, size_t *out_len);

/* "OK", "Not Found"; "Unknown" for a number we do not send. */
const char *http_reason(uint32_t status);

enum http_peer_state {
    HTTP_PEER_NONE,    /* No certificate. */
    HTTP_PEER_TRUSTED, /* Signed by our CA and valid at the handshake. */
    HTTP_PEER_REFUSED, /* Another CA, expired, not for clients: why says it. Answer 401. */
};

struct http_peer {
    enum http_peer_state state;
    char why[96];
    struct pki_identity
        id; /* When trusted. not_after must still be checked: connections live long. */
};

#endif /* IO_HTTP_H */
