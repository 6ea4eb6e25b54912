/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store-rate [DIR]: the SQLite engine alone, as the core drives it: transactions of some objects of 1 KB, a few in
 * flight. Beside it the bare thing: a file that gets the same bytes and one fdatasync per transaction.
 */
#include "base/check.h"
#include "controlplane/store/store_sqlite.h"
#include "io/clock.h"
#include "io/fs.h"
#include "io/loop.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SECONDS = 3, VALUE = 1024 };

struct bench {
    struct store *store;
    struct loop *loop;
    uint64_t op, done, fence, revision, writes;
    uint32_t inflight;
    bool failed;
};

static void on_event(void *state, const struct store_event *ev)
{
    struct bench *b = state;
    if (ev->type != STORE_DONE)
        return;
    if (ev->fence != 0)
        b->fence = ev->fence;
    b->failed = b->failed || ev->code != ERR_OK;
    b->done++;
    b->inflight--;
}

static void commit(struct bench *b, uint32_t count, struct blob *value)
{
    struct store_write w[256];
    char key[64];
    for (uint32_t i = 0; i < count; i++) {
        int len =
            snprintf(key, sizeof key, "/pods/bench/pod-%010llu", (unsigned long long)b->revision);
        w[i] = (struct store_write){
            .revision = ++b->revision, .key = blob_new(str_from(key, (size_t)len)), .value = value};
    }
    b->inflight++;
    b->store->ops->commit(b->store, ++b->op, b->fence, w, count);
    for (uint32_t i = 0; i < count; i++)
        blob_unref(w[i].key);
    b->writes += count;
}

static double sqlite_rate(const char *path, uint32_t count, uint32_t inflight)
{
    unsigned char key[SEAL_KEY_SIZE] = {1};
    struct seal *seal = seal_from_key(key);
    struct bench b = {.loop = loop_new()};
    struct store_sink sink = {on_event, &b};
    struct store_sqlite_options o = {.path = path, .seal = seal, .loop = b.loop};
    struct err e;
    CHECK(store_sqlite_open(&o, &sink, &b.store, &e) == ERR_OK);
    b.inflight = 1;
    b.store->ops->load(b.store, ++b.op);
    while (b.inflight > 0)
        loop_step(b.loop, SPAN_MS(100));

    struct blob *value = blob_reserve(VALUE);
    for (uint32_t i = 0; i < VALUE; i++)
        value->at[i] = (char)(i * 37);
    struct instant begin = clock_now(), end = instant_add(begin, SPAN_S(SECONDS));
    while (clock_now().ns < end.ns) {
        while (b.inflight < inflight)
            commit(&b, count, value);
        loop_step(b.loop, SPAN_MS(100));
    }
    while (b.inflight > 0)
        loop_step(b.loop, SPAN_MS(100));
    double seconds = (double)instant_sub(clock_now(), begin).ns / 1e9;
    CHECK(!b.failed);
    b.inflight = 1;
    b.store->ops->close(b.store, ++b.op);
    while (b.inflight > 0)
        loop_step(b.loop, SPAN_MS(100));
    loop_free(b.loop);
    seal_free(seal);
    blob_unref(value);
    return (double)b.writes / seconds;
}

static double bare_rate(const char *path, uint32_t count)
{
    static char bytes[256 * (VALUE + 64)];
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    CHECK(fd >= 0);
    struct instant begin = clock_now(), end = instant_add(begin, SPAN_S(SECONDS));
    uint64_t writes = 0;
    while (clock_now().ns < end.ns) {
        size_t len = count * (size_t)(VALUE + 64);
        CHECK(write(fd, bytes, len) == (ssize_t)len && fdatasync(fd) == 0);
        writes += count;
    }
    close(fd);
    unlink(path);
    return (double)writes / ((double)instant_sub(clock_now(), begin).ns / 1e9);
}

int main(int argc, char **argv)
{
    char dir[200], path[260];
    snprintf(dir, sizeof dir, "%s/baton-bench-XXXXXX", argc > 1 ? argv[1] : "/var/tmp");
    CHECK(mkdtemp(dir) != NULL);
    static const uint32_t counts[] = {1, 16, 100};
    static const uint32_t inflights[] = {1, 8};
    for (uint32_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/bare", dir);
        printf("store-rate bare[writes=%u] %.0f writes/s\n", counts[i], bare_rate(path, counts[i]));
        for (uint32_t k = 0; k < 2; k++) {
            snprintf(path, sizeof path, "%s/%u-%u.db", dir, i, k);
            printf("store-rate sqlite[writes=%u,inflight=%u] %.0f writes/s\n", counts[i],
                   inflights[k], sqlite_rate(path, counts[i], inflights[k]));
            fflush(stdout);
        }
    }
    return fs_remove_tree(dir, NULL) == ERR_OK ? 0 : 1;
}
