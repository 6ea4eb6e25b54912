/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/auth.h"

static const char node_prefix[] = "system:node:";

bool user_in_group(const struct user *u, const char *group)
{
    for (uint32_t i = 0; i < u->groups_count; i++)
        if (str_is(u->groups[i], group))
            return true;
    return false;
}

static void add_group(struct user *u, struct str group)
{
    if (group.len > 0 && u->groups_count < USER_GROUPS_MAX)
        u->groups[u->groups_count++] = group;
}

static void anonymous(struct user *u)
{
    *u = (struct user){.name = STR("system:anonymous"), .anonymous = true};
    add_group(u, STR("system:unauthenticated"));
}

static enum err_code by_certificate(const struct http_peer *peer, struct wall now, struct arena *a,
                                    struct user *u, struct err *e)
{
    if (peer->state == HTTP_PEER_REFUSED)
        return err_set(e, ERR_DENIED, "the client certificate is not accepted: %s", peer->why);
    if (peer->id.not_after.ns <= now.ns)
        return err_set(e, ERR_DENIED, "the client certificate has expired");
    u->name = arena_str(a, str_of(pki_common_name(&peer->id)));
    for (uint32_t i = 0; i < peer->id.groups_count; i++)
        add_group(u, arena_str(a, str_of(pki_group(&peer->id, i))));
    return ERR_OK;
}

static enum err_code by_token(struct str token, const struct index_snapshot *objects,
                              const struct seal *seal, struct wall now, struct arena *a,
                              struct user *u, struct err *e)
{
    struct token_record record;
    struct str rest, group;

    enum err_code code = token_check(objects, seal, token, now, a, &record, e);
    if (code != ERR_OK)
        return code;
    if (record.join || record.user.len == 0)
        return err_set(e, ERR_DENIED, "a join token is not for requests");
    u->name = record.user;
    rest = record.groups;
    while (str_split(&rest, ',', &group))
        add_group(u, group);
    return ERR_OK;
}

enum err_code auth_user(const struct http_peer *peer, struct str authorization,
                        const struct index_snapshot *objects, const struct seal *seal,
                        struct wall now, struct arena *a, struct user *out, struct err *e)
{
    struct user u = {0};
    enum err_code code;

    if (peer->state != HTTP_PEER_NONE) {
        code = by_certificate(peer, now, a, &u, e);
    } else if (authorization.len == 0) {
        anonymous(out);
        return ERR_OK;
    } else if (authorization.len > 7 &&
               str_eq_nocase(str_slice(authorization, 0, 7), STR("bearer "))) {
        struct str token = str_trim(str_slice(authorization, 7, authorization.len));
        code = by_token(token, objects, seal, now, a, &u, e);
    } else {
        code = err_set(e, ERR_DENIED, "only bearer tokens are accepted");
    }
    if (code != ERR_OK)
        return code;
    add_group(&u, STR("system:authenticated"));
    if (user_in_group(&u, "system:nodes") && str_starts(u.name, str_of(node_prefix)))
        u.node = str_slice(u.name, sizeof node_prefix - 1, u.name.len);
    if (arena_status(a, e) != ERR_OK)
        return ERR_LIMIT;
    *out = u;
    return ERR_OK;
}

/* What everybody may see, by exact path. */
static bool is_public(struct str method, struct str path)
{
    static const char *const paths[] = {"/version", "/version/", "/healthz", "/livez", "/readyz"};
    if (!str_is(method, "GET") && !str_is(method, "HEAD"))
        return false;
    for (uint32_t i = 0; i < COUNT_OF(paths); i++)
        if (str_is(path, paths[i]))
            return true;
    return false;
}

/* What is a node's own. The session, not this, is how an agent learns and reports. */
static bool is_own(const struct auth_question *q)
{
    static const struct {
        const char *group, *plural, *namespace;
        bool writes;
    } rows[] = {
        {"", "nodes", "", false},
        {"baton.dev", "nodehardware", "", false},
        {"coordination.k8s.io", "leases", "kube-node-lease", true},
    };
    const struct rest_path *at = q->at;

    for (uint32_t i = 0; i < COUNT_OF(rows); i++)
        if (str_is(at->group, rows[i].group) && str_is(at->resource, rows[i].plural) &&
            str_is(at->namespace, rows[i].namespace) && str_eq(at->name, q->user->node) &&
            at->subresource.len == 0)
            return q->verb == REST_GET ||
                   (rows[i].writes && (q->verb == REST_UPDATE || q->verb == REST_PATCH));
    return false;
}

static const char *const verbs[] = {
    [REST_GET] = "get",       [REST_LIST] = "list",
    [REST_WATCH] = "watch",   [REST_CREATE] = "create",
    [REST_UPDATE] = "update", [REST_PATCH] = "patch",
    [REST_DELETE] = "delete", [REST_DELETE_COLLECTION] = "deletecollection",
    [REST_OTHER] = "",
};

static struct str refusal(const struct auth_question *q, struct arena *a)
{
    const struct rest_path *at = q->at;
    struct str user = q->user->name;

    if (!at->is_resource) {
        char verb[16] = "";
        for (size_t i = 0; i < q->method.len && i + 1 < sizeof verb; i++)
            verb[i] = (char)(q->method.at[i] | 0x20);
        return arena_printf(a, "forbidden: User \"" STR_FMT "\" cannot %s path \"" STR_FMT "\"",
                            STR_ARG(user), verb, STR_ARG(q->path));
    }
    struct str name =
        at->name.len == 0 ? STR("") : arena_printf(a, " \"" STR_FMT "\"", STR_ARG(at->name));
    struct str resource =
        at->subresource.len == 0
            ? at->resource
            : arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(at->resource), STR_ARG(at->subresource));
    struct str where = at->namespace.len == 0 ? STR(" at the cluster scope")
                                              : arena_printf(a, " in the namespace \"" STR_FMT "\"",
                                                             STR_ARG(at->namespace));
    struct str group =
        at->group.len == 0 ? STR("") : arena_printf(a, "." STR_FMT, STR_ARG(at->group));
    return arena_printf(a,
                        STR_FMT STR_FMT STR_FMT " is forbidden: User \"" STR_FMT
                                                "\" cannot %s resource \"" STR_FMT
                                                "\" in API group \"" STR_FMT "\"" STR_FMT,
                        STR_ARG(at->resource), STR_ARG(group), STR_ARG(name), STR_ARG(user),
                        verbs[q->verb], STR_ARG(resource), STR_ARG(at->group), STR_ARG(where));
}

bool auth_may(const struct auth_question *q, struct arena *a, struct str *out_text)
{
    if (user_in_group(q->user, "system:masters"))
        return true;
    if (!q->at->is_resource && is_public(q->method, q->path))
        return true;
    if (q->user->node.len > 0 && q->at->is_resource && is_own(q))
        return true;
    *out_text = refusal(q, a);
    return false;
}
