/* SPDX-License-Identifier: Apache-2.0 */
/* Several workloads in one decision, with or without others leaving; and rows that are kept for who waits for more. */
#include "base/check.h"
#include "scheduler/preempt.h"
#include "scheduler/search_priv.h"

static uint64_t size_of(const struct request *r)
{
    return (uint64_t)r->exclusive_cpus * 1000 + r->shared_milli + (r->memory_bytes >> 20) +
           100000ull * r->devices_count;
}

/* Largest first; equals keep the caller's order. */
static void by_size(const struct request *members, uint32_t count, uint32_t *out_order)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t k = i;
        for (; k > 0 && size_of(&members[out_order[k - 1]]) < size_of(&members[i]); k--)
            out_order[k] = out_order[k - 1];
        out_order[k] = i;
    }
}

static enum err_code check_count(uint32_t count, struct err *e)
{
    if (count == 0 || count > REQUEST_GANG_MAX)
        return err_set(e, ERR_LIMIT, "a gang has 1 to %u members", REQUEST_GANG_MAX);
    return ERR_OK;
}

enum err_code ledger_place_gang(struct ledger *l, const struct request *members, uint32_t count,
                                uint64_t *out_holds, uint32_t *out_failed, struct err *e)
{
    uint32_t order[REQUEST_GANG_MAX], placed = 0;
    uint64_t holds[REQUEST_GANG_MAX];
    enum err_code rc = check_count(count, e);
    if (rc != ERR_OK)
        return rc;
    by_size(members, count, order);
    for (; placed < count && rc == ERR_OK; placed += rc == ERR_OK)
        rc = ledger_place(l, &members[order[placed]], &holds[order[placed]], NULL, e);
    if (rc == ERR_OK) {
        memcpy(out_holds, holds, count * sizeof *holds);
        return ERR_OK;
    }
    *out_failed = order[placed];
    while (placed > 0)
        ledger_undo(l, holds[order[--placed]]);
    return rc;
}

enum err_code plan_place_gang(struct plan *p, const struct request *members, uint32_t count,
                              struct plan_step *out, uint32_t *out_failed, struct err *e)
{
    uint32_t order[REQUEST_GANG_MAX], mark = plan_mark(p);
    int32_t least = INT32_MAX;
    bool polite = false;
    enum err_code rc = check_count(count, e);
    if (rc != ERR_OK)
        return rc;
    by_size(members, count, order);
    for (uint32_t i = 0; i < count; i++) {
        least = members[i].priority < least ? members[i].priority : least;
        polite |= members[i].never_preempts;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct request r = members[order[i]];
        r.priority = least; /* Of one gang nobody leaves for another. */
        r.never_preempts = polite;
        rc = plan_place(p, &r, &out[order[i]], e);
        if (rc == ERR_OK)
            continue;
        *out_failed = order[i];
        plan_back(p, mark);
        return rc;
    }
    return ERR_OK;
}

/* ---- could they ever? ---- */

/* Amounts that add up, of a node or of members together. */
enum amount { THREADS, CPU_MILLI, MEMORY, HUGE_2M, HUGE_1G, DEVICES, PODS, AMOUNTS };

struct amounts {
    uint64_t at[AMOUNTS];
};

/* Different requests among the members; of so many it is asked which nodes they fit. */
enum { KINDS_MAX = 16 };

struct kinds {
    struct class *at[KINDS_MAX];
    bool served[KINDS_MAX]; /* Some node could hold one. */
    uint32_t count;
};

/* No node takes less for it. */
static struct amounts amounts_of(const struct request *r)
{
    struct amounts a = {.at = {[THREADS] = r->exclusive_cpus,
                               [CPU_MILLI] = 1000ull * r->exclusive_cpus + r->shared_milli,
                               [MEMORY] = r->memory_bytes + r->overhead_bytes,
                               [HUGE_2M] = r->hugepages_2m,
                               [HUGE_1G] = r->hugepages_1g,
                               [PODS] = 1}};
    for (uint32_t i = 0; i < r->devices_count; i++)
        a.at[DEVICES] += (uint64_t)r->devices[i].count *
                         (r->devices[i].units == 0 ? TOPOLOGY_DEVICE_UNITS : r->devices[i].units);
    return a;
}

