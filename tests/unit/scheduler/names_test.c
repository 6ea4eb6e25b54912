/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names come and go. Two ledgers with a small table each live through a history in which every
 * workload, and many a node, brings names nobody used before; one of them searches plainly. Both must
 * answer alike, and never run out of names, since they are swept between the steps.
 */
#include "tests/testlib/test.h"
#include "scheduler/terms.h"
#include "tests/unit/scheduler/world.h"
#include <stdio.h>

TEST(names, what_nobody_holds_is_forgotten)
{
    struct names n;
    uint32_t kept, gone, again;
    names_init(&n, 4, 100);
    cr_assert_eq(names_intern(&n, STR("kept"), &kept, NULL), ERR_OK);
    cr_assert_eq(names_intern(&n, STR("gone"), &gone, NULL), ERR_OK);
    names_hold(&n, kept);
    names_sweep(&n);
    cr_assert_eq(names_find(&n, STR("kept")), kept);
    cr_assert_eq(names_find(&n, STR("gone")), NAME_UNKNOWN);
    cr_assert_eq(names_text(&n, gone).len, 0u);
    cr_assert_eq(names_intern(&n, STR("again"), &again, NULL), ERR_OK);
    cr_assert_eq(again, gone);
    names_hold(&n, again);
    names_drop(&n, kept);
    names_hold(&n, kept); /* Held again before it was looked at. */
    names_sweep(&n);
    cr_assert_eq(n.count, 3u);
    names_drop(&n, kept);
    names_drop(&n, again);
    names_sweep(&n);
    cr_assert_eq(n.count, 1u);
    cr_assert_eq(n.bytes, 0u);
    cr_assert_eq(n.outside, 0u);
    names_fini(&n);
}

/* However many names a call leaves behind, the sweeps keep up, and none looks at much more than came. */
TEST(names, a_sweep_keeps_up_and_is_bounded)
{
    struct names n;
    names_init(&n, 20000, 1 << 20);
    for (uint32_t round = 0; round < 40; round++) {
        uint32_t before = n.count, id;
        for (uint32_t i = 0; i < 1000; i++) {
            char text[32];
            snprintf(text, sizeof text, "%u-%u", round, i);
            cr_assert_eq(names_intern(&n, str_of(text), &id, NULL), ERR_OK);
        }
        names_sweep(&n);
        cr_assert_leq(n.count, before);
    }
    cr_assert_eq(n.count, 1u);
    for (uint32_t i = 0; i < 1000; i++) { /* Held, and dropped all at once: then two sweeps. */
        uint32_t id;
        char text[32];
        snprintf(text, sizeof text, "held-%u", i);
        cr_assert_eq(names_intern(&n, str_of(text), &id, NULL), ERR_OK);
        names_hold(&n, id);
    }
    names_sweep(&n);
    cr_assert_eq(n.count, 1001u);
    cr_assert(names_find(&n, STR("held-7")) != NAME_UNKNOWN);
    for (uint32_t i = 1; i <= n.end; i++)
        if (names__holds(&n, i) == 1)
            names_drop(&n, i);
    n.listed = 0; /* As if other calls had been between. */
    names_sweep(&n);
    cr_assert_gt(n.count, 900u, "a sweep that nothing came before does little");
    cr_assert_lt(n.count, 1001u);
    names_fini(&n);
}

/* ---- the history ---- */

enum { NODES = 12, HOLDS = 60, NAMES = 450 };

struct side {
    struct ledger *l;
    uint64_t holds[HOLDS];
    uint32_t nodes[NODES];
    struct machine machine;
};

struct fresh {
    struct rng rng;
    struct side fast, plain;
    uint32_t holds_count, named, placed, refused, most;
    uint32_t node_names[NODES];
};

/* What a step asks for, without names: each side makes its own of them. */
struct draw {
    uint32_t serial, apps[2], kind, cpus, milli, gib, rack;
};

struct asked {
    struct request r;
    struct topology_label labels[2], selector[1];
    struct request_expression app;
    struct request_pod_term term;
    struct request_spread spread;
    struct request_toleration toleration;
    uint32_t value;
};

static uint32_t named(struct ledger *l, const char *what, uint32_t number)
{
    char text[48];
    snprintf(text, sizeof text, "%s-%u", what, number);
    return name_of(l, text);
}

