/* SPDX-License-Identifier: Apache-2.0 */
#include "api/transcode.h"
#include "proto/k8s/core_v1.pb-c.h"
#include "tests/unit/api/world.h"

#include <stdio.h>

enum { NOW_S = 1800000000 };

static bool prepare(struct world *w, enum kind_write door, ProtobufCMessage *m,
                    const ProtobufCMessage *old)
{
    kind_call_init(&w->call, &w->a, door, (struct wall){(int64_t)NOW_S * 1000000000}, 12345);
    return kind_prepare(w->kind, &w->call, m, old);
}

static const char *json_of(struct world *w, const ProtobufCMessage *m)
{
    struct buf raw, out;
    struct err e;
    buf_init(&raw, 1 << 20);
    buf_init(&out, 1 << 20);
    cr_assert_eq(transcode_pack(kind_schema(w->kind)->message, m, &w->a, &raw, &e), ERR_OK);
    cr_assert_eq(transcode_to_json(kind_schema(w->kind)->message, buf_str(&raw), NULL, &out, &e),
                 ERR_OK);
    const char *text = arena_dup(&w->a, buf_str(&out));
    buf_free(&raw);
    buf_free(&out);
    return text;
}

/* The causes as lines "field: message", in order. */
static const char *causes_of(struct world *w)
{
    struct str text = STR("");
    for (const struct cause *c = w->call.causes.first; c != NULL; c = c->next)
        text = arena_printf(&w->a, STR_FMT STR_FMT ": " STR_FMT "\n", STR_ARG(text),
                            STR_ARG(c->field), STR_ARG(c->message));
    return text.at;
}

TEST(kinds, every_row_has_its_schema)
{
    for (const struct kind *const *k = kinds; *k != NULL; k++) {
        const struct schema_kind *s = kind_schema(*k);
        cr_assert_not_null(s, "%s", (*k)->plural);
        for (uint32_t i = 0; i < s->columns_count; i++)
            cr_assert(s->columns[i].field != NULL || (*k)->cell != NULL, "%s: who computes %.*s?",
                      (*k)->plural, STR_ARG(s->columns[i].name));
    }
    cr_assert_eq(schema_kinds_count, 17);
}

TEST(kinds, a_secret_takes_its_strings)
{
    struct world w;
    world_init(&w, "", "secrets");
    ProtobufCMessage *m = parse(&w, "{\"metadata\":{\"name\":\"s\"},\"data\":{\"a\":\"MQ==\"},"
                                    "\"stringData\":{\"a\":\"2\",\"b\":\"3\"}}");
    cr_assert(prepare(&w, KIND_CREATE, m, NULL));
    cr_assert_not_null(strstr(json_of(&w, m), "\"data\":{\"a\":\"Mg==\",\"b\":\"Mw==\"},"
                                              "\"type\":\"Opaque\""));
    arena_free(&w.a);
}

TEST(kinds, a_pod_gets_its_defaults)
{
    struct world w;
    world_init(&w, "", "pods");
    ProtobufCMessage *m =
        parse(&w, "{\"metadata\":{\"name\":\"p\",\"uid\":\"mine\"},\"spec\":{"
                  "\"containers\":[{\"name\":\"c\",\"image\":\"i:2\",\"resources\":"
                  "{\"limits\":{\"cpu\":\"1\",\"memory\":\"1Gi\"}}}]},\"status\":{"
                  "\"phase\":\"Running\"}}");
    cr_assert(prepare(&w, KIND_CREATE, m, NULL), "%s", causes_of(&w));
    const char *text = json_of(&w, m);
    static const char *const parts[] = {"\"imagePullPolicy\":\"IfNotPresent\"",
                                        "\"requests\":{\"cpu\":\"1\",\"memory\":\"1Gi\"}",
                                        "\"qosClass\":\"Guaranteed\"",
                                        "\"phase\":\"Pending\"",
                                        "\"name\":\"kube-api-access-",
                                        "\"tolerationSeconds\":300",
                                        "\"generation\":1",
                                        "\"schedulerName\":\"default-scheduler\""};
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        cr_assert_not_null(strstr(text, parts[i]), "%s is not in %s", parts[i], text);
    cr_assert_null(strstr(text, "mine"), "a uid is not the client's to choose");

    /* Idempotent: what was stored, sent back, changes nothing. */
    ProtobufCMessage *again = parse(&w, text);
    cr_assert(prepare(&w, KIND_UPDATE, again, m), "%s", causes_of(&w));
    cr_assert_str_eq(json_of(&w, again), text);
    arena_free(&w.a);
}

