/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/slots.h"
#include "base/sm.h"
#include "base/time.h"
#include "tests/testlib/test.h"

#include <stdio.h>

TEST(err, wrap_reads_outside_in)
{
    struct err e;
    cr_assert_eq(err_set(&e, ERR_NOT_FOUND, "open %s: no such file", "state"), ERR_NOT_FOUND);
    cr_assert_eq(err_wrap(&e, "load %s", "n7"), ERR_NOT_FOUND);
    cr_assert_str_eq(e.text, "load n7: open state: no such file");
    cr_assert(err_again(ERR_CONFLICT));
    cr_assert_not(err_again(ERR_LIMIT));
    cr_assert_str_eq(err_name(ERR_CORRUPT), "ERR_CORRUPT");
}

TEST(str, split_and_trim)
{
    struct str rest = STR("a,,b"), part;
    cr_assert(str_split(&rest, ',', &part) && str_is(part, "a"));
    cr_assert(str_split(&rest, ',', &part) && str_is(part, ""));
    cr_assert(str_split(&rest, ',', &part) && str_is(part, "b"));
    cr_assert_not(str_split(&rest, ',', &part));

    rest = STR("x,");
    cr_assert(str_split(&rest, ',', &part) && str_is(part, "x"));
    cr_assert(str_split(&rest, ',', &part) && str_is(part, ""));
    cr_assert_not(str_split(&rest, ',', &part));
    cr_assert(str_is(str_trim(STR(" \t a b\n")), "a b"));
}

TEST(str, a_path_that_goes_up)
{
    cr_assert(str_goes_up(STR("..")));
    cr_assert(str_goes_up(STR("a/../b")));
    cr_assert(str_goes_up(STR("/a/..")));
    cr_assert(!str_goes_up(STR("a/..b/c.../.")));
    cr_assert(!str_goes_up(STR("")));
    cr_assert(!str_goes_up((struct str){NULL, 0}));
}

TEST(str, numbers_at_their_edges)
{
    uint64_t u = 7;
    int64_t i = 7;
    cr_assert_eq(str_parse_u64(STR("18446744073709551615"), &u), ERR_OK);
    cr_assert_eq(u, UINT64_MAX);
    cr_assert_eq(str_parse_u64(STR("18446744073709551616"), &u), ERR_INVALID);
    cr_assert_eq(str_parse_u64(STR(""), &u), ERR_INVALID);
    cr_assert_eq(str_parse_u64(STR("+1"), &u), ERR_INVALID);
    cr_assert_eq(u, UINT64_MAX, "an output is left alone on failure");
    cr_assert_eq(str_parse_i64(STR("-9223372036854775808"), &i), ERR_OK);
    cr_assert_eq(i, INT64_MIN);
    cr_assert_eq(str_parse_i64(STR("9223372036854775808"), &i), ERR_INVALID);
}

TEST(str, utf8)
{
    cr_assert(str_is_utf8(STR("plain ascii, longer than eight")));
    cr_assert(str_is_utf8(STR("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8e\xbc")));
    cr_assert_not(str_is_utf8(STR("\xc0\x80")), "overlong");
    cr_assert_not(str_is_utf8(STR("\xed\xa0\x80")), "surrogate");
    cr_assert_not(str_is_utf8(STR("\xf4\x90\x80\x80")), "beyond U+10FFFF");
    cr_assert_not(str_is_utf8(STR("abc\xe2\x82")), "cut off");
}

/* The test vector of the SipHash paper's reference for 1-3 is not published; what is checked is that
 * length, key and every byte matter. */
/* A NUL or a stray byte is found wherever it stands, whatever the length. */
TEST(str, text_has_no_nul)
{
    char text[40];
    for (size_t len = 0; len < sizeof text; len++) {
        memset(text, 'x', sizeof text);
        cr_assert(str_is_text(str_from(text, len)));
        for (size_t at = 0; at < len; at++) {
            text[at] = '\0';
            cr_assert_not(str_is_text(str_from(text, len)), "%zu of %zu", at, len);
            text[at] = (char)0x80;
            cr_assert_not(str_is_text(str_from(text, len)), "%zu of %zu", at, len);
            text[at] = 0x7f;
            cr_assert(str_is_text(str_from(text, len)));
        }
    }
    cr_assert(str_is_text(STR("gr\xc3\xbc\xc3\x9f")));
    cr_assert(str_is_text((struct str){NULL, 0}));
}

