/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A victim is lifted off its node (its rows given back, the hold kept) and put back with the very
 * same rows: that is what makes every question here free of consequences.
 */
#include "scheduler/preempt.h"
#include "scheduler/shortlist.h"

enum { PREEMPT_TRIES = 64, PREEMPT_MORE = 1024 };

struct attempt {
    struct ledger *l;
    const struct request *r;
    struct class *class;
    struct labels *own;
    const struct preempt_budget *budgets; /* By namespace. */
    uint32_t budgets_count;
    uint32_t *used;    /* By budget: how many of its disruptions the node's victims take. */
    uint32_t *touched; /* Budgets with a use. */
    uint32_t touched_count;
};

void preempt__lift(struct ledger *l, uint32_t index, struct lifted *out)
{
    struct hold *h = ledger__hold(l, index);
    const struct request *r = &ledger__class(l, h->class_id)->r;
    struct node *n = ledger__node(l, h->node);
    out->index = index;
    rows__unpack(n, h, r, &out->rows);
    out->rows.address = h->address > 0 ? h->address - 1 : FIT_ADDRESS_ANY;
    terms__held(l, h, -1);
    rows__give(l, h, r);
    node__unlist(l, n, index);
}

void preempt__put_back(struct ledger *l, const struct lifted *x)
{
    struct hold *h = ledger__hold(l, x->index);
    struct node *n = ledger__node(l, h->node);
    node__list(l, n, x->index);
    rows__take(l, n, h, &ledger__class(l, h->class_id)->r, &x->rows);
    terms__held(l, h, 1);
}

/* ---- one node ---- */

static int32_t priority_of(const struct ledger *l, uint32_t index)
{
    return ledger__class(l, ledger__hold(l, index)->class_id)->r.priority;
}

/* The more important first: higher priority, then the longer running. */
static bool more_important(const struct ledger *l, uint32_t a, uint32_t b)
{
    int32_t x = priority_of(l, a), y = priority_of(l, b);
    if (x != y)
        return x > y;
    const struct hold_tag *i = ledger__tag(l, a), *k = ledger__tag(l, b);
    return i->started != k->started ? i->started < k->started : i->cookie < k->cookie;
}

static bool fits_now(const struct attempt *a, const struct node *n)
{
    struct fit f;
    uint32_t count;
    if (search__check(a->l, n, a->r, &f) != EXPLAIN_FITS)
        return false;
    if (a->r->node_name != 0)
        return true;
    terms__profile(a->l, a->own);
    const struct shortlist_rule *rules = search__rules(a->l, a->class, &a->own->profile, &count);
    for (uint32_t i = 0; i < count; i++)
        if (!search__rule_allows(&rules[i], terms__domain(rules[i].term, n->index)))
            return false;
    return true;
}

/* Lower holds of the node, the most important first; of very many the least important ones. */
static uint32_t candidates(const struct attempt *a, const struct node *n, uint32_t *out)
{
    uint32_t count = 0;
    for (uint32_t i = n->hold_first; i != HOLD_NONE; i = ledger__hold(a->l, i)->next) {
        if (priority_of(a->l, i) >= a->r->priority)
            continue;
        if (count == PREEMPT_VICTIMS_MAX && more_important(a->l, i, out[0]))
            continue;
        if (count == PREEMPT_VICTIMS_MAX)
            memmove(out, out + 1, --count * sizeof *out);
        uint32_t k = count++;
        for (; k > 0 && more_important(a->l, i, out[k - 1]); k--)
            out[k] = out[k - 1];
        out[k] = i;
    }
    return count;
}

