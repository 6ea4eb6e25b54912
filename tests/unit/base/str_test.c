/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include "tests/testlib/test.h"

TEST(str, copies_short_ones_whole_and_nothing_else)
{
    char from[80], to[82];
    for (size_t i = 0; i < sizeof from; i++)
        from[i] = (char)(i + 1);
    for (size_t len = 0; len <= sizeof from; len++) {
        memset(to, 0, sizeof to);
        str_copy_short(to + 1, str_from(from, len));
        cr_assert_eq(memcmp(to + 1, from, len), 0, "%zu", len);
        cr_assert(to[0] == 0 && to[len + 1] == 0, "%zu", len);
    }
}
