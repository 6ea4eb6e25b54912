/* SPDX-License-Identifier: Apache-2.0 */
/* The transcripts qmp-*.txt were recorded from QEMU 7.2.22 (its side of the session). */
#include "nodeagent/runtime/qmp.h"
#include "tests/testlib/test.h"
#include <stdio.h>
#include <stdlib.h>

static const char *const type_names[] = {
    [QMP_IS_READY] = "ready",      [QMP_ANSWERED] = "answered", [QMP_SHUTDOWN] = "shutdown",
    [QMP_WAS_RESET] = "reset",     [QMP_STOPPED] = "stopped",   [QMP_RESUMED] = "resumed",
    [QMP_POWERDOWN] = "powerdown", [QMP_PANICKED] = "panicked", [QMP_ENDED] = "ended",
};

static void tell(struct buf *story, const struct qmp_event *ev)
{
    buf_printf(story, "%s", type_names[ev->type]);
    if (ev->type == QMP_ANSWERED)
        buf_printf(story, " %llu %s", (unsigned long long)ev->op, err_name(ev->code));
    if (ev->text.len > 0)
        buf_printf(story, " '" STR_FMT "'", STR_ARG(ev->text));
    if (ev->reason[0] != '\0')
        buf_printf(story, " %s", ev->reason);
    for (uint32_t i = 0; i < ev->threads_count; i++)
        buf_printf(story, " %d", ev->threads[i]);
    buf_add(story, ev->guest ? STR(" guest\n") : STR("\n"));
}

/* Everything QEMU has said so far, as a story; asks the next of commands at each answer. */
struct replay {
    struct qmp q;
    struct buf story;
    const enum qmp_command *commands;
    uint32_t commands_count, asked;
};

static void replay_drain(struct replay *r)
{
    struct qmp_event ev;
    while (qmp_next(&r->q, &ev)) {
        tell(&r->story, &ev);
        bool free = ev.type == QMP_IS_READY || ev.type == QMP_ANSWERED;
        if (free && r->asked < r->commands_count && r->q.state == QMP_READY) {
            uint64_t op = 101 + r->asked;
            cr_assert_eq(qmp_ask(&r->q, r->commands[r->asked++], op, NULL), ERR_OK);
        }
    }
}

static void replay_init(struct replay *r, const enum qmp_command *commands, uint32_t count)
{
    *r = (struct replay){.commands = commands, .commands_count = count};
    qmp_init(&r->q);
    buf_init(&r->story, 64 << 10);
}

static void replay_fini(struct replay *r)
{
    qmp_fini(&r->q);
    buf_free(&r->story);
}

static struct str file_read(const char *name)
{
    static char bytes[64 << 10];
    char path[1024];
    snprintf(path, sizeof path, TESTS_DIR "/unit/runtime/%s", name);
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return str_from(bytes, len);
}

static void assert_story(struct replay *r, const char *story)
{
    buf_add_char(&r->story, '\0');
    cr_assert_str_eq(r->story.at, story);
}

static const enum qmp_command q35_commands[] = {QMP_QUERY_STATUS, QMP_QUERY_CPUS, QMP_CONT,
                                                QMP_QUERY_STATUS, QMP_SYSTEM_POWERDOWN};
static const char q35_story[] = "ready\n"
                                "answered 101 ERR_OK prelaunch\n"
                                "answered 102 ERR_OK 3883 3884\n"
                                "resumed\n"
                                "answered 103 ERR_OK\n"
                                "answered 104 ERR_OK running\n"
                                "powerdown\n"
                                "answered 105 ERR_OK\n"
                                "shutdown guest-shutdown guest\n"
                                "ended\n";

TEST(qmp, a_session_with_q35)
{
    struct replay r;
    replay_init(&r, q35_commands, COUNT_OF(q35_commands));
    qmp_feed(&r.q, file_read("qmp-q35.txt"));
    replay_drain(&r);
    qmp_end(&r.q);
    replay_drain(&r);
    replay_drain(&r);
    assert_story(&r, q35_story);
    replay_fini(&r);
}

