/* SPDX-License-Identifier: Apache-2.0 */
/* controlplane/store/copy.h between two SQLite files; tests/e2e/copy.sh does it with etcd and a cluster. */
#include "controlplane/store/copy.h"
#include "io/loop.h"
#include "tests/conformance/store/rig.h"
#include "tests/testlib/test.h"

#include <stdio.h>
#include <stdlib.h>

static struct rig *source_rig(void)
{
    for (uint32_t n = 0;; n++)
        if (strcmp(engines[n]->name, "sqlite") == 0) {
            struct rig *r = rig_new(engines[n]);
            rig_open(r);
            cr_assert_eq(rig_load(r), ERR_OK);
            return r;
        }
}

static void put_secret(struct rig *r, uint64_t revision)
{
    struct store_write w = {.revision = revision,
                            .key = blob_new(STR("s")),
                            .value = blob_new(STR("wolpertinger")),
                            .sealed = true};
    cr_assert_eq(rig_wait(r, rig_commit(r, r->fence, &w, 1)), ERR_OK);
    blob_unref(w.key);
    blob_unref(w.value);
}

static void put_history(struct rig *r)
{
    rig_put(r, 1, 0, "a", "1");
    rig_put(r, 2, 0, "b", "2");
    rig_put(r, 3, 1, "a", "3");
    rig_put(r, 4, 2, "b", NULL);
    put_secret(r, 6);
    rig_put(r, 7, 0, "c", "7");
    rig_put(r, 9, 7, "c", NULL);
}

static enum err_code copy_files(const struct rig *r, const char *from, const char *to,
                                struct copy_sum *out, struct err *e)
{
    const char *paths[COPY__COUNT] = {from, to};
    struct loop *loops[COPY__COUNT];
    struct copy *c = copy_new(NULL, NULL);
    for (uint32_t i = 0; i < COPY__COUNT; i++) {
        struct store_sink sink = copy_sink(c, i);
        struct store *s;
        loops[i] = loop_new();
        struct store_sqlite_options o = {.path = paths[i], .seal = r->seal, .loop = loops[i]};
        cr_assert_eq(store_sqlite_open(&o, &sink, &s, e), ERR_OK);
        copy_take(c, i, s, loops[i]);
    }
    enum err_code code = copy_run(c, out, e);
    copy_free(c);
    for (uint32_t i = 0; i < COPY__COUNT; i++)
        loop_free(loops[i]);
    return code;
}

/* Copies the closed rig's file and puts the copy in its place. */
static void move(struct rig *r, struct copy_sum *out)
{
    char to[128];
    struct err e;
    snprintf(to, sizeof to, "%s/copy.db", r->dir);
    rig_close(r);
    cr_assert_eq(copy_files(r, r->path, to, out, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(rename(to, r->path), 0);
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_OK);
}

TEST(copy, keeps_history_revisions_and_seals)
{
    struct rig *r = source_rig();
    struct copy_sum sum;
    char text[4096];
    put_history(r);
    move(r, &sum);
    cr_assert_str_eq(rig_told(r, text), "1 a=1 2 b=2 3 a=3 4 b- 6 s=wolpertinger 7 c=7 9 c-");
    cr_assert_eq(r->head, 9);
    cr_assert_eq(r->oldest, 0);
    cr_assert(r->rows[4].sealed && !r->rows[0].sealed);
    cr_assert_eq(sum.objects, 2);
    cr_assert_eq(sum.secrets, 1);
    cr_assert_eq(rig_compact(r, 4), ERR_OK); /* What superseded what was kept, too. */
    cr_assert_eq(rig_follow(r, 4), ERR_OK);
    cr_assert_str_eq(rig_told(r, text), "6 s=wolpertinger 7 c=7 9 c-");
    rig_free(r);
}

/* What was forgotten stays so, and the last revision is not used again though no line has it. */
TEST(copy, keeps_what_was_forgotten)
{
    struct rig *r = source_rig();
    struct copy_sum sum;
    char text[4096];
    put_history(r);
    cr_assert_eq(rig_compact(r, 9), ERR_OK);
    move(r, &sum);
    cr_assert_str_eq(rig_told(r, text), "3 a=3 6 s=wolpertinger");
    cr_assert_eq(r->head, 9);
    cr_assert_eq(r->oldest, 9);
    cr_assert_eq(rig_follow(r, 8), ERR_NOT_FOUND);
    rig_free(r);
}

TEST(copy, an_empty_one)
{
    struct rig *r = source_rig();
    struct copy_sum sum;
    move(r, &sum);
    cr_assert_eq(r->head, 0);
    cr_assert_eq(sum.changes, 0);
    rig_free(r);
}

TEST(copy, refuses_what_is_not_empty_and_what_does_not_open)
{
    struct rig *r = source_rig();
    struct copy_sum sum;
    struct err e;
    char to[128], third[128];
    snprintf(to, sizeof to, "%s/copy.db", r->dir);
    snprintf(third, sizeof third, "%s/third.db", r->dir);
    put_history(r);
    rig_close(r);
    cr_assert_eq(copy_files(r, r->path, to, &sum, &e), ERR_OK);
    cr_assert_eq(copy_files(r, r->path, to, &sum, &e), ERR_DENIED);
    cr_assert_not_null(strstr(e.text, "not empty"));
    rig_use_key(r, 2);
    cr_assert_eq(copy_files(r, r->path, third, &sum, &e), ERR_CORRUPT);
    cr_assert_not_null(strstr(e.text, "1 values do not open: s;"), "%s", e.text);
    rig_open(r);
    rig_free(r);
}
