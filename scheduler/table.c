/* SPDX-License-Identifier: Apache-2.0 */
/* Things under small numbers that are used again, and hashes that are the same everywhere. */
#include "scheduler/ledger_priv.h"

uint32_t table__add(struct table *t, void *thing)
{
    if (t->spare_count > 0) {
        uint32_t id = t->spare[--t->spare_count];
        t->at[id] = thing;
        return id;
    }
    if (t->count == t->size) {
        t->size = t->size == 0 ? 16 : t->size * 2;
        t->at = mem_resize(t->at, t->size * sizeof *t->at);
    }
    t->at[t->count] = thing;
    return t->count++;
}

void table__remove(struct table *t, uint32_t id)
{
    CHECK(id < t->count && t->at[id] != NULL);
    t->at[id] = NULL;
    if (t->spare_count == t->spare_size) {
        t->spare_size = t->spare_size == 0 ? 16 : t->spare_size * 2;
        t->spare = mem_resize(t->spare, t->spare_size * sizeof *t->spare);
    }
    t->spare[t->spare_count++] = id;
}

void table__fini(struct table *t)
{
    mem_free(t->at);
    mem_free(t->spare);
    *t = (struct table){0};
}

/* Not against adversaries (maps are keyed with SipHash): for ties, which must not depend on the
 * process. */
uint64_t hash__bytes(uint64_t h, const void *at, size_t len)
{
    const unsigned char *p = at;
    h = hash__mix(h, len);
    for (; len >= 8; p += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        h = hash__mix(h, word);
    }
    uint64_t rest = 0;
    for (size_t i = 0; i < len; i++)
        rest |= (uint64_t)p[i] << 8 * i;
    return hash__mix(h, rest);
}
