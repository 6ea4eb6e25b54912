/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a store does with the pods and Placements that a batond wrote, with nothing before it.
 *
 *   store-alone DIR INFLIGHT:WRITES...
 *
 * DIR: the state directory of a batond that has ended. For each argument the same keys and values go to a fresh store in
 * transactions of that many writes, as many in flight as so many creates could fill, at most the core's own limit.
 * Prints "store_rate[inflight=N] VALUE pods/s": two writes are one pod.
 */
#include "base/check.h"
#include "controlplane/core/core.h"
#include "controlplane/store/store_sqlite.h"
#include "io/clock.h"
#include "io/fs.h"
#include "io/loop.h"

#include <stdio.h>
#include <stdlib.h>

enum { WRITES_OF_A_POD = 2, SECONDS = 10 };

struct bench {
    struct loop *loop;
    struct seal *seal;
    struct store *store;
    struct store_write *rows;
    uint32_t rows_count, rows_size, inflight;
    uint64_t op, fence;
    bool loading;
};

static bool is_wanted(struct str key)
{
    return str_starts(key, STR("/pods/")) || str_starts(key, STR("baton.dev/placements/"));
}

static void row_came(struct bench *b, const struct store_event *ev)
{
    if (!b->loading || ev->value == NULL || !is_wanted(blob_str(ev->key)))
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
    if (ev->type == STORE_ROW) {
        row_came(b, ev);
        return;
    }
    if (ev->fence != 0)
        b->fence = ev->fence;
    b->inflight--;
}

static void wait_below(struct bench *b, uint32_t most)
{
    while (b->inflight > most)
        loop_step(b->loop, SPAN_S(1));
}

static void open_store(struct bench *b, const char *path)
{
    struct store_sink sink = {told, b};
    struct store_sqlite_options o = {.path = path, .seal = b->seal, .loop = b->loop};
    struct err e;
    CHECK(store_sqlite_open(&o, &sink, &b->store, &e) == ERR_OK);
    b->inflight++;
    b->store->ops->load(b->store, ++b->op);
    wait_below(b, 0);
}

static void close_store(struct bench *b)
{
    b->inflight++;
    b->store->ops->close(b->store, ++b->op);
    wait_below(b, 0);
}

static double rate(struct bench *b, uint32_t batch, uint32_t inflight)
{
    uint32_t done = 0;
    struct instant from = clock_now(), end = instant_add(from, SPAN_S(SECONDS));
    while (done < b->rows_count && clock_now().ns < end.ns) {
        uint32_t count = min_u32(batch, b->rows_count - done);
        b->inflight++;
        b->store->ops->commit(b->store, ++b->op, b->fence, b->rows + done, count);
        done += count;
        wait_below(b, inflight - 1);
    }
    wait_below(b, 0);
    double s = (double)instant_sub(clock_now(), from).ns / 1e9;
    return done / s / WRITES_OF_A_POD;
}

static void row(struct bench *b, const char *dir, const char *text)
{
    char path[FS_PATH_MAX];
    uint32_t creates = 0, batch = 0;

    CHECK(sscanf(text, "%u:%u", &creates, &batch) == 2 && creates > 0);
    batch = min_u32(batch < WRITES_OF_A_POD ? WRITES_OF_A_POD : batch, STORE_WRITES_MAX);
    uint32_t inflight = creates * WRITES_OF_A_POD / batch;
    inflight = inflight < 1 ? 1 : min_u32(inflight, CORE_COMMITS_MAX);
    snprintf(path, sizeof path, "%s/alone-%u.db", dir, creates);
    open_store(b, path);
    printf("store_rate[inflight=%u] %.0f pods/s\n", creates, rate(b, batch, inflight));
    fflush(stdout);
    close_store(b);
}

int main(int argc, char **argv)
{
    char path[FS_PATH_MAX];
    struct bench b = {.loop = loop_new(), .loading = true};
    struct err e;

    CHECK(argc > 2 && fs_join(path, argv[1], "control/seal.key"));
    CHECK(seal_open_file(path, &b.seal, &e) == ERR_OK);
    CHECK(fs_join(path, argv[1], "control/store.db"));
    open_store(&b, path);
    close_store(&b);
    b.loading = false;
    for (int i = 2; i < argc; i++)
        row(&b, argv[1], argv[i]);
    return 0;
}
