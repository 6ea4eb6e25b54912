/* SPDX-License-Identifier: Apache-2.0 */
/* How much a namespace may hold: refused in the create, told in the quota's status, the same after a restart. */
#include "tests/story/story.h"

#include <stdio.h>

static void quota(struct sim *s, const char *hard)
{
    char json[512];
    snprintf(json, sizeof json,
             "{\"metadata\":{\"name\":\"q\",\"namespace\":\"default\"},\"spec\":{\"hard\":{%s}}}",
             hard);
    sim_create(s, "ResourceQuota", json);
    sim_run(s, SPAN_MS(100));
}

static void used(struct sim *s, const char *name, const char *want)
{
    char path[64];
    snprintf(path, sizeof path, "status.used.%s", name);
    struct str have = sim_field(s, "ResourceQuota", "q", path);
    cr_expect(str_is(have, want), "%s: " STR_FMT, name, STR_ARG(have));
}

static bool was_refused(struct sim *s, const char *text)
{
    struct str all = buf_str(&s->story);
    bool found = all.len > 0 && memmem(all.at, all.len, text, strlen(text)) != NULL;
    buf_clear(&s->story);
    return found;
}

TEST(quota, counts_what_is_there_and_refuses_what_is_too_much)
{
    struct sim *s = story_new(1, 4);
    story_pod(s, "one", "", "Always", "");
    sim_run(s, SPAN_S(1));
    quota(s, "\"pods\":\"2\",\"count/configmaps\":\"1\"");
    used(s, "pods", "1");
    story_pod(s, "two", "", "Always", "");
    story_pod(s, "three", "", "Always", "");
    cr_expect(
        was_refused(s, "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2"));
    sim_run(s, SPAN_S(1));
    used(s, "pods", "2");
    sim_create(s, "ConfigMap", "{\"metadata\":{\"name\":\"c\",\"namespace\":\"default\"}}");
    sim_create(s, "ConfigMap", "{\"metadata\":{\"name\":\"d\",\"namespace\":\"default\"}}");
    cr_expect(was_refused(s, "requested: count/configmaps=1, used: count/configmaps=1, limited:"));
    sim_run(s, SPAN_S(1));
    sim_control_crash(s);
    sim_run(s, SPAN_S(20));
    used(s, "pods", "2");
    used(s, "count/configmaps", "1");
    story_pod(s, "three", "", "Always", "");
    cr_expect(was_refused(s, "exceeded quota: q"));
    sim_delete(s, "Pod", "one", 0);
    sim_delete(s, "ConfigMap", "c", -1);
    sim_run(s, SPAN_S(20));
    used(s, "pods", "1");
    used(s, "count/configmaps", "0");
    story_pod(s, "three", "", "Always", "");
    sim_run(s, SPAN_S(1));
    used(s, "pods", "2");
    sim_delete(s, "ResourceQuota", "q", -1);
    sim_run(s, SPAN_S(1));
    story_pod(s, "four", "", "Always", "");
    cr_expect_not(was_refused(s, "exceeded quota"));
    sim_free(s);
}

static void amounts(struct sim *s, const char *name, const char *resources)
{
    char json[512];
    snprintf(json, sizeof json,
             "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\"},\"spec\":{"
             "\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"a\",\"image\":\"x\","
             "\"args\":[\"rounds=0\"],\"resources\":{%s}}]}}",
             name, resources);
    sim_create(s, "Pod", json);
}

/* A machine and a pod compete for the same amount. */
TEST(quota, amounts_of_pods_and_machines)
{
    struct sim *s = story_new(1, 8);
    quota(s, "\"cpu\":\"3\",\"memory\":\"1Gi\",\"limits.memory\":\"1Gi\"");
    amounts(s, "vague", "\"requests\":{\"cpu\":\"1\"}");
    cr_expect(was_refused(s, "failed quota: q: must specify limits.memory for: a; memory for: "
                             "a"));
    amounts(s, "one",
            "\"requests\":{\"cpu\":\"500m\",\"memory\":\"64Mi\"},"
            "\"limits\":{\"memory\":\"128Mi\"}");
    story_machine(s, "vm", 2, true);
    sim_run(s, SPAN_S(1));
    used(s, "cpu", "2500m");
    used(s, "memory", "128Mi");
    amounts(s, "two",
            "\"requests\":{\"cpu\":\"600m\",\"memory\":\"64Mi\"},"
            "\"limits\":{\"memory\":\"128Mi\"}");
    cr_expect(was_refused(s, "exceeded quota: q, requested: cpu=600m, used: cpu=2500m, "
                             "limited: cpu=3"));
    sim_free(s);
}

