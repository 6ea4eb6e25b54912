/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces: four are always there; a deleted one is emptied first. DELETE marks it Terminating and
 * nothing new is created in it (writes.c); here its content is deleted, and when the last of it is
 * gone, the namespace itself. Its finalizer "kubernetes" in spec stands for that work.
 */
#include "controlplane/core/controllers_priv.h"

#include "api/schema.h"
#include "proto/k8s/core_v1.pb-c.h"

enum { DELETES_MAX = 256 }; /* Of one pass. */

static const char *const always[] = {"default", "kube-system", "kube-public", "kube-node-lease"};

static const struct str NAME_LABEL = {"kubernetes.io/metadata.name", 27};

static struct str key_of(struct core *c, struct str name)
{
    return core_key(c, "", "namespaces", STR(""), name);
}

static bool is_namespace(const struct index_key *at)
{
    return at->group.len == 0 && str_is(at->plural, "namespaces");
}

/* ---- A client's write ---- */

void namespace_create(struct core *c, struct stage *s, struct draft *d)
{
    (void)c;
    (void)s;
    d->edit.label_key = NAME_LABEL;
    d->edit.label_value = d->at.name;
}

/* While the spec's finalizer stands, the end of metadata's does not delete. */
void namespace_replace(struct core *c, struct stage *s, struct draft *d)
{
    (void)s;
    Core__Namespace *n = typed_open(&c->turn, &core__namespace__descriptor, d->object);
    d->hold = n != NULL && n->spec != NULL && n->spec->n_finalizers > 0;
}

void namespace_remove(struct core *c, struct stage *s, struct draft *d)
{
    for (uint32_t i = 0; i < COUNT_OF(always) - 1;
         i++) /* kube-node-lease may go, and comes back. */
        if (str_is(d->at.name, always[i])) {
            stage_refuse(s, WRITE_DENIED, "this namespace may not be deleted");
            return;
        }
    d->hold = true;
    Core__Namespace *n = typed_open(&c->turn, &core__namespace__descriptor, d->object);
    if (n == NULL || d->meta.is_deleting)
        return;
    Core__NamespaceStatus none = CORE__NAMESPACE_STATUS__INIT;
    if (n->status == NULL)
        n->status = &none;
    n->status->phase = (char[]){"Terminating"};
    struct str packed = typed_wrap(&c->turn, "v1", "Namespace", n);
    if (packed.at != NULL)
        d->object = packed;
}

/* ---- The controller ---- */

void namespaces_loaded(struct core *c)
{
    for (uint32_t i = 0; i < COUNT_OF(always); i++)
        core_mark(c, CONTROL_NAMESPACES, key_of(c, str_of(always[i])));
}

void namespaces_changed(struct core *c, const struct core_change *change)
{
    if (is_namespace(&change->at)) {
        if (change->is.deleted || change->now.is_deleting)
            core_mark(c, CONTROL_NAMESPACES, cow_entry_key(change->is.now));
    } else if (change->is.deleted && change->at.namespace.len > 0) {
        core_mark(c, CONTROL_NAMESPACES, key_of(c, change->at.namespace));
    }
}

static void make_namespace(struct core *c, struct str key, struct str name)
{
    Core__Namespace n = CORE__NAMESPACE__INIT;
    Core__NamespaceSpec spec = CORE__NAMESPACE_SPEC__INIT;
    Core__NamespaceStatus status = CORE__NAMESPACE_STATUS__INIT;
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    char finalizer[] = "kubernetes", active[] = "Active", *finalizers[] = {finalizer};
    char uid[RNG_UUID_LEN + 1];

    rng_uuid(&c->rng, uid);
    spec.n_finalizers = 1;
    spec.finalizers = finalizers;
    status.phase = active;
    n.metadata = &meta;
    n.spec = &spec;
    n.status = &status;
    struct meta_edit edit = {.name = name,
                             .uid = str_of(uid),
                             .set_created = true,
                             .created_s = wall_seconds(c->wall),
                             .label_key = NAME_LABEL,
                             .label_value = name};
    struct stage *s = stage_begin(c);
    stage_put(s, key, typed_wrap(&c->turn, "v1", "Namespace", &n), &edit);
    stage_end(s);
}

