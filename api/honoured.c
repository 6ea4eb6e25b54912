/* SPDX-License-Identifier: Apache-2.0 */
#include "api/honoured.h"

#include "api/pod.h"
#include "base/wire.h"

#include <stdio.h>

static struct str value_text(const struct schema_field *f, const struct wire_field *w,
                             char room[24])
{
    if (w->type == WIRE_BYTES)
        return w->bytes;
    if (f->type == SCHEMA_BOOL)
        return w->value != 0 ? STR("true") : STR("false");
    int len = snprintf(room, 24, "%lld", (long long)w->value);
    return str_from(room, (size_t)len);
}

/* Does it ask for something, and for something that is not done? A described message is looked into. */
static bool is_missed(const struct schema_field *f, const struct wire_field *w)
{
    char room[24];
    struct str value = value_text(f, w, room);
    for (uint32_t i = 0; i < f->rule->harmless_count; i++)
        if (str_eq(f->rule->harmless[i], value))
            return false;
    if (f->rule->harmless_count > 0)
        return true;
    if (f->doc[0] != '\0' || (f->type == SCHEMA_BOOL && w->value == 0))
        return false;
    return !(f->always && f->type == SCHEMA_MESSAGE && w->bytes.len == 0);
}

void honoured_each(const struct honoured *h, const struct schema_message *m, struct str raw,
                   const struct field *at)
{
    struct wire_reader r = wire_read(raw);
    struct wire_field w;
    uint32_t index = 0, number = 0;
    while (wire_next(&r, &w)) {
        const struct schema_field *f = schema_numbered(m, w.number);
        index = w.number == number ? index + 1 : 0;
        number = w.number;
        if (f == NULL)
            continue;
        bool is_object = f->type == SCHEMA_MESSAGE && !f->map && w.type == WIRE_BYTES &&
                         f->message->special == SCHEMA_PLAIN;
        if (!is_object && (f->inlined || !is_missed(f, &w)))
            continue; /* Most are: nothing is to be said of them. */
        struct field own = f->inlined ? *at : field_name(at, f->json.at);
        struct field element = field_index(&own, index);
        if (is_object && h->skips != NULL && h->skips(f->message, w.bytes))
            continue;
        if (!f->inlined && is_missed(f, &w)) {
            if (index == 0)
                h->found(h->owner, &own);
        } else if (is_object) {
            honoured_each(h, f->message, w.bytes, f->repeated ? &element : &own);
        }
    }
}

/* ------------------------------------------------------------------ of a kind */

struct missed {
    struct arena *arena;
    struct str *paths;
    uint32_t count, max;
};

static void missed_add(void *owner, const struct field *at)
{
    struct missed *m = owner;
    if (m->count < m->max)
        m->paths[m->count] = field_print(at, m->arena);
    m->count++;
}

/* The volume for the access to the API is ours (pod_admit()), whatever is not in it yet. */
static bool is_ours(const struct schema_message *m, struct str raw)
{
    return m->type == &core__volume__descriptor &&
           str_starts(wire_find_bytes(raw, 1), STR(POD_TOKEN_VOLUME));
}

static const struct schema_field *spec_of(const struct kind *k)
{
    const struct schema_kind *schema = kind_schema(k);
    const struct schema_field *f =
        schema == NULL ? NULL : schema_find(schema->message, STR("spec"), NULL);
    return f != NULL && f->type == SCHEMA_MESSAGE ? f : NULL;
}

uint32_t kind_missed(const struct kind *k, struct str raw, struct arena *a, struct str *paths,
                     uint32_t max)
{
    const struct schema_field *spec = (k->flags & KIND_WARNS) != 0 ? spec_of(k) : NULL;
    struct missed found = {.arena = a, .paths = paths, .max = max};
    struct honoured h = {.found = missed_add, .skips = is_ours, .owner = &found};
    struct field at = field_name(NULL, "spec");
    if (spec != NULL)
        honoured_each(&h, spec->message, wire_find_bytes(raw, spec->number), &at);
    return found.count;
}

void kind_remark(const struct kind *k, struct kind_call *c, struct str raw, struct str old)
{
    struct str paths[KIND_MISSED_MAX];
    if ((k->flags & KIND_WARNS) == 0 || c->write == KIND_STATUS || c->write == KIND_BIND)
        return;
    uint32_t spec = spec_of(k)->number;
    if (old.len > 0 && str_eq(wire_find_bytes(raw, spec), wire_find_bytes(old, spec)))
        return;
    uint32_t count = kind_missed(k, raw, c->arena, paths, COUNT_OF(paths));
    for (uint32_t i = 0; i < min_u32(count, KIND_MISSED_MAX); i++)
        kind_warn(c, NULL, STR_FMT ": stored, but not carried out yet", STR_ARG(paths[i]));
    if (count > KIND_MISSED_MAX)
        kind_warn(c, NULL, "spec: and %u more fields that are stored, but not carried out yet",
                  count - KIND_MISSED_MAX);
}
