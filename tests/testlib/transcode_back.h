/* SPDX-License-Identifier: Apache-2.0 */
/* transcode_back.h -- canonical bytes are the same after every way there and back. */
#ifndef TESTS_TESTLIB_TRANSCODE_BACK_H
#define TESTS_TESTLIB_TRANSCODE_BACK_H

#include "api/transcode.h"
#include "base/check.h"

static inline void transcode_comes_back(const struct schema_message *m, struct str bytes,
                                        struct arena *a)
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

#endif /* TESTS_TESTLIB_TRANSCODE_BACK_H */
