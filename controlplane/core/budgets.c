/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A budget counts the workloads that its selector matches and that are not over (expected), and of those the ones that
 * are ready and not leaving (healthy). Kubernetes takes what a percentage is of from the workloads' controllers; there are
 * none here, so it is of those that are there, and what has left is expected no more.
 */
#include "controlplane/core/budgets.h"
#include "base/map.h"
#include "base/mem.h"
#include "controlplane/core/cluster.h"
#include "controlplane/core/controllers_priv.h"
#include "proto/k8s/policy_v1.pb-c.h"

#include <stdlib.h>

enum {
    SPACES_MAX = 1 << 20,
    LEAVING_MAX = 1 << 20,
    SCRATCH_MAX = 16 << 20,
    STATUS_DELAY_MS = 50, /* Many pods that become ready together are one write. */
};

enum bound { BOUND_NONE, BOUND_LEAST, BOUND_MOST };

struct budget {
    struct budget *next;
    uint64_t id; /* Kept when its spec changes, never used again. */
    int64_t generation;
    enum bound bound;
    int32_t amount;
    bool is_percent, always_unhealthy, selects_nothing, is_counted;
    uint32_t expected, healthy;       /* Durable. */
    uint32_t leaving;                 /* Of the healthy: their deletion is in flight. */
    struct request_selector selector; /* Its names are held. */
    struct str name;
    char text[];
};

/* A namespace with at least one budget. */
struct space {
    struct budget *first;
    uint32_t count, name_id; /* name_id: of the scheduler's names, held. */
    char namespace[];
};

/* A deletion that is not durable yet, and the budgets that count it. */
struct leaving {
    uint64_t id;
    char *namespace;
    uint32_t count;
    uint64_t budgets[];
};

struct budgets {
    struct map spaces;  /* Namespace -> space. */
    struct map leaving; /* id, 8 bytes -> leaving. */
    uint64_t last_id;
    uint32_t count;
};

/* A pod or machine as far as budgets look at it. */
struct member {
    bool is_expected, is_healthy;
    bool is_unasked; /* It does not run, or leaves already: nobody loses it. */
};

struct budgets *budgets_new(void)
{
    struct budgets *all = mem_zalloc(1, sizeof *all);
    map_init(&all->spaces, SPACES_MAX);
    map_init(&all->leaving, LEAVING_MAX);
    return all;
}

/* change: names_hold or names_drop. */
static void selector_names(struct names *names, const struct request_selector *s,
                           void (*change)(struct names *names, uint32_t id))
{
    for (uint32_t i = 0; i < s->expressions_count; i++) {
        change(names, s->expressions[i].key);
        for (uint32_t k = 0; k < s->expressions[i].values_count; k++)
            change(names, s->expressions[i].values[k]);
    }
}

/* names: NULL when they end, too. */
static void budget_free(struct names *names, struct budget *b)
{
    if (names != NULL)
        selector_names(names, &b->selector, names_drop);
    for (uint32_t i = 0; i < b->selector.expressions_count; i++)
        mem_free((void *)(uintptr_t)b->selector.expressions[i].values);
    mem_free((void *)(uintptr_t)b->selector.expressions);
    mem_free(b);
}

static void space_free(struct names *names, struct space *s)
{
    for (struct budget *b = s->first, *next; b != NULL; b = next) {
        next = b->next;
        budget_free(names, b);
    }
    if (names != NULL)
        names_drop(names, s->name_id);
    mem_free(s);
}

static void drop_spaces(struct names *names, struct budgets *all)
{
    const struct map_entry *e;
    for (uint32_t at = 0; (e = map_next(&all->spaces, &at)) != NULL;)
        space_free(names, e->value);
    map_fini(&all->spaces);
    all->count = 0;
}

void budgets_free(struct budgets *all)
{
    const struct map_entry *e;
    drop_spaces(NULL, all);
    for (uint32_t at = 0; (e = map_next(&all->leaving, &at)) != NULL;)
        mem_free(e->value);
    map_fini(&all->leaving);
    mem_free(all);
}

