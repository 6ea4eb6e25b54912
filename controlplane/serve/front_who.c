/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks, and may he? */
#include "controlplane/serve/auth.h"
#include "controlplane/serve/front_priv.h"
#include "io/clock.h"

enum err_code front_who(struct front *f, const struct http_request *q, struct arena *a,
                        struct user *out, struct err *e)
{
    struct str token = http_header(&q->head.headers, "authorization");
    struct front_shared *shared = f->shared;
    struct index_snapshot objects = {0};

    if (token.len > 0)
        objects = index_snapshot(shared->index);
    enum err_code code = auth_user(q->peer, token, &objects, shared->seal, clock_wall(), a, out, e);
    if (token.len > 0)
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

    if (front_who(f, q, a, &user, &e) != ERR_OK) {
        *out_why = arena_str(a, str_of(e.text));
        return false;
    }
    return auth_may(&may, a, out_why);
}
