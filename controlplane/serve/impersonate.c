/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/impersonate.h"

static const char prefix[] = "impersonate-", node_prefix[] = "system:node:";

static void add_group(struct user *u, struct str group)
{
    if (group.len > 0 && u->groups_count < USER_GROUPS_MAX)
        u->groups[u->groups_count++] = group;
}

static struct user somebody(const struct http_headers *h, struct str name, struct arena *a)
{
    struct user u = {.name = arena_str(a, name)};
    for (uint32_t i = 0; i < h->count; i++)
        if (str_is(h->at[i].name, "impersonate-group"))
            add_group(&u, arena_str(a, h->at[i].value));
    u.anonymous = str_is(name, "system:anonymous");
    add_group(&u, u.anonymous ? STR("system:unauthenticated") : STR("system:authenticated"));
    if (str_starts(u.name, str_of(node_prefix)) && user_in_group(&u, "system:nodes"))
        u.node = str_slice(u.name, sizeof node_prefix - 1, u.name.len);
    return u;
}

MUST_USE enum err_code impersonate(const struct http_headers *h, struct arena *a, struct user *u,
                                   struct err *e)
{
    struct str name = http_header(h, "impersonate-user"), who = u->name;
    bool asked = false;
    for (uint32_t i = 0; i < h->count; i++)
        asked = asked || str_starts(h->at[i].name, str_of(prefix));
    if (!asked)
        return ERR_OK;
    if (name.len == 0)
        return err_set(e, ERR_INVALID, "a group or uid is impersonated without a user");
    if (!user_in_group(u, "system:masters"))
        return err_set(e, ERR_DENIED,
                       "users \"" STR_FMT "\" is forbidden: User \"" STR_FMT
                       "\" cannot impersonate resource \"users\" in API group \"\" at the cluster "
                       "scope",
                       STR_ARG(name), STR_ARG(who));
    *u = somebody(h, name, a);
    return arena_status(a, e);
}
