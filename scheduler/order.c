/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A B-tree whose blocks know the most room below them. Blocks are named by their index, since the
 * tables of blocks move when they grow.
 */
#include "scheduler/order.h"
#include "base/attr.h"
#include "base/check.h"
#include "base/mem.h"
#include "scheduler/columns.h"
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* A block of so few joins a neighbour when both are no more than MERGED_MAX. */
enum { THIN = 4, MERGED_MAX = 11 };
_Static_assert(ORDER_LANES < 1 << ORDER_LANE_BITS,
               "a lane's number, and lane_of() looks at one more");
_Static_assert(ORDER_LANES % 2 == 1, "room_of() takes two lanes at a time after the first");

struct key {
    uint64_t key;
    uint32_t node;
};

static void set_key(struct order *o, uint32_t block, uint32_t lane, const struct key *k);
static uint32_t block_new(struct order *o, uint32_t level);
static uint32_t find_leaf(const struct order *o, const struct key *k);
static bool stays(const struct order *o, uint32_t block, const struct key *k);
static void drop_lane(struct order *o, struct columns_hot *hot, uint32_t block, uint32_t lane);
static void raise(struct order *o, uint32_t block, const struct order_room *room);
static void settle(struct order *o, uint32_t block);
static void split(struct order *o, struct columns_hot *hot, uint32_t block);
static void thin_out(struct order *o, struct columns_hot *hot, uint32_t block);

static struct key key_of(const struct columns_hot *hot, uint32_t node)
{
    return (struct key){(uint64_t)hot[node].left << 32 | hot[node].tie, node};
}

static bool before(const struct key *a, const struct key *b)
{
    return a->key != b->key ? a->key < b->key : a->node < b->node;
}

void order_init(struct order *o)
{
    *o = (struct order){.block_free = ORDER_NONE};
    o->root = block_new(o, 0);
}

void order_fini(struct order *o)
{
    mem_free(o->blocks);
    mem_free(o->keys);
}

size_t order_bytes(const struct order *o)
{
    return o->blocks_size * (sizeof *o->blocks + sizeof *o->keys);
}

void order_put(struct order *o, struct columns_hot *hot, uint32_t node,
               const struct order_room *room)
{
    struct key k = key_of(hot, node);
    uint32_t at = hot[node].position;
    if (at != ORDER_NONE && stays(o, at >> ORDER_LANE_BITS, &k)) {
        o->blocks[at >> ORDER_LANE_BITS].room[at % (1 << ORDER_LANE_BITS)] = *room;
        set_key(o, at >> ORDER_LANE_BITS, at % (1 << ORDER_LANE_BITS), &k);
        settle(o, at >> ORDER_LANE_BITS);
        return;
    }
    if (at != ORDER_NONE)
        order_remove(o, hot, node);
    uint32_t leaf = find_leaf(o, &k);
    if (o->blocks[leaf].count == ORDER_LANES) {
        split(o, hot, leaf);
        leaf = find_leaf(o, &k);
    }
    struct order_block *b = &o->blocks[leaf];
    uint32_t lane = b->count++;
    b->what[lane] = node;
    b->room[lane] = *room;
    set_key(o, leaf, lane, &k);
    hot[node].position = leaf << ORDER_LANE_BITS | lane;
    raise(o, leaf, room);
}

void order_remove(struct order *o, struct columns_hot *hot, uint32_t node)
{
    uint32_t at = hot[node].position, block = at >> ORDER_LANE_BITS;
    hot[node].position = ORDER_NONE;
    drop_lane(o, hot, block, at % (1 << ORDER_LANE_BITS));
    settle(o, block);
    if (o->blocks[block].count <= THIN)
        thin_out(o, hot, block);
}

/* ---- blocks ---- */

static void blocks_grow(struct order *o)
{
    uint32_t size = o->blocks_size == 0 ? 4 : o->blocks_size * 2;
    o->blocks = mem_grow_lines(o->blocks, o->blocks_count, size, sizeof *o->blocks);
    o->keys = mem_grow_lines(o->keys, o->blocks_count, size, sizeof *o->keys);
    o->blocks_size = size;
}

