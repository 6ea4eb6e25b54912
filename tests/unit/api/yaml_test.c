/* SPDX-License-Identifier: Apache-2.0 */
#include "api/yaml.h"
#include "tests/testlib/test.h"

/* The documents of text as one line of JSON each, or "error: ...". */
static void expect(const char *text, const char *wanted)
{
    struct arena a;
    struct buf out;
    struct err e;
    static struct json *documents[YAML_DOCUMENTS_MAX];
    uint32_t count = 0;

    arena_init(&a, 8 << 20);
    buf_init(&out, 1 << 20);
    if (yaml_parse(&a, str_of(text), documents, &count, &e) != ERR_OK)
        buf_printf(&out, "error: %s", e.text);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            buf_add_char(&out, '\n');
        json_print(&out, documents[i]);
    }
    buf_add_char(&out, '\0');
    cr_assert_str_eq(out.at, wanted);
    buf_free(&out);
    arena_free(&a);
}

TEST(yaml, scalars_as_kubectl_reads_them)
{
    expect("a: yes\nb: 'yes'\nc: 012\nd: 0x1f\ne: 1.5\nf: .5\ng: 1e3\nh: ~\ni: 2026-11-21\n",
           "{\"a\":true,\"b\":\"yes\",\"c\":10,\"d\":31,\"e\":1.5,\"f\":0.5,\"g\":1e3,\"h\":null,"
           "\"i\":\"2026-11-21\"}");
    expect("[1.2.3, 100m, 1_000, -0, '', 9223372036854775808]",
           "[\"1.2.3\",\"100m\",1000,0,\"\",\"9223372036854775808\"]");
}

TEST(yaml, documents_anchors_and_merges)
{
    expect("---\na: 1\n---\n---\nb: 2\n", "{\"a\":1}\n{\"b\":2}");
    expect("x: &x {p: 1, q: 2}\ny: *x\nz: {<<: *x, q: 3}\n",
           "{\"x\":{\"p\":1,\"q\":2},\"y\":{\"p\":1,\"q\":2},\"z\":{\"q\":3,\"p\":1}}");
    expect("{\"json\": [true, {\"is\": \"yaml\"}]}", "{\"json\":[true,{\"is\":\"yaml\"}]}");
}

TEST(yaml, faults_say_where)
{
    expect("a: 1\na: 2\n", "error: line 2, column 1: this key was given before");
    expect("a: *b\n", "error: line 1, column 4: an alias of what was not anchored");
    expect("a: [1\nb: 2\n", "error: line 2, column 2: did not find expected ',' or ']'");
    expect("? [a]\n: b\n", "error: line 1, column 3: a key must be a string");
}

TEST(yaml, depth_and_laughter_end)
{
    char deep[YAML_DEPTH_MAX * 2 + 1];
    struct arena a;
    struct err e;
    static struct json *documents[YAML_DOCUMENTS_MAX];
    uint32_t count;
    static const char laughs[] =
        "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
        "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c]\n"
        "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e]\n";

    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    arena_init(&a, 8 << 20);
    cr_assert_eq(yaml_parse(&a, str_of(deep), documents, &count, &e), ERR_LIMIT, "%s", e.text);
    arena_free(&a);
    cr_assert_eq(yaml_parse(&a, str_of(laughs), documents, &count, &e), ERR_LIMIT, "%s", e.text);
    arena_free(&a);
}

TEST(yaml, prints_what_it_would_read)
{
    static const char text[] = "kind: Pod\n"
                               "metadata:\n"
                               "  name: web\n"
                               "  labels: {}\n"
                               "spec:\n"
                               "  containers:\n"
                               "  - name: main\n"
                               "    args:\n"
                               "    - \"-c\"\n"
                               "    - |-\n"
                               "      echo a\n"
                               "      echo b\n"
                               "    ready: \"true\"\n"
                               "    port: 80\n"
                               "  empty: \"\"\n"
                               "  odd: \"a: b #c\"\n";
    struct arena a;
    struct buf out;
    struct err e;
    static struct json *documents[YAML_DOCUMENTS_MAX];
    uint32_t count;

    arena_init(&a, 8 << 20);
    buf_init(&out, 1 << 20);
    cr_assert_eq(yaml_parse(&a, str_of(text), documents, &count, &e), ERR_OK, "%s", e.text);
    yaml_print(&out, documents[0]);
    buf_add_char(&out, '\0');
    cr_assert_str_eq(out.at, text);
    buf_free(&out);
    arena_free(&a);
}
