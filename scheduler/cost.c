/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left over on a node, as one number.
 *
 * Each kind of row counts by its share of the largest node in the cluster, so that a core, a
 * gigabyte and a GPU are comparable and a small node is not full only because it is small. Shares
 * are integers of 2^-20, rounded down on the node and in the request apart, so that what a node
 * costs is its left-over minus a constant of the class and the machine. Packing takes the least left
 * over, spreading the most. Rows that cross sockets or NUMA nodes cost more than any left-over.
 */
#include "scheduler/search_priv.h"

enum { SHARE_BITS = 20, SCALE_BITS = 40, SPLIT_BITS = 44 };

uint64_t cost__devices_total(const struct node *n)
{
    return (uint64_t)n->devices_count * TOPOLOGY_DEVICE_UNITS;
}

uint64_t cost__devices_free(const struct node *n)
{
    uint64_t free = 0;
    for (uint32_t i = 0; i < n->devices_count; i++)
        free += (uint64_t)(n->devices[i].units - n->devices[i].used) *
                (n->devices[i].units == 1 ? TOPOLOGY_DEVICE_UNITS : 1);
    return free;
}

struct capacity {
    uint64_t cpu, memory, devices;
};

static struct capacity capacity_of(const struct node *n)
{
    struct capacity c = {.cpu = 1000ull * n->shape->threads_count,
                         .devices = cost__devices_total(n)};
    for (uint32_t k = 0; k < n->shape->numa_count; k++)
        c.memory += n->numa[k].memory_total;
    c.memory >>= 20;
    return c;
}

static void capacity_raise(struct ledger *l, const struct node *n)
{
    struct capacity c = capacity_of(n);
    l->cpu_most = max_u64(l->cpu_most, c.cpu);
    l->memory_most = max_u64(l->memory_most, c.memory);
    l->devices_most = max_u64(l->devices_most, c.devices);
    l->cpu_scale = (1ull << SCALE_BITS) / l->cpu_most;
    l->memory_scale = (1ull << SCALE_BITS) / l->memory_most;
    l->device_scale = (1ull << SCALE_BITS) / l->devices_most;
}

bool cost__node_came(struct ledger *l, const struct node *n)
{
    uint64_t cpu = l->cpu_most, memory = l->memory_most, devices = l->devices_most;
    capacity_raise(l, n);
    return cpu != l->cpu_most || memory != l->memory_most || devices != l->devices_most;
}

bool cost__node_went(struct ledger *l, const struct node *n)
{
    struct capacity c = capacity_of(n);
    if (c.cpu < l->cpu_most && c.memory < l->memory_most && c.devices < l->devices_most)
        return false;
    cost__reset(l);
    for (uint32_t i = 0; i < l->nodes.count; i++)
        if (ledger__node(l, i) != NULL && !ledger__node(l, i)->removed)
            capacity_raise(l, ledger__node(l, i));
    return true;
}

void cost__reset(struct ledger *l)
{
    l->cpu_most = l->memory_most = l->devices_most = 1;
    l->cpu_scale = l->memory_scale = l->device_scale = 1ull << SCALE_BITS;
}

static uint64_t share(uint64_t amount, uint64_t scale)
{
    return amount * scale >> (SCALE_BITS - SHARE_BITS);
}

static uint64_t left(const struct ledger *l, uint64_t cpu_milli, uint64_t memory_bytes,
                     uint64_t device_units)
{
    return share(cpu_milli, l->cpu_scale) + share(memory_bytes >> 20, l->memory_scale) +
           share(device_units, l->device_scale);
}

/* On a node with devices these are what is scarce, and memory is not counted. */
uint64_t cost__left(const struct ledger *l, const struct node *n)
{
    uint64_t cpu = 1000ull * n->pool_threads;
    uint64_t held = n->system_cpu_milli + n->shared_held;
    cpu = cpu > held ? cpu - held : 0;
    if (n->devices_count > 0)
        return left(l, cpu, 0, cost__devices_free(n));
    return left(l, cpu, n->memory_free, 0);
}

uint64_t cost__taken(const struct ledger *l, const struct request *r, uint32_t threads_min,
                     uint32_t threads_max, bool has_devices)
{
    uint64_t cores = fit__cores_of(r, threads_min);
    uint64_t cpu = 1000 * cores * threads_max + r->shared_milli;
    return has_devices ? left(l, cpu, 0, cost__devices_wanted(r))
                       : left(l, cpu, r->memory_bytes + r->overhead_bytes, 0);
}

int64_t cost__split(uint32_t sockets, uint32_t numa)
{
    return (int64_t)((sockets - 1) * TOPOLOGY_NUMA_MAX + numa - 1) << SPLIT_BITS;
}

int64_t cost__packing_of(const struct ledger *l, const struct node *n, const struct request *r,
                         const struct fit *f)
{
    int64_t packing = cost__packing(r, cost__left(l, n),
                                    cost__taken(l, r, n->shape->core_threads_min,
                                                n->shape->core_threads_max, n->devices_count > 0),
                                    cost__split(f->sockets, f->numa));
    if (r->choice == CHOICE_SPREAD || n->devices_count == 0 || l->mix.count == 0)
        return packing;
    return packing + mix__cost(l, n, r, f->devices, f->devices_count, mix__fragments(l, n));
}
