/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The oracle. Two ledgers live through the same random history; one searches with everything the
 * fast search remembers, the other plainly. Every answer must be the same to the node, the core and
 * the address, and after every step each ledger is counted again from its rows.
 */
#include "tests/testlib/test.h"
#include "scheduler/ledger_priv.h"
#include "tests/unit/scheduler/world.h"
#include <stdio.h>
#include <stdlib.h>

enum { NODES_MAX = 150, HOLDS_MAX = 1200, LISTS = 8 };

struct history {
    struct rng rng;
    struct ledger *fast, *plain;
    uint64_t holds[HOLDS_MAX][2];
    uint32_t holds_count, nodes_count, wishes_count;
    struct machine machine;
    struct topology_device devices[4];
    uint32_t node_names[NODES_MAX];
    bool cordoned[NODES_MAX], ready[NODES_MAX];
    uint32_t placed, refused;
    bool is_wide; /* Many nodes, most of them such that what is left over orders them. */
};

static uint32_t pick(struct history *h, uint32_t below)
{
    return (uint32_t)rng_below(&h->rng, below);
}

/* The same text gets the same id in both, because both see it in the same order. */
static uint32_t both(struct history *h, const char *text)
{
    uint32_t a = name_of(h->fast, text), b = name_of(h->plain, text);
    cr_assert_eq(a, b);
    return a;
}

/* ---- machines ---- */

static const struct topology_spec specs[] = {
    {1, 1, 1, 4, 1, 8 * GIB, 0, 0, 0, 0},     {1, 1, 2, 4, 2, 32 * GIB, 128, 2, 8, 10000},
    {2, 1, 1, 8, 2, 32 * GIB, 256, 4, 0, 0},  {2, 2, 2, 4, 2, 16 * GIB, 64, 2, 0, 0},
    {2, 4, 2, 8, 2, 64 * GIB, 512, 16, 0, 0}, {1, 2, 1, 6, 1, 16 * GIB, 16, 1, 11, 5000},
};

static void node_put(struct history *h, uint32_t i)
{
    struct machine *m = &h->machine;
    char text[32];
    snprintf(text, sizeof text, "node-%u", i);
    both(h, text);
    struct topology *t =
        machine_make(m, h->fast, text, &specs[(i * 7 + pick(h, 2) * 3) % COUNT_OF(specs)]);
    name_of(h->plain, text);
    both(h, "kubernetes.io/hostname");
    m->labels[t->labels_count++] =
        (struct topology_label){both(h, "zone"), both(h, i % 3 == 0   ? "a"
                                                         : i % 3 == 1 ? "b"
                                                                      : "c")};
    if (i % 12 != 11) { /* With 24 nodes: 17 racks, too many to be coarse, some of two nodes. */
        snprintf(text, sizeof text, "r%u", i % 18);
        m->labels[t->labels_count++] = (struct topology_label){both(h, "rack"), both(h, text)};
    }
    static struct topology_taint taints[2];
    taints[0] = (struct topology_taint){both(h, "dedicated"), both(h, "x"),
                                        i % 2 == 0 || h->is_wide ? TAINT_NO_SCHEDULE
                                                                 : TAINT_PREFER_NO_SCHEDULE};
    t->taints = taints;
    t->taints_count = pick(h, h->is_wide ? 16 : 4) == 0;
    for (uint32_t d = 0; d < 4; d++) {
        snprintf(text, sizeof text, "gpu%u", d);
        h->devices[d] = (struct topology_device){.class_name = both(h, "gpu"),
                                                 .id_name = both(h, text),
                                                 .model_name = both(h, d % 2 ? "t4" : "a100"),
                                                 .numa = d % t->numa_count,
                                                 .units = TOPOLOGY_DEVICE_UNITS,
                                                 .parent = TOPOLOGY_DEVICE_NONE};
    }
    t->devices = h->devices;
    t->devices_count = i % (h->is_wide ? 30 : 4) == 0 ? 4 : 0;
    if (h->is_wide && pick(h, 3) == 0) /* Odd no more. */
        t->devices_count = 0;
    t->addresses_count = 40;
    t->pods_max = 30;
    t->ready = h->ready[i];
    t->unschedulable = h->cordoned[i];
    h->node_names[i] = t->name;

    uint32_t a = 0, b = 0;
    enum err_code ra = ledger_node_put(h->fast, t, &a, NULL);
    enum err_code rb = ledger_node_put(h->plain, t, &b, NULL);
    cr_assert_eq(ra, rb);
    if (ra == ERR_OK)
        cr_assert_eq(a, b);
}

/* ---- wishes: what requests are made of ---- */

