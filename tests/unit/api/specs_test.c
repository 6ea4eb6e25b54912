/* SPDX-License-Identifier: Apache-2.0 */
/* A pod whose spec was opened before is the same as one that is opened now, field by field; and what does not decode does not. */
#include "api/specs.h"

#include "api/kinds.h"
#include "api/transcode.h"
#include "api/typed.h"
#include "base/rng.h"
#include "base/wire.h"
#include "tests/testlib/parse.h"

enum { BYTES_MAX = 1 << 20, ARENA_MAX = 16 << 20, SPECS = 8, ROUNDS = 6000, DEPTH_MAX = 4 };
enum { POD_METADATA = 1, POD_SPEC = 2, POD_STATUS = 3, SPEC_NODE_NAME = 10 };

/* ---- pods at random ---- */

static void random_message(struct rng *r, const struct schema_message *m, uint32_t depth,
                           uint32_t skip, struct buf *out);

static void random_text(struct rng *r, struct buf *out, uint32_t number)
{
    static const char *const texts[] = {"a",    "cpu",      "100m", "x/y",       "Always",
                                        "\xff", "default",  "64Mi", "a-label",   "",
                                        "TCP",  "\xc3\xa4", "1",    "Guaranteed"};
    wire_put_bytes(out, number, str_of(texts[rng_below(r, COUNT_OF(texts))]));
}

static void random_value(struct rng *r, const struct schema_field *f, uint32_t number,
                         uint32_t depth, struct buf *out)
{
    if (f->type < SCHEMA_STRING) {
        wire_put_u64(out, number, rng_below(r, 3) == 0 ? rng_u64(r) : rng_below(r, 3));
    } else if (f->type == SCHEMA_MESSAGE) {
        size_t begin = wire_begin(out, number);
        random_message(r, f->message, depth + 1, 0, out);
        wire_end(out, begin);
    } else {
        random_text(r, out, number);
    }
}

static void random_field(struct rng *r, const struct schema_field *f, uint32_t depth,
                         struct buf *out)
{
    uint64_t count = f->repeated || f->map ? rng_below(r, 3) : 1;
    for (uint64_t i = 0; i < count; i++) {
        if (!f->map) {
            random_value(r, f, f->number, depth, out);
            continue;
        }
        size_t begin = wire_begin(out, f->number);
        random_text(r, out, 1);
        random_value(r, f, 2, depth, out);
        wire_end(out, begin);
    }
}

/* Without the field numbered skip. */
static void random_message(struct rng *r, const struct schema_message *m, uint32_t depth,
                           uint32_t skip, struct buf *out)
{
    if (depth > DEPTH_MAX)
        return;
    for (uint32_t i = 0; i < m->fields_count; i++)
        if (m->fields[i].number != skip && rng_below(r, depth + 2) == 0)
            random_field(r, &m->fields[i], depth, out);
}

/* Sometimes it is in no order, comes twice, or is broken. */
static void spoil(struct rng *r, struct buf *b)
{
    if (b->len == 0 || rng_below(r, 4) != 0)
        return;
    uint64_t how = rng_below(r, 4);
    if (how == 0)
        b->at[rng_below(r, b->len)] ^= (char)(1 << rng_below(r, 8));
    else if (how == 1)
        b->len -= rng_below(r, b->len);
    else if (how == 2)
        wire_put_u64(b, POD_SPEC, 1);
    else
        wire_put_bytes(b, POD_SPEC, STR(""));
}

static void random_part(struct rng *r, const char *full, uint32_t number, struct buf *out)
{
    if (rng_below(r, 3) == 0)
        return;
    size_t begin = wire_begin(out, number);
    random_message(r, schema_message(str_of(full)), 1, 0, out);
    wire_end(out, begin);
}

