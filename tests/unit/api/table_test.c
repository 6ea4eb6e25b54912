/* SPDX-License-Identifier: Apache-2.0 */
#include "api/table.h"
#include "api/transcode.h"
#include "tests/unit/api/world.h"

enum { NOW_S = 1800000000 };

/* The cells of an object: metadata's, spec's and status' members as given. */
static void cells_are(const char *plural, const char *metadata, const char *spec,
                      const char *status, const char *want)
{
    struct world w;
    struct buf json, raw, out;
    struct err e = {0};
    world_init(&w, "", plural);
    buf_init(&json, 1 << 20);
    buf_init(&raw, 1 << 20);
    buf_init(&out, 1 << 20);
    buf_printf(&json, "{\"metadata\":{\"name\":\"p\"%s},\"spec\":{%s},\"status\":{%s}}", metadata,
               spec, status);
    const struct schema_kind *s = kind_schema(w.kind);
    cr_assert_eq(transcode_from_json(s->message, buf_str(&json), &w.a, NULL, NULL, &raw, &e),
                 ERR_OK, "%s", e.text);
    struct wall now = {(int64_t)NOW_S * 1000000000};
    buf_clear(&json);
    cr_assert_eq(table_cells(w.kind, buf_str(&raw), &w.a, &json, &e), ERR_OK, "%s", e.text);
    table_tell(buf_str(&json), now, &out);
    struct json *tree = NULL;
    buf_clear(&json); /* As JSON is written: < and > have escapes. */
    cr_assert_eq(json_parse(&w.a, str_of(want), &tree, &e), ERR_OK);
    json_print(&json, tree);
    cr_expect(str_eq(buf_str(&out), buf_str(&json)), STR_FMT "\nnot %s", STR_ARG(buf_str(&out)),
              want);
    buf_free(&json);
    buf_free(&raw);
    buf_free(&out);
    arena_free(&w.a);
}

static void pod_cells_are(const char *metadata, const char *spec, const char *status,
                          const char *want)
{
    cells_are("pods", metadata, spec, status, want);
}

/* The fields of nodeInfo are always there when they are read, and an empty one is not what was looked at last. */
TEST(table, a_cell_of_nothing_is_nothing)
{
    cells_are("nodes", "", "", "\"nodeInfo\":{\"osImage\":\"Debian\",\"architecture\":\"amd64\"}",
              "[\"p\",\"Unknown\",\"<none>\",\"<unknown>\",\"\",\"<none>\",\"<none>\",\"Debian\","
              "\"\",\"\"]");
}

#define TWO "\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]"
#define RUNS(name) "{\"name\":\"" name "\",\"ready\":true,\"state\":{\"running\":{}}"

TEST(table, pods_are_summed_up_as_kubernetes_does)
{
    pod_cells_are(
        "", TWO, "\"phase\":\"Pending\"",
        "[\"p\",\"0/"
        "2\",\"Pending\",\"0\",\"<unknown>\",\"<none>\",\"<none>\",\"<none>\",\"<none>\"]");
    pod_cells_are(
        ",\"creationTimestamp\":\"2027-01-15T07:58:00Z\"", TWO ",\"nodeName\":\"n1\"",
        "\"phase\":\"Running\",\"podIP\":\"10.0.0.9\",\"podIPs\":[{\"ip\":\"10.0.0.1\"}],"
        "\"containerStatuses\":[" RUNS(
            "a") "},{\"name\":\"b\",\"restartCount\":3,\"state\":{"
                 "\"waiting\":{\"reason\":\"CrashLoopBackOff\"}},\"lastState\":{\"terminated\":{"
                 "\"exitCode\":1,\"finishedAt\":\"2027-01-15T07:59:30Z\"}}}]",
        "[\"p\",\"1/2\",\"CrashLoopBackOff\",\"3 (30s ago)\",\"2m\",\"10.0.0.1\",\"n1\",\"<none>\","
        "\"<none>\"]");
    /* The first container that has ended decides, and one that runs beside a completed one makes it Running. */
    pod_cells_are(
        "", TWO,
        "\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"a\",\"state\":{\"terminated\":{"
        "\"exitCode\":7}}},{\"name\":\"b\",\"state\":{\"terminated\":{\"exitCode\":0,\"reason\":"
        "\"Completed\"}}}]",
        "[\"p\",\"0/"
        "2\",\"ExitCode:7\",\"0\",\"<unknown>\",\"<none>\",\"<none>\",\"<none>\",\"<none>\"]");
    pod_cells_are(
        "", TWO,
        "\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],"
        "\"containerStatuses\":[{\"name\":\"a\",\"state\":{\"terminated\":{\"exitCode\":0,"
        "\"reason\":\"Completed\"}}}," RUNS("b") "}]",
        "[\"p\",\"1/"
        "2\",\"Running\",\"0\",\"<unknown>\",\"<none>\",\"<none>\",\"<none>\",\"<none>\"]");
}

