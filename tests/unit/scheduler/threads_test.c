/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of cores that are granted whole: which are the workload's, which stand idle, and what leaves
 * the pool. And the size of machine that is refused. */
#include "tests/testlib/test.h"
#include "tests/unit/scheduler/world.h"
#include <string.h>

struct counted {
    uint32_t held, idle;
};

static struct counted count(const struct ledger *l, uint32_t node, uint64_t hold)
{
    struct ledger_thread threads[32];
    struct counted c = {0, 0};
    uint32_t n = ledger_node_threads(l, node, threads, COUNT_OF(threads));
    for (uint32_t i = 0; i < n && i < COUNT_OF(threads); i++) {
        c.held += threads[i].hold == hold;
        c.idle += threads[i].idle;
    }
    return c;
}

/* Four cores of two threads, the first in reserve: three CPUs are the first threads of three cores. */
TEST(threads, one_of_each_core)
{
    struct ledger *l = ledger_new(NULL), *again = ledger_new(NULL);
    uint32_t n = put(l, "n1", 1, 1, 1, 4, 2, 4);
    put(again, "n1", 1, 1, 1, 4, 2, 4);
    struct request three = {.exclusive_cpus = 3, .one_thread_per_core = true};
    struct request shared = {.shared_milli = 1751};
    struct placement rows, got;
    struct ledger_node_info info;

    uint64_t hold = place_ok(l, &three, &rows), other = 0;
    cr_assert_eq(rows.cores_count, 3);
    cr_assert_eq(rows.cpus_count, 3);
    for (uint16_t i = 0; i < 3; i++)
        cr_assert_eq(rows.cpus[i], i + 1);
    struct counted c = count(l, n, hold);
    cr_assert_eq(c.held, 6);
    cr_assert_eq(c.idle, 3);
    ledger_node_info(l, n, &info);
    cr_assert_eq(info.pool_threads, 2);

    /* The siblings are nobody else's: two threads are left to share, less what the system has. */
    cr_assert_eq(ledger_place(l, &shared, &other, &got, NULL), ERR_BUSY);
    shared.shared_milli = 1750;
    place_ok(l, &shared, &got);

    cr_assert_eq(ledger_restore(again, &three, &rows, &other, NULL), ERR_OK);
    verify(again);
    cr_assert_eq(ledger_hold_rows(again, other, &got, NULL), ERR_OK);
    cr_assert_eq(memcmp(got.cpus, rows.cpus, 3 * sizeof *rows.cpus), 0);
    ledger_release(l, hold);
    verify(l);
    ledger_node_info(l, n, &info);
    cr_assert_eq(info.pool_threads, 8);
    ledger_free(l);
    ledger_free(again);
}

/* A core counts for the least threads that any core of the machine has; all of its own leave the pool. */
TEST(threads, of_cores_that_differ)
{
    struct ledger *l = ledger_new(NULL);
    struct machine m;
    struct placement rows;
    struct ledger_node_info info;
    struct request three = {.exclusive_cpus = 3};
    machine_make(&m, l, "n1", &(struct topology_spec){1, 1, 1, 4, 2, 4 * GIB, 0, 0, 0, 0});
    for (uint32_t core = 2; core < 4; core++) {
        m.storage.cores[core].threads_count = 4;
        m.storage.cores[core].os_cpu[2] = 8 + 2 * core;
        m.storage.cores[core].os_cpu[3] = 9 + 2 * core;
    }
    uint32_t n = machine_put(&m, l);
    ledger_node_info(l, n, &info);
    cr_assert_eq(info.threads_count, 12);

    uint64_t hold = place_ok(l, &three, &rows); /* Cores 1 and 2. */
    cr_assert_eq(rows.cores_count, 2);
    cr_assert_eq(rows.cpus_count, 3);
    cr_assert_eq(rows.cpus[2], 2);
    struct counted c = count(l, n, hold);
    cr_assert_eq(c.held, 6);
    cr_assert_eq(c.idle, 3);
    ledger_node_info(l, n, &info);
    cr_assert_eq(info.pool_threads, 6);
    ledger_release(l, hold);
    verify(l);
    ledger_free(l);
}

/* A sibling in the pool goes out of service: what is held stays the very CPUs that were granted, however often the node is
 * described, and after a restart. */
