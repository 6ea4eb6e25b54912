/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_priv.h -- the steps of a search, each in a file of its own: rules, fit, cost, rows.
 *
 * WHAT   rules: may the node be used at all. fit: which of its rows serve. pods: rules between
 *        workloads. cost: which of the nodes that serve is taken. rows: taking and giving them.
 */
#ifndef SCHEDULER_SEARCH_PRIV_H
#define SCHEDULER_SEARCH_PRIV_H

#include "scheduler/ledger_priv.h"

/* ---- fit.c: which rows of one node ---- */

struct fit_device {
    uint16_t index, units;
};

struct fit {
    enum explain_reason reason; /* FITS, or the first that fails, and: */
    struct explain_about about;
    uint64_t wanted, free;
    uint32_t sockets, numa; /* How many give something. */
    uint32_t memory_mask, cores_count, devices_count;
    uint32_t cpus_each; /* So many of each core, but for the last; its other threads stand idle. */
    uint64_t cores[CORE_WORDS];
    struct placement_memory memory[TOPOLOGY_NUMA_MAX];
    struct fit_device devices[PLACEMENT_DEVICES_MAX];
    uint8_t way_first[TOPOLOGY_LLCS_MAX]; /* With cache_ways: of each domain that gives a core. */
    uint32_t address; /* Index into the node's pool; FIT_ADDRESS_ANY: the next free one. */
};
#define FIT_ADDRESS_ANY UINT32_MAX

/* Whole cores for the request on a machine whose cores have at least so many threads. */
static inline uint32_t fit__cores_of(const struct request *r, uint32_t threads_min)
{
    if (r->one_thread_per_core)
        return r->exclusive_cpus;
    return (r->exclusive_cpus + threads_min - 1) / threads_min;
}

/* Does the node's hardware serve the request, and with which rows? empty: as if nobody held
 * anything. Only reason and figures are valid when it does not. */
enum explain_reason fit__node(const struct node *n, const struct request *r, bool empty,
                              struct fit *out);

/* Has one NUMA node the amounts of a request for which sums decide (search__is_heavy())? */
static inline bool fit__numa_serves(const struct node *n, const struct request *r, uint32_t numa,
                                    uint32_t cores)
{
    const struct node_numa *has = &n->numa[numa];
    return n->cores_free[numa] >= cores &&
           has->memory_free >= r->memory_bytes + r->overhead_bytes &&
           has->huge2m_free >= r->hugepages_2m && has->huge1g_free >= r->hugepages_1g;
}

/* ---- devices; fit_devices.c ---- */

static inline bool fit__device_serves(const struct node_device *d,
                                      const struct request_device *want, bool empty)
{
    uint32_t used = empty ? 0 : d->used;
    if (d->class_name != want->class_name)
        return false;
    if (want->units == 0 ? used > 0
                         : d->units < TOPOLOGY_DEVICE_UNITS || used + want->units > d->units)
        return false;
    bool model_ok = want->models_count == 0;
    for (uint32_t i = 0; i < want->models_count && !model_ok; i++)
        model_ok = want->models[i] == d->model_name;
    return model_ok;
}

/* How many devices must serve the i-th want: what serves the larger parts of its class, which stand before it,
 * serves it, too, and each part is on a device of its own. */
static inline uint32_t fit__devices_needed(const struct request *r, uint32_t i)
{
    uint32_t sum = 0;
    for (uint32_t k = 0; k <= i; k++)
        sum += r->devices[k].class_name == r->devices[i].class_name ? r->devices[k].count : 0;
    return sum;
}

/* As a whole; of a set of NUMA nodes that is known to have them. */
enum explain_reason fit__devices(const struct node *n, const struct request *r, bool empty,
                                 struct fit *out);
void fit__devices_take(const struct node *n, const struct request *r, bool empty, uint32_t set,
                       struct fit *out);

/* The rows that fit__node() would choose, when it is known that the node serves such a request and
 * that one NUMA node has room for all of it. */
void fit__one(const struct node *n, const struct request *r, struct fit *out);

/* The tightest stretch of ways free ways that want fit into, the lowest of those; TOPOLOGY_WAYS_MAX: none does. */
uint32_t fit__ways(const struct node_llc *llc, uint32_t want);

/* Does the domain give one of these cores? */
static inline bool fit__llc_gives(const struct shape *s, uint32_t llc, const uint64_t *cores)
{
    uint64_t any = 0;
    for (uint32_t w = s->llc_first_word[llc]; w <= s->llc_last_word[llc]; w++)
        any |= cores[w] & s->llc_cores[llc][w];
    return any != 0;
}

/* ---- rows.c: taking and giving rows ---- */
void rows__take(struct ledger *l, struct node *n, struct hold *h, const struct request *r,
                const struct fit *f);
void rows__give(struct ledger *l, struct hold *h, const struct request *r);
void rows__unpack(const struct node *n, const struct hold *h, const struct request *r,
                  struct fit *out);
void rows__print(const struct ledger *l, const struct hold *h, struct placement *out);
void rows__print_fit(const struct ledger *l, const struct hold *h, const struct fit *f,
                     struct placement *out); /* f: its rows. */
void rows__drop(struct ledger *l, struct hold *h);
static inline uint32_t rows__ways(uint32_t first, uint32_t count)
{
    return (uint32_t)(((1ull << count) - 1) << first);
}
bool rows__port_taken(const struct node *n, const struct request_port *p);

/* ---- preempt.c: a hold taken off its node for a question, and put back with the very same rows ---- */

struct lifted {
    uint32_t index;
    struct fit rows;
};

