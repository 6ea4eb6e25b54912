/* SPDX-License-Identifier: Apache-2.0 */
/*
 * columns.h -- what the fast search reads first: a few numbers per node, side by side.
 *
 * WHAT   A line of exact numbers per node. A number of 16 bits per kind of row ("how many cores are
 *        free") and node: in an order by what is left over (order.h) for nodes whose cost follows
 *        from it, side by side in blocks of sixteen for the others. And a ring of blocks, the log of
 *        every change while somebody reads it: each entry a copy of the changed node's numbers. Only
 *        the last entry of a node is alive, the others are closed to all.
 * WHY    Most requests find their node by the order alone. A class of requests with rules that was
 *        not asked for a while learns what changed by reading the log from end to end, without
 *        touching nodes; the filter compares sixteen by one instruction.
 * OWNS   Its arrays. A cursor into the log is a count of entries ever written: who is further behind
 *        than log_size has to look at all nodes again.
 * SEAM   columns_filter_scalar() and columns_filter_avx2() give the same answer; which one is used
 *        is decided at run time, and a test compares them.
 */
#ifndef SCHEDULER_COLUMNS_H
#define SCHEDULER_COLUMNS_H

#include "scheduler/order.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Free amounts are rounded down and saturate, as are wants: what fits always passes, and what
 * passes is asked again exactly. */
enum column {
    COLUMN_OPEN,        /* 0 closed to all, 1 open to who passes its rules, 2 open to all. */
    COLUMN_CORES_NUMA,  /* Exclusive cores: the most in one NUMA node. */
    COLUMN_CPU,         /* Shared, units of 32 millicores. */
    COLUMN_MEMORY_NUMA, /* The most in one NUMA node, units of 64 MiB. */
    COLUMN_CORES_MEMORY, /* Together: columns_both() of cores and memory, the most in one NUMA node. */
    COLUMN_CPU_MEMORY, /* Together: the lesser of CPU and MEMORY_NUMA. */
    COLUMN_HUGE2M,     /* Units of 8 pages. */
    COLUMN_HUGE1G,     /* Pages. The first ORDER_AMOUNTS columns are the order's room. */
    COLUMN_CORES,      /* Of all NUMA nodes. */
    COLUMN_MEMORY,
    COLUMN_DEVICES, /* Devices that are wholly free. */
    COLUMN_PART,    /* The most thousandths that are free on one device. */
    COLUMN_LEFT,    /* What is left over (cost.c), units of 2^-14. */
    COLUMN_FULL,    /* 65535 - LEFT: for who wants little left over. */
    COLUMN__COUNT,
};

enum { COLUMNS_LOG_LEAST = 1 << 14, COLUMNS_LOG_MOST = 1 << 16 }; /* Entries; as many as nodes. */
enum { COLUMNS_LANES = 16, COLUMN_MAX = UINT16_MAX, COLUMN_LEFT_SHIFT = 6 };
enum { COLUMN_MEMORY_SHIFT = 26, COLUMN_CORE_SHIFT = 7 };

/* Cores and memory from one NUMA node in one number, a core as much as 8 GiB. Whoever has both wants
 * has this; a stretch where one node has the cores and another the memory has not. */
static inline uint16_t columns_both(uint32_t cores, uint16_t memory)
{
    return cores << COLUMN_CORE_SHIFT < memory ? (uint16_t)(cores << COLUMN_CORE_SHIFT) : memory;
}

/* Nodes whose cores all have so many threads and that have no devices are in order[threads]. What
 * others cost does not follow from what is left over alone. */
enum { COLUMNS_ORDERS = 9, COLUMNS_ODD = COLUMNS_ORDERS };

/* A node in one cache line: what decides for most nodes that pass the filter. */
struct columns_hot {
    uint32_t tie;
    uint32_t left, version;           /* left: exact. version changes with every entry. */
    uint32_t cpu_milli;               /* Free in the shared pool. */
    uint8_t threads_min, threads_max; /* Of the machine's cores. */
    uint8_t order;                    /* Which one it stands in, COLUMNS_ODD, or 0: closed. */
    uint8_t has_devices;
    uint32_t position;            /* In the order. */
    uint64_t log_at;              /* Its last entry in the log + 1. */
    uint16_t cores[8], memory[8]; /* By NUMA node; memory in units of 64 MiB, rounded down. */
};
_Static_assert(sizeof(struct columns_hot) == 64, "one cache line");

struct columns_row {
    uint16_t at[COLUMN__COUNT];
    struct columns_hot hot;
};

/* Sixteen nodes, or entries of the log. */
struct columns_block {
    uint16_t at[COLUMN__COUNT][COLUMNS_LANES];
};
_Static_assert(sizeof(struct columns_block) % 64 == 0, "whole cache lines");

struct columns_want {
    uint32_t count; /* Columns that matter. */
    uint8_t column[COLUMN__COUNT];
    uint16_t least[COLUMN__COUNT]; /* By position, not by column. */
};

/* Indices in from..to-1 whose every wanted column has at least the least. out has room for to - from. */
typedef uint32_t columns_filter(const struct columns_block *blocks, const struct columns_want *want,
                                uint32_t from, uint32_t to, uint32_t *out);
columns_filter columns_filter_scalar;
columns_filter *columns_filter_fast(void); /* The best this processor can do. */

struct columns {
    struct columns_block *odd, *log; /* odd: by node; of the others OPEN is 0. */
    uint32_t *log_node;
    struct columns_hot *hot; /* By node. */
    uint32_t size, log_size; /* Nodes and entries there is room for; multiples of the lanes. */
    uint32_t log_most;       /* The log grows with the nodes, up to this. */
    uint64_t log_end;        /* Entries ever written. */
    bool is_logged;          /* Somebody reads the log. */
    struct order order[COLUMNS_ORDERS]; /* By what is left over, then tie. */
    uint32_t odd_count;                 /* Open nodes that are in none. */
    columns_filter *filter;
};

void columns_init(struct columns *c, uint32_t nodes_max);
void columns_fini(struct columns *c);
void columns_put(struct columns *c, uint32_t node, const struct columns_row *row);

/* The node will change soon: what columns_put() writes is brought near. */
static inline void columns_expect(const struct columns *c, uint32_t node)
{
    __builtin_prefetch(&c->hot[node], 1);
}

/* Its line is near already: so is its place in the order, then. */
static inline void columns_expect_place(const struct columns *c, uint32_t node)
{
    const struct columns_hot *hot = &c->hot[node];
    if (hot->order > 0 && hot->order < COLUMNS_ORDERS)
        order_expect(&c->order[hot->order], hot->position);
}
size_t columns_bytes(const struct columns *c);

#endif /* SCHEDULER_COLUMNS_H */
