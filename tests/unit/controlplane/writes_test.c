/* SPDX-License-Identifier: Apache-2.0 */
/* The write path: what a client is told, what is stored, and what happens when the store disappoints. */
#include "tests/testlib/test.h"
#include "tests/unit/controlplane/world.h"
#include <stdio.h>

#define CONFIG(n) "/configmaps/default/" n

static struct blob *config(const char *name, const char *payload)
{
    return object_make(
        &(struct object_parts){.name = name, .namespace = "default", .payload = payload});
}

TEST(writes, a_started_core_has_its_namespaces)
{
    struct world *w = world_new();
    cr_assert(world_has(w, "/namespaces//default"));
    cr_assert(world_has(w, "/namespaces//kube-system"));
    cr_assert(world_has(w, "/namespaces//kube-public"));
    cr_assert(world_has(w, "/namespaces//kube-node-lease"));
    cr_assert(world_has(w, "/serviceaccounts/default/default"));
    struct meta m = world_meta(w, "/namespaces//default");
    cr_assert(str_is(meta_label(&m, STR("kubernetes.io/metadata.name")), "default"));
    cr_assert(core_is_ready(w->core));
    world_free(w);
}

TEST(writes, create_stamps_and_publishes)
{
    struct world *w = world_new();
    uint64_t head = w->published;
    struct world_answer *a = world_config(w, "a");
    struct meta m = world_meta(w, CONFIG("a"));

    cr_assert_eq(a->result, WRITE_OK);
    cr_assert_eq(a->revision, head + 1);
    cr_assert_eq(w->published, head + 1);
    cr_assert_eq(m.revision, head + 1);
    cr_assert_eq(m.uid.len, 36);
    cr_assert(m.is_created && m.created_s == wall_seconds(w->wall));
    struct meta told;
    cr_assert_eq(meta_read(blob_str(a->object), &told, NULL), ERR_OK);
    cr_assert(str_eq(told.uid, m.uid));

    cr_assert_eq(world_config(w, "a")->result, WRITE_EXISTS);
    cr_assert_eq(world_create(w, "/configmaps/nowhere/a", config("a", ""))->result,
                 WRITE_NO_NAMESPACE);
    cr_assert_eq(world_create(w, "nonsense", config("a", ""))->result, WRITE_INVALID);
    cr_assert_eq(world_create(w, CONFIG("b"), blob_new(STR("{}")))->result, WRITE_INVALID);
    world_free(w);
}

/* A turn's writes are one transaction, told in order; requests for one key wait for each other. */
TEST(writes, a_story_of_one_turn)
{
    struct world *w = world_new();
    struct blob *object = config("x", "");
    buf_clear(&w->story);
    w->told = true;
    uint64_t base = w->published, first = w->op;
    struct write_request r = {.verb = WRITE_CREATE, .key = STR(CONFIG("a")), .object = object};
    world_write(w, &r);
    r.key = STR(CONFIG("b"));
    world_write(w, &r);
    r.key = STR(CONFIG("a"));
    world_write(w, &r); /* Waits for the first, and finds the name taken. */
    struct write_request gone = {
        .verb = WRITE_DELETE, .key = STR(CONFIG("b")), .grace_seconds = -1};
    world_write(w, &gone); /* Waits, too. */
    cr_assert(world_settle(w));

    char expect[600];
    unsigned long long b = base, o = first;
    snprintf(expect, sizeof expect,
             "commit %llu+/configmaps/default/a %llu+/configmaps/default/b\n"
             "reply %llu WRITE_OK %llu\n"
             "reply %llu WRITE_OK %llu\n"
             "reply %llu WRITE_EXISTS 0\n"
             "published %llu\n"
             "commit %llu-/configmaps/default/b\n"
             "reply %llu WRITE_OK %llu gone\n"
             "published %llu\n",
             b + 1, b + 2, o + 1, b + 1, o + 2, b + 2, o + 3, b + 2, b + 3, o + 4, b + 2, b + 3);
    buf_add_char(&w->story, '\0');
    cr_assert_str_eq(w->story.at, expect);
    blob_unref(object);
    world_free(w);
}

