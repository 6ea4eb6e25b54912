/* SPDX-License-Identifier: Apache-2.0 */
/* Which of an object's fields a patch speaks of, and an object's bytes in two: those fields, and the others. */
#include "api/patch.h"
#include "base/wire.h"

enum { FIELDS_MAX = 64 };

/* ---- what a patch speaks of ---- */

/* A name at the root. False: it is not one field's. */
static bool reach_name(const struct schema_message *m, struct str name, uint64_t *fields)
{
    const struct schema_field *outer = NULL, *f = schema_find(m, name, &outer);
    if (m->typed && (str_is(name, "apiVersion") || str_is(name, "kind")))
        return true;
    if (f == NULL || outer != NULL)
        return false;
    *fields |= UINT64_C(1) << (f - m->fields);
    return true;
}

/* A JSON pointer; only one that says a name at the root as it is. */
static bool reach_pointer(const struct schema_message *m, const struct json *pointer,
                          uint64_t *fields)
{
    struct str text = json_text(pointer);
    struct str name = str_slice(text, 1, str_find(text, '/', 1));
    return str_starts(text, STR("/")) && str_find(name, '~', 0) == name.len &&
           reach_name(m, name, fields);
}

static bool reach_operation(const struct schema_message *m, const struct json *operation,
                            uint64_t *fields)
{
    const struct json *from = json_find(operation, STR("from"));
    return reach_pointer(m, json_find(operation, STR("path")), fields) &&
           (from == NULL || reach_pointer(m, from, fields));
}

bool patch_reach(const struct schema_message *m, const struct json *patch, uint64_t *out_fields)
{
    uint64_t fields = 0;
    if (m->fields_count > FIELDS_MAX || (patch->type != JSON_OBJECT && patch->type != JSON_ARRAY))
        return false;
    for (const struct json *i = patch->first; i != NULL; i = i->next)
        if (!(patch->type == JSON_OBJECT ? reach_name(m, i->key, &fields)
                                         : reach_operation(m, i, &fields)))
            return false;
    *out_fields = fields;
    return true;
}

/* ---- bytes in two ---- */

/* The next field that is among fields, or is not: its number, and *out its bytes with what stands before its value. 0: there
 * is none. */
static uint32_t next_of(struct wire_reader *r, const struct schema_message *m, uint64_t fields,
                        bool among, struct str *out)
{
    struct wire_field f;
    for (const uint8_t *begin = r->at; wire_next(r, &f); begin = r->at) {
        uint32_t at = schema_index(m, f.number);
        bool is_among = at < FIELDS_MAX && (fields >> at & 1) != 0;
        *out = str_from(begin, (size_t)(r->at - begin));
        if (is_among == among)
            return f.number;
    }
    return 0;
}

bool patch_part(const struct schema_message *m, struct str raw, uint64_t fields, struct buf *out)
{
    struct wire_reader r = wire_read(raw);
    struct str bytes;
    while (next_of(&r, m, fields, true, &bytes) != 0)
        buf_add(out, bytes);
    return !r.broken && !out->overflow;
}

bool patch_rejoin(const struct schema_message *m, struct str raw, uint64_t fields, struct str part,
                  struct buf *out)
{
    struct wire_reader r = wire_read(raw), p = wire_read(part);
    struct str old = STR(""), fresh = STR("");
    uint32_t number = next_of(&r, m, fields, false, &old);
    uint32_t number_fresh = next_of(&p, m, fields, true, &fresh);
    while (number != 0 || number_fresh != 0) {
        bool is_old = number_fresh == 0 || (number != 0 && number < number_fresh);
        buf_add(out, is_old ? old : fresh);
        if (is_old)
            number = next_of(&r, m, fields, false, &old);
        else
            number_fresh = next_of(&p, m, fields, true, &fresh);
    }
    return !r.broken && !p.broken && !out->overflow;
}
