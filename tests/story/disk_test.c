/* SPDX-License-Identifier: Apache-2.0 */
/* Disks of nodes: who writes more than it may has to leave, and so does the worst of all when there is no room left. */
#include "tests/story/story.h"

#include <stdio.h>

#define GIB (1ull << 30)

static struct sim *disks(uint32_t nodes)
{
    struct sim *s = sim_new(&(struct sim_options){
        .seed = 1, .nodes = nodes, .cores = 4, .threads_per_core = 1, .disk_bytes = 100 * GIB});
    sim_run(s, SPAN_S(1));
    s->options.story = true;
    return s;
}

/* more: what comes behind the container's name and image; volumes: of the spec. */
static void pod(struct sim *s, const char *name, const char *container, const char *more,
                const char *spec)
{
    char json[1024];
    snprintf(json, sizeof json,
             "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\"},\"spec\":{"
             "\"terminationGracePeriodSeconds\":60%s,\"containers\":[{\"name\":\"%s\","
             "\"image\":\"x\"%s}]}}",
             name, spec, container, more);
    sim_create(s, "Pod", json);
    sim_run(s, SPAN_S(2));
}

static bool says(struct sim *s, const char *kind, const char *name, const char *path,
                 const char *expected)
{
    struct str have = sim_field(s, kind, name, path);
    if (!str_is(have, expected))
        fprintf(stderr, "%s %s: " STR_FMT "\n", name, path, STR_ARG(have));
    return str_is(have, expected);
}

static void is_evicted(struct sim *s, const char *name, const char *why)
{
    cr_expect(says(s, "Pod", name, "status.phase", "Failed"));
    cr_expect(says(s, "Pod", name, "status.reason", "Evicted"));
    cr_expect(says(s, "Pod", name, "status.message", why));
    cr_expect(says(s, "Pod", name, "status.conditions.5.type", "DisruptionTarget"));
    cr_expect_not_null(strstr(sim_events(s, name), "Warning Evicted x1"));
}

TEST(story, a_pod_over_its_limit_of_disk_is_evicted)
{
    struct sim *s = disks(1);
    pod(s, "hog", "main", ",\"resources\":{\"limits\":{\"ephemeral-storage\":\"1Gi\"}}", "");
    pod(s, "modest", "other", ",\"resources\":{\"limits\":{\"ephemeral-storage\":\"1Gi\"}}", "");
    sim_disk(s, 0, 100 * GIB, "main", GIB + 4096);
    sim_run(s, SPAN_S(30));
    is_evicted(s, "hog",
               "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi.");
    cr_expect(says(s, "Pod", "modest", "status.phase", "Running"));
    sim_free(s);
}

TEST(story, a_volume_over_its_limit_takes_its_pod_along)
{
    struct sim *s = disks(1);
    pod(s, "hog", "main", "",
        ",\"volumes\":[{\"name\":\"data\",\"emptyDir\":{\"sizeLimit\":\"64Mi\"}},"
        "{\"name\":\"free\",\"emptyDir\":{}}]");
    sim_disk(s, 0, 100 * GIB, "free", GIB);
    sim_run(s, SPAN_S(30));
    cr_expect(says(s, "Pod", "hog", "status.phase", "Running"), "it has no limit");
    sim_disk(s, 0, 100 * GIB, "data", 65 << 20);
    sim_run(s, SPAN_S(30));
    is_evicted(s, "hog", "Usage of EmptyDir volume \"data\" exceeds the limit \"64Mi\".");
    sim_agent_crash(s, 0);
    sim_run(s, SPAN_S(30));
    is_evicted(s, "hog", "Usage of EmptyDir volume \"data\" exceeds the limit \"64Mi\".");
    sim_free(s);
}

static bool writer_is_told_to_leave(struct sim *s)
{
    return strstr(buf_str(&s->story).at, "n0 writer Evicted: ") != NULL;
}

