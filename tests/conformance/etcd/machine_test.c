/* SPDX-License-Identifier: Apache-2.0 */
/* The machine alone, answered by hand: what a real etcd does too rarely to be waited for. */
#include "controlplane/store/store_etcd_log.h"
#include "controlplane/store/store_etcd_record.h"
#include "tests/testlib/test.h"

#include "io/seal.h"

#include <stdio.h>

struct hand {
    struct etcd_log *log;
    struct seal *seal;
    struct instant now;
    uint64_t request;         /* The last one posted. */
    char body[512];           /* Its beginning. */
    struct store_event ended; /* The last job's end; op 0: none yet. */
};

static void take_effects(struct hand *h)
{
    struct etcd_effect fx;
    while (etcd_log_next(h->log, &fx)) {
        if (fx.type == ETCD_FX_POST) {
            h->request = fx.request;
            snprintf(h->body, sizeof h->body, STR_FMT, STR_ARG(blob_str(fx.body)));
        } else if (fx.type == ETCD_FX_DONE) {
            h->ended = fx.done;
        }
        blob_unref(fx.body);
        if (fx.type == ETCD_FX_ROWS)
            etcd_rows_free(fx.rows);
    }
}

static void ask(struct hand *h, struct etcd_job *job)
{
    h->ended = (struct store_event){0};
    etcd_log_ask(h->log, h->now, job);
    take_effects(h);
}

static void answer(struct hand *h, const struct etcd_answer *a)
{
    etcd_log_answered(h->log, h->now, h->request, a);
    take_effects(h);
}

/* Leads: looked, granted, taken, recalled, and about to read the log. */
static void hand_reads(struct hand *h)
{
    static const unsigned char key[SEAL_KEY_SIZE];
    *h = (struct hand){.seal = seal_from_key(key), .now = {1}};
    struct etcd_log_options o = {
        .prefix = "/baton/", .cluster = "c1", .holder = "hand", .seal = h->seal};
    h->log = etcd_log_new(&o);
    ask(h, etcd_job_new(ETCD_JOB_LOAD, 1, 0, NULL, 0));
    answer(h, &(struct etcd_answer){.outcome = ETCD_FINE, .succeeded = true, .revision = 1});
    answer(h, &(struct etcd_answer){.outcome = ETCD_FINE, .lease = 7, .ttl_s = 10});
    for (uint32_t i = 0; i < 2; i++)
        answer(h, &(struct etcd_answer){.outcome = ETCD_FINE, .succeeded = true, .revision = 2});
}

static void hand_make(struct hand *h)
{
    hand_reads(h);
    answer(h, &(struct etcd_answer){.outcome = ETCD_FINE, .succeeded = true, .revision = 2});
    cr_assert_eq(h->ended.op, 1);
    cr_assert_eq(h->ended.code, ERR_OK);
    cr_assert_eq(h->ended.fence, 1);
}

static void hand_end(struct hand *h)
{
    etcd_log_free(h->log);
    seal_free(h->seal);
}

static void commit(struct hand *h, uint64_t op, uint64_t revision)
{
    struct store_write w = {
        .revision = revision, .key = blob_new(STR("/configmaps/a/b")), .value = blob_new(STR("v"))};
    ask(h, etcd_job_new(ETCD_JOB_COMMIT, op, 1, &w, 1));
    blob_unref(w.key);
    blob_unref(w.value);
}

/* What the question behind "no space" is answered with. */
static void tell(struct hand *h, bool is_there, const char *fence)
{
    struct etcd_kv holds = {.value = str_of(fence), .created = 2, .modified = 2},
                   own = {.created = 3, .modified = 3};
    struct etcd_answer a = {.outcome = ETCD_FINE, .succeeded = true, .revision = 3};
    a.ranges[0] = (struct etcd_kvs){.at = &holds, .count = 1};
    a.ranges[1] = (struct etcd_kvs){.at = &own, .count = is_there};
    answer(h, &a);
}

/* etcd does the put that crosses its quota, and answers "no space" all the same. */
TEST(etcd_machine, no_space_is_believed_only_when_the_record_is_not_there)
{
    struct hand h;
    hand_make(&h);
    commit(&h, 2, 1);
    uint64_t put = h.request;
    answer(&h, &(struct etcd_answer){.outcome = ETCD_FULL});
    cr_assert_eq(h.ended.op, 0, "it was told before it was known");
    cr_assert_neq(h.request, put);
    cr_assert_null(strstr(h.body, "requestPut")); /* A full etcd answers questions only. */
    tell(&h, true, "1");
    cr_assert_eq(h.ended.op, 2);
    cr_assert_eq(h.ended.code, ERR_OK);

    commit(&h, 3, 2);
    answer(&h, &(struct etcd_answer){.outcome = ETCD_FULL});
    tell(&h, false, "1");
    cr_assert_eq(h.ended.op, 3);
    cr_assert_eq(h.ended.code, ERR_LIMIT);

    commit(&h, 4, 3);
    answer(&h, &(struct etcd_answer){.outcome = ETCD_FULL});
    tell(&h, false, "2");
    cr_assert_eq(h.ended.code, ERR_CONFLICT);
    hand_end(&h);
}

