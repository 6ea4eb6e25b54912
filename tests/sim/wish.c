/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/wish.h"

#include <stdio.h>
#include <string.h>

enum { GROUP_MEMBERS = 3 };

static uint32_t dice(struct sim *s, uint32_t sides)
{
    return (uint32_t)rng_below(&s->rng, sides);
}

/* Every fifth workload is a virtual machine. */
const char *wish_kind(uint64_t i)
{
    return i % 5 == 4 ? "VirtualMachineInstance" : "Pod";
}

static void name_of(uint64_t i, char out[32])
{
    snprintf(out, 32, "w%llu", (unsigned long long)i);
}

/* ---- workloads ---- */

/* What of a pod's spec decides where it goes; one in two has none of it. */
static const char *rules(struct sim *s)
{
#define MATCHES "\"labelSelector\":{\"matchLabels\":{\"app\":\"a\"}}"
    static const char *const all[] = {
        "\"priority\":10,",
        "\"priority\":100,",
        "\"priority\":100,\"preemptionPolicy\":\"Never\",",
        "\"nodeSelector\":{\"zone\":\"z1\"},",
        "\"tolerations\":[{\"key\":\"t\",\"operator\":\"Exists\"}],",
        "\"topologySpreadConstraints\":[{\"maxSkew\":1,\"topologyKey\":\"zone\","
        "\"whenUnsatisfiable\":\"DoNotSchedule\"," MATCHES "}],",
        "\"topologySpreadConstraints\":[{\"maxSkew\":1,\"topologyKey\":\"kubernetes.io/hostname\","
        "\"whenUnsatisfiable\":\"ScheduleAnyway\"," MATCHES "}],",
        "\"affinity\":{\"podAntiAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":[{"
        "\"topologyKey\":\"kubernetes.io/hostname\"," MATCHES "}]}},",
        "\"affinity\":{\"podAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":[{"
        "\"topologyKey\":\"zone\"," MATCHES "}]}},",
        "\"affinity\":{\"podAffinity\":{\"preferredDuringSchedulingIgnoredDuringExecution\":[{"
        "\"weight\":50,\"podAffinityTerm\":{\"topologyKey\":\"zone\"," MATCHES "}}]}},",
    };
#undef MATCHES
    uint32_t i = dice(s, 2 * COUNT_OF(all));
    return i < COUNT_OF(all) ? all[i] : "";
}

static void create_pod(struct sim *s, const char *name, const char *group)
{
    static const char *const cpus[] = {"1", "1", "2", "100m", "100m", "0"};
    static const char probe[] = ",\"readinessProbe\":{\"exec\":{\"command\":[\"ok-after\","
                                "\"1000\"]},\"periodSeconds\":60}";
    static const char port[] = ",\"ports\":[{\"containerPort\":80,\"hostPort\":8080}]";
    char json[1536], label[96] = "";
    bool ends = group[0] == '\0' && dice(s, 10) == 9;
    const char *cpu = cpus[dice(s, COUNT_OF(cpus))];
    if (group[0] != '\0')
        snprintf(label, sizeof label, ",\"scheduling.x-k8s.io/pod-group\":\"%s\"", group);
    snprintf(
        json, sizeof json,
        "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\",\"labels\":{\"app\":\"%s\"%s}},"
        "\"spec\":{%s\"restartPolicy\":\"%s\",\"terminationGracePeriodSeconds\":2,"
        "\"containers\":[{\"name\":\"a\",\"image\":\"x\",\"args\":%s,\"resources\":{"
        "\"requests\":{\"cpu\":\"%s\",\"memory\":\"16Mi\"},\"limits\":{\"cpu\":\"%s\","
        "\"memory\":\"16Mi\"}}%s%s}]}}",
        name, dice(s, 2) == 0 ? "a" : "b", label, rules(s), ends ? "OnFailure" : "Always",
        ends ? "[\"exit-after\",\"3000\",\"0\"]" : "[\"run\"]", cpu, cpu,
        dice(s, 3) == 0 ? probe : "", dice(s, 6) == 0 ? port : "");
    sim_create(s, "Pod", json);
}

static void create_machine(struct sim *s, const char *name)
{
    char json[640];
    snprintf(
        json, sizeof json,
        "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\"},\"spec\":{"
        "\"terminationGracePeriodSeconds\":2,\"domain\":{\"cpu\":{\"cores\":2,"
        "\"dedicatedCpuPlacement\":%s},\"memory\":{\"guest\":\"64Mi\"},\"devices\":{},\"firmware\":"
        "{\"kernelBoot\":{\"container\":{\"image\":\"k\",\"kernelPath\":\"/vmlinuz\"}}}}}}",
        name, dice(s, 10) < 7 ? "true" : "false");
    sim_create(s, "VirtualMachineInstance", json);
}

/* Pods that start together: as many as stand side by side in the order of names. */
static void create_group(struct sim *s, struct wishes *w)
{
    char json[160], group[32], name[32];
    snprintf(group, sizeof group, "g%llu", (unsigned long long)w->made);
    snprintf(json, sizeof json,
             "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\"},\"spec\":{"
             "\"minMember\":%u}}",
             group, GROUP_MEMBERS - dice(s, 2));
    sim_create(s, "PodGroup", json);
    for (uint32_t i = 0; i < GROUP_MEMBERS && sim_control_is_up(s); i++) {
        name_of(w->made++, name);
        create_pod(s, name, group);
    }
}

static void create(struct sim *s, struct wishes *w)
{
    char name[32];
    if (w->made % 5 == 0 && w->made + GROUP_MEMBERS <= w->most && dice(s, 3) == 0) {
        create_group(s, w);
        return;
    }
    name_of(w->made, name);
    if (strcmp(wish_kind(w->made++), "Pod") == 0)
        create_pod(s, name, "");
    else
        create_machine(s, name);
}

static bool is_there(struct sim *s, const char *kind, const char *name)
{
    return sim_field(s, kind, name, "metadata.name").len > 0;
}

static void change(struct sim *s, const struct wishes *w)
{
    char name[32];
    uint64_t i = rng_below(&s->rng, w->made);
    uint32_t what = dice(s, 10);
    name_of(i, name);
    if (what >= 8 && strcmp(wish_kind(i), "Pod") == 0 && is_there(s, "Pod", name))
        sim_patch(s, "Pod", name,
                  dice(s, 2) == 0 ? "{\"metadata\":{\"labels\":{\"app\":\"a\"}}}"
                                  : "{\"metadata\":{\"labels\":{\"app\":\"b\"}}}");
    else if (what == 7 && strcmp(wish_kind(i), "Pod") == 0)
        sim_evict(s, name);
    else
        sim_delete(s, wish_kind(i), name, what == 0 ? 0 : -1);
}

/* ---- operators ---- */

/* Now and then a disk is full of what somebody writes, or has room again. */
static void fill_disk(struct sim *s)
{
    uint64_t node = rng_below(&s->rng, s->options.nodes), free = s->options.disk_bytes;
    if (dice(s, 3) == 0)
        free /= 5 << rng_below(&s->rng, 4);
    sim_disk(s, (uint32_t)node, free, dice(s, 2) == 0 ? "a" : "guest", 1 << 30);
}

static void operate(struct sim *s, const struct wishes *w)
{
    static const char *const patches[] = {
        "{\"spec\":{\"unschedulable\":true}}",
        "{\"spec\":{\"unschedulable\":null}}",
        "{\"spec\":{\"unschedulable\":null,\"taints\":null}}",
        "{\"spec\":{\"taints\":[{\"key\":\"t\",\"effect\":\"NoSchedule\"}]}}",
        "{\"spec\":{\"taints\":[{\"key\":\"t\",\"effect\":\"PreferNoSchedule\"}]}}",
        "{\"metadata\":{\"labels\":{\"zone\":\"z1\"}}}",
        "{\"metadata\":{\"labels\":{\"zone\":\"z2\"}}}",
        "{\"metadata\":{\"labels\":{\"zone\":null}}}",
    };
    char name[16];
    uint32_t node = dice(s, w->nodes), what = dice(s, COUNT_OF(patches) + 2);
    sim_node_name(node, name);
    if (what >= COUNT_OF(patches))
        sim_cut(s, node, what == COUNT_OF(patches));
    else if (is_there(s, "Node", name))
        sim_patch(s, "Node", name, patches[what]);
}

void wish(struct sim *s, struct wishes *w)
{
    uint32_t what = dice(s, 100);
    if (what == 0)
        fill_disk(s);
    if (!sim_control_is_up(s))
        return;
    if (!w->has_budget)
        sim_create(s, "PodDisruptionBudget",
                   "{\"metadata\":{\"name\":\"b\",\"namespace\":\"default\"},\"spec\":{"
                   "\"maxUnavailable\":1,\"selector\":{\"matchLabels\":{\"app\":\"a\"}}}}");
    w->has_budget = true;
    if (!sim_control_is_up(s)) /* Killed by what it was asked. */
        return;
    if (what >= 90)
        operate(s, w);
    else if (what < 40 && w->made > 0)
        change(s, w);
    else if (w->made < w->most)
        create(s, w);
}

void wish_heal(struct sim *s, const struct wishes *w)
{
    for (uint32_t i = 0; i < w->nodes; i++) {
        sim_disk(s, i, s->options.disk_bytes, "", 0);
        sim_cut(s, i, false);
    }
}

void wish_away(struct sim *s, const struct wishes *w)
{
    char name[32];
    for (uint64_t i = 0; i < w->made; i++) {
        name_of(i, name);
        if (is_there(s, wish_kind(i), name))
            sim_delete(s, wish_kind(i), name, -1);
    }
}
