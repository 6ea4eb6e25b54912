/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/store/rig.h"

#include "base/check.h"
#include "controlplane/store/store_etcd.h"
#include "controlplane/store/store_mem.h"
#include "controlplane/store/store_sqlite.h"
#include "io/fs.h"
#include "io/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void on_event(void *state, const struct store_event *ev)
{
    struct rig *r = state;
    CHECK(!r->inside); /* Never from inside the call that asked. */
    CHECK(ev->op > 0 && ev->op <= r->op && !r->is_done[ev->op]);
    if (ev->type == STORE_ROW) {
        CHECK(r->rows_count < RIG_ROWS);
        CHECK(r->rows_count == 0 || r->rows[r->rows_count - 1].revision < ev->revision);
        r->rows[r->rows_count++] = (struct rig_row){ev->revision, blob_ref(ev->key),
                                                    blob_ref(ev->value), ev->code, ev->sealed};
        if (ev->code != ERR_OK)
            r->row_err = ev->err;
        return;
    }
    if (r->is_commit[ev->op]) {
        CHECK(ev->op > r->last_commit_done); /* In the order they were given. */
        r->last_commit_done = ev->op;
    }
    r->is_done[ev->op] = true;
    r->done[ev->op] = *ev;
}

/* ---- Engines ---- */

static const struct store_sink *sink_of(struct rig *r, struct store_sink *sink)
{
    *sink = (struct store_sink){on_event, r};
    return sink;
}

static void mem_make(struct rig *r)
{
    r->disk = store_mem_disk_new();
}

static enum err_code mem_open(struct rig *r, struct err *e)
{
    (void)e;
    struct store_sink sink;
    struct store_mem_dials dials = {.latency_min = {1}, .latency_max = {5}};
    r->store = store_mem_open(r->disk, 7, sink_of(r, &sink));
    store_mem_set_dials(r->store, &dials);
    return ERR_OK;
}

static void mem_pump(struct rig *r)
{
    if (!store_mem_step(r->store, (struct instant){++r->now}))
        r->store = NULL;
}

static void mem_crash(struct rig *r)
{
    store_mem_crash(r->store);
}

static void mem_unmake(struct rig *r)
{
    store_mem_disk_free(r->disk);
}

static const struct engine engine_mem = {.name = "mem",
                                         .make = mem_make,
                                         .open = mem_open,
                                         .pump = mem_pump,
                                         .crash = mem_crash,
                                         .unmake = mem_unmake};

/* In memory, where there is any: some tests open thousands of stores, and how long a disk that others use takes to sync is
 * not what they are about. */
static void sqlite_make(struct rig *r)
{
    const char *place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(r->dir, sizeof r->dir, "%s/baton-store-XXXXXX", place);
    CHECK(mkdtemp(r->dir) != NULL);
    snprintf(r->path, sizeof r->path, "%s/store.db", r->dir);
}

static enum err_code sqlite_open(struct rig *r, struct err *e)
{
    struct store_sink sink;
    if (r->loop == NULL)
        r->loop = loop_new();
    struct store_sqlite_options o = {.path = r->path,
                                     .seal = r->seal,
                                     .loop = r->loop,
                                     .limit_bytes = r->limit_bytes,
                                     .checkpoint_pages = r->checkpoint_pages};
    return store_sqlite_open(&o, sink_of(r, &sink), &r->store, e);
}

static void sqlite_pump(struct rig *r)
{
    loop_step(r->loop, SPAN_MS(20));
}

static void sqlite_unmake(struct rig *r)
{
    if (r->loop != NULL)
        loop_free(r->loop);
    CHECK(fs_remove_tree(r->dir, NULL) == ERR_OK);
}

static const struct engine engine_sqlite = {.name = "sqlite",
                                            .make = sqlite_make,
                                            .open = sqlite_open,
                                            .pump = sqlite_pump,
                                            .unmake = sqlite_unmake};

static void etcd_make(struct rig *r)
{
    snprintf(r->dir, sizeof r->dir, "/tmp/baton-store-XXXXXX");
    CHECK(mkdtemp(r->dir) != NULL);
    etcd_server_init(&r->etcd[0], r->dir, false);
    etcd_server_start(&r->etcd[0]);
}

static enum err_code etcd_open(struct rig *r, struct err *e)
{
    struct store_sink sink;
    if (r->loop == NULL)
        r->loop = loop_new();
    struct store_etcd_options o = {.endpoints =
                                       r->endpoints != NULL ? r->endpoints : r->etcd[0].client_url,
                                   .cluster = r->cluster != NULL ? r->cluster : "c1",
                                   .holder = r->holder != NULL ? r->holder : "rig /tmp",
                                   .ca = r->tls.ca,
                                   .cert = r->tls.cert,
                                   .key = r->tls.key,
                                   .must_exist = r->must_exist,
                                   .use = r->reads ? STORE_ETCD_READ : STORE_ETCD_SERVE,
                                   .seal = r->seal,
                                   .loop = r->loop};
    return store_etcd_open(&o, sink_of(r, &sink), &r->store, e);
}