static uint32_t block_new(struct order *o, uint32_t level)
{
    uint32_t i = o->block_free;
    if (i != ORDER_NONE) {
        o->block_free = o->blocks[i].parent;
    } else {
        if (o->blocks_count == o->blocks_size)
            blocks_grow(o);
        i = o->blocks_count++;
    }
    o->blocks[i] = (struct order_block){.parent = ORDER_NONE, .level = (uint8_t)level};
    memset(o->keys[i].key, 0xff, sizeof o->keys[i].key); /* ORDER_KEY_NONE */
    return i;
}

static void block_give(struct order *o, uint32_t block)
{
    o->blocks[block].parent = o->block_free;
    o->block_free = block;
}

static void set_key(struct order *o, uint32_t block, uint32_t lane, const struct key *k)
{
    o->keys[block].key[lane] = k->key;
    o->keys[block].node[lane] = k->node;
}

static struct key get_key(const struct order *o, uint32_t block, uint32_t lane)
{
    return (struct key){o->keys[block].key[lane], o->keys[block].node[lane]};
}

/* Of a block above: the last lane whose least key is not behind. The first takes all that is less.
 * All are compared side by side: one after the other would mean to wait for each. */
static uint32_t lane_of(const struct order_keys *f, const struct key *k)
{
    uint32_t lane = 0;
#pragma GCC unroll 14
    for (uint32_t i = 1; i < ORDER_LANES; i++)
        lane += f->key[i] <= k->key;
    while (lane > 0 && f->key[lane] == k->key && f->node[lane] > k->node)
        lane--;
    return lane;
}

/* The block at the bottom is not looked into: whoever needs it waits for it. */
static uint32_t find_leaf(const struct order *o, const struct key *k)
{
    uint32_t i = o->root;
    for (uint32_t level = o->blocks[i].level; level > 0; level--)
        i = o->blocks[i].what[lane_of(&o->keys[i], k)];
    return i;
}

/* Would the key stand in the same block? Not certain at the end of the parent: then no. */
static bool stays(const struct order *o, uint32_t block, const struct key *k)
{
    const struct order_block *b = &o->blocks[block];
    if (b->parent == ORDER_NONE)
        return true;
    uint32_t next = b->lane + 1u;
    if (next >= o->blocks[b->parent].count)
        return false;
    struct key least = get_key(o, b->parent, b->lane), end = get_key(o, b->parent, next);
    return !before(k, &least) && before(k, &end);
}

/* What a lane stands for hears where it is now. */
static void tell(struct order *o, struct columns_hot *hot, uint32_t block, uint32_t lane)
{
    const struct order_block *b = &o->blocks[block];
    if (b->level == 0) {
        hot[b->what[lane]].position = block << ORDER_LANE_BITS | lane;
    } else {
        o->blocks[b->what[lane]].parent = block;
        o->blocks[b->what[lane]].lane = (uint8_t)lane;
    }
}

static void copy_lane(struct order *o, struct columns_hot *hot, uint32_t to, uint32_t to_lane,
                      uint32_t from, uint32_t lane)
{
    o->blocks[to].room[to_lane] = o->blocks[from].room[lane];
    o->blocks[to].what[to_lane] = o->blocks[from].what[lane];
    o->keys[to].key[to_lane] = o->keys[from].key[lane];
    o->keys[to].node[to_lane] = o->keys[from].node[lane];
    tell(o, hot, to, to_lane);
}

static void clear_lane(struct order *o, uint32_t block, uint32_t lane)
{
    o->blocks[block].room[lane] = (struct order_room){{0}};
    o->keys[block].key[lane] = ORDER_KEY_NONE;
}

static void drop_lane(struct order *o, struct columns_hot *hot, uint32_t block, uint32_t lane)
{
    struct order_block *b = &o->blocks[block];
    uint32_t last = --b->count;
    if (b->level == 0) {
        if (lane < last)
            copy_lane(o, hot, block, lane, block, last);
    } else {
        for (; lane < last; lane++)
            copy_lane(o, hot, block, lane, block, lane + 1);
    }
    clear_lane(o, block, last);
}

/* ---- the most room ---- */

#if defined(__SSE2__)
static __m128i room_load(const struct order_room *r)
{
    return _mm_load_si128((const void *)r);
}

