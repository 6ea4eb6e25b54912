/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h -- the one connection to the control plane: the session, and streams beside it.
 *
 * WHAT   Opens HTTP/2 with the node's certificate, runs baton.agent.v1.Agent/Session on it, and on
 *        request further Agent/Stream calls.
 * OWNS   link_new() to link_free(). Bytes in events are borrowed.
 * ASYNC  link_open() is answered by LINK_OPENED or LINK_CLOSED; every stream ends with one
 *        LINK_STREAM_CLOSED. Nothing is delivered from inside a call.
 * FAILS  LINK_CLOSED carries why. The core dials again after its own back-off.
 * LIMITS LINK_STREAMS_MAX streams at once; one more is refused by link_stream() (false).
 */
#ifndef NODEAGENT_SHELL_LINK_H
#define NODEAGENT_SHELL_LINK_H

#include "io/http_client.h"
#include "nodeagent/start/identity.h"

enum { LINK_STREAMS_MAX = 128 };

enum link_event_type {
    LINK_OPENED,
    LINK_MESSAGE, /* bytes: one ServerMessage. */
    LINK_CLOSED,
    LINK_STREAM_MESSAGE,  /* bytes: one StreamFrame of stream. */
    LINK_STREAM_WRITABLE, /* Room again. */
    LINK_STREAM_CLOSED,
};

struct link_event {
    enum link_event_type type;
    uint32_t stream;
    struct str bytes;
    struct err err;
    struct instant now;
};

struct link;

struct link_options {
    struct loop *loop;
    const char *host;
    uint16_t port;
    const struct identity *identity; /* Copied; see link_identify(). */
    void (*event)(void *owner, const struct link_event *ev);
    void *owner;
};

MUST_USE enum err_code link_new(const struct link_options *o, struct link **out, struct err *e);
void link_free(struct link *l);

/* Shown from the next link_open() on. */
MUST_USE enum err_code link_identify(struct link *l, const struct identity *i, struct err *e);

void link_open(struct link *l);
void link_shut(struct link *l); /* No LINK_CLOSED follows. Streams end without an event. */
void link_send(struct link *l, struct str message); /* Dropped when there is no session. */

/* A further call; its number below LINK_STREAMS_MAX. False: too many, or no connection. */
bool link_stream(struct link *l, uint32_t *out_stream);
size_t link_stream_send(struct link *l, uint32_t stream, struct str message); /* Room left. */
void link_stream_finish(struct link *l, uint32_t stream); /* No more from us; CLOSED follows. */

#endif /* NODEAGENT_SHELL_LINK_H */
