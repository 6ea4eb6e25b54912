/* SPDX-License-Identifier: Apache-2.0 */
/* The control plane over its own sockets: health, who may what, sessions, streams. */
#include "tests/unit/serve/whole.h"

#include "controlplane/serve/front_priv.h"
#include "io/clock.h"
#include "proto/baton/agent/v1.pb-c.h"
#include "tests/testlib/hardware.h"
#include "tests/testlib/test.h"

#include <stdio.h>

static bool has(const struct caller *c, const char *text)
{
    return memmem(c->body.at == NULL ? "" : c->body.at, c->body.len, text, strlen(text)) != NULL;
}

static uint32_t status_of_a_create(struct whole *w)
{
    struct caller c = {0};
    whole_ask(&c, w, w->admin_tls, "POST", "/api/v1/namespaces/default/configmaps",
              STR("{\"metadata\":{\"name\":\"a\"}}"));
    uint32_t status = c.status;
    caller_close(&c);
    return status;
}

static struct tls_config *client_of(struct whole *w, const struct pki_ca *ca,
                                    const struct pki_subject *subject)
{
    struct buf cert, key;
    struct tls_config *tls = NULL;
    struct err e = {0};
    struct wall now = {0};
    buf_init(&cert, PKI_PEM_MAX);
    buf_init(&key, PKI_PEM_MAX);
    now.ns = 1795000000000000000; /* Any time the authority is valid at: November 2026. */
    cr_assert_eq(pki_client_make(ca, subject, now, SPAN_S(400 * 86400LL), &cert, &key, &e), ERR_OK);
    struct tls_client_options o = {
        .ca = buf_str(&w->authority.ca_cert), .cert = buf_str(&cert), .key = buf_str(&key)};
    cr_assert_eq(tls_client_config(&o, &tls, &e), ERR_OK, "%s", e.text);
    buf_free(&cert);
    buf_free(&key);
    return tls;
}

TEST(whole, who_may_what)
{
    struct whole w;
    struct err e = {0};
    struct tls_config *nobody = NULL;
    struct pki_subject user = {.common_name = "ann"};
    whole_open(&w);
    struct tls_client_options o = {.ca = buf_str(&w.authority.ca_cert)};
    cr_assert_eq(tls_client_config(&o, &nobody, &e), ERR_OK);
    struct tls_config *ann = client_of(&w, w.authority.ca, &user);
    cr_assert_eq(whole_status(&w, nobody, "GET", "/version"), 200);
    cr_assert_eq(whole_status(&w, nobody, "GET", "/readyz"), 200);
    cr_assert_eq(whole_status(&w, nobody, "GET", "/metrics"), 403);
    cr_assert_eq(whole_status(&w, nobody, "GET", "/api/v1/namespaces"), 403);
    cr_assert_eq(whole_status(&w, ann, "GET", "/api/v1/namespaces"), 403);
    cr_assert_eq(whole_status(&w, ann, "POST", "/apis/baton.dev/v1/jointokens"), 403);
    cr_assert_eq(whole_status(&w, w.admin_tls, "GET", "/api/v1/namespaces"), 200);
    cr_assert_eq(whole_status(&w, w.admin_tls, "GET", "/metrics"), 200);
    cr_assert_eq(whole_status(&w, w.admin_tls, "GET", "/api/v1/namespaces/default/pods/x/log"),
                 404);
    cr_assert_eq(whole_status(&w, w.admin_tls, "GET", "/api/v1/%zz"), 400);
    tls_config_free(nobody);
    tls_config_free(ann);
    whole_close(&w);
}

/* What discovery does not offer is not done either: all namespaces at once would be everything there is. */
TEST(whole, namespaces_are_not_deleted_all_at_once)
{
    struct whole w;
    whole_open(&w);
    cr_expect_eq(whole_status(&w, w.admin_tls, "DELETE", "/api/v1/namespaces"), 405);
    cr_expect_eq(whole_status(&w, w.admin_tls, "GET", "/api/v1/namespaces/default"), 200);
    whole_close(&w);
}

