/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/names.h"
#include "scheduler/request.h"
#include "scheduler/topology.h"
#include "tests/testlib/test.h"

static struct topology_storage storage;

static struct topology machine(const struct topology_spec *spec)
{
    struct topology t;
    cr_assert_eq(topology_uniform(spec, &storage, &t, NULL), ERR_OK);
    t.name = 1;
    return t;
}

TEST(topology, uniform_numbers_threads_like_linux)
{
    struct topology t = machine(&(struct topology_spec){.sockets = 2,
                                                        .numa_per_socket = 4,
                                                        .llcs_per_numa = 2,
                                                        .cores_per_llc = 8,
                                                        .threads_per_core = 2,
                                                        .memory_bytes = 1ull << 36});
    cr_assert_eq(topology_check(&t, NULL), ERR_OK);
    cr_assert_eq(t.cores_count, 128);
    cr_assert_eq(t.cores[3].os_cpu[0], 3);
    cr_assert_eq(t.cores[3].os_cpu[1], 131);
    cr_assert_eq(t.llcs[t.cores[127].llc].numa, 7);
    cr_assert_eq(t.numa[7].distance[4], 12);
    cr_assert_eq(t.numa[7].distance[3], 32);
}

TEST(topology, contradictions_are_named)
{
    struct topology_spec spec = {1, 1, 1, 4, 2, 1 << 30, 0, 0, 0, 0};
    struct err e;
    struct topology t = machine(&spec);

    storage.cores[2].llc = 9;
    cr_assert_eq(topology_check(&t, &e), ERR_INVALID);
    cr_assert_str_eq(e.text, "core 2 is in no cache domain or NUMA node");

    t = machine(&spec);
    storage.cores[2].os_cpu[0] = storage.cores[1].os_cpu[1];
    cr_assert_eq(topology_check(&t, &e), ERR_INVALID);
    cr_assert_str_eq(e.text, "CPU 5 is in two places");

    t = machine(&spec);
    struct topology_device devices[3] = {{.class_name = 2,
                                          .id_name = 3,
                                          .units = 1,
                                          .parent = TOPOLOGY_DEVICE_NONE,
                                          .functions_max = 1},
                                         {.class_name = 4, .id_name = 5, .units = 1, .parent = 0},
                                         {.class_name = 4, .id_name = 6, .units = 1, .parent = 0}};
    t.devices = devices;
    t.devices_count = 3;
    cr_assert_eq(topology_check(&t, &e), ERR_INVALID);
    cr_assert_str_eq(e.text, "device 0 has 2 virtual functions, 1 are possible");
    devices[0].functions_max = 2;
    cr_assert_eq(topology_check(&t, &e), ERR_OK);
    t.addresses_count = 10;
    t.mac_first = UINT64_MAX - 4;
    cr_assert_eq(topology_check(&t, &e), ERR_INVALID);
    cr_assert_str_eq(e.text, "MAC addresses run over 48 bits");
}

TEST(request, contradictory_policies_are_refused)
{
    struct err e;
    struct request r = {.exclusive_cpus = 4, .numa_policy = NUMA_SINGLE, .spread_numa = true};
    cr_assert_eq(request_check(&r, &e), ERR_INVALID);
    cr_assert(strstr(e.text, "exclude each other") != NULL);
    r.spread_numa = false;
    cr_assert_eq(request_check(&r, &e), ERR_OK);
    r.exclusive_cpus = 0;
    r.full_cores_only = true;
    cr_assert_eq(request_check(&r, &e), ERR_INVALID);
}

TEST(names, equal_text_equal_id_and_a_limit)
{
    struct names n;
    uint32_t a, b;
    names_init(&n, 3, 100);
    cr_assert_eq(names_intern(&n, STR(""), &a, NULL), ERR_OK);
    cr_assert_eq(a, NAME_EMPTY);
    cr_assert_eq(names_intern(&n, STR("x"), &a, NULL), ERR_OK);
    cr_assert_eq(names_intern(&n, STR("42"), &b, NULL), ERR_OK);
    cr_assert_neq(a, b);
    cr_assert_eq(names_find(&n, STR("x")), a);
    cr_assert_eq(names_find(&n, STR("y")), NAME_UNKNOWN);
    int64_t number = 0;
    cr_assert(names_number(&n, b, &number) && number == 42);
    cr_assert(!names_number(&n, a, &number));
    uint32_t c;
    cr_assert_eq(names_intern(&n, STR("y"), &c, NULL), ERR_LIMIT);
    names_fini(&n);
}
