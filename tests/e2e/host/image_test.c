/* SPDX-License-Identifier: Apache-2.0 */
/* The sample image from its layout and from an archive, unpacked and mounted by the kernel. */
#include "nodeagent/host/image.h"
#include "io/clock.h"
#include "io/digest.h"
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

static enum err_code ensure(struct str name, enum image_policy policy, struct image_config *out,
                            struct err *e)
{
    return image_ensure(shelf.store, &(struct image_want){.name = name, .policy = policy},
                        &shelf.arena, out, e);
}

TEST(image, a_layout_is_ready_without_any_program)
{
    struct image_config image;
    struct err e;
    if (!open_shelf())
        return;
    for (int i = 0; i < 2; i++)
        cr_assert_eq(ensure(STR("oci:busybox:latest"), IMAGE_ALWAYS, &image, &e), ERR_OK, "%s",
                     e.text);
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
    cr_assert_eq(ensure(name, IMAGE_NEVER, &image, &e), ERR_NOT_FOUND, "%s", e.text);
    cr_assert_eq(ensure(name, IMAGE_IF_NOT_PRESENT, &image, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(image_find(shelf.store, name, &shelf.arena, &image, &e), ERR_OK, "%s", e.text);
    struct image_entry list[2];
    uint32_t count = 0;
    cr_assert_eq(images_list(shelf.store, &shelf.arena, 2, list, &count, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(count, 1, "a layout is not told of");
    cr_assert(str_eq(list[0].name, name));
    cr_assert_eq(list[0].size_bytes, image.size_bytes);
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
    cr_assert_eq(ensure(STR("oci:nothing"), IMAGE_ALWAYS, &image, &e), ERR_NOT_FOUND, "%s", e.text);
    cr_assert_eq(ensure(STR("oci:busybox:v9"), IMAGE_ALWAYS, &image, &e), ERR_NOT_FOUND, "%s",
                 e.text);
    cr_assert_eq(ensure(STR("docker-archive:none.tar"), IMAGE_IF_NOT_PRESENT, &image, &e),
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
    cr_assert_eq(ensure(STR("oci:busybox"), IMAGE_ALWAYS, &image, &e), ERR_CORRUPT, "%s", e.text);
    close_shelf();
}

/* Two images from archives, each with a file that no other image on this machine has: an overlay of another
 * agent would keep what has the same content. */
static const struct str box = STR("docker-archive:box.tar"),
                        second = STR("docker-archive:second.tar");

static bool open_two(void)
{
    char script[1024];
    struct image_config image;
    struct err e;
    if (!open_shelf() || access("/usr/bin/skopeo", X_OK) != 0)
        return false;
    snprintf(script, sizeof script,
             ". %s/../deploy/samples/layout.sh && cd %s && for i in box second; do "
             "mkdir -p $i && dd if=/dev/urandom of=$i/file bs=1M count=3 2>/dev/null && "
             "layout_write import/$i latest $i '{}' >/dev/null && skopeo --insecure-policy copy -q "
             "oci:import/$i:latest docker-archive:import/$i.tar || exit 1; done",
             TESTS_DIR, shelf.directory);
    cr_assert_eq(system(script), 0);
    const struct str names[] = {box, second};
    for (int i = 0; i < 2; i++)
        cr_assert_eq(ensure(names[i], IMAGE_IF_NOT_PRESENT, &image, &e), ERR_OK, "%s", e.text);
    return true;
}

static bool is_here(struct str name)
{
    struct image_config image;
    return image_find(shelf.store, name, &shelf.arena, &image, NULL) == ERR_OK;
}

static struct images_collected collect(uint64_t bytes, const char *mounts, struct span age_min)
{
    struct images_collected got;
    struct err e;
    struct images_collect q = {.bytes = bytes,
                               .mounts = mounts,
                               .now = {clock_wall().ns + SPAN_S(2).ns},
                               .age_min = age_min};
    cr_assert_eq(images_collect(shelf.store, &q, &got, &e), ERR_OK, "%s", e.text);
    return got;
}

static void used_at(struct str name, int64_t seconds)
{
    char hash[DIGEST_TEXT_LEN + 1], path[256];
    struct timespec at[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
    struct str full;
    struct err e;
    cr_assert_eq(image_name_parse(name, &shelf.arena, &full, &e), ERR_OK);
    digest_of(full, hash);
    snprintf(path, sizeof path, "%s/refs/%s", shelf.images, hash + 7);
    cr_assert_eq(utimensat(AT_FDCWD, path, at, 0), 0, "%s", path);
}

TEST(image, the_one_used_longest_ago_goes_first_and_whole)
{
    char path[256];
    if (!open_two())
        return;
    cr_assert_eq(collect(0, "/dev/null", (struct span){0}).images, 0, "nothing is wanted");
    cr_assert_eq(collect(UINT64_MAX, "/dev/null", SPAN_S(60)).images, 0, "both are young");
    used_at(box, 2000);
    used_at(second, 1000);
    struct images_collected got = collect(1, "/dev/null", SPAN_S(60));
    cr_assert_eq(got.images, 1);
    cr_assert_gt(got.bytes, 3u << 20, "its blob and its layer");
    cr_assert(is_here(box) && !is_here(second));
    got = collect(UINT64_MAX, "/dev/null", (struct span){0});
    cr_assert_eq(got.images, 1);
    snprintf(path, sizeof path, "%s/layers", shelf.images);
    cr_assert_eq(rmdir(path), 0, "a layer is left");
    snprintf(path, sizeof path, "%s/blobs/sha256", shelf.images);
    cr_assert_eq(rmdir(path), 0, "a blob is left");
    close_shelf();
}

TEST(image, what_is_mounted_stays_whatever_is_wanted)
{
    struct image_config image;
    struct err e;
    char path[256];
    if (!open_two())
        return;
    cr_assert_eq(image_find(shelf.store, second, &shelf.arena, &image, &e), ERR_OK);
    cr_assert_eq(fs_mkdir(shelf.root, 0755, &e), ERR_OK);
    cr_assert_eq(image_mount(shelf.store, &image, shelf.root, &e), ERR_OK, "%s", e.text);
    used_at(second, 1);
    cr_assert_eq(collect(UINT64_MAX, "/proc/self/mountinfo", (struct span){0}).images, 1);
    cr_assert(is_here(second) && !is_here(box));
    snprintf(path, sizeof path, "%s/rootfs/file", shelf.root);
    cr_assert_eq(access(path, R_OK), 0);
    cr_assert_eq(collect(UINT64_MAX, "/proc/self/mountinfo", SPAN_S(60)).images, 0);
    cr_assert_eq(image_unmount(shelf.root, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(collect(UINT64_MAX, "/proc/self/mountinfo", SPAN_S(60)).images, 0,
                 "it was in use when the last collection looked");
    cr_assert_eq(collect(UINT64_MAX, "/proc/self/mountinfo", (struct span){0}).images, 1);
    close_shelf();
}

TEST(image, what_nobody_can_use_goes_before_any_image)
{
    char script[1024], orphan[256], broken[256];
    if (!open_two())
        return;
    snprintf(orphan, sizeof orphan, "%s/layers/%032d", shelf.images, 7);
    snprintf(broken, sizeof broken, "%s/refs/broken", shelf.images);
    snprintf(script, sizeof script,
             "mkdir -p %s %s && cp /bin/busybox %s && echo '{' >%s/index.json", orphan, broken,
             orphan, broken);
    cr_assert_eq(system(script), 0);
    used_at(box, 1);
    struct images_collected got = collect(1, "/dev/null", (struct span){0});
    cr_assert_gt(got.bytes, 0);
    cr_assert(is_here(box) && is_here(second));
    cr_assert_neq(access(orphan, F_OK), 0, "no image leads to it");
    cr_assert_neq(access(broken, F_OK), 0, "it does not read");
    close_shelf();
}

TEST(image, the_surplus_is_what_lies_between_the_thresholds)
{
    uint64_t bytes = 1;
    struct err e;
    if (!open_shelf())
        return;
    cr_assert_eq(images_surplus(shelf.store, 100, 0, &bytes, &e), ERR_OK);
    cr_assert_eq(bytes, 0, "100 is never");
    cr_assert_eq(images_surplus(shelf.store, 0, 0, &bytes, &e), ERR_OK);
    cr_assert_gt(bytes, 0, "a disk on which nothing is used");
    close_shelf();
}
