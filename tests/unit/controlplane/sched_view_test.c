/* SPDX-License-Identifier: Apache-2.0 */
/* What is placed, written down and read again takes the same rows. */
#include "controlplane/core/sched_view.h"
#include "tests/testlib/parse.h"

#include <stdio.h>

static const char hardware[] =
    "{\"sockets\":[{\"id\":0}],\"numaNodes\":[{\"id\":0,\"memoryBytes\":8589934592},"
    "{\"id\":1,\"memoryBytes\":8589934592}],\"cacheDomains\":[{\"id\":0},{\"id\":1}],\"cores\":["
    "{\"id\":0,\"numaNode\":0,\"cacheDomain\":0},{\"id\":1,\"numaNode\":0,\"cacheDomain\":0},"
    "{\"id\":2,\"numaNode\":1,\"cacheDomain\":1},{\"id\":3,\"numaNode\":1,\"cacheDomain\":1}],"
    "\"threads\":[{\"cpu\":0,\"core\":0},{\"cpu\":1,\"core\":1},{\"cpu\":2,\"core\":2},"
    "{\"cpu\":3,\"core\":3},{\"cpu\":4,\"core\":0},{\"cpu\":5,\"core\":1},{\"cpu\":6,\"core\":2},"
    "{\"cpu\":7,\"core\":3}],\"sharedCores\":1,\"systemCpuMillis\":250,"
    "\"podNetwork\":{\"subnet\":\"10.1.2.0/24\"}}";

static struct ledger *ledger_with(struct arena *a, const Baton__NodeHardwareSpec **out_hw)
{
    struct ledger *l = ledger_new(&(struct ledger_limits){.nodes_max = 4, .holds_max = 64});
    struct topology t;
    struct err e = {0};
    uint32_t index;
    *out_hw = parse(a, "baton.dev.v1.NodeHardwareSpec", hardware);
    cr_assert_eq(
        sched_view_topology(ledger_names(l), a, NULL, STR("n"), *out_hw, NULL, true, &t, &e),
        ERR_OK, "%s", e.text);
    cr_assert_eq(ledger_node_put(l, &t, &index, &e), ERR_OK, "%s", e.text);
    return l;
}

static Core__Pod *pod(struct arena *a, const char *spec)
{
    struct str json = arena_printf(
        a, "{\"metadata\":{\"name\":\"p\",\"namespace\":\"default\"},\"spec\":%s}", spec);
    return parse(a, "k8s.io.api.core.v1.Pod", json.at);
}

#define CONTAINER(cpu, more)                                                                       \
    "{\"name\":\"a\",\"image\":\"x\",\"resources\":{\"requests\":{\"cpu\":\"" cpu                  \
    "\",\"memory\":\"64Mi\"},\"limits\":{\"cpu\":\"" cpu "\",\"memory\":\"64Mi\"}}" more "}"

