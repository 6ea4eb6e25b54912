/* SPDX-License-Identifier: Apache-2.0 */
/* Every namespace has a ServiceAccount named default: pods without one of their own run as it. */
#include "controlplane/core/controllers_priv.h"

#include "proto/k8s/core_v1.pb-c.h"

void accounts_loaded(struct core *c)
{
    (void)c;
}

void accounts_changed(struct core *c, const struct core_change *change)
{
    if (change->at.group.len != 0)
        return;
    if (str_is(change->at.plural, "namespaces") && !change->is.deleted)
        core_mark(c, CONTROL_ACCOUNTS, change->at.name);
    else if (str_is(change->at.plural, "serviceaccounts") && change->is.deleted &&
             str_is(change->at.name, "default"))
        core_mark(c, CONTROL_ACCOUNTS, change->at.namespace);
}

/* key: the namespace's name. */
enum reconcile accounts_reconcile(struct core *c, struct str key)
{
    struct meta m;
    struct cow_entry *e = core_find(c, core_key(c, "", "namespaces", STR(""), key));
    struct str account = core_key(c, "", "serviceaccounts", key, STR("default"));
    if (e == NULL || account.at == NULL || core_find(c, account) != NULL ||
        meta_read(blob_str(e->value), &m, NULL) != ERR_OK || m.is_deleting)
        return RECONCILE_DONE;
    if (core_is_busy(c, account))
        return RECONCILE_LATER;

    char uid[RNG_UUID_LEN + 1];
    Core__ServiceAccount object = CORE__SERVICE_ACCOUNT__INIT;
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    object.metadata = &meta;
    rng_uuid(&c->rng, uid);
    struct meta_edit edit = {.name = STR("default"),
                             .namespace = key,
                             .uid = str_of(uid),
                             .set_created = true,
                             .created_s = wall_seconds(c->wall)};
    struct stage *s = stage_begin(c);
    stage_put(s, account, typed_wrap(&c->turn, "v1", "ServiceAccount", &object), &edit);
    stage_end(s);
    return RECONCILE_DONE;
}
