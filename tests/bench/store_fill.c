/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/store_fill.h"

#include "api/kinds.h"
#include "api/transcode.h"
#include "base/check.h"
#include "controlplane/core/core.h"
#include "controlplane/store/store_sqlite.h"
#include "io/clock.h"
#include "io/fs.h"
#include "tests/bench/load_hardware.h"

#include <stdio.h>

enum { BODY_MAX = 1 << 20, ARENA_MAX = 64 << 20, PODS_AT_ONCE = 2048, SECOND_MS = 1000 };

struct fill {
    struct loop *loop;
    struct store *store;
    struct core *core;
    uint64_t closing;
    uint32_t placed, refused, asked;
    bool closed;
};

static const char pod[] =
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"generateName\":\"load-\",\"labels\":{"
    "\"app\":\"load\"}},\"spec\":{\"containers\":[{\"name\":\"main\",\"image\":\"busybox\","
    "\"command\":["
    "\"sleep\",\"1000\"],\"resources\":{\"requests\":{\"cpu\":\"100m\",\"memory\":\"64Mi\"}}}]}}";

static void step(struct fill *f, struct core_event ev)
{
    ev.now = clock_now();
    ev.wall = clock_wall();
    core_step(f->core, &ev);
}

static void store_told(void *state, const struct store_event *ev)
{
    struct fill *f = state;
    CHECK(ev->code == ERR_OK);
    if (f->closing != 0) {
        f->closed |= ev->type == STORE_DONE && ev->op == f->closing;
        return;
    }
    step(f, (struct core_event){.type = ev->type == STORE_ROW ? EV_STORE_ROW : EV_STORE_DONE,
                                .op = ev->op,
                                .store = ev});
}

static void take_reply(struct fill *f, const struct core_effect *fx)
{
    f->placed += fx->result == WRITE_OK;
    f->refused += fx->result != WRITE_OK;
}

static void turn(struct fill *f)
{
    loop_step(f->loop, SPAN_MS(1));
    struct core_effects fx = core_flush(f->core, clock_now(), clock_wall());
    for (uint32_t i = 0; i < fx.count; i++) {
        const struct core_effect *e = &fx.at[i];
        if (e->type == FX_LOAD)
            f->store->ops->load(f->store, e->op);
        else if (e->type == FX_COMMIT)
            f->store->ops->commit(f->store, e->op, e->fence, e->writes, e->writes_count);
        else if (e->type == FX_COMPACT)
            f->store->ops->compact(f->store, e->op, e->revision);
        else if (e->type == FX_REPLY)
            take_reply(f, e);
        CHECK(e->type != FX_POISONED && e->type != FX_DEPOSED);
    }
}

static void open_all(struct fill *f, const char *dir)
{
    char path[FS_PATH_MAX];
    struct seal *seal; /* As long as the program. */
    struct err e;

    CHECK(fs_join(path, dir, "control/seal.key") && seal_open_file(path, &seal, &e) == ERR_OK);
    CHECK(fs_join(path, dir, "control/store.db"));
    f->loop = loop_new();
    struct store_sink sink = {store_told, f};
    struct store_sqlite_options o = {.path = path, .seal = seal, .loop = f->loop};
    CHECK(store_sqlite_open(&o, &sink, &f->store, &e) == ERR_OK);
    f->core = core_new(&(struct core_config){.seed = 1, .pod_network = STR("10.0.0.0/8")});
    step(f, (struct core_event){.type = EV_STARTED});
    while (!core_is_ready(f->core))
        turn(f);
}

/* ---- nodes ---- */

static void say(struct fill *f, uint64_t session, const Agent__AgentMessage *m)
{
    static uint8_t bytes[BODY_MAX];
    struct str s = str_from(bytes, agent__agent_message__pack(m, bytes));
    step(f,
         (struct core_event){.type = EV_AGENT_MESSAGE, .agent = {.session = session, .bytes = s}});
}

