/* SPDX-License-Identifier: Apache-2.0 */
/* What of a workload's wishes reaches the one search, told by what a client sees. */
#include "tests/story/story.h"

#include <stdio.h>

enum { STAMP_LEN = 12 }; /* "[   1000ms] " */

/* Only what the API says of workloads and nodes: the agent's part is told elsewhere. */
static void api_is(struct sim *s, const char *expected)
{
    struct buf told;
    struct str rest = buf_str(&s->story), line;
    buf_init(&told, SIM_STORY_MAX);
    while (rest.at != NULL && rest.len > 0 && str_split(&rest, '\n', &line))
        if (str_starts(str_slice(line, STAMP_LEN, line.len), STR("api ")))
            buf_printf(&told, STR_FMT "\n", STR_ARG(line));
    struct str have = buf_str(&told);
    if (!str_is(have, expected))
        fprintf(stderr, "the story is:\n" STR_FMT, STR_ARG(have));
    cr_expect(str_is(have, expected), "the story is another one");
    buf_clear(&s->story);
    buf_free(&told);
}

static void pod_with(struct sim *s, const char *name, const char *cpu, const char *more)
{
    char json[1024];
    snprintf(json, sizeof json,
             "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\"},\"spec\":{%s"
             "\"restartPolicy\":\"Always\",\"terminationGracePeriodSeconds\":2,\"containers\":[{"
             "\"name\":\"a\",\"image\":\"x\",\"resources\":{\"requests\":{\"cpu\":\"%s\","
             "\"memory\":\"16Mi\"},\"limits\":{\"cpu\":\"%s\",\"memory\":\"16Mi\"}}}]}}",
             name, more, cpu, cpu);
    sim_create(s, "Pod", json);
}

static bool has_condition(struct sim *s, const char *pod, const char *type, const char *reason)
{
    char path[64];
    for (uint32_t i = 0;; i++) {
        snprintf(path, sizeof path, "status.conditions.%u.type", i);
        struct str have = sim_field(s, "Pod", pod, path);
        if (have.len == 0)
            return false;
        bool same = str_is(have, type);
        snprintf(path, sizeof path, "status.conditions.%u.reason", i);
        if (same)
            return str_is(sim_field(s, "Pod", pod, path), reason);
    }
}

/* A gated pod is not looked at; without gates it is placed like any other. */
TEST(placing, gates)
{
    struct sim *s = story_new(1, 3);
    pod_with(s, "web", "1",
             "\"schedulingGates\":[{\"name\":\"example.com/a\"},{\"name\":\"example.com/b\"}],");
    sim_run(s, SPAN_S(1));
    cr_expect(str_is(sim_field(s, "Pod", "web", "status.conditions.0.reason"), "SchedulingGated"));
    sim_patch(s, "Pod", "web", "{\"spec\":{\"schedulingGates\":[{\"name\":\"example.com/b\"}]}}");
    sim_run(s, SPAN_S(1));
    sim_patch(s, "Pod", "web", "{\"spec\":{\"schedulingGates\":null}}");
    sim_run(s, SPAN_S(1));
    api_is(
        s,
        "[   1000ms] api pod web Pending: Scheduling is blocked due to non-empty scheduling gates\n"
        "[   2000ms] api pod web Pending: Scheduling is blocked due to non-empty scheduling gates\n"
        "[   3000ms] api pod web Pending: Scheduling is blocked due to non-empty scheduling gates\n"
        "[   3000ms] api pod web Pending\n"
        "[   3042ms] api pod web Running\n");
    sim_free(s);
}

