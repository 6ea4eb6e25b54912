/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces, default accounts and garbage: what must become true, however it got there. */
#include "api/typed.h"
#include "proto/k8s/core_v1.pb-c.h"
#include "tests/testlib/test.h"
#include "tests/unit/controlplane/world.h"
#include <stdio.h>

#define CONFIG(n) "/configmaps/default/" n

static struct blob *namespace_object(const char *name)
{
    return object_make(&(struct object_parts){.kind = "Namespace", .name = name});
}

TEST(controllers, a_namespace_gets_its_account_and_label)
{
    struct world *w = world_new();
    world_create(w, "/namespaces//shop", namespace_object("shop"));
    struct meta m = world_meta(w, "/namespaces//shop");
    cr_assert(str_is(meta_label(&m, STR("kubernetes.io/metadata.name")), "shop"));
    cr_assert(world_has(w, "/serviceaccounts/shop/default"));
    world_delete(w, "/serviceaccounts/shop/default", "");
    cr_assert(world_has(w, "/serviceaccounts/shop/default")); /* It came back. */
    cr_assert(world_has(w, "/configmaps/shop/kube-root-ca.crt"));
    world_delete(w, "/configmaps/shop/kube-root-ca.crt", "");
    cr_assert(world_has(w, "/configmaps/shop/kube-root-ca.crt"));

    /* Somebody else's idea of the CA does not last. */
    uint64_t before = world_meta(w, "/configmaps/shop/kube-root-ca.crt").revision;
    world_replace(
        w, "/configmaps/shop/kube-root-ca.crt",
        object_make(&(struct object_parts){.name = "kube-root-ca.crt", .namespace = "shop"}), 0);
    cr_assert_eq(world_meta(w, "/configmaps/shop/kube-root-ca.crt").revision, before + 2);
    world_free(w);
}

TEST(controllers, a_deleted_namespace_is_emptied_first)
{
    struct world *w = world_new();
    world_create(w, "/namespaces//shop", namespace_object("shop"));
    for (uint32_t i = 0; i < 600; i++) {
        char name[16], key[64];
        snprintf(name, sizeof name, "c%u", i);
        snprintf(key, sizeof key, "/configmaps/shop/%s", name);
        world_create(w, key,
                     object_make(&(struct object_parts){.name = name,
                                                        .namespace = "shop",
                                                        .finalizer = i == 7 ? "x.io/h" : NULL}));
    }
    struct world_answer *a = world_delete(w, "/namespaces//shop", "Background");
    cr_assert(a->result == WRITE_OK && !a->gone);
    cr_assert(world_meta(w, "/namespaces//shop").is_deleting);
    cr_assert(world_has(w, "/configmaps/shop/c7") && !world_has(w, "/configmaps/shop/c8"));
    cr_assert(!world_has(w, "/serviceaccounts/shop/default"));
    cr_assert_eq(world_delete(w, "/namespaces//shop", "")->result, WRITE_OK);

    a = world_create(w, "/configmaps/shop/new",
                     object_make(&(struct object_parts){.name = "new", .namespace = "shop"}));
    cr_assert_eq(a->result, WRITE_TERMINATING);
    world_replace(w, "/configmaps/shop/c7",
                  object_make(&(struct object_parts){.name = "c7", .namespace = "shop"}), 0);
    cr_assert(!world_has(w, "/configmaps/shop/c7"));
    cr_assert(!world_has(w, "/namespaces//shop"));

    cr_assert_eq(world_delete(w, "/namespaces//default", "")->result, WRITE_DENIED);
    world_free(w);
}

/* The process dies at every turn of a namespace's deletion: the next one finishes it. */
TEST(controllers, a_namespace_goes_whenever_the_process_dies)
{
    for (uint32_t turns = 0; turns < 12; turns++) {
        struct world *w = world_new();
        world_create(w, "/namespaces//shop", namespace_object("shop"));
        world_create(w, "/configmaps/shop/a",
                     object_make(&(struct object_parts){.name = "a", .namespace = "shop"}));
        struct write_request r = {
            .verb = WRITE_DELETE, .key = STR("/namespaces//shop"), .grace_seconds = -1};
        uint64_t op = world_write(w, &r);
        for (uint32_t i = 0; i < turns; i++)
            world_turn(w);
        bool told = w->answers[op].is_there;
        w = world_crash(w);
        cr_assert(world_settle(w));
        cr_assert(!told || !world_has(w, "/namespaces//shop"));
        cr_assert_eq(world_has(w, "/namespaces//shop"), world_has(w, "/configmaps/shop/a"));
        world_free(w);
    }
}