TEST(kinds, every_mistake_of_a_pod_is_told)
{
    struct world w;
    world_init(&w, "", "pods");
    ProtobufCMessage *m = parse(
        &w, "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"restartPolicy\":\"Odd\",\"containers\":["
            "{\"name\":\"c\",\"image\":\"i\",\"ports\":[{\"containerPort\":70000}],"
            "\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\"}]},{\"name\":\"c\"}]}}");
    cr_assert_not(prepare(&w, KIND_CREATE, m, NULL));
    cr_assert_str_eq(
        causes_of(&w),
        "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and "
        "65535, inclusive\n"
        "spec.containers[0].volumeMounts[0].name: Not found: \"v\"\n"
        "spec.containers[1].name: Duplicate value: \"c\"\n"
        "spec.containers[1].image: Required value\n"
        "spec.restartPolicy: Unsupported value: \"Odd\": supported values: \"Always\", "
        "\"OnFailure\", \"Never\"\n");
    arena_free(&w.a);
}

/* As no address at all such a port would be open on all of the node's. */
TEST(kinds, a_port_of_the_host_has_an_address_of_the_host_or_none)
{
    struct world w;
    world_init(&w, "", "pods");
    ProtobufCMessage *m = parse(
        &w,
        "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\","
        "\"ports\":[{\"containerPort\":80,\"hostPort\":80,\"hostIP\":\"::1\"},"
        "{\"containerPort\":81,\"hostPort\":81,\"hostIP\":\"127.1\"},"
        "{\"containerPort\":82,\"hostPort\":82,\"hostIP\":\"127.0.0.1\"}]}]}}");
    cr_assert_not(prepare(&w, KIND_CREATE, m, NULL));
    cr_assert_str_eq(
        causes_of(&w),
        "spec.containers[0].ports[0].hostIP: Invalid value: \"::1\": must be an IPv4 "
        "address: pods and nodes have no others here\n"
        "spec.containers[0].ports[1].hostIP: Invalid value: \"127.1\": must be a valid "
        "IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)\n");
    arena_free(&w.a);
}