/* Cordoned, tainted, without the label: each in Kubernetes' words; each wakes when it is mended. */
TEST(placing, rules_about_nodes)
{
    struct sim *s = story_new(1, 4);
    sim_patch(s, "Node", "n0",
              "{\"spec\":{\"unschedulable\":true,\"taints\":[{\"key\":\"example.com/t\","
              "\"effect\":\"NoSchedule\"}]}}");
    pod_with(s, "web", "1", "\"nodeSelector\":{\"disk\":\"fast\"},");
    sim_run(s, SPAN_S(1));
    sim_patch(s, "Node", "n0", "{\"spec\":{\"unschedulable\":null}}");
    sim_run(s, SPAN_S(1));
    sim_patch(s, "Node", "n0", "{\"spec\":{\"taints\":null}}");
    sim_run(s, SPAN_S(1));
    sim_patch(s, "Node", "n0", "{\"metadata\":{\"labels\":{\"disk\":\"fast\"}}}");
    sim_run(s, SPAN_S(1));
    api_is(s, "[   1000ms] api node n0 Ready=True\n"
              "[   1000ms] api pod web Pending: 0 of 1 nodes fit: 1 node(s) didn't match Pod's "
              "node affinity/selector (disk=fast)\n"
              "[   1100ms] api pod web Pending: 0 of 1 nodes fit: 1 node(s) were unschedulable\n"
              "[   2000ms] api node n0 Ready=True\n"
              "[   2000ms] api pod web Pending: 0 of 1 nodes fit: 1 node(s) had untolerated taint "
              "{example.com/t: }\n"
              "[   3000ms] api node n0 Ready=True\n"
              "[   3000ms] api pod web Pending: 0 of 1 nodes fit: 1 node(s) didn't match Pod's "
              "node affinity/selector (disk=fast)\n"
              "[   4000ms] api node n0 Ready=True\n"
              "[   4000ms] api pod web Pending\n"
              "[   4042ms] api pod web Running\n");
    sim_free(s);
}

/* The lower one is told, leaves with its own grace, and its rows are nobody else's until the one they
 * were promised to has them: a newcomer in between waits. */
TEST(placing, preemption)
{
    struct sim *s = story_new(1, 2);
    pod_with(s, "low", "1", "\"priority\":1,");
    sim_run(s, SPAN_S(1));
    pod_with(s, "high", "1", "\"priority\":100,");
    sim_run(s, SPAN_MS(20));
    cr_expect(str_is(sim_field(s, "Pod", "high", "status.nominatedNodeName"), "n0"));
    cr_expect(has_condition(s, "low", "DisruptionTarget", "PreemptionByScheduler"));
    cr_expect_not_null(strstr(sim_events(s, "low"),
                              "Normal Preempted x1: Preempted by pod default/high on node n0\n"));
    pod_with(s, "other", "1", "\"priority\":100,");
    sim_run(s, SPAN_S(5));
    cr_expect(str_is(sim_field(s, "Pod", "high", "status.nominatedNodeName"), ""));
    api_is(
        s,
        "[   1000ms] api pod low Pending\n"
        "[   1042ms] api pod low Running\n"
        "[   2000ms] api pod high Pending: 0 of 1 nodes fit: exclusive cores: 1 wanted, 0 free\n"
        "[   2000ms] api pod high Pending: 0 of 1 nodes fit: exclusive cores: 1 wanted, 0 free; 1 "
        "workloads of lower priority were asked to leave node n0\n"
        "[   2000ms] api pod low Running leaving\n"
        "[   2020ms] api pod other Pending: 0 of 1 nodes fit: exclusive cores: 1 wanted, 0 free\n"
        "[   2023ms] api pod low Running leaving\n"
        "[   2037ms] api pod low deleted\n"
        "[   2037ms] api pod high Pending\n"
        "[   2079ms] api pod high Running\n");
    sim_free(s);
}

