/* SPDX-License-Identifier: Apache-2.0 */
/* A patch of a part of an object makes what patching all of it makes. */
#include "base/rng.h"
#include "tests/testlib/patch_ways.h"
#include "tests/testlib/test.h"
#include "tests/unit/api/rich_pod.h"

enum { BYTES_MAX = 1 << 20, ARENA_MAX = 32 << 20, ROUNDS = 1500, TEXT_MAX = 4096 };

static const char *const objects[] = {
    "{\"metadata\":{\"name\":\"web-1\",\"labels\":{\"a\":\"1\",\"b\":\"2\"}},\"spec\":{"
    "\"containers\":[{\"name\":\"main\",\"image\":\"i:1\"}],\"tolerations\":[{\"key\":\"a\"}]}}",
    "{\"spec\":{\"nodeName\":\"n\"}}",
    "{\"metadata\":{\"creationTimestamp\":null},\"status\":{\"phase\":\"Running\"}}",
    "{}",
    rich_pod,
};

/* The values and places that patches are put together from. */
static const char *const names[] = {"metadata", "spec", "status", "kind", "apiVersion", "what"};
static const char *const values[] = {
    "null",
    "{}",
    "[]",
    "\"v1\"",
    "\"Any\"",
    "{\"labels\":{\"a\":\"3\",\"c\":null},\"annotations\":{\"x\":\"y\"}}",
    "{\"name\":null,\"finalizers\":[\"f\"]}",
    "{\"containers\":[{\"name\":\"main\",\"image\":\"i:2\"},{\"name\":\"more\"}]}",
    "{\"containers\":null,\"nodeName\":\"other\"}",
    "{\"$patch\":\"replace\",\"phase\":\"Failed\"}",
    "{\"$retainKeys\":[\"phase\"],\"phase\":\"Pending\"}",
    "{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],\"unknown\":1}",
};
static const char *const pointers[] = {
    "/metadata/labels/a",
    "/metadata/labels",
    "/metadata",
    "/spec/containers/0/image",
    "/spec/tolerations",
    "/status/phase",
    "/status",
    "/spec/containers/-",
    "/kind",
    "",
    "/~0meta/labels",
    "metadata",
    "/metadata/name",
    "/what",
};

static const char *any(struct rng *r, const char *const *list, size_t count)
{
    return list[rng_below(r, count)];
}

#define ANY(r, list) any(r, list, COUNT_OF(list))

static void random_patch(struct rng *r, enum patch_form form, struct buf *out)
{
    static const char *const operations[] = {"add", "replace", "remove", "test", "move", "copy"};
    uint64_t count = rng_below(r, 4);
    buf_add_char(out, form == PATCH_JSON ? '[' : '{');
    for (uint64_t i = 0; i < count; i++) {
        buf_add(out, i == 0 ? STR("") : STR(","));
        if (form != PATCH_JSON)
            buf_printf(out, "\"%s\":%s", ANY(r, names), ANY(r, values));
        else
            buf_printf(out, "{\"op\":\"%s\",\"path\":\"%s\",\"from\":\"%s\",\"value\":%s}",
                       ANY(r, operations), ANY(r, pointers), ANY(r, pointers), ANY(r, values));
    }
    if (form == PATCH_STRATEGIC && rng_below(r, 8) == 0)
        buf_printf(out, "%s\"$patch\":\"replace\"", count == 0 ? "" : ",");
    buf_add_char(out, form == PATCH_JSON ? ']' : '}');
}

static void bytes_of(const struct schema_message *m, const char *json, struct buf *out)
{
    struct arena a;
    arena_init(&a, ARENA_MAX);
    cr_assert_eq(transcode_from_json(m, str_of(json), &a, NULL, NULL, out, NULL), ERR_OK);
    arena_free(&a);
}

TEST(patch_reach, a_part_patched_is_the_whole_patched)
{
    const struct schema_message *m = schema_message(STR("k8s.io.api.core.v1.Pod"));
    uint32_t gone[3] = {0};
    struct rng r;
    rng_seed(&r, 11);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        enum patch_form form = (enum patch_form)rng_below(&r, 3);
        struct arena a;
        struct buf raw, text;
        arena_init(&a, ARENA_MAX);
        buf_init(&raw, BYTES_MAX);
        buf_init(&text, TEXT_MAX);
        bytes_of(m, ANY(&r, objects), &raw);
        random_patch(&r, form, &text);
        gone[form] += patch_both_ways(m, form, buf_str(&raw), buf_str(&text), &a);
        buf_free(&raw);
        buf_free(&text);
        arena_free(&a);
    }
    for (size_t form = 0; form < COUNT_OF(gone); form++)
        cr_expect_gt(gone[form], ROUNDS / 60, "%zu: %u", form, gone[form]);
}

/* The fields' numbers: metadata 1, spec 2, status 3. UINT64_MAX: all of it. */
static void expect_reach(const char *text, uint64_t want)
{
    const struct schema_message *m = schema_message(STR("k8s.io.api.core.v1.Pod"));
    struct arena a;
    struct json *patch;
    uint64_t fields = 0;
    arena_init(&a, ARENA_MAX);
    cr_assert_eq(json_parse(&a, str_of(text), &patch, NULL), ERR_OK);
    if (!patch_reach(m, patch, &fields))
        fields = UINT64_MAX;
    cr_expect_eq(fields, want, "%s: %llx", text, (unsigned long long)fields);
    arena_free(&a);
}

TEST(patch_reach, is_what_a_patch_names_at_the_root)
{
    expect_reach("{}", 0);
    expect_reach("{\"metadata\":{\"spec\":1}}", 1);
    expect_reach("{\"kind\":\"Pod\",\"spec\":null,\"status\":{}}", 6);
    expect_reach("{\"metadata\":{},\"what\":{}}", UINT64_MAX);
    expect_reach("{\"metadata\":{},\"$retainKeys\":[\"metadata\"]}", UINT64_MAX);
    expect_reach("{\"$setElementOrder/spec\":[]}", UINT64_MAX);
    expect_reach("[]", 0);
    expect_reach("[{\"op\":\"test\",\"path\":\"/spec/nodeName\"}]", 2);
    expect_reach("[{\"op\":\"move\",\"path\":\"/status\",\"from\":\"/metadata/name\"}]", 5);
    expect_reach("[{\"op\":\"add\",\"path\":\"\"}]", UINT64_MAX);
    expect_reach("[{\"op\":\"add\",\"path\":\"/\"}]", UINT64_MAX);
    expect_reach("[{\"op\":\"add\",\"path\":\"/spec~1a\"}]", UINT64_MAX);
    expect_reach("[{\"op\":\"add\",\"path\":\"spec\"}]", UINT64_MAX);
    expect_reach("[{\"op\":\"add\",\"path\":\"/spec\",\"from\":7}]", UINT64_MAX);
    expect_reach("[{\"op\":\"add\"}]", UINT64_MAX);
    expect_reach("[7]", UINT64_MAX);
    expect_reach("7", UINT64_MAX);
}
