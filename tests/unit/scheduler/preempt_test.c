/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/ledger_priv.h"
#include "scheduler/preempt.h"
#include "tests/testlib/test.h"
#include "tests/unit/scheduler/world.h"
#include <stdio.h>

static struct preempt_result result;

static uint64_t state_of(const struct ledger *l)
{
    uint64_t h = 0;
    for (uint32_t i = 0; i < l->nodes.count; i++)
        h = hash__mix(h, ledger__node(l, i)->tie);
    return h;
}

TEST(preempt, the_least_important_and_no_more_than_needed)
{
    struct ledger *l = ledger_new(NULL);
    put(l, "n1", 1, 1, 1, 9, 1, 16);
    struct request low = {.exclusive_cpus = 4, .priority = 1, .started = 10};
    struct request high = {.exclusive_cpus = 4, .priority = 5, .started = 20};
    struct request urgent = {.exclusive_cpus = 3, .priority = 9};
    uint64_t first = place_ok(l, &low, &(struct placement){0});
    place_ok(l, &high, &(struct placement){0});

    uint64_t before = state_of(l);
    cr_assert_eq(ledger_preempt(l, &urgent, NULL, 0, &result, NULL), ERR_OK);
    cr_assert_eq(result.victims_count, 1);
    cr_assert_eq(result.victims[0], first);
    cr_assert_eq(state_of(l), before, "asking changes nothing");
    verify(l);

    urgent.priority = 1;
    cr_assert_eq(ledger_preempt(l, &urgent, NULL, 0, &result, NULL), ERR_BUSY);
    urgent.priority = 9;
    urgent.never_preempts = true;
    cr_assert_eq(ledger_preempt(l, &urgent, NULL, 0, &result, NULL), ERR_BUSY);
    ledger_free(l);
}

/* Enough cores on the whole after either victim, but in one NUMA node only after the right one. */
TEST(preempt, numa_is_looked_at_again)
{
    struct ledger *l = ledger_new(NULL);
    put(l, "n1", 2, 1, 1, 8, 1, 16);
    struct request small = {.exclusive_cpus = 2, .numa_policy = NUMA_SINGLE, .priority = 1};
    struct request big = {.exclusive_cpus = 6, .numa_policy = NUMA_SINGLE, .priority = 2};
    struct placement rows;
    place_ok(l, &big, &rows);
    uint32_t big_numa = rows.numa_mask;
    uint64_t smalls[4], count = 0;
    while (ledger_place(l, &small, &smalls[count], NULL, NULL) == ERR_OK)
        count++;
    struct request urgent = {.exclusive_cpus = 6, .numa_policy = NUMA_SINGLE, .priority = 9};
    cr_assert_eq(ledger_preempt(l, &urgent, NULL, 0, &result, NULL), ERR_OK);
    for (uint32_t i = 0; i < result.victims_count; i++)
        ledger_release(l, result.victims[i]);
    place_ok(l, &urgent, &rows);
    cr_assert_eq(__builtin_popcount(rows.numa_mask), 1);
    cr_assert_neq(rows.numa_mask, 0);
    (void)big_numa;
    ledger_free(l);
}

TEST(preempt, budgets_come_first)
{
    struct ledger *l = ledger_new(NULL);
    put(l, "n1", 1, 1, 1, 5, 1, 16);
    put(l, "n2", 1, 1, 1, 5, 1, 16);
    uint32_t space = name_of(l, "default");
    struct topology_label guarded = {name_of(l, "app"), name_of(l, "db")};
    struct request_expression is_db = {guarded.key, OP_IN, &guarded.value, 1};
    struct preempt_budget budget = {space, {&is_db, 1}, 0};
    struct request db = {.namespace_name = space,
                         .labels = &guarded,
                         .labels_count = 1,
                         .exclusive_cpus = 4,
                         .priority = 0};
    struct request web = {.namespace_name = space, .exclusive_cpus = 4, .priority = 3};
    struct request urgent = {.namespace_name = space, .exclusive_cpus = 4, .priority = 9};
    place_ok(l, &db, &(struct placement){0});
    uint64_t other = place_ok(l, &web, &(struct placement){0});
    cr_assert_eq(ledger_preempt(l, &urgent, &budget, 1, &result, NULL), ERR_OK);
    cr_assert_eq(result.victims_count, 1);
    cr_assert_eq(result.victims[0], other, "a higher priority goes before a budget is broken");
    cr_assert_eq(result.violations, 0);
    cr_assert_eq(ledger_preempt(l, &urgent, NULL, 0, &result, NULL), ERR_OK);
    cr_assert_neq(result.victims[0], other);
    ledger_free(l);
}

