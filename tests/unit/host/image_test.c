/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/host/image.h"
#include "io/fs.h"
#include "nodeagent/host/image_priv.h"
#include "tests/testlib/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void name_is(const char *name, const char *want)
{
    struct arena a;
    struct str got;
    struct err e;
    arena_init(&a, 1 << 16);
    cr_assert_eq(image_name_parse(str_of(name), &a, &got, &e), ERR_OK, "%s", name);
    cr_assert(str_is(got, want), "%s: " STR_FMT, name, STR_ARG(got));
    arena_free(&a);
}

TEST(image, names_are_completed_like_docker_does)
{
    name_is("busybox", "docker.io/library/busybox:latest");
    name_is("grafana/grafana:9", "docker.io/grafana/grafana:9");
    name_is("example.org/a/b", "example.org/a/b:latest");
    name_is("localhost:5000/x:1", "localhost:5000/x:1");
    name_is("localhost/x@sha256:ab", "localhost/x@sha256:ab");
    name_is("oci:busybox", "oci:busybox");
}

TEST(image, bad_names_are_refused)
{
    struct arena a;
    struct str got;
    const char *const bad[] = {"", "-x", "/etc", "a b", "a\n", "--option", "a;b"};
    arena_init(&a, 1 << 16);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_assert_eq(image_name_parse(str_of(bad[i]), &a, &got, NULL), ERR_INVALID, "%s", bad[i]);
    arena_free(&a);
}

TEST(image, local_names_stay_below_the_import_directory)
{
    struct images s = {.directory = "/images", .import = "/import"};
    struct image_place p;
    struct arena a;
    const char *const bad[] = {"oci:../etc", "oci:a/../../b",  "oci:.hidden",
                               "oci:a//b",   "oci-archive:..", "docker-archive:a/../b"};
    arena_init(&a, 1 << 16);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_assert_eq(image__place(&s, str_of(bad[i]), &a, &p, NULL), ERR_DENIED, "%s", bad[i]);
    cr_assert_eq(image__place(&s, STR("oci:busybox:1.2"), &a, &p, NULL), ERR_OK);
    cr_assert_str_eq(p.layout, "/import/busybox");
    cr_assert(str_is(p.tag, "1.2"));
    arena_free(&a);
}

static void put(const char *root, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    cr_assert_eq(fs_put(path, str_of(text), 0644, NULL), ERR_OK);
}

TEST(image, users_are_the_images_own)
{
    char root[] = "/tmp/baton-user-XXXXXX", etc[64];
    struct image_user u;
    struct err e;
    cr_assert(mkdtemp(root) != NULL);
    cr_assert_eq(image_user_find(root, STR("1000:1001"), &u, &e), ERR_OK, "no files needed");
    cr_assert_eq(u.uid, 1000);
    cr_assert_eq(u.gid, 1001);
    cr_assert_eq(image_user_find(root, STR("web"), &u, &e), ERR_NOT_FOUND);
    snprintf(etc, sizeof etc, "%s/etc", root);
    cr_assert_eq(fs_mkdir(etc, 0755, NULL), ERR_OK);
    put(root, "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nbroken\nweb:x:33:34:Web:/srv:/bin/sh\n");
    put(root, "etc/group", "web:x:34:\nlogs:x:50:root,web\nadm:x:51:other\n");
    cr_assert_eq(image_user_find(root, STR("web"), &u, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(u.uid, 33);
    cr_assert_eq(u.gid, 34);
    cr_assert_eq(u.groups_count, 1);
    cr_assert_eq(u.groups[0], 50);
    cr_assert_str_eq(u.home, "/srv");
    cr_assert_eq(image_user_find(root, STR("33:logs"), &u, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(u.gid, 50);
    cr_assert_eq(image_user_find(root, STR("web:nobody"), &u, &e), ERR_NOT_FOUND);

    /* A link that leads out of the root finds nothing outside. */
    char path[128];
    snprintf(path, sizeof path, "%s/etc/passwd", root);
    unlink(path);
    cr_assert_eq(symlink("/../../../../etc/passwd", path), 0);
    cr_assert_eq(image_user_find(root, STR("daemon"), &u, &e), ERR_NOT_FOUND);
    cr_assert_eq(fs_remove_tree(root, NULL), ERR_OK);
}
