/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metrics.h"
#include "tests/testlib/test.h"

static const uint64_t bounds[] = {5000000, 1000000000};
static const struct metric took = {.name = "b_seconds",
                                   .help = "How long.",
                                   .kind = METRIC_HISTOGRAM,
                                   .bounds_ns = bounds,
                                   .bounds_count = 2};
static const struct metric count = {.name = "a_total", .help = "How many.", .kind = METRIC_COUNTER};
static const struct metric level = {.name = "c", .help = "How much.", .kind = METRIC_GAUGE};
static const struct metric cpu = {
    .name = "d_seconds_total", .help = "Of it.", .kind = METRIC_COUNTER, .in_ns = true};

TEST(metrics, sets_are_added_up_and_sorted)
{
    struct metrics *sets[] = {metrics_new(), metrics_new()};
    struct buf labels, out;

    buf_init(&labels, 256);
    buf_init(&out, 1 << 16);
    metrics_label(&labels, "verb", STR("get"));
    metrics_label(&labels, "what", STR("a\"b\\\n"));
    metrics_add(sets[0], &count, buf_str(&labels), 2);
    metrics_add(sets[1], &count, buf_str(&labels), 3);
    metrics_set(sets[1], &level, STR(""), -4);
    metrics_set(sets[0], &cpu, STR(""), 12500000);
    metrics_observe(sets[0], &took, STR("v=\"x\""), SPAN_MS(5));
    metrics_observe(sets[1], &took, STR("v=\"x\""), SPAN_MS(500));
    metrics_observe(sets[1], &took, STR("v=\"x\""), SPAN_S(2));
    metrics_print(sets, 2, &out);
    buf_add_char(&out, '\0');
    cr_assert_str_eq(out.at, "# HELP a_total How many.\n# TYPE a_total counter\n"
                             "a_total{verb=\"get\",what=\"a\\\"b\\\\\\n\"} 5\n"
                             "# HELP b_seconds How long.\n# TYPE b_seconds histogram\n"
                             "b_seconds_bucket{v=\"x\",le=\"0.005\"} 1\n"
                             "b_seconds_bucket{v=\"x\",le=\"1\"} 2\n"
                             "b_seconds_bucket{v=\"x\",le=\"+Inf\"} 3\n"
                             "b_seconds_sum{v=\"x\"} 2.505\n"
                             "b_seconds_count{v=\"x\"} 3\n"
                             "# HELP c How much.\n# TYPE c gauge\nc -4\n"
                             "# HELP d_seconds_total Of it.\n# TYPE d_seconds_total counter\n"
                             "d_seconds_total 0.0125\n");
    buf_free(&labels);
    buf_free(&out);
    metrics_free(sets[0]);
    metrics_free(sets[1]);
}

TEST(metrics, too_many_combinations_are_counted_and_not_kept)
{
    struct metrics *m = metrics_new();
    struct buf labels, out;

    buf_init(&labels, 256);
    buf_init(&out, 8 << 20);
    for (unsigned i = 0; i < METRICS_SERIES_MAX + 7; i++) {
        buf_clear(&labels);
        buf_printf(&labels, "n=\"%u\"", i);
        metrics_add(m, &count, buf_str(&labels), 1);
    }
    metrics_print(&m, 1, &out);
    buf_add_char(&out, '\0');
    cr_assert_not_null(strstr(out.at, "baton_metrics_dropped_total 7\n"));
    buf_free(&labels);
    buf_free(&out);
    metrics_free(m);
}
