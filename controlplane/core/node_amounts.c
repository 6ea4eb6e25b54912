/* SPDX-License-Identifier: Apache-2.0 */
/* A Node's capacity and allocatable: what its agent found, what it gives away, and what others advertise. */
#include "base/check.h"
#include "controlplane/core/node_priv.h"

#include <stdlib.h>

static uint64_t memory_of(const Baton__NodeHardwareSpec *hw)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < hw->n_numa_nodes; i++)
        bytes += hw->numa_nodes[i]->memory_bytes;
    return bytes;
}

static uint64_t hugepages_of(const Baton__NodeHardwareSpec *hw, uint64_t page)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < hw->n_numa_nodes; i++)
        for (size_t k = 0; k < hw->numa_nodes[i]->n_hugepages; k++)
            if (hw->numa_nodes[i]->hugepages[k]->page_bytes == page)
                bytes += page * hw->numa_nodes[i]->hugepages[k]->pages;
    return bytes;
}

static void *amount(struct core *c, const char *key, Resource__Quantity *value, bool allocatable)
{
    Core__NodeStatus__CapacityEntry *to =
        node__message(c, sizeof *to,
                      allocatable ? &core__node_status__allocatable_entry__descriptor
                                  : &core__node_status__capacity_entry__descriptor);
    to->key = (char *)key;
    to->value = value;
    return to;
}

struct amount_row {
    const char *key;
    Resource__Quantity *value;
};

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct amount_row *)a)->key, ((const struct amount_row *)b)->key);
}

static uint32_t device_row(struct core *c, const Baton__NodeHardwareSpec *hw, struct str name,
                           struct amount_row *rows, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++)
        if (str_is(name, rows[k].key))
            return count;
    rows[count] =
        (struct amount_row){name.at, objects_milli(&c->turn, 1000 * sched_devices_count(hw, name))};
    return count + 1;
}

/* A row for each name under which it gives devices away, and for their thousandths: what is had of the one is
 * free of neither. */
static uint32_t device_rows(struct core *c, const Baton__NodeHardwareSpec *hw,
                            struct amount_row *rows)
{
    uint32_t count = 0;
    for (size_t i = 0; i < hw->n_devices; i++) {
        struct str name = str_of(hw->devices[i]->resource);
        if (name.len == 0)
            continue;
        count = device_row(c, hw, name, rows, count);
        if (hw->devices[i]->milli)
            count = device_row(c, hw, arena_printf(&c->turn, STR_FMT "-milli", STR_ARG(name)), rows,
                               count);
    }
    return count;
}

/* What somebody else advertises stays, unless the name means exact devices. */
static uint32_t foreign_rows(struct core *c, const Core__NodeStatus *before,
                             struct amount_row *rows)
{
    struct cluster *k = c->cluster;
    uint32_t count = 0, id;
    for (size_t i = 0; i < before->n_capacity; i++) {
        struct str name = str_of(before->capacity[i]->key);
        if (str_find(name, '/', 0) < name.len &&
            names_intern(ledger_names(k->ledger), name, &id, NULL) == ERR_OK &&
            !sched_classes_have(&k->classes, id))
            rows[count++] = (struct amount_row){name.at, before->capacity[i]->value};
    }
    return count;
}

/* Both lists are the same pair; allocatable is what is left of capacity. */
static Core__NodeStatus__CapacityEntry **amounts(struct core *c, const Baton__NodeHardwareSpec *hw,
                                                 const Core__NodeStatus *before, bool allocatable,
                                                 size_t *out_count)
{
    uint64_t milli = 1000ull * hw->n_threads, memory = memory_of(hw);
    uint64_t small = hugepages_of(hw, 2ull << 20), large = hugepages_of(hw, 1ull << 30);
    uint64_t disk = hw->storage_bytes;
    if (allocatable) {
        milli -= milli > hw->system_cpu_millis ? hw->system_cpu_millis : 0;
        memory -= min_u64(memory, hw->system_memory_bytes + small + large);
        disk -= min_u64(disk, hw->reserved_storage_bytes);
    }
    const struct amount_row own[] = {
        {"cpu", objects_milli(&c->turn, milli)},
        {"hugepages-1Gi", objects_bytes(&c->turn, large)},
        {"hugepages-2Mi", objects_bytes(&c->turn, small)},
        {"memory", objects_bytes(&c->turn, memory)},
        {"pods", objects_milli(&c->turn, 1000ull * (hw->workloads_max ? hw->workloads_max : 110))},
        {"ephemeral-storage", objects_bytes(&c->turn, disk)},
    };
    size_t most = COUNT_OF(own) + 2 * hw->n_devices + before->n_capacity;
    struct amount_row *rows = arena_zalloc(&c->turn, most, sizeof *rows);
    Core__NodeStatus__CapacityEntry **at = arena_zalloc(&c->turn, most, sizeof *at);
    CHECK(rows != NULL && at != NULL);
    uint32_t count = COUNT_OF(own) - (hw->storage_bytes == 0);
    memcpy(rows, own, count * sizeof *rows);
    count += device_rows(c, hw, rows + count);
    count += foreign_rows(c, before, rows + count);
    qsort(rows, count, sizeof *rows, by_key); /* Map entries are stored by rising key. */
    for (uint32_t i = 0; i < count; i++)
        at[i] = amount(c, rows[i].key, rows[i].value, allocatable);
    *out_count = count;
    return at;
}

/* Allocatable first: other names in it are capacity's, which is replaced. */
void node__amounts(struct core *c, const Baton__NodeHardwareSpec *hw, Core__NodeStatus *st)
{
    st->allocatable =
        (Core__NodeStatus__AllocatableEntry **)(void *)amounts(c, hw, st, true, &st->n_allocatable);
    st->capacity = amounts(c, hw, st, false, &st->n_capacity);
}
