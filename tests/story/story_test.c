/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/story/story.h"

#include <stdio.h>

/* Two durable writes for the start: "Pending" with its Placement, "Running". */
TEST(story, a_pod_from_create_to_delete)
{
    struct sim *s = story_new(1, 2);
    story_pod(s, "web", "", "Always", "");
    sim_run(s, SPAN_S(5));
    story_is(s, "[   1000ms] api pod web Pending\n"
                "[   1001ms] n0 web SAVING\n"
                "[   1002ms] n0 web NETWORK\n"
                "[   1004ms] n0 web VOLUMES\n"
                "[   1005ms] n0 web POOL\n"
                "[   1005ms] n0 web RUNNING\n"
                "[   1005ms] n0 web/a IMAGE\n"
                "[   1025ms] n0 web/a CREATING\n"
                "[   1035ms] n0 web/a STARTING\n"
                "[   1040ms] n0 web/a RUNNING\n"
                "[   1041ms] api pod web Running\n");
    sim_delete(s, "Pod", "web", -1);
    sim_run(s, SPAN_S(5));
    story_is(s, "[   6000ms] api pod web Running leaving\n"
                "[   6001ms] n0 web STOPPING\n"
                "[   6001ms] n0 web/a STOPPING\n"
                "[   6022ms] n0 web/a SAVING\n"
                "[   6023ms] n0 web/a CLEARING\n"
                "[   6023ms] api pod web Running leaving\n"
                "[   6033ms] n0 web/a ENDED\n"
                "[   6033ms] n0 web CLEANING\n"
                "[   6035ms] n0 web FORGETTING\n"
                "[   6036ms] n0 web GONE\n"
                "[   6037ms] api pod web deleted\n");
    sim_free(s);
}

/* The only core that may be exclusive is taken: the next one waits, says why, and gets it later. */
TEST(story, a_full_node)
{
    struct sim *s = story_new(1, 2);
    story_machine(s, "vm", 1, true);
    sim_run(s, SPAN_S(2));
    story_pod(s, "next", "1", "Always", "");
    sim_run(s, SPAN_S(2));
    story_is(
        s,
        "[   1000ms] api vmi vm Scheduled\n"
        "[   1001ms] n0 vm SAVING\n"
        "[   1002ms] n0 vm NETWORK\n"
        "[   1004ms] n0 vm VOLUMES\n"
        "[   1005ms] n0 vm POOL\n"
        "[   1006ms] n0 vm RUNNING\n"
        "[   1006ms] n0 vm/guest IMAGE\n"
        "[   1026ms] n0 vm/guest CREATING\n"
        "[   1036ms] n0 vm/guest STARTING\n"
        "[   1041ms] n0 vm/guest RUNNING\n"
        "[   1042ms] api vmi vm Running\n"
        "[   3000ms] api pod next Pending: 0 of 1 nodes fit: exclusive cores: 1 wanted, 0 free\n");
    sim_delete(s, "VirtualMachineInstance", "vm", -1);
    sim_run(s, SPAN_S(2));
    story_is(s, "[   5000ms] api vmi vm Running\n"
                "[   5001ms] n0 vm STOPPING\n"
                "[   5001ms] n0 vm/guest STOPPING\n"
                "[   5022ms] n0 vm/guest SAVING\n"
                "[   5023ms] n0 vm/guest CLEARING\n"
                "[   5023ms] api vmi vm Running\n"
                "[   5033ms] n0 vm/guest ENDED\n"
                "[   5033ms] n0 vm CLEANING\n"
                "[   5035ms] n0 vm FORGETTING\n"
                "[   5036ms] n0 vm GONE\n"
                "[   5037ms] api vmi vm deleted\n"
                "[   5037ms] api pod next Pending\n"
                "[   5038ms] n0 next SAVING\n"
                "[   5039ms] n0 next NETWORK\n"
                "[   5041ms] n0 next VOLUMES\n"
                "[   5042ms] n0 next POOL\n"
                "[   5043ms] n0 next RUNNING\n"
                "[   5043ms] n0 next/a IMAGE\n"
                "[   5063ms] n0 next/a CREATING\n"
                "[   5073ms] n0 next/a STARTING\n"
                "[   5078ms] n0 next/a RUNNING\n"
                "[   5079ms] api pod next Running\n");
    sim_free(s);
}

