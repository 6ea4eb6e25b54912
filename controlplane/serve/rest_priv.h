/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rest_priv.h -- what the verbs share: one request in work, its forms, its answers.
 *
 *    rest.c            which function a request belongs to (a table), and 404, 405
 *    rest_call.c       its keys, its object, its query parameters
 *    rest_thread.c     what is kept: encodings, and by each thread the latest reading of the history and pages' states
 *    rest_form.c       what the client accepts
 *    rest_body.c       what the client sent, as an object
 *    rest_reply.c      answers: an object, a Status, refused writes
 *    rest_get.c        get; rest_watch.c: watch; rest_past.c: a state of the past
 *    rest_list.c       list; rest_page.c: what it is written as; rest_runs.c: runs that are kept; rest_token.c: where a page begins
 *    rest_write.c      create, update, status; rest_patch.c: patch; rest_bind.c: pods/binding
 *    rest_admit.c      what other objects say of a new one; rest_known.c: pods whose spec was prepared before
 *    rest_delete.c     delete, deletecollection, eviction
 *    rest_documents.c  discovery, OpenAPI
 */
#ifndef CONTROLPLANE_SERVE_REST_PRIV_H
#define CONTROLPLANE_SERVE_REST_PRIV_H

#include "api/kinds.h"
#include "api/selector.h"
#include "api/transcode.h"
#include "controlplane/serve/encoded.h"
#include "controlplane/serve/rest.h"

enum { REST_REPLY_MAX = 48 << 20 }; /* One answer that is made whole. */

/* ---- Forms ---- */

struct call;

enum form_type { FORM_JSON, FORM_YAML, FORM_PROTOBUF };
enum form_as { AS_OBJECT, AS_TABLE, AS_PARTIAL, AS_PARTIAL_LIST };
enum form_include { INCLUDE_METADATA, INCLUDE_OBJECT, INCLUDE_NONE }; /* Of a Table's rows. */

struct form {
    enum form_type type;
    enum form_as as;
    enum form_include include;
    bool beta;   /* meta.k8s.io/v1beta1 instead of v1. */
    bool pretty; /* Indented. */
};

/* ---- What is kept for all requests: rest_thread.c ---- */

/* An object as an item of a list, or within a watch's frame (+ enum watch_type); or a run of neighbouring items. */
enum { ENCODED_ITEM = 0, ENCODED_FRAME = 1, ENCODED_RUN = 15 };

/* References; NULL: not there. */
struct blob *encoded_get(const struct call *c, uint64_t revision, uint32_t what);
struct blob *encoded_run_get(const struct call *c, struct cow_entry *const *at, uint32_t count);

void encoded_keep(const struct call *c, uint64_t revision, uint32_t what, struct blob *bytes);
void encoded_run_keep(const struct call *c, struct cow_entry *const *at, uint32_t count,
                      struct blob *bytes, enum encoded_stay stay);
size_t encoded_room_of(const struct call *c); /* Bytes that stay at most. */

/* The state that the pages of a list are read from, for the next of them. */
void state_keep(const struct call *c, const struct index_snapshot *s);
bool state_find(const struct call *c, uint64_t revision,
                struct index_snapshot *out); /* A reference. */

/* Specs of pods that this thread prepared, and what it wrote as JSON. */
struct prepared *rest_prepared(const struct call *c);
struct texts *rest_texts(const struct call *c);

/* The changes behind after with that prefix, read once for all watchers that stand there. Borrowed until the next
 * call. */
MUST_USE enum err_code changes_read(const struct call *c, uint64_t after, struct str prefix,
                                    const struct history_batch **out, struct err *e);

/* For each change of what was read last its frame in c's form, as those get it who want everything; NULL: not made yet.
 * Whoever makes it leaves a reference there. NULL: there are too many forms at once. */
struct blob **changes_frames(const struct call *c);

/* ---- One request ---- */

struct call {
    struct rest_request *r;
    const struct kind *kind; /* NULL: a document. */
    const struct schema_kind *schema;
    struct form form;
    struct status status;           /* Filled by whatever returns false. */
    struct index_snapshot snapshot; /* Held until the end; what was found in it stays readable. */

    /* The verb's own; NULL where nothing comes later. */
    void (*written)(struct call *c, const struct rest_written *w);
    void (*more)(struct call *c);
    void (*end)(struct call *c);
    void *own;
    char *target, *target_uid; /* bind_begin(): the node's name; the pod's uid or NULL. */
    struct list *list;         /* rest_list.c; survives the wait for a revision. */
    const struct schema_message *partial; /* PartialObjectMetadata, once it was needed. */
};

