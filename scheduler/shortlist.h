/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shortlist.h -- what is remembered about nodes for one class of requests.
 *
 * WHAT   For a class and what its labels mean to the rules between workloads: the few cheapest nodes,
 *        and a limit that every node outside the list is known to cost at least. Where rules count
 *        by a coarse topology key (zones), one such group per domain, so that a change of a counter
 *        changes which groups may be used and never what is in them.
 * WHY    A decision then looks at a handful of nodes. Catching up with the log of changes adds the
 *        changed nodes that are cheaper than the limit; entries whose node changed since are dropped
 *        when they are met.
 * OWNS   Hangs on its class; shortlist__drop_oldest() keeps all of them together under the cap.
 */
#ifndef SCHEDULER_SHORTLIST_H
#define SCHEDULER_SHORTLIST_H

#include "scheduler/terms.h"

/* The rest of a group shrinks to KEEP entries when it has SPARE times as many, its heap to a fifth
 * of that. */
enum { SHORTLIST_KEEP = 40, SHORTLIST_SPARE = 3, SHORTLIST_DRAW_PART = 5 };
enum { SHORTLIST_DRAW_MAX = (SHORTLIST_KEEP + SHORTLIST_DRAW_PART - 1) / SHORTLIST_DRAW_PART };
enum { SHORTLIST_GROUPS_MAX = 512, SHORTLIST_TOPOS_MAX = 4 };

enum shortlist_role {
    ROLE_SPREAD,
    ROLE_SPREAD_SOFT,
    ROLE_AFFINITY,
    ROLE_ANTI,
    ROLE_PREFERRED,
    ROLE_FELT_ANTI, /* A standing workload's term keeps the newcomer out... */
    ROLE_FELT,      /* ...or pulls and pushes it. */
};

struct shortlist_rule {
    struct term *term;
    uint64_t serial; /* The term's: its address may be another's later. */
    enum shortlist_role role;
    bool self, coarse;
    uint64_t limit; /* SPREAD: most that may stand there. AFFINITY: 0 when the first may start. */
};

/* What the request takes of a machine whose cores all have so many threads. */
struct shortlist_machine {
    uint32_t cores;
    uint64_t cpu_milli; /* That must be free in the pool. */
    uint64_t taken[2];  /* Off what is left over; with devices or not. */
};

struct shortlist_group {
    struct cost *heap, *rest; /* The cheapest, the first of them on top; others, in no order. */
    uint32_t count, size, rest_count, rest_size;
    struct cost heap_limit,
        limit;                  /* What is outside the heap, and outside both, costs at least... */
    bool heap_limited, limited; /* ...this; or there is nothing outside. */
};

struct shortlist {
    struct class *class;
    struct shortlist *next;          /* Of the same class, for other labels. */
    struct shortlist *newer, *older; /* By last use. */
    uint64_t profile_hash;
    uint64_t cursor, facts_cursor; /* Into the logs. */
    uint64_t epoch;
    size_t bytes, own_bytes; /* own: without what a new build frees. */
    bool built;
    bool odd_only;     /* The nodes that are in no order, and no others. */
    bool has_rules;    /* Rules of nodes: allowed says who passes. */
    bool has_costs;    /* Preferences of nodes: what is left over is no bound. */
    bool is_heavy;     /* Sums do not tell whether it fits: the same. */
    bool is_simple;    /* Nothing but hardware decides. */
    bool is_single;    /* Too many combinations of domains: nothing can be remembered. */
    int64_t gain_most; /* The most a placement can lower the cost of fragments. */
    uint64_t taken_least, taken_most; /* Off what is left over, by machine. */
    struct shortlist_machine machine[TOPOLOGY_CORE_THREADS_MAX + 1]; /* By threads per core. */
    struct columns_want want, want_unsplit;
    uint64_t *allowed; /* Bitmap of nodes. */
    uint32_t allowed_words;
    uint32_t rules_count, topos_count, groups_count;
    uint32_t keep, draw; /* Entries of a group's rest and heap that stay when they are full. */
    struct shortlist_rule *rules;
    struct topo *topos[SHORTLIST_TOPOS_MAX]; /* The coarse ones. */
    uint32_t radix[SHORTLIST_TOPOS_MAX];
    struct shortlist_group *groups;
};

