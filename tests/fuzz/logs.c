/* SPDX-License-Identifier: Apache-2.0 */
/* A container writes its log: any bytes, read with any options, in any pieces. The first bytes choose
 * the options; a reading must end, and give no more than it was allowed. */
#include "base/check.h"
#include "nodeagent/host/logs.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    struct logs_options opt = {.timestamps = data[0] & 1,
                               .tail_lines = data[0] & 2 ? data[1] : -1,
                               .limit_bytes = data[0] & 4 ? data[2] + 1 : -1,
                               .since = {data[0] & 8 ? 1795000000000000000 : 0}};
    size_t step = (size_t)data[3] + 1;
    struct str text = {(const char *)data + 4, size - 4};
    size_t cut = text.len / 2;
    struct logs_file files[2] = {{cut}, {text.len - cut}};
    struct logs_reader r;
    struct logs_want want;
    struct buf out;

    buf_init(&out, 64 << 20);
    logs_begin(&r, &opt, files, 2);
    for (size_t turns = 0; (want = logs_next(&r)).type == LOGS_READ; turns++) {
        CHECK(turns < 4 * size + 16);
        struct str file = want.file == 0 ? str_slice(text, 0, cut) : str_slice(text, cut, text.len);
        struct str piece = str_slice(file, want.offset, want.offset + want.size);
        CHECK(piece.len == want.size);
        logs_feed(&r, r.backwards ? piece : str_slice(piece, 0, step), &out);
    }
    CHECK(!out.overflow && r.rest.len <= r.rest.limit);
    CHECK(opt.limit_bytes < 0 || out.len <= (size_t)opt.limit_bytes);
    logs_end(&r);
    buf_free(&out);
    return 0;
}
