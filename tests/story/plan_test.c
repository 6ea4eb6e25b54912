/* SPDX-License-Identifier: Apache-2.0 */
/* What a Plan answers, and that nothing comes of it. */
#include "tests/story/story.h"

#include <stdio.h>

static const char POD[] =
    "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\"},\"spec\":{%s"
    "\"restartPolicy\":\"Always\",\"terminationGracePeriodSeconds\":2,\"containers\":[{"
    "\"name\":\"a\",\"image\":\"x\",\"resources\":{\"requests\":{\"cpu\":\"%s\","
    "\"memory\":\"16Mi\"},\"limits\":{\"cpu\":\"%s\",\"memory\":\"16Mi\"}}}]}}";

static void pod(struct sim *s, const char *name, const char *cpu, const char *more)
{
    char json[1024];
    snprintf(json, sizeof json, POD, name, more, cpu, cpu);
    sim_create(s, "Pod", json);
    sim_run(s, SPAN_S(3));
}

static void plan(struct sim *s, const char *spec)
{
    char json[4096];
    snprintf(json, sizeof json, "{\"metadata\":{\"name\":\"p\"},\"spec\":{%s}}", spec);
    sim_create(s, "Plan", json);
}

static void plan_pods(struct sim *s, const char *cpu, const char *more, uint32_t count)
{
    char spec[2048], text[1024];
    snprintf(text, sizeof text, POD, "new", more, cpu, cpu);
    snprintf(spec, sizeof spec, "\"workloads\":[{\"pod\":%s,\"count\":%u}]", text, count);
    plan(s, spec);
}

static void says(struct sim *s, const char *path, const char *want)
{
    char full[128];
    snprintf(full, sizeof full, "status.%s", path);
    struct str have = sim_answer(s, "Plan", full);
    cr_expect(str_is(have, want), "%s: " STR_FMT, path, STR_ARG(have));
}

/* The rows it names are the rows that a create then gets. */
TEST(plan, what_it_promises_is_what_a_create_gets)
{
    char cpu[16];
    struct sim *s = story_new(2, 4);
    plan_pods(s, "2", "", 1);
    says(s, "summary", "1 of 1 workloads fit");
    says(s, "steps.0.result", "Fits");
    struct str promised = sim_answer(s, "Plan", "status.steps.0.placement.exclusive.cpus.1");
    snprintf(cpu, sizeof cpu, STR_FMT, STR_ARG(promised));
    cr_assert_gt(promised.len, 0);
    sim_run(s, SPAN_S(1));
    cr_expect_eq(sim_field(s, "Plan", "p", "metadata.name").len, 0);
    cr_expect_eq(sim_field(s, "Placement", "pods.new", "metadata.name").len, 0);
    pod(s, "new", "2", "");
    cr_expect(str_is(sim_field(s, "Placement", "pods.new", "spec.exclusive.cpus.1"), cpu));
    sim_free(s);
}

/* Three cores of four may be given on each of two nodes. */
TEST(plan, copies_until_one_does_not_fit)
{
    struct sim *s = story_new(2, 4);
    plan_pods(s, "3", "", 5);
    says(s, "summary", "2 of 5 workloads fit");
    says(s, "steps.2.result", "DoesNotFit");
    says(s, "steps.2.workload.name", "new-2");
    says(s, "steps.2.message",
         "0 of 2 nodes fit: 2 exclusive cores: 3 wanted, at most 0 free; nearest: n0 lacks "
         "exclusive cores: 3 wanted, 0 free");
    says(s, "stepsLeftOut", "2");
    plan_pods(s, "7", "", 1);
    says(
        s, "steps.0.message",
        "0 of 2 nodes fit: 2 exclusive cores: 7 wanted, at most 3 free; no node could hold it even "
        "if it were empty; nearest: n0 lacks exclusive cores: 7 wanted, 3 free");
    sim_free(s);
}