/* The cheapest node and its rows, or LEDGER_NODE_NONE: the same as place__plain(). */
uint32_t shortlist__place(struct ledger *l, struct class *c, struct labels *own, struct fit *out);

/* ---- group.c ---- */
void group__clear(struct shortlist_group *g);
void group__free(struct shortlist_group *g);
bool group__is_current(const struct ledger *l, const struct cost *entry);
void group__pop(struct shortlist_group *g);
/* The top turned out to cost more. */
void group__sink(struct shortlist_group *g, const struct cost *moved);
/* The cost is under the heap's limit. */
void group__push(struct ledger *l, struct shortlist *sl, struct shortlist_group *g,
                 const struct cost *entry);
/* The cost is at least the heap's limit. */
void group__add(struct ledger *l, struct shortlist *sl, struct shortlist_group *g,
                const struct cost *entry);
/* Takes the cheapest of the rest out; the heap's limit is now the cheapest that stays. */
uint32_t group__draw(const struct ledger *l, const struct shortlist *sl, struct shortlist_group *g,
                     struct cost out[SHORTLIST_DRAW_MAX]);

/* ---- shortlist_keep.c ---- */
void shortlist__use(struct ledger *l, struct shortlist *sl);   /* The last that goes. */
void shortlist__clear(struct ledger *l, struct shortlist *sl); /* Before it is built anew. */
void shortlist__drop_all(struct ledger *l, struct class *c);
void shortlist__drop_oldest(
    struct ledger *l); /* If there is any, with its class, when nobody holds that. */
void shortlist__drop_over_cap(struct ledger *l); /* The least used go. */
/* Who is a whole log behind had better be built anew. */
void shortlist__drop_behind(struct ledger *l);

/* ---- wants.c ---- */
void wants__set(struct ledger *l, struct shortlist *sl); /* Of the request, over all machines. */
/* What the filter is asked now. */
struct columns_want wants__now(const struct shortlist *sl);
/* How much may be left over on a node that is cheaper than some group's limit, or UINT64_MAX: there is
 * no telling. With spread: how much must be. out_most: the highest limit. */
uint64_t wants__left_bound(const struct shortlist *sl, int64_t *out_most);
struct order_room wants__room(const struct columns_want *want);

/* search.c: a node looked at closely, with counters instead of walks over holds. */
enum explain_reason search__check(const struct ledger *l, const struct node *n,
                                  const struct request *r, struct fit *out);
bool search__light(const struct ledger *l, uint32_t node, const struct request *r,
                   const struct shortlist_machine *m, int64_t *out_split);
struct shortlist_machine search__machine(const struct ledger *l, const struct request *r,
                                         uint32_t threads_min, uint32_t threads_max);
bool search__is_heavy(const struct request *r);
/* The cheapest of the nodes in orders. False: no answer, also when none has room. */
bool search__by_order(struct ledger *l, struct class *c, const struct profile *p, struct cost *out);
/* In the ledger's scratch: valid until the next call. */
const struct shortlist_rule *search__rules(struct ledger *l, const struct class *c,
                                           const struct profile *p, uint32_t *out_count);
bool search__rule_allows(const struct shortlist_rule *rule, uint32_t domain);
int64_t search__rule_cost(const struct shortlist_rule *rule, uint32_t domain);

uint32_t search__place_named(struct ledger *l, struct class *c, struct labels *own,
                             struct fit *out);
bool search__is_named(const struct request *r);

#endif /* SCHEDULER_SHORTLIST_H */
