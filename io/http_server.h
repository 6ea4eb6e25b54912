/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_server.h -- HTTP/1.1 and HTTP/2 over TLS behind one interface, on one connection thread.
 *
 * WHAT   A listener on a loop. Each complete request is one HTTP_REQUEST; the reply is given at once
 *        or later, whole or in chunks, by the request's id.
 * WHY    Everything above speaks of requests; versions, framing, TLS, sockets and hostile peers end
 *        here. Several threads have one server each; the kernel spreads connections (SO_REUSEPORT).
 * OWNS   A request and everything it points to live until its reply has ended (http_server_reply(),
 *        http_server_end()) or HTTP_CANCELLED was delivered. Chunks are references handed over.
 * ASYNC  Replies may come at any later time, on the server's thread. An id that is gone is ignored.
 *        Nothing is delivered from inside a call.
 *        A request whose content-type begins with "application/grpc" comes at its head, without a body;
 *        the body follows as HTTP_BODY and is asked for with http_server_consume().
 * FAILS  Towards the peer, and documented in io/README.md: 400 malformed, 408 head or body too slow,
 *        413 body, 414/431 head, 429 with Retry-After over a budget, 503 with Retry-After over the
 *        connections, 505 version; GOAWAY ENHANCE_YOUR_CALM for floods of PING, SETTINGS, resets.
 *
 * A connection that shows no certificate of ours can be taken away again: when strangers are too many, or the
 * connections, the oldest stranger is closed. Handshakes take turns, so that each ends soon after it began.
 *
 * A slow reader costs a position, not a queue: give chunks while http_server_room() is not 0, then
 * remember where you are and go on at HTTP_WRITABLE. One whose bytes do not move for stall is reset.
 */
#ifndef IO_HTTP_SERVER_H
#define IO_HTTP_SERVER_H

#include "base/blob.h"
#include "base/slots.h"
#include "io/http.h"
#include "io/loop.h"
#include "io/tcp.h"
#include "io/tls.h"

struct http_server; /* Opaque: one per connection thread. */

struct http_server_limits {
    uint32_t connections;        /* Of this server; over it a peer is told 503 and closed. 8192 */
    uint32_t connections_refuse; /* Further ones that are told so; over them: closed at once. 64 */
    uint32_t strangers;  /* Without a certificate of ours; over it the oldest is closed. 1024 */
    uint32_t handshakes; /* In work at once; the others wait, the oldest is next. 128 */
    uint32_t requests;   /* In work or streaming in this server; over it: 429. 16384 */
    uint32_t streams;    /* At once on one HTTP/2 connection. 250 */
    uint32_t head_bytes; /* Request line and headers. 64 KiB */
    uint32_t body_bytes; /* 3 MiB, as Kubernetes; over it: 413. */
    uint32_t connection_bytes; /* Request bodies held for one connection. 8 MiB; over it: 429. */
    uint64_t server_bytes;     /* For all connections of this server. 256 MiB; over it: 429. */
    uint32_t reply_bytes;      /* High-water mark of one reply's unsent chunks. 256 KiB */
    struct span handshake, head, body; /* To finish each: 10 s, 10 s, 60 s. */
    struct span idle;                  /* A connection without a request: 180 s. */
    struct span stall;                 /* Reply bytes wait and none moves: 60 s. */
    uint32_t session_bytes;            /* What one HTTP/2 session may allocate. 1 MiB */
    uint32_t control_frames;           /* PING, SETTINGS, PRIORITY, empty DATA in 10 s. 1000 */
};

/* The figures above. */
struct http_server_limits http_server_limits_default(void);

struct http_request {
    struct slot_id id;
    struct http_head head;
    struct str body;              /* Whole; {NULL, 0} when streaming. */
    bool streaming;               /* The body comes as HTTP_BODY. */
    const struct http_peer *peer; /* Never NULL. */
    const char *address;          /* The peer's, as text. */
    struct instant began;         /* When its head was complete. */
};

enum http_event_type {
    HTTP_REQUEST,   /* request: new, complete unless streaming. */
    HTTP_BODY,      /* bytes, end: of a streaming request. */
    HTTP_WRITABLE,  /* Room again, after http_server_room() had been 0. */
    HTTP_NEWS,      /* After http_server_publish(): of a request that follows. */
    HTTP_CANCELLED, /* The peer is gone, reset it, or broke a limit. The id is dead after this. */
    HTTP_DRAINED,   /* After http_server_drain(): the last connection is closed. id is nobody's. */
};

