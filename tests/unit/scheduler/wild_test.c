/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The oracle again, of what history_test.c does not draw: cores that differ, devices that nobody shares, counts,
 * images, capabilities, every operator, labels of nodes and of workloads that change, more topology keys than a list
 * keeps apart, gangs, victims, plans, rows that are kept and rows that are restored.
 */
#include "scheduler/ledger_priv.h"
#include "scheduler/preempt.h"
#include "scheduler/search_priv.h"
#include "tests/unit/scheduler/wild.h"
#include <stdio.h>
#include <stdlib.h>

/* ---- nodes ---- */

static void put_place(struct wild *w, uint32_t i)
{
    uint32_t a = 0, b = 0;
    enum err_code ra = ledger_node_put(w->fast, &w->places[i].m.t, &a, NULL);
    enum err_code rb = ledger_node_put(w->plain, &w->places[i].m.t, &b, NULL);
    cr_assert_eq(ra, rb);
    if (ra == ERR_OK)
        cr_assert_eq(a, b);
    w->places[i].is_there = true;
}

static void set_images(struct wild *w, struct place *p, uint32_t node)
{
    wild_draw_images(w, p);
    enum err_code ra = ledger_node_set_images(w->fast, node, p->images, p->m.t.images_count, NULL);
    enum err_code rb = ledger_node_set_images(w->plain, node, p->images, p->m.t.images_count, NULL);
    cr_assert(ra == ERR_OK && rb == ERR_OK);
}

static void step_node(struct wild *w)
{
    uint32_t i = pick(w, NODES), what = pick(w, 10);
    struct place *p = &w->places[i];
    uint32_t node = ledger_node_find(w->fast, p->m.t.name);
    cr_assert_eq(node, ledger_node_find(w->plain, p->m.t.name));
    if (node == LEDGER_NODE_NONE || what == 0)
        wild_draw_machine(w, i);
    else if (what <= 2)
        wild_draw_labels(w, p);
    else if (what == 3)
        wild_draw_taints(w, p);
    else if (what == 4)
        wild_draw_devices(w, p);
    switch (node == LEDGER_NODE_NONE ? 0 : what) {
    case 5:
        set_images(w, p, node);
        break;
    case 6:
        p->m.t.ready = !p->m.t.ready;
        ledger_node_set_ready(w->fast, node, p->m.t.ready);
        ledger_node_set_ready(w->plain, node, p->m.t.ready);
        break;
    case 7:
        p->m.t.unschedulable = !p->m.t.unschedulable;
        ledger_node_set_unschedulable(w->fast, node, p->m.t.unschedulable);
        ledger_node_set_unschedulable(w->plain, node, p->m.t.unschedulable);
        break;
    case 8:
        ledger_node_remove(w->fast, node);
        ledger_node_remove(w->plain, node);
        break;
    default:
        put_place(w, i);
        break;
    }
}

/* ---- what both must do alike ---- */

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
        cr_assert(a->devices[i].id_name == b->devices[i].id_name &&
                  a->devices[i].units == b->devices[i].units);
    cr_assert_eq(a->caches_count, b->caches_count);
    for (uint32_t i = 0; i < a->caches_count; i++)
        cr_assert_eq(a->caches[i].way_first, b->caches[i].way_first);
    cr_assert_eq(a->ports_count, b->ports_count);
    cr_assert_eq(a->address, b->address);
    cr_assert_eq(a->mac, b->mac);
}

static void compare_why(struct wild *w, const struct request *r)
{
    static struct explanation a, b;
    char text[2048];
    ledger_explain(w->fast, r, &a);
    ledger_explain(w->plain, r, &b);
    cr_assert_eq(a.fits_count, 0);
    cr_assert_eq(memcmp(&a, &b, sizeof a), 0);
    explain_print_nearest(w->fast, r, &a, text, sizeof text);
}

static void compare_hold(struct wild *w, uint64_t fast, uint64_t plain, struct placement *out)
{
    static struct placement b;
    cr_assert_eq(ledger_hold_rows(w->fast, fast, out, NULL), ERR_OK);
    cr_assert_eq(ledger_hold_rows(w->plain, plain, &b, NULL), ERR_OK);
    compare_rows(out, &b);
    cr_assert_eq(out->numa_mask, b.numa_mask);
}

