/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a hold, and what it may and may not take. */
#include "scheduler/preempt.h"
#include "tests/testlib/test.h"
#include "tests/unit/scheduler/world.h"

/* Two cores: one is the pool's for ever, so one exclusive workload runs and the next one waits. */
TEST(ledger, exclusive_waits_for_the_only_core)
{
    struct ledger *l = ledger_new(NULL);
    put(l, "n1", 1, 1, 1, 2, 1, 4);
    struct request one = {.exclusive_cpus = 1, .memory_bytes = GIB, .cookie = 7};
    struct placement rows;

    uint64_t first = place_ok(l, &one, &rows);
    cr_assert_eq(rows.cores_count, 1);
    cr_assert_eq(rows.cores[0], 1);
    cr_assert_eq(rows.cpus[0], 1);
    place_not(l, &one, "0 of 1 nodes fit: exclusive cores: 1 wanted, 0 free");

    struct ledger_hold_info info;
    cr_assert(ledger_hold_info(l, first, &info) && info.cookie == 7 && !info.committed);
    ledger_commit(l, first);
    cr_assert(ledger_hold_info(l, first, &info) && info.committed);
    ledger_release(l, first);
    cr_assert(!ledger_hold_info(l, first, &info));
    ledger_release(l, first); /* A stale name does nothing. */

    place_ok(l, &one, &rows);
    cr_assert_eq(rows.cores[0], 1);
    ledger_free(l);
}

TEST(ledger, odd_cpus_take_whole_cores)
{
    struct ledger *l = ledger_new(NULL);
    uint32_t n = put(l, "n1", 1, 1, 1, 4, 2, 4);
    struct request three = {.exclusive_cpus = 3};
    struct placement rows;
    struct ledger_thread threads[8];

    uint64_t hold = place_ok(l, &three, &rows);
    cr_assert_eq(rows.cores_count, 2);
    cr_assert_eq(rows.cpus_count, 3);
    cr_assert_eq(rows.cpus[0], 1);
    cr_assert_eq(rows.cpus[1], 5);
    cr_assert_eq(rows.cpus[2], 2);

    cr_assert_eq(ledger_node_threads(l, n, threads, 8), 8);
    uint32_t held = 0, idle = 0;
    for (uint32_t i = 0; i < 8; i++) {
        held += threads[i].hold == hold;
        idle += threads[i].idle;
    }
    cr_assert_eq(held, 4);
    cr_assert_eq(idle, 1);
    three.full_cores_only = true;
    place_not(l, &three,
              "0 of 1 nodes fit: 1 node(s) would leave threads of a core idle (full "
              "cores only); no node could hold it even if it were empty");
    ledger_free(l);
}

/* Pool of 8 threads: 7750m. Shared work pins the pool so wide that no core may leave it. */
TEST(ledger, a_grant_must_leave_the_pool_room)
{
    struct ledger *l = ledger_new(NULL);
    put(l, "n1", 1, 1, 1, 4, 2, 4);
    struct request shared = {.shared_milli = 5751}, one = {.exclusive_cpus = 2};
    struct placement rows;

    uint64_t hold = place_ok(l, &shared, &rows);
    place_not(l, &one, "0 of 1 nodes fit: exclusive cores: 1 wanted, 0 free");
    ledger_undo(l, hold);
    shared.shared_milli = 5750;
    place_ok(l, &shared, &rows);
    place_ok(l, &one, &rows);
    shared.shared_milli = 1;
    place_not(l, &shared,
              "0 of 1 nodes fit: cpu (millicores of the shared pool): 1 wanted, 0 free");
    ledger_free(l);
}

/* 256 threads, 8 NUMA nodes: exclusive beside exclusive, each whole in one NUMA node, until full. */
TEST(ledger, exclusive_beside_exclusive_on_a_big_machine)
{
    struct ledger *l = ledger_new(NULL);
    put(l, "big", 2, 4, 2, 8, 2, 64);
    struct request eight = {
        .exclusive_cpus = 16, .memory_bytes = 8 * GIB, .numa_policy = NUMA_SINGLE};
    uint64_t seen[4] = {0};
    uint32_t placed = 0;
    struct placement rows;
    uint64_t hold;

    while (ledger_place(l, &eight, &hold, &rows, NULL) == ERR_OK) {
        placed++;
        cr_assert_eq(__builtin_popcount(rows.numa_mask), 1);
        cr_assert_eq(rows.cores_count, 8);
        cr_assert_eq(rows.cores[0] / 8, rows.cores[7] / 8, "one cache domain");
        for (uint32_t i = 0; i < rows.cpus_count; i++) {
            uint64_t bit = 1ull << rows.cpus[i] % 64;
            cr_assert_eq(seen[rows.cpus[i] / 64] & bit, 0, "CPU %u twice", rows.cpus[i]);
            seen[rows.cpus[i] / 64] |= bit;
        }
        verify(l);
    }
    cr_assert_eq(placed, 15); /* The domain of the reserved core has seven left. */
    ledger_free(l);
}

