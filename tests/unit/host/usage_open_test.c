/* SPDX-License-Identifier: Apache-2.0 */
/* A file that was deleted and is still open, or only mapped, by this very process. */
#include "io/fs.h"
#include "nodeagent/host/usage_open.h"
#include "tests/testlib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BYTES = 256 << 10 };

static struct usage *ours(void *arg, int32_t pid, struct str groups)
{
    (void)groups;
    return pid == (int32_t)getpid() ? arg : NULL;
}

static struct usage look(uint64_t entries_max)
{
    struct usage u = {0};
    struct usage_walk walk = {.entries_max = entries_max};
    usage_open(&(struct usage_open){"/tmp", &walk, ours, &u});
    return u;
}

static int deleted(void)
{
    char path[] = "/tmp/baton-open.XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(posix_fallocate(fd, 0, BYTES), 0);
    cr_assert_eq(unlink(path), 0);
    return fd;
}

TEST(usage_open, finds_what_has_no_name_any_more_and_counts_it_once)
{
    struct usage before = look(1000000);
    int fd = deleted(), same = dup(fd);
    struct usage after = look(1000000);
    cr_expect_eq(after.bytes - before.bytes, BYTES);
    cr_expect_eq(after.inodes - before.inodes, 1);
    close(fd);
    cr_expect_eq(look(1000000).bytes - before.bytes, BYTES, "one is still open");
    close(same);
    cr_expect_eq(look(1000000).bytes, before.bytes);
}

TEST(usage_open, finds_what_is_only_mapped)
{
    if (geteuid() != 0)
        return; /* map_files is root's. */
    struct usage before = look(1000000);
    int fd = deleted();
    void *at = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, 0);
    cr_assert(at != MAP_FAILED);
    close(fd);
    cr_expect_eq(look(1000000).bytes - before.bytes, BYTES);
    munmap(at, BYTES);
}

TEST(usage_open, memory_and_files_with_a_name_are_not_meant)
{
    char path[] = "/tmp/baton-open.XXXXXX";
    struct usage before = look(1000000);
    int fd = mkstemp(path), memory = memfd_create("memory", MFD_CLOEXEC);
    cr_assert(fd >= 0 && memory >= 0);
    cr_assert_eq(posix_fallocate(fd, 0, BYTES), 0);
    cr_assert_eq(posix_fallocate(memory, 0, BYTES), 0);
    cr_expect_eq(look(1000000).bytes, before.bytes);
    close(memory);
    close(fd);
    unlink(path);
}

TEST(usage_open, says_when_it_did_not_look_at_all)
{
    cr_expect(look(2).partial);
    cr_expect(!look(1000000).partial);
}
