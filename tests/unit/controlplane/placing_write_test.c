/* SPDX-License-Identifier: Apache-2.0 */
/* A decision written straight from the rows says what it says by way of the Placement's struct. */
#include "base/rng.h"
#include "controlplane/core/placing_priv.h"
#include "tests/testlib/parse.h"
#include "tests/unit/controlplane/session.h"

enum { ROUNDS = 400, BYTES_MAX = 1 << 20 };

static const char hardware[] =
    "{\"sockets\":[{\"id\":0}],\"numaNodes\":[{\"id\":0,\"memoryBytes\":8589934592},"
    "{\"id\":7,\"memoryBytes\":8589934592,\"hugepages\":[{\"pageBytes\":2097152,\"pages\":512}]}],"
    "\"cacheDomains\":[{\"id\":0},{\"id\":1}],\"cores\":["
    "{\"id\":0,\"numaNode\":0,\"cacheDomain\":0},{\"id\":1,\"numaNode\":0,\"cacheDomain\":0},"
    "{\"id\":2,\"numaNode\":7,\"cacheDomain\":1},{\"id\":3,\"numaNode\":7,\"cacheDomain\":1}],"
    "\"threads\":[{\"cpu\":0,\"core\":0},{\"cpu\":1,\"core\":1},{\"cpu\":2,\"core\":2},"
    "{\"cpu\":3,\"core\":3},{\"cpu\":4,\"core\":0},{\"cpu\":5,\"core\":1},{\"cpu\":6,\"core\":2},"
    "{\"cpu\":7,\"core\":3}],\"sharedCores\":1,\"systemCpuMillis\":250,"
    "\"accelerator\":{\"name\":\"tcg\"},\"podNetwork\":{\"subnet\":\"10.1.2.0/24\"%s}}";

static struct world *world_with_node(struct arena *a, const char *gateway)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__Hardware hw = AGENT__HARDWARE__INIT;
    struct world *w = world_new();
    hw.spec = parse(a, "baton.dev.v1.NodeHardwareSpec", arena_printf(a, hardware, gateway).at);
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HARDWARE;
    m.hardware = &hw;
    session_hello(w, 11, "a");
    session_says(w, 11, &m);
    for (uint32_t i = 0; i < 50; i++) {
        world_pass(w, SPAN_MS(10));
        world_turn(w);
    }
    return w;
}

static const char *one(struct rng *r, const char *a, const char *b, const char *c)
{
    uint64_t which = rng_below(r, 3);
    return which == 0 ? a : which == 1 ? b : c;
}

#define LIMITS(list) ",\"resources\":{\"limits\":" list ",\"requests\":" list "}"

static struct str pod(struct arena *a, struct rng *r)
{
    struct str json = arena_printf(
        a,
        "{\"metadata\":{\"name\":\"p\",\"namespace\":\"default\"%s},\"spec\":{%s\"containers\":[{"
        "\"name\":\"c\"%s%s}]}}",
        one(r, "", ",\"labels\":{\"a\":\"b\"}", ",\"annotations\":{\"x\":\"y\"}"),
        one(r, "", "\"hostNetwork\":true,", "\"priority\":7,"),
        one(r, "",
            one(r, LIMITS("{\"cpu\":\"2\",\"memory\":\"64Mi\"}"),
                LIMITS("{\"cpu\":\"1\",\"memory\":\"6Gi\"}"),
                LIMITS("{\"cpu\":\"3\",\"memory\":\"1Gi\"}")),
            one(r, LIMITS("{\"cpu\":\"100m\",\"memory\":\"12Gi\"}"),
                LIMITS("{\"cpu\":\"1\",\"memory\":\"1Gi\",\"hugepages-2Mi\":\"64Mi\"}"),
                ",\"resources\":{\"requests\":{\"memory\":\"9Gi\"}}")),
        one(r, "", "", ",\"ports\":[{\"containerPort\":80,\"hostPort\":8080}]"));
    return typed_wrap(a, "v1", "Pod", parse(a, "k8s.io.api.core.v1.Pod", json.at));
}

