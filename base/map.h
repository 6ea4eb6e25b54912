/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.h -- a hash table from bytes to a pointer, iterated in order of insertion.
 *
 * WHAT   A dense array of entries in the order they came and an open-addressed table of indices.
 * WHY    Iterating in hash order would make a core depend on the hash key; this order is stable.
 * OWNS   Keys and values are borrowed: the value usually holds the key's bytes.
 * FAILS  map_put() is ERR_LIMIT at the limit given to map_init().
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

struct map_entry {
    struct str key;
    uint64_t hash;
    void *value; /* NULL: removed, skipped by map_next(). */
};

struct map {
    struct map_entry *entries;
    uint32_t *
        table; /* Index + 1 into entries and bits of the hash (map.c), 0 free; a power of two long. */
    uint32_t entries_count, entries_size, table_size, live, limit;
};

void map_init(struct map *m, uint32_t limit);
void map_fini(struct map *m);

void *map_find(const struct map *m, struct str key); /* NULL: not there. */

/* value must not be NULL. Replaces, and then the old key's bytes are no longer used. */
MUST_USE enum err_code map_put(struct map *m, struct str key, void *value);
void *map_remove(struct map *m, struct str key); /* The value that was there, or NULL. */

/* The next live entry at or after *at, which moves behind it; NULL at the end. Start with 0.
 * Removing while iterating is allowed, putting is not. */
const struct map_entry *map_next(const struct map *m, uint32_t *at);

#endif /* BASE_MAP_H */
