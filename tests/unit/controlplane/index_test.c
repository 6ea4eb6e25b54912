/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/index.h"
#include "tests/testlib/test.h"

static void put(struct index *x, const char *key, uint64_t revision)
{
    struct cow_entry *e = cow_entry_new(str_of(key), revision, blob_new(STR("v")));
    cow_entry_unref(cowtree_put(index_tree(x), e));
}

TEST(index, keys_go_apart_and_together)
{
    char text[INDEX_KEY_MAX + 1], expect[] = "apps/deployments/default/web";
    struct index_key k;
    cr_assert(index_key_parse(str_of(expect), &k));
    cr_assert(str_is(k.group, "apps") && str_is(k.plural, "deployments"));
    cr_assert(str_is(k.namespace, "default") && str_is(k.name, "web"));
    cr_assert_eq(index_key_print(&k, text), sizeof expect - 1);
    cr_assert_str_eq(text, expect);

    cr_assert(index_key_parse(STR("/nodes//n1"), &k));
    cr_assert(k.group.len == 0 && k.namespace.len == 0 && str_is(k.name, "n1"));
    cr_assert(!index_key_parse(STR("nodes"), &k));
    cr_assert(!index_key_parse(STR("/nodes/n1"), &k));
    cr_assert(!index_key_parse(STR("///n1"), &k));

    char longest[INDEX_KEY_MAX + 1];
    memset(longest, 'n', sizeof longest);
    k.name = str_from(longest, sizeof longest - 9);
    cr_assert_eq(index_key_print(&k, text), INDEX_KEY_MAX); /* "/nodes//" is 8 bytes. */
    k.name.len++;
    cr_assert_eq(index_key_print(&k, text), 0);
}

TEST(index, a_list_is_a_range_of_one_snapshot)
{
    char all[INDEX_KEY_MAX + 1];
    struct index *x = index_new();
    put(x, "/pods/a/1", 1);
    put(x, "/pods/a/2", 2);
    put(x, "/pods/b/1", 3);
    put(x, "/podtemplates/a/1", 4);
    index_publish(x, 4);
    struct index_snapshot s = index_snapshot(x);
    put(x, "/pods/a/0", 5);
    index_publish(x, 5);

    size_t len = index_prefix_all(STR(""), STR("pods"), all);
    cr_assert_eq(index_count(&s, str_from(all, len), STR("")), 3);
    cr_assert_eq(index_count(&s, STR("/pods/a/"), STR("")), 2);
    cr_assert_eq(index_count(&s, STR("/pods/a/"), STR("/pods/a/2")), 1);
    cr_assert_eq(index_count(&s, STR("/pods/c/"), STR("")), 0);
    cr_assert_eq(index_count(&s, STR(""), STR("")), 4);

    struct index_range r;
    index_range(&r, &s, str_from(all, len), STR("/pods/a/2"));
    cr_assert(str_is(cow_entry_key(index_range_next(&r)), "/pods/a/2"));
    cr_assert(str_is(cow_entry_key(index_range_next(&r)), "/pods/b/1"));
    cr_assert_null(index_range_next(&r));
    cr_assert_null(index_find(&s, STR("/pods/a/0")));
    cr_assert_eq(s.revision, 4);
    index_snapshot_free(&s);

    s = index_snapshot(x);
    cr_assert_not_null(index_find(&s, STR("/pods/a/0")));
    index_snapshot_free(&s);
    index_free(x);
}
