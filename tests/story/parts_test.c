/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node with two GPUs that may be had by the thousandth and a third that may not. Parts and whole ones never meet
 * on one of them, and whoever has which part is written down.
 */
#include "tests/story/story.h"

#include <stdio.h>

/* clang-format off */
#define GPU(id, milli)                                                                             \
    "{\"id\":" #id ",\"class\":\"gpu\",\"resource\":\"x.org/gpu\",\"pciAddress\":\"0000:0" #id     \
    ":00.0\",\"numaNode\":0,\"paths\":[\"/dev/dri/card" #id "\"],\"milli\":" #milli "}"

static const char hardware[] =
    "{\"sockets\":[{\"id\":0}],\"numaNodes\":[{\"id\":0,\"memoryBytes\":8589934592}],"
    "\"cacheDomains\":[{\"id\":0}],\"cores\":[{\"id\":0},{\"id\":1}],"
    "\"threads\":[{\"cpu\":0,\"core\":0},{\"cpu\":1,\"core\":1}],\"sharedCores\":1,"
    "\"devices\":[" GPU(0, true) "," GPU(1, true) "," GPU(2, false) "]}";
/* clang-format on */

static struct sim *cluster(uint32_t nodes)
{
    struct sim *s = sim_new(&(struct sim_options){.seed = 1, .nodes = nodes, .hardware = hardware});
    sim_run(s, SPAN_S(1));
    s->options.story = true;
    return s;
}

/* meta and spec: JSON of members, each with its comma at the end. */
static void pod_of(struct sim *s, const char *name, const char *meta, const char *spec,
                   const char *limits)
{
    char json[1024];
    snprintf(json, sizeof json,
             "{\"metadata\":{%s\"name\":\"%s\",\"namespace\":\"default\"},\"spec\":{%s"
             "\"terminationGracePeriodSeconds\":2,\"containers\":[{\"name\":\"a\",\"image\":\"x\","
             "\"resources\":{\"limits\":{\"cpu\":\"10m\",\"memory\":\"16Mi\",%s}}}]}}",
             meta, name, spec, limits);
    sim_create(s, "Pod", json);
}

static void pod(struct sim *s, const char *name, const char *meta, const char *limits)
{
    pod_of(s, name, meta, "", limits);
    sim_run(s, SPAN_S(1));
}

#define MILLI(n) "\"x.org/gpu-milli\":\"" #n "\""
#define WHOLE(n) "\"x.org/gpu\":\"" #n "\""

/* "ADDRESS=MILLI" of each device; a whole one has no figure. */
static const char *devices_of(struct sim *s, const char *pod_name)
{
    static char text[256];
    char path[48], placement[32];
    int len = 0;
    text[0] = '\0';
    snprintf(placement, sizeof placement, "pods.%s", pod_name);
    for (uint32_t i = 0; i < 8; i++) {
        snprintf(path, sizeof path, "spec.devices.%u.pciAddress", i);
        struct str id = sim_field(s, "Placement", placement, path);
        snprintf(path, sizeof path, "spec.devices.%u.milli", i);
        struct str milli = sim_field(s, "Placement", placement, path);
        if (id.len > 0)
            len += snprintf(text + len, sizeof text - (size_t)len, "%s" STR_FMT "=" STR_FMT,
                            len == 0 ? "" : " ", STR_ARG(str_slice(id, 5, 7)), STR_ARG(milli));
    }
    return text;
}

static const char *field(struct sim *s, const char *kind, const char *name, const char *path)
{
    static char text[256];
    struct str value = sim_field(s, kind, name, path);
    snprintf(text, sizeof text, STR_FMT, STR_ARG(value));
    return text;
}