TEST(str, hash_depends_on_all)
{
    uint64_t a = str_hash(STR("abcdefgh1"));
    cr_assert_neq(a, str_hash(STR("abcdefgh2")));
    cr_assert_neq(a, str_hash(STR("abcdefgh")));
    str_hash_seed(1, 2);
    cr_assert_neq(a, str_hash(STR("abcdefgh1")));
}

TEST(buf, grows_to_its_limit_and_says_so)
{
    struct buf b;
    struct err e;
    buf_init(&b, 10);
    buf_add(&b, STR("12345"));
    buf_printf(&b, "%d", 678);
    cr_assert_eq(buf_status(&b, &e), ERR_OK);
    buf_add(&b, STR("xyz"));
    cr_assert_eq(buf_status(&b, &e), ERR_LIMIT);
    cr_assert(str_is(buf_str(&b), "12345678"));
    cr_assert_null(buf_blob(&b));
    buf_free(&b);
}

TEST(buf, numbers)
{
    struct buf b;
    buf_init(&b, 100);
    buf_add_i64(&b, INT64_MIN);
    buf_add_char(&b, ' ');
    buf_add_u64(&b, 0);
    cr_assert(str_is(buf_str(&b), "-9223372036854775808 0"));
    buf_consume(&b, 21);
    cr_assert(str_is(buf_str(&b), "0"));
    struct blob *blob = buf_blob(&b);
    cr_assert(str_is(blob_str(blob), "0"));
    blob_unref(blob_ref(blob));
    blob_unref(blob);
}

TEST(arena, a_part_ends_alone_or_with_the_whole)
{
    struct arena whole, part;
    arena_init(&whole, 128 << 10);
    char *first = arena_dup(&whole, STR("first"));
    arena_part(&part, &whole);
    cr_assert_not_null(arena_alloc(&part, 60 << 10));
    arena_free(&part);
    arena_part(&part, &whole); /* What has ended counts no more. */
    cr_assert_not_null(arena_alloc(&part, 60 << 10));
    char *second = arena_dup(&part, STR("second"));
    arena_adopt(&whole, &part);
    cr_assert_null(arena_alloc(&whole, 60 << 10)); /* What was kept does. */
    cr_assert_str_eq(first, "first");
    cr_assert_str_eq(second, "second");
    arena_free(&whole);
    cr_assert_not_null(arena_alloc(&whole, 100 << 10));
    arena_free(&whole);
}

TEST(arena, goes_back_to_a_mark)
{
    _Alignas(16) char room[512];
    struct arena a;
    arena_init_in(&a, 1 << 20, room, sizeof room);
    char *before = arena_dup(&a, STR("before"));
    cr_assert(before > room && before < room + sizeof room);
    struct arena_mark mark = arena_mark(&a);
    char *first = arena_alloc(&a, 64);
    for (int i = 0; i < 5; i++)
        cr_assert_not_null(arena_alloc(&a, 15 << 10));
    cr_assert_not_null(arena_alloc(&a, 100 << 10));
    arena_rewind(&a, &mark);
    cr_assert_eq(arena_alloc(&a, 64), first, "its memory is there again");
    cr_assert_str_eq(before, "before");
    for (int i = 0; i < 1000; i++) { /* What was given back does not count any more. */
        arena_rewind(&a, &mark);
        cr_assert_not_null(arena_alloc(&a, 15 << 10));
    }
    arena_free(&a);
    arena_init(&a, 1 << 20);
    mark = arena_mark(&a);
    cr_assert_not_null(arena_alloc(&a, 100));
    arena_rewind(&a, &mark);
    cr_assert_null(a.last);
    arena_free(&a);
}

TEST(arena, caps_what_a_request_may_take)
{
    struct arena a;
    struct err e;
    arena_init(&a, 64 << 10);
    char *small = arena_dup(&a, STR("name"));
    cr_assert_str_eq(small, "name");
    cr_assert_not_null(arena_alloc(&a, 40 << 10));
    cr_assert_str_eq(small, "name");
    cr_assert_null(arena_alloc(&a, 40 << 10));
    cr_assert_eq(arena_status(&a, &e), ERR_LIMIT);
    cr_assert_null(arena_zalloc(&a, SIZE_MAX / 2, 16));
    arena_free(&a);
    cr_assert_not_null(arena_zalloc(&a, 3, 7));
    arena_free(&a);
}

