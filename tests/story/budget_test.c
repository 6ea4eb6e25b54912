/* SPDX-License-Identifier: Apache-2.0 */
/* How many may be away at a time: evictions, preemption, and what the budget's status says of it. */
#include "tests/story/story.h"

#include <stdio.h>

static void budget(struct sim *s, const char *spec)
{
    char json[512];
    snprintf(json, sizeof json,
             "{\"metadata\":{\"name\":\"b\",\"namespace\":\"default\",\"generation\":1},\"spec\":{"
             "\"selector\":{\"matchLabels\":{\"app\":\"db\"}},%s}}",
             spec);
    sim_create(s, "PodDisruptionBudget", json);
    sim_run(s, SPAN_MS(200));
}

static void app(struct sim *s, const char *name, const char *is, const char *cpu, const char *spec)
{
    char json[768];
    snprintf(
        json, sizeof json,
        "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\",\"labels\":{\"app\":\"%s\"}},"
        "\"spec\":{%s\"terminationGracePeriodSeconds\":2,\"containers\":[{\"name\":\"a\","
        "\"image\":\"x\",\"resources\":{\"limits\":{\"cpu\":\"%s\",\"memory\":\"16Mi\"}}}]}}",
        name, is, spec, cpu);
    sim_create(s, "Pod", json);
}

static void db(struct sim *s, const char *name, const char *cpu, const char *spec)
{
    app(s, name, "db", cpu, spec);
}

/* "allowed healthy desired expected" */
static void status_is(struct sim *s, const char *want)
{
    static const char *const fields[] = {"disruptionsAllowed", "currentHealthy", "desiredHealthy",
                                         "expectedPods"};
    char have[64] = "", path[64];
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        snprintf(path, sizeof path, "status.%s", fields[i]);
        struct str value = sim_field(s, "PodDisruptionBudget", "b", path);
        snprintf(have + strlen(have), sizeof have - strlen(have), "%s" STR_FMT, i > 0 ? " " : "",
                 STR_ARG(value));
    }
    cr_expect_str_eq(have, want);
}

static bool was_told(struct sim *s, const char *text)
{
    struct str all = buf_str(&s->story);
    bool found = all.len > 0 && memmem(all.at, all.len, text, strlen(text)) != NULL;
    buf_clear(&s->story);
    return found;
}

static bool is_leaving(struct sim *s, const char *pod)
{
    return sim_field(s, "Pod", pod, "metadata.deletionTimestamp").len > 0;
}

static bool is_evicted(struct sim *s, const char *pod)
{
    char path[64];
    for (uint32_t i = 0; i < 8; i++) {
        snprintf(path, sizeof path, "status.conditions.%u.reason", i);
        if (str_is(sim_field(s, "Pod", pod, path), "EvictionByEvictionAPI"))
            return true;
    }
    return false;
}

/* Two evictions of one moment cannot both be the last one allowed. */
TEST(budget, evictions_one_at_a_time)
{
    struct sim *s = story_new(1, 4);
    for (uint32_t i = 0; i < 3; i++) {
        char name[8];
        snprintf(name, sizeof name, "db-%u", i);
        db(s, name, "100m", "");
    }
    budget(s, "\"minAvailable\":2");
    sim_run(s, SPAN_S(1));
    status_is(s, "1 3 2 3");
    cr_expect(str_is(sim_field(s, "PodDisruptionBudget", "b", "status.conditions.0.reason"),
                     "SufficientPods"));
    cr_expect(str_is(sim_field(s, "PodDisruptionBudget", "b", "status.observedGeneration"), "1"));
    sim_evict(s, "db-0");
    sim_evict(s, "db-1");
    cr_expect(was_told(s, "The disruption budget b needs 2 healthy pods and has 2 currently"));
    sim_run(s, SPAN_MS(10));
    cr_expect(is_leaving(s, "db-0"));
    cr_expect(is_evicted(s, "db-0"));
    cr_expect_not(is_leaving(s, "db-1"));
    sim_run(s, SPAN_S(5));
    status_is(s, "0 2 2 2");
    sim_evict(s, "db-1");
    cr_expect(was_told(s, "needs 2 healthy pods and has 2 currently"));
    db(s, "db-3", "100m", "");
    sim_run(s, SPAN_S(1));
    sim_control_crash(s);
    sim_run(s, SPAN_S(20));
    status_is(s, "1 3 2 3");
    sim_evict(s, "db-1");
    sim_run(s, SPAN_S(5));
    status_is(s, "0 2 2 2");
    sim_delete(s, "Pod", "db-2", -1); /* A delete asks nobody. */
    sim_run(s, SPAN_S(5));
    status_is(s, "0 1 2 1");
    sim_free(s);
}