TEST(parts, parts_of_one_and_whole_ones_never_meet)
{
    struct sim *s = cluster(1);
    cr_expect_str_eq(field(s, "Node", "n0", "status.capacity.x\\.org/gpu"), "3");
    cr_expect_str_eq(field(s, "Node", "n0", "status.allocatable.x\\.org/gpu-milli"), "2k");
    pod(s, "a", "", MILLI(600));
    pod(s, "b", "", MILLI(400));
    cr_expect_str_eq(devices_of(s, "a"), "00=600");
    cr_expect_str_eq(devices_of(s, "b"), "00=400", "the rest of the same");
    cr_expect_str_eq(field(s, "Placement", "pods.a", "spec.devices.0.name"), "x.org/gpu-milli");
    cr_expect_str_eq(field(s, "Placement", "pods.a", "spec.devices.0.paths.0"), "/dev/dri/card0");
    pod(s, "w", "", WHOLE(2));
    cr_expect_str_eq(devices_of(s, "w"), "02= 01=", "first the one that nobody may share");
    pod(s, "c", "", MILLI(1));
    cr_expect_str_eq(field(s, "Pod", "c", "status.message"),
                     "0 of 1 nodes fit: x.org/gpu (thousandths of one): 1 wanted, 0 free");
    sim_delete(s, "Pod", "b", 0);
    sim_run(s, SPAN_S(5));
    cr_expect_str_eq(devices_of(s, "c"), "00=1");
    pod(s, "v", "", WHOLE(1));
    cr_expect_str_eq(field(s, "Pod", "v", "status.message"),
                     "0 of 1 nodes fit: x.org/gpu: 1 wanted, 0 free");
    sim_delete(s, "Pod", "a", 0);
    sim_delete(s, "Pod", "c", 0);
    sim_run(s, SPAN_S(5));
    cr_expect_str_eq(devices_of(s, "v"), "00=");
    sim_free(s);
}

/* One that is had to the last thousandth is told as such, and the rows are the same after a restart. */
TEST(parts, several_and_all_of_one)
{
    struct sim *s = cluster(1);
    pod(s, "two", "\"annotations\":{\"baton.dev/gpu-count\":\"2\"},", MILLI(500));
    cr_expect_str_eq(devices_of(s, "two"), "00=250 01=250");
    pod(s, "all", "", MILLI(1000));
    cr_expect_str_eq(field(s, "Pod", "all", "status.message"),
                     "0 of 1 nodes fit: x.org/gpu (thousandths of one): 1000 wanted, 750 free");
    sim_control_crash(s);
    sim_run(s, SPAN_S(20));
    pod(s, "b", "", MILLI(751));
    cr_expect_str_eq(devices_of(s, "b"), "");
    sim_delete(s, "Pod", "b", 0);
    sim_delete(s, "Pod", "two", 0);
    sim_run(s, SPAN_S(20));
    cr_expect_str_eq(devices_of(s, "all"), "00=1000");
    sim_free(s);
}

/* Each container has its own; what an init container had is had again. */
TEST(parts, containers_take_theirs)
{
    static const char *const wanted[][3] = {
        {"containerStatuses.0", "0000:01:00.0"},
        {"containerStatuses.1", "0000:00:00.0"},
        {"initContainerStatuses.0", "0000:01:00.0"},
    };
    struct sim *s = cluster(1);
#define CONTAINER(name, milli)                                                                     \
    "{\"name\":\"" name "\",\"image\":\"x\",\"resources\":{\"limits\":{\"cpu\":\"10m\","           \
    "\"memory\":\"16Mi\"," MILLI(milli) "}}}"
    sim_create(s, "Pod",
               "{\"metadata\":{\"name\":\"p\",\"namespace\":\"default\"},\"spec\":{"
               "\"initContainers\":[" CONTAINER("i", 100) "],\"containers\":[" CONTAINER(
                   "a", 100) "," CONTAINER("b", 900) "]}}");
    sim_run(s, SPAN_S(3));
    cr_expect_str_eq(devices_of(s, "p"), "00=900 01=100");
    for (uint32_t i = 0; i < COUNT_OF(wanted); i++) {
        char path[128];
        snprintf(path, sizeof path, "status.%s.allocatedResourcesStatus.0.resources.0.resourceID",
                 wanted[i][0]);
        cr_expect_str_eq(field(s, "Pod", "p", path), wanted[i][1], "%s", wanted[i][0]);
    }
    sim_free(s);
}