TEST(ledger, numa_policies)
{
    struct ledger *l = ledger_new(NULL);
    put(l, "n1", 2, 1, 1, 8, 1, 16); /* Seven free in NUMA node 0, eight in 1. */
    struct placement rows;
    struct request r = {.exclusive_cpus = 5, .memory_bytes = GIB};

    place_ok(l, &r, &rows); /* Cores and memory stay more even there. */
    cr_assert_eq(rows.numa_mask, 2);
    place_ok(l, &r, &rows);
    cr_assert_eq(rows.numa_mask, 1);

    r.exclusive_cpus = 4; /* Two and three are left. */
    r.numa_policy = NUMA_SINGLE;
    place_not(l, &r, "0 of 1 nodes fit: 1 node(s) cannot satisfy the NUMA policy");
    r.numa_policy = NUMA_RESTRICTED; /* An empty machine has four in one node. */
    place_not(l, &r, "0 of 1 nodes fit: 1 node(s) cannot satisfy the NUMA policy");
    r.numa_policy = NUMA_BEST_EFFORT;
    r.spread_numa = true;
    place_ok(l, &r, &rows);
    cr_assert_eq(rows.numa_mask, 3);
    cr_assert_eq(rows.memory[0].bytes, GIB / 2);
    cr_assert_eq(rows.memory[1].bytes, GIB / 2);
    ledger_free(l);
}

TEST(ledger, caches_devices_ports_and_addresses)
{
    struct ledger *l = ledger_new(NULL);
    struct machine m;
    machine_make(&m, l, "n1", &(struct topology_spec){1, 2, 1, 4, 1, 8 * GIB, 0, 0, 4, 1000});
    struct topology_device devices[3];
    const char *ids[] = {"0000:01:00.0", "0000:02:00.0", "0000:03:00.0"};
    for (uint32_t i = 0; i < 3; i++)
        devices[i] = (struct topology_device){.class_name = name_of(l, "nvidia.com/gpu"),
                                              .id_name = name_of(l, ids[i]),
                                              .numa = i > 0,
                                              .units = TOPOLOGY_DEVICE_UNITS,
                                              .parent = TOPOLOGY_DEVICE_NONE};
    m.t.devices = devices;
    m.t.devices_count = 3;
    machine_put(&m, l);

    struct request_device gpu = {.class_name = devices[0].class_name, .count = 2};
    struct request_port port = {.port = 8080};
    struct request r = {.exclusive_cpus = 1,
                        .numa_policy = NUMA_SINGLE,
                        .cache_ways = 3,
                        .devices = &gpu,
                        .devices_count = 1,
                        .ports = &port,
                        .ports_count = 1,
                        .address_wanted = true,
                        .mac_wanted = true};
    struct placement rows;
    uint64_t hold = place_ok(l, &r, &rows);
    cr_assert_eq(rows.numa_mask, 2, "two GPUs are beside NUMA node 1 only");
    cr_assert_eq(rows.devices_count, 2);
    cr_assert_eq(rows.devices[0].id_name, devices[1].id_name);
    cr_assert_eq(rows.caches_count, 1);
    cr_assert_eq(rows.caches[0].llc, 1);
    cr_assert_eq(rows.address, 0x0A000002);
    cr_assert_eq(rows.mac, 0x020000000000);

    struct request same_port = {.ports = &port, .ports_count = 1};
    place_not(l, &same_port,
              "0 of 1 nodes fit: 1 node(s) didn't have free ports for the requested pod ports");
    struct request ways = {.exclusive_cpus = 4, .cache_ways = 2};
    place_not(l, &ways, "0 of 1 nodes fit: cache ways: 2 wanted, 1 free");
    gpu = (struct request_device){.class_name = devices[0].class_name, .count = 1, .units = 600};
    struct request part = {.devices = &gpu, .devices_count = 1};
    place_ok(l, &part, &rows);
    cr_assert_eq(rows.devices[0].id_name, devices[0].id_name);
    cr_assert_eq(rows.devices[0].units, 600);
    place_not(l, &part,
              "0 of 1 nodes fit: nvidia.com/gpu (thousandths of one): 600 wanted, 400 free");
    ledger_release(l, hold);
    place_ok(l, &part, &rows);
    ledger_free(l);
}

