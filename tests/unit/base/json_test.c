/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "base/jsonread.h"
#include "tests/testlib/test.h"

static struct json *parsed(struct arena *a, const char *text)
{
    struct json *root = NULL;
    struct err e = {0};
    cr_assert_eq(json_parse(a, str_of(text), &root, &e), ERR_OK, "%s: %s", text, e.text);
    return root;
}

/* text parses, and prints as want. */
static void prints(const char *text, const char *want)
{
    struct arena a;
    struct buf out;
    arena_init(&a, 1 << 20);
    buf_init(&out, 1 << 20);
    json_print(&out, parsed(&a, text));
    cr_expect(str_is(buf_str(&out), want), "%s gives " STR_FMT, text, STR_ARG(buf_str(&out)));
    buf_free(&out);
    arena_free(&a);
}

static void refused(const char *text, const char *want)
{
    struct arena a;
    struct json *root = NULL;
    struct err e = {0};
    arena_init(&a, 1 << 20);
    cr_expect_neq(json_parse(&a, str_of(text), &root, &e), ERR_OK, "%s", text);
    cr_expect_str_eq(e.text, want, "%s: %s", text, e.text);
    cr_expect_null(root);
    arena_free(&a);
}

TEST(json, prints_what_it_parsed)
{
    prints("{}", "{}");
    prints(" [ 1 , -0.5e+3 , true , false , null , \"a\" ] ", "[1,-0.5e+3,true,false,null,\"a\"]");
    prints("{\"b\":{\"x\":[]},\"a\":1}", "{\"b\":{\"x\":[]},\"a\":1}");
    prints("\"\\u00e4\\ud83d\\ude00\\n\\/\"", "\"\xc3\xa4\xf0\x9f\x98\x80\\n/\"");
    prints("\"<&>\\u2028\\u0001\\b\"", "\"\\u003c\\u0026\\u003e\\u2028\\u0001\\b\"");
    prints("\"0123456789012345678901234567\\t0123456789\xe2\x82\xac\"",
           "\"0123456789012345678901234567\\t0123456789\xe2\x82\xac\"");
}

TEST(json, words_faults_as_go_does)
{
    refused("", "unexpected end of JSON input");
    refused("{", "unexpected end of JSON input");
    refused("[1,", "unexpected end of JSON input");
    refused("x", "invalid character 'x' looking for beginning of value");
    refused("[1 2]", "invalid character '2' after array element");
    refused("[1,]", "invalid character ']' looking for beginning of value");
    refused("{\"a\":1,}", "invalid character '}' looking for beginning of object key string");
    refused("{\"a\" 1}", "invalid character '1' after object key");
    refused("{\"a\":1 \"b\":2}", "invalid character '\"' after object key:value pair");
    refused("{a:1}", "invalid character 'a' looking for beginning of object key string");
    refused("nope", "invalid character 'o' in literal null (expecting 'u')");
    refused("01", "invalid character '1' after top-level value");
    refused("1.", "unexpected end of JSON input");
    refused("[1.x]", "invalid character 'x' after decimal point in numeric literal");
    refused("[1ex]", "invalid character 'x' in exponent of numeric literal");
    refused("-x", "invalid character 'x' in numeric literal");
    refused("\"a\nb\"", "invalid character '\\n' in string literal");
    refused("\"\\q\"", "invalid character 'q' in string escape code");
    refused("\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape");
    refused("\x1f", "invalid character '\\x1f' looking for beginning of value");
    refused("\x9e", "invalid character '\\u009e' looking for beginning of value");
    refused("{} {}", "invalid character '{' after top-level value");
}

TEST(json, refuses_what_is_no_text)
{
    refused("\"\\u0000\"", "NUL character in string literal");
    refused("\"\\ud800\"", "half a surrogate pair in string literal");
    refused("\"\\ud800\\u0041\"", "half a surrogate pair in string literal");
    refused("\"\xff\"", "invalid UTF-8 in string literal");
    refused("\"\xc0\x80\"", "invalid UTF-8 in string literal");
}

TEST(json, refuses_deep_documents)
{
    char text[2 * JSON_DEPTH_MAX + 8];
    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    text[2 * JSON_DEPTH_MAX] = '\0';
    prints(text, text);
    memset(text, '[', JSON_DEPTH_MAX + 1);
    refused(text, "exceeded max depth");
}

TEST(json, a_name_given_twice_takes_the_last_value)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    struct json *root = parsed(&a, "{\"a\":1,\"b\":2,\"a\":3}");
    cr_expect_eq(root->count, 2);
    cr_expect(root->first->repeated && !root->last->repeated);
    cr_expect(str_is(json_find(root, STR("a"))->text, "3"));
    arena_free(&a);
}

