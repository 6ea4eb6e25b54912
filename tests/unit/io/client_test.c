/* SPDX-License-Identifier: Apache-2.0 */
/* Client and server on one loop, over real sockets: unary calls, streams both ways, ends of all kinds. */
#include "io/clock.h"
#include "io/grpc.h"
#include "io/http_client.h"
#include "tests/testlib/test.h"
#include "tests/unit/io/site.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* The server: echoes streams message by message, answers others with their path; /hold is left alone. */
static void echo_event(void *owner, const struct http_event *ev)
{
    struct site *s = owner;
    struct http_reply ok = {.status = 200, .content_type = "application/grpc"};
    struct http_header trailers[2];
    char scratch[64];

    switch (ev->type) {
    case HTTP_REQUEST:
        if (str_is(ev->request->head.path, "/hold"))
            break;
        if (str_is(ev->request->head.path, "/unread"))
            s->unread = ev->id;
        if (str_is(ev->request->head.path, "/refused")) {
            ok.headers = trailers;
            ok.headers_count =
                grpc_trailers(GRPC_UNAUTHENTICATED, STR("no"), scratch, sizeof scratch, trailers);
            http_server_reply(s->server, ev->id, &ok, NULL);
            break;
        }
        if (ev->request->streaming)
            http_server_start(s->server, ev->id, &ok);
        else
            http_server_reply(s->server, ev->id, &ok, blob_new(ev->request->head.path));
        break;
    case HTTP_BODY:
        if (ev->id.generation == s->unread.generation && ev->id.slot == s->unread.slot) {
            s->unread_bytes += ev->bytes.len;
            break;
        }
        if (ev->bytes.len > 0)
            http_server_chunk(s->server, ev->id, blob_new(ev->bytes));
        http_server_consume(s->server, ev->id, ev->bytes.len);
        if (ev->end)
            http_server_end(
                s->server, ev->id, trailers,
                grpc_trailers(GRPC_OK, STR("fine \xc3\xa9"), scratch, sizeof scratch, trailers));
        break;
    case HTTP_CANCELLED:
        s->cancelled++;
        break;
    case HTTP_WRITABLE:
    case HTTP_NEWS:
    case HTTP_DRAINED:
        break;
    }
}

struct caller {
    char told[32];
    uint32_t told_count, status;
    size_t body_len;
    struct err err, refused;
    bool ended;
    enum grpc_status grpc;
    struct grpc_reader reader;
    uint32_t messages;
    size_t message_bytes;
    struct http_client *cancels; /* At the head. */
};

static bool count_message(void *arg, struct str bytes)
{
    struct caller *c = arg;
    c->messages++;
    c->message_bytes += bytes.len;
    return true;
}

static void caller_event(void *owner, const struct http_client_event *ev)
{
    static const char letters[] = "OHBWEFC";
    struct caller *c = owner;
    struct str message;
    struct err e = {0};
    bool again = c->told_count > 0 && c->told[c->told_count - 1] == letters[ev->type];

    if (!again && c->told_count < sizeof c->told - 1) /* BBB is one B. */
        c->told[c->told_count++] = letters[ev->type];
    if (ev->type == HTTP_CLIENT_HEAD) {
        c->status = ev->status;
        (void)grpc_reason(&ev->headers, &c->refused);
        if (c->cancels != NULL)
            http_client_cancel(c->cancels, ev->id);
    }
    c->body_len += ev->bytes.len;
    if (ev->type == HTTP_CLIENT_BODY && c->reader.message_max > 0)
        cr_assert_eq(grpc_reader_feed(&c->reader, ev->bytes, count_message, c, &e), ERR_OK, "%s",
                     e.text);
    if (ev->type == HTTP_CLIENT_END) {
        c->ended = true;
        c->grpc = grpc_status_of(&ev->headers, &message);
    }
    if (ev->err.code != ERR_OK)
        c->err = ev->err;
}

static void until(struct site *s, const struct caller *c, const char *told)
{
    struct instant limit = instant_add(clock_now(), SPAN_S(20));
    while (strcmp(c->told, told) != 0 && clock_now().ns < limit.ns)
        loop_step(s->loop, SPAN_MS(20));
    cr_assert_str_eq(c->told, told);
}

static struct http_client *connect_to(struct site *s, struct caller *c)
{
    struct http_client_options o = {.host = "127.0.0.1",
                                    .port = http_server_port(s->server),
                                    .tls = s->client_tls,
                                    .event = caller_event,
                                    .owner = c};
    return http_client_open(s->loop, &o);
}

