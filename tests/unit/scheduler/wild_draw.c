/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/scheduler/wild.h"
#include <stdio.h>

/* The same text gets the same id in both, because both see it in the same order. */
static uint32_t both(struct wild *w, const char *text)
{
    uint32_t a = name_of(w->fast, text), b = name_of(w->plain, text);
    cr_assert_eq(a, b);
    return a;
}

static uint32_t numbered(struct wild *w, const char *what, uint32_t number)
{
    char text[32];
    snprintf(text, sizeof text, "%s%u", what, number);
    return both(w, text);
}

/* ---- nodes ---- */

static const struct topology_spec specs[] = {
    {1, 1, 1, 4, 1, 8 * GIB, 0, 0, 0, 0},    {1, 1, 2, 4, 2, 32 * GIB, 128, 2, 8, 10000},
    {2, 1, 1, 6, 4, 32 * GIB, 256, 4, 0, 0}, {2, 2, 2, 4, 2, 16 * GIB, 64, 2, 0, 0},
    {1, 4, 1, 5, 2, 24 * GIB, 32, 8, 0, 0},  {1, 2, 1, 6, 3, 16 * GIB, 16, 1, 11, 5000},
};

void wild_draw_labels(struct wild *w, struct place *p)
{
    struct machine *m = &p->m;
    m->t.labels_count = 1; /* The host's name stays. */
    if (pick(w, 8) > 0)
        m->labels[m->t.labels_count++] =
            (struct topology_label){both(w, "zone"), numbered(w, "z", pick(w, 4))};
    if (pick(w, 8) > 0)
        m->labels[m->t.labels_count++] =
            (struct topology_label){both(w, "rack"), numbered(w, "r", pick(w, 20))};
    m->labels[m->t.labels_count++] =
        (struct topology_label){both(w, "gen"), numbered(w, "", pick(w, 6))};
    for (uint32_t i = 0; i < 4; i++)
        m->labels[m->t.labels_count++] =
            (struct topology_label){numbered(w, "key", i), numbered(w, "v", pick(w, 7))};
}

void wild_draw_taints(struct wild *w, struct place *p)
{
    p->m.t.taints = p->taints;
    p->m.t.taints_count = pick(w, 3) == 0 ? 1 + pick(w, 2) : 0;
    for (uint32_t i = 0; i < 2; i++)
        p->taints[i] =
            (struct topology_taint){numbered(w, "taint", pick(w, 2)), numbered(w, "", pick(w, 2)),
                                    (enum topology_effect)pick(w, 3)};
}

void wild_draw_images(struct wild *w, struct place *p)
{
    p->m.t.images = p->images;
    p->m.t.images_count = pick(w, 4);
    for (uint32_t i = 0; i < 3; i++)
        p->images[i] = (struct topology_image){numbered(w, "image", i), pick(w, 4) * GIB / 4};
}

void wild_draw_devices(struct wild *w, struct place *p)
{
    struct topology *t = &p->m.t;
    t->devices = p->devices;
    t->devices_count = pick(w, 2) * pick(w, 7);
    for (uint32_t i = 0; i < 6; i++)
        p->devices[i] = (struct topology_device){.class_name = both(w, i % 2 ? "nic" : "gpu"),
                                                 .id_name = numbered(w, "device", i),
                                                 .model_name = numbered(w, "model", pick(w, 2)),
                                                 .numa = pick(w, 4) == 0 ? TOPOLOGY_NUMA_NONE
                                                                         : pick(w, t->numa_count),
                                                 .units = i % 2 ? 1 : TOPOLOGY_DEVICE_UNITS,
                                                 .parent = TOPOLOGY_DEVICE_NONE};
}

void wild_draw_machine(struct wild *w, uint32_t i)
{
    struct place *p = &w->places[i];
    char text[32];
    snprintf(text, sizeof text, "node-%u", i);
    both(w, text);
    both(w, "kubernetes.io/hostname");
    struct topology *t = machine_make(&p->m, w->fast, text, &specs[pick(w, COUNT_OF(specs))]);
    if (pick(w, 3) == 0)
        for (uint32_t c = 0; c < t->cores_count; c++)
            p->m.storage.cores[c].threads_count -=
                p->m.storage.cores[c].threads_count > 1 && pick(w, 3) == 0;
    t->shared_cores = 1 + pick(w, 2);
    t->addresses_count = 25;
    t->pods_max = 4 + pick(w, 16);
    t->scalars = p->scalars;
    t->scalars_count = pick(w, 3);
    for (uint32_t k = 0; k < 2; k++)
        p->scalars[k] = (struct topology_scalar){numbered(w, "count", k), pick(w, 20)};
    t->capabilities = p->capabilities;
    t->capabilities_count = pick(w, 3);
    for (uint32_t k = 0; k < 2; k++)
        p->capabilities[k] = numbered(w, "can", k);
    wild_draw_labels(w, p);
    wild_draw_taints(w, p);
    wild_draw_images(w, p);
    wild_draw_devices(w, p);
}

