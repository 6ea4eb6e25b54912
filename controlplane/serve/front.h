/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front.h -- a connection thread: HTTP on one side, verbs, sessions and the core's mailbox on the other.
 *
 * WHAT   Its own loop and listener (SO_REUSEPORT). Takes requests apart, asks who and whether, hands
 *        them to the verbs (rest.h) or, being gRPC, to sessions.h; carries letters to and from the core.
 * WHY    What can be done per connection (TLS, decoding, validation, encoding, lists, watches) is done
 *        here, so that the core's thread only decides.
 * OWNS   front_open() makes it, front_start() gives it a thread, front_join() waits for its end, front_free()
 *        frees it.
 *
 * The end, in this order, each step for every front before the next: front_stop(), front_join(), front_free().
 * Connection threads post into each other's inboxes and add up each other's metrics for as long as one of them runs, so
 * none is freed before the last has ended. The shell's loop has ended by then; its inbox, the directory and the encodings
 * outlive all fronts.
 */
#ifndef CONTROLPLANE_SERVE_FRONT_H
#define CONTROLPLANE_SERVE_FRONT_H

#include "base/metrics.h"
#include "base/rng.h"
#include "controlplane/serve/rest.h"
#include "controlplane/serve/shell.h"
#include "io/http_server.h"

struct authority;
struct front;
struct directory;
struct encoded;
struct relays;
struct sessions;

/* What all fronts share; outlives them. */
struct front_shared {
    struct shell *shell;
    struct index *index;
    struct history *history;
    struct index *memory_index; /* Of the kinds that core_in_memory() names. */
    struct history *memory_history;
    const struct seal *seal;
    const struct authority *authority;
    const struct tls_config *tls;
    const char *api_url;
    struct str named; /* Addresses and names of this server, a space between (own_addresses.h). */
    struct span certificate_life;               /* Of a node's. */
    struct metrics *sets[SHELL_FRONTS_MAX + 1]; /* For /metrics: the shell's, then each front's. */
    uint32_t sets_count;
    struct directory *directory;
    struct encoded *encoded;                   /* What was encoded once, for all fronts. */
    struct mailbox *inboxes[SHELL_FRONTS_MAX]; /* Set before the threads start. */
    uint32_t fronts_count;
    struct instant started;
};

struct front_options {
    const char *address;
    uint16_t port;
    uint32_t number;
    struct http_server_limits limits;
    struct front_shared *shared;
};

MUST_USE enum err_code front_open(const struct front_options *o, struct front **out_front,
                                  struct err *e);
uint16_t front_port(const struct front *f);
void front_start(struct front *f);
void front_stop(struct front *f); /* Any thread: its loop ends after the turn it is in. */
void front_join(struct front *f); /* After front_stop(). */
void front_free(struct front *f); /* No front runs any more. NULL is allowed. */

/* ---- For the files that share a front's work ---- */

/* A write of anybody on this thread; written() is called once, unless it is forgotten before. */
typedef void front_written(void *owner, const struct rest_written *w);
bool front_write(struct front *f, const struct write_request *w, front_written *written,
                 void *owner, struct slot_id *out_name);
void front_write_forget(struct front *f, struct slot_id name); /* {0, 0} is allowed. */

/* To the core; false when its mailbox is full. Takes the letter in any case. */
bool front_post(struct front *f, enum letter_type type, uint64_t op, struct letter *l);

/* To the connection thread that name (letters.h) belongs to; false when its mailbox is full or there is none.
 * Takes the letter in any case. */
bool front_tell(struct front *f, uint64_t name, enum letter_type type, struct letter *l);

/* A deadline of this thread may be due at that instant. */
void front_expect(struct front *f, struct instant at);

/* Answers what needs no kind: version, health, metrics, tokens. False: not one of those. */
bool health_serve(struct rest_request *r);

/* Logs of pods and machines. False: the request is not for one. */
bool logs_serve(struct rest_request *r);
void logs_more(struct rest_request *r);
void logs_end(struct rest_request *r);

/* The request was replied to: write its log line, end it. True: it is gone. */
bool front_settle(struct rest_request *r);

#endif /* CONTROLPLANE_SERVE_FRONT_H */
