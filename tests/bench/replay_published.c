/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random, BestFit and FGD as published with the openb traces, to show that the protocol is the same
 * before anything of our own is compared with it. They know nothing of the ledger. Ties go to the
 * lowest node name, as in the patched scheduler of that work.
 */
#include "tests/bench/replay.h"
#include <math.h>

enum { SHAPES_MAX = 4096, USUAL_PERCENT = 95 };

struct state {
    uint32_t cpu;
    uint64_t memory;
    uint16_t gpu[REPLAY_GPUS_MAX];
};

/* Equal requests; a score is remembered per shape and node until the node changes. */
struct shape {
    uint32_t cpu, gpus, gpu_milli, count;
    uint64_t memory, models;
    int32_t *score;    /* By node; -1: does not fit. */
    int8_t *device;    /* Where a part would go. */
    uint32_t *version; /* Of the node then, + 1. */
};

struct held {
    uint32_t pod, node;
    uint64_t devices; /* Bitmap. */
};

struct world {
    const struct replay_trace *t;
    struct rng rng;
    struct state *nodes;
    uint32_t *version, *order; /* order: nodes by name. */
    struct shape shapes[SHAPES_MAX];
    uint32_t shapes_count, *shape_of; /* By pod. */
    struct usual {
        const struct shape *shape;
        double share;
    } usual[SHAPES_MAX];
    uint32_t usual_count;
    struct held *held;
    uint32_t held_count, held_size;
    double *raw; /* BestFit: by node. */
};

/* ---- setting up ---- */

static const struct replay_trace *sorting;
static int by_node_name(const void *a, const void *b)
{
    return strcmp(sorting->nodes[*(const uint32_t *)a].name,
                  sorting->nodes[*(const uint32_t *)b].name);
}

static uint32_t shape_find(struct world *w, const struct replay_pod *p)
{
    for (uint32_t i = 0; i < w->shapes_count; i++) {
        struct shape *s = &w->shapes[i];
        if (s->cpu == p->cpu_milli && s->gpus == p->gpus && s->gpu_milli == p->gpu_milli &&
            s->memory == p->memory_mib && s->models == p->models)
            return i;
    }
    BENCH_CHECK(w->shapes_count < SHAPES_MAX);
    w->shapes[w->shapes_count] = (struct shape){.cpu = p->cpu_milli,
                                                .gpus = p->gpus,
                                                .gpu_milli = p->gpu_milli,
                                                .memory = p->memory_mib,
                                                .models = p->models,
                                                .score = calloc(w->t->nodes_count, 4),
                                                .device = calloc(w->t->nodes_count, 1),
                                                .version = calloc(w->t->nodes_count, 4)};
    return w->shapes_count++;
}

static int descending(double x, double y)
{
    return x > y ? -1 : x < y;
}

/* Equally frequent ones as that work sorts them: the larger first, by CPU, GPU thousandths, GPUs. */
static int by_share(const void *a, const void *b)
{
    const struct usual *x = a, *y = b;
    int order = descending(x->share, y->share);
    if (order == 0)
        order = descending(x->shape->cpu, y->shape->cpu);
    if (order == 0)
        order = descending(x->shape->gpu_milli, y->shape->gpu_milli);
    return order != 0 ? order : descending(x->shape->gpus, y->shape->gpus);
}

/* FGD may read the trace: shapes without memory, most frequent first, until 95 % of the pods. */
static void find_usual(struct world *w)
{
    double sum = 0;
    for (uint32_t i = 0; i < w->shapes_count; i++) {
        const struct shape *s = &w->shapes[i];
        uint32_t k = 0;
        for (; k < w->usual_count; k++) {
            const struct shape *u = w->usual[k].shape;
            if (u->cpu == s->cpu && u->gpus == s->gpus && u->gpu_milli == s->gpu_milli &&
                u->models == s->models)
                break;
        }
        if (k == w->usual_count)
            w->usual[w->usual_count++] = (struct usual){s, 0};
        w->usual[k].share += (double)s->count / w->t->pods_count;
    }
    qsort(w->usual, w->usual_count, sizeof *w->usual, by_share);
    uint32_t keep = 0;
    while (keep < w->usual_count && sum < USUAL_PERCENT / 100.0)
        sum += w->usual[keep++].share;
    w->usual_count = keep;
    for (uint32_t i = 0; i < keep; i++)
        w->usual[i].share /= sum;
}

