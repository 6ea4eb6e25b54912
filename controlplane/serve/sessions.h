/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sessions.h -- gRPC on a connection thread: agents' Join, Session and Stream, clients' consoles.
 *
 * WHAT   /baton.agent.v1.Agent/Session carries messages between an agent and the core, unread. Join turns
 *        a token and a certificate request into a certificate. Stream carries what a relay asked for. A
 *        console is a client's call, in bytes, joined to a relay.
 * WHY    The core decides what agents are told; this file knows streams, certificates and tokens.
 * FAILS  By gRPC status: UNAUTHENTICATED (no node's certificate), PERMISSION_DENIED (token; another key
 *        holds the name), RESOURCE_EXHAUSTED (too many, too slow), UNAVAILABLE (the core is busy).
 *
 * A node's name is bound to the key of its first join by the Secret node-key-NAME in kube-system, which
 * `baton node forget` deletes. A session under another key is refused, whatever its certificate says, and when the
 * Secret changes or goes the core ends the one that is open.
 */
#ifndef CONTROLPLANE_SERVE_SESSIONS_H
#define CONTROLPLANE_SERVE_SESSIONS_H

#include "controlplane/serve/front.h"

enum {
    SESSIONS_MAX = 8192,           /* On one thread. */
    SESSION_MESSAGE_MAX = 8 << 20, /* One message. */
    SESSION_QUEUE_MAX = 64 << 20,  /* Waiting for an agent that does not read. */
    SESSION_MESSAGE_COST = 512,    /* Of a message beside its bytes, for the next two. */
    SESSION_BURST = 8 << 20,       /* That much an agent may say at once, */
    SESSION_RATE = 1 << 20,        /* and that much a second; more waits in its own window. */
    SILENT_MAX =
        128, /* Joins, and streams, on one thread, that have not said what for: the oldest leaves. */
    SILENT_S = 10, /* For that to come. Anybody may begin a join, and any node a stream. */
};

struct sessions *sessions_new(struct front *f);
void sessions_free(struct sessions *s);
void sessions_drain(struct sessions *s); /* Each call ends, but joins whose answer is on its way. */
uint32_t sessions_count(const struct sessions *s);

void sessions_request(struct sessions *s, const struct http_request *q);
void sessions_body(struct sessions *s, void *tag, struct str bytes, bool end);
void sessions_writable(struct sessions *s, void *tag);
void sessions_cancelled(struct sessions *s, void *tag);
void sessions_times(struct sessions *s, struct instant now);

/* From the core, and from relays. Names that are gone are ignored. */
void sessions_send(struct sessions *s, uint64_t name, struct str bytes);
void sessions_letter(struct sessions *s, enum letter_type type, const struct letter *l);
void sessions_behind(
    struct sessions *s); /* The core had no room for what agents were to be told. */
void sessions_close(struct sessions *s, uint64_t name, struct str why);

#endif /* CONTROLPLANE_SERVE_SESSIONS_H */