static struct space *space_of(struct core *c, struct str namespace)
{
    struct budgets *all = c->controls->budgets;
    return all->count == 0 || namespace.len == 0 ? NULL : map_find(&all->spaces, namespace);
}

static bool is_budget(const struct index_key *at)
{
    return str_is(at->group, "policy") && str_is(at->plural, "poddisruptionbudgets");
}

static bool is_workload(const struct index_key *at)
{
    return (at->group.len == 0 && str_is(at->plural, "pods")) ||
           (str_is(at->group, "kubevirt.io") && str_is(at->plural, "virtualmachineinstances"));
}

static struct str budgets_key(struct core *c, struct str namespace)
{
    return core_key(c, "policy", "poddisruptionbudgets", namespace, STR(""));
}

/* ---- one workload ---- */

static void take_phase(struct member *out, struct str phase)
{
    out->is_expected = !str_is(phase, "Succeeded") && !str_is(phase, "Failed");
    out->is_unasked = !str_is(phase, "Running");
}

static void look_at_pod(struct arena *a, struct str object, struct member *out)
{
    const Core__Pod *pod = typed_open(a, &core__pod__descriptor, object);
    const Core__PodStatus *st = pod == NULL ? NULL : pod->status;
    take_phase(out, str_of(st == NULL ? NULL : st->phase));
    for (size_t i = 0; st != NULL && i < st->n_conditions; i++)
        if (str_is(str_of(st->conditions[i]->type), "Ready"))
            out->is_healthy = str_is(str_of(st->conditions[i]->status), "True");
}

static void look_at_machine(struct arena *a, struct str object, struct member *out)
{
    const Kubevirt__VirtualMachineInstance *vm =
        typed_open(a, &kubevirt__virtual_machine_instance__descriptor, object);
    const Kubevirt__VirtualMachineInstanceStatus *st = vm == NULL ? NULL : vm->status;
    take_phase(out, str_of(st == NULL ? NULL : st->phase));
    for (size_t i = 0; st != NULL && i < st->n_conditions; i++)
        if (str_is(str_of(st->conditions[i]->type), "Ready"))
            out->is_healthy = str_is(str_of(st->conditions[i]->status), "True");
}

static struct member look(const struct index_key *at, const struct meta *m, struct str object)
{
    struct member out = {0};
    struct arena a;
    arena_init(&a, SCRATCH_MAX);
    if (at->group.len == 0)
        look_at_pod(&a, object, &out);
    else
        look_at_machine(&a, object, &out);
    arena_free(&a);
    out.is_healthy &= out.is_expected && !m->is_deleting;
    out.is_unasked |= m->is_deleting;
    return out;
}

static bool selects(struct core *c, const struct budget *b, const struct meta *m)
{
    return !b->selects_nothing &&
           sched_view_selects(ledger_names(c->cluster->ledger), &b->selector, m);
}

/* ---- counting ---- */

static void add(struct core *c, struct budget *first, const struct index_key *at,
                const struct meta *m, struct str object, int by)
{
    struct member is;
    bool is_looked_at = false;
    for (struct budget *b = first; b != NULL; b = b->next) {
        if (!b->is_counted || !selects(c, b, m))
            continue;
        if (!is_looked_at)
            is = look(at, m, object);
        is_looked_at = true;
        b->expected += is.is_expected ? (uint32_t)by : 0;
        b->healthy += is.is_healthy ? (uint32_t)by : 0;
    }
}

static void count_range(struct core *c, struct budget *b, struct str prefix)
{
    struct index_range r;
    struct index_key at;
    struct meta m;
    struct cow_entry *e;
    core_range(c, &r, prefix);
    while ((e = index_range_next(&r)) != NULL) {
        if (!index_key_parse(cow_entry_key(e), &at) ||
            meta_read(blob_str(e->value), &m, NULL) != ERR_OK || !selects(c, b, &m))
            continue;
        struct member is = look(&at, &m, blob_str(e->value));
        b->expected += is.is_expected;
        b->healthy += is.is_healthy;
    }
}

