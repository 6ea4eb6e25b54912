/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/terms.h"

static struct term *term_new(struct ledger *l, struct class *c, enum term_kind kind, uint32_t key);
static void term_count_all(struct ledger *l, struct term *t);
static void term_count_node(struct ledger *l, struct term *t, uint32_t node, int by);
static bool term_matches(const struct ledger *l, const struct term *t, const struct labels *who);
static void term_room(struct term *t, uint32_t domain);

/* ---- terms come and go with their class ---- */

static uint32_t class_terms_count(const struct request *r)
{
    return r->spreads_count + r->affinity_count + r->anti_affinity_count +
           r->affinity_preferred_count + r->anti_affinity_preferred_count;
}

static void add_pod_terms(struct ledger *l, struct class *c, enum term_kind kind,
                          const struct request_pod_term *terms, uint32_t count, int64_t sign)
{
    for (uint32_t i = 0; i < count; i++) {
        struct term *t = term_new(l, c, kind, terms[i].topology_key);
        t->pod = &terms[i];
        t->weight = kind == TERM_PREFERRED ? sign * terms[i].weight : kind == TERM_AFFINITY;
        term_count_all(l, t);
    }
}

void terms__class_came(struct ledger *l, struct class *c)
{
    const struct request *r = &c->r;
    uint32_t count = class_terms_count(r);
    if (count == 0)
        return;
    c->terms = mem_zalloc(1, sizeof *c->terms + count * sizeof c->terms->at[0]);
    for (uint32_t i = 0; i < r->spreads_count; i++) {
        struct term *t = term_new(l, c, TERM_SPREAD, r->spreads[i].topology_key);
        t->spread = &r->spreads[i];
        term_count_all(l, t);
    }
    add_pod_terms(l, c, TERM_AFFINITY, r->affinity, r->affinity_count, 0);
    add_pod_terms(l, c, TERM_ANTI, r->anti_affinity, r->anti_affinity_count, 0);
    add_pod_terms(l, c, TERM_PREFERRED, r->affinity_preferred, r->affinity_preferred_count, 1);
    add_pod_terms(l, c, TERM_PREFERRED, r->anti_affinity_preferred,
                  r->anti_affinity_preferred_count, -1);
    l->terms_serial++;
}

static void term_free(struct term *t)
{
    if (t == NULL)
        return;
    mem_free(t->matched);
    mem_free(t->owners);
    mem_free(t->counted);
    mem_free(t->excluded);
    mem_free(t);
}

void terms__class_went(struct ledger *l, struct class *c)
{
    if (c->terms == NULL)
        return;
    for (uint32_t i = 0; i < c->terms->count; i++) {
        struct term *t = c->terms->at[i];
        table__remove(&l->terms, t->id);
        topo__unref(l, t->topo);
        term_free(t);
    }
    mem_free(c->terms);
    c->terms = NULL;
    l->terms_serial++;
}

void terms__fini(struct ledger *l)
{
    for (uint32_t i = 0; i < l->terms.count; i++)
        term_free(l->terms.at[i]);
    for (uint32_t i = 0; i < l->topos.count; i++)
        topo__free(l->topos.at[i]);
    for (uint32_t i = 0; i < l->classes.count; i++)
        if (ledger__class(l, i) != NULL)
            mem_free(ledger__class(l, i)->terms);
    for (uint32_t i = 0; i < l->labels.count; i++)
        if (ledger__labels(l, i) != NULL)
            terms__labels_went(ledger__labels(l, i));
    table__fini(&l->terms);
    table__fini(&l->topos);
}

static struct term *term_new(struct ledger *l, struct class *c, enum term_kind kind, uint32_t key)
{
    struct term *t = mem_zalloc(1, sizeof *t);
    t->kind = kind;
    t->class_id = c->id;
    t->serial = ++l->terms_serial;
    t->topo = topo__ref(l, key);
    t->id = table__add(&l->terms, t);
    c->terms->at[c->terms->count++] = t;
    return t;
}

/* ---- matching ---- */

/* Is who counted by the term? Required affinity counts who matches all of its class's terms. */
static bool term_matches(const struct ledger *l, const struct term *t, const struct labels *who)
{
    const struct request *r = &ledger__class(l, t->class_id)->r;
    switch (t->kind) {
    case TERM_SPREAD:
        return pods__spread_matches(l, t->spread, r->namespace_name, who);
    case TERM_AFFINITY:
        for (uint32_t i = 0; i < r->affinity_count; i++)
            if (!pods__term_matches(l, &r->affinity[i], who))
                return false;
        return true;
    case TERM_ANTI:
    case TERM_PREFERRED:
        return pods__term_matches(l, t->pod, who);
    }
    return false;
}

