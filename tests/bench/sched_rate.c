/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many decisions per second, and what they cost in memory.
 *
 * A cluster of mixed machines is filled to 70 % of its hardware threads; then every step places one
 * workload, exact rows included, and removes random ones until it is at 70 % again. Classes are drawn
 * by Zipf; half of them are exclusive. A decision is one placement and the removals that make room for
 * the next, which are not counted; rates are per second of processor time, percentiles are wall time
 * of a placement alone. What is placed and removed is drawn beforehand; --foretold tells the ledger eight
 * removals ahead which hold goes, as somebody can who has a report of several. No store, no API.
 *
 *   sched-rate [--nodes N] [--classes C] [--decisions D] [--runs R] [--plain] [--scalar] [--foretold]
 * Without --nodes: the whole table. Of many short runs the best says what an undisturbed machine would.
 */
#include "scheduler/ledger_priv.h"
#include "tests/bench/bench.h"

enum { CLASSES_MAX = 500, FULL_PERCENT = 70, RUNS_MAX = 1000, DRAWS = 1 << 16, VICTIMS = 16 };

struct world {
    struct ledger *l;
    struct rng rng;
    struct bench_zipf zipf;
    struct request classes[CLASSES_MAX];
    uint32_t classes_count, holds_count;
    struct {
        uint64_t hold;
        uint32_t cpu_milli;
    } * holds;
    uint64_t cpu_milli, cpu_milli_held;
    uint32_t victims[VICTIMS], removed; /* Drawn before, so that our own list costs no wait. */
    uint32_t drawn;                     /* Of: */
    uint16_t draws[DRAWS];
    bool plain, foretold;
};

struct options {
    uint32_t nodes, classes, decisions, runs;
    bool plain, scalar, foretold;
};

#define GIB (1ull << 30)

/* From a small server to two sockets of 64 cores with eight NUMA nodes. */
static const struct topology_spec machines[] = {
    {1, 1, 1, 16, 2, 128 * GIB, 0, 8, 0, 0},
    {2, 1, 1, 16, 2, 128 * GIB, 0, 16, 0, 0},
    {2, 1, 4, 8, 2, 256 * GIB, 0, 16, 0, 0},
    {2, 4, 2, 8, 2, 96 * GIB, 0, 8, 0, 0},
};

static void add_nodes(struct world *w, uint32_t count)
{
    static struct topology_storage storage;
    for (uint32_t i = 0; i < count; i++) {
        struct topology t;
        char name[32];
        uint32_t node;
        /* Half of the nodes have 64 threads, a quarter 32, an eighth 128, an eighth 256. */
        uint32_t kind = i % 8 < 4 ? 1 : i % 8 < 6 ? 0 : i % 8 == 6 ? 2 : 3;
        BENCH_CHECK(topology_uniform(&machines[kind], &storage, &t, NULL) == ERR_OK);
        snprintf(name, sizeof name, "node-%u", i);
        t.name = bench_name(w->l, name);
        struct topology_label labels[] = {
            {bench_name(w->l, "kubernetes.io/hostname"), t.name},
            {bench_name(w->l, "topology.kubernetes.io/zone"), bench_name(w->l, "zone-a")}};
        t.labels = labels;
        t.labels_count = 2;
        t.system_cpu_milli = 250;
        t.pods_max = 250;
        BENCH_CHECK(ledger_node_put(w->l, &t, &node, NULL) == ERR_OK);
        w->cpu_milli += 1000ull * t.cores_count * machines[kind].threads_per_core;
    }
}