static void ask(struct ledger *l, const struct draw *d, struct asked *a)
{
    *a = (struct asked){.value = named(l, "app", d->apps[0])};
    a->labels[0] = (struct topology_label){name_of(l, "uid"), named(l, "uid", d->serial)};
    a->labels[1] = (struct topology_label){name_of(l, "app"), named(l, "app", d->apps[1])};
    a->app = (struct request_expression){name_of(l, "app"), OP_IN, &a->value, 1};
    a->r = (struct request){.namespace_name = named(l, "space", d->serial / 50),
                            .labels = a->labels,
                            .labels_count = 2,
                            .exclusive_cpus = d->cpus,
                            .shared_milli = d->milli,
                            .memory_bytes = d->gib * GIB,
                            .gang = d->kind == 0 ? named(l, "gang", d->serial / 8) : 0};
    a->term = (struct request_pod_term){.selector = {&a->app, 1},
                                        .all_namespaces = true,
                                        .topology_key = name_of(l, "rack"),
                                        .weight = 10};
    a->spread = (struct request_spread){
        .max_skew = 2, .topology_key = name_of(l, "host"), .selector = {&a->app, 1}};
    a->selector[0] = (struct topology_label){name_of(l, "rack"), named(l, "rack", d->rack)};
    a->toleration =
        (struct request_toleration){.key = named(l, "taint", d->serial), .exists = true};
    a->r.node_selector = a->selector;
    a->r.node_selector_count = d->kind == 1;
    a->r.affinity_preferred = a->r.anti_affinity = &a->term;
    a->r.affinity_preferred_count = d->kind == 2;
    a->r.anti_affinity_count = d->kind == 3;
    a->r.spreads = &a->spread;
    a->r.spreads_count = d->kind == 4;
    a->r.tolerations = &a->toleration;
    a->r.tolerations_count = d->kind == 5;
}

static void put_node(struct side *s, uint32_t i, uint32_t name, uint32_t rack)
{
    char text[32];
    snprintf(text, sizeof text, "node-%u", name);
    machine_make(&s->machine, s->l, text,
                 &(struct topology_spec){1, 2, 1, 6, 2, 32 * GIB, 8, 0, 0, 0});
    machine_label(&s->machine, s->l, "host", text);
    snprintf(text, sizeof text, "rack-%u", rack);
    machine_label(&s->machine, s->l, "rack", text);
    s->nodes[i] = machine_put(&s->machine, s->l);
}

/* A node leaves for one of another name, in a rack that nobody has heard of. */
static void node_step(struct fresh *f)
{
    uint32_t i = (uint32_t)rng_below(&f->rng, NODES);
    struct ledger_node_info info;
    ledger_node_info(f->fast.l, f->fast.nodes[i], &info);
    if (f->named >= NODES && info.holds_count > 4)
        return;
    if (f->named >= NODES) {
        ledger_node_remove(f->fast.l, f->fast.nodes[i]);
        ledger_node_remove(f->plain.l, f->plain.nodes[i]);
    } else {
        i = f->named;
    }
    f->node_names[i] = f->named++;
    put_node(&f->fast, i, f->node_names[i], f->node_names[i] / 3);
    put_node(&f->plain, i, f->node_names[i], f->node_names[i] / 3);
}

static void place_step(struct fresh *f)
{
    struct draw d = {.serial = f->placed + f->refused,
                     .kind = (uint32_t)rng_below(&f->rng, 9),
                     .cpus = (uint32_t)rng_below(&f->rng, 4),
                     .milli = 100 * (uint32_t)rng_below(&f->rng, 8),
                     .gib = (uint32_t)rng_below(&f->rng, 6),
                     .rack = f->node_names[rng_below(&f->rng, NODES)] / 3};
    d.apps[0] = d.serial / 7 + (uint32_t)rng_below(&f->rng, 2);
    d.apps[1] = d.serial / 7 + (uint32_t)rng_below(&f->rng, 2);
    struct asked a, b;
    struct placement x, y;
    uint32_t at = f->holds_count;
    ask(f->fast.l, &d, &a);
    ask(f->plain.l, &d, &b);
    enum err_code ra = ledger_place(f->fast.l, &a.r, &f->fast.holds[at], &x, NULL);
    enum err_code rb = ledger_place_plain(f->plain.l, &b.r, &f->plain.holds[at], &y, NULL);
    cr_assert_eq(ra, rb, "step %u: %d and %d", d.serial, (int)ra, (int)rb);
    cr_assert(ra == ERR_OK || ra == ERR_BUSY, "%d", (int)ra);
    f->placed += ra == ERR_OK;
    f->refused += ra != ERR_OK;
    if (ra != ERR_OK)
        return;
    f->holds_count++;
    cr_assert(str_eq(names_text(ledger_names(f->fast.l), x.node_name),
                     names_text(ledger_names(f->plain.l), y.node_name)));
    cr_assert_eq(x.cores_count, y.cores_count);
    cr_assert_eq(memcmp(x.cores, y.cores, x.cores_count * sizeof x.cores[0]), 0);
    cr_assert_eq(x.address, y.address);
}

