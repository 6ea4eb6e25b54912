/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assigned.h -- what an agent is told of a workload, as bytes.
 *
 * WHAT   A ServerMessage with an Assign in it (proto/baton/agent/v1.proto), written field by field.
 * WHY    It is sent for every workload, and most of it is stored bytes as they stand: packing it from a struct measures
 *        it first and copies it twice (docs/decisions/0266).
 * OWNS   Nothing of what it is given; the blob is the caller's.
 */
#ifndef API_ASSIGNED_H
#define API_ASSIGNED_H

#include "base/blob.h"

struct assigned_object {
    struct str plural, name, bytes;
};

struct assigned {
    uint64_t revision, placement_revision;
    struct str placement, workload, placement_uid;
    const struct assigned_object *objects; /* That it mentions. */
    size_t objects_count;
};

/* Altogether less than 4 GiB. */
struct blob *assigned_write(const struct assigned *a);

#endif /* API_ASSIGNED_H */
