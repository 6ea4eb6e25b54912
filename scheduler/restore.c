/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows that a stored Placement names, held again. What is stored is input: a row that is not there
 * or belongs to another is an error for the caller and marks the node; it never ends the program.
 */
#include "scheduler/search_priv.h"

static enum err_code check_cores(const struct node *n, const struct request *r,
                                 const struct placement *rows, struct fit *out, struct err *e);
static enum err_code check_memory(const struct node *n, const struct request *r,
                                  const struct placement *rows, struct fit *out, struct err *e);
static enum err_code check_devices(const struct node *n, const struct request *r,
                                   const struct placement *rows, struct fit *out, struct err *e);
static enum err_code check_network(const struct node *n, const struct request *r,
                                   const struct placement *rows, struct fit *out, struct err *e);

enum err_code rows__check(const struct node *n, const struct request *r,
                          const struct placement *rows, struct fit *out, struct err *e)
{
    static enum err_code (*const checks[])(const struct node *, const struct request *,
                                           const struct placement *, struct fit *, struct err *) = {
        check_cores, check_memory, check_devices, check_network};
    *out = (struct fit){.reason = EXPLAIN_FITS, .address = FIT_ADDRESS_ANY};
    for (size_t i = 0; i < COUNT_OF(checks); i++) {
        enum err_code rc = checks[i](n, r, rows, out, e);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

static uint32_t core_of_cpu(const struct shape *s, uint32_t cpu)
{
    for (uint32_t c = 0; c < s->cores_count; c++)
        for (uint32_t k = 0; k < s->core_threads[c]; k++)
            if (s->os_cpu[s->core_first[c] + k] == cpu)
                return c;
    return s->cores_count;
}

/* Those that are stored for the domain, and nobody's. */
static bool check_ways(const struct node_llc *llc, const struct request *r,
                       const struct placement *rows, uint32_t index, struct fit *out)
{
    if (r->cache_ways == 0)
        return true;
    for (uint32_t i = 0; i < rows->caches_count && i < TOPOLOGY_LLCS_MAX; i++) {
        const struct placement_cache *c = &rows->caches[i];
        if (c->llc != index)
            continue;
        out->way_first[index] = (uint8_t)c->way_first;
        return c->ways == r->cache_ways && c->ways <= llc->ways_total &&
               c->way_first <= llc->ways_total - c->ways &&
               (rows__ways(c->way_first, c->ways) & llc->ways_held) == 0;
    }
    return false;
}

static enum err_code check_cores(const struct node *n, const struct request *r,
                                 const struct placement *rows, struct fit *out, struct err *e)
{
    const struct shape *s = n->shape;
    uint64_t named[CORE_WORDS] = {0}, seen[TOPOLOGY_OS_CPU_MAX / 64] = {0};
    uint8_t cpus_of[TOPOLOGY_CORES_MAX] = {0};

    if (rows->cpus_count != r->exclusive_cpus || rows->cpus_count > TOPOLOGY_THREADS_MAX ||
        rows->cores_count > TOPOLOGY_CORES_MAX)
        return err_set(e, ERR_CONFLICT, "%u CPUs wanted, %u stored", r->exclusive_cpus,
                       rows->cpus_count);
    for (uint32_t i = 0; i < rows->cores_count; i++) {
        if (rows->cores[i] >= s->cores_count)
            return err_set(e, ERR_CONFLICT, "core %u is not there", rows->cores[i]);
        named[rows->cores[i] / 64] |= 1ull << rows->cores[i] % 64;
    }
    for (uint32_t i = 0; i < rows->cpus_count; i++) {
        uint32_t core = core_of_cpu(s, rows->cpus[i]);
        if (core == s->cores_count || !(named[core / 64] >> core % 64 & 1))
            return err_set(e, ERR_CONFLICT, "CPU %u is not on a stored core", rows->cpus[i]);
        if (seen[rows->cpus[i] / 64] >> rows->cpus[i] % 64 & 1)
            return err_set(e, ERR_CONFLICT, "CPU %u is stored twice", rows->cpus[i]);
        seen[rows->cpus[i] / 64] |= 1ull << rows->cpus[i] % 64;
        out->cpus_each = max_u32(out->cpus_each, ++cpus_of[core]);
    }
    for (uint32_t w = 0; w < s->words; w++) {
        uint64_t twice = named[w] & n->taken[w];
        if (twice != 0)
            return err_set(e, ERR_CONFLICT, "core %u is held by another",
                           w * 64 + (uint32_t)__builtin_ctzll(twice));
        out->cores[w] = named[w];
        out->cores_count += (uint32_t)__builtin_popcountll(named[w]);
    }
    if ((r->cache_ways > 0 || r->bandwidth_mbps > 0) && n->llcs == NULL)
        return err_set(e, ERR_CONFLICT, "cache rows are stored, the node has none");
    for (uint32_t i = 0; i < rows->cores_count && n->llcs != NULL; i++) {
        const struct node_llc *llc = &n->llcs[s->core_llc[rows->cores[i]]];
        if (r->bandwidth_mbps > llc->bandwidth_free ||
            !check_ways(llc, r, rows, s->core_llc[rows->cores[i]], out))
            return err_set(e, ERR_CONFLICT, "cache ways or bandwidth of domain %u are short",
                           s->core_llc[rows->cores[i]]);
    }
    return ERR_OK;
}

static enum err_code check_memory(const struct node *n, const struct request *r,
                                  const struct placement *rows, struct fit *out, struct err *e)
{
    uint64_t bytes = 0, huge2m = 0, huge1g = 0;
    for (uint32_t i = 0; i < TOPOLOGY_NUMA_MAX; i++) {
        const struct placement_memory *m = &rows->memory[i];
        if (m->bytes == 0 && m->hugepages_2m == 0 && m->hugepages_1g == 0)
            continue;
        if (i >= n->shape->numa_count)
            return err_set(e, ERR_CONFLICT, "NUMA node %u is not there", i);
        if (m->bytes > n->numa[i].memory_free || m->hugepages_2m > n->numa[i].huge2m_free ||
            m->hugepages_1g > n->numa[i].huge1g_free)
            return err_set(e, ERR_CONFLICT, "memory of NUMA node %u is short", i);
        bytes += m->bytes;
        huge2m += m->hugepages_2m;
        huge1g += m->hugepages_1g;
        out->memory[i] = *m;
        out->memory_mask |= 1u << i;
    }
    if (bytes != r->memory_bytes + r->overhead_bytes || huge2m != r->hugepages_2m ||
        huge1g != r->hugepages_1g)
        return err_set(e, ERR_CONFLICT, "stored memory is not what the workload wants");
    return ERR_OK;
}

static enum err_code check_device(const struct node *n, const struct placement_device *want,
                                  struct fit *out, struct err *e)
{
    for (uint32_t i = 0; i < n->devices_count; i++) {
        const struct node_device *d = &n->devices[i];
        if (d->class_name != want->class_name || d->id_name != want->id_name)
            continue;
        uint32_t units = want->units == 0 ? d->units : want->units;
        for (uint32_t k = 0; k < out->devices_count; k++)
            if (out->devices[k].index == i)
                return err_set(e, ERR_CONFLICT, "a device is stored twice");
        if (units > (uint32_t)d->units - d->used)
            return err_set(e, ERR_CONFLICT, "a device is held by another");
        out->devices[out->devices_count++] = (struct fit_device){(uint16_t)i, (uint16_t)units};
        return ERR_OK;
    }
    return err_set(e, ERR_CONFLICT, "a device is not there");
}

static enum err_code check_devices(const struct node *n, const struct request *r,
                                   const struct placement *rows, struct fit *out, struct err *e)
{
    if (rows->devices_count > PLACEMENT_DEVICES_MAX)
        return err_set(e, ERR_CONFLICT, "%u devices are stored", rows->devices_count);
    for (uint32_t i = 0; i < rows->devices_count; i++) {
        enum err_code rc = check_device(n, &rows->devices[i], out, e);
        if (rc != ERR_OK)
            return rc;
    }
    for (uint32_t i = 0; i < r->scalars_count; i++) {
        uint64_t free = 0;
        for (uint32_t k = 0; k < n->scalars_count; k++)
            if (n->scalars[k].name == r->scalars[i].name)
                free = n->scalars[k].amount - n->scalars[k].held;
        if (free < r->scalars[i].amount)
            return err_set(e, ERR_CONFLICT, "an extended resource is short");
    }
    return ERR_OK;
}

static enum err_code check_network(const struct node *n, const struct request *r,
                                   const struct placement *rows, struct fit *out, struct err *e)
{
    for (uint32_t i = 0; i < r->ports_count; i++)
        if (rows__port_taken(n, &r->ports[i]))
            return err_set(e, ERR_CONFLICT, "port %u is held by another", r->ports[i].port);
    if (!r->address_wanted && !r->mac_wanted)
        return ERR_OK;
    uint64_t index =
        r->address_wanted ? (uint64_t)rows->address - n->address_first : rows->mac - n->mac_first;
    if (index >= n->addresses_count || (r->mac_wanted && rows->mac != n->mac_first + index))
        return err_set(e, ERR_CONFLICT, "stored address or MAC is not of this node");
    if (n->addresses[index / 64] >> index % 64 & 1)
        return err_set(e, ERR_CONFLICT, "pod address is held by another");
    out->address = (uint32_t)index;
    return ERR_OK;
}
