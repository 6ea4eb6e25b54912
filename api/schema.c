/* SPDX-License-Identifier: Apache-2.0 */
#include "api/schema.h"

/* The table is sorted by full name. */
const struct schema_message *schema_message(struct str full)
{
    uint32_t from = 0, to = schema_messages_count;
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        int order = str_cmp(full, schema_messages[mid].full);
        if (order == 0)
            return &schema_messages[mid];
        if (order < 0)
            to = mid;
        else
            from = mid + 1;
    }
    return NULL;
}

const struct schema_kind *schema_kind(struct str group, struct str version, struct str kind)
{
    for (uint32_t i = 0; i < schema_kinds_count; i++) {
        const struct schema_kind *k = &schema_kinds[i];
        if (str_eq(k->kind, kind) && str_eq(k->group, group) && str_eq(k->version, version))
            return k;
    }
    return NULL;
}

const struct schema_kind *schema_kind_plural(struct str group, struct str version,
                                             struct str plural)
{
    for (uint32_t i = 0; i < schema_kinds_count; i++) {
        const struct schema_kind *k = &schema_kinds[i];
        if (str_eq(k->plural, plural) && str_eq(k->group, group) && str_eq(k->version, version))
            return k;
    }
    return NULL;
}

const struct schema_field *schema_find(const struct schema_message *m, struct str json,
                                       const struct schema_field **out_outer)
{
    if (m->fields_count == 0)
        return NULL;
    for (uint32_t i = schema_hash(json);; i++) {
        const struct schema_name *slot = &m->names[i & m->names_mask];
        if (slot->field == 0)
            return NULL;
        if (!str_eq(slot->json, json))
            continue;
        const struct schema_field *field = &m->fields[slot->field - 1];
        if (out_outer != NULL)
            *out_outer = slot->inner == 0 ? NULL : field;
        return slot->inner == 0 ? field : &field->message->fields[slot->inner - 1];
    }
}
