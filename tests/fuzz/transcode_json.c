/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses a message, the rest is JSON. What is taken has one encoding: it comes back
 * the same from JSON, from a tree and from protobuf, and unpacks. */
#include "api/transcode.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_back(const struct schema_message *m, struct str bytes, struct arena *a)
{
    struct buf text, again;
    struct json *tree = NULL;
    ProtobufCMessage *object = NULL;
    struct err e;
    buf_init(&text, 64 << 20);
    buf_init(&again, 64 << 20);
    CHECK(transcode_to_json(m, bytes, NULL, &text, &e) == ERR_OK);
    CHECK(transcode_from_json(m, buf_str(&text), a, NULL, NULL, &again, &e) == ERR_OK);
    CHECK(str_eq(bytes, buf_str(&again)));
    buf_clear(&again);
    CHECK(transcode_to_tree(m, bytes, NULL, a, &tree, &e) == ERR_OK);
    CHECK(transcode_from_tree(m, tree, a, NULL, NULL, &again, &e) == ERR_OK);
    CHECK(str_eq(bytes, buf_str(&again)));
    buf_clear(&again);
    CHECK(transcode_from_protobuf(m, bytes, a, &again, &e) == ERR_OK);
    CHECK(str_eq(bytes, buf_str(&again)));
    CHECK(transcode_unpack(m, bytes, a, &object, &e) == ERR_OK);
    buf_clear(&again);
    CHECK(transcode_pack(m, object, a, &again, &e) == ERR_OK);
    CHECK(str_eq(bytes, buf_str(&again)));
    buf_free(&text);
    buf_free(&again);
}

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
        check_back(m, buf_str(&bytes), &a);
    else
        CHECK(bytes.len == 0 && e.text[0] != '\0');
    buf_free(&bytes);
    arena_free(&a);
    return 0;
}
