/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A workload of higher priority takes the place of lower ones (Kubernetes: Pod Priority and Preemption).
 *
 * The ledger names node and victims. They are told so by a condition and leave as by any delete, with
 * their own grace. A victim's rows are free when its agent says so, and are then kept for the one they
 * were promised to: nobody else can have them until the last victim is gone. Then all of them are given
 * back at once and the workload is placed in the same step, by the ordinary search.
 *
 * A nomination is memory alone. After a restart the workload is tried again, and finds its victims leaving
 * or their rows free. Victims are chosen for what is durable only: nobody dies for a create that failed.
 */
#include "base/check.h"
#include "base/mem.h"
#include "controlplane/core/budgets.h"
#include "controlplane/core/events.h"
#include "controlplane/core/placing_priv.h"
#include "scheduler/preempt.h"

#include <stdarg.h>
#include <stdio.h>

enum { NOMINATIONS_MAX = 1024 };

struct nomination {
    int32_t priority;
    bool is_gang;
    uint32_t left; /* Victims still there. */
    struct node_state **nodes;
    uint32_t nodes_count;
    /* Holds of the victims that are gone, and of what was free of the rows that are wanted. */
    uint64_t *kept;
    uint32_t kept_count, kept_size;
    struct str key; /* Of the workload that comes, or of its pod group. */
    char text[];
};

static struct nomination *find(struct core *c, struct str key)
{
    return map_find(&c->cluster->nominations, key);
}

static void nomination_free(struct nomination *n)
{
    mem_free(n->nodes);
    mem_free(n->kept);
    mem_free(n);
}

/* What was kept is free, and victims that are still there are nobody's. */
static void cancel(struct core *c, struct nomination *n)
{
    const struct map_entry *e;
    bool freed = n->kept_count > 0;
    for (uint32_t i = 0; i < n->kept_count; i++)
        ledger_release(c->cluster->ledger, n->kept[i]);
    for (uint32_t at = 0; n->left > 0 && (e = map_next(&c->cluster->held, &at)) != NULL;) {
        struct held *h = e->value;
        if (h->nomination != n)
            continue;
        h->nomination = NULL;
        n->left--;
    }
    map_remove(&c->cluster->nominations, n->key);
    nomination_free(n);
    if (freed)
        placing_room(c);
}

void preempt__cancel(struct core *c, struct str key)
{
    struct nomination *n = find(c, key);
    if (n != NULL)
        cancel(c, n);
}

void preempt__free(struct cluster *k)
{
    const struct map_entry *e;
    for (uint32_t at = 0; (e = map_next(&k->nominations, &at)) != NULL;)
        nomination_free(e->value);
    map_fini(&k->nominations);
}

void preempt__init(struct cluster *k)
{
    map_init(&k->nominations, NOMINATIONS_MAX);
}

static void keep(struct nomination *n, uint64_t hold)
{
    CHECK(n->kept_count < n->kept_size);
    n->kept[n->kept_count++] = hold;
}

static void come(struct core *c, const struct nomination *n)
{
    if (n->is_gang)
        core_mark(c, CONTROL_PLACING, n->key); /* All its members have their turn. */
    else
        placing__wake(c, n->key);
}

bool preempt__keep(struct core *c, struct held *h)
{
    struct nomination *n = h->nomination;
    h->nomination = NULL;
    n->left--;
    keep(n, h->hold);
    if (n->left == 0)
        come(c, n);
    return true;
}

/* Its turn: when everybody has left, or will not be heard of any more, the rows are open to the search. */
void preempt__begin(struct core *c, struct str key)
{
    struct nomination *n = find(c, key);
    bool lost = false;
    for (uint32_t i = 0; n != NULL && i < n->nodes_count; i++)
        lost |= !n->nodes[i]->ready;
    if (n != NULL && (n->left == 0 || lost))
        cancel(c, n);
}

const char *preempt__node(struct core *c, struct str key)
{
    const struct nomination *n = find(c, key);
    return n == NULL || n->nodes_count == 0 ? NULL : n->nodes[0]->name;
}

/* ---- choosing victims ---- */

/* Who comes, what it would hold, and who has to go for it. */
struct coming {
    struct str key;
    struct request *requests;
    struct placement *rows;
    uint64_t *victims;
    uint32_t count, victims_count;
    int32_t priority; /* The least of them. */
};

