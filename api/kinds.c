/* SPDX-License-Identifier: Apache-2.0 */
#include "api/kinds.h"
#include "api/kinds_priv.h"

const struct kind *const kinds[] = {
    &kind_config_map,
    &kind_event,
    &kind_namespace,
    &kind_node,
    &kind_pod,
    &kind_secret,
    &kind_service_account,
    &kind_lease,
    &kind_vmi,
    &kind_node_hardware,
    &kind_placement,
    &kind_priority_class,
    &kind_pod_group,
    &kind_plan,
    &kind_resource_quota,
    &kind_disruption_budget,
    &kind_limit_range,
    NULL,
};

const struct kind *kind_find(struct str group, struct str plural)
{
    for (const struct kind *const *k = kinds; *k != NULL; k++)
        if (str_is(plural, (*k)->plural) && str_is(group, (*k)->group))
            return *k;
    return NULL;
}
