/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core-create: the core thread's share of a create, with a store that is durable at once: checks, stamps, numbers, a
 * transaction, index, history, publication. Processor time. And the memory a stored object takes, all in.
 */
#include "base/check.h"
#include "controlplane/core/core.h"
#include "controlplane/core/index.h"
#include "io/clock.h"
#include "tests/testlib/object.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

enum { PAYLOAD = 850 }; /* With its metadata an object of about 1 KB. */

struct bench {
    struct core *core;
    uint64_t commits[CORE_COMMITS_MAX * 2], replies;
    uint32_t commits_count;
    struct instant now;
};

static struct core_event event(struct bench *b, enum core_event_type type)
{
    return (struct core_event){
        .type = type, .now = b->now, .wall = {1700000000LL * 1000000000 + b->now.ns}};
}

static void answer(struct bench *b, uint64_t op, uint64_t fence)
{
    struct store_event done = {.type = STORE_DONE, .op = op, .fence = fence};
    struct core_event ev = event(b, EV_STORE_DONE);
    ev.store = &done;
    core_step(b->core, &ev);
}

static void turn(struct bench *b)
{
    b->now.ns += 100000;
    for (uint32_t i = 0; i < b->commits_count; i++)
        answer(b, b->commits[i], 0);
    b->commits_count = 0;
    struct core_effects fx =
        core_flush(b->core, b->now, (struct wall){1700000000LL * 1000000000 + b->now.ns});
    uint64_t load = 0;
    for (uint32_t i = 0; i < fx.count; i++) {
        if (fx.at[i].type == FX_COMMIT || fx.at[i].type == FX_COMPACT)
            b->commits[b->commits_count++] = fx.at[i].op;
        if (fx.at[i].type == FX_LOAD)
            load = fx.at[i].op;
        if (fx.at[i].type == FX_REPLY) {
            CHECK(fx.at[i].result == WRITE_OK);
            b->replies++;
        }
    }
    if (load != 0)
        answer(b, load, 1);
}

/* The object's blob is made outside the clock: a connection thread does that. */
static double creates(struct bench *b, uint32_t count, uint32_t batch, const char *prefix)
{
    char payload[PAYLOAD + 1];
    memset(payload, 'x', PAYLOAD);
    payload[PAYLOAD] = '\0';
    struct blob *objects[256];
    int64_t ns = 0;
    for (uint32_t i = 0; i < count; i += batch) {
        char names[256][32];
        for (uint32_t k = 0; k < batch; k++) {
            /* Scattered over the tree, as generated names are. */
            snprintf(names[k], sizeof names[k], "%s-%08x", prefix, (i + k) * 2654435761u);
            objects[k] = object_make(&(struct object_parts){
                .name = names[k], .namespace = "default", .payload = payload});
        }
        int64_t begin = clock_thread_cpu_ns();
        for (uint32_t k = 0; k < batch; k++) {
            char key[80];
            int len = snprintf(key, sizeof key, "/configmaps/default/%s", names[k]);
            struct write_request r = {
                .verb = WRITE_CREATE, .key = str_from(key, (size_t)len), .object = objects[k]};
            struct core_event ev = event(b, EV_WRITE);
            ev.write = &r;
            core_step(b->core, &ev);
        }
        turn(b);
        turn(b);
        ns += clock_thread_cpu_ns() - begin;
        for (uint32_t k = 0; k < batch; k++)
            blob_unref(objects[k]);
    }
    CHECK(b->replies == count);
    b->replies = 0;
    return (double)ns / count;
}

static struct bench start(void)
{
    struct bench b = {.now = {1000000}};
    b.core = core_new(&(struct core_config){.seed = 1});
    struct core_event ev = event(&b, EV_STARTED);
    core_step(b.core, &ev);
    for (uint32_t i = 0; i < 20; i++)
        turn(&b);
    CHECK(core_is_ready(b.core));
    return b;
}

int main(void)
{
    static const uint32_t batches[] = {1, 16, 256};
    for (uint32_t i = 0; i < 3; i++) {
        struct bench b = start();
        size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
        double first = creates(&b, 102400, batches[i], "a");
        size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
        double later = creates(&b, 102400, batches[i], "b");
        printf("core-create ns[batch=%u,stored=0..100k] %.0f ns\n", batches[i], first);
        printf("core-create ns[batch=%u,stored=100k..200k] %.0f ns\n", batches[i], later);
        if (i == 2)
            printf("core-create memory_per_object %.0f bytes\n", (double)(after - before) / 102400);
        core_free(b.core);
    }
    return 0;
}
