/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workloads of Kubernetes' scheduler_perf, with its numbers of nodes and pods and its shapes (nodes
 * of 4 CPUs and 32 GiB, pods of 100m and 500 MiB), as decisions of the ledger.
 *
 * ratio is decisions over the published threshold in pods per second, where there is one. That one is
 * measured through an API server and etcd, this is the decision alone: rates are per second of
 * processor time, the median of three runs. What is mixed in per second there (preemptors,
 * unschedulable pods) is mixed in here in the same proportion to the measured pods.
 */
#include "scheduler/preempt.h"
#include "tests/bench/bench.h"

enum { RUNS = 3, GANG = 8 };

enum rule {
    BASIC,
    SPREAD,
    SPREAD_SOFT,
    ANTI,
    AFFINITY,
    AFFINITY_SOFT,
    ANTI_SOFT,
    NODE_AFFINITY,
    ANTI_SPACES,
    MIXED,
    PREEMPTION,
    UNSCHEDULABLE,
    DAEMONSET,
    GANGS,
    EXTENDED
};

struct workload {
    const char *name;
    enum rule init, rule;
    uint32_t nodes, init_pods, pods, threshold;
};

static const struct workload workloads[] = {
    {"SchedulingBasic", BASIC, BASIC, 5000, 5000, 50000, 810},
    {"TopologySpreading", BASIC, SPREAD, 5000, 5000, 5000, 460},
    {"PreferredTopologySpreading", BASIC, SPREAD_SOFT, 5000, 5000, 5000, 340},
    {"SchedulingPodAntiAffinity", ANTI, ANTI, 5000, 1000, 2000, 60},
    {"SchedulingPodAffinity", AFFINITY, AFFINITY, 5000, 5000, 5000, 35},
    {"SchedulingPreferredPodAffinity", AFFINITY_SOFT, AFFINITY_SOFT, 5000, 5000, 5000, 90},
    {"SchedulingPreferredPodAntiAffinity", ANTI_SOFT, ANTI_SOFT, 5000, 5000, 5000, 90},
    {"SchedulingNodeAffinity", BASIC, NODE_AFFINITY, 5000, 5000, 10000, 220},
    {"RequiredAntiAffinityNSSelector", ANTI_SPACES, ANTI_SPACES, 6000, 4000, 2000, 24},
    {"MixedSchedulingBasePod", MIXED, BASIC, 5000, 10000, 5000, 140},
    {"PreemptionMix", PREEMPTION, PREEMPTION, 5000, 20000, 5000, 570},
    {"UnschedulableMix", BASIC, UNSCHEDULABLE, 5000, 20000, 10000, 600},
    {"SchedulingDaemonset", BASIC, DAEMONSET, 15000, 0, 30000, 1100},
    {"Gang", BASIC, GANGS, 5000, 5000, 8000, 0},
    {"SchedulingWithExtendedResource", BASIC, EXTENDED, 5000, 0, 5000, 180},
};

struct world {
    struct ledger *l;
    const struct workload *w;
    uint32_t space, other_space, zone, hostname, color, green, blue, chosen, foo, node_names[15000];
    struct topology_label labels[1];
    struct request_expression is_green, in_zone, field;
    uint32_t zones[2];
    struct request_spread spread;
    struct request_pod_term term;
    struct request_node_term node_term;
    struct request_scalar scalar;
    uint64_t placed, refused, preempted;
};

#define GIB (1ull << 30)

static void add_node(struct world *x, uint32_t i, bool one_zone)
{
    static struct topology_storage storage;
    struct topology t;
    char name[32], zone[16];
    uint32_t node;
    struct topology_spec spec = {1, 1, 1, 4, 1, 32 * GIB, 0, 0, 0, 0};
    BENCH_CHECK(topology_uniform(&spec, &storage, &t, NULL) == ERR_OK);
    snprintf(name, sizeof name, "node-%u", i);
    snprintf(zone, sizeof zone, "zone%u", one_zone ? 1 : 1 + i % 3);
    t.name = x->node_names[i] = bench_name(x->l, name);
    struct topology_label labels[] = {{x->hostname, t.name}, {x->zone, bench_name(x->l, zone)}};
    t.labels = labels;
    t.labels_count = 2;
    t.pods_max = 110;
    struct topology_scalar foo = {x->foo, 4};
    t.scalars = &foo;
    t.scalars_count = x->w->rule == EXTENDED;
    BENCH_CHECK(ledger_node_put(x->l, &t, &node, NULL) == ERR_OK);
}

static void make_parts(struct world *x)
{
    x->space = bench_name(x->l, "sched");
    x->other_space = bench_name(x->l, "init-ns");
    x->zone = bench_name(x->l, "topology.kubernetes.io/zone");
    x->hostname = bench_name(x->l, "kubernetes.io/hostname");
    x->color = bench_name(x->l, "color");
    x->green = x->chosen = bench_name(x->l, "green");
    x->blue = bench_name(x->l, "blue");
    x->foo = bench_name(x->l, "foo.com/bar");
    x->zones[0] = bench_name(x->l, "zone1");
    x->zones[1] = bench_name(x->l, "zone2");
    x->labels[0] = (struct topology_label){x->color, x->green};
    x->is_green = (struct request_expression){x->color, OP_IN, &x->chosen, 1};
    x->in_zone = (struct request_expression){x->zone, OP_IN, x->zones, 2};
    x->spread = (struct request_spread){
        .max_skew = 5, .topology_key = x->zone, .selector = {&x->is_green, 1}};
    x->term = (struct request_pod_term){.selector = {&x->is_green, 1},
                                        .namespaces = &x->space,
                                        .namespaces_count = 1,
                                        .topology_key = x->hostname,
                                        .weight = 1};
    x->node_term = (struct request_node_term){.labels = {&x->in_zone, 1}};
    x->scalar = (struct request_scalar){x->foo, 1};
}

