/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"
#include "controlplane/core/history.h"
#include "tests/testlib/test.h"
#include <stdio.h>

static const struct instant T0 = {1000};

static struct cow_entry *entry(const char *key, uint64_t revision, size_t size)
{
    struct blob *value = blob_reserve((uint32_t)size);
    memset(value->at, 'v', size);
    return cow_entry_new(str_of(key), revision, value);
}

static void append(struct history *h, const char *key, uint64_t revision, uint64_t topic,
                   struct instant now)
{
    struct history_change c = {
        .revision = revision, .now = entry(key, revision, 100), .topic = topic};
    history_append(h, &c, now);
}

/* The revisions of what is behind after, up to the head: "5 7 9". */
static const char *follow(struct history *h, uint64_t after, const char *prefix, uint64_t topic,
                          char out[4096])
{
    struct history_filter f = {.prefix = str_of(prefix), .topic = topic};
    struct history_batch b = {.more = true};
    size_t len = 0;
    out[0] = '\0';
    while (b.more) {
        if (history_read(h, after, &f, &b, NULL) != ERR_OK)
            return "gone";
        for (uint32_t i = 0; i < b.count; i++)
            len += (size_t)snprintf(out + len, 4096 - len, "%s%llu", len > 0 ? " " : "",
                                    (unsigned long long)b.at[i].revision);
        cr_assert_geq(b.seen, after);
        after = b.seen;
        history_batch_free(&b);
    }
    return out;
}

TEST(history, followers_read_from_where_they_are)
{
    char text[4096];
    struct history *h = history_new(0);
    history_forget(h, 2);
    append(h, "/pods/a/1", 3, 0, T0);
    append(h, "/pods/b/1", 5, 0, T0);
    cr_assert_str_eq(follow(h, 2, "", 0, text), ""); /* Not published yet. */
    history_publish(h, 6, T0);
    append(h, "/pods/a/1", 9, 0, T0);
    history_publish(h, 9, T0);

    cr_assert_str_eq(follow(h, 2, "", 0, text), "3 5 9");
    cr_assert_str_eq(follow(h, 2, "/pods/a/", 0, text), "3 9");
    cr_assert_str_eq(follow(h, 4, "", 0, text), "5 9"); /* A gap is a position, too. */
    cr_assert_str_eq(follow(h, 9, "", 0, text), "");
    cr_assert_str_eq(follow(h, 100, "", 0, text), "");
    cr_assert_str_eq(follow(h, 1, "", 0, text), "gone");
    cr_assert_eq(history_bounds(h).oldest, 2);
    cr_assert_eq(history_bounds(h).head, 9);

    struct history_batch b;
    struct history_filter nothing = {.prefix = STR("/nodes/")};
    cr_assert_eq(history_read(h, 2, &nothing, &b, NULL), ERR_OK);
    cr_assert_eq(b.seen, 9); /* A quiet follower's position still moves: bookmarks need that. */
    history_free(h);
}

TEST(history, bytes_bound_it)
{
    char text[4096];
    struct history *h = history_new(100000);
    for (uint64_t r = 1; r <= 5000; r++) {
        append(h, "/pods/a/1", r, 0, T0);
        history_publish(h, r, T0);
        cr_assert_leq(history_bounds(h).bytes, 100000);
    }
    struct history_bounds b = history_bounds(h);
    cr_assert_eq(b.oldest + b.count, 5000);
    cr_assert_gt(b.count, 300);
    cr_assert_str_eq(follow(h, b.oldest - 1, "", 0, text), "gone");
    cr_assert_str_eq(follow(h, 4997, "", 0, text), "4998 4999 5000");

    /* What is old leaves once it holds more than an eighth; what is young may fill it all. */
    append(h, "/pods/a/1", 5001, 0, instant_add(T0, SPAN_S(301)));
    history_publish(h, 5001, instant_add(T0, SPAN_S(301)));
    cr_assert_leq(history_bounds(h).bytes, 100000 / 8);
    cr_assert_gt(history_bounds(h).count, 10);
    history_free(h);
}

TEST(history, a_topic_is_a_chain)
{
    char text[4096], expect[4096];
    struct history *h = history_new(0);
    struct rng r;
    rng_seed(&r, 3);
    size_t len = 0;
    for (uint64_t revision = 1; revision <= 3000; revision++) {
        uint64_t topic = rng_below(&r, 200); /* 0: none. */
        append(h, "baton.dev/placements/a/1", revision, topic, T0);
        if (topic == 7)
            len += (size_t)snprintf(expect + len, sizeof expect - len, "%s%llu", len > 0 ? " " : "",
                                    (unsigned long long)revision);
    }
    history_publish(h, 3000, T0);
    cr_assert_str_eq(follow(h, 0, "", 7, text), expect);
    cr_assert_str_eq(follow(h, 0, "/pods", 7, text), "");
    cr_assert_str_eq(follow(h, 0, "", 777, text), "");

    /* One node's changes, many more than a batch holds, in the ring after a wrap. */
    for (uint64_t revision = 3001; revision <= 3300; revision++)
        append(h, "baton.dev/placements/a/1", revision, 777, T0);
    history_publish(h, 3300, T0);
    follow(h, 3100, "", 777, text);
    cr_assert(str_starts(str_of(text), STR("3101 3102 ")) && str_ends(str_of(text), STR(" 3300")));
    history_free(h);
}
