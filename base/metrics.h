/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics.h -- counting, for /metrics.
 *
 * WHAT   Counters, gauges and histograms. Each thread counts into a set of its own; a scrape adds the sets
 *        up and prints Prometheus' text format 0.0.4, families in the order of their definitions' names.
 * WHY    A lock that nobody else holds costs about 20 ns; one that all threads share costs the core.
 * OWNS   metrics_new()/metrics_free(). Definitions are static; label text is copied.
 * LIMITS METRICS_SERIES_MAX label combinations a set. What comes later is not counted, but how many
 *        were not is: baton_metrics_dropped_total.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/buf.h"
#include "base/time.h"

enum { METRICS_SERIES_MAX = 4096, METRICS_BOUNDS_MAX = 24, METRICS_LABELS_MAX = 240 };

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* One family, written once as a static const beside the code that counts. */
struct metric {
    const char *name, *help;
    enum metric_kind kind;
    bool in_ns;                /* Counter, gauge: set in nanoseconds, printed in seconds. */
    const uint64_t *bounds_ns; /* METRIC_HISTOGRAM: upper bounds, rising; +Inf is implied. */
    uint32_t bounds_count;
};

struct metrics;

struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);

/* labels: as printed between the braces, values escaped by metrics_label(): verb="get",code="200".
 * Empty: none. The three calls are for the set's own thread; a scrape may run on another. */
void metrics_add(struct metrics *m, const struct metric *of, struct str labels, uint64_t by);
void metrics_set(struct metrics *m, const struct metric *of, struct str labels, int64_t value);
void metrics_observe(struct metrics *m, const struct metric *of, struct str labels,
                     struct span took);

/* name="value" appended to a label text under construction, after a comma where one is needed. */
void metrics_label(struct buf *labels, const char *name, struct str value);

/* All sets, added up. */
void metrics_print(struct metrics *const *sets, uint32_t sets_count, struct buf *out);

#endif /* BASE_METRICS_H */