TEST(writes, names_are_generated)
{
    struct world *w = world_new();
    struct blob *object =
        object_make(&(struct object_parts){.generate = "web-", .namespace = "default"});
    struct write_request r = {.verb = WRITE_CREATE,
                              .key = STR("/configmaps/default/"),
                              .generate = STR("web-"),
                              .object = object};
    uint64_t one = world_write(w, &r), two = world_write(w, &r);
    cr_assert(world_settle(w));
    struct meta a, b;
    cr_assert_eq(meta_read(blob_str(w->answers[one].object), &a, NULL), ERR_OK);
    cr_assert_eq(meta_read(blob_str(w->answers[two].object), &b, NULL), ERR_OK);
    cr_assert(str_starts(a.name, STR("web-")) && a.name.len == 9 && !str_eq(a.name, b.name));
    char key[100];
    snprintf(key, sizeof key, "/configmaps/default/%.*s", STR_ARG(a.name));
    cr_assert(world_has(w, key));
    blob_unref(object);
    world_free(w);
}

TEST(writes, replace_keeps_identity_and_minds_preconditions)
{
    struct world *w = world_new();
    struct world_answer *a = world_config(w, "a");
    struct meta was = world_meta(w, CONFIG("a"));
    char uid[40];
    snprintf(uid, sizeof uid, "%.*s", STR_ARG(was.uid));

    struct world_answer *b = world_replace(w, CONFIG("a"), config("a", "new"), a->revision);
    cr_assert_eq(b->result, WRITE_OK);
    struct meta m = world_meta(w, CONFIG("a"));
    cr_assert(str_is(m.uid, uid) && m.revision == b->revision && b->revision > a->revision);
    cr_assert(m.is_created);

    cr_assert_eq(world_replace(w, CONFIG("a"), config("a", "x"), a->revision)->result, WRITE_STALE);
    cr_assert_eq(world_replace(w, CONFIG("z"), config("z", "x"), 0)->result, WRITE_NOT_FOUND);
    /* What changes nothing is no write: the revision stays, nobody is told. */
    uint64_t published = w->published, commits = w->commits;
    struct world_answer *c = world_replace(w, CONFIG("a"), config("a", "new"), 0);
    cr_assert_eq(c->result, WRITE_OK);
    cr_assert_eq(c->revision, b->revision);
    cr_assert_eq(w->published, published);
    cr_assert_eq(w->commits, commits);

    struct write_request other = {
        .verb = WRITE_DELETE, .key = STR(CONFIG("a")), .if_uid = STR("other"), .grace_seconds = -1};
    uint64_t op = world_write(w, &other);
    cr_assert(world_settle(w));
    cr_assert_eq(w->answers[op].result, WRITE_OTHER_UID);
    world_free(w);
}

TEST(writes, a_dry_run_changes_nothing)
{
    struct world *w = world_new();
    uint64_t published = w->published;
    struct blob *object = config("a", "");
    struct write_request r = {
        .verb = WRITE_CREATE, .key = STR(CONFIG("a")), .object = object, .dry_run = true};
    uint64_t op = world_write(w, &r);
    cr_assert(world_settle(w));
    struct meta m;
    cr_assert_eq(w->answers[op].result, WRITE_OK);
    cr_assert_eq(meta_read(blob_str(w->answers[op].object), &m, NULL), ERR_OK);
    cr_assert(m.uid.len == 36 && m.revision == 0 && m.is_created);
    cr_assert(!world_has(w, CONFIG("a")) && w->published == published);

    world_config(w, "a");
    r = (struct write_request){
        .verb = WRITE_DELETE, .key = STR(CONFIG("a")), .grace_seconds = -1, .dry_run = true};
    op = world_write(w, &r);
    cr_assert(world_settle(w));
    cr_assert(w->answers[op].result == WRITE_OK && w->answers[op].gone);
    cr_assert(world_has(w, CONFIG("a")));
    blob_unref(object);
    world_free(w);
}