/* Two leave for one; the rows of the first are kept until the second has left, too. */
TEST(placing, rows_are_kept_until_the_last_victim_is_gone)
{
    struct sim *s = story_new(1, 3);
    pod_with(s, "a", "1", "");
    pod_with(s, "b", "1", "");
    sim_run(s, SPAN_S(1));
    sim_delete(s, "Pod", "a", -1);
    sim_run(s, SPAN_MS(5)); /* b leaves later than a. */
    buf_clear(&s->story);
    pod_with(s, "high", "2", "\"priority\":100,");
    pod_with(s, "small", "1", "");
    sim_run(s, SPAN_S(5));
    api_is(
        s,
        "[   2005ms] api pod high Pending: 0 of 1 nodes fit: exclusive cores: 2 wanted, 0 free\n"
        "[   2005ms] api pod small Pending: 0 of 1 nodes fit: exclusive cores: 1 wanted, 0 free\n"
        "[   2005ms] api pod high Pending: 0 of 1 nodes fit: exclusive cores: 2 wanted, 0 free; 2 "
        "workloads of lower priority were asked to leave node n0\n"
        "[   2005ms] api pod b Running leaving\n"
        "[   2023ms] api pod a Running leaving\n"
        "[   2028ms] api pod b Running leaving\n"
        "[   2037ms] api pod a deleted\n"
        "[   2042ms] api pod b deleted\n"
        "[   2042ms] api pod high Pending\n"
        "[   2084ms] api pod high Running\n");
    sim_free(s);
}

TEST(placing, who_never_preempts_waits)
{
    struct sim *s = story_new(1, 2);
    pod_with(s, "low", "1", "");
    sim_run(s, SPAN_S(1));
    buf_clear(&s->story);
    pod_with(s, "polite", "1", "\"priority\":100,\"preemptionPolicy\":\"Never\",");
    sim_run(s, SPAN_S(5));
    api_is(s, "[   2000ms] api pod polite Pending: 0 of 1 nodes fit: exclusive cores: 1 wanted, 0 "
              "free\n");
    sim_free(s);
}

/* The control plane dies while the victim leaves: the promise is forgotten, the outcome is the same. */
TEST(placing, preemption_across_a_restart)
{
    struct sim *s = story_new(1, 2);
    pod_with(s, "low", "1", "\"priority\":1,");
    sim_run(s, SPAN_S(1));
    pod_with(s, "high", "1", "\"priority\":100,");
    sim_run(s, SPAN_MS(15));
    sim_control_crash(s);
    sim_run(s, SPAN_S(20));
    cr_expect(str_is(sim_field(s, "Pod", "high", "status.phase"), "Running"));
    cr_expect(str_is(sim_field(s, "Pod", "low", "status.phase"), ""), "it is gone");
    sim_free(s);
}

/* One namespace with many does not keep out another with few: rows go round. */
TEST(placing, fair_between_namespaces)
{
    struct sim *s = story_new(1, 2);
    char name[16];
    pod_with(s, "first", "1", "");
    for (uint32_t i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "many-%u", i);
        pod_with(s, name, "1", "");
    }
    sim_run(s, SPAN_S(2));
    buf_clear(&s->story);
    sim_delete(s, "Pod", "first", -1);
    sim_run(s, SPAN_S(5));
    sim_delete(s, "Pod", "many-0", -1);
    sim_run(s, SPAN_S(5));
    api_is(s, "[   3000ms] api pod first Running leaving\n"
              "[   3023ms] api pod first Running leaving\n"
              "[   3037ms] api pod first deleted\n"
              "[   3037ms] api pod many-0 Pending\n"
              "[   3079ms] api pod many-0 Running\n"
              "[   8000ms] api pod many-0 Running leaving\n"
              "[   8023ms] api pod many-0 Running leaving\n"
              "[   8037ms] api pod many-0 deleted\n"
              "[   8037ms] api pod many-1 Pending\n"
              "[   8079ms] api pod many-1 Running\n");
    sim_free(s);
}

static void member(struct sim *s, const char *name, const char *cpu)
{
    char json[512];
    snprintf(json, sizeof json,
             "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\",\"labels\":{"
             "\"scheduling.x-k8s.io/pod-group\":\"job\"}},\"spec\":{\"restartPolicy\":\"Always\","
             "\"containers\":[{\"name\":\"a\",\"image\":\"x\",\"resources\":{\"limits\":{"
             "\"cpu\":\"%s\",\"memory\":\"16Mi\"}}}]}}",
             name, cpu);
    sim_create(s, "Pod", json);
}