/* It fails, is run again after 10 s, 20 s, ... and its exits are counted. */
TEST(story, a_crash_loop)
{
    struct sim *s = story_new(1, 2);
    story_pod(s, "bad", "", "OnFailure", "[\"exit\",\"3\"]");
    sim_run(s, SPAN_S(35));
    story_is(s, "[   1000ms] api pod bad Pending\n"
                "[   1001ms] n0 bad SAVING\n"
                "[   1002ms] n0 bad NETWORK\n"
                "[   1004ms] n0 bad VOLUMES\n"
                "[   1005ms] n0 bad POOL\n"
                "[   1005ms] n0 bad RUNNING\n"
                "[   1005ms] n0 bad/a IMAGE\n"
                "[   1025ms] n0 bad/a CREATING\n"
                "[   1035ms] n0 bad/a STARTING\n"
                "[   1040ms] n0 bad/a RUNNING\n"
                "[   1041ms] n0 bad/a SAVING\n"
                "[   1041ms] api pod bad Running\n"
                "[   1042ms] n0 bad/a CLEARING\n"
                "[   1042ms] api pod bad Running\n"
                "[   1052ms] n0 bad/a BACKOFF\n"
                "[   1052ms] n0 bad/a IMAGE\n"
                "[   1072ms] n0 bad/a CREATING\n"
                "[   1082ms] n0 bad/a STARTING\n"
                "[   1087ms] n0 bad/a RUNNING\n"
                "[   1088ms] n0 bad/a SAVING\n"
                "[   1088ms] api pod bad Running\n"
                "[   1089ms] n0 bad/a CLEARING\n"
                "[   1089ms] api pod bad Running\n"
                "[   1099ms] n0 bad/a CrashLoopBackOff: waiting before the next restart\n"
                "[   1099ms] n0 bad/a BACKOFF\n"
                "[   1100ms] api pod bad Running\n"
                "[  11099ms] n0 bad/a IMAGE\n"
                "[  11119ms] n0 bad/a CREATING\n"
                "[  11129ms] n0 bad/a STARTING\n"
                "[  11134ms] n0 bad/a RUNNING\n"
                "[  11135ms] n0 bad/a SAVING\n"
                "[  11135ms] api pod bad Running\n"
                "[  11136ms] n0 bad/a CLEARING\n"
                "[  11136ms] api pod bad Running\n"
                "[  11146ms] n0 bad/a CrashLoopBackOff: waiting before the next restart\n"
                "[  11146ms] n0 bad/a BACKOFF\n"
                "[  11147ms] api pod bad Running\n"
                "[  31146ms] n0 bad/a IMAGE\n"
                "[  31166ms] n0 bad/a CREATING\n"
                "[  31176ms] n0 bad/a STARTING\n"
                "[  31181ms] n0 bad/a RUNNING\n"
                "[  31182ms] n0 bad/a SAVING\n"
                "[  31182ms] api pod bad Running\n"
                "[  31183ms] n0 bad/a CLEARING\n"
                "[  31183ms] api pod bad Running\n"
                "[  31193ms] n0 bad/a CrashLoopBackOff: waiting before the next restart\n"
                "[  31193ms] n0 bad/a BACKOFF\n"
                "[  31194ms] api pod bad Running\n");
    cr_assert(str_is(sim_field(s, "Pod", "bad", "status.containerStatuses.0.restartCount"), "3"));
    cr_assert(str_is(
        sim_field(s, "Pod", "bad", "status.containerStatuses.0.lastState.terminated.exitCode"),
        "3"));
    cr_assert(str_is(sim_field(s, "Pod", "bad", "status.containerStatuses.0.state.waiting.reason"),
                     "CrashLoopBackOff"));
    sim_free(s);
}

