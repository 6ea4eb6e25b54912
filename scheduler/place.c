/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain search, and the oracle of the fast one: look at every node, ask every rule, take the
 * cheapest. Nothing is remembered between two calls.
 */
#include "scheduler/search_priv.h"

enum explain_reason place__check(const struct ledger *l, const struct node *n,
                                 const struct request *r, const struct pods_view *pods,
                                 struct fit *out)
{
    out->wanted = out->free = 0;
    enum explain_reason reason = rules__node(l, n, r, &out->about);
    if (reason == EXPLAIN_FITS && !rules__ports(n, r))
        reason = EXPLAIN_PORT;
    if (reason == EXPLAIN_FITS)
        reason = fit__node(n, r, false, out);
    if (reason == EXPLAIN_FITS && r->node_name == 0)
        reason = pods__check(pods, n->index);
    return reason;
}

struct cost place__cost(const struct ledger *l, const struct node *n, const struct request *r,
                        const struct pods_view *pods, const struct fit *f)
{
    return (struct cost){
        .rules = rules__node_cost(l, n, r) + (r->node_name == 0 ? pods__cost(pods, n->index) : 0),
        .packing = cost__packing_of(l, n, r, f),
        .tie = n->tie,
        .node = n->index,
    };
}

uint32_t place__plain(const struct ledger *l, const struct request *r, const struct labels *own,
                      struct fit *out)
{
    uint32_t best = LEDGER_NODE_NONE;
    struct cost best_cost = {0};
    struct pods_view *pods = pods__view(l, r, own);

    for (uint32_t i = 0; i < l->nodes.count; i++) {
        const struct node *n = ledger__node(l, i);
        struct fit f;
        if (n == NULL || n->removed || place__check(l, n, r, pods, &f) != EXPLAIN_FITS)
            continue;
        struct cost cost = place__cost(l, n, r, pods, &f);
        if (best == LEDGER_NODE_NONE || cost__less(&cost, &best_cost)) {
            best = i;
            best_cost = cost;
            *out = f;
        }
    }
    pods__view_free(pods);
    return best;
}
