/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that follow, on several connections: each news reaches each of them once, whoever goes away meanwhile. */
#include "io/clock.h"
#include "io/http_client.h"
#include "tests/testlib/test.h"
#include "tests/unit/io/site.h"

enum { CONNECTIONS = 3, PER_CONNECTION = 5, FOLLOWERS = CONNECTIONS * PER_CONNECTION };

struct follower {
    struct slot_id id;
    uint32_t told;
    bool ends; /* Its reply, when it is told. */
};

struct news {
    struct site *site;
    struct http_client *http[CONNECTIONS];
    struct follower all[FOLLOWERS];
    uint32_t begun, ended;
    uint32_t publish_inside; /* So often from inside the event. */
};

static void news_event(void *owner, const struct http_event *ev)
{
    struct site *s = owner;
    struct news *n = s->extra;
    struct http_reply ok = {.status = 200, .content_type = "text/plain"};

    if (ev->type == HTTP_REQUEST) {
        struct follower *f = &n->all[ev->request->head.path.at[1] - 'a'];
        n->begun++;
        f->id = ev->id;
        http_server_tag(s->server, ev->id, f);
        http_server_start(s->server, ev->id, &ok);
        http_server_follow(s->server, ev->id, true);
        http_server_follow(s->server, ev->id, true); /* It does already. */
        return;
    }
    if (ev->type != HTTP_NEWS)
        return;
    struct follower *f = ev->tag;
    f->told++;
    if (n->publish_inside > 0) {
        n->publish_inside--;
        http_server_publish(s->server);
    }
    if (f->ends)
        http_server_end(s->server, f->id, NULL, 0);
}

static void news_told(void *owner, const struct http_client_event *ev)
{
    struct news *n = owner;
    n->ended += ev->type == HTTP_CLIENT_END;
}

static void news_open(struct news *n, struct site *s)
{
    struct http_server_limits limits = http_server_limits_default();
    char path[] = "/a"; /* By its letter, as they arrive in any order. */
    struct http_client_request q = {.method = "GET", .path = path};

    *n = (struct news){.site = s};
    *s = (struct site){.extra = n};
    site_open(s, &limits, news_event);
    for (uint32_t i = 0; i < FOLLOWERS; i++) {
        struct http_client_options o = {.host = "127.0.0.1",
                                        .port = http_server_port(s->server),
                                        .tls = s->client_tls,
                                        .event = news_told,
                                        .owner = n};
        path[1] = (char)('a' + i);
        if (i < CONNECTIONS)
            n->http[i] = http_client_open(s->loop, &o);
        cr_assert_neq(http_client_start(n->http[i % CONNECTIONS], i, &q).generation, 0);
    }
    struct instant limit = instant_add(clock_now(), SPAN_S(10));
    while (n->begun < FOLLOWERS && clock_now().ns < limit.ns)
        loop_step(s->loop, SPAN_MS(50));
    cr_assert_eq(n->begun, FOLLOWERS);
}

static void news_close(struct news *n)
{
    for (uint32_t i = 0; i < CONNECTIONS; i++)
        http_client_close(n->http[i]);
    site_close(n->site);
}

/* Until nothing happens any more. */
static void settle(struct site *s)
{
    for (int i = 0; i < 20; i++)
        loop_step(s->loop, SPAN_MS(1));
}

TEST(news, reach_everybody_once)
{
    struct news n;
    struct site s;
    news_open(&n, &s);
    http_server_publish(s.server);
    cr_assert_eq(n.all[0].told, 0, "nothing is delivered from inside a call");
    http_server_publish(s.server);
    settle(&s);
    for (uint32_t i = 0; i < FOLLOWERS; i++)
        cr_assert_eq(n.all[i].told, 1, "%u was told %u times", i, n.all[i].told);
    n.publish_inside =
        1; /* From the first: its connection is told of that once more, the others hear of both at once. */
    http_server_publish(s.server);
    settle(&s);
    uint32_t sum = 0;
    for (uint32_t i = 0; i < FOLLOWERS; i++) {
        cr_assert(n.all[i].told == 2 || n.all[i].told == 3);
        sum += n.all[i].told;
    }
    cr_assert_eq(sum, 2 * FOLLOWERS + PER_CONNECTION);
    news_close(&n);
}

TEST(news, reach_the_others_when_some_end_at_them)
{
    struct news n;
    struct site s;
    news_open(&n, &s);
    for (uint32_t i = 0; i < FOLLOWERS; i++)
        n.all[i].ends = i % 2 == 0 || i % CONNECTIONS == 0; /* One connection has none left. */
    http_server_publish(s.server);
    settle(&s);
    http_server_publish(s.server);
    settle(&s);
    uint32_t ends = 0;
    for (uint32_t i = 0; i < FOLLOWERS; i++) {
        cr_assert_eq(n.all[i].told, n.all[i].ends ? 1 : 2, "%u was told %u times", i,
                     n.all[i].told);
        ends += n.all[i].ends;
    }
    cr_assert_eq(n.ended, ends);
    news_close(&n);
}

TEST(news, do_not_reach_who_went_away)
{
    struct news n;
    struct site s;
    news_open(&n, &s);
    http_server_follow(s.server, n.all[4].id, false);
    http_client_close(n.http[0]);
    n.http[0] = NULL;
    settle(&s);
    http_server_publish(s.server);
    settle(&s);
    for (uint32_t i = 0; i < FOLLOWERS; i++)
        cr_assert_eq(n.all[i].told, i % CONNECTIONS != 0 && i != 4);
    news_close(&n);
}
