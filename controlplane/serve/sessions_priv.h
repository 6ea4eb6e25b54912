/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sessions_priv.h -- the inside of sessions.h: one struct session a call.
 *
 * WHAT   sessions.c begins calls, moves their messages and ends them; sessions_limits.c says how long one may keep silent and
 *        how much it may say.
 */
#ifndef CONTROLPLANE_SERVE_SESSIONS_PRIV_H
#define CONTROLPLANE_SERVE_SESSIONS_PRIV_H

#include "controlplane/serve/sessions.h"
#include "io/grpc.h"
#include "io/pieces.h"

struct join;
struct relay;

enum call_type { CALL_SESSION, CALL_JOIN, CALL_STREAM, CALL_CONSOLE };

/* One gRPC call. */
struct session {
    struct sessions *all;
    enum call_type type;
    struct slot_id id; /* Its name for others; {0,0}: nobody else knows it. */
    struct slot_id http;
    struct join *join;     /* CALL_JOIN */
    struct instant until;  /* CALL_JOIN, CALL_STREAM: to say what for; {0}: it has. */
    struct relay *console; /* CALL_CONSOLE */
    uint64_t relay;        /* CALL_STREAM: whom it answers; 0: its first frame has not come. */
    struct grpc_reader reader;
    struct pieces queue; /* What the stream has no room for yet. */
    char node[PKI_NAME_LEN_MAX + 1];
    bool lost; /* The core had no room for a message: the session must end. */
    /* CALL_SESSION: what its agent may still say at once. Below 0 its window stays shut until that is made up for. */
    int64_t budget;
    struct instant filled; /* The budget, last. */
    size_t owed;           /* Bytes taken for which the window was not opened. */
    struct session *next, *previous;
};

struct sessions {
    struct front *front;
    struct slots slots;
    struct session **at;
    struct session *first;
    uint32_t owing;                    /* Sessions whose agents said too much. */
    uint32_t silent[CALL_CONSOLE + 1]; /* By type: those that have not said what for. */
    bool is_closing;                   /* All of them end: one line tells it. */
};

/* sessions.c. Each frees x: with a status; a join with its answer. */
void session__end(struct session *x, enum grpc_status status, struct str why);
void session__join_done(void *owner, enum grpc_status status, struct str text, struct blob *reply);

/* sessions_limits.c. A call must say what it is for, in SILENT_S. */
void session__expect_word(struct session *x);
void session__has_spoken(struct session *x);

/* Before one more of that type: when too many keep silent, one of them leaves. */
void session__make_room(struct sessions *s, enum call_type type, struct str node);

/* A session's agent said so many bytes: its window opens for as many more when it may say them. */
void session__took(struct session *x, size_t len);

#endif /* CONTROLPLANE_SERVE_SESSIONS_PRIV_H */