TEST(time, prints_and_parses)
{
    char text[WALL_TEXT_MAX];
    struct wall at;
    cr_assert_eq(wall_parse(STR("2026-11-21T08:48:00.123456Z"), &at), ERR_OK);
    wall_print_micro(at, text);
    cr_assert_str_eq(text, "2026-11-21T08:48:00.123456Z");
    wall_print(at, text);
    cr_assert_str_eq(text, "2026-11-21T08:48:00Z");
    cr_assert_eq(wall_parse(STR("1969-12-31T23:59:59.5+01:30"), &at), ERR_OK);
    wall_print_nano(at, text);
    cr_assert_str_eq(text, "1969-12-31T22:29:59.500000000Z");
    cr_assert_eq(wall_parse(STR("2024-02-29T00:00:00Z"), &at), ERR_OK);
    cr_assert_eq(wall_parse(STR("2023-02-29T00:00:00Z"), &at), ERR_INVALID);
    cr_assert_eq(wall_parse(STR("2023-02-28 00:00:00Z"), &at), ERR_INVALID);
    cr_assert_eq(wall_parse(STR("9999-01-01T00:00:00Z"), &at), ERR_INVALID);
    cr_assert_eq(instant_earlier((struct instant){0}, (struct instant){5}).ns, 5);
}

TEST(rng, same_seed_same_names)
{
    struct rng a, b;
    char one[RNG_UUID_LEN + 1], two[RNG_UUID_LEN + 1], suffix[RNG_SUFFIX_LEN + 1];
    rng_seed(&a, 1);
    rng_seed(&b, 1);
    rng_uuid(&a, one);
    rng_uuid(&b, two);
    cr_assert_str_eq(one, two);
    cr_assert_eq(one[14], '4');
    cr_assert_neq(strncmp(one, "00000000-", 9), 0, "every bit but six is random");
    cr_assert_not_null(strchr("89ab", one[19]));
    rng_uuid(&a, one);
    cr_assert_str_neq(one, two);
    rng_suffix(&a, suffix);
    cr_assert_eq(strlen(suffix), 5);
    for (int i = 0; i < 1000; i++)
        cr_assert_lt(rng_below(&a, 3), 3);
}

TEST(slots, a_stale_name_finds_nothing)
{
    struct slots s;
    struct slot_id first, second, third;
    slots_init(&s, 2);
    cr_assert(slots_take(&s, &first) && slots_take(&s, &second));
    cr_assert_not(slots_take(&s, &third));
    slots_give(&s, first);
    cr_assert_not(slots_live(&s, first));
    cr_assert(slots_take(&s, &third));
    cr_assert_eq(third.slot, first.slot);
    cr_assert_not(slots_live(&s, first));
    cr_assert(slots_live(&s, slot_unpack(slot_pack(third))));
    cr_assert_not(slots_live(&s, (struct slot_id){0, 0}));
    slots_fini(&s);
}

/* What was given back last is taken first, and then what nobody had yet, in order. */
TEST(slots, the_used_before_the_new)
{
    struct slots s;
    struct slot_id id[4];
    static const uint32_t order[] = {1, 0, 2, 3};
    slots_init(&s, 4);
    cr_assert(slots_take(&s, &id[0]) && slots_take(&s, &id[1]));
    slots_give(&s, id[0]);
    slots_give(&s, id[1]);
    for (uint32_t i = 0; i < 4; i++) {
        cr_assert(slots_take(&s, &id[i]));
        cr_assert_eq(id[i].slot, order[i]);
    }
    cr_assert_not(slots_take(&s, &id[0]));
    cr_assert_eq(s.taken, 4);
    slots_give(&s, id[3]); /* The last one of all ends the list. */
    cr_assert(slots_take(&s, &id[3]));
    cr_assert_not(slots_take(&s, &id[0]));
    slots_fini(&s);
}

