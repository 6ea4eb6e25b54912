/* SPDX-License-Identifier: Apache-2.0 */
/*
 * typed.h -- stored bytes to protobuf-c structs and back, for typed code.
 *
 * WHAT   An envelope (k8s\0, apiVersion, kind, raw) opened as the struct its descriptor describes, and a
 *        struct wrapped into one: scanned, canonical, bounded by the arena.
 * OWNS   Everything lives in the arena.
 * FAILS  NULL and {NULL, 0}: not an envelope, not of that type, too deep, or the arena is at its limit.
 *        Stored bytes are input: the caller marks the object and goes on.
 */
#ifndef API_TYPED_H
#define API_TYPED_H

#include "base/arena.h"
#include "base/buf.h"
#include <protobuf-c/protobuf-c.h>

/* A pointer to the type's struct: Core__Pod for &core__pod__descriptor. */
void *typed_open(struct arena *a, const ProtobufCMessageDescriptor *type, struct str envelope);

/* object: any generated struct. */
struct str typed_wrap(struct arena *a, const char *api_version, const char *kind,
                      const void *object);

/* For unpacking a message into the arena: it is freed with it. */
ProtobufCAllocator typed_allocator(struct arena *a);

/* Its canonical bytes, without an envelope: one message within an object. */
struct str typed_pack(struct arena *a, const void *message);

/* One field, found by its number, or by the number of the message that holds it and its own within that (holder 0: the
 * object itself). bytes: a text, or typed_pack() of a message. */
struct typed_field {
    uint32_t holder, number;
    struct str bytes;
};

/* The envelope with some fields of its object changed; the rest is copied as it is: cheaper by far than to encode all of it
 * again. They stand by rising number of what is changed in the object itself, each once. */
struct str typed_put(struct arena *a, struct str envelope, const struct typed_field *fields,
                     uint32_t fields_count);

/* The same of a message's own bytes, appended to out. False: the message does not decode. */
bool typed_put_fields(struct str message, const struct typed_field *fields, uint32_t count,
                      struct buf *out);

#endif /* API_TYPED_H */
