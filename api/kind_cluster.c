/* SPDX-License-Identifier: Apache-2.0 */
/* Namespace, Event and Lease. Node is in kind_node.c. */
#include "api/kinds_priv.h"
#include "api/table.h"
#include "proto/k8s/coordination_v1.pb-c.h"

/* ------------------------------------------------------------------ Namespace */

#define NAME_LABEL "kubernetes.io/metadata.name"

/* Every namespace carries its name as a label, whatever a client writes there. */
static void namespace_label(struct kind_call *c, Meta__ObjectMeta *m)
{
    if (is_empty(m->name))
        return; /* Generated: the core sets it. */
    Meta__ObjectMeta__LabelsEntry **labels = kind_grow(c->arena, m->labels, m->n_labels, 1);
    Meta__ObjectMeta__LabelsEntry *own =
        kind_new(c->arena, &meta__object_meta__labels_entry__descriptor);
    if (labels == NULL || own == NULL)
        return;
    own->key = (char *)(uintptr_t)NAME_LABEL;
    own->value = m->name;
    size_t at = 0;
    while (at < m->n_labels && !is_text(labels[at]->key, NAME_LABEL))
        at++;
    labels[at] = own;
    m->n_labels += at == m->n_labels;
    m->labels = labels;
}

static void namespace_prepare(struct kind_call *c, ProtobufCMessage *object,
                              const ProtobufCMessage *old)
{
    Core__Namespace *n = (Core__Namespace *)object;
    const Core__Namespace *was = (const Core__Namespace *)old;
    static char *const finalizers[] = {(char *)(uintptr_t) "kubernetes"};
    namespace_label(c, n->metadata);
    if (c->write == KIND_CREATE) {
        n->spec = kind_new(c->arena, &core__namespace_spec__descriptor);
        n->status = kind_new(c->arena, &core__namespace_status__descriptor);
        if (n->spec == NULL || n->status == NULL)
            return;
        n->spec->n_finalizers = 1;
        n->spec->finalizers = kind_grow(c->arena, finalizers, 1, 0);
        default_text(&n->status->phase, "Active");
    } else if (c->write != KIND_FINALIZE) {
        n->spec = was->spec; /* Finalizers of the content go through namespaces/finalize. */
    }
}

static const char *const namespace_fields[] = {"status.phase", NULL};
static const struct kind_subresource namespace_subresources[] = {
    {"finalize", NULL, NULL, NULL, "update"},
    {"status", NULL, NULL, NULL, "get patch update"},
    {NULL, NULL, NULL, NULL, NULL},
};

const struct kind kind_namespace = {
    .group = "",
    .plural = "namespaces",
    .name_rule = name_label,
    .flags = KIND_DELETED_BODY,
    .fields = namespace_fields,
    .subresources = namespace_subresources,
    .prepare = namespace_prepare,
};

/* ------------------------------------------------------------------ Event */

/* An event is in the namespace of what it is about; about the cluster's own things, in default. */
static void event_validate(struct kind_call *c, const ProtobufCMessage *object,
                           const ProtobufCMessage *old)
{
    const Core__Event *e = (const Core__Event *)object;
    (void)old;
    struct field involved = field_name(NULL, "involvedObject");
    struct field f = field_name(&involved, "namespace");
    struct str about = kind_str(e->involved_object == NULL ? NULL : e->involved_object->namespace_);
    struct str own = kind_str(e->metadata->namespace_);
    bool is_cluster = about.len == 0 && str_is(own, "default");
    if (!is_cluster && !str_eq(about, own))
        causes_invalid(&c->causes, &f, about, "does not match event.namespace");
}

static struct str age_of(const Meta__Time *time, struct arena *a)
{
    return table_age(time == NULL ? 0 : time->seconds, a);
}

static struct str event_object(const Core__Event *e, struct arena *a)
{
    const Core__ObjectReference *o = e->involved_object;
    if (o == NULL)
        return STR("");
    struct str kind = kind_str(o->kind);
    char *lower = arena_dup(a, kind);
    for (size_t i = 0; lower != NULL && i < kind.len; i++)
        if (lower[i] >= 'A' && lower[i] <= 'Z')
            lower[i] += 'a' - 'A';
    return arena_printf(a, "%s%s%s", lower == NULL ? "" : lower, is_empty(o->name) ? "" : "/",
                        kind_str(o->name).at);
}

static struct str event_seen(const Core__Event *e, bool is_last, struct arena *a)
{
    int64_t micro = e->event_time == NULL ? 0 : e->event_time->seconds;
    const Meta__Time *time = is_last ? e->last_timestamp : e->first_timestamp;
    if (is_last && e->series != NULL && e->series->last_observed_time != NULL)
        return table_age(e->series->last_observed_time->seconds, a);
    return time == NULL && micro != 0 ? table_age(micro, a) : age_of(time, a);
}

static struct kind_cell event_cell(const void *object, struct str column, struct arena *a)
{
    const Core__Event *e = object;
    if (str_is(column, "Last Seen"))
        return (struct kind_cell){.text = event_seen(e, true, a)};
    if (str_is(column, "First Seen"))
        return (struct kind_cell){.text = event_seen(e, false, a)};
    if (str_is(column, "Object"))
        return (struct kind_cell){.text = event_object(e, a)};
    if (str_is(column, "Count"))
        return (struct kind_cell){.number = e->series != NULL ? e->series->count
                                            : e->count > 0    ? e->count
                                                              : 1,
                                  .is_number = true};
    struct str component = kind_str(e->source == NULL ? NULL : e->source->component);
    struct str host = kind_str(e->source == NULL ? NULL : e->source->host);
    if (component.len == 0)
        component = kind_str(e->reporting_component);
    return (struct kind_cell){.text = arena_printf(a, STR_FMT "%s" STR_FMT, STR_ARG(component),
                                                   host.len == 0 ? "" : ", ", STR_ARG(host))};
}

static const char *const event_fields[] = {"involvedObject.kind",
                                           "involvedObject.namespace",
                                           "involvedObject.name",
                                           "involvedObject.uid",
                                           "involvedObject.apiVersion",
                                           "involvedObject.resourceVersion",
                                           "involvedObject.fieldPath",
                                           "reason",
                                           "reportingComponent",
                                           "source",
                                           "type",
                                           NULL};

const struct kind kind_event = {
    .group = "",
    .plural = "events",
    .name_rule = name_segment,
    .flags = KIND_PUT_CREATES,
    .fields = event_fields,
    .validate = event_validate,
    .cell = event_cell,
};

/* ------------------------------------------------------------------ Lease */

static void lease_validate(struct kind_call *c, const ProtobufCMessage *object,
                           const ProtobufCMessage *old)
{
    const Coordination__LeaseSpec *s = ((const Coordination__Lease *)object)->spec;
    struct field spec = field_name(NULL, "spec");
    (void)old;
    if (s == NULL)
        return;
    struct field duration = field_name(&spec, "leaseDurationSeconds");
    struct field transitions = field_name(&spec, "leaseTransitions");
    if (s->has_lease_duration_seconds && s->lease_duration_seconds <= 0)
        causes_invalid_i64(&c->causes, &duration, s->lease_duration_seconds,
                           "must be greater than 0");
    if (s->has_lease_transitions && s->lease_transitions < 0)
        causes_invalid_i64(&c->causes, &transitions, s->lease_transitions,
                           "must be greater than or equal to 0");
}

const struct kind kind_lease = {
    .group = "coordination.k8s.io",
    .plural = "leases",
    .name_rule = name_subdomain,
    .flags = KIND_PUT_CREATES | KIND_NEEDS_VERSION,
    .validate = lease_validate,
};
