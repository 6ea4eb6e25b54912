/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server is to do next: streams that have something to tell their owner, connections that have something to send, and
 * the instants at which it looks again. Everybody puts things down here; http_server.c does them.
 */
#include "io/http_server_priv.h"

void agenda__ready(struct stream *st)
{
    struct http_server *s = st->server;

    if (st->is_ready)
        return;
    st->is_ready = true;
    st->ready_next = NULL;
    *s->ready_last = st;
    s->ready_last = &st->ready_next;
}

void agenda__dirty(struct conn *c)
{
    if (c->dirty || c->dead)
        return;
    c->dirty = true;
    c->dirty_next = NULL;
    *c->server->dirty_last = c;
    c->server->dirty_last = &c->dirty_next;
}

void agenda__undirty(struct conn *c)
{
    struct conn **at = &c->server->dirty;

    if (!c->dirty)
        return;
    while (*at != NULL && *at != c)
        at = &(*at)->dirty_next;
    if (*at == c)
        *at = c->dirty_next;
    if (c->server->dirty_last == &c->dirty_next)
        c->server->dirty_last = at;
    c->dirty = false;
}

void agenda__expect(struct http_server *s, struct instant at)
{
    s->check_at = instant_earlier(s->check_at, at);
    agenda__wake(s, at);
}

void agenda__wake(struct http_server *s, struct instant at)
{
    loop_set_deadline(&s->client, instant_earlier(s->client.deadline, at));
}
