/* SPDX-License-Identifier: Apache-2.0 */
/* What is written by hand is what protobuf-c packs, to the byte. */
#include "api/assigned.h"
#include "base/rng.h"
#include "proto/baton/agent/v1.pb-c.h"
#include "tests/testlib/test.h"

enum { OBJECTS = 3, BYTES = 40000 };

static char bytes[BYTES];

static ProtobufCBinaryData data_of(struct str s)
{
    return (ProtobufCBinaryData){s.len, (uint8_t *)s.at};
}

static void expect_same(const struct assigned *a, const struct blob *is)
{
    Agent__ServerMessage m = AGENT__SERVER_MESSAGE__INIT;
    Agent__Assign to = AGENT__ASSIGN__INIT;
    Agent__Dependency one[OBJECTS], *all[OBJECTS];
    for (size_t i = 0; i < a->objects_count; i++) {
        agent__dependency__init(all[i] = &one[i]);
        one[i].plural = (char *)a->objects[i].plural.at;
        one[i].name = (char *)a->objects[i].name.at;
        one[i].has_object = true;
        one[i].object = data_of(a->objects[i].bytes);
    }
    to.has_revision = to.has_placement = to.has_workload = to.has_placement_revision = true;
    to.revision = a->revision;
    to.placement_revision = a->placement_revision;
    to.placement_uid = (char *)a->placement_uid.at;
    to.placement = data_of(a->placement);
    to.workload = data_of(a->workload);
    to.dependencies = all;
    to.n_dependencies = a->objects_count;
    m.message_case = AGENT__SERVER_MESSAGE__MESSAGE_ASSIGN;
    m.assign = &to;
    struct blob *want = blob_reserve((uint32_t)agent__server_message__get_packed_size(&m));
    agent__server_message__pack(&m, (uint8_t *)want->at);
    cr_assert(str_eq(blob_str(is), blob_str(want)));
    blob_unref(want);
}

TEST(assigned, is_what_protobuf_packs)
{
    struct rng r;
    rng_seed(&r, 266);
    for (uint32_t round = 0; round < 500; round++) {
        struct assigned_object objects[OBJECTS];
        struct assigned a = {.revision = rng_below(&r, 1 << (round % 30)),
                             .placement_revision = rng_below(&r, 1 << (round % 28)),
                             .placement = str_from(bytes, rng_below(&r, BYTES >> round % 15)),
                             .workload = str_from(bytes, rng_below(&r, BYTES >> round % 11)),
                             .placement_uid = STR("5b0e1f0e-6d1f-4d2e-8a2f-1f2e3d4c5b6a"),
                             .objects = objects,
                             .objects_count = rng_below(&r, OBJECTS + 1)};
        for (uint32_t i = 0; i < OBJECTS; i++)
            objects[i] = (struct assigned_object){STR("secrets"), STR("name"),
                                                  str_from(bytes, rng_below(&r, BYTES >> i * 7))};
        struct blob *is = assigned_write(&a);
        expect_same(&a, is);
        blob_unref(is);
    }
}