TEST(qmp, byte_by_byte_it_is_the_same_session)
{
    struct replay r;
    replay_init(&r, q35_commands, COUNT_OF(q35_commands));
    struct str all = file_read("qmp-q35.txt");
    for (size_t i = 0; i < all.len; i++) {
        qmp_feed(&r.q, str_slice(all, i, i + 1));
        replay_drain(&r);
    }
    qmp_end(&r.q);
    replay_drain(&r);
    assert_story(&r, q35_story);
    replay_fini(&r);
}

TEST(qmp, a_session_with_microvm_and_a_refused_command)
{
    static const enum qmp_command commands[] = {QMP_QUERY_CPUS,       QMP_CONT, QMP_STOP,
                                                QMP_SYSTEM_POWERDOWN, QMP_STOP, QMP_QUIT};
    struct replay r;
    replay_init(&r, commands, COUNT_OF(commands));
    qmp_feed(&r.q, file_read("qmp-microvm.txt"));
    replay_drain(&r);
    qmp_end(&r.q);
    replay_drain(&r);
    assert_story(&r, "ready\n"
                     "answered 101 ERR_OK 3888 3889\n"
                     "resumed\n"
                     "answered 102 ERR_OK\n"
                     "stopped\n"
                     "answered 103 ERR_OK\n"
                     "answered 104 ERR_INVALID 'The command no-such-command has not been found'\n"
                     "reset host-qmp-system-reset\n"
                     "answered 105 ERR_OK\n"
                     "shutdown host-qmp-quit\n"
                     "answered 106 ERR_OK\n"
                     "ended\n");
    replay_fini(&r);
}

static const char GREETING[] = "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\n";

static struct str output_of(struct qmp *q)
{
    struct qmp_event ev;
    cr_assert(!qmp_next(q, &ev));
    return qmp_output(q);
}

TEST(qmp, what_is_written)
{
    struct qmp q;
    struct qmp_event ev;
    qmp_init(&q);
    cr_assert_eq(qmp_ask(&q, QMP_CONT, 1, NULL), ERR_UNAVAILABLE, "before the handshake");
    qmp_feed(&q, str_of(GREETING));
    cr_assert(str_is(output_of(&q), "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":"
                                    "[\"oob\"]},\"id\":1}\n"));
    qmp_sent(&q, 10);
    qmp_sent(&q, qmp_output(&q).len);
    qmp_feed(&q, STR("{\"return\": {}, \"id\": 1}\n"));
    cr_assert(qmp_next(&q, &ev));
    cr_assert_eq(ev.type, QMP_IS_READY);
    cr_assert_eq(qmp_ask(&q, QMP_QUIT, 9, NULL), ERR_OK);
    cr_assert(str_is(output_of(&q), "{\"execute\":\"quit\",\"id\":2}\n"));
    for (int i = 1; i < QMP_WAITING_MAX; i++)
        cr_assert_eq(qmp_ask(&q, QMP_STOP, 9, NULL), ERR_OK);
    cr_assert_eq(qmp_ask(&q, QMP_STOP, 9, NULL), ERR_BUSY);
    qmp_fini(&q);
}