struct wish {
    struct request r;
    struct topology_label labels[1], selector[1];
    struct request_expression app, zone;
    uint32_t app_value, zone_value, space;
    struct request_node_term preferred;
    struct request_toleration toleration;
    struct request_spread spreads[2];
    struct request_pod_term terms[2];
    struct request_device devices[2];
    struct request_port port;
    uint32_t model, name;
    struct request_node_term named;
    struct request_expression field;
};

static void wish_hardware(struct history *h, struct wish *w)
{
    struct request *r = &w->r;
    if (pick(h, 2) == 0) {
        r->exclusive_cpus = 1 + pick(h, pick(h, 4) == 0 ? 20 : 6);
        r->numa_policy = pick(h, 4);
        r->one_thread_per_core = pick(h, 8) == 0;
        r->full_cores_only = !r->one_thread_per_core && pick(h, 8) == 0;
        r->spread_numa = r->numa_policy != NUMA_SINGLE && pick(h, 8) == 0;
        r->align_llc = pick(h, 8) == 0;
        r->cache_ways = pick(h, 10) == 0 ? 1 + pick(h, 3) : 0;
        r->bandwidth_mbps = pick(h, 12) == 0 ? 1000 : 0;
    }
    r->shared_milli = pick(h, 3) == 0 ? 0 : 100 * pick(h, 20);
    r->memory_bytes = pick(h, 12) * GIB / 2;
    r->overhead_bytes = pick(h, 4) == 0 ? 40 << 20 : 0;
    r->hugepages_1g = pick(h, 8) == 0;
    r->hugepages_2m = pick(h, 8) == 0 ? 10 : 0;
    r->address_wanted = pick(h, 2);
    r->mac_wanted = r->address_wanted && pick(h, 2);
    if (pick(h, 6) == 0) {
        bool part = pick(h, 2);
        w->model = both(h, "t4");
        w->devices[0] = (struct request_device){.class_name = both(h, "gpu"),
                                                .count = 1 + pick(h, part ? 2 : 3),
                                                .units = part ? 200 + pick(h, 9) * 100 : 0,
                                                .models = &w->model,
                                                .models_count = pick(h, 3) == 0};
        w->devices[1] = (struct request_device){
            .class_name = both(h, "gpu"), .count = 1 + pick(h, 2), .units = 100};
        r->devices = w->devices;
        r->devices_count = part && w->devices[0].models_count == 0 && pick(h, 3) == 0 ? 2 : 1;
    }
    if (pick(h, 10) == 0) {
        w->port = (struct request_port){.port = (uint16_t)(80 + pick(h, 3)), .address = pick(h, 2)};
        r->ports = &w->port;
        r->ports_count = 1;
    }
    if (h->is_wide && pick(h, 3) == 0) {
        w->toleration = (struct request_toleration){.key = both(h, "dedicated"),
                                                    .value = both(h, pick(h, 2) ? "x" : "y")};
        r->tolerations = &w->toleration;
        r->tolerations_count = 1;
    }
    r->choice = pick(h, 4) == 0 ? CHOICE_SPREAD : CHOICE_PACK;
}

static void wish_nodes(struct history *h, struct wish *w)
{
    struct request *r = &w->r;
    static const char *zones[] = {"a", "b", "c"};
    w->zone_value = both(h, zones[pick(h, 3)]);
    w->zone = (struct request_expression){both(h, "zone"), pick(h, 2) ? OP_IN : OP_NOT_IN,
                                          &w->zone_value, 1};
    w->preferred = (struct request_node_term){.labels = {&w->zone, 1}, .weight = 10};
    if (pick(h, 8) == 0) {
        w->selector[0] = (struct topology_label){w->zone.key, w->zone_value};
        r->node_selector = w->selector;
        r->node_selector_count = 1;
    } else if (pick(h, 8) == 0) {
        r->node_required = &w->preferred;
        r->node_required_count = 1;
    }
    if (pick(h, 10) == 0) {
        r->node_preferred = &w->preferred;
        r->node_preferred_count = 1;
    }
    if (pick(h, 4) == 0) {
        w->toleration = (struct request_toleration){.exists = true};
        r->tolerations = &w->toleration;
        r->tolerations_count = 1;
    }
    if (pick(h, 25) == 0)
        r->node_name = h->node_names[pick(h, h->nodes_count)];
    if (pick(h, 25) == 0) {
        w->name = h->node_names[pick(h, h->nodes_count)];
        w->field = (struct request_expression){0, OP_IN, &w->name, 1};
        w->named = (struct request_node_term){.fields = {&w->field, 1}};
        r->node_required = &w->named;
        r->node_required_count = 1;
    }
}

