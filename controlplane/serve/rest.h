/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rest.h -- between the HTTP glue and the verbs of the Kubernetes API.
 *
 * WHAT   A request that is authenticated, authorised and taken apart; ways to answer it now or later;
 *        and the four functions by which the verbs are told what happened.
 * WHY    The glue (front*.c) knows threads, mail and HTTP, the verbs (rest_*.c) know kinds, versions and
 *        Status. Neither knows the other's business.
 * OWNS   struct rest_request and everything it points to live until rest_end(), which the glue calls
 *        once, after the reply ended or the client went away; the verbs free their state there.
 *        Blobs given to rest_reply() and rest_chunk() are references handed over.
 * ASYNC  Everything runs on the request's connection thread. Of begin, written, more and end none is
 *        called from inside a call of the verbs'. After the verbs replied (rest_reply(),
 *        rest_finish(), rest_cut()) only rest_end() follows.
 * FAILS  rest_write() is false when the core's mailbox is full: answer 429 with Retry-After.
 *
 * The glue itself answers /version, /healthz, /livez, /readyz, /metrics, 401, 403, and what is over
 * a limit of HTTP. Discovery, OpenAPI and all that names a resource is the verbs'.
 */
#ifndef CONTROLPLANE_SERVE_REST_H
#define CONTROLPLANE_SERVE_REST_H

#include "api/paths.h"
#include "base/arena.h"
#include "base/blob.h"
#include "base/slots.h"
#include "base/time.h"
#include "controlplane/core/core.h"
#include "controlplane/core/history.h"
#include "controlplane/core/index.h"
#include "controlplane/serve/user.h"
#include "io/http.h"

enum {
    REST_ARENA_MAX = 64 << 20,
    REST_ROOM =
        3 << 10, /* Of it in the request itself: what a create that waits for the disk holds. */
    REST_HEADERS_MAX = 12,
};

/* As Kubernetes' authorisation names them; by method, path and ?watch. OTHER: a path that names no
 * resource (discovery, OpenAPI), or a method that maps to no verb: answer 404 or 405. */
enum rest_verb {
    REST_GET,
    REST_LIST,
    REST_WATCH, /* ?watch=true (or 1), also on one name; or the old /watch/ prefix. */
    REST_CREATE,
    REST_UPDATE,
    REST_PATCH,
    REST_DELETE,
    REST_DELETE_COLLECTION,
    REST_OTHER,
};

/* /api/v1/... has group "", /apis/GROUP/VERSION/... its own. Percent-decoded. */
struct rest_path {
    bool is_resource; /* resource is set; otherwise only the request's path means anything. */
    struct str group, version, namespace, resource, name, subresource;
    struct str below; /* What follows a subresource. */
};

struct front; /* The connection thread: front.h. */

struct rest_request {
    /* What was asked; set by the glue, constant. */
    enum rest_verb verb;
    struct rest_path at;
    struct str method, path;         /* path percent-encoded, as sent; without the query. */
    struct str content_type, accept; /* Headers as sent; empty: none. */
    struct str user_agent;
    struct str body; /* Whole, up to 3 MiB. */
    struct query query;
    struct user user;
    struct instant began;

    /* The verbs' own. */
    struct arena arena; /* Ends with the request. Limit REST_ARENA_MAX. */
    void *state;        /* Survives between begin, written, more and end. */

    /* The glue's own. */
    struct front *front;
    struct slot_id id;
    struct slot_id waiting; /* The write it waits for. */
    struct instant wake_at;
    struct rest_request *next, *previous;    /* Of the front. */
    struct rest_request *due_next, **due_at; /* Those that are due: front_work.c. */
    uint64_t sent_bytes;
    void *log; /* logs.c: the verbs never see this request. */
    uint32_t reply_headers_count, status;
    bool follows, replied;
    bool in_memory; /* core_in_memory() of what it names. */
    struct http_header reply_headers[REST_HEADERS_MAX];
    _Alignas(16) char room[REST_ROOM]; /* Of the arena's first bytes; not zeroed. */
};

/* The first value of key, {NULL, 0} when it was not given. */
struct str rest_query(const struct rest_request *r, const char *key);

/* A request's header by lower-case name, {NULL, 0} when there is none. Borrowed from the request. */
struct str rest_header(const struct rest_request *r, const char *name);

struct instant rest_now(const struct rest_request *r);
struct wall rest_wall(const struct rest_request *r);
struct index *rest_index(const struct rest_request *r);
struct history *rest_history(const struct rest_request *r);
uint64_t rest_random(struct rest_request *r); /* For jitter only. */

/* What the verbs keep per connection thread (shared watch frames, ...), made by rest_thread_new(). */
void *rest_thread(const struct rest_request *r);

/* ---- Answering ---- */

/* Adds a header to the reply (warning, retry-after, ...); before replying. Name in lower case. */
void rest_set_header(struct rest_request *r, const char *name, struct str value);

/* The whole answer. body NULL: empty. Never compressed: that costs ten times what sending it costs. */
void rest_reply(struct rest_request *r, uint32_t status, const char *content_type,
                struct blob *body);

/* rest_more() comes again when the other requests had their turn: for work that is longer than a slice (slice.h). */
void rest_yield(struct rest_request *r);

/* An answer in pieces: long lists, watches. As long as rest_room() is not 0, go on; then return, and
 * rest_more() comes when there is room again. */
void rest_stream(struct rest_request *r, uint32_t status, const char *content_type);
size_t rest_room(const struct rest_request *r);
size_t rest_chunk(struct rest_request *r, struct blob *chunk); /* Room left. */
void rest_finish(struct rest_request *r);
void rest_cut(struct rest_request *r); /* It cannot be completed: the stream is reset. */

/* ---- Asking the core ---- */

/* Everything in w is copied or referenced. rest_written() follows once. One at a time. */
MUST_USE bool rest_write(struct rest_request *r, const struct write_request *w);

/* From now on rest_more() comes whenever the history moved, until the request ends. Many followers are
 * called one after another for one publication. */
void rest_follow(struct rest_request *r, bool wanted);

/* rest_more() comes at that instant, once: timeoutSeconds, bookmarks. {0}: not. */
void rest_wake(struct rest_request *r, struct instant at);

/* ---- What the verbs implement ---- */

struct rest_written {
    enum write_result result;
    struct blob *object; /* As stored; borrowed. NULL on a refusal. */
    uint64_t revision;
    bool gone;       /* A delete, or the last finalizer's end: the object is there no more. */
    struct str text; /* A refusal's words. */
};

struct encoded;

void *rest_thread_new(struct encoded *encoded); /* Borrowed: all threads' (encoded.h). */
void rest_thread_free(void *thread);

/* Gives back what was not used for a while; when to be called again, {0}: there is nothing. */
struct instant rest_thread_expire(void *thread, struct instant now);

/* The path's group, version, resource and subresource are ones that we know: whatever else it says is the client's. */
bool rest_is_served(const struct rest_path *at);

void rest_begin(struct rest_request *r);
void rest_written(struct rest_request *r, const struct rest_written *w);
void rest_more(struct rest_request *r); /* History moved, room came, or wake is due: look at all. */
void rest_end(struct rest_request *r);

/* An answer the glue needs (401, 403, 413, 429, 500, 503): a Status body in the form the client accepts.
 * retry_after_s 0: none. text: the message. */
void rest_refuse(struct rest_request *r, uint32_t code, struct str text, uint32_t retry_after_s);

#endif /* CONTROLPLANE_SERVE_REST_H */