/* Whatever a broken peer says: every command is answered once, then the end, then nothing. */
TEST(qmp, lies_end_the_session)
{
    static const char *const lies[] = {
        "not json\n",
        "[]\n",
        "{\"return\": {}, \"id\": 99}\n",
        "{\"return\": {}}\n",
        "{\"return\": {}, \"error\": {}, \"id\": 2}\n",
        "{\"id\": 2}\n",
        "{\"return\": {}, \"id\": 1}\n",
        "{\"return\": {}, \"id\": \"2\"}\n",
    };
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        struct qmp q;
        struct qmp_event ev;
        qmp_init(&q);
        qmp_feed(&q, str_of(GREETING));
        cr_assert(!qmp_next(&q, &ev));
        qmp_feed(&q, STR("{\"return\": {}, \"id\": 1}\n"));
        cr_assert(qmp_next(&q, &ev) && ev.type == QMP_IS_READY);
        cr_assert_eq(qmp_ask(&q, QMP_CONT, 7, NULL), ERR_OK);
        qmp_feed(&q, str_of(lies[i]));
        cr_assert(qmp_next(&q, &ev), "lie %zu", i);
        cr_assert_eq(ev.type, QMP_ANSWERED);
        cr_assert_eq(ev.op, 7);
        cr_assert_eq(ev.code, ERR_UNAVAILABLE);
        cr_assert(qmp_next(&q, &ev) && ev.type == QMP_ENDED);
        cr_assert_eq(ev.code, ERR_CORRUPT);
        qmp_feed(&q, str_of(GREETING));
        cr_assert(!qmp_next(&q, &ev));
        qmp_end(&q);
        cr_assert(!qmp_next(&q, &ev));
        qmp_fini(&q);
    }
}

TEST(qmp, threads_that_cannot_be_are_no_answer)
{
    static const char *const lists[] = {
        "{}",
        "[{\"cpu-index\": 1, \"thread-id\": 5}]",
        "[{\"cpu-index\": 0, \"thread-id\": 0}]",
        "[{\"cpu-index\": 0, \"thread-id\": -4}]",
        "[{\"cpu-index\": 0, \"thread-id\": 4294967297}]",
        "[{\"cpu-index\": 0, \"thread-id\": 5}, {\"cpu-index\": 0, \"thread-id\": 6}]",
        "[{\"cpu-index\": 0}]",
        "[7]",
    };
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        struct qmp q;
        struct qmp_event ev;
        char line[256];
        qmp_init(&q);
        qmp_feed(&q, str_of(GREETING));
        cr_assert(!qmp_next(&q, &ev));
        qmp_feed(&q, STR("{\"return\": {}, \"id\": 1}\n"));
        cr_assert(qmp_next(&q, &ev));
        cr_assert_eq(qmp_ask(&q, QMP_QUERY_CPUS, 7, NULL), ERR_OK);
        snprintf(line, sizeof line, "{\"return\": %s, \"id\": 2}\n", lists[i]);
        qmp_feed(&q, str_of(line));
        cr_assert(qmp_next(&q, &ev));
        cr_assert_eq(ev.code, ERR_CORRUPT, "list %zu", i);
        cr_assert_eq(ev.threads_count, 0);
        cr_assert_eq(q.state, QMP_READY, "odd, but still a session");
        qmp_fini(&q);
    }
}

TEST(qmp, a_line_without_end)
{
    struct qmp q;
    struct qmp_event ev;
    static char zeros[64 << 10];
    memset(zeros, ' ', sizeof zeros);
    qmp_init(&q);
    for (int i = 0; i <= QMP_LINE_MAX / (int)sizeof zeros; i++) {
        cr_assert_eq(q.state, QMP_GREETING);
        qmp_feed(&q, str_from(zeros, sizeof zeros));
    }
    cr_assert(qmp_next(&q, &ev));
    cr_assert_eq(ev.type, QMP_ENDED);
    cr_assert_eq(ev.code, ERR_LIMIT);
    qmp_fini(&q);
}

TEST(qmp, the_drawing_is_the_table)
{
    struct buf drawn;
    buf_init(&drawn, 64 << 10);
    sm_dot(&drawn, "qmp", qmp_states, QMP__STATES);
    const char *path = TESTS_DIR "/../docs/states/qmp.dot";
    if (getenv("BATON_DRAW") != NULL) {
        FILE *file = fopen(path, "wb");
        cr_assert_not_null(file);
        fwrite(drawn.at, 1, drawn.len, file);
        fclose(file);
    }
    struct str golden = file_read("../../../docs/states/qmp.dot");
    cr_assert(str_eq(golden, buf_str(&drawn)), "run with BATON_DRAW=1 and look at the difference");
    buf_free(&drawn);
}