/* Two GPUs that may be shared and one that may not: parts and whole ones never meet, the largest parts find their
 * devices first, and whole ones take what cannot be shared. */
TEST(ledger, parts_of_devices)
{
    struct ledger *l = ledger_new(NULL);
    struct machine m;
    machine_make(&m, l, "n1", &(struct topology_spec){1, 1, 1, 4, 1, 8 * GIB, 0, 0, 4, 1000});
    struct topology_device devices[3];
    const char *ids[] = {"a", "b", "c"};
    for (uint32_t i = 0; i < 3; i++)
        devices[i] = (struct topology_device){.class_name = name_of(l, "x/gpu"),
                                              .id_name = name_of(l, ids[i]),
                                              .units = i == 2 ? 1 : TOPOLOGY_DEVICE_UNITS,
                                              .parent = TOPOLOGY_DEVICE_NONE};
    m.t.devices = devices;
    m.t.devices_count = 3;
    machine_put(&m, l);
    uint32_t gpu = name_of(l, "x/gpu");
    struct placement rows;
    struct err e;

    struct request_device sizes[] = {{gpu, 1, 700, NULL, 0}, {gpu, 1, 300, NULL, 0}};
    struct request two = {.devices = sizes, .devices_count = 2};
    uint64_t first = place_ok(l, &two, &rows);
    cr_assert_eq(rows.devices_count, 2);
    cr_assert_eq(rows.devices[0].units, 700);
    cr_assert_neq(rows.devices[0].id_name, rows.devices[1].id_name, "a device for each part");
    place_ok(l, &two, &rows); /* 700 beside 300, and 300 beside 700. */
    verify(l);
    place_not(l, &two, "0 of 1 nodes fit: x/gpu (thousandths of one): 700 wanted, 0 free");

    struct request_device whole = {gpu, 1, 0, NULL, 0};
    struct request one = {.devices = &whole, .devices_count = 1};
    place_ok(l, &one, &rows);
    cr_assert_eq(rows.devices[0].id_name, devices[2].id_name, "the one that nobody may share");
    place_not(l, &one, "0 of 1 nodes fit: x/gpu: 1 wanted, 0 free");
    ledger_release(l, first);
    place_not(l, &one, "0 of 1 nodes fit: x/gpu: 1 wanted, 0 free");

    struct request_device all = {gpu, 2, TOPOLOGY_DEVICE_UNITS, NULL, 0};
    struct request full = {.devices = &all, .devices_count = 1};
    place_not(l, &full, "0 of 1 nodes fit: x/gpu (thousandths of one): 1000 wanted, 300 free");
    sizes[1].units = 800;
    cr_assert_eq(request_check(&two, &e), ERR_INVALID, "the larger ones stand first");
    sizes[1].units = 0;
    cr_assert_eq(request_check(&two, &e), ERR_INVALID, "whole and parts of one class");
    ledger_free(l);
}

