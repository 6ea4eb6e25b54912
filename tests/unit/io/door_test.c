/* SPDX-License-Identifier: Apache-2.0 */
/* Whose handshake is next, and who leaves when it is full. Clients are TLS filters over plain sockets of this test. */
#include "io/clock.h"
#include "io/fs.h"
#include "io/tcp.h"
#include "tests/testlib/test.h"
#include "tests/unit/io/site.h"

#include <stdio.h>

enum { CLIENTS_MAX = 8 };

/* HTTP/2 (RFC 9113): its preface, SETTINGS, and frames of a type that is to be ignored (4.1). */
static struct str much(void)
{
    enum { FRAMES = 16, PAYLOAD = 16384 };
    static const char begin[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0";
    static const char head[] = "\0\x40\0\x42\0\0\0\0"; /* And its NUL: stream 0. */
    static char at[sizeof begin + FRAMES * (sizeof head + PAYLOAD)];
    size_t len = sizeof begin;

    memcpy(at, begin, sizeof begin);
    for (uint32_t i = 0; i < FRAMES; i++, len += sizeof head + PAYLOAD)
        memcpy(at + len, head, sizeof head);
    return str_from(at, len);
}

struct door {
    struct site site;
    struct loop_client client;
    struct tls_config *nameless;
    struct tcp *tcp[CLIENTS_MAX];
    struct tls *tls[CLIENTS_MAX]; /* NULL: it says nothing. */
    bool deaf[CLIENTS_MAX];       /* It says hello and never answers. */
    bool closed[CLIENTS_MAX];
    bool talks; /* Sends much right behind its part of the handshake. */
    uint32_t opened[CLIENTS_MAX], opened_count; /* In order. */
};

static void no_requests(void *owner, const struct http_event *ev)
{
    (void)owner;
    (void)ev;
}

static void send_all(struct door *d, uint64_t i)
{
    char bytes[16 << 10];
    size_t len;

    while ((len = tls_drain(d->tls[i], bytes, sizeof bytes)) > 0)
        cr_assert_eq(tcp_write(d->tcp[i], str_from(bytes, len)), ERR_OK);
}

static void client_event(struct loop_client *self, const struct io_event *ev)
{
    struct door *d = CONTAINER_OF(self, struct door, client);
    struct err e;

    if (ev->type == IO_TCP_CLOSED)
        d->closed[ev->op] = true;
    if (ev->type == IO_TCP_OPEN && d->tls[ev->op] != NULL)
        send_all(d, ev->op);
    if (ev->type != IO_TCP_READ || d->tls[ev->op] == NULL || d->deaf[ev->op])
        return;
    bool before = tls_is_open(d->tls[ev->op]);
    cr_assert_eq(tls_feed(d->tls[ev->op], ev->bytes, &e), ERR_OK, "%s", e.text);
    if (!before && tls_is_open(d->tls[ev->op])) {
        d->opened[d->opened_count++] = (uint32_t)ev->op;
        if (d->talks)
            cr_assert_eq(tls_write(d->tls[ev->op], much(), &e), ERR_OK);
    }
    send_all(d, ev->op);
}

static void door_open(struct door *d, const struct http_server_limits *limits)
{
    struct buf ca;
    char path[128];
    struct err e;

    *d = (struct door){.client = {.event = client_event}};
    site_open(&d->site, limits, no_requests);
    buf_init(&ca, 1 << 16);
    snprintf(path, sizeof path, "%s/ca", d->site.dir);
    cr_assert_eq(fs_read(path, &ca, &e), ERR_OK);
    struct tls_client_options o = {.ca = buf_str(&ca)};
    cr_assert_eq(tls_client_config(&o, &d->nameless, &e), ERR_OK);
    buf_free(&ca);
    loop_join(d->site.loop, &d->client);
}

static void door_close(struct door *d)
{
    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        tcp_close(d->tcp[i]);
        tls_free(d->tls[i]);
    }
    loop_leave(&d->client);
    tls_config_free(d->nameless);
    site_close(&d->site);
}

/* who: NULL says nothing. */
static void knock(struct door *d, uint32_t i, const struct tls_config *who)
{
    if (who != NULL)
        d->tls[i] = tls_new_client(who, "127.0.0.1");
    d->tcp[i] = tcp_connect(&d->client, i, "127.0.0.1", http_server_port(d->site.server));
}

static struct http_server_stats stats(const struct door *d)
{
    return http_server_stats(d->site.server);
}

