/* SPDX-License-Identifier: Apache-2.0 */
#include "api/table.h"
#include "api/transcode_priv.h"
#include "base/json.h"

static void text_member(struct buf *out, const char *name, struct str value)
{
    buf_printf(out, "\"%s\":", name);
    json_print_string(out, value);
    buf_add_char(out, ',');
}

void table_columns(const struct kind *k, struct buf *out)
{
    const struct schema_kind *s = kind_schema(k);
    buf_add_char(out, '[');
    for (uint32_t i = 0; i < s->columns_count; i++) {
        const struct schema_column *c = &s->columns[i];
        buf_add(out, i == 0 ? STR("{") : STR(",{"));
        text_member(out, "name", c->name);
        text_member(out, "type", c->type);
        text_member(out, "format", c->format);
        /* Clients show it nowhere; Kubernetes always has one. */
        buf_add(out, STR("\"description\":\""));
        buf_printf(out, "%s of the " STR_FMT, c->age ? "Time since creation" : "Column",
                   STR_ARG(s->kind));
        buf_printf(out, "\",\"priority\":%d}", c->priority);
    }
    buf_add_char(out, ']');
}

/* ------------------------------------------------------------------ ages */

enum {
    AGE_MARK = 0xff
}; /* On both sides of an instant. No UTF-8 has it (RFC 3629), so no other text in a row. */

struct str table_age(int64_t seconds, struct arena *a)
{
    char text[24];
    struct buf out = {.at = text, .size = sizeof text, .limit = sizeof text};
    if (seconds == 0)
        return STR("<unknown>");
    buf_add_char(&out, (char)AGE_MARK);
    buf_add_i64(&out, seconds);
    buf_add_char(&out, (char)AGE_MARK);
    return arena_str(a, buf_str(&out));
}

/* "3m20s"; without the second where that is 0. Not by printf: a Table has one of these in each row. */
static void age_add(struct buf *out, int64_t first, char unit, int64_t second, char unit_of_second)
{
    buf_add_i64(out, first);
    buf_add_char(out, unit);
    if (second != 0) {
        buf_add_i64(out, second);
        buf_add_char(out, unit_of_second);
    }
}

/* The largest two units that matter, as k8s.io/apimachinery/pkg/util/duration prints them. */
static void age_tell(struct buf *out, int64_t seconds, struct wall now)
{
    int64_t s = wall_seconds(now) - seconds;
    int64_t m = s / 60, h = s / 3600, d = s / 86400, y = d / 365;
    if (s < -1)
        buf_add(out, STR("\\u003cinvalid\\u003e")); /* "<invalid>" within JSON. */
    else if (s < 120)
        age_add(out, s < 0 ? 0 : s, 's', 0, 0);
    else if (m < 10)
        age_add(out, m, 'm', s % 60, 's');
    else if (m < 180)
        age_add(out, m, 'm', 0, 0);
    else if (h < 8)
        age_add(out, h, 'h', m % 60, 'm');
    else if (h < 48)
        age_add(out, h, 'h', 0, 0);
    else if (d < 8)
        age_add(out, d, 'd', h % 24, 'h');
    else if (d < 365 * 2)
        age_add(out, d, 'd', 0, 0);
    else if (y < 8)
        age_add(out, y, 'y', d % 365, 'd');
    else
        age_add(out, y, 'y', 0, 0);
}

void table_tell(struct str rows, struct wall now, struct buf *out)
{
    for (size_t at = 0; at < rows.len;) {
        int64_t seconds;
        size_t mark = str_find(rows, (char)AGE_MARK, at);
        buf_add(out, str_slice(rows, at, mark));
        size_t end = str_find(rows, (char)AGE_MARK, mark + 1);
        if (str_parse_i64(str_slice(rows, mark + 1, end), &seconds) == ERR_OK) {
            age_tell(out, seconds, now);
            at = end + 1;
        } else { /* Bytes that somebody else stored. */
            buf_add(out, str_slice(rows, mark, mark + 1));
            at = mark + 1;
        }
    }
}