struct list;

/* What one verb does with a request. */
typedef void verb_begin(struct call *c);
verb_begin get_begin, list_begin, watch_begin, create_begin, update_begin, patch_begin,
    delete_begin, delete_collection_begin, documents_begin, bind_begin, evict_begin;

/* ---- rest_form.c ---- */

/* False: 406, c->status says it. */
bool form_choose(struct call *c);
const char *form_content_type(const struct form *f, bool is_watch);

/* ---- rest_reply.c ---- */

void reply_status(struct call *c);                   /* c->status, in the client's form. */
void reply_err(struct call *c, const struct err *e); /* An error of our own. */
void reply_text(struct call *c, uint32_t code, const char *content_type, struct str text);

/* An object's members by name. */
void members_sort(struct json *value, struct arena *a, bool deep);

/* A document with one long list in it, as YAML around the list's elements. */
void yaml_split(struct json *tree, struct str list, bool is_empty, struct arena *a,
                struct buf *before, struct buf *after);

/* Takes the buffer's bytes: JSON text, made pretty or YAML where that is wanted. */
void reply_json(struct call *c, uint32_t code, struct buf *json);

/* A stored object (an envelope) in the client's form. */
void reply_object(struct call *c, uint32_t code, struct str envelope);

/* One object as JSON into out: the object, its metadata alone, or a Table of one row. revision not 0:
 * resourceVersion is written as that. */
MUST_USE enum err_code object_json(struct call *c, struct str raw, uint64_t revision,
                                   bool with_columns, struct buf *out, struct err *e);
/* The same as an item of a list, as it is kept: what it tells of the moment is left open until items_tell(). */
MUST_USE enum err_code item_json(struct call *c, struct str raw, struct buf *out, struct err *e);
void items_tell(struct call *c, struct str items, struct buf *out);

bool not_found(struct call *c, struct str name);
bool conflict(struct call *c, struct str name); /* Changed since it was read. */
bool write_refused(struct call *c, struct str name, const struct rest_written *w);
/* A query parameter that may not stand there: of a list or a watch; a value that is none: of any options. False: 422. */
bool options_forbidden(struct call *c, const char *field, const char *why);
bool options_unsupported(struct call *c, const char *options, const char *field, struct str value,
                         const char *values);
void warn(struct call *c, struct str text); /* A Warning header (RFC 9111 5.5, code 299). */

/* ---- rest_call.c: keys ---- */

/* The object's key, {NULL, 0}: too long. In the request's arena. */
struct str call_key(struct call *c, struct str name);
struct str call_prefix(struct call *c);                       /* Of the collection. */
struct cow_entry *call_find(struct call *c, struct str name); /* In a fresh snapshot. */
struct str entry_raw(const struct cow_entry *e);              /* The object's bytes. */

static inline bool is_empty_text(const char *text)
{
    return text == NULL || text[0] == '\0';
}

/* All namespaces at once is nothing anybody means: that is neither offered nor done, as by Kubernetes. */
static inline bool is_emptied_at_once(const struct kind *k)
{
    return !str_is(str_of(k->plural), "namespaces");
}

/* ---- Query ---- */

bool query_flag(const struct rest_request *r, const char *name);
/* *out stays as it is when the key is absent. False: no number, 400. */
bool query_i64(struct call *c, const char *name, int64_t *out);

/* ---- Selecting ---- */

struct select {
    struct selector labels, fields;
    const struct schema_kind *schema;
};

bool select_parse(struct call *c, struct select *out);
bool select_matches(const struct select *s, struct str raw);
static inline bool select_is_all(const struct select *s)
{
    return s->labels.count == 0 && s->fields.count == 0;
}

/* ---- rest_body.c ---- */

enum strictness { FIELDS_IGNORE, FIELDS_WARN, FIELDS_STRICT };

/* The body as the kind's canonical bytes. False: 400, 415. */
bool body_read(struct call *c, enum strictness s, struct str *out_raw);
/* The texts of notes as warnings, or as a refusal. */
bool body_notes(struct call *c, enum strictness s, const struct transcode_notes *notes,
                struct str *out_refusal);
/* The body as that message, which is no kind of its own: a Binding, an Eviction. In the request's arena. */
MUST_USE enum err_code body_message(struct call *c, struct str full, ProtobufCMessage **out,
                                    struct err *e);
bool body_type_known(struct call *c); /* False: 415. */
bool body_is_protobuf(struct str content_type);
bool body_is(struct str content_type, const char *type); /* Parameters and letter case aside. */

#endif /* CONTROLPLANE_SERVE_REST_PRIV_H */
