/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memo.h"

#include "base/check.h"
#include "base/mem.h"

enum { MET_MAX = 1024 }; /* Hashes of bytes that were asked for once. */

struct place {
    uint64_t hash, used; /* used 0: free. */
    char *key;
    size_t key_len;
    void *value;
};

struct memo {
    struct memo_options options;
    struct place (*sets)[MEMO_WAYS];
    uint64_t uses;       /* An order of what happened. */
    uint64_t turn_began; /* The first use of this turn; UINT64_MAX: nobody speaks of turns. */
    uint64_t met[MET_MAX];
};

struct memo *memo_new(const struct memo_options *o)
{
    CHECK(o->sets > 0 && (o->sets & (o->sets - 1)) == 0);
    struct memo *m = mem_zalloc(1, sizeof *m);
    m->options = *o;
    m->sets = mem_zalloc(o->sets, sizeof *m->sets);
    m->turn_began = UINT64_MAX;
    return m;
}

static struct place *set_of(const struct memo *m, uint64_t hash)
{
    return m->sets[hash & (m->options.sets - 1)];
}

static struct place *place_of(const struct memo *m, uint64_t hash, struct str key)
{
    struct place *set = set_of(m, hash);
    for (struct place *p = set; p < set + MEMO_WAYS; p++)
        if (p->used != 0 && p->hash == hash && str_eq(str_from(p->key, p->key_len), key))
            return p;
    return NULL;
}

/* The one used longest ago; NULL: this turn has used them all. */
static struct place *place_to_make(const struct memo *m, uint64_t hash)
{
    struct place *set = set_of(m, hash), *p = set;
    for (struct place *other = set + 1; other < set + MEMO_WAYS; other++)
        p = other->used < p->used ? other : p;
    return p->used < m->turn_began ? p : NULL;
}

struct memo_found memo_find(struct memo *m, struct str key)
{
    if (key.len > m->options.key_max)
        return (struct memo_found){0};
    uint64_t hash = m->options.hash(key), *met = &m->met[(hash >> 32) % MET_MAX];
    struct place *p = place_of(m, hash, key);
    if (p != NULL) {
        p->used = ++m->uses;
        return (struct memo_found){.value = p->value};
    }
    bool is_again = *met == hash && place_to_make(m, hash) != NULL;
    *met = hash;
    return (struct memo_found){.is_again = is_again};
}

static void place_free(struct memo *m, struct place *p)
{
    if (p->used == 0)
        return;
    m->options.drop(p->value);
    mem_free(p->key);
    *p = (struct place){0};
}

bool memo_put(struct memo *m, struct str key, void *value)
{
    uint64_t hash = m->options.hash(key);
    struct place *there = place_of(m, hash, key), *p = place_to_make(m, hash);
    if (there != NULL)
        p = there->used < m->turn_began ? there : NULL;
    if (key.len > m->options.key_max || p == NULL) {
        m->options.drop(value);
        return false;
    }
    place_free(m, p);
    *p = (struct place){.hash = hash,
                        .used = ++m->uses,
                        .key = mem_alloc(key.len + 1),
                        .key_len = key.len,
                        .value = value};
    str_put(p->key, key);
    return true;
}

void memo_turn(struct memo *m)
{
    m->turn_began = m->uses + 1;
}

void memo_clear(struct memo *m)
{
    for (uint32_t i = 0; i < m->options.sets * MEMO_WAYS; i++)
        place_free(m, &m->sets[i / MEMO_WAYS][i % MEMO_WAYS]);
}

void memo_free(struct memo *m)
{
    if (m == NULL)
        return;
    memo_clear(m);
    mem_free(m->sets);
    mem_free(m);
}