/* Neither has a limit. The node says that it is full, nothing new comes, the one that writes leaves, and then there is room. */
TEST(story, who_fills_a_disk_leaves_it)
{
    struct sim *s = disks(1);
    pod(s, "writer", "main", "", "");
    pod(s, "reader", "other", "", "");
    sim_disk(s, 0, 6 * GIB, "main", 80 * GIB);
    sim_run(s, SPAN_S(7));
    cr_expect(says(s, "Node", "n0", "status.conditions.1.status", "True"));
    cr_expect(says(s, "Node", "n0", "spec.taints.0.key", "node.kubernetes.io/disk-pressure"));
    pod(s, "late", "third", "", "");
    cr_expect(says(s, "Pod", "late", "spec.nodeName", ""));
    cr_expect(sim_run_until(s, writer_is_told_to_leave, SPAN_S(8)));
    sim_disk(s, 0, 80 * GIB, "", 0); /* What it leaves behind goes with it. */
    sim_run(s, SPAN_S(5));
    is_evicted(s, "writer",
               "The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, "
               "available: 6Gi. It was using 83886084Ki, request is 0.");
    cr_expect(says(s, "Pod", "reader", "status.phase", "Running"));
    cr_expect(says(s, "Node", "n0", "status.conditions.1.status", "True"), "not so soon");
    sim_run(s, SPAN_S(30));
    cr_expect(says(s, "Node", "n0", "status.conditions.1.status", "False"));
    cr_expect(says(s, "Node", "n0", "spec.taints.0.key", ""));
    cr_expect(says(s, "Pod", "late", "status.phase", "Running"));
    cr_expect(says(s, "Pod", "reader", "status.phase", "Running"));
    cr_expect_not_null(strstr(sim_events(s, "n0"), "Warning NodeHasDiskPressure x1"));
    sim_free(s);
}

/* Something that is no workload fills it. Who holds next to nothing stays: that it left would help nobody. */
TEST(story, a_disk_that_others_fill_costs_nobody_his_place)
{
    struct sim *s = disks(1);
    pod(s, "reader", "other", "", "");
    sim_disk(s, 0, GIB, "", 0);
    sim_run(s, SPAN_S(60));
    cr_expect(says(s, "Node", "n0", "status.conditions.1.status", "True"));
    cr_expect(says(s, "Pod", "reader", "status.phase", "Running"));
    sim_free(s);
}

/* A machine's disks lie there, too; what they may become was said, and is no reason to leave before others. */
TEST(story, a_machine_may_have_to_leave_like_a_pod)
{
    struct sim *s = disks(1);
    story_machine(s, "vm", 1, false);
    pod(s, "reader", "other", "", "");
    sim_disk(s, 0, 2 * GIB, "guest", 40 * GIB);
    sim_run(s, SPAN_S(15));
    sim_disk(s, 0, 80 * GIB, "", 0);
    sim_run(s, SPAN_S(5));
    cr_expect(says(s, "VirtualMachineInstance", "vm", "status.phase", "Failed"));
    cr_expect(says(s, "VirtualMachineInstance", "vm", "status.reason", "Evicted"));
    cr_expect(says(s, "Pod", "reader", "status.phase", "Running"));
    sim_free(s);
}

/* A disk that is full has no room for the news of it. Who leaves does so all the same, and is not begun again. */
TEST(story, a_full_disk_does_not_keep_who_has_to_leave)
{
    struct sim *s = disks(1);
    pod(s, "writer", "main", "", "");
    sim_disk(s, 0, 4096, "main", 80 * GIB);
    s->options.always = 1u << SIM_SAVE_FAILS;
    sim_run(s, SPAN_S(15));
    cr_expect(says(s, "Pod", "writer", "status.phase", "Failed"), "what it held is gone");
    s->options.always = 0;
    sim_disk(s, 0, 80 * GIB, "", 0);
    sim_run(s, SPAN_S(10));
    sim_agent_crash(s, 0);
    sim_run(s, SPAN_S(10));
    cr_expect(says(s, "Pod", "writer", "status.phase", "Failed"));
    cr_expect(says(s, "Pod", "writer", "status.reason", "Evicted"));
    struct str story = buf_str(&s->story);
    const char *evicted = strstr(story.at, "n0 writer Evicted: ");
    cr_assert_not_null(evicted);
    cr_expect_null(strstr(evicted, "writer/main STARTING"), "it is not begun again");
    sim_free(s);
}

/* What is promised comes out of the one ledger. */
TEST(story, room_on_disk_is_promised_once)
{
    struct sim *s = disks(1);
    const char *asks = ",\"resources\":{\"requests\":{\"ephemeral-storage\":\"60Gi\"}}";
    cr_expect(says(s, "Node", "n0", "status.capacity.ephemeral-storage", "100Gi"));
    cr_expect(says(s, "Node", "n0", "status.allocatable.ephemeral-storage", "90Gi"));
    pod(s, "first", "a", asks, "");
    pod(s, "second", "b", asks, "");
    cr_expect(says(s, "Pod", "first", "status.phase", "Running"));
    cr_expect(says(s, "Pod", "second", "status.conditions.0.message",
                   "0 of 1 nodes fit: ephemeral-storage: 64424509440 wanted, 32212254720 free"));
    sim_delete(s, "Pod", "first", 0);
    sim_run(s, SPAN_S(5));
    cr_expect(says(s, "Pod", "second", "status.phase", "Running"));
    sim_free(s);
}