/* Whom a hold is promised to: its workload is leaving for it, or has left. */
static struct nomination *promised(struct core *c, uint64_t hold)
{
    const struct map_entry *e;
    struct held *h = cluster_held_hold(c, hold);
    if (h != NULL)
        return h->nomination;
    for (uint32_t at = 0; (e = map_next(&c->cluster->nominations, &at)) != NULL;) {
        struct nomination *n = e->value;
        for (uint32_t i = 0; i < n->kept_count; i++)
            if (n->kept[i] == hold)
                return n;
    }
    return NULL;
}

/* Promises to lower ones are void; one to an equal stands. */
static bool take_over(struct core *c, const struct coming *x)
{
    for (uint32_t i = 0; i < x->victims_count; i++) {
        struct nomination *n = promised(c, x->victims[i]);
        if (n != NULL && n->priority >= x->priority)
            return false;
    }
    for (uint32_t i = 0; i < x->victims_count; i++) {
        struct nomination *n = promised(c, x->victims[i]);
        if (n != NULL)
            cancel(c, n);
    }
    return true;
}

static struct nomination *nominate(struct core *c, const struct coming *x, bool is_gang)
{
    struct nomination *n = mem_zalloc(1, sizeof *n + x->key.len + 1);
    str_put(n->text, x->key);
    n->key = str_from(n->text, x->key.len);
    n->priority = x->priority;
    n->is_gang = is_gang;
    n->kept_size = x->victims_count + x->count;
    n->kept = mem_zalloc(n->kept_size + 1, sizeof *n->kept);
    n->nodes = mem_zalloc(x->count, sizeof(struct node_state *));
    if (map_put(&c->cluster->nominations, n->key, n) == ERR_OK)
        return n;
    nomination_free(n);
    return NULL;
}

static void add_node(struct nomination *n, struct node_state *node)
{
    for (uint32_t i = 0; i < n->nodes_count; i++)
        if (n->nodes[i] == node)
            return;
    n->nodes[n->nodes_count++] = node;
}

static struct node_state *node_of(struct core *c, const struct placement *rows)
{
    return cluster_node(c, names_text(ledger_names(c->cluster->ledger), rows->node_name));
}

/* Victims are told, and what is free already of the wanted rows is kept beside theirs. */
static void promise(struct core *c, struct nomination *n, const struct coming *x)
{
    struct ledger *l = c->cluster->ledger;
    for (uint32_t i = 0; i < x->victims_count; i++) {
        struct held *h = cluster_held_hold(c, x->victims[i]);
        if (h == NULL)
            continue; /* It had left already: its rows were kept for somebody lower. */
        h->nomination = n;
        n->left++;
        core_mark(c, CONTROL_PLACING, str_of(h->workload_key));
    }
    for (uint32_t i = 0; i < x->count; i++) {
        uint64_t hold = n->left == 0 ? 0 : ledger_keep(l, &x->requests[i], &x->rows[i]);
        add_node(n, node_of(c, &x->rows[i]));
        if (hold != 0)
            keep(n, hold);
    }
}

/* All of them in one plan, which is taken back: what they would hold, and who would have to go. */
static bool search(struct core *c, struct coming *x)
{
    struct ledger *l = c->cluster->ledger;
    const struct preempt_budget *budgets;
    uint32_t budgets_count, failed, most = 0;
    struct plan_step *steps = arena_alloc(&c->turn, x->count * sizeof *steps);
    x->rows = arena_alloc(&c->turn, x->count * sizeof *x->rows);
    if (steps == NULL || x->rows == NULL || !budgets_all(c, &budgets, &budgets_count))
        return false;
    struct plan *p = plan_begin(l, budgets, budgets_count);
    bool found = plan_place_gang(p, x->requests, x->count, steps, &failed, NULL) == ERR_OK;
    for (uint32_t i = 0; found && i < x->count; i++) {
        found = ledger_hold_rows(l, steps[i].hold, &x->rows[i], NULL) == ERR_OK &&
                node_of(c, &x->rows[i]) != NULL;
        most += steps[i].victims.victims_count;
    }
    plan_end(p);
    x->victims = found ? arena_alloc(&c->turn, (most + 1) * sizeof *x->victims) : NULL;
    for (uint32_t i = 0; x->victims != NULL && i < x->count; i++)
        for (uint32_t k = 0; k < steps[i].victims.victims_count; k++)
            x->victims[x->victims_count++] = steps[i].victims.victims[k];
    return x->victims != NULL && most > 0;
}

