/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decision, in order: find the list; bring it up to date from the log, or build it anew when that
 * is not possible; take the cheapest entry that still holds. See shortlist.h for what is promised.
 *
 * Why the answer is exactly the plain search's: every node is in a heap with its cost or less, or in
 * the rest and costs at least the heap's limit, or costs at least the group's limit, or changed after
 * the cursor, or does not fit. The winner is the least of the heaps' tops, whose costs are exact.
 */
#include "scheduler/shortlist.h"

enum { BLOCK = 256 };

static struct shortlist *list_find(struct ledger *l, struct class *c, const struct profile *p,
                                   bool odd_only);
static void list_cheapest(struct ledger *l, struct class *c, const struct profile *p, bool odd_only,
                          struct cost *out);
static void list_expect(const struct ledger *l, const struct shortlist *sl);
static void list_refresh(struct ledger *l, struct shortlist *sl, const struct profile *p);
static void list_build(struct ledger *l, struct shortlist *sl);
static void list_catch_up(struct ledger *l, struct shortlist *sl);
static bool list_query(struct ledger *l, struct shortlist *sl, struct cost *out);

uint32_t shortlist__place(struct ledger *l, struct class *c, struct labels *own, struct fit *out)
{
    struct cost best, listed;
    terms__profile(l, own);
    bool ordered = search__by_order(l, c, &own->profile, &best);
    if (ordered && l->columns.odd_count == 0) {
        fit__one(ledger__node(l, best.node), &c->r, out);
        return best.node;
    }
    list_cheapest(l, c, &own->profile, ordered, &listed);
    if (!ordered || (listed.node != LEDGER_NODE_NONE && cost__less(&listed, &best)))
        best = listed;
    if (best.node != LEDGER_NODE_NONE) {
        node__expect(ledger__node(l, best.node));
        columns_expect(&l->columns, best.node);
        enum explain_reason reason = fit__node(ledger__node(l, best.node), &c->r, false, out);
        CHECK(reason == EXPLAIN_FITS); /* It was found because it fits. */
    }
    return best.node;
}

/* odd_only: of the nodes that are in no order. */
static void list_cheapest(struct ledger *l, struct class *c, const struct profile *p, bool odd_only,
                          struct cost *out)
{
    struct shortlist *sl = list_find(l, c, p, odd_only);
    shortlist__use(l, sl);
    list_expect(l, sl);
    list_refresh(l, sl, p);
    if (!sl->built)
        list_build(l, sl);
    else
        list_catch_up(l, sl);
    if (!list_query(l, sl, out)) {
        list_build(l, sl); /* It ran dry. */
        bool settled = list_query(l, sl, out);
        CHECK(settled);
    }
    if (sl->is_single)
        sl->built = false;
}

/* ---- the lists of a class ---- */

static struct shortlist *list_find(struct ledger *l, struct class *c, const struct profile *p,
                                   bool odd_only)
{
    for (struct shortlist *sl = c->lists; sl != NULL; sl = sl->next)
        if (sl->profile_hash == p->hash && sl->odd_only == odd_only)
            return sl;
    struct shortlist *sl = mem_zalloc(1, sizeof *sl);
    sl->class = c;
    sl->profile_hash = p->hash;
    sl->odd_only = odd_only;
    sl->next = c->lists;
    c->lists = sl;
    sl->bytes = sl->own_bytes = sizeof *sl + c->bytes;
    l->cache_bytes += sl->bytes;
    return sl;
}

/* Who was cheapest probably still is: it comes near while the log is read. */
static void list_expect(const struct ledger *l, const struct shortlist *sl)
{
    if (!sl->built || sl->groups[0].count == 0)
        return;
    uint32_t node = sl->groups[0].heap[0].node;
    columns_expect(&l->columns, node);
    if (ledger__node(l, node) != NULL)
        node__expect(ledger__node(l, node));
}

/* ---- is what is remembered still about the same question? ---- */

static void list_shape(struct ledger *l, struct shortlist *sl, const struct profile *p);

/* Limits that judge single nodes are part of the question; those of coarse domains are asked anew at
 * every query. */
