/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to every object that is written, whatever its kind: what is not the client's is put right, then its kind's rules. */
#include "api/kinds.h"
#include "api/kinds_priv.h"

Meta__ObjectMeta *kind_meta(ProtobufCMessage *object, struct arena *a)
{
    ProtobufCMessage **at = kind__part(object, "metadata");
    if (at != NULL && *at == NULL)
        *at = kind_new(a, &meta__object_meta__descriptor);
    return at == NULL ? NULL : (Meta__ObjectMeta *)*at;
}

/* A new object has nothing but what the client may choose; the core stamps the rest. */
static void meta_fresh(const struct kind *k, Meta__ObjectMeta *m)
{
    m->uid = NULL;
    m->self_link = NULL;
    m->resource_version = NULL;
    m->creation_timestamp = NULL;
    m->deletion_timestamp = NULL;
    m->has_deletion_grace_period_seconds = false;
    m->deletion_grace_period_seconds = 0;
    m->n_managed_fields = 0;
    if (k->flags & KIND_COUNTS) { /* Where nobody counts, a client's number is kept. */
        m->has_generation = true;
        m->generation = 1;
    }
}

static void meta_keep(Meta__ObjectMeta *m, const Meta__ObjectMeta *old)
{
    m->uid = old->uid;
    m->self_link = NULL;
    m->namespace_ = old->namespace_;
    m->creation_timestamp = old->creation_timestamp;
    m->deletion_timestamp = old->deletion_timestamp;
    m->has_deletion_grace_period_seconds = old->has_deletion_grace_period_seconds;
    m->deletion_grace_period_seconds = old->deletion_grace_period_seconds;
    m->has_generation = old->has_generation;
    m->generation = old->generation;
    m->n_managed_fields = 0;
}

static void part_take(ProtobufCMessage *object, const ProtobufCMessage *from, const char *name)
{
    ProtobufCMessage **at = kind__part(object, name);
    if (at != NULL)
        *at = from == NULL ? NULL : *kind__part(from, name);
}

/* Through the status door everything but status is as it was, but for labels and annotations (and
 * whatever the kind's own status writers need). */
static void only_status(ProtobufCMessage *object, const ProtobufCMessage *old, struct arena *a)
{
    Meta__ObjectMeta *m = kind_meta(object, a), *merged;
    const Meta__ObjectMeta *was = kind_meta_get(old);
    part_take(object, old, "spec");
    merged = arena_alloc(a, sizeof *merged);
    if (merged == NULL || was == NULL || m == NULL)
        return;
    *merged = *was;
    merged->n_labels = m->n_labels;
    merged->labels = m->labels;
    merged->n_annotations = m->n_annotations;
    merged->annotations = m->annotations;
    *kind__part(object, "metadata") = &merged->base;
}

static void count_generation(const struct kind *k, struct kind_call *c, ProtobufCMessage *object,
                             const ProtobufCMessage *old)
{
    ProtobufCMessage **now = kind__part(object, "spec");
    bool counts = (k->flags & KIND_COUNTS) != 0 && c->write != KIND_BIND;
    if (!counts || old == NULL || now == NULL)
        return;
    if (!kind_same(*now, *kind__part(old, "spec"))) {
        Meta__ObjectMeta *m = kind_meta(object, c->arena);
        m->has_generation = true;
        m->generation++;
    }
}

bool kind_prepare(const struct kind *k, struct kind_call *c, ProtobufCMessage *object,
                  const ProtobufCMessage *old)
{
    bool has_status = kind_schema(k)->status;
    Meta__ObjectMeta *m = kind_meta(object, c->arena);
    if (m == NULL)
        return false;
    if (old == NULL) {
        meta_fresh(k, m);
        if (has_status && !(k->flags & KIND_READ_ONLY) && k != &kind_node)
            part_take(object, NULL, "status");
    } else {
        meta_keep(m, kind_meta_get(old));
        if (c->write == KIND_STATUS)
            only_status(object, old, c->arena);
        else if (has_status)
            part_take(object, old, "status");
    }
    if (k->prepare != NULL)
        k->prepare(c, object, old);
    if (c->denied.len > 0)
        return false; /* As by Kubernetes: admission comes before validation. */
    meta_validate(k, c, kind_meta_get(object), kind_meta_get(old));
    if (k->validate != NULL)
        k->validate(c, object, old);
    count_generation(k, c, object, old);
    return c->causes.count == 0 && c->denied.len == 0;
}
