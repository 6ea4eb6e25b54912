/* SPDX-License-Identifier: Apache-2.0 */
/*
 * site.h -- a server with certificates of its own on a loop, for tests of both ends.
 */
#ifndef TESTS_UNIT_IO_SITE_H
#define TESTS_UNIT_IO_SITE_H

#include "io/http_server.h"

struct site {
    struct loop *loop;
    struct http_server *server;
    struct tls_config *tls, *client_tls; /* client_tls: the admin's certificate. */
    char dir[64];                        /* ca, cert and key in PEM: the admin's. */
    uint32_t chunks_left, cancelled;
    struct slot_id streaming;
    struct slot_id unread; /* Its body is counted, and its window not opened. */
    size_t unread_bytes;
    void *extra;
};

void site_open(struct site *s, const struct http_server_limits *limits,
               void (*event)(void *owner, const struct http_event *ev));
void site_close(struct site *s);

#endif /* TESTS_UNIT_IO_SITE_H */
