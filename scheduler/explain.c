/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/explain.h"
#include "scheduler/search_priv.h"
#include "scheduler/terms.h"

#include <assert.h>

static const struct {
    bool resource;
    const char *text;
} reasons[EXPLAIN__COUNT] = {
#define R(name, resource, text) [EXPLAIN_##name] = {resource, text},
    EXPLAIN_REASONS(R)
#undef R
};

enum { LACKS_MAX = 12 };

/* Everything that one node is short of. */
struct lacks {
    uint32_t count;
    uint64_t per_mille; /* How much of what is wanted is missing, summed. */
    struct lack {
        enum explain_reason reason;
        struct explain_count is;
    } at[LACKS_MAX];
};

static void count_node(struct explanation *x, enum explain_reason reason, const struct fit *f);
static void find_lacks(const struct ledger *l, const struct node *n, const struct request *r,
                       const struct pods_view *pods, struct lacks *out);

/* What was told about a class, until some node changes. Other labels may mean other rules. */
struct class_explained {
    uint64_t changes, profile_hash;
    struct explanation told;
};

static void work_out(const struct ledger *l, const struct request *r, const struct labels *own,
                     struct explanation *out)
{
    struct pods_view *pods = pods__view(l, r, own);
    *out = (struct explanation){.never = true};
    for (uint32_t i = 0; i < l->nodes.count; i++) {
        const struct node *n = ledger__node(l, i);
        struct fit f;
        if (n == NULL || n->removed)
            continue;
        out->nodes_count++;
        if (out->never && fit__node(n, r, true, &f) == EXPLAIN_FITS)
            out->never = false;
        enum explain_reason reason = place__check(l, n, r, pods, &f);
        count_node(out, reason, &f);
        out->fits_count += reason == EXPLAIN_FITS;
    }
    pods__view_free(pods);
}

static void remember(struct ledger *l, struct class *c, const struct labels *own)
{
    if (c->explained == NULL) {
        c->explained = mem_alloc(sizeof *c->explained);
        c->bytes += sizeof *c->explained;
        l->classes_memory += sizeof *c->explained;
    }
    c->explained->changes = l->changes;
    c->explained->profile_hash = own->profile.hash;
    work_out(l, &c->r, own, &c->explained->told);
}

void ledger_explain(struct ledger *l, const struct request *r, struct explanation *out)
{
    struct class *c;
    struct labels *own;
    if (ledger__intern(l, r, &c, &own, NULL) != ERR_OK) { /* Nothing is known of such a request. */
        struct labels plain = {.namespace_name = r->namespace_name,
                               .labels_count = r->labels_count,
                               .labels = r->labels};
        work_out(l, r, &plain, out);
        return;
    }
    terms__profile(l, own);
    if (c->explained == NULL || c->explained->changes != l->changes ||
        c->explained->profile_hash != own->profile.hash)
        remember(l, c, own);
    *out = c->explained->told;
    class__unref(l, c);
    labels__unref(l, own);
}

static bool same_about(const struct explain_about *a, const struct explain_about *b)
{
    return a->name == b->name && a->value == b->value;
}

/* Two taints are two reasons, and so are two resources. */
static struct explain_count *count_of(struct explanation *x, enum explain_reason reason,
                                      const struct explain_about *about)
{
    struct explain_count *first = &x->by_reason[reason];
    bool is_named = reason == EXPLAIN_TAINT || reason == EXPLAIN_CAPABILITY ||
                    reason == EXPLAIN_DEVICE || reason == EXPLAIN_PART || reason == EXPLAIN_SCALAR;
    if (!is_named || first->nodes == 0 || same_about(&first->about, about))
        return first;
    for (uint32_t i = 0; i < x->more_count; i++)
        if (x->more[i].reason == reason && same_about(&x->more[i].is.about, about))
            return &x->more[i].is;
    if (x->more_count == EXPLAIN_MORE_MAX)
        return first;
    x->more[x->more_count].reason = reason;
    return &x->more[x->more_count++].is;
}

static void count_node(struct explanation *x, enum explain_reason reason, const struct fit *f)
{
    struct explain_count *c = count_of(x, reason, &f->about);
    c->nodes++;
    if (c->nodes == 1 || f->free > c->free_most) {
        c->about = f->about;
        c->wanted = f->wanted;
        c->free_most = f->free;
    }
}