static bool limits_changed(struct shortlist *sl, const struct shortlist_rule *now, uint32_t count)
{
    bool changed = count != sl->rules_count;
    for (uint32_t i = 0; i < count && !changed; i++)
        changed = now[i].serial != sl->rules[i].serial || now[i].role != sl->rules[i].role ||
                  now[i].coarse != sl->rules[i].coarse ||
                  (!now[i].coarse && now[i].limit != sl->rules[i].limit);
    return changed;
}

static void list_refresh(struct ledger *l, struct shortlist *sl, const struct profile *p)
{
    if (sl->epoch != l->rules_epoch)
        sl->built = false;
    if (!sl->built) {
        list_shape(l, sl, p);
        return;
    }
    if (sl->class->terms == NULL && p->felt_count == 0)
        return;
    uint32_t count;
    const struct shortlist_rule *now = search__rules(l, sl->class, p, &count);
    if (limits_changed(sl, now, count)) {
        sl->built = false;
        list_shape(l, sl, p);
    } else if (count > 0) {
        memcpy(sl->rules, now, count * sizeof *now);
    }
}

static bool request_has_node_rules(const struct request *r)
{
    return r->node_selector_count + r->node_required_count + r->tolerations_count +
               r->capabilities_count >
           0;
}

/* One group per combination of the coarse keys' domains. */
static void list_groups(const struct ledger *l, struct shortlist *sl)
{
    uint64_t groups = 1;
    sl->topos_count = 0;
    sl->is_single = false;
    for (uint32_t i = 0; i < sl->rules_count; i++) {
        struct topo *topo = sl->rules[i].term->topo;
        bool known = !sl->rules[i].coarse;
        for (uint32_t k = 0; k < sl->topos_count; k++)
            known |= sl->topos[k] == topo;
        if (known)
            continue;
        if (sl->topos_count == SHORTLIST_TOPOS_MAX ||
            groups * (topo->domains_count + 1) > SHORTLIST_GROUPS_MAX) {
            sl->is_single = true;
            sl->topos_count = 0;
            groups = 1;
            break;
        }
        sl->radix[sl->topos_count] = topo->domains_count + 1;
        sl->topos[sl->topos_count++] = topo;
        groups *= topo->domains_count + 1;
    }
    for (uint32_t i = 0; i < sl->rules_count && sl->is_single; i++)
        sl->rules[i].coarse = false;
    sl->groups_count = (uint32_t)groups;
    sl->keep = groups <= 4 ? l->list_keep : (l->list_keep + 3) / 4;
    sl->draw = (sl->keep + SHORTLIST_DRAW_PART - 1) / SHORTLIST_DRAW_PART;
}

static void list_shape(struct ledger *l, struct shortlist *sl, const struct profile *p)
{
    const struct request *r = &sl->class->r;
    shortlist__clear(l, sl);
    sl->epoch = l->rules_epoch;
    sl->has_rules = request_has_node_rules(r);
    sl->has_costs = r->node_preferred_count + r->images_count + l->prefer_nodes > 0;
    sl->is_heavy = search__is_heavy(r);

    const struct shortlist_rule *now = search__rules(l, sl->class, p, &sl->rules_count);
    sl->rules = mem_alloc((sl->rules_count + 1) * sizeof *sl->rules);
    if (sl->rules_count > 0)
        memcpy(sl->rules, now, sl->rules_count * sizeof *now);
    sl->gain_most = r->choice == CHOICE_SPREAD ? 0 : mix__gain_most(l, r);
    list_groups(l, sl);
    for (uint32_t i = 0; i < sl->rules_count; i++)
        sl->has_costs |= !sl->rules[i].coarse &&
                         (sl->rules[i].role == ROLE_SPREAD_SOFT ||
                          sl->rules[i].role == ROLE_PREFERRED || sl->rules[i].role == ROLE_FELT);
    sl->is_simple = !sl->has_rules && !sl->has_costs && sl->rules_count + r->ports_count == 0;
    sl->groups = mem_zalloc(sl->groups_count, sizeof *sl->groups);
    wants__set(l, sl);
    size_t more = sl->rules_count * sizeof *sl->rules + sl->groups_count * sizeof *sl->groups;
    sl->bytes += more;
    l->cache_bytes += more;
}

/* ---- listing a node ---- */