TEST(json, big_objects_find_replace_and_remove)
{
    struct arena a;
    arena_init(&a, 8 << 20);
    struct json *root = json_new(&a, JSON_OBJECT);
    for (int i = 0; i < 1000; i++)
        json_set(&a, root, arena_printf(&a, "k%d", i), json_new_i64(&a, i));
    for (int i = 0; i < 1000; i += 3)
        json_remove(json_find(root, arena_printf(&a, "k%d", i)));
    for (int i = 0; i < 1000; i += 5)
        json_set(&a, root, arena_printf(&a, "k%d", i), json_new_i64(&a, -i));

    for (int i = 0; i < 1000; i++) {
        int64_t got = 1;
        struct json *m = json_find(root, arena_printf(&a, "k%d", i));
        if (i % 5 != 0 && i % 3 == 0) {
            cr_assert_null(m);
            continue;
        }
        cr_assert_eq(json_i64(m, &got), ERR_OK);
        cr_assert_eq(got, i % 5 == 0 ? -i : i);
    }
    cr_expect_eq(root->count, 1000 - 334 + 67);
    cr_expect(json_equal(root, json_copy(&a, root)));
    arena_free(&a);
}

TEST(json, numbers_compare_by_value)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"1", "1.0", true},    {"100", "1e2", true},  {"-0.5", "-5E-1", true},
        {"0", "-0.0", true},   {"1", "2", false},     {"1", "-1", false},
        {"1e3", "1e4", false}, {"0.10", "0.1", true}, {"\"1\"", "1", false},
    };
    struct arena a;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_eq(json_equal(parsed(&a, cases[i].a), parsed(&a, cases[i].b)), cases[i].same,
                     "%s %s", cases[i].a, cases[i].b);
    int64_t n = 0;
    cr_expect(json_i64(parsed(&a, "12e2"), &n) == ERR_OK && n == 1200);
    cr_expect(json_i64(parsed(&a, "-9223372036854775808"), &n) == ERR_OK && n == INT64_MIN);
    cr_expect_neq(json_i64(parsed(&a, "9223372036854775808"), &n), ERR_OK);
    cr_expect_neq(json_i64(parsed(&a, "1.5"), &n), ERR_OK);
    cr_expect_neq(json_i64(parsed(&a, "1e99999999999999999999"), &n), ERR_OK);
    arena_free(&a);
}

TEST(json, arrays_change_in_place)
{
    struct arena a;
    struct buf out;
    arena_init(&a, 1 << 20);
    buf_init(&out, 1 << 20);
    struct json *root = parsed(&a, "[1,2,{\"x\":[3]}]");
    json_insert(root, root->first, json_new_string(&a, STR("front")));
    json_remove(json_at(root, 2));
    json_become(json_at(root, 1), json_at(root, 2));
    json_print(&out, root);
    cr_expect(str_is(buf_str(&out), "[\"front\",{\"x\":[3]},{}]"), STR_FMT, STR_ARG(buf_str(&out)));
    cr_expect(str_is(json_path(json_at(root, 1), "x")->first->text, "3"));
    cr_expect_null(json_path(root, "a.b"));
    buf_free(&out);
    arena_free(&a);
}

/* Text is looked through 16 bytes at a time: every byte that needs an escape, at every place of a text of every
 * length around that. */
TEST(json, escapes_wherever_they_stand)
{
    static const struct {
        const char *text, *want;
    } signs[] = {{"\"", "\\\""},
                 {"\\", "\\\\"},
                 {"\n", "\\n"},
                 {"\x01", "\\u0001"},
                 {"\x1f", "\\u001f"},
                 {"<", "\\u003c"},
                 {">", "\\u003e"},
                 {"&", "\\u0026"},
                 {"\xe2\x80\xa8", "\\u2028"},
                 {"\xe2\x82\xac", "\xe2\x82\xac"},
                 {" ", " "},
                 {"=", "="},
                 {"'", "'"},
                 {"\x7f", "\x7f"}};
    struct buf got, want, text;
    buf_init(&got, 4096);
    buf_init(&want, 4096);
    buf_init(&text, 4096);
    for (size_t s = 0; s < COUNT_OF(signs); s++)
        for (size_t len = 0; len < 40; len++)
            for (size_t at = 0; at <= len; at++) {
                buf_clear(&got);
                buf_clear(&want);
                buf_clear(&text);
                buf_add_char(&want, '"');
                for (size_t i = 0; i <= len; i++) {
                    buf_add(&text, i == at ? str_of(signs[s].text) : STR("x"));
                    buf_add(&want, i == at ? str_of(signs[s].want) : STR("x"));
                }
                buf_add_char(&want, '"');
                json_print_string(&got, buf_str(&text));
                cr_assert(str_eq(buf_str(&got), buf_str(&want)), STR_FMT, STR_ARG(buf_str(&got)));
            }
    buf_free(&got);
    buf_free(&want);
    buf_free(&text);
}