/* Does a newcomer with these labels feel the term when somebody standing says it? */
static bool term_is_felt(const struct ledger *l, const struct term *t, const struct labels *who)
{
    return t->kind != TERM_SPREAD && pods__term_matches(l, t->pod, who);
}

void terms__profile(struct ledger *l, struct labels *s)
{
    struct profile *p = &s->profile;
    if (p->serial == l->terms_serial)
        return;
    mem_free(p->terms);
    *p = (struct profile){.serial = l->terms_serial};
    uint32_t live = l->terms.count - l->terms.spare_count;
    if (live == 0)
        return;
    p->terms = mem_alloc(2 * live * sizeof *p->terms);
    for (uint32_t i = 0; i < l->terms.count; i++)
        if (l->terms.at[i] != NULL && term_matches(l, l->terms.at[i], s))
            p->terms[p->matched_count++] = i;
    for (uint32_t i = 0; i < l->terms.count; i++)
        if (l->terms.at[i] != NULL && term_is_felt(l, l->terms.at[i], s))
            p->terms[p->matched_count + p->felt_count++] = i;
    uint32_t count = p->matched_count + p->felt_count;
    p->hash = p->matched_count;
    for (uint32_t i = 0; i < count; i++)
        p->hash = hash__mix(p->hash, ((struct term *)l->terms.at[p->terms[i]])->serial);
    p->terms = mem_resize(p->terms, (count + 1) * sizeof *p->terms);
}

void terms__labels_went(struct labels *s)
{
    mem_free(s->profile.terms);
    s->profile = (struct profile){0};
}

bool terms__is_matched(const struct profile *p, const struct term *t)
{
    for (uint32_t i = 0; i < p->matched_count; i++)
        if (p->terms[i] == t->id)
            return true;
    return false;
}

bool terms__spread_counts(struct ledger *l, struct labels *s)
{
    bool counted = false;
    terms__profile(l, s);
    for (uint32_t i = 0; i < s->profile.matched_count; i++)
        counted |= ((struct term *)l->terms.at[s->profile.terms[i]])->kind == TERM_SPREAD;
    return counted;
}

/* ---- counting ---- */

static void term_room(struct term *t, uint32_t domain)
{
    if (domain < t->size)
        return;
    uint32_t size = t->size == 0 ? 8 : t->size * 2;
    while (size <= domain)
        size *= 2;
    uint32_t **columns[] = {&t->matched, &t->owners, &t->counted};
    for (uint32_t i = 0; i < COUNT_OF(columns); i++) {
        *columns[i] = mem_resize(*columns[i], size * sizeof **columns[i]);
        memset(*columns[i] + t->size, 0, (size - t->size) * sizeof **columns[i]);
    }
    t->size = size;
}

static bool term_excludes(const struct term *t, uint32_t node)
{
    return t->excluded != NULL && node / 64 < t->excluded_words &&
           (t->excluded[node / 64] >> node % 64 & 1);
}

static void term_exclude(struct term *t, uint32_t node)
{
    if (node / 64 >= t->excluded_words) {
        uint32_t words = node / 64 + 16;
        t->excluded = mem_resize(t->excluded, words * sizeof *t->excluded);
        memset(t->excluded + t->excluded_words, 0,
               (words - t->excluded_words) * sizeof *t->excluded);
        t->excluded_words = words;
    }
    t->excluded[node / 64] |= 1ull << node % 64;
}

/* The node itself, as a place that counts. */
static void term_node(struct ledger *l, struct term *t, uint32_t node, int by)
{
    uint32_t d = terms__domain(t, node);
    if (d == DOMAIN_NONE || t->kind != TERM_SPREAD)
        return;
    term_room(t, d);
    if (by > 0) {
        if (node / 64 < t->excluded_words)
            t->excluded[node / 64] &= ~(1ull << node % 64);
        if (!pods__spread_counts(l, ledger__node(l, node), &ledger__class(l, t->class_id)->r,
                                 t->spread))
            term_exclude(t, node);
    }
    if (!term_excludes(t, node))
        t->counted[d] += (uint32_t)by;
    t->version++;
}