/* The node never has more. */
static struct amounts amounts_empty(const struct node *n)
{
    const struct shape *s = n->shape;
    uint64_t milli = 1000ull * s->threads_count;
    struct amounts a = {
        .at = {[CPU_MILLI] = milli > n->system_cpu_milli ? milli - n->system_cpu_milli : 0,
               [DEVICES] = (uint64_t)n->devices_count * TOPOLOGY_DEVICE_UNITS,
               [PODS] = n->pods_max}};
    for (uint32_t i = 0; i < s->numa_count; i++) {
        a.at[THREADS] += s->numa_usable[i] * s->core_threads_max;
        a.at[MEMORY] += n->numa[i].memory_total;
        a.at[HUGE_2M] += n->numa[i].huge2m_total;
        a.at[HUGE_1G] += n->numa[i].huge1g_total;
    }
    return a;
}

/* No more members have room, each of them taking at least so much. */
static uint64_t seats_of(const struct amounts *has, const struct amounts *least)
{
    uint64_t seats = UINT32_MAX;
    for (uint32_t i = 0; i < AMOUNTS; i++)
        if (least->at[i] > 0)
            seats = min_u64(seats, has->at[i] / least->at[i]);
    return seats;
}

/* One reference to each. */
static void kinds_take(struct ledger *l, struct kinds *k, const struct request *members,
                       uint32_t count)
{
    for (uint32_t m = 0; m < count && k->count < KINDS_MAX; m++) {
        bool known = false;
        if (class__intern(l, &members[m], &k->at[k->count], NULL) != ERR_OK)
            continue;
        for (uint32_t i = 0; i < k->count; i++)
            known |= k->at[i] == k->at[k->count];
        if (known)
            class__unref(l, k->at[k->count]);
        k->count += !known;
    }
}

static bool serves(const struct node *n, struct kinds *k)
{
    bool any = k->count == KINDS_MAX; /* There may be others, that it serves. */
    for (uint32_t i = 0; i < k->count; i++) {
        struct fit f;
        bool fits = fit__node(n, &k->at[i]->r, true, &f) == EXPLAIN_FITS;
        k->served[i] |= fits;
        any |= fits;
    }
    return any;
}

bool ledger_gang_is_hopeless(struct ledger *l, const struct request *members, uint32_t count)
{
    struct amounts all = {{0}}, least = amounts_of(&members[0]), room = {{0}};
    struct kinds kinds = {.count = 0};
    uint64_t seats = 0;
    bool hopeless = false;
    for (uint32_t m = 0; m < count; m++) {
        struct amounts one = amounts_of(&members[m]);
        for (uint32_t i = 0; i < AMOUNTS; i++) {
            all.at[i] += one.at[i];
            least.at[i] = min_u64(least.at[i], one.at[i]);
        }
    }
    kinds_take(l, &kinds, members, count);
    for (uint32_t i = 0; i < l->nodes.count; i++) {
        const struct node *n = ledger__node(l, i);
        if (n == NULL || n->removed || !serves(n, &kinds))
            continue;
        struct amounts has = amounts_empty(n);
        seats += seats_of(&has, &least);
        for (uint32_t a = 0; a < AMOUNTS; a++)
            room.at[a] += has.at[a];
    }
    for (uint32_t i = 0; i < AMOUNTS; i++)
        hopeless |= all.at[i] > room.at[i];
    for (uint32_t i = 0; i < kinds.count; i++) {
        hopeless |= !kinds.served[i];
        class__unref(l, kinds.at[i]);
    }
    return (hopeless || seats < count) && l->nodes_count > 0;
}

/* ---- rows kept ---- */

struct keeping {
    const struct node *n;
    const struct placement *rows;
    struct placement *kept;
    struct request *r;
    struct request_scalar *scalars;
    uint64_t shared; /* Of the pool, milli, beside what others hold. */
};

static void keep_core(struct keeping *k, uint32_t core)
{
    const struct shape *s = k->n->shape;
    uint32_t threads = s->core_threads[core], wanted = 0;
    bool taken = k->n->taken[core / 64] >> core % 64 & 1;
    for (uint32_t i = 0; i < k->rows->cpus_count && !taken && k->shared >= 1000ull * threads; i++)
        for (uint32_t t = 0; t < threads; t++)
            if (s->os_cpu[s->core_first[core] + t] == k->rows->cpus[i]) {
                k->kept->cpus[k->kept->cpus_count++] = k->rows->cpus[i];
                wanted++;
            }
    if (wanted == 0)
        return; /* Another's, or the pool cannot do without it yet. */
    k->kept->cores[k->kept->cores_count++] = (uint16_t)core;
    k->shared -= 1000ull * threads;
}

