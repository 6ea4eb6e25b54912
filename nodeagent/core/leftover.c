/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/core/leftover.h"

static const struct span TEMPORARY_FOR = SPAN_S(3600); /* The longest pull is half as long. */

const char *const host_kind_names[HOST_KIND__COUNT] = {
#define X(name, text) [HOST_##name] = text,
    HOST_KINDS(X)
#undef X
};

bool leftover_wants(const struct leftover_view *v, struct str uid)
{
    for (uint32_t i = 0; i < v->wanted_count; i++)
        if (str_eq(v->wanted[i], uid))
            return true;
    return false;
}

/* Beside an agent that runs it may be a write under way, as long as it is young. */
static const char *temporary_why(const struct leftover_view *v, const struct host_thing *t)
{
    if (!v->agent_runs)
        return "no agent runs that could still be writing it";
    bool old = t->since.ns != 0 && v->now.ns - t->since.ns > TEMPORARY_FOR.ns;
    return old ? "no write takes that long" : NULL;
}

const char *leftover_why(const struct leftover_view *v, uint32_t i)
{
    const struct host_thing *t = &v->things[i];
    if (t->kind == HOST_TEMPORARY)
        return temporary_why(v, t);
    if (t->uid.len == 0)
        return "it is called after no workload that is recorded here";
    return leftover_wants(v, t->uid) ? NULL : "its workload is not recorded here";
}