TEST(writes, finalizers_hold_an_object_until_the_last_one_goes)
{
    struct world *w = world_new();
    struct object_parts parts = {
        .name = "a", .namespace = "default", .finalizer = "example.com/hold"};
    world_create(w, CONFIG("a"), object_make(&parts));
    struct world_answer *a = world_delete(w, CONFIG("a"), "");
    cr_assert(a->result == WRITE_OK && !a->gone);
    struct meta m = world_meta(w, CONFIG("a"));
    cr_assert(m.is_deleting && m.has_grace && m.grace_s == 0);

    a = world_delete(w, CONFIG("a"), ""); /* Again: no change. */
    cr_assert(a->result == WRITE_OK && a->revision == m.revision);
    cr_assert(str_is(str_of(world_config(w, "a")->text), "object is being deleted"));

    parts.payload = "changed";
    a = world_replace(w, CONFIG("a"), object_make(&parts), 0);
    cr_assert(world_meta(w, CONFIG("a")).is_deleting); /* Nobody takes that back. */

    parts.finalizer = NULL;
    uint64_t before = w->published;
    a = world_replace(w, CONFIG("a"), object_make(&parts), 0);
    cr_assert(a->result == WRITE_OK && a->gone);
    cr_assert(!world_has(w, CONFIG("a")));
    cr_assert_eq(w->published, before + 1);

    struct history_batch b;
    struct history_filter f = {.prefix = STR("/configmaps/")};
    cr_assert_eq(history_read(core_history(w->core), before, &f, &b, NULL), ERR_OK);
    cr_assert(b.count == 1 && b.at[0].deleted);
    cr_assert_eq(meta_read(blob_str(b.at[0].now->value), &m, NULL), ERR_OK);
    cr_assert_eq(m.revision, before + 1);
    history_batch_free(&b);
    world_free(w);
}

/* ---- The store disappoints ---- */

static struct world *world_with(enum store_mem_fault fault)
{
    struct world *w = world_new();
    struct store_mem_dials dials = {.trip_point = store_mem_points(w->store) + 1,
                                    .trip_fault = fault};
    store_mem_set_dials(w->store, &dials);
    return w;
}

/* Three transactions in flight, trouble in the first: every client learns the truth, whichever it is, and
 * index, history and disk agree. */
static void three_in_flight(enum store_mem_fault fault, enum write_result expect)
{
    struct world *w = world_with(fault);
    struct store_mem_dials dials = {.latency_min = SPAN_MS(5),
                                    .latency_max = SPAN_MS(5),
                                    .trip_point = store_mem_points(w->store) + 1,
                                    .trip_fault = fault};
    store_mem_set_dials(w->store, &dials);
    struct blob *object = config("x", "");
    uint64_t ops[3];
    for (uint32_t i = 0; i < 3; i++) {
        char key[64];
        snprintf(key, sizeof key, "/configmaps/default/c%u", i);
        struct write_request r = {.verb = WRITE_CREATE, .key = str_of(key), .object = object};
        ops[i] = world_write(w, &r);
        world_turn(w);
        world_pass(w, SPAN_MS(1));
    }
    cr_assert(world_settle(w));
    cr_assert_eq(w->answers[ops[0]].result, expect);
    cr_assert_eq(w->answers[ops[1]].result, WRITE_OK);
    cr_assert_eq(w->answers[ops[2]].result, WRITE_OK);
    cr_assert_eq(world_has(w, CONFIG("c0")), expect == WRITE_OK);
    cr_assert(world_has(w, CONFIG("c1")) && world_has(w, CONFIG("c2")));
    cr_assert_eq(w->published, store_mem_disk_head(w->disk));
    cr_assert_eq(world_config(w, "after")->result, WRITE_OK);

    w = world_crash(w);
    cr_assert(world_settle(w));
    cr_assert_eq(world_has(w, CONFIG("c0")), expect == WRITE_OK);
    cr_assert(world_has(w, CONFIG("c1")) && world_has(w, CONFIG("after")));
    blob_unref(object);
    world_free(w);
}

TEST(writes, an_unknown_outcome_is_found_out)
{
    three_in_flight(STORE_MEM_WRITTEN, WRITE_OK);
    three_in_flight(STORE_MEM_LOST, WRITE_UNAVAILABLE);
    three_in_flight(STORE_MEM_FULL, WRITE_STORE_FULL);
}

