/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/auth.h"
#include "tests/testlib/test.h"

static const struct wall now = {INT64_C(1795262400) * 1000000000};

static struct http_peer peer_of(const char *name, const char *group)
{
    struct http_peer p = {.state = HTTP_PEER_TRUSTED, .id = {.not_after = {now.ns + 1}}};
    size_t len = strlen(name) + 1;
    memcpy(p.id.names, name, len);
    memcpy(p.id.names + len, group, strlen(group) + 1);
    p.id.groups_count = 1;
    return p;
}

static bool may(const struct user *u, enum rest_verb verb, struct rest_path at, const char *path,
                struct arena *a, struct str *text)
{
    at.is_resource = at.resource.len > 0;
    return auth_may(
        &(struct auth_question){
            .user = u, .verb = verb, .at = &at, .method = STR("GET"), .path = str_of(path)},
        a, text);
}

TEST(auth, certificates)
{
    struct index *objects = index_new();
    struct index_snapshot snapshot = index_snapshot(objects);
    struct arena a;
    struct user u;
    struct err e;
    struct str text;

    arena_init(&a, 1 << 20);
    struct http_peer admin = peer_of("admin", "system:masters");
    cr_assert_eq(auth_user(&admin, STR(""), &snapshot, NULL, now, &a, &u, &e), ERR_OK);
    cr_assert(str_is(u.name, "admin") && user_in_group(&u, "system:authenticated"));
    cr_assert(may(&u, REST_DELETE, (struct rest_path){.resource = STR("nodes")}, "", &a, &text));

    admin.id.not_after.ns = now.ns;
    cr_assert_eq(auth_user(&admin, STR(""), &snapshot, NULL, now, &a, &u, &e), ERR_DENIED);
    admin.state = HTTP_PEER_REFUSED;
    cr_assert_eq(auth_user(&admin, STR(""), &snapshot, NULL, now, &a, &u, &e), ERR_DENIED);

    struct http_peer node = peer_of("system:node:n1", "system:nodes");
    cr_assert_eq(auth_user(&node, STR(""), &snapshot, NULL, now, &a, &u, &e), ERR_OK);
    cr_assert(str_is(u.node, "n1"));
    struct rest_path own = {.resource = STR("nodes"), .name = STR("n1")};
    cr_assert(may(&u, REST_GET, own, "", &a, &text));
    own.name = STR("n2");
    cr_assert_not(may(&u, REST_GET, own, "", &a, &text));
    cr_assert(str_is(text, "nodes \"n2\" is forbidden: User \"system:node:n1\" cannot get resource "
                           "\"nodes\" in API group \"\" at the cluster scope"),
              STR_FMT, STR_ARG(text));
    arena_free(&a);
    index_snapshot_free(&snapshot);
    index_free(objects);
}

TEST(auth, nobody_sees_health_and_nothing_else)
{
    struct http_peer none = {.state = HTTP_PEER_NONE};
    struct arena a;
    struct user u;
    struct err e;
    struct str text;

    arena_init(&a, 1 << 20);
    cr_assert_eq(auth_user(&none, STR(""), NULL, NULL, now, &a, &u, &e), ERR_OK);
    cr_assert(u.anonymous);
    cr_assert(may(&u, REST_OTHER, (struct rest_path){0}, "/readyz", &a, &text));
    cr_assert_not(may(&u, REST_OTHER, (struct rest_path){0}, "/metrics", &a, &text));
    cr_assert(str_is(text, "forbidden: User \"system:anonymous\" cannot get path \"/metrics\""));
    struct rest_path pods = {.resource = STR("pods"), .namespace = STR("default")};
    cr_assert_not(may(&u, REST_LIST, pods, "", &a, &text));
    cr_assert(str_is(text, "pods is forbidden: User \"system:anonymous\" cannot list resource "
                           "\"pods\" in API group \"\" in the namespace \"default\""));
    cr_assert_eq(auth_user(&none, STR("Basic YWRtaW46"), NULL, NULL, now, &a, &u, &e), ERR_DENIED);
    arena_free(&a);
}

TEST(auth, tokens_are_kept_as_hashes_and_end)
{
    static const unsigned char key[SEAL_KEY_SIZE] = {1};
    struct seal *seal = seal_from_key(key);
    struct index *objects = index_new();
    struct token_record wanted = {.user = STR("ci"),
                                  .groups = STR("system:masters,builders"),
                                  .expires = {now.ns + SPAN_S(60).ns}};
    struct http_peer none = {.state = HTTP_PEER_NONE};
    struct token_made made;
    struct arena a;
    struct user u;
    struct err e;

    arena_init(&a, 1 << 20);
    token_new(seal, &wanted, &a, &made);
    cr_assert_null(memmem(made.object->at, made.object->len, made.text + 7, TOKEN_SECRET_LEN));
    struct str where =
        arena_printf(&a, "/secrets/" TOKENS_NAMESPACE "/" STR_FMT, STR_ARG(made.name));
    cow_entry_unref(
        cowtree_put(index_tree(objects), cow_entry_new(where, 1, blob_ref(made.object))));
    index_publish(objects, 1);
    struct index_snapshot snapshot = index_snapshot(objects);

    struct str header = arena_printf(&a, "Bearer %s", made.text);
    cr_assert_eq(auth_user(&none, header, &snapshot, seal, now, &a, &u, &e), ERR_OK, "%s", e.text);
    cr_assert(str_is(u.name, "ci") && user_in_group(&u, "builders"));
    struct wall later = {wanted.expires.ns};
    cr_assert_eq(auth_user(&none, header, &snapshot, seal, later, &a, &u, &e), ERR_DENIED);
    made.text[TOKEN_LEN - 1] ^= 1;
    header = arena_printf(&a, "Bearer %s", made.text);
    cr_assert_eq(auth_user(&none, header, &snapshot, seal, now, &a, &u, &e), ERR_DENIED);

    blob_unref(made.object);
    arena_free(&a);
    index_snapshot_free(&snapshot);
    index_free(objects);
    seal_free(seal);
}
