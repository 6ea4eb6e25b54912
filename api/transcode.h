/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transcode.h -- an object's forms into each other: JSON text, bytes (protobuf), tree.
 *
 * WHAT   Text or tree to bytes, bytes to text or tree, each in one walk by the schema table; and
 *        other people's protobuf into ours.
 * WHY    Bytes are what is stored, compared and sent; everything else is made of them on demand.
 * OWNS   Results go to the caller's buf or arena. Bytes are borrowed during the call.
 * FAILS  ERR_INVALID with Kubernetes' wording and the field's path; ERR_LIMIT: a buffer or arena
 *        is at its limit, or it nests too deeply; ERR_CORRUPT: it is no JSON or no protobuf at
 *        all. out is as it was before then.
 *
 * Canonical bytes: fields by rising number, map entries by rising key, no unknown fields, no zero
 * or empty scalars but where presence says so, no empty message where always says that absent and
 * empty are the same, canonical quantities, whole-second times. One object has one encoding: two
 * are equal when their bytes are.
 */
#ifndef API_TRANSCODE_H
#define API_TRANSCODE_H

#include "api/schema.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"

/* What Strict refuses and Warn mentions: `unknown field "spec.foo"`, `duplicate field "kind"`. */
enum { TRANSCODE_NOTES_MAX = 100 };

struct transcode_notes {
    struct str at[TRANSCODE_NOTES_MAX]; /* In document order, in the decoding's arena. */
    uint32_t count;                     /* More than fit are not counted. */
};

struct transcode_head {
    struct str api_version, kind; /* As the document says; {NULL, 0} where it does not. */
};

/* The message's JSON object to canonical bytes, appended to out. arena holds strings that need
 * decoding, notes and head. notes and head may be NULL. */
MUST_USE enum err_code transcode_from_json(const struct schema_message *m, struct str json,
                                           struct arena *a, struct transcode_notes *notes,
                                           struct transcode_head *head, struct buf *out,
                                           struct err *e);
MUST_USE enum err_code transcode_from_tree(const struct schema_message *m, const struct json *root,
                                           struct arena *a, struct transcode_notes *notes,
                                           struct transcode_head *head, struct buf *out,
                                           struct err *e);

/* Protobuf from elsewhere to canonical bytes: any order of fields, unknown ones dropped, empty
 * scalars dropped, texts checked, quantities made canonical. */
MUST_USE enum err_code transcode_from_protobuf(const struct schema_message *m, struct str bytes,
                                               struct arena *a, struct buf *out, struct err *e);

struct transcode_json {
    struct str api_version, kind; /* Written first; not at all where {NULL, 0}. */
    uint64_t resource_version;    /* Written into metadata; 0: what the bytes say. */
    struct texts *texts;          /* Parts that were written before (texts.h); NULL: none. */
};

/* Canonical bytes to compact JSON, appended to out. how may be NULL. */
MUST_USE enum err_code transcode_to_json(const struct schema_message *m, struct str bytes,
                                         const struct transcode_json *how, struct buf *out,
                                         struct err *e);
MUST_USE enum err_code transcode_to_tree(const struct schema_message *m, struct str bytes,
                                         const struct transcode_json *how, struct arena *a,
                                         struct json **out, struct err *e);

/* Kubernetes' envelope: "k8s\0", then runtime.Unknown{typeMeta, raw}. */
struct transcode_envelope {
    struct transcode_head head;
    struct str raw;
};

MUST_USE enum err_code transcode_open(struct str bytes, struct transcode_envelope *out,
                                      struct err *e);
/* The raw bytes alone, where the envelope has the form that transcode_wrap() gives it; {NULL, 0} where it has not,
 * and transcode_open() says what it is. For whoever looks at every object. */
struct str transcode_raw(struct str bytes);
void transcode_wrap(const struct transcode_envelope *from, struct buf *out);

/* The same around raw bytes of that length which the caller appends in between. */
void transcode_wrap_begin(const struct transcode_head *head, size_t raw_len, struct buf *out);
void transcode_wrap_end(struct buf *out);
/* And around bytes whose length is known when they are there: returns what transcode_wrap_close() takes. */
size_t transcode_wrap_open(const struct transcode_head *head, struct buf *out);
void transcode_wrap_close(size_t begin, struct buf *out);
size_t transcode_wrap_len(const struct transcode_head *head, size_t raw_len);

/* Canonical bytes of an object with metadata.resourceVersion set to revision (0: without one):
 * what goes to a client that asks for protobuf, and back. */
MUST_USE enum err_code transcode_set_version(const struct schema_message *m, struct str bytes,
                                             uint64_t revision, struct buf *out, struct err *e);

/* Bytes to a protobuf-c struct for typed code, after they were found to be canonical UTF-8 and not
 * too deep. Everything in the arena; nothing to free. */
MUST_USE enum err_code transcode_unpack(const struct schema_message *m, struct str bytes,
                                        struct arena *a, ProtobufCMessage **out, struct err *e);

/* A struct to canonical bytes, appended to out. arena is for the way there. */
MUST_USE enum err_code transcode_pack(const struct schema_message *m, const ProtobufCMessage *from,
                                      struct arena *a, struct buf *out, struct err *e);

#endif /* API_TRANSCODE_H */
