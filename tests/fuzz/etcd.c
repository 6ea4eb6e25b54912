/* SPDX-License-Identifier: Apache-2.0 */
/* What etcd, or what pretends to be it, answers; and what stands in its values: read or refused, never believed. */
#include "base/check.h"
#include "controlplane/store/store_etcd_index.h"
#include "controlplane/store/store_etcd_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_answer(struct str bytes)
{
    static const uint32_t statuses[] = {0, 200, 400, 503};
    for (uint32_t i = 0; i < COUNT_OF(statuses); i++) {
        struct arena arena;
        struct etcd_answer a;
        arena_init(&arena, 8 << 20);
        etcd_answer_read(&arena, statuses[i], bytes, &a);
        CHECK(statuses[i] == 200 || a.outcome != ETCD_FINE);
        for (uint32_t k = 0; k < a.ranges[0].count; k++)
            CHECK(a.ranges[0].at[k].value.at != NULL);
        arena_free(&arena);
    }
}

static void read_record(struct str bytes)
{
    struct etcd_record_reader r;
    struct etcd_row row;
    uint64_t last = 0;
    enum err_code code = etcd_record_open(&r, bytes, NULL);
    for (uint32_t i = 0; code == ERR_OK && etcd_record_next(&r, &row); i++) {
        CHECK(i == 0 || row.revision > last);
        CHECK(row.revision >= r.head.first && row.revision <= r.head.last);
        CHECK(row.key.len <= STORE_KEY_MAX);
        last = row.revision;
    }
    if (code == ERR_OK && etcd_record_end(&r, NULL) == ERR_OK)
        CHECK(r.left == 0);
    etcd_record_close(&r);
}

static void read_gone(struct str bytes)
{
    struct etcd_index x = {0};
    struct etcd_gone *g = etcd_index_gone_at(&x, 7);
    if (etcd_gone_read(g, bytes, NULL) == ERR_OK)
        for (uint32_t i = 0; i < g->count; i++)
            CHECK(etcd_gone_has(g, g->at[i]) && (i == 0 || g->at[i - 1] < g->at[i]));
    etcd_index_free(&x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = str_from(data, size);
    read_answer(bytes);
    read_record(bytes);
    read_gone(bytes);
    return 0;
}
