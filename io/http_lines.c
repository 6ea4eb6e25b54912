/* SPDX-License-Identifier: Apache-2.0 */
/* Where a connection stands at the door. Who is next in a line, and who leaves, says http_door.c. */
#include "io/http_server_priv.h"

void line__leave(struct conn *c)
{
    struct conn_line *l = &c->server->lines[c->line];

    if (c->line == LINE_NONE)
        return;
    *(c->line_previous == NULL ? &l->first : &c->line_previous->line_next) = c->line_next;
    *(c->line_next == NULL ? &l->last : &c->line_next->line_previous) = c->line_previous;
    l->count--;
    c->line = LINE_NONE;
    c->line_next = c->line_previous = NULL;
}

void line__stand_in(struct conn *c, enum conn_line_name name, struct instant now)
{
    struct conn_line *l = &c->server->lines[name];

    line__leave(c);
    c->line = name;
    c->line_since = now;
    c->line_previous = l->last;
    *(l->last == NULL ? &l->first : &l->last->line_next) = c;
    l->last = c;
    l->count++;
}

void line__admit(struct conn *c, struct instant now)
{
    struct http_server *s = c->server;

    line__leave(c);
    if (c->peer != NULL && c->peer->state == HTTP_PEER_TRUSTED)
        return;
    line__stand_in(c, LINE_STRANGERS, now);
    if (s->lines[LINE_STRANGERS].count > s->limits.strangers)
        agenda__wake(s, now);
}