static __m128i room_max(__m128i a, __m128i b)
{
    return _mm_add_epi16(a, _mm_subs_epu16(b, a));
}

/* Becomes at least as much; false: it was already. */
static bool room_raise(struct order_room *to, const struct order_room *room)
{
    __m128i had = room_load(to), most = room_max(had, room_load(room));
    if (_mm_movemask_epi8(_mm_cmpeq_epi16(had, most)) == 0xffff)
        return false;
    _mm_store_si128((void *)to, most);
    return true;
}

static struct order_room room_of(const struct order_block *b)
{
    struct order_room most;
    __m128i x = room_load(&b->room[0]), y = x;
#pragma GCC unroll 7
    for (uint32_t i = 1; i < ORDER_LANES; i += 2) {
        x = room_max(x, room_load(&b->room[i]));
        y = room_max(y, room_load(&b->room[i + 1]));
    }
    _mm_store_si128((void *)&most, room_max(x, y));
    return most;
}
#else
static bool room_raise(struct order_room *to, const struct order_room *room)
{
    bool raised = false;
    for (uint32_t i = 0; i < ORDER_AMOUNTS; i++) {
        raised |= room->at[i] > to->at[i];
        to->at[i] = room->at[i] > to->at[i] ? room->at[i] : to->at[i];
    }
    return raised;
}

static struct order_room room_of(const struct order_block *b)
{
    struct order_room most = b->room[0];
    for (uint32_t i = 1; i < ORDER_LANES; i++)
        room_raise(&most, &b->room[i]);
    return most;
}
#endif