/* The rule's parts live in the world: the request borrows them. */
static struct request wish(struct world *x, enum rule rule, uint32_t i)
{
    struct request r = {.namespace_name = x->space, .shared_milli = 100, .memory_bytes = 500 << 20};
    if (rule == MIXED) {
        static const enum rule five[] = {BASIC, AFFINITY, ANTI, AFFINITY_SOFT, ANTI_SOFT};
        rule = five[i / 2000 % 5];
        x->chosen = x->labels[0].value = rule == ANTI ? x->green : x->blue;
    }
    x->term.topology_key = rule == AFFINITY ? x->zone : x->hostname;
    x->term.all_namespaces = rule == ANTI_SPACES;
    x->spread.soft = rule == SPREAD_SOFT;
    if (rule != BASIC && rule != NODE_AFFINITY && rule != EXTENDED && rule != DAEMONSET) {
        r.labels = x->labels;
        r.labels_count = 1;
    }
    r.spreads = &x->spread;
    r.spreads_count = rule == SPREAD || rule == SPREAD_SOFT;
    r.affinity = r.anti_affinity = r.affinity_preferred = r.anti_affinity_preferred = &x->term;
    r.affinity_count = rule == AFFINITY;
    r.anti_affinity_count = rule == ANTI || rule == ANTI_SPACES;
    r.affinity_preferred_count = rule == AFFINITY_SOFT;
    r.anti_affinity_preferred_count = rule == ANTI_SOFT;
    r.node_required = &x->node_term;
    r.node_required_count = rule == NODE_AFFINITY;
    r.scalars = &x->scalar;
    r.scalars_count = rule == EXTENDED;
    if (rule == DAEMONSET) {
        x->field = (struct request_expression){0, OP_IN, &x->node_names[i % x->w->nodes], 1};
        x->node_term = (struct request_node_term){.fields = {&x->field, 1}};
        r.node_required_count = 1;
    }
    return r;
}

static void place(struct world *x, const struct request *r)
{
    uint64_t hold;
    struct placement rows;
    if (ledger_place(x->l, r, &hold, &rows, NULL) == ERR_OK) {
        ledger_commit(x->l, hold);
        x->placed++;
    } else {
        x->refused++;
    }
}

static void preempt(struct world *x, const struct request *r)
{
    static struct preempt_result victims;
    if (ledger_preempt(x->l, r, NULL, 0, &victims, NULL) != ERR_OK)
        return;
    for (uint32_t i = 0; i < victims.victims_count; i++)
        ledger_release(x->l, victims.victims[i]);
    x->preempted += victims.victims_count;
    place(x, r);
}

static void gang(struct world *x)
{
    struct request members[GANG];
    uint64_t holds[GANG];
    uint32_t failed;
    for (uint32_t i = 0; i < GANG; i++)
        members[i] = wish(x, BASIC, i);
    if (ledger_place_gang(x->l, members, GANG, holds, &failed, NULL) == ERR_OK)
        x->placed += GANG;
}

static void measured(struct world *x, uint32_t i)
{
    const struct workload *w = x->w;
    struct request r =
        wish(x, w->rule == PREEMPTION || w->rule == UNSCHEDULABLE ? BASIC : w->rule, i);
    if (w->rule == PREEMPTION && i % (570 / 5) == 0) {
        struct request urgent = r;
        urgent.shared_milli = 3000;
        urgent.priority = 10;
        preempt(x, &urgent);
    }
    if (w->rule == UNSCHEDULABLE && i % (600 / 5) == 0) {
        struct request big = r;
        big.shared_milli = 9000;
        place(x, &big);
    }
    if (w->rule == GANGS) {
        if (i % GANG == 0)
            gang(x);
        return;
    }
    r.priority = w->rule == PREEMPTION ? 5 : 0;
    place(x, &r);
}

static double run(const struct workload *w, struct world *x)
{
    *x = (struct world){.w = w};
    x->l = ledger_new(&(struct ledger_limits){.nodes_max = 16000});
    make_parts(x);
    for (uint32_t i = 0; i < w->nodes; i++)
        add_node(x, i, w->rule == AFFINITY);
    for (uint32_t i = 0; i < w->init_pods; i++) {
        struct request r = wish(x, w->init == PREEMPTION ? BASIC : w->init, i);
        r.namespace_name = w->init == ANTI_SPACES ? x->other_space : x->space;
        if (w->init == PREEMPTION)
            r.shared_milli = 900;
        place(x, &r);
    }
    BENCH_CHECK(x->placed == w->init_pods);
    uint64_t begin = bench_cpu();
    for (uint32_t i = 0; i < w->pods; i++)
        measured(x, i);
    double rate = w->pods * 1e9 / (double)(bench_cpu() - begin);
    ledger_free(x->l);
    return rate;
}

int main(int argc, char **argv)
{
    static struct world x;
    for (size_t i = 0; i < COUNT_OF(workloads); i++) {
        const struct workload *w = &workloads[i];
        double rates[RUNS];
        if (argc > 1 && strcmp(argv[1], w->name) != 0)
            continue;
        for (int k = 0; k < RUNS; k++)
            rates[k] = run(w, &x);
        qsort(rates, RUNS, sizeof *rates, bench_compare_double);
        printf("sched-rules decisions[%s] %.0f 1/s\n", w->name, rates[RUNS / 2]);
        if (w->threshold > 0)
            printf("sched-rules ratio[%s] %.0f x\n", w->name, rates[RUNS / 2] / w->threshold);
        printf("sched-rules placed[%s] %llu 1\n", w->name,
               (unsigned long long)(x.placed - w->init_pods));
        fflush(stdout);
    }
    return 0;
}
