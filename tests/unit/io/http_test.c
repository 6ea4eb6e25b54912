/* SPDX-License-Identifier: Apache-2.0 */
/* The server over real sockets, asked by curl: both versions, whole and chunked replies, limits. */
#include "io/clock.h"
#include "io/fs.h"
#include "io/http_server.h"
#include "io/proc.h"
#include "tests/testlib/test.h"
#include "tests/unit/io/site.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void give_chunks(struct site *s, struct slot_id id)
{
    static const char line[1000] = "chunk\n";
    while (s->chunks_left > 0 && http_server_room(s->server, id) > 0) {
        s->chunks_left--;
        http_server_chunk(s->server, id, blob_new(str_from(line, sizeof line)));
    }
    if (s->chunks_left == 0)
        http_server_end(s->server, id, NULL, 0);
}

static void answer(struct site *s, const struct http_request *r)
{
    struct http_reply ok = {.status = 200, .content_type = "text/plain"};
    char text[512];

    if (str_is(r->head.path, "/stream")) {
        s->chunks_left = 3000;
        http_server_start(s->server, r->id, &ok);
        give_chunks(s, r->id);
    } else if (str_is(r->head.path, "/never")) {
        s->streaming = r->id; /* And no answer. */
    } else {
        snprintf(text, sizeof text, "%d " STR_FMT " " STR_FMT "?" STR_FMT " %zu %s\n",
                 r->head.proto == HTTP_2 ? 2 : 1, STR_ARG(r->head.method), STR_ARG(r->head.path),
                 STR_ARG(r->head.query), r->body.len,
                 r->peer->state == HTTP_PEER_TRUSTED ? pki_common_name(&r->peer->id) : "-");
        http_server_reply(s->server, r->id, &ok, blob_new(str_of(text)));
    }
}

static void site_event(void *owner, const struct http_event *ev)
{
    struct site *s = owner;
    switch (ev->type) {
    case HTTP_REQUEST:
        answer(s, ev->request);
        break;
    case HTTP_WRITABLE:
        give_chunks(s, ev->id);
        break;
    case HTTP_CANCELLED:
        s->cancelled++;
        break;
    case HTTP_BODY:
    case HTTP_NEWS:
    case HTTP_DRAINED:
        break;
    }
}

/* A child while the server's loop turns: what it printed. */
struct asking {
    struct loop_client client;
    struct buf out;
    bool done;
};

static void asking_event(struct loop_client *self, const struct io_event *ev)
{
    struct asking *a = CONTAINER_OF(self, struct asking, client);
    if (ev->type == IO_PROC_DONE) {
        a->done = true;
        buf_add(&a->out, ev->proc.out);
        buf_add(&a->out, ev->proc.err);
    }
}

/* options: with $U for the server's address, $D for the directory of the PEM files. */
static void ask(struct site *s, struct buf *out, const char *script)
{
    struct asking a = {.client = {.event = asking_event}};
    char env_u[64], env_d[96];
    snprintf(env_u, sizeof env_u, "U=https://127.0.0.1:%u", http_server_port(s->server));
    snprintf(env_d, sizeof env_d, "D=%s", s->dir);
    const char *env[] = {"PATH=/usr/bin:/bin", env_u, env_d, NULL};
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    struct proc_request r = {
        .argv = argv, .env = env, .capture_max = 8 << 20, .timeout = SPAN_S(30)};
    buf_init(&a.out, 16 << 20);
    loop_join(s->loop, &a.client);
    proc_run(&a.client, 1, &r);
    while (!a.done)
        loop_step(s->loop, SPAN_S(1));
    loop_leave(&a.client);
    *out = a.out;
}

static void expect(struct site *s, const char *script, const char *wanted)
{
    struct buf out;
    ask(s, &out, script);
    cr_assert(str_is(buf_str(&out), wanted), "%s\n gave: " STR_FMT "\n not: %s", script,
              STR_ARG(buf_str(&out)), wanted);
    buf_free(&out);
}

TEST(http, answers_both_versions)
{
    struct site s = {0};
    struct http_server_limits limits = http_server_limits_default();
    site_open(&s, &limits, site_event);
    expect(&s, "curl -sS --cacert $D/ca --http2 \"$U/a/b?x=1&y\"", "2 GET /a/b?x=1&y 0 -\n");
    expect(&s, "curl -sS --cacert $D/ca --http1.1 $U/a $U/b", "1 GET /a? 0 -\n1 GET /b? 0 -\n");
    expect(&s, "curl -sS --cacert $D/ca --cert $D/cert --key $D/key --http1.1 $U/c",
           "1 GET /c? 0 admin\n");
    expect(&s, "head -c 2000000 /dev/zero | curl -sS --cacert $D/ca --http2 --data-binary @- $U/d",
           "2 POST /d? 2000000 -\n");
    expect(&s,
           "head -c 2000000 /dev/zero | curl -sS --cacert $D/ca --http1.1 --data-binary @- $U/d",
           "1 POST /d? 2000000 -\n");
    expect(&s,
           "head -c 200000 /dev/zero | curl -sS --cacert $D/ca --http1.1 -H 'Transfer-Encoding: "
           "chunked' -T - $U/d",
           "1 PUT /d? 200000 -\n");
    expect(&s, "curl -sS --cacert $D/ca --http1.1 $U/stream | wc -c", "3000000\n");
    expect(&s, "curl -sS --cacert $D/ca --http2 $U/stream | wc -c", "3000000\n");
    expect(&s, "curl -sSI --cacert $D/ca --http1.1 $U/x | head -1", "HTTP/1.1 200 OK\r\n");
    expect(&s, "curl -sS --cacert $D/ca --http2 -I $U/x | head -1", "HTTP/2 200 \r\n");
    site_close(&s);
}