/* Of one pass. */
struct emptying {
    uint32_t deletes;
    bool is_busy; /* Something is being written, and could not be deleted. */
};

/* Deletes what is left of one kind. True: nothing is. */
static bool empty_kind(struct core *c, const struct schema_kind *kind, struct str namespace,
                       struct emptying *pass)
{
    struct index_range r;
    struct meta m;
    char text[INDEX_KEY_MAX + 1];
    struct index_key at = {kind->group, kind->plural, namespace, STR("")};
    const struct core_rule *rule = core_rule(c, kind->group, kind->plural);
    bool empty = true;

    core_range(c, &r, str_from(text, index_key_print(&at, text)));
    for (struct cow_entry *e = index_range_next(&r); e != NULL; e = index_range_next(&r)) {
        empty = false;
        if (rule != NULL && rule->internal)
            break; /* It goes with what it belongs to. */
        if (meta_read(blob_str(e->value), &m, NULL) == ERR_OK && m.is_deleting)
            continue;
        if (pass->deletes == DELETES_MAX || !commit_has_room(c))
            break;
        bool done = core_delete(c, cow_entry_key(e), (struct str){NULL, 0}, -1, "Background");
        pass->deletes += done;
        pass->is_busy |= !done;
    }
    return empty;
}

/* What is held by a finalizer or leaves already brings us back when it goes; what was over the limit of a pass, or is
 * being written and stays, does not. */
static enum reconcile empty(struct core *c, struct str namespace, bool *out_empty)
{
    struct emptying pass = {0};
    *out_empty = true;
    for (uint32_t i = 0; i < schema_kinds_count; i++)
        if (schema_kinds[i].namespaced && !empty_kind(c, &schema_kinds[i], namespace, &pass))
            *out_empty = false;
    bool at_limit = pass.deletes == DELETES_MAX || !commit_has_room(c);
    return at_limit || pass.is_busy ? RECONCILE_LATER : RECONCILE_DONE;
}

/* The content is gone: so is the namespace, unless somebody else's finalizer holds it. */
static void finish(struct core *c, struct cow_entry *e, const struct meta *m)
{
    struct stage *s = stage_begin(c);
    Core__Namespace *n = NULL;
    if (m->finalizers_count == 0) {
        stage_remove(s, cow_entry_key(e));
    } else {
        n = typed_open(&c->turn, &core__namespace__descriptor, blob_str(e->value));
        if (n != NULL && n->spec != NULL && n->spec->n_finalizers > 0) {
            n->spec->n_finalizers = 0;
            stage_put(s, cow_entry_key(e), typed_wrap(&c->turn, "v1", "Namespace", n), NULL);
        }
    }
    stage_end(s);
}

enum reconcile namespaces_reconcile(struct core *c, struct str key)
{
    struct index_key at;
    struct meta m;
    struct cow_entry *e = core_find(c, key);
    if (core_is_busy(c, key))
        return RECONCILE_LATER;
    if (!index_key_parse(key, &at))
        return RECONCILE_DONE;
    if (e == NULL) {
        for (uint32_t i = 0; i < COUNT_OF(always); i++)
            if (str_is(at.name, always[i]))
                make_namespace(c, key, at.name);
        return RECONCILE_DONE;
    }
    if (meta_read(blob_str(e->value), &m, NULL) != ERR_OK || !m.is_deleting)
        return RECONCILE_DONE;
    bool is_empty;
    enum reconcile result = empty(c, at.name, &is_empty);
    if (is_empty)
        finish(c, e, &m);
    return result;
}
