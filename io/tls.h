/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h -- TLS as a filter: bytes in, bytes out, no socket.
 *
 * WHAT   tls_feed() takes ciphertext from the wire, tls_read() gives plaintext, tls_write() takes
 *        plaintext, tls_drain() gives ciphertext for the wire. OpenSSL between a memory BIO and our own buffer.
 * WHY    Two ends can be joined in memory in a test, and the socket is somebody else's.
 * OWNS   A config is shared by connections and threads and outlives them; struct tls is freed by
 *        tls_free().
 * FAILS  ERR_DENIED: the handshake failed or the peer is not who it should be. ERR_CORRUPT: not TLS.
 *        ERR_LIMIT: the peer asked for new keys again and again.
 *        After any of them only tls_drain() (the alert) and tls_free() make sense.
 *
 * TLS 1.2 and 1.3 (RFC 8446), ALPN "h2" and "http/1.1". A server asks for a client certificate and goes
 * on without one; one that does not verify does not fail the handshake but is reported, so that the API
 * can answer 401 with the reason. Sessions are resumed by tickets under a key of the caller's, so that
 * a thousand agents come back cheaply after a restart.
 */
#ifndef IO_TLS_H
#define IO_TLS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "io/http.h"

enum { TLS_TICKET_SECRET_SIZE = 80 };

struct tls_config;
struct tls;

struct tls_server_options {
    struct str cert, key, client_ca;    /* PEM. client_ca: who may sign clients. */
    const unsigned char *ticket_secret; /* TLS_TICKET_SECRET_SIZE bytes; NULL: a fresh one. */
};

MUST_USE enum err_code tls_server_config(const struct tls_server_options *o,
                                         struct tls_config **out, struct err *e);

struct tls_client_options {
    struct str ca;              /* PEM: the only CA believed. Empty: see ca_fingerprint. */
    struct str cert, key;       /* PEM; empty: no client certificate. */
    const char *ca_fingerprint; /* Before the CA is known (join): the SHA-256 in hexadecimal of a CA
                                   certificate that the server must send and chain to. */
};

MUST_USE enum err_code tls_client_config(const struct tls_client_options *o,
                                         struct tls_config **out, struct err *e);
void tls_config_free(struct tls_config *c);

struct tls *tls_new_server(const struct tls_config *c);

/* host is verified against the certificate's names and sent as SNI when it is not an address. A session
 * of an earlier connection of this config to the same host is resumed. */
struct tls *tls_new_client(const struct tls_config *c, const char *host);
void tls_free(struct tls *t);

/* All of bytes is taken. Goes on with the handshake where that is possible. */
MUST_USE enum err_code tls_feed(struct tls *t, struct str bytes, struct err *e);

/* Up to size bytes of plaintext; 0: none now. */
MUST_USE enum err_code tls_read(struct tls *t, char *out, size_t size, size_t *out_len,
                                struct err *e);

/* Before the handshake is done: ERR_BUSY. All of bytes is taken otherwise. */
MUST_USE enum err_code tls_write(struct tls *t, struct str bytes, struct err *e);

/* From here on ciphertext is appended to *out, what waited before first; NULL: it waits inside for tls_drain()
 * again. One buffer, lent to each connection while it is written to, spares a copy and a buffer for each. */
void tls_lend(struct tls *t, struct buf *out);

/* Up to size bytes for the wire; 0: nothing wants to go out. */
size_t tls_drain(struct tls *t, char *out, size_t size);
size_t tls_wants(const struct tls *t); /* How many bytes tls_drain() has. */

void tls_shutdown(struct tls *t); /* Queues close_notify: without it sessions do not resume. */

bool tls_is_open(const struct tls *t);  /* The handshake is done. */
bool tls_is_ended(const struct tls *t); /* The peer said close_notify. */
bool tls_is_h2(const struct tls *t);    /* By ALPN. */
bool tls_is_resumed(const struct tls *t);
void tls_peer(const struct tls *t, struct http_peer *out); /* Server side, once open. */

/* Client side: the certificate chain's CA as PEM, once open: what a join pins from now on. */
MUST_USE enum err_code tls_peer_ca(const struct tls *t, struct buf *out, struct err *e);

#endif /* IO_TLS_H */