static bool room_equal(const struct order_room *a, const struct order_room *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* More room came: the blocks above have at least as much. */
static void raise(struct order *o, uint32_t block, const struct order_room *room)
{
    const struct order_block *b = &o->blocks[block];
    while (b->parent != ORDER_NONE && room_raise(&o->blocks[b->parent].room[b->lane], room))
        b = &o->blocks[b->parent];
}

/* Room came or went. */
static void settle(struct order *o, uint32_t block)
{
    const struct order_block *b = &o->blocks[block];
    for (; b->parent != ORDER_NONE; b = &o->blocks[b->parent]) {
        struct order_room *had = &o->blocks[b->parent].room[b->lane];
        struct order_room most = room_of(b);
        if (room_equal(&most, had))
            break;
        *had = most;
    }
}

/* ---- blocks that are full, and blocks that are nearly empty ---- */

/* Lanes of a block in the order of their keys. */
static void sort_lanes(const struct order *o, uint32_t block, uint8_t lanes[ORDER_LANES])
{
    for (uint32_t i = 0; i < ORDER_LANES; i++) {
        struct key k = get_key(o, block, i);
        uint32_t at = i;
        for (; at > 0; at--) {
            struct key other = get_key(o, block, lanes[at - 1]);
            if (!before(&k, &other))
                break;
            lanes[at] = lanes[at - 1];
        }
        lanes[at] = (uint8_t)i;
    }
}

/* The dearer half of a full block goes into a new one, whose name is returned. */
static uint32_t halve(struct order *o, struct columns_hot *hot, uint32_t block)
{
    uint8_t lanes[ORDER_LANES];
    uint32_t fresh = block_new(o, o->blocks[block].level), kept = ORDER_LANES / 2;
    sort_lanes(o, block, lanes);
    for (uint32_t i = kept; i < ORDER_LANES; i++)
        copy_lane(o, hot, fresh, o->blocks[fresh].count++, block, lanes[i]);
    const struct order_block was = o->blocks[block];
    const struct order_keys keys = o->keys[block];
    o->blocks[block].count = kept;
    for (uint32_t i = kept; i < ORDER_LANES; i++)
        clear_lane(o, block, i);
    for (uint32_t i = 0; i < kept; i++) {
        o->blocks[block].room[i] = was.room[lanes[i]];
        o->blocks[block].what[i] = was.what[lanes[i]];
        o->keys[block].key[i] = keys.key[lanes[i]];
        o->keys[block].node[i] = keys.node[lanes[i]];
        tell(o, hot, block, i);
    }
    return fresh;
}

/* A lane for the block in the one above, which has room for it. */
static void hang(struct order *o, struct columns_hot *hot, uint32_t parent, uint32_t lane,
                 uint32_t block, const struct key *least)
{
    struct order_block *p = &o->blocks[parent];
    for (uint32_t i = p->count++; i > lane; i--)
        copy_lane(o, hot, parent, i, parent, i - 1);
    set_key(o, parent, lane, least);
    p->what[lane] = block;
    p->room[lane] = room_of(&o->blocks[block]);
    tell(o, hot, parent, lane);
}

static void split(struct order *o, struct columns_hot *hot, uint32_t block)
{
    struct key least = {0, 0};
    uint32_t parent = o->blocks[block].parent;
    if (parent == ORDER_NONE) {
        parent = block_new(o, o->blocks[block].level + 1u);
        CHECK(o->blocks[parent].level < ORDER_LEVELS_MAX);
        hang(o, hot, parent, 0, block, &least);
        o->root = parent;
    } else if (o->blocks[parent].count == ORDER_LANES) {
        split(o, hot, parent);
        parent = o->blocks[block].parent;
    }
    uint32_t fresh = halve(o, hot, block), lane = o->blocks[block].lane;
    least = get_key(o, fresh, 0);
    o->blocks[parent].room[lane] = room_of(&o->blocks[block]);
    hang(o, hot, parent, lane + 1u, fresh, &least);
}

/* All of the right one's lanes into the left one, its neighbour. */
static void merge(struct order *o, struct columns_hot *hot, uint32_t left, uint32_t right)
{
    uint32_t parent = o->blocks[left].parent;
    for (uint32_t i = 0; i < o->blocks[right].count; i++)
        copy_lane(o, hot, left, o->blocks[left].count++, right, i);
    drop_lane(o, hot, parent, o->blocks[right].lane);
    block_give(o, right);
    settle(o, left);
}

/* A root with one block below is not needed. */
static void root_sink(struct order *o)
{
    while (o->blocks[o->root].level > 0 && o->blocks[o->root].count == 1) {
        uint32_t was = o->root;
        o->root = o->blocks[was].what[0];
        o->blocks[o->root].parent = ORDER_NONE;
        block_give(o, was);
    }
}

static void thin_out(struct order *o, struct columns_hot *hot, uint32_t block)
{
    const struct order_block *b = &o->blocks[block];
    uint32_t parent = b->parent, lane = b->lane;
    if (parent == ORDER_NONE) {
        root_sink(o);
        return;
    }
    const struct order_block *p = &o->blocks[parent];
    uint32_t left = lane + 1u < p->count ? block : lane > 0 ? p->what[lane - 1] : ORDER_NONE;
    if (left == ORDER_NONE)
        return;
    uint32_t right = left == block ? p->what[lane + 1] : block;
    if (b->count > 0 && o->blocks[left].count + o->blocks[right].count > MERGED_MAX)
        return; /* An empty one always goes. */
    merge(o, hot, left, right);
    if (o->blocks[parent].count <= THIN)
        thin_out(o, hot, parent);
}

/* ---- walking ---- */

/* Lanes of the block that have at least the wanted room. */
static uint32_t lanes_that_pass(const struct order_block *b, const struct order_room *want)
{
    uint32_t lanes = 0;
#if defined(__SSE2__)
    const __m128i least = room_load(want), zero = _mm_setzero_si128();
#pragma GCC unroll 4
    for (uint32_t i = 0; i < ORDER_LANES; i += 4) {
        __m128i lack[4]; /* What is lacking; packed until four lanes are four numbers. */
#pragma GCC unroll 4
        for (uint32_t k = 0; k < 4; k++)
            lack[k] =
                i + k < ORDER_LANES ? _mm_subs_epu16(least, room_load(&b->room[i + k])) : least;
        __m128i all =
            _mm_packs_epi16(_mm_packs_epi16(lack[0], lack[1]), _mm_packs_epi16(lack[2], lack[3]));
        lanes |= (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(all, zero))) << i;
    }
#else
    for (uint32_t i = 0; i < ORDER_LANES; i++) {
        uint32_t lacks = 0;
        for (uint32_t k = 0; k < ORDER_AMOUNTS; k++)
            lacks |= want->at[k] > b->room[i].at[k];
        lanes |= (uint32_t)(lacks == 0) << i;
    }
#endif
    return lanes & ((1u << b->count) - 1);
}