static struct shortlist_group *group_of(struct shortlist *sl, uint32_t node)
{
    uint32_t index = 0;
    for (uint32_t i = 0; i < sl->topos_count; i++) {
        uint32_t d = node < sl->topos[i]->size ? sl->topos[i]->domain_of[node] : DOMAIN_NONE;
        index = index * sl->radix[i] + (d == DOMAIN_NONE ? 0 : d + 1);
    }
    return &sl->groups[index];
}

static bool rules_of_node(const struct shortlist *sl, uint32_t node, int64_t *cost)
{
    for (uint32_t i = 0; i < sl->rules_count; i++) {
        if (sl->rules[i].coarse)
            continue;
        uint32_t domain = terms__domain(sl->rules[i].term, node);
        if (!search__rule_allows(&sl->rules[i], domain))
            return false;
        *cost += search__rule_cost(&sl->rules[i], domain);
    }
    return true;
}

/* What fragments on the node's devices cost; the part before is remembered by the node. */
static int64_t fragments_cost(const struct ledger *l, struct node *n, const struct request *r,
                              const struct fit_device *devices, uint32_t count)
{
    if (n->devices_count == 0 || l->mix.count == 0 || r->choice == CHOICE_SPREAD)
        return 0;
    if (n->fragments_epoch != l->mix.epoch) {
        n->fragments = mix__fragments(l, n);
        n->fragments_epoch = l->mix.epoch;
    }
    return mix__cost(l, n, r, devices, count, n->fragments);
}

static bool heavy_fits(const struct ledger *l, struct node *n, const struct request *r,
                       int64_t *out_extra)
{
    struct fit f;
    if (fit__node(n, r, false, &f) != EXPLAIN_FITS)
        return false;
    *out_extra =
        cost__split(f.sockets, f.numa) + fragments_cost(l, n, r, f.devices, f.devices_count);
    return true;
}

static bool light_fits(const struct ledger *l, uint32_t node, const struct request *r,
                       const struct shortlist_machine *m, int64_t *out_extra)
{
    if (!search__light(l, node, r, m, out_extra))
        return false;
    if (l->columns.hot[node].has_devices)
        *out_extra += fragments_cost(l, ledger__node(l, node), r, NULL, 0);
    return true;
}

/* Everything about the node that is not hardware. */
static bool rules_let(const struct ledger *l, const struct shortlist *sl, uint32_t node,
                      int64_t *cost)
{
    const struct request *r = &sl->class->r;
    if (sl->is_simple)
        return true;
    if (sl->allowed != NULL && !(sl->allowed[node / 64] >> node % 64 & 1))
        return false;
    if (sl->has_costs)
        *cost = rules__node_cost(l, ledger__node(l, node), r);
    return rules_of_node(sl, node, cost) &&
           (r->ports_count == 0 || rules__ports(ledger__node(l, node), r));
}

/* Does the hardware serve, and at what cost exactly? Until then the cost is a lower bound. */
static bool list_verify(const struct ledger *l, const struct shortlist *sl, struct cost *cost)
{
    const struct request *r = &sl->class->r;
    struct node *n = ledger__node(l, cost->node);
    const struct columns_hot *hot = &l->columns.hot[cost->node];
    const struct shortlist_machine *m = &sl->machine[hot->threads_max];
    struct shortlist_machine mixed;
    int64_t extra;

    if (hot->threads_min != hot->threads_max) {
        mixed = search__machine(l, r, hot->threads_min, hot->threads_max);
        m = &mixed;
    }
    if (sl->is_heavy ? !heavy_fits(l, n, r, &extra) : !light_fits(l, cost->node, r, m, &extra))
        return false;
    cost->packing += extra + sl->gain_most;
    cost->exact = true;
    return true;
}

static void list_put(struct ledger *l, struct shortlist *sl, struct shortlist_group *g,
                     const struct cost *cost)
{
    if (!g->heap_limited || cost__less(cost, &g->heap_limit))
        group__push(l, sl, g, cost);
    else
        group__add(l, sl, g, cost);
}

/* While building, a closer look decides, so that limits are set by nodes that fit. Later an entry
 * waits with its lower bound until it is on top: most are stale by then. */