/* An operator nobody knows would be another rule than the one that was meant. */
TEST(kinds, rules_of_placing_are_checked_for_pods_and_machines)
{
    static const char rules[] =
        "\"affinity\":{\"nodeAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":{"
        "\"nodeSelectorTerms\":[{\"matchExpressions\":[{\"key\":\"disk\",\"operator\":\"in\","
        "\"values\":[\"a\"]},{\"key\":\"n\",\"operator\":\"Gt\",\"values\":[\"1\",\"2\"]}]}]}},"
        "\"podAntiAffinity\":{\"preferredDuringSchedulingIgnoredDuringExecution\":[{\"weight\":101,"
        "\"podAffinityTerm\":{\"labelSelector\":{\"matchExpressions\":[{\"key\":\"app\","
        "\"operator\":\"Exists\",\"values\":[\"x\"]}]}}}]}},\"topologySpreadConstraints\":[{"
        "\"maxSkew\":0,\"topologyKey\":\"zone\",\"whenUnsatisfiable\":\"ScheduleAnyway\","
        "\"minDomains\":2,\"labelSelector\":{}}]";
    static const char causes[] =
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution."
        "nodeSelectorTerms[0].matchExpressions[0].operator: Invalid value: \"in\": not a valid "
        "selector operator\n"
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution."
        "nodeSelectorTerms[0].matchExpressions[1].values: Required value: must be specified single "
        "value when `operator` is 'Lt' or 'Gt'\n"
        "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: "
        "Invalid value: 101: must be in the range 1-100\n"
        "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]."
        "podAffinityTerm.topologyKey: Required value: can not be empty\n"
        "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]."
        "podAffinityTerm.labelSelector.matchExpressions[0].values: Forbidden: may not be specified "
        "when `operator` is 'Exists' or 'DoesNotExist'\n"
        "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero\n"
        "spec.topologySpreadConstraints[0].minDomains: Invalid value: 2: can only use minDomains "
        "if "
        "whenUnsatisfiable=DoNotSchedule\n";
    static const struct {
        const char *group, *plural, *rest;
    } kinds_with_rules[] = {
        {"", "pods", "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]"},
        {"kubevirt.io", "virtualmachineinstances",
         "\"domain\":{\"devices\":{},\"memory\":{\"guest\":\"64Mi\"}}"},
    };
    for (size_t i = 0; i < COUNT_OF(kinds_with_rules); i++) {
        struct world w;
        world_init(&w, kinds_with_rules[i].group, kinds_with_rules[i].plural);
        struct str json = arena_printf(&w.a, "{\"metadata\":{\"name\":\"p\"},\"spec\":{%s,%s}}",
                                       rules, kinds_with_rules[i].rest);
        cr_assert_not(prepare(&w, KIND_CREATE, parse(&w, json.at), NULL));
        cr_expect_str_eq(causes_of(&w), causes, "%s", kinds_with_rules[i].plural);
        arena_free(&w.a);
    }
}

TEST(kinds, a_pod_keeps_what_it_runs_with)
{
    struct world w;
    world_init(&w, "", "pods");
    ProtobufCMessage *m = parse(&w, "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{"
                                    "\"name\":\"c\",\"image\":\"i:1\"}]}}");
    cr_assert(prepare(&w, KIND_CREATE, m, NULL));
    char *text = arena_dup(&w.a, str_of(json_of(&w, m)));
    strstr(text, "i:1")[2] = '2';
    cr_assert(prepare(&w, KIND_UPDATE, parse(&w, text), m), "%s", causes_of(&w));

    ProtobufCMessage *other = parse(&w, json_of(&w, m));
    ((Core__Pod *)other)->spec->hostname = arena_dup(&w.a, STR("h"));
    cr_assert_not(prepare(&w, KIND_UPDATE, other, m));
    cr_assert_not_null(strstr(causes_of(&w), "spec: Forbidden: pod updates may not change"));
    cr_assert_not_null(strstr(causes_of(&w), "spec.hostname"), "what differs is named");
    arena_free(&w.a);
}

TEST(kinds, a_machine_that_asks_for_too_much_is_told_where)
{
    struct world w;
    world_init(&w, "kubevirt.io", "virtualmachineinstances");
    ProtobufCMessage *m = parse(
        &w, "{\"metadata\":{\"name\":\"v\"},\"spec\":{\"domain\":{\"devices\":{\"tpm\":{"
            "\"enabled\":true},\"autoattachGraphicsDevice\":false,\"disks\":[{\"name\":\"d\"}]},"
            "\"cpu\":{\"cores\":2,\"dedicatedCpuPlacement\":true},\"resources\":{\"requests\":{"
            "\"cpu\":\"1\"}}}}}");
    cr_assert_not(prepare(&w, KIND_CREATE, m, NULL));
    cr_assert_str_eq(
        causes_of(&w),
        "spec.domain.devices.tpm: Forbidden: Baton does not support this yet\n"
        "spec.domain.resources.requests[cpu]: Invalid value: \"1000m\": with "
        "dedicatedCpuPlacement it must be the number of vCPUs, 2\n"
        "spec.domain.memory.guest: Required value: how much memory the guest has, here or in "
        "resources.requests.memory\n"
        "spec.domain.devices.disks[0].name: Invalid value: \"d\": no volume in spec.volumes has "
        "this name\n");
    arena_free(&w.a);
}

TEST(kinds, policies_that_contradict_each_other)
{
    struct world w;
    world_init(&w, "kubevirt.io", "virtualmachineinstances");
    ProtobufCMessage *m = parse(
        &w, "{\"metadata\":{\"name\":\"v\",\"annotations\":{\"baton.dev/align-caches\":\"true\","
            "\"baton.dev/numa-policy\":\"some\"}},\"spec\":{\"domain\":{\"cpu\":{\"cores\":2,"
            "\"isolateEmulatorThread\":true,\"numa\":{\"guestMappingPassthrough\":{}}},\"memory\":{"
            "\"guest\":\"65Mi\",\"hugepages\":{\"pageSize\":\"2Mi\"}},\"resources\":{\"requests\":{"
            "\"cpu\":\"3\"},\"limits\":{\"cpu\":\"2\"}}}}}");
    cr_assert_not(prepare(&w, KIND_CREATE, m, NULL));
    cr_assert_str_eq(
        causes_of(&w),
        "spec.domain.cpu.isolateEmulatorThread: Invalid value: \"true\": needs "
        "dedicatedCpuPlacement\n"
        "spec.domain.memory.guest: Invalid value: \"65Mi\": the guest's memory must be a multiple "
        "of the page size\n"
        "spec.domain.resources.requests[cpu]: Invalid value: \"3\": must be less than or equal to "
        "cpu limit of 2\n"
        "metadata.annotations[baton.dev/numa-policy]: Unsupported value: \"some\": supported "
        "values: \"none\", \"best-effort\", \"restricted\", \"single-numa-node\"\n"
        "metadata.annotations[baton.dev/align-caches]: Invalid value: \"true\": is about cores of "
        "its own, and this workload shares the pool\n"
        "spec.domain.cpu.numa.guestMappingPassthrough: Forbidden: needs dedicatedCpuPlacement\n");
    arena_free(&w.a);
}

static ProtobufCMessage *object_of(struct world *w, const char *json)
{
    const struct schema_message *m = kind_schema(w->kind)->message;
    ProtobufCMessage *out = NULL;
    struct buf raw;
    buf_init(&raw, 1 << 20);
    cr_assert_eq(transcode_from_json(m, str_of(json), &w->a, NULL, NULL, &raw, NULL), ERR_OK);
    cr_assert_eq(transcode_unpack(m, buf_str(&raw), &w->a, &out, NULL), ERR_OK);
    buf_free(&raw);
    return out;
}

/* Both threads of each core, and an odd number of them. */
TEST(kinds, full_cores_are_an_even_number_of_cpus)
{
    static const char pod[] =
        "{\"metadata\":{\"name\":\"p\",\"annotations\":{\"baton.dev/core-policy\":"
        "\"full-cores-only\"}},\"spec\":{\"initContainers\":[{\"name\":\"i\",\"image\":\"x\","
        "\"resources\":{\"limits\":{\"cpu\":\"%u\",\"memory\":\"1Mi\"}}}],\"containers\":[{"
        "\"name\":"
        "\"a\",\"image\":\"x\",\"resources\":{\"limits\":{\"cpu\":\"2\",\"memory\":\"1Mi\"}}},{"
        "\"name\":"
        "\"b\",\"image\":\"x\",\"resources\":{\"limits\":{\"cpu\":\"%u\",\"memory\":\"1Mi\"}}}]}}";
    static const struct {
        uint32_t init, second, cpus; /* cpus: what the refusal counts; 0: none. */
    } rows[] = {{1, 2, 0}, {1, 1, 3}, {4, 1, 0}, {5, 2, 5}};
    struct world w;
    char json[640], expected[256];
    world_init(&w, "", "pods");
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(json, sizeof json, pod, rows[i].init, rows[i].second);
        snprintf(expected, sizeof expected,
                 "metadata.annotations[baton.dev/core-policy]: Invalid value: \"full-cores-only\": "
                 "takes "
                 "both threads of each core, and this workload has %u CPUs, an odd number\n",
                 rows[i].cpus);
        bool ok = prepare(&w, KIND_CREATE, object_of(&w, json), NULL);
        cr_expect_eq(ok, rows[i].cpus == 0, "row %u", i);
        cr_expect_str_eq(causes_of(&w), rows[i].cpus == 0 ? "" : expected);
    }
    arena_free(&w.a);

    world_init(&w, "kubevirt.io", "virtualmachineinstances");
    ProtobufCMessage *m =
        object_of(&w, "{\"metadata\":{\"name\":\"v\",\"annotations\":{\"baton.dev/"
                      "core-policy\":\"full-cores-only\"}"
                      "},\"spec\":{\"domain\":{\"cpu\":{\"cores\":2,\"dedicatedCpuPlacement\":true,"
                      "\"isolateEmulatorThread\":true},\"memory\":{\"guest\":\"64Mi\"}}}}");
    cr_assert_not(prepare(&w, KIND_CREATE, m, NULL), "the emulator's is the third");
    cr_assert(strstr(causes_of(&w), "has 3 CPUs, an odd number") != NULL, "%s", causes_of(&w));
    arena_free(&w.a);
}

