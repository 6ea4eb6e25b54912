/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain.h -- as much of Criterion as the suites use, in one process: ThreadSanitizer cannot start under
 * Criterion's sandbox. plain.c runs every test of the binary one after another, each in a child of its own.
 */
#ifndef TESTLIB_PLAIN_H
#define TESTLIB_PLAIN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plain_test {
    const char *suite, *name;
    void (*body)(void);
    struct plain_test *next;
};

void plain_register(struct plain_test *t);

#define PLAIN_FAIL(what)                                                                           \
    do {                                                                                           \
        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, what);                                  \
        abort();                                                                                   \
    } while (0)

#define cr_assert(cond, ...)                                                                       \
    do {                                                                                           \
        if (!(cond))                                                                               \
            PLAIN_FAIL(#cond);                                                                     \
    } while (0)
#define cr_assert_not(cond, ...) cr_assert(!(cond))
#define cr_assert_null(p, ...) cr_assert((p) == NULL)
#define cr_assert_not_null(p, ...) cr_assert((p) != NULL)
#define cr_assert_eq(a, b, ...) cr_assert((a) == (b))
#define cr_assert_neq(a, b, ...) cr_assert((a) != (b))
#define cr_assert_lt(a, b, ...) cr_assert((a) < (b))
#define cr_assert_leq(a, b, ...) cr_assert((a) <= (b))
#define cr_assert_gt(a, b, ...) cr_assert((a) > (b))
#define cr_assert_geq(a, b, ...) cr_assert((a) >= (b))
#define cr_assert_str_eq(a, b, ...) cr_assert(strcmp((a), (b)) == 0)
#define cr_assert_str_neq(a, b, ...) cr_assert(strcmp((a), (b)) != 0)
#define cr_assert_str_empty(a, ...) cr_assert((a)[0] == '\0')
#define cr_assert_arr_eq(a, b, n, ...) cr_assert(memcmp((a), (b), (n)) == 0)
#define cr_assert_fail(...) PLAIN_FAIL("failed")
/* Criterion goes on after these; here the first one ends the run as well. */
#define cr_expect(cond, ...) cr_assert(cond)
#define cr_expect_not(cond, ...) cr_assert_not(cond)
#define cr_expect_null(p, ...) cr_assert_null(p)
#define cr_expect_not_null(p, ...) cr_assert_not_null(p)
#define cr_expect_eq(a, b, ...) cr_assert_eq(a, b)
#define cr_expect_neq(a, b, ...) cr_assert_neq(a, b)
#define cr_expect_lt(a, b, ...) cr_assert_lt(a, b)
#define cr_expect_leq(a, b, ...) cr_assert_leq(a, b)
#define cr_expect_gt(a, b, ...) cr_assert_gt(a, b)
#define cr_expect_geq(a, b, ...) cr_assert_geq(a, b)
#define cr_expect_str_eq(a, b, ...) cr_assert_str_eq(a, b)
#define cr_fatal(...) PLAIN_FAIL("failed")
#define cr_log_info(...) (void)0
#define cr_skip_test(...) return

#define TEST_WITHIN(suite_, name_, seconds_) TEST(suite_, name_) /* Nobody stops it. */
#define TEST(suite_, name_)                                                                        \
    static void suite_##_##name_##_body(void);                                                     \
    static struct plain_test suite_##_##name_##_test = {#suite_, #name_, suite_##_##name_##_body,  \
                                                        NULL};                                     \
    __attribute__((constructor)) static void suite_##_##name_##_add(void)                          \
    {                                                                                              \
        plain_register(&suite_##_##name_##_test);                                                  \
    }                                                                                              \
    static void suite_##_##name_##_body(void)

#endif /* TESTLIB_PLAIN_H */