/* A gateway that asks on somebody's behalf gets what that one may, also where gRPC is spoken. */
TEST(whole, a_console_is_asked_for_as_whoever_is_impersonated)
{
    static const char path[] = "/apis/subresources.kubevirt.io/v1/namespaces/default/"
                               "virtualmachineinstances/x/console";
    struct whole w;
    struct caller admin = {.grpc = true}, ann = {.grpc = true, .as = "ann"};
    whole_open(&w);
    whole_ask(&admin, &w, w.admin_tls, "POST", path, STR(""));
    cr_assert_not_null(strstr(admin.why, "not found"), "%s", admin.why);
    cr_expect_eq(admin.grpc_status, GRPC_NOT_FOUND);
    whole_ask(&ann, &w, w.admin_tls, "POST", path, STR(""));
    cr_assert_not_null(strstr(ann.why, "User \"ann\" cannot create"), "%s", ann.why);
    cr_expect_eq(ann.grpc_status, GRPC_PERMISSION_DENIED);
    caller_close(&admin);
    caller_close(&ann);
    whole_close(&w);
}

/* ---- sessions ---- */

struct agent {
    bool greeted, asked;
    uint64_t stream;
    char container[64];
    int64_t tail;
};

static bool agent_told(struct caller *c, struct str bytes)
{
    struct agent *a = c->arg;
    Agent__ServerMessage *m =
        agent__server_message__unpack(NULL, bytes.len, (const uint8_t *)bytes.at);
    cr_assert_not_null(m);
    a->greeted = a->greeted || m->message_case == AGENT__SERVER_MESSAGE__MESSAGE_HELLO_REPLY;
    if (m->message_case == AGENT__SERVER_MESSAGE__MESSAGE_OPEN_STREAM) {
        a->asked = true;
        a->stream = m->open_stream->id;
        a->tail = m->open_stream->logs == NULL ? -1 : m->open_stream->logs->tail_lines;
        snprintf(a->container, sizeof a->container, "%s",
                 m->open_stream->container == NULL ? "" : m->open_stream->container);
    }
    agent__server_message__free_unpacked(m, NULL);
    return true;
}

static void agent_say(struct caller *c, Agent__AgentMessage *m)
{
    struct blob *frame = grpc_frame_reserve((uint32_t)agent__agent_message__get_packed_size(m));
    agent__agent_message__pack(m, (uint8_t *)frame->at + GRPC_FRAME_HEAD);
    http_client_send(c->http, c->call, frame);
}

static void agent_hello(struct caller *c, const char *node)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__Hello hello = AGENT__HELLO__INIT;
    hello.has_protocol_min = hello.has_protocol_max = true;
    hello.protocol_min = hello.protocol_max = 1;
    hello.agent_version = (char *)"test";
    hello.boot_id = (char *)"boot";
    hello.node_name = (char *)(uintptr_t)node;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HELLO;
    m.hello = &hello;
    agent_say(c, &m);
}

static void agent_hardware(struct caller *c)
{
    struct hardware h;
    hardware_make(&h, 2, 4ull << 30);
    h.spec.has_system_cpu_millis = true;
    h.spec.system_cpu_millis = 250;
    Agent__AgentMessage m = hardware_message(&h);
    agent_say(c, &m);
}

static void session_open(struct caller *c, struct whole *w, struct node *n, struct agent *a)
{
    *c = (struct caller){.grpc = true, .message = agent_told, .arg = a};
    caller_connect(c, w, n->tls);
    caller_start(c, "POST", "/baton.agent.v1.Agent/Session", STR(""), true);
    agent_hello(c, n->name);
    whole_until(w, &a->greeted);
    agent_hardware(c);
}