/* Together or not at all: not before all are there, and not while one of them finds no place; nobody's
 * rows are held meanwhile. */
TEST(placing, a_gang)
{
    struct sim *s = story_new(2, 3);
    pod_with(s, "first", "2", "");
    sim_run(s, SPAN_S(1));
    buf_clear(&s->story);
    member(s, "job-1", "1");
    sim_run(s, SPAN_S(1));
    sim_create(s, "PodGroup",
               "{\"metadata\":{\"name\":\"job\",\"namespace\":\"default\"},\"spec\":{"
               "\"minMember\":3}}");
    sim_run(s, SPAN_S(1));
    member(s, "job-2", "1");
    member(s, "job-3", "1");
    sim_run(s, SPAN_S(1));
    cr_expect(str_is(sim_field(s, "Placement", "pods.job-1", "spec.node"), ""));
    sim_delete(s, "Pod", "first", -1);
    sim_run(s, SPAN_S(5));
    api_is(s, "[   2000ms] api pod job-1 Pending: waits for its pod group job\n"
              "[   2000ms] api pod job-1 Pending: its pod group job is not there\n"
              "[   3000ms] api pod job-1 Pending: pod group job: 1 of 3 members are there\n"
              "[   4000ms] api pod job-2 Pending: waits for its pod group job\n"
              "[   4000ms] api pod job-3 Pending: waits for its pod group job\n"
              "[   4000ms] api pod job-1 Pending: pod group job: 2 of 3 members fit; the next: 0 "
              "of 2 nodes fit: 2 exclusive cores: 1 wanted, at most 0 free\n"
              "[   4000ms] api pod job-2 Pending: pod group job: 2 of 3 members fit; the next: 0 "
              "of 2 nodes fit: 2 exclusive cores: 1 wanted, at most 0 free\n"
              "[   4000ms] api pod job-3 Pending: pod group job: 2 of 3 members fit; the next: 0 "
              "of 2 nodes fit: 2 exclusive cores: 1 wanted, at most 0 free\n"
              "[   5000ms] api pod first Running leaving\n"
              "[   5023ms] api pod first Running leaving\n"
              "[   5037ms] api pod first deleted\n"
              "[   5037ms] api pod job-1 Pending\n"
              "[   5037ms] api pod job-2 Pending\n"
              "[   5037ms] api pod job-3 Pending\n"
              "[   5079ms] api pod job-1 Running\n"
              "[   5079ms] api pod job-3 Running\n"
              "[   5080ms] api pod job-2 Running\n");
    sim_free(s);
}

/* The control plane dies at every moment of the decision: a gang is never there in part. */
TEST(placing, a_gang_is_one_transaction)
{
    for (int ms = 0; ms < 12; ms++) {
        struct sim *s = story_new(1, 4);
        sim_create(s, "PodGroup",
                   "{\"metadata\":{\"name\":\"job\",\"namespace\":\"default\"},\"spec\":{"
                   "\"minMember\":3}}");
        for (uint32_t i = 0; i < 3; i++) {
            char name[8];
            snprintf(name, sizeof name, "job-%u", i);
            member(s, name, "1");
        }
        sim_run(s, SPAN_MS(ms));
        sim_control_crash(s);
        sim_run(s, SPAN_MS(501));
        uint32_t placed = 0, there = 0;
        for (uint32_t i = 0; i < 3; i++) {
            char pod[8], placement[16];
            snprintf(pod, sizeof pod, "job-%u", i);
            snprintf(placement, sizeof placement, "pods.job-%u", i);
            there += sim_field(s, "Pod", pod, "metadata.name").len > 0;
            placed += sim_field(s, "Placement", placement, "spec.node").len > 0;
        }
        cr_expect(placed == 0 || placed == 3, "killed after %d ms: %u of 3", ms, placed);
        cr_expect(ms < 5 || there == 3, "killed after %d ms: %u were told of", ms, there);
        sim_free(s);
    }
}