/* When it is first asked for after it came or changed. */
static void count(struct core *c, struct space *s, struct budget *b)
{
    if (b->is_counted)
        return;
    b->expected = b->healthy = 0;
    count_range(c, b, core_key(c, "", "pods", str_of(s->namespace), STR("")));
    count_range(
        c, b, core_key(c, "kubevirt.io", "virtualmachineinstances", str_of(s->namespace), STR("")));
    b->is_counted = true;
}

/* Rounded up, as Kubernetes does for both. */
static uint32_t amount_of(const struct budget *b)
{
    return b->is_percent ? (uint32_t)(((uint64_t)b->expected * (uint32_t)b->amount + 99) / 100)
                         : (uint32_t)b->amount;
}

static uint32_t desired(const struct budget *b)
{
    uint32_t amount = amount_of(b);
    switch (b->bound) {
    case BOUND_NONE:
        break;
    case BOUND_LEAST:
        return amount;
    case BOUND_MOST:
        return b->expected > amount ? b->expected - amount : 0;
    }
    return 0;
}

/* Healthy and not on their way. Those that leave may be none of its own any more: its selector has changed since. */
static uint32_t staying(const struct budget *b)
{
    return b->healthy > b->leaving ? b->healthy - b->leaving : 0;
}

static uint32_t allowed(const struct budget *b)
{
    uint32_t stay = staying(b), least = desired(b);
    return b->bound == BOUND_NONE || b->expected == 0 || stay <= least ? 0 : stay - least;
}

/* ---- a deletion ---- */

static void settled(struct core *c, uint64_t id, bool durable)
{
    struct leaving *l = map_remove(&c->controls->budgets->leaving, str_from(&id, sizeof id));
    struct space *s = l == NULL ? NULL : space_of(c, str_of(l->namespace));
    (void)durable; /* Then it is counted as leaving by what it is now. */
    for (struct budget *b = s == NULL ? NULL : s->first; b != NULL; b = b->next)
        for (uint32_t i = 0; i < l->count; i++)
            b->leaving -= l->budgets[i] == b->id && b->leaving > 0;
    mem_free(l);
}

/* It counts as gone from now on, until that is durable or comes to nothing. */
static void let_go(struct core *c, struct stage *stage, struct space *s, const struct meta *m)
{
    struct budgets *all = c->controls->budgets;
    size_t text = strlen(s->namespace) + 1;
    struct leaving *l = mem_zalloc(1, sizeof *l + s->count * sizeof l->budgets[0] + text);
    l->id = ++all->last_id;
    l->namespace = (char *)&l->budgets[s->count];
    memcpy(l->namespace, s->namespace, text);
    if (map_put(&all->leaving, str_from(&l->id, sizeof l->id), l) != ERR_OK) {
        mem_free(l);
        stage_refuse(stage, WRITE_BUSY, "too much at once");
        return;
    }
    for (struct budget *b = s->first; b != NULL; b = b->next)
        if (selects(c, b, m)) {
            b->leaving++;
            l->budgets[l->count++] = b->id;
        }
    stage_on_settled(stage, settled, l->id);
}

/* Kubernetes' rule (PodDisruptionBudget, unhealthyPodEvictionPolicy): who is not ready takes nothing from the healthy
 * ones, and may go while those keep the budget. */
static bool permits(const struct budget *b, const struct member *is)
{
    if (!is->is_healthy && (b->always_unhealthy || (desired(b) > 0 && staying(b) >= desired(b))))
        return true;
    return allowed(b) > 0;
}