/* Turns the loop until what is a field of the statistics has that value. */
#define WAIT_FOR(d, condition)                                                                     \
    do {                                                                                           \
        struct instant limit = instant_add(clock_now(), SPAN_S(5));                                \
        while (!(condition) && clock_now().ns < limit.ns)                                          \
            loop_step((d)->site.loop, SPAN_MS(10));                                                \
        cr_assert(condition, "%s", #condition);                                                    \
    } while (0)

TEST(door, handshakes_wait_for_a_place_and_the_oldest_is_next)
{
    struct door d;
    struct http_server_limits limits = http_server_limits_default();
    limits.handshakes = 1;
    door_open(&d, &limits);
    d.deaf[0] = true;
    knock(&d, 0, d.site.client_tls);
    WAIT_FOR(&d, stats(&d).handshakes == 1);
    for (uint32_t i = 1; i < 4; i++) {
        knock(&d, i, d.site.client_tls);
        WAIT_FOR(&d, stats(&d).handshakes_waiting == i);
    }
    cr_assert_eq(d.opened_count, 0);
    WAIT_FOR(&d, d.opened_count == 3); /* Nobody waits longer than its patience for the deaf one. */
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(d.opened[i], i + 1);
    cr_assert_eq(stats(&d).strangers, 1);
    d.deaf[0] = false;
    door_close(&d);
}

TEST(door, who_lost_his_place_may_still_finish)
{
    struct door d;
    struct http_server_limits limits = http_server_limits_default();
    limits.handshakes = 1;
    door_open(&d, &limits);
    knock(&d, 0, d.site.client_tls);
    tcp_read_pause(d.tcp[0], true);
    WAIT_FOR(&d, stats(&d).strangers + stats(&d).handshakes == 1);
    tcp_read_pause(d.tcp[0], true); /* It opened meanwhile, and reads. */
    knock(&d, 1, d.site.client_tls);
    WAIT_FOR(&d, d.opened_count >= 1 && d.opened[0] == 1 && stats(&d).strangers == 1);
    tcp_read_pause(d.tcp[0], false);
    WAIT_FOR(&d, d.opened_count == 2 && stats(&d).strangers == 0);
    door_close(&d);
}

TEST(door, too_many_strangers_the_oldest_leaves)
{
    struct door d;
    struct http_server_limits limits = http_server_limits_default();
    limits.strangers = 2;
    door_open(&d, &limits);
    knock(&d, 0, d.site.client_tls);
    WAIT_FOR(&d, d.opened_count == 1);
    for (uint32_t i = 1; i < 5; i++) {
        knock(&d, i, d.nameless);
        WAIT_FOR(&d, d.opened_count == i + 1);
    }
    WAIT_FOR(&d, d.closed[1] && d.closed[2]);
    WAIT_FOR(&d, stats(&d).strangers == 2);
    cr_assert(!d.closed[0] && !d.closed[3] && !d.closed[4]);
    cr_assert_eq(stats(&d).displaced, 2);
    door_close(&d);
}

TEST(door, a_full_house_has_room_for_a_name)
{
    struct door d;
    struct http_server_limits limits = http_server_limits_default();
    limits.connections = 2;
    limits.connections_refuse = 1;
    door_open(&d, &limits);
    knock(&d, 0, NULL);
    WAIT_FOR(&d, stats(&d).connections == 1);
    knock(&d, 1, d.site.client_tls);
    WAIT_FOR(&d, d.opened_count == 1);
    knock(&d, 2, d.site.client_tls); /* Who says nothing leaves. */
    WAIT_FOR(&d, d.opened_count == 2 && d.closed[0]);
    knock(&d, 3, d.site.client_tls); /* Nobody is left who could: it is let in to be told 503. */
    WAIT_FOR(&d, d.opened_count == 3);
    cr_assert(!d.closed[1] && !d.closed[2]);
    cr_assert_eq(stats(&d).refused, 1);
    door_close(&d);
}

/* What comes right behind a handshake's end waits with it, whatever its size. */
TEST(door, a_large_request_at_once)
{
    struct door d;
    struct http_server_limits limits = http_server_limits_default();
    door_open(&d, &limits);
    d.talks = true;
    knock(&d, 0, d.site.client_tls);
    WAIT_FOR(&d, stats(&d).bytes_in > much().len);
    for (int i = 0; i < 10; i++)
        loop_step(d.site.loop, SPAN_MS(10));
    cr_assert(stats(&d).connections == 1 && !d.closed[0]);
    door_close(&d);
}
