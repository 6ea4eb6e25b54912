/* SPDX-License-Identifier: Apache-2.0 */
#include "api/peek.h"

#include "base/wire.h"

/* ObjectMeta is field 1 of every object, labels field 11 of it, a map of texts. */
enum { OBJECT_METADATA = 1, META_LABELS = 11, MAP_KEY = 1, MAP_VALUE = 2 };

bool peek_label(const void *peek, struct str key, struct str *out)
{
    const struct peek *p = peek;
    struct wire_reader meta = wire_read(wire_find_bytes(p->raw, OBJECT_METADATA));
    struct wire_field f;
    while (wire_next(&meta, &f)) {
        if (f.number != META_LABELS || f.type != WIRE_BYTES)
            continue;
        if (str_eq(wire_find_bytes(f.bytes, MAP_KEY), key)) {
            *out = wire_find_bytes(f.bytes, MAP_VALUE);
            return true;
        }
    }
    return false;
}

static struct str scalar(const struct schema_field *field, struct str raw)
{
    struct wire_reader r = wire_read(raw);
    struct wire_field f;
    if (field->type == SCHEMA_STRING) {
        struct str text = wire_find_bytes(raw, field->number);
        return text.at == NULL ? STR("") : text;
    }
    while (wire_next(&r, &f))
        if (f.number == field->number && f.type == WIRE_VARINT && f.value != 0)
            return STR("true");
    return STR("false");
}

bool peek_field(const void *peek, struct str path, struct str *out)
{
    const struct peek *p = peek;
    const struct schema_message *m = p->message;
    struct str raw = p->raw, rest = path, part;
    while (str_split(&rest, '.', &part)) {
        const struct schema_field *f = schema_find(m, part, NULL);
        if (f == NULL || f->repeated || f->map)
            return false;
        if (f->type != SCHEMA_MESSAGE) {
            *out = scalar(f, raw);
            return rest.at == NULL;
        }
        raw = wire_find_bytes(raw, f->number);
        if (raw.at == NULL)
            raw = STR("");
        m = f->message;
    }
    return false;
}
