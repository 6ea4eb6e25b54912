/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of Kubernetes: what they refuse, what they prefer, and in which words. */
#include "tests/testlib/test.h"
#include "tests/unit/scheduler/world.h"

#include <stdio.h>

/* Six nodes in three zones: n0..n5 in a, a, b, b, c, c. */
static struct ledger *zones(void)
{
    struct ledger *l = ledger_new(NULL);
    for (uint32_t i = 0; i < 6; i++) {
        struct machine m;
        const char *names[] = {"n0", "n1", "n2", "n3", "n4", "n5"}, *zone[] = {"a", "b", "c"};
        machine_make(&m, l, names[i], &(struct topology_spec){1, 1, 1, 4, 2, 16 * GIB, 0, 0, 0, 0});
        machine_label(&m, l, "zone", zone[i / 2]);
        machine_label(&m, l, "size", i % 2 == 0 ? "4" : "12");
        machine_put(&m, l);
    }
    return l;
}

static uint32_t zone_count(struct ledger *l, const uint32_t *nodes, uint32_t count, uint32_t zone)
{
    uint32_t in = 0;
    (void)l;
    for (uint32_t i = 0; i < count; i++)
        in += nodes[i] / 2 == zone;
    return in;
}

static struct request_expression app_is(struct ledger *l, uint32_t *value)
{
    *value = name_of(l, "web");
    return (struct request_expression){
        .key = name_of(l, "app"), .op = OP_IN, .values = value, .values_count = 1};
}

TEST(rules, spread_over_zones)
{
    struct ledger *l = zones();
    uint32_t value, nodes[9];
    struct request_expression x = app_is(l, &value);
    struct request_spread spread = {
        .max_skew = 1, .topology_key = name_of(l, "zone"), .selector = {&x, 1}};
    struct topology_label own = {x.key, value};
    struct request r = {.labels = &own,
                        .labels_count = 1,
                        .shared_milli = 100,
                        .spreads = &spread,
                        .spreads_count = 1};
    struct placement rows;

    for (uint32_t i = 0; i < 9; i++) {
        place_ok(l, &r, &rows);
        nodes[i] = rows.node;
        uint32_t a = zone_count(l, nodes, i + 1, 0), b = zone_count(l, nodes, i + 1, 1),
                 c = zone_count(l, nodes, i + 1, 2);
        cr_assert(a + 1 >= b && a + 1 >= c && b + 1 >= a && b + 1 >= c && c + 1 >= a && c + 1 >= b);
    }
    spread.min_domains = 4; /* Three zones only: the emptiest counts as 0, three are over skew 1. */
    place_not(l, &r, "0 of 6 nodes fit: 6 node(s) didn't match pod topology spread constraints");
    spread.min_domains = 0;
    spread.topology_key = name_of(l, "rack");
    place_not(l, &r,
              "0 of 6 nodes fit: 6 node(s) didn't match pod topology spread constraints "
              "(missing required label)");
    ledger_free(l);
}

/* nodeTaintsPolicy Honor leaves out nodes with taints that are not tolerated, and a cordon is one
 * (node.kubernetes.io/unschedulable): who tolerates it stands there as anywhere. */
TEST(rules, a_tolerated_cordon_counts_in_spreading)
{
    struct ledger *l = zones();
    uint32_t value, nodes[9];
    struct request_expression x = app_is(l, &value);
    struct request_spread spread = {.max_skew = 1,
                                    .topology_key = name_of(l, "zone"),
                                    .selector = {&x, 1},
                                    .honor_taints = true};
    struct request_toleration cordon = {name_of(l, "node.kubernetes.io/unschedulable"), true, 0,
                                        TOLERATE_NO_SCHEDULE};
    struct topology_label own = {x.key, value};
    struct request r = {.labels = &own,
                        .labels_count = 1,
                        .shared_milli = 100,
                        .tolerations = &cordon,
                        .tolerations_count = 1,
                        .spreads = &spread,
                        .spreads_count = 1};
    struct placement rows;
    for (uint32_t n = 0; n < 6; n++)
        ledger_node_set_unschedulable(l, n, n / 2 == 2);
    for (uint32_t i = 0; i < 9; i++) {
        place_ok(l, &r, &rows);
        nodes[i] = rows.node;
    }
    for (uint32_t zone = 0; zone < 3; zone++)
        cr_assert_eq(zone_count(l, nodes, 9, zone), 3);
    ledger_free(l);
}

/* Kubernetes counts no terminating pod in spreading (issue 87621), but does in affinity: the one that comes for it takes
 * its place. */