/* What runs to its end gives its cores back, and is not run a second time by anybody's restart. */
TEST(story, a_pod_that_ends)
{
    struct sim *s = story_new(1, 2);
    story_pod(s, "job", "1", "Never", "[\"exit-after\",\"100\",\"0\"]");
    sim_run(s, SPAN_S(1));
    sim_agent_crash(s, 0);
    sim_control_crash(s);
    sim_run(s, SPAN_S(10));
    story_pod(s, "next", "1", "Never", "");
    sim_run(s, SPAN_S(1));
    story_is(s, "[   1000ms] api pod job Pending\n"
                "[   1001ms] n0 job SAVING\n"
                "[   1002ms] n0 job NETWORK\n"
                "[   1004ms] n0 job VOLUMES\n"
                "[   1005ms] n0 job POOL\n"
                "[   1006ms] n0 job RUNNING\n"
                "[   1006ms] n0 job/a IMAGE\n"
                "[   1026ms] n0 job/a CREATING\n"
                "[   1036ms] n0 job/a STARTING\n"
                "[   1041ms] n0 job/a RUNNING\n"
                "[   1042ms] api pod job Running\n"
                "[   1142ms] n0 job/a SAVING\n"
                "[   1142ms] n0 job STOPPING\n"
                "[   1143ms] n0 job/a CLEARING\n"
                "[   1143ms] api pod job Running\n"
                "[   1153ms] n0 job/a ENDED\n"
                "[   1153ms] n0 job CLEANING\n"
                "[   1155ms] n0 job ENDED\n"
                "[   1156ms] api pod job Succeeded\n"
                "[   2000ms] n0 agent killed\n"
                "[   2000ms] api killed\n"
                "[   2101ms] n0 job/a ENDED\n"
                "[   2101ms] n0 job STOPPING\n"
                "[   2101ms] n0 job CLEANING\n"
                "[   2103ms] n0 job ENDED\n"
                "[   2500ms] api node n0 Ready=True\n"
                "[   2500ms] api pod job Pending\n"
                "[   2500ms] api pod job Running\n"
                "[   2500ms] api pod job Running\n"
                "[   2500ms] api pod job Succeeded\n"
                "[  12000ms] api pod next Pending\n"
                "[  12001ms] n0 next SAVING\n"
                "[  12002ms] n0 next NETWORK\n"
                "[  12004ms] n0 next VOLUMES\n"
                "[  12005ms] n0 next POOL\n"
                "[  12006ms] n0 next RUNNING\n"
                "[  12006ms] n0 next/a IMAGE\n"
                "[  12026ms] n0 next/a CREATING\n"
                "[  12036ms] n0 next/a STARTING\n"
                "[  12041ms] n0 next/a RUNNING\n"
                "[  12042ms] api pod next Running\n");
    sim_free(s);
}

/* Both programs die under running workloads: nothing of theirs is touched. */
TEST(story, kill_minus_nine)
{
    struct sim *s = story_new(1, 3);
    story_pod(s, "web", "1", "Always", "");
    story_machine(s, "vm", 1, true);
    sim_run(s, SPAN_S(2));
    buf_clear(&s->story);
    sim_agent_crash(s, 0);
    sim_run(s, SPAN_S(2));
    sim_control_crash(s);
    sim_run(s, SPAN_S(20));
    story_is(s, "[   3000ms] n0 agent killed\n"
                "[   3101ms] n0 web/a RUNNING\n"
                "[   3101ms] n0 web NETWORK\n"
                "[   3101ms] n0 vm/guest RUNNING\n"
                "[   3101ms] n0 vm NETWORK\n"
                "[   3103ms] n0 web VOLUMES\n"
                "[   3103ms] n0 vm VOLUMES\n"
                "[   3104ms] n0 web POOL\n"
                "[   3104ms] n0 web RUNNING\n"
                "[   3104ms] n0 vm POOL\n"
                "[   3104ms] n0 vm RUNNING\n"
                "[   5000ms] api killed\n"
                "[   5500ms] api node n0 Ready=True\n"
                "[   5500ms] api pod web Pending\n"
                "[   5500ms] api vmi vm Scheduled\n"
                "[   5500ms] api pod web Running\n"
                "[   5500ms] api vmi vm Running\n");
    sim_free(s);
}

/* Out of reach: NotReady after the lease, and nothing is moved or stopped. */
TEST(story, a_node_out_of_reach)
{
    struct sim *s = story_new(2, 2);
    story_pod(s, "web", "1", "Always", "");
    sim_run(s, SPAN_S(2));
    buf_clear(&s->story);
    sim_cut(s, 0, true);
    sim_run(s, SPAN_S(60));
    sim_cut(s, 0, false);
    sim_run(s, SPAN_S(20));
    story_is(s, "[   3000ms] n0 cut off\n"
                "[  10005ms] api node n0 Ready=Unknown\n"
                "[  63000ms] n0 within reach\n"
                "[  63260ms] api node n0 Ready=True\n");
    sim_free(s);
}