static const char pod[] =
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"web\"},\"spec\":{"
    "\"containers\":[{\"name\":\"main\",\"image\":\"busybox\"}]}}";

/* POST until the node's hardware has arrived and the answer names it. */
static void place_pod(struct whole *w)
{
    struct caller c = {0};
    whole_ask(&c, w, w->admin_tls, "POST", "/api/v1/namespaces/default/pods", str_of(pod));
    cr_assert_eq(c.status, 201, STR_FMT, STR_ARG(buf_str(&c.body)));
    bool placed = has(&c, "\"nodeName\":\"n1\"");
    caller_close(&c);
    for (int i = 0; i < 200 && !placed; i++) {
        c = (struct caller){0};
        whole_ask(&c, w, w->admin_tls, "GET", "/api/v1/namespaces/default/pods/web", STR(""));
        placed = has(&c, "\"nodeName\":\"n1\"");
        caller_close(&c);
    }
    cr_assert(placed);
}

static void stream_frame(struct caller *c, uint64_t id, struct str data)
{
    Agent__StreamFrame f = AGENT__STREAM_FRAME__INIT;
    f.has_id = id != 0;
    f.id = id;
    f.has_channel = f.has_data = true;
    f.channel = 1;
    f.data = (ProtobufCBinaryData){data.len, (uint8_t *)(uintptr_t)data.at};
    struct blob *frame = grpc_frame_reserve((uint32_t)agent__stream_frame__get_packed_size(&f));
    agent__stream_frame__pack(&f, (uint8_t *)frame->at + GRPC_FRAME_HEAD);
    http_client_send(c->http, c->call, frame);
}

/* The way of a log: asked of any thread, opened by the agent, three megabytes through its window. */
TEST(whole, a_log_comes_through_the_agents_stream)
{
    struct whole w;
    struct node n;
    struct agent a = {0};
    struct caller session, stream = {.grpc = true}, logs = {0};
    static char line[1000];
    whole_open(&w);
    node_make(&n, "n1");
    node_token(&w, &n);
    cr_assert_eq(node_join(&w, &n), GRPC_OK);
    session_open(&session, &w, &n, &a);
    place_pod(&w);

    caller_connect(&logs, &w, w.admin_tls);
    logs.body.limit = 8 << 20;
    caller_start(&logs, "GET", "/api/v1/namespaces/default/pods/web/log?container=main&tailLines=7",
                 STR(""), false);
    whole_until(&w, &a.asked);
    cr_assert_str_eq(a.container, "main");
    cr_assert_eq(a.tail, 7);
    caller_connect(&stream, &w, n.tls);
    caller_start(&stream, "POST", "/baton.agent.v1.Agent/Stream", STR(""), true);
    for (int i = 0; i < 3000; i++)
        stream_frame(&stream, i == 0 ? a.stream : 0, str_from(line, sizeof line));
    http_client_finish(stream.http, stream.call);
    whole_until(&w, &logs.ended);
    cr_assert_not(logs.failed);
    cr_assert_eq(logs.status, 200);
    cr_assert_eq(logs.body.len, 3000 * sizeof line);
    caller_close(&stream);
    caller_close(&logs);
    caller_close(&session);
    node_free(&n);
    whole_close(&w);
}