/* ------------------------------------------------------------------ cells */

struct str table_instant(int64_t seconds, struct arena *a)
{
    char text[WALL_TEXT_MAX];
    size_t len = wall_print((struct wall){seconds * 1000000000}, text);
    return arena_str(a, str_from(text, len));
}

static void age_cell(const struct wire_field *w, struct arena *a, struct buf *out)
{
    struct wall at;
    bool set = false;
    bool is_time = w->type == WIRE_BYTES && transcode_time_get(w->bytes, &at, &set) && set;
    json_print_string(out, is_time ? table_age(wall_seconds(at), a) : STR("<unknown>"));
}

static bool find(struct str raw, uint32_t number, struct wire_field *out)
{
    struct wire_reader r = wire_read(raw);
    while (wire_next(&r, out))
        if (out->number == number)
            return true;
    *out = (struct wire_field){0};
    return false;
}

/* The value at a column's field, written as JSON. What is not there is "" for a text. */
static void field_cell(const struct schema_column *c, struct str raw, struct arena *a,
                       struct buf *out)
{
    const struct schema_field *f = c->field;
    struct wire_field w = {.bytes = raw};
    bool is_there = true;
    for (uint32_t i = 0; c->steps[i] != 0 && is_there; i++)
        is_there = find(w.bytes, c->steps[i], &w);
    if (c->age)
        age_cell(&w, a, out);
    else if (!is_there && !f->always)
        buf_add(out, str_is(c->type, "integer") ? STR("0") : STR("\"\""));
    else if (f->type == SCHEMA_STRING)
        json_print_string(out, w.bytes);
    else if (f->type == SCHEMA_BOOL)
        buf_add(out, w.value != 0 ? STR("true") : STR("false"));
    else if (f->type == SCHEMA_INT32)
        buf_add_i64(out, (int32_t)w.value);
    else
        buf_add_i64(out, (int64_t)w.value);
}

/* What the computed cells of one object are made of. */
static enum err_code object_open(const struct kind *k, const struct schema_message *m,
                                 struct str raw, struct arena *a, const void **out, struct err *e)
{
    ProtobufCMessage *object = NULL;
    if (k->notes != NULL) {
        *out = k->notes(raw, a);
        return arena_status(a, e);
    }
    enum err_code rc = transcode_unpack(m, raw, a, &object, e);
    *out = object;
    return rc;
}

static void computed_cell(const struct kind *k, const void *object, struct str column,
                          struct arena *a, struct buf *out)
{
    struct kind_cell cell = k->cell(object, column, a);
    if (cell.is_number)
        buf_add_i64(out, cell.number);
    else
        json_print_string(out, cell.text);
}

enum err_code table_cells(const struct kind *k, struct str raw, struct arena *a, struct buf *out,
                          struct err *e)
{
    const struct schema_kind *s = kind_schema(k);
    const void *object = NULL; /* No column has asked for it yet. */

    buf_add_char(out, '[');
    for (uint32_t i = 0; i < s->columns_count; i++) {
        const struct schema_column *column = &s->columns[i];
        if (i > 0)
            buf_add_char(out, ',');
        if (column->field != NULL) {
            field_cell(column, raw, a, out);
            continue;
        }
        if (object == NULL) {
            enum err_code rc = object_open(k, s->message, raw, a, &object, e);
            if (rc != ERR_OK)
                return rc;
        }
        computed_cell(k, object, column->name, a, out);
    }
    buf_add_char(out, ']');
    return buf_status(out, e);
}

enum err_code table_row_begin(const struct kind *k, struct str raw, struct arena *a,
                              struct buf *out, struct err *e)
{
    buf_add(out, STR("{\"cells\":"));
    enum err_code rc = table_cells(k, raw, a, out, e);
    buf_add(out, STR(",\"object\":"));
    return rc;
}

void table_row_end(struct buf *out)
{
    buf_add_char(out, '}');
}