static void add_lack(struct lacks *x, enum explain_reason reason, const struct fit *f)
{
    if (reason == EXPLAIN_FITS)
        return;
    bool is_part = reasons[reason].resource && f->wanted > f->free;
    x->per_mille += is_part ? (f->wanted - f->free) * 1000 / f->wanted : 1000;
    x->at[x->count++] = (struct lack){
        reason, {.nodes = 1, .about = f->about, .wanted = f->wanted, .free_most = f->free}};
}

/* Each kind of thing asked for alone: what would still be missing when the rest were there. */
static void find_lacks(const struct ledger *l, const struct node *n, const struct request *r,
                       const struct pods_view *pods, struct lacks *out)
{
    struct fit f = {0};
    struct node roomy = *n; /* That it is full of workloads is one thing of its own. */
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
    static_assert(COUNT_OF(only) + 4 <= LACKS_MAX, "rules, ports and pods twice come on top");
    out->count = 0;
    out->per_mille = 0;
    add_lack(out, rules__node(l, n, r, &f.about), &f);
    if (!rules__ports(n, r))
        add_lack(out, EXPLAIN_PORT, &(struct fit){0});
    add_lack(out, fit__node(n, &(struct request){0}, false, &f), &f);
    roomy.pods_max = n->holds_count + 1;
    uint32_t others = out->count;
    for (size_t i = 0; i < COUNT_OF(only); i++)
        add_lack(out, fit__node(&roomy, &only[i], false, &f), &f);
    if (out->count == others) /* Each alone has room: the policies together do not. */
        add_lack(out, fit__node(&roomy, r, false, &f), &f);
    if (r->node_name == 0)
        add_lack(out, pods__check(pods, n->index), &(struct fit){0});
}

static void print_reason(const struct ledger *l, const struct explain_count *c, uint32_t reason,
                         struct buf *out)
{
    struct str name = names_text(&l->names, c->about.name);
    struct str value = names_text(&l->names, c->about.value);
    if (reason == EXPLAIN_DEVICE || reason == EXPLAIN_PART || reason == EXPLAIN_SCALAR)
        buf_add(out, name);
    else
        buf_add(out, str_of(reasons[reason].text));
    if (reason == EXPLAIN_PART)
        buf_add(out, STR(" (thousandths of one)"));
    if (reason == EXPLAIN_TAINT)
        buf_printf(out, " {" STR_FMT ": " STR_FMT "}", STR_ARG(name), STR_ARG(value));
    if (reason == EXPLAIN_NODE_AFFINITY && c->nodes == 1 && name.len > 0)
        buf_printf(out, " (" STR_FMT "%s" STR_FMT ")", STR_ARG(name), value.len > 0 ? "=" : "",
                   STR_ARG(value));
    if (reason == EXPLAIN_CAPABILITY)
        buf_printf(out, " (" STR_FMT ")", STR_ARG(name));
    if (reasons[reason].resource)
        buf_printf(out, ": %llu wanted, %s%llu free", (unsigned long long)c->wanted,
                   c->nodes > 1 ? "at most " : "", (unsigned long long)c->free_most);
}

static void finish(struct buf *text, char *out)
{
    if (text->len > 0)
        memcpy(out, text->at, text->len);
    out[text->len] = '\0';
    buf_free(text);
}

static void print_count(const struct ledger *l, const struct explanation *x,
                        const struct explain_count *c, uint32_t reason, const char **before,
                        struct buf *out)
{
    buf_add(out, str_of(*before));
    *before = "; ";
    if (x->nodes_count > 1 || !reasons[reason].resource)
        buf_printf(out, "%u ", c->nodes);
    print_reason(l, c, reason, out);
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
        print_count(l, x, &x->by_reason[i], i, &before, &text);
        for (uint32_t k = 0; k < x->more_count; k++)
            if (x->more[k].reason == i)
                print_count(l, x, &x->more[k].is, i, &before, &text);
    }
    if (x->never && x->nodes_count > 0)
        buf_add(&text, STR("; no node could hold it even if it were empty"));
    finish(&text, out);
}

