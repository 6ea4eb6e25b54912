/* SPDX-License-Identifier: Apache-2.0 */
/* What is in etcd: too much of it, bytes that cannot be right, history that is no longer there. */
#include "tests/conformance/etcd/home.h"
#include "tests/conformance/etcd/traffic.h"
#include "tests/testlib/test.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- No space ---- */

enum { LARGE = 200000 };

/* The same two objects again and again: most of what etcd holds then is history. */
static enum err_code put_large(struct rig *r, uint64_t revision)
{
    char key[40];
    snprintf(key, sizeof key, "/configmaps/large/%llu", (unsigned long long)(revision % 2));
    struct store_write w = {.revision = revision,
                            .before = revision > 2 ? revision - 2 : 0,
                            .key = blob_new(str_of(key)),
                            .value = blob_reserve(LARGE)};
    traffic_noise(revision, w.value->at, LARGE);
    uint64_t op = rig_commit(r, r->fence, &w, 1);
    blob_unref(w.key);
    blob_unref(w.value);
    return rig_wait(r, op);
}

/* The first revision that was refused. */
static uint64_t fill(struct rig *r)
{
    for (uint64_t revision = 1; revision < 1000; revision++) {
        enum err_code code = put_large(r, revision);
        if (code == ERR_LIMIT)
            return revision;
        cr_assert_eq(code, ERR_OK);
        if (revision == 20) /* From here on what is superseded is history of etcd's. */
            cr_assert_eq(rig_compact(r, revision), ERR_OK);
    }
    cr_assert(false, "it is never full");
    return 0;
}

static void make_room(struct rig *r)
{
    char out[512], command[64];
    const char *at;
    cr_assert_eq(etcd_ctl(&r->etcd[0], "get /baton/fence -w json", out, sizeof out), 0);
    cr_assert_not_null(at = strstr(out, "\"revision\":"));
    snprintf(command, sizeof command, "compact %llu", strtoull(at + 11, NULL, 10));
    cr_assert_eq(etcd_ctl(&r->etcd[0], command, out, sizeof out), 0, "%s", out);
    cr_assert_eq(etcd_ctl(&r->etcd[0], "defrag", out, sizeof out), 0, "%s", out);
    cr_assert_eq(etcd_ctl(&r->etcd[0], "alarm disarm", out, sizeof out), 0, "%s", out);
}

TEST(etcd, without_space_writes_are_refused_and_heal)
{
    struct rig *r = home_new("--quota-backend-bytes=10000000");
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_OK);
    uint64_t full = fill(r);
    cr_assert_not_null(strstr(r->done[r->op].err.text, "no space left"));
    cr_assert_eq(put_large(r, full + 2), ERR_LIMIT);
    cr_assert_eq(rig_put(r, full + 3, 0, "/configmaps/small/x", "v"), ERR_LIMIT);
    cr_assert_eq(rig_follow(r, full - 2), ERR_OK); /* Reading goes on. */
    cr_assert_eq(r->rows_count, 1);
    make_room(r);
    cr_assert_eq(rig_put(r, full + 4, 0, "/configmaps/small/x", "v"), ERR_OK); /* Without a load. */
    cr_assert_eq(rig_load(r), ERR_OK);
    cr_assert_eq(r->head, full + 4);
    rig_free(r);
}

/* Many in flight when the space ends: what was refused is nowhere, the rest is. */
TEST(etcd, the_space_ends_under_load)
{
    struct rig *r = home_new("--quota-backend-bytes=1200000");
    struct traffic t;
    rig_open(r);
    traffic_start(&t, r);
    traffic_run(&t, SPAN_S(30));
    traffic_drain(&t);
    cr_assert_gt(t.refused, 0);
    cr_assert_eq(t.refusal, ERR_LIMIT);
    cr_assert_gt(t.taken, 50);
    etcd_server_kill(&r->etcd[0]);
    r->etcd[0].args[0] = "--quota-backend-bytes=100000000";
    etcd_server_start(&r->etcd[0]);
    home_wait(&r->etcd[0]);
    cr_assert_eq(etcd_ctl(&r->etcd[0], "alarm disarm", NULL, 0), 0);
    traffic_check(&t);
    uint32_t taken = t.taken;
    traffic_run(&t, SPAN_MS(200));
    traffic_check(&t);
    cr_assert_gt(t.taken, taken);
    rig_free(r);
}

/* ---- Poison ---- */

