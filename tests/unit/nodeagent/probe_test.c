/* SPDX-License-Identifier: Apache-2.0 */
/* One probe's answers counted: what holds, and what follows, by kind and threshold. */
#include "nodeagent/core/probe.h"
#include "tests/testlib/test.h"

struct row {
    enum probe_kind kind;
    int32_t success_threshold, failure_threshold;
    bool begins;         /* What holds before the first answer. */
    const char *answers; /* y: it held, n: it did not. */
    const char *follows; /* Of each: '.' the same, '~' changed, '!' fatal. */
    bool ends;
};

static const struct row rows[] = {
    /* Readiness comes and goes, and ends nothing. */
    {PROBE_READINESS, 1, 3, false, "ynnyynnnny", "~......~.~", true},
    {PROBE_READINESS, 2, 1, false, "yyny", ".~~.", false},
    {PROBE_READINESS, 3, 2, false, "yynyyy", ".....~", true},
    /* Liveness begins well; so many failures in a row are its end, and each further one. */
    {PROBE_LIVENESS, 1, 3, true, "ynnynnnn", "......!!", false},
    {PROBE_LIVENESS, 1, 1, true, "n", "!", false},
    {PROBE_STARTUP, 1, 3, false, "nny", "..~", true},
    {PROBE_STARTUP, 1, 2, false, "nn", ".!", false},
    /* What a client left at nothing counts as one. */
    {PROBE_READINESS, 0, 0, false, "yny", "~~~", true},
    {PROBE_LIVENESS, -5, -5, true, "yn", ".!", false},
};

TEST(probe, answers_are_counted_in_a_row)
{
    for (size_t r = 0; r < COUNT_OF(rows); r++) {
        Core__Probe spec = CORE__PROBE__INIT;
        struct probe p = {.holds = rows[r].begins};
        spec.success_threshold = rows[r].success_threshold;
        spec.failure_threshold = rows[r].failure_threshold;
        for (size_t i = 0; rows[r].answers[i] != '\0'; i++) {
            enum probe_verdict v = probe_count(&p, rows[r].kind, &spec, rows[r].answers[i] == 'y');
            char is = v == PROBE_FATAL ? '!' : v == PROBE_CHANGED ? '~' : '.';
            cr_assert_eq(is, rows[r].follows[i], "row %zu, answer %zu: %c", r, i, is);
        }
        cr_assert_eq(p.holds, rows[r].ends, "row %zu", r);
    }
}

TEST(probe, a_count_does_not_overflow)
{
    Core__Probe spec = CORE__PROBE__INIT;
    struct probe p = {.successes = INT32_MAX, .holds = true};
    spec.success_threshold = spec.failure_threshold = 3;
    cr_assert_eq(probe_count(&p, PROBE_READINESS, &spec, true), PROBE_SAME);
    cr_assert_eq(p.successes, INT32_MAX);
    cr_assert_eq(probe_count(&p, PROBE_READINESS, &spec, false), PROBE_SAME);
    cr_assert_eq(p.successes, 0);
}