TEST(client, unary)
{
    struct site s = {0};
    struct caller c = {0};
    struct http_server_limits limits = http_server_limits_default();
    site_open(&s, &limits, echo_event);
    struct http_client *client = connect_to(&s, &c);
    struct http_client_request q = {.method = "GET", .path = "/some/path"};
    http_client_start(client, 7, &q); /* Before the connection stands. */
    until(&s, &c, "OHBE");
    cr_assert_eq(c.status, 200);
    cr_assert_eq(c.body_len, 10);
    http_client_close(client);
    site_close(&s);
}

/* The head, the body and the stream's end arrived together, and are told one after the other. */
TEST(client, whoever_cancels_at_the_head_hears_no_more)
{
    struct site s = {0};
    struct caller c = {0};
    struct http_server_limits limits = http_server_limits_default();
    struct http_client_request q = {.method = "GET", .path = "/some/path"};
    site_open(&s, &limits, echo_event);
    struct http_client *client = c.cancels = connect_to(&s, &c);
    http_client_start(client, 7, &q);
    until(&s, &c, "OH");
    http_client_start(client, 8, &q);
    until(&s, &c, "OH");
    loop_step(s.loop, SPAN_MS(20));
    cr_assert_eq(c.body_len, 0);
    http_client_close(client);
    site_close(&s);
}

/* Twenty megabytes through windows of one, with back-pressure at both ends; trailers at the end. */
TEST(client, streams_both_ways)
{
    struct site s = {0};
    struct caller c = {0};
    struct http_server_limits limits = http_server_limits_default();
    struct http_header type = {STR("content-type"), STR("application/grpc")};
    struct http_client_request q = {
        .method = "POST", .path = "/x", .headers = &type, .headers_count = 1, .streaming = true};
    static char payload[10000];
    uint32_t sent = 0;
    limits.reply_bytes = 4 << 20; /* The echo does not wait for room. */
    site_open(&s, &limits, echo_event);
    grpc_reader_init(&c.reader, GRPC_MESSAGE_MAX);
    struct http_client *client = connect_to(&s, &c);
    struct slot_id id = http_client_start(client, 7, &q);
    until(&s, &c, "OH");
    while (sent < 2000) {
        size_t room = 1;
        while (room > 0 && sent < 2000) {
            room = http_client_send(client, id, grpc_frame(str_from(payload, sizeof payload)));
            sent++;
        }
        uint32_t before = c.messages;
        while (c.messages == before)
            loop_step(s.loop, SPAN_MS(100));
    }
    http_client_finish(client, id);
    while (!c.ended)
        loop_step(s.loop, SPAN_MS(100));
    cr_assert_eq(c.messages, 2000);
    cr_assert_eq(c.message_bytes, 2000 * sizeof payload);
    cr_assert_not(grpc_reader_is_cut(&c.reader));
    cr_assert_eq(c.grpc, GRPC_OK);
    grpc_reader_free(&c.reader);
    http_client_close(client);
    site_close(&s);
}

/* What a server ends unread must not be missing from the window that all streams of the connection share. */
TEST(client, a_stream_that_is_ended_unread_costs_the_others_nothing)
{
    struct site s = {0};
    struct caller c = {0};
    struct http_server_limits limits = http_server_limits_default();
    struct http_header type = {STR("content-type"), STR("application/grpc")};
    struct http_client_request q = {.method = "POST",
                                    .path = "/unread",
                                    .headers = &type,
                                    .headers_count = 1,
                                    .streaming = true};
    static char payload[1 << 20]; /* A stream's window; the connection's is four of them. */
    site_open(&s, &limits, echo_event);
    struct http_client *client = connect_to(&s, &c);
    for (int i = 0; i < 6; i++) {
        struct instant limit = instant_add(clock_now(), SPAN_S(5));
        c.ended = false;
        s.unread_bytes = 0;
        struct slot_id id = http_client_start(client, 7, &q);
        http_client_send(client, id, blob_new(str_from(payload, sizeof payload)));
        while (s.unread_bytes < sizeof payload && clock_now().ns < limit.ns)
            loop_step(s.loop, SPAN_MS(20));
        cr_assert_eq(s.unread_bytes, sizeof payload, "round %d: the window is shut", i);
        http_server_end(s.server, s.unread, NULL, 0);
        while (!c.ended && clock_now().ns < limit.ns)
            loop_step(s.loop, SPAN_MS(20));
        cr_assert(c.ended);
        s.unread = (struct slot_id){0};
    }
    http_client_close(client);
    site_close(&s);
}