/* Texts about rules speak of nodes in general. */
static void print_lack(const struct ledger *l, const struct lack *lack, struct buf *out)
{
    const struct str prefix = STR("node(s) ");
    struct buf text;
    buf_init(&text, 512);
    print_reason(l, &lack->is, lack->reason, &text);
    struct str s = buf_str(&text);
    buf_add(out, str_starts(s, prefix) ? str_slice(s, prefix.len, s.len) : s);
    buf_free(&text);
}

static const struct node *find_nearest(const struct ledger *l, const struct request *r,
                                       struct lacks *out)
{
    struct labels own = {
        .namespace_name = r->namespace_name, .labels_count = r->labels_count, .labels = r->labels};
    struct pods_view *pods = pods__view(l, r, &own);
    const struct node *nearest = NULL;
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < l->nodes.count; i++) {
        const struct node *n = ledger__node(l, i);
        struct lacks lacks;
        if (n == NULL || n->removed)
            continue;
        find_lacks(l, n, r, pods, &lacks);
        uint64_t lacking = (uint64_t)lacks.count << 32 | lacks.per_mille;
        if (lacking >= least)
            continue;
        least = lacking;
        nearest = n;
        *out = lacks;
    }
    pods__view_free(pods);
    return nearest;
}

void explain_print_nearest(const struct ledger *l, const struct request *r,
                           const struct explanation *x, char *out, size_t size)
{
    struct lacks lacks;
    struct buf text;
    if (size == 0)
        return;
    out[0] = '\0';
    const struct node *n = x->fits_count > 0 ? NULL : find_nearest(l, r, &lacks);
    if (n == NULL)
        return;
    buf_init(&text, size - 1);
    buf_printf(&text, "nearest: " STR_FMT, STR_ARG(names_text(&l->names, n->name)));
    for (uint32_t i = 0; i < lacks.count; i++) {
        const struct lack *at = &lacks.at[i];
        buf_add(&text, i > 0                          ? STR("; ")
                       : reasons[at->reason].resource ? STR(" lacks ")
                                                      : STR(" "));
        print_lack(l, at, &text);
    }
    finish(&text, out);
}

static void add_count(struct buf *text, const char *before, uint64_t count, const char *behind)
{
    buf_add(text, str_of(before));
    buf_add_u64(text, count);
    buf_add(text, str_of(behind));
}

static void print_rows(const struct node *n, const struct placement *rows, struct buf *text)
{
    if (rows->cores_count > 0) {
        add_count(text, "; ", rows->cpus_count, " CPUs on ");
        add_count(text, "", rows->cores_count, " exclusive cores");
    }
    if (rows->numa_mask != 0) {
        add_count(text, "; rows of ", (uint64_t)__builtin_popcount(rows->numa_mask), " of ");
        add_count(text, "", n->shape->numa_count, " NUMA nodes");
    }
}

static void print_hold(const struct ledger *l, const struct hold *h, const struct placement *rows,
                       struct buf *text)
{
    const struct node *n = ledger__node(l, h->node);
    const struct request *r = &ledger__class(l, h->class_id)->r;
    buf_add(text, names_text(&l->names, n->name));
    buf_add(text, r->node_name != 0            ? STR(": pinned by its node name")
                  : r->choice == CHOICE_SPREAD ? STR(": the node with most left over")
                                               : STR(": the node with least left over"));
    print_rows(n, rows, text);
    int64_t rules = rules__node_cost(l, n, r);
    if (rules != 0) {
        buf_add(text, STR("; its preferences of nodes count "));
        buf_add_i64(text, -rules);
    }
}

void ledger_explain_hold(const struct ledger *l, uint64_t hold, const struct placement *rows,
                         char *out, size_t size)
{
    uint32_t index;
    const struct hold *h = ledger__hold_find(l, hold, &index);
    struct placement own;
    struct buf text;
    if (size == 0)
        return;
    out[0] = '\0';
    if (h == NULL)
        return;
    if (rows == NULL) {
        rows__print(l, h, &own);
        rows = &own;
    }
    buf_init(&text, size - 1);
    print_hold(l, h, rows, &text);
    finish(&text, out);
}
