/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks, and may he? */
#include "controlplane/serve/auth.h"
#include "controlplane/serve/front_priv.h"
#include "controlplane/serve/impersonate.h"
#include "controlplane/serve/node_key.h"
#include "io/clock.h"

/* A node's certificate is good as long as its name is bound to its key, which an administrator may end before it
 * does. */
static bool is_bound(const struct http_peer *peer, const struct user *u,
                     const struct index_snapshot *objects)
{
    bool by_certificate = peer->state != HTTP_PEER_NONE;
    return !by_certificate || u->node.len == 0 ||
           node_key_is(objects, u->node, str_of(peer->id.key_fingerprint));
}

enum err_code front_who(struct front *f, const struct http_request *q, struct arena *a,
                        struct user *out, struct err *e)
{
    struct str token = http_header(&q->head.headers, "authorization");
    const struct front_shared *shared = f->shared;
    struct index_snapshot objects = {0};

    bool by_token = token.len > 0 && q->peer->state == HTTP_PEER_NONE;
    bool ready = shell_is_ready(shared->shell); /* Before, nobody's token would be found. */
    if (by_token && !ready)
        return err_set(e, ERR_UNAVAILABLE, "the store is being loaded");
    if (by_token)
        objects = index_snapshot(shared->index);
    enum err_code code = auth_user(q->peer, token, &objects, shared->seal, clock_wall(), a, out, e);
    if (by_token)
        index_snapshot_free(&objects);
    if (code != ERR_OK || out->node.len == 0)
        return code;
    if (!ready)
        return err_set(e, ERR_UNAVAILABLE, "the store is being loaded");
    objects = index_snapshot(shared->index);
    if (!is_bound(q->peer, out, &objects))
        code = err_set(e, ERR_DENIED, "this node name is not bound to this key: join again");
    index_snapshot_free(&objects);
    return code;
}

bool front_may(struct front *f, const struct http_request *q, enum rest_verb verb,
               const struct rest_path *at, struct arena *a, struct str *out_why)
{
    struct user user;
    struct err e = {0};
    struct auth_question may = {
        .user = &user, .verb = verb, .at = at, .method = q->head.method, .path = q->head.path};

    if (front_who(f, q, a, &user, &e) != ERR_OK ||
        impersonate(&q->head.headers, a, &user, &e) != ERR_OK) {
        *out_why = arena_str(a, str_of(e.text));
        return false;
    }
    return auth_may(&may, a, out_why);
}