TEST(ledger, restore_holds_the_same_rows_and_marks_contradictions)
{
    struct ledger *l = ledger_new(NULL), *again = ledger_new(NULL);
    uint32_t n = put(l, "n1", 2, 2, 1, 4, 2, 16);
    put(again, "n1", 2, 2, 1, 4, 2, 16);
    struct request r = {.exclusive_cpus = 12,
                        .memory_bytes = 20 * GIB,
                        .hugepages_1g = 3,
                        .address_wanted = true,
                        .mac_wanted = true};
    struct placement rows, got;
    struct err e;
    uint64_t hold, other = 0;

    place_ok(l, &r, &rows);
    cr_assert_eq(ledger_restore(again, &r, &rows, &hold, &e), ERR_OK, "%s", e.text);
    verify(again);
    memset(&got, 0, sizeof got);
    cr_assert_eq(ledger_hold_rows(again, hold, &got, NULL), ERR_OK);
    cr_assert_eq(got.cores_count, rows.cores_count);
    cr_assert_eq(memcmp(got.cores, rows.cores, rows.cores_count * sizeof *rows.cores), 0);
    cr_assert_eq(memcmp(got.cpus, rows.cpus, rows.cpus_count * sizeof *rows.cpus), 0);
    cr_assert_eq(memcmp(got.memory, rows.memory, sizeof rows.memory), 0);
    cr_assert_eq(got.address, rows.address);
    struct ledger_hold_info info;
    cr_assert(ledger_hold_info(again, hold, &info) && info.committed);

    cr_assert_eq(ledger_restore(again, &r, &rows, &other, &e), ERR_CONFLICT);
    cr_assert_str_eq(e.text, "core 8 is held by another");
    struct request small = {.shared_milli = 100};
    place_not(again, &small, "0 of 1 nodes fit: 1 node(s) contradict their own description");
    verify(again);
    put(again, "n1", 2, 2, 1, 4, 2, 16); /* The agent describes the machine anew: mended. */
    place_ok(again, &small, &got);

    struct ledger_node_info node;
    ledger_node_info(l, n, &node);
    cr_assert_eq(node.cores_free, 15 - 6);
    cr_assert_eq(node.pool_threads, 32 - 12);
    ledger_free(l);
    ledger_free(again);
}

/* A machine comes back smaller than what is held on it. */
TEST(ledger, a_node_that_lost_held_rows_is_marked)
{
    struct ledger *l = ledger_new(NULL);
    uint32_t n = put(l, "n1", 1, 1, 1, 8, 1, 16), got = 0;
    struct request r = {.exclusive_cpus = 6, .memory_bytes = GIB};
    struct placement rows;
    uint64_t hold = place_ok(l, &r, &rows);

    struct machine m;
    struct err e;
    machine_make(&m, l, "n1", &(struct topology_spec){1, 1, 1, 4, 1, 16 * GIB, 0, 0, 0, 0});
    cr_assert_eq(ledger_node_put(l, &m.t, &got, &e), ERR_CONFLICT);
    cr_assert_str_eq(e.text, "core 4 is not there");
    verify(l);
    struct ledger_node_info info;
    ledger_node_info(l, n, &info);
    cr_assert(str_is(info.marked, "core 4 is not there"));

    ledger_release(l, hold);
    cr_assert_eq(ledger_node_put(l, &m.t, &got, &e), ERR_OK);
    cr_assert_eq(got, n);
    ledger_node_info(l, n, &info);
    cr_assert_eq(info.cores_count, 4);
    cr_assert_eq(info.marked.len, 0);
    ledger_free(l);
}

/* What is stored is input: so many thousandths that the sum begins anew at 0 are no thousandths. */
TEST(ledger, a_stored_part_is_no_larger_than_its_device)
{
    struct ledger *l = ledger_new(NULL);
    struct machine m;
    struct placement rows;
    struct request_device part = {.class_name = name_of(l, "gpu"), .count = 1, .units = 100};
    struct request r = {.devices = &part, .devices_count = 1};
    struct topology_device gpu = {.class_name = part.class_name,
                                  .id_name = name_of(l, "gpu0"),
                                  .units = TOPOLOGY_DEVICE_UNITS,
                                  .parent = TOPOLOGY_DEVICE_NONE};
    uint64_t hold;
    machine_make(&m, l, "n1", &(struct topology_spec){1, 1, 1, 4, 1, 16 * GIB, 0, 0, 0, 0});
    m.t.devices = &gpu;
    m.t.devices_count = 1;
    machine_put(&m, l);
    place_ok(l, &r, &rows);
    rows.devices[0].units = UINT32_MAX - 50;
    cr_assert_eq(ledger_keep(l, &r, &rows), 0);
    cr_assert_eq(ledger_restore(l, &r, &rows, &hold, NULL), ERR_CONFLICT);
    verify(l);
    ledger_free(l);
}

/* A node is described anew for every label that changes: what was given back just now still rests. */
TEST(ledger, an_address_rests_while_its_node_is_described)
{
    struct ledger *l = ledger_new(NULL);
    struct request r = {.address_wanted = true};
    struct placement rows;
    put(l, "n1", 1, 1, 1, 4, 1, 16);
    for (uint32_t i = 0; i < 3; i++) {
        ledger_release(l, place_ok(l, &r, &rows));
        cr_assert_eq(rows.address, 0x0A000002 + i);
        put(l, "n1", 1, 1, 1, 4, 1, 16);
    }
    struct machine m;
    machine_make(&m, l, "n1", &(struct topology_spec){1, 1, 1, 4, 1, 16 * GIB, 0, 0, 0, 0});
    m.t.addresses_count = 2;
    machine_put(&m, l);
    place_ok(l, &r, &rows);
    cr_assert(rows.address - 0x0A000002 < 2);
    ledger_free(l);
}

