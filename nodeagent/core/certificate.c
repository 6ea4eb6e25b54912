/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's certificate, renewed long before it ends: asked for between two thirds and three quarters of
 * its life (rolled once per certificate, so that nodes that joined together do not ask together), while a
 * session is up. A try that fails is made again after 10 s, twice that, ... up to an hour, but never so late
 * that fewer than three more fit in; until the certificate has ended, when only a token helps. The key
 * stays: the node's name is bound to it.
 */
#include "nodeagent/core/agent_priv.h"

static const struct span BACKOFF_FIRST = SPAN_S(10), BACKOFF_MAX = SPAN_S(3600);
static const struct span LOOK = SPAN_S(3600); /* The wall clock may be set while we wait. */
static const struct span WAIT_MIN = SPAN_S(1);

static struct span at_least(struct span a, struct span b)
{
    return a.ns < b.ns ? b : a;
}

static struct span at_most(struct span a, struct span b)
{
    return a.ns < b.ns ? a : b;
}

void certificate_set(struct agent *a, const struct agent_certificate *given)
{
    struct certificate *c = &a->certificate;
    int64_t life = given->until.ns - given->from.ns;
    *c = (struct certificate){.from = given->from, .until = given->until};
    if (life <= 0)
        return;
    c->due.ns =
        given->from.ns + life / 3 * 2 + (int64_t)rng_below(&a->rng, (uint64_t)life / 12 + 1);
}

static void tell_ended(struct agent *a, struct agent_turn *t)
{
    char when[WALL_TEXT_MAX];
    wall_print(a->certificate.until, when);
    a->certificate.is_told = true;
    agent_do(t, FX_TELL)->text =
        arena_printf(&t->arena,
                     "the certificate of this node ended at %s: start the agent again with a new "
                     "token (baton token create) in its --token-file; what runs here goes on",
                     when)
            .at;
}

static void ask(struct agent *a, struct agent_turn *t)
{
    a->certificate.op = agent_op(a, 0, OP_AGENT);
    agent_do(t, FX_RENEW)->op = a->certificate.op;
}

/* From what is: a function of the clocks and of what was answered. */
void certificate_tick(struct agent *a, struct agent_turn *t)
{
    struct certificate *c = &a->certificate;
    c->look_at = (struct instant){0};
    if (c->until.ns == 0 || c->op != 0)
        return;
    struct span left = {c->until.ns - t->wall.ns};
    if (left.ns <= 0) {
        if (!c->is_told)
            tell_ended(a, t);
        return;
    }
    struct span wait = {c->due.ns - t->wall.ns};
    if (wait.ns > 0)
        c->look_at = instant_add(t->now, at_most(at_least(wait, WAIT_MIN), LOOK));
    else if (c->retry_at.ns != 0 && !instant_due(c->retry_at, t->now))
        c->look_at = c->retry_at;
    else if (a->session.state == SESSION_UP)
        ask(a, t);
    else /* Whoever brings the session up steps, too; but the end is told without one. */
        c->look_at = instant_add(t->now, at_most(at_least(left, WAIT_MIN), LOOK));
}

void certificate_done(struct agent *a, struct agent_turn *t, const struct agent_host_done *done)
{
    struct certificate *c = &a->certificate;
    c->op = 0;
    if (done->code == ERR_OK) {
        certificate_set(a, &done->certificate);
        session_reopen(a, t, "the node's certificate is a new one");
        return;
    }
    struct span left = {c->until.ns - t->wall.ns};
    c->backoff = c->backoff.ns == 0 ? BACKOFF_FIRST : (struct span){2 * c->backoff.ns};
    c->backoff = at_most(c->backoff, BACKOFF_MAX);
    struct span wait = at_most(agent_jittered(a, c->backoff), (struct span){left.ns / 4});
    c->retry_at = instant_add(t->now, at_least(wait, WAIT_MIN));
}
