/* SPDX-License-Identifier: Apache-2.0 */
/* A log that is followed while its writer rotates it, faster than anybody looks. */
#include "nodeagent/shell/logfiles.h"

#include "io/fs.h"
#include "tests/testlib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct world {
    char directory[64], path[96];
    struct logfiles files;
    struct logs_reader reader;
    struct buf said;
} world;

static void put(const char *text)
{
    char line[256];
    FILE *file = fopen(world.path, "ab");
    cr_assert_not_null(file);
    snprintf(line, sizeof line, "2026-11-21T08:48:00.123456789Z stdout F %s\n", text);
    cr_assert_geq(fputs(line, file), 0);
    fclose(file);
}

/* As nodeagent/shim/log.c has it, with five files. */
static void rotate(void)
{
    char from[128], to[128];
    for (int n = 4; n > 0; n--) {
        snprintf(to, sizeof to, "%s.%d", world.path, n);
        snprintf(from, sizeof from, n == 1 ? "%s" : "%s.%d", world.path, n - 1);
        (void)!rename(from, to);
    }
}

static void read_on(void)
{
    struct logs_want want;
    char bytes[4096];
    while ((want = logs_next(&world.reader)).type == LOGS_READ) {
        ssize_t got =
            pread(world.files.at[want.file].fd, bytes,
                  want.size < sizeof bytes ? want.size : sizeof bytes, (off_t)want.offset);
        logs_feed(&world.reader, str_from(bytes, got < 0 ? 0 : (size_t)got), &world.said);
    }
}

static void begin(void)
{
    struct logs_file sizes[LOGS_FILES_MAX];
    struct logs_options o = {.follow = true, .tail_lines = -1, .limit_bytes = -1};
    world = (struct world){.directory = "/tmp/baton-logs-XXXXXX"};
    cr_assert_not_null(mkdtemp(world.directory));
    snprintf(world.path, sizeof world.path, "%s/0.log", world.directory);
    buf_init(&world.said, 1 << 20);
    put("0");
    cr_assert_eq(logfiles_open(&world.files, str_of(world.path), sizes), 1);
    logs_begin(&world.reader, &o, sizes, 1);
    read_on();
}

static void end(void)
{
    logs_end(&world.reader);
    logfiles_close(&world.files);
    buf_free(&world.said);
    cr_assert_eq(fs_remove_tree(world.directory, NULL), ERR_OK);
}

TEST(logfiles, two_rotations_between_two_looks_lose_nothing)
{
    begin();
    put("1"); /* After the last look, and before the rotation. */
    rotate();
    put("2");
    rotate();
    put("3");
    logfiles_look(&world.files, &world.reader);
    read_on();
    cr_assert(str_is(buf_str(&world.said), "0\n1\n2\n3\n"), "%.*s", (int)world.said.len,
              world.said.at);
    end();
}

TEST(logfiles, following_does_not_end_with_the_rotations)
{
    char number[8];
    begin();
    for (int i = 1; i < 4 * LOGS_FILES_MAX; i++) {
        rotate();
        snprintf(number, sizeof number, "%d", i);
        put(number);
        logfiles_look(&world.files, &world.reader);
        read_on();
        cr_assert_eq(logs_next(&world.reader).type, LOGS_WAIT, "over after %d", i);
        cr_assert_leq(world.files.count, 2);
    }
    buf_add_char(&world.said, '\0');
    cr_assert(strstr(world.said.at, "\n62\n63\n") != NULL, "%s", world.said.at);
    end();
}

TEST(logfiles, what_was_rotated_before_comes_first)
{
    struct logs_file sizes[LOGS_FILES_MAX];
    struct logs_options o = {.tail_lines = -1, .limit_bytes = -1};
    begin();
    for (int i = 0; i < 3; i++) {
        rotate();
        put("later");
    }
    logs_end(&world.reader);
    logfiles_close(&world.files);
    buf_clear(&world.said);
    cr_assert_eq(logfiles_open(&world.files, str_of(world.path), sizes), 4);
    logs_begin(&world.reader, &o, sizes, 4);
    read_on();
    cr_assert(str_is(buf_str(&world.said), "0\nlater\nlater\nlater\n"));
    end();
}
