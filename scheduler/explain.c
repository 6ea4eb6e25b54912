/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/explain.h"
#include "scheduler/search_priv.h"

static const struct {
    bool resource;
    const char *text;
} reasons[EXPLAIN__COUNT] = {
#define R(name, resource, text) [EXPLAIN_##name] = {resource, text},
    EXPLAIN_REASONS(R)
#undef R
};

static void count_node(struct explanation *x, enum explain_reason reason, const struct fit *f);
static uint32_t count_lacks(const struct ledger *l, const struct node *n, const struct request *r,
                            const struct pods_view *pods);

void ledger_explain(const struct ledger *l, const struct request *r, struct explanation *out)
{
    struct labels own = {
        .namespace_name = r->namespace_name, .labels_count = r->labels_count, .labels = r->labels};
    struct pods_view *pods = pods__view(l, r, &own);
    uint32_t lacks_least = UINT32_MAX;

    *out = (struct explanation){.nearest = LEDGER_NODE_NONE, .never = true};
    for (uint32_t i = 0; i < l->nodes.count; i++) {
        const struct node *n = ledger__node(l, i);
        struct fit f;
        if (n == NULL || n->removed)
            continue;
        out->nodes_count++;
        if (fit__node(n, r, true, &f) == EXPLAIN_FITS)
            out->never = false;
        enum explain_reason reason = place__check(l, n, r, pods, &f);
        count_node(out, reason, &f);
        out->fits_count += reason == EXPLAIN_FITS;
        uint32_t lacks = reason == EXPLAIN_FITS ? 0 : count_lacks(l, n, r, pods);
        if (lacks < lacks_least) {
            lacks_least = lacks;
            out->nearest = i;
            out->nearest_lacks = lacks;
        }
    }
    pods__view_free(pods);
}

static void count_node(struct explanation *x, enum explain_reason reason, const struct fit *f)
{
    struct explain_count *c = &x->by_reason[reason];
    c->nodes++;
    if (c->nodes == 1 || f->free > c->free_most) {
        c->name = f->name;
        c->wanted = f->wanted;
        c->free_most = f->free;
    }
}

/* Each kind of thing asked for alone: what would still be missing when the rest were there. */
static uint32_t count_lacks(const struct ledger *l, const struct node *n, const struct request *r,
                            const struct pods_view *pods)
{
    struct fit f;
    uint32_t name, lacks = rules__node(l, n, r, &name) != EXPLAIN_FITS;
    lacks += !rules__ports(n, r);
    struct request only[] = {
        {.exclusive_cpus = r->exclusive_cpus,
         .one_thread_per_core = r->one_thread_per_core,
         .full_cores_only = r->full_cores_only,
         .cache_ways = r->cache_ways,
         .bandwidth_mbps = r->bandwidth_mbps},
        {.shared_milli = r->shared_milli},
        {.memory_bytes = r->memory_bytes, .overhead_bytes = r->overhead_bytes},
        {.hugepages_2m = r->hugepages_2m},
        {.hugepages_1g = r->hugepages_1g},
        {.devices = r->devices, .devices_count = r->devices_count},
        {.scalars = r->scalars, .scalars_count = r->scalars_count},
        {.address_wanted = r->address_wanted, .mac_wanted = r->mac_wanted},
    };
    uint32_t short_of = 0;
    for (size_t i = 0; i < COUNT_OF(only); i++)
        short_of += fit__node(n, &only[i], false, &f) != EXPLAIN_FITS;
    if (short_of == 0) /* Each alone has room: the policies together do not. */
        short_of = fit__node(n, r, false, &f) != EXPLAIN_FITS;
    lacks += short_of;
    if (r->node_name == 0)
        lacks += pods__check(pods, n->index) != EXPLAIN_FITS;
    return lacks;
}

static void print_reason(const struct ledger *l, const struct explanation *x, uint32_t reason,
                         struct buf *out)
{
    const struct explain_count *c = &x->by_reason[reason];
    struct str name = names_text(&l->names, c->name);
    if (x->nodes_count > 1 || !reasons[reason].resource)
        buf_printf(out, "%u ", c->nodes);
    if (reason == EXPLAIN_DEVICE || reason == EXPLAIN_SCALAR)
        buf_add(out, name);
    else
        buf_add(out, str_of(reasons[reason].text));
    if (reason == EXPLAIN_TAINT)
        buf_printf(out, " {" STR_FMT "}", STR_ARG(name));
    if (reason == EXPLAIN_CAPABILITY)
        buf_printf(out, " (" STR_FMT ")", STR_ARG(name));
    if (reasons[reason].resource)
        buf_printf(out, ": %llu wanted, %s%llu free", (unsigned long long)c->wanted,
                   c->nodes > 1 ? "at most " : "", (unsigned long long)c->free_most);
}

void explain_print(const struct ledger *l, const struct explanation *x, char *out, size_t size)
{
    struct buf text;
    const char *before = ": ";
    if (size == 0)
        return;
    buf_init(&text, size - 1);
    buf_printf(&text, "%u of %u nodes fit", x->fits_count, x->nodes_count);
    for (uint32_t i = EXPLAIN_FITS + 1; i < EXPLAIN__COUNT; i++) {
        if (x->by_reason[i].nodes == 0)
            continue;
        buf_add(&text, str_of(before));
        print_reason(l, x, i, &text);
        before = "; ";
    }
    if (x->never && x->nodes_count > 0)
        buf_add(&text, STR("; no node could hold it even if it were empty"));
    if (text.len > 0)
        memcpy(out, text.at, text.len);
    out[text.len] = '\0';
    buf_free(&text);
}

void ledger_explain_hold(const struct ledger *l, uint64_t hold, char *out, size_t size)
{
    uint32_t index;
    const struct hold *h = ledger__hold_find(l, hold, &index);
    struct buf text;
    if (size == 0)
        return;
    out[0] = '\0';
    if (h == NULL)
        return;
    const struct node *n = ledger__node(l, h->node);
    const struct request *r = &ledger__class(l, h->class_id)->r;
    struct placement rows;

    rows__print(l, h, &rows);
    buf_init(&text, size - 1);
    buf_printf(&text, STR_FMT ": ", STR_ARG(names_text(&l->names, n->name)));
    if (r->node_name != 0)
        buf_add(&text, STR("pinned by its node name"));
    else if (r->choice == CHOICE_SPREAD)
        buf_add(&text, STR("the node with most left over"));
    else
        buf_add(&text, STR("the node with least left over"));
    if (rows.cores_count > 0)
        buf_printf(&text, "; %u CPUs on %u exclusive cores", rows.cpus_count, rows.cores_count);
    if (rows.numa_mask != 0)
        buf_printf(&text, "; rows of %d of %u NUMA nodes", __builtin_popcount(rows.numa_mask),
                   n->shape->numa_count);
    int64_t rules = rules__node_cost(l, n, r);
    if (rules != 0)
        buf_printf(&text, "; its preferences of nodes count %lld", (long long)-rules);
    if (text.len > 0)
        memcpy(out, text.at, text.len);
    out[text.len] = '\0';
    buf_free(&text);
}
