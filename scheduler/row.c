/* SPDX-License-Identifier: Apache-2.0 */
/* A node in the few numbers that the fast search reads first. Each is rounded so that whoever could
 * be served passes; see columns.h for the units. */
#include "scheduler/search_priv.h"

static uint16_t column(uint64_t amount)
{
    return (uint16_t)min_u64(amount, COLUMN_MAX);
}

static uint16_t column_open(const struct node *n)
{
    if (n->removed || n->marked != NULL || !n->ready || n->holds_count >= n->pods_max)
        return 0;
    if (n->unschedulable)
        return 1;
    for (uint32_t i = 0; i < n->taints_count; i++)
        if (n->taints[i].effect != TAINT_PREFER_NO_SCHEDULE)
            return 1;
    return 2;
}

/* Per NUMA node, and what is the most and the sum over them. */
static void row_numa(const struct node *n, struct columns_row *out)
{
    uint32_t cores = 0, cores_most = 0, memory_most = 0, both_most = 0;
    memcpy(out->hot.cores, n->cores_free, sizeof out->hot.cores);
    for (uint32_t i = 0; i < n->shape->numa_count; i++) {
        uint16_t memory = column(n->numa[i].memory_free >> COLUMN_MEMORY_SHIFT);
        out->hot.memory[i] = memory;
        memory_most = max_u32(memory_most, memory);
        both_most = max_u32(both_most, columns_both(n->cores_free[i], memory));
        cores += n->cores_free[i];
        cores_most = max_u32(cores_most, n->cores_free[i]);
    }
    out->at[COLUMN_CORES] = column(cores);
    out->at[COLUMN_CORES_NUMA] = (uint16_t)cores_most;
    out->at[COLUMN_MEMORY] = column(n->memory_free >> COLUMN_MEMORY_SHIFT);
    out->at[COLUMN_MEMORY_NUMA] = (uint16_t)memory_most;
    out->at[COLUMN_CORES_MEMORY] = (uint16_t)both_most;
    out->at[COLUMN_HUGE2M] = column(n->huge2m_free / 8);
    out->at[COLUMN_HUGE1G] = column(n->huge1g_free);
}

void columns__row(const struct ledger *l, const struct node *n, struct columns_row *out)
{
    uint32_t devices = 0, part = 0;
    uint64_t pool = 1000ull * n->pool_threads, held = n->system_cpu_milli + n->shared_held;
    uint32_t cpu_milli = pool > held ? (uint32_t)(pool - held) : 0;

    for (uint32_t i = 0; i < n->devices_count; i++) {
        devices += n->devices[i].used == 0;
        part = max_u32(part, n->devices[i].units - n->devices[i].used);
    }
    out->hot = (struct columns_hot){.tie = n->tie,
                                    .left = (uint32_t)cost__left(l, n),
                                    .cpu_milli = cpu_milli,
                                    .threads_min = (uint8_t)n->shape->core_threads_min,
                                    .threads_max = (uint8_t)n->shape->core_threads_max,
                                    .has_devices = n->devices_count > 0};
    row_numa(n, out);
    out->at[COLUMN_OPEN] = column_open(n);
    bool odd = n->devices_count > 0 || out->hot.threads_min != out->hot.threads_max;
    out->hot.order = out->at[COLUMN_OPEN] == 0 ? 0 : odd ? COLUMNS_ODD : out->hot.threads_max;
    out->at[COLUMN_CPU] = column(cpu_milli / 32);
    out->at[COLUMN_CPU_MEMORY] =
        (uint16_t)min_u32(out->at[COLUMN_CPU], out->at[COLUMN_MEMORY_NUMA]);
    out->at[COLUMN_DEVICES] = column(devices);
    out->at[COLUMN_PART] = column(part);
    out->at[COLUMN_LEFT] = column(out->hot.left >> COLUMN_LEFT_SHIFT);
    out->at[COLUMN_FULL] = (uint16_t)(COLUMN_MAX - out->at[COLUMN_LEFT]);
}