TEST(plan, who_would_have_to_leave)
{
    struct sim *s = story_new(1, 3);
    pod(s, "low", "2", "\"priority\":1,");
    sim_create(s, "PriorityClass", "{\"metadata\":{\"name\":\"high\"},\"value\":100}");
    sim_run(s, SPAN_S(1));
    plan_pods(s, "1", "\"priorityClassName\":\"high\",", 1);
    says(s, "summary", "1 of 1 workloads fit, 1 of them by driving away 1 of lower priority");
    says(s, "steps.0.result", "Preempts");
    says(s, "steps.0.victims.0.name", "low");
    plan_pods(s, "1", "\"priorityClassName\":\"none\",", 1);
    says(s, "steps.0.message", "no PriorityClass with name none was found");
    sim_run(s, SPAN_S(5));
    cr_expect(str_is(sim_field(s, "Pod", "low", "status.phase"), "Running"));
    sim_free(s);
}

/* One of the two fits on the other node; the ledger is as it was. */
TEST(plan, a_drain)
{
    struct sim *s = story_new(2, 3);
    pod(s, "one", "1", "\"nodeSelector\":{\"kubernetes.io/hostname\":\"n0\"},");
    pod(s, "two", "1",
        "\"affinity\":{\"nodeAffinity\":{"
        "\"preferredDuringSchedulingIgnoredDuringExecution\":[{\"weight\":100,"
        "\"preference\":{\"matchExpressions\":[{\"key\":\"kubernetes.io/hostname\","
        "\"operator\":\"In\",\"values\":[\"n0\"]}]}}]}},");
    cr_assert(str_is(sim_field(s, "Pod", "two", "spec.nodeName"), "n0"));
    plan(s, "\"drain\":\"n0\"");
    says(s, "summary", "1 of 2 workloads fit");
    says(s, "steps.0.workload.name", "one");
    says(s, "steps.0.result", "DoesNotFit");
    says(s, "steps.0.from", "n0");
    says(s, "steps.1.result", "Fits");
    says(s, "steps.1.placement.node", "n1");
    plan(s, "\"dead\":\"n9\"");
    cr_expect_eq(sim_answer(s, "Plan", "metadata.name").len, 0);
    sim_run(s, SPAN_S(5));
    cr_expect(str_is(sim_field(s, "Pod", "two", "spec.nodeName"), "n0"));
    sim_free(s);
}

TEST(plan, why)
{
    struct sim *s = story_new(1, 3);
    pod(s, "one", "2", "");
    pod(s, "two", "1", "");
    plan(s, "\"why\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"namespace\":\"default\",\"name\":"
            "\"one\"}");
    says(s, "steps.0.result", "Stands");
    says(s, "steps.0.placement.node", "n0");
    plan(s, "\"why\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"namespace\":\"default\",\"name\":"
            "\"two\"}");
    says(s, "steps.0.result", "DoesNotFit");
    says(s, "steps.0.message", "0 of 1 nodes fit: exclusive cores: 1 wanted, 0 free");
    sim_free(s);
}

/* What decided is what it was: nobody is pinned by the name of the node that he was given. */
TEST(plan, why_after_a_restart)
{
    static const char why[] = "\"why\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"namespace\":"
                              "\"default\",\"name\":\"one\"}";
    static const char said[] =
        "n0: the node with least left over; 2 CPUs on 2 exclusive cores; rows of 1 of 1 NUMA nodes";
    struct sim *s = story_new(1, 3);
    pod(s, "one", "2", "");
    plan(s, why);
    says(s, "steps.0.message", said);
    sim_control_crash(s);
    sim_run(s, SPAN_S(5));
    plan(s, why);
    says(s, "steps.0.message", said);
    sim_free(s);
}