PRINTF(3, 4) static void add_text(char *why, size_t size, const char *fmt, ...)
{
    size_t len = strlen(why);
    va_list args;
    va_start(args, fmt);
    vsnprintf(why + len, size - len, fmt, args);
    va_end(args);
}

static bool could(struct core *c, const struct request *r)
{
    return !r->never_preempts && r->priority > c->cluster->priority_least;
}

bool preempt__may(struct core *c, const struct candidate *w)
{
    return w->is_short && could(c, &w->request);
}

bool preempt__try(struct core *c, struct str key, const struct candidate *at, uint32_t count,
                  char *why, size_t why_size)
{
    struct nomination *n = find(c, key);
    struct coming x = {.key = key, .count = count, .priority = INT32_MAX};
    if (n != NULL) {
        add_text(why, why_size, "; waits for %u workloads of lower priority to leave node %s",
                 n->left, n->nodes[0]->name);
        return false;
    }
    x.requests = arena_alloc(&c->turn, count * sizeof *x.requests);
    for (uint32_t i = 0; x.requests != NULL && i < count; i++) {
        x.requests[i] = at[i].request;
        if (at[i].request.priority < x.priority)
            x.priority = at[i].request.priority;
        if (!could(c, &at[i].request))
            return false;
    }
    if (x.requests == NULL || !search(c, &x) || !take_over(c, &x) ||
        (n = nominate(c, &x, gang__name(at).len > 0)) == NULL)
        return false;
    promise(c, n, &x);
    add_text(why, why_size, "; %u workloads of lower priority were asked to leave node %s", n->left,
             n->nodes[0]->name);
    if (n->nodes_count > 1)
        add_text(why, why_size, " and %u more", n->nodes_count - 1);
    return n->left == 0;
}

/* ---- the victims ---- */

/* In Kubernetes' words, too: the reasons are what a Job's podFailurePolicy asks for. */
static void condition(struct core *c, struct candidate *w, bool is_eviction)
{
    const char *reason = is_eviction ? "EvictionByEvictionAPI" : "PreemptionByScheduler";
    struct str text = is_eviction
                          ? STR("Eviction API: evicting")
                          : STR("baton: preempting to accommodate a higher priority workload");
    if (w->pod != NULL)
        status_pod_condition(c, w->pod->status, "DisruptionTarget", true, reason, text);
    else
        status_machine_condition(c, w->machine->status, "DisruptionTarget", true, reason, text);
}

/* In Kubernetes' words. */
static void tell(struct core *c, const struct candidate *w, const struct draft *d,
                 const struct held *h)
{
    const struct nomination *n = h->nomination;
    struct index_key comes;
    if (d->meta.is_deleting || h->node == NULL || !index_key_parse(n->key, &comes))
        return;
    struct str text = arena_printf(&c->turn, "Preempted by %s " STR_FMT "/" STR_FMT " on node %s",
                                   n->is_gang                     ? "pod group"
                                   : str_is(comes.plural, "pods") ? "pod"
                                                                  : "machine",
                                   STR_ARG(comes.namespace), STR_ARG(comes.name), h->node->name);
    events_tell(c, &(struct event_note){.api_version = w->pod != NULL ? "v1" : "kubevirt.io/v1",
                                        .kind = w->pod != NULL ? "Pod" : "VirtualMachineInstance",
                                        .namespace = w->namespace,
                                        .name = w->name,
                                        .uid = d->meta.uid,
                                        .reason = "Preempted",
                                        .message = text});
}

/* A deletion says why: for whom it leaves, or that it was evicted. */
void preempt__say(struct core *c, struct candidate *w, const struct held *h, struct draft *d)
{
    if (h->nomination != NULL)
        tell(c, w, d, h);
    else if (d->meta.is_deleting)
        return; /* An eviction of what leaves already. */
    if (!placing__have_status(c, w))
        return;
    condition(c, w, h->nomination == NULL);
    struct str bytes = placing__close(c, w);
    if (bytes.at != NULL)
        d->object = bytes;
}

enum reconcile preempt__evict(struct core *c, const struct held *h, const struct meta *m)
{
    if (h->nomination == NULL || m->is_deleting)
        return RECONCILE_DONE;
    return core_delete(c, str_of(h->workload_key), str_of(h->workload_uid), -1, "Background")
               ? RECONCILE_DONE
               : RECONCILE_LATER;
}