TEST(threads, a_sibling_elsewhere_is_switched_off)
{
    struct ledger *l = ledger_new(NULL), *again = ledger_new(NULL);
    struct machine m;
    struct placement rows, got;
    uint64_t restored;
    struct request odd = {.exclusive_cpus = 5}; /* Four threads of one core, one of the other. */
    machine_make(&m, l, "n1", &(struct topology_spec){1, 1, 1, 4, 4, 4 * GIB, 0, 0, 0, 0});
    uint32_t n = machine_put(&m, l);
    uint64_t hold = place_ok(l, &odd, &rows);
    cr_assert_eq(rows.cores_count, 2);
    cr_assert_eq(rows.cpus_count, 5);
    m.storage.cores[0].threads_count = 1;
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(machine_put(&m, l), n);
        verify(l);
        cr_assert_eq(ledger_hold_rows(l, hold, &got, NULL), ERR_OK);
        cr_assert_eq(got.cpus_count, 5);
        cr_assert_eq(memcmp(got.cpus, rows.cpus, 5 * sizeof *rows.cpus), 0);
    }
    struct counted c = count(l, n, hold);
    cr_assert_eq(c.held, 8);
    cr_assert_eq(c.idle, 3);

    m.t.name = name_of(again, "n1");
    name_of(again, "kubernetes.io/hostname");
    machine_put(&m, again);
    cr_assert_eq(ledger_restore(again, &odd, &rows, &restored, NULL), ERR_OK);
    cr_assert_eq(ledger_hold_rows(again, restored, &got, NULL), ERR_OK);
    cr_assert_eq(got.cpus_count, 5);
    cr_assert_eq(memcmp(got.cpus, rows.cpus, 5 * sizeof *rows.cpus), 0);
    rows.cpus[1] = rows.cpus[0];
    ledger_release(again, restored);
    cr_assert_eq(ledger_restore(again, &odd, &rows, &restored, NULL), ERR_CONFLICT,
                 "one CPU is not two");
    verify(again);
    ledger_free(l);
    ledger_free(again);
}

/* The fit inside a node tries every set of NUMA nodes: more than eight are refused, and a node that
 * comes back as such a machine takes nothing new, but keeps what it has. */
TEST(threads, nine_numa_nodes_are_too_many)
{
    struct ledger *l = ledger_new(NULL);
    struct machine m;
    struct topology_numa numa[9];
    struct topology_llc llcs[9];
    struct topology_core cores[9];
    struct request one = {.exclusive_cpus = 1};
    struct placement rows;
    struct err e;
    uint32_t n = put(l, "n1", 2, 4, 1, 2, 1, 4), got = 0;
    uint64_t hold = place_ok(l, &one, &rows), other = 0;

    machine_make(&m, l, "n1", &(struct topology_spec){2, 4, 1, 1, 1, 4 * GIB, 0, 0, 0, 0});
    memset(numa, 0, sizeof numa);
    memcpy(numa, m.storage.numa, 8 * sizeof *numa);
    numa[8] = numa[7];
    for (uint32_t i = 0; i < 9; i++) {
        llcs[i] = (struct topology_llc){.numa = i};
        cores[i] = (struct topology_core){.llc = i, .threads_count = 1, .os_cpu = {i}};
    }
    m.t.numa = numa;
    m.t.llcs = llcs;
    m.t.cores = cores;
    m.t.numa_count = m.t.llcs_count = m.t.cores_count = 9;
    cr_assert_eq(ledger_node_put(l, &m.t, &got, &e), ERR_LIMIT);
    cr_assert_str_eq(e.text, "9 NUMA nodes, at most 8 are supported");
    verify(l);
    struct ledger_node_info info;
    ledger_node_info(l, n, &info);
    cr_assert(str_is(info.marked, "9 NUMA nodes, at most 8 are supported"));
    cr_assert_eq(info.holds_count, 1);
    cr_assert_eq(ledger_place(l, &one, &other, &rows, NULL), ERR_BUSY);
    ledger_release(l, hold);
    verify(l);

    m.t.name = name_of(l, "n2");
    cr_assert_eq(ledger_node_put(l, &m.t, &got, &e), ERR_LIMIT);
    cr_assert_eq(ledger_nodes_count(l), 1);
    ledger_free(l);
}