/* An earlier try without an answer may be done later than "no space" is said: then nobody knows. */
TEST(etcd_machine, no_space_behind_a_lost_answer_is_a_doubt)
{
    struct hand h;
    hand_make(&h);
    commit(&h, 2, 1);
    answer(&h, &(struct etcd_answer){.outcome = ETCD_AGAIN, .text = "cut"});
    h.now = instant_add(h.now, SPAN_S(1));
    etcd_log_tick(h.log, h.now);
    take_effects(&h);
    answer(&h, &(struct etcd_answer){.outcome = ETCD_FULL});
    cr_assert_eq(h.ended.op, 2);
    cr_assert_eq(h.ended.code, ERR_UNAVAILABLE);
    hand_end(&h);
}

/* ---- compaction ---- */

enum { RECORDS = 3 };

/* The log as it is read: two records of one transaction, in which the second supersedes what is in the first one but
 * for one row, and behind them the newest, which supersedes all of the second. */
struct records {
    struct buf value[RECORDS];
    struct etcd_kv kv[RECORDS];
    char key[RECORDS][40];
};

static void add_row(struct etcd_record *r, uint64_t revision, uint64_t before, const char *key)
{
    static char value[1000]; /* Of no form that is known: nobody opens it. */
    etcd_record_add_row(r, &(struct etcd_row){.revision = revision,
                                              .before = before,
                                              .key = str_of(key),
                                              .value = str_from(value, sizeof value)});
}

static void records_make(struct records *l)
{
    for (uint32_t i = 0; i < RECORDS; i++) {
        struct etcd_record r;
        etcd_record_init(&r);
        r.head.fence = 1;
        r.head.part = i == 0;
        if (i == 0)
            for (uint64_t n = 1; n <= 300; n++) /* Too much for a small one. */
                add_row(&r, n, 0, "/configmaps/a/kept");
        else
            add_row(&r, 300 + i, i == 1 ? 0 : 301, "/configmaps/a/again");
        buf_init(&l->value[i], 1 << 20);
        etcd_record_print(&r, &l->value[i]);
        etcd_record_free(&r);
        snprintf(l->key[i], sizeof l->key[i], "/baton/log/%016x", i + 1);
        l->kv[i] = (struct etcd_kv){.key = str_of(l->key[i]),
                                    .value = buf_str(&l->value[i]),
                                    .created = 3 + i,
                                    .modified = 3 + i};
    }
}

static void answer_records(struct hand *h, struct records *l, uint32_t from, uint32_t count)
{
    struct etcd_answer a = {.outcome = ETCD_FINE, .succeeded = true, .revision = 9};
    a.ranges[0] = (struct etcd_kvs){.at = l->kv + from, .count = count};
    answer(h, &a);
}

static void records_free(struct records *l)
{
    for (uint32_t i = 0; i < RECORDS; i++)
        buf_free(&l->value[i]);
}

/* Marked, read, and the lists of what is gone are written. */
static void hand_forgets(struct hand *h, struct records *l)
{
    ask(h, etcd_job_new(ETCD_JOB_COMPACT, 2, 302, NULL, 0));
    answer(h, &(struct etcd_answer){.outcome = ETCD_FINE, .succeeded = true, .revision = 9});
    answer_records(h, l, 0, RECORDS);
    answer(h, &(struct etcd_answer){.outcome = ETCD_FINE, .succeeded = true, .revision = 10});
}

/* A part says that its transaction goes on in the next record. Were the end taken away, with nothing left in it, the
 * part would be continued by whatever comes next; and when that is half a transaction itself, at a crash, the load trims
 * both. */
TEST(etcd_machine, the_end_of_a_transaction_stays_while_its_beginning_does)
{
    struct hand h;
    struct records l;
    hand_reads(&h);
    records_make(&l);
    answer_records(&h, &l, 0, RECORDS);
    cr_assert_eq(h.ended.op, 1);
    cr_assert_eq(h.ended.code, ERR_OK);
    cr_assert_eq(h.ended.revision, 302);
    hand_forgets(&h, &l);
    cr_expect_eq(h.ended.op, 2, "nothing is worth merging, and yet: %.60s", h.body);
    cr_expect_eq(h.ended.code, ERR_OK);
    hand_end(&h);
    records_free(&l);
}

/* The record is longer than it was when the log was read: nobody of ours did that. */
TEST(etcd_machine, a_record_that_has_changed_is_not_merged)
{
    struct hand h;
    struct records l, other;
    hand_reads(&h);
    records_make(&l);
    records_make(&other);
    l.value[0].at[1] ^= 1; /* No part any more: what is behind it may go. */
    answer_records(&h, &l, 0, RECORDS);
    cr_assert_eq(h.ended.op, 1);
    hand_forgets(&h, &l);
    cr_assert_eq(h.ended.op, 0);
    other.kv[1].value = other.kv[0].value;
    answer_records(&h, &other, 1, 1);
    cr_expect_eq(h.ended.op, 2);
    cr_expect_eq(h.ended.code, ERR_CORRUPT);
    hand_end(&h);
    records_free(&l);
    records_free(&other);
}