/* More nodes than are compared, nearly all of them guarded, among the budgets of many namespaces: the one that nobody
 * guards is found. */
TEST(preempt, the_one_node_without_a_budget_is_found)
{
    enum { NODES = 80, BUDGETS = 300 };
    struct ledger *l = ledger_new(NULL);
    struct preempt_budget budgets[BUDGETS];
    struct topology_label guarded = {name_of(l, "app"), name_of(l, "db")};
    struct request_expression is_db = {guarded.key, OP_IN, &guarded.value, 1};
    char text[16];
    for (uint32_t i = 0; i < BUDGETS; i++) {
        snprintf(text, sizeof text, "space-%u", i);
        budgets[i] = (struct preempt_budget){name_of(l, text), {&is_db, 1}, 0};
        cr_assert(i == 0 || budgets[i].namespace_name > budgets[i - 1].namespace_name);
    }
    uint32_t space = budgets[150].namespace_name;
    uint64_t plain = 0;
    for (uint32_t i = 0; i < NODES; i++) {
        snprintf(text, sizeof text, "n%u", i);
        put(l, text, 1, 1, 1, 5, 1, 16);
        struct request r = {.namespace_name = space,
                            .labels = &guarded,
                            .labels_count = i == 70 ? 0 : 1,
                            .exclusive_cpus = 4,
                            .priority = i == 70 ? 5 : 0};
        uint64_t hold = place_ok(l, &r, &(struct placement){0});
        plain = i == 70 ? hold : plain;
    }
    struct request urgent = {.namespace_name = space, .exclusive_cpus = 4, .priority = 9};
    cr_assert_eq(ledger_preempt(l, &urgent, budgets, BUDGETS, &result, NULL), ERR_OK);
    cr_assert_eq(result.violations, 0);
    cr_assert_eq(result.victims[0], plain);
    urgent.priority = 3; /* Too low for that one: then a budget is broken. */
    cr_assert_eq(ledger_preempt(l, &urgent, budgets, BUDGETS, &result, NULL), ERR_OK);
    cr_assert_eq(result.violations, 1);
    verify(l);
    ledger_free(l);
}

/* More lower workloads on a node than are looked at one by one: the least important ones are. */
TEST(preempt, a_node_with_very_many_lower_ones)
{
    enum { LOWER = 300 };
    struct ledger *l = ledger_new(NULL);
    struct machine m;
    machine_make(&m, l, "n1", &(struct topology_spec){1, 1, 1, 4, 1, 16 * GIB, 0, 0, 0, 0});
    m.t.pods_max = LOWER + 10;
    machine_put(&m, l);
    for (uint32_t i = 0; i < LOWER;
         i++) { /* 12 of 3750 millicores each; every third is more important. */
        struct request r = {.shared_milli = 12, .priority = i % 3 == 0, .cookie = i};
        uint64_t hold;
        cr_assert_eq(ledger_place(l, &r, &hold, NULL, NULL), ERR_OK);
    }
    struct request urgent = {.shared_milli = 1000, .priority = 9};
    cr_assert_eq(ledger_preempt(l, &urgent, NULL, 0, &result, NULL), ERR_OK);
    cr_assert_eq(result.victims_count, 71); /* 150 are free. */
    for (uint32_t i = 0; i < result.victims_count; i++) {
        struct ledger_hold_info info;
        cr_assert(ledger_hold_info(l, result.victims[i], &info));
        cr_assert_eq(info.priority, 0);
    }
    urgent.shared_milli = 3700; /* 296 would have to go: no answer names so many. */
    cr_assert_eq(ledger_preempt(l, &urgent, NULL, 0, &result, NULL), ERR_BUSY);
    verify(l);
    ledger_free(l);
}

