/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a store does with the pods and Placements that a batond wrote, with nothing before it.
 *
 *   store-alone [--etcd-pid PID] DIR WHERE INFLIGHT:WRITES...
 *
 * DIR: the state directory of a batond that has ended; WHERE (engine.h): a directory, or the etcd where it stored. For each
 * argument the same keys and values go to a fresh store there in transactions of that many writes, as many in flight as so
 * many creates could fill, at most the core's own limit.
 * Prints "store_rate[inflight=N] VALUE pods/s": two writes are one pod. Of etcd also what it does by itself, without any
 * store of ours: the values of a batch as they are, one put after another (bare_rate); and, told its PID, the processor time it took a pod (etcd_us) and
 * a bare put (bare_etcd_us).
 */
#include "base/check.h"
#include "controlplane/core/core.h"
#include "io/clock.h"
#include "io/fs.h"
#include "tests/bench/bare_put.h"
#include "tests/bench/engine.h"
#include "tests/bench/load.h"

#include <stdio.h>
#include <stdlib.h>

enum { WRITES_OF_A_POD = 2, SECONDS = 10 };

struct bench {
    struct engine engine;
    struct store_write *rows;
    uint32_t rows_count, rows_size, inflight, etcd_pid;
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

/* What a measured stretch took. */
struct stretch {
    struct instant from;
    uint64_t cpu_ns; /* Of etcd. */
};

static struct stretch begin(const struct bench *b)
{
    return (struct stretch){clock_now(), b->etcd_pid == 0 ? 0 : load_cpu_all_ns(b->etcd_pid)};
}

static void tell(const struct bench *b, const struct stretch *s, const char *name, uint32_t creates,
                 uint32_t writes, uint32_t puts)
{
    double pods = (double)writes / WRITES_OF_A_POD;
    double ns = (double)instant_sub(clock_now(), s->from).ns;
    printf("%s_rate[inflight=%u] %.0f pods/s\n", name, creates, pods * 1e9 / ns);
    if (b->etcd_pid != 0) {
        double us = (double)(load_cpu_all_ns(b->etcd_pid) - s->cpu_ns) / 1e3;
        printf("%s_etcd_us[inflight=%u] %.0f us/pod\n", name, creates, us / pods);
        if (puts > 0)
            printf("%s_put_us[inflight=%u] %.0f us/put\n", name, creates, us / puts);
    }
    fflush(stdout);
}

static void rate(struct bench *b, uint32_t creates, uint32_t batch, uint32_t inflight)
{
    struct engine *e = &b->engine;
    uint32_t done = 0;
    struct stretch s = begin(b);
    struct instant end = instant_add(s.from, SPAN_S(SECONDS));
    while (done < b->rows_count && clock_now().ns < end.ns) {
        uint32_t count = min_u32(batch, b->rows_count - done);
        b->inflight++;
        e->store->ops->commit(e->store, ++e->op, e->fence, b->rows + done, count);
        done += count;
        wait_below(b, inflight - 1);
    }
    wait_below(b, 0);
    tell(b, &s, "store", creates, done, 0);
}

static void bare_rate(struct bench *b, uint32_t creates, uint32_t batch)
{
    struct bare_put *put = bare_put_open(b->engine.where);
    uint32_t done = 0, puts = 0;
    struct stretch s = begin(b);
    struct instant end = instant_add(s.from, SPAN_S(SECONDS));
    for (; done < b->rows_count && clock_now().ns < end.ns; puts++) {
        uint32_t count = min_u32(batch, b->rows_count - done);
        struct buf value;
        buf_init(&value, 3 << 20);
        for (uint32_t i = 0; i < count; i++)
            buf_add(&value, blob_str(b->rows[done + i].value));
        bare_put(put, buf_str(&value));
        buf_free(&value);
        done += count;
    }
    tell(b, &s, "bare", creates, done, puts);
    bare_put_close(put);
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
    rate(b, creates, batch, inflight);
    engine_close(&b->engine);
    if (engine_is_etcd(b->engine.where))
        bare_rate(b, creates, batch);
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

    if (argc > 2 && strcmp(argv[1], "--etcd-pid") == 0) {
        b.etcd_pid = load_number(argv[2]);
        argv += 2;
        argc -= 2;
    }
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
