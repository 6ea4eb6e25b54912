/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger as a policy: what the product does, told nothing about the trace. */
#include "tests/bench/replay.h"

struct world {
    const struct replay_trace *t;
    struct ledger *l;
    enum request_choice choice;
    uint32_t models[REPLAY_MODELS_MAX], gpu, space;
};

static uint32_t max_of(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* One socket, one NUMA node; what a core has too much is the system's. */
static void add_node(struct world *w, const struct replay_node *n)
{
    static struct topology_storage storage;
    static struct topology_device devices[REPLAY_GPUS_MAX];
    struct topology t;
    struct err e = {0};
    uint32_t index, cores = max_of((n->cpu_milli + 999) / 1000, 1), threads = 1;
    for (; cores > TOPOLOGY_CORES_MAX; threads *= 2)
        cores = (cores + 1) / 2;
    struct topology_spec spec = {1, 1, 1, cores, threads, n->memory_mib << 20, 0, 0, 0, 0};
    BENCH_CHECK(topology_uniform(&spec, &storage, &t, &e) == ERR_OK);
    for (uint32_t g = 0; g < n->gpus; g++) {
        char id[16];
        snprintf(id, sizeof id, "gpu%u", g);
        devices[g] = (struct topology_device){.class_name = w->gpu,
                                              .id_name = bench_name(w->l, id),
                                              .model_name = w->models[n->model],
                                              .numa = TOPOLOGY_NUMA_NONE,
                                              .units = TOPOLOGY_DEVICE_UNITS,
                                              .parent = TOPOLOGY_DEVICE_NONE};
    }
    t.name = bench_name(w->l, n->name);
    t.devices = devices;
    t.devices_count = n->gpus;
    t.system_cpu_milli = cores * threads * 1000 - n->cpu_milli;
    t.pods_max = 1 << 20;
    if (ledger_node_put(w->l, &t, &index, &e) != ERR_OK) {
        fprintf(stderr, "baton-replay: node %s: %s\n", n->name, e.text);
        exit(2);
    }
}

static void *start(const struct replay_trace *t, enum request_choice choice)
{
    struct world *w = calloc(1, sizeof *w);
    w->t = t;
    w->choice = choice;
    w->l = ledger_new(&(struct ledger_limits){.nodes_max = t->nodes_count + 1,
                                              .holds_max = 4 * t->pods_count + 1024});
    w->gpu = bench_name(w->l, "gpu");
    w->space = bench_name(w->l, "default");
    for (uint32_t i = 1; i < t->models_count; i++)
        w->models[i] = bench_name(w->l, t->models[i]);
    for (uint32_t i = 0; i < t->nodes_count; i++)
        add_node(w, &t->nodes[i]);
    return w;
}

static void *start_pack(const struct replay_trace *t, uint64_t seed)
{
    (void)seed;
    return start(t, CHOICE_PACK);
}

static void *start_spread(const struct replay_trace *t, uint64_t seed)
{
    (void)seed;
    return start(t, CHOICE_SPREAD);
}

static bool place(void *self, uint32_t pod, uint64_t *out_handle)
{
    struct world *w = self;
    const struct replay_pod *p = &w->t->pods[pod];
    uint32_t models[REPLAY_MODELS_MAX], models_count = 0;
    for (uint32_t i = 1; i < w->t->models_count; i++)
        if (p->models >> i & 1)
            models[models_count++] = w->models[i];
    struct request_device gpu = {.class_name = w->gpu,
                                 .count = p->gpus,
                                 .units = p->gpu_milli == 1000 ? 0 : p->gpu_milli,
                                 .models = models,
                                 .models_count = models_count};
    struct request r = {.namespace_name = w->space,
                        .shared_milli = p->cpu_milli,
                        .memory_bytes = p->memory_mib << 20,
                        .devices = &gpu,
                        .devices_count = p->gpus > 0,
                        .choice = w->choice};
    return ledger_place(w->l, &r, out_handle, NULL, NULL) == ERR_OK;
}

static void give(void *self, uint64_t handle)
{
    struct world *w = self;
    ledger_release(w->l, handle);
}

static void stop(void *self)
{
    struct world *w = self;
    struct err e = {0};
    BENCH_CHECK(ledger_verify(w->l, &e) == ERR_OK);
    ledger_free(w->l);
    free(w);
}

const struct replay_policy replay_default = {"default", start_pack, place, give, stop};
const struct replay_policy replay_spread = {"spread", start_spread, place, give, stop};
