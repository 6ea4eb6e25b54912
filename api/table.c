/* SPDX-License-Identifier: Apache-2.0 */
#include "api/table.h"
#include "api/peek.h"
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

/* "3m20s"; without the second where that is 0. Not by printf: a Table has one of these in each row. */
static struct str age_text(struct arena *a, long long first, char unit, long long second,
                           char unit_of_second)
{
    char text[48];
    struct buf out = {.at = text, .size = sizeof text, .limit = sizeof text};
    buf_add_i64(&out, first);
    buf_add_char(&out, unit);
    if (second != 0) {
        buf_add_i64(&out, second);
        buf_add_char(&out, unit_of_second);
    }
    return arena_str(a, buf_str(&out));
}

/* The largest two units that matter, as k8s.io/apimachinery/pkg/util/duration prints them. */
struct str table_age(int64_t seconds, struct wall now, struct arena *a)
{
    if (seconds == 0)
        return STR("<unknown>");
    long long s = wall_seconds(now) - seconds;
    long long m = s / 60, h = s / 3600, d = s / 86400, y = d / 365;
    if (s < -1)
        return STR("<invalid>");
    if (s < 120)
        return age_text(a, s < 0 ? 0 : s, 's', 0, 0);
    if (m < 10)
        return age_text(a, m, 'm', s % 60, 's');
    if (m < 180)
        return age_text(a, m, 'm', 0, 0);
    if (h < 8)
        return age_text(a, h, 'h', m % 60, 'm');
    if (h < 48)
        return age_text(a, h, 'h', 0, 0);
    if (d < 8)
        return age_text(a, d, 'd', h % 24, 'h');
    if (d < 365 * 2)
        return age_text(a, d, 'd', 0, 0);
    if (y < 8)
        return age_text(a, y, 'y', d % 365, 'd');
    return age_text(a, y, 'y', 0, 0);
}

struct str table_instant(int64_t seconds, struct arena *a)
{
    char text[WALL_TEXT_MAX];
    size_t len = wall_print((struct wall){seconds * 1000000000}, text);
    return arena_str(a, str_from(text, len));
}

static void age_cell(const struct wire_field *w, struct wall now, struct arena *a, struct buf *out)
{
    struct wall at;
    bool set = false;
    bool is_time = w->type == WIRE_BYTES && transcode_time_get(w->bytes, &at, &set) && set;
    json_print_string(out, is_time ? table_age(wall_seconds(at), now, a) : STR("<unknown>"));
}

/* The value at a column's path, written as JSON. What is not there is "" for a text, and a column's path names a
 * scalar or an instant (tests/unit/api/kinds_test.c). */
static void path_cell(const struct schema_column *c, const struct peek *p, struct wall now,
                      struct arena *a, struct buf *out)
{
    const struct schema_field *f;
    struct wire_field w = {0};
    bool is_there = false;
    bool is_known = peek_path(p, c->path, &f, &w, &is_there);
    if (c->age)
        age_cell(&w, now, a, out);
    else if (!is_known || (!is_there && !f->always))
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

struct computing {
    const struct kind *kind;
    struct peek peek;
    ProtobufCMessage *object; /* NULL: no column has asked for it yet. */
};

static enum err_code computed_cell(struct computing *c, struct str column, struct wall now,
                                   struct arena *a, struct buf *out, struct err *e)
{
    struct kind_cell cell;
    if (c->kind->cell_of_bytes != NULL) {
        cell = c->kind->cell_of_bytes(c->peek.raw, column, now, a);
    } else {
        if (c->object == NULL) {
            enum err_code rc = transcode_unpack(c->peek.message, c->peek.raw, a, &c->object, e);
            if (rc != ERR_OK)
                return rc;
        }
        cell = c->kind->cell(c->object, column, now, a);
    }
    if (cell.is_number)
        buf_add_i64(out, cell.number);
    else
        json_print_string(out, cell.text);
    return ERR_OK;
}

MUST_USE enum err_code table_cells(const struct kind *k, struct str raw, struct wall now,
                                   struct arena *a, struct buf *out, struct err *e)
{
    const struct schema_kind *s = kind_schema(k);
    struct computing c = {k, {s->message, raw}, NULL};

    buf_add_char(out, '[');
    for (uint32_t i = 0; i < s->columns_count; i++) {
        const struct schema_column *column = &s->columns[i];
        if (i > 0)
            buf_add_char(out, ',');
        if (column->path.len > 0 || (k->cell == NULL && k->cell_of_bytes == NULL)) {
            path_cell(column, &c.peek, now, a, out);
            continue;
        }
        enum err_code rc = computed_cell(&c, column->name, now, a, out, e);
        if (rc != ERR_OK)
            return rc;
    }
    buf_add_char(out, ']');
    return buf_status(out, e);
}

enum err_code table_row_begin(const struct kind *k, struct str raw, struct wall now,
                              struct arena *a, struct buf *out, struct err *e)
{
    buf_add(out, STR("{\"cells\":"));
    enum err_code rc = table_cells(k, raw, now, a, out, e);
    buf_add(out, STR(",\"object\":"));
    return rc;
}

void table_row_end(struct buf *out)
{
    buf_add_char(out, '}');
}
