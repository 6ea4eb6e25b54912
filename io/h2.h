/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2.h -- an HTTP/2 session (RFC 9113) without I/O: nghttp2 behind a small door.
 *
 * WHAT   Bytes in by h2_feed(), bytes out by h2_drain(); what happens to streams arrives at the owner's
 *        struct h2_events, from inside h2_feed() and h2_drain(). Server and client ends alike.
 * WHY    nghttp2 forbids feeding and draining from its callbacks. So the owner's functions only note what
 *        happened and act when the call has returned.
 * OWNS   The session is the owner's; stream pointers given by h2_set_stream() are handed back with each
 *        event until closed().
 * FAILS  ERR_CORRUPT from h2_feed(): the peer broke the protocol. ERR_LIMIT: it flooded, or the session's
 *        memory is over its cap. In both cases drain once (GOAWAY) and close.
 */
#ifndef IO_H2_H
#define IO_H2_H

#include "base/err.h"
#include "base/str.h"
#include "base/time.h"
#include "io/http.h"

struct h2;

struct h2_events {
    /* A header of stream id. For requests ":method" and its kin come first (RFC 9113 8.3). */
    void (*header)(void *owner, int32_t id, void *stream, struct str name, struct str value);
    /* A header block is complete; ends: no body follows (or these were trailers). */
    void (*head)(void *owner, int32_t id, void *stream, bool ends);
    /* Body bytes, acknowledged by h2_consume(); and its end. */
    void (*data)(void *owner, int32_t id, void *stream, struct str bytes);
    void (*end)(void *owner, int32_t id, void *stream);
    /* Body to send: how many bytes there are, up to size; *out_end: with them it is complete. 0 without the
     * end: none now, go on with h2_resume(). With trailers, *out_trailers is set to them at the end. */
    size_t (*offer)(void *owner, int32_t id, void *stream, size_t size, bool *out_end,
                    const struct http_headers **out_trailers);
    /* Exactly as many bytes as were offered, straight into what h2_drain() was given. */
    void (*pull)(void *owner, int32_t id, void *stream, char *out, size_t len);
    /* Our end is on its way to the peer; NULL: not wanted. A reset before it would take it along. */
    void (*sent)(void *owner, int32_t id, void *stream);
    /* The stream is over; error 0: complete in both directions. */
    void (*closed)(void *owner, int32_t id, void *stream, uint32_t error);
    /* The peer sent GOAWAY; streams above last were not looked at. */
    void (*goaway)(void *owner, int32_t last, uint32_t error);
};

struct h2_options {
    bool server;
    uint32_t streams;        /* The peer may open at once. */
    uint32_t window;         /* Of a stream, in bytes. */
    uint32_t session_window; /* Of all. */
    uint32_t header_bytes;   /* SETTINGS_MAX_HEADER_LIST_SIZE; the owner counts for itself, too. */
    size_t memory;           /* What nghttp2 may hold. */
    uint32_t control_frames; /* PING, SETTINGS, PRIORITY, RST_STREAM, empty DATA in 10 s. 0: any. */
    const struct h2_events *events;
    void *owner;
};

struct h2 *h2_new(const struct h2_options *o);
void h2_free(struct h2 *h);

MUST_USE enum err_code h2_feed(struct h2 *h, struct str bytes, struct instant now, struct err *e);

/* Up to size bytes for the peer; 0: nothing now. The size is the same at each call, and at least H2_DRAIN_MIN:
 * a DATA frame's length is settled when it is begun. */
enum { H2_DRAIN_MIN = 4096 };
size_t h2_drain(struct h2 *h, char *out, size_t size);
bool h2_wants_write(struct h2 *h);

void h2_set_stream(struct h2 *h, int32_t id, void *stream);

/* Server: answer; body: offer() will be asked. status 100..599. */
void h2_respond(struct h2 *h, int32_t id, uint32_t status, const struct http_header *headers,
                uint32_t headers_count, bool body);

/* Client: a new stream with these headers, pseudo-headers first; its id, or 0: none can be opened. */
int32_t h2_request(struct h2 *h, const struct http_header *headers, uint32_t headers_count,
                   bool body, void *stream);

void h2_resume(struct h2 *h, int32_t id); /* offer() has something again. */
void h2_consume(struct h2 *h, int32_t id, size_t len);
void h2_reset(struct h2 *h, int32_t id, uint32_t error);
void h2_goaway(struct h2 *h, uint32_t error); /* error 0: what is open goes on. */
void h2_ping(struct h2 *h);
uint64_t h2_pongs(const struct h2 *h); /* PINGs of ours that were answered. */
bool h2_is_over(const struct h2 *h);   /* Neither side has anything to say any more. */
size_t h2_memory(const struct h2 *h);

enum { H2_NO_ERROR = 0, H2_INTERNAL_ERROR = 2, H2_REFUSED_STREAM = 7, H2_CANCEL = 8, H2_CALM = 11 };

#endif /* IO_H2_H */