/* What one object is given for goes with it, through any disappointment. */
TEST(writes, what_is_spent_goes_with_what_is_made)
{
    for (uint32_t fault = STORE_MEM_LOST; fault <= STORE_MEM_WRITTEN; fault++) {
        struct world *w = world_new();
        world_config(w, "token");
        char uid[64];
        snprintf(uid, sizeof uid, STR_FMT, STR_ARG(world_meta(w, CONFIG("token")).uid));
        struct write_request r = {.verb = WRITE_CREATE,
                                  .key = STR(CONFIG("a")),
                                  .object = config("a", ""),
                                  .spends = STR(CONFIG("token")),
                                  .spends_uid = STR("another")};
        uint64_t op = world_write(w, &r);
        cr_assert(world_settle(w));
        cr_assert_eq(w->answers[op].result, WRITE_OTHER_UID);
        cr_assert(world_has(w, CONFIG("token")) && !world_has(w, CONFIG("a")));

        struct store_mem_dials dials = {.trip_point = store_mem_points(w->store) + 1,
                                        .trip_fault = (enum store_mem_fault)fault};
        store_mem_set_dials(w->store, &dials);
        r.spends_uid = str_of(uid);
        op = world_write(w, &r);
        cr_assert(world_settle(w));
        bool done = w->answers[op].result == WRITE_OK;
        cr_assert_eq(done, fault == STORE_MEM_WRITTEN);
        cr_assert_eq(world_has(w, CONFIG("token")), !done);
        cr_assert_eq(world_has(w, CONFIG("a")), done);

        op = world_write(w, &r);
        cr_assert(world_settle(w));
        cr_assert_eq(w->answers[op].result, done ? WRITE_EXISTS : WRITE_OK);
        r.key = STR(CONFIG("b"));
        op = world_write(w, &r);
        cr_assert(world_settle(w));
        cr_assert_eq(w->answers[op].result, WRITE_NOT_FOUND);
        cr_assert(!world_has(w, CONFIG("b")));
        blob_unref(r.object);
        world_free(w);
    }
}

TEST(writes, a_deletion_of_unknown_outcome_is_found_out)
{
    for (uint32_t fault = STORE_MEM_LOST; fault <= STORE_MEM_WRITTEN; fault++) {
        struct world *w = world_new();
        world_config(w, "a");
        struct store_mem_dials dials = {.trip_point = store_mem_points(w->store) + 1,
                                        .trip_fault = (enum store_mem_fault)fault};
        store_mem_set_dials(w->store, &dials);
        struct world_answer *a = world_delete(w, CONFIG("a"), "");
        cr_assert_eq(a->result, fault == STORE_MEM_LOST ? WRITE_UNAVAILABLE : WRITE_OK);
        cr_assert_eq(world_has(w, CONFIG("a")), fault == STORE_MEM_LOST);
        world_free(w);
    }
}

/* Another writer took the store: ours stops at once and says so. */
TEST(writes, a_deposed_writer_stops)
{
    struct world *w = world_new();
    struct world *other = world_on(w->disk, 99);
    cr_assert(world_settle(other));
    cr_assert_eq(world_config(w, "a")->result, WRITE_UNAVAILABLE);
    cr_assert(w->deposed && !core_is_ready(w->core));
    cr_assert_eq(world_config(w, "b")->result, WRITE_UNAVAILABLE);
    cr_assert_eq(world_config(other, "a")->result, WRITE_OK);
    w->disk = NULL;
    world_free(w);
    world_free(other);
}

TEST(writes, too_many_are_refused_and_the_rest_is_done)
{
    struct world *w = world_new();
    struct store_mem_dials slow = {.latency_min = SPAN_MS(10), .latency_max = SPAN_MS(10)};
    store_mem_set_dials(w->store, &slow);
    uint32_t done = 0, busy = 0;
    uint64_t first = w->op + 1;
    for (uint32_t i = 0; i < CORE_OPS_MAX + 100; i++) {
        char name[32], key[64];
        snprintf(name, sizeof name, "c%u", i % 6000); /* Some names twice: those wait. */
        snprintf(key, sizeof key, "/configmaps/default/%s", name);
        struct blob *object = config(name, "");
        struct write_request r = {.verb = WRITE_CREATE, .key = str_of(key), .object = object};
        world_write(w, &r);
        blob_unref(object);
    }
    cr_assert(world_settle(w));
    for (uint64_t op = first; op <= w->op; op++) {
        cr_assert(w->answers[op].is_there);
        done += w->answers[op].result == WRITE_OK;
        busy += w->answers[op].result == WRITE_BUSY;
    }
    cr_assert_eq(done, 6000);
    cr_assert_eq(busy, 100);
    cr_assert_eq(world_config(w, "after")->result, WRITE_OK);
    world_free(w);
}

