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
              "node affinity/selector\n"
              "[   1000ms] api pod web Pending: 0 of 1 nodes fit: 1 node(s) were unschedulable\n"
              "[   2000ms] api node n0 Ready=True\n"
              "[   2000ms] api pod web Pending: 0 of 1 nodes fit: 1 node(s) had untolerated taint "
              "{example.com/t}\n"
              "[   3000ms] api node n0 Ready=True\n"
              "[   3000ms] api pod web Pending: 0 of 1 nodes fit: 1 node(s) didn't match Pod's "
              "node affinity/selector\n"
              "[   4000ms] api node n0 Ready=True\n"
              "[   4000ms] api pod web Pending\n"
              "[   4042ms] api pod web Running\n");
    sim_free(s);
}
