/* SPDX-License-Identifier: Apache-2.0 */
#include "api/yaml.h"

#include <yaml.h>

enum { ANCHORS_MAX = 256 };

struct anchor {
    struct str name;
    const struct json *value;
};

struct reader {
    yaml_parser_t yaml;
    struct arena *arena;
    struct err *err;
    struct anchor anchors[ANCHORS_MAX];
    uint32_t anchors_count;
};

static struct json *read_node(struct reader *r, yaml_event_t *ev, uint32_t depth);

static struct json *refuse(struct reader *r, const yaml_event_t *ev, enum err_code code,
                           const char *why)
{
    err_set(r->err, code, "line %zu, column %zu: %s", ev->start_mark.line + 1,
            ev->start_mark.column + 1, why);
    return NULL;
}

static bool next_event(struct reader *r, yaml_event_t *ev)
{
    if (yaml_parser_parse(&r->yaml, ev))
        return true;
    err_set(r->err, ERR_INVALID, "line %zu, column %zu: %s", r->yaml.problem_mark.line + 1,
            r->yaml.problem_mark.column + 1,
            r->yaml.problem == NULL ? "not YAML" : r->yaml.problem);
    return false;
}

static bool one_of(struct str s, const char *const *words)
{
    for (; *words != NULL; words++)
        if (str_is(s, *words))
            return true;
    return false;
}

static bool is_null(struct str s)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL", NULL};
    return one_of(s, words);
}

static bool is_bool(struct str s, bool *truth)
{
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "Yes",
                                      "YES",  "on",   "On",   "ON",  NULL};
    static const char *const no[] = {"false", "False", "FALSE", "no",  "No",
                                     "NO",    "off",   "Off",   "OFF", NULL};
    *truth = one_of(s, yes);
    return *truth || one_of(s, no);
}

static uint32_t digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (uint32_t)(c - 'a') + 10;
    return c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10 : 99;
}

/* YAML 1.1 integers: decimal, 0x, 0b, 0o and a leading 0 for octal; "_" between digits. */
static bool is_int(struct str s, int64_t *out)
{
    bool negative = s.len > 0 && s.at[0] == '-';
    uint64_t value = 0, base = 10;
    size_t i = s.len > 0 && (s.at[0] == '-' || s.at[0] == '+');

    if (i < s.len && s.at[i] == '0' && i + 1 < s.len) {
        char kind = s.at[i + 1];
        base = kind == 'x' ? 16 : kind == 'b' ? 2 : 8;
        i += kind == 'x' || kind == 'b' || kind == 'o' ? 2 : 1;
    }
    if (i >= s.len)
        return false;
    for (; i < s.len; i++) {
        if (s.at[i] == '_')
            continue;
        if (digit_of(s.at[i]) >= base || __builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit_of(s.at[i]), &value))
            return false;
    }
    if (value > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

/* What a float is made of. False: it is none. */
struct float_parts {
    size_t digits, points;
    size_t exponent; /* Where it begins; 0: there is none. */
};

static bool float_scan(struct str s, struct float_parts *out)
{
    *out = (struct float_parts){0};
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (c >= '0' && c <= '9')
            out->digits++;
        else if (c == '.' && out->points == 0 && out->exponent == 0)
            out->points++;
        else if ((c == 'e' || c == 'E') && out->exponent == 0 && out->digits > 0) {
            out->exponent = i;
            i += i + 1 < s.len && (s.at[i + 1] == '+' || s.at[i + 1] == '-');
        } else
            return false;
    }
    return out->digits > 0 && (out->points > 0 || out->exponent > 0);
}

/* Digits with a point or an exponent, in JSON's own form; YAML's ".5" and "1." get their zero. */
static struct str float_text(struct arena *a, struct str s)
{
    struct float_parts parts;
    struct str sign = s.len > 0 && s.at[0] == '-' ? STR("-") : STR("");
    struct str rest = str_slice(s, s.len > 0 && (s.at[0] == '-' || s.at[0] == '+'), s.len);