TEST(rules, who_leaves_is_not_counted_in_spreading)
{
    struct ledger *l = zones();
    uint32_t value;
    struct request_expression x = app_is(l, &value);
    struct request_spread spread = {
        .max_skew = 1, .topology_key = name_of(l, "zone"), .selector = {&x, 1}};
    struct topology_label own = {x.key, value};
    struct request r = {.labels = &own,
                        .labels_count = 1,
                        .shared_milli = 100,
                        .spreads = &spread,
                        .spreads_count = 1};
    struct request_pod_term term = {
        .selector = {&x, 1}, .all_namespaces = true, .topology_key = spread.topology_key};
    struct request apart = {.shared_milli = 100, .anti_affinity = &term, .anti_affinity_count = 1};
    struct placement rows, other;
    uint64_t hold, leaves = place_ok(l, &r, &rows);
    place_ok(l, &r, &other);
    place_ok(l, &r, &other);
    cr_assert(ledger_hold_leaves(l, leaves));
    cr_assert_eq(ledger_reword(l, leaves, &r, NULL), ERR_OK, "other words, and it leaves still");
    verify(l);
    cr_assert_eq(ledger_place(l, &apart, &hold, NULL, NULL), ERR_BUSY, "it stands there still");
    place_ok(l, &r, &other);
    cr_assert_eq(other.node / 2, rows.node / 2, "where it leaves is room");
    ledger_release(l, leaves);
    cr_assert_not(ledger_hold_leaves(l, leaves), "nothing does any more");
    verify(l);
    ledger_free(l);
}

TEST(rules, affinity_and_its_first_of_a_group)
{
    struct ledger *l = zones();
    uint32_t value, ns = name_of(l, "default");
    struct request_expression x = app_is(l, &value);
    struct request_pod_term term = {.selector = {&x, 1},
                                    .namespaces = &ns,
                                    .namespaces_count = 1,
                                    .topology_key = name_of(l, "zone")};
    struct topology_label own = {x.key, value};
    struct request r = {
        .namespace_name = ns, .shared_milli = 6000, .affinity = &term, .affinity_count = 1};
    struct placement rows;

    place_not(l, &r, "0 of 6 nodes fit: 6 node(s) didn't match pod affinity rules");
    r.labels = &own;
    r.labels_count = 1;
    place_ok(l, &r, &rows); /* It matches itself. */
    uint32_t zone = rows.node / 2;
    place_ok(l, &r, &rows);
    cr_assert_eq(rows.node / 2, zone);
    place_not(l, &r,
              "0 of 6 nodes fit: 2 cpu (millicores of the shared pool): 6000 wanted, at "
              "most 1750 free; 4 node(s) didn't match pod affinity rules");
    ledger_free(l);
}

TEST(rules, anti_affinity_holds_both_ways)
{
    struct ledger *l = zones();
    uint32_t value, ns = name_of(l, "default");
    struct request_expression x = app_is(l, &value);
    struct request_pod_term term = {.selector = {&x, 1},
                                    .namespaces = &ns,
                                    .namespaces_count = 1,
                                    .topology_key = name_of(l, "zone")};
    struct topology_label own = {x.key, value};
    struct request lonely = {
        .namespace_name = ns, .shared_milli = 10, .anti_affinity = &term, .anti_affinity_count = 1};
    struct request web = {.namespace_name = ns, .labels = &own, .labels_count = 1};
    struct placement rows;

    for (uint32_t i = 0; i < 3; i++) /* They avoid web, not each other. */
        place_ok(l, &lonely, &rows);
    uint32_t zone = rows.node / 2;
    uint64_t hold = place_ok(l, &web, &rows);
    cr_assert_neq(rows.node / 2, zone, "standing anti-affinity keeps it out");
    struct request pinned = web;
    pinned.node_selector =
        &(struct topology_label){name_of(l, "zone"), name_of(l, zone == 0   ? "a"
                                                                : zone == 1 ? "b"
                                                                            : "c")};
    pinned.node_selector_count = 1;
    place_not(l, &pinned,
              "0 of 6 nodes fit: 4 node(s) didn't match Pod's node affinity/selector; 2 "
              "node(s) didn't satisfy existing pods anti-affinity rules");
    for (uint32_t i = 0; i < 20; i++) {
        place_ok(l, &lonely, &rows);
        cr_assert_eq(rows.node / 2, zone, "packed where the others are, away from web");
    }
    ledger_release(l, hold);
    ledger_free(l);
}

