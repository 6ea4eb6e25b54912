/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_client_priv.h -- the client's two halves: http_client.c has the connection, http_client_request.c the
 * requests on it.
 */
#ifndef IO_HTTP_CLIENT_PRIV_H
#define IO_HTTP_CLIENT_PRIV_H

#include "io/h2.h"
#include "io/http_client.h"
#include "io/pieces.h"
#include "io/tcp.h"

enum {
    REQUESTS_DEFAULT = 256,
    SEND_DEFAULT = 256 << 10,
    REQUEST_HEADERS_MAX = 16, /* Beside the pseudo-headers. */
    TEXT_MAX = 64 << 10,
    PLAIN_MAX = 16 << 10,
    CIPHER_ENOUGH = 32 << 10, /* Encrypted bytes for one write, */
    CIPHER_MAX = 1 << 20,     /* with the record under way when there were enough. */
};

struct request {
    struct http_client *client;
    struct slot_id id; /* {0,0}: cancelled by the owner. */
    struct request *ready_next;
    struct request *next, *previous; /* All of the client's, cancelled ones too. */
    uint64_t op;
    int32_t h2_id;       /* 0: not sent yet. */
    struct buf out_text; /* Until it is sent: headers, and the body. */
    struct http_header out_headers[REQUEST_HEADERS_MAX + 4];
    uint32_t out_count;
    struct pieces pieces;
    bool streaming, manual, finished, was_full;

    struct buf text; /* Headers that came: names and values behind each other. */
    struct http_header headers[HTTP_HEADERS_MAX]; /* Offsets into text until told. */
    uint32_t headers_count, status;
    struct buf body;
    bool is_told; /* Its owner hears of it: it is not freed before that is over. */
    bool is_ready, head_due, head_told, end_due, fail_due, tell_writable, closed, too_large;
    struct err err;
};

struct http_client {
    struct loop_client client;
    struct http_client_options options;
    char host[256], authority[272];
    struct tcp *tcp;
    struct tls *tls;
    struct h2 *h2;
    struct slots slots;
    struct request **requests;
    struct request *all, *ready, **ready_last;
    struct instant heard, ping_at; /* ping_at: when the PING that is out was sent; 0: none. */
    bool looks_again;              /* For its answer, its time being over. */
    uint64_t pongs;
    bool dirty, is_open, is_closed, open_due, closed_due, telling, freed;
    struct err err;
    char plain[PLAIN_MAX];
    struct buf cipher;
};

void client__request_ready(struct request *r); /* Something is to be told. */
void client__request_send(struct request *r);  /* The connection stands. */
void client__request_fail(struct request *r, enum err_code code, const char *why);
void client__request_forget(struct request *r); /* The owner's name for it ends. */
void client__request_settle(struct request *r); /* Freed when nobody knows it any more. */
void client__request_free(struct request *r);

#endif /* IO_HTTP_CLIENT_PRIV_H */
