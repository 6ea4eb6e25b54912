/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fragments: free devices that what usually arrives cannot use.
 *
 * The idea is FGD's (Weng et al., ATC'23): for each usual shape of request, the free thousandths of a
 * node's devices are a fragment when the shape cannot run there at all, or lie on devices too small
 * for it; weigh by how often the shape arrives, and prefer the node where this grows least. What is
 * usual is learned here from the requests that were made so far, in steps that grow with their
 * number, so that costs stand still between two steps.
 */
#include "scheduler/held.h"
#include "scheduler/search_priv.h"

enum { WEIGHT_ONE = 1 << 16, STEP_FIRST = 16, STEP_PART = 16, FADE_EVERY = 1 << 16 };

/* One device that becomes a fragment weighs as much as 28 times all that the largest node can have
 * left of one kind: fragments come first, and what is left over decides between near equals. */
enum { FRAGMENT_COST = (1 << 20) * 7 / 250 };

static bool shape_equal(const struct mix_shape *a, const struct mix_shape *b)
{
    return a->cpu_milli == b->cpu_milli && a->device_class == b->device_class &&
           a->count == b->count && a->units == b->units && a->models_count == b->models_count &&
           (a->models_count == 0 ||
            memcmp(a->models, b->models, a->models_count * sizeof *a->models) == 0);
}

/* ---- learning ---- */

static void mix_choose(struct mix *m);

static struct mix_shape shape_of(const struct request *r)
{
    struct mix_shape s = {.cpu_milli = r->shared_milli + 1000 * r->exclusive_cpus};
    if (r->devices_count > 0) {
        const struct request_device *d = &r->devices[0];
        s.device_class = d->class_name;
        s.count = d->count;
        s.units = d->units;
        s.models_count = min_u32(d->models_count, MIX_MODELS_MAX);
        for (uint32_t i = 0; i < s.models_count; i++)
            s.models[i] = d->models[i];
    }
    return s;
}

/* Where the shape is counted. When the table is full, in the place of one that has faded. */
static uint32_t mix_find(struct names *names, struct mix *m, const struct mix_shape *s)
{
    uint32_t spare = m->seen_count;
    for (uint32_t i = 0; i < m->seen_count; i++) {
        if (shape_equal(&m->seen[i], s))
            return i;
        if (m->seen[i].arrived == 0)
            spare = i;
    }
    if (spare == MIX_SHAPES_MAX)
        return MIX_SHAPES_MAX;
    if (spare < m->seen_count)
        held__of_mix_shape(&m->seen[spare], held__drop, names);
    m->seen_count += spare == m->seen_count;
    m->seen[spare] = *s;
    held__of_mix_shape(s, held__take, names);
    return spare;
}

void mix__arrived(struct ledger *l, struct class *c)
{
    struct mix *m = &l->mix;
    if (!l->has_devices || l->is_question)
        return;
    struct mix_shape s = shape_of(&c->r);
    if (c->mix_seen >= m->seen_count || !shape_equal(&m->seen[c->mix_seen], &s))
        c->mix_seen = mix_find(&l->names, m, &s);
    if (c->mix_seen < MIX_SHAPES_MAX)
        m->seen[c->mix_seen].arrived++;
    if (++m->arrived < m->next)
        return;
    mix_choose(m);
    m->next = m->arrived + max_u64(STEP_FIRST, min_u64(m->arrived / STEP_PART, FADE_EVERY));
    m->epoch++;
    l->rules_epoch++; /* Every cost changed. */
}

/* By frequency; equals by content, which every run sees alike. */
static bool shape_before(const struct mix_shape *a, const struct mix_shape *b)
{
    if (a->arrived != b->arrived)
        return a->arrived > b->arrived;
    if (a->cpu_milli != b->cpu_milli)
        return a->cpu_milli < b->cpu_milli;
    if (a->count != b->count)
        return a->count < b->count;
    return a->units < b->units;
}

static void usual_insert(struct mix *m, const struct mix_shape *s)
{
    uint32_t k = m->count;
    if (k == MIX_USUAL_MAX && !shape_before(s, &m->shapes[k - 1]))
        return;
    if (k == MIX_USUAL_MAX)
        k--;
    else
        m->count++;
    for (; k > 0 && shape_before(s, &m->shapes[k - 1]); k--)
        m->shapes[k] = m->shapes[k - 1];
    m->shapes[k] = *s;
}