/* An administrator gives a dead node up: what it held is gone from the API, and it stops it when it
 * comes back after all. */
TEST(story, a_node_given_up)
{
    struct sim *s = story_new(1, 2);
    story_pod(s, "web", "1", "Always", "");
    sim_run(s, SPAN_S(2));
    buf_clear(&s->story);
    sim_cut(s, 0, true);
    sim_run(s, SPAN_S(20));
    sim_delete(s, "Node", "n0", -1);
    sim_run(s, SPAN_S(5));
    sim_cut(s, 0, false);
    sim_run(s, SPAN_S(5));
    story_is(s, "[   3000ms] n0 cut off\n"
                "[  10005ms] api node n0 Ready=Unknown\n"
                "[  23000ms] api node n0 deleted\n"
                "[  23000ms] api pod web deleted\n"
                "[  28000ms] n0 within reach\n"
                "[  28259ms] n0 web STOPPING\n"
                "[  28259ms] n0 web/a KILLING\n"
                "[  28260ms] n0 web/a SAVING\n"
                "[  28260ms] api node n0 Ready=True\n"
                "[  28260ms] api node n0 Ready=True\n" /* baton.dev/UnknownWorkload, */
                "[  28261ms] n0 web/a CLEARING\n"
                "[  28271ms] n0 web/a ENDED\n"
                "[  28271ms] n0 web CLEANING\n"
                "[  28273ms] n0 web FORGETTING\n"
                "[  28274ms] n0 web GONE\n"
                "[  28275ms] api node n0 Ready=True\n"); /* until it has ended. */
    sim_free(s);
}

/* The first report of "Running" is lost: it is repeated after ten seconds. */
TEST(story, a_lost_report)
{
    struct sim *s = story_new(1, 2);
    story_pod(s, "web", "", "Always", "");
    for (uint64_t k = s->points + 1; s->hit[SIM_REPORT_LOST] == 0; k++) {
        sim_free(s);
        s = story_new(1, 2);
        s->options.trip = k;
        story_pod(s, "web", "", "Always", "");
        sim_run(s, SPAN_S(1));
    }
    sim_run(s, SPAN_S(15));
    story_is(s, "[   1000ms] api pod web Pending\n"
                "[   1001ms] n0 web SAVING\n"
                "[   1002ms] n0 web NETWORK\n"
                "[   1004ms] n0 web VOLUMES\n"
                "[   1005ms] n0 web POOL\n"
                "[   1005ms] n0 web RUNNING\n"
                "[   1005ms] n0 web/a IMAGE\n"
                "[   1025ms] n0 web/a CREATING\n"
                "[   1035ms] n0 web/a STARTING\n"
                "[   1040ms] n0 web/a RUNNING\n"
                "[  11041ms] api pod web Running\n");
    sim_free(s);
}

/* A client insists: the name is free at once, the core only when the agent says so. */
TEST(story, a_force_delete)
{
    struct sim *s = story_new(1, 2);
    story_pod(s, "web", "1", "Always", "");
    sim_run(s, SPAN_S(1));
    buf_clear(&s->story);
    sim_delete(s, "Pod", "web", 0);
    story_pod(s, "web", "1", "Always", "");
    sim_run(s, SPAN_S(2));
    story_is(s, "[   2000ms] api pod web deleted\n"
                "[   2000ms] api pod web Pending: the former pod of that name is still on node n0\n"
                "[   2001ms] n0 web STOPPING\n"
                "[   2001ms] n0 web/a KILLING\n"
                "[   2002ms] n0 web/a SAVING\n"
                "[   2003ms] n0 web/a CLEARING\n"
                "[   2013ms] n0 web/a ENDED\n"
                "[   2013ms] n0 web CLEANING\n"
                "[   2015ms] n0 web FORGETTING\n"
                "[   2016ms] n0 web GONE\n"
                "[   2017ms] api pod web Pending\n"
                "[   2018ms] n0 web SAVING\n"
                "[   2019ms] n0 web NETWORK\n"
                "[   2021ms] n0 web VOLUMES\n"
                "[   2022ms] n0 web POOL\n"
                "[   2023ms] n0 web RUNNING\n"
                "[   2023ms] n0 web/a IMAGE\n"
                "[   2043ms] n0 web/a CREATING\n"
                "[   2053ms] n0 web/a STARTING\n"
                "[   2058ms] n0 web/a RUNNING\n"
                "[   2059ms] api pod web Running\n");
    sim_free(s);
}