struct http_event {
    enum http_event_type type;
    struct slot_id id;
    const struct http_request *request; /* Of id; NULL for HTTP_DRAINED. */
    void *tag;                          /* What http_server_tag() put there. */
    struct str bytes;
    bool end;
    struct instant now;
};

struct http_server_options {
    const char *address; /* See io/tcp.h. */
    uint16_t port;
    bool shared;
    const struct tls_config *tls; /* Shared by threads; NULL: plain, for tests only. */
    struct http_server_limits limits;
    void (*event)(void *owner, const struct http_event *ev);
    void (*turn)(void *owner,
                 struct instant now); /* After the events of one wake-up; may be NULL. */
    void *owner;
};

MUST_USE enum err_code http_server_open(struct loop *l, const struct http_server_options *o,
                                        struct http_server **out_server, struct err *e);
uint16_t http_server_port(const struct http_server *s);

/* No new connections or requests; HTTP/2 peers get GOAWAY; what is in work goes on. */
void http_server_drain(struct http_server *s);

/* Nothing came for a while: what is kept for the next requests is given back. True: that was much. */
bool http_server_rest(struct http_server *s);
void http_server_close(struct http_server *s); /* Now; no events, ids are dead. */

/* A pointer of the owner's, given back with each event of this id. */
void http_server_tag(struct http_server *s, struct slot_id id, void *tag);
const struct http_request *http_server_request(const struct http_server *s, struct slot_id id);
/* Which of our addresses its connection came to, as http_request.address is written; "" for a dead id. */
void http_server_own_address(const struct http_server *s, struct slot_id id,
                             char out[TCP_ADDRESS_MAX]);

struct http_reply {
    uint32_t status;
    const char *content_type;          /* NULL: none. */
    const struct http_header *headers; /* More of them; names in lower case. Copied. */
    uint32_t headers_count;            /* At most 16. */
    struct str encoding;               /* content-encoding; {NULL, 0}: none. */
};

/* The whole reply. body: one reference, taken over; NULL: empty. */
void http_server_reply(struct http_server *s, struct slot_id id, const struct http_reply *r,
                       struct blob *body);

/* A reply in chunks: start, chunks, end. Over HTTP/1.1 it is chunked (RFC 9112 7.1). */
void http_server_start(struct http_server *s, struct slot_id id, const struct http_reply *r);

/* One reference taken over, in any case. Returns the room left; at 0 wait for HTTP_WRITABLE. Going on
 * regardless, twice over the mark, resets the stream: HTTP_CANCELLED. */
size_t http_server_chunk(struct http_server *s, struct slot_id id, struct blob *chunk);
size_t http_server_room(const struct http_server *s, struct slot_id id);

/* Trailers are sent over HTTP/2 only (gRPC). */
void http_server_end(struct http_server *s, struct slot_id id, const struct http_header *trailers,
                     uint32_t trailers_count);

/* The reply cannot be completed: RST_STREAM INTERNAL_ERROR, or the connection is cut. No event. */
void http_server_abort(struct http_server *s, struct slot_id id);

/* Whether HTTP_NEWS comes for this request; it does no more once its reply has ended. */
void http_server_follow(struct http_server *s, struct slot_id id, bool wanted);

/* What all that follow wait for has moved. Each gets HTTP_NEWS, once for however many of these calls since the last,
 * connection by connection; what is given to a connection then goes out before the next one is told. */
void http_server_publish(struct http_server *s);

/* Streaming requests: that many bytes of HTTP_BODY are dealt with; the peer may send as many more. */
void http_server_consume(struct http_server *s, struct slot_id id, size_t len);

struct http_server_stats {
    uint32_t connections, requests, strangers, handshakes, handshakes_waiting; /* Now. */
    uint64_t accepted, refused, displaced, handshakes_failed, resumed;
    uint64_t requests_total[2]; /* By enum http_proto. */
    uint64_t limited;           /* 413, 429, 431, 503 and resets for a limit. */
    uint64_t bytes_in, bytes_out, body_bytes;
};
struct http_server_stats http_server_stats(const struct http_server *s);

#endif /* IO_HTTP_SERVER_H */