void budgets_ask(struct core *c, struct stage *stage, struct draft *d)
{
    struct space *s = space_of(c, d->at.namespace);
    if (s == NULL || d->meta.is_deleting)
        return;
    struct member is = look(&d->at, &d->meta, d->object);
    if (is.is_unasked)
        return;
    for (struct budget *b = s->first; b != NULL && d->request->evicts; b = b->next) {
        if (!selects(c, b, &d->meta))
            continue;
        count(c, s, b);
        if (permits(b, &is))
            continue;
        stage_refuse(stage, WRITE_DISRUPTS,
                     "The disruption budget " STR_FMT " needs %u healthy pods and has %u currently",
                     STR_ARG(b->name), desired(b), staying(b));
        return;
    }
    if (is.is_healthy)
        let_go(c, stage, s, &d->meta);
}

/* ---- budgets come and go ---- */

void budgets_create(struct core *c, struct stage *s, struct draft *d)
{
    const struct space *space = space_of(c, d->at.namespace);
    if (space != NULL && space->count >= BUDGETS_MAX)
        stage_refuse(s, WRITE_DENIED, "a namespace has at most %d disruption budgets", BUDGETS_MAX);
}

static void keep_selector(struct budget *b, const struct request_selector *from)
{
    uint32_t n = from->expressions_count;
    struct request_expression *at = mem_zalloc(n + 1, sizeof *at);
    for (uint32_t i = 0; i < n; i++) {
        size_t bytes = from->expressions[i].values_count * sizeof(uint32_t);
        at[i] = from->expressions[i];
        at[i].values = memcpy(mem_alloc(bytes + 1), at[i].values, bytes);
    }
    b->selector = (struct request_selector){at, n};
}

static void read_bound(struct budget *b, const Policy__PodDisruptionBudgetSpec *spec)
{
    const Intstr__IntOrString *v =
        spec->max_unavailable != NULL ? spec->max_unavailable : spec->min_available;
    int64_t percent;
    struct str text = str_of(v == NULL ? NULL : v->str_val);
    if (v == NULL)
        return;
    b->bound = spec->max_unavailable != NULL ? BOUND_MOST : BOUND_LEAST;
    b->is_percent = v->type != 0;
    b->amount = v->int_val;
    if (b->is_percent)
        b->amount =
            text.len > 0 && str_parse_i64(str_slice(text, 0, text.len - 1), &percent) == ERR_OK
                ? (int32_t)percent
                : 100;
}

/* NULL: it does not decode, or has more labels than there are names for; then it bounds nothing. */
static struct budget *budget_new(struct core *c, const struct core_change *change)
{
    struct request_selector selector = {0};
    struct arena a;
    arena_init(&a, SCRATCH_MAX);
    const Policy__PodDisruptionBudget *o =
        typed_open(&a, &policy__pod_disruption_budget__descriptor, blob_str(change->is.now->value));
    const Meta__LabelSelector *from = o == NULL || o->spec == NULL ? NULL : o->spec->selector;
    bool ok = o != NULL && o->spec != NULL &&
              (from == NULL || sched_view_selector(ledger_names(c->cluster->ledger), &a, from,
                                                   &selector, NULL) == ERR_OK);
    struct budget *b = ok ? mem_zalloc(1, sizeof *b + change->at.name.len + 1) : NULL;
    if (b != NULL) {
        str_put(b->text, change->at.name);
        b->name = str_from(b->text, change->at.name.len);
        b->generation = change->now.generation;
        b->selects_nothing = from == NULL;
        b->always_unhealthy = str_is(str_of(o->spec->unhealthy_pod_eviction_policy), "AlwaysAllow");
        read_bound(b, o->spec);
        keep_selector(b, &selector);
        selector_names(ledger_names(c->cluster->ledger), &selector, names_hold);
    }
    arena_free(&a);
    return b;
}

static struct budget **find(struct space *s, struct str name)
{
    struct budget **at = &s->first;
    while (*at != NULL && str_cmp((*at)->name, name) < 0)
        at = &(*at)->next;
    return at;
}