/* Init containers one after the other, then the rest. */
TEST(story, init_containers)
{
    struct sim *s = story_new(1, 2);
    sim_create(
        s, "Pod",
        "{\"metadata\":{\"name\":\"web\",\"namespace\":\"default\"},\"spec\":{"
        "\"initContainers\":[{\"name\":\"one\",\"image\":\"x\",\"args\":[\"exit\",\"0\"]},"
        "{\"name\":\"two\",\"image\":\"x\",\"args\":[\"exit\",\"0\"]}],"
        "\"containers\":[{\"name\":\"a\",\"image\":\"x\"},{\"name\":\"b\",\"image\":\"x\"}]}}");
    sim_run(s, SPAN_S(2));
    story_is(s, "[   1000ms] api pod web Pending\n"
                "[   1001ms] n0 web SAVING\n"
                "[   1002ms] n0 web NETWORK\n"
                "[   1004ms] n0 web VOLUMES\n"
                "[   1005ms] n0 web POOL\n"
                "[   1005ms] n0 web RUNNING\n"
                "[   1005ms] n0 web/one IMAGE\n"
                "[   1025ms] n0 web/one CREATING\n"
                "[   1035ms] n0 web/one STARTING\n"
                "[   1040ms] n0 web/one RUNNING\n"
                "[   1041ms] n0 web/one SAVING\n"
                "[   1041ms] api pod web Pending\n"
                "[   1042ms] n0 web/one CLEARING\n"
                "[   1042ms] api pod web Pending\n"
                "[   1052ms] n0 web/one ENDED\n"
                "[   1052ms] n0 web/two IMAGE\n"
                "[   1072ms] n0 web/two CREATING\n"
                "[   1082ms] n0 web/two STARTING\n"
                "[   1087ms] n0 web/two RUNNING\n"
                "[   1088ms] n0 web/two SAVING\n"
                "[   1088ms] api pod web Pending\n"
                "[   1089ms] n0 web/two CLEARING\n"
                "[   1089ms] api pod web Pending\n"
                "[   1099ms] n0 web/two ENDED\n"
                "[   1099ms] n0 web/a IMAGE\n"
                "[   1099ms] n0 web/b IMAGE\n"
                "[   1119ms] n0 web/a CREATING\n"
                "[   1119ms] n0 web/b CREATING\n"
                "[   1129ms] n0 web/a STARTING\n"
                "[   1129ms] n0 web/b STARTING\n"
                "[   1134ms] n0 web/a RUNNING\n"
                "[   1134ms] n0 web/b RUNNING\n"
                "[   1135ms] api pod web Running\n");
    sim_free(s);
}

static void apart(struct sim *s, const char *name)
{
    char json[640];
    snprintf(json, sizeof json,
             "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\",\"labels\":{\"app\":\"x\"}},"
             "\"spec\":{\"affinity\":{\"podAntiAffinity\":{"
             "\"requiredDuringSchedulingIgnoredDuringExecution\":[{\"labelSelector\":{"
             "\"matchLabels\":{\"app\":\"x\"}},\"topologyKey\":\"kubernetes.io/hostname\"}]}},"
             "\"containers\":[{\"name\":\"a\",\"image\":\"x\"}]}}",
             name);
    sim_create(s, "Pod", json);
}

/* Rules between workloads hold across the control plane's own restart. */
TEST(story, apart_from_each_other)
{
    struct sim *s = story_new(2, 2);
    apart(s, "one");
    sim_run(s, SPAN_S(1));
    sim_control_crash(s);
    sim_run(s, SPAN_S(5));
    apart(s, "two");
    sim_run(s, SPAN_S(1));
    buf_clear(&s->story);
    apart(s, "three");
    sim_run(s, SPAN_S(1));
    story_is(s, "[   8000ms] api pod three Pending: 0 of 2 nodes fit: 2 node(s) didn't match pod "
                "anti-affinity rules\n");
    cr_assert_not(str_eq(sim_field(s, "Pod", "one", "spec.nodeName"), STR("")));
    cr_assert(str_is(sim_field(s, "Pod", "one", "spec.nodeName"), "n0") !=
              str_is(sim_field(s, "Pod", "two", "spec.nodeName"), "n0"));
    sim_free(s);
}