static void held_add(struct wild *w, uint64_t fast, uint64_t plain, uint32_t wish)
{
    struct held_pair *h = &w->holds[w->holds_count++];
    h->fast = fast;
    h->plain = plain;
    h->wish = wish;
    compare_hold(w, fast, plain, &h->rows);
}

/* Whatever its node has become, it holds what it was granted. */
static void check_held(struct wild *w, uint32_t i)
{
    static struct placement now;
    compare_hold(w, w->holds[i].fast, w->holds[i].plain, &now);
    compare_rows(&now, &w->holds[i].rows);
}

static void step_place(struct wild *w)
{
    uint32_t i = pick(w, w->wishes_count);
    struct request r = w->wishes[i].r;
    uint64_t x = 0, y = 0;
    struct err e = {0};
    r.cookie = ++w->serial;
    r.started = pick(w, 100);
    enum err_code ra = ledger_place(w->fast, &r, &x, NULL, &e);
    enum err_code rb = ledger_place_plain(w->plain, &r, &y, NULL, NULL);
    cr_assert_eq(ra, rb, "wish %u: %s, plainly %s: %s", i, err_name(ra), err_name(rb), e.text);
    if (ra != ERR_OK) {
        w->refused++;
        if (pick(w, 4) == 0)
            compare_why(w, &r);
        return;
    }
    w->placed++;
    held_add(w, x, y, i);
}

static void release(struct wild *w, uint32_t i)
{
    ledger_release(w->fast, w->holds[i].fast);
    ledger_release(w->plain, w->holds[i].plain);
    w->holds[i] = w->holds[--w->holds_count];
}

static void step_reword(struct wild *w)
{
    const struct held_pair *h = &w->holds[pick(w, w->holds_count)];
    struct request r = w->wishes[pick(w, w->wishes_count)].r;
    if (pick(w, 2) == 0) {
        (void)ledger_hold_leaves(w->fast, h->fast);   /* By which constraints, that may differ: */
        (void)ledger_hold_leaves(w->plain, h->plain); /* one remembers classes that nobody has. */
        return;
    }
    cr_assert_eq(ledger_reword(w->fast, h->fast, &r, NULL), ERR_OK);
    cr_assert_eq(ledger_reword(w->plain, h->plain, &r, NULL), ERR_OK);
}

