/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots.h -- names for things in a fixed table, which go stale safely.
 *
 * WHAT   Hands out (slot, generation) pairs for a table the caller keeps. A late answer for a
 *        thing that is gone finds that its name is no longer live, whoever has the slot now.
 * WHY    Across an asynchronous gap we keep names, not pointers.
 * OWNS   slots_init() allocates, slots_fini() frees. The table itself is the caller's.
 *        What was never taken was never written: a large table costs memory as far as it was filled.
 * FAILS  slots_take() is false when all are taken: refuse at the edge, nothing grows.
 */
#ifndef BASE_SLOTS_H
#define BASE_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

struct slot_id {
    uint32_t slot, generation; /* Odd: taken. {0, 0} is nobody's name. */
};

struct slots {
    uint32_t *generation;
    uint32_t *free_next; /* 1 + who is free behind this one. 0, never taken: the one beside it. */
    uint32_t count, taken, free_first;
};

void slots_init(struct slots *s, uint32_t count);
void slots_fini(struct slots *s);
bool slots_take(struct slots *s, struct slot_id *out_id);
void slots_give(struct slots *s, struct slot_id id); /* Giving twice is our bug: CHECK. */
bool slots_live(const struct slots *s, struct slot_id id);

/* A name as one number, for op ids, and back. */
static inline uint64_t slot_pack(struct slot_id id)
{
    return (uint64_t)id.generation << 32 | id.slot;
}

static inline struct slot_id slot_unpack(uint64_t packed)
{
    return (struct slot_id){(uint32_t)packed, (uint32_t)(packed >> 32)};
}

#endif /* BASE_SLOTS_H */
