/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a workload says that may come to mean something else while it stands: its labels, and affinity terms that select
 * namespaces by their labels. The scheduler knows names of namespaces only, so a selector becomes the list of those that match
 * now; when labels change, holds are told anew what they stand for (ledger_reword()). Their rows stay. And who is being
 * deleted is counted no more by whoever spreads (ledger_hold_leaves()).
 */
#include "controlplane/core/placing_priv.h"

static bool selects_by_labels(const Core__PodAffinityTerm *t)
{
    const Meta__LabelSelector *s = t == NULL ? NULL : t->namespace_selector;
    return s != NULL && s->n_match_labels + s->n_match_expressions > 0;
}

/* ---- a selector as names ---- */

struct view {
    struct core *c;
    struct err *e;
    enum err_code code; /* The first failure stays. */
    bool is_by_spaces;  /* A selector was met. */
};

static void fail(struct view *v)
{
    if (v->code == ERR_OK)
        v->code = err_set(v->e, ERR_LIMIT, "the request is too large");
}

/* Every namespace that matches, behind those that are named. */
static void add_matching(struct view *v, const Meta__LabelSelector *from, Core__PodAffinityTerm *to)
{
    struct names *names = ledger_names(v->c->cluster->ledger);
    struct request_selector selector;
    struct index_range r;
    struct index_key at;
    struct meta m;
    struct cow_entry *e;
    char **list = arena_zalloc(&v->c->turn, REQUEST_VALUES_MAX, sizeof *list);
    size_t count = 0;
    if (list == NULL || to->n_namespaces > REQUEST_VALUES_MAX) {
        fail(v);
        return;
    }
    enum err_code code = sched_view_selector(names, &v->c->turn, from, &selector, v->e);
    v->code = v->code == ERR_OK ? code : v->code;
    for (; count < to->n_namespaces; count++)
        list[count] = to->namespaces[count];
    core_range(v->c, &r, STR("/namespaces/"));
    while (code == ERR_OK && (e = index_range_next(&r)) != NULL) {
        if (!index_key_parse(cow_entry_key(e), &at) ||
            meta_read(blob_str(e->value), &m, NULL) != ERR_OK ||
            !sched_view_selects(names, &selector, &m))
            continue;
        if (count == REQUEST_VALUES_MAX ||
            (list[count++] = arena_dup(&v->c->turn, at.name)) == NULL) {
            fail(v);
            return;
        }
    }
    static char nowhere[] = ""; /* No workload's: the term matches none. */
    if (count == 0)
        list[count++] = nowhere;
    to->namespaces = list;
    to->n_namespaces = count;
}

static Core__PodAffinityTerm *term(struct view *v, Core__PodAffinityTerm *from)
{
    if (!selects_by_labels(from))
        return from;
    Core__PodAffinityTerm *t = arena_alloc(&v->c->turn, sizeof *t);
    v->is_by_spaces = true;
    if (t == NULL) {
        fail(v);
        return from;
    }
    *t = *from;
    t->namespace_selector = NULL;
    add_matching(v, from->namespace_selector, t);
    return t;
}

static Core__PodAffinityTerm **required(struct view *v, size_t count, Core__PodAffinityTerm **from)
{
    Core__PodAffinityTerm **at = arena_zalloc(&v->c->turn, count + 1, sizeof *at);
    for (size_t i = 0; at != NULL && i < count; i++)
        at[i] = term(v, from[i]);
    if (at == NULL)
        fail(v);
    return at == NULL ? from : at;
}

static Core__WeightedPodAffinityTerm **preferred(struct view *v, size_t count,
                                                 Core__WeightedPodAffinityTerm **from)
{
    Core__WeightedPodAffinityTerm **at = arena_zalloc(&v->c->turn, count + 1, sizeof *at);
    Core__WeightedPodAffinityTerm *all = arena_zalloc(&v->c->turn, count + 1, sizeof *all);
    for (size_t i = 0; at != NULL && all != NULL && i < count; i++) {
        all[i] = *from[i];
        all[i].pod_affinity_term = term(v, from[i]->pod_affinity_term);
        at[i] = &all[i];
    }
    if (at == NULL || all == NULL)
        fail(v);
    return at == NULL || all == NULL ? from : at;
}

/* Of an affinity or an anti-affinity, which are two messages with the same fields. */
static void reword(struct view *v, size_t required_count, Core__PodAffinityTerm ***at_required,
                   size_t preferred_count, Core__WeightedPodAffinityTerm ***at_preferred)
{
    *at_required = required(v, required_count, *at_required);
    *at_preferred = preferred(v, preferred_count, *at_preferred);
}

