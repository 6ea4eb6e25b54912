/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/rng.h"
#include "scheduler/columns.h"
#include "tests/testlib/test.h"
#include <string.h>

enum { COUNT = 1000 };

/* Whatever this processor can do must find what plain C finds, at every alignment and length. */
TEST(columns, vectors_equal_scalars)
{
    enum { BLOCKS = COUNT / COLUMNS_LANES + 1 };
    struct columns_block *blocks = mem_zalloc_lines(BLOCKS, sizeof *blocks);
    uint32_t a[COUNT], b[COUNT];
    struct rng rng;
    rng_seed(&rng, 5);
    for (uint32_t i = 0; i < COLUMN__COUNT * BLOCKS * COLUMNS_LANES; i++) {
        uint64_t value =
            rng_below(&rng, 4) == 0 ? rng_below(&rng, 65536) : rng_below(&rng, 8) * 8191;
        struct columns_block *block = &blocks[i / COLUMNS_LANES / COLUMN__COUNT];
        block->at[i / COLUMNS_LANES % COLUMN__COUNT][i % COLUMNS_LANES] = (uint16_t)value;
    }
    for (uint32_t run = 0; run < 2000; run++) {
        struct columns_want want = {.count = (uint32_t)rng_below(&rng, COLUMN__COUNT)};
        for (uint32_t i = 0; i < want.count; i++) {
            want.column[i] = (uint8_t)i;
            want.least[i] = (uint16_t)rng_below(&rng, 65536 >> rng_below(&rng, 16));
        }
        uint32_t from = (uint32_t)rng_below(&rng, COUNT),
                 to = from + (uint32_t)rng_below(&rng, COUNT - from + 1);
        uint32_t x = columns_filter_scalar(blocks, &want, from, to, a);
        uint32_t y = columns_filter_fast()(blocks, &want, from, to, b);
        cr_assert_eq(x, y);
        cr_assert_eq(memcmp(a, b, x * sizeof *a), 0);
    }
    mem_free(blocks);
}