/* Of those that are there: whoever has left is expected no more, and a drain goes on one by one. */
TEST(budget, so_many_away_at_a_time)
{
    struct sim *s = story_new(1, 8);
    char name[8];
    for (uint32_t i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "db-%u", i);
        db(s, name, "100m", "");
    }
    budget(s, "\"maxUnavailable\":\"30%\"");
    sim_run(s, SPAN_S(1));
    status_is(s, "2 5 3 5"); /* 30 % of 5, rounded up. */
    uint32_t let_go = 0;
    for (uint32_t i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "db-%u", i);
        sim_evict(s, name);
        let_go += !was_told(s, "The disruption budget b needs");
    }
    cr_expect_eq(let_go, 2);
    sim_run(s, SPAN_S(5));
    status_is(s, "1 3 2 3");
    sim_patch(s, "PodDisruptionBudget", "b",
              "{\"metadata\":{\"generation\":2},\"spec\":{\"maxUnavailable\":0}}");
    sim_run(s, SPAN_S(1));
    status_is(s, "0 3 3 3");
    sim_evict(s, "db-4");
    cr_expect(was_told(s, "needs 3 healthy pods and has 3 currently"));
    sim_delete(s, "PodDisruptionBudget", "b", -1);
    sim_run(s, SPAN_MS(100));
    sim_evict(s, "db-4");
    sim_run(s, SPAN_MS(10));
    cr_expect(is_leaving(s, "db-4"));
    sim_free(s);
}

/* What does not run may go: nobody loses it. A machine is counted like a pod. */
TEST(budget, what_does_not_run_and_machines)
{
    struct sim *s = story_new(1, 3);
    budget(s, "\"minAvailable\":1");
    db(s, "big", "8", "");
    sim_run(s, SPAN_S(1));
    status_is(s, "0 0 1 1");
    sim_evict(s, "big");
    sim_run(s, SPAN_S(1));
    cr_expect(sim_field(s, "Pod", "big", "metadata.name").len == 0);
    story_machine(s, "vm", 1, true);
    sim_run(s, SPAN_MS(20));
    sim_patch(s, "VirtualMachineInstance", "vm", "{\"metadata\":{\"labels\":{\"app\":\"db\"}}}");
    sim_run(s, SPAN_S(2));
    status_is(s, "0 1 1 1");
    sim_free(s);
}

/* Who is guarded leaves last, though its priority is lower; and leaves, when nothing else would do. */
TEST(budget, preemption_takes_others_first)
{
    struct sim *s = story_new(1, 3);
    budget(s, "\"minAvailable\":1");
    db(s, "guarded", "1", "");
    app(s, "plain", "web", "1", "\"priority\":5,");
    sim_run(s, SPAN_S(1));
    app(s, "high", "web", "1", "\"priority\":100,");
    sim_run(s, SPAN_MS(10));
    cr_expect(is_leaving(s, "plain"));
    cr_expect_not(is_leaving(s, "guarded"));
    sim_run(s, SPAN_S(5));
    sim_delete(s, "Pod", "high", 0);
    sim_run(s, SPAN_MS(100));
    app(s, "higher", "web", "2", "\"priority\":100,");
    sim_run(s, SPAN_S(5));
    cr_expect(str_is(sim_field(s, "Pod", "higher", "status.phase"), "Running"));
    cr_expect(sim_field(s, "Pod", "guarded", "metadata.name").len == 0);
    sim_free(s);
}