static void release_step(struct fresh *f)
{
    uint32_t i = (uint32_t)rng_below(&f->rng, f->holds_count), last = --f->holds_count;
    ledger_release(f->fast.l, f->fast.holds[i]);
    ledger_release(f->plain.l, f->plain.holds[i]);
    f->fast.holds[i] = f->fast.holds[last];
    f->plain.holds[i] = f->plain.holds[last];
}

static void sweep(struct side *s, uint32_t *most)
{
    ledger_sweep(s->l);
    *most = max_u32(*most, ledger_names(s->l)->end);
    verify(s->l);
}

static void fresh_run(uint64_t seed)
{
    static struct fresh f;
    const struct ledger_limits limits = {.names_max = NAMES};
    f = (struct fresh){.fast.l = ledger_new(&limits), .plain.l = ledger_new(&limits)};
    rng_seed(&f.rng, seed);
    while (f.named < NODES)
        node_step(&f);
    for (uint32_t i = 0; i < 3000; i++) {
        uint64_t what = rng_below(&f.rng, 100);
        if (what < 4)
            node_step(&f);
        else if (f.holds_count == HOLDS || (what < 45 && f.holds_count > 0))
            release_step(&f);
        else
            place_step(&f);
        sweep(&f.fast, &f.most);
        sweep(&f.plain, &f.most);
    }
    cr_assert_gt(f.placed, 1000u, "%u placed, %u refused", f.placed, f.refused);
    cr_assert_leq(f.most, NAMES);
    ledger_free(f.fast.l);
    ledger_free(f.plain.l);
}

TEST(names, a_history_of_ever_new_names_is_bounded_and_equals_the_oracle)
{
    for (uint64_t seed = 1; seed <= 4; seed++)
        fresh_run(seed);
}

/* When everybody has left, so have the names, but for what the ledger says of itself. */
TEST(names, an_empty_ledger_holds_none)
{
    static struct fresh f;
    f = (struct fresh){.fast.l = ledger_new(&(struct ledger_limits){.names_max = NAMES}),
                       .plain.l = ledger_new(&(struct ledger_limits){.names_max = NAMES})};
    rng_seed(&f.rng, 7);
    while (f.named < NODES)
        node_step(&f);
    for (uint32_t i = 0; i < 40; i++)
        place_step(&f);
    while (f.holds_count > 0)
        release_step(&f);
    for (uint32_t i = 0; i < NODES; i++)
        ledger_node_remove(f.fast.l, f.fast.nodes[i]);
    for (uint32_t i = 0; i < 40; i++) {
        class__drop_unused(f.fast.l, 64);
        ledger_sweep(f.fast.l);
    }
    verify(f.fast.l);
    cr_assert_eq(ledger_names(f.fast.l)->count, 2u);
    ledger_free(f.fast.l);
    ledger_free(f.plain.l);
}

/* ---- every field ---- */

/* A name that was not used before, in the order of the calls. */
static uint32_t next(struct ledger *l, uint32_t *serial)
{
    return named(l, "field", (*serial)++);
}

static uint32_t put_full_node(struct ledger *l, struct machine *m, uint32_t *serial)
{
    static struct topology_device device;
    static struct topology_scalar scalar;
    static struct topology_taint taint;
    static struct topology_image image;
    static uint32_t capability;
    machine_make(m, l, "full", &(struct topology_spec){1, 1, 1, 4, 1, 8 * GIB, 0, 0, 0, 0});
    device = (struct topology_device){.class_name = next(l, serial),
                                      .id_name = next(l, serial),
                                      .model_name = next(l, serial),
                                      .units = 1,
                                      .parent = TOPOLOGY_DEVICE_NONE};
    scalar = (struct topology_scalar){next(l, serial), 5};
    taint = (struct topology_taint){next(l, serial), next(l, serial), TAINT_NO_SCHEDULE};
    image = (struct topology_image){next(l, serial), 1};
    capability = next(l, serial);
    m->labels[0] = (struct topology_label){next(l, serial), next(l, serial)};
    m->t.devices = &device;
    m->t.scalars = &scalar;
    m->t.taints = &taint;
    m->t.images = &image;
    m->t.capabilities = &capability;
    m->t.devices_count = m->t.scalars_count = m->t.taints_count = m->t.images_count =
        m->t.capabilities_count = 1;
    return machine_put(m, l);
}

