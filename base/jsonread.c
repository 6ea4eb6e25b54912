/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jsonread.h"

#include <stdio.h>

/* The scan below reads eight bytes as a number and takes the lowest as the first. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "json_scan_plain() wants little endian");

void json_read_text(struct json_reader *r, struct arena *a, struct str text)
{
    r->at = text.at == NULL ? "" : text.at;
    r->end = r->at + text.len;
    r->arena = a;
    r->node = NULL;
    r->depth = 0;
    r->is_tree = r->opened = r->failed = false;
}

void json_read_tree(struct json_reader *r, struct arena *a, const struct json *root)
{
    r->at = r->end = NULL;
    r->arena = a;
    r->node = root;
    r->depth = 0;
    r->is_tree = true;
    r->opened = r->failed = false;
}

/* Faults, in the words of Go's encoding/json: clients and recordings compare them. */

static bool read_fail(struct json_reader *r, enum err_code code, const char *text)
{
    if (!r->failed) {
        r->failed = true;
        (void)err_set(&r->err, code, "%s", text);
    }
    return false;
}

/* 'x' as Go quotes a byte that it takes for a code point. */
static void read_quote(char out[16], uint8_t c)
{
    static const char named[] = "\aa\bb\tt\nn\vv\ff\rr\\\\''";
    for (const char *n = named; *n != '\0'; n += 2) {
        if ((uint8_t)*n == c) {
            (void)snprintf(out, 16, "'\\%c'", n[1]);
            return;
        }
    }
    if (c >= 0x20 && c < 0x7f)
        (void)snprintf(out, 16, "'%c'", c);
    else if (c < 0x80)
        (void)snprintf(out, 16, "'\\x%02x'", c);
    else if (c < 0xa0 || c == 0xad)
        (void)snprintf(out, 16, "'\\u%04x'", c);
    else
        (void)snprintf(out, 16, "'%c%c'", 0xc0 | c >> 6, 0x80 | (c & 0x3f));
}

static bool read_fail_at(struct json_reader *r, const char *at, const char *where)
{
    if (at >= r->end)
        return read_fail(r, ERR_INVALID, "unexpected end of JSON input");
    char quoted[16];
    read_quote(quoted, (uint8_t)*at);
    if (!r->failed) {
        r->failed = true;
        (void)err_set(&r->err, ERR_INVALID, "invalid character %s %s", quoted, where);
    }
    return false;
}

static inline void read_blanks(struct json_reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
        r->at++;
}

/* A caller that asks for the wrong type is told so; it should have asked json_read_type(). */
static bool read_tree_value(struct json_reader *r, enum json_type want)
{
    if (r->failed || r->node == NULL)
        return read_fail(r, ERR_INVALID, "unexpected end of JSON input");
    r->opened = false;
    return r->node->type == want || read_fail(r, ERR_INVALID, "another type of value");
}

bool json_read_type(struct json_reader *r, enum json_type *out)
{
    if (r->failed)
        return false;
    if (r->is_tree) {
        if (r->node == NULL)
            return read_fail(r, ERR_INVALID, "unexpected end of JSON input");
        *out = r->node->type;
        return true;
    }
    read_blanks(r);
    char c = r->at < r->end ? *r->at : '\0';
    if (c == '"')
        *out = JSON_STRING;
    else if (c == '{')
        *out = JSON_OBJECT;
    else if (c == '[')
        *out = JSON_ARRAY;
    else if (c == '-' || (c >= '0' && c <= '9'))
        *out = JSON_NUMBER;
    else if (c == 't' || c == 'f')
        *out = JSON_BOOL;
    else if (c == 'n')
        *out = JSON_NULL;
    else
        return read_fail_at(r, r->at, "looking for beginning of value");
    return true;
}

/* Strings */

/* The first byte at or after at that is no plain ASCII character of a string: a quote, a
 * backslash, a control character or a byte of a longer sequence. */