/* A core that cannot be had yet is kept as a part of the pool, as far as that goes: it is the pool that it comes out of. */
static void keep_cpu(struct keeping *k)
{
    const struct shape *s = k->n->shape;
    uint64_t shared = k->rows->shared_milli;
    for (uint32_t i = 0; i < k->rows->cores_count; i++) {
        uint32_t core = k->rows->cores[i], before = k->kept->cores_count;
        if (core >= s->cores_count)
            continue;
        keep_core(k, core);
        bool taken = k->n->taken[core / 64] >> core % 64 & 1;
        shared += k->kept->cores_count == before && !taken ? 1000ull * s->core_threads[core] : 0;
    }
    k->r->exclusive_cpus = k->kept->cpus_count;
    k->r->shared_milli = k->kept->shared_milli =
        (uint32_t)(shared < k->shared ? shared : k->shared);
}

static void keep_memory(struct keeping *k)
{
    for (uint32_t i = 0; i < k->n->shape->numa_count; i++) {
        const struct node_numa *free = &k->n->numa[i];
        struct placement_memory *m = &k->kept->memory[i];
        *m = k->rows->memory[i];
        m->bytes = m->bytes < free->memory_free ? m->bytes : free->memory_free;
        m->hugepages_2m = min_u32(m->hugepages_2m, free->huge2m_free);
        m->hugepages_1g = min_u32(m->hugepages_1g, free->huge1g_free);
        k->r->memory_bytes += m->bytes;
        k->r->hugepages_2m += m->hugepages_2m;
        k->r->hugepages_1g += m->hugepages_1g;
    }
}

static void keep_devices(struct keeping *k)
{
    for (uint32_t i = 0; i < k->rows->devices_count; i++) {
        const struct placement_device *want = &k->rows->devices[i];
        for (uint32_t d = 0; d < k->n->devices_count; d++) {
            const struct node_device *is = &k->n->devices[d];
            uint32_t units = want->units == 0 ? is->units : want->units;
            if (is->class_name == want->class_name && is->id_name == want->id_name &&
                units <= (uint32_t)is->units - is->used)
                k->kept->devices[k->kept->devices_count++] = *want;
        }
    }
    for (uint32_t i = 0; i < k->r->scalars_count; i++) {
        uint64_t free = 0;
        for (uint32_t s = 0; s < k->n->scalars_count; s++)
            if (k->n->scalars[s].name == k->scalars[i].name)
                free = k->n->scalars[s].amount - k->n->scalars[s].held;
        k->scalars[i].amount = free < k->scalars[i].amount ? free : k->scalars[i].amount;
    }
}

static void keep_ports(struct keeping *k)
{
    for (uint32_t i = 0; i < k->rows->ports_count; i++)
        if (!rows__port_taken(k->n, &k->rows->ports[i]))
            k->kept->ports[k->kept->ports_count++] = k->rows->ports[i];
    k->r->ports = k->kept->ports;
    k->r->ports_count = k->kept->ports_count;
}

uint64_t ledger_keep(struct ledger *l, const struct request *r, const struct placement *rows)
{
    struct placement kept = {.node_name = rows->node_name};
    struct request_scalar scalars[REQUEST_LIST_MAX];
    struct request hold = {.priority = r->priority,
                           .one_thread_per_core = r->one_thread_per_core,
                           .scalars = scalars,
                           .scalars_count = r->scalars_count};
    const struct node *n = ledger__node(l, ledger_node_find(l, rows->node_name));
    struct fit f;
    uint64_t name = 0;
    if (n == NULL || r->scalars_count > REQUEST_LIST_MAX || n->holds_count >= n->pods_max)
        return 0;
    uint64_t pool = 1000ull * n->pool_threads, held = n->system_cpu_milli + n->shared_held;
    if (r->scalars_count > 0)
        memcpy(scalars, r->scalars, r->scalars_count * sizeof *scalars);
    struct keeping k = {n, rows, &kept, &hold, scalars, pool > held ? pool - held : 0};
    keep_cpu(&k);
    keep_memory(&k);
    keep_devices(&k);
    keep_ports(&k);
    bool any = hold.exclusive_cpus + hold.shared_milli + kept.devices_count + kept.ports_count +
                   hold.scalars_count >
               0;
    any |= hold.memory_bytes + hold.hugepages_2m + hold.hugepages_1g > 0;
    if (!any || rows__check(n, &hold, &kept, &f, NULL) != ERR_OK ||
        ledger_restore(l, &hold, &kept, &name, NULL) != ERR_OK)
        return 0;
    return name;
}
