/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a store does with the pods and Placements that a batond wrote, with nothing before it.
 *
 *   store-alone DIR WHERE INFLIGHT:WRITES...
 *
 * DIR: the state directory of a batond that has ended; WHERE (engine.h): a directory, or the etcd where it stored. For each
 * argument the same keys and values go to a fresh store there in transactions of that many writes, as many in flight as so
 * many creates could fill, at most the core's own limit.
 * Prints "store_rate[inflight=N] VALUE pods/s": two writes are one pod.
 */
#include "base/check.h"
#include "controlplane/core/core.h"
#include "io/clock.h"
#include "io/fs.h"
#include "tests/bench/engine.h"

#include <stdio.h>
#include <stdlib.h>

enum { WRITES_OF_A_POD = 2, SECONDS = 10 };

struct bench {
    struct engine engine;
    struct store_write *rows;
    uint32_t rows_count, rows_size, inflight;
};

static bool is_wanted(struct str key)
{
    return str_starts(key, STR("/pods/")) || str_starts(key, STR("baton.dev/placements/"));
}

static void row_came(struct bench *b, const struct store_event *ev)
{
    if (ev->value == NULL || !is_wanted(blob_str(ev->key)))
        return;
    if (b->rows_count == b->rows_size) {
        b->rows_size = b->rows_size == 0 ? 1024 : 2 * b->rows_size;
        b->rows = realloc(b->rows, b->rows_size * sizeof *b->rows);
    }
    b->rows[b->rows_count++] = (struct store_write){
        .revision = ev->revision, .key = blob_ref(ev->key), .value = blob_ref(ev->value)};
}

static void told(void *state, const struct store_event *ev)
{
    struct bench *b = state;
    CHECK(ev->code == ERR_OK);
    if (ev->type == STORE_ROW)
        row_came(b, ev);
    else
        b->inflight--;
}

static void wait_below(struct bench *b, uint32_t most)
{
    while (b->inflight > most)
        loop_step(b->engine.loop, SPAN_S(1));
}

static double rate(struct bench *b, uint32_t batch, uint32_t inflight)
{
    struct engine *e = &b->engine;
    uint32_t done = 0;
    struct instant from = clock_now(), end = instant_add(from, SPAN_S(SECONDS));
    while (done < b->rows_count && clock_now().ns < end.ns) {
        uint32_t count = min_u32(batch, b->rows_count - done);
        b->inflight++;
        e->store->ops->commit(e->store, ++e->op, e->fence, b->rows + done, count);
        done += count;
        wait_below(b, inflight - 1);
    }
    wait_below(b, 0);
    double s = (double)instant_sub(clock_now(), from).ns / 1e9;
    return done / s / WRITES_OF_A_POD;
}

static void row(struct bench *b, const char *text)
{
    char name[32];
    uint32_t creates = 0, batch = 0;

    CHECK(sscanf(text, "%u:%u", &creates, &batch) == 2 && creates > 0);
    batch = min_u32(batch < WRITES_OF_A_POD ? WRITES_OF_A_POD : batch, STORE_WRITES_MAX);
    uint32_t inflight = creates * WRITES_OF_A_POD / batch;
    inflight = inflight < 1 ? 1 : min_u32(inflight, CORE_COMMITS_MAX);
    snprintf(name, sizeof name, "alone-%u", creates);
    engine_open(&b->engine, name);
    printf("store_rate[inflight=%u] %.0f pods/s\n", creates, rate(b, batch, inflight));
    fflush(stdout);
    engine_close(&b->engine);
}

/* All that the batond stored in WHERE: in etcd under its cluster's name. */
static void read_rows(struct bench *b, const char *dir)
{
    char path[FS_PATH_MAX], control[FS_PATH_MAX], cluster[64] = "";
    struct buf text;
    struct err e;
    buf_init(&text, sizeof cluster - 1);
    CHECK(fs_join(path, dir, "control/cluster") && fs_read(path, &text, &e) == ERR_OK);
    struct str name = str_trim(buf_str(&text));
    memcpy(cluster, name.at, name.len);
    buf_free(&text);

    struct engine source = b->engine;
    source.cluster = cluster;
    if (!engine_is_etcd(source.where)) {
        CHECK(fs_join(control, dir, "control"));
        source.where = control;
    }
    engine_open(&source, engine_is_etcd(source.where) ? "baton" : "store");
    engine_close(&source);
}

int main(int argc, char **argv)
{
    char path[FS_PATH_MAX];
    struct bench b = {.engine = {.loop = loop_new()}};
    struct seal *seal;
    struct err e;

    CHECK(argc > 3 && fs_join(path, argv[1], "control/seal.key"));
    CHECK(seal_open_file(path, &seal, &e) == ERR_OK);
    b.engine.seal = seal;
    b.engine.where = argv[2];
    b.engine.sink = (struct store_sink){told, &b};
    read_rows(&b, argv[1]);
    for (int i = 3; i < argc; i++)
        row(&b, argv[i]);
    return 0;
}
