/* SPDX-License-Identifier: Apache-2.0 */
/* What a disruption budget allows while writes are under way. */
#include "api/typed.h"
#include "tests/testlib/parse.h"
#include "tests/unit/controlplane/session.h"

#include <stdio.h>

static uint64_t write(struct world *w, enum write_verb verb, const char *key, const char *api,
                      const char *kind, const char *type, const char *json)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    struct blob *object = blob_new(typed_wrap(&a, api, kind, parse(&a, type, json)));
    uint64_t op =
        world_write(w, &(struct write_request){.verb = verb, .key = str_of(key), .object = object});
    blob_unref(object);
    arena_free(&a);
    return op;
}

static void pod(struct world *w, const char *name, const char *app, const char *ready)
{
    char key[64], json[512];
    snprintf(key, sizeof key, "/pods/default/%s", name);
    snprintf(
        json, sizeof json,
        "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\",\"labels\":{\"app\":\"%s\"}},"
        "\"spec\":{\"containers\":[{\"name\":\"c\"}]},\"status\":{\"phase\":\"Running\","
        "\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\"}]}}",
        name, app, ready);
    write(w, WRITE_CREATE, key, "v1", "Pod", "k8s.io.api.core.v1.Pod", json);
}

static void budget(struct world *w, enum write_verb verb, const char *app, int generation)
{
    char json[512];
    snprintf(json, sizeof json,
             "{\"metadata\":{\"name\":\"b\",\"namespace\":\"default\",\"generation\":%d},\"spec\":{"
             "\"minAvailable\":1,\"selector\":{\"matchLabels\":{\"app\":\"%s\"}}}}",
             generation, app);
    write(w, verb, "policy/poddisruptionbudgets/default/b", "policy/v1", "PodDisruptionBudget",
          "k8s.io.api.policy.v1.PodDisruptionBudget", json);
}

static uint64_t away(struct world *w, const char *key, bool evicts)
{
    return world_write(
        w, &(struct write_request){
               .verb = WRITE_DELETE, .key = str_of(key), .grace_seconds = -1, .evicts = evicts});
}

static void turns(struct world *w, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        world_pass(w, SPAN_MS(1));
        world_turn(w);
    }
}

/* Who is on his way was the budget's when he was let go, and is not any more when its new selector is durable. */
TEST(budgets, who_leaves_under_a_former_selector_is_none_of_the_healthy)
{
    struct world *w = world_new();
    pod(w, "db", "db", "True");
    pod(w, "web", "web", "False");
    budget(w, WRITE_CREATE, "db", 1);
    session_work(w);
    store_mem_set_dials(
        w->store, &(struct store_mem_dials){.latency_min = SPAN_MS(5), .latency_max = SPAN_MS(5)});
    budget(w, WRITE_REPLACE, "web", 2);
    turns(w, 3);
    uint64_t deletion = away(w, "/pods/default/db", false);
    turns(w, 3);
    cr_assert(!w->answers[deletion].is_there, "the budget is durable, the deletion is not");
    uint64_t eviction = away(w, "/pods/default/web", true);
    turns(w, 20);
    cr_expect_eq(w->answers[deletion].result, WRITE_OK);
    cr_expect_eq(w->answers[eviction].result, WRITE_DISRUPTS, "%s", w->answers[eviction].text);
    cr_expect_str_eq(w->answers[eviction].text,
                     "The disruption budget b needs 1 healthy pods and has 0 currently");
    world_free(w);
}
