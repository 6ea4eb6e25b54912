/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meta.h -- the metadata of an encoded object, read and rewritten without unpacking the rest.
 *
 * WHAT   meta_read() looks into ObjectMeta of an envelope (k8s\0, runtime.Unknown); meta_write()
 *        appends the same envelope with some of its metadata changed. Fields it does not know of stay.
 * WHY    The core stamps, numbers and marks every object it writes and must not care for its kind:
 *        in every one of them, ObjectMeta is field 1. A spec of 100 KB is copied, not decoded.
 * OWNS   What is read is borrowed from the bytes; what is written is appended to the caller's buffer.
 * FAILS  ERR_CORRUPT: no envelope, or broken encoding. A full buffer says so itself (buf_status()).
 *
 * Numbers and meaning: k8s.io/apimachinery/pkg/apis/meta/v1, ObjectMeta and OwnerReference.
 */
#ifndef API_META_H
#define API_META_H

#include "base/buf.h"
#include "base/err.h"
#include "base/wire.h"

struct meta {
    struct str name, generate_name, namespace, uid;
    uint64_t revision; /* metadata.resourceVersion as a number; 0: none, or not one of ours. */
    int64_t generation;
    int64_t created_s, deleted_s; /* Seconds since 1970; creation-, deletionTimestamp. */
    int64_t grace_s;              /* deletionGracePeriodSeconds. */
    bool is_created, is_deleting, has_grace;
    uint32_t finalizers_count, owners_count, labels_count;
    struct str raw; /* The ObjectMeta message. */
};

MUST_USE enum err_code meta_read(struct str envelope, struct meta *out, struct err *e);

/* The same of an object's own message, without its envelope. Where the encoding breaks, the rest is as
 * if it were not there. */
struct meta meta_of(struct str object);

/* The bytes of a PartialObjectMetadata: of the object's message nothing but its metadata. Borrowed: it stands in
 * front of everything else. */
struct str meta_partial(struct str object);

/* One after the other, from meta_walk() on. False at the end. */
static inline struct wire_reader meta_walk(const struct meta *m)
{
    return wire_read(m->raw);
}

bool meta_next_finalizer(struct wire_reader *at, struct str *out);

struct meta_owner {
    struct str api_version, kind, name, uid;
    bool controller, blocks; /* blocks: blockOwnerDeletion. */
};

bool meta_next_owner(struct wire_reader *at, struct meta_owner *out);
bool meta_next_label(struct wire_reader *at, struct str *out_key, struct str *out_value);

bool meta_has_finalizer(const struct meta *m, struct str finalizer);
struct str meta_label(const struct meta *m, struct str key); /* {NULL, 0}: not there. */

struct typed_field;

/* What is to be different. Zeroed: nothing is. A str with at NULL leaves that field as it is. */
struct meta_edit {
    struct str name, namespace, uid;
    uint64_t revision;  /* 0 takes resourceVersion away: every stored version gets its own. */
    int64_t generation; /* 0: as it is. */
    bool set_created, set_deleted, clear_deleted; /* set_deleted also sets grace_s. */
    int64_t created_s, deleted_s, grace_s;
    struct str add_finalizer, drop_finalizer, drop_finalizer_too, drop_owner_uid;
    struct str label_key, label_value; /* One label to set. */
    /* Fields of the object beside its metadata, as typed_put() takes them; they live until it is written. */
    const struct typed_field *put;
    uint32_t put_count;
};

MUST_USE enum err_code meta_write(struct str envelope, const struct meta_edit *edit,
                                  struct buf *out, struct err *e);

/* What the envelope says it is, and the object's own message. */
struct meta_type {
    struct str api_version, kind, raw;
};

MUST_USE enum err_code meta_type(struct str envelope, struct meta_type *out, struct err *e);

#endif /* API_META_H */
