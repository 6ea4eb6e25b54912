/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metrics.h"

#include "base/check.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/mem.h"

#include <stdlib.h>

struct series {
    const struct metric *of;
    struct str key; /* name{labels}, in the allocation behind the series. */
    struct str labels;
    int64_t value;   /* Counter, gauge; histogram: count. */
    uint64_t sum_ns; /* Histogram. */
    uint64_t below[METRICS_BOUNDS_MAX];
};

struct metrics {
    struct lock lock;
    struct map series; /* By key. */
    uint64_t dropped;
};

static const struct metric dropped_metric = {
    .name = "baton_metrics_dropped_total",
    .help = "Observations of label combinations over the limit of a thread's set.",
    .kind = METRIC_COUNTER,
};

struct metrics *metrics_new(void)
{
    struct metrics *m = mem_zalloc(1, sizeof *m);
    lock_init(&m->lock);
    map_init(&m->series, METRICS_SERIES_MAX);
    return m;
}

void metrics_free(struct metrics *m)
{
    uint32_t at = 0;
    if (m == NULL)
        return;
    for (const struct map_entry *e; (e = map_next(&m->series, &at)) != NULL;)
        mem_free(e->value);
    map_fini(&m->series);
    lock_fini(&m->lock);
    mem_free(m);
}

static size_t key_print(const struct metric *of, struct str labels, char *out)
{
    size_t name = strlen(of->name);
    memcpy(out, of->name, name);
    out[name] = '{';
    str_put(out + name + 1, labels);
    return name + 1 + labels.len;
}

/* NULL: over a limit. Under the lock. */
static struct series *series_of(struct map *all, const struct metric *of, struct str labels)
{
    char key[256 + METRICS_LABELS_MAX];
    CHECK(strlen(of->name) < 200 && of->bounds_count <= METRICS_BOUNDS_MAX);
    if (labels.len > METRICS_LABELS_MAX)
        return NULL;
    struct str wanted = str_from(key, key_print(of, labels, key));
    struct series *s = map_find(all, wanted);
    if (s != NULL)
        return s;
    s = mem_zalloc(1, sizeof *s + wanted.len);
    memcpy(s + 1, key, wanted.len);
    s->of = of;
    s->key = str_from(s + 1, wanted.len);
    s->labels = str_slice(s->key, wanted.len - labels.len, wanted.len);
    if (map_put(all, s->key, s) == ERR_OK)
        return s;
    mem_free(s);
    return NULL;
}

static struct series *enter(struct metrics *m, const struct metric *of, struct str labels)
{
    lock_take(&m->lock);
    struct series *s = series_of(&m->series, of, labels);
    m->dropped += s == NULL;
    return s;
}

void metrics_add(struct metrics *m, const struct metric *of, struct str labels, uint64_t by)
{
    struct series *s = enter(m, of, labels);
    if (s != NULL)
        s->value += (int64_t)by;
    lock_give(&m->lock);
}

void metrics_set(struct metrics *m, const struct metric *of, struct str labels, int64_t value)
{
    struct series *s = enter(m, of, labels);
    if (s != NULL)
        s->value = value;
    lock_give(&m->lock);
}

void metrics_observe(struct metrics *m, const struct metric *of, struct str labels,
                     struct span took)
{
    struct series *s = enter(m, of, labels);
    uint64_t ns = took.ns < 0 ? 0 : (uint64_t)took.ns;
    if (s != NULL) {
        s->value++;
        s->sum_ns += ns;
        for (uint32_t i = of->bounds_count; i-- > 0 && ns <= of->bounds_ns[i];)
            s->below[i]++;
    }
    lock_give(&m->lock);
}

static bool is_escaped(char c)
{
    return c == '"' || c == '\\' || c == '\n';
}

void metrics_label(struct buf *labels, const char *name, struct str value)
{
    if (labels->len > 0)
        buf_add_char(labels, ',');
    buf_add(labels, str_of(name));
    buf_add(labels, STR("=\""));
    for (size_t i = 0; i < value.len; i++) {
        size_t plain = i;
        while (i < value.len && !is_escaped(value.at[i]))
            i++;
        buf_add(labels, str_slice(value, plain, i));
        if (i == value.len)
            break;
        buf_add_char(labels, '\\');
        buf_add_char(labels, value.at[i] == '\n' ? 'n' : value.at[i]);
    }
    buf_add_char(labels, '"');
}