    if (!float_scan(rest, &parts))
        return (struct str){NULL, 0};
    if (digit_of(rest.at[rest.len - 1]) > 9) /* "1." is whole, "1e" is not. */
        return parts.exponent == 0
                   ? arena_printf(a, STR_FMT STR_FMT "0", STR_ARG(sign), STR_ARG(rest))
                   : (struct str){NULL, 0};
    return arena_printf(a, STR_FMT "%s" STR_FMT, STR_ARG(sign), rest.at[0] == '.' ? "0" : "",
                        STR_ARG(rest));
}

static struct json *read_plain(struct reader *r, struct str s)
{
    bool truth;
    int64_t number;

    if (is_null(s))
        return json_new(r->arena, JSON_NULL);
    if (is_bool(s, &truth))
        return json_new_bool(r->arena, truth);
    if (is_int(s, &number))
        return json_new_i64(r->arena, number);
    struct str text = float_text(r->arena, s);
    if (text.at != NULL)
        return json_new_number(r->arena, text);
    return json_new_string(r->arena, arena_str(r->arena, s));
}

static struct json *read_scalar(struct reader *r, const yaml_event_t *ev)
{
    struct str s = str_from(ev->data.scalar.value, ev->data.scalar.length);
    if (memchr(s.at, '\0', s.len) != NULL)
        return refuse(r, ev, ERR_INVALID, "a string may not hold NUL");
    if (ev->data.scalar.plain_implicit)
        return read_plain(r, s);
    return json_new_string(r->arena, arena_str(r->arena, s));
}

static struct json *read_sequence(struct reader *r, uint32_t depth)
{
    struct json *array = json_new(r->arena, JSON_ARRAY);
    for (;;) {
        yaml_event_t ev;
        if (!next_event(r, &ev))
            return NULL;
        if (ev.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&ev);
            return array;
        }
        struct json *child = read_node(r, &ev, depth + 1);
        yaml_event_delete(&ev);
        if (child == NULL || array == NULL)
            return NULL;
        json_append(array, child);
    }
}

/* "<<": the other mapping's members, where this one has none of its own (YAML 1.1 merge type). */
static void merge(struct reader *r, struct json *object, const struct json *from)
{
    const struct json *first = from->type == JSON_ARRAY ? from->first : from;
    for (const struct json *one = first; one != NULL; one = from == one ? NULL : one->next)
        for (const struct json *m = one->first; m != NULL; m = m->next)
            if (one->type == JSON_OBJECT && json_find(object, m->key) == NULL)
                json_set(r->arena, object, m->key, json_copy(r->arena, m));
}

/* Key and value of one member; ev is the key's. */
static bool read_member(struct reader *r, const yaml_event_t *ev, struct json *object,
                        struct json **merged, uint32_t depth)
{
    yaml_event_t value_event;

    if (ev->type != YAML_SCALAR_EVENT)
        return refuse(r, ev, ERR_INVALID, "a key must be a string") != NULL;
    struct str key = arena_str(r->arena, str_from(ev->data.scalar.value, ev->data.scalar.length));
    if (!next_event(r, &value_event))
        return false;
    struct json *value = read_node(r, &value_event, depth + 1);
    yaml_event_delete(&value_event);
    if (value == NULL)
        return false;
    if (ev->data.scalar.plain_implicit && str_is(key, "<<"))
        *merged = value;
    else if (json_find(object, key) != NULL)
        return refuse(r, ev, ERR_INVALID, "this key was given before") != NULL;
    else
        json_set(r->arena, object, key, value);
    return true;
}

static struct json *read_mapping(struct reader *r, uint32_t depth)
{
    struct json *object = json_new(r->arena, JSON_OBJECT), *merged = NULL;
    for (;;) {
        yaml_event_t ev;
        if (object == NULL || !next_event(r, &ev))
            return NULL;
        bool ended = ev.type == YAML_MAPPING_END_EVENT;
        bool read = ended || read_member(r, &ev, object, &merged, depth);
        yaml_event_delete(&ev);
        if (!read)
            return NULL;
        if (!ended)
            continue;
        if (merged != NULL)
            merge(r, object, merged);
        return object;
    }
}

