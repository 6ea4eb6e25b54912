/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/host/logs.h"
#include "tests/testlib/test.h"

#define T1 "2026-11-21T08:48:01.000000001Z"
#define T2 "2026-11-21T08:48:02.000000002Z"
#define T3 "2026-11-21T08:48:03.000000003Z"
#define T4 "2026-11-21T08:48:04.000000004Z"

static const char *const old_file = T1 " stdout F one\n" T2 " stderr F two\n";
static const char *const live_file = T3 " stdout P thr\n" T3 " stdout F ee\n" T4 " stdout F four\n";

/* The whole reading, in pieces of at most step bytes; the text is the caller's to free. */
static struct buf read_all(struct logs_options opt, const char *const *texts, uint32_t count,
                           size_t step)
{
    struct logs_reader r;
    struct logs_want want;
    struct logs_file files[LOGS_FILES_MAX];
    struct buf out;
    buf_init(&out, 1 << 20);
    for (uint32_t i = 0; i < count; i++)
        files[i].size = strlen(texts[i]);
    logs_begin(&r, &opt, files, count);
    for (int turns = 0; (want = logs_next(&r)).type == LOGS_READ; turns++) {
        cr_assert_lt(turns, 10000, "the reader goes in circles");
        size_t size = want.size;
        if (!r.backwards && size > step)
            size = step;
        logs_feed(&r, str_from(texts[want.file] + want.offset, size), &out);
    }
    logs_end(&r);
    return out;
}

static void gives(struct logs_options opt, const char *want)
{
    const char *const both[] = {old_file, live_file};
    for (size_t step = 1; step < 200; step += 7) {
        struct buf got = read_all(opt, both, 2, step);
        cr_assert(str_is(buf_str(&got), want), "step %zu: " STR_FMT, step, STR_ARG(buf_str(&got)));
        buf_free(&got);
    }
}

static const struct logs_options all = {.tail_lines = -1, .limit_bytes = -1};

TEST(logs, gives_the_text_of_all_files_in_order)
{
    gives(all, "one\ntwo\nthree\nfour\n");
}

TEST(logs, timestamps_stand_once_before_a_line)
{
    struct logs_options o = all;
    o.timestamps = true;
    gives(o, T1 " one\n" T2 " two\n" T3 " three\n" T4 " four\n");
}

TEST(logs, tail_counts_from_the_end_over_files)
{
    struct logs_options o = all;
    o.tail_lines = 1;
    gives(o, "four\n");
    o.tail_lines = 4;
    gives(o, "two\nthree\nfour\n");
    o.tail_lines = 100;
    gives(o, "one\ntwo\nthree\nfour\n");
    o.tail_lines = 0;
    gives(o, "");
}

TEST(logs, since_and_limit)
{
    struct logs_options o = all;
    cr_assert_eq(wall_parse(STR(T3), &o.since), ERR_OK);
    gives(o, "three\nfour\n");
    o = all;
    o.limit_bytes = 6;
    gives(o, "one\ntw");
}

TEST(logs, follows_growth_and_rotation)
{
    struct logs_options o = all;
    struct logs_reader r;
    struct logs_file file = {14};
    struct buf out;
    o.follow = true;
    o.tail_lines = 0;
    buf_init(&out, 4096);
    logs_begin(&r, &o, &file, 1);
    cr_assert_eq(logs_next(&r).type, LOGS_WAIT);
    const char *line = T1 " stdout F new\n";
    logs_grown(&r, 14 + strlen(line));
    struct logs_want want = logs_next(&r);
    cr_assert_eq(want.type, LOGS_READ);
    cr_assert_eq(want.offset, 14);
    logs_feed(&r, str_of(line), &out);
    cr_assert(str_is(buf_str(&out), "new\n"));
    logs_rotated(&r, 14 + strlen(line), strlen(line));
    want = logs_next(&r);
    cr_assert_eq(want.file, 1);
    cr_assert_eq(want.offset, 0);
    logs_feed(&r, str_of(line), &out);
    cr_assert_eq(logs_next(&r).type, LOGS_WAIT);
    logs_stop_following(&r);
    cr_assert_eq(logs_next(&r).type, LOGS_END);
    cr_assert(str_is(buf_str(&out), "new\nnew\n"));
    logs_end(&r);
    buf_free(&out);
}

TEST(logs, a_file_that_shrank_ends)
{
    struct logs_reader r;
    struct logs_file file = {1000};
    struct buf out;
    buf_init(&out, 4096);
    logs_begin(&r, &all, &file, 1);
    logs_feed(&r, STR(T1 " stdout F x\n"), &out);
    cr_assert_eq(logs_next(&r).type, LOGS_READ);
    logs_feed(&r, STR(""), &out);
    cr_assert_eq(logs_next(&r).type, LOGS_END);
    cr_assert(str_is(buf_str(&out), "x\n"));
    logs_end(&r);
    buf_free(&out);
}

TEST(logs, what_is_not_the_format_is_given_as_it_is)
{
    const char *const serial[] = {"booting\nlogin: "};
    struct buf got = read_all(all, serial, 1, 100);
    cr_assert(str_is(buf_str(&got), "booting\nlogin: "));
    buf_free(&got);
}

TEST(logs, parses_and_prints_the_head)
{
    struct logs_entry e;
    char head[LOGS_HEAD_MAX];
    cr_assert_eq(logs_parse(STR(T1 " stderr P some text "), &e), ERR_OK);
    cr_assert(e.partial && e.stream == LOGS_STDERR && str_is(e.text, "some text "));
    size_t len = logs_head(e.at, e.stream, e.partial, head);
    cr_assert(str_is(str_from(head, len), T1 " stderr P "));
    const char *const bad[] = {"",
                               "x",
                               T1,
                               T1 " stdout",
                               T1 " stdin F x",
                               T1 " stdout X x",
                               "2026 stdout F x",
                               T1 " stdout FF x"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_assert_eq(logs_parse(str_of(bad[i]), &e), ERR_CORRUPT, "%s", bad[i]);
    cr_assert_eq(logs_parse(STR(T1 " stdout F "), &e), ERR_OK, "an empty line");
    cr_assert_eq(e.text.len, 0);
}
