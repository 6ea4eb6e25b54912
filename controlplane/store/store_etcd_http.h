/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_etcd_http.h -- libcurl on our loop: POSTs to etcd, several at a time.
 *
 * WHAT   Connections to the endpoints that are kept and used again, TLS with a client certificate, one answer per
 *        request. The only file that sees libcurl, which is loaded at run time: batond on SQLite never
 *        maps it.
 * WHY    io/http_client.h speaks HTTP/2 to batond alone; etcd's gateway is HTTP/1.1 where there is no TLS.
 * OWNS   A request holds a reference to its body until it is answered or cancelled. Options are copied.
 * ASYNC  Each request is answered once, never from inside the call that asked; a cancelled one never.
 * FAILS  Status 0: no answer, and the text says why; whether the request got there is not known.
 */
#ifndef CONTROLPLANE_STORE_STORE_ETCD_HTTP_H
#define CONTROLPLANE_STORE_STORE_ETCD_HTTP_H

#include "base/blob.h"
#include "base/buf.h"
#include "io/loop.h"

enum {
    ETCD_HTTP_REQUESTS_MAX = 16,      /* At a time. */
    ETCD_HTTP_ANSWER_MAX = 192 << 20, /* Bytes; a longer one is status 0. */
};

struct etcd_http;

struct etcd_http_options {
    const char *endpoints;
    const char *ca, *cert, *key; /* Paths or NULL. */
    struct loop *loop;
    void (*answered)(void *owner, uint64_t request, uint32_t status, struct str body);
    void *owner;
};

MUST_USE enum err_code etcd_http_check(const char *endpoints, struct err *e);

/* ERR_NOT_FOUND: no libcurl on this machine. ERR_INVALID: the endpoints. ERR_DENIED: a file that cannot be
 * read. In the thread that runs the loop. */
MUST_USE enum err_code etcd_http_open(const struct etcd_http_options *o, struct etcd_http **out,
                                      struct err *e);
void etcd_http_close(struct etcd_http *h); /* NULL is allowed. Cancels everything. */

/* request: not 0, not under way. path: "/v3/kv/txn". */
void etcd_http_post(struct etcd_http *h, uint64_t request, const char *path, struct blob *body,
                    struct span timeout);
void etcd_http_cancel(struct etcd_http *h, uint64_t request); /* Unknown ones are ignored. */

/* Requests from now on go to the next endpoint. */
void etcd_http_rotate(struct etcd_http *h);
const char *etcd_http_endpoint(const struct etcd_http *h);

#endif /* CONTROLPLANE_STORE_STORE_ETCD_HTTP_H */