static void gather(struct metrics *m, struct map *sum)
{
    uint32_t at = 0;
    lock_take(&m->lock);
    for (const struct map_entry *e; (e = map_next(&m->series, &at)) != NULL;) {
        const struct series *from = e->value;
        struct series *to = series_of(sum, from->of, from->labels);
        if (to == NULL)
            continue;
        to->value += from->value;
        to->sum_ns += from->sum_ns;
        for (uint32_t i = 0; i < from->of->bounds_count; i++)
            to->below[i] += from->below[i];
    }
    if (m->dropped > 0) {
        struct series *to = series_of(sum, &dropped_metric, STR(""));
        if (to != NULL)
            to->value += (int64_t)m->dropped;
    }
    lock_give(&m->lock);
}

static int by_key(const void *left, const void *right)
{
    const struct series *a = *(struct series *const *)left, *b = *(struct series *const *)right;
    int order = strcmp(a->of->name, b->of->name);
    return order != 0 ? order : str_cmp(a->labels, b->labels);
}

/* Nanoseconds as decimal seconds without trailing zeros: 5000000 is 0.005. */
static void print_seconds(struct buf *out, uint64_t ns)
{
    buf_add_u64(out, ns / 1000000000);
    uint64_t rest = ns % 1000000000;
    if (rest == 0)
        return;
    char digits[10];
    for (int i = 8; i >= 0; i--, rest /= 10)
        digits[i] = (char)('0' + rest % 10);
    size_t len = 9;
    while (digits[len - 1] == '0')
        len--;
    buf_add_char(out, '.');
    buf_add(out, str_from(digits, len));
}

static void print_name(struct buf *out, const struct series *s, const char *suffix)
{
    buf_printf(out, s->labels.len > 0 ? "%s%s{" STR_FMT "} " : "%s%s" STR_FMT " ", s->of->name,
               suffix, STR_ARG(s->labels));
}

static void print_histogram(struct buf *out, const struct series *s)
{
    const char *comma = s->labels.len > 0 ? "," : "";
    for (uint32_t i = 0; i <= s->of->bounds_count; i++) {
        buf_printf(out, "%s_bucket{" STR_FMT "%sle=\"", s->of->name, STR_ARG(s->labels), comma);
        if (i < s->of->bounds_count)
            print_seconds(out, s->of->bounds_ns[i]);
        else
            buf_add(out, STR("+Inf"));
        buf_add(out, STR("\"} "));
        buf_add_u64(out, i < s->of->bounds_count ? s->below[i] : (uint64_t)s->value);
        buf_add_char(out, '\n');
    }
    print_name(out, s, "_sum");
    print_seconds(out, s->sum_ns);
    buf_add_char(out, '\n');
    print_name(out, s, "_count");
    buf_add_i64(out, s->value);
    buf_add_char(out, '\n');
}

static void print_series(struct buf *out, const struct series *s, bool first)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    if (first)
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", s->of->name, s->of->help, s->of->name,
                   kinds[s->of->kind]);
    if (s->of->kind == METRIC_HISTOGRAM) {
        print_histogram(out, s);
        return;
    }
    print_name(out, s, "");
    if (s->of->in_ns && s->value >= 0)
        print_seconds(out, (uint64_t)s->value);
    else
        buf_add_i64(out, s->value);
    buf_add_char(out, '\n');
}

void metrics_print(struct metrics *const *sets, uint32_t sets_count, struct buf *out)
{
    struct map sum;
    uint32_t at = 0, count = 0;

    map_init(&sum, METRICS_SERIES_MAX * 4);
    for (uint32_t i = 0; i < sets_count; i++)
        gather(sets[i], &sum);
    struct series **sorted = mem_zalloc(sum.live, sizeof(struct series *));
    for (const struct map_entry *e; (e = map_next(&sum, &at)) != NULL;)
        sorted[count++] = e->value;
    qsort(sorted, count, sizeof(struct series *), by_key);
    for (uint32_t i = 0; i < count; i++)
        print_series(out, sorted[i],
                     i == 0 || strcmp(sorted[i - 1]->of->name, sorted[i]->of->name) != 0);
    for (uint32_t i = 0; i < count; i++)
        mem_free(sorted[i]);
    mem_free(sorted);
    map_fini(&sum);
}
