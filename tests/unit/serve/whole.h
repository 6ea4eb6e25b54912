/* SPDX-License-Identifier: Apache-2.0 */
/*
 * whole.h -- a control plane in the test's process: the core and a store in memory on the test's thread, two
 * connection threads, clients on the core's loop.
 */
#ifndef TESTS_UNIT_SERVE_WHOLE_H
#define TESTS_UNIT_SERVE_WHOLE_H

#include "controlplane/serve/authority.h"
#include "controlplane/serve/front.h"
#include "io/grpc.h"
#include "io/http_client.h"

enum { WHOLE_FRONTS = 2 };

struct whole {
    char dir[64];
    struct loop *loop;
    struct seal *seal;
    struct authority authority;
    struct tls_config *tls, *admin_tls;
    struct shell *shell;
    struct front_shared shared;
    struct front *fronts[WHOLE_FRONTS];
    bool joined; /* The connection threads have ended. */
};

void whole_open(struct whole *w);
void whole_stop(struct whole *w); /* The shell, in order; whole_close() does it, too. */
void whole_join(struct whole *w); /* The connection threads, whatever is open on them. */
void whole_close(struct whole *w);

/* One connection, and at most one call on it; what came so far. */
struct caller {
    struct whole *whole;
    struct http_client *http;
    struct slot_id call;
    uint32_t status;
    bool open, closed, ended, failed, grpc;
    const char *as;           /* Whom to impersonate; NULL: nobody. */
    char why[200];            /* grpc-message, as it came. */
    const char *accept;       /* NULL: nothing said. */
    const char *content_type; /* NULL: JSON, or gRPC's. */
    enum grpc_status grpc_status;
    struct buf body; /* Whole, or the latest message with grpc. */
    struct grpc_reader reader;
    uint32_t messages;
    bool (*message)(struct caller *c, struct str bytes); /* NULL: kept in body. */
    void *arg;
};

struct http_client *caller_connect(struct caller *c, struct whole *w, const struct tls_config *tls);
void caller_start(struct caller *c, const char *method, const char *path, struct str body,
                  bool stream);
void caller_close(struct caller *c);

/* Turns the loop until *flag; fails the test after 20 s. */
void whole_until(struct whole *w, const bool *flag);

/* One request on a connection of its own; the answer stays in c->body until caller_close(). */
void whole_ask(struct caller *c, struct whole *w, const struct tls_config *tls, const char *method,
               const char *path, struct str body);

uint32_t whole_status(struct whole *w, const struct tls_config *tls, const char *method,
                      const char *path);

/* ---- machines that join ---- */

struct node {
    char name[32], token[256];
    struct buf key, request, cert;
    struct tls_config *tls;
};

void node_make(struct node *n, const char *name); /* Its key, and its request for a certificate. */
void node_free(struct node *n);
void node_token(struct whole *w, struct node *n);

/* The frame of a request: one reference. */
struct blob *node_join_request(struct node *n, const char *token);

/* The request with a token, over a connection that presents tls' certificate, if any. */
enum grpc_status node_join_over(struct whole *w, struct node *n, const char *token,
                                const struct tls_config *tls);

/* As an agent does: the server is believed by the fingerprint in the token. */
enum grpc_status node_join(struct whole *w, struct node *n);

#endif /* TESTS_UNIT_SERVE_WHOLE_H */
