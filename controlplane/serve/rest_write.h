/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rest_write.h -- a write on its way: from what the client sent to what the core is asked.
 *
 * WHAT   Create, update and patch differ in where the new object comes from. The rest is one road:
 *        change_submit() unpacks it, prepares and validates it against the one it replaces, leaves when
 *        nothing changed, and asks the core to write it where the old one was read.
 * OWNS   struct change lives in the request's arena, behind whose mark what the core does not need is
 *        forgotten before the wait.
 * ASYNC  change_submit() answers at once or when the core did. When somebody else was faster, a change
 *        without a version of the client's own is made again from the newer object, up to
 *        CHANGE_ATTEMPTS_MAX times.
 * FAILS  By an answer: 400, 409, 415, 422 with every cause, 429 when the core's mailbox is full.
 */
#ifndef CONTROLPLANE_SERVE_REST_WRITE_H
#define CONTROLPLANE_SERVE_REST_WRITE_H

#include "api/prepared.h"
#include "controlplane/serve/rest_priv.h"

enum { CHANGE_ATTEMPTS_MAX = 5 };

struct change {
    enum kind_write door;
    enum strictness strictness;
    bool dry_run;
    bool is_exact; /* The client named a version: no second attempt. */
    struct str name;
    struct cow_entry *old; /* In c->snapshot; NULL: create. */
    uint32_t attempts;
    bool
        forgets; /* Nothing behind mark in the request's arena is needed while the core has it, but the name. */
    struct arena_mark mark;
    struct kind_call prepared;
    const struct prepared_spec
        *known;            /* Where the spec was prepared before: the object has none. */
    struct str spec;       /* Its text in the body, where it is worth keeping. */
    struct str class_name; /* As the client wrote it. */
    uint32_t warned;       /* Of prepared.warnings. */
    /* Makes the change again from a newer object. */
    void (*again)(struct call *c);
    /* Answers instead of the object, where that is not it: bindings. */
    void (*done)(struct call *c);
};

/* ?dryRun, ?fieldValidation, ?fieldManager. options: "CreateOptions", for the refusal. */
bool change_options(struct call *c, struct change *w, const char *options);
bool dry_run_parse(struct call *c, const char *options, bool *out);

/* Everything from the new object's bytes to the answer. */
void change_submit(struct call *c, struct str raw);
/* The same, from a message. */
void change_submit_message(struct call *c, ProtobufCMessage *object);

/* In the request's arena, as c->own; NULL: the request was cut. */
struct change *change_new(struct call *c, bool is_create);

/* Stored bytes as a message; NULL: c->status says why not. */
ProtobufCMessage *change_unpack(struct call *c, struct str raw);
bool change_bad(struct call *c, const char *why); /* 400. */

/* Sets change->old for the object of the path; false: 404, answered. */
bool change_find(struct call *c);

/* rest_admit.c: what other objects say of a new one. */
bool admit_class_name(const ProtobufCMessage *object,
                      struct str *out); /* False: it cannot have one. */
void admit_priority_class(struct call *c, struct str name, struct kind_priority *out);
void admit_limits(struct call *c, struct kind_call *out);
bool admit_account(struct call *c, struct str name, struct str *out_why); /* Of a pod. */

/* rest_known.c: a new pod whose spec was prepared before (api/prepared.h). */
bool known_read(
    struct call *c,
    struct str *out_raw); /* Its bytes without spec; false: it is read in the plain way. */
void known_keep(struct call *c, const ProtobufCMessage *object, struct str raw);

#endif /* CONTROLPLANE_SERVE_REST_WRITE_H */
