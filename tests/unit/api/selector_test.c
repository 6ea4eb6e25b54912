/* SPDX-License-Identifier: Apache-2.0 */
#include "api/selector.h"
#include "tests/testlib/test.h"

/* An object for tests: pairs of texts, NULL at the end. */
static bool pairs_lookup(const void *object, struct str key, struct str *out)
{
    for (const char *const *p = object; *p != NULL; p += 2) {
        if (str_is(key, p[0])) {
            *out = str_of(p[1]);
            return true;
        }
    }
    return false;
}

static const char *const web[] = {"app", "x", "tier", "web", "n", "7", NULL};

static bool labels_match(const char *text)
{
    struct arena a;
    struct selector s = {0};
    struct err e;
    arena_init(&a, 1 << 20);
    cr_assert_eq(selector_parse_labels(str_of(text), &a, &s, &e), ERR_OK, "%s: %s", text, e.text);
    bool matches = selector_matches(&s, pairs_lookup, web);
    arena_free(&a);
    return matches;
}

TEST(selector, labels)
{
    static const char *const yes[] = {
        "",           "app=x",        "app==x",        "app = x",      "app!=y",
        "nope!=y",    "app in (x,y)", "app notin (y)", "tier",         "!nope",
        "app=x,tier", "n>6,n<8",      "app in (x),!z", "app notin ()", "in",
        NULL};
    static const char *const no[] = {"app=y", "app=",        "app in ()", "!tier",         "nope",
                                     "n>7",   "app=x,app=y", "app>1",     "app notin (x)", NULL};
    for (const char *const *t = yes; *t != NULL; t++)
        cr_assert_eq(labels_match(*t), !str_is(str_of(*t), "in"), "%s", *t);
    for (const char *const *t = no; *t != NULL; t++)
        cr_assert_not(labels_match(*t), "%s", *t);
}

TEST(selector, labels_refused_in_kubernetes_words)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"app=x,", "found '', expected: identifier after ','"},
        {"app in x", "unable to parse requirement: found 'x' expected: '('"},
        {"=x", "found '=', expected: !, identifier, or 'end of string'"},
        {"app===x", "unable to parse requirement: found '=', expected: identifier"},
        {"a b=c", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"},
        {"app=x y", "found 'y', expected: ',' or 'end of string'"},
        {"app in (x", "unable to parse requirement: found '', expected: ',' or ')'"},
        {"n>a", "unable to parse requirement: values[0]: Invalid value: \"a\": for 'Gt', 'Lt' "
                "operators, the value must be an integer"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        struct selector s;
        struct err e;
        arena_init(&a, 1 << 20);
        cr_assert_eq(selector_parse_labels(str_of(cases[i].text), &a, &s, &e), ERR_INVALID);
        cr_assert_str_eq(e.text, cases[i].why);
        arena_free(&a);
    }
}

TEST(selector, fields)
{
    struct arena a;
    struct selector s;
    struct err e;
    static const char *const pod[] = {"metadata.name", "a,b", "status.phase", "Running", NULL};
    arena_init(&a, 1 << 20);
    cr_assert_eq(selector_parse_fields(STR("status.phase!=Failed,metadata.name=a\\,b"), &a, &s, &e),
                 ERR_OK);
    cr_assert_eq(s.count, 2);
    cr_assert(selector_matches(&s, pairs_lookup, pod));
    cr_assert(str_is(selector_exact(&s, "metadata.name"), "a,b"));
    cr_assert_null(selector_exact(&s, "status.phase").at);
    cr_assert_eq(selector_parse_fields(STR("=,"), &a, &s, &e), ERR_OK);
    cr_assert_eq(s.count, 0);
    cr_assert_eq(selector_parse_fields(STR("metadata.name"), &a, &s, &e), ERR_INVALID);
    cr_assert_str_eq(e.text, "invalid selector: 'metadata.name'; can't understand 'metadata.name'");
    cr_assert_eq(selector_parse_fields(STR("a=b\\"), &a, &s, &e), ERR_INVALID);
    arena_free(&a);
}
