/* SPDX-License-Identifier: Apache-2.0 */
/* What a directory holds, when who fills it would rather not be counted. */
#include "io/clock.h"
#include "io/fs.h"
#include "nodeagent/host/usage.h"
#include "tests/testlib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KIB = 1024 };

static char top[64];

static void begin(void)
{
    snprintf(top, sizeof top, "/tmp/baton-usage.XXXXXX");
    cr_assert_not_null(mkdtemp(top));
}

static void end(void)
{
    cr_assert_eq(fs_remove_tree(top, NULL), ERR_OK);
}

static void put(const char *name, size_t bytes)
{
    char path[FS_PATH_MAX], block[KIB] = {1};
    cr_assert(fs_join(path, top, name));
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    for (size_t i = 0; i < bytes; i += sizeof block)
        cr_assert_eq(write(fd, block, sizeof block), (ssize_t)sizeof block);
    cr_assert_eq(fsync(fd), 0); /* What is not allocated yet takes no block. */
    close(fd);
}

static struct usage look(uint64_t entries_max)
{
    struct usage u = {0};
    struct usage_walk w = {.entries_max = entries_max};
    cr_expect(usage_directory(top, &w, &u));
    return u;
}

TEST(usage, counts_blocks_of_what_is_there)
{
    begin();
    struct usage empty = look(100);
    put("a", 64 * KIB);
    struct usage one = look(100);
    cr_expect_eq(one.bytes - empty.bytes, 64 * KIB);
    cr_expect_eq(one.inodes, 2, "the directory is one");
    cr_expect(!one.partial);
    end();
}

TEST(usage, a_file_of_many_names_counts_once_and_a_hole_not_at_all)
{
    char path[FS_PATH_MAX], other[FS_PATH_MAX];
    begin();
    struct usage empty = look(100);
    put("a", 64 * KIB);
    cr_assert(fs_join(path, top, "a") && fs_join(other, top, "b"));
    cr_assert_eq(link(path, other), 0);
    cr_assert(fs_join(other, top, "c"));
    cr_assert_eq(link(path, other), 0);
    put("hole", 0);
    cr_assert(fs_join(path, top, "hole"));
    cr_assert_eq(truncate(path, 1 << 30), 0);
    uint64_t bytes = look(100).bytes - empty.bytes;
    cr_expect(bytes <= 64 * KIB && bytes > 63 * KIB, "%llu", (unsigned long long)bytes);
    end();
}

TEST(usage, follows_no_link_and_enters_no_other_file_system)
{
    char path[FS_PATH_MAX];
    begin();
    cr_assert(fs_join(path, top, "out"));
    cr_assert_eq(symlink("/usr", path), 0);
    cr_assert(fs_join(path, top, "loop"));
    cr_assert_eq(symlink(".", path), 0);
    cr_expect_eq(look(100).inodes, 3);
    end();
}

TEST(usage, too_many_or_too_deep_is_said_and_not_followed)
{
    char path[FS_PATH_MAX], name[16];
    begin();
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "f%d", i);
        put(name, 0);
    }
    cr_expect(look(10).partial);
    cr_expect_eq(look(10).inodes, 11);
    cr_expect(!look(21).partial);
    snprintf(path, sizeof path, "%s", top);
    for (int i = 0; i < USAGE_DEPTH_MAX + 5; i++) {
        size_t len = strlen(path);
        snprintf(path + len, sizeof path - len, "/d");
        cr_assert_eq(mkdir(path, 0700), 0);
    }
    cr_expect(look(1000).partial);
    cr_expect_leq(look(1000).inodes, 1 + 20 + USAGE_DEPTH_MAX + 1);
    end();
}

static struct instant late(void)
{
    return (struct instant){100};
}

TEST(usage, ends_when_its_time_is_over)
{
    char name[16];
    struct usage u = {0};
    begin();
    for (int i = 0; i < 600; i++) {
        snprintf(name, sizeof name, "f%d", i);
        put(name, 0);
    }
    struct usage_walk w = {.entries_max = 1000, .until = {1}, .now = late};
    cr_expect(!usage_directory(top, &w, &u));
    cr_expect(u.partial);
    cr_expect_lt(u.inodes, 300);
    end();
}

TEST(usage, what_is_not_there_holds_nothing)
{
    struct usage u = {0};
    struct usage_walk w = {.entries_max = 10};
    cr_expect(usage_directory("/nowhere/at/all", &w, &u));
    cr_expect(u.bytes == 0 && u.inodes == 0 && !u.partial);
}

TEST(usage, a_disk_says_how_full_it_is)
{
    struct usage_disk d = {0};
    struct err e;
    cr_assert_eq(usage_disk("/tmp", &d, &e), ERR_OK);
    cr_expect(d.size_bytes >= d.free_bytes && d.inodes >= d.inodes_free && d.size_bytes > 0);
    cr_expect_eq(usage_disk("/nowhere/at/all", &d, &e), ERR_UNAVAILABLE);
}
