/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmarks of the scheduler share: a clock, an arrival mix, lines of output. */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include "base/rng.h"
#include "scheduler/ledger.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline uint64_t bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Processor time of this program: what a decision costs on a machine that others use as well. */
static inline uint64_t bench_cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#define BENCH_CHECK(cond)                                                                          \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #cond);               \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static inline uint32_t bench_name(struct ledger *l, const char *text)
{
    uint32_t id = 0;
    BENCH_CHECK(names_intern(ledger_names(l), str_of(text), &id, NULL) == ERR_OK);
    return id;
}

/* Zipf with exponent 1 over count things: a table of cumulated weights, drawn by bisection. */
struct bench_zipf {
    uint32_t count;
    double *sum;
};

static inline void bench_zipf_init(struct bench_zipf *z, uint32_t count)
{
    double sum = 0;
    z->count = count;
    z->sum = malloc(count * sizeof *z->sum);
    for (uint32_t i = 0; i < count; i++)
        z->sum[i] = sum += 1.0 / (i + 1);
}

static inline uint32_t bench_zipf_draw(const struct bench_zipf *z, struct rng *r)
{
    double at = (double)(rng_u64(r) >> 11) / 9007199254740992.0 * z->sum[z->count - 1];
    uint32_t low = 0, high = z->count - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (z->sum[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static inline int bench_compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static inline int bench_compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

#endif /* TESTS_BENCH_BENCH_H */
