/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays a trace of pods against a list of nodes and says how much of what arrived was allocated.
 *
 *   baton-replay --nodes CSV --pods CSV [--seed N] [--policy P] [--departures] [--min-nodes]
 *
 * Policies: default and spread (the ledger's), random, bestfit and fgd (as published).
 * Protocol: pods sorted by name and shuffled by the seed, then drawn again at random until 130 % of the
 * capacity was asked for; nothing leaves, what does not fit is dropped. A line ARRIVED_PERCENT
 * ALLOCATED_PERCENT for each whole percent of arrived demand (of GPUs; of CPU without GPUs).
 * --departures: by creation_time and deletion_time instead; percent of the trace's demand that has
 * arrived, and of capacity allocated then. --min-nodes: least number of nodes like the first that
 * refuses nothing.
 */
#include "tests/bench/replay.h"

enum { DEMAND_PERCENT = 130 };

struct options {
    const char *nodes, *pods;
    uint64_t seed;
    const struct replay_policy *policy;
    bool departures, min_nodes;
};

struct event {
    int64_t at;
    uint32_t pod;
    bool leaves;
};

static uint32_t *arrivals(const struct replay_trace *t, uint64_t seed, uint32_t *out_count)
{
    struct rng rng;
    uint64_t demand = 0, enough = t->capacity / 100 * DEMAND_PERCENT;
    uint32_t size = t->pods_count, count = t->pods_count, *list = malloc(size * sizeof *list);
    rng_seed(&rng, seed);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t k = (uint32_t)rng_below(&rng, i + 1);
        list[i] = list[k];
        list[k] = i;
    }
    uint32_t used = 0;
    for (; used < count && demand < enough; used++)
        demand += replay_demand(t, &t->pods[list[used]]);
    for (; demand < enough; used++) {
        if (used == size) {
            size *= 2;
            list = realloc(list, size * sizeof *list);
        }
        list[used] = (uint32_t)rng_below(&rng, t->pods_count);
        demand += replay_demand(t, &t->pods[list[used]]);
    }
    *out_count = used;
    return list;
}

static void print_percent(uint32_t *next, uint64_t arrived, uint64_t all, uint64_t allocated,
                          uint64_t capacity)
{
    for (; arrived * 100 >= (uint64_t)*next * all; ++*next)
        printf("%u %.2f\n", *next, 100.0 * (double)allocated / (double)capacity);
}

static void replay_arrivals(const struct replay_trace *t, const struct options *o)
{
    uint64_t arrived = 0, allocated = 0, handle;
    uint32_t count, next = 0, *list = arrivals(t, o->seed, &count);
    void *self = o->policy->start(t, o->seed);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t demand = replay_demand(t, &t->pods[list[i]]);
        arrived += demand;
        if (o->policy->place(self, list[i], &handle))
            allocated += demand;
        print_percent(&next, arrived, t->capacity, allocated, t->capacity);
    }
    o->policy->stop(self);
    free(list);
}

/* Ends before beginnings at the same second. */
static int by_time(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    if (x->leaves != y->leaves)
        return x->leaves ? -1 : 1;
    return x->pod < y->pod ? -1 : x->pod > y->pod;
}

static struct event *events(const struct replay_trace *t, bool departures, uint32_t *out_count)
{
    struct event *list = malloc(2 * (size_t)t->pods_count * sizeof *list);
    uint32_t count = 0;
    for (uint32_t i = 0; i < t->pods_count; i++) {
        list[count++] = (struct event){t->pods[i].created, i, false};
        if (departures && t->pods[i].deleted >= t->pods[i].created)
            list[count++] = (struct event){
                t->pods[i].deleted + (t->pods[i].deleted == t->pods[i].created), i, true};
    }
    qsort(list, count, sizeof *list, by_time);
    *out_count = count;
    return list;
}

/* Returns how many were refused; prints percents when asked. */
static uint32_t replay_times(const struct replay_trace *t, const struct options *o, bool departures,
                             bool print)
{
    uint32_t count, refused = 0, next = 0;
    uint64_t all = 0, arrived = 0, allocated = 0;
    struct event *list = events(t, departures, &count);
    uint64_t *handles = malloc(t->pods_count * sizeof *handles);
    bool *placed = calloc(t->pods_count, sizeof *placed);
    void *self = o->policy->start(t, o->seed);

    for (uint32_t i = 0; i < t->pods_count; i++)
        all += replay_demand(t, &t->pods[i]);
    for (uint32_t i = 0; i < count && (print || refused == 0); i++) {
        uint32_t pod = list[i].pod;
        uint64_t demand = replay_demand(t, &t->pods[pod]);
        if (list[i].leaves) {
            if (placed[pod]) {
                o->policy->remove(self, handles[pod]);
                allocated -= demand;
            }
            continue;
        }
        arrived += demand;
        placed[pod] = o->policy->place(self, pod, &handles[pod]);
        allocated += placed[pod] ? demand : 0;
        refused += !placed[pod];
        if (print)
            print_percent(&next, arrived, all > 0 ? all : 1, allocated, t->capacity);
    }
    if (print)
        fprintf(stderr, "%u of %u refused\n", refused, t->pods_count);
    o->policy->stop(self);
    free(list);
    free(handles);
    free(placed);
    return refused;
}

