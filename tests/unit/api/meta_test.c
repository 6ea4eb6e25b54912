/* SPDX-License-Identifier: Apache-2.0 */
#include "api/meta.h"
#include "tests/testlib/object.h"
#include "tests/testlib/test.h"

static struct blob *sample(void)
{
    return object_make(&(struct object_parts){.name = "web",
                                              .namespace = "default",
                                              .uid = "u-1",
                                              .label_key = "app",
                                              .label_value = "x",
                                              .owner_kind = "ReplicaSet",
                                              .owner_name = "rs",
                                              .owner_uid = "u-2",
                                              .finalizer = "example.com/hold",
                                              .payload = "the spec"});
}

static struct blob *written(struct str object, const struct meta_edit *edit)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    cr_assert_eq(meta_write(object, edit, &b, NULL), ERR_OK);
    return buf_blob(&b);
}

TEST(meta, reads_what_an_object_says_of_itself)
{
    struct blob *b = sample();
    struct meta m;
    struct meta_type t;
    struct meta_owner owner;
    struct str finalizer;

    cr_assert_eq(meta_read(blob_str(b), &m, NULL), ERR_OK);
    cr_assert_eq(meta_type(blob_str(b), &t, NULL), ERR_OK);
    cr_assert(str_is(t.kind, "ConfigMap") && str_is(t.api_version, "v1"));
    cr_assert(str_is(m.name, "web") && str_is(m.namespace, "default") && str_is(m.uid, "u-1"));
    cr_assert(!m.is_created && !m.is_deleting && m.revision == 0);
    cr_assert(str_is(meta_label(&m, STR("app")), "x"));
    cr_assert_null(meta_label(&m, STR("ap")).at);
    struct wire_reader r = meta_walk(&m);
    cr_assert(meta_next_owner(&r, &owner));
    cr_assert(str_is(owner.uid, "u-2") && str_is(owner.kind, "ReplicaSet") && owner.blocks);
    cr_assert(!meta_next_owner(&r, &owner));
    r = meta_walk(&m);
    cr_assert(meta_next_finalizer(&r, &finalizer) && str_is(finalizer, "example.com/hold"));
    cr_assert(meta_has_finalizer(&m, STR("example.com/hold")));
    blob_unref(b);
}

TEST(meta, nothing_to_change_changes_nothing)
{
    struct blob *b = sample(), *same = written(blob_str(b), &(struct meta_edit){0});
    cr_assert(str_eq(blob_str(b), blob_str(same)));
    blob_unref(same);

    /* And what was written comes back the same from being read and written again. */
    struct blob *once = written(blob_str(b), &(struct meta_edit){.revision = 77});
    struct blob *twice = written(blob_str(once), &(struct meta_edit){.revision = 77});
    cr_assert(str_eq(blob_str(once), blob_str(twice)));
    struct blob *back = written(blob_str(twice), &(struct meta_edit){0});
    cr_assert(str_eq(blob_str(b), blob_str(back)));
    blob_unref(once);
    blob_unref(twice);
    blob_unref(back);
    blob_unref(b);
}

TEST(meta, stamps_and_marks)
{
    struct blob *b = sample();
    struct meta m;
    struct blob *marked =
        written(blob_str(b), &(struct meta_edit){.uid = STR("u-9"),
                                                 .revision = 18446744073709551615u,
                                                 .generation = 3,
                                                 .set_created = true,
                                                 .created_s = 1700000000,
                                                 .set_deleted = true,
                                                 .deleted_s = 1700000030,
                                                 .grace_s = 30,
                                                 .label_key = STR("aaa"),
                                                 .label_value = STR("first"),
                                                 .add_finalizer = STR("orphan"),
                                                 .drop_finalizer = STR("example.com/hold"),
                                                 .drop_owner_uid = STR("u-2")});
    cr_assert_eq(meta_read(blob_str(marked), &m, NULL), ERR_OK);
    cr_assert(str_is(m.uid, "u-9") && str_is(m.name, "web"));
    cr_assert_eq(m.revision, 18446744073709551615u);
    cr_assert_eq(m.generation, 3);
    cr_assert(m.is_created && m.created_s == 1700000000);
    cr_assert(m.is_deleting && m.deleted_s == 1700000030 && m.has_grace && m.grace_s == 30);
    cr_assert_eq(m.labels_count, 2);
    cr_assert(str_is(meta_label(&m, STR("aaa")), "first"));
    cr_assert_eq(m.owners_count, 0);
    cr_assert_eq(m.finalizers_count, 1);
    cr_assert(meta_has_finalizer(&m, STR("orphan")));

    struct blob *cleared = written(blob_str(marked), &(struct meta_edit){.clear_deleted = true});
    cr_assert_eq(meta_read(blob_str(cleared), &m, NULL), ERR_OK);
    cr_assert(!m.is_deleting && !m.has_grace && m.revision == 0);
    struct meta_type t;
    cr_assert_eq(meta_type(blob_str(cleared), &t, NULL), ERR_OK);
    cr_assert(str_is(wire_find_bytes(t.raw, 2), "the spec"));
    blob_unref(b);
    blob_unref(marked);
    blob_unref(cleared);
}

/* An element that is there already is not added twice; a label is replaced in its place. */
TEST(meta, adds_what_is_not_there)
{
    struct blob *b = sample();
    struct meta m;
    struct blob *same =
        written(blob_str(b), &(struct meta_edit){.add_finalizer = STR("example.com/hold"),
                                                 .label_key = STR("app"),
                                                 .label_value = STR("y")});
    cr_assert_eq(meta_read(blob_str(same), &m, NULL), ERR_OK);
    cr_assert_eq(m.finalizers_count, 1);
    cr_assert_eq(m.labels_count, 1);
    cr_assert(str_is(meta_label(&m, STR("app")), "y"));
    blob_unref(b);
    blob_unref(same);
}

/* Every prefix of an object is refused or read, never read past its end (ASan watches). */
TEST(meta, broken_bytes_are_refused)
{
    struct blob *b = sample();
    struct buf out;
    struct meta m;
    buf_init(&out, 1 << 20);
    cr_assert_eq(meta_read(STR("{}"), &m, NULL), ERR_CORRUPT);
    for (size_t len = 0; len < b->len; len++) {
        struct blob *cut = blob_new(str_slice(blob_str(b), 0, len));
        struct meta_edit edit = {.revision = 5};
        buf_clear(&out);
        cr_assert_neq(meta_read(blob_str(cut), &m, NULL), ERR_LIMIT);
        cr_assert_neq(meta_write(blob_str(cut), &edit, &out, NULL), ERR_LIMIT);
        blob_unref(cut);
    }
    buf_free(&out);
    blob_unref(b);
}