static void group(struct sim *s, uint32_t least)
{
    char json[256];
    snprintf(
        json, sizeof json,
        "{\"metadata\":{\"name\":\"job\",\"namespace\":\"default\"},\"spec\":{\"minMember\":%u}}",
        least);
    sim_create(s, "PodGroup", json);
}

static void urgent_member(struct sim *s, const char *name, const char *cpu, const char *spec)
{
    char json[1024];
    snprintf(json, sizeof json,
             "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\",\"labels\":{"
             "\"scheduling.x-k8s.io/pod-group\":\"job\"}},\"spec\":{%s\"priority\":100,"
             "\"containers\":[{\"name\":\"a\",\"image\":\"x\",\"resources\":{\"limits\":{"
             "\"cpu\":\"%s\",\"memory\":\"16Mi\"}}}]}}",
             name, spec, cpu);
    sim_create(s, "Pod", json);
}

static uint32_t running(struct sim *s, const char *prefix, uint32_t count)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        char name[24];
        snprintf(name, sizeof name, "%s-%u", prefix, i);
        n += str_is(sim_field(s, "Pod", name, "status.phase"), "Running");
    }
    return n;
}

static void four_low_ones(struct sim *s)
{
    for (uint32_t i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof name, "low-%u", i);
        pod_with(s, name, "1", "\"priority\":1,");
    }
    sim_run(s, SPAN_S(1));
    cr_assert_eq(running(s, "low", 4), 4);
}

/* One decision for all of it: two have to leave for three members, one core is free already, and is kept as well. Who comes
 * meanwhile, as important as the gang, waits. */
TEST(placing, a_gang_preempts)
{
    struct sim *s = story_new(2, 4); /* Six cores that may be exclusive. */
    four_low_ones(s);
    pod_with(s, "equal-0", "1", "\"priority\":100,");
    sim_run(s, SPAN_S(1));
    group(s, 3);
    for (uint32_t i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "job-%u", i);
        urgent_member(s, name, "1", "");
    }
    sim_run(s, SPAN_MS(10));
    cr_expect_eq(running(s, "job", 3), 0);
    struct str why = sim_field(s, "Pod", "job-1", "status.message");
    cr_expect(memmem(why.at, why.len, "2 workloads of lower priority were asked to leave", 49) !=
                  NULL,
              STR_FMT, STR_ARG(why));
    pod_with(s, "late", "1", "\"priority\":100,"); /* The free core is nobody else's now. */
    sim_run(s, SPAN_MS(5));
    cr_expect_eq(sim_field(s, "Placement", "pods.late", "spec.node").len, 0);
    sim_run(s, SPAN_S(5));
    cr_expect_eq(running(s, "job", 3), 3);
    uint32_t low = running(s, "low", 4);
    cr_expect(str_is(sim_field(s, "Pod", "late", "status.phase"), "Running"),
              "a third left for the late one");
    cr_expect_eq(low, 1);
    cr_expect_not_null(strstr(sim_events(s, "low-0"), "by pod group default/job"), "%s",
                       sim_events(s, "low-0"));
    sim_free(s);
}

/* Six members find no place even without all lower ones: nobody leaves. And nobody leaves for one who never preempts, nor for
 * the others of its gang. */
