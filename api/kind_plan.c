/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plan: a question to the scheduler. The workloads in it are prepared and validated as if they were created,
 * with their place in the plan before each field's path; the core answers.
 */
#include "api/kinds_priv.h"
#include "proto/baton/plan_v1.pb-c.h"

enum { PLAN_WORKLOADS_MAX = 256, PLAN_COPIES_MAX = 1000 };

/* One that has no name gets one, and one without a namespace is in default: it is a question only. */
static void name_workload(struct kind_call *c, ProtobufCMessage *object, size_t index)
{
    Meta__ObjectMeta *m = kind_meta(object, c->arena);
    if (m == NULL)
        return;
    default_text(&m->namespace_, "default");
    if (is_empty(m->name) && is_empty(m->generate_name))
        m->name = (char *)(uintptr_t)arena_printf(c->arena, "workload-%zu", index).at;
    else if (is_empty(m->name))
        m->name = (char *)(uintptr_t)arena_printf(c->arena, "%s%zu", m->generate_name, index).at;
}

/* Which priority its class has is the core's to find: here every name is taken for one. */
static void suppose_priority(struct kind_call *nested, const ProtobufCMessage *object)
{
    const Core__Pod *pod =
        object->descriptor == &core__pod__descriptor ? (const Core__Pod *)object : NULL;
    nested->priority.is_known = true;
    if (pod == NULL || pod->spec == NULL)
        return;
    nested->priority.name = kind_str(pod->spec->priority_class_name);
    nested->priority.value = pod->spec->priority;
}

static void prepare_workload(struct kind_call *c, const struct kind *k, ProtobufCMessage *object,
                             const struct field *at, size_t index)
{
    struct kind_call nested;
    kind_call_init(&nested, c->arena, KIND_CREATE, c->wall, c->random + index);
    name_workload(c, object, index);
    nested.limits = c->limits;
    nested.limits_count = c->limits_count;
    suppose_priority(&nested, object);
    kind_prepare(k, &nested, object, NULL);
    causes_take(&c->causes, at, &nested.causes);
    if (nested.denied.len > 0)
        kind_deny(c, STR_FMT, STR_ARG(nested.denied));
}

static void plan_prepare(struct kind_call *c, ProtobufCMessage *object, const ProtobufCMessage *old)
{
    Baton__Plan *p = (Baton__Plan *)object;
    struct field spec = field_name(NULL, "spec"), list = field_name(&spec, "workloads");
    (void)old;
    p->status = NULL;
    if (is_empty(p->metadata->name) && is_empty(p->metadata->generate_name))
        p->metadata->name = (char *)(uintptr_t) "plan";
    if (p->spec == NULL)
        p->spec = kind_new(c->arena, &baton__plan_spec__descriptor);
    if (p->spec == NULL || p->spec->n_workloads > PLAN_WORKLOADS_MAX)
        return;
    for (size_t i = 0; i < p->spec->n_workloads; i++) {
        const Baton__PlanWorkload *w = p->spec->workloads[i];
        struct field one = field_index(&list, i);
        struct field pod = field_name(&one, "pod"), machine = field_name(&one, "machine");
        if (w->pod != NULL)
            prepare_workload(c, &kind_pod, &w->pod->base, &pod, i);
        if (w->machine != NULL)
            prepare_workload(c, &kind_vmi, &w->machine->base, &machine, i);
    }
}

static void workloads_validate(struct kind_call *c, const Baton__PlanSpec *s,
                               const struct field *spec)
{
    struct field list = field_name(spec, "workloads");
    uint64_t copies = 0;
    if (s->n_workloads > PLAN_WORKLOADS_MAX) {
        causes_add(&c->causes, CAUSE_TOO_MANY, &list, "%zu: must have at most %d items",
                   s->n_workloads, PLAN_WORKLOADS_MAX);
        return;
    }
    for (size_t i = 0; i < s->n_workloads; i++) {
        const Baton__PlanWorkload *w = s->workloads[i];
        struct field one = field_index(&list, i);
        copies += w->count == 0 ? 1 : w->count;
        if ((w->pod != NULL) + (w->machine != NULL) != 1)
            causes_add(&c->causes, CAUSE_REQUIRED, &one, "either a pod or a machine");
    }
    if (copies > PLAN_COPIES_MAX)
        causes_invalid_i64(&c->causes, &list, (int64_t)copies,
                           "at most 1000 workloads in one plan, every count added up");
}

static void plan_validate(struct kind_call *c, const ProtobufCMessage *object,
                          const ProtobufCMessage *old)
{
    static const char *const kinds_known[] = {"Pod", "VirtualMachineInstance", NULL};
    const Baton__PlanSpec *s = ((const Baton__Plan *)object)->spec;
    struct field spec = field_name(NULL, "spec"), dead = field_name(&spec, "dead");
    struct field why = field_name(&spec, "why"), kind = field_name(&why, "kind");
    struct field name = field_name(&why, "name");
    (void)old;
    if (s == NULL)
        return;
    workloads_validate(c, s, &spec);
    if (is_empty(s->drain) && is_empty(s->dead) && s->n_workloads == 0 && s->why == NULL)
        causes_add(&c->causes, CAUSE_REQUIRED, &spec,
                   "one of drain, dead, workloads, why: otherwise nothing is asked");
    if (!is_empty(s->drain) && is_text(s->dead, s->drain))
        causes_invalid(&c->causes, &dead, kind_str(s->dead), "a dead node cannot be drained");
    if (s->why == NULL)
        return;
    check_one_of(c, &kind, s->why->kind, kinds_known);
    if (is_empty(s->why->name))
        causes_add(&c->causes, CAUSE_REQUIRED, &name, "%s", "");
}

const struct kind kind_plan = {
    .group = "baton.dev",
    .plural = "plans",
    .name_rule = name_subdomain,
    .flags = KIND_CREATE_ONLY,
    .prepare = plan_prepare,
    .validate = plan_validate,
};
