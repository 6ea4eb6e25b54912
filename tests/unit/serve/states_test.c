/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/states.h"

#include "tests/testlib/test.h"

static struct instant now = {1000};

static void write_one(struct index *x, struct history *h, uint64_t revision)
{
    struct blob *value = blob_new(STR("value"));
    struct cow_entry *e = cow_entry_new(STR("/pods/default/a"), revision, value);
    struct history_change change = {.revision = revision, .now = cow_entry_ref(e)};
    change.before = cowtree_put(index_tree(x), e);
    history_append(h, &change, now);
    index_publish(x, revision);
    history_publish(h, revision, now);
}

static uint64_t stamp_at(struct states *t, struct history *h, uint64_t revision)
{
    struct index_snapshot s;
    if (!states_find(t, h, revision, now, &s))
        return 0;
    uint64_t stamp = cow_find(s.root, STR("/pods/default/a"))->stamp;
    cr_expect_eq(s.revision, revision);
    index_snapshot_free(&s);
    return stamp;
}

static void keep_now(struct states *t, struct index *x, struct history *h)
{
    struct index_snapshot s = index_snapshot(x);
    states_keep(t, h, &s, now);
    index_snapshot_free(&s);
}

TEST(states, show_what_was_and_go_with_the_history)
{
    struct index *x = index_new();
    struct history *h = history_new(1 << 20), *other = history_new(1 << 20);
    struct states t = {0};
    for (uint64_t i = 1; i <= 3; i++) {
        write_one(x, h, i);
        keep_now(&t, x, h);
    }
    for (uint64_t i = 1; i <= 3; i++)
        cr_expect_eq(stamp_at(&t, h, i), i);
    cr_expect_eq(stamp_at(&t, h, 4), 0);
    cr_expect_eq(stamp_at(&t, other, 2), 0, "Another history's revision is another state.");

    history_forget(h, 2);
    cr_expect_eq(stamp_at(&t, h, 1), 0);
    cr_expect_eq(stamp_at(&t, h, 2), 2);
    cr_expect(states_expire(&t, now));
    cr_expect_null(t.kept[0].history);

    now = instant_add(now, SPAN_S(STATES_AGE_S + 1));
    cr_expect_eq(stamp_at(&t, h, 3), 3); /* Used: it stays. */
    cr_expect(states_expire(&t, now));
    cr_expect_eq(stamp_at(&t, h, 2), 0);
    cr_expect_eq(stamp_at(&t, h, 3), 3);
    states_fini(&t);
    history_free(other);
    history_free(h);
    index_free(x);
}

TEST(states, the_one_used_longest_ago_goes_first)
{
    struct index *x = index_new();
    struct history *h = history_new(1 << 20);
    struct states t = {0};
    for (uint64_t i = 1; i <= STATES_MAX + 1; i++) {
        write_one(x, h, i);
        now.ns++;
        keep_now(&t, x, h);
        cr_expect_eq(stamp_at(&t, h, 1), 1); /* Always in use. */
    }
    cr_expect_eq(stamp_at(&t, h, 2), 0);
    cr_expect_eq(stamp_at(&t, h, STATES_MAX + 1), STATES_MAX + 1);
    states_fini(&t);
    history_free(h);
    index_free(x);
}
