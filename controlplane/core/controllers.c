/* SPDX-License-Identifier: Apache-2.0 */
/* The controllers' list put to work, and the kinds' rules. */
#include "controlplane/core/budgets.h"
#include "controlplane/core/controllers_priv.h"
#include "controlplane/core/quotas.h"

#include "base/mem.h"
#include "controlplane/core/cluster.h"

void controllers_new(struct core *c)
{
    c->controls = mem_zalloc(1, sizeof *c->controls);
    cowtree_init(&c->controls->dependents);
    cowtree_init(&c->controls->members);
    c->controls->events = events_new();
    c->controls->quotas = quotas_new();
    c->controls->budgets = budgets_new();
}

void controllers_free(struct core *c)
{
    cowtree_fini(&c->controls->dependents);
    cowtree_fini(&c->controls->members);
    events_free(c->controls->events);
    quotas_free(c->controls->quotas);
    budgets_free(c->controls->budgets);
    mem_free(c->controls);
}

static void loaded(struct core *c)
{
#define X(name, prefix) prefix##_loaded(c);
    CORE_CONTROLLERS(X)
#undef X
}

static void changed(struct core *c, const struct history_change *is)
{
    struct core_change change = {.is = *is};
    if (!index_key_parse(cow_entry_key(is->now), &change.at))
        return;
    if (meta_read(blob_str(is->now->value), &change.now, NULL) != ERR_OK)
        change.now = (struct meta){0};
    if (is->before != NULL &&
        meta_read(blob_str(is->before->value), &change.before, NULL) != ERR_OK)
        change.before = (struct meta){0};
#define X(name, prefix) prefix##_changed(c, &change);
    CORE_CONTROLLERS(X)
#undef X
}

static enum reconcile reconcile(struct core *c, enum core_control control, struct str key)
{
    switch (control) {
#define X(name, prefix)                                                                            \
    case name:                                                                                     \
        return prefix##_reconcile(c, key);
        CORE_CONTROLLERS(X)
#undef X
    case CONTROL__COUNT:
        break;
    }
    return RECONCILE_DONE;
}

/* Where it is and why it waits, and how it fares in few words (status.c). */
enum { WORKLOAD_ROOM = 16 << 10 };

/* Kinds that have a part of their own in a write. */
static const struct core_rule core_rules[] = {
    {.group = "", .plural = "secrets", .sealed = true},
    {.group = "", .plural = "events", .create = events_create},
    {.group = "",
     .plural = "namespaces",
     .create = namespace_create,
     .replace = namespace_replace,
     .remove = namespace_remove},
    {.group = "",
     .plural = "pods",
     .room = WORKLOAD_ROOM,
     .create = placing_create,
     .remove = placing_remove},
    {.group = "kubevirt.io",
     .plural = "virtualmachineinstances",
     .room = WORKLOAD_ROOM,
     .create = placing_create,
     .remove = placing_remove},
    {.group = "", .plural = "limitranges", .create = limits_create},
    {.group = "policy", .plural = "poddisruptionbudgets", .create = budgets_create},
    {.group = "baton.dev", .plural = "plans", .create = plan_create},
    {.group = "baton.dev",
     .plural = "placements",
     .internal = true,
     .remove = placing_keep,
     .topic = placing_topic},
};

const struct core_above controllers_above = {
    .loaded = loaded,
    .changed = changed,
    .reconcile = reconcile,
    .admit = quotas_admit,
    .rules = core_rules,
    .rules_count = COUNT_OF(core_rules),
};
