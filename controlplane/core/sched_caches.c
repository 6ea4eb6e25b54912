/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways and bandwidth of caches between the cluster's words and the scheduler's numbers. A way's number is its
 * bit in the mask. Each workload that has some needs a class of service of the CPU's: a counted resource.
 */
#include "controlplane/core/sched_view.h"

static bool wants(const struct request *r)
{
    return r->cache_ways > 0 || r->bandwidth_mbps > 0;
}

enum err_code sched_caches_want(struct names *n, struct arena *a, struct request *out,
                                struct err *e)
{
    struct request_scalar *at = arena_zalloc(a, out->scalars_count + 1, sizeof *at);
    if (!wants(out))
        return ERR_OK;
    if (at == NULL || out->scalars_count == REQUEST_LIST_MAX)
        return err_set(e, ERR_LIMIT, "more than %d resources", REQUEST_LIST_MAX);
    for (uint32_t i = 0; i < out->scalars_count; i++)
        at[i] = out->scalars[i];
    at[out->scalars_count].amount = 1;
    out->scalars = at;
    return names_intern(n, STR(SCHED_CACHE_GROUPS), &at[out->scalars_count++].name, e);
}

enum err_code sched_caches_rows(struct arena *a, const struct placement *rows,
                                Baton__PlacementSpec *out, struct err *e)
{
    if (rows->caches_count == 0)
        return ERR_OK;
    out->caches = arena_zalloc(a, rows->caches_count, sizeof *out->caches);
    for (uint32_t i = 0; out->caches != NULL && i < rows->caches_count; i++) {
        const struct placement_cache *from = &rows->caches[i];
        Baton__CacheGrant *to = arena_alloc(a, sizeof *to);
        if (to == NULL)
            break;
        baton__cache_grant__init(to);
        to->has_cache_domain = true;
        to->cache_domain = from->llc;
        to->has_ways_mask = from->ways > 0;
        to->ways_mask = ((1ull << from->ways) - 1) << from->way_first;
        to->has_bandwidth_percent = from->bandwidth_mbps > 0;
        to->bandwidth_percent = from->bandwidth_mbps;
        out->caches[out->n_caches++] = to;
    }
    return out->n_caches == rows->caches_count
               ? ERR_OK
               : err_set(e, ERR_LIMIT, "the placement is too large");
}

enum err_code sched_caches_stored(const Baton__PlacementSpec *spec, struct placement *out,
                                  struct err *e)
{
    if (spec->n_caches > TOPOLOGY_LLCS_MAX)
        return err_set(e, ERR_LIMIT, "%zu cache domains are stored", spec->n_caches);
    for (size_t i = 0; i < spec->n_caches; i++) {
        const Baton__CacheGrant *from = spec->caches[i];
        uint64_t mask = from->ways_mask;
        out->caches[out->caches_count++] =
            (struct placement_cache){.llc = from->cache_domain,
                                     .way_first = mask == 0 ? 0 : (uint32_t)__builtin_ctzll(mask),
                                     .ways = (uint32_t)__builtin_popcountll(mask),
                                     .bandwidth_mbps = from->bandwidth_percent};
    }
    return ERR_OK;
}

/* As it was decided, whatever the workload's annotations say by now. */
void sched_caches_restored(struct names *n, struct arena *a, const Baton__PlacementSpec *spec,
                           struct request *out)
{
    struct placement stored;
    struct request_scalar *at = (struct request_scalar *)out->scalars;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < out->scalars_count; i++)
        if (!str_eq(names_text(n, at[i].name), STR(SCHED_CACHE_GROUPS)))
            at[kept++] = at[i];
    out->scalars_count = kept;
    out->cache_ways = out->bandwidth_mbps = 0;
    if (spec->n_caches == 0)
        return; /* Most; what follows is large. */
    stored = (struct placement){0};
    if (sched_caches_stored(spec, &stored, NULL) != ERR_OK)
        return;
    out->cache_ways = stored.caches[0].ways;
    out->bandwidth_mbps = stored.caches[0].bandwidth_mbps;
    if (sched_caches_want(n, a, out, NULL) != ERR_OK)
        out->scalars_count = kept; /* Names are full: it is counted as nothing. */
}