static void wish_pods(struct history *h, struct wish *w)
{
    static const char *keys[] = {"zone", "kubernetes.io/hostname", "rack"};
    struct request *r = &w->r;
    for (uint32_t i = 0; i < 2; i++) {
        w->spreads[i] = (struct request_spread){.max_skew = 1 + pick(h, 2),
                                                .min_domains = 0,
                                                .topology_key = both(h, keys[pick(h, 3)]),
                                                .selector = {&w->app, 1},
                                                .soft = pick(h, 3) == 0,
                                                .ignore_node_affinity = pick(h, 2),
                                                .honor_taints = pick(h, 2)};
        if (!w->spreads[i].soft && pick(h, 4) == 0)
            w->spreads[i].min_domains = 3;
        w->terms[i] = (struct request_pod_term){.selector = {&w->app, 1},
                                                .all_namespaces = pick(h, 3) == 0,
                                                .namespaces = &w->space,
                                                .namespaces_count = 1,
                                                .topology_key = both(h, keys[pick(h, 3)]),
                                                .weight = 1 + (int32_t)pick(h, 50)};
    }
    if (pick(h, 5) == 0) {
        r->spreads = w->spreads;
        r->spreads_count = 1 + pick(h, 2);
    }
    switch (pick(h, 16)) {
    case 0:
        r->affinity = w->terms;
        r->affinity_count = 1 + pick(h, 2);
        break;
    case 1:
        r->anti_affinity = w->terms;
        r->anti_affinity_count = 1 + pick(h, 2);
        break;
    case 2:
        r->affinity_preferred = w->terms;
        r->affinity_preferred_count = 1;
        r->anti_affinity_preferred = w->terms + 1;
        r->anti_affinity_preferred_count = 1;
        break;
    default:
        break;
    }
}

static void wish_make(struct history *h, struct wish *w, bool rules)
{
    static const char *apps[] = {"web", "db", "cache"}, *spaces[] = {"default", "team"};
    *w = (struct wish){0};
    w->space = w->r.namespace_name = both(h, spaces[pick(h, 2)]);
    w->labels[0] = (struct topology_label){both(h, "app"), both(h, apps[pick(h, 3)])};
    w->app_value = both(h, apps[pick(h, 3)]);
    w->app = (struct request_expression){w->labels[0].key, OP_IN, &w->app_value, 1};
    w->r.labels = w->labels;
    w->r.labels_count = pick(h, 4) != 0;
    wish_hardware(h, w);
    if (rules) {
        wish_nodes(h, w);
        wish_pods(h, w);
    }
}

/* ---- steps ---- */

static void compare_rows(const struct placement *a, const struct placement *b)
{
    cr_assert_eq(a->node, b->node, "node %u, plainly %u", a->node, b->node);
    cr_assert_eq(a->cores_count, b->cores_count);
    cr_assert_eq(a->cpus_count, b->cpus_count);
    cr_assert_eq(memcmp(a->cores, b->cores, a->cores_count * sizeof *a->cores), 0);
    cr_assert_eq(memcmp(a->cpus, b->cpus, a->cpus_count * sizeof *a->cpus), 0);
    cr_assert_eq(memcmp(a->memory, b->memory, sizeof a->memory), 0);
    cr_assert_eq(a->devices_count, b->devices_count);
    for (uint32_t i = 0; i < a->devices_count; i++)
        cr_assert_eq(a->devices[i].id_name, b->devices[i].id_name);
    cr_assert_eq(a->address, b->address);
    cr_assert_eq(a->mac, b->mac);
}

static void step_place(struct history *h, const struct request *r)
{
    struct placement a, b;
    uint64_t x = 0, y = 0;
    struct err e = {0};
    memset(a.memory, 0, sizeof a.memory);
    enum err_code ra = ledger_place(h->fast, r, &x, &a, &e);
    enum err_code rb = ledger_place_plain(h->plain, r, &y, &b, NULL);
    cr_assert_eq(ra, rb, "%s, plainly %s: %s", err_name(ra), err_name(rb), e.text);
    if (ra != ERR_OK) {
        h->refused++;
        return;
    }
    compare_rows(&a, &b);
    h->placed++;
    if (pick(h, 8) == 0) {
        ledger_undo(h->fast, x);
        ledger_undo(h->plain, y);
        return;
    }
    ledger_commit(h->fast, x);
    ledger_commit(h->plain, y);
    h->holds[h->holds_count][0] = x;
    h->holds[h->holds_count++][1] = y;
}

