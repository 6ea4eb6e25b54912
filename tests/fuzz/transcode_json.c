/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses a message, the rest is JSON. What is taken has one encoding: it comes back
 * the same from JSON, from a tree and from protobuf, and unpacks. */
#include "tests/testlib/transcode_back.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct buf bytes;
    struct transcode_notes notes;
    struct transcode_head head;
    struct err e;
    if (size == 0 || size > 65536)
        return 0;
    const struct schema_message *m = schema_kinds[data[0] % schema_kinds_count].message;
    arena_init(&a, 256 << 20);
    buf_init(&bytes, 1 << 20);
    if (transcode_from_json(m, str_from(data + 1, size - 1), &a, &notes, &head, &bytes, &e) ==
        ERR_OK)
        transcode_comes_back(m, buf_str(&bytes), &a);
    else
        CHECK(bytes.len == 0 && e.text[0] != '\0');
    buf_free(&bytes);
    arena_free(&a);
    return 0;
}
