/* SPDX-License-Identifier: Apache-2.0 */
/* world.h -- one kind and the memory for its objects. */
#ifndef UNIT_API_WORLD_H
#define UNIT_API_WORLD_H

#include "api/kinds.h"
#include "api/transcode.h"
#include "tests/testlib/test.h"

struct world {
    struct arena a;
    const struct kind *kind;
    struct kind_call call;
};

static inline void world_init(struct world *w, const char *group, const char *plural)
{
    arena_init(&w->a, 64 << 20);
    w->kind = kind_find(str_of(group), str_of(plural));
    cr_assert_not_null(w->kind);
}

static inline ProtobufCMessage *parse(struct world *w, const char *json)
{
    const struct schema_message *m = kind_schema(w->kind)->message;
    ProtobufCMessage *out = NULL;
    struct buf raw;
    struct err e = {0};
    buf_init(&raw, 4 << 20);
    enum err_code rc = transcode_from_json(m, str_of(json), &w->a, NULL, NULL, &raw, &e);
    cr_assert_eq(rc, ERR_OK, "%s", e.text);
    rc = transcode_unpack(m, buf_str(&raw), &w->a, &out, &e);
    cr_assert_eq(rc, ERR_OK, "%s", e.text);
    buf_free(&raw);
    return out;
}

#endif /* UNIT_API_WORLD_H */
