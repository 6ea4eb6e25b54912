/* SPDX-License-Identifier: Apache-2.0 */
/* A new pod is prepared to the same bytes, or refused for the same cause, whether its spec was kept or not. */
#include "tests/testlib/prepared.h"

#include "base/rng.h"
#include "tests/testlib/test.h"

enum { ARENA_MAX = 16 << 20, ROUNDS = 4000 };

#define MAIN "{\"name\":\"main\",\"image\":\"busybox:1\"}"

static const char *const specs[] = {
    "{\"containers\":[" MAIN "]}",
    "{ \"containers\" : [ " MAIN " ] }",
    "{\"containers\":[{\"name\":\"a\",\"image\":\"i@sha256:0\",\"env\":[{\"name\":\"E\",\"value\":"
    "\"}]\\\"{\\\\\"}],\"resources\":{\"limits\":{\"cpu\":\"2\",\"memory\":\"1Gi\"}}}]}",
    "{\"serviceAccountName\":\"robot\",\"containers\":[" MAIN "]}",
    "{\"priorityClassName\":\"high\",\"containers\":[" MAIN "]}",
    "{\"priority\":7,\"containers\":[" MAIN "]}",
    "{\"schedulingGates\":[{\"name\":\"g\"}],\"containers\":[" MAIN "]}",
    "{\"hostPID\":true,\"containers\":[" MAIN "]}",
    "{\"unknown\":{\"a\":[1,{}]},\"containers\":[" MAIN "]}",
    "{\"restartPolicy\":\"Never\",\"restartPolicy\":\"Always\",\"containers\":[" MAIN "]}",
    "{\"containers\":[{\"name\":\"main\",\"image\":\"i\",\"resources\":{\"limits\":{"
    "\"vendor.com/gpu-milli\":\"500\"}}}]}",
    "{\"containers\":[{\"name\":\"main\",\"image\":\"i\",\"resources\":{\"limits\":{"
    "\"vendor.com/gpu-milli\":\"2000\"}}}]}",
    "{\"containers\":[{\"name\":\"UPPER\",\"image\":\"i\"}]}",
    "{\"containers\":[]}",
    "{}",
    "{\"nodeName\":\"n1\",\"containers\":[" MAIN "]}",
    "{\"containers\":[" MAIN "]",
    "{\"containers\":{}}",
    "null",
    "[]",
    "{\"containers\":[" MAIN "]}}",
    "\"spec\"",
};

static const char *const metas[] = {
    "{\"name\":\"p\"}",
    "{\"generateName\":\"p-\",\"labels\":{\"app\":\"a\"}}",
    "{\"name\":\"p\",\"annotations\":{\"note\":\"{\\\"spec\\\":{}}\"}}",
    "{\"name\":\"p\",\"annotations\":{\"baton.dev/gpu-count\":\"2\"}}",
    "{\"name\":\"p\",\"annotations\":{\"baton.dev\\/core-policy\":\"full-cores-only\"}}",
    "{\"name\":\"p\",\"uid\":\"u\",\"generation\":9,\"creationTimestamp\":null}",
    "{\"name\":\"p\",\"spec\":{}}",
    "{\"name\":\"UPPER\"}",
    "{\"name\":\"p\",\"name\":\"q\"}",
    "{\"name\":5}",
    "{\"name\":\"p\"",
    "{}",
};

/* What stands around both: %s metadata, then %s spec. */
static const char *const documents[] = {
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":%s,\"spec\":%s}",
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":%s,\"spec\":%s,\"status\":{}}\n",
    " { \"kind\" : \"Pod\" , \"apiVersion\":\"v1\", \"metadata\" : %s , \"spec\" : %s }",
    "{\"metadata\":%s,\"spec\":%s,\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"status\":{\"phase\":"
    "\"Running\"}}",
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":%s,\"sp\\u0065c\":%s}",
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":%s,\"spec\":%s,\"spec\":{}}",
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":%s,\"spec\":%s,\"extra\":1}",
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":%s,\"spec\":%s} more",
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":%s \"spec\":%s}",
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":%s,\"spec\":%s",
};

static const char *any(struct rng *r, const char *const *of, size_t count)
{
    return of[rng_below(r, rng_below(r, 6) == 0 ? count : min_size(count, 3))];
}

