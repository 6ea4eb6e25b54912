/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store-rate [DIR|URL]: an engine alone, as the core drives it: transactions of some objects of 1 KB, a few in flight.
 * DIR: SQLite; beside it the bare thing, a file that gets the same bytes and one fdatasync per transaction.
 * URL: an etcd; beside it a put of the same bytes per transaction, one after another.
 */
#include "base/check.h"
#include "base/rng.h"
#include "io/clock.h"
#include "io/fs.h"
#include "tests/bench/bare_put.h"
#include "tests/bench/engine.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* VALUES: farther apart than what packing remembers, so that it gains by the digits alone, half. */
enum { SECONDS = 3, VALUE = 1024, VALUES = 64, ROW = VALUE + 64, WRITES_MAX = 256 };

struct bench {
    struct engine engine;
    struct blob *values[VALUES];
    uint64_t revision, writes;
    uint32_t inflight;
};

static void on_event(void *state, const struct store_event *ev)
{
    struct bench *b = state;
    CHECK(ev->code == ERR_OK);
    b->inflight--;
}

static void commit(struct bench *b, uint32_t count)
{
    struct store_write w[WRITES_MAX] = {{0}};
    char key[64];
    for (uint32_t i = 0; i < count; i++) {
        int len =
            snprintf(key, sizeof key, "/pods/bench/pod-%010llu", (unsigned long long)b->revision);
        w[i] = (struct store_write){.revision = ++b->revision,
                                    .key = blob_new(str_from(key, (size_t)len)),
                                    .value = b->values[b->revision % VALUES]};
    }
    b->inflight++;
    b->engine.store->ops->commit(b->engine.store, ++b->engine.op, b->engine.fence, w, count);
    for (uint32_t i = 0; i < count; i++)
        blob_unref(w[i].key);
    b->writes += count;
}

static void values_make(struct bench *b)
{
    struct rng rng;
    rng_seed(&rng, 1);
    for (uint32_t i = 0; i < VALUES; i++) {
        b->values[i] = blob_reserve(VALUE);
        for (uint32_t k = 0; k < VALUE; k++)
            b->values[i]->at[k] = "0123456789abcdef"[rng_below(&rng, 16)];
    }
}

static double engine_rate(const char *where, const char *name, uint32_t count, uint32_t inflight)
{
    unsigned char key[SEAL_KEY_SIZE] = {1};
    struct seal *seal = seal_from_key(key);
    struct loop *loop = loop_new();
    struct bench b = {.engine = {.where = where, .seal = seal, .loop = loop}};
    b.engine.sink = (struct store_sink){on_event, &b};
    engine_open(&b.engine, name);

    values_make(&b);
    struct instant begin = clock_now(), end = instant_add(begin, SPAN_S(SECONDS));
    while (clock_now().ns < end.ns) {
        while (b.inflight < inflight)
            commit(&b, count);
        loop_step(loop, SPAN_MS(100));
    }
    while (b.inflight > 0)
        loop_step(loop, SPAN_MS(100));
    double seconds = (double)instant_sub(clock_now(), begin).ns / 1e9;
    engine_close(&b.engine);
    loop_free(loop);
    seal_free(seal);
    for (uint32_t i = 0; i < VALUES; i++)
        blob_unref(b.values[i]);
    return (double)b.writes / seconds;
}

/* ---- The bare things ---- */

static char bytes[WRITES_MAX * ROW];

static double bare_file_rate(const char *dir, uint32_t count)
{
    char path[FS_PATH_MAX];
    snprintf(path, sizeof path, "%s/bare", dir);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    CHECK(fd >= 0);
    struct instant begin = clock_now(), end = instant_add(begin, SPAN_S(SECONDS));
    uint64_t writes = 0;
    while (clock_now().ns < end.ns) {
        size_t len = count * (size_t)ROW;
        CHECK(write(fd, bytes, len) == (ssize_t)len && fdatasync(fd) == 0);
        writes += count;
    }
    close(fd);
    unlink(path);
    return (double)writes / ((double)instant_sub(clock_now(), begin).ns / 1e9);
}

static double bare_put_rate(const char *endpoint, uint32_t count)
{
    struct bare_put *b = bare_put_open(endpoint);
    struct instant begin = clock_now(), end = instant_add(begin, SPAN_S(SECONDS));
    uint64_t writes = 0;
    for (; clock_now().ns < end.ns; writes += count)
        bare_put(b, str_from(bytes, count * (size_t)ROW));
    double seconds = (double)instant_sub(clock_now(), begin).ns / 1e9;
    bare_put_close(b);
    return (double)writes / seconds;
}

static void measure(const char *where, const char *dir)
{
    static const uint32_t counts[] = {1, 16, 100}, inflights[] = {1, 8};
    bool etcd = engine_is_etcd(where);
    const char *engine = etcd ? "etcd" : "sqlite";
    for (uint32_t i = 0; i < 3; i++) {
        double bare = etcd ? bare_put_rate(where, counts[i]) : bare_file_rate(dir, counts[i]);
        printf("store-rate bare[%s,writes=%u] %.0f writes/s\n", engine, counts[i], bare);
        for (uint32_t k = 0; k < 2; k++) {
            char name[20];
            snprintf(name, sizeof name, "rate-%u-%u", i, k);
            printf("store-rate %s[writes=%u,inflight=%u] %.0f writes/s\n", engine, counts[i],
                   inflights[k], engine_rate(etcd ? where : dir, name, counts[i], inflights[k]));
            fflush(stdout);
        }
    }
}

int main(int argc, char **argv)
{
    const char *where = argc > 1 ? argv[1] : "/var/tmp";
    char dir[200];
    if (engine_is_etcd(where)) {
        measure(where, NULL);
        return 0;
    }
    snprintf(dir, sizeof dir, "%s/baton-bench-XXXXXX", where);
    CHECK(mkdtemp(dir) != NULL);
    measure(where, dir);
    return fs_remove_tree(dir, NULL) == ERR_OK ? 0 : 1;
}