/* What is being written cannot be deleted now, and nobody's end tells when it can. */
TEST(controllers, a_namespace_is_emptied_of_what_is_written_all_the_time)
{
    struct world *w = world_new();
    world_create(w, "/namespaces//shop", namespace_object("shop"));
    world_create(w, "/configmaps/shop/x",
                 object_make(&(struct object_parts){.name = "x", .namespace = "shop"}));
    struct write_request r = {
        .verb = WRITE_DELETE, .key = STR("/namespaces//shop"), .grace_seconds = -1};
    world_write(w, &r);
    for (uint32_t i = 0; i < 40; i++) {
        char label[16];
        snprintf(label, sizeof label, "v%u", i);
        struct blob *x = object_make(&(struct object_parts){
            .name = "x", .namespace = "shop", .label_key = "is", .label_value = label});
        world_write(w, &(struct write_request){
                           .verb = WRITE_REPLACE, .key = STR("/configmaps/shop/x"), .object = x});
        blob_unref(x);
        world_turn(w);
        world_pass(w, SPAN_MS(1));
    }
    cr_assert(world_settle(w));
    cr_assert(!world_has(w, "/configmaps/shop/x"));
    cr_assert(!world_has(w, "/namespaces//shop"));
    world_free(w);
}

/* ---- Garbage ---- */

static char *uid_of(struct world *w, const char *key, char out[64])
{
    struct meta m = world_meta(w, key);
    snprintf(out, 64, "%.*s", STR_ARG(m.uid));
    return out;
}

static void make_owned(struct world *w, const char *name, const char *owner, const char *owner_uid)
{
    char key[100];
    snprintf(key, sizeof key, "/configmaps/default/%s", name);
    world_create(w, key,
                 object_make(&(struct object_parts){.name = name,
                                                    .namespace = "default",
                                                    .owner_kind = "ConfigMap",
                                                    .owner_name = owner,
                                                    .owner_uid = owner_uid}));
}

static struct world *family(void)
{
    struct world *w = world_new();
    char uid[64];
    world_config(w, "parent");
    make_owned(w, "child", "parent", uid_of(w, CONFIG("parent"), uid));
    make_owned(w, "grandchild", "child", uid_of(w, CONFIG("child"), uid));
    return w;
}

TEST(garbage, background_takes_dependents_afterwards)
{
    struct world *w = family();
    struct world_answer *a = world_delete(w, CONFIG("parent"), "Background");
    cr_assert(a->result == WRITE_OK && a->gone);
    cr_assert(!world_has(w, CONFIG("child")) && !world_has(w, CONFIG("grandchild")));
    world_free(w);
}

TEST(garbage, foreground_takes_dependents_first)
{
    struct world *w = family();
    world_create(w, CONFIG("held"),
                 object_make(&(struct object_parts){.name = "held", .namespace = "default"}));
    char uid[64];
    make_owned(w, "slow", "child", uid_of(w, CONFIG("child"), uid));
    world_replace(w, CONFIG("slow"),
                  object_make(&(struct object_parts){.name = "slow",
                                                     .namespace = "default",
                                                     .owner_kind = "ConfigMap",
                                                     .owner_name = "child",
                                                     .owner_uid = uid,
                                                     .finalizer = "x.io/h"}),
                  0);
    struct world_answer *a = world_delete(w, CONFIG("parent"), "Foreground");
    cr_assert(a->result == WRITE_OK && !a->gone);
    /* grandchild went; slow holds child, which holds parent. */
    cr_assert(!world_has(w, CONFIG("grandchild")));
    cr_assert(world_meta(w, CONFIG("child")).is_deleting);
    cr_assert(world_meta(w, CONFIG("parent")).is_deleting);
    world_replace(w, CONFIG("slow"),
                  object_make(&(struct object_parts){.name = "slow", .namespace = "default"}), 0);
    cr_assert(!world_has(w, CONFIG("slow")) && !world_has(w, CONFIG("child")));
    cr_assert(!world_has(w, CONFIG("parent")) && world_has(w, CONFIG("held")));
    world_free(w);
}

TEST(garbage, orphans_stay_without_their_owner)
{
    struct world *w = family();
    cr_assert(!world_delete(w, CONFIG("parent"), "Orphan")->gone);
    cr_assert(!world_has(w, CONFIG("parent")));
    cr_assert(world_has(w, CONFIG("child")) && world_has(w, CONFIG("grandchild")));
    cr_assert_eq(world_meta(w, CONFIG("child")).owners_count, 0);
    cr_assert_eq(world_meta(w, CONFIG("grandchild")).owners_count, 1);
    world_free(w);
}

TEST(garbage, an_owner_who_never_was_is_gone)
{
    struct world *w = world_new();
    world_config(w, "parent");
    make_owned(w, "wrong-uid", "parent", "00000000-0000-4000-8000-000000000000");
    make_owned(w, "nobody", "no-such", "00000000-0000-4000-8000-000000000001");
    cr_assert(!world_has(w, CONFIG("wrong-uid")) && !world_has(w, CONFIG("nobody")));

    /* Of a kind nobody knows here: who can say that it is gone? */
    world_create(w, CONFIG("foreign"),
                 object_make(&(struct object_parts){.name = "foreign",
                                                    .namespace = "default",
                                                    .owner_kind = "Spaceship",
                                                    .owner_name = "x",
                                                    .owner_uid = "u"}));
    cr_assert(world_has(w, CONFIG("foreign")));
    world_free(w);
}