/* ---- wishes ---- */

static void wish_cpu(struct wild *w, struct request *r)
{
    if (pick(w, 2) == 0) {
        r->exclusive_cpus = 1 + pick(w, pick(w, 4) == 0 ? 16 : 5);
        r->numa_policy = pick(w, 4);
        r->one_thread_per_core = pick(w, 6) == 0;
        r->full_cores_only = !r->one_thread_per_core && pick(w, 6) == 0;
        r->spread_numa = r->numa_policy != NUMA_SINGLE && pick(w, 6) == 0;
        r->align_llc = pick(w, 6) == 0;
        r->cache_ways = pick(w, 8) == 0 ? 1 + pick(w, 3) : 0;
        r->bandwidth_mbps = pick(w, 8) == 0 ? 1000 : 0;
    } else if (pick(w, 3) == 0) {
        r->numa_policy = pick(w, 4);
    }
    r->shared_milli = pick(w, 3) == 0 ? 0 : 100 * pick(w, 20);
    r->memory_bytes = pick(w, 12) * GIB / 2;
    r->overhead_bytes = pick(w, 4) == 0 ? 40 << 20 : 0;
    r->hugepages_1g = pick(w, 8) == 0;
    r->hugepages_2m = pick(w, 8) == 0 ? 1 + pick(w, 100) : 0;
    r->address_wanted = pick(w, 2);
    r->mac_wanted = pick(w, 3) == 0;
    r->choice = pick(w, 4) == 0 ? CHOICE_SPREAD : CHOICE_PACK;
    r->priority = (int32_t)pick(w, 4) - 1;
}

static void wish_rows(struct wild *w, struct wish *x)
{
    struct request *r = &x->r;
    r->devices = x->devices;
    r->scalars = x->scalars;
    r->ports = x->ports;
    x->models[0] = numbered(w, "model", 0);
    x->models[1] = numbered(w, "model", 2);
    if (pick(w, 6) == 0)
        x->devices[r->devices_count++] =
            (struct request_device){both(w, "nic"), 1 + pick(w, 3), 0, x->models, pick(w, 3)};
    if (pick(w, 6) == 0) {
        uint32_t units = pick(w, 2) * (100 + pick(w, 10) * 100);
        x->devices[r->devices_count++] =
            (struct request_device){both(w, "gpu"), 1 + pick(w, 2), units, x->models, 0};
        if (units > 100 && pick(w, 2) == 0)
            x->devices[r->devices_count++] =
                (struct request_device){both(w, "gpu"), 1 + pick(w, 2), 100, x->models, 0};
    }
    for (uint32_t i = 0; i < 2; i++)
        if (pick(w, 8) == 0)
            x->scalars[r->scalars_count++] =
                (struct request_scalar){numbered(w, "count", i), pick(w, 8)};
    for (uint32_t i = 0; i < 2; i++)
        if (pick(w, 10) == 0)
            x->ports[r->ports_count++] =
                (struct request_port){pick(w, 3), (uint16_t)(80 + pick(w, 3)), pick(w, 3)};
}

static struct request_expression expression(struct wild *w, uint32_t key, const uint32_t *values,
                                            const uint32_t *number)
{
    struct request_expression x = {key, pick(w, number == NULL ? 4 : 6), values, 1 + pick(w, 2)};
    if (x.op == OP_EXISTS || x.op == OP_NOT_EXISTS)
        x.values_count = 0;
    if (x.op == OP_GT || x.op == OP_LT) {
        x.values = number;
        x.values_count = 1;
    }
    return x;
}