static void scoped(struct sim *s, const char *name, const char *spec)
{
    char json[512];
    snprintf(json, sizeof json,
             "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\"},\"spec\":{%s}}", name,
             spec);
    sim_create(s, "ResourceQuota", json);
    sim_run(s, SPAN_MS(100));
}

static void pod_of(struct sim *s, const char *name, const char *spec, const char *resources)
{
    char json[512];
    snprintf(
        json, sizeof json,
        "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\"},\"spec\":{%s\"containers\":[{"
        "\"name\":\"a\",\"image\":\"x\",\"resources\":{%s}}]}}",
        name, spec, resources);
    sim_create(s, "Pod", json);
    sim_run(s, SPAN_MS(20));
}

static void used_of(struct sim *s, const char *quota_name, const char *name, const char *want)
{
    char path[64];
    snprintf(path, sizeof path, "status.used.%s", name);
    sim_run(s, SPAN_MS(100));
    struct str have = sim_field(s, "ResourceQuota", quota_name, path);
    cr_expect(str_is(have, want), "%s %s: " STR_FMT, quota_name, name, STR_ARG(have));
}

/* A quota with scopes counts whom all of them hold for, and asks nobody else. */
TEST(quota, scopes)
{
    struct sim *s = story_new(1, 8);
    scoped(s, "poor", "\"hard\":{\"pods\":\"1\"},\"scopes\":[\"BestEffort\"]");
    scoped(s, "short",
           "\"hard\":{\"pods\":\"1\",\"requests.cpu\":\"1\"},\"scopes\":["
           "\"Terminating\",\"NotBestEffort\"]");
    scoped(s, "important",
           "\"hard\":{\"pods\":\"1\"},\"scopeSelector\":{\"matchExpressions\":[{\"scopeName\":"
           "\"PriorityClass\",\"operator\":\"In\",\"values\":[\"high\",\"higher\"]}]}");
    pod_of(s, "a", "", "");
    pod_of(s, "b", "", "");
    cr_expect(
        was_refused(s, "exceeded quota: poor, requested: pods=1, used: pods=1, limited: pods=1"));
    used_of(s, "poor", "pods", "1");
    used_of(s, "short", "pods", "0");
    pod_of(s, "c", "", "\"requests\":{\"cpu\":\"2\",\"memory\":\"1Mi\"}");
    cr_expect_not(was_refused(s, "exceeded quota"));
    pod_of(s, "d", "\"activeDeadlineSeconds\":60,", "\"requests\":{\"cpu\":\"2\"}");
    cr_expect(was_refused(s, "exceeded quota: short, requested: requests.cpu=2, used: "
                             "requests.cpu=0, limited: requests.cpu=1"));
    pod_of(s, "d", "\"activeDeadlineSeconds\":60,", "\"requests\":{\"cpu\":\"1\"}");
    used_of(s, "short", "requests\\.cpu", "1");
    used_of(s, "short", "pods", "1");
    pod_of(s, "e", "\"priorityClassName\":\"higher\",", "\"requests\":{\"cpu\":\"10m\"}");
    pod_of(s, "f", "\"priorityClassName\":\"low\",", "\"requests\":{\"cpu\":\"10m\"}");
    cr_expect_not(was_refused(s, "exceeded quota"));
    pod_of(s, "g", "\"priorityClassName\":\"high\",", "\"requests\":{\"cpu\":\"10m\"}");
    cr_expect(was_refused(s, "exceeded quota: important"));
    sim_control_crash(s);
    sim_run(s, SPAN_S(20));
    used_of(s, "poor", "pods", "1");
    used_of(s, "important", "pods", "1");
    sim_delete(s, "Pod", "e", 0);
    sim_run(s, SPAN_S(5));
    used_of(s, "important", "pods", "0");
    sim_free(s);
}