/* Given back and taken again; with other rows it must not be possible to take what is not there. */
static void step_restore(struct wild *w)
{
    struct held_pair *h = &w->holds[pick(w, w->holds_count)];
    static struct placement rows;
    struct err e = {0};
    const struct request *r = &w->wishes[h->wish].r;
    cr_assert_eq(ledger_hold_rows(w->fast, h->fast, &rows, NULL), ERR_OK);
    ledger_release(w->fast, h->fast);
    ledger_release(w->plain, h->plain);
    if (ledger_node_find(w->fast, rows.node_name) == LEDGER_NODE_NONE) { /* It was the last. */
        *h = w->holds[--w->holds_count];
        return;
    }
    cr_assert_eq(ledger_restore(w->fast, r, &rows, &h->fast, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(ledger_restore(w->plain, r, &rows, &h->plain, &e), ERR_OK, "%s", e.text);
    check_held(w, (uint32_t)(h - w->holds));
}

static void step_gang(struct wild *w)
{
    uint32_t i = pick(w, w->wishes_count), failed = 0, placed = 0;
    struct request members[GANG];
    uint64_t a[GANG], b[GANG];
    for (uint32_t k = 0; k < GANG; k++) {
        members[k] = w->wishes[i].r;
        members[k].cookie = ++w->serial;
    }
    enum err_code ra = ledger_place_gang(w->fast, members, GANG, a, &failed, NULL), rb = ERR_OK;
    for (; placed < GANG && rb == ERR_OK; placed += rb == ERR_OK)
        rb = ledger_place_plain(w->plain, &members[placed], &b[placed], NULL, NULL);
    cr_assert_eq(ra, rb);
    if (ra != ERR_OK) {
        cr_assert_eq(failed, placed);
        while (placed > 0)
            ledger_undo(w->plain, b[--placed]);
        return;
    }
    w->gangs++;
    cr_assert_not(ledger_gang_is_hopeless(w->fast, members, GANG));
    for (uint32_t k = 0; k < GANG; k++) {
        held_add(w, a[k], b[k], i);
    }
}

/* Rows that left, as far as they are free still, for another. */
static void step_keep(struct wild *w)
{
    uint32_t i = pick(w, w->holds_count);
    static struct placement rows;
    const struct request *r = &w->wishes[w->holds[i].wish].r;
    cr_assert_eq(ledger_hold_rows(w->fast, w->holds[i].fast, &rows, NULL), ERR_OK);
    release(w, i);
    if (pick(w, 2) && w->holds_count + 1 < HOLDS)
        step_place(w);
    uint64_t a = ledger_keep(w->fast, r, &rows), b = ledger_keep(w->plain, r, &rows);
    cr_assert_eq(a == 0, b == 0);
    if (a == 0)
        return;
    w->kept++;
    compare_hold(w, a, b, &rows);
    if (pick(w, 2) == 0)
        step_place(w);
    ledger_release(w->fast, a);
    ledger_release(w->plain, b);
}

/* ---- victims, by trying all ---- */

static bool node_fits(struct ledger *l, const struct request *r, uint32_t node)
{
    struct class *c;
    struct labels *own;
    struct fit f;
    cr_assert_eq(ledger__intern(l, r, &c, &own, NULL), ERR_OK);
    struct pods_view *pods = pods__view(l, &c->r, own);
    bool fits = place__check(l, ledger__node(l, node), &c->r, pods, &f) == EXPLAIN_FITS;
    pods__view_free(pods);
    class__unref(l, c);
    labels__unref(l, own);
    return fits;
}

static bool is_victim(const struct preempt_result *x, uint64_t hold)
{
    for (uint32_t i = 0; i < x->victims_count; i++)
        if (x->victims[i] == hold)
            return true;
    return false;
}

/* Without everybody lower, or the victims and no others. */
static bool fits_without(struct wild *w, const struct request *r, uint32_t node,
                         const struct preempt_result *only)
{
    struct plan *p = plan_begin(w->plain, NULL, 0);
    for (uint32_t i = 0; i < w->holds_count; i++) {
        struct ledger_hold_info info;
        cr_assert(ledger_hold_info(w->plain, w->holds[i].plain, &info));
        if (info.node == node && info.priority < r->priority &&
            (only == NULL || is_victim(only, w->holds[i].plain)))
            cr_assert_eq(plan_lift(p, w->holds[i].plain, NULL), ERR_OK);
    }
    bool fits = node_fits(w->plain, r, node);
    plan_end(p);
    return fits;
}

static void step_preempt(struct wild *w)
{
    static struct preempt_result a, b;
    struct request r = w->wishes[pick(w, w->wishes_count)].r;
    uint64_t x = 0, y = 0;
    r.priority += 2;
    if (ledger_place(w->fast, &r, &x, NULL, NULL) == ERR_OK) {
        cr_assert_eq(ledger_place_plain(w->plain, &r, &y, NULL, NULL), ERR_OK);
        ledger_undo(w->fast, x);
        ledger_undo(w->plain, y);
        return;
    }
    cr_assert_eq(ledger_place_plain(w->plain, &r, &y, NULL, NULL), ERR_BUSY);
    enum err_code ra = ledger_preempt(w->fast, &r, NULL, 0, &a, NULL);
    enum err_code rb = ledger_preempt(w->plain, &r, NULL, 0, &b, NULL);
    cr_assert_eq(ra, rb);
    if (ra != ERR_OK) {
        for (uint32_t i = 0; i < w->plain->nodes.count; i++)
            if (ledger__node(w->plain, i) != NULL && !ledger__node(w->plain, i)->removed)
                cr_assert_not(fits_without(w, &r, i, NULL), "node %u", i);
        return;
    }
    w->preempted++;
    cr_assert_eq(a.node, b.node);
    cr_assert_eq(a.victims_count, b.victims_count);
    cr_assert(fits_without(w, &r, b.node, &b));
}

/* A question leaves everything as it was, but for the address that comes next: so both are asked. */
static void plan_ask(struct wild *w, struct ledger *l, uint32_t deed, const struct request *r,
                     uint32_t at, struct plan *p)
{
    static struct plan_step step;
    enum err_code code = ERR_OK;
    if (deed == 0)
        code = plan_close(p, at % ledger_nodes_end(l), NULL);
    else if (deed == 1)
        code = plan_lift(p,
                         l == w->fast ? w->holds[at % w->holds_count].fast
                                      : w->holds[at % w->holds_count].plain,
                         NULL);
    else
        code = plan_place(p, r, &step, NULL);
    w->plans += code == ERR_OK;
}

static void step_plan(struct wild *w)
{
    struct plan *p = plan_begin(w->fast, NULL, 0), *q = plan_begin(w->plain, NULL, 0);
    for (uint32_t i = pick(w, 8); i > 0; i--) {
        struct request r = w->wishes[pick(w, w->wishes_count)].r;
        uint32_t deed = pick(w, 4), at = pick(w, 1000);
        r.priority += (int32_t)pick(w, 2);
        plan_ask(w, w->fast, deed, &r, at, p);
        plan_ask(w, w->plain, deed, &r, at, q);
    }
    plan_end(p);
    plan_end(q);
}

static void step(struct wild *w)
{
    uint32_t what = pick(w, 100);
    bool is_full = w->holds_count + GANG >= HOLDS;
    if (what < 6)
        step_node(w);
    else if (what < 9)
        wild_make_wish(w);
    else if (w->holds_count == 0 || (what < 60 && !is_full))
        step_place(w);
    else if (what < 65)
        step_reword(w);
    else if (what < 68)
        step_restore(w);
    else if (what < 70)
        step_plan(w);
    else if (what < 72)
        step_preempt(w);
    else if (what < 74)
        step_keep(w);
    else if (what < 76 && !is_full)
        step_gang(w);
    else
        release(w, pick(w, w->holds_count));
}

/* Nobody's, but costs are shares of it, so that they stand still and lists are not all made anew. */
static void put_largest(struct ledger *l)
{
    static struct topology_device devices[32];
    struct machine m;
    char text[16];
    machine_make(&m, l, "largest", &(struct topology_spec){2, 4, 2, 8, 2, 512 * GIB, 0, 0, 0, 0});
    for (uint32_t i = 0; i < COUNT_OF(devices); i++) {
        snprintf(text, sizeof text, "large-%u", i);
        devices[i] = (struct topology_device){.class_name = name_of(l, "large"),
                                              .id_name = name_of(l, text),
                                              .units = TOPOLOGY_DEVICE_UNITS,
                                              .parent = TOPOLOGY_DEVICE_NONE};
    }
    m.t.devices = devices;
    m.t.devices_count = COUNT_OF(devices);
    m.t.ready = false;
    machine_put(&m, l);
}

static void wild_run(uint64_t seed, uint32_t steps)
{
    static struct wild w;
    memset(&w, 0, sizeof w);
    rng_seed(&w.rng, seed);
    w.fast =
        ledger_new(seed % 5 == 0 ? &(struct ledger_limits){.cache_bytes_max = 32 << 10} : NULL);
    w.plain = ledger_new(NULL);
    if (seed % 2 == 0)
        w.fast->list_keep = 2 + (uint32_t)(seed % 3);
    if (seed % 4 == 1) /* A log that goes round all the time. */
        w.fast->columns.log_size = 64;
    w.is_each_alone = seed % 3 == 0;
    put_largest(w.fast);
    put_largest(w.plain);
    for (uint32_t i = 0; i < NODES; i++) {
        wild_draw_machine(&w, i);
        put_place(&w, i);
    }
    for (uint32_t i = 0; i < 30; i++)
        wild_make_wish(&w);
    for (uint32_t i = 0; i < steps; i++) {
        step(&w);
        verify(w.fast);
        if (w.holds_count > 0)
            check_held(&w, pick(&w, w.holds_count));
        if (i % 16 == 0)
            verify(w.plain);
    }
    cr_assert_gt(w.placed, steps / 20, "%u placed, %u refused", w.placed, w.refused);
    if (getenv("BATON_SEEDS") != NULL)
        fprintf(stderr, "seed %lu: %u placed %u refused %u preempted %u kept %u gangs %u plans\n",
                seed, w.placed, w.refused, w.preempted, w.kept, w.gangs, w.plans);
    ledger_free(w.fast);
    ledger_free(w.plain);
}

/* BATON_SEEDS=20: that many times the seeds, for a long run. */
TEST(wild, everything_equals_the_oracle)
{
    const char *times = getenv("BATON_SEEDS");
    uint64_t seeds = 8 * (times == NULL ? 1 : strtoul(times, NULL, 10));
    for (uint64_t seed = 1; seed <= seeds; seed++)
        wild_run(seed, 1200);
}