/* ---- the least number of nodes ---- */

static uint64_t nodes_for(uint64_t amount, uint64_t each)
{
    return amount == 0 ? 0 : each == 0 ? UINT32_MAX : (amount + each - 1) / each;
}

/* No number of nodes below this can hold the peak of any one resource. */
static uint64_t volume_bound(const struct replay_trace *t, bool departures)
{
    uint32_t count;
    struct event *list = events(t, departures, &count);
    uint64_t cpu = 0, memory = 0, gpu = 0, bound = 1;
    const struct replay_node *n = &t->nodes[0];
    for (uint32_t i = 0; i < count; i++) {
        const struct replay_pod *p = &t->pods[list[i].pod];
        uint64_t sign = list[i].leaves ? UINT64_MAX : 1;
        cpu += sign * p->cpu_milli;
        memory += sign * p->memory_mib;
        gpu += sign * p->gpus * p->gpu_milli;
        uint64_t needs[] = {nodes_for(cpu, n->cpu_milli), nodes_for(memory, n->memory_mib),
                            nodes_for(gpu, 1000ull * n->gpus)};
        for (int k = 0; k < 3; k++)
            bound = needs[k] > bound ? needs[k] : bound;
    }
    free(list);
    return bound;
}

static bool holds_all(const struct replay_trace *t, const struct options *o, uint32_t nodes)
{
    struct replay_trace pool = *t;
    pool.nodes = malloc(nodes * sizeof *pool.nodes);
    pool.nodes_count = nodes;
    for (uint32_t i = 0; i < nodes; i++) {
        pool.nodes[i] = t->nodes[0];
        snprintf(pool.nodes[i].name, sizeof pool.nodes[i].name, "n%u", i);
    }
    bool all = replay_times(&pool, o, o->departures, false) == 0;
    free(pool.nodes);
    return all;
}

static int min_nodes(const struct replay_trace *t, const struct options *o)
{
    uint64_t bound = volume_bound(t, o->departures);
    uint64_t low = bound, high = bound, most = bound + t->pods_count;
    if (bound >= UINT32_MAX) {
        fprintf(stderr, "baton-replay: the first node lacks a resource that pods want\n");
        return 2;
    }
    while (!holds_all(t, o, (uint32_t)high)) {
        if (high > most) {
            fprintf(stderr, "baton-replay: some pod does not fit an empty node\n");
            return 2;
        }
        low = high + 1;
        high += high / 8 + 1;
    }
    while (low < high) { /* Refusals are nearly, not quite, monotone in the number of nodes. */
        uint64_t middle = (low + high) / 2;
        if (holds_all(t, o, (uint32_t)middle))
            high = middle;
        else
            low = middle + 1;
    }
    printf("min_nodes %llu bound %llu\n", (unsigned long long)high, (unsigned long long)bound);
    return 0;
}

/* ---- options ---- */

static int usage(void)
{
    fprintf(stderr,
            "baton-replay --nodes CSV --pods CSV [--seed N] [--policy default|spread|random|"
            "bestfit|fgd] [--departures] [--min-nodes]\n");
    return 2;
}

static bool parse(int argc, char **argv, struct options *o)
{
    static const struct replay_policy *const policies[] = {
        &replay_default, &replay_spread, &replay_random, &replay_bestfit, &replay_fgd};
    *o = (struct options){.seed = 42, .policy = &replay_default};
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--departures") == 0)
            o->departures = true;
        else if (strcmp(argv[i], "--min-nodes") == 0)
            o->min_nodes = true;
        else if (more && strcmp(argv[i], "--nodes") == 0)
            o->nodes = argv[++i];
        else if (more && strcmp(argv[i], "--pods") == 0)
            o->pods = argv[++i];
        else if (more && strcmp(argv[i], "--seed") == 0)
            o->seed = strtoull(argv[++i], NULL, 10);
        else if (more && strcmp(argv[i], "--policy") == 0) {
            o->policy = NULL;
            i++;
            for (size_t k = 0; k < COUNT_OF(policies); k++)
                if (strcmp(argv[i], policies[k]->name) == 0)
                    o->policy = policies[k];
        } else
            return false;
    }
    return o->nodes != NULL && o->pods != NULL && o->policy != NULL;
}

int main(int argc, char **argv)
{
    struct options o;
    struct replay_trace t;
    if (!parse(argc, argv, &o))
        return usage();
    replay_load(&t, o.nodes, o.pods);
    int rc = 0;
    if (o.min_nodes)
        rc = min_nodes(&t, &o);
    else if (o.departures)
        replay_times(&t, &o, true, true);
    else
        replay_arrivals(&t, &o);
    replay_free(&t);
    return rc;
}