TEST(placing, a_gang_preempts_for_all_or_for_none)
{
    for (uint32_t polite = 0; polite < 2; polite++) {
        struct sim *s = story_new(2, 4);
        uint32_t members = polite == 1 ? 3 : 6;
        four_low_ones(s);
        pod_with(s, "equal-0", "1", "\"priority\":100,");
        sim_run(s, SPAN_S(1));
        group(s, members);
        for (uint32_t i = 0; i < members; i++) {
            char name[16];
            snprintf(name, sizeof name, "job-%u", i);
            urgent_member(s, name, "1",
                          polite == 1 && i == 1 ? "\"preemptionPolicy\":\"Never\"," : "");
        }
        sim_run(s, SPAN_S(20));
        cr_expect_eq(running(s, "low", 4), 4);
        cr_expect_eq(running(s, "job", members), 0);
        pod_with(s, "other", "1", "");
        sim_run(s, SPAN_S(1));
        cr_expect(str_is(sim_field(s, "Pod", "other", "status.phase"), "Running"));
        sim_free(s);
    }
}

/* The gang goes before its victims do: what was kept for it is everybody's again. */
TEST(placing, a_gang_that_goes_keeps_nothing)
{
    for (uint32_t how = 0; how < 3; how++) {
        struct sim *s = story_new(2, 4);
        four_low_ones(s);
        group(s, 2);
        urgent_member(s, "job-0", "2", "");
        urgent_member(s, "job-1", "2", "");
        sim_run(s, SPAN_MS(12));
        if (how == 0)
            sim_delete(s, "PodGroup", "job", -1);
        for (uint32_t i = 0; i < 2 && how == 1; i++)
            sim_delete(s, "Pod", i == 0 ? "job-0" : "job-1", 0);
        if (how == 2)
            sim_control_crash(s);
        sim_run(s, SPAN_S(20));
        cr_expect_eq(running(s, "job", 2), how == 2 ? 2 : 0);
        for (uint32_t i = 0; i < 6; i++) {
            char name[16];
            snprintf(name, sizeof name, "new-%u", i);
            pod_with(s, name, "1", "");
        }
        sim_run(s, SPAN_S(2));
        uint32_t free = 6 - running(s, "low", 4) - 2 * running(s, "job", 2);
        cr_expect_eq(running(s, "new", 6), free, "%u of %u", running(s, "new", 6), free);
        sim_free(s);
    }
}

static void labelled(struct sim *s, const char *name, const char *app, const char *node,
                     const char *affinity)
{
    char json[1024];
    snprintf(
        json, sizeof json,
        "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\",\"labels\":{\"app\":\"%s\"}},"
        "\"spec\":{%s%s%s%s\"containers\":[{\"name\":\"a\",\"image\":\"x\"}]}}",
        name, app, node[0] == '\0' ? "" : "\"nodeSelector\":{\"kubernetes.io/hostname\":\"", node,
        node[0] == '\0' ? "" : "\"},", affinity);
    sim_create(s, "Pod", json);
    sim_run(s, SPAN_MS(100));
}

static void team(struct sim *s, const char *name)
{
    char json[128];
    snprintf(json, sizeof json, "{\"metadata\":{\"labels\":{\"team\":\"%s\"}}}", name);
    sim_patch(s, "Namespace", "default", json);
    sim_run(s, SPAN_S(2));
}

static bool is_placed(struct sim *s, const char *pod)
{
    char name[64];
    snprintf(name, sizeof name, "pods.%s", pod);
    return sim_field(s, "Placement", name, "spec.node").len > 0;
}

