/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Garbage collection by metadata.ownerReferences: an object none of whose owners is there any more is
 * deleted; an owner deleted with a policy has a finalizer that this file takes away when the policy is
 * carried out. Facts: kubernetes.io, Garbage Collection; k8s.io/kubernetes, pkg/controller/garbagecollector.
 *
 * finalizer            is taken away when
 * foregroundDeletion   no dependent with blockOwnerDeletion is left; they are deleted
 * orphan               no dependent names it as its owner any more; the references are taken out
 */
#include "controlplane/core/controllers_priv.h"

#include "api/schema.h"

enum {
    CHAIN_MAX = 16, /* Owners of owners looked at for a circle: so many generations, */
    CHAIN_STEPS_MAX =
        64, /* and so many of them all. Owners that all own each other have no end of ways. */
    DEPENDENT_MAX = 640 /* A uid, a slash, a key. */
};

static const struct str FOREGROUND = {"foregroundDeletion", 18}, ORPHAN = {"orphan", 6};

/* ---- Who depends on whom ---- */

static struct str dependent_key(char out[DEPENDENT_MAX], struct str uid, struct str key)
{
    if (uid.len == 0 || uid.len + 1 + key.len > DEPENDENT_MAX)
        return (struct str){NULL, 0};
    str_put(out, uid);
    out[uid.len] = '/';
    str_put(out + uid.len + 1, key);
    return str_from(out, uid.len + 1 + key.len);
}

static void index_owners(struct core *c, const struct meta *m, struct str key, bool add)
{
    char text[DEPENDENT_MAX];
    struct meta_owner owner;
    struct wire_reader r = meta_walk(m);
    if (m->owners_count == 0)
        return;
    while (meta_next_owner(&r, &owner)) {
        struct str entry = dependent_key(text, owner.uid, key);
        if (entry.at == NULL)
            continue;
        struct cowtree *t = &c->controls->dependents;
        cow_entry_unref(add ? cowtree_put(t, cow_entry_new(entry, 0, NULL))
                            : cowtree_remove(t, entry));
    }
}

/* The next dependent of uid behind *at, which begins as the uid's prefix; its key is in c->turn. */
struct dependents {
    struct cow_cursor cursor;
    struct str prefix;
    char text[DEPENDENT_MAX];
};

static void dependents_of(struct core *c, struct str uid, struct dependents *d)
{
    d->prefix = dependent_key(d->text, uid, (struct str){NULL, 0});
    cow_seek(&d->cursor, c->controls->dependents.root, d->prefix);
}

static struct str dependents_next(struct dependents *d)
{
    struct cow_entry *e = d->prefix.at == NULL ? NULL : cow_next(&d->cursor);
    if (e == NULL || !str_starts(cow_entry_key(e), d->prefix))
        return (struct str){NULL, 0};
    return str_slice(cow_entry_key(e), d->prefix.len, e->key_len);
}

/* Where an owner would be. at NULL: nobody can say that it is gone, for we do not know its kind, or it is in some namespace and
 * what names it is in none (Kubernetes: such a reference cannot be resolved). */
static struct str owner_key(struct core *c, const struct meta_owner *owner, struct str namespace)
{
    size_t slash = str_find(owner->api_version, '/', 0);
    bool has_group = slash < owner->api_version.len;
    struct str group = has_group ? str_slice(owner->api_version, 0, slash) : STR("");
    struct str version =
        str_slice(owner->api_version, has_group ? slash + 1 : 0, owner->api_version.len);
    const struct schema_kind *kind = schema_kind(group, version, owner->kind);
    if (kind == NULL || (kind->namespaced && namespace.len == 0))
        return (struct str){NULL, 0};
    char text[INDEX_KEY_MAX + 1];
    struct index_key at = {group, kind->plural, kind->namespaced ? namespace : STR(""),
                           owner->name};
    return arena_str(&c->turn, str_from(text, index_key_print(&at, text)));
}

/* ---- Marking ---- */

void collector_loaded(struct core *c)
{
    (void)c;
}