void preempt__lift(struct ledger *l, uint32_t index, struct lifted *out);
void preempt__put_back(struct ledger *l, const struct lifted *x);

/* ---- restore.c: rows that are named instead of chosen ---- */
MUST_USE enum err_code rows__check(const struct node *n, const struct request *r,
                                   const struct placement *rows, struct fit *out, struct err *e);

/* ---- rules.c: everything that is not hardware, by plain scanning ---- */

bool rules__selector_matches(const struct names *names, const struct request_selector *s,
                             const struct topology_label *labels, uint32_t count);
enum explain_reason rules__node(const struct ledger *l, const struct node *n,
                                const struct request *r, struct explain_about *out);
bool rules__node_affinity(const struct ledger *l, const struct node *n, const struct request *r,
                          struct explain_about *out);
bool rules__taints(const struct node *n, const struct request *r, struct explain_about *out);
bool rules__is_cordon_tolerated(const struct ledger *l, const struct request *r);
bool rules__ports(const struct node *n, const struct request *r);
int64_t rules__node_cost(const struct ledger *l, const struct node *n, const struct request *r);

/* ---- pods.c: rules between workloads, counted by scanning every hold ---- */

/* A domain's workload costs 100 against an even spread (weight 2 x half of it, as Kubernetes'
 * normalised score gives at small counts); preferences between workloads count twice their weight. */
enum { PODS_SPREAD_COST = 100, PODS_NO_LABEL_COST = 1 << 20, PODS_AFFINITY_FACTOR = 2 };

struct pods_view;
bool pods__term_matches(const struct ledger *l, const struct request_pod_term *t,
                        const struct labels *who);
bool pods__spread_matches(const struct ledger *l, const struct request_spread *s,
                          uint32_t namespace_name, const struct labels *who);
bool pods__spread_counts(const struct ledger *l, const struct node *n, const struct request *r,
                         const struct request_spread *s);
struct pods_view *pods__view(const struct ledger *l, const struct request *r,
                             const struct labels *own);
void pods__view_free(struct pods_view *v);
enum explain_reason pods__check(const struct pods_view *v, uint32_t node);
int64_t pods__cost(const struct pods_view *v, uint32_t node);

/* ---- cost.c ---- */

/* What a choice of node costs; the lowest wins. Compared from top to bottom. */
struct cost {
    int64_t rules;   /* What the request prefers. */
    int64_t packing; /* Splits over sockets and NUMA nodes first, then how much is left over. */
    uint32_t tie;    /* What is on the node decides, never its name or place in a list... */
    uint32_t node;   /* ...unless two nodes are alike in everything. */
    uint32_t version : 31; /* Of the node when it was looked at; not compared. */
    uint32_t exact : 1;    /* Looked at closely; otherwise it may cost more than this. */
};

enum { COST_VERSION_MAX = INT32_MAX };

static inline bool cost__less(const struct cost *a, const struct cost *b)
{
    if (a->rules != b->rules)
        return a->rules < b->rules;
    if (a->packing != b->packing)
        return a->packing < b->packing;
    if (a->tie != b->tie)
        return a->tie < b->tie;
    return a->node < b->node;
}

static inline uint64_t cost__devices_wanted(const struct request *r)
{
    uint64_t wanted = 0;
    for (uint32_t i = 0; i < r->devices_count; i++)
        wanted += (uint64_t)r->devices[i].count *
                  (r->devices[i].units > 0 ? r->devices[i].units : TOPOLOGY_DEVICE_UNITS);
    return wanted;
}

int64_t cost__split(uint32_t sockets, uint32_t numa);
uint64_t cost__devices_total(const struct node *n);
uint64_t cost__devices_free(const struct node *n);

/* Shares are measured against the largest node; true when that changed and every cost with it. */
bool cost__node_came(struct ledger *l, const struct node *n);
bool cost__node_went(struct ledger *l, const struct node *n);
void cost__reset(struct ledger *l);
uint64_t cost__left(const struct ledger *l, const struct node *n); /* Before anything is placed. */
/* threads: the least and the most that a core of the machine has. */
uint64_t cost__taken(const struct ledger *l, const struct request *r, uint32_t threads_min,
                     uint32_t threads_max, bool has_devices);
static inline int64_t cost__packing(const struct request *r, uint64_t node_left, uint64_t taken,
                                    int64_t split)
{
    int64_t after = (int64_t)node_left - (int64_t)taken;
    return r->choice == CHOICE_SPREAD ? split - after : split + after;
}
int64_t cost__packing_of(const struct ledger *l, const struct node *n, const struct request *r,
                         const struct fit *f);

/* ---- place.c ---- */
enum explain_reason place__check(const struct ledger *l, const struct node *n,
                                 const struct request *r, const struct pods_view *pods,
                                 struct fit *out);
struct cost place__cost(const struct ledger *l, const struct node *n, const struct request *r,
                        const struct pods_view *pods, const struct fit *f);
uint32_t place__plain(const struct ledger *l, const struct request *r, const struct labels *own,
                      struct fit *out);

/* ---- mix.c ---- */
void mix__arrived(struct ledger *l, struct class *c); /* Learns; may end an epoch. */
uint64_t mix__fragments(const struct ledger *l, const struct node *n);
int64_t mix__cost(const struct ledger *l, const struct node *n, const struct request *r,
                  const struct fit_device *devices, uint32_t devices_count, uint64_t before);
int64_t mix__gain_most(const struct ledger *l, const struct request *r);

/* ---- row.c ---- */
void columns__row(const struct ledger *l, const struct node *n, struct columns_row *out);

#endif /* SCHEDULER_SEARCH_PRIV_H */