static struct space *make_space(struct core *c, struct str namespace)
{
    struct space *s = mem_zalloc(1, sizeof *s + namespace.len + 1);
    str_put(s->namespace, namespace);
    if (names_intern(ledger_names(c->cluster->ledger), namespace, &s->name_id, NULL) == ERR_OK &&
        map_put(&c->controls->budgets->spaces, str_of(s->namespace), s) == ERR_OK) {
        names_hold(ledger_names(c->cluster->ledger), s->name_id);
        return s;
    }
    mem_free(s);
    return NULL;
}

static void budget_changed(struct core *c, const struct core_change *change)
{
    struct budgets *all = c->controls->budgets;
    struct names *names = ledger_names(c->cluster->ledger);
    struct space *s = map_find(&all->spaces, change->at.namespace);
    if (s == NULL && (change->is.deleted || (s = make_space(c, change->at.namespace)) == NULL))
        return;
    struct budget **at = find(s, change->at.name), *old = *at;
    if (old != NULL && !str_eq(old->name, change->at.name))
        old = NULL;
    if (old != NULL && !change->is.deleted && old->generation == change->now.generation)
        return; /* Its status, which is ours, or a label. */
    struct budget *b = change->is.deleted ? NULL : budget_new(c, change);
    if (b != NULL) { /* What was let go under the old one is still in flight. */
        b->id = old != NULL ? old->id : ++all->last_id;
        b->leaving = old != NULL ? old->leaving : 0;
        b->next = old != NULL ? old->next : *at;
        *at = b;
    } else if (old != NULL) {
        *at = old->next;
    }
    s->count += (b != NULL) - (old != NULL);
    all->count += (b != NULL) - (old != NULL);
    if (old != NULL)
        budget_free(names, old);
    if (s->first == NULL) {
        map_remove(&all->spaces, change->at.namespace);
        space_free(names, s);
    }
}

void budgets_loaded(struct core *c)
{
    drop_spaces(ledger_names(c->cluster->ledger), c->controls->budgets);
    map_init(&c->controls->budgets->spaces, SPACES_MAX);
}

void budgets_changed(struct core *c, const struct core_change *change)
{
    struct space *s = space_of(c, change->at.namespace);
    if (is_budget(&change->at))
        budget_changed(c, change);
    else if (s == NULL || !is_workload(&change->at))
        return;
    else {
        if (change->is.before != NULL)
            add(c, s->first, &change->at, &change->before, blob_str(change->is.before->value), -1);
        if (!change->is.deleted)
            add(c, s->first, &change->at, &change->now, blob_str(change->is.now->value), 1);
    }
    core_mark_at(c, CONTROL_BUDGETS, budgets_key(c, change->at.namespace),
                 instant_add(c->now, SPAN_MS(STATUS_DELAY_MS)));
}

/* ---- for preemption ---- */

static int by_namespace(const void *a, const void *b)
{
    const struct preempt_budget *x = a, *y = b;
    return x->namespace_name < y->namespace_name ? -1 : x->namespace_name > y->namespace_name;
}

bool budgets_all(struct core *c, const struct preempt_budget **out, uint32_t *out_count)
{
    const struct map_entry *e;
    struct budgets *all = c->controls->budgets;
    *out = NULL;
    *out_count = 0;
    if (all->count == 0)
        return true;
    struct preempt_budget *at = arena_alloc(&c->turn, all->count * sizeof *at);
    uint32_t n = 0;
    if (at == NULL)
        return false;
    for (uint32_t i = 0; (e = map_next(&all->spaces, &i)) != NULL;) {
        struct space *s = e->value;
        for (struct budget *b = s->first; b != NULL && n < PREEMPT_BUDGETS_MAX; b = b->next) {
            if (b->selects_nothing)
                continue;
            count(c, s, b);
            at[n++] = (struct preempt_budget){s->name_id, b->selector, allowed(b)};
        }
    }
    qsort(at, n, sizeof *at, by_namespace);
    *out = at;
    *out_count = n;
    return true;
}