static void mark_dependents(struct core *c, struct str uid)
{
    struct dependents d;
    dependents_of(c, uid, &d);
    for (struct str key = dependents_next(&d); key.at != NULL; key = dependents_next(&d))
        core_mark(c, CONTROL_COLLECTOR, key);
}

/* Owners that wait for this dependent. */
static void mark_owners(struct core *c, const struct core_change *change, const struct meta *m)
{
    struct meta_owner owner;
    struct wire_reader r = meta_walk(m);
    while (meta_next_owner(&r, &owner)) {
        struct str key = owner_key(c, &owner, change->at.namespace);
        if (key.at != NULL)
            core_mark(c, CONTROL_COLLECTOR, key);
    }
}

static bool same_owners(const struct meta *a, const struct meta *b)
{
    struct meta_owner one, other;
    struct wire_reader ra = meta_walk(a), rb = meta_walk(b);
    if (a->owners_count != b->owners_count)
        return false;
    while (meta_next_owner(&ra, &one) && meta_next_owner(&rb, &other))
        if (!str_eq(one.uid, other.uid))
            return false;
    return true;
}

static bool is_internal(struct core *c, const struct index_key *at)
{
    const struct core_rule *rule = core_rule(c, at->group, at->plural);
    return rule != NULL && rule->internal;
}

/* Most changes are of status and change nothing here. */
void collector_changed(struct core *c, const struct core_change *change)
{
    if (is_internal(c, &change->at))
        return; /* It goes with what it belongs to, and nothing belongs to it. */
    const struct meta *now = &change->now, *before = &change->before;
    struct str key = cow_entry_key(change->is.now);
    bool is_new = change->is.before == NULL;
    bool moved = is_new || change->is.deleted || !same_owners(before, now);

    if (moved && !is_new) {
        index_owners(c, before, key, false);
        mark_owners(c, change, before);
    } else if (now->is_deleting && now->owners_count > 0) {
        mark_owners(c, change, now); /* One that waits for us may stop: see blocks(). */
    }
    if (change->is.deleted) {
        mark_dependents(c, now->uid);
        return;
    }
    if (moved)
        index_owners(c, now, key, true);
    if ((moved && now->owners_count > 0) || (now->is_deleting && now->finalizers_count > 0))
        core_mark(c, CONTROL_COLLECTOR, key);
    if (now->is_deleting && meta_has_finalizer(now, FOREGROUND))
        mark_dependents(c, now->uid);
}

/* ---- A dependent: are its owners there? ---- */

struct owners {
    uint32_t solid, waiting, absent; /* There; there and waiting for us to go; gone. */
};

static struct owners look_at_owners(struct core *c, const struct meta *m, struct str namespace)
{
    struct owners found = {0};
    struct meta_owner owner;
    struct meta is;
    struct wire_reader r = meta_walk(m);
    while (meta_next_owner(&r, &owner)) {
        struct str key = owner_key(c, &owner, namespace);
        struct cow_entry *e = key.at == NULL ? NULL : core_find(c, key);
        if (key.at == NULL)
            found.solid++; /* Of a kind nobody here can look for. */
        else if (e == NULL || meta_read(blob_str(e->value), &is, NULL) != ERR_OK ||
                 !str_eq(is.uid, owner.uid))
            found.absent++;
        else if (is.is_deleting && meta_has_finalizer(&is, FOREGROUND))
            found.waiting++;
        else
            found.solid++;
    }
    return found;
}

static bool has_dependents(struct core *c, struct str uid)
{
    struct dependents d;
    dependents_of(c, uid, &d);
    return dependents_next(&d).at != NULL;
}

static enum reconcile collect(struct core *c, struct str key, const struct meta *m,
                              struct str namespace)
{
    struct owners o = look_at_owners(c, m, namespace);
    if (o.solid > 0 || o.waiting + o.absent == 0)
        return RECONCILE_DONE;
    const char *policy = o.waiting > 0 && has_dependents(c, m->uid) ? "Foreground" : "Background";
    return core_delete(c, key, m->uid, -1, policy) ? RECONCILE_DONE : RECONCILE_LATER;
}

