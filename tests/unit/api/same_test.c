/* SPDX-License-Identifier: Apache-2.0 */
/* Two structs have the same content when they encode to the same bytes. */
#include "api/kinds.h"

#include "api/transcode.h"
#include "base/rng.h"
#include "tests/testlib/test.h"
#include "tests/unit/api/rich_pod.h"

enum { ARENA_MAX = 16 << 20, PODS_MAX = 4096, ROUNDS = 4000 };

static const struct schema_message *pod_message(void)
{
    return schema_message(STR("k8s.io.api.core.v1.Pod"));
}

static struct str pod_bytes(struct arena *a)
{
    struct buf raw;
    buf_init(&raw, PODS_MAX);
    cr_assert_eq(transcode_from_json(pod_message(), str_of(rich_pod), a, NULL, NULL, &raw, NULL),
                 ERR_OK);
    struct str bytes = arena_str(a, buf_str(&raw));
    buf_free(&raw);
    return bytes;
}

/* NULL: it does not decode. */
static const ProtobufCMessage *opened(struct arena *a, struct str raw)
{
    ProtobufCMessage *out = NULL;
    return transcode_unpack(pod_message(), raw, a, &out, NULL) == ERR_OK ? out : NULL;
}

TEST(same, means_the_same_bytes)
{
    struct rng r;
    struct arena a, round;
    uint32_t same = 0, other = 0;
    rng_seed(&r, 5);
    arena_init(&a, ARENA_MAX);
    struct str raw = pod_bytes(&a);
    const ProtobufCMessage *pod = opened(&a, raw);
    cr_assert_not_null(pod);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        arena_init(&round, ARENA_MAX);
        char *copy = arena_dup(&round, raw);
        if (i % 16 != 0)
            copy[rng_below(&r, raw.len)] ^= (char)(1 << rng_below(&r, 8));
        const ProtobufCMessage *m = opened(&round, str_from(copy, raw.len));
        if (m != NULL) {
            bool should = str_eq(kind_bytes(m, &round), kind_bytes(pod, &round));
            cr_assert_eq(kind_same(m, pod), should);
            cr_assert_eq(kind_same(pod, m), should);
            same += should;
            other += !should;
        }
        arena_free(&round);
    }
    cr_assert_gt(same, ROUNDS / 32);
    cr_assert_gt(other, ROUNDS / 8);
    arena_free(&a);
}

TEST(same, nothing_is_the_same_as_what_is_empty)
{
    Core__PodSpec spec = CORE__POD_SPEC__INIT, other = CORE__POD_SPEC__INIT;
    Core__Affinity none = CORE__AFFINITY__INIT;
    cr_expect(kind_same(NULL, NULL));
    cr_expect(kind_same(&spec.base, NULL));
    cr_expect(kind_same(NULL, &spec.base));
    spec.affinity = &none; /* It is there, if empty. */
    cr_expect_not(kind_same(&spec.base, NULL));
    cr_expect_not(kind_same(&spec.base, &other.base));
    spec.affinity = NULL;
    spec.priority = 7; /* It is not there. */
    cr_expect(kind_same(&spec.base, &other.base));
    spec.has_priority = true;
    cr_expect_not(kind_same(&spec.base, &other.base));
}