TEST(writes, what_is_too_large_is_refused)
{
    struct world *w = world_new();
    size_t size = STORE_VALUE_MAX - 10;
    char *payload = calloc(1, size + 1);
    memset(payload, 'x', size);
    cr_assert_eq(world_create(w, CONFIG("a"), config("a", payload))->result, WRITE_TOO_LARGE);
    payload[size - 300] = '\0';
    cr_assert_eq(world_create(w, CONFIG("a"), config("a", payload))->result, WRITE_OK);
    free(payload);
    world_free(w);
}

/* After a restart followers go on from where they were: the store's log becomes the history. */
TEST(writes, history_survives_a_restart)
{
    struct world *w = world_new();
    uint64_t seen = world_config(w, "a")->revision;
    world_config(w, "b");
    world_delete(w, CONFIG("a"), "");
    w = world_crash(w);
    cr_assert(world_settle(w));
    struct history_batch b;
    struct history_filter f = {.prefix = STR("/configmaps/")};
    cr_assert_eq(history_read(core_history(w->core), seen, &f, &b, NULL), ERR_OK);
    cr_assert_eq(b.count, 2);
    cr_assert(str_is(cow_entry_key(b.at[0].now), CONFIG("b")) && !b.at[0].deleted);
    cr_assert(str_is(cow_entry_key(b.at[1].now), CONFIG("a")) && b.at[1].deleted);
    history_batch_free(&b);
    cr_assert_gt(world_config(w, "c")->revision, seen + 2);
    world_free(w);
}

/* A disk that reads half of it, or an etcd that goes away: the next attempt begins from nothing. What another control plane
 * deleted in between, and compacted away, is told by neither. */
TEST(writes, a_first_load_that_breaks_off_is_begun_anew)
{
    struct world *w = world_new();
    uint64_t first = world_config(w, "a")->revision;
    world_config(w, "b");
    uint64_t seen = world_config(w, "c")->revision;
    w = world_crash(w);
    store_mem_set_dials(w->store, &(struct store_mem_dials){.load_breaks = 3});
    cr_assert(world_settle(w));
    cr_assert(core_is_ready(w->core));
    cr_assert(world_has(w, CONFIG("a")) && world_has(w, CONFIG("b")) && world_has(w, CONFIG("c")));
    struct history_batch b;
    struct history_filter f = {.prefix = STR("/configmaps/")};
    cr_assert_eq(history_read(core_history(w->core), first - 1, &f, &b, NULL), ERR_OK);
    cr_assert_eq(b.count, 3);
    history_batch_free(&b);
    cr_assert_gt(world_config(w, "d")->revision, seen);
    world_free(w);
}

/* Whatever single commit is lost, written without an answer, or refused: all clients are answered and the
 * disk holds what they were told. */
TEST(writes, any_one_fault_is_survived)
{
    for (uint32_t fault = 0; fault < STORE_MEM_FAULT__COUNT; fault++)
        for (uint64_t point = 1; point <= 12; point++) {
            struct world *w = world_on(store_mem_disk_new(), point);
            struct store_mem_dials dials = {.latency_min = SPAN_MS(1),
                                            .latency_max = SPAN_MS(4),
                                            .trip_point = point,
                                            .trip_fault = (enum store_mem_fault)fault};
            store_mem_set_dials(w->store, &dials);
            cr_assert(world_settle(w));
            char told[10] = {0};
            for (uint32_t i = 0; i < 10; i++) {
                char name[2] = {(char)('a' + i), '\0'};
                told[i] = world_config(w, name)->result == WRITE_OK;
                if (i % 3 == 2 && told[i]) {
                    char key[64];
                    snprintf(key, sizeof key, "/configmaps/default/%s", name);
                    told[i] = world_delete(w, key, "")->result != WRITE_OK;
                }
            }
            w = world_crash(w);
            cr_assert(world_settle(w));
            for (uint32_t i = 0; i < 10; i++) {
                char key[64];
                snprintf(key, sizeof key, "/configmaps/default/%c", (char)('a' + i));
                cr_assert_eq(world_has(w, key), told[i] != 0, "%s fault %u point %lu", key, fault,
                             point);
            }
            world_free(w);
        }
}