/* What has devices is in no order of nodes; what lost them comes into one. A larger one stands by,
 * so that nothing else is counted again. */
TEST(ledger, a_node_may_lose_its_devices)
{
    static const struct {
        const char *name;
        struct topology_spec spec;
        uint32_t devices;
    } puts[] = {
        {"large", {1, 1, 1, 8, 1, 32 * GIB, 0, 0, 0, 0}, 2},
        {"small", {1, 1, 1, 4, 1, 16 * GIB, 0, 0, 0, 0}, 1},
        {"small", {1, 1, 1, 4, 1, 16 * GIB, 0, 0, 0, 0}, 0},
    };
    static struct machine m;
    struct ledger *l = ledger_new(NULL);
    struct topology_device gpus[2];
    struct request r = {.shared_milli = 100};
    for (uint32_t i = 0; i < 2; i++)
        gpus[i] = (struct topology_device){.class_name = name_of(l, "gpu"),
                                           .id_name = name_of(l, i == 0 ? "gpu0" : "gpu1"),
                                           .numa = TOPOLOGY_NUMA_NONE,
                                           .units = 1,
                                           .parent = TOPOLOGY_DEVICE_NONE};
    for (size_t i = 0; i < COUNT_OF(puts); i++) {
        struct topology *t = machine_make(&m, l, puts[i].name, &puts[i].spec);
        t->devices = gpus;
        t->devices_count = puts[i].devices;
        machine_put(&m, l);
        ledger_release(l, place_ok(l, &r, NULL));
        verify(l);
    }
    ledger_free(l);
}

TEST(ledger, a_removed_node_keeps_its_holds_until_they_go)
{
    struct ledger *l = ledger_new(NULL);
    uint32_t n = put(l, "n1", 1, 1, 1, 4, 1, 4);
    struct request r = {.shared_milli = 100};
    struct placement rows;
    uint64_t hold = place_ok(l, &r, &rows);

    ledger_node_remove(l, n);
    cr_assert_eq(ledger_nodes_count(l), 0);
    place_not(l, &r, "0 of 0 nodes fit");
    verify(l);
    cr_assert_eq(put(l, "n1", 1, 1, 1, 4, 1, 4), n); /* It came back with the same name. */
    place_ok(l, &r, &rows);
    ledger_node_remove(l, n);
    ledger_release(l, hold);
    cr_assert_eq(ledger_node_find(l, name_of(l, "n1")), n);
    cr_assert_eq(ledger_holds_count(l), 1);
    ledger_free(l);
}

static void nearest(struct ledger *l, const struct request *r, const char *want)
{
    char text[256];
    struct explanation x;
    ledger_explain(l, r, &x);
    explain_print_nearest(l, r, &x, text, sizeof text);
    cr_assert_str_eq(text, want);
}

/* A refusal is worked out once for all that are alike, and again when anything changed. */
TEST(explain, what_was_told_holds_until_a_node_changes)
{
    struct ledger *l = ledger_new(NULL);
    put(l, "n1", 1, 1, 1, 4, 1, 16);
    uint32_t n2 = put(l, "n2", 1, 1, 1, 8, 1, 16);
    struct request r = {.exclusive_cpus = 8};
    place_not(l, &r,
              "0 of 2 nodes fit: 2 exclusive cores: 8 wanted, at most 7 free; no node could "
              "hold it even if it were empty");
    struct request other = {.exclusive_cpus = 6};
    uint64_t hold = place_ok(l, &other, NULL);
    place_not(l, &r,
              "0 of 2 nodes fit: 2 exclusive cores: 8 wanted, at most 3 free; no node could "
              "hold it even if it were empty");
    ledger_release(l, hold);
    ledger_node_set_ready(l, n2, false);
    place_not(l, &r,
              "0 of 2 nodes fit: 1 node(s) were not ready; 1 exclusive cores: 8 wanted, 3 "
              "free; no node could hold it even if it were empty");
    ledger_free(l);
}

