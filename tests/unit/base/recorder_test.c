/* SPDX-License-Identifier: Apache-2.0 */
#include "base/recorder.h"
#include "tests/testlib/test.h"

#include <stdio.h>

static bool add(struct recorder *r, struct str frame)
{
    uint8_t *at = recorder_begin(r, frame.len);
    if (at == NULL)
        return false;
    memcpy(at, frame.at, frame.len);
    recorder_end(r, frame.len);
    return true;
}

static struct buf whole(const struct recorder *r)
{
    struct str parts[RECORDER_PARTS];
    struct buf out;
    buf_init(&out, 1 << 20);
    recorder_parts(r, parts);
    for (int i = 0; i < RECORDER_PARTS; i++)
        buf_add(&out, parts[i]);
    return out;
}

TEST(recorder, head_and_frames_come_back)
{
    struct recorder r;
    struct str frame;
    recorder_init(&r, STR("magic\n"), 64);
    cr_assert(add(&r, STR("one")));
    recorder_keep(&r, STR("head"));
    cr_assert(add(&r, STR("")));
    struct buf file = whole(&r);
    struct str rest = str_slice(buf_str(&file), 6, file.len);
    cr_assert(recorder_next(&rest, &frame) && str_is(frame, "head"));
    cr_assert(recorder_next(&rest, &frame) && str_is(frame, "one"));
    cr_assert(recorder_next(&rest, &frame) && frame.len == 0);
    cr_assert_not(recorder_next(&rest, &frame));
    buf_free(&file);
    recorder_fini(&r);
}

TEST(recorder, the_older_half_goes_when_the_newer_is_full)
{
    struct recorder r;
    struct str frame;
    char text[16];
    uint64_t first = UINT64_MAX, last = 0;
    recorder_init(&r, STR(""), 64);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "%08d", i);
        bool turns = recorder_turns(&r, 8);
        uint32_t was = r.now;
        cr_assert(add(&r, str_of(text)));
        cr_assert_eq(turns, r.now != was);
    }
    struct buf file = whole(&r);
    struct str rest = buf_str(&file);
    while (recorder_next(&rest, &frame)) {
        uint64_t number = 0;
        cr_assert_eq(str_parse_u64(frame, &number), ERR_OK);
        cr_assert(first == UINT64_MAX || number == last + 1);
        first = first == UINT64_MAX ? number : first;
        last = number;
    }
    cr_assert_eq(last, 99);
    cr_assert(last - first >= 5 && last - first < 10, "a half holds five frames of twelve bytes");
    buf_free(&file);
    recorder_fini(&r);
}

TEST(recorder, what_does_not_fit_is_left_out)
{
    struct recorder r;
    char large[61] = {0};
    recorder_init(&r, STR(""), 64);
    cr_assert(add(&r, STR("kept")));
    cr_assert_not(add(&r, str_from(large, 61)), "with its length it is 65 bytes");
    cr_assert(add(&r, str_from(large, 60)));
    struct str parts[RECORDER_PARTS];
    recorder_parts(&r, parts);
    cr_assert_eq(parts[1].len, 8);
    cr_assert_eq(parts[2].len, 64);
    recorder_fini(&r);
}

/* Else a half would be begun that a fault's handler is writing, when the fault was another thread's. */
TEST(recorder, a_stopped_one_stays_as_it_is)
{
    struct recorder r;
    struct str parts[RECORDER_PARTS];
    recorder_init(&r, STR(""), 64);
    cr_assert(add(&r, STR("kept")));
    recorder_stop(&r);
    for (int i = 0; i < 50; i++)
        cr_assert_not(add(&r, STR("too late")));
    recorder_turn(&r);
    recorder_parts(&r, parts);
    cr_assert_eq(parts[1].len, 0);
    cr_assert_eq(parts[2].len, 8);
    recorder_fini(&r);
}

TEST(recorder, cut_frames_end_a_file)
{
    struct str frame, rest = str_from("\3\0\0\0ab", 6);
    cr_assert_not(recorder_next(&rest, &frame));
    rest = str_from("\3\0\0", 3);
    cr_assert_not(recorder_next(&rest, &frame));
    rest = str_from("\377\377\377\377", 4);
    cr_assert_not(recorder_next(&rest, &frame));
    cr_assert_eq(rest.len, 4, "what could not be read is still there");
}