static uint32_t cheapest_lane(const struct order *o, uint32_t block, uint32_t lanes)
{
    uint32_t best = (uint32_t)__builtin_ctz(lanes);
    lanes &= lanes - 1;
    if (lanes == 0)
        return best;
    struct key least = get_key(o, block, best);
    for (; lanes != 0; lanes &= lanes - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(lanes);
        struct key k = get_key(o, block, i);
        if (before(&k, &least)) {
            best = i;
            least = k;
        }
    }
    return best;
}

static void expect_rooms(const struct order_block *b)
{
    for (uint32_t i = 0; i < ORDER_LANES; i += 64 / sizeof b->room[0])
        __builtin_prefetch(&b->room[i]);
}

static void enter(struct order_walk *w, uint32_t block)
{
    w->blocks_left--;
    w->at[w->depth].block = block;
    w->at[w->depth++].lanes = lanes_that_pass(&w->order->blocks[block], &w->want);
}

void order_walk_start(struct order_walk *w, const struct order *o, const struct order_room *want,
                      uint32_t blocks_max)
{
    w->order = o;
    w->want = *want;
    w->backwards = false;
    w->depth = 0;
    w->blocks_left = blocks_max;
    enter(w, o->root);
}

uint32_t order_walk_next(struct order_walk *w)
{
    while (w->depth > 0) {
        uint32_t i = w->depth - 1, lanes = w->at[i].lanes;
        const struct order_block *b = &w->order->blocks[w->at[i].block];
        if (lanes == 0) {
            w->depth--;
            continue;
        }
        uint32_t lane = w->backwards    ? 31u - (uint32_t)__builtin_clz(lanes)
                        : b->level == 0 ? cheapest_lane(w->order, w->at[i].block, lanes)
                                        : (uint32_t)__builtin_ctz(lanes);
        w->at[i].lanes = lanes &= ~(1u << lane);
        if (b->level == 0)
            return b->what[lane];
        if (w->blocks_left == 0)
            return ORDER_NONE;
        if (lanes != 0) /* Probably the next one: three of four at the bottom are in vain. */
            expect_rooms(&w->order->blocks[b->what[__builtin_ctz(lanes)]]);
        enter(w, b->what[lane]);
    }
    return ORDER_NONE;
}

/* ---- is it what it should be? ---- */

const struct order_room *order_room_of(const struct order *o, const struct columns_hot *node)
{
    return &o->blocks[node->position >> ORDER_LANE_BITS]
                .room[node->position % (1 << ORDER_LANE_BITS)];
}

static bool verify_lane(const struct order *o, const struct columns_hot *hot, uint32_t block,
                        uint32_t lane)
{
    const struct order_block *b = &o->blocks[block];
    if (b->level == 0) {
        struct key k = key_of(hot, b->what[lane]), kept = get_key(o, block, lane);
        return hot[b->what[lane]].position == (block << ORDER_LANE_BITS | lane) &&
               k.key == kept.key && k.node == kept.node && find_leaf(o, &k) == block;
    }
    const struct order_block *below = &o->blocks[b->what[lane]];
    struct order_room most = room_of(below);
    return below->parent == block && below->lane == lane && below->level + 1 == b->level &&
           room_equal(&most, &b->room[lane]);
}

bool order_verify(const struct order *o, const struct columns_hot *hot, uint32_t count)
{
    uint32_t nodes = 0, path[ORDER_LEVELS_MAX], lane[ORDER_LEVELS_MAX], depth = 1;
    path[0] = o->root;
    lane[0] = 0;
    while (depth > 0) {
        const struct order_block *b = &o->blocks[path[depth - 1]];
        uint32_t i = lane[depth - 1]++;
        if (i == b->count) {
            depth--;
        } else if (!verify_lane(o, hot, path[depth - 1], i)) {
            return false;
        } else if (b->level == 0) {
            nodes++;
        } else {
            path[depth] = b->what[i];
            lane[depth++] = 0;
        }
    }
    return nodes == count;
}
