/* SPDX-License-Identifier: Apache-2.0 */
#include "api/quantity.h"
#include "api/transcode_in_priv.h"
#include "base/base64.h"

#include <stdio.h>

/* Scalars */

static bool read_int(struct transcode_input *in, const struct schema_field *f,
                     const struct transcode_step *at, uint64_t *out)
{
    struct str digits;
    uint64_t u = 0;
    int64_t i = 0;
    enum err_code code;
    if (!json_read_number(&in->reader, &digits))
        return false;
    if (f->type == SCHEMA_UINT32 || f->type == SCHEMA_UINT64) {
        code = str_parse_u64(digits, &u);
        if (code == ERR_OK && f->type == SCHEMA_UINT32 && u > UINT32_MAX)
            code = ERR_INVALID;
    } else {
        code = str_parse_i64(digits, &i);
        if (code == ERR_OK && f->type != SCHEMA_INT64 && (i > INT32_MAX || i < INT32_MIN))
            code = ERR_INVALID;
        u = (uint64_t)i;
    }
    if (code != ERR_OK) {
        char what[64];
        (void)snprintf(what, sizeof what, "number %.*s", (int)min_size(digits.len, 40), digits.at);
        return transcode__wrong_type(in, f, TRANSCODE_ELEMENT, what, at);
    }
    *out = u;
    return true;
}

static bool read_base64(struct transcode_input *in, struct str *value)
{
    char *bytes = arena_alloc(in->arena, base64_decoded_max(value->len));
    size_t len = 0, bad = 0;
    if (bytes == NULL)
        return transcode__too_big(in);
    if (base64_decode(*value, bytes, &len) == ERR_OK) {
        *value = str_from(bytes, len);
        return true;
    }
    for (; bad < value->len; bad++) {
        char c = value->at[bad];
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '+' || c == '/' || c == '\r' || c == '\n';
        if (!fits)
            break;
    }
    if (in->err.code == ERR_OK)
        (void)err_set(&in->err, ERR_INVALID, "illegal base64 data at input byte %zu", bad);
    return false;
}

bool transcode__read_scalar(struct transcode_input *in, const struct schema_field *f,
                            enum json_type type, uint32_t number, bool keep,
                            const struct transcode_step *at)
{
    struct str text = {NULL, 0};
    uint64_t value = 0;
    bool truth;
    switch (type) {
    case JSON_NULL:
        if (!json_read_null(&in->reader))
            return false;
        break;
    case JSON_BOOL:
        if (f->type != SCHEMA_BOOL)
            return transcode__wrong_json(in, f, TRANSCODE_ELEMENT, type, at);
        if (!json_read_bool(&in->reader, &truth))
            return false;
        value = truth;
        break;
    case JSON_NUMBER:
        if (f->type == SCHEMA_BOOL || f->type >= SCHEMA_STRING)
            return transcode__wrong_json(in, f, TRANSCODE_ELEMENT, type, at);
        if (!read_int(in, f, at, &value))
            return false;
        break;
    case JSON_STRING:
        if (f->type < SCHEMA_STRING)
            return transcode__wrong_json(in, f, TRANSCODE_ELEMENT, type, at);
        if (!json_read_string(&in->reader, &text) ||
            (f->type == SCHEMA_BYTES && !read_base64(in, &text)))
            return false;
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        return transcode__wrong_json(in, f, TRANSCODE_ELEMENT, type, at);
    }
    if (f->type >= SCHEMA_STRING) {
        if (keep || text.len > 0)
            wire_put_bytes(in->out, number, text);
    } else if (keep || value != 0) {
        wire_put_u64(in->out, number, value);
    }
    return true;
}

/* Messages that are no JSON object: what stands between the begin and the end of their bytes */

static bool read_time(struct transcode_input *in, const struct schema_field *f, enum json_type type,
                      bool micro, const struct transcode_step *at)
{
    struct str text;
    struct wall instant;
    (void)f;
    (void)at;
    if (type != JSON_STRING) {
        if (in->err.code == ERR_OK)
            (void)err_set(&in->err, ERR_INVALID,
                          "json: cannot unmarshal %s into Go value of type string",
                          transcode__type_word(type));
        return false;
    }
    if (!json_read_string(&in->reader, &text))
        return false;
    if (str_is(text, "0001-01-01T00:00:00Z"))
        return true; /* Go's zero time: not set. */
    if (!transcode_time_read(text, micro, &instant, &in->err))
        return false;
    transcode_time_put(in->out, instant, micro);
    return true;
}

static bool read_quantity(struct transcode_input *in, enum json_type type, bool optional)
{
    struct str text = STR("");
    char canonical[QUANTITY_TEXT_MAX];
    size_t len = 0;
    bool ok = true;
    if (type == JSON_STRING)
        ok = json_read_string(&in->reader, &text);
    else if (type == JSON_NUMBER)
        ok = json_read_number(&in->reader, &text);
    if (!ok || quantity_canonical(text, canonical, &len, &in->err) != ERR_OK)
        return false;
    transcode_quantity_put(in->out, str_from(canonical, len), optional);
    return true;
}

static bool read_int_or_string(struct transcode_input *in, const struct schema_field *f,
                               enum json_type type, const struct transcode_step *at)
{
    struct str text;
    uint64_t value = 0;
    if (type == JSON_STRING) {
        if (!json_read_string(&in->reader, &text))
            return false;
        wire_put_u64(in->out, INT_OR_STRING_TYPE, 1);
        if (text.len > 0)
            wire_put_bytes(in->out, INT_OR_STRING_TEXT, text);
        return true;
    }
    if (type != JSON_NUMBER)
        return transcode__wrong_json(in, f, TRANSCODE_ELEMENT, type, at);
    if (!read_int(in, &f->message->fields[INT_OR_STRING_INT - 1], at, &value))
        return false;
    if (value != 0)
        wire_put_u64(in->out, INT_OR_STRING_INT, value);
    return true;
}

static bool read_raw(struct transcode_input *in)
{
    const struct json *value = NULL;
    if (!json_read_value(&in->reader, &value))
        return in->reader.failed ? false : transcode__too_big(in);
    size_t begin = wire_begin(in->out, RAW_JSON_BYTES);
    json_print(in->out, value);
    wire_end(in->out, begin);
    return true;
}

static bool read_strings(struct transcode_input *in, const struct schema_field *f,
                         enum json_type type, const struct transcode_step *at)
{
    const struct schema_field *item = &f->message->fields[0];
    if (type != JSON_ARRAY)
        return transcode__wrong_json(in, f, TRANSCODE_ELEMENT, type, at);
    if (!json_read_open(&in->reader, JSON_ARRAY))
        return false;
    while (json_read_element(&in->reader)) {
        if (!json_read_type(&in->reader, &type) ||
            !transcode__read_scalar(in, item, type, STRINGS_ITEM, true, at))
            return false;
    }
    return !in->reader.failed;
}

bool transcode__read_special(struct transcode_input *in, const struct schema_field *f,
                             enum json_type type, bool keep, const struct transcode_step *at)
{
    switch (f->message->special) {
    case SCHEMA_PLAIN:
        break;
    case SCHEMA_TIME:
        return read_time(in, f, type, false, at);
    case SCHEMA_MICRO_TIME:
        return read_time(in, f, type, true, at);
    case SCHEMA_QUANTITY:
        return read_quantity(in, type, f->always && !keep);
    case SCHEMA_INT_OR_STRING:
        return read_int_or_string(in, f, type, at);
    case SCHEMA_RAW_JSON:
        return read_raw(in);
    case SCHEMA_STRINGS:
        return read_strings(in, f, type, at);
    }
    return false;
}
