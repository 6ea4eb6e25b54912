/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every namespace has: a ServiceAccount named default, which pods without one of their own run as,
 * and a ConfigMap kube-root-ca.crt, by which they know the API server. Both come back when deleted; the
 * ConfigMap is put right when somebody changes it, or when the CA is another one after a restart.
 */
#include "controlplane/core/controllers_priv.h"

#include "api/typed.h"
#include "proto/k8s/core_v1.pb-c.h"

static const char ROOT_CA[] = "kube-root-ca.crt";

void accounts_loaded(struct core *c)
{
    (void)c;
}

void accounts_changed(struct core *c, const struct core_change *change)
{
    const struct index_key *at = &change->at;
    if (at->group.len != 0)
        return;
    if (str_is(at->plural, "namespaces") && !change->is.deleted)
        core_mark(c, CONTROL_ACCOUNTS, at->name);
    else if (str_is(at->plural, "serviceaccounts") && change->is.deleted &&
             str_is(at->name, "default"))
        core_mark(c, CONTROL_ACCOUNTS, at->namespace);
    else if (str_is(at->plural, "configmaps") && str_is(at->name, ROOT_CA))
        core_mark(c, CONTROL_ACCOUNTS, at->namespace);
}

static void make(struct core *c, struct str key, struct str namespace, const char *name,
                 struct str object)
{
    char uid[RNG_UUID_LEN + 1];
    rng_uuid(&c->rng, uid);
    struct meta_edit edit = {.name = str_of(name),
                             .namespace = namespace,
                             .uid = str_of(uid),
                             .set_created = true,
                             .created_s = wall_seconds(c->wall)};
    struct stage *s = stage_begin(c);
    stage_put(s, key, object, &edit);
    stage_end(s);
}

static enum reconcile account(struct core *c, struct str namespace)
{
    struct str key = core_key(c, "", "serviceaccounts", namespace, STR("default"));
    Core__ServiceAccount object = CORE__SERVICE_ACCOUNT__INIT;
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    if (core_is_busy(c, key))
        return RECONCILE_LATER;
    if (core_find(c, key) != NULL)
        return RECONCILE_DONE;
    object.metadata = &meta;
    make(c, key, namespace, "default", typed_wrap(&c->turn, "v1", "ServiceAccount", &object));
    return RECONCILE_DONE;
}

static struct str root_ca_object(struct core *c)
{
    char description[] =
        "Contains a CA bundle that can be used to verify the kube-apiserver when using "
        "internal endpoints such as the internal service IP or "
        "kubernetes.default.svc. No other usage is guaranteed across distributions "
        "of Kubernetes clusters."; /* Kubernetes' own words: clients compare. */
    char description_key[] = "kubernetes.io/description", data_key[] = "ca.crt";
    Core__ConfigMap object = CORE__CONFIG_MAP__INIT;
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    Meta__ObjectMeta__AnnotationsEntry note = META__OBJECT_META__ANNOTATIONS_ENTRY__INIT;
    Core__ConfigMap__DataEntry data = CORE__CONFIG_MAP__DATA_ENTRY__INIT;
    Meta__ObjectMeta__AnnotationsEntry *notes[] = {&note};
    Core__ConfigMap__DataEntry *datas[] = {&data};

    note.key = description_key;
    note.value = description;
    data.key = data_key;
    data.value = arena_dup(&c->turn, c->config.ca_bundle);
    meta.n_annotations = object.n_data = 1;
    meta.annotations = notes;
    object.data = datas;
    object.metadata = &meta;
    return data.value == NULL ? (struct str){NULL, 0}
                              : typed_wrap(&c->turn, "v1", "ConfigMap", &object);
}

static bool is_right(struct core *c, const struct cow_entry *e)
{
    Core__ConfigMap *have = typed_open(&c->turn, &core__config_map__descriptor, blob_str(e->value));
    return have != NULL && have->n_data == 1 && str_is(str_of(have->data[0]->key), "ca.crt") &&
           str_eq(str_of(have->data[0]->value), c->config.ca_bundle);
}

static enum reconcile root_ca(struct core *c, struct str namespace)
{
    struct str key = core_key(c, "", "configmaps", namespace, str_of(ROOT_CA));
    struct cow_entry *e = core_find(c, key);
    if (c->config.ca_bundle.len == 0 || (e != NULL && is_right(c, e)))
        return RECONCILE_DONE;
    if (core_is_busy(c, key))
        return RECONCILE_LATER;
    struct str object = root_ca_object(c);
    if (e == NULL) {
        make(c, key, namespace, ROOT_CA, object);
        return RECONCILE_DONE;
    }
    struct meta_edit edit = {.name = str_of(ROOT_CA), .namespace = namespace};
    return core_replace(c, key, object, &edit) ? RECONCILE_DONE : RECONCILE_LATER;
}

/* key: the namespace's name. */
enum reconcile accounts_reconcile(struct core *c, struct str key)
{
    struct meta m;
    struct cow_entry *e = core_find(c, core_key(c, "", "namespaces", STR(""), key));
    if (e == NULL || meta_read(blob_str(e->value), &m, NULL) != ERR_OK || m.is_deleting)
        return RECONCILE_DONE;
    enum reconcile one = account(c, key), other = root_ca(c, key);
    return one == RECONCILE_LATER ? one : other;
}
