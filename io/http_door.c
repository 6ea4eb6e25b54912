/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who gets in, and in which order. A connection stands in at most one line:
 *
 *   SILENT --hello--> WAITS --a place is free--> ANSWERED <--bytes came / we replied--> ASKED
 *                                                    |                                    | no word for PATIENCE
 *                                                    +--done, a client we know--> (none)  v
 *                                                    +--done, nobody we know------> STRANGERS
 *
 * A handshake is the dearest thing that a peer without a name can ask for. If all that were asked for went on
 * together, an overloaded server would finish none before its peers give up and begin anew. So only some are
 * in work (ASKED and ANSWERED); the others keep their hello, the oldest is next. What was begun goes before
 * what begins, and all of it has DOOR_SPAN of a turn: those inside are served meanwhile.
 *
 * Strangers showed no certificate of ours. The door keeps some of them, and when they are too many, or the house
 * is full, the one that stands there longest leaves: nobody without a name can lock out those with one.
 */
#include "io/http_server_priv.h"

#include "io/clock.h"

/* Of one turn for handshakes. One step takes some tenths of a millisecond. */
static const struct span DOOR_SPAN = {2000000};

/* A peer that lets us wait for its part this long gives its place in work to another. It may still go on. */
static const struct span PATIENCE = {250000000};

static uint32_t in_work(const struct http_server *s)
{
    return s->lines[LINE_ASKED].count + s->lines[LINE_ANSWERED].count;
}

/* ---- room ---- */

static void show_out(struct conn *c)
{
    c->server->stats.displaced++;
    conn__close(c);
}

/* Too many strangers: the one that stands here longest leaves. */
static void thin_out(struct http_server *s)
{
    while (s->lines[LINE_STRANGERS].count > s->limits.strangers)
        show_out(s->lines[LINE_STRANGERS].first);
}

/* The house is full: whoever never said a word leaves first, then whoever never said his name. */
void door__make_room(struct http_server *s)
{
    struct conn *c = s->lines[LINE_SILENT].first;

    if (s->conn_slots.taken < s->limits.connections)
        return;
    if (c == NULL)
        c = s->lines[LINE_STRANGERS].first;
    if (c != NULL)
        show_out(c);
}

/* ---- handshakes ---- */

/* One step of one handshake. Afterwards c may be inside, on its way out, or waiting for its peer. */
static void step(struct conn *c, struct instant now)
{
    struct buf bytes = c->in;

    buf_init(&c->in, bytes.limit);
    conn__shake(c, buf_str(&bytes), now);
    if (bytes.len > HELLO_MAX && !c->paused)
        tcp_read_pause(c->tcp, false);
    buf_free(&bytes);
    if (c->state == CONN_HANDSHAKE && !c->closing)
        line__stand_in(c, LINE_ASKED, now);
    else
        line__admit(c, now);
}

static void lose_patience(struct http_server *s, struct instant now)
{
    struct conn *c;

    while ((c = s->lines[LINE_ASKED].first) != NULL &&
           instant_due(instant_add(c->line_since, PATIENCE), now))
        line__admit(c, now);
}

/* Who is next: what was begun before what begins. NULL: nobody, now. */
static struct conn *next_in_line(struct http_server *s, struct instant now)
{
    struct conn *c = s->lines[LINE_ANSWERED].first;

    if (c != NULL)
        return c;
    c = s->lines[LINE_WAITS].first;
    if (c == NULL || in_work(s) >= s->limits.handshakes)
        return NULL;
    c->begun = now;
    agenda__expect(s, instant_add(now, s->limits.handshake));
    return c;
}

void door__turn(struct http_server *s, struct instant now)
{
    struct instant until = instant_add(clock_now(), DOOR_SPAN);
    struct conn *c = NULL;

    lose_patience(s, now);
    while (!instant_due(until, clock_now()) && (c = next_in_line(s, now)) != NULL)
        step(c, now);
    thin_out(s);
    if (c != NULL) /* There may be more to do, after the others have had their turn. */
        agenda__wake(s, now);
    else if (s->lines[LINE_WAITS].count > 0 && s->lines[LINE_ASKED].count > 0)
        agenda__wake(s, instant_add(s->lines[LINE_ASKED].first->line_since, PATIENCE));
}
