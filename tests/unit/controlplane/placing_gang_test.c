/* SPDX-License-Identifier: Apache-2.0 */
/* Workloads that start together: what cannot be written down for one of them is written for none. */
#include "controlplane/core/cluster.h"
#include "tests/testlib/parse.h"
#include "tests/unit/controlplane/session.h"

#include <stdio.h>

enum { MEMBERS = 3 };

static void create(struct world *w, const char *key, const char *api, const char *kind,
                   const char *type, struct str json)
{
    struct arena a;
    arena_init(&a, 8 << 20);
    struct blob *object = blob_new(typed_wrap(&a, api, kind, parse(&a, type, json.at)));
    uint64_t op = world_write(
        w, &(struct write_request){.verb = WRITE_CREATE, .key = str_of(key), .object = object});
    session_work(w);
    cr_assert_eq(w->answers[op].result, WRITE_OK, "%s", w->answers[op].text);
    blob_unref(object);
    arena_free(&a);
}

static struct world *world_with_members(uint32_t least, const char *resources)
{
    struct arena a;
    struct world *w = world_new();
    char key[64];
    arena_init(&a, 1 << 20);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        snprintf(key, sizeof key, "/pods/default/job-%u", i);
        create(w, key, "v1", "Pod", "k8s.io.api.core.v1.Pod",
               arena_printf(&a,
                            "{\"metadata\":{\"name\":\"job-%u\",\"namespace\":\"default\","
                            "\"labels\":{\"scheduling.x-k8s.io/pod-group\":\"job\"}},\"spec\":{"
                            "\"containers\":[{\"name\":\"c\"%s}]}}",
                            i, resources));
    }
    create(w, "scheduling.x-k8s.io/podgroups/default/job", "scheduling.x-k8s.io/v1alpha1",
           "PodGroup", "scheduling.x_k8s.io.v1alpha1.PodGroup",
           arena_printf(&a,
                        "{\"metadata\":{\"name\":\"job\",\"namespace\":\"default\"},\"spec\":{"
                        "\"minMember\":%u}}",
                        least));
    session_hello(w, 11, "a");
    session_claims(w, 11, 0, NULL);
    arena_free(&a);
    return w;
}

static uint32_t placed(struct world *w)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        char key[64];
        snprintf(key, sizeof key, "baton.dev/placements/default/pods.job-%u", i);
        count += world_has(w, key);
    }
    return count;
}

/* Long enough for who rests, and not for a lease. */
static void work(struct world *w)
{
    for (uint32_t i = 0; i < 30; i++) {
        world_pass(w, SPAN_MS(50));
        world_turn(w);
    }
}

/* The table of what is held is full after the first of them. */
TEST(placing_gang, a_table_that_is_full_places_none)
{
    struct world *w = world_with_members(MEMBERS, "");
    struct map *held = &w->core->cluster->held;
    uint32_t enough = held->limit;
    held->limit = held->live + 1;
    work(w);
    cr_expect_eq(placed(w), 0);
    cr_expect_eq(held->live, 0, "nobody holds anything");
    cr_expect_gt(core_deadline(w->core).ns, w->now.ns, "there is nothing left to do");
    held->limit = enough;
    work(w);
    cr_expect_eq(placed(w), MEMBERS);
    world_free(w);
}

static struct str condition(struct world *w, struct arena *a, const char *key)
{
    struct cow_entry *e = core_find(w->core, str_of(key));
    const Core__Pod *pod = typed_open(a, &core__pod__descriptor, blob_str(e->value));
    cr_assert(pod != NULL && pod->status->n_conditions == 1);
    return str_of(pod->status->conditions[0]->message);
}

/* There is room for two of three, which is enough for the group. The third says what it lacks, and comes when it is there. */
TEST(placing_gang, who_is_left_over_waits_for_room)
{
    struct arena a;
    struct world *w = world_with_members(2, ",\"resources\":{\"requests\":{\"cpu\":\"400m\"}}");
    arena_init(&a, 1 << 20);
    work(w);
    cr_expect_eq(placed(w), 2);
    struct str why = condition(w, &a, "/pods/default/job-2");
    cr_expect(str_starts(why, STR("pod group job: 2 of 3 members fit; the next: 0 of 1 nodes fit")),
              STR_FMT, STR_ARG(why));
    session_hello(w, 12, "b");
    session_claims(w, 12, 0, NULL);
    work(w);
    cr_expect_eq(placed(w), 3);
    arena_free(&a);
    world_free(w);
}
