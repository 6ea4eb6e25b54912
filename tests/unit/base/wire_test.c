/* SPDX-License-Identifier: Apache-2.0 */
#include "base/wire.h"
#include "tests/testlib/test.h"

TEST(wire, varints_come_back)
{
    static const uint64_t values[] = {0,          1,         127,        128,      16383, 16384,
                                      UINT32_MAX, INT64_MAX, UINT64_MAX, 1u << 21, 300};
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        struct buf b;
        buf_init(&b, 100);
        wire_put_u64(&b, 7, values[i]);
        cr_expect_eq(b.len, 1 + wire_varint_len(values[i]));
        struct wire_reader r = wire_read(buf_str(&b));
        struct wire_field f;
        cr_assert(wire_next(&r, &f));
        cr_expect_eq(f.value, values[i]);
        cr_expect_eq(f.number, 7);
        cr_expect(!wire_next(&r, &f) && !r.broken);
        buf_free(&b);
    }
}

/* Messages of every length around the places where their own length takes another byte. */
TEST(wire, messages_of_any_length_come_back)
{
    for (size_t len = 0; len < 17000; len += len < 300 || len > 16300 ? 1 : 1000) {
        struct buf b;
        buf_init(&b, 1 << 20);
        size_t outer = wire_begin(&b, 1), inner = wire_begin(&b, 2);
        char *room = buf_reserve(&b, len);
        memset(room, 'x', len);
        buf_commit(&b, len);
        wire_end(&b, inner);
        wire_put_u64(&b, 3, 1);
        wire_end(&b, outer);
        struct str got = wire_find_bytes(wire_find_bytes(buf_str(&b), 1), 2);
        cr_assert_eq(got.len, len);
        cr_assert(len == 0 || (got.at[0] == 'x' && got.at[len - 1] == 'x'));
        buf_free(&b);
    }
}

TEST(wire, refuses_what_is_broken)
{
    static const struct str bad[] = {
        STR("\x08"), /* a tag and nothing */
        STR("\x0a\x05"
            "abc"),                                          /* a length past the end */
        STR("\x0b"),                                         /* a group */
        STR("\x00\x01"),                                     /* field 0 */
        STR("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), /* more than 64 bits */
        STR("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
        STR("\x09\x01\x02"), /* half a fixed number */
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct wire_reader r = wire_read(bad[i]);
        struct wire_field f;
        while (wire_next(&r, &f))
            ;
        cr_expect(r.broken, "%zu", i);
    }
}
