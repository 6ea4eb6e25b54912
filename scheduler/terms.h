/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terms.h -- rules between workloads, kept as counters.
 *
 * WHAT   Every spread constraint and every (anti-)affinity term of a class in use is a term: per
 *        topology domain, how many standing workloads match it (matched) and how many belong to the
 *        class that says it (owners). Taking or giving a hold moves the counters of the terms that
 *        its labels match, and of its own class.
 * WHY    To ask "is there one of mine in this zone" must not cost a walk over all workloads.
 * OWNS   A term lives as long as its class. Its counters are made by one walk over the holds, when
 *        the class is first seen.
 */
#ifndef SCHEDULER_TERMS_H
#define SCHEDULER_TERMS_H

#include "scheduler/held.h"
#include "scheduler/search_priv.h"

#define DOMAIN_NONE UINT32_MAX
enum { TOPO_COARSE_MAX = 16 }; /* Domains up to which a shortlist is kept for each of them. */

/* One topology key: which domain each node is in. */
struct topo {
    uint32_t key, refs, id;
    uint32_t *domain_of, *next;       /* By node; next: the list of the domain's nodes. */
    uint32_t size;                    /* Nodes there is room for. */
    uint32_t *values, *nodes, *first; /* By domain: label value, nodes in it, head of their list. */
    uint32_t domains_count, domains_size,
        domain_spare; /* domain_spare: + 1; a list through first. */
    uint32_t *table;  /* Value -> domain + 1; open addressing. */
    uint32_t table_size;
};

enum term_kind { TERM_SPREAD, TERM_AFFINITY, TERM_ANTI, TERM_PREFERRED };

struct term {
    enum term_kind kind;
    uint32_t class_id, id;
    uint64_t serial;                     /* Never used again, unlike id. */
    const struct request_spread *spread; /* SPREAD */
    const struct request_pod_term *pod;  /* the others */
    int64_t weight;                      /* PREFERRED: as for the newcomer; negative: away. */
    struct topo *topo;
    uint32_t *matched, *owners; /* By domain. */
    uint32_t *counted;          /* SPREAD: nodes of the domain that count. */
    uint32_t size;              /* Domains there is room for. */
    uint32_t matched_total, owners_total;
    uint64_t version;   /* Of the counters. */
    uint64_t *excluded; /* SPREAD: bitmap of nodes that do not count; NULL: all do. */
    uint32_t excluded_words;
};

struct class_terms {
    uint32_t count;
    struct term *at[];
};

struct topo *topo__ref(struct ledger *l, uint32_t key);
void topo__unref(struct ledger *l, struct topo *t);
void topo__free(struct topo *t);
void topo__node_enters(struct ledger *l, struct topo *t, const struct node *n);
void topo__held(const struct topo *t, held_each *each, void *context); /* NULL is allowed. */
void topo__node_leaves(struct topo *t, uint32_t node);

void terms__class_came(struct ledger *l, struct class *c);
void terms__class_went(struct ledger *l, struct class *c);
void terms__profile(struct ledger *l, struct labels *s); /* Brings s->profile up to date. */
void terms__labels_went(struct labels *s);

/* A hold came (by 1) or goes (by -1). */
void terms__held(struct ledger *l, const struct hold *h, int by);

/* Around every change of a node's facts. */
void terms__node_leaves(struct ledger *l, uint32_t node);
void terms__node_enters(struct ledger *l, uint32_t node);
void terms__fini(struct ledger *l);

bool terms__is_matched(const struct profile *p, const struct term *t);
/* Does some spread constraint count such labels? */
bool terms__spread_counts(struct ledger *l, struct labels *s);

/* SPREAD: the most that may stand in a domain before one more comes. */
uint64_t terms__spread_limit(const struct term *t, bool self);

static inline uint32_t terms__domain(const struct term *t, uint32_t node)
{
    return node < t->topo->size ? t->topo->domain_of[node] : DOMAIN_NONE;
}

static inline bool terms__is_coarse(const struct term *t)
{
    return t->topo->domains_count <= TOPO_COARSE_MAX;
}

#endif /* SCHEDULER_TERMS_H */