TEST(sched_view, a_placement_written_and_read_takes_the_same_rows)
{
    struct arena a;
    const Baton__NodeHardwareSpec *hw;
    struct request r;
    struct placement rows, again;
    struct err e = {0};
    uint64_t hold;
    Baton__PlacementSpec spec = BATON__PLACEMENT_SPEC__INIT;
    arena_init(&a, 16 << 20);
    struct ledger *l = ledger_with(&a, &hw), *second = ledger_with(&a, &hw);
    Core__Pod *p = pod(&a, "{\"containers\":[" CONTAINER("3", "") "]}");

    cr_assert_eq(sched_view_pod(ledger_names(l), &a, NULL, p, &r, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(r.exclusive_cpus, 3);
    cr_assert_eq(r.shared_milli, 0);
    cr_assert_eq(ledger_place(l, &r, &hold, &rows, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(rows.cores_count, 2, "three threads are two cores");
    cr_assert_eq(sched_view_rows(ledger_names(l), &a, &rows, &r, hw, &spec, &e), ERR_OK);
    cr_assert_str_eq(spec.node, "n");
    cr_assert_eq(spec.n_addresses, 1);
    cr_assert_str_eq(spec.addresses[0]->ip, "10.1.2.2");
    cr_assert_str_eq(spec.addresses[0]->gateway, "10.1.2.1");
    cr_assert_eq(spec.addresses[0]->prefix, 24);

    cr_assert_eq(sched_view_stored(ledger_names(second), &spec, hw, &again, &e), ERR_OK);
    cr_assert_eq(again.cpus_count, rows.cpus_count);
    cr_assert_eq(again.cores_count, rows.cores_count);
    for (uint32_t i = 0; i < rows.cpus_count; i++)
        cr_assert_eq(again.cpus[i], rows.cpus[i]);
    cr_assert_eq(again.address, rows.address);
    cr_assert_eq(again.mac, rows.mac);
    cr_assert_eq(again.numa_mask, rows.numa_mask);
    cr_assert_eq(sched_view_pod(ledger_names(second), &a, NULL, p, &r, &e), ERR_OK);
    cr_assert_eq(ledger_restore(second, &r, &again, &hold, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(ledger_restore(second, &r, &again, &hold, &e), ERR_CONFLICT, "rows held twice");
    cr_assert_eq(ledger_verify(second, &e), ERR_OK, "%s", e.text);
    ledger_free(l);
    ledger_free(second);
    arena_free(&a);
}

TEST(sched_view, who_is_alone_on_cores)
{
    static const struct {
        const char *spec, *qos;
        uint32_t exclusive, shared;
    } rows[] = {
        {"{\"containers\":[" CONTAINER("2", "") "]}", "Guaranteed", 2, 0},
        {"{\"containers\":[" CONTAINER("1500m", "") "]}", "Guaranteed", 0, 1500},
        {"{\"containers\":[{\"name\":\"a\",\"image\":\"x\"}]}", "BestEffort", 0, 0},
        {"{\"containers\":[" CONTAINER("1", "") ",{\"name\":\"b\",\"image\":\"x\"}]}", "Burstable",
         0, 1000},
        {"{\"initContainers\":[" CONTAINER("3", "") "],\"containers\":[" CONTAINER("1", "") "]}",
         "Guaranteed", 3, 0},
        {"{\"initContainers\":[" CONTAINER(
             "1", ",\"restartPolicy\":\"Always\"") "],\"containers\":[" CONTAINER("1", "") "]}",
         "Guaranteed", 2, 0},
    };
    struct arena a;
    const Baton__NodeHardwareSpec *hw;
    arena_init(&a, 16 << 20);
    struct ledger *l = ledger_with(&a, &hw);
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        struct request r;
        struct err e = {0};
        Core__Pod *p = pod(&a, rows[i].spec);
        cr_assert_eq(sched_view_pod(ledger_names(l), &a, NULL, p, &r, &e), ERR_OK, "%s", e.text);
        cr_expect_str_eq(sched_view_qos(p->spec), rows[i].qos, "row %u", i);
        cr_expect_eq(r.exclusive_cpus, rows[i].exclusive, "row %u", i);
        cr_expect_eq(r.shared_milli, rows[i].shared, "row %u", i);
    }
    ledger_free(l);
    arena_free(&a);
}

TEST(sched_view, a_machine_takes_its_vmm_too)
{
    struct arena a;
    const Baton__NodeHardwareSpec *hw;
    struct request r;
    struct err e = {0};
    arena_init(&a, 16 << 20);
    struct ledger *l = ledger_with(&a, &hw);
    Kubevirt__VirtualMachineInstance *vm = parse(
        &a, "kubevirt.io.v1.VirtualMachineInstance",
        "{\"metadata\":{\"name\":\"v\",\"namespace\":\"default\"},\"spec\":{\"domain\":{\"cpu\":{"
        "\"cores\":2,\"threads\":2,\"dedicatedCpuPlacement\":true},\"memory\":{\"guest\":\"1Gi\"},"
        "\"devices\":{\"disks\":[{\"name\":\"d\"}],\"interfaces\":[{\"name\":\"n\"}]}}}}");
    const struct sched_overhead overhead = {.vm_bytes = 40, .device_bytes = 10, .vcpu_bytes = 1};
    cr_assert_eq(sched_view_machine(ledger_names(l), &a, vm, &overhead, &r, &e), ERR_OK);
    cr_assert_eq(r.exclusive_cpus, 4);
    cr_assert_eq(r.memory_bytes, 1u << 30);
    cr_assert_eq(r.overhead_bytes, 40 + 20 + 4);
    ledger_free(l);
    arena_free(&a);
}

TEST(sched_view, a_machines_pages_and_policies)
{
    struct arena a;
    const Baton__NodeHardwareSpec *hw;
    struct request r;
    struct err e = {0};
    const struct sched_overhead overhead = {.vm_bytes = 40};
    arena_init(&a, 16 << 20);
    struct ledger *l = ledger_with(&a, &hw);
    Kubevirt__VirtualMachineInstance *vm =
        parse(&a, "kubevirt.io.v1.VirtualMachineInstance",
              "{\"metadata\":{\"name\":\"v\",\"namespace\":\"default\",\"annotations\":{"
              "\"baton.dev/core-policy\":\"full-cores-only\"}},\"spec\":{\"domain\":{\"cpu\":{"
              "\"cores\":3,\"dedicatedCpuPlacement\":true,\"isolateEmulatorThread\":true},"
              "\"memory\":{\"guest\":\"64Mi\",\"hugepages\":{\"pageSize\":\"2Mi\"}}}}}");
    cr_assert_eq(sched_view_machine(ledger_names(l), &a, vm, &overhead, &r, &e), ERR_OK);
    cr_assert_eq(r.exclusive_cpus, 4);
    cr_assert_eq(r.memory_bytes, 0);
    cr_assert_eq(r.overhead_bytes, 40);
    cr_assert_eq(r.hugepages_2m, 32);
    cr_assert_eq(r.numa_policy, NUMA_SINGLE);
    cr_assert(r.full_cores_only);
    cr_assert_eq(request_check(&r, &e), ERR_OK, "%s", e.text);
    Core__Pod *p = pod(&a, "{\"restartPolicy\":\"Never\"}");
    cr_assert_eq(sched_view_pod(ledger_names(l), &a, NULL, p, &r, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(r.numa_policy, NUMA_NONE);
    cr_assert_eq(r.choice, CHOICE_PACK);
    ledger_free(l);
    arena_free(&a);
}

TEST(sched_view, a_machine_goes_where_a_vmm_runs)
{
    struct arena a;
    const Baton__NodeHardwareSpec *hw;
    struct request r;
    struct err e = {0};
    uint64_t hold;
    const struct sched_overhead overhead = {0};
    arena_init(&a, 16 << 20);
    struct ledger *l = ledger_with(&a, &hw);
    Kubevirt__VirtualMachineInstance *vm =
        parse(&a, "kubevirt.io.v1.VirtualMachineInstance",
              "{\"metadata\":{\"name\":\"v\",\"namespace\":\"default\"},\"spec\":{\"domain\":{"
              "\"memory\":{\"guest\":\"64Mi\"},\"devices\":{}}}}");
    cr_assert_eq(sched_view_machine(ledger_names(l), &a, vm, &overhead, &r, &e), ERR_OK);
    cr_assert_eq(ledger_place(l, &r, &hold, NULL, &e), ERR_BUSY, "the node has no accelerator");
    ledger_free(l);
    arena_free(&a);
}

/* Kubernetes: advertise extended resources for a node. */
/* What a sum or a narrower number would make of it is less than was asked for. */
TEST(sched_view, more_than_there_can_be_stays_more)
{
    static const char *const wants[] = {
        "\"memory\":\"8191Pi\"}}},{\"name\":\"b\",\"image\":\"x\",\"resources\":{\"requests\":{"
        "\"memory\":\"8191Pi\"}}},{\"name\":\"c\",\"image\":\"x\",\"resources\":{\"requests\":{"
        "\"memory\":\"3Pi\"",
        "\"hugepages-2Mi\":\"8Pi\"",
        "\"hugepages-1Gi\":\"4Ei\"",
        "\"cpu\":\"4294967297m\"",
    };
    struct arena a;
    const Baton__NodeHardwareSpec *hw;
    struct err e = {0};
    arena_init(&a, 16 << 20);
    struct ledger *l = ledger_with(&a, &hw);
    for (uint32_t i = 0; i < COUNT_OF(wants); i++) {
        struct request r;
        uint64_t hold;
        Core__Pod *p = pod(&a, arena_printf(&a,
                                            "{\"containers\":[{\"name\":\"a\",\"image\":\"x\","
                                            "\"resources\":{\"requests\":{%s}}}]}",
                                            wants[i])
                                   .at);
        cr_assert_eq(sched_view_pod(ledger_names(l), &a, NULL, p, &r, &e), ERR_OK, "%s", e.text);
        cr_expect_neq(ledger_place(l, &r, &hold, NULL, &e), ERR_OK, "%s", wants[i]);
        cr_expect_geq(sched_view_pod_takes(p->spec, STR("memory"), false), 0, "%s", wants[i]);
    }
    Core__Pod *alone = pod(&a, "{\"containers\":[{\"name\":\"a\",\"image\":\"x\",\"resources\":{"
                               "\"limits\":{\"cpu\":\"4294967297\",\"memory\":\"1Mi\"}}}]}");
    struct request r;
    uint64_t hold;
    cr_assert_eq(sched_view_pod(ledger_names(l), &a, NULL, alone, &r, &e), ERR_OK, "%s", e.text);
    cr_expect_neq(ledger_place(l, &r, &hold, NULL, &e), ERR_OK, "whole cores");
    ledger_free(l);
    arena_free(&a);
}

TEST(sched_view, extended_resources_are_counted)
{
    struct arena a;
    const Baton__NodeHardwareSpec *hw;
    struct topology t;
    struct request r;
    struct err e = {0};
    uint32_t index;
    uint64_t hold;
    arena_init(&a, 16 << 20);
    struct ledger *l = ledger_with(&a, &hw);
    Core__Node *node = parse(&a, "k8s.io.api.core.v1.Node",
                             "{\"metadata\":{\"name\":\"n\"},\"status\":{\"capacity\":{"
                             "\"cpu\":\"8\",\"example.com/dongle\":\"3\"}}}");
    Core__Pod *p =
        pod(&a, "{\"initContainers\":[{\"name\":\"i\",\"image\":\"x\",\"resources\":{\"limits\":{"
                "\"example.com/dongle\":\"2\"}}}],\"containers\":[{\"name\":\"a\",\"image\":\"x\","
                "\"resources\":{\"limits\":{\"example.com/dongle\":\"1\"}}}]}");
    cr_assert_eq(sched_view_pod(ledger_names(l), &a, NULL, p, &r, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(r.scalars_count, 1);
    cr_assert_eq(r.scalars[0].amount, 2, "an init container runs before the rest");
    cr_assert_eq(ledger_place(l, &r, &hold, NULL, &e), ERR_BUSY);
    cr_assert_eq(sched_view_topology(ledger_names(l), &a, NULL, STR("n"), hw, node, true, &t, &e),
                 ERR_OK);
    cr_assert_eq(t.scalars_count, 1, "cpu is not extended");
    cr_assert_eq(ledger_node_put(l, &t, &index, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(ledger_place(l, &r, &hold, NULL, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(ledger_place(l, &r, &hold, NULL, &e), ERR_BUSY, "one is left");
    ledger_free(l);
    arena_free(&a);
}

TEST(sched_view, what_a_pod_says_of_preemption_arrives)
{
    struct arena a;
    const Baton__NodeHardwareSpec *hw;
    struct request r;
    struct err e = {0};
    arena_init(&a, 16 << 20);
    struct ledger *l = ledger_with(&a, &hw);
    Core__Pod *p = pod(&a, "{\"priority\":7,\"preemptionPolicy\":\"Never\",\"containers\":[]}");
    cr_assert_eq(sched_view_pod(ledger_names(l), &a, NULL, p, &r, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(r.priority, 7);
    cr_assert(r.never_preempts);
    ledger_free(l);
    arena_free(&a);
}

static void absurd(const char *numa, const char *devices, const char *why)
{
    struct arena a;
    struct topology t;
    struct err e = {0};
    char json[1024];
    arena_init(&a, 16 << 20);
    struct ledger *l = ledger_new(&(struct ledger_limits){.nodes_max = 4, .holds_max = 64});
    snprintf(json, sizeof json,
             "{\"sockets\":[{\"id\":0}],\"numaNodes\":[{\"id\":0,\"memoryBytes\":1073741824}],"
             "\"cacheDomains\":[{\"id\":0}],\"cores\":[{\"id\":0,\"numaNode\":%s}],"
             "\"threads\":[{\"cpu\":0,\"core\":0}],\"devices\":[%s]}",
             numa, devices);
    const Baton__NodeHardwareSpec *hw = parse(&a, "baton.dev.v1.NodeHardwareSpec", json);
    enum err_code code =
        sched_view_topology(ledger_names(l), &a, NULL, STR("n"), hw, NULL, true, &t, &e);
    cr_assert_eq(code, why[0] == '\0' ? ERR_OK : ERR_INVALID);
    cr_assert_str_eq(e.text, why);
    ledger_free(l);
    arena_free(&a);
}

TEST(sched_view, hardware_that_contradicts_itself_is_refused)
{
    absurd("0", "", "");
    absurd("3", "", "core 0 is in NUMA node 3, which is not there");
    absurd("0", "{\"id\":0,\"virtualFunctionsMax\":1,\"virtualFunctions\":[\"0:1\"]}", "");
    absurd("0", "{\"id\":0,\"virtualFunctionsMax\":1,\"virtualFunctions\":[\"0:1\",\"0:2\"]}",
           "device 0 has 2 virtual functions, 1 are possible");
    absurd("0", "{\"id\":0,\"numaNode\":1}", "device 0 is in NUMA node 1, which is not there");
}

TEST(sched_view, subnets)
{
    uint32_t first, prefix;
    cr_assert_eq(sched_view_subnet(STR("10.1.2.99/24"), &first, &prefix), ERR_OK);
    cr_assert_eq(first, 10u << 24 | 1 << 16 | 2 << 8);
    cr_assert_eq(sched_view_subnet(STR("10.1.2.0"), &first, &prefix), ERR_INVALID);
    cr_assert_eq(sched_view_subnet(STR("10.1.2/24"), &first, &prefix), ERR_INVALID);
    cr_assert_eq(sched_view_subnet(STR("10.1.2.256/24"), &first, &prefix), ERR_INVALID);
    cr_assert_eq(sched_view_subnet(STR("10.1.2.0/31"), &first, &prefix), ERR_INVALID);
}
