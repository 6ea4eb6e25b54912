/* SPDX-License-Identifier: Apache-2.0 */
/* What the core counts of placements, for the three rates at /metrics. */
#include "api/transcode.h"
#include "tests/testlib/hardware.h"
#include "tests/testlib/test.h"
#include "tests/unit/controlplane/session.h"

#include <stdio.h>
#include <stdlib.h>

/* A node of one socket with 4 cores and 1 GiB. */
static void session_hardware(struct world *w, uint64_t session)
{
    struct hardware h;
    hardware_make(&h, 4, 1ull << 30);
    h.spec.has_workloads_max = true;
    h.spec.workloads_max = 10;
    Agent__AgentMessage m = hardware_message(&h);
    session_says(w, session, &m);
}

static struct blob *pod_named(const char *json)
{
    struct arena a;
    struct buf raw, whole;
    struct err e;
    arena_init(&a, 1 << 20);
    buf_init(&raw, 1 << 20);
    buf_init(&whole, 1 << 20);
    cr_assert_eq(transcode_from_json(schema_message(STR("k8s.io.api.core.v1.Pod")), str_of(json),
                                     &a, NULL, NULL, &raw, &e),
                 ERR_OK, "%s", e.text);
    transcode_wrap(&(struct transcode_envelope){{STR("v1"), STR("Pod")}, buf_str(&raw)}, &whole);
    struct blob *blob = buf_blob(&whole);
    buf_free(&raw);
    arena_free(&a);
    return blob;
}

static void session_reports(struct world *w, uint64_t session, char *uid, uint64_t sequence)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__WorkloadStatus s = AGENT__WORKLOAD_STATUS__INIT;
    s.placement_uid = uid;
    s.has_sequence = true;
    s.sequence = sequence;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_WORKLOAD_STATUS;
    m.workload_status = &s;
    session_says(w, session, &m);
}

/* A lease always runs out some time: there is no settling, but enough is enough. */
static void some_turns(struct world *w)
{
    for (uint32_t i = 0; i < 50; i++) {
        world_pass(w, SPAN_MS(10));
        world_turn(w);
    }
}

TEST(counts, decided_durable_and_acknowledged_are_counted_once)
{
    char uid[64];
    struct world *w = world_new();
    session_hello(w, 11, "a");
    session_hardware(w, 11);
    some_turns(w);
    struct blob *pod = pod_named("{\"metadata\":{\"name\":\"p\",\"namespace\":\"default\"},"
                                 "\"spec\":{\"containers\":[{\"name\":\"c\"}]}}");
    uint64_t op =
        world_write(w, &(struct write_request){
                           .verb = WRITE_CREATE, .key = STR("/pods/default/p"), .object = pod});
    blob_unref(pod);
    some_turns(w);
    cr_assert(w->answers[op].is_there && w->answers[op].result == WRITE_OK);
    struct meta placed = world_meta(w, "baton.dev/placements/default/pods.p");
    cr_assert_gt(placed.uid.len, 0);
    snprintf(uid, sizeof uid, STR_FMT, STR_ARG(placed.uid));
    struct core_counts is = core_counts(w->core);
    cr_assert(is.decided == 1 && is.durable == 1 && is.acknowledged == 0);
    for (uint64_t i = 1; i <= 2; i++)
        session_reports(w, 11, uid, i);
    session_reports(w, 11, (char *)"nobody's", 3);
    some_turns(w);
    is = core_counts(w->core);
    cr_assert(is.decided == 1 && is.durable == 1 && is.acknowledged == 1);
    world_free(w);
}