TEST(gang, all_members_or_none)
{
    struct ledger *l = ledger_new(NULL);
    put(l, "n1", 1, 1, 1, 5, 1, 16);
    put(l, "n2", 1, 1, 1, 5, 1, 16);
    struct request members[3] = {
        {.exclusive_cpus = 1}, {.exclusive_cpus = 4}, {.exclusive_cpus = 3}};
    uint64_t holds[3], before = state_of(l);
    uint32_t failed = 9;
    /* One after the other the small one would take the big one's place. */
    cr_assert_eq(ledger_place_gang(l, members, 3, holds, &failed, NULL), ERR_OK);
    verify(l);
    for (uint32_t i = 0; i < 3; i++)
        ledger_undo(l, holds[i]);
    cr_assert_eq(state_of(l), before);
    members[0].exclusive_cpus = 2;
    cr_assert_eq(ledger_place_gang(l, members, 3, holds, &failed, NULL), ERR_BUSY);
    cr_assert_eq(failed, 0);
    cr_assert_eq(state_of(l), before);
    cr_assert_eq(ledger_holds_count(l), 0);
    ledger_free(l);
}

/* Nobody who says that a gang is hopeless is wrong: on empty nodes none of these is ever placed. And some of those
 * that nothing but their number makes so are found. */
TEST(gang, hopeless_is_what_empty_nodes_could_not_hold)
{
    struct ledger *l = ledger_new(NULL);
    struct rng rng;
    uint32_t said = 0, placed = 0, failed;
    uint64_t holds[6];
    put(l, "n1", 1, 1, 1, 5, 1, 16);
    put(l, "n2", 1, 2, 1, 4, 2, 8);
    rng_seed(&rng, 5);
    for (uint32_t round = 0; round < 600; round++) {
        struct request members[6];
        uint32_t count = 1 + (uint32_t)rng_below(&rng, 6);
        for (uint32_t i = 0; i < count; i++)
            members[i] =
                (struct request){.exclusive_cpus = (uint32_t)rng_below(&rng, 7),
                                 .shared_milli = 500 * (uint32_t)rng_below(&rng, 4),
                                 .memory_bytes = rng_below(&rng, 10) * GIB,
                                 .hugepages_1g = rng_below(&rng, 8) == 0,
                                 .numa_policy = rng_below(&rng, 2) ? NUMA_SINGLE : NUMA_NONE};
        bool hopeless = ledger_gang_is_hopeless(l, members, count);
        said += hopeless;
        if (ledger_place_gang(l, members, count, holds, &failed, NULL) != ERR_OK)
            continue;
        placed++;
        cr_assert_not(hopeless, "round %u", round);
        for (uint32_t i = 0; i < count; i++)
            ledger_undo(l, holds[i]);
    }
    cr_assert_gt(said, 60u);
    cr_assert_gt(placed, 60u);
    struct request alike[8];
    for (uint32_t i = 0; i < COUNT_OF(alike); i++) /* Four cores, then six of two threads each. */
        alike[i] = (struct request){.exclusive_cpus = 3};
    cr_assert_not(ledger_gang_is_hopeless(l, alike, 4));
    cr_assert(ledger_gang_is_hopeless(l, alike, 8));
    alike[0].exclusive_cpus = 15; /* One alone is enough. */
    cr_assert(ledger_gang_is_hopeless(l, alike, 2));
    ledger_free(l);
}

