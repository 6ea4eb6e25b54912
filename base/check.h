/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h -- our own mistakes end the program, in release builds too.
 *
 * WHAT   CHECK(cond): when cond is false, prints where, calls the hook that main() installed (the
 *        flight recorder's dump) and aborts. A restart is the recovery.
 * WHY    A state that cannot be is not handled, it is found. Peers' messages and stored bytes are
 *        input, not our mistakes: they must never reach a CHECK.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include "base/attr.h"

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0))                                                          \
            check_failed(#cond, __FILE__, __LINE__);                                               \
    } while (0)

NORETURN void check_failed(const char *cond, const char *file, int line);

/* Called once before abort(), with nothing locked and memory perhaps damaged: write and return. */
void check_on_failure(void (*hook)(void));

#endif /* BASE_CHECK_H */