static inline const char *scan_plain(const char *at, const char *end)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;

    for (; end - at >= 8; at += 8) {
        uint64_t x;
        memcpy(&x, at, 8);
        uint64_t quote = x ^ ones * '"', slash = x ^ ones * '\\';
        uint64_t special =
            (x | (x - ones * 0x20) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & high;
        if (special != 0)
            return at + __builtin_ctzll(special) / 8;
    }
    while (at < end && *at != '"' && *at != '\\' && (uint8_t)*at >= 0x20 && (uint8_t)*at < 0x80)
        at++;
    return at;
}

/* Four hexadecimal digits; at stands behind "\u". */
static bool read_unit(struct json_reader *r, const char *at, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++, at++) {
        int digit = at < r->end ? str_hex_digit(*at) : -1;
        if (digit < 0)
            return read_fail_at(r, at, "in \\u hexadecimal character escape");
        *out = *out << 4 | (uint32_t)digit;
    }
    return true;
}

/* One \u escape, or the two of a surrogate pair; *at stands behind the "\u" and moves behind it. */
static bool read_code_point(struct json_reader *r, const char **at, uint32_t *out)
{
    uint32_t unit, low;
    if (!read_unit(r, *at, &unit))
        return false;
    *at += 4;
    if (unit >= 0xd800 && unit < 0xdc00 && r->end - *at >= 6 && (*at)[0] == '\\' &&
        (*at)[1] == 'u') {
        if (!read_unit(r, *at + 2, &low))
            return false;
        if (low >= 0xdc00 && low < 0xe000) {
            *at += 6;
            unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    if (unit >= 0xd800 && unit < 0xe000)
        return read_fail(r, ERR_INVALID, "half a surrogate pair in string literal");
    if (unit == 0)
        return read_fail(r, ERR_INVALID, "NUL character in string literal");
    *out = unit;
    return true;
}

static char *put_utf8(char *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
        return to;
    }
    if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *to++ = (char)(0xe0 | c >> 12);
        } else {
            *to++ = (char)(0xf0 | c >> 18);
            *to++ = (char)(0x80 | (c >> 12 & 0x3f));
        }
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
    }
    *to++ = (char)(0x80 | (c & 0x3f));
    return to;
}

/* What raw (the bytes between the quotes) means, in the arena. Never longer than raw. */
static bool read_escaped(struct json_reader *r, struct str raw, struct str *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char *copy = arena_alloc(r->arena, raw.len + 1), *end = copy;
    if (copy == NULL)
        return read_fail(r, ERR_LIMIT, "document needs too much memory");

    for (const char *at = raw.at, *stop = raw.at + raw.len; at < stop;) {
        const char *slash = memchr(at, '\\', (size_t)(stop - at));
        size_t plain = (size_t)((slash == NULL ? stop : slash) - at);
        memcpy(end, at, plain);
        end += plain;
        at += plain;
        if (slash == NULL)
            break;
        const char *which = strchr(from, at[1]);
        if (at[1] == 'u') {
            uint32_t c;
            at += 2;
            if (!read_code_point(r, &at, &c))
                return false;
            end = put_utf8(end, c);
        } else if (which != NULL && *which != '\0') {
            *end++ = to[which - from];
            at += 2;
        } else {
            return read_fail_at(r, at + 1, "in string escape code");
        }
    }
    *end = '\0';
    *out = str_from(copy, (size_t)(end - copy));
    return true;
}

/* at stands on the opening quote. */
static bool read_quoted(struct json_reader *r, struct str *out)
{
    const char *begin = ++r->at, *at = begin;
    bool escaped = false, wide = false;

    for (;;) {
        at = scan_plain(at, r->end);
        if (at >= r->end)
            return read_fail(r, ERR_INVALID, "unexpected end of JSON input");
        if (*at == '"')
            break;
        if (*at == '\\') {
            escaped = true;
            at += 2;
        } else if ((uint8_t)*at >= 0x80) {
            wide = true;
            at++;
        } else {
            return read_fail_at(r, at, "in string literal");
        }
        if (at >= r->end)
            return read_fail(r, ERR_INVALID, "unexpected end of JSON input");
    }
    struct str raw = {begin, (size_t)(at - begin)};
    r->at = at + 1;
    if (wide && !str_is_utf8(raw))
        return read_fail(r, ERR_INVALID, "invalid UTF-8 in string literal");
    if (!escaped) {
        *out = raw;
        return true;
    }
    return read_escaped(r, raw, out);
}

