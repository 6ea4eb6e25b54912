/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object.h -- encoded objects for tests, made without the schema.
 *
 * WHAT   object_make() gives an envelope of any kind with a little metadata and a payload in field 2.
 */
#ifndef TESTLIB_OBJECT_H
#define TESTLIB_OBJECT_H

#include "base/blob.h"
#include "base/buf.h"
#include "base/wire.h"

struct object_parts {
    const char *api_version, *kind, *name, *generate, *namespace, *uid, *finalizer, *payload;
    const char *owner_kind, *owner_name, *owner_uid;
    const char *label_key, *label_value;
};

static inline void object_text(struct buf *b, uint32_t number, const char *text)
{
    if (text != NULL)
        wire_put_bytes(b, number, str_of(text));
}

static inline void object_meta(struct buf *b, const struct object_parts *p)
{
    object_text(b, 1, p->name);
    object_text(b, 2, p->generate);
    object_text(b, 3, p->namespace);
    object_text(b, 5, p->uid);
    if (p->label_key != NULL) {
        size_t at = wire_begin(b, 11);
        object_text(b, 1, p->label_key);
        object_text(b, 2, p->label_value);
        wire_end(b, at);
    }
    if (p->owner_uid != NULL) {
        size_t at = wire_begin(b, 13);
        object_text(b, 1, p->owner_kind);
        object_text(b, 3, p->owner_name);
        object_text(b, 4, p->owner_uid);
        object_text(b, 5, "v1");
        wire_put_u64(b, 7, 1);
        wire_end(b, at);
    }
    object_text(b, 14, p->finalizer);
}

/* One reference, the caller's. */
static inline struct blob *object_make(const struct object_parts *p)
{
    struct buf b;
    buf_init(&b, 4 << 20);
    buf_add(&b, str_from("k8s\0", 4));
    size_t type = wire_begin(&b, 1);
    object_text(&b, 1, p->api_version == NULL ? "v1" : p->api_version);
    object_text(&b, 2, p->kind == NULL ? "ConfigMap" : p->kind);
    wire_end(&b, type);
    size_t raw = wire_begin(&b, 2), meta = wire_begin(&b, 1);
    object_meta(&b, p);
    wire_end(&b, meta);
    object_text(&b, 2, p->payload);
    wire_end(&b, raw);
    object_text(&b, 3, "");
    object_text(&b, 4, "");
    return buf_blob(&b);
}

#endif /* TESTLIB_OBJECT_H */
