/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rest_read.h -- what get, list, watch and deletecollection share: revisions and the past.
 *
 * WHAT   Waiting for a revision, a collection as it was at one, and encoded runs of neighbours for lists of the present.
 * WHY    None of it asks the core: snapshots of the index and the history are readable on any thread.
 * OWNS   past_open() to past_close() and runs_open() to the list's end hold references; their tables live in the request's arena.
 * ASYNC  revision_await() alone comes back later, on the same thread.
 * FAILS  A revision that is too old: ERR_NOT_FOUND, which a client hears as 410; one that never came: 504.
 */
#ifndef CONTROLPLANE_SERVE_REST_READ_H
#define CONTROLPLANE_SERVE_REST_READ_H

#include "controlplane/serve/rest_priv.h"

/* ?resourceVersion; *out stays as it is when there is none. False: 400. */
bool revision_parse(struct call *c, uint64_t *out);

/* then() once that revision was published; 504 after three seconds. Uses c->own until then. */
void revision_await(struct call *c, uint64_t revision, void (*then)(struct call *c));

/*
 * A collection as it was at a revision: the latest snapshot, and what the history says was different
 * for the keys that changed since. Costs the number of changes since, not the number of objects.
 */
struct past {
    struct index_snapshot now;
    struct past_entry *changed; /* By rising key; entry NULL: it was not there. */
    uint32_t changed_count;
    uint64_t revision;
    struct str prefix;
};

struct past_entry {
    struct str key;
    struct cow_entry *entry; /* A reference. */
};

/* ERR_NOT_FOUND: the history does not reach that far back (410). revision 0: now. */
MUST_USE enum err_code past_open(struct past *p, struct index *x, struct history *h,
                                 struct str prefix, uint64_t revision, struct arena *a,
                                 struct err *e);
void past_close(struct past *p);

/* The same of a state that was kept (states.h): takes over the snapshot's reference. */
void past_kept(struct past *p, const struct index_snapshot *s, struct str prefix);

struct past_cursor {
    struct index_range range;
    struct cow_entry *ahead; /* The next of range. */
    uint32_t at;             /* In changed. */
};

void past_seek(struct past_cursor *at, const struct past *p, struct str from); /* Key >= from. */
struct cow_entry *past_next(struct past_cursor *at, const struct past *p);     /* NULL: the end. */

/*
 * A collection's objects in order, encoded in runs of neighbours (a leaf of the index, or what a page takes of it) that
 * are kept for the next list (encoded.h). Where nothing changed since, nothing is walked, decoded or copied here: a
 * list is a row of counted references. For the present, all of it, in forms that depend on the objects alone.
 */
struct runs {
    struct call *c;
    struct index_range range;
    struct cow_entry *const *at; /* The run in work: what is left of it. */
    uint32_t count;
    bool is_cut;     /* It is not the whole run: not worth keeping. */
    uint64_t left;   /* Entries of the page that were not passed yet, */
    uint64_t passed; /* and those that were, */
    size_t bytes;    /* encoded. */
    uint64_t before; /* Entries of the collection in front of the page. */
};

bool runs_fit(const struct form *f);

/* limit 0: none. Borrows the snapshot. */
void runs_open(struct runs *r, struct call *c, const struct index_snapshot *s, struct str prefix,
               struct str from, uint64_t limit);
bool runs_over(const struct runs *r);

/* While they are not over: the next one's bytes, a reference; in JSON each item stands behind a comma. May be empty.
 * NULL: over a limit. */
struct blob *runs_next(struct runs *r, struct err *e);
size_t runs_next_len(struct runs *r); /* Passes it: how long it is in protobuf. */
void runs_pass(struct runs *r);       /* Passes it. */

/* When they are over: the entry behind the page; NULL: the collection ends with it. */
struct cow_entry *runs_behind(const struct runs *r);

/* metadata.continue: the page that begins with key, of the state at revision (0: of the present). */
struct str page_token(struct arena *a, struct str prefix, struct str key, uint64_t revision);

/* What such a token says. False: 400. */
bool page_token_parse(struct call *c, struct str token, struct str prefix, struct str *out_key,
                      uint64_t *out_revision);

uint64_t past_count(const struct past *p, struct str from);

#endif /* CONTROLPLANE_SERVE_REST_READ_H */