/* An agent that sends its window as frames of one byte ends its own stream at worst. */
TEST(whole, an_agents_tiny_frames_crowd_nobody_out)
{
    struct whole w;
    struct node n;
    struct agent a = {0};
    struct caller session, stream = {.grpc = true}, logs = {0};
    whole_open(&w);
    node_make(&n, "n1");
    node_token(&w, &n);
    cr_assert_eq(node_join(&w, &n), GRPC_OK);
    session_open(&session, &w, &n, &a);
    place_pod(&w);
    caller_connect(&logs, &w, w.admin_tls);
    caller_start(&logs, "GET", "/api/v1/namespaces/default/pods/web/log", STR(""), false);
    whole_until(&w, &a.asked);
    caller_connect(&stream, &w, n.tls);
    caller_start(&stream, "POST", "/baton.agent.v1.Agent/Stream", STR(""), true);
    for (int i = 0; i < 150000; i++)
        stream_frame(&stream, i == 0 ? a.stream : 0, STR("x"));
    http_client_finish(stream.http, stream.call);
    for (int i = 0; i < 20; i++) /* Others are served meanwhile. */
        cr_assert_eq(whole_status(&w, w.admin_tls, "GET", "/api/v1/namespaces/default/pods/web"),
                     200);
    whole_until(&w, &logs.ended);
    caller_close(&stream);
    caller_close(&logs);
    caller_close(&session);
    node_free(&n);
    whole_close(&w);
}

/* What an agent refuses is the answer's status; another node's agent cannot answer for it. */
TEST(whole, a_stream_is_refused_or_answered_by_its_own_node_only)
{
    struct whole w;
    struct node n, evil;
    struct agent a = {0};
    struct caller session, stream = {.grpc = true}, logs = {0};
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__StreamError error = AGENT__STREAM_ERROR__INIT;
    whole_open(&w);
    node_make(&n, "n1");
    node_make(&evil, "n2");
    node_token(&w, &n);
    cr_assert_eq(node_join(&w, &n), GRPC_OK);
    node_token(&w, &evil);
    cr_assert_eq(node_join(&w, &evil), GRPC_OK);
    session_open(&session, &w, &n, &a);
    place_pod(&w);
    caller_connect(&logs, &w, w.admin_tls);
    caller_start(&logs, "GET", "/api/v1/namespaces/default/pods/web/log", STR(""), false);
    whole_until(&w, &a.asked);

    caller_connect(&stream, &w, evil.tls);
    caller_start(&stream, "POST", "/baton.agent.v1.Agent/Stream", STR(""), true);
    stream_frame(&stream, a.stream, STR("forged"));
    whole_until(&w, &stream.ended);
    cr_assert_eq(logs.body.len, 0);
    cr_assert_not(logs.ended);

    error.has_id = error.has_code = true;
    error.id = a.stream;
    error.code = 400;
    error.message = (char *)"container is waiting to start";
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_STREAM_ERROR;
    m.stream_error = &error;
    agent_say(&session, &m);
    whole_until(&w, &logs.ended);
    cr_assert_eq(logs.status, 400);
    cr_assert(has(&logs, "container is waiting to start"));

    /* Without a session there is nobody to ask. */
    caller_close(&session);
    for (int i = 0; i < 50; i++)
        loop_step(w.loop, SPAN_MS(5));
    cr_assert_eq(whole_status(&w, w.admin_tls, "GET", "/api/v1/namespaces/default/pods/web/log"),
                 503);
    caller_close(&stream);
    caller_close(&logs);
    node_free(&n);
    node_free(&evil);
    whole_close(&w);
}

TEST(whole, a_watch_of_all_time_goes_on)
{
    struct whole w;
    struct caller c = {0};
    whole_open(&w);
    caller_connect(&c, &w, w.admin_tls);
    caller_start(&c, "GET", "/api/v1/namespaces?watch=true&timeoutSeconds=9223372036854775807",
                 STR(""), false);
    for (int i = 0; i < 400 && c.status == 0; i++)
        loop_step(w.loop, SPAN_MS(20));
    for (int i = 0; i < 20; i++)
        loop_step(w.loop, SPAN_MS(5));
    cr_expect_eq(c.status, 200);
    cr_expect_not(c.ended);
    caller_close(&c);
    whole_close(&w);
}