static void wish_nodes(struct wild *w, struct wish *x)
{
    struct request *r = &x->r;
    x->number = numbered(w, "", pick(w, 6));
    for (uint32_t i = 0; i < 2; i++) {
        x->zones[i] = numbered(w, "z", pick(w, 4));
        x->nodes[i] = pick(w, 2) ? expression(w, both(w, "zone"), x->zones, &x->number)
                                 : expression(w, both(w, "gen"), &x->number, &x->number);
        x->nodes[i].values_count = min_u32(x->nodes[i].values_count, 1);
    }
    x->name = w->places[pick(w, NODES)].m.t.name;
    x->field = (struct request_expression){0, pick(w, 2) ? OP_IN : OP_NOT_IN, &x->name, 1};
    for (uint32_t i = 0; i < 2; i++) {
        x->required[i] = (struct request_node_term){.labels = {x->nodes + i, pick(w, 2)},
                                                    .fields = {&x->field, pick(w, 3) == 0}};
        x->preferred[i] = (struct request_node_term){.labels = {x->nodes, 1 + i},
                                                     .weight = 1 + (int32_t)pick(w, 100)};
        x->tolerations[i] = (struct request_toleration){
            pick(w, 3) == 0 ? 0 : numbered(w, "taint", pick(w, 2)), pick(w, 2),
            numbered(w, "", pick(w, 2)), (enum request_effect)pick(w, 4)};
        x->images[i] = numbered(w, "image", pick(w, 4));
    }
    if (pick(w, 12) == 0) /* A cordon. */
        x->tolerations[0] =
            (struct request_toleration){both(w, "node.kubernetes.io/unschedulable"), true, 0, 0};
    x->selector[0] = (struct topology_label){both(w, "zone"), x->zones[0]};
    x->capability = numbered(w, "can", pick(w, 2));
    r->node_selector = x->selector;
    r->node_selector_count = pick(w, 12) == 0;
    r->node_required = x->required;
    r->node_required_count = pick(w, 6) == 0 ? 1 + pick(w, 2) : 0;
    r->node_preferred = x->preferred;
    r->node_preferred_count = pick(w, 8) == 0 ? 1 + pick(w, 2) : 0;
    r->tolerations = x->tolerations;
    r->tolerations_count = pick(w, 3) == 0 ? 1 + pick(w, 2) : 0;
    r->capabilities = &x->capability;
    r->capabilities_count = pick(w, 10) == 0;
    r->images = x->images;
    r->images_count = pick(w, 8) == 0 ? 1 + pick(w, 2) : 0;
    r->node_name = pick(w, 30) == 0 ? x->name : 0;
}

static uint32_t topology_key(struct wild *w)
{
    static const char *keys[] = {"zone", "kubernetes.io/hostname", "rack"};
    uint32_t i = pick(w, 8);
    return i < 4 ? numbered(w, "key", i) : both(w, keys[i % 3]);
}

static void wish_pods(struct wild *w, struct wish *x)
{
    struct request *r = &x->r;
    for (uint32_t i = 0; i < 2; i++) {
        x->values[i] = numbered(w, "app", pick(w, 3));
        x->spaces[i] = numbered(w, "space", i);
    }
    for (uint32_t i = 0; i < 2; i++)
        x->pods[i] = expression(w, both(w, i ? "tier" : "app"), x->values, NULL);
    for (uint32_t i = 0; i < 3; i++)
        x->spreads[i] = (struct request_spread){.max_skew = 1 + pick(w, 3),
                                                .topology_key = topology_key(w),
                                                .selector = {x->pods, pick(w, 3)},
                                                .selects_nothing = pick(w, 10) == 0,
                                                .soft = pick(w, 3) == 0,
                                                .ignore_node_affinity = pick(w, 2),
                                                .honor_taints = pick(w, 2)};
    for (uint32_t i = 0; i < 3; i++)
        x->spreads[i].min_domains = x->spreads[i].soft ? 0 : pick(w, 2) * pick(w, 5);
    for (uint32_t i = 0; i < 4; i++)
        x->terms[i] = (struct request_pod_term){.selector = {x->pods, pick(w, 3)},
                                                .selects_nothing = pick(w, 12) == 0,
                                                .all_namespaces = pick(w, 3) == 0,
                                                .namespaces = x->spaces,
                                                .namespaces_count = 1 + pick(w, 2),
                                                .topology_key = topology_key(w),
                                                .weight = 1 + (int32_t)pick(w, 100)};
    r->spreads = x->spreads;
    r->spreads_count = pick(w, 5) == 0 ? 1 + pick(w, 3) : 0;
    r->affinity = x->terms;
    r->affinity_count = pick(w, 14) == 0 ? 1 + pick(w, 2) : 0;
    r->anti_affinity = x->terms + pick(w, 3);
    r->anti_affinity_count = pick(w, 10) == 0 ? 1 : 0;
    r->affinity_preferred = x->terms;
    r->affinity_preferred_count = pick(w, 14) == 0 ? 1 + pick(w, 4) : 0;
    r->anti_affinity_preferred = x->terms + 1;
    r->anti_affinity_preferred_count = pick(w, 14) == 0 ? 1 + pick(w, 3) : 0;
}

void wild_make_wish(struct wild *w)
{
    if (w->wishes_count == WISHES)
        return;
    struct wish *x = &w->wishes[w->wishes_count];
    *x = (struct wish){0};
    x->r.namespace_name = numbered(w, "space", pick(w, 3));
    x->labels[0] = (struct topology_label){both(w, "app"), numbered(w, "app", pick(w, 3))};
    x->labels[1] = (struct topology_label){both(w, "tier"), numbered(w, "app", pick(w, 3))};
    x->r.labels = x->labels;
    x->r.labels_count = pick(w, 3);
    wish_cpu(w, &x->r);
    wish_rows(w, x);
    if (pick(w, 3) > 0) {
        wish_nodes(w, x);
        if (!w->is_each_alone)
            wish_pods(w, x);
    }
    cr_assert_eq(request_check(&x->r, NULL), ERR_OK);
    w->wishes_count++;
}