static void term_count_node(struct ledger *l, struct term *t, uint32_t node, int by)
{
    const struct node *n = ledger__node(l, node);
    uint32_t d = terms__domain(t, node);
    if (d == DOMAIN_NONE)
        return;
    term_room(t, d);
    for (uint32_t i = n->hold_first; i != HOLD_NONE; i = ledger__hold(l, i)->next) {
        const struct hold *h = ledger__hold(l, i);
        if (!term_excludes(t, node) && term_matches(l, t, ledger__labels(l, h->labels_id))) {
            t->matched[d] += (uint32_t)by;
            t->matched_total += (uint32_t)by;
        }
        if (h->class_id == t->class_id) {
            t->owners[d] += (uint32_t)by;
            t->owners_total += (uint32_t)by;
        }
    }
    t->version++;
}

static void term_count_all(struct ledger *l, struct term *t)
{
    for (uint32_t i = 0; i < l->nodes.count; i++) {
        if (ledger__node(l, i) == NULL || ledger__node(l, i)->removed)
            continue;
        term_node(l, t, i, 1);
        term_count_node(l, t, i, 1);
    }
}

/* Small domains are judged node by node, so all nodes of one hear of a change in it. */
static void term_tell(struct ledger *l, const struct term *t, uint32_t domain, uint32_t node)
{
    if (terms__is_coarse(t))
        return;
    for (uint32_t i = t->topo->first[domain]; i != LEDGER_NODE_NONE; i = t->topo->next[i])
        if (i != node) /* It is logged anyway, for its rows. */
            ledger__node_log(l, i);
}

void terms__held(struct ledger *l, const struct hold *h, int by)
{
    if (l->terms.count == l->terms.spare_count)
        return;
    struct labels *s = ledger__labels(l, h->labels_id);
    terms__profile(l, s);
    for (uint32_t i = 0; i < s->profile.matched_count; i++) {
        struct term *t = l->terms.at[s->profile.terms[i]];
        uint32_t d = terms__domain(t, h->node);
        if (d == DOMAIN_NONE || term_excludes(t, h->node))
            continue;
        term_room(t, d);
        t->matched[d] += (uint32_t)by;
        t->matched_total += (uint32_t)by;
        t->version++;
        term_tell(l, t, d, h->node);
    }
    const struct class_terms *own = ledger__class(l, h->class_id)->terms;
    for (uint32_t i = 0; own != NULL && i < own->count; i++) {
        struct term *t = own->at[i];
        uint32_t d = terms__domain(t, h->node);
        if (d == DOMAIN_NONE)
            continue;
        term_room(t, d);
        t->owners[d] += (uint32_t)by;
        t->owners_total += (uint32_t)by;
        t->version++;
        term_tell(l, t, d, h->node);
    }
}

void terms__node_leaves(struct ledger *l, uint32_t node)
{
    for (uint32_t i = 0; i < l->terms.count; i++) {
        if (l->terms.at[i] == NULL)
            continue;
        term_count_node(l, l->terms.at[i], node, -1);
        term_node(l, l->terms.at[i], node, -1);
    }
    for (uint32_t i = 0; i < l->topos.count; i++)
        if (l->topos.at[i] != NULL)
            topo__node_leaves(l->topos.at[i], node);
}

void terms__node_enters(struct ledger *l, uint32_t node)
{
    for (uint32_t i = 0; i < l->topos.count; i++)
        if (l->topos.at[i] != NULL)
            topo__node_enters(l, l->topos.at[i], ledger__node(l, node));
    for (uint32_t i = 0; i < l->terms.count; i++) {
        if (l->terms.at[i] == NULL)
            continue;
        term_node(l, l->terms.at[i], node, 1);
        term_count_node(l, l->terms.at[i], node, 1);
    }
    if (l->terms.count > l->terms.spare_count)
        l->rules_epoch++; /* Domains may have come or gone: shortlists begin anew. */
}

uint64_t terms__spread_limit(const struct term *t, bool self)
{
    uint64_t least = UINT64_MAX;
    uint32_t domains = 0;
    for (uint32_t d = 0; d < t->topo->domains_count && d < t->size; d++) {
        if (t->counted[d] == 0)
            continue;
        domains++;
        least = min_u64(least, t->matched[d]);
    }
    if (domains < t->spread->min_domains || least == UINT64_MAX)
        least = 0;
    return least + t->spread->max_skew - self;
}