/* What a node cannot make sense of has failed, with the reason, and holds nothing. */
TEST(story, a_pod_nobody_understands)
{
    struct sim *s = story_new(1, 2);
    sim_create(
        s, "Pod",
        "{\"metadata\":{\"name\":\"odd\",\"namespace\":\"default\"},\"spec\":{\"containers\":[{"
        "\"name\":\"a.b\",\"image\":\"x\"}]}}");
    sim_run(s, SPAN_S(15));
    story_is(s, "[   1000ms] api pod odd Pending\n"
                "[   1001ms] n0 (not understood) NotUnderstood: container 0 "
                "has no usable name\n"
                "[   1002ms] api pod odd Failed\n");
    cr_assert(str_is(sim_field(s, "Pod", "odd", "status.reason"), "NotUnderstood"));
    cr_assert(str_is(sim_field(s, "Placement", "pods.odd", "status.phase"), "Released"));
    sim_delete(s, "Pod", "odd", -1);
    sim_run(s, SPAN_S(5));
    story_is(s, "[  16000ms] api pod odd Failed leaving\n"
                "[  16001ms] n0 (not understood) GONE\n"
                "[  16002ms] api pod odd deleted\n");
    sim_free(s);
}

static void events_are(struct sim *s, const char *name, const char *expected)
{
    const char *have = sim_events(s, name);
    if (strcmp(have, expected) != 0)
        fprintf(stderr, "events of %s:\n%s", name, have);
    cr_expect(strcmp(have, expected) == 0, "the events are others");
}

/* What people read with `kubectl describe`; none of it costs a durable write. */
TEST(story, events)
{
    struct sim *s = story_new(1, 2);
    story_pod(s, "bad", "", "OnFailure", "[\"exit\",\"3\"]");
    story_pod(s, "big", "7", "Always", "");
    sim_run(s, SPAN_S(60));
    events_are(s, "bad",
               "Normal Scheduled x1: n0: the node with least left over\n"
               "Normal Pulled x4 spec.containers{a}: Image \"x\" is ready after 20 ms\n"
               "Normal Created x4 spec.containers{a}: Created container a\n"
               "Normal Started x4 spec.containers{a}: Started container a\n"
               "Warning BackOff x3 spec.containers{a}: waiting before the next restart\n");
    events_are(s, "big",
               "Warning FailedScheduling x1: 0 of 1 nodes fit: exclusive cores: 7 wanted, 1 free; "
               "no node could hold it even if it were empty\n");
    sim_delete(s, "Pod", "big", -1);
    story_pod(s, "web", "", "Always", "");
    sim_run(s, SPAN_S(5));
    sim_delete(s, "Pod", "web", -1);
    sim_run(s, SPAN_S(5));
    events_are(s, "web",
               "Normal Scheduled x1: n0: the node with least left over\n"
               "Normal Pulled x1 spec.containers{a}: Image \"x\" is ready after 20 ms\n"
               "Normal Created x1 spec.containers{a}: Created container a\n"
               "Normal Started x1 spec.containers{a}: Started container a\n"
               "Normal Killing x1 spec.containers{a}: Stopping container a\n");
    sim_cut(s, 0, true);
    sim_run(s, SPAN_S(30));
    sim_cut(s, 0, false);
    sim_run(s, SPAN_S(30));
    events_are(s, "n0",
               "Warning NodeNotReady x1: the node agent stopped renewing its lease\n"
               "Normal NodeReady x2: the node agent renews its lease\n");
    sim_free(s);
}

/* A pod with more in its container: ","livenessProbe":{...}". */
static void pod_with(struct sim *s, const char *name, const char *more)
{
    char json[1024];
    snprintf(json, sizeof json,
             "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\"},\"spec\":{"
             "\"restartPolicy\":\"Always\",\"terminationGracePeriodSeconds\":4,\"containers\":[{"
             "\"name\":\"a\",\"image\":\"x\",%s}]}}",
             name, more);
    sim_create(s, "Pod", json);
}