TEST(table, pods_that_begin_or_leave_are_summed_up_so)
{
    pod_cells_are(
        "",
        TWO ",\"initContainers\":[{\"name\":\"s\",\"restartPolicy\":\"Always\"},{\"name\":\"i\"}]",
        "\"phase\":\"Pending\",\"initContainerStatuses\":[" RUNS(
            "s") ",\"started\":true},{\"name\":"
                 "\"i\",\"state\":{\"running\":{}}}]",
        "[\"p\",\"1/3\",\"Init:1/"
        "2\",\"0\",\"<unknown>\",\"<none>\",\"<none>\",\"<none>\",\"<none>\"]");
    pod_cells_are(
        "", TWO ",\"initContainers\":[{\"name\":\"i\"}]",
        "\"initContainerStatuses\":[{\"name\":\"i\",\"state\":{\"terminated\":{\"exitCode\":2,"
        "\"reason\":\"Error\"}}}]",
        "[\"p\",\"0/"
        "2\",\"Init:Error\",\"0\",\"<unknown>\",\"<none>\",\"<none>\",\"<none>\",\"<none>\"]");
    pod_cells_are(
        "", TWO ",\"readinessGates\":[{\"conditionType\":\"x\"},{\"conditionType\":\"y\"}]",
        "\"phase\":\"Pending\",\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"False\","
        "\"reason\":\"SchedulingGated\"},{\"type\":\"y\",\"status\":\"True\"}]",
        "[\"p\",\"0/2\",\"SchedulingGated\",\"0\",\"<unknown>\",\"<none>\",\"<none>\",\"<none>\","
        "\"1/2\"]");
    pod_cells_are(
        ",\"deletionTimestamp\":\"2027-01-15T07:58:00Z\"", TWO, "\"phase\":\"Running\"",
        "[\"p\",\"0/"
        "2\",\"Terminating\",\"0\",\"<unknown>\",\"<none>\",\"<none>\",\"<none>\",\"<none>\"]");
    pod_cells_are(
        ",\"deletionTimestamp\":\"2027-01-15T07:58:00Z\"", TWO,
        "\"phase\":\"Running\",\"reason\":\"NodeLost\"",
        "[\"p\",\"0/"
        "2\",\"Unknown\",\"0\",\"<unknown>\",\"<none>\",\"<none>\",\"<none>\",\"<none>\"]");
}

TEST(table, ages)
{
    static const struct {
        int64_t ago;
        const char *text;
    } cases[] = {{0, "0s"},      {119, "119s"},    {120, "2m"},       {135, "2m15s"},
                 {600, "10m"},   {10799, "179m"},  {10800, "3h"},     {11460, "3h11m"},
                 {28800, "8h"},  {172799, "47h"},  {172800, "2d"},    {176400, "2d1h"},
                 {691200, "8d"}, {63072000, "2y"}, {63158400, "2y1d"}};
    struct arena a;
    arena_init(&a, 1 << 16);
    struct buf out;
    buf_init(&out, 1 << 10);
    struct wall now = {(int64_t)NOW_S * 1000000000};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str age = table_age(NOW_S - cases[i].ago, &a);
        buf_clear(&out);
        table_tell(arena_printf(&a, "[\"" STR_FMT "\",\"3 (" STR_FMT " ago)\"]", STR_ARG(age),
                                STR_ARG(age)),
                   now, &out);
        struct str want = arena_printf(&a, "[\"%s\",\"3 (%s ago)\"]", cases[i].text, cases[i].text);
        cr_assert(str_eq(buf_str(&out), want), "%lld s: " STR_FMT, (long long)cases[i].ago,
                  STR_ARG(buf_str(&out)));
    }
    cr_assert(str_is(table_age(0, &a), "<unknown>"));
    buf_free(&out);
    arena_free(&a);
}

/* Stored bytes may be anything. */
TEST(table, what_is_no_age_is_told_as_it_is)
{
    static const struct {
        const char *row, *told;
    } cases[] = {{"", ""},
                 {"plain", "plain"},
                 {"\xff", "\xff"},
                 {"\xff\xff", "\xff\xff"},
                 {"a\xffxy\xff", "a\xffxy\xff"},
                 {"\xff\xff"
                  "1700000000\xff\xff",
                  "\xff"
                  "0s\xff"},
                 {"\xff"
                  "1700000060\xff",
                  "\\u003cinvalid\\u003e"},
                 {"\xff"
                  "99999999999999999999\xff",
                  "\xff"
                  "99999999999999999999\xff"}};
    struct buf out;
    buf_init(&out, 1 << 10);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        buf_clear(&out);
        table_tell(str_of(cases[i].row), (struct wall){1700000000 * INT64_C(1000000000)}, &out);
        cr_expect(str_is(buf_str(&out), cases[i].told), "%zu: " STR_FMT, i, STR_ARG(buf_str(&out)));
    }
    buf_free(&out);
}