/* A server may answer before it has read everything: what it said must not be lost with the stream. */
TEST(client, a_stream_that_is_refused_hears_why)
{
    struct site s = {0};
    struct caller c = {0};
    struct http_server_limits limits = http_server_limits_default();
    struct http_header type = {STR("content-type"), STR("application/grpc")};
    struct http_client_request q = {.method = "POST",
                                    .path = "/refused",
                                    .headers = &type,
                                    .headers_count = 1,
                                    .streaming = true};
    site_open(&s, &limits, echo_event);
    struct http_client *client = connect_to(&s, &c);
    struct slot_id id = http_client_start(client, 7, &q);
    http_client_send(client, id, grpc_frame(STR("hello")));
    until(&s, &c, "OHE");
    cr_assert_eq(c.refused.code, ERR_DENIED);
    cr_assert_str_eq(c.refused.text, "no");
    http_client_close(client);
    site_close(&s);
}

TEST(client, every_request_ends_once)
{
    struct site s = {0};
    struct caller c = {0};
    struct http_server_limits limits = http_server_limits_default();
    struct http_client_request q = {.method = "GET", .path = "/hold"};
    site_open(&s, &limits, echo_event);
    struct http_client *client = connect_to(&s, &c);
    struct slot_id id = http_client_start(client, 7, &q);
    until(&s, &c, "O");
    for (int i = 0; i < 20; i++)
        loop_step(s.loop, SPAN_MS(5));
    http_client_cancel(client, id);
    while (s.cancelled == 0)
        loop_step(s.loop, SPAN_MS(100));
    cr_assert_str_eq(c.told, "O"); /* The caller knows. */
    http_client_start(client, 8, &q);
    for (int i = 0; i < 20; i++)
        loop_step(s.loop, SPAN_MS(5));
    http_server_close(s.server);
    s.server = NULL;
    until(&s, &c, "OFC");
    cr_assert_eq(c.err.code, ERR_UNAVAILABLE);
    cr_assert_eq(http_client_start(client, 9, &q).generation, 0);
    http_client_close(client);
    site_close(&s);
}

TEST(client, a_server_that_is_not_there)
{
    struct site s = {0};
    struct caller c = {0};
    struct http_server_limits limits = http_server_limits_default();
    site_open(&s, &limits, echo_event);
    struct http_client_options o = {
        .host = "127.0.0.1", .port = 1, .tls = s.client_tls, .event = caller_event, .owner = &c};
    struct http_client *client = http_client_open(s.loop, &o);
    http_client_start(client, 1, &(struct http_client_request){.method = "GET", .path = "/"});
    until(&s, &c, "FC");
    http_client_close(client);
    http_client_close(connect_to(&s, &c)); /* Closed before it stands. */
    site_close(&s);
}

static void silent_event(void *owner, const struct http_event *ev)
{
    (void)owner;
    (void)ev;
}

/* PINGs are answered by nghttp2 on the other side: keep-alive keeps quiet connections open. */
TEST(client, keepalive_is_answered)
{
    struct site s = {0};
    struct caller c = {0};
    struct http_server_limits limits = http_server_limits_default();
    site_open(&s, &limits, silent_event);
    struct http_client_options o = {.host = "127.0.0.1",
                                    .port = http_server_port(s.server),
                                    .tls = s.client_tls,
                                    .keepalive = SPAN_MS(50),
                                    .event = caller_event,
                                    .owner = &c};
    struct http_client *client = http_client_open(s.loop, &o);
    struct instant limit = instant_add(clock_now(), SPAN_MS(600));
    while (clock_now().ns < limit.ns)
        loop_step(s.loop, SPAN_MS(20));
    cr_assert_str_eq(c.told, "O");
    http_client_close(client);
    site_close(&s);
}

/* Takes the processor for longer than an answer may take. */
static void take_the_processor(struct loop_client *self, struct instant now)
{
    (void)self;
    while (clock_now().ns < now.ns + SPAN_MS(120).ns)
        ;
}

static void no_event(struct loop_client *self, const struct io_event *ev)
{
    (void)self;
    (void)ev;
}