/* A node that opens streams and never says for whom: they end, and another node's are served meanwhile. */
TEST(whole, streams_that_say_nothing_make_room)
{
    enum { BEGUN = 200 };
    struct whole w;
    struct node n;
    struct caller enemy = {.grpc = true};
    whole_open(&w);
    node_make(&n, "n1");
    node_token(&w, &n);
    cr_assert_eq(node_join(&w, &n), GRPC_OK);
    caller_connect(&enemy, &w, n.tls);
    for (int i = 0; i < BEGUN; i++)
        caller_start(&enemy, "POST", "/baton.agent.v1.Agent/Stream", STR(""), true);
    whole_until(&w, &enemy.ended);
    cr_expect_eq(enemy.grpc_status, GRPC_UNAVAILABLE, "%s", enemy.why);
    caller_close(&enemy);
    node_free(&n);
    whole_close(&w);
}

/* A machine whose name an administrator freed is not heard any more, though its connection stands. */
TEST(whole, a_forgotten_nodes_session_ends)
{
    struct whole w;
    struct node n, other;
    struct agent a = {0}, b = {0};
    struct caller session, stays, stream = {.grpc = true};
    whole_open(&w);
    node_make(&n, "n1");
    node_make(&other, "n2");
    node_token(&w, &n);
    cr_assert_eq(node_join(&w, &n), GRPC_OK);
    node_token(&w, &other);
    cr_assert_eq(node_join(&w, &other), GRPC_OK);
    session_open(&session, &w, &n, &a);
    session_open(&stays, &w, &other, &b);
    cr_assert_eq(whole_status(&w, w.admin_tls, "DELETE",
                              "/api/v1/namespaces/kube-system/secrets/node-key-n1"),
                 200);
    whole_until(&w, &session.ended);
    cr_expect_eq(session.grpc_status, GRPC_ABORTED);
    cr_expect_not_null(strstr(session.why, "no longer bound"), "%s", session.why);
    cr_expect_not(stays.ended);
    caller_connect(&stream, &w, n.tls);
    caller_start(&stream, "POST", "/baton.agent.v1.Agent/Stream", STR(""), true);
    whole_until(&w, &stream.ended);
    cr_expect_eq(stream.grpc_status, GRPC_UNAUTHENTICATED);
    caller_close(&stream);
    caller_close(&session);
    caller_close(&stays);
    node_free(&n);
    node_free(&other);
    whole_close(&w);
}

/* What agents are told yields to clients' answers, and costs no room once there is none; nobody misses it unnoticed. */
TEST(whole, a_thread_that_is_behind_loses_its_sessions)
{
    struct whole w;
    struct node n;
    struct agent a = {0};
    struct caller session;
    struct mail filler = {.type = LETTER_PUBLISHED}, drained = {.type = LETTER_FRONT_DRAINED};
    struct err e = {0};
    struct core_event opened = {.type = EV_AGENT_OPENED, .wall = clock_wall(), .now = clock_now()};
    whole_open(&w);
    struct front_options o = {.address = "127.0.0.1",
                              .number = WHOLE_FRONTS,
                              .limits = http_server_limits_default(),
                              .shared = &w.shared};
    struct front *slow = NULL; /* On a port of its own: nobody comes there. */
    cr_assert_eq(front_open(&o, &slow, &e), ERR_OK, "%s", e.text);
    struct mailbox *inbox = w.shared.inboxes[WHOLE_FRONTS];
    for (int i = 0; i < FRONT_FRAMES_MAX; i++)
        cr_assert_eq(mailbox_post(inbox, &filler), ERR_OK);
    opened.agent.session = letter_name(WHOLE_FRONTS, (struct slot_id){0, 1});
    opened.agent.node = STR("n9");
    core_step(shell_core(w.shell), &opened);
    opened.type = EV_AGENT_MESSAGE;
    opened.agent.bytes = STR("\012\004\010\001\020\001"); /* A Hello. */
    core_step(shell_core(w.shell), &opened);
    cr_assert_eq(status_of_a_create(&w), 201);
    cr_expect_eq(mailbox_count(inbox), FRONT_FRAMES_MAX + 1u); /* That something was published. */
    cr_expect(atomic_load(&slow->link.behind));
    front_stop(slow);
    front_start(slow);
    front_join(slow);
    cr_expect_not(atomic_load(&slow->link.behind));

    node_make(&n, "n1");
    node_token(&w, &n);
    cr_assert_eq(node_join(&w, &n), GRPC_OK);
    session_open(&session, &w, &n, &a);
    for (int i = 0; i < WHOLE_FRONTS; i++)
        atomic_store(&w.fronts[i]->link.behind, true);
    cr_assert_eq(whole_status(&w, w.admin_tls, "DELETE", "/api/v1/namespaces/default/configmaps/a"),
                 200); /* Something to hear for both threads. */
    whole_until(&w, &session.ended);
    cr_expect_eq(session.grpc_status, GRPC_UNAVAILABLE);
    cr_assert_eq(mailbox_post(shell_inbox(w.shell), &drained), ERR_OK);
    caller_close(&session);
    node_free(&n);
    whole_stop(&w);
    front_free(slow);
    whole_close(&w);
}

