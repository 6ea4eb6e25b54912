/* SPDX-License-Identifier: Apache-2.0 */
/*
 * order.h -- nodes in the order of what is left over on them, with the most room of every stretch.
 *
 * WHAT   A tree of blocks with fifteen places each. A place at the bottom is a node, its key and its
 *        free amounts, eight numbers of 16 bits. A place above is a block: the least key that may be
 *        in it, and of every amount the most that any node in it has. A walk yields the nodes that
 *        could serve a request, cheapest first, and passes by every stretch that lacks something.
 * WHY    What a node costs is what is left over on it minus a constant of the request, for all
 *        requests that only hardware decides about. One order serves all of them: nothing has to be
 *        remembered per class of requests, and nothing has to be caught up with.
 * OWNS   Its blocks. The key of a node is left, then tie, then its number; that and its position
 *        stand in its line of the columns, which is given to every call that changes something. A
 *        walk reads blocks only: five cache lines each, and three of keys where it has to choose.
 * FAILS  Nothing. A walk is void as soon as anything changes.
 */
#ifndef SCHEDULER_ORDER_H
#define SCHEDULER_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ORDER_LANES = 15, ORDER_LANE_BITS = 4, ORDER_AMOUNTS = 8, ORDER_LEVELS_MAX = 12 };
#define ORDER_NONE UINT32_MAX
#define ORDER_KEY_NONE UINT64_MAX

struct columns_hot;

/* Free amounts of a node, the most in a block, or what is wanted. */
struct order_room {
    uint16_t at[ORDER_AMOUNTS];
} __attribute__((aligned(16)));

/* Places at the bottom are in no order, above they are in the order of their keys. Places that are
 * not used have no room. */
struct order_block {
    struct order_room room[ORDER_LANES];
    uint32_t what[ORDER_LANES]; /* At the bottom the node, above the block. */
    uint32_t parent, count;
    uint8_t lane, level; /* lane: in the parent. level 0: at the bottom. */
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct order_block) == 320, "five cache lines");

/* Keys of a block's nodes; above the bottom the least keys of its places. Two nodes may have one key. */
struct order_keys {
    uint64_t key[ORDER_LANES]; /* Of places that are not used: ORDER_KEY_NONE. */
    uint32_t node[ORDER_LANES];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct order_keys) == 192, "three cache lines");

struct order {
    struct order_block *blocks;
    struct order_keys *keys; /* By block. */
    uint32_t blocks_count, blocks_size, block_free, root;
};

void order_init(struct order *o);
void order_fini(struct order *o);
size_t order_bytes(const struct order *o);

/* The node comes (its position is ORDER_NONE) or has changed; its line has the key it has now. */
void order_put(struct order *o, struct columns_hot *hot, uint32_t node,
               const struct order_room *room);
void order_remove(struct order *o, struct columns_hot *hot, uint32_t node);
const struct order_room *order_room_of(const struct order *o, const struct columns_hot *node);
/* Fences, room and positions of all nodes, of whom there should be so many. */
bool order_verify(const struct order *o, const struct columns_hot *hot, uint32_t count);

static inline bool order_is_empty(const struct order *o)
{
    return o->blocks[o->root].count == 0;
}

/* The place at this position will change soon. */
static inline void order_expect(const struct order *o, uint32_t position)
{
    const char *block = (const char *)&o->blocks[position >> ORDER_LANE_BITS];
    const char *keys = (const char *)&o->keys[position >> ORDER_LANE_BITS];
    for (uint32_t i = 0; i < sizeof *o->blocks; i += 64)
        __builtin_prefetch(block + i, 1);
    for (uint32_t i = 0; i < sizeof *o->keys; i += 64)
        __builtin_prefetch(keys + i, 1);
}

struct order_walk {
    const struct order *order;
    struct order_room want;
    uint32_t depth, blocks_left;
    bool backwards;
    struct {
        uint32_t block, lanes; /* Lanes that pass and were not looked at yet. */
    } at[ORDER_LEVELS_MAX];
};

/* No more than so many blocks are looked at. */
void order_walk_start(struct order_walk *w, const struct order *o, const struct order_room *want,
                      uint32_t blocks_max);
/* The next node with the wanted room, or ORDER_NONE: there is no other, or blocks_left is 0. With
 * backwards: roughly from the dearest to the cheapest. */
uint32_t order_walk_next(struct order_walk *w);

#endif /* SCHEDULER_ORDER_H */
