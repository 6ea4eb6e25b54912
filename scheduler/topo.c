/* SPDX-License-Identifier: Apache-2.0 */
/* Which domain of a topology key each node is in. Domains are numbered as they are first seen. One without
 * nodes keeps its number and value until room is short: then all of these are given to others. */
#include "scheduler/terms.h"

static uint32_t topo_slot(const struct topo *t, uint32_t value)
{
    uint32_t at = (uint32_t)hash__mix(1, value) & (t->table_size - 1);
    while (t->table[at] != 0 && t->values[t->table[at] - 1] != value)
        at = (at + 1) & (t->table_size - 1);
    return at;
}

static void *more(void *at, uint32_t from, uint32_t to, uint32_t fill)
{
    uint32_t *grown = mem_resize(at, to * sizeof *grown);
    for (uint32_t i = from; i < to; i++)
        grown[i] = fill;
    return grown;
}

/* Counters of a domain without nodes are 0, so whoever comes next finds it as if it were new. */
static uint32_t topo_empty_out(struct ledger *l, struct topo *t)
{
    uint32_t freed = 0;
    for (uint32_t d = 0; d < t->domains_count; d++) {
        if (t->nodes[d] > 0 || t->values[d] == NAME_UNKNOWN)
            continue;
        names__drop(&l->names, t->values[d]);
        t->values[d] = NAME_UNKNOWN;
        t->first[d] = t->domain_spare;
        t->domain_spare = d + 1;
        freed++;
    }
    return freed;
}

static void topo_make_room(struct ledger *l, struct topo *t)
{
    uint32_t size = t->domains_size == 0 ? 8 : t->domains_size;
    if (t->domains_size > 0 && topo_empty_out(l, t) < size / 4)
        size *= 2;
    t->values = more(t->values, t->domains_size, size, NAME_UNKNOWN);
    t->nodes = more(t->nodes, t->domains_size, size, 0);
    t->first = more(t->first, t->domains_size, size, LEDGER_NODE_NONE);
    t->domains_size = size;
    mem_free(t->table);
    t->table_size = size * 2;
    t->table = mem_zalloc(t->table_size, sizeof *t->table);
    for (uint32_t i = 0; i < t->domains_count; i++)
        if (t->values[i] != NAME_UNKNOWN)
            t->table[topo_slot(t, t->values[i])] = i + 1;
}

static uint32_t topo_domain_new(struct topo *t)
{
    if (t->domain_spare == 0)
        return t->domains_count++;
    uint32_t d = t->domain_spare - 1;
    t->domain_spare = t->first[d];
    t->first[d] = LEDGER_NODE_NONE;
    return d;
}

static uint32_t topo_domain(struct ledger *l, struct topo *t, uint32_t value)
{
    if (t->domains_count == t->domains_size && t->domain_spare == 0)
        topo_make_room(l, t);
    uint32_t at = topo_slot(t, value);
    if (t->table[at] == 0) {
        uint32_t d = topo_domain_new(t);
        t->values[d] = value;
        t->table[at] = d + 1;
        names__hold(&l->names, value);
    }
    return t->table[at] - 1;
}

void topo__held(const struct topo *t, held_each *each, void *context)
{
    for (uint32_t d = 0; t != NULL && d < t->domains_count; d++)
        each(context, t->values[d]); /* NAME_UNKNOWN is nobody's. */
}

void topo__node_enters(struct ledger *l, struct topo *t, const struct node *n)
{
    const struct topology_label *label = n->removed ? NULL : node__label(n, t->key);
    if (n->index >= t->size) {
        uint32_t size = t->size == 0 ? 64 : t->size;
        while (size <= n->index)
            size *= 2;
        t->domain_of = more(t->domain_of, t->size, size, DOMAIN_NONE);
        t->next = more(t->next, t->size, size, LEDGER_NODE_NONE);
        t->size = size;
    }
    if (label == NULL)
        return;
    uint32_t d = topo_domain(l, t, label->value);
    t->domain_of[n->index] = d;
    t->next[n->index] = t->first[d];
    t->first[d] = n->index;
    t->nodes[d]++;
}

void topo__node_leaves(struct topo *t, uint32_t node)
{
    uint32_t d = node < t->size ? t->domain_of[node] : DOMAIN_NONE;
    if (d == DOMAIN_NONE)
        return;
    uint32_t *at = &t->first[d];
    while (*at != node)
        at = &t->next[*at];
    *at = t->next[node];
    t->domain_of[node] = DOMAIN_NONE;
    t->nodes[d]--;
}

struct topo *topo__ref(struct ledger *l, uint32_t key)
{
    for (uint32_t i = 0; i < l->topos.count; i++) {
        struct topo *t = l->topos.at[i];
        if (t != NULL && t->key == key) {
            t->refs++;
            return t;
        }
    }
    struct topo *t = mem_zalloc(1, sizeof *t);
    t->key = key;
    t->refs = 1;
    t->id = table__add(&l->topos, t);
    for (uint32_t i = 0; i < l->nodes.count; i++)
        if (ledger__node(l, i) != NULL)
            topo__node_enters(l, t, ledger__node(l, i));
    return t;
}

void topo__unref(struct ledger *l, struct topo *t)
{
    if (--t->refs > 0)
        return;
    table__remove(&l->topos, t->id);
    topo__held(t, held__drop, &l->names);
    topo__free(t);
}

void topo__free(struct topo *t)
{
    if (t == NULL)
        return;
    mem_free(t->domain_of);
    mem_free(t->next);
    mem_free(t->values);
    mem_free(t->nodes);
    mem_free(t->first);
    mem_free(t->table);
    mem_free(t);
}
