/* SPDX-License-Identifier: Apache-2.0 */
/* The order against a plain array: what is in it, and what a walk finds in which order. */
#include "base/mem.h"
#include "base/rng.h"
#include "scheduler/columns.h"
#include "tests/testlib/test.h"
#include <stdlib.h>
#include <string.h>

enum { NODES = 2500, STEPS = 40000 };

struct model {
    struct order order;
    struct columns_hot *hot;
    struct order_room room[NODES];
    struct rng rng;
    uint32_t count;
};

static struct model *model_new(uint64_t seed)
{
    struct model *m = mem_zalloc_lines(1, sizeof *m);
    m->hot = mem_zalloc_lines(NODES, sizeof *m->hot);
    rng_seed(&m->rng, seed);
    order_init(&m->order);
    for (uint32_t i = 0; i < NODES; i++)
        m->hot[i].position = ORDER_NONE;
    return m;
}

static void model_free(struct model *m)
{
    order_fini(&m->order);
    mem_free(m->hot);
    mem_free(m);
}

/* Few different keys, so that many are equal. */
static void put(struct model *m, uint32_t node, uint32_t keys)
{
    m->count += m->hot[node].position == ORDER_NONE;
    m->hot[node].left = (uint32_t)rng_below(&m->rng, keys);
    m->hot[node].tie = (uint32_t)rng_below(&m->rng, 3);
    for (uint32_t i = 0; i < ORDER_AMOUNTS; i++)
        m->room[node].at[i] = (uint16_t)(rng_below(&m->rng, 8) * 9362); /* 0 to 65534. */
    order_put(&m->order, m->hot, node, &m->room[node]);
}

static void take_out(struct model *m, uint32_t node)
{
    if (m->hot[node].position == ORDER_NONE)
        return;
    order_remove(&m->order, m->hot, node);
    m->count--;
}

static bool before(const struct model *m, uint32_t a, uint32_t b)
{
    const struct columns_hot *x = &m->hot[a], *y = &m->hot[b];
    if (x->left != y->left)
        return x->left < y->left;
    return x->tie != y->tie ? x->tie < y->tie : a < b;
}

static bool passes(const struct model *m, uint32_t node, const struct order_room *want)
{
    bool all = m->hot[node].position != ORDER_NONE;
    for (uint32_t i = 0; i < ORDER_AMOUNTS; i++)
        all &= m->room[node].at[i] >= want->at[i];
    return all;
}

static void check_walk(struct model *m, bool backwards)
{
    struct order_room want = {{0}};
    struct order_walk w;
    uint32_t node, last = ORDER_NONE, found = 0, wanted = 0;
    for (uint32_t i = 0; i < 3; i++)
        want.at[rng_below(&m->rng, ORDER_AMOUNTS)] = (uint16_t)rng_below(&m->rng, 65536);
    for (uint32_t i = 0; i < NODES; i++)
        wanted += passes(m, i, &want);
    order_walk_start(&w, &m->order, &want, UINT32_MAX);
    w.backwards = backwards;
    for (; (node = order_walk_next(&w)) != ORDER_NONE; last = node, found++) {
        cr_assert(passes(m, node, &want));
        cr_assert(backwards || last == ORDER_NONE || before(m, last, node));
    }
    cr_assert_eq(found, wanted);
}

static void model_run(uint64_t seed, uint32_t keys)
{
    struct model *m = model_new(seed);
    for (uint32_t i = 0; i < STEPS; i++) {
        uint32_t node = (uint32_t)rng_below(&m->rng, NODES);
        /* It fills, empties, and fills again: blocks split, join and vanish. */
        if (i / (STEPS / 4) % 2 == 1 && rng_below(&m->rng, 8) > 0)
            take_out(m, node);
        else
            put(m, node, keys);
        if (i % 200 == 0)
            cr_assert(order_verify(&m->order, m->hot, m->count));
        if (i % 200 == 0)
            check_walk(m, i % 400 == 0);
    }
    for (uint32_t i = 0; i < NODES; i++)
        take_out(m, i);
    cr_assert(order_is_empty(&m->order));
    cr_assert(order_verify(&m->order, m->hot, 0));
    model_free(m);
}

TEST(order, equals_a_sorted_array)
{
    model_run(1, 1u << 20);
}

TEST(order, equal_keys_go_by_number)
{
    model_run(2, 40);
    model_run(3, 1);
}

TEST(order, ascending_and_descending_keys)
{
    struct model *m = model_new(4);
    for (uint32_t i = 0; i < NODES; i++) {
        m->hot[i].left = i % 2 == 0 ? i : 2 * NODES - i;
        order_put(&m->order, m->hot, i, &m->room[i]);
    }
    cr_assert(order_verify(&m->order, m->hot, NODES));
    model_free(m);
}

TEST(order, a_walk_ends_at_its_limit)
{
    struct model *m = model_new(5);
    struct order_room want = {{0}};
    struct order_walk w;
    uint32_t found = 0;
    for (uint32_t i = 0; i < NODES; i++)
        put(m, i, 1000);
    order_walk_start(&w, &m->order, &want, 8);
    while (order_walk_next(&w) != ORDER_NONE)
        found++;
    cr_assert_eq(w.blocks_left, 0);
    cr_assert_lt(found, 8 * ORDER_LANES);
    cr_assert_gt(found, 0);
    model_free(m);
}