TEST(json, indents)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    json_indent(&out, STR("{\"a\":[1,{\"b\":\"x,\\\"{\"}],\"c\":{},\"d\":[ ]}"));
    cr_expect(str_is(buf_str(&out),
                     "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"x,\\\"{\"\n    }\n"
                     "  ],\n  \"c\": {},\n  \"d\": []\n}"),
              STR_FMT, STR_ARG(buf_str(&out)));
    buf_free(&out);
}

TEST(json, indents_in_parts)
{
    static const char *const parts[] = {"{\"items\":[{\"a\":1}", ",{\"a\":[]}", ",{}",
                                        "],\"b\":0}"};
    struct buf once, whole, out;
    uint32_t depth = 0;
    buf_init(&once, 1 << 20);
    buf_init(&whole, 1 << 20);
    buf_init(&out, 1 << 20);
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        buf_add(&whole, str_of(parts[i]));
        json_indent_more(&out, str_of(parts[i]), &depth);
    }
    json_indent(&once, buf_str(&whole));
    cr_expect(str_eq(buf_str(&once), buf_str(&out)), STR_FMT, STR_ARG(buf_str(&out)));
    cr_expect_eq(depth, 0);
    buf_free(&once);
    buf_free(&whole);
    buf_free(&out);
}

/* The same calls over text and over its tree give the same values. */
TEST(json, reads_trees_like_text)
{
    static const char text[] = "{\"a\":[1,[],\"s\"],\"b\":{\"c\":null},\"d\":true}";
    for (int tree = 0; tree < 2; tree++) {
        struct arena a;
        struct json_reader r;
        struct str key, value;
        struct buf raw;
        const struct json *inner = NULL;
        bool truth = false;
        struct err e;
        arena_init(&a, 1 << 20);
        buf_init(&raw, 1 << 10);
        if (tree)
            json_read_tree(&r, &a, parsed(&a, text));
        else
            json_read_text(&r, &a, str_of(text));
        cr_assert(json_read_open(&r, JSON_OBJECT) && json_read_key(&r, &key) && str_is(key, "a"));
        cr_assert(json_read_open(&r, JSON_ARRAY) && json_read_element(&r));
        cr_assert(json_read_number(&r, &value) && str_is(value, "1"));
        cr_assert(json_read_element(&r) && json_read_open(&r, JSON_ARRAY));
        cr_assert(!json_read_element(&r) && json_read_element(&r) && json_read_string(&r, &value));
        cr_assert(str_is(value, "s") && !json_read_element(&r));
        cr_assert(json_read_key(&r, &key) && str_is(key, "b") && json_read_value(&r, &inner));
        json_print(&raw, inner);
        cr_assert(str_is(buf_str(&raw), "{\"c\":null}"));
        cr_assert(json_read_key(&r, &key) && json_read_bool(&r, &truth) && truth);
        cr_assert(!json_read_key(&r, &key));
        cr_assert_eq(json_read_end(&r, &e), ERR_OK);
        buf_free(&raw);
        arena_free(&a);
    }
}

/* What needs an escape is found wherever it stands, whatever the length. */
TEST(json, escapes_at_every_place)
{
    char text[50];
    struct buf out, want;
    buf_init(&out, 4096);
    buf_init(&want, 4096);
    for (size_t len = 1; len <= sizeof text; len++)
        for (size_t at = 0; at < len; at++) {
            memset(text, 'x', sizeof text);
            text[at] = at % 2 == 0 ? '"' : '\\';
            buf_clear(&out);
            buf_clear(&want);
            json_print_string(&out, str_from(text, len));
            buf_add_char(&want, '"');
            buf_add(&want, str_from(text, at));
            buf_add_char(&want, '\\');
            buf_add(&want, str_from(text + at, len - at));
            buf_add_char(&want, '"');
            cr_assert(str_eq(buf_str(&out), buf_str(&want)), "%zu of %zu", at, len);
        }
    buf_free(&out);
    buf_free(&want);
}
