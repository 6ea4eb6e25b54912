/* SPDX-License-Identifier: Apache-2.0 */
/* The machine alone, answered by hand: what a real etcd does too rarely to be waited for. */
#include "controlplane/store/store_etcd_log.h"
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

/* Leads: looked, granted, taken, recalled, read. */
static void hand_make(struct hand *h)
{
    static const unsigned char key[SEAL_KEY_SIZE];
    *h = (struct hand){.seal = seal_from_key(key), .now = {1}};
    struct etcd_log_options o = {
        .prefix = "/baton/", .cluster = "c1", .holder = "hand", .seal = h->seal};
    h->log = etcd_log_new(&o);
    ask(h, etcd_job_new(ETCD_JOB_LOAD, 1, 0, NULL, 0));
    answer(h, &(struct etcd_answer){.outcome = ETCD_FINE, .succeeded = true, .revision = 1});
    answer(h, &(struct etcd_answer){.outcome = ETCD_FINE, .lease = 7, .ttl_s = 10});
    for (uint32_t i = 0; i < 3; i++)
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