static void etcd_unmake(struct rig *r)
{
    for (uint32_t i = 0; i < ETCD_MEMBERS_MAX; i++)
        etcd_server_stop(&r->etcd[i]);
    sqlite_unmake(r);
}

const struct engine engine_etcd = {.name = "etcd",
                                   .make = etcd_make,
                                   .open = etcd_open,
                                   .pump = sqlite_pump,
                                   .unmake = etcd_unmake};

const struct engine *const engines[] = {&engine_mem, &engine_sqlite, &engine_etcd, NULL};

/* ---- The rig ---- */

void rig_use_key(struct rig *r, unsigned char fill)
{
    unsigned char key[SEAL_KEY_SIZE];
    memset(key, fill, sizeof key);
    if (r->seal != NULL)
        seal_free(r->seal);
    r->seal = seal_from_key(key);
}

struct rig *rig_new(const struct engine *engine)
{
    struct rig *r = calloc(1, sizeof *r);
    r->engine = engine;
    rig_use_key(r, 1);
    engine->make(r);
    return r;
}

enum err_code rig_try_open(struct rig *r, struct err *e)
{
    return r->engine->open(r, e);
}

void rig_open(struct rig *r)
{
    struct err e;
    if (rig_try_open(r, &e) == ERR_OK)
        return;
    fprintf(stderr, "%s\n", e.text);
    abort();
}

static void forget_rows(struct rig *r)
{
    for (uint32_t i = 0; i < r->rows_count; i++) {
        blob_unref(r->rows[i].key);
        blob_unref(r->rows[i].value);
    }
    r->rows_count = 0;
}

static uint64_t next_op(struct rig *r)
{
    CHECK(r->op + 1 < RIG_OPS);
    return ++r->op;
}

enum err_code rig_wait(struct rig *r, uint64_t op)
{
    for (uint32_t i = 0; i < 5000 && !r->is_done[op]; i++)
        r->engine->pump(r);
    CHECK(r->is_done[op]);
    return r->done[op].code;
}

void rig_close(struct rig *r)
{
    uint64_t op = next_op(r);
    r->inside = true;
    r->store->ops->close(r->store, op);
    r->inside = false;
    CHECK(rig_wait(r, op) == ERR_OK);
    r->store = NULL;
}

void rig_free(struct rig *r)
{
    if (r->store != NULL)
        rig_close(r);
    forget_rows(r);
    r->engine->unmake(r);
    seal_free(r->seal);
    free(r);
}

uint64_t rig_commit(struct rig *r, uint64_t fence, const struct store_write *writes,
                    uint32_t writes_count)
{
    uint64_t op = next_op(r);
    r->is_commit[op] = true;
    r->inside = true;
    r->store->ops->commit(r->store, op, fence, writes, writes_count);
    r->inside = false;
    return op;
}

static enum err_code rows_op(struct rig *r, uint64_t op)
{
    enum err_code code = rig_wait(r, op);
    r->head = r->done[op].revision;
    return code;
}

enum err_code rig_load(struct rig *r)
{
    uint64_t op = next_op(r);
    forget_rows(r);
    r->inside = true;
    r->store->ops->load(r->store, op);
    r->inside = false;
    enum err_code code = rows_op(r, op);
    r->fence = r->done[op].fence;
    r->oldest = r->done[op].oldest;
    return code;
}

enum err_code rig_follow(struct rig *r, uint64_t after)
{
    uint64_t op = next_op(r);
    forget_rows(r);
    r->inside = true;
    r->store->ops->follow(r->store, op, after);
    r->inside = false;
    return rows_op(r, op);
}

enum err_code rig_compact(struct rig *r, uint64_t before)
{
    uint64_t op = next_op(r);
    r->inside = true;
    r->store->ops->compact(r->store, op, before);
    r->inside = false;
    return rig_wait(r, op);
}

enum err_code rig_put(struct rig *r, uint64_t revision, uint64_t before, const char *key,
                      const char *value)
{
    struct store_write w = {.revision = revision,
                            .before = before,
                            .key = blob_new(str_of(key)),
                            .value = value == NULL ? NULL : blob_new(str_of(value))};
    uint64_t op = rig_commit(r, r->fence, &w, 1);
    blob_unref(w.key);
    blob_unref(w.value);
    return rig_wait(r, op);
}

const char *rig_told(struct rig *r, char out[4096])
{
    size_t len = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < r->rows_count; i++) {
        struct str key = blob_str(r->rows[i].key), value = blob_str(r->rows[i].value);
        len += (size_t)snprintf(out + len, 4096 - len, "%s%llu %.*s%s%.*s", i > 0 ? " " : "",
                                (unsigned long long)r->rows[i].revision, STR_ARG(key),
                                value.at == NULL ? "-" : "=", STR_ARG(value));
    }
    return out;
}