bool json_read_string(struct json_reader *r, struct str *out)
{
    if (r->is_tree) {
        if (!read_tree_value(r, JSON_STRING))
            return false;
        *out = r->node->text;
        return true;
    }
    if (r->failed)
        return false;
    read_blanks(r);
    if (r->at >= r->end || *r->at != '"')
        return read_fail_at(r, r->at, "looking for beginning of value");
    r->opened = false;
    return read_quoted(r, out);
}

/* Numbers and literals */

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

/* RFC 8259 6: no plus sign, no leading zeros, digits on both sides of the point. */
static bool read_digits(struct json_reader *r, struct str *out)
{
    const char *at = r->at + (*r->at == '-'), *from = at;
    if (at < r->end && *at == '0')
        at++;
    else
        at = skip_digits(at, r->end);
    if (at == from)
        return read_fail_at(r, at, "in numeric literal");
    if (at < r->end && *at == '.') {
        from = ++at;
        at = skip_digits(at, r->end);
        if (at == from)
            return read_fail_at(r, at, "after decimal point in numeric literal");
    }
    if (at < r->end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < r->end && (*at == '+' || *at == '-'))
            at++;
        from = at;
        at = skip_digits(at, r->end);
        if (at == from)
            return read_fail_at(r, at, "in exponent of numeric literal");
    }
    *out = str_from(r->at, (size_t)(at - r->at));
    r->at = at;
    return true;
}

bool json_read_number(struct json_reader *r, struct str *out)
{
    if (r->is_tree) {
        if (!read_tree_value(r, JSON_NUMBER))
            return false;
        *out = r->node->text;
        return true;
    }
    enum json_type type;
    if (!json_read_type(r, &type))
        return false;
    r->opened = false;
    return type == JSON_NUMBER ? read_digits(r, out)
                               : read_fail_at(r, r->at, "looking for beginning of value");
}

static bool read_literal(struct json_reader *r, const char *literal)
{
    for (const char *l = literal; *l != '\0'; l++, r->at++) {
        if (r->at < r->end && *r->at == *l)
            continue;
        char where[48];
        (void)snprintf(where, sizeof where, "in literal %s (expecting '%c')", literal, *l);
        return read_fail_at(r, r->at, where);
    }
    r->opened = false;
    return true;
}

bool json_read_bool(struct json_reader *r, bool *out)
{
    if (r->is_tree) {
        if (!read_tree_value(r, JSON_BOOL))
            return false;
        *out = r->node->truth;
        return true;
    }
    if (r->failed)
        return false;
    read_blanks(r);
    bool truth = r->at < r->end && *r->at == 't';
    if (!read_literal(r, truth ? "true" : "false"))
        return false;
    *out = truth;
    return true;
}

bool json_read_null(struct json_reader *r)
{
    if (r->is_tree)
        return read_tree_value(r, JSON_NULL);
    if (r->failed)
        return false;
    read_blanks(r);
    return read_literal(r, "null");
}

/* Containers */

bool json_read_open(struct json_reader *r, enum json_type container)
{
    if (r->failed)
        return false;
    if (r->depth == JSON_DEPTH_MAX)
        return read_fail(r, ERR_LIMIT, "exceeded max depth");
    if (r->is_tree) {
        if (!read_tree_value(r, container))
            return false;
        r->parents[r->depth++] = r->node;
        r->node = r->node->first;
    } else {
        read_blanks(r);
        if (r->at >= r->end || *r->at != (container == JSON_OBJECT ? '{' : '['))
            return read_fail_at(r, r->at, "looking for beginning of value");
        r->at++;
        r->depth++;
    }
    r->opened = true;
    return true;
}

/* On to the next child, or out of the container behind the last one. */
static bool read_tree_next(struct json_reader *r)
{
    if (r->failed)
        return false;
    if (!r->opened)
        r->node = r->node->next;
    r->opened = false;
    if (r->node != NULL)
        return true;
    r->node = r->parents[--r->depth];
    return false;
}

