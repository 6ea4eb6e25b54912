/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front_priv.h -- the inside of a connection thread, for front*.c, health.c and sessions.c.
 */
#ifndef CONTROLPLANE_SERVE_FRONT_PRIV_H
#define CONTROLPLANE_SERVE_FRONT_PRIV_H

#include "base/seldom.h"
#include "controlplane/serve/front.h"

enum {
    FRONT_SPARES_MAX =
        128,          /* Requests' memory that is kept for the next: half a megabyte a thread, */
    FRONT_REST_S = 5, /* until none came for so long. */
};

/* What people without a name of ours do, and is written down. */
enum front_stranger { STRANGER_ASKS, STRANGER_JOINS, STRANGER__COUNT };

struct waiting {
    front_written *written;
    void *owner;
};

struct front {
    struct loop_client client;
    struct loop_client worker;            /* front_work.c */
    struct rest_request *due, **due_last; /* Requests that have something to do. */
    struct loop *loop;
    struct thread thread;
    uint32_t number;
    struct front_shared *shared;
    struct shell_front link;
    struct mailbox inbox;
    struct http_server *server;
    struct sessions *sessions;
    struct relays *relays;
    void *verbs; /* rest_thread_new() */
    struct metrics *metrics;
    struct rng rng;
    struct rest_request *requests;
    struct rest_request *spares; /* By next. */
    uint32_t spares_count;
    struct instant asked; /* When the last request came. */
    struct instant
        rest_at; /* When to look whether there was another; {0}: there is nothing to give back. */
    uint32_t reading, writing; /* Requests in work: apiserver_current_inflight_requests. */
    uint32_t following;
    struct slots writes; /* Asked of the core and not answered. */
    struct waiting *waiting;
    front_written *request_written; /* Of a request's write: front_request_written(), which lies
                                     * above what the verbs call (tools/parts.txt). */
    struct instant gauged;
    atomic_bool stopping; /* Written by whoever called front_stop(). */
    struct seldom strangers[STRANGER__COUNT];
    bool drained_said;
};

/* ---- front_request.c ---- */

/* A request of the REST kind arrived, has room again, or is gone. */
void front_request(struct front *f, const struct http_request *q);
void front_request_cancelled(struct rest_request *r);
void front_more(struct rest_request *r);
void front_request_written(void *owner, const struct rest_written *w);
void front_spares_free(struct front *f);

/* ---- front_work.c: turns for requests ---- */

void front_work_open(struct front *f);
void front_work_close(struct front *f);

/* ---- front_state.c: what all the others stand on ---- */

/* front_more() in this turn or one of the next, in order. */
void front_due(struct rest_request *r);
void front_due_forget(struct rest_request *r);
void front_answered(struct front *f, uint64_t op, const struct letter *l); /* LETTER_WRITTEN. */

/* ---- front_who.c ---- */

/* Who asks. ERR_DENIED: what was presented is not good. ERR_UNAVAILABLE: that is not known before the store is loaded.
 * The user lives in a. */
MUST_USE enum err_code front_who(struct front *f, const struct http_request *q, struct arena *a,
                                 struct user *out, struct err *e);

/* Who asks, and may he? For requests that are not REST's. The text lives in a. */
bool front_may(struct front *f, const struct http_request *q, enum rest_verb verb,
               const struct rest_path *at, struct arena *a, struct str *out_why);

/* front_strangers.c. Is a line to be written of this one? Too many a minute are counted instead, and summed up. */
bool front_stranger(struct front *f, enum front_stranger does);
void front_strangers_sum(struct front *f, struct instant now);

/* front_metrics.c: one line and two counts a request. */
void front_count(struct rest_request *r);
void front_gauges(struct front *f);
void front_print_metrics(struct front *f,
                         struct buf *out); /* All threads', and the process' own. */

#endif /* CONTROLPLANE_SERVE_FRONT_PRIV_H */