TEST(rules, node_affinity_taints_and_preferences)
{
    struct ledger *l = zones();
    uint32_t ten = name_of(l, "10"), b = name_of(l, "b");
    struct request_expression big = {name_of(l, "size"), OP_GT, &ten, 1};
    struct request_expression in_b = {name_of(l, "zone"), OP_IN, &b, 1};
    struct request_node_term required = {.labels = {&big, 1}};
    struct request_node_term preferred = {.labels = {&in_b, 1}, .weight = 10};
    struct request r = {.node_required = &required,
                        .node_required_count = 1,
                        .node_preferred = &preferred,
                        .node_preferred_count = 1};
    struct placement rows;
    place_ok(l, &r, &rows);
    cr_assert_eq(rows.node, 3);

    struct machine m;
    machine_make(&m, l, "n3", &(struct topology_spec){1, 1, 1, 4, 2, 16 * GIB, 0, 0, 0, 0});
    machine_label(&m, l, "zone", "b");
    machine_label(&m, l, "size", "12");
    struct topology_taint taint = {name_of(l, "dedicated"), name_of(l, "db"), TAINT_NO_SCHEDULE};
    m.t.taints = &taint;
    m.t.taints_count = 1;
    machine_put(&m, l);
    r.node_selector = &(struct topology_label){in_b.key, b};
    r.node_selector_count = 1;
    place_not(l, &r,
              "0 of 6 nodes fit: 1 node(s) had untolerated taint {dedicated: db}; 5 node(s) "
              "didn't match Pod's node affinity/selector");
    struct request_toleration all = {.exists = true};
    r.tolerations = &all;
    r.tolerations_count = 1;
    place_ok(l, &r, &rows);
    cr_assert_eq(rows.node, 3);
    ledger_node_set_unschedulable(l, 3, true);
    place_ok(l, &r, &rows); /* Tolerating everything tolerates a cordon. */
    r.tolerations_count = 0;
    r.node_name = name_of(l, "n3");
    place_ok(l, &r, &rows); /* Pinned: only hardware is asked. */
    ledger_free(l);
}

/* A hold that is worded anew counts by its new words, keeps its rows, and is given back whole. */
TEST(rules, a_hold_is_reworded)
{
    struct ledger *l = zones();
    uint32_t value;
    struct request_expression x = app_is(l, &value);
    struct request_pod_term near = {
        .selector = {&x, 1}, .all_namespaces = true, .topology_key = name_of(l, "zone")};
    struct topology_label web = {x.key, value}, other = {x.key, name_of(l, "old")};
    struct request standing = {.labels = &web, .labels_count = 1, .exclusive_cpus = 2};
    struct request follows = {.shared_milli = 100, .affinity = &near, .affinity_count = 1};
    struct placement rows, now;
    uint64_t hold = place_ok(l, &standing, &rows);
    ledger_undo(l, place_ok(l, &follows, &now));
    standing.labels = &other;
    standing.exclusive_cpus = 7; /* Not what this is about. */
    cr_assert_eq(ledger_reword(l, hold, &standing, NULL), ERR_OK);
    verify(l);
    place_not(l, &follows, "0 of 6 nodes fit: 6 node(s) didn't match pod affinity rules");
    cr_assert_eq(ledger_hold_rows(l, hold, &now, NULL), ERR_OK);
    cr_expect_eq(now.cores_count, rows.cores_count);
    cr_expect_eq(now.cores[0], rows.cores[0]);
    standing.labels = &web;
    cr_assert_eq(ledger_reword(l, hold, &standing, NULL), ERR_OK);
    ledger_undo(l, place_ok(l, &follows, &now));
    ledger_release(l, hold);
    verify(l);
    cr_assert_eq(ledger_reword(l, hold, &standing, NULL), ERR_NOT_FOUND);
    place_not(l, &follows, "0 of 6 nodes fit: 6 node(s) didn't match pod affinity rules");
    ledger_free(l);
}

