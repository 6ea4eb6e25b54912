/* SPDX-License-Identifier: Apache-2.0 */
/* Events: kept in memory, counted, limited, gone after an hour. */
#include "controlplane/core/events.h"
#include "controlplane/core/core_priv.h"
#include "tests/testlib/test.h"
#include "tests/unit/controlplane/world.h"

#include <stdio.h>

static uint64_t events_count(struct world *w)
{
    struct index_snapshot s = index_snapshot(core_memory_index(w->core));
    uint64_t count = index_count(&s, STR("/events/"), STR(""));
    index_snapshot_free(&s);
    return count;
}

static void tell(struct world *w, const char *name, const char *text)
{
    events_tell(w->core, &(struct event_note){.api_version = "v1",
                                              .kind = "Pod",
                                              .namespace = STR("default"),
                                              .name = str_of(name),
                                              .uid = str_of(name),
                                              .reason = "Tested",
                                              .message = str_of(text)});
}

/* Everything that is due within a second; the hour is not waited for. */
static void turns(struct world *w)
{
    for (uint32_t i = 0; i < 100; i++) {
        world_turn(w);
        world_pass(w, SPAN_MS(10));
    }
}

static struct blob *client_event(const char *name)
{
    return object_make(
        &(struct object_parts){.kind = "Event", .name = name, .namespace = "default"});
}

static struct world_answer *create(struct world *w, const char *name)
{
    char key[100];
    snprintf(key, sizeof key, "/events/default/%s", name);
    struct blob *object = client_event(name);
    uint64_t op = world_write(
        w, &(struct write_request){.verb = WRITE_CREATE, .key = str_of(key), .object = object});
    blob_unref(object);
    world_turn(w);
    return &w->answers[op];
}

TEST(events, cost_no_durable_write_and_end_with_the_process)
{
    struct world *w = world_new();
    uint64_t writes = w->writes;
    tell(w, "web", "one");
    tell(w, "web", "two");
    tell(w, "web", "one");
    turns(w);
    cr_assert_eq(events_count(w), 2);
    cr_assert_eq(create(w, "mine")->result, WRITE_OK);
    cr_assert_eq(events_count(w), 3);
    cr_assert_eq(w->writes, writes);

    uint64_t head = history_bounds(core_memory_history(w->core)).head;
    world_pass(w, SPAN_S(1));
    w = world_crash(w);
    turns(w);
    cr_assert_eq(events_count(w), 0);
    cr_assert_gt(history_bounds(core_memory_history(w->core)).oldest, head); /* 410, not silence. */
    world_free(w);
}

TEST(events, an_object_has_its_latest_few)
{
    struct world *w = world_new();
    for (uint32_t i = 0; i < 3 * EVENTS_OF_ONE; i++) {
        char text[16];
        snprintf(text, sizeof text, "%u", i);
        tell(w, "web", text);
        turns(w);
    }
    tell(w, "other", "one");
    turns(w);
    cr_assert_eq(events_count(w), EVENTS_OF_ONE + 1);
    world_free(w);
}

TEST(events, are_limited_in_all_and_a_flood_is_dropped)
{
    struct world *w = world_new();
    char name[16];
    for (uint32_t i = 0; i < 2 * EVENTS_PENDING_MAX; i++) {
        snprintf(name, sizeof name, "p%u", i);
        tell(w, name, "one");
    }
    cr_assert(!events_wanted(w->core));
    turns(w);
    cr_assert(events_wanted(w->core));
    cr_assert_eq(events_count(w), EVENTS_PENDING_MAX);

    uint32_t refused = 0;
    for (uint32_t i = 0; i < EVENTS_MAX + 1000; i++) {
        snprintf(name, sizeof name, "c%u", i);
        refused += create(w, name)->result != WRITE_OK;
        cr_assert_leq(events_count(w), EVENTS_MAX + 1);
    }
    cr_assert_eq(refused, 0); /* The oldest make room. */
    cr_assert_geq(events_count(w), EVENTS_MAX);
    world_free(w);
}

TEST(events, go_after_an_hour)
{
    struct world *w = world_new();
    tell(w, "web", "one");
    turns(w);
    world_pass(w, SPAN_S(EVENTS_LIVE_S / 2));
    world_turn(w);
    tell(w, "web", "two");
    cr_assert_eq(create(w, "mine")->result, WRITE_OK);
    turns(w);
    cr_assert_eq(events_count(w), 3);
    world_pass(w, SPAN_S(EVENTS_LIVE_S / 2));
    turns(w);
    cr_assert_eq(events_count(w), 2);
    cr_assert(world_settle(w)); /* Until nothing is left to wait for. */
    cr_assert_eq(events_count(w), 0);
    world_free(w);
}

/* A namespace goes with its Events, and none is made in one that is going. */
TEST(events, go_with_their_namespace)
{
    struct world *w = world_new();
    struct blob *object = object_make(&(struct object_parts){.kind = "Namespace", .name = "shop"});
    uint64_t op = world_write(w, &(struct write_request){.verb = WRITE_CREATE,
                                                         .key = STR("/namespaces//shop"),
                                                         .object = object});
    blob_unref(object);
    turns(w);
    cr_assert_eq(w->answers[op].result, WRITE_OK);
    struct event_note note = {.api_version = "v1",
                              .kind = "Pod",
                              .namespace = STR("shop"),
                              .name = STR("web"),
                              .uid = STR("u"),
                              .reason = "Tested",
                              .message = STR("one")};
    events_tell(w->core, &note);
    turns(w);
    cr_assert_eq(events_count(w), 1);
    world_write(w, &(struct write_request){
                       .verb = WRITE_DELETE, .key = STR("/namespaces//shop"), .grace_seconds = -1});
    turns(w);
    cr_assert(!world_has(w, "/namespaces//shop"));
    cr_assert_eq(events_count(w), 0);
    note.message = STR("two");
    events_tell(w->core, &note);
    turns(w);
    cr_assert_eq(events_count(w), 0);
    world_free(w);
}