static void plan_group(struct sim *s, const char *big, const char *more)
{
    char spec[4096], text[1024];
    static const char member[] =
        "{\"pod\":{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\",\"labels\":{"
        "\"scheduling.x-k8s.io/pod-group\":\"ring\"}},\"spec\":{%s\"containers\":[{\"name\":\"a\","
        "\"image\":\"x\",\"resources\":{\"limits\":{\"cpu\":\"%s\",\"memory\":\"16Mi\"}}}]}},"
        "\"count\":%u}";
    snprintf(text, sizeof text, member, "small", more, "1", 2);
    snprintf(spec, sizeof spec, "\"workloads\":[%s,", text);
    snprintf(text, sizeof text, member, "big", more, big, 1);
    snprintf(spec + strlen(spec), sizeof spec - strlen(spec), "%s]", text);
    plan(s, spec);
}

/* Three cores of four may be given: a group fits as a whole, or nothing of it does. */
TEST(plan, a_group_is_answered_as_one)
{
    struct sim *s = story_new(1, 4);
    plan_group(s, "1", "");
    says(s, "summary", "3 of 3 workloads fit");
    plan_group(s, "2", "");
    says(s, "summary", "0 of 3 workloads fit");
    says(s, "steps.0.message",
         "pod group ring: 2 of 3 members fit, and all of them would not even if every node were "
         "empty; the next: 0 of 1 nodes fit: exclusive cores: 2 wanted, 1 free");
    says(s, "steps.2.result", "DoesNotFit");
    sim_create(s, "PodGroup",
               "{\"metadata\":{\"name\":\"ring\",\"namespace\":\"default\"},\"spec\":{"
               "\"minMember\":2}}");
    sim_run(s, SPAN_MS(100));
    plan_group(s, "2", ""); /* Two are enough for it. */
    says(s, "summary", "2 of 3 workloads fit");
    says(s, "steps.2.workload.name", "big");
    sim_patch(s, "PodGroup", "ring", "{\"spec\":{\"minMember\":4}}");
    sim_run(s, SPAN_MS(100));
    plan_group(s, "1", "");
    says(s, "steps.1.message", "pod group ring: 3 of 4 members are there");
    sim_patch(s, "PodGroup", "ring", "{\"spec\":{\"minMember\":3}}");
    pod(s, "low", "2", "");
    plan_group(s, "1", "\"priority\":0,");
    says(s, "summary", "0 of 3 workloads fit");
    sim_free(s);
}

TEST(plan, why_a_member_waits)
{
    struct sim *s = story_new(1, 4);
    sim_create(s, "PodGroup",
               "{\"metadata\":{\"name\":\"ring\",\"namespace\":\"default\"},\"spec\":{"
               "\"minMember\":2}}");
    for (uint32_t i = 0; i < 2; i++) {
        char json[512];
        snprintf(json, sizeof json,
                 "{\"metadata\":{\"name\":\"ring-%u\",\"namespace\":\"default\",\"labels\":{"
                 "\"scheduling.x-k8s.io/pod-group\":\"ring\"}},\"spec\":{\"containers\":[{"
                 "\"name\":\"a\",\"image\":\"x\",\"resources\":{\"limits\":{\"cpu\":\"2\","
                 "\"memory\":\"16Mi\"}}}]}}",
                 i);
        sim_create(s, "Pod", json);
    }
    sim_run(s, SPAN_S(1));
    plan(s, "\"why\":{\"kind\":\"Pod\",\"namespace\":\"default\",\"name\":\"ring-1\"}");
    says(s, "steps.0.result", "DoesNotFit");
    says(s, "steps.0.workload.name", "ring-1");
    says(s, "steps.0.message",
         "pod group ring: 1 of 2 members fit, and all of them would not even if every node were "
         "empty; the next: 0 of 1 nodes fit: exclusive cores: 2 wanted, 1 free");
    says(s, "summary", "0 of 1 workloads fit");
    struct str told = sim_field(s, "Pod", "ring-0", "status.conditions.0.message");
    cr_expect(str_starts(told, STR("pod group ring: 1 of 2 members fit, and all of them would not "
                                   "even if every node were empty; ")),
              STR_FMT, STR_ARG(told));
    sim_free(s);
}