TEST(gang, drives_away_for_all_or_for_none)
{
    struct ledger *l = ledger_new(NULL);
    put(l, "n1", 1, 1, 1, 5, 1, 16);
    put(l, "n2", 1, 1, 1, 5, 1, 16);
    struct request low = {.exclusive_cpus = 2, .priority = 1};
    for (uint32_t i = 0; i < 3; i++)
        place_ok(l, &low, &(struct placement){0}); /* Two of eight cores are free. */
    struct request members[3] = {{.exclusive_cpus = 2, .priority = 7},
                                 {.exclusive_cpus = 4, .priority = 5},
                                 {.exclusive_cpus = 1, .priority = 9}};
    struct plan_step steps[3];
    uint32_t failed = 9;
    uint64_t before = state_of(l);
    struct plan *p = plan_begin(l, NULL, 0);
    cr_assert_eq(plan_place_gang(p, members, 3, steps, &failed, NULL), ERR_OK);
    uint32_t victims = 0;
    for (uint32_t i = 0; i < 3; i++)
        victims += steps[i].victims.victims_count;
    cr_expect_eq(victims, 3);
    plan_back(p, 0);
    cr_assert_eq(state_of(l), before);
    members[2].exclusive_cpus = 3;
    cr_assert_eq(plan_place_gang(p, members, 3, steps, &failed, NULL), ERR_BUSY);
    cr_expect_eq(failed, 0, "the smallest comes last");
    members[2].exclusive_cpus = 1;
    members[0].never_preempts = true;
    cr_assert_eq(plan_place_gang(p, members, 3, steps, &failed, NULL), ERR_BUSY);
    members[0].never_preempts = false;
    members[1].priority = 1; /* Not above the low ones: nobody leaves for any of them. */
    cr_assert_eq(plan_place_gang(p, members, 3, steps, &failed, NULL), ERR_BUSY);
    plan_end(p);
    cr_assert_eq(state_of(l), before);
    verify(l);
    ledger_free(l);
}

/* Of four cores, memory and a port one core is another's and some memory: the rest is held, and not twice. */
TEST(gang, keeps_what_is_free_of_its_rows)
{
    struct ledger *l = ledger_new(NULL);
    put(l, "n1", 1, 1, 1, 5, 1, 16);
    struct request_port port = {.port = 80};
    struct request r = {.exclusive_cpus = 4,
                        .memory_bytes = 8ull << 30,
                        .ports = &port,
                        .ports_count = 1,
                        .priority = 3};
    struct request other = {.exclusive_cpus = 1, .memory_bytes = 12ull << 30};
    struct placement rows;
    uint64_t hold = place_ok(l, &r, &rows);
    ledger_undo(l, hold);
    place_ok(l, &other, &(struct placement){0});
    hold = ledger_keep(l, &r, &rows);
    cr_assert_neq(hold, 0);
    verify(l);
    struct placement kept;
    cr_assert_eq(ledger_hold_rows(l, hold, &kept, NULL), ERR_OK);
    cr_expect_eq(kept.cores_count, 3);
    cr_expect_eq(kept.memory[0].bytes, 4ull << 30);
    cr_expect_eq(kept.ports_count, 1);
    struct ledger_hold_info info;
    cr_assert(ledger_hold_info(l, hold, &info));
    cr_expect_eq(info.priority, 3);
    cr_expect_eq(ledger_keep(l, &r, &rows), 0, "there is nothing left to keep");
    ledger_release(l, hold);
    verify(l);

    /* The pool is in use: cores are kept as a part of it, and it stays as large as it must be. */
    struct request busy = {.shared_milli = 2500};
    place_ok(l, &busy, &(struct placement){0});
    hold = ledger_keep(l, &r, &rows);
    verify(l);
    struct ledger_node_info node;
    ledger_node_info(l, rows.node, &node);
    cr_expect_leq(node.shared_milli_held, node.shared_milli_max);
    ledger_release(l, hold);
    verify(l);
    ledger_free(l);
}

