/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test.h -- Criterion, made to fail where it would not.
 *
 * WHAT   TEST(suite, name) { body }. Criterion 2.4 prints a sanitizer's leak report and passes the
 *        test anyway, so the leak scan runs inside the test, once the body's own frame is gone.
 *        TEST_WITHIN(suite, name, seconds): one that may take longer than a minute, as tests/long asks of it.
 *        Under -DPLAIN_RUNNER (ThreadSanitizer, which Criterion cannot start) the same bodies run
 *        one after another in one process.
 */
#ifndef TESTLIB_TEST_H
#define TESTLIB_TEST_H

#ifdef PLAIN_RUNNER
#include "tests/testlib/plain.h"
#else
#include <criterion/criterion.h>

#if defined(__SANITIZE_ADDRESS__)
int __lsan_do_recoverable_leak_check(void);
static inline int leak_check(void)
{
    return __lsan_do_recoverable_leak_check();
}
#else
static inline int leak_check(void)
{
    return 0;
}
#endif

#define TEST_WITHIN(suite, name, seconds)                                                          \
    static void suite##_##name##_body(void);                                                       \
    Test(suite, name, .timeout = (seconds))                                                        \
    {                                                                                              \
        suite##_##name##_body();                                                                   \
        cr_assert_eq(leak_check(), 0, "test leaked");                                              \
    }                                                                                              \
    static void suite##_##name##_body(void)
#define TEST(suite, name) TEST_WITHIN(suite, name, 60)
#endif /* PLAIN_RUNNER */

#endif /* TESTLIB_TEST_H */
