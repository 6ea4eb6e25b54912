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
#include <protobuf-c/protobuf-c.h>

/* A pointer to the type's struct: Core__Pod for &core__pod__descriptor. */
void *typed_open(struct arena *a, const ProtobufCMessageDescriptor *type, struct str envelope);

/* object: any generated struct. */
struct str typed_wrap(struct arena *a, const char *api_version, const char *kind,
                      const void *object);

#endif /* API_TYPED_H */