#define EXEC(args) "{\"exec\":{\"command\":[" args "]},\"periodSeconds\":1,\"failureThreshold\":3"

static bool is_ready(struct sim *s, const char *name)
{
    return str_is(sim_field(s, "Pod", name, "status.containerStatuses.0.ready"), "true");
}

static bool has_started(struct sim *s, const char *name)
{
    return str_is(sim_field(s, "Pod", name, "status.containerStatuses.0.started"), "true");
}

/* Ready follows the probe, there and back; a restart of the agent does not make it blink. */
TEST(story, readiness)
{
    struct sim *s = story_new(1, 2);
    pod_with(s, "web", "\"readinessProbe\":" EXEC("\"ok-after\",\"3500\"") "}");
    sim_run(s, SPAN_S(2));
    cr_assert(has_started(s, "web") && !is_ready(s, "web"));
    sim_run(s, SPAN_S(4));
    cr_assert(is_ready(s, "web"));
    buf_clear(&s->story);
    sim_agent_crash(s, 0);
    sim_run(s, SPAN_S(5));
    cr_assert(is_ready(s, "web"));
    cr_assert_null(memmem(s->story.at, s->story.len, "api pod", 7));
    events_are(s, "web",
               "Normal Scheduled x1: n0: the node with least left over\n"
               "Normal Pulled x1 spec.containers{a}: Image \"x\" is ready after 20 ms\n"
               "Normal Created x1 spec.containers{a}: Created container a\n"
               "Normal Started x1 spec.containers{a}: Started container a\n"
               "Warning Unhealthy x4 spec.containers{a}: Readiness probe failed: it said no\n");
    pod_with(s, "bad", "\"readinessProbe\":" EXEC("\"fail-after\",\"2500\"") "}");
    sim_run(s, SPAN_S(2));
    cr_assert(is_ready(s, "bad"));
    sim_run(s, SPAN_S(5));
    cr_assert(has_started(s, "bad") && !is_ready(s, "bad"));
    sim_free(s);
}

/* Three failures in a row end it within its grace, and it is run again. */
TEST(story, liveness)
{
    struct sim *s = story_new(1, 2);
    pod_with(s, "web", "\"livenessProbe\":" EXEC("\"fail-after\",\"1500\"") "}");
    sim_run(s, SPAN_S(5));
    story_is(s, "[   1000ms] api pod web Pending\n"
                "[   1001ms] n0 web SAVING\n"
                "[   1002ms] n0 web NETWORK\n"
                "[   1004ms] n0 web VOLUMES\n"
                "[   1005ms] n0 web POOL\n"
                "[   1005ms] n0 web RUNNING\n"
                "[   1005ms] n0 web/a IMAGE\n"
                "[   1025ms] n0 web/a CREATING\n"
                "[   1035ms] n0 web/a STARTING\n"
                "[   1040ms] n0 web/a RUNNING\n"
                "[   1041ms] api pod web Running\n"
                "[   5043ms] n0 web/a STOPPING\n"
                "[   5064ms] n0 web/a SAVING\n"
                "[   5065ms] n0 web/a CLEARING\n"
                "[   5065ms] api pod web Running\n"
                "[   5075ms] n0 web/a BACKOFF\n"
                "[   5075ms] n0 web/a IMAGE\n"
                "[   5095ms] n0 web/a CREATING\n"
                "[   5105ms] n0 web/a STARTING\n"
                "[   5110ms] n0 web/a RUNNING\n"
                "[   5111ms] api pod web Running\n");
    cr_assert(str_is(sim_field(s, "Pod", "web", "status.containerStatuses.0.restartCount"), "1"));
    sim_free(s);
}

/* Until the startup probe has held nobody asks whether it lives; one that never holds ends it. */
TEST(story, startup)
{
    struct sim *s = story_new(1, 2);
    pod_with(s, "web",
             "\"startupProbe\":{\"exec\":{\"command\":[\"ok-after\",\"6000\"]},\"periodSeconds\":1,"
             "\"failureThreshold\":30},\"livenessProbe\":" EXEC("\"ok-after\",\"5500\"") "}");
    sim_run(s, SPAN_S(5));
    cr_assert(!has_started(s, "web") && !is_ready(s, "web"));
    sim_run(s, SPAN_S(5));
    cr_assert(has_started(s, "web") && is_ready(s, "web"));
    cr_assert(str_is(sim_field(s, "Pod", "web", "status.containerStatuses.0.restartCount"), "0"));
    pod_with(s, "bad", "\"startupProbe\":" EXEC("\"hang\"") "}");
    sim_run(s, SPAN_S(8));
    cr_assert(str_is(sim_field(s, "Pod", "bad", "status.containerStatuses.0.restartCount"), "1"));
    sim_free(s);
}

