/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"
#include "tests/testlib/test.h"

/* RFC 4648, section 10. */
TEST(base64, the_rfcs_vectors)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf b;
        char back[16];
        size_t len = 99;
        buf_init(&b, 64);
        buf_add_base64(&b, str_of(rows[i][0]));
        cr_assert(str_is(buf_str(&b), rows[i][1]), "%s", rows[i][0]);
        cr_assert_eq(base64_decode(str_of(rows[i][1]), back, &len), ERR_OK);
        cr_assert(str_is(str_from(back, len), rows[i][0]));
        buf_free(&b);
    }
}

TEST(base64, what_is_not_exact_is_refused)
{
    static const char *const bad[] = {"Z",        "Zg",    "Zg=",  "Zh==", "Zm9=",     "=Zg=",
                                      "Zg==Zg==", "Zg===", "Z g=", "-_8=", "Zm9v====", "===="};
    char out[32];
    size_t len = 7;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_assert_eq(base64_decode(str_of(bad[i]), out, &len), ERR_INVALID, "%s", bad[i]);
    cr_assert_eq(len, 7);
    cr_assert_eq(base64_decode(STR("Zm\r\n9v\n"), out, &len), ERR_OK);
    cr_assert(str_is(str_from(out, len), "foo"));
}