TEST(kinds, devices_of_a_machine)
{
    struct world w;
    world_init(&w, "kubevirt.io", "virtualmachineinstances");
    static const char machine[] =
        "{\"metadata\":{\"name\":\"v\"},\"spec\":{\"networks\":[{\"name\":\"default\",\"pod\":{}},"
        "{\"name\":\"fast\",\"multus\":{\"networkName\":\"%s\"}}],\"domain\":{\"memory\":{"
        "\"guest\":"
        "\"64Mi\"},\"devices\":{\"interfaces\":[{\"name\":\"default\",%s},{\"name\":\"fast\",%s}],"
        "\"hostDevices\":[{\"name\":\"a\",\"deviceName\":\"%s\"}],\"gpus\":[{\"name\":\"%s\","
        "\"deviceName\":\"nvidia.com/A100\"}]}}}}";
    char json[1024];
    snprintf(json, sizeof json, machine, "intel.com/vf", "\"masquerade\":{}", "\"sriov\":{}",
             "a.b/c", "g");
    cr_assert(prepare(&w, KIND_CREATE, parse(&w, json), NULL), "%s", causes_of(&w));
    snprintf(json, sizeof json, machine, "fast-net", "\"sriov\":{}", "\"bridge\":{}", "", "a");
    cr_assert_not(prepare(&w, KIND_CREATE, parse(&w, json), NULL));
    cr_assert_str_eq(
        causes_of(&w),
        "spec.domain.devices.interfaces[0].sriov: Forbidden: its network is not a multus network\n"
        "spec.domain.devices.interfaces[1].name: Invalid value: \"fast\": a multus network wants "
        "an "
        "interface with sriov\n"
        "spec.networks[1].multus.networkName: Invalid value: \"fast-net\": must be the resource "
        "that "
        "its virtual functions are given away as: vendor.com/name\n"
        "spec.domain.devices.hostDevices[0].deviceName: Required value: the resource it is given "
        "away as: vendor.com/name\n"
        "spec.domain.devices.gpus[0].name: Duplicate value: \"a\"\n");
    arena_free(&w.a);
}