static void list_offer(struct ledger *l, struct shortlist *sl, uint32_t node)
{
    const struct columns_hot *hot = &l->columns.hot[node];
    const struct request *r = &sl->class->r;
    struct shortlist_group *g = sl->topos_count == 0 ? &sl->groups[0] : group_of(sl, node);
    uint64_t taken = hot->threads_min == hot->threads_max
                         ? sl->machine[hot->threads_max].taken[hot->has_devices]
                         : cost__taken(l, r, hot->threads_min, hot->threads_max, hot->has_devices);
    struct cost cost = {.packing = cost__packing(r, hot->left, taken, 0) - sl->gain_most,
                        .tie = hot->tie,
                        .node = node,
                        .version = hot->version & COST_VERSION_MAX};

    if (!rules_let(l, sl, node, &cost.rules))
        return;
    if (g->limited && !cost__less(&cost, &g->limit))
        return;
    if (sl->odd_only && hot->order != COLUMNS_ODD)
        return;
    if (sl->built || list_verify(l, sl, &cost))
        list_put(l, sl, g, &cost);
}

/* ---- from the log, or from all nodes ---- */

static bool node_is_allowed(const struct ledger *l, const struct shortlist *sl, uint32_t node)
{
    const struct node *n = ledger__node(l, node);
    struct explain_about about;
    return n != NULL && !n->removed && rules__node(l, n, &sl->class->r, &about) == EXPLAIN_FITS;
}

static void allowed_set(const struct ledger *l, struct shortlist *sl, uint32_t node)
{
    uint64_t bit = 1ull << node % 64;
    if (node_is_allowed(l, sl, node))
        sl->allowed[node / 64] |= bit;
    else
        sl->allowed[node / 64] &= ~bit;
}

/* Who passes the rules of nodes. All over again, or only those whose facts changed. */
static void list_allowed(struct ledger *l, struct shortlist *sl)
{
    uint32_t words = (l->columns.size + 63) / 64;
    if (!sl->has_rules)
        return;
    if (sl->allowed_words != words || l->facts_end - sl->facts_cursor > FACTS_LOG) {
        l->cache_bytes += (words - sl->allowed_words) * sizeof *sl->allowed;
        sl->bytes += (words - sl->allowed_words) * sizeof *sl->allowed;
        sl->allowed = mem_resize(sl->allowed, words * sizeof *sl->allowed);
        sl->allowed_words = words;
        memset(sl->allowed, 0, words * sizeof *sl->allowed);
        for (uint32_t i = 0; i < l->nodes.count; i++)
            allowed_set(l, sl, i);
    } else {
        for (; sl->facts_cursor < l->facts_end; sl->facts_cursor++)
            allowed_set(l, sl, l->facts_log[sl->facts_cursor % FACTS_LOG]);
    }
    sl->facts_cursor = l->facts_end;
}

/* From the cheap end to where the limits are. */
static void list_build_ordered(struct ledger *l, struct shortlist *sl, uint32_t threads)
{
    const struct columns *c = &l->columns;
    bool spread = sl->class->r.choice == CHOICE_SPREAD;
    struct order_room want = wants__room(&sl->want);
    struct order_walk w;
    uint32_t node;
    order_walk_start(&w, &c->order[threads], &want, UINT32_MAX);
    w.backwards = spread;
    while ((node = order_walk_next(&w)) != ORDER_NONE) {
        int64_t most;
        uint64_t left = wants__left_bound(sl, &most);
        list_offer(l, sl, node);
        if (!spread && left < c->hot[node].left)
            break;
    }
}

static void list_build_odd(struct ledger *l, struct shortlist *sl)
{
    uint32_t hits[BLOCK];
    for (uint32_t from = 0; from < l->nodes.count; from += BLOCK) {
        struct columns_want want = wants__now(sl);
        uint32_t to = min_u32(from + BLOCK, l->nodes.count);
        uint32_t count = l->columns.filter(l->columns.odd, &want, from, to, hits);
        for (uint32_t i = 0; i < count; i++)
            list_offer(l, sl, hits[i]);
    }
}

static void list_build(struct ledger *l, struct shortlist *sl)
{
    l->builds++;
    list_allowed(l, sl);
    sl->built = false;
    for (uint32_t i = 0; i < sl->groups_count; i++)
        group__clear(&sl->groups[i]);
    for (uint32_t threads = 1; threads < COLUMNS_ORDERS && !sl->odd_only; threads++)
        list_build_ordered(l, sl, threads);
    if (l->columns.odd_count > 0)
        list_build_odd(l, sl);
    sl->cursor = l->columns.log_end;
    sl->built = true;
}