/* What was kept for the next requests is gone, and they do not notice. */
TEST(http, rests)
{
    struct site s = {0};
    struct http_server_limits limits = http_server_limits_default();
    site_open(&s, &limits, site_event);
    cr_assert_not(http_server_rest(s.server), "there was nothing to give back");
    expect(&s, "curl -sS --cacert $D/ca --http2 $U/stream | wc -c", "3000000\n");
    cr_assert(http_server_rest(s.server), "what was sent went through a large buffer");
    cr_assert_not(http_server_rest(s.server));
    expect(&s, "curl -sS --cacert $D/ca --http2 $U/a $U/b", "2 GET /a? 0 -\n2 GET /b? 0 -\n");
    expect(&s, "curl -sS --cacert $D/ca --http1.1 $U/stream | wc -c", "3000000\n");
    site_close(&s);
}

TEST(http, refuses_what_is_too_large)
{
    struct site s = {0};
    struct http_server_limits limits = http_server_limits_default();
    limits.body_bytes = 100000;
    limits.head_bytes = 4000;
    site_open(&s, &limits, site_event);
    const char *const versions[] = {"--http1.1", "--http2"};
    for (size_t i = 0; i < 2; i++) {
        char script[300];
        snprintf(script, sizeof script,
                 "head -c 3000000 /dev/zero | curl -sS -o /dev/null -w '%%{http_code}' --cacert "
                 "$D/ca %s --data-binary @- $U/d",
                 versions[i]);
        expect(&s, script, "413");
        snprintf(script, sizeof script,
                 "curl -sS -o /dev/null -w '%%{http_code}' --cacert $D/ca %s -H \"x: $(head -c "
                 "6000 /dev/zero | tr '\\0' a)\" $U/d",
                 versions[i]);
        expect(&s, script, "431");
    }
    /* Without a length it is found out on the way. */
    expect(&s,
           "head -c 3000000 /dev/zero | curl -sS -o /dev/null -w '%{http_code}' --cacert $D/ca "
           "--http1.1 -H 'Transfer-Encoding: chunked' -T - $U/d",
           "413");
    site_close(&s);
}

TEST(http, tells_of_cancelled_requests)
{
    struct site s = {0};
    struct http_server_limits limits = http_server_limits_default();
    site_open(&s, &limits, site_event);
    expect(&s, "curl -sS -m 0.3 --cacert $D/ca --http1.1 $U/never 2>/dev/null", "");
    expect(&s, "curl -sS -m 0.3 --cacert $D/ca --http2 $U/never 2>/dev/null", "");
    struct instant limit = instant_add(clock_now(), SPAN_S(10));
    while (s.cancelled < 2 && clock_now().ns < limit.ns)
        loop_step(s.loop, SPAN_MS(50));
    cr_assert_eq(s.cancelled, 2);
    cr_assert_null(http_server_request(s.server, s.streaming));
    http_server_reply(s.server, s.streaming, &(struct http_reply){.status = 200}, NULL);
    cr_assert_eq(http_server_stats(s.server).requests, 0);
    site_close(&s);
}

TEST(http, says_so_when_there_are_too_many)
{
    struct site s = {0};
    struct http_server_limits limits = http_server_limits_default();
    limits.requests = 1;
    site_open(&s, &limits, site_event);
    expect(&s,
           "curl -sS -m 1 --cacert $D/ca $U/never 2>/dev/null & sleep 0.3; "
           "curl -sS -D - -o /dev/null --cacert $D/ca --http1.1 $U/x | grep -iE 'HTTP|retry'; wait",
           "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\n");
    site_close(&s);
}

TEST(http, drains)
{
    struct site s = {0};
    struct http_server_limits limits = http_server_limits_default();
    site_open(&s, &limits, site_event);
    expect(&s, "curl -sS --cacert $D/ca $U/a", "2 GET /a? 0 -\n");
    http_server_drain(s.server);
    struct instant limit = instant_add(clock_now(), SPAN_S(10));
    while (http_server_stats(s.server).connections > 0 && clock_now().ns < limit.ns)
        loop_step(s.loop, SPAN_MS(50));
    cr_assert_eq(http_server_stats(s.server).connections, 0);
    site_close(&s);
}