TEST(garbage, a_circle_does_not_hold_itself)
{
    for (uint32_t foreground = 0; foreground < 2; foreground++) {
        struct world *w = world_new();
        char uid[64];
        world_config(w, "a");
        make_owned(w, "b", "a", uid_of(w, CONFIG("a"), uid));
        uid_of(w, CONFIG("b"), uid);
        world_replace(w, CONFIG("a"),
                      object_make(&(struct object_parts){.name = "a",
                                                         .namespace = "default",
                                                         .owner_kind = "ConfigMap",
                                                         .owner_name = "b",
                                                         .owner_uid = uid}),
                      0);
        cr_assert(world_has(w, CONFIG("a")) && world_has(w, CONFIG("b")));
        world_delete(w, CONFIG("a"), foreground ? "Foreground" : "Background");
        cr_assert(!world_has(w, CONFIG("a")) && !world_has(w, CONFIG("b")));
        world_free(w);
    }
}

/* Ownership is found again after a restart: it is read from the objects. */
TEST(garbage, survives_a_restart)
{
    struct world *w = family();
    w = world_crash(w);
    cr_assert(world_settle(w));
    world_delete(w, CONFIG("parent"), "Background");
    cr_assert(!world_has(w, CONFIG("child")) && !world_has(w, CONFIG("grandchild")));
    world_free(w);
}

enum { WEB = 12 };

/* A ConfigMap whose owners are these, but for itself. */
static void own_by(struct world *w, const char *name, char names[WEB][8], char uids[WEB][64])
{
    Core__ConfigMap m = CORE__CONFIG_MAP__INIT;
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    Meta__OwnerReference owners[WEB], *list[WEB];
    struct arena a;
    char key[64];
    arena_init(&a, 1 << 20);
    for (uint32_t i = 0; i < WEB; i++) {
        if (strcmp(names[i], name) == 0)
            continue;
        Meta__OwnerReference *o = &owners[meta.n_owner_references];
        meta__owner_reference__init(o);
        o->api_version = (char *)"v1";
        o->kind = (char *)"ConfigMap";
        o->name = names[i];
        o->uid = uids[i];
        list[meta.n_owner_references++] = o;
    }
    meta.name = (char *)name;
    meta.namespace_ = (char *)"default";
    meta.owner_references = list;
    m.metadata = &meta;
    snprintf(key, sizeof key, CONFIG("%s"), name);
    world_replace(w, key, blob_new(typed_wrap(&a, "v1", "ConfigMap", &m)), 0);
    arena_free(&a);
}

/* As many ways from owner to owner as there are atoms: nobody may have the core walk them all. */
TEST(garbage, owners_that_all_own_each_other_are_not_walked_to_the_end)
{
    char names[WEB][8], uids[WEB][64], key[64], uid[64];
    struct world *w = family();
    make_owned(w, "slow", "child", uid_of(w, CONFIG("child"), uid));
    world_replace(w, CONFIG("slow"),
                  object_make(&(struct object_parts){.name = "slow",
                                                     .namespace = "default",
                                                     .owner_kind = "ConfigMap",
                                                     .owner_name = "child",
                                                     .owner_uid = uid,
                                                     .finalizer = "x.io/h"}),
                  0);
    for (uint32_t i = 0; i < WEB; i++) {
        snprintf(names[i], sizeof names[i], "w%u", i);
        snprintf(key, sizeof key, CONFIG("%s"), names[i]);
        world_create(w, key,
                     object_make(&(struct object_parts){.name = names[i], .namespace = "default"}));
        uid_of(w, key, uids[i]);
    }
    for (uint32_t i = 0; i < WEB; i++)
        own_by(w, names[i], names, uids);
    own_by(w, "parent", names, uids);
    world_delete(w, CONFIG("parent"), "Foreground");
    cr_assert(world_meta(w, CONFIG("child")).is_deleting);
    cr_assert(world_meta(w, CONFIG("parent")).is_deleting);
    world_replace(w, CONFIG("slow"),
                  object_make(&(struct object_parts){.name = "slow", .namespace = "default"}), 0);
    cr_assert(!world_has(w, CONFIG("child")) && !world_has(w, CONFIG("parent")));
    cr_assert(world_has(w, CONFIG("w0")));
    world_free(w);
}

/* Kubernetes: what is in no namespace can only be owned by what is in none. Any other owner cannot be looked for, and
 * nobody can say that it is gone. */
TEST(garbage, an_owner_in_a_namespace_is_none_of_what_is_in_no_namespace)
{
    struct world *w = world_new();
    world_create(w, "/namespaces//shop",
                 object_make(&(struct object_parts){.kind = "Namespace",
                                                    .name = "shop",
                                                    .owner_kind = "ConfigMap",
                                                    .owner_name = "c",
                                                    .owner_uid = "u"}));
    cr_expect(world_has(w, "/namespaces//shop"));
    cr_expect_not(world_meta(w, "/namespaces//shop").is_deleting);
    world_create(w, "/namespaces//stall",
                 object_make(&(struct object_parts){.kind = "Namespace",
                                                    .name = "stall",
                                                    .owner_kind = "Namespace",
                                                    .owner_name = "gone",
                                                    .owner_uid = "u"}));
    cr_expect_not(world_has(w, "/namespaces//stall"));
    world_free(w);
}