/* A plan counts what is there and what it asks for itself, and leaves nothing behind. */
TEST(quota, a_plan_asks_too)
{
    struct sim *s = story_new(1, 8);
    quota(s, "\"pods\":\"3\"");
    story_pod(s, "one", "", "Always", "");
    for (uint32_t i = 0; i < 2; i++) {
        sim_create(s, "Plan",
                   "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"workloads\":[{\"count\":3,\"pod\":{"
                   "\"metadata\":{\"name\":\"new\",\"namespace\":\"default\"},\"spec\":{"
                   "\"containers\":[{\"name\":\"a\",\"image\":\"x\"}]}}}]}}");
        cr_expect(str_is(sim_answer(s, "Plan", "status.summary"), "2 of 3 workloads fit"), STR_FMT,
                  STR_ARG(sim_answer(s, "Plan", "status.summary")));
        cr_expect(str_is(sim_answer(s, "Plan", "status.steps.2.message"),
                         "exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3"));
    }
    story_pod(s, "two", "", "Always", "");
    story_pod(s, "three", "", "Always", "");
    cr_expect_not(was_refused(s, "exceeded"));
    sim_free(s);
}

TEST(quota, a_name_that_is_taken_takes_nothing)
{
    struct sim *s = story_new(1, 4);
    quota(s, "\"pods\":\"1\"");
    for (int i = 0; i < 3; i++) {
        story_pod(s, "one", "", "Always", "");
        cr_expect_eq(was_refused(s, "already exists"), i > 0);
        sim_run(s, SPAN_MS(200));
    }
    sim_delete(s, "Pod", "one", 0);
    sim_run(s, SPAN_S(20));
    used(s, "pods", "0");
    story_pod(s, "two", "", "Always", "");
    sim_run(s, SPAN_MS(200));
    used(s, "pods", "1");
    sim_patch(s, "ResourceQuota", "q",
              "{\"spec\":{\"hard\":{\"pods\":\"2\",\"configmaps\":\"4\"}}}");
    sim_run(s, SPAN_MS(200));
    used(s, "configmaps", "0");
    story_pod(s, "three", "", "Always", "");
    cr_expect_not(was_refused(s, "exceeded"));
    sim_free(s);
}

static void machine_of(struct sim *s, const char *name, const char *limits)
{
    char json[512];
    snprintf(json, sizeof json,
             "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\"},\"spec\":{\"domain\":{"
             "\"memory\":{\"guest\":\"64Mi\"},\"resources\":{\"limits\":{%s}},\"devices\":{}}}}",
             name, limits);
    sim_create(s, "VirtualMachineInstance", json);
    sim_run(s, SPAN_MS(100));
}

/* Neither more than a number holds nor less than nothing gives a namespace more than it may have. */
TEST(quota, amounts_beyond_all_bounds_give_nothing)
{
    static const char *const more =
        "\"limits\":{\"memory\":\"8191Pi\",\"ephemeral-storage\":\"1\"}}},{"
        "\"name\":\"b\",\"image\":\"x\",\"resources\":{\"limits\":{"
        "\"memory\":\"8191Pi\"}";
    struct sim *s = story_new(1, 8);
    quota(s, "\"memory\":\"1Gi\",\"limits.memory\":\"1Gi\",\"requests.ephemeral-storage\":\"1Gi\"");
    pod_of(s, "sum", "", more);
    cr_expect(was_refused(s, "exceeded quota: q"));
    amounts(s, "one", "\"requests\":{\"memory\":\"64Mi\"},\"limits\":{\"memory\":\"8191Pi\"}");
    cr_expect(was_refused(s, "exceeded quota: q"));
    amounts(s, "two", "\"requests\":{\"memory\":\"64Mi\"},\"limits\":{\"memory\":\"64Mi\"}");
    amounts(s, "three",
            "\"requests\":{\"memory\":\"64Mi\",\"ephemeral-storage\":\"8191Pi\"},"
            "\"limits\":{\"memory\":\"64Mi\",\"ephemeral-storage\":\"8191Pi\"}");
    cr_expect(was_refused(s, "exceeded quota: q"));
    machine_of(s, "v", "\"memory\":\"-4Gi\"");
    used(s, "limits\\.memory", "64Mi"); /* Stored before there was a rule against it. */
    used(s, "memory", "128Mi");
    sim_free(s);
}