/* ---- the controller ---- */

static Meta__Condition *condition_of(struct core *c, const Policy__PodDisruptionBudgetStatus *was,
                                     const struct budget *b)
{
    Meta__Condition *k = arena_alloc(&c->turn, sizeof *k);
    const char *status = allowed(b) > 0 ? "True" : "False";
    if (k == NULL)
        return NULL;
    meta__condition__init(k);
    k->type = (char *)"DisruptionAllowed";
    k->status = (char *)status;
    k->reason = allowed(b) > 0 ? (char *)"SufficientPods" : (char *)"InsufficientPods";
    k->observed_generation = b->generation;
    k->has_observed_generation = true;
    k->last_transition_time = objects_time(&c->turn, c->wall);
    for (size_t i = 0; was != NULL && i < was->n_conditions; i++)
        if (str_is(str_of(was->conditions[i]->type), "DisruptionAllowed") &&
            str_is(str_of(was->conditions[i]->status), status))
            k->last_transition_time = was->conditions[i]->last_transition_time;
    return k;
}

static Policy__PodDisruptionBudgetStatus *
status_of(struct core *c, const Policy__PodDisruptionBudgetStatus *was, const struct budget *b)
{
    Policy__PodDisruptionBudgetStatus *st = arena_alloc(&c->turn, sizeof *st);
    Meta__Condition **list = arena_alloc(&c->turn, sizeof *list);
    if (st == NULL || list == NULL || (*list = condition_of(c, was, b)) == NULL)
        return NULL;
    policy__pod_disruption_budget_status__init(st);
    st->has_observed_generation = true;
    st->observed_generation = b->generation;
    st->disruptions_allowed = (int32_t)allowed(b);
    st->current_healthy = (int32_t)b->healthy;
    st->desired_healthy = (int32_t)desired(b);
    st->expected_pods = (int32_t)b->expected;
    st->has_disruptions_allowed = st->has_current_healthy = st->has_desired_healthy =
        st->has_expected_pods = true;
    st->conditions = list;
    st->n_conditions = 1;
    return st;
}

/* False: come back. */
static bool write_status(struct core *c, struct space *s, struct budget *b)
{
    struct str key = core_key(c, "policy", "poddisruptionbudgets", str_of(s->namespace), b->name);
    struct cow_entry *e = key.at == NULL ? NULL : core_find(c, key);
    if (e == NULL)
        return true;
    if (core_is_busy(c, key) || !cluster_has_room(c))
        return false;
    Policy__PodDisruptionBudget *o =
        typed_open(&c->turn, &policy__pod_disruption_budget__descriptor, blob_str(e->value));
    if (o == NULL || o->metadata == NULL || o->metadata->generation != b->generation)
        return true;
    struct str before = typed_wrap(&c->turn, "policy/v1", "PodDisruptionBudget", o);
    count(c, s, b);
    o->status = status_of(c, o->status, b);
    struct str after = typed_wrap(&c->turn, "policy/v1", "PodDisruptionBudget", o);
    if (o->status == NULL || after.at == NULL || str_eq(before, after))
        return o->status != NULL && after.at != NULL;
    struct stage *stage = stage_begin(c);
    stage_put(stage, key, after, NULL);
    stage_end(stage);
    return true;
}

/* key: the budgets of one namespace. */
enum reconcile budgets_reconcile(struct core *c, struct str key)
{
    struct index_key at;
    struct space *s = index_key_parse(key, &at) ? space_of(c, at.namespace) : NULL;
    bool done = true;
    for (struct budget *b = s == NULL ? NULL : s->first; b != NULL; b = b->next)
        done &= write_status(c, s, b);
    return done ? RECONCILE_DONE : RECONCILE_LATER;
}
