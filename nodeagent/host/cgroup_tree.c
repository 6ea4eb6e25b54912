/* SPDX-License-Identifier: Apache-2.0 */
/* Where a group lies: in which hierarchies, under which path, in the pool or beside it. */
#include "io/fs.h"
#include "nodeagent/host/cgroup_priv.h"
#include <stdio.h>
#include <unistd.h>

bool cgroup__name_ok(struct str s, size_t max)
{
    if (s.len == 0 || s.len >= max || s.at[0] == '.')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_'))
            return false;
    }
    return !str_is(s, CGROUP_POOL) && !str_is(s, CGROUP_SYSTEM);
}

bool cgroup__has_hierarchy(const struct cgroup_tree *t, uint32_t c)
{
    return t->layout.mount[c][0] != '\0' && !(t->layout.unified && c > 0);
}

bool cgroup__is_ours(const struct cgroup_tree *t, uint32_t c)
{
    return cgroup__has_hierarchy(t, c) && c != CGROUP_DEVICES;
}

const char *cgroup__mount(const struct cgroup_tree *t, uint32_t c)
{
    return t->layout.mount[t->layout.unified ? 0 : c];
}

void cgroup__path(const struct cgroup_tree *t, uint32_t c, struct str id, bool in_pool,
                  char out[CGROUP_FILE_MAX])
{
    bool pool_itself = in_pool && !t->layout.unified && c == CGROUP_CPUSET;
    if (pool_itself)
        snprintf(out, CGROUP_FILE_MAX, "%s/%s/%s", cgroup__mount(t, c), t->parent, CGROUP_POOL);
    else
        snprintf(out, CGROUP_FILE_MAX, "%s/%s/%s" STR_FMT, cgroup__mount(t, c), t->parent,
                 in_pool ? "pool/" : "", STR_ARG(id));
}

bool cgroup__is_its_own(const struct cgroup_tree *t, uint32_t c, bool in_pool)
{
    return cgroup__has_hierarchy(t, c) && !(in_pool && !t->layout.unified && c == CGROUP_CPUSET);
}

enum err_code cgroup__find(const struct cgroup_tree *t, struct str id, bool *out_in_pool,
                           struct err *e)
{
    char path[CGROUP_FILE_MAX];
    if (!cgroup__name_ok(id, RUNTIME_ID_MAX))
        return err_set(e, ERR_INVALID, "\"" STR_FMT "\" cannot name a cgroup", STR_ARG(id));
    for (int in_pool = 0; in_pool <= 1; in_pool++)
        for (uint32_t c = CGROUP__COUNT; c-- > 0;) {
            if (!cgroup__is_its_own(t, c, in_pool))
                continue;
            cgroup__path(t, c, id, in_pool, path);
            if (access(path, F_OK) == 0) {
                *out_in_pool = in_pool;
                return ERR_OK;
            }
        }
    return err_set(e, ERR_NOT_FOUND, "no cgroup " STR_FMT, STR_ARG(id));
}