static struct json *read_alias(struct reader *r, const yaml_event_t *ev)
{
    struct str name = str_of((const char *)ev->data.alias.anchor);
    for (uint32_t i = r->anchors_count; i-- > 0;)
        if (str_eq(r->anchors[i].name, name))
            return json_copy(r->arena, r->anchors[i].value);
    return refuse(r, ev, ERR_INVALID, "an alias of what was not anchored");
}

static bool keep_anchor(struct reader *r, const yaml_event_t *ev, const yaml_char_t *name,
                        const struct json *value)
{
    if (name == NULL)
        return true;
    if (r->anchors_count == ANCHORS_MAX) {
        refuse(r, ev, ERR_LIMIT, "too many anchors");
        return false;
    }
    struct str copy = arena_str(r->arena, str_of((const char *)name));
    r->anchors[r->anchors_count++] = (struct anchor){copy, value};
    return true;
}

/* NULL: r->err says why, or the arena is full (asked at the end). */
static struct json *read_node(struct reader *r, yaml_event_t *ev, uint32_t depth)
{
    const yaml_char_t *anchor = NULL;
    struct json *value;

    if (depth > YAML_DEPTH_MAX)
        return refuse(r, ev, ERR_LIMIT, "nested too deep");
    if (ev->type == YAML_SCALAR_EVENT) {
        value = read_scalar(r, ev);
        anchor = ev->data.scalar.anchor;
    } else if (ev->type == YAML_SEQUENCE_START_EVENT) {
        value = read_sequence(r, depth);
        anchor = ev->data.sequence_start.anchor;
    } else if (ev->type == YAML_MAPPING_START_EVENT) {
        value = read_mapping(r, depth);
        anchor = ev->data.mapping_start.anchor;
    } else if (ev->type == YAML_ALIAS_EVENT) {
        value = read_alias(r, ev);
    } else {
        value = refuse(r, ev, ERR_INVALID, "a value was expected");
    }
    return value != NULL && keep_anchor(r, ev, anchor, value) ? value : NULL;
}

static bool is_empty(const struct json *value)
{
    return value->type == JSON_NULL;
}

/* One event of the stream; false when it ended or failed. */
static bool read_stream(struct reader *r, struct json **out, uint32_t *count, bool *failed)
{
    yaml_event_t ev;
    if (!next_event(r, &ev)) {
        *failed = true;
        return false;
    }
    bool more = ev.type != YAML_STREAM_END_EVENT;
    if (ev.type == YAML_DOCUMENT_START_EVENT) {
        r->anchors_count = 0;
    } else if (more && ev.type != YAML_STREAM_START_EVENT && ev.type != YAML_DOCUMENT_END_EVENT) {
        struct json *value = NULL;
        if (*count == YAML_DOCUMENTS_MAX)
            refuse(r, &ev, ERR_LIMIT, "too many documents");
        else
            value = read_node(r, &ev, 0);
        *failed = value == NULL;
        if (value != NULL && !is_empty(value))
            out[(*count)++] = value;
    }
    yaml_event_delete(&ev);
    return more && !*failed;
}

enum err_code yaml_parse(struct arena *a, struct str text, struct json **out, uint32_t *out_count,
                         struct err *e)
{
    struct reader *r = arena_zalloc(a, 1, sizeof *r);
    struct err own = {0};
    uint32_t count = 0;
    bool failed = false;

    if (r == NULL)
        return arena_status(a, e);
    r->arena = a;
    r->err = &own;
    if (!yaml_parser_initialize(&r->yaml))
        return err_set(e, ERR_LIMIT, "no memory for YAML");
    yaml_parser_set_input_string(&r->yaml, (const unsigned char *)text.at, text.len);
    yaml_parser_set_encoding(&r->yaml, YAML_UTF8_ENCODING);
    while (read_stream(r, out, &count, &failed))
        ;
    yaml_parser_delete(&r->yaml);

