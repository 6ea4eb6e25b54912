/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds what: the life of a hold from place or restore to undo or release. */
#include "scheduler/held.h"
#include "scheduler/shortlist.h"

static const struct ledger_limits defaults = {.nodes_max = 10000,
                                              .holds_max = 1000000,
                                              .names_max = 4000000,
                                              .names_bytes_max = 512ull << 20,
                                              .cache_bytes_max = 256ull << 20};
enum { SWEEP_CLASSES = 64 };
enum { REQUEST_KEY_MAX = 1 << 20, SHAPES_MAX = 1 << 20 };

static enum err_code place(struct ledger *l, const struct request *r, bool plain,
                           uint64_t *out_hold, struct placement *out_rows, struct err *e);
static enum err_code hold_new(struct ledger *l, struct node *n, const struct request *r,
                              struct class *c, struct labels *own, const struct fit *f,
                              uint32_t *out_index, struct err *e);
static void hold_end(struct ledger *l, uint64_t name);

struct ledger *ledger_new(const struct ledger_limits *limits)
{
    struct ledger *l = mem_zalloc(1, sizeof *l);
    struct ledger_limits *to = &l->limits;
    *to = limits == NULL ? defaults : *limits;
    to->nodes_max = to->nodes_max == 0 ? defaults.nodes_max : to->nodes_max;
    to->holds_max = to->holds_max == 0 ? defaults.holds_max : to->holds_max;
    to->names_max = to->names_max == 0 ? defaults.names_max : to->names_max;
    to->names_bytes_max = to->names_bytes_max == 0 ? defaults.names_bytes_max : to->names_bytes_max;
    to->cache_bytes_max = to->cache_bytes_max == 0 ? defaults.cache_bytes_max : to->cache_bytes_max;

    names_init(&l->names, to->names_max, to->names_bytes_max);
    enum err_code rc = names_intern(&l->names, STR("node.kubernetes.io/unschedulable"),
                                    &l->name_unschedulable, NULL);
    CHECK(rc == ERR_OK);
    names__hold(&l->names, l->name_unschedulable);
    buf_init(&l->scratch, REQUEST_KEY_MAX);
    map_init(&l->shapes, SHAPES_MAX);
    map_init(&l->nodes_map, node__slots(l));
    map_init(&l->classes_map, to->holds_max);
    map_init(&l->labels_map, to->holds_max);
    l->holds = mem_reserve(to->holds_max, sizeof *l->holds);
    l->tags = mem_reserve(to->holds_max, sizeof *l->tags);
    l->node_slots = mem_reserve(node__slots(l), sizeof *l->node_slots);
    l->hold_free = HOLD_NONE;
    columns_init(&l->columns, to->nodes_max);
    l->facts_log = mem_zalloc(FACTS_LOG, sizeof *l->facts_log);
    l->terms_serial = 1;
    l->list_keep = SHORTLIST_KEEP;
    l->order_patience = ORDER_PATIENCE;
    l->mix.next = 1;
    l->mix.seen = mem_alloc(MIX_SHAPES_MAX * sizeof *l->mix.seen);
    l->mix.shapes = mem_alloc(MIX_USUAL_MAX * sizeof *l->mix.shapes);
    cost__reset(l);
    return l;
}

void ledger_free(struct ledger *l)
{
    if (l == NULL)
        return;
    for (uint32_t i = 0; i < l->holds_end; i++)
        if (ledger__hold(l, i)->state != HOLD_FREE)
            rows__drop(l, ledger__hold(l, i));
    mem_release(l->holds, l->limits.holds_max, sizeof *l->holds);
    mem_release(l->tags, l->limits.holds_max, sizeof *l->tags);
    for (uint32_t i = 0; i < l->classes.count; i++)
        if (ledger__class(l, i) != NULL)
            shortlist__drop_all(l, ledger__class(l, i));
    terms__fini(l);
    columns_fini(&l->columns);
    mem_free(l->facts_log);
    mem_free(l->mix.seen);
    mem_free(l->mix.shapes);
    mem_free(l->rules_scratch);
    for (uint32_t i = 0; i < l->nodes.count; i++)
        node__free(l, l->nodes.at[i]);
    mem_release(l->node_slots, node__slots(l), sizeof *l->node_slots);
    for (uint32_t i = 0; i < l->classes.count; i++)
        class__free(l->classes.at[i]);
    for (uint32_t i = 0; i < l->labels.count; i++)
        mem_free(l->labels.at[i]);
    table__fini(&l->nodes);
    table__fini(&l->classes);
    table__fini(&l->labels);
    map_fini(&l->shapes);
    map_fini(&l->nodes_map);
    map_fini(&l->classes_map);
    map_fini(&l->labels_map);
    buf_free(&l->scratch);
    names_fini(&l->names);
    mem_free(l);
}

