/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What other objects say of a new workload: its priority's class, its namespace's LimitRanges, and whether its service account is there.
 * The only looks at other objects before a write. A snapshot is good enough: the class's value is fixed, and
 * the account is a kindness to the client, not a guarantee.
 */
#include "controlplane/serve/rest_write.h"
#include "api/typed.h"
#include "proto/k8s/core_v1.pb-c.h"
#include "proto/k8s/scheduling_v1.pb-c.h"
#include "proto/kubevirt/v1.pb-c.h"

bool admit_class_name(const ProtobufCMessage *object, struct str *out)
{
    const Core__Pod *pod = (const Core__Pod *)object;
    const Kubevirt__VirtualMachineInstance *v = (const Kubevirt__VirtualMachineInstance *)object;
    if (object->descriptor == &core__pod__descriptor)
        *out = kind_str(pod->spec == NULL ? NULL : pod->spec->priority_class_name);
    else if (object->descriptor == &kubevirt__virtual_machine_instance__descriptor)
        *out = kind_str(v->spec == NULL ? NULL : v->spec->priority_class_name);
    else
        return false;
    return true;
}

/* Of several that are everybody's the highest. */
static bool is_meant(const Scheduling__PriorityClass *p, struct str name,
                     const struct kind_priority *have)
{
    if (p == NULL || p->metadata == NULL)
        return false;
    return name.len > 0 || !have->is_known || p->value > have->value;
}

/* The next of a few that begin with prefix: not worth counting first. */
static struct cow_entry *next_of(struct cow_cursor *cursor, struct str prefix)
{
    struct cow_entry *e = cow_next(cursor);
    return e != NULL && str_starts(cow_entry_key(e), prefix) ? e : NULL;
}

void admit_priority_class(struct call *c, struct str name, struct kind_priority *out)
{
    const struct str prefix = STR("scheduling.k8s.io/priorityclasses/");
    struct cow_cursor cursor;
    struct cow_entry *e;
    struct index_snapshot now = index_snapshot(rest_index(c->r));
    cow_seek(&cursor, now.root, prefix);
    while ((e = next_of(&cursor, prefix)) != NULL) {
        if (!kind_priority_fits(entry_raw(e), name)) /* Few are opened. */
            continue;
        const Scheduling__PriorityClass *p =
            typed_open(&c->r->arena, &scheduling__priority_class__descriptor, blob_str(e->value));
        if (!is_meant(p, name, out))
            continue;
        *out = (struct kind_priority){.is_known = true,
                                      .name = kind_str(p->metadata->name),
                                      .preemption_policy = kind_str(p->preemption_policy),
                                      .value = p->value};
    }
    index_snapshot_free(&now);
}

static bool is_about_pods(const struct call *c)
{
    return c->schema->message->type == &core__pod__descriptor || str_is(c->schema->kind, "Plan");
}

/* A Plan may ask for pods of every namespace. */
void admit_limits(struct call *c, struct kind_call *out)
{
    struct arena *a = &c->r->arena;
    struct cow_cursor cursor;
    struct cow_entry *e;
    if (!is_about_pods(c))
        return;
    const struct str of_namespace[] = {STR("/limitranges/"), c->r->at.namespace, STR("/")};
    struct str prefix = arena_join(a, of_namespace, c->schema->namespaced ? 3 : 1);
    struct index_snapshot now = index_snapshot(rest_index(c->r));
    cow_seek(&cursor, now.root, prefix);
    while (prefix.at != NULL && (e = next_of(&cursor, prefix)) != NULL) {
        const Core__LimitRange *l =
            typed_open(a, &core__limit_range__descriptor, blob_str(e->value));
        const Core__LimitRange **more = kind_grow(a, out->limits, out->limits_count, 1);
        if (l == NULL || more == NULL)
            continue;
        more[out->limits_count++] = l;
        out->limits = more;
    }
    index_snapshot_free(&now);
}

bool admit_account(struct call *c, struct str name, struct str *out_why)
{
    struct arena *a = &c->r->arena;
    struct str ns = c->r->at.namespace;
    const struct str parts[] = {STR("/serviceaccounts/"), ns, STR("/"), name};
    struct str key = arena_join(a, parts, COUNT_OF(parts));
    struct index_snapshot now = index_snapshot(rest_index(c->r));
    bool is_there = key.at != NULL && index_find(&now, key) != NULL;
    index_snapshot_free(&now);
    /* The default one is made right after its namespace: a pod may be quicker. */
    if (is_there || str_is(name, "default"))
        return true;
    *out_why = arena_printf(a,
                            "error looking up service account " STR_FMT "/" STR_FMT
                            ": serviceaccount \"" STR_FMT "\" not found",
                            STR_ARG(ns), STR_ARG(name), STR_ARG(name));
    return false;
}