/* Pinned, so that nothing but hardware must be as it is on the node. */
static uint64_t place_full(struct ledger *l, const struct machine *m, uint32_t *serial)
{
    struct request_expression x[7];
    uint32_t values[7], spaces[4], models[2], capability, image;
    struct request_pod_term terms[4];
    for (uint32_t i = 0; i < COUNT_OF(x); i++) {
        values[i] = next(l, serial);
        x[i] = (struct request_expression){next(l, serial), OP_IN, &values[i], 1};
    }
    for (uint32_t i = 0; i < COUNT_OF(terms); i++) {
        spaces[i] = next(l, serial);
        terms[i] = (struct request_pod_term){.selector = {&x[i], 1},
                                             .namespaces = &spaces[i],
                                             .namespaces_count = 1,
                                             .topology_key = next(l, serial),
                                             .weight = 1};
    }
    models[0] = next(l, serial);
    models[1] = m->t.devices[0].model_name;
    capability = next(l, serial);
    image = next(l, serial);
    const struct topology_label label = {next(l, serial), next(l, serial)};
    const struct topology_label selector = {next(l, serial), next(l, serial)};
    const struct request_node_term required = {.labels = {&x[4], 1}};
    const struct request_node_term preferred = {.labels = {&x[5], 1}, .weight = 1};
    const struct request_toleration toleration = {.key = next(l, serial), .value = next(l, serial)};
    const struct request_spread spread = {
        .max_skew = 1, .topology_key = next(l, serial), .selector = {&x[6], 1}};
    const struct request_device device = {m->t.devices[0].class_name, 1, 0, models, 2};
    const struct request_scalar scalar = {m->t.scalars[0].name, 1};
    struct request r = {
        .node_name = m->t.name, .namespace_name = next(l, serial), .gang = next(l, serial)};
    r.labels = &label, r.labels_count = 1;
    r.devices = &device, r.devices_count = 1;
    r.scalars = &scalar, r.scalars_count = 1;
    r.node_selector = &selector, r.node_selector_count = 1;
    r.node_required = &required, r.node_required_count = 1;
    r.node_preferred = &preferred, r.node_preferred_count = 1;
    r.tolerations = &toleration, r.tolerations_count = 1;
    r.capabilities = &capability, r.capabilities_count = 1;
    r.images = &image, r.images_count = 1;
    r.spreads = &spread, r.spreads_count = 1;
    r.affinity = &terms[0], r.affinity_count = 1;
    r.anti_affinity = &terms[1], r.anti_affinity_count = 1;
    r.affinity_preferred = &terms[2], r.affinity_preferred_count = 1;
    r.anti_affinity_preferred = &terms[3], r.anti_affinity_preferred_count = 1;
    return place_ok(l, &r, NULL);
}

static uint32_t fields_known(struct ledger *l, uint32_t count)
{
    uint32_t known = 0;
    for (uint32_t i = 0; i < count; i++) {
        char text[48];
        snprintf(text, sizeof text, "field-%u", i);
        known += names_find(ledger_names(l), str_of(text)) != NAME_UNKNOWN;
    }
    return known;
}

TEST(names, every_field_holds_its_own)
{
    struct ledger *l = ledger_new(NULL);
    struct machine m;
    uint32_t serial = 0;
    uint32_t node = put_full_node(l, &m, &serial), of_node = serial;
    uint64_t hold = place_full(l, &m, &serial);
    for (uint32_t i = 0; i < 4; i++)
        ledger_sweep(l);
    cr_assert_eq(fields_known(l, serial), serial);
    ledger_release(l, hold);
    for (uint32_t i = 0; i < 32; i++) {
        class__drop_unused(l, 64);
        ledger_sweep(l);
    }
    cr_assert_eq(fields_known(l, serial), of_node + 1, "mix keeps one more: a model");
    ledger_node_remove(l, node);
    ledger_sweep(l);
    verify(l);
    cr_assert_eq(fields_known(l, serial), 3u, "mix: a class and two models");
    ledger_free(l);
}

/* Nodes come and go under ever new names while a workload stands that is spread over nodes. */
TEST(names, domains_of_nodes_that_left_are_given_again)
{
    struct ledger *l = ledger_new(&(struct ledger_limits){.names_max = 100});
    struct side s = {.l = l};
    struct draw d = {.kind = 4, .milli = 100};
    struct asked a;
    uint64_t hold;
    put_node(&s, 0, 0, 0);
    put_node(&s, 1, 1, 0);
    for (uint32_t i = 0; i < 300; i++) {
        ask(l, &d, &a);
        hold = place_ok(l, &a.r, NULL);
        put_node(&s, 2 + i % 4, i + 2, i);
        if (i >= 3)
            ledger_node_remove(l, s.nodes[2 + (i + 1) % 4]);
        if (i > 0)
            ledger_release(l, s.holds[i % 2]);
        s.holds[(i + 1) % 2] = hold;
        ledger_sweep(l);
    }
    for (uint32_t i = 0; i < l->topos.count; i++)
        if (l->topos.at[i] != NULL)
            cr_assert_leq(((struct topo *)l->topos.at[i])->domains_size, 16u);
    ledger_free(l);
}
