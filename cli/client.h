/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h -- one cluster, asked one thing at a time.
 *
 * WHAT   Reads a kubeconfig, connects, and turns the asynchronous client of io/ into calls that return
 *        when the answer is there: a command is a straight line of them.
 * OWNS   client_open() gives a client that client_close() ends. Replies live in the caller's arena.
 * FAILS  ERR_UNAVAILABLE: nobody answers at that address. ERR_DENIED: the certificate or token is not
 *        accepted. Otherwise the code that fits the answer's status, and err says what the server's
 *        Status says.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "base/arena.h"
#include "base/json.h"
#include "base/time.h"

struct client;

enum { CLIENT_BODY_MAX = 512 << 20 };

MUST_USE enum err_code client_open(const char *kubeconfig, struct client **out, struct err *e);
void client_close(struct client *c); /* NULL is allowed. */

const char *client_server(const struct client *c);    /* "https://127.0.0.1:6443" */
const char *client_namespace(const struct client *c); /* The context's; "" when it names none. */

struct client_request {
    const char *method;       /* NULL: GET. */
    const char *path;         /* With its query, percent-encoded. */
    const char *content_type; /* Of body; NULL: application/json. */
    const char *accept;       /* NULL: application/json. */
    struct str body;
    /* A stream (watch, logs -f): bytes as they come; false ends it. NULL: the body is collected. */
    bool (*bytes)(void *owner, struct str bytes);
    void *owner;
    struct span timeout; /* Without an answer; 0: 60 s. A stream has none once it started. */
};

struct client_reply {
    uint32_t status;
    struct str body; /* In the arena. */
};

/* Any status is an answer: ERR_OK. */
MUST_USE enum err_code client_ask(struct client *c, struct arena *a, const struct client_request *r,
                                  struct client_reply *out, struct err *e);

/* The same, but an answer of 300 or more is an error with the Status' message, and the body is read as
 * JSON. */
MUST_USE enum err_code client_json(struct client *c, struct arena *a,
                                   const struct client_request *r, const struct json **out,
                                   struct err *e);

/* Do nothing for that long, but answer the server's pings. */
void client_wait(struct client *c, struct span wait);

/* A stream both ways, in gRPC's framing over HTTP/2: consoles. Input is read once the other end is open. */
struct client_duplex {
    const char *path;
    int input_fd;                /* Read and sent up; stays the caller's. A terminal or a pipe. */
    char escape;                 /* This byte of input ends it; 0: none does. */
    void (*opened)(void *owner); /* Once, before any bytes(). */
    bool (*bytes)(void *owner, struct str bytes); /* False ends it. */
    void *owner;
};

enum client_end {
    CLIENT_LEFT,   /* The escape was read, input ended, or bytes() said so. */
    CLIENT_ENDED,  /* By the other end, in good order. */
    CLIENT_KILLED, /* A signal came that ends programs; from then on it does not end this one. */
};

struct client_ending {
    enum client_end how;
    int signo; /* CLIENT_KILLED */
};

/* Returns ERR_OK with how it ended; the error says why it never began or was cut off. */
MUST_USE enum err_code client_duplex(struct client *c, const struct client_duplex *d,
                                     struct client_ending *out, struct err *e);

#endif /* CLI_CLIENT_H */