/* One on each of many nodes, and one too many: what is said of it costs no more than a look at each of them. */
TEST(rules, why_one_more_has_no_place_on_thousands_of_nodes)
{
    enum { NODES = 5000 };
    struct ledger *l = ledger_new(NULL);
    struct explanation x;
    char name[16], text[256];
    for (uint32_t i = 0; i < NODES; i++) {
        snprintf(name, sizeof name, "n%u", i);
        put(l, name, 1, 1, 1, 2, 1, 4);
    }
    uint32_t app = name_of(l, "app"), web = name_of(l, "web");
    uint32_t host = name_of(l, "kubernetes.io/hostname"), space = name_of(l, "default");
    struct topology_label label = {app, web};
    struct request_expression is_web = {.key = app, .op = OP_IN, .values = &web, .values_count = 1};
    struct request_pod_term apart = {.selector = {&is_web, 1},
                                     .namespaces = &space,
                                     .namespaces_count = 1,
                                     .topology_key = host};
    struct request_spread even = {.max_skew = 1, .topology_key = host, .selector = {&is_web, 1}};
    struct request r = {.shared_milli = 100,
                        .namespace_name = space,
                        .labels = &label,
                        .labels_count = 1,
                        .anti_affinity = &apart,
                        .anti_affinity_count = 1,
                        .spreads = &even,
                        .spreads_count = 1};
    uint64_t hold;
    for (uint32_t i = 0; i < NODES; i++)
        cr_assert_eq(ledger_place(l, &r, &hold, NULL, NULL), ERR_OK);
    cr_assert_eq(ledger_place(l, &r, &hold, NULL, NULL), ERR_BUSY);
    for (uint32_t i = 0; i < 10;
         i++) { /* Of ten kinds: none is remembered. Pair by pair it takes a minute. */
        r.shared_milli = 100 + i;
        ledger_explain(l, &r, &x);
    }
    explain_print(l, &x, text, sizeof text);
    cr_expect_str_eq(text,
                     "0 of 5000 nodes fit: 5000 node(s) didn't match pod anti-affinity rules");
    ledger_free(l);
}

/* A list that has read the log up to its first end does not find the rest where it was when the log has grown with the nodes.
 * What it would miss are small ones, where the workload would leave the least over. */
TEST(rules, more_nodes_than_the_log_had_room_for)
{
    enum { NODES = 17000 };
    struct ledger *l = ledger_new(&(struct ledger_limits){.nodes_max = 50000});
    struct topology_label selector = {name_of(l, "size"), name_of(l, "4")};
    struct request r = {.shared_milli = 700, .node_selector = &selector, .node_selector_count = 1};
    char name[16];
    for (uint32_t i = 0; i < NODES; i++) {
        struct machine m;
        struct placement fast, plain;
        uint64_t hold;
        snprintf(name, sizeof name, "n%u", i);
        uint32_t cores = i == 0 || (i >= 16300 && i < 16384) ? 1 : 2;
        machine_make(&m, l, name, &(struct topology_spec){1, 1, 1, cores, 1, 4 * GIB, 0, 0, 0, 0});
        machine_label(&m, l, "size", i % 3 == 0 ? "4" : "12");
        machine_put(&m, l);
        if ((i % 500 != 0 || i > 16000) && (i < 16385 || i > 16390))
            continue;
        cr_assert_eq(ledger_place(l, &r, &hold, &fast, NULL), ERR_OK);
        ledger_undo(l, hold);
        cr_assert_eq(ledger_place_plain(l, &r, &hold, &plain, NULL), ERR_OK);
        cr_assert_eq(fast.node, plain.node, "of %u nodes", i + 1);
    }
    verify(l);
    ledger_free(l);
}

static void disk_put(struct ledger *l, const char *name, const char *disk)
{
    struct machine m;
    machine_make(&m, l, name, &(struct topology_spec){1, 1, 1, 4, 1, 16 * GIB, 0, 0, 0, 0});
    machine_label(&m, l, "disk", disk);
    machine_put(&m, l);
}

/* More changes of what is said of nodes than the log of them keeps, between two requests of a class. */
TEST(rules, labels_that_changed_long_ago)
{
    struct ledger *l = ledger_new(NULL);
    disk_put(l, "n0", "ssd");
    disk_put(l, "n1", "tape");
    put(l, "large", 1, 1, 1, 8, 1, 32); /* Costs are shares of it: they stay. */
    struct topology_label ssd = {name_of(l, "disk"), name_of(l, "ssd")};
    struct request r = {.shared_milli = 100, .node_selector = &ssd, .node_selector_count = 1};
    struct placement rows;
    ledger_release(l, place_ok(l, &r, &rows));
    cr_assert_eq(rows.node, 0);
    disk_put(l, "n0", "tape");
    disk_put(l, "n1", "ssd");
    for (uint32_t i = 0; i < 6000; i++)
        ledger_node_set_ready(l, 0, i % 2 == 1);
    place_ok(l, &r, &rows);
    cr_assert_eq(rows.node, 1);
    ledger_free(l);
}