static void join(struct fill *f, uint32_t number)
{
    char name[32];
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__Hello hello = AGENT__HELLO__INIT;

    snprintf(name, sizeof name, "load-%u", number);
    step(f, (struct core_event){.type = EV_AGENT_OPENED,
                                .agent = {.session = number + 1, .node = str_of(name)}});
    hello.has_protocol_min = hello.has_protocol_max = true;
    hello.protocol_min = hello.protocol_max = 1;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HELLO;
    m.hello = &hello;
    say(f, number + 1, &m);
    say(f, number + 1, load_hardware());
    if (number % 16 == 0)
        turn(f);
}

static void renew(struct fill *f, uint32_t nodes)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__LeaseRenew r = AGENT__LEASE_RENEW__INIT;

    r.has_sequence = true;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_LEASE_RENEW;
    m.lease_renew = &r;
    for (uint32_t i = 0; i < nodes; i++)
        say(f, i + 1, &m);
}

/* ---- pods ---- */

/* As a connection thread makes it of a body. */
static struct blob *pod_object(void)
{
    const struct kind *kind = kind_find(STR(""), STR("pods"));
    const struct schema_kind *schema = kind_schema(kind);
    struct arena a;
    struct buf raw, packed, whole;
    ProtobufCMessage *object;
    struct kind_call call;
    struct transcode_head head;

    arena_init(&a, ARENA_MAX);
    buf_init(&raw, BODY_MAX);
    buf_init(&packed, BODY_MAX);
    buf_init(&whole, BODY_MAX);
    CHECK(transcode_from_json(schema->message, str_of(pod), &a, NULL, &head, &raw, NULL) == ERR_OK);
    CHECK(transcode_unpack(schema->message, buf_str(&raw), &a, &object, NULL) == ERR_OK);
    kind_meta(object, &a)->namespace_ = (char *)"default";
    kind_call_init(&call, &a, KIND_CREATE, clock_wall(), 1);
    CHECK(kind_prepare(kind, &call, object, NULL));
    CHECK(transcode_pack(schema->message, object, &a, &packed, NULL) == ERR_OK);
    transcode_wrap(
        &(struct transcode_envelope){{schema->api_version, schema->kind}, buf_str(&packed)},
        &whole);
    buf_free(&raw);
    buf_free(&packed);
    arena_free(&a);
    return buf_blob(&whole);
}

static void create_some(struct fill *f, uint32_t until, struct blob *object)
{
    struct write_request r = {.verb = WRITE_CREATE,
                              .key = STR("/pods/default/"),
                              .generate = STR("load-"),
                              .object = object};
    while (f->asked < until && f->asked - f->placed - f->refused < PODS_AT_ONCE)
        step(f, (struct core_event){.type = EV_WRITE, .op = ++f->asked, .write = &r});
}

void store_fill(const char *dir, uint32_t pods)
{
    static struct fill f;
    uint32_t nodes = pods / STORE_FILL_PODS_OF_A_NODE + 2;
    struct blob *object = pod_object();

    f = (struct fill){0};
    open_all(&f, dir);
    for (uint32_t i = 0; i < nodes; i++)
        join(&f, i);
    struct instant renewed = clock_now(), settled = instant_add(renewed, SPAN_MS(SECOND_MS));
    while (clock_now().ns < settled.ns)
        turn(&f); /* Their hardware becomes rows. */
    while (f.placed + f.refused < pods) {
        create_some(&f, pods, object);
        turn(&f);
        if (instant_sub(clock_now(), renewed).ns > SPAN_S(3).ns) {
            renew(&f, nodes);
            renewed = clock_now();
        }
    }
    CHECK(f.refused == 0 && core_counts(f.core).durable == pods);
    f.closing = UINT64_MAX;
    f.store->ops->close(f.store, f.closing);
    while (!f.closed)
        loop_step(f.loop, SPAN_MS(100));
    core_free(f.core);
    blob_unref(object);
}