TEST(kinds, a_priority_class_is_the_users_up_to_a_limit)
{
    struct world w;
    world_init(&w, "scheduling.k8s.io", "priorityclasses");
    cr_assert_not(prepare(&w, KIND_CREATE,
                          parse(&w, "{\"metadata\":{\"name\":\"system-mine\"},"
                                    "\"value\":1000000001,\"preemptionPolicy\":\"Perhaps\"}"),
                          NULL));
    cr_assert_str_eq(
        causes_of(&w),
        "metadata.name: Forbidden: priority class names with 'system-' prefix are "
        "reserved for system use only\n"
        "value: Forbidden: maximum allowed value of a user defined priority is "
        "1000000000\n"
        "preemptionPolicy: Unsupported value: \"Perhaps\": supported values: \"Never\", "
        "\"PreemptLowerPriority\"\n");
    ProtobufCMessage *high = parse(&w, "{\"metadata\":{\"name\":\"high\"},\"value\":7}");
    cr_assert(prepare(&w, KIND_CREATE, high, NULL), "%s", causes_of(&w));
    cr_assert_not(prepare(&w, KIND_UPDATE,
                          parse(&w, "{\"metadata\":{\"name\":\"high\"},\"value\":8}"), high));
    cr_assert_str_eq(causes_of(&w), "value: Forbidden: may not be changed in an update.\n");
    arena_free(&w.a);
}