static void make_classes(struct world *w, uint32_t count)
{
    static const uint32_t cpus[] = {1, 2, 2, 4, 4, 8, 16};
    w->classes_count = count;
    bench_zipf_init(&w->zipf, count);
    for (uint32_t i = 0; i < count; i++) {
        struct request *r = &w->classes[i];
        *r = (struct request){.namespace_name = bench_name(w->l, "default")};
        if (i % 2 == 0) {
            r->exclusive_cpus = cpus[rng_below(&w->rng, COUNT_OF(cpus))];
            r->memory_bytes = r->exclusive_cpus * (1 + rng_below(&w->rng, 6)) * GIB;
            r->overhead_bytes = 40 << 20;
            r->numa_policy = i % 4 == 0 ? NUMA_SINGLE : NUMA_BEST_EFFORT;
            r->hugepages_1g = rng_below(&w->rng, 16) == 0;
        } else {
            r->shared_milli = 50 * (1 + (uint32_t)rng_below(&w->rng, 80));
            r->memory_bytes = (1 + rng_below(&w->rng, 64)) * (128 << 20);
        }
        r->memory_bytes += (uint64_t)i << 20; /* No two classes are the same. */
    }
    for (uint32_t i = 0; i < DRAWS; i++)
        w->draws[i] = (uint16_t)bench_zipf_draw(&w->zipf, &w->rng);
}

static uint32_t cpu_of(const struct request *r)
{
    return r->shared_milli + 1000 * r->exclusive_cpus;
}

static bool place_one(struct world *w)
{
    const struct request *r = &w->classes[w->draws[w->drawn++ % DRAWS]];
    struct placement rows;
    uint64_t hold;
    enum err_code rc = w->plain ? ledger_place_plain(w->l, r, &hold, &rows, NULL)
                                : ledger_place(w->l, r, &hold, &rows, NULL);
    if (rc != ERR_OK)
        return false;
    ledger_commit(w->l, hold);
    w->holds[w->holds_count].hold = hold;
    w->holds[w->holds_count++].cpu_milli = cpu_of(r);
    w->cpu_milli_held += cpu_of(r);
    return true;
}

static void remove_one(struct world *w)
{
    uint32_t *victim = &w->victims[w->removed++ % VICTIMS];
    uint32_t i = *victim < w->holds_count ? *victim : 0;
    ledger_release(w->l, w->holds[i].hold);
    w->cpu_milli_held -= w->holds[i].cpu_milli;
    w->holds[i] = w->holds[--w->holds_count];
    *victim = (uint32_t)(rng_u64(&w->rng) >> 32) % w->holds_count;
    __builtin_prefetch(&w->holds[*victim], 1);
    uint32_t soon = w->victims[(w->removed + VICTIMS / 2) % VICTIMS];
    if (w->foretold && soon < w->holds_count)
        ledger_foretell(w->l, w->holds[soon].hold);
}

static bool is_full(const struct world *w)
{
    return w->cpu_milli_held * 100 > w->cpu_milli * FULL_PERCENT;
}

static void steady(struct world *w, uint32_t decisions, uint64_t *each_ns)
{
    for (uint32_t i = 0; i < decisions; i++) {
        uint64_t begin = each_ns == NULL ? 0 : bench_now();
        place_one(w);
        if (each_ns != NULL)
            each_ns[i] = bench_now() - begin;
        while (is_full(w))
            remove_one(w);
    }
}

static void line(const char *what, const char *where, double value, const char *unit)
{
    printf("sched-rate %s[%s] %.3f %s\n", what, where, value, unit);
}

static void report_rates(struct world *w, uint32_t decisions, uint32_t runs, const char *where)
{
    double rates[RUNS_MAX];
    for (uint32_t run = 0; run < runs; run++) {
        uint64_t begin = bench_cpu();
        steady(w, decisions, NULL);
        rates[run] = decisions * 1e9 / (double)(bench_cpu() - begin);
    }
    qsort(rates, runs, sizeof *rates, bench_compare_double);
    line("decisions", where, rates[runs / 2], "1/s");
    line("decisions_least", where, rates[0], "1/s");
    line("decisions_most", where, rates[runs - 1], "1/s");
}

