/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_client.h -- one HTTP/2 connection to a control plane, many requests on it.
 *
 * WHAT   Opens TCP and TLS with the CA pinned, then carries unary requests and streams both ways. The
 *        agent's session and its further streams, joins, and the CLI.
 * WHY    One connection is what works behind NAT. The server is always batond, which always offers h2,
 *        so HTTP/1.1 is not spoken here.
 * OWNS   Options are copied, the tls_config is borrowed and outlives the client. Event bytes are borrowed
 *        until event() returns.
 * ASYNC  HTTP_CLIENT_OPEN or HTTP_CLIENT_CLOSED answers the opening. Each request ends with exactly one
 *        HTTP_CLIENT_END or HTTP_CLIENT_FAILED, also when the connection ends. Nothing comes from inside a call, and
 *        nothing after http_client_close().
 * FAILS  HTTP_CLIENT_CLOSED carries the reason: ERR_DENIED (TLS), ERR_UNAVAILABLE. The caller opens a
 *        new one after its own back-off.
 */
#ifndef IO_HTTP_CLIENT_H
#define IO_HTTP_CLIENT_H

#include "base/blob.h"
#include "base/slots.h"
#include "io/http.h"
#include "io/loop.h"
#include "io/tls.h"

struct http_client;

enum http_client_event_type {
    HTTP_CLIENT_OPEN,     /* Requests may be started (they may be before, and wait). */
    HTTP_CLIENT_HEAD,     /* status, headers: of a final response. */
    HTTP_CLIENT_BODY,     /* bytes. */
    HTTP_CLIENT_WRITABLE, /* Room again, after http_client_send() had returned 0. */
    HTTP_CLIENT_END,      /* headers: trailers, if any. The id is dead. */
    HTTP_CLIENT_FAILED,   /* err: reset, refused, or the connection ended. The id is dead. */
    HTTP_CLIENT_CLOSED,   /* err. All requests have failed before. Call http_client_close(). */
};

struct http_client_event {
    enum http_client_event_type type;
    struct slot_id id;
    uint64_t op; /* Given at http_client_start(). */
    uint32_t status;
    struct http_headers headers;
    struct str bytes;
    struct err err;
    struct instant now;
};

struct http_client_options {
    const char *host;
    uint16_t port;
    const char *path;             /* A Unix socket instead. */
    const struct tls_config *tls; /* NULL: plain HTTP/2, for tests only. */
    uint32_t requests_max;        /* At once; 0: 256. */
    uint32_t send_max;            /* High-water mark of one request's unsent bytes; 0: 256 KiB. */
    struct span
        keepalive; /* PING after that much silence; none answered in the same and a quarter more: closed.
                                     0: never. */
    struct span connect; /* To be open; 0: 10 s. */
    void (*event)(void *owner, const struct http_client_event *ev);
    void *owner;
};

struct http_client *http_client_open(struct loop *l, const struct http_client_options *o);
void http_client_close(struct http_client *c); /* NULL is allowed. */

struct http_client_request {
    const char *method, *path;         /* path with its query, percent-encoded. */
    const struct http_header *headers; /* Names in lower case. Copied. */
    uint32_t headers_count;            /* At most 16. */
    struct str body;                   /* Copied. */
    bool streaming;                    /* More follows with http_client_send(). */
    bool manual_consume;               /* Body bytes are acknowledged with http_client_consume(). */
};

/* {0, 0}: too many at once. */
struct slot_id http_client_start(struct http_client *c, uint64_t op,
                                 const struct http_client_request *r);

/* One reference, taken over. Room left; at 0 wait for HTTP_CLIENT_WRITABLE. Unknown ids: ignored. */
size_t http_client_send(struct http_client *c, struct slot_id id, struct blob *bytes);
void http_client_finish(struct http_client *c, struct slot_id id); /* END_STREAM. */
void http_client_cancel(struct http_client *c, struct slot_id id); /* No event; the id is dead. */
void http_client_consume(struct http_client *c, struct slot_id id, size_t len);

#endif /* IO_HTTP_CLIENT_H */