static void *start(const struct replay_trace *t, uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    w->t = t;
    rng_seed(&w->rng, seed ^ 0x5EED);
    w->nodes = calloc(t->nodes_count, sizeof *w->nodes);
    w->version = calloc(t->nodes_count, sizeof *w->version);
    w->order = calloc(t->nodes_count, sizeof *w->order);
    w->raw = calloc(t->nodes_count, sizeof *w->raw);
    w->shape_of = calloc(t->pods_count, sizeof *w->shape_of);
    for (uint32_t i = 0; i < t->nodes_count; i++) {
        w->order[i] = i;
        w->nodes[i].cpu = t->nodes[i].cpu_milli;
        w->nodes[i].memory = t->nodes[i].memory_mib;
        for (uint32_t g = 0; g < t->nodes[i].gpus; g++)
            w->nodes[i].gpu[g] = 1000;
    }
    sorting = t;
    qsort(w->order, t->nodes_count, sizeof *w->order, by_node_name);
    for (uint32_t i = 0; i < t->pods_count; i++) {
        w->shape_of[i] = shape_find(w, &t->pods[i]);
        w->shapes[w->shape_of[i]].count++;
    }
    find_usual(w);
    return w;
}

static void stop(void *self)
{
    struct world *w = self;
    for (uint32_t i = 0; i < w->shapes_count; i++) {
        free(w->shapes[i].score);
        free(w->shapes[i].device);
        free(w->shapes[i].version);
    }
    free(w->nodes);
    free(w->version);
    free(w->order);
    free(w->raw);
    free(w->shape_of);
    free(w->held);
    free(w);
}

/* ---- what fits, and where inside a node ---- */

static bool model_ok(const struct world *w, const struct shape *s, uint32_t node)
{
    return s->gpus == 0 || s->models == 0 || (s->models >> w->t->nodes[node].model & 1);
}

static uint32_t gpus_with(const struct world *w, const struct state *st, uint32_t node,
                          uint32_t milli)
{
    uint32_t count = 0;
    for (uint32_t g = 0; g < w->t->nodes[node].gpus; g++)
        count += st->gpu[g] >= milli;
    return count;
}

static bool fits(const struct world *w, const struct shape *s, uint32_t node)
{
    const struct state *st = &w->nodes[node];
    return s->cpu <= st->cpu && s->memory <= st->memory && model_ok(w, s, node) &&
           (s->gpus == 0 || gpus_with(w, st, node, s->gpu_milli) >= s->gpus);
}

static int tightest(const struct world *w, const struct shape *s, uint32_t node)
{
    int best = -1;
    for (uint32_t g = 0; g < w->t->nodes[node].gpus; g++)
        if (w->nodes[node].gpu[g] >= s->gpu_milli &&
            (best < 0 || w->nodes[node].gpu[g] < w->nodes[node].gpu[best]))
            best = (int)g;
    return best;
}

static uint64_t take(const struct world *w, struct state *st, const struct shape *s, uint32_t node,
                     int device)
{
    uint64_t devices = 0;
    st->cpu -= s->cpu;
    st->memory -= s->memory;
    if (s->gpus == 1 && s->gpu_milli < 1000)
        devices = 1ull << device;
    for (uint32_t g = 0, left = s->gpus;
         s->gpu_milli == 1000 && g < w->t->nodes[node].gpus && left > 0; g++)
        if (st->gpu[g] == 1000) {
            devices |= 1ull << g;
            left--;
        }
    for (uint32_t g = 0; g < REPLAY_GPUS_MAX; g++)
        if (devices >> g & 1)
            st->gpu[g] = (uint16_t)(st->gpu[g] - s->gpu_milli);
    return devices;
}

static bool hold(struct world *w, uint32_t pod, uint32_t node, int device, uint64_t *out_handle)
{
    if (w->held_count == w->held_size) {
        w->held_size = w->held_size == 0 ? 1024 : w->held_size * 2;
        w->held = realloc(w->held, w->held_size * sizeof *w->held);
    }
    uint64_t devices = take(w, &w->nodes[node], &w->shapes[w->shape_of[pod]], node, device);
    w->held[w->held_count] = (struct held){pod, node, devices};
    w->version[node]++;
    *out_handle = w->held_count++;
    return true;
}

static void give(void *self, uint64_t handle)
{
    struct world *w = self;
    const struct held *h = &w->held[handle];
    const struct shape *s = &w->shapes[w->shape_of[h->pod]];
    struct state *st = &w->nodes[h->node];
    st->cpu += s->cpu;
    st->memory += s->memory;
    for (uint32_t g = 0; g < REPLAY_GPUS_MAX; g++)
        if (h->devices >> g & 1)
            st->gpu[g] = (uint16_t)(st->gpu[g] + s->gpu_milli);
    w->version[h->node]++;
}

/* ---- Random ---- */

static int any_gpu(struct world *w, const struct shape *s, uint32_t node)
{
    uint32_t seen = 0;
    int chosen = -1;
    for (uint32_t g = 0; g < w->t->nodes[node].gpus; g++)
        if (w->nodes[node].gpu[g] >= s->gpu_milli && rng_below(&w->rng, ++seen) == 0)
            chosen = (int)g;
    return chosen;
}