TEST(parts, a_quota_and_a_plan_count_them)
{
    struct sim *s = cluster(1);
    sim_create(s, "ResourceQuota",
               "{\"metadata\":{\"name\":\"q\",\"namespace\":\"default\"},\"spec\":{\"hard\":{"
               "\"requests.x.org/gpu-milli\":\"700\"}}}");
    sim_run(s, SPAN_S(1));
    pod(s, "a", "", MILLI(600));
    buf_clear(&s->story);
    pod(s, "b", "", MILLI(200));
    struct str story = buf_str(&s->story);
    cr_expect(memmem(story.at, story.len, "exceeded quota: q", 17) != NULL);
    cr_expect_str_eq(field(s, "ResourceQuota", "q", "status.used.requests\\.x\\.org/gpu-milli"),
                     "600");
    sim_create(
        s, "Plan",
        "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"workloads\":[{\"pod\":{\"metadata\":{"
        "\"name\":\"new\",\"namespace\":\"other\"},\"spec\":{\"containers\":[{\"name\":"
        "\"a\",\"image\":\"x\",\"resources\":{\"limits\":{" MILLI(700) "}}}]}},\"count\":3}]}}");
    struct str first = sim_answer(s, "Plan", "status.steps.0.placement.devices.0.pciAddress");
    cr_expect(str_is(first, "0000:01:00.0"), STR_FMT, STR_ARG(first));
    struct str milli = sim_answer(s, "Plan", "status.steps.0.placement.devices.0.milli");
    cr_expect(str_is(milli, "700"), STR_FMT, STR_ARG(milli));
    struct str second = sim_answer(s, "Plan", "status.steps.1.result");
    cr_expect(str_is(second, "DoesNotFit"), STR_FMT, STR_ARG(second));
    sim_free(s);
}

static bool is_there(struct sim *s, const char *name)
{
    return sim_field(s, "Pod", name, "metadata.name").len > 0;
}

/* One holder of a part leaves for another part; for a whole one whoever has the whole of one, or all of its parts. */
TEST(parts, more_urgent_ones_preempt_parts)
{
    struct sim *s = cluster(1);
    pod(s, "rest", "", WHOLE(1));
    pod(s, "a", "", MILLI(900));
    pod(s, "b", "", MILLI(500));
    pod(s, "c", "", MILLI(500));
    pod_of(s, "urgent", "", "\"priority\":100,", MILLI(400));
    sim_run(s, SPAN_S(6));
    cr_expect_eq(is_there(s, "a") + is_there(s, "b") + is_there(s, "c"), 2);
    cr_expect(is_there(s, "rest"), "a device that nobody may share is of no use to it");
    cr_expect_str_eq(strchr(devices_of(s, "urgent"), '='), "=400");
    pod_of(s, "whole", "", "\"priority\":50,", WHOLE(2));
    sim_run(s, SPAN_S(6));
    cr_expect_eq(strlen(devices_of(s, "whole")), 7, "%s", devices_of(s, "whole"));
    cr_expect(is_there(s, "urgent"));
    cr_expect_not(is_there(s, "rest"));
    sim_free(s);
}

/* Three of 600 are one too many for two GPUs: none is placed until there is a second node. */
TEST(parts, a_gang_of_parts)
{
    static const char label[] = "\"labels\":{\"scheduling.x-k8s.io/pod-group\":\"job\"},";
    struct sim *s = cluster(2);
    char name[8];
    pod(s, "first", "", WHOLE(3));
    pod(s, "second", "", MILLI(500));
    sim_create(s, "PodGroup",
               "{\"metadata\":{\"name\":\"job\",\"namespace\":\"default\"},\"spec\":{"
               "\"minMember\":3}}");
    for (uint32_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "job-%u", i);
        pod(s, name, label, MILLI(600));
    }
    for (uint32_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "job-%u", i);
        cr_expect_str_eq(devices_of(s, name), "");
    }
    sim_delete(s, "Pod", "first", 0);
    sim_run(s, SPAN_S(5));
    for (uint32_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "job-%u", i);
        cr_expect_eq(strlen(devices_of(s, name)), 6, "%s: %s", name, devices_of(s, name));
    }
    sim_free(s);
}