/* Two pods of one class whose labels mean different things to a workload that stands. */
TEST(explain, other_labels_are_told_other_reasons)
{
    struct ledger *l = ledger_new(NULL);
    uint32_t app = name_of(l, "app"), web = name_of(l, "web"), db = name_of(l, "db");
    put(l, "n1", 1, 1, 1, 4, 1, 16);
    struct request_expression expression = {
        .key = app, .op = OP_IN, .values = &web, .values_count = 1};
    struct request_pod_term term = {.selector = {&expression, 1},
                                    .all_namespaces = true,
                                    .topology_key = name_of(l, "kubernetes.io/hostname")};
    struct request lonely = {.exclusive_cpus = 3, .anti_affinity = &term, .anti_affinity_count = 1};
    place_ok(l, &lonely, NULL);
    struct topology_label label = {app, web};
    struct request r = {.shared_milli = 10, .labels = &label, .labels_count = 1};
    place_not(l, &r,
              "0 of 1 nodes fit: 1 node(s) didn't satisfy existing pods anti-affinity rules");
    struct explanation x;
    label.value = db;
    ledger_explain(l, &r, &x);
    cr_assert_eq(x.fits_count, 1);
    ledger_free(l);
}

TEST(explain, the_nearest_node_and_all_that_it_lacks)
{
    struct ledger *l = ledger_new(NULL);
    put(l, "small", 1, 1, 1, 4, 1, 16);
    put(l, "large", 1, 1, 1, 8, 1, 16);
    nearest(l, &(struct request){.exclusive_cpus = 2}, "");
    nearest(l, &(struct request){.exclusive_cpus = 9},
            "nearest: large lacks exclusive cores: 9 wanted, 7 free");
    nearest(l, &(struct request){.exclusive_cpus = 5, .memory_bytes = 32ull << 30},
            "nearest: large lacks memory (MiB): 32768 wanted, 16384 free");
    struct topology_label ssd = {name_of(l, "disk"), name_of(l, "ssd")};
    nearest(l,
            &(struct request){.exclusive_cpus = 9, .node_selector = &ssd, .node_selector_count = 1},
            "nearest: large didn't match Pod's node affinity/selector (disk=ssd); exclusive cores: "
            "9 wanted, 7 free");
    ledger_free(l);
}

/* A node that has as many workloads as it may have says so once, and what it lacks besides. */
TEST(explain, a_node_full_of_workloads)
{
    struct ledger *l = ledger_new(NULL);
    struct machine m;
    machine_make(&m, l, "n1", &(struct topology_spec){1, 1, 1, 4, 1, 16 * GIB, 0, 0, 0, 0});
    m.t.pods_max = 1;
    machine_put(&m, l);
    place_ok(l, &(struct request){.shared_milli = 10}, NULL);
    nearest(l, &(struct request){.shared_milli = 10}, "nearest: n1 lacks pods: 1 wanted, 0 free");
    nearest(l, &(struct request){.exclusive_cpus = 9},
            "nearest: n1 lacks pods: 1 wanted, 0 free; exclusive cores: 9 wanted, 3 free");
    ledger_free(l);
}

/* Each taint, and each resource, with the nodes that failed on it. */
TEST(explain, what_has_a_name_is_told_by_name)
{
    struct ledger *l = ledger_new(NULL);
    struct topology_scalar tpu = {name_of(l, "tpu"), 2}, fpga = {name_of(l, "fpga"), 1};
    for (uint32_t i = 0; i < 5; i++) {
        const char *names[] = {"n0", "n1", "n2", "n3", "n4"}, *keys[] = {"red", "blue", "blue"};
        struct topology_taint taint = {name_of(l, keys[i % 3]), 0, TAINT_NO_SCHEDULE};
        struct machine m;
        machine_make(&m, l, names[i], &(struct topology_spec){1, 1, 1, 4, 1, 16 * GIB, 0, 0, 0, 0});
        m.t.taints = &taint;
        m.t.taints_count = i < 3;
        m.t.scalars = i == 3 ? &tpu : &fpga;
        m.t.scalars_count = 1;
        machine_put(&m, l);
    }
    struct request_scalar wants[] = {{tpu.name, 2}, {fpga.name, 1}};
    struct request r = {.scalars = wants, .scalars_count = 2};
    place_not(
        l, &r,
        "0 of 5 nodes fit: 1 node(s) had untolerated taint {red: }; 2 node(s) had untolerated "
        "taint {blue: }; 1 fpga: 1 wanted, 0 free; 1 tpu: 2 wanted, 0 free; no node could "
        "hold it even if it were empty");
    ledger_free(l);
}