static bool place_random(void *self, uint32_t pod, uint64_t *out_handle)
{
    struct world *w = self;
    const struct shape *s = &w->shapes[w->shape_of[pod]];
    uint32_t chosen = 0, seen = 0;
    for (uint32_t i = 0; i < w->t->nodes_count; i++)
        if (fits(w, s, i) && rng_below(&w->rng, ++seen) == 0)
            chosen = i;
    return seen > 0 && hold(w, pod, chosen, any_gpu(w, s, chosen), out_handle);
}

/* ---- BestFit ---- */

static bool place_bestfit(void *self, uint32_t pod, uint64_t *out_handle)
{
    struct world *w = self;
    const struct shape *s = &w->shapes[w->shape_of[pod]];
    double least = INFINITY, most = -INFINITY;
    int best = -1, best_score = -1;
    for (uint32_t i = 0; i < w->t->nodes_count; i++) {
        uint32_t gpu = 0;
        w->raw[i] = NAN;
        if (!fits(w, s, i))
            continue;
        for (uint32_t g = 0; g < w->t->nodes[i].gpus; g++)
            gpu += w->nodes[i].gpu[g];
        w->raw[i] = 0.5 * (w->nodes[i].cpu - s->cpu) / 128000.0 +
                    0.5 * (gpu - s->gpus * (double)s->gpu_milli) / 8000.0;
        least = fmin(least, w->raw[i]);
        most = fmax(most, w->raw[i]);
    }
    for (uint32_t k = 0; k < w->t->nodes_count; k++) {
        uint32_t i = w->order[k];
        if (isnan(w->raw[i]))
            continue;
        int score = most > least ? (int)((most - w->raw[i]) / (most - least) * 100) : 100;
        if (score > best_score) {
            best = (int)i;
            best_score = score;
        }
    }
    return best >= 0 && hold(w, pod, (uint32_t)best, tightest(w, s, (uint32_t)best), out_handle);
}

/* ---- FGD ---- */

static double fragments(const struct world *w, const struct state *st, uint32_t node)
{
    uint32_t gpus = w->t->nodes[node].gpus, all = 0;
    double sum = 0;
    for (uint32_t g = 0; g < gpus; g++)
        all += st->gpu[g];
    for (uint32_t i = 0; i < w->usual_count && all > 0; i++) {
        const struct shape *u = w->usual[i].shape;
        uint32_t small = 0;
        bool runs = u->gpus > 0 && u->cpu <= st->cpu && model_ok(w, u, node) &&
                    gpus_with(w, st, node, u->gpu_milli) >= u->gpus;
        for (uint32_t g = 0; g < gpus && runs; g++)
            small += st->gpu[g] < u->gpu_milli ? st->gpu[g] : 0;
        sum += w->usual[i].share * (runs ? small : all);
    }
    return sum;
}

static int fgd_try(const struct world *w, const struct shape *s, uint32_t node, int device,
                   double before)
{
    struct state st = w->nodes[node];
    take(w, &st, s, node, device);
    double grown = before - fragments(w, &st, node);
    return (int)(100.0 / (1.0 + exp(-grown / 1000.0)));
}

static void fgd_score(struct world *w, struct shape *s, uint32_t node)
{
    s->version[node] = w->version[node] + 1;
    s->score[node] = -1;
    if (!fits(w, s, node))
        return;
    double before = fragments(w, &w->nodes[node], node);
    bool part = s->gpus == 1 && s->gpu_milli < 1000;
    for (uint32_t g = 0; g < (part ? w->t->nodes[node].gpus : 1); g++) {
        if (part && w->nodes[node].gpu[g] < s->gpu_milli)
            continue;
        int score = fgd_try(w, s, node, (int)g, before);
        if (score > s->score[node]) {
            s->score[node] = score;
            s->device[node] = (int8_t)g;
        }
    }
}

static bool place_fgd(void *self, uint32_t pod, uint64_t *out_handle)
{
    struct world *w = self;
    struct shape *s = &w->shapes[w->shape_of[pod]];
    int best = -1;
    for (uint32_t k = 0; k < w->t->nodes_count; k++) {
        uint32_t i = w->order[k];
        if (s->version[i] != w->version[i] + 1)
            fgd_score(w, s, i);
        if (s->score[i] >= 0 && (best < 0 || s->score[i] > s->score[best]))
            best = (int)i;
    }
    return best >= 0 && hold(w, pod, (uint32_t)best, s->device[best], out_handle);
}

const struct replay_policy replay_random = {"random", start, place_random, give, stop};
const struct replay_policy replay_bestfit = {"bestfit", start, place_bestfit, give, stop};
const struct replay_policy replay_fgd = {"fgd", start, place_fgd, give, stop};
