/* SPDX-License-Identifier: Apache-2.0 */
#include "api/patch.h"
#include "tests/testlib/test.h"

enum type { JSON_PATCH, MERGE_PATCH, STRATEGIC };

/* What becomes of a document, as text; NULL: the patch fails. */
static const char *patched(struct arena *a, enum type type, const char *message,
                           const char *document, const char *patch)
{
    struct json *target, *change;
    struct buf out;
    struct err e;
    cr_assert_eq(json_parse(a, str_of(document), &target, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(json_parse(a, str_of(patch), &change, &e), ERR_OK, "%s", e.text);
    enum err_code rc = type == JSON_PATCH    ? patch_json(a, &target, change, &e)
                       : type == MERGE_PATCH ? patch_merge(a, &target, change, &e)
                                             : patch_strategic(a, schema_message(str_of(message)),
                                                               &target, change, &e);
    if (rc != ERR_OK)
        return NULL;
    buf_init(&out, 1 << 16);
    json_print(&out, target);
    const char *text = arena_dup(a, buf_str(&out));
    buf_free(&out);
    return text;
}

static void expect(enum type type, const char *message, const char *document, const char *patch,
                   const char *want)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    const char *got = patched(&a, type, message, document, patch);
    if (want == NULL)
        cr_assert_null(got, "%s did not fail: %s", patch, got);
    else
        cr_assert(got != NULL && strcmp(got, want) == 0, "%s: got %s, want %s", patch,
                  got == NULL ? "a failure" : got, want);
    arena_free(&a);
}

/* RFC 6902, Appendix A, and where Kubernetes' library is kinder. */
TEST(patch, json)
{
    static const struct {
        const char *document, *patch, *want;
    } cases[] = {
        {"{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\"}]",
         "{\"foo\":\"bar\",\"baz\":\"qux\"}"},
        {"{\"foo\":[\"bar\",\"baz\"]}", "[{\"op\":\"add\",\"path\":\"/foo/1\",\"value\":\"qux\"}]",
         "{\"foo\":[\"bar\",\"qux\",\"baz\"]}"},
        {"{\"foo\":[1,2,3]}", "[{\"op\":\"remove\",\"path\":\"/foo/1\"}]", "{\"foo\":[1,3]}"},
        {"{\"foo\":[1,2]}", "[{\"op\":\"replace\",\"path\":\"/foo/0\",\"value\":9}]",
         "{\"foo\":[9,2]}"},
        {"{\"foo\":[1]}", "[{\"op\":\"add\",\"path\":\"/foo/-\",\"value\":[2]}]",
         "{\"foo\":[1,[2]]}"},
        {"{\"a\":{\"b\":1},\"c\":{}}", "[{\"op\":\"move\",\"from\":\"/a/b\",\"path\":\"/c/d\"}]",
         "{\"a\":{},\"c\":{\"d\":1}}"},
        {"{\"a\":[1]}", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"}]",
         "{\"a\":[1],\"b\":[1]}"},
        {"{\"a/b\":1,\"m~n\":2}",
         "[{\"op\":\"remove\",\"path\":\"/a~1b\"},"
         "{\"op\":\"test\",\"path\":\"/m~0n\",\"value\":2.0}]",
         "{\"m~n\":2}"},
        {"{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"\",\"value\":{\"b\":2}}]", "{\"b\":2}"},
        {"{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"/b\",\"value\":2}]", "{\"a\":1,\"b\":2}"},
        {"{\"a\":1}", "[]", "{\"a\":1}"},
        {"{\"a\":1}", "[{\"op\":\"remove\",\"path\":\"/b\"}]", NULL},
        {"{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/b/c\",\"value\":1}]", NULL},
        {"{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":2}]", NULL},
        {"{\"a\":1}", "[{\"op\":\"add\",\"path\":\"a\",\"value\":2}]", NULL},
        {"{\"a\":1}", "[{\"op\":\"frob\",\"path\":\"/a\"}]", NULL},
        {"{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/2\",\"value\":1}]", NULL},
        {"{\"a\":{\"b\":1}}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a/b\"}]", NULL},
        {"{\"a\":1}", "{}", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        expect(JSON_PATCH, NULL, cases[i].document, cases[i].patch, cases[i].want);
}

/* Copies of a document into itself: each twice as deep as the one before. */
static void add_copies(struct buf *patch, int times)
{
    for (int i = 0; i < times; i++) {
        buf_printf(patch, "%s{\"op\":\"copy\",\"from\":\"/x\",\"path\":\"/x", i == 0 ? "[" : ",");
        for (int depth = 0; depth < 1 << i; depth++)
            buf_printf(patch, "/a");
        buf_printf(patch, "\"}");
    }
    buf_printf(patch, "]");
}

static enum err_code copy_times(int times, struct err *e)
{
    struct arena a;
    struct buf text;
    struct json *target, *change;
    arena_init(&a, 256 << 20);
    buf_init(&text, 4 << 20);
    add_copies(&text, times);
    cr_assert_eq(json_parse(&a, STR("{\"x\":{}}"), &target, e), ERR_OK, "%s", e->text);
    cr_assert_eq(json_parse(&a, buf_str(&text), &change, e), ERR_OK, "%s", e->text);
    enum err_code code = patch_json(&a, &target, change, e);
    buf_free(&text);
    arena_free(&a);
    return code;
}

/* Of what json_parse() would not read, nothing may come out: whoever walks a tree recurses. */
TEST(patch, json_nests_no_deeper_than_a_document_may)
{
    struct err e = {0};
    cr_assert_eq(copy_times(6, &e), ERR_OK, "%s", e.text); /* 1 + 64 containers. */
    cr_assert_eq(copy_times(8, &e), ERR_LIMIT);
    cr_assert_not_null(strstr(e.text, "operation 6 (copy) nests deeper than 128"), "%s", e.text);
    cr_assert_eq(copy_times(18, &e), ERR_LIMIT);
}

/* RFC 7396, Appendix A. */
TEST(patch, merge)
{
    static const struct {
        const char *document, *patch, *want;
    } cases[] = {
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
        {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
        {"{\"a\":\"foo\"}", "\"bar\"", "\"bar\""},
        {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        expect(MERGE_PATCH, NULL, cases[i].document, cases[i].patch, cases[i].want);
}

#define POD "k8s.io.api.core.v1.PodSpec"
#define META "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta"

TEST(patch, strategic_lists_by_key)
{
    static const char two[] =
        "{\"containers\":[{\"name\":\"a\",\"image\":\"1\"},{\"name\":\"b\"}]}";
    static const struct {
        const char *patch, *want;
    } cases[] = {
        {"{\"containers\":[{\"name\":\"b\",\"image\":\"2\"}]}",
         "{\"containers\":[{\"name\":\"a\",\"image\":\"1\"},{\"name\":\"b\",\"image\":\"2\"}]}"},
        {"{\"containers\":[{\"name\":\"new\"}]}",
         "{\"containers\":[{\"name\":\"new\"},{\"name\":\"a\",\"image\":\"1\"},{\"name\":\"b\"}]}"},
        {"{\"containers\":[{\"$patch\":\"delete\",\"name\":\"a\"}]}",
         "{\"containers\":[{\"name\":\"b\"}]}"},
        {"{\"containers\":[{\"$patch\":\"replace\"},{\"name\":\"z\"}]}",
         "{\"containers\":[{\"name\":\"z\"}]}"},
        {"{\"$setElementOrder/containers\":[{\"name\":\"b\"},{\"name\":\"a\"}],"
         "\"containers\":[{\"name\":\"a\",\"image\":\"3\"}]}",
         "{\"containers\":[{\"name\":\"b\"},{\"name\":\"a\",\"image\":\"3\"}]}"},
        {"{\"$setElementOrder/containers\":[{\"name\":\"b\"},{\"name\":\"a\"}]}",
         "{\"containers\":[{\"name\":\"b\"},{\"name\":\"a\",\"image\":\"1\"}]}"},
        {"{\"containers\":[{\"image\":\"x\"}]}", NULL},
        {"{\"containers\":[{\"$patch\":\"frob\",\"name\":\"a\"}]}", NULL},
        {"{\"$setElementOrder/containers\":[{\"name\":\"q\"}],\"containers\":[{\"name\":\"a\"}]}",
         NULL},
        {"[]", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        expect(STRATEGIC, POD, two, cases[i].patch, cases[i].want);
}

TEST(patch, strategic_directives)
{
    static const char meta[] =
        "{\"labels\":{\"a\":\"1\",\"b\":\"2\"},\"finalizers\":[\"x/1\",\"x/2\"]}";
    static const struct {
        const char *patch, *want;
    } cases[] = {
        {"{\"labels\":{\"a\":null}}",
         "{\"labels\":{\"b\":\"2\"},\"finalizers\":[\"x/1\",\"x/2\"]}"},
        {"{\"labels\":{\"$patch\":\"replace\",\"z\":\"9\"}}",
         "{\"labels\":{\"z\":\"9\"},\"finalizers\":[\"x/1\",\"x/2\"]}"},
        {"{\"labels\":{\"$patch\":\"delete\"}}",
         "{\"labels\":{},\"finalizers\":[\"x/1\",\"x/2\"]}"},
        {"{\"finalizers\":[\"x/3\"]}", "{\"labels\":{\"a\":\"1\",\"b\":\"2\"},\"finalizers\":"
                                       "[\"x/3\",\"x/1\",\"x/2\"]}"},
        {"{\"$deleteFromPrimitiveList/finalizers\":[\"x/1\"]}",
         "{\"labels\":{\"a\":\"1\",\"b\":\"2\"},\"finalizers\":[\"x/2\"]}"},
        {"{\"$retainKeys\":[\"labels\"]}", "{\"labels\":{\"a\":\"1\",\"b\":\"2\"}}"},
        {"{\"$newer/thing\":1}",
         "{\"labels\":{\"a\":\"1\",\"b\":\"2\"},\"finalizers\":[\"x/1\",\"x/2\"]}"},
        {"{\"finalizers\":null}", "{\"labels\":{\"a\":\"1\",\"b\":\"2\"}}"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        expect(STRATEGIC, META, meta, cases[i].patch, cases[i].want);
    expect(STRATEGIC, META, "8", "{\"name\":\"a\"}", "{\"name\":\"a\"}");
    /* Tolerations have no key: the list is replaced whole. */
    expect(STRATEGIC, POD, "{\"tolerations\":[{\"key\":\"a\"}]}",
           "{\"tolerations\":[{\"key\":\"b\"}]}", "{\"tolerations\":[{\"key\":\"b\"}]}");
}
