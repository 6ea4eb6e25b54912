/* SPDX-License-Identifier: Apache-2.0 */
/* The sample image from its layout and from an archive, unpacked and mounted by the kernel. */
#include "nodeagent/host/image.h"
#include "io/fs.h"
#include "tests/testlib/test.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static struct shelf {
    char directory[64], images[128], import[128], root[128];
    struct images *store;
    struct arena arena;
} shelf;

static bool open_shelf(void)
{
    char script[512];
    struct err e;
    if (geteuid() != 0 || access("/bin/busybox", X_OK) != 0) {
        fputs("skipped: needs root and busybox-static\n", stderr);
        return false;
    }
    shelf = (struct shelf){.directory = "/var/tmp/baton-image-XXXXXX"};
    cr_assert(mkdtemp(shelf.directory) != NULL);
    snprintf(shelf.images, sizeof shelf.images, "%s/store", shelf.directory);
    snprintf(shelf.import, sizeof shelf.import, "%s/import", shelf.directory);
    snprintf(shelf.root, sizeof shelf.root, "%s/root", shelf.directory);
    snprintf(script, sizeof script, "%s/../deploy/samples/make-busybox %s >/dev/null", TESTS_DIR,
             shelf.import);
    cr_assert_eq(system(script), 0);
    struct images_options opt = {.directory = str_of(shelf.images), .import = str_of(shelf.import)};
    cr_assert_eq(images_open(&opt, &shelf.store, &e), ERR_OK, "%s", e.text);
    arena_init(&shelf.arena, 64 << 20);
    return true;
}

static void close_shelf(void)
{
    struct err e;
    images_close(shelf.store);
    arena_free(&shelf.arena);
    cr_assert_eq(fs_remove_tree(shelf.directory, &e), ERR_OK, "%s", e.text);
}

