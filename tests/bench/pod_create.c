/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod-create [PODS [NODES]]: the processor time of a pod's create, stage by stage, in one thread: what a connection thread does
 * with its body, what the core does until it is durable and its agent is told, what the answer takes. The store is
 * durable at once; there is no TLS and no client. Made for a profiler: each stage is one function.
 */
#include "api/kinds.h"
#include "api/texts.h"
#include "api/transcode.h"
#include "base/check.h"
#include "controlplane/core/core.h"
#include "io/clock.h"
#include "tests/bench/load_hardware.h"

#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 64, BODY_MAX = 1 << 20, ARENA_MAX = 64 << 20 };

struct bench {
    struct core *core;
    const struct kind *kind;
    struct texts *texts;
    uint64_t commits[CORE_COMMITS_MAX * 2], replies, sends;
    uint32_t commits_count;
    uint64_t nodes;
    struct instant now;
    struct blob *objects[BATCH], *answers[BATCH];
    uint32_t answers_count;
};

static const char pod[] =
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"generateName\":\"load-\",\"labels\":{"
    "\"app\":\"load\"}},\"spec\":{\"containers\":[{\"name\":\"main\",\"image\":\"busybox\","
    "\"command\":["
    "\"sleep\",\"1000\"],\"resources\":{\"requests\":{\"cpu\":\"100m\",\"memory\":\"64Mi\"}}}]}}";

static struct wall wall_of(const struct bench *b)
{
    return (struct wall){1700000000LL * 1000000000 + b->now.ns};
}

static struct core_event event(struct bench *b, enum core_event_type type)
{
    return (struct core_event){.type = type, .now = b->now, .wall = wall_of(b)};
}

static void answer(struct bench *b, uint64_t op, uint64_t fence)
{
    struct store_event done = {.type = STORE_DONE, .op = op, .fence = fence};
    struct core_event ev = event(b, EV_STORE_DONE);
    ev.store = &done;
    core_step(b->core, &ev);
}

static void take_reply(struct bench *b, const struct core_effect *fx)
{
    CHECK(fx->result == WRITE_OK && fx->object != NULL);
    b->answers[b->answers_count++] = blob_ref(fx->object);
    b->replies++;
}

static void turn(struct bench *b)
{
    b->now.ns += 100000;
    for (uint32_t i = 0; i < b->commits_count; i++)
        answer(b, b->commits[i], 0);
    b->commits_count = 0;
    struct core_effects fx = core_flush(b->core, b->now, wall_of(b));
    uint64_t load = 0;
    for (uint32_t i = 0; i < fx.count; i++) {
        if (fx.at[i].type == FX_COMMIT || fx.at[i].type == FX_COMPACT)
            b->commits[b->commits_count++] = fx.at[i].op;
        load = fx.at[i].type == FX_LOAD ? fx.at[i].op : load;
        b->sends += fx.at[i].type == FX_AGENT_SEND;
        if (fx.at[i].type == FX_REPLY)
            take_reply(b, &fx.at[i]);
    }
    if (load != 0)
        answer(b, load, 1);
}

/* ---- the cluster ---- */

static void say(struct bench *b, uint64_t session, const Agent__AgentMessage *m)
{
    static uint8_t bytes[BODY_MAX];
    struct core_event ev = event(b, EV_AGENT_MESSAGE);
    ev.agent.session = session;
    ev.agent.bytes = str_from(bytes, agent__agent_message__pack(m, bytes));
    core_step(b->core, &ev);
}

static void node_join(struct bench *b, uint64_t session)
{
    char name[32];
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__Hello hello = AGENT__HELLO__INIT;
    snprintf(name, sizeof name, "node-%llu", (unsigned long long)session);
    struct core_event ev = event(b, EV_AGENT_OPENED);
    ev.agent.session = session;
    ev.agent.node = str_of(name);
    core_step(b->core, &ev);
    hello.has_protocol_min = hello.has_protocol_max = true;
    hello.protocol_min = hello.protocol_max = 1;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HELLO;
    m.hello = &hello;
    say(b, session, &m);
    say(b, session, load_hardware());
}

static void start(struct bench *b)
{
    b->now.ns = 1000000;
    b->kind = kind_find(STR(""), STR("pods"));
    b->texts = texts_new();
    b->core = core_new(&(struct core_config){.seed = 1, .ca_bundle = STR("bundle")});
    struct core_event ev = event(b, EV_STARTED);
    core_step(b->core, &ev);
    for (uint32_t i = 0; i < 20; i++)
        turn(b);
    for (uint64_t i = 1; i <= b->nodes; i++)
        node_join(b, i);
    for (uint64_t i = 0; i < 200 + b->nodes / 8; i++)
        turn(b);
    CHECK(core_is_ready(b->core));
}