/* The same in text: true when a child follows, with at on it. */
static bool read_text_next(struct json_reader *r, char close, const char *where)
{
    if (r->failed)
        return false;
    read_blanks(r);
    bool opened = r->opened;
    r->opened = false;
    if (r->at < r->end && *r->at == close) {
        r->at++;
        r->depth--;
        return false;
    }
    if (!opened) {
        if (r->at >= r->end || *r->at != ',')
            return read_fail_at(r, r->at, where);
        r->at++;
        read_blanks(r);
    }
    return true;
}

bool json_read_key(struct json_reader *r, struct str *out)
{
    if (r->is_tree) {
        if (!read_tree_next(r))
            return false;
        *out = r->node->key;
        return true;
    }
    if (!read_text_next(r, '}', "after object key:value pair"))
        return false;
    if (r->at >= r->end || *r->at != '"')
        return read_fail_at(r, r->at, "looking for beginning of object key string");
    if (!read_quoted(r, out))
        return false;
    read_blanks(r);
    if (r->at >= r->end || *r->at != ':')
        return read_fail_at(r, r->at, "after object key");
    r->at++;
    return true;
}

bool json_read_element(struct json_reader *r)
{
    if (r->is_tree)
        return read_tree_next(r);
    return read_text_next(r, ']', "after array element");
}

/* Whole values */

static bool skip_text(struct json_reader *r)
{
    enum json_type type;
    struct str ignored;
    bool truth;
    if (!json_read_type(r, &type))
        return false;
    switch (type) {
    case JSON_NULL:
        return json_read_null(r);
    case JSON_BOOL:
        return json_read_bool(r, &truth);
    case JSON_NUMBER:
        return json_read_number(r, &ignored);
    case JSON_STRING:
        return json_read_string(r, &ignored);
    case JSON_ARRAY:
        if (!json_read_open(r, type))
            return false;
        while (json_read_element(r)) {
            if (!skip_text(r))
                return false;
        }
        return !r->failed;
    case JSON_OBJECT:
        if (!json_read_open(r, type))
            return false;
        while (json_read_key(r, &ignored)) {
            if (!skip_text(r))
                return false;
        }
        return !r->failed;
    }
    return false;
}

/* Behind the string whose opening quote is at at; end when there is no other quote. */
static const char *outline_string(const char *at, const char *end)
{
    for (at = scan_plain(at + 1, end); at < end && *at != '"'; at = scan_plain(at, end))
        at += *at == '\\' && end - at > 1 ? 2 : 1;
    return at < end ? at + 1 : end;
}

bool json_read_outline(struct json_reader *r, struct str *out)
{
    enum json_type type;
    uint32_t open = 0;
    if (!json_read_type(r, &type))
        return false;
    if (r->is_tree || type != JSON_OBJECT)
        return read_fail_at(r, r->at, "looking for beginning of object");
    for (const char *at = r->at; at < r->end;) {
        if (*at == '"') {
            at = outline_string(at, r->end);
            continue;
        }
        open += *at == '{' || *at == '[';
        open -= *at == '}' || *at == ']';
        at++;
        if (open > 0)
            continue;
        *out = str_from(r->at, (size_t)(at - r->at));
        r->at = at;
        r->opened = false;
        return true;
    }
    return read_fail_at(r, r->end, "");
}

bool json_read_skip(struct json_reader *r)
{
    if (!r->is_tree)
        return skip_text(r);
    if (r->failed || r->node == NULL)
        return read_fail(r, ERR_INVALID, "unexpected end of JSON input");
    r->opened = false;
    return true;
}

enum err_code json_read_end(struct json_reader *r, struct err *e)
{
    if (!r->failed && !r->is_tree) {
        read_blanks(r);
        if (r->at < r->end)
            (void)read_fail_at(r, r->at, "after top-level value");
    }
    return r->failed ? err_set(e, r->err.code, "%s", r->err.text) : ERR_OK;
}
