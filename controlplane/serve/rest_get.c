/* SPDX-License-Identifier: Apache-2.0 */
/* GET of one object, and resourceVersion's meaning for reads (reference: 4.1). */
#include "controlplane/serve/rest_read.h"

static void get_now(struct call *c)
{
    struct str name = c->r->at.name;
    struct cow_entry *e = call_find(c, name);
    if (e == NULL) {
        not_found(c, name);
        reply_status(c);
        return;
    }
    reply_object(c, 200, blob_str(e->value));
}

void get_begin(struct call *c)
{
    uint64_t revision = 0;
    if (!revision_parse(c, &revision))
        reply_status(c);
    else
        revision_await(c, revision, get_now);
}

/* ------------------------------------------------------------------ resourceVersion */

bool revision_parse(struct call *c, uint64_t *out)
{
    struct str text = rest_query(c->r, "resourceVersion");
    if (text.len == 0 || str_parse_u64(text, out) == ERR_OK)
        return true;
    return status_set(&c->status, &c->r->arena, STATUS_BAD_REQUEST,
                      "%sresourceVersion: Invalid value: \"" STR_FMT
                      "\": strconv.ParseUint: parsing \"" STR_FMT "\": invalid syntax",
                      c->r->verb == REST_LIST ? "invalid resource version: " : "", STR_ARG(text),
                      STR_ARG(text));
}

enum { FUTURE_WAIT_S = 3 }; /* As Kubernetes: a replica may lag, a mistake may not hang. */

struct await {
    uint64_t revision;
    struct instant until;
    void (*then)(struct call *c);
};

static void await_more(struct call *c)
{
    struct await *w = c->own;
    uint64_t head = history_bounds(rest_history(c->r)).head;
    bool is_late = instant_due(w->until, rest_now(c->r));
    if (head < w->revision && !is_late)
        return;
    rest_follow(c->r, false);
    rest_wake(c->r, (struct instant){0});
    c->more = NULL;
    if (head >= w->revision) {
        w->then(c);
        return;
    }
    struct causes causes;
    causes_init(&causes, &c->r->arena);
    causes_add(&causes, CAUSE_NO_ROOM, NULL, "Too large resource version");
    status_set(&c->status, &c->r->arena, STATUS_TIMEOUT,
               "Timeout: Too large resource version: %llu, current: %llu",
               (unsigned long long)w->revision, (unsigned long long)head);
    c->status.causes = causes.first;
    reply_status(c);
}

void revision_await(struct call *c, uint64_t revision, void (*then)(struct call *c))
{
    if (revision <= history_bounds(rest_history(c->r)).head) {
        then(c);
        return;
    }
    struct await *w = arena_zalloc(&c->r->arena, 1, sizeof *w);
    if (w == NULL) {
        rest_cut(c->r);
        return;
    }
    *w = (struct await){revision, instant_add(rest_now(c->r), SPAN_S(FUTURE_WAIT_S)), then};
    c->own = w;
    c->more = await_more;
    rest_follow(c->r, true);
    rest_wake(c->r, w->until);
}