struct names *ledger_names(struct ledger *l)
{
    return &l->names;
}

void ledger_sweep(struct ledger *l)
{
    names_sweep(&l->names);
    if (names_are_short(&l->names))
        class__drop_unused(l, SWEEP_CLASSES);
}

/* ---- choosing ---- */

enum err_code ledger_place(struct ledger *l, const struct request *r, uint64_t *out_hold,
                           struct placement *out_rows, struct err *e)
{
    return place(l, r, false, out_hold, out_rows, e);
}

enum err_code ledger_place_plain(struct ledger *l, const struct request *r, uint64_t *out_hold,
                                 struct placement *out_rows, struct err *e)
{
    return place(l, r, true, out_hold, out_rows, e);
}

static enum err_code intern(struct ledger *l, const struct request *r, bool leaves,
                            struct class **out_class, struct labels **out_labels, struct err *e)
{
    enum err_code rc = class__intern(l, r, out_class, e);
    if (rc != ERR_OK)
        return rc;
    rc = labels__intern(l, r, leaves, out_labels, e);
    if (rc != ERR_OK)
        class__unref(l, *out_class);
    return rc;
}

enum err_code ledger__intern(struct ledger *l, const struct request *r, struct class **out_class,
                             struct labels **out_labels, struct err *e)
{
    return intern(l, r, false, out_class, out_labels, e);
}

static enum err_code place(struct ledger *l, const struct request *r, bool plain,
                           uint64_t *out_hold, struct placement *out_rows, struct err *e)
{
    struct class *c;
    struct labels *own;
    struct fit f;
    uint32_t index = 0;

    enum err_code rc = ledger__intern(l, r, &c, &own, e);
    if (rc != ERR_OK)
        return rc;
    mix__arrived(l, c);
    if (l->hold_free != HOLD_NONE) /* Where it will be written. */
        __builtin_prefetch(ledger__tag(l, l->hold_free), 1);
    uint32_t node = plain                     ? place__plain(l, &c->r, own, &f)
                    : search__is_named(&c->r) ? search__place_named(l, c, own, &f)
                                              : shortlist__place(l, c, own, &f);
    if (node == LEDGER_NODE_NONE) {
        l->refusals++;
        rc = err_set(e, ERR_BUSY, "0 of %u nodes fit", l->nodes_count);
    } else {
        rc = hold_new(l, ledger__node(l, node), r, c, own, &f, &index, e);
    }
    if (rc != ERR_OK) {
        class__unref(l, c);
        labels__unref(l, own);
        return rc;
    }
    l->decisions++;
    ledger__hold(l, index)->state = HOLD_TENTATIVE;
    shortlist__drop_over_cap(l);
    *out_hold = ledger__hold_name(l, index);
    if (out_rows != NULL)
        rows__print_fit(l, ledger__hold(l, index), &f, out_rows);
    return ERR_OK;
}

enum err_code ledger_restore(struct ledger *l, const struct request *r,
                             const struct placement *rows, uint64_t *out_hold, struct err *e)
{
    struct class *c;
    struct labels *own;
    struct fit f;
    uint32_t index, node = ledger_node_find(l, rows->node_name);

    if (node == LEDGER_NODE_NONE)
        return err_set(e, ERR_NOT_FOUND, "node " STR_FMT " is not known",
                       STR_ARG(names_text(&l->names, rows->node_name)));
    struct node *n = ledger__node(l, node);
    struct err why = {0};
    enum err_code rc = request_check(r, &why);
    if (rc == ERR_OK)
        rc = rows__check(n, r, rows, &f, &why);
    if (rc != ERR_OK) {
        node__mark(n, why.text);
        ledger__node_changed(l, node, true);
        return err_set(e, ERR_CONFLICT, "%s", why.text);
    }
    rc = ledger__intern(l, r, &c, &own, e);
    if (rc != ERR_OK)
        return rc;
    rc = hold_new(l, n, r, c, own, &f, &index, e);
    if (rc != ERR_OK) {
        class__unref(l, c);
        labels__unref(l, own);
        return rc;
    }
    ledger__hold(l, index)->state = HOLD_COMMITTED;
    *out_hold = ledger__hold_name(l, index);
    return ERR_OK;
}