/* ---- the end ---- */

/* As when the time for draining is over: connections are left, and relays whose two ends are on different threads. */
TEST(whole, threads_that_still_talk_to_each_other_end)
{
    enum { LOGS = 8 }; /* That no stream meets its relay from another thread: one in 256. */
    struct whole w;
    struct node n;
    struct agent a = {0};
    struct caller session, streams[LOGS], logs[LOGS];
    struct mail drained = {.type = LETTER_FRONT_DRAINED};
    whole_open(&w);
    node_make(&n, "n1");
    node_token(&w, &n);
    cr_assert_eq(node_join(&w, &n), GRPC_OK);
    session_open(&session, &w, &n, &a);
    place_pod(&w);
    for (int i = 0; i < LOGS; i++) {
        a.asked = false;
        logs[i] = (struct caller){0};
        caller_connect(&logs[i], &w, w.admin_tls);
        caller_start(&logs[i], "GET", "/api/v1/namespaces/default/pods/web/log?follow=true",
                     STR(""), false);
        whole_until(&w, &a.asked);
        streams[i] = (struct caller){.grpc = true};
        caller_connect(&streams[i], &w, n.tls);
        caller_start(&streams[i], "POST", "/baton.agent.v1.Agent/Stream", STR(""), true);
        stream_frame(&streams[i], a.stream, STR("one\n"));
        while (logs[i].body.len == 0)
            loop_step(w.loop, SPAN_MS(20));
    }
    whole_join(&w);
    for (uint32_t i = 0; i < WHOLE_FRONTS; i++) /* So that the shell does not wait for them. */
        cr_assert_eq(mailbox_post(shell_inbox(w.shell), &drained), ERR_OK);
    for (int i = 0; i < LOGS; i++) {
        caller_close(&streams[i]);
        caller_close(&logs[i]);
    }
    caller_close(&session);
    node_free(&n);
    whole_close(&w);
}

TEST(whole, a_thread_whose_inbox_is_full_ends)
{
    struct whole w;
    struct mail published = {.type = LETTER_PUBLISHED}, drained = {.type = LETTER_FRONT_DRAINED};
    struct err e = {0};
    whole_open(&w);
    struct front_options o = {.address = "127.0.0.1",
                              .port = front_port(w.fronts[0]),
                              .number = WHOLE_FRONTS,
                              .limits = http_server_limits_default(),
                              .shared = &w.shared};
    struct front *full = NULL;
    cr_assert_eq(front_open(&o, &full, &e), ERR_OK, "%s", e.text);
    while (mailbox_post(w.shared.inboxes[WHOLE_FRONTS], &published) == ERR_OK)
        ;
    front_stop(full);
    front_start(full);
    front_join(full);
    cr_assert_eq(mailbox_post(shell_inbox(w.shell), &drained), ERR_OK);
    whole_stop(&w);
    front_free(full);
    whole_close(&w);
}
