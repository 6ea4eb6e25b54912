/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp.h -- byte streams over TCP and Unix sockets. The only file that knows a uv_stream_t.
 *
 * WHAT   Listen, connect, read, write, close. Bytes arrive as IO_TCP_READ under the op the client
 *        gave; what the kernel does not take at once is pending, and IO_TCP_WRITABLE says when it
 *        went out.
 * OWNS   A struct tcp belongs to the client from tcp_connect() or tcp_adopt() until tcp_close(),
 *        and not a moment longer: no event for it comes after that call.
 * ASYNC  IO_TCP_OPEN or IO_TCP_CLOSED answers a connect. IO_TCP_CLOSED comes once, after the last
 *        IO_TCP_READ; the client answers with tcp_close().
 * FAILS  tcp_write() is ERR_LIMIT when more than the pending limit would wait: a peer that does not
 *        read; close it. Everything else arrives as IO_TCP_CLOSED.
 */
#ifndef IO_TCP_H
#define IO_TCP_H

#include "io/loop.h"

enum { TCP_READ_MAX = 64 << 10, TCP_PENDING_MAX = 1 << 20, TCP_ADDRESS_MAX = 64 };

struct tcp;
struct tcp_listener;

struct tcp_listen_options {
    const char *address; /* IPv4 or IPv6 literal; "::" serves both. */
    uint16_t port;       /* 0: the kernel chooses, see tcp_listener_port(). */
    const char *path;    /* A Unix socket instead; replaces a stale one; made with mode 0600. */
    int backlog;         /* 0: 4096 */
    bool shared;         /* SO_REUSEPORT: several threads listen, the kernel spreads. */
};

MUST_USE enum err_code tcp_listen(struct loop_client *c, uint64_t op,
                                  const struct tcp_listen_options *o,
                                  struct tcp_listener **out_listener, struct err *e);
/* Does nobody listen there? Listeners that share a port would let another program's in as well: ask before
 * the first of them. ERR_CONFLICT: in use. port 0 is always free. */
MUST_USE enum err_code tcp_port_free(const char *address, uint16_t port, struct err *e);

uint16_t tcp_listener_port(const struct tcp_listener *l);
void tcp_listener_pause(struct tcp_listener *l, bool paused); /* Leaves new peers in the backlog. */
void tcp_listener_close(struct tcp_listener *l);

/* host: a name (resolved on libuv's pool) or a literal, IPv6 without brackets. */
struct tcp *tcp_connect(struct loop_client *c, uint64_t op, const char *host, uint16_t port);
struct tcp *tcp_connect_unix(struct loop_client *c, uint64_t op, const char *path);

/* An accepted connection reads only after this. */
void tcp_adopt(struct tcp *t, struct loop_client *c, uint64_t op);

void tcp_read_pause(struct tcp *t, bool paused); /* Back-pressure: the kernel's buffer fills. */

/* Takes a copy of what the kernel does not take. */
MUST_USE enum err_code tcp_write(struct tcp *t, struct str bytes);
size_t tcp_pending(const struct tcp *t);
void tcp_shutdown(struct tcp *t); /* After what is pending: our side ends, the peer's may go on. */
void tcp_close(struct tcp *t);    /* What is pending is lost. NULL is allowed. */

/* "192.0.2.1:4711", "[2001:db8::1]:4711" or "unix". */
void tcp_peer(const struct tcp *t, char out[TCP_ADDRESS_MAX]);
/* Our own end, likewise: which of this machine's addresses the peer came to. */
void tcp_own(const struct tcp *t, char out[TCP_ADDRESS_MAX]);

#endif /* IO_TCP_H */