static uint32_t first_budget(const struct attempt *a, uint32_t namespace_name)
{
    uint32_t from = 0, to = a->budgets_count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (a->budgets[middle].namespace_name < namespace_name)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* Does ending the hold break a budget, given what was ended before on this node? */
static bool violates(struct attempt *a, uint32_t index)
{
    const struct labels *who = ledger__labels(a->l, ledger__hold(a->l, index)->labels_id);
    bool over = false;
    for (uint32_t i = first_budget(a, who->namespace_name);
         i < a->budgets_count && a->budgets[i].namespace_name == who->namespace_name; i++) {
        const struct preempt_budget *b = &a->budgets[i];
        if (!rules__selector_matches(&a->l->names, &b->selector, who->labels, who->labels_count))
            continue;
        if (a->used[i] == 0)
            a->touched[a->touched_count++] = i;
        over |= a->used[i]++ >= b->disruptions_allowed;
    }
    return over;
}

/* Another node's victims. */
static void forget_uses(struct attempt *a)
{
    while (a->touched_count > 0)
        a->used[a->touched[--a->touched_count]] = 0;
}

/* All lower holds are lifted; then each is put back when the request still fits with it, those whose
 * end would break a budget first. What stays lifted are the victims. */
static bool try_node(struct attempt *a, struct node *n, struct preempt_result *out)
{
    uint32_t holds[PREEMPT_VICTIMS_MAX];
    bool breaks[PREEMPT_VICTIMS_MAX], back[PREEMPT_VICTIMS_MAX] = {0};
    uint32_t count = candidates(a, n, holds);
    struct lifted *lifted = mem_alloc((count + 1) * sizeof *lifted);

    for (uint32_t i = 0; i < count; i++) {
        breaks[i] = violates(a, holds[i]);
        preempt__lift(a->l, holds[i], &lifted[i]);
    }
    forget_uses(a);
    bool fits = count > 0 && fits_now(a, n);
    for (uint32_t pass = 0; pass < 2 && fits; pass++)
        for (uint32_t i = 0; i < count; i++) {
            if (back[i] || breaks[i] != (pass == 0))
                continue;
            preempt__put_back(a->l, &lifted[i]);
            back[i] = fits_now(a, n);
            if (!back[i])
                preempt__lift(a->l, holds[i], &lifted[i]);
        }
    *out = (struct preempt_result){.node = n->index};
    for (uint32_t i = 0; i < count; i++) {
        if (back[i])
            continue;
        preempt__put_back(a->l, &lifted[i]);
        out->victims[out->victims_count++] = ledger__hold_name(a->l, holds[i]);
        out->violations += breaks[i];
    }
    mem_free(lifted);
    return fits;
}

/* ---- between nodes ---- */

struct grade {
    uint32_t violations, count;
    int64_t highest, sum;
    uint64_t started; /* Of the most important victim; later is better. */
    uint64_t tie;
};

static struct grade grade_of(const struct ledger *l, const struct preempt_result *x)
{
    struct grade g = {.violations = x->violations,
                      .count = x->victims_count,
                      .highest = INT64_MIN,
                      .tie = ledger__node(l, x->node)->tie};
    for (uint32_t i = 0; i < x->victims_count; i++) {
        uint32_t index = (uint32_t)x->victims[i];
        int64_t priority = priority_of(l, index);
        if (priority > g.highest) {
            g.highest = priority;
            g.started = ledger__tag(l, index)->started;
        }
        g.sum += priority + (1ll << 31); /* As Kubernetes does: more victims never sum to less. */
    }
    return g;
}

static bool better(const struct grade *a, const struct grade *b)
{
    if (a->violations != b->violations)
        return a->violations < b->violations;
    if (a->highest != b->highest)
        return a->highest < b->highest;
    if (a->sum != b->sum)
        return a->sum < b->sum;
    if (a->count != b->count)
        return a->count < b->count;
    if (a->started != b->started)
        return a->started > b->started;
    return a->tie < b->tie;
}

/* How the node would be graded if sums alone counted: the least important go until enough is free, and whose budget that
 * breaks. False: not even without all lower holds. */
static bool estimate(struct attempt *a, const struct node *n, uint64_t *out_key)
{
    uint32_t holds[PREEMPT_VICTIMS_MAX], count, k, broken = 0;
    struct explain_about about;
    struct fit f;
    if (n == NULL || n->removed || rules__node(a->l, n, a->r, &about) != EXPLAIN_FITS ||
        fit__node(n, a->r, true, &f) != EXPLAIN_FITS)
        return false;
    uint64_t pool = 1000ull * n->pool_threads, held = n->system_cpu_milli + n->shared_held;
    uint64_t memory = n->memory_free, cpu = pool > held ? pool - held : 0;
    uint64_t cpu_wanted = a->r->shared_milli + 1000ull * a->r->exclusive_cpus;
    count = k = candidates(a, n, holds);
    while (k > 0 && (cpu < cpu_wanted || memory < a->r->memory_bytes + a->r->overhead_bytes)) {
        const struct request *r = &ledger__class(a->l, ledger__hold(a->l, holds[--k])->class_id)->r;
        broken += a->budgets_count > 0 && violates(a, holds[k]);
        uint32_t cores = fit__cores_of(r, n->shape->core_threads_min);
        memory += r->memory_bytes + r->overhead_bytes;
        cpu += r->shared_milli + 1000ull * n->shape->core_threads_max * cores;
    }
    uint64_t highest =
        k < count ? (uint64_t)((int64_t)priority_of(a->l, holds[k]) + (1ll << 31)) : 0;
    forget_uses(a);
    *out_key = (uint64_t)broken << 52 | highest << 16 | (count - k);
    return count > 0 && cpu >= cpu_wanted && memory >= a->r->memory_bytes + a->r->overhead_bytes;
}

struct promising {
    uint32_t count, node[PREEMPT_TRIES];
    uint64_t key[PREEMPT_TRIES];
};

static void promising_add(const struct ledger *l, struct promising *p, uint32_t node, uint64_t key)
{
    uint32_t k = p->count;
    uint64_t tie = ledger__node(l, node)->tie;
    if (k == PREEMPT_TRIES && key >= p->key[k - 1])
        return;
    if (k < PREEMPT_TRIES)
        p->count++;
    else
        k--;
    for (; k > 0 && (key < p->key[k - 1] ||
                     (key == p->key[k - 1] && tie < ledger__node(l, p->node[k - 1])->tie));
         k--) {
        p->key[k] = p->key[k - 1];
        p->node[k] = p->node[k - 1];
    }
    p->key[k] = key;
    p->node[k] = node;
}

static bool try_better(struct attempt *a, uint32_t node, struct preempt_result *scratch,
                       struct preempt_result *out, struct grade *best, bool found)
{
    if (!try_node(a, ledger__node(a->l, node), scratch))
        return found;
    struct grade g = grade_of(a->l, scratch);
    if (!found || better(&g, best)) {
        *best = g;
        *out = *scratch;
    }
    return true;
}

/* The most promising nodes are tried and compared. When none of them will do, all are; when each of them breaks a budget,
 * so many more, as far as the first that does not. */
static bool search_victims(struct attempt *a, struct preempt_result *out)
{
    struct grade best = {0};
    struct promising p = {0};
    struct preempt_result *scratch = mem_alloc(sizeof *scratch);
    bool found = false;
    uint64_t key;

    for (uint32_t i = 0; i < a->l->nodes.count; i++)
        if (estimate(a, ledger__node(a->l, i), &key))
            promising_add(a->l, &p, i, key);
    for (uint32_t i = 0; i < p.count; i++)
        found = try_better(a, p.node[i], scratch, out, &best, found);
    uint32_t more = p.count < PREEMPT_TRIES ? 0 : found ? PREEMPT_MORE : UINT32_MAX;
    for (uint32_t i = 0; i < a->l->nodes.count && more > 0 && (!found || best.violations > 0); i++)
        if (estimate(a, ledger__node(a->l, i), &key)) {
            found = try_better(a, i, scratch, out, &best, found);
            more--;
        }
    mem_free(scratch);
    return found;
}

enum err_code ledger_preempt(struct ledger *l, const struct request *r,
                             const struct preempt_budget *budgets, uint32_t budgets_count,
                             struct preempt_result *out, struct err *e)
{
    struct attempt a = {.l = l, .budgets = budgets, .budgets_count = budgets_count};
    enum err_code rc = request_check(r, e);
    if (rc == ERR_OK && budgets_count > PREEMPT_BUDGETS_MAX)
        rc = err_set(e, ERR_LIMIT, "over %u disruption budgets", PREEMPT_BUDGETS_MAX);
    if (rc != ERR_OK)
        return rc;
    if (r->never_preempts)
        return err_set(e, ERR_BUSY, "the request never preempts");
    rc = ledger__intern(l, r, &a.class, &a.own, e);
    if (rc != ERR_OK)
        return rc;
    a.r = &a.class->r;
    a.used = mem_zalloc(2 * (size_t)budgets_count + 1, sizeof *a.used);
    a.touched = a.used + budgets_count;
    bool found = search_victims(&a, out);
    mem_free(a.used);
    class__unref(l, a.class);
    labels__unref(l, a.own);
    return found ? ERR_OK : err_set(e, ERR_BUSY, "no lower priority to preempt would help");
}