#define NEAR(app, team)                                                                            \
    "\"affinity\":{\"podAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":[{"         \
    "\"labelSelector\":{\"matchLabels\":{\"app\":\"" app "\"}},\"namespaceSelector\":{"            \
    "\"matchLabels\":{\"team\":\"" team "\"}},\"topologyKey\":\"kubernetes.io/hostname\"}]}},"
#define APART(app, team)                                                                           \
    "\"affinity\":{\"podAntiAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":[{"     \
    "\"labelSelector\":{\"matchLabels\":{\"app\":\"" app "\"}},\"namespaceSelector\":{"            \
    "\"matchLabels\":{\"team\":\"" team "\"}},\"topologyKey\":\"kubernetes.io/hostname\"}]}},"

/* Who waits and who stands: both mean what the labels say now, after a restart too. */
TEST(placing, namespaces_by_their_labels)
{
    struct sim *s = story_new(2, 4);
    labelled(s, "db", "db", "n1", "");
    labelled(s, "web", "web", "", NEAR("db", "a"));
    labelled(s, "lonely", "lonely", "n0", APART("noisy", "b"));
    cr_expect_not(is_placed(s, "web"));
    cr_expect(is_placed(s, "lonely"));
    team(s, "a");
    cr_expect(str_is(sim_field(s, "Placement", "pods.web", "spec.node"), "n1"));
    labelled(s, "noisy-1", "noisy", "n0", "");
    cr_expect(is_placed(s, "noisy-1"), "of another team");
    sim_delete(s, "Pod", "noisy-1", 0);
    for (uint32_t round = 0; round < 2; round++) {
        team(s, "b");
        labelled(s, "noisy-2", "noisy", "n0", "");
        cr_expect_not(is_placed(s, "noisy-2"), "lonely's term means its namespace now");
        team(s, "c");
        sim_run(s, SPAN_S(12));
        cr_expect(is_placed(s, "noisy-2"));
        sim_delete(s, "Pod", "noisy-2", 0);
        sim_run(s, SPAN_S(1));
        sim_control_crash(s);
        sim_run(s, SPAN_S(20));
    }
    cr_expect(str_is(sim_field(s, "Pod", "web",
                               "spec.affinity.podAffinity."
                               "requiredDuringSchedulingIgnoredDuringExecution.0."
                               "namespaceSelector.matchLabels.team"),
                     "a"));
    sim_free(s);
}

/* A standing workload's own labels. */
TEST(placing, labels_of_who_stands)
{
    struct sim *s = story_new(2, 4);
    team(s, "a");
    labelled(s, "db", "db", "n1", "");
    sim_patch(s, "Pod", "db", "{\"metadata\":{\"labels\":{\"app\":\"old\"}}}");
    sim_run(s, SPAN_MS(100));
    labelled(s, "web", "web", "", NEAR("db", "a"));
    cr_expect_not(is_placed(s, "web"));
    sim_patch(s, "Pod", "db", "{\"metadata\":{\"labels\":{\"app\":\"db\"}}}");
    sim_run(s, SPAN_S(12));
    cr_expect(str_is(sim_field(s, "Placement", "pods.web", "spec.node"), "n1"));
    sim_free(s);
}

/* Near its own kind, which stands where no core is free; then the last of them leaves, and gives back nothing that was
 * short: the one that waits may be the first of its kind elsewhere, and is told. */
TEST(placing, the_last_of_a_kind_leaves)
{
    struct sim *s = story_new(2, 2);
    sim_patch(s, "Node", "n0", "{\"metadata\":{\"labels\":{\"zone\":\"z1\"}}}");
    sim_patch(s, "Node", "n1", "{\"metadata\":{\"labels\":{\"zone\":\"z2\"}}}");
    pod_with(s, "full", "1", "\"nodeSelector\":{\"zone\":\"z1\"},");
    sim_create(
        s, "Pod",
        "{\"metadata\":{\"name\":\"one\",\"namespace\":\"default\",\"labels\":{\"app\":\"a\"}},"
        "\"spec\":{\"nodeSelector\":{\"zone\":\"z1\"},\"terminationGracePeriodSeconds\":2,"
        "\"hostNetwork\":true,\"containers\":[{\"name\":\"a\",\"image\":\"x\"}]}}");
    sim_run(s, SPAN_S(1));
    sim_create(
        s, "Pod",
        "{\"metadata\":{\"name\":\"near\",\"namespace\":\"default\",\"labels\":{\"app\":\"a\"}},"
        "\"spec\":{\"affinity\":{\"podAffinity\":{"
        "\"requiredDuringSchedulingIgnoredDuringExecution\":[{\"topologyKey\":\"zone\","
        "\"labelSelector\":{\"matchLabels\":{\"app\":\"a\"}}}]}},\"containers\":[{\"name\":\"a\","
        "\"image\":\"x\",\"resources\":{\"limits\":{\"cpu\":\"1\",\"memory\":\"16Mi\"}}}]}}");
    sim_run(s, SPAN_S(30));
    cr_expect(str_is(sim_field(s, "Pod", "near", "spec.nodeName"), ""));
    sim_delete(s, "Pod", "one", -1);
    sim_run(s, SPAN_S(30));
    cr_expect(str_is(sim_field(s, "Pod", "near", "spec.nodeName"), "n1"));
    sim_free(s);
}

#define SPREAD                                                                                     \
    "\"topologySpreadConstraints\":[{\"maxSkew\":1,\"topologyKey\":\"kubernetes.io/hostname\","    \
    "\"whenUnsatisfiable\":\"DoNotSchedule\",\"labelSelector\":{\"matchLabels\":{\"app\":\"a\"}}}" \
    "],"

/* The next one of a row that is replaced one by one goes where the former one is on its way out, as Kubernetes counts; so it
 * does when the control plane begins anew meanwhile. */
TEST(placing, spreading_counts_nobody_who_leaves)
{
    for (uint32_t restart = 0; restart < 2; restart++) {
        struct sim *s = story_new(3, 4);
        labelled(s, "a-1", "a", "", SPREAD);
        labelled(s, "a-2", "a", "", SPREAD);
        labelled(s, "a-3", "a", "", SPREAD);
        char node[16], was[16];
        struct str at = sim_field(s, "Placement", "pods.a-1", "spec.node");
        snprintf(was, sizeof was, STR_FMT, STR_ARG(at));
        for (uint32_t n = 0; n < 3; n++) { /* The others are fuller, and would be preferred. */
            char filler[] = "filler-0", name[] = "n0", rule[96];
            filler[7] = name[1] = (char)('0' + n);
            snprintf(rule, sizeof rule, "\"nodeSelector\":{\"kubernetes.io/hostname\":\"%s\"},",
                     name);
            if (strcmp(name, was) != 0)
                pod_with(s, filler, "1", rule);
        }
        sim_cut(s, (uint32_t)(was[1] - '0'), true); /* It leaves for as long as we like. */
        sim_delete(s, "Pod", "a-1", -1);
        sim_run(s, SPAN_MS(100));
        if (restart == 1) {
            sim_control_crash(s);
            sim_run(s, SPAN_S(2));
        }
        labelled(s, "a-4", "a", "", SPREAD);
        at = sim_field(s, "Placement", "pods.a-4", "spec.node");
        snprintf(node, sizeof node, STR_FMT, STR_ARG(at));
        cr_expect_str_eq(node, was);
        cr_expect(str_is(sim_field(s, "Placement", "pods.a-1", "spec.node"), was), "its rows stay");
        sim_free(s);
    }
}

/* A machine names its class; the class's value decides. */
TEST(placing, a_machine_of_a_priority_class_preempts)
{
    struct sim *s = story_new(1, 2);
    pod_with(s, "low", "1", "");
    sim_create(s, "PriorityClass", "{\"metadata\":{\"name\":\"high\"},\"value\":1000}");
    sim_run(s, SPAN_S(1));
    sim_create(s, "VirtualMachineInstance",
               "{\"metadata\":{\"name\":\"vm\",\"namespace\":\"default\"},\"spec\":{"
               "\"priorityClassName\":\"high\",\"domain\":{\"cpu\":{\"cores\":1,"
               "\"dedicatedCpuPlacement\":true},\"memory\":{\"guest\":\"64Mi\"},\"devices\":{}}}}");
    sim_run(s, SPAN_S(1));
    cr_expect(str_is(sim_field(s, "Placement", "virtualmachineinstances.vm", "spec.node"), "n0"));
    cr_expect(str_is(sim_field(s, "PriorityClass", "system-node-critical", "value"), "2000001000"));
    sim_free(s);
}