static void report(struct world *w, const struct options *o, const char *where)
{
    uint32_t decisions = o->decisions;
    uint64_t builds = w->l->builds, decided = w->l->decisions;
    report_rates(w, decisions, o->runs, where);
    builds = w->l->builds - builds;
    decided = w->l->decisions - decided;

    uint64_t *each = malloc(decisions * sizeof *each);
    steady(w, decisions, each);
    qsort(each, decisions, sizeof *each, bench_compare_u64);
    line("p50", where, (double)each[decisions / 2] / 1000, "us");
    line("p99", where, (double)each[(uint64_t)decisions * 99 / 100] / 1000, "us");
    line("p999", where, (double)each[(uint64_t)decisions * 999 / 1000] / 1000, "us");
    free(each);

    struct ledger_stats s;
    ledger_stats(w->l, &s);
    line("node_bytes", where, (double)s.node_bytes / o->nodes, "B");
    line("instance_bytes", where, (double)s.hold_bytes / w->holds_count, "B");
    line("cache_bytes", where, (double)s.cache_bytes, "B");
    line("instances", where, w->holds_count, "1");
    line("refused", where, 100.0 * (double)s.refusals / (double)(s.refusals + s.decisions), "%");
    line("builds", where, 100.0 * (double)builds / (double)(decided + 1), "%");
}

static void run(const struct options *o)
{
    static struct world w;
    struct err e = {0};
    char where[80];
    memset(&w, 0, sizeof w);
    rng_seed(&w.rng, 42);
    uint32_t holds_max = o->nodes * 64;
    w.l = ledger_new(&(struct ledger_limits){.nodes_max = o->nodes, .holds_max = holds_max});
    if (o->scalar)
        w.l->columns.filter = columns_filter_scalar;
    w.holds = malloc(holds_max * sizeof *w.holds);
    w.foretold = o->foretold;
    add_nodes(&w, o->nodes);
    make_classes(&w, o->classes);
    while (!is_full(&w))
        place_one(&w);
    if (!o->plain)
        steady(&w, o->nodes * 20, NULL); /* Until it looks like a cluster that has lived. */
    w.plain = o->plain;
    snprintf(where, sizeof where, "nodes=%u,classes=%u%s%s%s", o->nodes, o->classes,
             o->plain ? ",plain" : "", o->scalar ? ",scalar" : "", o->foretold ? ",foretold" : "");
    report(&w, o, where);
    BENCH_CHECK(ledger_verify(w.l, &e) == ERR_OK);
    ledger_free(w.l);
    free(w.holds);
    free(w.zipf.sum);
    fflush(stdout);
}

static uint32_t number(int argc, char **argv, int *i)
{
    BENCH_CHECK(*i + 1 < argc);
    return (uint32_t)strtoul(argv[++*i], NULL, 10);
}

static struct options options_of(int argc, char **argv)
{
    struct options o = {.classes = 100, .decisions = 200000, .runs = 5};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--plain") == 0)
            o.plain = true;
        else if (strcmp(argv[i], "--scalar") == 0)
            o.scalar = true;
        else if (strcmp(argv[i], "--foretold") == 0)
            o.foretold = true;
        else if (strcmp(argv[i], "--nodes") == 0)
            o.nodes = number(argc, argv, &i);
        else if (strcmp(argv[i], "--classes") == 0)
            o.classes = number(argc, argv, &i);
        else if (strcmp(argv[i], "--decisions") == 0)
            o.decisions = number(argc, argv, &i);
        else if (strcmp(argv[i], "--runs") == 0)
            o.runs = number(argc, argv, &i);
        else
            BENCH_CHECK(!"a known option");
    }
    BENCH_CHECK(o.classes > 0 && o.classes <= CLASSES_MAX && o.decisions > 0);
    BENCH_CHECK(o.runs > 0 && o.runs <= RUNS_MAX);
    return o;
}

int main(int argc, char **argv)
{
    struct options o = options_of(argc, argv);
    if (o.nodes > 0) {
        run(&o);
        return 0;
    }
    static const uint32_t sizes[] = {1000, 5000, 10000, 50000, 100000};
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        for (o.classes = 100; o.classes <= 500; o.classes += 400) {
            o.nodes = sizes[i];
            run(&o);
        }
    run(&(struct options){10000, 100, o.decisions, o.runs, .foretold = true});
    run(&(struct options){10000, 100, o.decisions, o.runs, .scalar = true});
    run(&(struct options){1000, 100, 300, o.runs, .plain = true});
    return 0;
}