/* preStop comes before the container is asked to end, and takes from the same grace. */
TEST(story, hooks)
{
    struct sim *s = story_new(1, 2);
    pod_with(s, "polite", "\"lifecycle\":{\"preStop\":{\"sleep\":{\"seconds\":1}}}");
    pod_with(s, "slow", "\"lifecycle\":{\"preStop\":{\"exec\":{\"command\":[\"hang\"]}}}");
    sim_run(s, SPAN_S(2));
    buf_clear(&s->story);
    sim_delete(s, "Pod", "polite", -1);
    sim_run(s, SPAN_S(3));
    story_is(s, "[   3000ms] api pod polite Running leaving\n"
                "[   3001ms] n0 polite STOPPING\n"
                "[   3001ms] n0 polite/a PRESTOP\n"
                "[   4001ms] n0 polite/a STOPPING\n"
                "[   4022ms] n0 polite/a SAVING\n"
                "[   4023ms] n0 polite/a CLEARING\n"
                "[   4023ms] api pod polite Running leaving\n"
                "[   4033ms] n0 polite/a ENDED\n"
                "[   4033ms] n0 polite CLEANING\n"
                "[   4035ms] n0 polite FORGETTING\n"
                "[   4036ms] n0 polite GONE\n"
                "[   4037ms] api pod polite deleted\n");
    sim_delete(s, "Pod", "slow", -1);
    sim_run(s, SPAN_S(7));
    story_is(s, "[   6000ms] api pod slow Running leaving\n"
                "[   6001ms] n0 slow STOPPING\n"
                "[   6001ms] n0 slow/a PRESTOP\n"
                "[  10001ms] n0 slow/a STOPPING\n"
                "[  10022ms] n0 slow/a SAVING\n"
                "[  10023ms] n0 slow/a CLEARING\n"
                "[  10023ms] api pod slow Running leaving\n"
                "[  10033ms] n0 slow/a ENDED\n"
                "[  10033ms] n0 slow CLEANING\n"
                "[  10035ms] n0 slow FORGETTING\n"
                "[  10036ms] n0 slow GONE\n"
                "[  10037ms] api pod slow deleted\n");
    pod_with(s, "broken", "\"lifecycle\":{\"postStart\":{\"exec\":{\"command\":[\"fail\"]}}}");
    sim_run(s, SPAN_S(1));
    cr_assert(
        str_is(sim_field(s, "Pod", "broken", "status.containerStatuses.0.restartCount"), "1"));
    events_are(
        s, "broken",
        "Normal Scheduled x1: n0: the node with least left over\n"
        "Normal Pulled x1 spec.containers{a}: Image \"x\" is ready after 20 ms\n"
        "Normal Created x1 spec.containers{a}: Created container a\n"
        "Normal Started x1 spec.containers{a}: Started container a\n"
        "Warning FailedPostStartHook x1 spec.containers{a}: postStart hook failed: it said no\n"
        "Normal Killing x1 spec.containers{a}: the postStart hook failed, will be restarted\n"
        "Warning BackOff x1 spec.containers{a}: waiting before the next restart\n");
    sim_free(s);
}

/* Over the network: a port by name, and one where nobody listens. */
TEST(story, network_probes)
{
    struct sim *s = story_new(1, 2);
    pod_with(s, "web",
             "\"ports\":[{\"name\":\"http\",\"containerPort\":80}],\"readinessProbe\":{\"httpGet\":"
             "{\"port\":\"http\",\"path\":\"/\"},\"periodSeconds\":1}");
    pod_with(s, "bad", "\"readinessProbe\":{\"tcpSocket\":{\"port\":1},\"periodSeconds\":1}");
    sim_run(s, SPAN_S(3));
    cr_assert(is_ready(s, "web"));
    cr_assert(!is_ready(s, "bad"));
    sim_free(s);
}