TEST(client, whoever_had_no_processor_does_not_blame_the_server)
{
    struct site s = {0};
    struct caller c = {0};
    struct http_server_limits limits = http_server_limits_default();
    struct loop_client greedy = {.event = no_event, .turn = take_the_processor};
    site_open(&s, &limits, silent_event);
    struct http_client_options o = {.host = "127.0.0.1",
                                    .port = http_server_port(s.server),
                                    .tls = s.client_tls,
                                    .keepalive = SPAN_MS(50),
                                    .event = caller_event,
                                    .owner = &c};
    struct http_client *client = http_client_open(s.loop, &o);
    until(&s, &c, "O");
    loop_join(s.loop, &greedy);
    for (int i = 0; i < 10; i++)
        loop_step(s.loop, SPAN_MS(20));
    cr_assert_str_eq(c.told, "O");
    loop_leave(&greedy);
    http_client_close(client);
    site_close(&s);
}

/* Nor does it believe in one for ever that only listens. */
TEST(client, a_server_that_does_not_answer_is_given_up)
{
    struct caller c = {0};
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof at;
    struct loop *loop = loop_new();
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    cr_assert(bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 1) == 0 &&
              getsockname(fd, (struct sockaddr *)&at, &size) == 0);
    struct http_client_options o = {.host = "127.0.0.1",
                                    .port = ntohs(at.sin_port),
                                    .keepalive = SPAN_MS(20),
                                    .event = caller_event,
                                    .owner = &c};
    struct http_client *client = http_client_open(loop, &o);
    struct instant limit = instant_add(clock_now(), SPAN_S(10));
    while (strchr(c.told, 'C') == NULL && clock_now().ns < limit.ns)
        loop_step(loop, SPAN_MS(20));
    cr_assert_str_eq(c.told, "OC");
    cr_assert_str_eq(c.err.text, "the server does not answer");
    http_client_close(client);
    loop_free(loop);
    close(fd);
}

TEST(grpc, frames_in_any_pieces)
{
    struct caller c = {0};
    struct err e = {0};
    struct blob *a = grpc_frame(STR("hello")), *b = grpc_frame(STR(""));
    char all[64];
    memcpy(all, a->at, a->len);
    memcpy(all + a->len, b->at, b->len);
    memcpy(all + a->len + b->len, a->at, a->len);
    size_t total = 2 * a->len + b->len;
    for (size_t step = 1; step <= total; step++) {
        c = (struct caller){0};
        grpc_reader_init(&c.reader, 5);
        for (size_t at = 0; at < total; at += step)
            cr_assert_eq(grpc_reader_feed(&c.reader, str_slice(str_from(all, total), at, at + step),
                                          count_message, &c, &e),
                         ERR_OK);
        cr_assert_eq(c.messages, 3);
        cr_assert_eq(c.message_bytes, 10);
        grpc_reader_free(&c.reader);
    }
    grpc_reader_init(&c.reader, 4);
    cr_assert_eq(grpc_reader_feed(&c.reader, blob_str(a), count_message, &c, &e), ERR_LIMIT);
    all[0] = 1;
    grpc_reader_free(&c.reader);
    grpc_reader_init(&c.reader, 100);
    cr_assert_eq(grpc_reader_feed(&c.reader, str_from(all, 3), count_message, &c, &e), ERR_OK);
    cr_assert_eq(grpc_reader_feed(&c.reader, str_from(all + 3, 7), count_message, &c, &e),
                 ERR_INVALID);
    grpc_reader_free(&c.reader);
    blob_unref(a);
    blob_unref(b);
}

TEST(grpc, a_reason_is_read_where_there_is_one)
{
    struct http_header at[] = {{STR("grpc-status"), STR("16")},
                               {STR("grpc-message"), STR("ended%2C long ago")}};
    struct http_headers none = {.at = at, .count = 0}, code = {.at = at, .count = 1},
                        both = {.at = at, .count = 2};
    struct err e = {0};
    cr_assert_eq(grpc_reason(&none, &e), ERR_OK);
    cr_assert_eq(grpc_reason(&code, &e), ERR_DENIED);
    cr_assert_str_eq(e.text, "");
    cr_assert_eq(grpc_reason(&both, &e), ERR_DENIED);
    cr_assert_str_eq(e.text, "ended, long ago");
    at[1].value = STR("%zz");
    cr_assert_eq(grpc_reason(&both, &e), ERR_DENIED);
    cr_assert_str_eq(e.text, "", "badly encoded");
    at[0].value = STR("0");
    cr_assert_eq(grpc_reason(&both, &e), ERR_OK);
}
