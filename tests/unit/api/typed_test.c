/* SPDX-License-Identifier: Apache-2.0 */
#include "api/typed.h"
#include "proto/k8s/core_v1.pb-c.h"
#include "tests/testlib/test.h"

static struct str wrap(struct arena *a, Core__Pod *pod)
{
    return typed_wrap(a, "v1", "Pod", &pod->base);
}

static struct str put(struct arena *a, struct str envelope, uint32_t holder, uint32_t number,
                      struct str bytes)
{
    return typed_put(a, envelope, &(struct typed_field){holder, number, bytes}, 1);
}

/* To change one field is to change it in the struct and to encode all of it anew. */
TEST(typed, a_field_is_put_where_it_belongs)
{
    struct arena a;
    Core__Pod pod = CORE__POD__INIT;
    Core__PodSpec spec = CORE__POD_SPEC__INIT;
    Core__PodStatus status = CORE__POD_STATUS__INIT;
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    arena_init(&a, 1 << 20);
    meta.name = (char *)"one";
    spec.restart_policy = (char *)"Never";          /* 3 */
    spec.scheduler_name = (char *)"some-scheduler"; /* 19 */
    pod.metadata = &meta;
    pod.spec = &spec;

    struct str bytes = wrap(&a, &pod);
    pod.status = &status; /* Behind everything. */
    status.phase = (char *)"Pending";
    bytes = put(&a, bytes, 0, 3, typed_pack(&a, &status));
    cr_assert(str_eq(bytes, wrap(&a, &pod)));
    spec.node_name = (char *)"n1"; /* Between others of the spec. */
    bytes = put(&a, bytes, 2, 10, STR("n1"));
    cr_assert(str_eq(bytes, wrap(&a, &pod)));
    spec.node_name = (char *)"another"; /* In place of what is there. */
    status.phase = (char *)"Running";
    const struct typed_field both[] = {{2, 10, STR("another")}, {0, 3, typed_pack(&a, &status)}};
    bytes = typed_put(&a, bytes, both, 2);
    cr_assert(str_eq(bytes, wrap(&a, &pod)));
    arena_free(&a);
}

TEST(typed, what_does_not_decode_is_not_changed)
{
    struct arena a, small;
    Core__Pod pod = CORE__POD__INIT;
    arena_init(&a, 1 << 20);
    struct str whole = wrap(&a, &pod);
    cr_assert_null(put(&a, STR("k8s"), 0, 3, STR("x")).at);
    cr_assert_null(put(&a, str_slice(whole, 0, 7), 0, 3, STR("x")).at);
    cr_assert_not_null(put(&a, whole, 2, 10, STR("x")).at); /* A spec that was not there. */
    arena_init(&small, 16);
    cr_assert_null(put(&small, whole, 2, 10, STR("x")).at);
    arena_free(&small);
    arena_free(&a);
}
