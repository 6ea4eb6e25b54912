/* SPDX-License-Identifier: Apache-2.0 */
/* What a call may cost: how long it may keep silent, how many may, and how much an agent may say. */
#include "controlplane/serve/front_priv.h"
#include "controlplane/serve/sessions_priv.h"

enum { PACE_MS = 50 };

/* ---- those that do not say what for ---- */

/* It must say what it is for. */
void session__expect_word(struct session *x)
{
    struct front *f = x->all->front;
    x->until = instant_add(loop_now(f->loop), SPAN_S(SILENT_S));
    x->all->silent[x->type]++;
    front_expect(f, x->until);
}

void session__has_spoken(struct session *x)
{
    x->all->silent[x->type] -= x->until.ns != 0;
    x->until = (struct instant){0};
}

static void send_away(struct session *x, enum grpc_status status, struct str why)
{
    if (x->type == CALL_JOIN)
        session__join_done(x, status, why, NULL);
    else
        session__end(x, status, why);
}

/* Before one more of that type: whoever keeps silent longest leaves, of the same node if there is one. */
void session__make_room(struct sessions *s, enum call_type type, struct str node)
{
    struct session *oldest = NULL, *own = NULL;

    if (s->silent[type] < SILENT_MAX)
        return;
    for (struct session *x = s->first; x != NULL; x = x->next) { /* The newest come first. */
        if (x->type != type || x->until.ns == 0)
            continue;
        oldest = x;
        own = str_is(node, x->node) ? x : own;
    }
    send_away(own != NULL ? own : oldest, GRPC_UNAVAILABLE, STR("too many that say nothing"));
}

/* ---- one that says too much ---- */

static void refill(struct session *x, struct instant now)
{
    int64_t ms = instant_sub(now, x->filled).ns / SPAN_MS(1).ns;

    x->budget += ms * SESSION_RATE / 1000;
    x->budget = x->budget < SESSION_BURST ? x->budget : SESSION_BURST;
    x->filled = instant_add(x->filled, SPAN_MS(ms));
}

void session__took(struct session *x, size_t len)
{
    struct sessions *s = x->all;
    struct instant now = loop_now(s->front->loop);

    refill(x, now);
    x->budget -= (int64_t)len;
    if (x->budget >= 0) {
        http_server_consume(s->front->server, x->http, len);
        return;
    }
    s->owing += x->owed == 0;
    x->owed += len;
    front_expect(s->front, instant_add(now, SPAN_MS(PACE_MS)));
}

static void silent_times(struct sessions *s, struct instant now)
{
    for (struct session *x = s->first, *next; x != NULL; x = next) {
        next = x->next;
        if (instant_due(x->until, now))
            send_away(x, GRPC_DEADLINE_EXCEEDED, STR("the request did not come in time"));
        else
            front_expect(s->front, x->until);
    }
}

void sessions_times(struct sessions *s, struct instant now)
{
    if (s->silent[CALL_JOIN] + s->silent[CALL_STREAM] > 0)
        silent_times(s, now);
    if (s->owing == 0)
        return;
    for (struct session *x = s->first; x != NULL; x = x->next) {
        if (x->owed == 0)
            continue;
        refill(x, now);
        if (x->budget < 0)
            continue;
        http_server_consume(s->front->server, x->http, x->owed);
        x->owed = 0;
        s->owing--;
    }
    if (s->owing > 0)
        front_expect(s->front, instant_add(now, SPAN_MS(PACE_MS)));
}
