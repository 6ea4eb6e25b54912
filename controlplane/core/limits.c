/* SPDX-License-Identifier: Apache-2.0 */
/* How many LimitRanges a namespace may have: each is read in every create of a pod in it. What they do is api/pod_limits.c's. */
#include "controlplane/core/controllers_priv.h"

enum { LIMITS_MAX = 32 };

void limits_create(struct core *c, struct stage *s, struct draft *d)
{
    struct index_range r;
    uint32_t count = 0;
    core_range(c, &r, core_key(c, "", "limitranges", d->at.namespace, STR("")));
    while (index_range_next(&r) != NULL)
        count++;
    if (count >= LIMITS_MAX)
        stage_refuse(s, WRITE_DENIED, "a namespace has at most %d LimitRanges", LIMITS_MAX);
}
