/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc.h -- gRPC's framing and status over whatever carries HTTP/2.
 *
 * WHAT   Five bytes before each message (flag, length in network order), read incrementally; the status
 *        as trailers. Unary and streaming alike: a unary call is a stream of one.
 * WHY    The services are known when Baton is built; a general stub compiler is not needed. The bytes
 *        are gRPC's own, so that grpcurl and foreign clients work.
 * FAILS  ERR_LIMIT: a message over the limit; ERR_INVALID: compressed, or an unknown flag. Both end
 *        the stream.
 */
#ifndef IO_GRPC_H
#define IO_GRPC_H

#include "base/blob.h"
#include "base/buf.h"
#include "base/err.h"
#include "io/http.h"

enum { GRPC_FRAME_HEAD = 5, GRPC_MESSAGE_MAX = 4 << 20 };

/* Status codes as every gRPC implementation numbers them. */
enum grpc_status {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_ALREADY_EXISTS = 6,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_FAILED_PRECONDITION = 9,
    GRPC_ABORTED = 10,
    GRPC_OUT_OF_RANGE = 11,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_DATA_LOSS = 15,
    GRPC_UNAUTHENTICATED = 16,
};

/* Message with its head, ready for http_server_chunk() or http_client_send(). One reference. */
struct blob *grpc_frame(struct str message);

/* Room for a message of len bytes behind its head: fill blob->at + GRPC_FRAME_HEAD. */
struct blob *grpc_frame_reserve(uint32_t len);

/* Cuts a byte stream into messages. */
struct grpc_reader {
    struct buf held; /* An unfinished frame. */
    size_t message_max;
};

void grpc_reader_init(struct grpc_reader *r, size_t message_max);
void grpc_reader_free(struct grpc_reader *r);

/* Takes bytes; calls message for each complete one (borrowed until it returns; false stops, and the
 * rest of bytes is dropped). */
MUST_USE enum err_code grpc_reader_feed(struct grpc_reader *r, struct str bytes,
                                        bool (*message)(void *arg, struct str bytes), void *arg,
                                        struct err *e);

/* True when the stream ended in the middle of a message. */
bool grpc_reader_is_cut(const struct grpc_reader *r);

/* Trailers for a status: two at most, written into out; message is percent-encoded into scratch. */
uint32_t grpc_trailers(enum grpc_status status, struct str message, char *scratch,
                       size_t scratch_size, struct http_header out[2]);

/* From trailers (or the headers of a trailers-only response). GRPC_UNKNOWN when there is none.
 * out_message is still percent-encoded and borrowed. */
enum grpc_status grpc_status_of(const struct http_headers *h, struct str *out_message);

/* The status as an error, its message decoded (what is too long, or badly encoded, is left out). ERR_OK: it
 * is OK, or these headers hold none. */
enum err_code grpc_reason(const struct http_headers *h, struct err *e);

enum grpc_status grpc_from_err(enum err_code code);
enum err_code grpc_to_err(enum grpc_status status);

#endif /* IO_GRPC_H */