    if (a->overflow)
        return arena_status(a, e);
    if (failed)
        return err_set(e, own.code == ERR_OK ? ERR_INVALID : own.code, "%s", own.text);
    *out_count = count;
    return ERR_OK;
}

/* ---- printing ---- */

/* Would a plain scalar with this text be read as something else, or not at all? */
static bool needs_quotes(struct str s)
{
    bool truth;
    int64_t number;
    if (is_null(s) || is_bool(s, &truth) || is_int(s, &number))
        return true;
    if (strchr("-?:,[]{}#&*!|>'\"%@`= .+0123456789~<", s.at[0]) != NULL || s.at[s.len - 1] == ' ')
        return true;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (c < ' ' || c >= 0x7f || (c == ':' && (i + 1 == s.len || s.at[i + 1] == ' ')) ||
            (c == '#' && s.at[i - 1] == ' '))
            return true;
    }
    return false;
}

static bool is_block_text(struct str s)
{
    if (s.len < 2 || str_find(s, '\n', 0) == s.len || s.at[0] == ' ' || s.at[0] == '\n')
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.at[i] < ' ' && s.at[i] != '\n' && s.at[i] != '\t') || s.at[i] == 0x7f)
            return false;
    return !str_ends(s, STR("\n\n"));
}

static void indent(struct buf *out, uint32_t by)
{
    for (uint32_t i = 0; i < by; i++)
        buf_add_char(out, ' ');
}

static void print_block_text(struct buf *out, struct str s, uint32_t by)
{
    bool newline = str_ends(s, STR("\n"));
    struct str rest = newline ? str_slice(s, 0, s.len - 1) : s, line;

    buf_add(out, newline ? STR("|\n") : STR("|-\n"));
    while (str_split(&rest, '\n', &line)) {
        if (line.len > 0)
            indent(out, by);
        buf_add(out, line);
        buf_add_char(out, '\n');
    }
}

static void print_scalar(struct buf *out, const struct json *v, uint32_t by)
{
    if (v->type == JSON_STRING && is_block_text(v->text)) {
        print_block_text(out, v->text, by);
        return;
    }
    if (v->type == JSON_STRING && (v->text.len == 0 || needs_quotes(v->text)))
        json_print_string(out, v->text); /* A JSON string is a double-quoted YAML scalar. */
    else if (v->type == JSON_STRING)
        buf_add(out, v->text);
    else
        json_print(out, v);
    buf_add_char(out, '\n');
}

static void print_value(struct buf *out, const struct json *v, uint32_t by, bool in_sequence);

static void print_key(struct buf *out, struct str key)
{
    if (key.len == 0 || needs_quotes(key))
        json_print_string(out, key);
    else
        buf_add(out, key);
    buf_add_char(out, ':');
}

/* The first member of a mapping in a sequence stands behind the dash. */
static void print_mapping(struct buf *out, const struct json *v, uint32_t by, bool in_sequence)
{
    for (const struct json *m = v->first; m != NULL; m = m->next) {
        if (m != v->first || !in_sequence)
            indent(out, by);
        print_key(out, m->key);
        bool nested = (m->type == JSON_OBJECT || m->type == JSON_ARRAY) && m->count > 0;
        buf_add_char(out, nested ? '\n' : ' ');
        /* As kubectl prints it: a sequence stands under its key without further indentation. */
        print_value(out, m, by + (m->type == JSON_ARRAY ? 0 : 2), false);
    }
}

static void print_value(struct buf *out, const struct json *v, uint32_t by, bool in_sequence)
{
    if (v->type == JSON_OBJECT && v->count > 0) {
        print_mapping(out, v, by, in_sequence);
    } else if (v->type == JSON_ARRAY && v->count > 0) {
        for (const struct json *m = v->first; m != NULL; m = m->next) {
            if (m != v->first || !in_sequence)
                indent(out, by);
            buf_add(out, STR("- "));
            print_value(out, m, by + 2, true);
        }
    } else {
        print_scalar(out, v, by);
    }
}

void yaml_print(struct buf *out, const struct json *value)
{
    print_value(out, value, 0, false);
}
