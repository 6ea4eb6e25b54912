/* SPDX-License-Identifier: Apache-2.0 */
/* parse.h -- a typed message from JSON, for tests; it lives in the arena. FULL: "baton.v1.NodeHardwareSpec". */
#ifndef TESTLIB_PARSE_H
#define TESTLIB_PARSE_H

#include "api/transcode.h"
#include "tests/testlib/test.h"

static inline void *parse(struct arena *a, const char *full, const char *json)
{
    const struct schema_message *m = schema_message(str_of(full));
    struct buf raw;
    struct err e = {0};
    ProtobufCMessage *out = NULL;
    buf_init(&raw, 1 << 20);
    cr_assert_not_null(m, "%s", full);
    cr_assert_eq(transcode_from_json(m, str_of(json), a, NULL, NULL, &raw, &e), ERR_OK, "%s",
                 e.text);
    cr_assert_eq(transcode_unpack(m, buf_str(&raw), a, &out, &e), ERR_OK, "%s", e.text);
    buf_free(&raw);
    return out;
}

#endif /* TESTLIB_PARSE_H */
