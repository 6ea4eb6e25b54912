/* SPDX-License-Identifier: Apache-2.0 */
/* A trace of nodes and pods in memory, and the published policies as a check of our own. */
#ifndef TESTS_BENCH_REPLAY_H
#define TESTS_BENCH_REPLAY_H

#include "tests/bench/bench.h"

enum { REPLAY_GPUS_MAX = 64, REPLAY_MODELS_MAX = 64, REPLAY_MODEL_LEN = 48 };

struct replay_node {
    char name[64];
    uint32_t cpu_milli, gpus, model; /* Index into models; 0: none told. */
    uint64_t memory_mib;
};

struct replay_pod {
    char name[64];
    uint32_t cpu_milli, gpus, gpu_milli;
    uint64_t memory_mib;
    uint64_t models;          /* Bitmap of allowed models; 0: any. */
    int64_t created, deleted; /* Seconds; deleted < 0: never. */
};

struct replay_trace {
    struct replay_node *nodes;
    struct replay_pod *pods; /* Sorted by name. */
    uint32_t nodes_count, pods_count, models_count;
    char models[REPLAY_MODELS_MAX][REPLAY_MODEL_LEN];
    bool has_gpus;
    uint64_t capacity; /* GPU thousandths, or millicores in a trace without GPUs. */
};

static inline uint64_t replay_demand(const struct replay_trace *t, const struct replay_pod *p)
{
    return t->has_gpus ? (uint64_t)p->gpus * p->gpu_milli : p->cpu_milli;
}

void replay_load(struct replay_trace *t, const char *nodes_path, const char *pods_path);
void replay_free(struct replay_trace *t);

/* Somebody who places pods. place() gives a handle for remove(), or false. */
struct replay_policy {
    const char *name;
    void *(*start)(const struct replay_trace *t, uint64_t seed);
    bool (*place)(void *self, uint32_t pod, uint64_t *out_handle);
    void (*remove)(void *self, uint64_t handle);
    void (*stop)(void *self);
};

extern const struct replay_policy replay_random, replay_bestfit, replay_fgd; /* As published. */
extern const struct replay_policy replay_default, replay_spread;             /* The ledger. */

#endif /* TESTS_BENCH_REPLAY_H */