enum err_code words__affinity(struct core *c, const Core__Affinity *from,
                              struct words_affinity *out, bool *out_by_spaces, struct err *e)
{
    struct view v = {.c = c, .e = e, .code = ERR_OK};
    out->all = *from;
    if (from->pod_affinity != NULL) {
        out->near = *from->pod_affinity;
        out->all.pod_affinity = &out->near;
        reword(&v, out->near.n_required_during_scheduling_ignored_during_execution,
               &out->near.required_during_scheduling_ignored_during_execution,
               out->near.n_preferred_during_scheduling_ignored_during_execution,
               &out->near.preferred_during_scheduling_ignored_during_execution);
    }
    if (from->pod_anti_affinity != NULL) {
        out->apart = *from->pod_anti_affinity;
        out->all.pod_anti_affinity = &out->apart;
        reword(&v, out->apart.n_required_during_scheduling_ignored_during_execution,
               &out->apart.required_during_scheduling_ignored_during_execution,
               out->apart.n_preferred_during_scheduling_ignored_during_execution,
               &out->apart.preferred_during_scheduling_ignored_during_execution);
    }
    *out_by_spaces = v.is_by_spaces;
    return v.code;
}

/* ---- what changed ---- */

static bool same_labels(const struct meta *a, const struct meta *b)
{
    struct str key, value;
    struct wire_reader at = meta_walk(a);
    if (a->labels_count != b->labels_count)
        return false;
    if (a->labels_count == 0)
        return true;
    while (meta_next_label(&at, &key, &value)) {
        struct str other = meta_label(b, key);
        if (other.at == NULL || !str_eq(other, value))
            return false;
    }
    return true;
}

/* What is marked when the labels of a namespace changed: once for all that change in a turn. */
static struct str spaces_key(void)
{
    return STR("namespaces");
}

void words_loaded(struct core *c)
{
    (void)c; /* Everything that stands was translated with everything in place. */
}

void words_changed(struct core *c, const struct core_change *change)
{
    bool is_space = change->at.group.len == 0 && str_is(change->at.plural, "namespaces");
    if (is_space) {
        if (change->is.deleted || change->is.before == NULL ||
            !same_labels(&change->before, &change->now))
            core_mark(c, CONTROL_WORDS, spaces_key());
    } else if (placing__is_kind(&change->at) && change->is.before != NULL &&
               !change->before.is_deleting &&
               (change->is.deleted || change->now.is_deleting ||
                !same_labels(&change->before, &change->now))) {
        core_mark(c, CONTROL_WORDS, cow_entry_key(change->is.now));
    }
}

static void spaces_changed(struct core *c)
{
    const struct map_entry *e;
    for (uint32_t at = 0;
         c->cluster->by_spaces && (e = map_next(&c->cluster->held, &at)) != NULL;) {
        const struct held *h = e->value;
        if (h->by_spaces)
            core_mark(c, CONTROL_WORDS, str_of(h->workload_key));
    }
    placing_room(c); /* Whoever waits may select it, too. */
}

static void renew(struct core *c, struct held *h, struct str key, struct str object)
{
    struct candidate w;
    struct index_key at;
    if (h->hold == 0 || !index_key_parse(key, &at) || !placing__open(c, &w, key, &at, object) ||
        placing__translate(c, &w, NULL) != ERR_OK ||
        ledger_reword(c->cluster->ledger, h->hold, &w.request, NULL) != ERR_OK)
        return; /* It stands by what it said before. */
    words__keep(c, h, &w);
    placing_room(c);
}

/* Deleted, with or without grace: what its labels say from now on is not heard. */
static void leaves(struct core *c, const struct held *h)
{
    if (ledger_hold_leaves(c->cluster->ledger, h->hold))
        placing__leaves(c);
}

/* key: of a workload, or spaces_key(). */
enum reconcile words_reconcile(struct core *c, struct str key)
{
    if (str_eq(key, spaces_key())) {
        spaces_changed(c);
        return RECONCILE_DONE;
    }
    if (!cluster_has_room(c))
        return RECONCILE_LATER;
    struct held *h = cluster_held(c, cluster_placement_key(c, key));
    struct cow_entry *e = core_find(c, key);
    struct meta m;
    bool is_its = h != NULL && e != NULL && meta_read(blob_str(e->value), &m, NULL) == ERR_OK &&
                  str_is(m.uid, h->workload_uid);
    if (h != NULL && (!is_its || m.is_deleting))
        leaves(c, h);
    else if (is_its)
        renew(c, h, key, blob_str(e->value));
    return RECONCILE_DONE;
}

void words__keep(struct core *c, struct held *h, const struct candidate *w)
{
    h->by_spaces = w->by_spaces;
    c->cluster->by_spaces |= w->by_spaces;
}
