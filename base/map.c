/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include "base/check.h"
#include "base/mem.h"

enum { MAP_FIRST = 16 };

void map_init(struct map *m, uint32_t limit)
{
    *m = (struct map){.limit = limit};
}

void map_fini(struct map *m)
{
    mem_free(m->entries);
    mem_free(m->table);
    map_init(m, m->limit);
}

/* A slot of the table: an entry's index + 1, which is less than the table's size, and above it the upper bits of the hash, so
 * that another key's entry is seldom looked at: with many entries each look is waited for. */
static uint32_t tag_of(const struct map *m, uint64_t hash)
{
    return (uint32_t)(hash >> 32) & ~(m->table_size - 1);
}

static uint32_t index_of(const struct map *m, uint32_t slot)
{
    return slot & (m->table_size - 1);
}

/* Where key's slot stands, or the free place where it would go. Removed entries keep their place
 * in the table until the next rebuild, so probing runs past them. */
static uint32_t probe(const struct map *m, struct str key, uint64_t hash)
{
    uint32_t mask = m->table_size - 1, at = (uint32_t)hash & mask, tag = tag_of(m, hash);
    while (m->table[at] != 0) {
        const struct map_entry *e = &m->entries[index_of(m, m->table[at]) - 1];
        if ((m->table[at] & ~mask) == tag && e->value != NULL && e->hash == hash &&
            str_eq(e->key, key))
            break;
        at = (at + 1) & mask;
    }
    return at;
}

/* Index + 1 of key's entry; 0: it is not there. */
static uint32_t find(const struct map *m, struct str key, uint64_t hash)
{
    return m->table_size == 0 ? 0 : index_of(m, m->table[probe(m, key, hash)]);
}

void *map_find(const struct map *m, struct str key)
{
    uint32_t index = find(m, key, m->table_size == 0 ? 0 : str_hash(key));
    return index == 0 ? NULL : m->entries[index - 1].value;
}

/* Drop removed entries and make room: the table stays at most half full. */
static void rebuild(struct map *m)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->entries_count; i++)
        if (m->entries[i].value != NULL)
            m->entries[kept++] = m->entries[i];
    m->entries_count = kept;

    if (m->entries_size == 0 || kept > m->entries_size / 2) {
        m->entries_size = m->entries_size == 0 ? MAP_FIRST : m->entries_size * 2;
        m->entries = mem_resize(m->entries, m->entries_size * sizeof *m->entries);
        mem_free(m->table);
        m->table_size = m->entries_size * 2;
        m->table = mem_zalloc(m->table_size, sizeof *m->table);
    } else {
        memset(m->table, 0, m->table_size * sizeof *m->table);
    }

    uint32_t mask = m->table_size - 1;
    for (uint32_t i = 0; i < m->entries_count; i++) {
        uint32_t at = (uint32_t)m->entries[i].hash & mask;
        while (m->table[at] != 0)
            at = (at + 1) & mask;
        m->table[at] = (i + 1) | tag_of(m, m->entries[i].hash);
    }
}

enum err_code map_put(struct map *m, struct str key, void *value)
{
    CHECK(value != NULL);
    uint64_t hash = str_hash(key);
    uint32_t index = find(m, key, hash);
    if (index != 0) {
        m->entries[index - 1] = (struct map_entry){key, hash, value};
        return ERR_OK;
    }
    if (m->live == m->limit)
        return ERR_LIMIT;
    if (m->entries_count == m->entries_size)
        rebuild(m);

    uint32_t at = probe(m, key, hash);
    m->entries[m->entries_count] = (struct map_entry){key, hash, value};
    m->table[at] = ++m->entries_count | tag_of(m, hash);
    m->live++;
    return ERR_OK;
}

void *map_remove(struct map *m, struct str key)
{
    uint32_t index = find(m, key, m->table_size == 0 ? 0 : str_hash(key));
    if (index == 0)
        return NULL;
    void *value = m->entries[index - 1].value;
    m->entries[index - 1].value = NULL;
    m->live--;
    return value;
}

const struct map_entry *map_next(const struct map *m, uint32_t *at)
{
    while (*at < m->entries_count) {
        const struct map_entry *e = &m->entries[(*at)++];
        if (e->value != NULL)
            return e;
    }
    return NULL;
}