static struct str document(struct rng *r, struct arena *a)
{
    struct str meta = str_of(any(r, metas, COUNT_OF(metas)));
    struct str spec = str_of(any(r, specs, COUNT_OF(specs)));
    struct str around = str_of(any(r, documents, COUNT_OF(documents)));
    struct buf out;
    buf_init(&out, 1 << 20);
    size_t first = str_find(around, '%', 0), second = str_find(around, '%', first + 1);
    buf_add(&out, str_slice(around, 0, first));
    buf_add(&out, meta);
    buf_add(&out, str_slice(around, first + 2, second));
    buf_add(&out, spec);
    buf_add(&out, str_slice(around, second + 2, around.len));
    if (rng_below(r, 20) == 0)
        out.at[rng_below(r, out.len)] = "{}[]\",:\\ x"[rng_below(r, 10)];
    struct str json = arena_str(a, buf_str(&out));
    buf_free(&out);
    return json;
}

TEST(prepared, pods_are_the_same_whether_their_spec_was_kept)
{
    static const struct kind_priority classes[] = {
        {0},
        {true, {"high", 4}, {"PreemptLowerPriority", 20}, 100},
        {true, {"high", 4}, {"Never", 5}, 100},
        {true, {"high", 4}, {"Never", 5}, 7},
    };
    struct rng r;
    uint32_t stored = 0, known = 0;
    struct prepared *p = prepared_new();
    rng_seed(&r, 11);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct arena a;
        arena_init(&a, ARENA_MAX);
        struct circumstances here = {.class = classes[i / 50 % COUNT_OF(classes)]};
        struct str json = document(&r, &a);
        struct outcome plain = prepare_plainly(&a, json, &here, p, STR(""));
        struct outcome is = prepare_known(&a, json, &here, p);
        check_outcomes(&is, &plain);
        stored += is.what == STORED;
        known += is.was_known;
        if (rng_below(&r, 300) == 0)
            prepared_clear(p);
        arena_free(&a);
    }
    cr_expect_gt(stored, ROUNDS / 4, "%u", stored);
    cr_expect_gt(known, ROUNDS / 4, "%u", known);
    prepared_free(p);
}

static bool is_known(struct prepared *p, const char *meta, const char *spec,
                     const struct circumstances *here)
{
    struct arena a;
    arena_init(&a, ARENA_MAX);
    struct str json = arena_printf(
        &a, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":%s,\"spec\":%s}", meta, spec);
    struct outcome plain = prepare_plainly(&a, json, here, p, STR(""));
    struct outcome is = prepare_known(&a, json, here, p);
    check_outcomes(&is, &plain);
    arena_free(&a);
    return is.was_known;
}

TEST(prepared, a_spec_is_kept_when_it_comes_again_and_nothing_is_to_be_said)
{
    const struct circumstances here = {0};
    struct prepared *p = prepared_new();
    for (uint32_t i = 0; i < COUNT_OF(specs); i++) {
        /* The others are refused, remarked on, tell a time or are broken. */
        bool may = i < 3 || i == 10 || i == 15;
        cr_expect_not(is_known(p, metas[0], specs[i], &here));
        cr_expect_not(is_known(p, metas[0], specs[i], &here), "the second time it is kept");
        cr_expect_eq(is_known(p, metas[1], specs[i], &here), may, "%s", specs[i]);
    }
    prepared_free(p);
}

TEST(prepared, a_spec_is_not_taken_where_other_things_decide)
{
    Core__LimitRange range = CORE__LIMIT_RANGE__INIT;
    const Core__LimitRange *ranges[] = {&range};
    const struct circumstances nothing = {0}, limited = {.limits = ranges, .limits_count = 1};
    const struct circumstances other = {.class = {true, STR("x"), STR("Never"), 3}};
    struct prepared *p = prepared_new();
    for (int i = 0; i < 3; i++)
        (void)is_known(p, metas[0], specs[0], &nothing);
    cr_expect(is_known(p, metas[0], specs[0], &nothing));
    cr_expect_not(is_known(p, metas[0], specs[0], &other), "everybody's class is new");
    cr_expect(is_known(p, metas[0], specs[0], &other));
    cr_expect_not(is_known(p, metas[0], specs[0], &nothing), "and gone");
    cr_expect_not(is_known(p, metas[0], specs[0], &limited), "a LimitRange is there now");
    cr_expect_not(is_known(p, metas[3], specs[0], &nothing), "an annotation of ours");
    cr_expect_not(is_known(p, metas[4], specs[0], &nothing), "written with an escape");
    cr_expect(is_known(p, metas[2], specs[0], &nothing));
    prepared_free(p);
}

TEST(prepared, what_is_too_long_is_not_kept)
{
    const struct circumstances here = {0};
    struct arena a;
    arena_init(&a, ARENA_MAX);
    struct prepared *p = prepared_new();
    struct str spec = arena_printf(&a, "{\"containers\":[" MAIN "]%*s}", PREPARED_TEXT_MAX, "");
    for (int i = 0; i < 4; i++)
        cr_expect_not(is_known(p, metas[0], spec.at, &here));
    prepared_free(p);
    arena_free(&a);
}