/* The steps of a plan and what they say; the ledger is as it was afterwards. */
TEST(plan, a_drain_says_where_everything_would_go)
{
    struct ledger *l = ledger_new(NULL);
    put(l, "n1", 1, 1, 1, 9, 1, 16);
    put(l, "n2", 1, 1, 1, 5, 1, 16);
    struct request r = {.exclusive_cpus = 3, .priority = 1};
    struct request important = {.exclusive_cpus = 3, .priority = 7};
    struct placement rows;
    place_ok(l, &r, &rows);
    uint64_t hold = place_ok(l, &important, &rows);
    uint64_t before = state_of(l);
    struct plan_step step;

    struct plan *p = plan_begin(l, NULL, 0);
    cr_assert_eq(plan_close(p, rows.node, NULL), ERR_OK);
    cr_assert_eq(plan_lift(p, hold, NULL), ERR_OK);
    cr_assert_eq(plan_lift(p, hold, NULL), ERR_NOT_FOUND, "it left already");
    cr_assert_eq(plan_place(p, &important, &step, NULL), ERR_OK);
    struct placement there;
    cr_assert_eq(ledger_hold_rows(l, step.hold, &there, NULL), ERR_OK);
    cr_assert_neq(there.node, rows.node);
    cr_assert_eq(step.victims.victims_count, 1);
    plan_end(p);
    cr_assert_eq(state_of(l), before);
    cr_assert_eq(ledger_holds_count(l), 2);
    verify(l);
    ledger_free(l);
}

TEST(plan, each_sees_the_ones_before_it_and_victims_have_left)
{
    struct ledger *l = ledger_new(NULL);
    put(l, "n1", 1, 1, 1, 9, 1, 16);
    struct request low = {.exclusive_cpus = 4}, high = {.exclusive_cpus = 4, .priority = 5};
    struct placement rows;
    uint64_t first = place_ok(l, &low, &rows), before = state_of(l);
    struct plan_step steps[3];

    struct plan *p = plan_begin(l, NULL, 0);
    cr_assert_eq(plan_place(p, &high, &steps[0], NULL), ERR_OK);
    cr_assert_eq(steps[0].victims.victims_count, 0);
    cr_assert_eq(plan_place(p, &high, &steps[1], NULL), ERR_OK);
    cr_assert_eq(steps[1].victims.victims_count, 1);
    cr_assert_eq(steps[1].victims.victims[0], first);
    cr_assert_eq(plan_place(p, &high, &steps[2], NULL), ERR_BUSY);
    plan_end(p);
    cr_assert_eq(state_of(l), before);
    cr_assert_eq(ledger_hold_rows(l, first, &rows, NULL), ERR_OK);
    verify(l);
    ledger_free(l);
}

TEST(plan, has_a_limit_and_keeps_its_promise_there)
{
    struct ledger *l = ledger_new(NULL);
    uint32_t n1 = put(l, "n1", 1, 1, 1, 9, 1, 16);
    uint64_t before = state_of(l);
    struct plan_step step;
    struct plan *p = plan_begin(l, NULL, 0);
    for (uint32_t i = 0; i < PLAN_STEPS_MAX; i++)
        cr_assert_eq(plan_close(p, n1, NULL), ERR_OK);
    cr_assert_eq(plan_close(p, n1, NULL), ERR_LIMIT);
    cr_assert_eq(plan_place(p, &(struct request){.shared_milli = 1}, &step, NULL), ERR_BUSY);
    plan_end(p);
    cr_assert_eq(state_of(l), before);
    uint64_t hold;
    cr_assert_eq(ledger_place(l, &(struct request){.shared_milli = 1}, &hold, NULL, NULL), ERR_OK);
    ledger_free(l);
}

/* A slot that was used four billion times begins anew, and its first name is not nobody's. */
TEST(preempt, a_hold_is_never_nobodys)
{
    struct ledger *l = ledger_new(NULL);
    put(l, "n0", 1, 1, 1, 4, 1, 4);
    struct request r = {.shared_milli = 100};
    ledger_release(l, place_ok(l, &r, NULL));
    ledger__hold(l, 0)->generation = UINT32_MAX;
    uint64_t hold = place_ok(l, &r, NULL);
    cr_expect_neq(hold, 0);
    ledger_release(l, hold);
    cr_expect_eq(ledger_holds_count(l), 0);
    ledger_free(l);
}