/* ---- An owner: is its policy carried out? ---- */

/* Is uid among the owners of m, or of those? Two that own each other must not wait for each other. steps: of all that were
 * looked at. */
static bool is_owned_by(struct core *c, const struct meta *m, struct str uid, struct str namespace,
                        uint32_t depth, uint32_t *steps)
{
    struct meta_owner owner;
    struct meta is;
    struct wire_reader r = meta_walk(m);
    while (depth < CHAIN_MAX && *steps < CHAIN_STEPS_MAX && meta_next_owner(&r, &owner)) {
        ++*steps;
        if (str_eq(owner.uid, uid))
            return true;
        struct str key = owner_key(c, &owner, namespace);
        struct cow_entry *e = key.at == NULL ? NULL : core_find(c, key);
        if (e != NULL && meta_read(blob_str(e->value), &is, NULL) == ERR_OK &&
            is_owned_by(c, &is, uid, namespace, depth + 1, steps))
            return true;
    }
    return false;
}

static bool blocks(struct core *c, const struct meta *owner, struct str namespace,
                   const struct meta *dependent)
{
    struct meta_owner reference;
    struct wire_reader r = meta_walk(dependent);
    uint32_t steps = 0;
    while (meta_next_owner(&r, &reference))
        if (str_eq(reference.uid, owner->uid) && reference.blocks)
            return !(dependent->is_deleting && meta_has_finalizer(dependent, FOREGROUND) &&
                     is_owned_by(c, owner, dependent->uid, namespace, 0, &steps));
    return false;
}

/* Dependents see by themselves that we wait for them (collect()), and mark us when they are gone. */
static bool is_blocked(struct core *c, const struct meta *m, struct str namespace)
{
    struct dependents d;
    struct meta dependent;
    dependents_of(c, m->uid, &d);
    for (struct str key = dependents_next(&d); key.at != NULL; key = dependents_next(&d)) {
        struct cow_entry *e = core_find(c, key);
        if (e != NULL && meta_read(blob_str(e->value), &dependent, NULL) == ERR_OK &&
            blocks(c, m, namespace, &dependent))
            return true;
    }
    return false;
}

/* True: nobody names us any more. Every dependent is written in a transaction's stage of its own. */
static bool orphan_all(struct core *c, const struct meta *m)
{
    bool done = true;
    struct dependents d;
    struct meta_edit edit = {.drop_owner_uid = m->uid};
    dependents_of(c, m->uid, &d);
    for (struct str key = dependents_next(&d); key.at != NULL && commit_has_room(c);
         key = dependents_next(&d)) {
        done = false;
        if (!core_replace(c, key, (struct str){NULL, 0}, &edit))
            continue; /* In flight: its landing marks us, for our reference is still in it. */
    }
    return done;
}

static enum reconcile finish(struct core *c, struct str key, struct str finalizer)
{
    struct meta_edit edit = {.drop_finalizer = finalizer};
    return core_replace(c, key, (struct str){NULL, 0}, &edit) ? RECONCILE_DONE : RECONCILE_LATER;
}

enum reconcile collector_reconcile(struct core *c, struct str key)
{
    struct index_key at;
    struct meta m;
    struct cow_entry *e = core_find(c, key);
    if (e == NULL || !index_key_parse(key, &at) ||
        meta_read(blob_str(e->value), &m, NULL) != ERR_OK)
        return RECONCILE_DONE;
    if (!m.is_deleting)
        return m.owners_count > 0 ? collect(c, key, &m, at.namespace) : RECONCILE_DONE;
    if (meta_has_finalizer(&m, ORPHAN))
        return orphan_all(c, &m) ? finish(c, key, ORPHAN) : RECONCILE_LATER;
    if (meta_has_finalizer(&m, FOREGROUND) && !is_blocked(c, &m, at.namespace))
        return finish(c, key, FOREGROUND);
    return RECONCILE_DONE;
}
