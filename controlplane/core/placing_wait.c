/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What waits for a place. The queue says who is tried; a turn marks a few of them, in that order, and lets
 * everything else that is marked come between. What a workload lacks are the reasons of its explanation,
 * one bit each; what comes is told in the same bits, so that freed memory wakes nobody who lacks a core.
 */
#include "controlplane/core/placing_priv.h"

enum { TURNS_MAX = 32 };

struct str placing__turn_key(void)
{
    return STR("placing/turn");
}

static void mark_turn(struct core *c)
{
    struct instant at = queue_deadline(c->cluster->waiting, c->now);
    if (at.ns == 0)
        return;
    if (instant_due(at, c->now))
        core_mark(c, CONTROL_PLACING, placing__turn_key());
    else
        core_mark_at(c, CONTROL_PLACING, placing__turn_key(), at);
}

enum reconcile placing__turn(struct core *c)
{
    for (uint32_t i = 0; i < TURNS_MAX; i++) {
        struct str key = queue_next(c->cluster->waiting, c->now);
        if (key.at == NULL)
            break;
        core_mark(c, CONTROL_PLACING, key);
    }
    mark_turn(c);
    return RECONCILE_DONE;
}

/* ---- in and out ---- */

static uint64_t mix(uint64_t sum, struct str text)
{
    return (sum ^ str_hash(text)) * 0x9e3779b97f4a7c15ull;
}

/* All that a client may change about where it goes; the status, which we write ourselves, is none of it. */
static uint64_t words_of(struct core *c, const struct candidate *w)
{
    const Meta__ObjectMeta *m = w->pod != NULL ? w->pod->metadata : w->machine->metadata;
    uint64_t sum = mix(
        1, objects_pack(&c->turn, w->pod != NULL ? &w->pod->spec->base : &w->machine->spec->base));
    for (size_t i = 0; i < m->n_labels; i++)
        sum = mix(mix(sum, str_of(m->labels[i]->key)), str_of(m->labels[i]->value));
    for (size_t i = 0; i < m->n_annotations; i++)
        sum = mix(mix(sum, str_of(m->annotations[i]->key)), str_of(m->annotations[i]->value));
    return sum;
}

void placing__wait(struct core *c, const struct candidate *w)
{
    if (queue_put(c->cluster->waiting, w->key, w->namespace, placing__priority(c, w),
                  words_of(c, w), c->now))
        mark_turn(c);
}

void placing__failed(struct core *c, const struct candidate *w)
{
    queue_failed(c->cluster->waiting, w->key, w->needs, c->now);
    mark_turn(c);
}

void placing__wait_no_more(struct core *c, struct str key)
{
    queue_drop(c->cluster->waiting, key);
}

bool placing__is_tried(struct core *c, struct str key)
{
    return queue_is_trying(c->cluster->waiting, key);
}

void placing__wake(struct core *c, struct str key)
{
    queue_wake(c->cluster->waiting, key, c->now);
    mark_turn(c);
}

/* ---- what could help ---- */

#define BIT(reason) (1ull << EXPLAIN_##reason)

static_assert(EXPLAIN__COUNT < 64, "a reason is a bit");

uint64_t placing__needs(const struct explanation *x)
{
    uint64_t needs = x->nodes_count == 0 ? QUEUE_ANY : 0;
    for (uint32_t i = EXPLAIN_FITS + 1; i < EXPLAIN__COUNT; i++)
        if (x->by_reason[i].nodes > 0)
            needs |= 1ull << i;
    return needs;
}

uint64_t placing__helps(const struct placement *p)
{
    uint64_t helps =
        BIT(PODS) | BIT(SCALAR) | BIT(SPREAD) | BIT(AFFINITY) | BIT(ANTI_AFFINITY) |
        BIT(EXISTING_ANTI); /* AFFINITY: when nobody is left, the first of a kind may start. */
    bool memory = false;
    for (uint32_t i = 0; i < TOPOLOGY_NUMA_MAX; i++) {
        if ((p->numa_mask >> i & 1) == 0)
            continue;
        memory |= p->memory[i].bytes > 0;
        helps |= p->memory[i].hugepages_2m > 0 ? BIT(HUGEPAGES_2M) | BIT(NUMA) : 0;
        helps |= p->memory[i].hugepages_1g > 0 ? BIT(HUGEPAGES_1G) | BIT(NUMA) : 0;
    }
    /* A core that is given back widens the pool; less in the pool lets it be narrowed. */
    if (p->cores_count > 0 || p->shared_milli > 0)
        helps |= BIT(CPU) | BIT(CORES) | BIT(NUMA) | BIT(SMT) | BIT(LLC);
    helps |= memory ? BIT(MEMORY) | BIT(NUMA) : 0;
    helps |= p->devices_count > 0 ? BIT(DEVICE) | BIT(PART) | BIT(NUMA) : 0;
    helps |= p->caches_count > 0 ? BIT(CACHE_WAYS) | BIT(BANDWIDTH) : 0;
    helps |= p->ports_count > 0 ? BIT(PORT) : 0;
    helps |= p->address != 0 ? BIT(ADDRESS) : 0;
    return helps;
}

void placing__event(struct core *c, uint64_t event)
{
    queue_event(c->cluster->waiting, event);
    mark_turn(c);
}

/* One more stands: whoever wants to be near it, or to be spread with it, may have a place now. */
void placing__stands(struct core *c)
{
    if (queue_count(c->cluster->waiting) > 0)
        placing__event(c, BIT(AFFINITY) | BIT(SPREAD));
}

/* One is leaving: spreading counts it no more. */
void placing__leaves(struct core *c)
{
    if (queue_count(c->cluster->waiting) > 0)
        placing__event(c, BIT(SPREAD));
}

void placing_room(struct core *c)
{
    if (queue_count(c->cluster->waiting) > 0)
        placing__event(c, QUEUE_ANY);
}

/* Nothing tells what leaves a table of the ledger: who waits for that is tried again, after its rest. */
void placing_swept(struct core *c)
{
    if (c->cluster->is_short)
        placing_room(c);
    c->cluster->is_short = false;
}

/* The agent says that the workload is gone: its rows are free, or go to whom they were promised. */
void placing_let_go(struct core *c, struct held *h)
{
    struct ledger *l = c->cluster->ledger;
    struct placement *rows =
        queue_count(c->cluster->waiting) == 0 ? NULL : arena_alloc(&c->turn, sizeof *rows);
    uint64_t helps = QUEUE_ANY;
    if (h->nomination != NULL && preempt__keep(c, h))
        return;
    if (rows != NULL && ledger_hold_rows(l, h->hold, rows, NULL) == ERR_OK)
        helps = placing__helps(rows);
    ledger_release(l, h->hold);
    if (queue_count(c->cluster->waiting) > 0)
        placing__event(c, helps);
}

void placing__unhold(struct core *c, struct held *h)
{
    if (h->hold != 0)
        placing_let_go(c, h);
    cluster_unhold(c, h);
}