static struct str machine(struct arena *a, struct rng *r)
{
    struct str json = arena_printf(
        a,
        "{\"metadata\":{\"name\":\"p\",\"namespace\":\"default\"},\"spec\":{\"domain\":{"
        "\"devices\":{},\"memory\":{\"guest\":\"1Gi\"},\"cpu\":{%s}}}}",
        one(r, "\"cores\":2", "\"cores\":2,\"dedicatedCpuPlacement\":true",
            "\"cores\":1,\"dedicatedCpuPlacement\":true,"
            "\"isolateEmulatorThread\":true"));
    return typed_wrap(a, "kubevirt.io/v1", "VirtualMachineInstance",
                      parse(a, "kubevirt.io.v1.VirtualMachineInstance", json.at));
}

/* True: the quick way did it. */
static bool check(struct core *c, struct candidate *w, uint64_t revision)
{
    const struct placing_words words = {STR("pods.p"), STR("7d1e3c9a-0000-4000-8000-000000000001"),
                                        STR("a: the node with least left over")};
    struct buf quick, slow;
    struct err e = {0};
    buf_init(&quick, BYTES_MAX);
    buf_init(&slow, BYTES_MAX);
    bool done = placing__write(c, w, &words, revision, &quick);
    struct str bytes = placing__by_struct(c, w, &words);
    cr_assert_not_null(bytes.at);
    cr_assert_eq(meta_write(bytes, &(struct meta_edit){.revision = revision}, &slow, &e), ERR_OK,
                 "%s", e.text);
    if (done)
        cr_assert(str_eq(buf_str(&quick), buf_str(&slow)));
    else
        cr_assert_eq(quick.len, 0);
    buf_free(&quick);
    buf_free(&slow);
    return done;
}

static uint32_t check_many(struct world *world, struct rng *r, uint32_t *out_placed)
{
    struct core *c = world->core;
    uint32_t quick = 0;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct candidate w;
        struct err e = {0};
        bool is_pod = rng_below(r, 3) > 0;
        struct str key =
            is_pod ? STR("/pods/default/p") : STR("kubevirt.io/virtualmachineinstances/default/p");
        struct str object = is_pod ? pod(&c->turn, r) : machine(&c->turn, r);
        struct index_key at;
        cr_assert(index_key_parse(key, &at) && placing__open(c, &w, key, &at, object));
        w.uid = STR("7d1e3c9a-0000-4000-8000-000000000002");
        w.rows = arena_alloc(&c->turn, sizeof *w.rows);
        cr_assert_eq(placing__translate(c, &w, &e), ERR_OK, "%s", e.text);
        if (ledger_place(c->cluster->ledger, &w.request, &w.hold, w.rows, &e) == ERR_OK) {
            quick += check(c, &w, rng_below(r, 2) == 0 ? 0 : rng_u64(r) >> 40);
            ledger_undo(c->cluster->ledger, w.hold);
            ++*out_placed;
        }
        world_pass(world, SPAN_MS(1));
        world_turn(world);
    }
    return quick;
}

TEST(placing_write, the_quick_way_says_what_the_struct_says)
{
    struct arena a;
    struct rng r;
    uint32_t placed = 0;
    rng_seed(&r, 11);
    arena_init(&a, 1 << 20);
    struct world *w = world_with_node(&a, "");
    uint32_t quick = check_many(w, &r, &placed);
    cr_assert_gt(placed, ROUNDS / 2);
    cr_assert_gt(quick, placed / 3);
    cr_assert_lt(quick, placed); /* Host ports go by the struct. */
    world_free(w);
    placed = 0;
    w = world_with_node(&a, ",\"gateway\":\"10.1.2.254\"");
    cr_assert_gt(check_many(w, &r, &placed), placed / 3);
    world_free(w);
    arena_free(&a);
}