/* Against an array of what is there: small tables and large ones, with places of the removed in them. */
TEST(map, finds_what_a_list_finds)
{
    enum { KEYS = 3000, STEPS = 60000 };
    static char keys[KEYS][8];
    static bool there[KEYS];
    struct rng r;
    struct map m;
    uint32_t live = 0;
    rng_seed(&r, 5);
    map_init(&m, KEYS);
    for (uint32_t i = 0; i < KEYS; i++)
        snprintf(keys[i], sizeof keys[i], "k%u", i);
    for (uint32_t i = 0; i < STEPS; i++) {
        uint32_t k = (uint32_t)rng_below(&r, i < STEPS / 2 ? 40 : KEYS);
        struct str key = str_of(keys[k]);
        cr_assert_eq(map_find(&m, key), there[k] ? keys[k] : NULL);
        if (rng_below(&r, 5) < 3) {
            cr_assert_eq(map_put(&m, key, keys[k]), ERR_OK);
            live += !there[k];
            there[k] = true;
        } else {
            cr_assert_eq(map_remove(&m, key), there[k] ? keys[k] : NULL);
            live -= there[k];
            there[k] = false;
        }
        cr_assert_eq(m.live, live);
    }
    map_fini(&m);
}

TEST(map, keeps_order_through_growth_and_removal)
{
    struct map m;
    char keys[1000][8];
    uint32_t at = 0, seen = 0;
    map_init(&m, 1000);
    for (int i = 0; i < 1000; i++) {
        snprintf(keys[i], sizeof keys[i], "k%d", i);
        cr_assert_eq(map_put(&m, str_of(keys[i]), keys[i]), ERR_OK);
    }
    cr_assert_eq(map_put(&m, STR("more"), keys[0]), ERR_LIMIT);
    for (int i = 0; i < 1000; i += 2)
        cr_assert_eq(map_remove(&m, str_of(keys[i])), keys[i]);
    cr_assert_null(map_remove(&m, STR("k0")));
    cr_assert_null(map_find(&m, STR("k2")));
    cr_assert_eq(map_find(&m, STR("k3")), keys[3]);
    for (const struct map_entry *e; (e = map_next(&m, &at)) != NULL; seen++)
        cr_assert_eq(e->value, keys[2 * seen + 1]);
    cr_assert_eq(seen, 500);
    for (int i = 0; i < 1000; i += 2)
        cr_assert_eq(map_put(&m, str_of(keys[i]), keys[i]), ERR_OK);
    cr_assert_eq(m.live, 1000);
    map_fini(&m);
}

static void keep_line(void *state, struct str line)
{
    buf_add(state, line);
}

static struct wall at_noon(void)
{
    return (struct wall){INT64_C(1795262400) * 1000000000};
}

TEST(log, a_name_cannot_forge_a_line)
{
    struct buf lines;
    buf_init(&lines, 4096);
    log_install(&(struct log_sink){keep_line, at_noon, &lines, LOG_INFO});
    log_event(LOG_DEBUG, "too.small", "x=1");
    log_event(LOG_INFO, "pod.bound", "pod=%s node=%s", log_quote(STR("a\nlevel=error")).text,
              log_quote(STR("n7")).text);
    buf_add_char(&lines, '\0');
    cr_assert_str_eq(lines.at, "ts=2026-11-21T12:00:00.000000Z level=info ev=pod.bound "
                               "pod=\"a\\x0alevel=error\" node=n7\n");
    buf_free(&lines);
    log_install(&(struct log_sink){0});
}

/* U+009B is what ESC [ begins in other words, to terminals that know both. */
TEST(log, an_outsider_does_not_speak_to_the_terminal)
{
    cr_assert_str_eq(log_quote(STR("a\x1b[2J")).text, "\"a\\x1b[2J\"");
    cr_assert_str_eq(log_quote(STR("a\xc2\x9b"
                                   "2J"))
                         .text,
                     "\"a\\xc2\\x9b2J\"");
    cr_assert_str_eq(log_quote(STR("a\x9b"
                                   "2J"))
                         .text,
                     "\"a\\x9b2J\"");
    cr_assert_str_eq(log_quote(STR("gr\xc3\xbc\xc3\x9f")).text, "gr\xc3\xbc\xc3\x9f");
}

TEST(sm, draws_its_table)
{
    static const struct sm_state door[] = {{"OPEN", 1u << 1}, {"SHUT", 1u << 0}};
    struct buf out;
    buf_init(&out, 4096);
    sm_dot(&out, "door", door, 2);
    cr_assert(str_is(buf_str(&out), "digraph door {\n    OPEN;\n    OPEN -> SHUT;\n"
                                    "    SHUT;\n    SHUT -> OPEN;\n}\n"));
    cr_assert_not(sm_may(door, 0, 0));
    buf_free(&out);
}
