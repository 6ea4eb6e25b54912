/* SPDX-License-Identifier: Apache-2.0 */
/* What the shim writes is what the agent's reader reads. */
#include "io/fs.h"
#include "nodeagent/host/logs.h"
#include "nodeagent/shim/shim.h"
#include "tests/testlib/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct lab {
    char directory[64], log[128];
    struct shim_conf conf;
    struct shim_log writer;
} lab;

static const struct wall now = {1795253823197888323};

static void open_lab(uint64_t max, uint32_t files)
{
    struct err e;
    lab = (struct lab){.directory = "/tmp/baton-shim-XXXXXX"};
    cr_assert(mkdtemp(lab.directory) != NULL);
    snprintf(lab.log, sizeof lab.log, "%s/0.log", lab.directory);
    lab.conf = (struct shim_conf){.log = lab.log, .log_max = max, .log_files = files};
    cr_assert_eq(shim_log_open(&lab.writer, &lab.conf, &e), ERR_OK, "%s", e.text);
}

static void close_lab(void)
{
    cr_assert_eq(fs_remove_tree(lab.directory, NULL), ERR_OK);
}

/* The text of a log file, parsed; partial entries are joined, "!" stands before stderr. */
static void text_is(const char *path, const char *want)
{
    struct buf file, text;
    struct str rest, line;
    buf_init(&file, 1 << 20);
    buf_init(&text, 1 << 20);
    cr_assert_eq(fs_read(path, &file, NULL), ERR_OK, "%s", path);
    rest = str_trim(buf_str(&file));
    while (rest.len > 0 && str_split(&rest, '\n', &line)) {
        struct logs_entry entry;
        cr_assert_eq(logs_parse(line, &entry), ERR_OK, STR_FMT, STR_ARG(line));
        cr_assert_eq(entry.at.ns, now.ns);
        if (entry.stream == LOGS_STDERR)
            buf_add_char(&text, '!');
        buf_add(&text, entry.text);
        if (!entry.partial)
            buf_add_char(&text, '\n');
    }
    cr_assert(str_is(buf_str(&text), want), "%s: \"" STR_FMT "\"", path, STR_ARG(buf_str(&text)));
    buf_free(&text);
    buf_free(&file);
}

TEST(shim, lines_arrive_whole_however_they_are_cut)
{
    open_lab(1 << 20, 2);
    const char *const pieces[] = {"one\ntw", "", "o\n", "\n", "thr", "ee"};
    for (size_t i = 0; i < COUNT_OF(pieces); i++)
        shim_log_add(&lab.writer, 0, str_of(pieces[i]), now);
    shim_log_add(&lab.writer, 1, STR("oops\n"),
                 now); /* Between the parts of the other stream's line. */
    shim_log_close(&lab.writer, now);
    text_is(lab.log, "one\ntwo\n\n!oops\nthree\n");
    close_lab();
}

TEST(shim, a_long_line_is_cut_into_partial_entries)
{
    enum { LEN = 2 * SHIM_LINE_MAX + 10 };
    char *text = calloc(1, LEN + 2);
    open_lab(1 << 20, 2);
    memset(text, 'x', LEN);
    text[LEN] = '\n';
    shim_log_add(&lab.writer, 0, str_from(text, LEN + 1), now);
    shim_log_close(&lab.writer, now);
    text_is(lab.log, text);
    free(text);
    close_lab();
}

TEST(shim, rotation_keeps_the_newest_files)
{
    char path[160];
    open_lab(100, 3); /* An entry of this test has 47 bytes: two a file. */
    for (int i = 0; i < 9; i++) {
        char line[16];
        int len = snprintf(line, sizeof line, "line%d\n", i);
        shim_log_add(&lab.writer, 0, str_from(line, (size_t)len), now);
    }
    shim_log_close(&lab.writer, now);
    text_is(lab.log, "line8\n");
    snprintf(path, sizeof path, "%s.1", lab.log);
    text_is(path, "line6\nline7\n");
    snprintf(path, sizeof path, "%s.2", lab.log);
    text_is(path, "line4\nline5\n");
    snprintf(path, sizeof path, "%s.3", lab.log);
    cr_assert_not(fs_exists(path));
    close_lab();
}

TEST(shim, one_file_starts_anew)
{
    char path[160];
    open_lab(100, 1);
    for (int i = 0; i < 3; i++)
        shim_log_add(&lab.writer, 0, STR("line\n"), now);
    shim_log_close(&lab.writer, now);
    text_is(lab.log, "line\n");
    snprintf(path, sizeof path, "%s.1", lab.log);
    cr_assert_not(fs_exists(path));
    close_lab();
}

TEST(shim, an_existing_log_is_gone_on_with)
{
    struct err e;
    open_lab(1 << 20, 2);
    shim_log_add(&lab.writer, 0, STR("before\n"), now);
    shim_log_close(&lab.writer, now);
    cr_assert_eq(shim_log_open(&lab.writer, &lab.conf, &e), ERR_OK);
    shim_log_add(&lab.writer, 0, STR("after\n"), now);
    shim_log_close(&lab.writer, now);
    text_is(lab.log, "before\nafter\n");
    close_lab();
}

TEST(shim, reads_its_configuration)
{
    static struct shim_conf conf;
    char path[160];
    struct err e;
    open_lab(0, 1);
    shim_log_close(&lab.writer, now);
    snprintf(path, sizeof path, "%s/shim.conf", lab.directory);
    struct str text =
        STR("runtime=/usr/bin/crun\nid=a.b.0\nlog=/x=y\nlog_max=5\nlog_files=2\ntty=1\n"
            "hide=/h1\nhide=/h2\ncgroup=/c/tasks\nlater=what\ncpus=0-1\n");
    cr_assert_eq(fs_put(path, text, 0600, NULL), ERR_OK);
    cr_assert_eq(shim_conf_read(lab.directory, &conf, &e), ERR_OK, "%s", e.text);
    cr_assert_str_eq(conf.log, "/x=y");
    cr_assert_str_eq(conf.hides[1], "/h2");
    cr_assert(conf.tty && conf.log_max == 5 && conf.cgroups_count == 1 && !conf.has_stdin);
    cr_assert_eq(fs_put(path, str_slice(text, 0, text.len - 1), 0600, NULL), ERR_OK);
    cr_assert_eq(shim_conf_read(lab.directory, &conf, &e), ERR_CORRUPT, "cut");
    cr_assert_eq(fs_put(path, STR("id=a\n"), 0600, NULL), ERR_OK);
    cr_assert_eq(shim_conf_read(lab.directory, &conf, &e), ERR_CORRUPT);
    close_lab();
}

TEST(shim, knows_when_a_process_began)
{
    cr_assert_neq(shim_start_time(getpid()), 0);
    cr_assert_eq(shim_start_time(0x7ffffff), 0);
}
