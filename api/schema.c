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

/* Names are short: two loads that overlap compare up to 16 bytes. */
static inline bool name_eq(struct str a, struct str b)
{
    uint64_t a8[2], b8[2];
    uint32_t a4[2], b4[2];
    size_t len = a.len;
    if (len != b.len)
        return false;
    if (len > 16)
        return memcmp(a.at, b.at, len) == 0;
    if (len >= 8) {
        memcpy(&a8[0], a.at, 8), memcpy(&a8[1], a.at + len - 8, 8);
        memcpy(&b8[0], b.at, 8), memcpy(&b8[1], b.at + len - 8, 8);
        return ((a8[0] ^ b8[0]) | (a8[1] ^ b8[1])) == 0;
    }
    if (len >= 4) {
        memcpy(&a4[0], a.at, 4), memcpy(&a4[1], a.at + len - 4, 4);
        memcpy(&b4[0], b.at, 4), memcpy(&b4[1], b.at + len - 4, 4);
        return ((a4[0] ^ b4[0]) | (a4[1] ^ b4[1])) == 0;
    }
    return len == 0 ||
           (a.at[0] == b.at[0] && a.at[len / 2] == b.at[len / 2] && a.at[len - 1] == b.at[len - 1]);
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
        const struct schema_field *outer = &m->fields[slot->field - 1];
        const struct schema_field *field =
            slot->inner == 0 ? outer : &outer->message->fields[slot->inner - 1];
        if (!name_eq(field->json, json))
            continue;
        if (out_outer != NULL)
            *out_outer = slot->inner == 0 ? NULL : outer;
        return field;
    }
}
