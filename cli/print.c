/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"

#include "api/yaml.h"

enum { OUTPUT_MAX = 512 << 20, COLUMNS_MAX = 64 };

/* C0 and DEL; and C1, which UTF-8 writes as 0xc2 0x80 to 0x9f and terminals obey as well. */
static void put_text(FILE *to, struct str text, const char *kept)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char ch = (unsigned char)text.at[i];
        bool is_c1 = ch == 0xc2 && i + 1 < text.len && (unsigned char)text.at[i + 1] < 0xa0;
        bool is_control = (ch < ' ' && strchr(kept, ch) == NULL) || ch == 0x7f || is_c1 || ch == 0;
        putc(is_control ? '?' : ch, to);
        i += is_c1;
    }
}

void print_text(struct str text)
{
    put_text(stdout, text, "\n\t");
}

void print_complaint(struct str text)
{
    put_text(stderr, text, "\n\t");
}

void print_object(struct cli *c, const struct json *object)
{
    struct buf out;
    buf_init(&out, OUTPUT_MAX);
    if (c->format == CLI_JSON) {
        struct buf compact;
        buf_init(&compact, OUTPUT_MAX);
        json_print(&compact, object);
        json_indent(&out, buf_str(&compact));
        buf_add_char(&out, '\n');
        buf_free(&compact);
    } else {
        yaml_print(&out, object);
    }
    fwrite(out.at, 1, out.len, stdout);
    buf_free(&out);
}

static struct str cell_text(struct cli *c, const struct json *cell)
{
    struct buf number;
    if (cell == NULL || cell->type == JSON_NULL)
        return STR("<none>");
    if (cell->type == JSON_STRING)
        return cell->text;
    buf_init(&number, 1 << 16);
    json_print(&number, cell);
    struct str text = arena_str(&c->arena, buf_str(&number));
    buf_free(&number);
    return text;
}

/* Characters, not bytes: UTF-8's following bytes take no room of their own. */
static size_t width_of(struct str s)
{
    size_t width = 0;
    for (size_t i = 0; i < s.len; i++)
        width += ((unsigned char)s.at[i] & 0xc0) != 0x80;
    return width;
}

struct columns {
    uint32_t at[COLUMNS_MAX]; /* Which cells are shown. */
    size_t width[COLUMNS_MAX];
    struct str head[COLUMNS_MAX];
    uint32_t count;
};

static struct str upper(struct cli *c, struct str s)
{
    char *copy = arena_dup(&c->arena, s);
    for (size_t i = 0; copy != NULL && i < s.len; i++)
        if (copy[i] >= 'a' && copy[i] <= 'z')
            copy[i] = (char)(copy[i] - 'a' + 'A');
    return (struct str){copy, copy == NULL ? 0 : s.len};
}

static void choose_columns(struct cli *c, const struct json *table, bool wide, struct columns *out)
{
    const struct json *definitions = json_find(table, STR("columnDefinitions"));
    uint32_t at = 0;
    out->count = 0;
    for (const struct json *d = definitions == NULL ? NULL : definitions->first;
         d != NULL && out->count < COLUMNS_MAX; d = d->next, at++) {
        int64_t priority = 0;
        if (json_i64(json_find(d, STR("priority")), &priority) == ERR_OK && priority > 0 && !wide)
            continue;
        struct str name = upper(c, json_text(json_find(d, STR("name"))));
        out->at[out->count] = at;
        out->head[out->count] = name;
        out->width[out->count++] = width_of(name);
    }
}

static void print_cell(struct str text, size_t width, bool last)
{
    put_text(stdout, text, ""); /* A line's end in a cell would be the end of its row. */
    if (last)
        putchar('\n');
    else
        for (size_t i = width_of(text); i < width + 2; i++)
            putchar(' ');
}

void print_table(struct cli *c, const struct json *table, bool wide)
{
    struct columns columns;
    const struct json *rows = json_find(table, STR("rows"));

    choose_columns(c, table, wide, &columns);
    for (const struct json *r = rows == NULL ? NULL : rows->first; r != NULL; r = r->next)
        for (uint32_t i = 0; i < columns.count; i++) {
            struct str text = cell_text(c, json_at(json_find(r, STR("cells")), columns.at[i]));
            if (width_of(text) > columns.width[i])
                columns.width[i] = width_of(text);
        }
    for (uint32_t i = 0; i < columns.count; i++)
        print_cell(columns.head[i], columns.width[i], i + 1 == columns.count);
    for (const struct json *r = rows == NULL ? NULL : rows->first; r != NULL; r = r->next)
        for (uint32_t i = 0; i < columns.count; i++)
            print_cell(cell_text(c, json_at(json_find(r, STR("cells")), columns.at[i])),
                       columns.width[i], i + 1 == columns.count);
}