/* ---- the stages ---- */

/* As rest_write.c does it. */
__attribute__((noinline)) static struct blob *stage_decode(struct bench *b)
{
    struct arena a;
    struct buf raw, packed, whole;
    ProtobufCMessage *object;
    struct kind_call call;
    struct transcode_head head;
    const struct schema_kind *schema = kind_schema(b->kind);
    arena_init(&a, ARENA_MAX);
    buf_init(&raw, BODY_MAX);
    buf_init(&packed, BODY_MAX);
    buf_init(&whole, BODY_MAX);
    CHECK(transcode_from_json(schema->message, str_of(pod), &a, NULL, &head, &raw, NULL) == ERR_OK);
    CHECK(transcode_unpack(schema->message, buf_str(&raw), &a, &object, NULL) == ERR_OK);
    kind_meta(object, &a)->namespace_ = (char *)"default";
    kind_call_init(&call, &a, KIND_CREATE, wall_of(b), 1);
    CHECK(kind_prepare(b->kind, &call, object, NULL));
    CHECK(transcode_pack(schema->message, object, &a, &packed, NULL) == ERR_OK);
    transcode_wrap(
        &(struct transcode_envelope){{schema->api_version, schema->kind}, buf_str(&packed)},
        &whole);
    struct blob *blob = buf_blob(&whole);
    buf_free(&raw);
    buf_free(&packed);
    buf_free(&whole);
    arena_free(&a);
    return blob;
}

__attribute__((noinline)) static void stage_core(struct bench *b)
{
    for (uint32_t k = 0; k < BATCH; k++) {
        struct write_request r = {.verb = WRITE_CREATE,
                                  .key = STR("/pods/default/"),
                                  .generate = STR("load-"),
                                  .object = b->objects[k]};
        struct core_event ev = event(b, EV_WRITE);
        ev.write = &r;
        core_step(b->core, &ev);
    }
    turn(b);
    turn(b);
}

__attribute__((noinline)) static size_t stage_answer(struct bench *b, struct blob *object)
{
    struct buf out;
    struct transcode_envelope open;
    const struct schema_kind *schema = kind_schema(b->kind);
    struct transcode_json how = {schema->api_version, schema->kind, 0, b->texts};
    buf_init(&out, BODY_MAX);
    CHECK(transcode_open(blob_str(object), &open, NULL) == ERR_OK);
    CHECK(transcode_to_json(schema->message, open.raw, &how, &out, NULL) == ERR_OK);
    size_t len = out.len;
    buf_free(&out);
    return len;
}

int main(int argc, char **argv)
{
    static struct bench b = {.nodes = 200};
    uint64_t pods = 40000;
    int64_t decode = 0, core = 0, reply = 0;
    size_t bytes = 0;
    CHECK(argc < 2 || str_parse_u64(str_of(argv[1]), &pods) == ERR_OK);
    CHECK(argc < 3 || str_parse_u64(str_of(argv[2]), &b.nodes) == ERR_OK);
    pods = pods / BATCH * BATCH;
    start(&b);
    for (uint64_t i = 0; i < pods; i += BATCH) {
        int64_t t0 = clock_thread_cpu_ns();
        for (uint32_t k = 0; k < BATCH; k++)
            b.objects[k] = stage_decode(&b);
        int64_t t1 = clock_thread_cpu_ns();
        stage_core(&b);
        int64_t t2 = clock_thread_cpu_ns();
        CHECK(b.answers_count == BATCH);
        for (uint32_t k = 0; k < BATCH; k++)
            bytes += stage_answer(&b, b.answers[k]);
        int64_t t3 = clock_thread_cpu_ns();
        decode += t1 - t0;
        core += t2 - t1;
        reply += t3 - t2;
        b.answers_count = 0;
        for (uint32_t k = 0; k < BATCH; k++) {
            blob_unref(b.objects[k]);
            blob_unref(b.answers[k]);
        }
    }
    for (uint32_t i = 0; i < 1000 && b.sends < pods; i++)
        turn(&b);
    CHECK(b.sends >= pods); /* Each went to its node's agent: it was placed. */
    printf("pod-create ns[decode] %.0f ns\n", (double)decode / (double)pods);
    printf("pod-create ns[core] %.0f ns\n", (double)core / (double)pods);
    printf("pod-create ns[answer] %.0f ns\n", (double)reply / (double)pods);
    printf("pod-create answer_bytes %.0f bytes\n", (double)bytes / (double)pods);
    return 0;
}
