/* SPDX-License-Identifier: Apache-2.0 */
#include "api/names.h"
#include "api/status.h"
#include "tests/testlib/test.h"

/* The JSON text of s, NUL-terminated, in a. */
static const char *json_of(const struct status *s, struct arena *a)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    status_json(s, &out);
    const char *text = arena_dup(a, buf_str(&out));
    buf_free(&out);
    return text;
}

TEST(status, not_found_names_the_object)
{
    struct arena a;
    struct status s;
    arena_init(&a, 1 << 20);
    cr_assert_not(status_set(&s, &a, STATUS_NOT_FOUND, "%s \"%s\" not found", "configmaps", "x1"));
    status_details(&s, STR(""), STR("configmaps"), STR("x1"));
    cr_assert_str_eq(
        json_of(&s, &a),
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":"
        "\"Failure\",\"message\":\"configmaps \\\"x1\\\" not found\",\"reason\":"
        "\"NotFound\",\"details\":{\"name\":\"x1\",\"kind\":\"configmaps\"},\"code\":404}"
        "\n");
    arena_free(&a);
}

TEST(status, success_has_no_code)
{
    struct arena a;
    struct status s;
    arena_init(&a, 1 << 20);
    status_set(&s, &a, STATUS_SUCCESS, "%s", "");
    status_details(&s, STR(""), STR("configmaps"), STR("x1"));
    cr_assert_str_eq(json_of(&s, &a),
                     "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":"
                     "\"Success\",\"details\":{\"name\":\"x1\",\"kind\":\"configmaps\"}}\n");
    arena_free(&a);
}

/* One cause stands alone, several in brackets, the same one twice is told once. */
TEST(status, invalid_tells_every_cause)
{
    struct arena a;
    struct causes c;
    struct status s;
    arena_init(&a, 1 << 20);
    causes_init(&c, &a);
    struct field spec = field_name(NULL, "spec"), list = field_name(&spec, "containers");
    struct field one = field_index(&list, 2), image = field_name(&one, "image");
    causes_add(&c, CAUSE_REQUIRED, &image, "%s", "");
    causes_add(&c, CAUSE_REQUIRED, &image, "%s", "");
    status_invalid(&s, STR(""), STR("Pod"), STR("p"), &c);
    cr_assert(str_is(s.message, "Pod \"p\" is invalid: spec.containers[2].image: Required value"));

    struct field resources = field_name(&one, "resources"), cpu = field_key(&resources, STR("cpu"));
    causes_invalid_i64(&c, &cpu, -1, "must be greater than or equal to 0");
    status_invalid(&s, STR("apps"), STR("Pod"), STR("p"), &c);
    cr_assert(str_is(
        s.message, "Pod.apps \"p\" is invalid: [spec.containers[2].image: Required value, "
                   "spec.containers[2].resources[cpu]: Invalid value: -1: must be greater than or "
                   "equal to 0]"));
    arena_free(&a);
}

TEST(status, quotes_as_go_does)
{
    struct arena a;
    arena_init(&a, 1 << 16);
    cr_assert(str_is(status_quote(&a, STR("a\"b\\c\n\x01\x7f\xc3\xa9")),
                     "\"a\\\"b\\\\c\\n\\x01\\x7f\xc3\xa9\""));
    cr_assert(str_is(status_quote(&a, STR("")), "\"\""));
    arena_free(&a);
}

static bool fits(struct names_why (*rule)(struct str), const char *text)
{
    return rule(str_of(text)).count == 0;
}

TEST(names, rules)
{
    static const char long63[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    cr_assert(fits(name_label, "a-1") && fits(name_label, long63));
    cr_assert(!fits(name_label, "") && !fits(name_label, "-a") && !fits(name_label, "A"));
    cr_assert_str_eq(name_label(STR("a.b")).at[0], "must not contain dots");
    cr_assert(fits(name_subdomain, "a.b-c.0") && !fits(name_subdomain, "a..b"));
    cr_assert(fits(name_label_1035, "a1") && !fits(name_label_1035, "1a"));
    cr_assert(fits(name_segment, "Bad_Name:x") && !fits(name_segment, "a/b"));
    cr_assert(fits(name_qualified, "example.com/My_Name") && fits(name_qualified, "a"));
    cr_assert_eq(name_qualified(STR("")).count, 2);
    cr_assert_eq(name_qualified(STR("a/b/c")).count, 1);
    cr_assert(fits(name_label_value, "") && fits(name_label_value, "a_B.c"));
    cr_assert(!fits(name_label_value, "v v"));
    cr_assert(fits(name_config_key, "..x") == false && fits(name_config_key, ".x"));
    cr_assert(fits(name_port, "http-2") && !fits(name_port, "80") && !fits(name_port, "a--b"));
    static const char *const addresses[] = {
        "10.9.8.7",        "2001:db8::ffff",  "::", "::1", "1::",
        "1:2:3:4:5:6:7:8", "::ffff:10.0.0.1", NULL};
    static const char *const others[] = {
        "", "10.9.8", "10.9.8.256", "01.2.3.4", "1::2::3", "1:2:3:4:5:6:7", "g::", ":1", NULL};
    for (const char *const *t = addresses; *t != NULL; t++)
        cr_assert(fits(name_ip, *t), "%s", *t);
    for (const char *const *t = others; *t != NULL; t++)
        cr_assert_not(fits(name_ip, *t), "%s", *t);
    cr_assert(fits(name_env, "a b.c") && !fits(name_env, "a=b") && !fits(name_env, ""));
}
