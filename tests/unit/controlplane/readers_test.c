/* SPDX-License-Identifier: Apache-2.0 */
/* Connection threads beside the core: every snapshot and every run of history is of one moment. */
#include "tests/testlib/test.h"
#include "tests/unit/controlplane/world.h"
#include <pthread.h>
#include <stdio.h>

enum { READERS = 3, WRITES = 1500 };

struct reader {
    struct index *index;
    struct history *history;
    uint64_t until;      /* Follows up to this revision. */
    uint64_t seen, sum;  /* Of the followed changes. */
    uint32_t lists, bad; /* bad: what must not be. */
};

/* Pairs are written in one transaction: a list never shows half of one. */
static void list(struct reader *r)
{
    struct index_snapshot s = index_snapshot(r->index);
    struct index_range range;
    uint64_t all = 0, highest = 0;
    index_range(&range, &s, STR("/configmaps/default/c"), STR(""));
    for (struct cow_entry *e; (e = index_range_next(&range)) != NULL; all++)
        highest = max_u64(highest, e->stamp);
    r->bad += all % 2 != 0 || highest > s.revision;
    r->bad += index_count(&s, STR("/configmaps/default/c"), STR("")) != all;
    r->lists++;
    index_snapshot_free(&s);
}

static void *read_on(void *arg)
{
    struct reader *r = arg;
    struct history_filter f = {.prefix = STR("/configmaps/")};
    while (r->seen < r->until) {
        struct history_batch b;
        if (history_read(r->history, r->seen, &f, &b, NULL) != ERR_OK) {
            r->bad++;
            return NULL;
        }
        for (uint32_t i = 0; i < b.count; i++) {
            r->bad += b.at[i].revision <= r->seen || b.at[i].now->stamp != b.at[i].revision;
            r->sum += b.at[i].revision;
            r->seen = b.at[i].revision;
        }
        r->seen = max_u64(r->seen, b.seen);
        history_batch_free(&b);
        list(r);
    }
    return NULL;
}

TEST(readers, see_whole_turns_while_the_core_goes_on)
{
    struct world *w = world_new();
    struct reader readers[READERS];
    pthread_t threads[READERS];
    uint64_t begin = w->published, sum = 0;
    for (uint32_t i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.index = core_index(w->core),
                                     .history = core_history(w->core),
                                     .until = begin + WRITES * 2,
                                     .seen = begin};
        cr_assert_eq(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
    }
    for (uint32_t i = 0; i < WRITES * 2; i++) {
        char name[32], key[64];
        snprintf(name, sizeof name, "c%u", i);
        snprintf(key, sizeof key, "/configmaps/default/%s", name);
        struct blob *object =
            object_make(&(struct object_parts){.name = name, .namespace = "default"});
        struct write_request r = {.verb = WRITE_CREATE, .key = str_of(key), .object = object};
        world_write(w, &r);
        blob_unref(object);
        sum += begin + 1 + i;
        if (i % 2 == 1)
            world_turn(w);
    }
    cr_assert(world_settle(w));
    for (uint32_t i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        cr_assert_eq(readers[i].bad, 0);
        cr_assert_eq(readers[i].sum, sum);
        cr_assert_gt(readers[i].lists, 0);
    }
    world_free(w);
}