static void mount_and_look(const struct image_config *image)
{
    char path[256];
    struct err e;
    struct stat st;
    cr_assert_eq(image_mount(shelf.store, image, shelf.root, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(image_mount(shelf.store, image, shelf.root, &e), ERR_OK, "again: %s", e.text);
    snprintf(path, sizeof path, "%s/rootfs/bin/busybox", shelf.root);
    cr_assert_eq(stat(path, &st), 0);
    snprintf(path, sizeof path, "%s/rootfs/written", shelf.root);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    close(fd);
    snprintf(path, sizeof path, "%s/rootfs/sda", shelf.root);
    cr_assert_eq(mknod(path, S_IFBLK | 0600, makedev(8, 0)), 0);
    cr_assert_lt(open(path, O_RDONLY | O_CLOEXEC), 0, "a device node in a root must not work");
    cr_assert_eq(image_unmount(shelf.root, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(image_unmount(shelf.root, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(rmdir(shelf.root), 0, "nothing is left");
}

TEST(image, a_layout_is_ready_without_any_program)
{
    struct image_config image;
    struct err e;
    if (!open_shelf())
        return;
    for (int i = 0; i < 2; i++)
        cr_assert_eq(image_ensure(shelf.store, STR("oci:busybox:latest"), IMAGE_ALWAYS, STR(""),
                                  &shelf.arena, &image, &e),
                     ERR_OK, "%s", e.text);
    cr_assert_eq(image.layers_count, 1);
    cr_assert(str_is(image.cmd[0], "/bin/sh"));
    cr_assert(str_is(image.env[0], "PATH=/bin"));
    cr_assert_eq(mkdir(shelf.root, 0755), 0);
    mount_and_look(&image);
    close_shelf();
}

TEST(image, an_archive_comes_by_skopeo)
{
    struct image_config image;
    struct err e;
    char script[512];
    if (!open_shelf() || access("/usr/bin/skopeo", X_OK) != 0)
        return;
    snprintf(script, sizeof script,
             "skopeo --insecure-policy copy -q oci:%s/busybox:latest docker-archive:%s/box.tar",
             shelf.import, shelf.import);
    cr_assert_eq(system(script), 0);
    struct str name = STR("docker-archive:box.tar");
    cr_assert_eq(image_ensure(shelf.store, name, IMAGE_NEVER, STR(""), &shelf.arena, &image, &e),
                 ERR_NOT_FOUND, "%s", e.text);
    cr_assert_eq(
        image_ensure(shelf.store, name, IMAGE_IF_NOT_PRESENT, STR(""), &shelf.arena, &image, &e),
        ERR_OK, "%s", e.text);
    cr_assert_eq(image_find(shelf.store, name, &shelf.arena, &image, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(mkdir(shelf.root, 0755), 0);
    mount_and_look(&image);
    close_shelf();
}

TEST(image, what_does_not_exist_is_said_so)
{
    struct image_config image;
    struct err e;
    if (!open_shelf())
        return;
    cr_assert_eq(image_ensure(shelf.store, STR("oci:nothing"), IMAGE_ALWAYS, STR(""), &shelf.arena,
                              &image, &e),
                 ERR_NOT_FOUND, "%s", e.text);
    cr_assert_eq(image_ensure(shelf.store, STR("oci:busybox:v9"), IMAGE_ALWAYS, STR(""),
                              &shelf.arena, &image, &e),
                 ERR_NOT_FOUND, "%s", e.text);
    cr_assert_eq(image_ensure(shelf.store, STR("docker-archive:none.tar"), IMAGE_IF_NOT_PRESENT,
                              STR(""), &shelf.arena, &image, &e),
                 ERR_NOT_FOUND, "%s", e.text);
    close_shelf();
}

TEST(image, a_changed_blob_is_not_unpacked)
{
    struct image_config image;
    struct err e;
    char script[512];
    if (!open_shelf())
        return;
    snprintf(script, sizeof script, "for f in %s/busybox/blobs/sha256/*; do printf x >>$f; done",
             shelf.import);
    cr_assert_eq(system(script), 0);
    cr_assert_eq(image_ensure(shelf.store, STR("oci:busybox"), IMAGE_ALWAYS, STR(""), &shelf.arena,
                              &image, &e),
                 ERR_CORRUPT, "%s", e.text);
    close_shelf();
}

TEST(image, garbage_goes_and_what_is_used_stays)
{
    struct image_config image;
    struct err e;
    char script[512], path[256];
    uint64_t removed = 0;
    struct str name = STR("docker-archive:box.tar");
    struct images_keep keep = {.names = &name, .names_count = 1};
    if (!open_shelf() || access("/usr/bin/skopeo", X_OK) != 0)
        return;
    snprintf(script, sizeof script,
             "skopeo --insecure-policy copy -q oci:%s/busybox:latest docker-archive:%s/box.tar",
             shelf.import, shelf.import);
    cr_assert_eq(system(script), 0);
    cr_assert_eq(
        image_ensure(shelf.store, name, IMAGE_IF_NOT_PRESENT, STR(""), &shelf.arena, &image, &e),
        ERR_OK, "%s", e.text);
    cr_assert_eq(images_collect(shelf.store, &keep, 0, &removed, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(removed, 0, "all of it is used");
    cr_assert_eq(image_find(shelf.store, name, &shelf.arena, &image, &e), ERR_OK, "%s", e.text);
    keep.names_count = 0;
    cr_assert_eq(images_collect(shelf.store, &keep, (uint64_t)1 << 40, &removed, &e), ERR_OK);
    cr_assert_eq(removed, 0, "there is room");
    cr_assert_eq(images_collect(shelf.store, &keep, 0, &removed, &e), ERR_OK, "%s", e.text);
    cr_assert_gt(removed, 500000, "two copies of busybox");
    snprintf(path, sizeof path, "%s/layers", shelf.images);
    cr_assert_eq(rmdir(path), 0, "a layer is left");
    cr_assert_eq(image_find(shelf.store, name, &shelf.arena, &image, &e), ERR_NOT_FOUND);
    close_shelf();
}
