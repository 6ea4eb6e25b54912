/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objects.h -- stored objects as structs and back, for the parts of the core that read them.
 *
 * WHAT   An envelope into a protobuf-c struct in an arena, a struct into an envelope, times, and
 *        amounts as text.
 * FAILS  NULL: stored bytes that do not decode, or an arena at its limit. The caller leaves such an
 *        object alone; it is never our bug.
 */
#ifndef CONTROLPLANE_CORE_OBJECTS_H
#define CONTROLPLANE_CORE_OBJECTS_H

#include "base/arena.h"
#include "base/blob.h"
#include "base/time.h"
#include "api/typed.h"
#include "proto/baton/agent/v1.pb-c.h"
#include "proto/baton/v1.pb-c.h"
#include "proto/k8s/core_v1.pb-c.h"
#include "proto/kubevirt/v1.pb-c.h"

struct core;

/* A session's message. {NULL, 0} when the arena is at its limit. */
struct str objects_pack(struct arena *a, const ProtobufCMessage *message);

struct blob *objects_blob(const ProtobufCMessage *message); /* The same as a blob: a reference. */

Meta__Time *objects_time(struct arena *a, struct wall at); /* Whole seconds. */
char *objects_text(struct arena *a, struct str text);

/* A quantity as Kubernetes prints it: "1500m", "2", "536870912". */
Resource__Quantity *objects_milli(struct arena *a, uint64_t milli);
Resource__Quantity *objects_bytes(struct arena *a, uint64_t bytes);

/* 0: absent, or no quantity (validated before it was stored). Rounded up. */
int64_t objects_units(const Resource__Quantity *q);
int64_t objects_milli_of(const Resource__Quantity *q);

/* A copy beyond the turn: mem_free() it. NULL of nothing. */
char *objects_keep(struct str text);

#endif /* CONTROLPLANE_CORE_OBJECTS_H */
