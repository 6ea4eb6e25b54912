/* SPDX-License-Identifier: Apache-2.0 */
/* world.h -- one kind and the memory for its objects. */
#ifndef UNIT_API_WORLD_H
#define UNIT_API_WORLD_H

#include "api/kinds.h"
#include "tests/testlib/parse.h"

struct world {
    struct arena a;
    const struct kind *kind;
    struct kind_call call;
};

static inline void world_init(struct world *w, const char *group, const char *plural)
{
    arena_init(&w->a, 16 << 20);
    w->kind = kind_find(str_of(group), str_of(plural));
    cr_assert_not_null(w->kind);
}

static inline ProtobufCMessage *world_parse(struct world *w, const char *json)
{
    return parse(&w->a, kind_schema(w->kind)->message->full.at, json);
}

#endif /* UNIT_API_WORLD_H */
