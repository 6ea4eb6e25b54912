/* SPDX-License-Identifier: Apache-2.0 */
#include "api/paths.h"
#include "tests/testlib/test.h"

static struct path parse(struct arena *a, const char *text)
{
    struct path p = {0};
    struct err e;
    cr_assert_eq(path_parse(str_of(text), a, &p, &e), ERR_OK, "%s", text);
    return p;
}

TEST(paths, what_a_url_names)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    struct path p = parse(&a, "/api/v1/namespaces/ns/pods/p%31/log");
    cr_assert_eq(p.type, PATH_RESOURCE);
    cr_assert(str_is(p.group, "") && str_is(p.version, "v1") && str_is(p.ns, "ns"));
    cr_assert(str_is(p.resource, "pods") && str_is(p.name, "p1") && str_is(p.subresource, "log"));

    p = parse(&a, "/apis/kubevirt.io/v1/virtualmachineinstances");
    cr_assert_eq(p.type, PATH_RESOURCE);
    cr_assert(str_is(p.group, "kubevirt.io") && str_is(p.name, "") && str_is(p.ns, ""));

    p = parse(&a, "/api/v1/namespaces/ns");
    cr_assert(str_is(p.resource, "namespaces") && str_is(p.name, "ns") && str_is(p.ns, "ns"));
    p = parse(&a, "/api/v1/namespaces/ns/finalize");
    cr_assert(str_is(p.resource, "namespaces") && str_is(p.subresource, "finalize"));
    p = parse(&a, "/api/v1/namespaces/ns/configmaps/a/");
    cr_assert(str_is(p.name, "a") && str_is(p.subresource, ""));
    cr_assert_eq(parse(&a, "/api").type, PATH_GROUPS);
    cr_assert_eq(parse(&a, "/apis/").type, PATH_GROUPS);
    cr_assert_eq(parse(&a, "/apis/apps").type, PATH_GROUP);
    cr_assert_eq(parse(&a, "/api/v1").type, PATH_VERSION);
    cr_assert_eq(parse(&a, "/apis/apps/v1").type, PATH_VERSION);
    cr_assert_eq(parse(&a, "/healthz").type, PATH_OTHER);
    cr_assert_eq(parse(&a, "//api/v1").type, PATH_OTHER);
    cr_assert_eq(parse(&a, "/api/v1//pods").type, PATH_BAD);
    cr_assert_eq(parse(&a, "/api/v1/./pods").type, PATH_BAD);
    cr_assert(str_is(parse(&a, "/api/v1/namespaces/n/configmaps/A%2FB").subresource, "B"));
    arena_free(&a);
}

TEST(paths, query)
{
    struct arena a;
    struct query q;
    struct path p;
    struct err e;
    arena_init(&a, 1 << 20);
    cr_assert_eq(query_parse(STR("a=1&b=x%3Dy+z&watch=maybe&c&force=0"), &a, &q, &e), ERR_OK);
    cr_assert(str_is(query_get(&q, "a"), "1") && str_is(query_get(&q, "b"), "x=y z"));
    cr_assert(str_is(query_get(&q, "c"), ""));
    cr_assert_null(query_get(&q, "d").at);
    cr_assert(query_is_set(&q, "watch") && !query_is_set(&q, "force") && !query_is_set(&q, "d"));
    cr_assert_eq(query_parse(STR("a=%zz"), &a, &q, &e), ERR_INVALID);
    cr_assert_eq(path_parse(STR("/api/v1/%00"), &a, &p, &e), ERR_INVALID);
    arena_free(&a);
}