/* sed's script on the record's bytes. */
static void change_record(struct rig *r, const char *script)
{
    char command[1024], out[512];
    snprintf(
        command, sizeof command,
        "export ETCDCTL_API=3 LC_ALL=C; c='etcdctl --endpoints %s'; k=/baton/log/0000000000000001;"
        " $c get --print-value-only $k | head -c -1 | sed '%s' >%s/record && $c put $k <%s/record",
        r->etcd[0].client_url, script, r->dir, r->dir);
    cr_assert_eq(etcd_shell(command, out, sizeof out), 0, "%s", out);
}

static void put_secret_and_map(struct rig *r)
{
    struct store_write w[] = {{.revision = 1,
                               .key = blob_new(STR("/secrets/default/a")),
                               .value = blob_new(STR("correct horse battery staple")),
                               .sealed = true},
                              {.revision = 2,
                               .key = blob_new(STR("/configmaps/default/b")),
                               .value = blob_new(STR("plain for everyone"))}};
    cr_assert_eq(rig_wait(r, rig_commit(r, r->fence, w, 2)), ERR_OK);
    for (uint32_t i = 0; i < 2; i++) {
        blob_unref(w[i].key);
        blob_unref(w[i].value);
    }
}

static void load_codes(struct rig *r, enum err_code first, enum err_code second)
{
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_OK);
    cr_assert_eq(r->rows_count, 2);
    cr_assert_eq(r->rows[0].code, first);
    cr_assert_eq(r->rows[1].code, second);
    cr_assert(first == ERR_OK || r->rows[0].value->len == 0);
}

TEST(etcd, a_value_that_does_not_open_harms_no_other)
{
    struct rig *r = home_new(NULL);
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_OK);
    put_secret_and_map(r);
    rig_close(r);

    rig_use_key(r, 2); /* The seal's key is lost. */
    load_codes(r, ERR_CORRUPT, ERR_OK);
    cr_assert_not_null(strstr(r->row_err.text, "/secrets/default/a"));
    rig_close(r);
    rig_use_key(r, 1);
    change_record(r, "s/default\\/a/default\\/z/"); /* Sealed for another path. */
    load_codes(r, ERR_CORRUPT, ERR_OK);
    rig_close(r);
    change_record(r, "s/default\\/z/default\\/a/");
    change_record(
        r, "s/\\x01\\x00\\x02\\x00\\x00\\x00\\x00\\x00\\x00\\x00plain/"
           "\\x09\\x00\\x02\\x00\\x00\\x00\\x00\\x00\\x00\\x00plain/"); /* No form of ours. */
    load_codes(r, ERR_OK, ERR_CORRUPT);

    /* It is superseded like any other, and then it is gone. */
    cr_assert_eq(rig_put(r, 3, 2, "/configmaps/default/b", "anew"), ERR_OK);
    cr_assert_eq(rig_compact(r, 3), ERR_OK);
    rig_close(r);
    load_codes(r, ERR_OK, ERR_OK);
    rig_free(r);
}

/* A record whose own frame is broken: which objects were in it is not known, so nothing is served as if it were all. */
TEST(etcd, a_broken_record_is_refused)
{
    struct rig *r = home_new(NULL);
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_OK);
    put_secret_and_map(r);
    rig_close(r);
    change_record(r, "s/everyone//");
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_CORRUPT);
    cr_assert_not_null(strstr(r->done[r->op].err.text, "record 1"));
    rig_free(r);
}

/* ---- History ---- */

/* Our compaction and etcd's own, while a writer and a follower are at work. */
TEST_WITHIN(etcd, compaction_under_load, 600)
{
    struct rig *r = home_new(NULL);
    struct traffic t;
    rig_open(r);
    traffic_start(&t, r);
    for (uint32_t round = 0, rounds = home_rounds(6); round < rounds; round++) {
        traffic_run(&t, SPAN_MS(150));
        uint64_t head = t.answered * TRAFFIC_TOGETHER;
        cr_assert_eq(rig_compact(r, head), ERR_OK);
        cr_assert_eq(rig_follow(r, head - 1), ERR_NOT_FOUND); /* The API's 410. */
        cr_assert_eq(rig_follow(r, head), ERR_OK);
        traffic_settle(&t);
    }
    traffic_check(&t);
    cr_assert_lt(r->rows_count, t.taken * TRAFFIC_TOGETHER); /* Something was forgotten. */
    rig_free(r);
}
