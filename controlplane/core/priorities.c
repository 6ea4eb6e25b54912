/* SPDX-License-Identifier: Apache-2.0 */
/* The two PriorityClasses of the system are always there (Kubernetes: scheduling.k8s.io bootstrap). */
#include "controlplane/core/controllers_priv.h"

#include "api/kinds.h"
#include "api/typed.h"
#include "proto/k8s/scheduling_v1.pb-c.h"

static const struct {
    const char *name, *description;
} always[] = {
    {"system-cluster-critical",
     "Used for system critical pods that must run in the cluster, but can be moved to another node "
     "if necessary."},
    {"system-node-critical",
     "Used for system critical pods that must not be moved from their current node."},
};

static struct str key_of(struct core *c, struct str name)
{
    return core_key(c, "scheduling.k8s.io", "priorityclasses", STR(""), name);
}

void priorities_loaded(struct core *c)
{
    for (uint32_t i = 0; i < COUNT_OF(always); i++)
        core_mark(c, CONTROL_PRIORITIES, key_of(c, str_of(always[i].name)));
}

void priorities_changed(struct core *c, const struct core_change *change)
{
    if (change->is.deleted && str_is(change->at.plural, "priorityclasses") &&
        str_is(change->at.group, "scheduling.k8s.io"))
        core_mark(c, CONTROL_PRIORITIES, cow_entry_key(change->is.now));
}

static void make(struct core *c, struct str key, const char *name, const char *description)
{
    Scheduling__PriorityClass p = SCHEDULING__PRIORITY_CLASS__INIT;
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    char uid[RNG_UUID_LEN + 1], policy[] = "PreemptLowerPriority";
    rng_uuid(&c->rng, uid);
    p.metadata = &meta;
    p.has_value = kind_system_priority(str_of(name), &p.value);
    p.description = arena_dup(&c->turn, str_of(description));
    p.preemption_policy = policy;
    meta.has_generation = true;
    meta.generation = 1;
    struct meta_edit edit = {.name = str_of(name),
                             .uid = str_of(uid),
                             .set_created = true,
                             .created_s = wall_seconds(c->wall)};
    struct stage *s = stage_begin(c);
    stage_put(s, key, typed_wrap(&c->turn, "scheduling.k8s.io/v1", "PriorityClass", &p), &edit);
    stage_end(s);
}

enum reconcile priorities_reconcile(struct core *c, struct str key)
{
    struct index_key at;
    if (!index_key_parse(key, &at) || core_find(c, key) != NULL)
        return RECONCILE_DONE;
    if (core_is_busy(c, key))
        return RECONCILE_LATER;
    for (uint32_t i = 0; i < COUNT_OF(always); i++)
        if (str_is(at.name, always[i].name))
            make(c, key, always[i].name, always[i].description);
    return RECONCILE_DONE;
}
