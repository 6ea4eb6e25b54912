/* SPDX-License-Identifier: Apache-2.0 */
/* Machines and requests in a line, for the tests of the scheduler. */
#ifndef TESTS_UNIT_SCHEDULER_WORLD_H
#define TESTS_UNIT_SCHEDULER_WORLD_H

#include "base/rng.h"
#include "scheduler/explain.h"
#include "scheduler/ledger.h"

#define GIB (1ull << 30)

static inline uint32_t name_of(struct ledger *l, const char *text)
{
    uint32_t id = 0;
    cr_assert_eq(names_intern(ledger_names(l), str_of(text), &id, NULL), ERR_OK);
    return id;
}

/* A machine with an address pool and its host name as label. */
struct machine {
    struct topology t;
    struct topology_storage storage;
    struct topology_label labels[8];
};

static inline struct topology *machine_make(struct machine *m, struct ledger *l, const char *name,
                                            const struct topology_spec *spec)
{
    cr_assert_eq(topology_uniform(spec, &m->storage, &m->t, NULL), ERR_OK);
    m->t.name = name_of(l, name);
    m->t.address_first = 0x0A000002;
    m->t.addresses_count = 250;
    m->t.mac_first = 0x020000000000;
    m->t.system_cpu_milli = 250;
    m->labels[0] = (struct topology_label){name_of(l, "kubernetes.io/hostname"), m->t.name};
    m->t.labels = m->labels;
    m->t.labels_count = 1;
    return &m->t;
}

static inline void machine_label(struct machine *m, struct ledger *l, const char *key,
                                 const char *value)
{
    m->labels[m->t.labels_count++] = (struct topology_label){name_of(l, key), name_of(l, value)};
}

static inline uint32_t machine_put(struct machine *m, struct ledger *l)
{
    uint32_t node = LEDGER_NODE_NONE;
    struct err e;
    cr_assert_eq(ledger_node_put(l, &m->t, &node, &e), ERR_OK, "%s", e.text);
    return node;
}

/* name, sockets, NUMA nodes per socket, cache domains each, cores each, threads, GiB per NUMA node */
static inline uint32_t put(struct ledger *l, const char *name, uint32_t sockets, uint32_t numa,
                           uint32_t llcs, uint32_t cores, uint32_t threads, uint64_t gib)
{
    struct machine m;
    machine_make(
        &m, l, name,
        &(struct topology_spec){sockets, numa, llcs, cores, threads, gib * GIB, 64, 2, 0, 0});
    return machine_put(&m, l);
}

static inline void verify(const struct ledger *l)
{
    struct err e = {0};
    cr_assert_eq(ledger_verify(l, &e), ERR_OK, "%s", e.text);
}

static inline uint64_t place_ok(struct ledger *l, const struct request *r, struct placement *rows)
{
    struct err e = {0};
    uint64_t hold = 0;
    cr_assert_eq(ledger_place(l, r, &hold, rows, &e), ERR_OK, "%s", e.text);
    verify(l);
    return hold;
}

static inline void place_not(struct ledger *l, const struct request *r, const char *why)
{
    uint64_t hold = 0;
    struct explanation x;
    char text[1024];
    cr_assert_eq(ledger_place(l, r, &hold, NULL, NULL), ERR_BUSY);
    ledger_explain(l, r, &x);
    explain_print(l, &x, text, sizeof text);
    cr_assert_str_eq(text, why);
}

#endif /* TESTS_UNIT_SCHEDULER_WORLD_H */
