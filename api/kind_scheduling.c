/* SPDX-License-Identifier: Apache-2.0 */
/* PriorityClass and PodGroup. What is wrong is said in Kubernetes' words (pkg/apis/scheduling/validation). */
#include "api/kinds_priv.h"
#include "api/meta.h"
#include "base/wire.h"
#include "proto/k8s/podgroup_v1alpha1.pb-c.h"
#include "proto/k8s/scheduling_v1.pb-c.h"

enum { PRIORITY_MAX = 1000000000, GROUP_MAX = 1024 };

/* ------------------------------------------------------------------ PriorityClass */

static const struct {
    const char *name;
    int32_t value;
} system_classes[] = {{"system-cluster-critical", 2000000000},
                      {"system-node-critical", 2000001000}};

bool kind_system_priority(struct str name, int32_t *out)
{
    for (size_t i = 0; i < COUNT_OF(system_classes); i++)
        if (str_is(name, system_classes[i].name)) {
            *out = system_classes[i].value;
            return true;
        }
    return false;
}

bool kind_priority_fits(struct str raw, struct str name)
{
    enum { GLOBAL_DEFAULT = 3 };
    return name.len > 0 ? str_eq(meta_of(raw).name, name) : wire_find_u64(raw, GLOBAL_DEFAULT) != 0;
}

static void priority_prepare(struct kind_call *c, ProtobufCMessage *object,
                             const ProtobufCMessage *old)
{
    (void)c, (void)old;
    default_text(&((Scheduling__PriorityClass *)object)->preemption_policy, "PreemptLowerPriority");
}

static void priority_name_validate(struct kind_call *c, const Scheduling__PriorityClass *p)
{
    struct field meta = field_name(NULL, "metadata"), name = field_name(&meta, "name");
    struct field value = field_name(NULL, "value");
    int32_t ours;
    if (kind_system_priority(kind_str(p->metadata->name), &ours)) {
        if (p->value != ours)
            causes_add(&c->causes, CAUSE_FORBIDDEN, &value, "value of a system class is %d", ours);
        return;
    }
    if (str_starts(kind_str(p->metadata->name), STR("system-")))
        causes_add(&c->causes, CAUSE_FORBIDDEN, &name,
                   "priority class names with 'system-' prefix are reserved for system use only");
    if (p->value > PRIORITY_MAX)
        causes_add(&c->causes, CAUSE_FORBIDDEN, &value,
                   "maximum allowed value of a user defined priority is %d", PRIORITY_MAX);
}

static void priority_validate(struct kind_call *c, const ProtobufCMessage *object,
                              const ProtobufCMessage *old)
{
    static const char *const policies[] = {"Never", "PreemptLowerPriority", NULL};
    const Scheduling__PriorityClass *p = (const Scheduling__PriorityClass *)object;
    const Scheduling__PriorityClass *was = (const Scheduling__PriorityClass *)old;
    struct field value = field_name(NULL, "value");
    struct field policy = field_name(NULL, "preemptionPolicy");
    if (was == NULL)
        priority_name_validate(c, p);
    check_one_of(c, &policy, p->preemption_policy, policies);
    if (was != NULL && p->value != was->value)
        causes_add(&c->causes, CAUSE_FORBIDDEN, &value, "may not be changed in an update.");
    if (was != NULL && !str_eq(kind_str(p->preemption_policy), kind_str(was->preemption_policy)))
        causes_invalid(&c->causes, &policy, kind_str(p->preemption_policy), "field is immutable");
}

const struct kind kind_priority_class = {
    .group = "scheduling.k8s.io",
    .plural = "priorityclasses",
    .name_rule = name_subdomain,
    .flags = KIND_PUT_CREATES,
    .prepare = priority_prepare,
    .validate = priority_validate,
};

/* ------------------------------------------------------------------ PodGroup */

static void group_validate(struct kind_call *c, const ProtobufCMessage *object,
                           const ProtobufCMessage *old)
{
    const Podgroup__PodGroup *g = (const Podgroup__PodGroup *)object;
    struct field spec = field_name(NULL, "spec"), least = field_name(&spec, "minMember");
    int32_t members = g->spec == NULL ? 0 : g->spec->min_member;
    (void)old;
    if (members < 1 || members > GROUP_MAX)
        causes_invalid_i64(&c->causes, &least, members, "must be between 1 and 1024, inclusive");
}

const struct kind kind_pod_group = {
    .group = "scheduling.x-k8s.io",
    .plural = "podgroups",
    .name_rule = name_subdomain,
    .validate = group_validate,
};