static void list_catch_up(struct ledger *l, struct shortlist *sl)
{
    const struct columns *c = &l->columns;
    uint32_t hits[BLOCK];

    if (c->log_end - sl->cursor > c->log_size - c->log_size / 8) {
        list_build(l, sl);
        return;
    }
    list_allowed(l, sl);
    struct columns_want want = wants__now(sl);
    while (sl->cursor < c->log_end) {
        uint32_t from = (uint32_t)sl->cursor & (c->log_size - 1);
        uint64_t more = min_u64(c->log_end - sl->cursor, BLOCK);
        uint32_t to = (uint32_t)min_u64(from + more, c->log_size);
        uint32_t count = c->filter(c->log, &want, from, to, hits);
        for (uint32_t i = 0; i < count; i++)
            __builtin_prefetch(&c->hot[c->log_node[hits[i]]]);
        for (uint32_t i = 0; i < count; i++)
            list_offer(l, sl, c->log_node[hits[i]]);
        sl->cursor += to - from;
    }
}

/* ---- the cheapest ---- */

/* The heap is empty: the cheapest of the rest take its place. False: there is no rest. */
static bool group_refill(struct ledger *l, struct shortlist *sl, struct shortlist_group *g)
{
    struct cost drawn[SHORTLIST_DRAW_MAX];
    uint32_t count = group__draw(l, sl, g, drawn);
    for (uint32_t i = 0; i < count; i++)
        list_put(l, sl, g, &drawn[i]);
    return count > 0;
}

/* The top is current; is it what it says? True: it stands. */
static bool top_stands(struct ledger *l, struct shortlist *sl, struct shortlist_group *g)
{
    struct cost top = g->heap[0];
    if (top.exact)
        return true;
    if (!list_verify(l, sl, &top)) {
        group__pop(g);
    } else if (g->heap_limited && !cost__less(&top, &g->heap_limit)) {
        group__pop(g);
        group__add(l, sl, g, &top);
    } else {
        group__sink(g, &top);
    }
    return false;
}

/* The cheapest entry that still holds on top. False: the group must be built anew. */
static bool group_settle(struct ledger *l, struct shortlist *sl, struct shortlist_group *g)
{
    for (;;) {
        if (g->count == 0) {
            if (!g->heap_limited)
                return true;
            if (!group_refill(l, sl, g))
                return !g->limited;
        } else if (!group__is_current(l, &g->heap[0])) {
            group__pop(g);
        } else if (top_stands(l, sl, g)) {
            return true;
        }
    }
}

/* What the coarse rules say to a whole group; the domain of each key is in its number. */
static bool group_allowed(const struct shortlist *sl, uint32_t index, int64_t *cost)
{
    uint32_t domain[SHORTLIST_TOPOS_MAX];
    for (uint32_t i = sl->topos_count; i-- > 0; index /= sl->radix[i])
        domain[i] = index % sl->radix[i] == 0 ? DOMAIN_NONE : index % sl->radix[i] - 1;
    *cost = 0;
    for (uint32_t i = 0; i < sl->rules_count; i++) {
        if (!sl->rules[i].coarse)
            continue;
        uint32_t k = 0;
        while (sl->topos[k] != sl->rules[i].term->topo)
            k++;
        if (!search__rule_allows(&sl->rules[i], domain[k]))
            return false;
        *cost += search__rule_cost(&sl->rules[i], domain[k]);
    }
    return true;
}

static bool list_query(struct ledger *l, struct shortlist *sl, struct cost *out)
{
    struct cost best = {.node = LEDGER_NODE_NONE};

    for (uint32_t i = 0; i < sl->groups_count; i++) {
        struct shortlist_group *g = &sl->groups[i];
        int64_t rules;
        if (!group_allowed(sl, i, &rules))
            continue;
        if (!group_settle(l, sl, g))
            return false;
        if (g->count == 0)
            continue;
        struct cost cost = g->heap[0];
        cost.rules += rules;
        if (best.node == LEDGER_NODE_NONE || cost__less(&cost, &best))
            best = cost;
    }
    *out = best;
    return true;
}