static void mix_choose(struct mix *m)
{
    uint64_t all = 0;
    bool fades = m->arrived / FADE_EVERY > m->faded;

    m->faded += fades;
    m->count = 0;
    for (uint32_t i = 0; i < m->seen_count; i++) {
        m->seen[i].arrived >>= fades; /* What came long ago counts less and less. */
        if (m->seen[i].arrived > 0)
            usual_insert(m, &m->seen[i]);
    }
    for (uint32_t i = 0; i < m->count; i++)
        all += m->shapes[i].arrived;
    for (uint32_t i = 0; i < m->count; i++)
        m->shapes[i].weight = m->shapes[i].arrived * WEIGHT_ONE / all;
}

/* ---- measuring ---- */

/* What a node has free, as far as fragments are concerned. */
struct view {
    const struct node *n;
    uint64_t cpu_milli;
    uint16_t free[TOPOLOGY_DEVICES_MAX]; /* Thousandths, by device. */
};

static bool model_ok(const struct mix_shape *s, uint32_t model)
{
    bool ok = s->models_count == 0;
    for (uint32_t i = 0; i < s->models_count; i++)
        ok |= s->models[i] == model;
    return ok;
}

static uint64_t fragment(const struct view *v, const struct mix_shape *s)
{
    uint32_t least = s->units == 0 ? TOPOLOGY_DEVICE_UNITS : s->units, usable = 0;
    uint64_t all = 0, small = 0;
    for (uint32_t i = 0; i < v->n->devices_count; i++) {
        const struct node_device *d = &v->n->devices[i];
        bool serves =
            d->class_name == s->device_class && v->free[i] >= least && model_ok(s, d->model_name);
        all += v->free[i];
        small += serves ? 0 : v->free[i];
        usable += serves;
    }
    bool runs = s->count > 0 && usable >= s->count && v->cpu_milli >= s->cpu_milli;
    return runs ? small : all;
}

static uint64_t fragments(const struct mix *m, const struct view *v)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < m->count; i++)
        sum += m->shapes[i].weight * fragment(v, &m->shapes[i]);
    return sum;
}

static void view_fill(struct view *v, const struct node *n)
{
    uint64_t pool = 1000ull * n->pool_threads, held = n->system_cpu_milli + n->shared_held;
    v->n = n;
    v->cpu_milli = pool > held ? pool - held : 0;
    for (uint32_t i = 0; i < n->devices_count; i++)
        v->free[i] = (uint16_t)((n->devices[i].units - n->devices[i].used) *
                                (n->devices[i].units == 1 ? TOPOLOGY_DEVICE_UNITS : 1));
}

uint64_t mix__fragments(const struct ledger *l, const struct node *n)
{
    struct view v;
    view_fill(&v, n);
    return fragments(&l->mix, &v);
}

int64_t mix__cost(const struct ledger *l, const struct node *n, const struct request *r,
                  const struct fit_device *devices, uint32_t devices_count, uint64_t before)
{
    struct view v;
    uint64_t taken = r->shared_milli + 1000ull * n->shape->core_threads_max *
                                           fit__cores_of(r, n->shape->core_threads_min);
    view_fill(&v, n);
    v.cpu_milli = v.cpu_milli > taken ? v.cpu_milli - taken : 0;
    for (uint32_t i = 0; i < devices_count; i++)
        v.free[devices[i].index] =
            (uint16_t)(v.free[devices[i].index] - (n->devices[devices[i].index].units == 1
                                                       ? TOPOLOGY_DEVICE_UNITS
                                                       : devices[i].units));
    int64_t grown = (int64_t)fragments(&l->mix, &v) - (int64_t)before;
    return grown * FRAGMENT_COST / WEIGHT_ONE;
}

/* No placement lowers fragments by more than the thousandths it takes. */
int64_t mix__gain_most(const struct ledger *l, const struct request *r)
{
    return l->mix.count == 0 ? 0 : (int64_t)cost__devices_wanted(r) * FRAGMENT_COST + FRAGMENT_COST;
}