/* spec: two parts, and nodeName may stand between them. */
static void random_pod(struct rng *r, const struct buf spec[2], struct buf *out)
{
    static const char *const nodes[] = {"n1", "n2", "", "\xff", "node-with-a-longer-name"};
    struct buf raw;
    buf_init(&raw, BYTES_MAX);
    buf_clear(out);
    random_part(r, "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta", POD_METADATA, &raw);
    size_t begin = wire_begin(&raw, POD_SPEC);
    buf_add(&raw, buf_str(&spec[0]));
    for (uint64_t i = rng_below(r, 8); i >= 6; i--) /* None, nearly always one, or two. */
        wire_put_bytes(&raw, SPEC_NODE_NAME, str_of(nodes[rng_below(r, COUNT_OF(nodes))]));
    if (rng_below(r, 2) == 0)
        wire_put_bytes(&raw, SPEC_NODE_NAME, str_of(nodes[rng_below(r, COUNT_OF(nodes))]));
    buf_add(&raw, buf_str(&spec[1]));
    wire_end(&raw, begin);
    random_part(r, "k8s.io.api.core.v1.PodStatus", POD_STATUS, &raw);
    spoil(r, &raw);
    transcode_wrap(&(struct transcode_envelope){{STR("v1"), STR("Pod")}, buf_str(&raw)}, out);
    buf_free(&raw);
}

static void specs_make(struct rng *r, struct buf to[2])
{
    struct buf both;
    buf_init(&both, BYTES_MAX);
    random_message(r, schema_message(STR("k8s.io.api.core.v1.PodSpec")), 0, SPEC_NODE_NAME, &both);
    struct wire_reader at = wire_read(buf_str(&both));
    struct wire_field f;
    const uint8_t *begin = at.at, *cut = at.at;
    while (wire_next(&at, &f) && f.number < SPEC_NODE_NAME)
        cut = at.at;
    for (int i = 0; i < 2; i++)
        buf_init(&to[i], BYTES_MAX);
    buf_add(&to[0], str_from(begin, (size_t)(cut - begin)));
    buf_add(&to[1], str_from(cut, (size_t)(at.end - cut)));
    buf_free(&both);
}

/* ---- the two ---- */

static struct str packed(struct arena *a, const Core__Pod *pod)
{
    return pod == NULL ? (struct str){NULL, 0} : typed_pack(a, pod);
}

static void check_same(struct arena *a, const Core__Pod *pod, struct str envelope)
{
    const Core__Pod *whole = typed_open(a, &core__pod__descriptor, envelope);
    struct str is = packed(a, pod), should = packed(a, whole);
    cr_assert_eq(pod == NULL, whole == NULL);
    cr_assert_eq(is.at == NULL, should.at == NULL);
    cr_assert(str_eq(is, should));
}

TEST(specs, a_pod_is_the_same_whether_its_spec_was_met_before)
{
    struct rng r;
    struct buf spec[SPECS][2], envelope;
    uint32_t opened = 0;
    rng_seed(&r, 7);
    buf_init(&envelope, BYTES_MAX);
    struct specs *s = specs_new();
    for (uint32_t i = 0; i < SPECS; i++)
        specs_make(&r, spec[i]);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct arena a;
        arena_init(&a, ARENA_MAX);
        uint64_t which = rng_below(&r, SPECS);
        if (rng_below(&r, 500) == 0) { /* Another template. */
            buf_free(&spec[which][0]);
            buf_free(&spec[which][1]);
            specs_make(&r, spec[which]);
        }
        random_pod(&r, spec[which], &envelope);
        const Core__Pod *pod = specs_open(s, &a, buf_str(&envelope));
        check_same(&a, pod, buf_str(&envelope));
        opened += pod != NULL;
        specs_turn(s);
        arena_free(&a);
    }
    cr_assert_gt(opened, ROUNDS / 20);
    cr_assert_gt(specs_found(s), opened / 4);
    for (uint32_t i = 0; i < SPECS; i++) {
        buf_free(&spec[i][0]);
        buf_free(&spec[i][1]);
    }
    buf_free(&envelope);
    specs_free(s);
}