/* ---- the table of holds ---- */

struct hold *ledger__hold_find(const struct ledger *l, uint64_t name, uint32_t *out_index)
{
    uint32_t index = (uint32_t)name;
    if (index >= l->holds_end)
        return NULL;
    struct hold *h = ledger__hold(l, index);
    if (h->state == HOLD_FREE || h->generation != name >> 32)
        return NULL;
    *out_index = index;
    return h;
}

static enum err_code hold_take_slot(struct ledger *l, uint32_t *out_index, struct err *e)
{
    if (l->hold_free != HOLD_NONE) {
        *out_index = l->hold_free;
        l->hold_free = ledger__hold(l, l->hold_free)->node;
        return ERR_OK;
    }
    if (l->holds_end == l->limits.holds_max)
        return err_set(e, ERR_LIMIT, "%u workloads are held already", l->holds_count);
    l->holds_memory += sizeof *l->holds + sizeof *l->tags;
    *out_index = l->holds_end++;
    return ERR_OK;
}

/* The references to c and own become the hold's. */
static enum err_code hold_new(struct ledger *l, struct node *n, const struct request *r,
                              struct class *c, struct labels *own, const struct fit *f,
                              uint32_t *out_index, struct err *e)
{
    uint32_t index = 0;
    enum err_code rc = hold_take_slot(l, &index, e);
    if (rc != ERR_OK)
        return rc;
    struct hold *h = ledger__hold(l, index);
    uint32_t generation = max_u32(h->generation + 1, 1); /* Never 0: that is nobody's name. */
    *h = (struct hold){.class_id = c->id, .labels_id = own->id, .generation = generation};
    *ledger__tag(l, index) = (struct hold_tag){r->cookie, r->started, r->gang};
    names__hold(&l->names, r->gang);
    node__list(l, n, index);
    rows__take(l, n, h, r, f);
    l->holds_count++;
    terms__held(l, h, 1);
    ledger__node_changed(l, n->index, false);
    *out_index = index;
    return ERR_OK;
}

/* Its class says what rows are packed in a hold, so all that is about hardware is the former one's. */
static struct request reworded(const struct request *was, const struct request *r)
{
    struct request made = *was;
    made.namespace_name = r->namespace_name;
    made.labels = r->labels;
    made.labels_count = r->labels_count;
    made.spreads = r->spreads;
    made.spreads_count = r->spreads_count;
    made.affinity = r->affinity;
    made.affinity_count = r->affinity_count;
    made.anti_affinity = r->anti_affinity;
    made.anti_affinity_count = r->anti_affinity_count;
    made.affinity_preferred = r->affinity_preferred;
    made.affinity_preferred_count = r->affinity_preferred_count;
    made.anti_affinity_preferred = r->anti_affinity_preferred;
    made.anti_affinity_preferred_count = r->anti_affinity_preferred_count;
    made.priority = r->priority;
    return made;
}

enum err_code ledger_reword(struct ledger *l, uint64_t hold, const struct request *r, struct err *e)
{
    uint32_t index;
    struct class *c;
    struct labels *own;
    struct hold *h = ledger__hold_find(l, hold, &index);
    if (h == NULL)
        return err_set(e, ERR_NOT_FOUND, "nothing is held under this name");
    struct class *was = ledger__class(l, h->class_id);
    struct labels *had = ledger__labels(l, h->labels_id);
    struct request made = reworded(&was->r, r);
    enum err_code rc = request_check(&made, e);
    if (rc == ERR_OK)
        rc = intern(l, &made, had->leaves, &c, &own, e);
    if (rc != ERR_OK)
        return rc;
    terms__held(l, h, -1);
    h->class_id = c->id;
    h->labels_id = own->id;
    terms__held(l, h, 1);
    labels__unref(l, had);
    class__unref(l, was);
    ledger__node_changed(l, h->node, false);
    return ERR_OK;
}

bool ledger_hold_leaves(struct ledger *l, uint64_t hold)
{
    uint32_t index;
    struct labels *own;
    struct hold *h = ledger__hold_find(l, hold, &index);
    if (h == NULL)
        return false;
    struct labels *had = ledger__labels(l, h->labels_id);
    const struct request words = {.namespace_name = had->namespace_name,
                                  .labels = had->labels,
                                  .labels_count = had->labels_count};
    if (had->leaves || labels__intern(l, &words, true, &own, NULL) != ERR_OK)
        return false; /* Known, or the table is full: then it is counted until it is gone. */
    terms__held(l, h, -1);
    bool counted = terms__spread_counts(l, had);
    h->labels_id = own->id;
    terms__held(l, h, 1);
    labels__unref(l, had);
    ledger__node_changed(l, h->node, false);
    return counted;
}

