/* SPDX-License-Identifier: Apache-2.0 */
#include "api/assigned.h"

#include "base/check.h"
#include "base/wire.h"

enum { MESSAGE_ASSIGN = 4, HEADS = 128 };
enum {
    ASSIGN_REVISION = 1,
    ASSIGN_PLACEMENT = 2,
    ASSIGN_WORKLOAD = 3,
    ASSIGN_DEPENDENCY = 4,
    ASSIGN_PLACEMENT_UID = 6,
    ASSIGN_PLACEMENT_REVISION = 7,
};
enum { DEPENDENCY_PLURAL = 1, DEPENDENCY_NAME = 2, DEPENDENCY_OBJECT = 3 };

struct blob *assigned_write(const struct assigned *a)
{
    struct buf to;
    buf_init(&to, UINT32_MAX - 1);
    buf_reserve(&to, a->placement.len + a->workload.len + HEADS);
    size_t assign = wire_begin(&to, MESSAGE_ASSIGN);
    wire_put_u64(&to, ASSIGN_REVISION, a->revision);
    wire_put_bytes(&to, ASSIGN_PLACEMENT, a->placement);
    wire_put_bytes(&to, ASSIGN_WORKLOAD, a->workload);
    for (size_t i = 0; i < a->objects_count; i++) {
        size_t one = wire_begin(&to, ASSIGN_DEPENDENCY);
        wire_put_bytes(&to, DEPENDENCY_PLURAL, a->objects[i].plural);
        wire_put_bytes(&to, DEPENDENCY_NAME, a->objects[i].name);
        wire_put_bytes(&to, DEPENDENCY_OBJECT, a->objects[i].bytes);
        wire_end(&to, one);
    }
    wire_put_bytes(&to, ASSIGN_PLACEMENT_UID, a->placement_uid);
    wire_put_u64(&to, ASSIGN_PLACEMENT_REVISION, a->placement_revision);
    wire_end(&to, assign);
    struct blob *bytes = buf_blob(&to);
    CHECK(bytes != NULL);
    return bytes;
}
