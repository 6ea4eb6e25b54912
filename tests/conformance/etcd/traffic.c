/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/etcd/traffic.h"

#include "base/rng.h"
#include "io/clock.h"
#include "tests/testlib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static uint64_t revision_of(uint64_t n, uint32_t i)
{
    return n * TRAFFIC_TOGETHER + 1 + i;
}

uint64_t traffic_before(const struct traffic *t, uint32_t slot, uint32_t i)
{
    return t->there[slot] == 0 ? 0 : revision_of(t->there[slot] - 1, i);
}

void traffic_noise(uint64_t seed, char *out, uint32_t len)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (uint32_t i = 0; i < len; i++)
        out[i] = (char)rng_u64(&rng);
}

static void commit(struct traffic *t)
{
    struct store_write w[TRAFFIC_TOGETHER];
    uint64_t n = t->next++;
    uint32_t slot = n % TRAFFIC_SLOTS;
    char text[40];
    cr_assert_lt(n, TRAFFIC_MAX);
    for (uint32_t i = 0; i < TRAFFIC_TOGETHER; i++) {
        snprintf(text, sizeof text, "/configmaps/s%u/k%u", slot, i);
        w[i] = (struct store_write){.revision = revision_of(n, i),
                                    .before = traffic_before(t, slot, i),
                                    .key = blob_new(str_of(text)),
                                    .sealed = n % 7 == 0};
        w[i].value = blob_reserve(300);
        traffic_noise(revision_of(n, i), w[i].value->at, 300);
        snprintf(text, sizeof text, "%llu", (unsigned long long)n);
        memcpy(w[i].value->at, text, strlen(text) + 1);
    }
    t->fate[n] = TRAFFIC_SENT;
    t->ops[n] = rig_commit(t->rig, t->rig->fence, w, TRAFFIC_TOGETHER);
    for (uint32_t i = 0; i < TRAFFIC_TOGETHER; i++) {
        blob_unref(w[i].key);
        blob_unref(w[i].value);
    }
}

/* In order, as answers come. False: one is in doubt. */
static bool take_answers(struct traffic *t)
{
    bool sure = true;
    for (; t->answered < t->next && t->rig->is_done[t->ops[t->answered]]; t->answered++) {
        uint64_t n = t->answered;
        enum err_code code = t->rig->done[t->ops[n]].code;
        if (code == ERR_OK) {
            t->fate[n] = TRAFFIC_TAKEN;
            t->there[n % TRAFFIC_SLOTS] = n + 1;
            t->taken++;
        } else if (code == ERR_LIMIT || code == ERR_CONFLICT) {
            t->fate[n] = TRAFFIC_REFUSED;
            t->refusal = code;
            t->refused++;
        } else {
            cr_assert_eq(code, ERR_UNAVAILABLE, "%s", t->rig->done[t->ops[n]].err.text);
            t->fate[n] = TRAFFIC_DOUBTFUL;
            t->doubtful++;
            sure = false;
        }
    }
    return sure;
}

static void look(struct traffic *t)
{
    uint64_t there[TRAFFIC_SLOTS][TRAFFIC_TOGETHER] = {{0}};
    struct rig *r = t->rig;
    for (uint32_t i = 0; i < r->rows_count; i++) {
        char key[64];
        uint32_t slot, k;
        snprintf(key, sizeof key, STR_FMT, STR_ARG(blob_str(r->rows[i].key)));
        if (sscanf(key, "/configmaps/s%u/k%u", &slot, &k) != 2)
            continue;
        cr_assert_eq(r->rows[i].code, ERR_OK);
        uint64_t n = strtoull(r->rows[i].value->at, NULL, 10);
        cr_assert_eq(r->rows[i].revision, revision_of(n, k));
        there[slot][k] = n + 1;
    }
    for (uint32_t slot = 0; slot < TRAFFIC_SLOTS; slot++) {
        uint64_t n = there[slot][0];
        for (uint32_t k = 1; k < TRAFFIC_TOGETHER; k++)
            cr_assert_eq(there[slot][k], n, "half of transaction %llu", (unsigned long long)n - 1);
        cr_assert_geq(n, t->there[slot], "acknowledged transaction %llu is lost",
                      (unsigned long long)t->there[slot] - 1);
        cr_assert(n == 0 || t->fate[n - 1] != TRAFFIC_REFUSED, "refused transaction %llu is there",
                  (unsigned long long)n - 1);
        t->there[slot] = n;
    }
}

/* As the core: once a second until it succeeds, only faster. */
static void load(struct traffic *t)
{
    struct instant until = instant_add(clock_now(), SPAN_S(40));
    enum err_code code;
    while ((code = rig_load(t->rig)) != ERR_OK && clock_now().ns < until.ns) {
        cr_assert(code == ERR_UNAVAILABLE || code == ERR_LIMIT || code == ERR_BUSY);
        usleep(100000);
    }
    cr_assert_eq(code, ERR_OK, "%s", t->rig->done[t->rig->op].err.text);
    t->loads++;
    look(t);
}

void traffic_start(struct traffic *t, struct rig *r)
{
    *t = (struct traffic){.rig = r};
    load(t);
}

bool traffic_drain(struct traffic *t)
{
    bool sure = true;
    while (t->answered < t->next) {
        rig_wait(t->rig, t->ops[t->answered]);
        sure = take_answers(t) && sure;
    }
    return sure;
}

void traffic_settle(struct traffic *t)
{
    if (!traffic_drain(t))
        load(t);
}

void traffic_run(struct traffic *t, struct span span)
{
    struct instant begun = clock_now(), until = instant_add(begun, span);
    uint32_t refused = t->refused;
    uint64_t first = t->next;
    while (clock_now().ns < until.ns && t->refused == refused) {
        uint64_t due = 1 + (uint64_t)(instant_sub(clock_now(), begun).ns / 1000000);
        while (t->next < t->answered + TRAFFIC_WINDOW && t->next < first + due)
            commit(t); /* At most one a millisecond: the book has an end. */
        t->rig->engine->pump(t->rig);
        if (!take_answers(t))
            traffic_settle(t);
    }
}

void traffic_check(struct traffic *t)
{
    traffic_settle(t);
    load(t);
}