void ledger_commit(struct ledger *l, uint64_t hold)
{
    uint32_t index;
    struct hold *h = ledger__hold_find(l, hold, &index);
    if (h != NULL)
        h->state = HOLD_COMMITTED;
}

void ledger_undo(struct ledger *l, uint64_t hold)
{
    hold_end(l, hold);
}

void ledger_release(struct ledger *l, uint64_t hold)
{
    hold_end(l, hold);
}

static void hold_end(struct ledger *l, uint64_t name)
{
    uint32_t index;
    struct hold *h = ledger__hold_find(l, name, &index);
    if (h == NULL)
        return;
    struct node *n = ledger__node(l, h->node);
    struct class *c = ledger__class(l, h->class_id);

    node__expect(n);
    columns_expect(&l->columns, h->node);
    node__unlist(l, n, index);
    terms__held(l, h, -1);
    rows__give(l, h, &c->r);
    ledger__node_changed(l, n->index, false);
    node__forget_if_unused(l, n->index);

    labels__unref(l, ledger__labels(l, h->labels_id));
    class__unref(l, c);
    names__drop(&l->names, ledger__tag(l, index)->gang);
    h->state = HOLD_FREE;
    h->node = l->hold_free;
    l->hold_free = index;
    l->holds_count--;
}

/* ---- foretold releases: first the hold, then its node and neighbours, then the node's place ---- */

static const struct hold *foretold(const struct ledger *l, uint32_t calls_ago)
{
    uint32_t i = l->foretold[(l->foretold_count - calls_ago) % FORETOLD];
    const struct hold *h = ledger__hold(l, i);
    return calls_ago <= l->foretold_count && h->state != HOLD_FREE ? h : NULL;
}

void ledger_foretell(struct ledger *l, uint64_t hold)
{
    if ((uint32_t)hold >= l->holds_end)
        return;
    __builtin_prefetch(ledger__hold(l, (uint32_t)hold), 1);
    const struct hold *h = foretold(l, FORETOLD / 2);
    if (h != NULL) {
        node__expect(ledger__node(l, h->node));
        columns_expect(&l->columns, h->node);
        if (h->prev != HOLD_NONE)
            __builtin_prefetch(ledger__hold(l, h->prev), 1);
        if (h->next != HOLD_NONE)
            __builtin_prefetch(ledger__hold(l, h->next), 1);
    }
    h = foretold(l, FORETOLD - 1);
    if (h != NULL)
        columns_expect_place(&l->columns, h->node);
    l->foretold[l->foretold_count++ % FORETOLD] = (uint32_t)hold;
}

/* ---- looking ---- */

enum err_code ledger_hold_rows(const struct ledger *l, uint64_t hold, struct placement *out_rows,
                               struct err *e)
{
    uint32_t index;
    const struct hold *h = ledger__hold_find(l, hold, &index);
    if (h == NULL)
        return err_set(e, ERR_NOT_FOUND, "nothing is held under this name");
    rows__print(l, h, out_rows);
    return ERR_OK;
}

bool ledger_hold_info(const struct ledger *l, uint64_t hold, struct ledger_hold_info *out)
{
    uint32_t index;
    const struct hold *h = ledger__hold_find(l, hold, &index);
    if (h == NULL)
        return false;
    *out = (struct ledger_hold_info){.cookie = ledger__tag(l, index)->cookie,
                                     .node = h->node,
                                     .committed = h->state == HOLD_COMMITTED,
                                     .priority = ledger__class(l, h->class_id)->r.priority};
    return true;
}

uint32_t ledger_holds_count(const struct ledger *l)
{
    return l->holds_count;
}

void ledger_stats(const struct ledger *l, struct ledger_stats *out)
{
    *out = (struct ledger_stats){.node_bytes = l->nodes_memory + columns_bytes(&l->columns),
                                 .hold_bytes = l->holds_memory,
                                 .cache_bytes = l->classes_memory + l->cache_bytes,
                                 .names_bytes = l->names.bytes,
                                 .classes_count = l->classes.count - l->classes.spare_count,
                                 .decisions = l->decisions,
                                 .refusals = l->refusals};
}
