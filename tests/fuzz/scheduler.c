/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes are a history: machines, requests, releases, restored rows with anything in them. The fast
 * search must agree with the plain one and a recount must agree with the sums; stored rows that
 * contradict are refused, never a crash.
 */
#include "base/check.h"
#include "scheduler/explain.h"
#include "scheduler/ledger.h"

enum { HOLDS_MAX = 64, STEPS_MAX = 200 };

struct input {
    const uint8_t *at;
    size_t left;
};

static uint32_t take(struct input *in, uint32_t below)
{
    if (in->left == 0 || below == 0)
        return 0;
    in->left--;
    return *in->at++ % below;
}

static void put_node(struct input *in, struct ledger *l)
{
    static struct topology_storage storage;
    struct topology_spec spec = {1 + take(in, 2), 1 + take(in, 3),
                                 1 + take(in, 2), 1 + take(in, 6),
                                 1 + take(in, 2), (uint64_t)(1 + take(in, 16)) << 30,
                                 take(in, 64),    take(in, 4),
                                 take(in, 8),     take(in, 2) * 1000};
    struct topology t;
    char name[] = "n0";
    uint32_t node;
    name[1] = (char)('0' + take(in, 6));
    if (topology_uniform(&spec, &storage, &t, NULL) != ERR_OK)
        return;
    if (names_intern(ledger_names(l), str_of(name), &t.name, NULL) != ERR_OK)
        return;
    t.shared_cores = take(in, 3);
    t.addresses_count = take(in, 8);
    t.address_first = 1;
    if (take(in, 8) == 0)
        storage.cores[0].llc = take(in, 8); /* Perhaps a contradiction. */
    enum err_code rc = ledger_node_put(l, &t, &node, NULL);
    (void)rc;
}

static struct request wish(struct input *in)
{
    return (struct request){.exclusive_cpus = take(in, 2) ? take(in, 16) : 0,
                            .shared_milli = take(in, 256) * 20,
                            .memory_bytes = (uint64_t)take(in, 64) << 28,
                            .hugepages_2m = take(in, 8) == 0 ? take(in, 64) : 0,
                            .hugepages_1g = take(in, 8) == 0 ? take(in, 4) : 0,
                            .cache_ways = take(in, 16) == 0 ? take(in, 4) : 0,
                            .numa_policy = (enum request_numa_policy)take(in, 4),
                            .choice = (enum request_choice)take(in, 2),
                            .one_thread_per_core = take(in, 8) == 0,
                            .full_cores_only = take(in, 8) == 0,
                            .align_llc = take(in, 8) == 0,
                            .spread_numa = take(in, 8) == 0,
                            .address_wanted = take(in, 2),
                            .mac_wanted = take(in, 2)};
}

static void restore_garbage(struct input *in, struct ledger *l, const struct request *r)
{
    struct placement rows = {0};
    uint64_t hold;
    struct err e;
    rows.node_name = take(in, 16);
    rows.cpus_count = rows.cores_count = take(in, 6);
    for (uint32_t i = 0; i < rows.cpus_count; i++) {
        rows.cpus[i] = (uint16_t)take(in, 32);
        rows.cores[i] = (uint16_t)take(in, 32);
    }
    for (uint32_t i = 0; i < 8; i++)
        rows.memory[i].bytes = (uint64_t)take(in, 16) << 28;
    rows.address = take(in, 16);
    rows.mac = take(in, 16);
    enum err_code rc = ledger_restore(l, r, &rows, &hold, &e);
    (void)rc;
}

static void step(struct input *in, struct ledger *fast, struct ledger *plain, uint64_t (*holds)[2],
                 uint32_t *count)
{
    struct request r = wish(in);
    struct placement a, b;
    uint64_t x, y;
    enum err_code ra = ledger_place(fast, &r, &x, &a, NULL);
    enum err_code rb = ledger_place_plain(plain, &r, &y, &b, NULL);
    CHECK(ra == rb);
    if (ra != ERR_OK) {
        struct explanation why;
        char text[256];
        ledger_explain(fast, &r, &why);
        explain_print(fast, &why, text, sizeof text);
        CHECK(ra == ERR_INVALID || why.fits_count == 0);
        return;
    }
    CHECK(a.node == b.node && a.cores_count == b.cores_count && a.address == b.address);
    CHECK(memcmp(a.cores, b.cores, a.cores_count * sizeof *a.cores) == 0);
    CHECK(memcmp(a.memory, b.memory, sizeof a.memory) == 0);
    if (*count == HOLDS_MAX) {
        ledger_undo(fast, x);
        ledger_undo(plain, y);
        return;
    }
    holds[*count][0] = x;
    holds[(*count)++][1] = y;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct ledger_limits limits = {.nodes_max = 8, .holds_max = 256, .names_max = 64};
    struct ledger *fast = ledger_new(&limits), *plain = ledger_new(&limits);
    uint64_t holds[HOLDS_MAX][2];
    uint32_t count = 0;

    for (uint32_t i = 0; i < STEPS_MAX && in.left > 0; i++) {
        switch (take(&in, 8)) {
        case 0: {
            struct input same = in;
            put_node(&same, plain);
            put_node(&in, fast);
            break;
        }
        case 1:
            if (count > 0) {
                uint32_t k = take(&in, count);
                ledger_release(fast, holds[k][0]);
                ledger_release(plain, holds[k][1]);
                holds[k][0] = holds[--count][0];
                holds[k][1] = holds[count][1];
            }
            break;
        case 2: {
            struct request r = wish(&in);
            struct input same = in;
            restore_garbage(&same, plain, &r);
            restore_garbage(&in, fast, &r);
            break;
        }
        default:
            step(&in, fast, plain, holds, &count);
            break;
        }
        struct err e;
        CHECK(ledger_verify(fast, &e) == ERR_OK);
    }
    ledger_free(fast);
    ledger_free(plain);
    return 0;
}
