/* SPDX-License-Identifier: Apache-2.0 */
/* What is written as JSON is the same text, or the same error, whatever was written before it. */
#include "api/texts.h"

#include "api/transcode.h"
#include "base/rng.h"
#include "base/wire.h"
#include "tests/testlib/test.h"
#include "tests/unit/api/rich_pod.h"

enum { BYTES_MAX = 1 << 20, ARENA_MAX = 16 << 20, PODS_MAX = 4096, ROUNDS = 3000 };

#define CORE "k8s.io.api.core.v1."

struct bench {
    const struct schema_message *message;
    struct texts *texts;
    struct str raw; /* The pod. */
    struct arena a;
    struct buf plain, kept;
};

static void begin(struct bench *b)
{
    struct buf raw;
    buf_init(&raw, BYTES_MAX);
    buf_init(&b->plain, BYTES_MAX);
    buf_init(&b->kept, BYTES_MAX);
    arena_init(&b->a, ARENA_MAX);
    b->message = schema_message(STR(CORE "Pod"));
    b->texts = texts_new();
    cr_assert_eq(transcode_from_json(b->message, str_of(rich_pod), &b->a, NULL, NULL, &raw, NULL),
                 ERR_OK);
    b->raw = arena_str(&b->a, buf_str(&raw));
    buf_free(&raw);
}

static void end(struct bench *b)
{
    texts_free(b->texts);
    buf_free(&b->plain);
    buf_free(&b->kept);
    arena_free(&b->a);
}

static void check_same(struct bench *b, struct str raw)
{
    struct transcode_json how = {STR("v1"), STR("Pod"), 42, NULL};
    struct err plain = {0}, kept = {0};
    buf_clear(&b->plain);
    buf_clear(&b->kept);
    enum err_code should = transcode_to_json(b->message, raw, &how, &b->plain, &plain);
    how.texts = b->texts;
    enum err_code is = transcode_to_json(b->message, raw, &how, &b->kept, &kept);
    cr_assert_eq(is, should);
    cr_assert_str_eq(kept.text, plain.text);
    cr_assert(str_eq(buf_str(&b->kept), buf_str(&b->plain)));
}

TEST(texts, a_pod_that_differs_anywhere_is_written_as_it_is)
{
    struct bench b;
    begin(&b);
    char *raw = (char *)(uintptr_t)b.raw.at;
    for (size_t i = 0; i < b.raw.len; i++) {
        check_same(&b, b.raw);
        raw[i] ^= (char)(1 << i % 8);
        check_same(&b, b.raw);
        check_same(&b, b.raw); /* Now its parts may be kept, too. */
        raw[i] ^= (char)(1 << i % 8);
    }
    for (size_t len = 0; len < b.raw.len; len++)
        check_same(&b, str_slice(b.raw, 0, len));
    end(&b);
}

/* A few places, a few values: most of them come again. */
TEST(texts, many_pods_in_turn_are_written_as_they_are)
{
    struct bench b;
    struct rng r;
    begin(&b);
    rng_seed(&r, 3);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        char copy[PODS_MAX];
        cr_assert_lt(b.raw.len, sizeof copy);
        memcpy(copy, b.raw.at, b.raw.len);
        for (uint64_t flips = rng_below(&r, 3); flips > 0; flips--)
            copy[rng_below(&r, 32) * b.raw.len / 32] ^= (char)rng_below(&r, 4);
        check_same(&b, str_from(copy, b.raw.len));
    }
    end(&b);
}

TEST(texts, what_was_written_is_written_as_kept)
{
    struct bench b;
    struct transcode_json how = {STR("v1"), STR("Pod"), 42, NULL};
    begin(&b);
    struct str first = wire_find_bytes(wire_find_bytes(b.raw, 2), 2);
    const struct schema_message *m = schema_message(STR(CORE "Container"));
    texts_keep(b.texts, m, first, STR("\"kept\""));
    how.texts = b.texts;
    cr_assert_eq(transcode_to_json(b.message, b.raw, &how, &b.kept, NULL), ERR_OK);
    buf_add_char(&b.kept, '\0');
    cr_assert_not_null(strstr(b.kept.at, "\"containers\":[\"kept\",{\"name\":\"side\""));
    end(&b);
}

TEST(texts, are_kept_by_message_and_bytes)
{
    static const char long_one[TEXTS_BYTES_MAX + 1], json[TEXTS_JSON_MAX + 1];
    struct str bytes = str_from(long_one, TEXTS_BYTES_LEAST);
    const struct schema_message *m = schema_message(STR(CORE "Container"));
    const struct schema_message *other = schema_message(STR(CORE "Volume"));
    struct texts *t = texts_new();
    bool again = true;
    cr_expect_null(texts_find(t, m, bytes, &again).at);
    cr_expect_not(again);
    cr_expect_null(texts_find(t, m, bytes, &again).at);
    cr_expect(again);
    texts_keep(t, m, bytes, STR("{}"));
    cr_expect(str_is(texts_find(t, m, bytes, &again), "{}"));
    cr_expect_null(texts_find(t, other, bytes, &again).at);
    cr_expect_not(again); /* It has not come before that it would be worth it. */
    cr_expect_null(texts_find(t, m, str_slice(bytes, 1, bytes.len), &again).at);
    texts_keep(t, m, bytes, str_from(json, sizeof json));
    cr_expect(str_is(texts_find(t, m, bytes, &again), "{}"));
    for (int i = 0; i < 3; i++)
        cr_expect_null(texts_find(t, m, str_from(long_one, sizeof long_one), &again).at);
    cr_expect_not(again);
    texts_clear(t);
    cr_expect_null(texts_find(t, m, bytes, &again).at);
    texts_free(t);
    texts_free(NULL);
}
