/* SPDX-License-Identifier: Apache-2.0 */
#include "io/logfile.h"

#include "io/fs.h"
#include "tests/testlib/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A log of a folder of its own; standard output and error are what they were afterwards. */
struct site {
    struct logfile log;
    char dir[64], path[FS_PATH_MAX], old[FS_PATH_MAX];
    int out, err;
};

static void begin(struct site *s, uint64_t max)
{
    struct err e = {0};
    *s = (struct site){.dir = "/tmp/baton-log-XXXXXX"};
    cr_assert_not_null(mkdtemp(s->dir));
    fs_join(s->path, s->dir, "x.log");
    fs_join(s->old, s->dir, "x.log.1");
    s->out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    s->err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    cr_assert_eq(logfile_open(&s->log, s->path, max, &e), ERR_OK, "%s", e.text);
}

static void end(struct site *s)
{
    struct err e = {0};
    dup2(s->out, STDOUT_FILENO);
    dup2(s->err, STDERR_FILENO);
    close(s->out);
    close(s->err);
    lock_fini(&s->log.turning);
    cr_assert_eq(fs_remove_tree(s->dir, &e), ERR_OK, "%s", e.text);
}

static long size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (long)st.st_size : -1;
}

static void holds(const char *path, const char *want)
{
    struct err e = {0};
    struct buf got;
    buf_init(&got, 4096);
    cr_assert_eq(fs_read(path, &got, &e), ERR_OK, "%s", e.text);
    cr_assert(str_is(buf_str(&got), want), "%s: " STR_FMT, path, STR_ARG(buf_str(&got)));
    buf_free(&got);
}

TEST(logfile, a_full_one_becomes_the_old_one)
{
    struct site s;
    begin(&s, 12);
    logfile_write(&s.log, STR("one 4567\n"));
    logfile_write(&s.log, STR("two\n")); /* Whole, before it turns. */
    cr_assert_eq(write(STDOUT_FILENO, "lib\n", 4), 4);
    logfile_write(&s.log, STR("three\n"));
    holds(s.old, "one 4567\ntwo\n");
    holds(s.path, "lib\nthree\n");
    logfile_write(&s.log, STR("four 6789\n"));
    logfile_write(&s.log, STR("five\n"));
    holds(s.old, "lib\nthree\nfour 6789\n"); /* One old one, no more. */
    holds(s.path, "five\n");
    end(&s);
}

TEST(logfile, goes_on_with_what_was_there)
{
    struct site s;
    struct err e = {0};
    begin(&s, 10);
    logfile_write(&s.log, STR("123456\n"));
    lock_fini(&s.log.turning);
    cr_assert_eq(logfile_open(&s.log, s.path, 10, &e), ERR_OK, "%s", e.text); /* The next start. */
    logfile_write(&s.log, STR("890\n"));
    logfile_write(&s.log, STR("new\n"));
    holds(s.old, "123456\n890\n");
    holds(s.path, "new\n");
    end(&s);
}

TEST(logfile, that_cannot_turn_goes_on)
{
    struct site s;
    begin(&s, 8);
    char fresh[FS_PATH_MAX];
    fs_join(fresh, s.dir, "x.log.new");
    cr_assert_eq(mkdir(fresh, 0700), 0);
    logfile_write(&s.log, STR("1234567\n"));
    logfile_write(&s.log, STR("2\n"));
    holds(s.path, "1234567\n2\n");
    cr_assert_eq(rmdir(fresh), 0);
    logfile_write(&s.log, STR("345\n"));
    logfile_write(&s.log, STR("6\n")); /* Eight since the last try. */
    logfile_write(&s.log, STR("7\n"));
    holds(s.old, "1234567\n2\n345\n6\n");
    holds(s.path, "7\n");
    end(&s);
}

TEST(logfile, somebody_else_may_empty_it_or_take_it_away)
{
    struct site s;
    begin(&s, 8);
    logfile_write(&s.log, STR("12345\n"));
    cr_assert_eq(truncate(s.path, 0), 0);
    logfile_write(&s.log, STR("678\n"));
    holds(s.path, "678\n");
    cr_assert_eq(size_of(s.old), -1);
    cr_assert_eq(unlink(s.path), 0);
    logfile_write(&s.log, STR("9012345\n"));
    logfile_write(&s.log, STR("new\n"));
    holds(s.path, "new\n");
    end(&s);
}

enum { THREADS = 4, LINES = 2000 };

static void *write_lines(void *log)
{
    for (int i = 0; i < LINES; i++)
        logfile_write(log, STR("a line of twenty....\n"));
    return NULL;
}

TEST(logfile, threads_lose_no_line_at_the_turn)
{
    struct site s;
    pthread_t threads[THREADS];
    long total = 21L * THREADS * LINES;
    begin(&s, (uint64_t)total * 2 / 3);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, write_lines, &s.log), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(size_of(s.path) + size_of(s.old), total);
    cr_assert(size_of(s.path) > 0 && size_of(s.path) < total / 2); /* It turned once. */
    end(&s);
}

TEST(logfile, that_cannot_be_opened_leaves_standard_error)
{
    struct logfile log = {0};
    struct err e = {0};
    struct stat before, after;
    cr_assert_eq(fstat(STDERR_FILENO, &before), 0);
    cr_assert_eq(logfile_open(&log, "/nonexistent/x.log", 8, &e), ERR_UNAVAILABLE);
    cr_assert_not_null(strstr(e.text, "/nonexistent/x.log"), "%s", e.text);
    cr_assert_eq(fstat(STDERR_FILENO, &after), 0);
    cr_assert_eq(before.st_ino, after.st_ino);
}