TEST(kinds, a_disruption_budget_says_one_amount)
{
    struct world w;
    world_init(&w, "policy", "poddisruptionbudgets");
    cr_assert_not(prepare(&w, KIND_CREATE,
                          parse(&w, "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"minAvailable\":"
                                    "-1,\"maxUnavailable\":\"101%\",\"selector\":{"
                                    "\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Near\"}]},"
                                    "\"unhealthyPodEvictionPolicy\":\"Never\"}}"),
                          NULL));
    cr_assert_str_eq(
        causes_of(&w),
        "spec: Invalid value: \"minAvailable, maxUnavailable\": minAvailable and maxUnavailable "
        "cannot be both set\n"
        "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0\n"
        "spec.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%\n"
        "spec.unhealthyPodEvictionPolicy: Unsupported value: \"Never\": supported values: "
        "\"AlwaysAllow\", \"IfHealthyBudget\"\n"
        "spec.selector.matchExpressions[0].operator: Invalid value: \"Near\": not a valid selector "
        "operator\n");
    cr_assert_not(prepare(&w, KIND_CREATE,
                          parse(&w, "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"minAvailable\":"
                                    "\"5\"}}"),
                          NULL));
    cr_expect_not_null(strstr(causes_of(&w), "a valid percent string must be"));
    cr_expect(prepare(&w, KIND_CREATE,
                      parse(&w, "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"maxUnavailable\":0}}"),
                      NULL),
              "%s", causes_of(&w));
    arena_free(&w.a);
}

static const Core__LimitRange *range_of(struct world *w, const char *spec)
{
    char text[1024];
    world_init(w, "", "limitranges");
    snprintf(text, sizeof text,
             "{\"metadata\":{\"name\":\"l\",\"namespace\":\"default\"},\"spec\":{\"limits\":[%s]}}",
             spec);
    ProtobufCMessage *m = parse(w, text);
    cr_assert(prepare(w, KIND_CREATE, m, NULL), "%s", causes_of(w));
    return (const Core__LimitRange *)m;
}

TEST(kinds, a_limit_range_fills_itself_and_contradicts_nothing)
{
    struct world w;
    const Core__LimitRange *l = range_of(
        &w, "{\"type\":\"Container\",\"max\":{\"memory\":\"1Gi\"},\"min\":{\"cpu\":\"50m\"},"
            "\"default\":{\"cpu\":\"500m\"}}");
    const char *text = json_of(&w, &l->base);
    cr_expect_not_null(strstr(text, "\"default\":{\"cpu\":\"500m\",\"memory\":\"1Gi\"}"), "%s",
                       text);
    cr_expect_not_null(strstr(text, "\"defaultRequest\":{\"cpu\":\"500m\",\"memory\":\"1Gi\"}"),
                       "%s", text);
    arena_free(&w.a);
    world_init(&w, "", "limitranges");
    cr_assert_not(prepare(
        &w, KIND_CREATE,
        parse(&w, "{\"metadata\":{\"name\":\"l\"},\"spec\":{\"limits\":[{\"type\":\"Pod\",\"min\":{"
                  "\"cpu\":\"2\"},\"max\":{\"cpu\":\"1\"},\"default\":{\"cpu\":\"1\"}},{\"type\":"
                  "\"Pod\",\"maxLimitRequestRatio\":{\"cpu\":\"500m\"}}]}}"),
        NULL));
    cr_assert_str_eq(
        causes_of(&w),
        "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'\n"
        "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1\n"
        "spec.limits[0].default[cpu]: Invalid value: \"1\": min value 2 is greater than default "
        "value 1\n"
        "spec.limits[1].type: Duplicate value: \"Pod\"\n"
        "spec.limits[1].maxLimitRequestRatio[cpu]: Invalid value: \"500m\": ratio 500m is less "
        "than "
        "1\n");
    arena_free(&w.a);
}