static struct str plain_pod(struct arena *a, const char *node, uint32_t container)
{
    Core__Pod pod = CORE__POD__INIT;
    Core__PodSpec spec = CORE__POD_SPEC__INIT;
    Core__Container c = CORE__CONTAINER__INIT, *list = &c;
    c.name = (char *)(uintptr_t)arena_printf(a, "c%u", container).at;
    spec.containers = &list;
    spec.n_containers = 1;
    spec.node_name = (char *)(uintptr_t)node;
    pod.spec = &spec;
    return typed_wrap(a, "v1", "Pod", &pod);
}

TEST(specs, placed_pods_of_a_template_share_what_is_opened_but_not_their_node)
{
    struct arena a;
    struct specs *s = specs_new();
    arena_init(&a, ARENA_MAX);
    cr_assert_not_null(specs_open(s, &a, plain_pod(&a, "n0", 1)));
    Core__Pod *first = specs_open(s, &a, plain_pod(&a, "n1", 1));
    Core__Pod *second = specs_open(s, &a, plain_pod(&a, "n2", 1));
    Core__Pod *without = specs_open(s, &a, plain_pod(&a, NULL, 1));
    cr_assert_eq(specs_found(s), 2); /* Met, opened, found, found. */
    cr_assert_eq(first->spec->containers, second->spec->containers);
    cr_assert_str_eq(first->spec->node_name, "n1");
    cr_assert_str_eq(second->spec->node_name, "n2");
    cr_assert_null(without->spec->node_name);
    second->spec->node_name = NULL; /* One's own. */
    cr_assert_str_eq(first->spec->node_name, "n1");
    arena_free(&a);
    specs_free(s);
}

/* Many more specs than there are places, all of them in use. */
TEST(specs, what_a_turn_looks_at_makes_no_room_before_its_end)
{
    enum { MANY = 4 * SPECS_MAX };
    struct arena a;
    struct str bytes[MANY];
    Core__Pod *pods[MANY];
    struct specs *s = specs_new();
    arena_init(&a, 64 << 20);
    for (uint32_t i = 0; i < MANY; i++) {
        bytes[i] = plain_pod(&a, NULL, i);
        cr_assert_not_null(specs_open(s, &a, bytes[i]));
    }
    specs_turn(s);
    for (uint32_t i = 0; i < MANY; i++)
        pods[i] = specs_open(s, &a, bytes[i]);
    for (uint32_t i = 0; i < MANY; i++)
        check_same(&a, pods[i], bytes[i]);
    specs_turn(s);
    uint64_t found = specs_found(s);
    for (uint32_t i = 0; i < MANY; i++)
        check_same(&a, specs_open(s, &a, bytes[i]), bytes[i]);
    cr_assert_gt(specs_found(s), found);
    arena_free(&a);
    specs_free(s);
}

/* The name that the volume with the account's token gets in a new pod. */
static struct str token_name(struct arena *a, uint64_t random, const char *volumes)
{
    struct kind_call call;
    struct str json = arena_printf(a,
                                   "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"volumes\":[%s],"
                                   "\"containers\":[{\"name\":\"c\",\"image\":\"i:2\"}]}}",
                                   volumes);
    Core__Pod *pod = parse(a, "k8s.io.api.core.v1.Pod", json.at);
    kind_call_init(&call, a, KIND_CREATE, (struct wall){1700000000ll * 1000000000}, random);
    cr_assert(kind_prepare(kind_find(STR(""), STR("pods")), &call, &pod->base, NULL));
    const Core__Container *c = pod->spec->containers[0];
    return str_of(c->volume_mounts[c->n_volume_mounts - 1]->name);
}

TEST(specs, pods_of_one_template_name_the_volume_of_their_token_alike)
{
    struct arena a;
    arena_init(&a, ARENA_MAX);
    struct str first = token_name(&a, 1, ""), second = token_name(&a, 2, "");
    cr_assert(str_eq(first, second));
    struct str taken =
        arena_printf(&a, "{\"name\":\"" STR_FMT "\",\"emptyDir\":{}}", STR_ARG(first));
    cr_assert_not(str_eq(token_name(&a, 1, taken.at), first));
    arena_free(&a);
}