static void step_release(struct history *h)
{
    if (h->holds_count == 0)
        return;
    uint32_t i = pick(h, h->holds_count);
    for (uint32_t k = pick(h, 12); k > 0; k--) /* Right or wrong, it changes nothing. */
        ledger_foretell(h->fast, h->holds[pick(h, h->holds_count)][0] + pick(h, 2));
    ledger_release(h->fast, h->holds[i][0]);
    ledger_release(h->plain, h->holds[i][1]);
    h->holds_count--;
    h->holds[i][0] = h->holds[h->holds_count][0];
    h->holds[i][1] = h->holds[h->holds_count][1];
}

static void step_node(struct history *h)
{
    uint32_t i = pick(h, h->nodes_count);
    uint32_t a = ledger_node_find(h->fast, h->node_names[i]);
    uint32_t b = ledger_node_find(h->plain, h->node_names[i]);
    cr_assert_eq(a, b);
    switch (pick(h, 5)) {
    case 0:
        h->ready[i] = !h->ready[i];
        ledger_node_set_ready(h->fast, a, h->ready[i]);
        ledger_node_set_ready(h->plain, b, h->ready[i]);
        break;
    case 1:
        h->cordoned[i] = !h->cordoned[i];
        ledger_node_set_unschedulable(h->fast, a, h->cordoned[i]);
        ledger_node_set_unschedulable(h->plain, b, h->cordoned[i]);
        break;
    case 2:
        if (a != LEDGER_NODE_NONE) {
            ledger_node_remove(h->fast, a);
            ledger_node_remove(h->plain, b);
        }
        break;
    default:
        node_put(h, i);
        break;
    }
}

static void history_run(uint64_t seed, uint32_t nodes, uint32_t steps, bool rules, uint64_t cache)
{
    static struct history h;
    struct wish wishes[30];
    struct ledger_limits limits = {.cache_bytes_max = cache};
    memset(&h, 0, sizeof h);
    rng_seed(&h.rng, seed);
    h.fast = ledger_new(&limits);
    h.plain = ledger_new(NULL);
    if (seed % 2 == 0) /* Every other history without vector instructions. */
        h.fast->columns.filter = columns_filter_scalar;
    if (seed % 3 != 0) /* Lists so short that they overflow and run dry. */
        h.fast->list_keep = 2 * (uint32_t)(seed % 3);
    if (seed % 4 != 3) /* Walks that give up before they have found anything. */
        h.fast->order_patience = 2 + (uint32_t)(seed % 3);
    h.nodes_count = nodes;
    h.is_wide = nodes > 24;
    memset(h.ready, true, sizeof h.ready);
    for (uint32_t i = 0; i < nodes; i++)
        node_put(&h, i);
    for (uint32_t i = 0; i < COUNT_OF(wishes); i++)
        wish_make(&h, &wishes[i], rules);

    for (uint32_t i = 0; i < steps; i++) {
        uint32_t what = pick(&h, 100);
        if (what < 3)
            step_node(&h);
        else if (what < 6)
            wish_make(&h, &wishes[pick(&h, COUNT_OF(wishes))], rules);
        else if (what < 40 || h.holds_count == HOLDS_MAX)
            step_release(&h);
        else
            step_place(&h, &wishes[pick(&h, COUNT_OF(wishes))].r);
        if (!h.is_wide || i % 32 == 0)
            verify(h.fast);
        if (i % 16 == 0 && !h.is_wide)
            verify(h.plain);
    }
    cr_assert_gt(h.placed, steps / 20, "%u placed, %u refused", h.placed, h.refused);
    ledger_free(h.fast);
    ledger_free(h.plain);
}

/* BATON_SEEDS=20: that many times the seeds, for a long run. */
static uint64_t seeds(uint64_t count)
{
    const char *times = getenv("BATON_SEEDS");
    return times == NULL ? count : count * strtoul(times, NULL, 10);
}

TEST(history, hardware_equals_the_oracle)
{
    for (uint64_t seed = 1; seed <= seeds(6); seed++)
        history_run(seed, 4 + (uint32_t)(seed % 7) * 3, 1500, false, 0);
}

TEST(history, rules_equal_the_oracle)
{
    for (uint64_t seed = 100; seed < 100 + seeds(12); seed++)
        history_run(seed, 6 + (uint32_t)(seed % 4) * 6, 1200, true, 0);
}

/* So many nodes that their order has blocks above blocks. */
TEST(history, many_nodes_equal_the_oracle)
{
    for (uint64_t seed = 300; seed < 300 + seeds(4); seed++)
        history_run(seed, NODES_MAX, 4000, false, 0);
}

/* Almost no memory for what is remembered: lists are dropped and made again all the time. */
TEST(history, a_tiny_cache_changes_nothing)
{
    for (uint64_t seed = 200; seed < 200 + seeds(4); seed++)
        history_run(seed, 20, 800, true, 16 << 10);
}