/* One container after the other, the pod as a whole, and every refusal in one sentence. */
TEST(kinds, a_pod_is_filled_and_held_against_limit_ranges)
{
    struct world limits, w;
    const Core__LimitRange *l =
        range_of(&limits, "{\"type\":\"Container\",\"default\":{\"cpu\":\"1\",\"memory\":\"64Mi\"},"
                          "\"defaultRequest\":{\"cpu\":\"500m\"},\"min\":{\"cpu\":\"100m\"},"
                          "\"maxLimitRequestRatio\":{\"cpu\":\"4\"}},"
                          "{\"type\":\"Pod\",\"max\":{\"cpu\":\"3\"}}");
    static const struct {
        const char *resources, *want;
    } pods[] = {
        {"", NULL},
        {"\"resources\":{\"limits\":{\"cpu\":\"50m\"}},",
         "[minimum cpu usage per Container is 100m, but request is 50m, minimum cpu usage per "
         "Container is 100m, but limit is 50m]"},
        {"\"resources\":{\"requests\":{\"cpu\":\"300m\"},\"limits\":{\"cpu\":\"2\"}},",
         "cpu max limit to request ratio per Container is 4, but provided ratio is 6.666666"},
        {"\"resources\":{\"limits\":{\"cpu\":\"2500m\"}},",
         "maximum cpu usage per Pod is 3, but limit is 3500m"},
    };
    for (size_t i = 0; i < COUNT_OF(pods); i++) {
        char text[512];
        world_init(&w, "", "pods");
        snprintf(
            text, sizeof text,
            "{\"metadata\":{\"name\":\"p\",\"namespace\":\"default\"},\"spec\":{\"containers\":[{%s"
            "\"name\":\"a\",\"image\":\"i\"},{\"name\":\"b\",\"image\":\"i\"}]}}",
            pods[i].resources);
        ProtobufCMessage *m = parse(&w, text);
        kind_call_init(&w.call, &w.a, KIND_CREATE, (struct wall){1}, 1);
        w.call.limits = &l;
        w.call.limits_count = 1;
        bool ok = kind_prepare(w.kind, &w.call, m, NULL);
        cr_expect_eq(ok, pods[i].want == NULL);
        if (pods[i].want != NULL) {
            cr_expect(str_is(w.call.denied, pods[i].want), STR_FMT, STR_ARG(w.call.denied));
        } else {
            const char *have = json_of(&w, m);
            cr_expect_not_null(
                strstr(have, "\"kubernetes.io/limit-ranger\":\"LimitRanger plugin set: cpu, memory "
                             "request for container a; cpu, memory limit for container a; cpu, "
                             "memory request for container b; cpu, memory limit for container b\""),
                "%s", have);
            cr_expect_not_null(strstr(have, "\"limits\":{\"cpu\":\"1\",\"memory\":\"64Mi\"}"));
            cr_expect_not_null(strstr(have, "\"qosClass\":\"Burstable\""));
        }
        arena_free(&w.a);
    }
    arena_free(&limits.a);
}

TEST(kinds, a_pod_takes_its_class_as_the_shell_found_it)
{
    struct world w;
    world_init(&w, "", "pods");
    ProtobufCMessage *m = parse(&w, "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{"
                                    "\"name\":\"c\",\"image\":\"i\"}]}}");
    kind_call_init(&w.call, &w.a, KIND_CREATE, (struct wall){1}, 1);
    w.call.priority = (struct kind_priority){
        .is_known = true, .name = STR("std"), .preemption_policy = STR("Never"), .value = 42};
    cr_assert(kind_prepare(w.kind, &w.call, m, NULL), "%s", causes_of(&w));
    const char *text = json_of(&w, m);
    cr_expect_not_null(strstr(text, "\"priority\":42"));
    cr_expect_not_null(strstr(text, "\"priorityClassName\":\"std\""));
    cr_expect_not_null(strstr(text, "\"preemptionPolicy\":\"Never\""));
    arena_free(&w.a);
}

/* ---- Plan ---- */

static void plan_cause(const char *json, const char *field, const char *message)
{
    struct world w;
    world_init(&w, "baton.dev", "plans");
    bool ok = prepare(&w, KIND_CREATE, parse(&w, json), NULL);
    cr_expect_eq(ok, field[0] == '\0', "%s", json);
    const struct cause *first = w.call.causes.first;
    if (first != NULL) {
        cr_expect(str_is(first->field, field), STR_FMT, STR_ARG(first->field));
        cr_expect(str_is(first->message, message), STR_FMT, STR_ARG(first->message));
    }
    arena_free(&w.a);
}

TEST(plan, every_workload_is_validated_as_if_it_were_created)
{
    const char *pod = "{\"spec\":{\"workloads\":[{\"pod\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\","
                      "\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"x\"}]}}}]}}";
    plan_cause(pod, "", "");
    plan_cause("{\"spec\":{}}", "spec",
               "Required value: one of drain, dead, workloads, why: otherwise nothing is asked");
    plan_cause("{\"spec\":{\"drain\":\"n\",\"workloads\":[{\"count\":3}]}}", "spec.workloads[0]",
               "Required value: either a pod or a machine");
    plan_cause(
        "{\"spec\":{\"workloads\":[{\"pod\":{\"spec\":{\"containers\":[{\"name\":\"a\"}]}}}]}}",
        "spec.workloads[0].pod.spec.containers[0].image", "Required value");
    plan_cause("{\"spec\":{\"workloads\":[{\"count\":1001,\"pod\":{\"spec\":{\"containers\":["
               "{\"name\":\"a\",\"image\":\"x\"}]}}}]}}",
               "spec.workloads",
               "Invalid value: 1001: at most 1000 workloads in one plan, every count added up");
    plan_cause("{\"spec\":{\"why\":{\"kind\":\"Pod\"}}}", "spec.why.name", "Required value");
}

