/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan is a journal: what was closed, lifted and placed, taken back from its end. So every node has the very
 * rows again that it had, whatever was tried in between.
 */
#include "scheduler/preempt.h"
#include "scheduler/search_priv.h"

enum plan_deed { PLAN_CLOSED, PLAN_LIFTED, PLAN_PLACED };

struct plan_entry {
    enum plan_deed deed;
    union {
        struct {
            uint32_t node;
            bool was_ready;
        } closed;
        struct lifted *lifted;
        uint64_t placed;
    };
};

struct plan {
    struct ledger *l;
    const struct preempt_budget *budgets;
    uint32_t budgets_count, count;
    uint64_t looked_at; /* Nodes, for victims. */
    struct plan_entry journal[PLAN_STEPS_MAX];
};

struct plan *plan_begin(struct ledger *l, const struct preempt_budget *budgets,
                        uint32_t budgets_count)
{
    struct plan *p = mem_alloc(sizeof *p); /* The journal is written as it grows. */
    p->l = l;
    p->budgets = budgets;
    p->budgets_count = budgets_count;
    p->count = 0;
    p->looked_at = 0;
    l->is_question = true;
    return p;
}

static enum err_code next(struct plan *p, struct plan_entry **out, struct err *e)
{
    if (p->count == PLAN_STEPS_MAX)
        return err_set(e, ERR_LIMIT, "a plan has at most %d steps", PLAN_STEPS_MAX);
    *out = &p->journal[p->count];
    return ERR_OK;
}

enum err_code plan_close(struct plan *p, uint32_t node, struct err *e)
{
    struct plan_entry *at = NULL;
    struct node *n = ledger__node(p->l, node);
    if (n == NULL)
        return err_set(e, ERR_NOT_FOUND, "no such node");
    enum err_code code = next(p, &at, e);
    if (code != ERR_OK)
        return code;
    at->deed = PLAN_CLOSED;
    at->closed.node = node;
    at->closed.was_ready = n->ready;
    p->count++;
    ledger_node_set_ready(p->l, node, false);
    return ERR_OK;
}

static bool is_lifted(const struct plan *p, uint32_t index)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->journal[i].deed == PLAN_LIFTED && p->journal[i].lifted->index == index)
            return true;
    return false;
}

enum err_code plan_lift(struct plan *p, uint64_t hold, struct err *e)
{
    struct plan_entry *at = NULL;
    uint32_t index;
    if (ledger__hold_find(p->l, hold, &index) == NULL || is_lifted(p, index))
        return err_set(e, ERR_NOT_FOUND, "no such hold");
    enum err_code code = next(p, &at, e);
    if (code != ERR_OK)
        return code;
    at->deed = PLAN_LIFTED;
    at->lifted = mem_alloc(sizeof *at->lifted);
    preempt__lift(p->l, index, at->lifted);
    ledger__node_changed(p->l, ledger__hold(p->l, index)->node, false);
    p->count++;
    return ERR_OK;
}

static enum err_code make_room(struct plan *p, const struct request *r, struct preempt_result *out,
                               struct err *e)
{
    if (p->looked_at > PLAN_LOOKS_MAX)
        return err_set(e, ERR_LIMIT, "over %d nodes were looked at for others to leave",
                       PLAN_LOOKS_MAX);
    p->looked_at += p->l->nodes.count;
    enum err_code code = ledger_preempt(p->l, r, p->budgets, p->budgets_count, out, e);
    for (uint32_t i = 0; code == ERR_OK && i < out->victims_count; i++)
        code = plan_lift(p, out->victims[i], e);
    return code;
}

enum err_code plan_place(struct plan *p, const struct request *r, struct plan_step *out,
                         struct err *e)
{
    struct plan_entry *at = NULL;
    uint64_t hold;
    out->victims.victims_count = out->victims.violations = 0;
    enum err_code code = ledger_place(p->l, r, &hold, NULL, e);
    if (code == ERR_BUSY && make_room(p, r, &out->victims, NULL) == ERR_OK)
        code = ledger_place(p->l, r, &hold, NULL, e);
    if (code != ERR_OK)
        return code;
    code = next(p, &at, e);
    if (code != ERR_OK) {
        ledger_undo(p->l, hold);
        return code;
    }
    at->deed = PLAN_PLACED;
    at->placed = out->hold = hold;
    p->count++;
    return ERR_OK;
}

uint32_t plan_mark(const struct plan *p)
{
    return p->count;
}

void plan_back(struct plan *p, uint32_t mark)
{
    while (p->count > mark) {
        struct plan_entry *at = &p->journal[--p->count];
        switch (at->deed) {
        case PLAN_CLOSED:
            ledger_node_set_ready(p->l, at->closed.node, at->closed.was_ready);
            break;
        case PLAN_LIFTED:
            preempt__put_back(p->l, at->lifted);
            ledger__node_changed(p->l, ledger__hold(p->l, at->lifted->index)->node, false);
            mem_free(at->lifted);
            break;
        case PLAN_PLACED:
            ledger_undo(p->l, at->placed);
            break;
        }
    }
}

void plan_end(struct plan *p)
{
    if (p == NULL)
        return;
    plan_back(p, 0);
    p->l->is_question = false;
    mem_free(p);
}
