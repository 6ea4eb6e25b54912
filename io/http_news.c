/* SPDX-License-Identifier: Apache-2.0 */
/*
 * News: what many requests wait for has moved. What a thousand watchers are made of (their requests, streams, HTTP/2's own
 * of them) is a megabyte; a cache holds that of one connection. So a connection's followers are told one after the other,
 * what they gave goes out, and then the next connection is told: docs/decisions/0240.
 */
#include "io/http_server_priv.h"

#include "base/mem.h"

enum { FOLLOWERS_FIRST = 4 };

/* ---- who follows ---- */

static void conn_enter(struct conn *c)
{
    struct http_server *s = c->server;

    c->news.heard = s->news; /* Whoever begins to follow looks for himself. */
    c->news.at = s->following_count;
    s->following[s->following_count++] = c;
}

static void conn_leave(struct conn *c)
{
    struct http_server *s = c->server;
    struct conn *last = s->following[--s->following_count];

    s->following[c->news.at] = last;
    last->news.at = c->news.at;
    mem_free(c->news.followers);
    c->news = (struct conn_news){0};
}

void news__follow(struct stream *st)
{
    struct conn_news *n = &st->conn->news;

    if (n->count == 0)
        conn_enter(st->conn);
    if (n->count == n->size) {
        n->size = n->size == 0 ? FOLLOWERS_FIRST : 2 * n->size;
        n->followers = mem_resize(n->followers, n->size * sizeof(struct stream *));
    }
    n->followers[n->count++] = st;
    st->follows = true;
}

/* Also from inside the event that tells it: those behind it move up, and none is passed over. */
void news__forget(struct stream *st)
{
    struct conn_news *n = &st->conn->news;
    uint32_t at = 0;

    if (!st->follows)
        return;
    st->follows = false;
    while (n->followers[at] != st)
        at++;
    n->count--;
    n->told -= at < n->told;
    memmove(n->followers + at, n->followers + at + 1, (n->count - at) * sizeof(struct stream *));
    if (n->count == 0)
        conn_leave(st->conn);
}

/* ---- telling them ---- */

/* Round and round, from where the last turn ended: news that come faster than they can be told reach everybody. */
struct conn *news__next(struct http_server *s)
{
    for (uint32_t left = s->following_count; left > 0; left--) {
        s->following_next = s->following_next < s->following_count ? s->following_next : 0;
        struct conn *c = s->following[s->following_next];
        if (c->news.heard != s->news)
            return c;
        s->following_next++;
    }
    s->heard = s->news;
    return NULL;
}

struct stream *news__take(struct conn *c)
{
    struct conn_news *n = &c->news;

    if (n->count == 0)
        return NULL; /* The last one is gone, and c from the row. */
    if (n->told == 0)
        n->hearing = c->server->news;
    if (n->told < n->count)
        return n->followers[n->told++];
    n->told = 0;
    n->heard = n->hearing;
    return NULL;
}
