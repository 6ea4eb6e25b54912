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
    struct node_state *node;
    uint32_t left, kept_count; /* Victims still there; holds of those that are gone. */
    uint64_t kept[PREEMPT_VICTIMS_MAX];
    struct str key; /* Of the workload that comes. */
    char text[];
};

static struct nomination *find(struct core *c, struct str key)
{
    return map_find(&c->cluster->nominations, key);
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
    mem_free(n);
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
        mem_free(e->value);
    map_fini(&k->nominations);
}

void preempt__init(struct cluster *k)
{
    map_init(&k->nominations, NOMINATIONS_MAX);
}

bool preempt__keep(struct core *c, struct held *h)
{
    struct nomination *n = h->nomination;
    h->nomination = NULL;
    n->left--;
    n->kept[n->kept_count++] = h->hold;
    if (n->left == 0)
        placing__wake(c, n->key);
    return true;
}

/* Its turn: when everybody has left, or will not be heard of any more, the rows are open to the search. */
void preempt__begin(struct core *c, const struct candidate *w)
{
    struct nomination *n = find(c, w->key);
    if (n != NULL && (n->left == 0 || !n->node->ready))
        cancel(c, n);
}

const char *preempt__node(struct core *c, struct str key)
{
    const struct nomination *n = find(c, key);
    return n == NULL ? NULL : n->node->name;
}

/* ---- choosing victims ---- */

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
static bool take_over(struct core *c, struct candidate *w, const struct preempt_result *x)
{
    for (uint32_t i = 0; i < x->victims_count; i++) {
        struct nomination *n = promised(c, x->victims[i]);
        if (n != NULL && n->priority >= w->request.priority)
            return false;
    }
    for (uint32_t i = 0; i < x->victims_count; i++) {
        struct nomination *n = promised(c, x->victims[i]);
        if (n != NULL)
            cancel(c, n);
    }
    return true;
}

static struct nomination *nominate(struct core *c, const struct candidate *w,
                                   struct node_state *node)
{
    struct nomination *n = mem_zalloc(1, sizeof *n + w->key.len + 1);
    memcpy(n->text, w->key.at, w->key.len);
    n->key = str_from(n->text, w->key.len);
    n->priority = w->request.priority;
    n->node = node;
    if (map_put(&c->cluster->nominations, n->key, n) == ERR_OK)
        return n;
    mem_free(n);
    return NULL;
}

PRINTF(2, 3) static void add_text(struct candidate *w, const char *fmt, ...)
{
    size_t len = strlen(w->why);
    va_list args;
    va_start(args, fmt);
    vsnprintf(w->why + len, sizeof w->why - len, fmt, args);
    va_end(args);
}

static bool could(struct core *c, const struct candidate *w)
{
    return !w->request.never_preempts && w->request.priority > c->cluster->priority_least;
}

bool preempt__may(struct core *c, const struct candidate *w)
{
    return w->is_short && could(c, w);
}

/* True: rows became free at once, and it is worth trying again now. */
bool preempt__try(struct core *c, struct candidate *w)
{
    struct nomination *n = find(c, w->key);
    if (n != NULL) {
        add_text(w, "; waits for %u workloads of lower priority to leave node %s", n->left,
                 n->node->name);
        return false;
    }
    struct preempt_result *x = arena_alloc(&c->turn, sizeof *x);
    struct ledger *l = c->cluster->ledger;
    const struct preempt_budget *budgets;
    uint32_t budgets_count;
    if (!preempt__may(c, w) || x == NULL || !budgets_all(c, &budgets, &budgets_count) ||
        ledger_preempt(l, &w->request, budgets, budgets_count, x, NULL) != ERR_OK)
        return false;
    struct ledger_node_info info;
    ledger_node_info(l, x->node, &info);
    struct node_state *node = cluster_node(c, names_text(ledger_names(l), info.name));
    if (node == NULL || !take_over(c, w, x) || (n = nominate(c, w, node)) == NULL)
        return false;
    for (uint32_t i = 0; i < x->victims_count; i++) {
        struct held *h = cluster_held_hold(c, x->victims[i]);
        if (h == NULL)
            continue; /* It had left already: its rows were kept for somebody lower. */
        h->nomination = n;
        n->left++;
        core_mark(c, CONTROL_PLACING, str_of(h->workload_key));
    }
    add_text(w, "; %u workloads of lower priority were asked to leave node %s", n->left,
             node->name);
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
                 const struct nomination *n)
{
    struct index_key comes;
    if (d->meta.is_deleting || !index_key_parse(n->key, &comes))
        return;
    struct str text = arena_printf(&c->turn, "Preempted by %s " STR_FMT "/" STR_FMT " on node %s",
                                   str_is(comes.plural, "pods") ? "pod" : "machine",
                                   STR_ARG(comes.namespace), STR_ARG(comes.name), n->node->name);
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
        tell(c, w, d, h->nomination);
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