TEST(kinds, a_machine_does_not_ask_for_less_than_nothing)
{
    struct world w;
    world_init(&w, "kubevirt.io", "virtualmachineinstances");
    ProtobufCMessage *m =
        parse(&w, "{\"metadata\":{\"name\":\"v\",\"namespace\":\"default\"},\"spec\":{\"domain\":{"
                  "\"devices\":{},\"memory\":{\"guest\":\"64Mi\"},\"resources\":{\"requests\":{"
                  "\"cpu\":\"-1\"},\"limits\":{\"memory\":\"-4Gi\"}}}}}");
    cr_expect_not(prepare(&w, KIND_CREATE, m, NULL));
    cr_expect_str_eq(causes_of(&w),
                     "spec.domain.resources.limits[memory]: Invalid value: \"-4Gi\": "
                     "must be greater than or equal to 0\n"
                     "spec.domain.resources.requests[cpu]: Invalid value: \"-1\": "
                     "must be greater than or equal to 0\n");
    arena_free(&w.a);
}

/* A pod with count containers of each ports, all of them different but the last, which is the first's again. */
static ProtobufCMessage *pod_of_ports(struct world *w, uint32_t count, uint32_t each, bool host)
{
    struct buf json;
    buf_init(&json, 16 << 20);
    buf_printf(&json, "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[");
    for (uint32_t i = 0; i < count; i++) {
        buf_printf(&json, "%s{\"name\":\"c%u\",\"image\":\"x\",\"ports\":[", i == 0 ? "" : ",", i);
        for (uint32_t k = 0; k < each; k++) {
            bool again = i + 1 == count && k + 1 == each;
            uint32_t port = again ? 1 : i * each + k + 1;
            buf_printf(&json, "%s{\"containerPort\":%u", k == 0 ? "" : ",", port);
            if (host)
                buf_printf(&json, ",\"hostPort\":%u", port);
            buf_printf(&json, ",\"name\":\"n-%u\"}", again ? 1 : k + 1);
        }
        buf_printf(&json, "]}");
    }
    buf_printf(&json, "]}}");
    cr_assert_eq(buf_status(&json, NULL), ERR_OK);
    buf_add(&json, str_from("", 1));
    ProtobufCMessage *m = parse(w, json.at);
    buf_free(&json);
    return m;
}

/* Each is compared with all others, and yet no request takes long. */
TEST(kinds, a_pod_has_thousands_of_ports_of_which_two_are_the_same)
{
    struct world w;
    world_init(&w, "", "pods");
    ProtobufCMessage *m = pod_of_ports(&w, 31, 2048, true);
    cr_expect_not(prepare(&w, KIND_CREATE, m, NULL));
    cr_expect_str_eq(causes_of(&w),
                     "spec.containers[30].ports[2047].name: Duplicate value: \"n-1\"\n"
                     "spec.containers[30].ports[2047].hostPort: Duplicate value: "
                     "\"TCP//1\"\n");
    arena_free(&w.a);
}

/* More than an agent may report on would run, and nobody would ever hear how it fares. */
TEST(kinds, a_pod_has_as_many_containers_as_are_reported_on)
{
    struct world w;
    world_init(&w, "", "pods");
    cr_expect(prepare(&w, KIND_CREATE, pod_of_ports(&w, KIND_CONTAINERS_MAX, 0, false), NULL), "%s",
              causes_of(&w));
    cr_expect_not(
        prepare(&w, KIND_CREATE, pod_of_ports(&w, KIND_CONTAINERS_MAX + 1, 0, false), NULL));
    cr_expect_str_eq(causes_of(&w),
                     "spec.containers: Too many: 257: must have at most 256 items\n");
    arena_free(&w.a);
}
