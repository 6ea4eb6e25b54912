/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* What a byte of text becomes: 0 stands for itself, 'u' is \u00XX, others a backslash and it. The
 * two separators U+2028 and U+2029 begin with 0xe2 and are looked at more closely. */
static char escape_of(uint8_t c)
{
    switch (c) {
    case '"':
    case '\\':
        return (char)c;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    case '<':
    case '>':
    case '&':
        return 'u';
    default:
        return c < 0x20 ? 'u' : '\0';
    }
}

static bool is_separator(struct str text, size_t at)
{
    return text.len - at >= 3 && memcmp(text.at + at, "\xe2\x80", 2) == 0 &&
           ((uint8_t)text.at[at + 2] & 0xfe) == 0xa8;
}

/* True for the bytes that may need an escape: one look in a table per byte of text. */
static bool is_special(uint8_t c)
{
    static const uint8_t special[256] = {
        [0] = 1,   [1] = 1,    [2] = 1,   [3] = 1,   [4] = 1,   [5] = 1,    [6] = 1,  [7] = 1,
        [8] = 1,   [9] = 1,    [10] = 1,  [11] = 1,  [12] = 1,  [13] = 1,   [14] = 1, [15] = 1,
        [16] = 1,  [17] = 1,   [18] = 1,  [19] = 1,  [20] = 1,  [21] = 1,   [22] = 1, [23] = 1,
        [24] = 1,  [25] = 1,   [26] = 1,  [27] = 1,  [28] = 1,  [29] = 1,   [30] = 1, [31] = 1,
        ['"'] = 1, ['\\'] = 1, ['<'] = 1, ['>'] = 1, ['&'] = 1, [0xe2] = 1,
    };
    return special[c];
}

/* The escape for what stands at text[at]; returns how many bytes of text it covers. */
static size_t print_escape(struct buf *out, struct str text, size_t at)
{
    uint8_t c = (uint8_t)text.at[at];
    if (c == 0xe2) {
        if (is_separator(text, at)) {
            buf_add(out, (uint8_t)text.at[at + 2] == 0xa8 ? STR("\\u2028") : STR("\\u2029"));
            return 3;
        }
        buf_add_char(out, (char)c);
        return 1;
    }
    char escape = escape_of(c);
    if (escape == 'u') {
        static const char hex[] = "0123456789abcdef";
        char code[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        buf_add(out, str_from(code, sizeof code));
    } else {
        buf_add_char(out, '\\');
        buf_add_char(out, escape);
    }
    return 1;
}

#if defined(__SSE2__)
/* A bit for each of the 16 bytes that is special: below a blank, one of the five signs, or 0xe2. */
static uint32_t special_of(__m128i v)
{
    __m128i hit = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    hit = _mm_or_si128(
        hit, _mm_cmpeq_epi8(_mm_or_si128(v, _mm_set1_epi8('&' ^ '"')), _mm_set1_epi8('&')));
    hit = _mm_or_si128(
        hit, _mm_cmpeq_epi8(_mm_or_si128(v, _mm_set1_epi8('>' ^ '<')), _mm_set1_epi8('>')));
    hit = _mm_or_si128(hit, _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
    hit = _mm_or_si128(hit, _mm_cmpeq_epi8(v, _mm_set1_epi8((char)0xe2)));
    return (uint32_t)_mm_movemask_epi8(hit);
}

static __m128i load_16(const char *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

static uint32_t special_bits(const char *at)
{
    return special_of(load_16(at));
}

/* Copies 4 to 15 bytes as two words that may overlap, and looks at both at once. */
static uint32_t copy_looking_short(char *to, const char *from, size_t len)
{
    uint64_t head = 0, tail = 0;
    size_t word = len >= 8 ? 8 : 4;
    if (word == 8) {
        memcpy(&head, from, 8);
        memcpy(&tail, from + len - 8, 8);
        memcpy(to, &head, 8);
        memcpy(to + len - 8, &tail, 8);
        return special_of(_mm_set_epi64x((long long)tail, (long long)head));
    }
    memcpy(&head, from, 4);
    memcpy(&tail, from + len - 4, 4);
    memcpy(to, &head, 4);
    memcpy(to + len - 4, &tail, 4);
    head |= tail << 32;
    return special_of(_mm_set1_epi64x((long long)head));
}

/* Copies text while it looks: true when nothing in it may need an escape. What was copied is worth nothing otherwise. */
static bool copy_plain(char *to, struct str text)
{
    uint32_t special = 0;
    size_t at = 0;
    if (text.len < 4) {
        for (; at < text.len; at++) {
            to[at] = text.at[at];
            special |= is_special((uint8_t)text.at[at]);
        }
        return special == 0;
    }
    if (text.len < 16)
        return copy_looking_short(to, text.at, text.len) == 0;
    for (; text.len - at >= 16 && special == 0; at += 16) {
        __m128i v = load_16(text.at + at);
        _mm_storeu_si128((__m128i *)(void *)(to + at), v);
        special = special_of(v);
    }
    at = text.len - 16; /* The last ones, some of them for the second time. */
    _mm_storeu_si128((__m128i *)(void *)(to + at), load_16(text.at + at));
    return (special | special_bits(text.at + at)) == 0;
}

/* How far from can go in steps of 16 bytes: to a special one, or to the last bytes. */
static size_t skip_plain(struct str text, size_t from)
{
    for (; text.len - from >= 16; from += 16) {
        uint32_t bits = special_bits(text.at + from);
        if (bits != 0)
            return from + (size_t)__builtin_ctz(bits);
    }
    return from;
}
#else
static bool copy_plain(char *to, struct str text)
{
    bool is_plain = true;
    for (size_t at = 0; at < text.len && is_plain; at++) {
        to[at] = text.at[at];
        is_plain = !is_special((uint8_t)text.at[at]);
    }
    return is_plain;
}

static size_t skip_plain(struct str text, size_t from)
{
    (void)text;
    return from;
}
#endif

/* Index of the first byte at or after from that may need an escape. */
static size_t find_special(struct str text, size_t from)
{
    from = skip_plain(text, from);
    while (from < text.len && !is_special((uint8_t)text.at[from]))
        from++;
    return from;
}

void json_print_string(struct buf *out, struct str text)
{
    char *room = buf_reserve(out, text.len + 2);
    if (room == NULL)
        return;
    room[0] = '"';
    if (copy_plain(room + 1, text)) {
        room[text.len + 1] = '"';
        out->len += text.len + 2;
        return;
    }
    size_t at = find_special(text, 0), done; /* All before it stands there already. */
    out->len += at + 1;
    while (at < text.len) {
        at += print_escape(out, text, at);
        done = at;
        at = find_special(text, at);
        buf_add(out, str_slice(text, done, at));
    }
    buf_add_char(out, '"');
}

void json_print(struct buf *out, const struct json *value)
{
    if (value == NULL)
        return;
    switch (value->type) {
    case JSON_NULL:
        buf_add(out, STR("null"));
        return;
    case JSON_BOOL:
        buf_add(out, value->truth ? STR("true") : STR("false"));
        return;
    case JSON_NUMBER:
        buf_add(out, value->text);
        return;
    case JSON_STRING:
        json_print_string(out, value->text);
        return;
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    buf_add_char(out, value->type == JSON_OBJECT ? '{' : '[');
    for (const struct json *child = value->first; child != NULL; child = child->next) {
        if (child != value->first)
            buf_add_char(out, ',');
        if (value->type == JSON_OBJECT) {
            json_print_string(out, child->key);
            buf_add_char(out, ':');
        }
        json_print(out, child);
    }
    buf_add_char(out, value->type == JSON_OBJECT ? '}' : ']');
}

static void indent_line(struct buf *out, uint32_t depth)
{
    buf_add_char(out, '\n');
    for (uint32_t i = 0; i < depth; i++)
        buf_add(out, STR("  "));
}

/* The string that begins at from, copied; returns where it ends. */
static size_t indent_string(struct buf *out, struct str text, size_t from)
{
    size_t at = from + 1;
    while (at < text.len && text.at[at] != '"')
        at += text.at[at] == '\\' ? 2 : 1;
    at = min_size(at + 1, text.len);
    buf_add(out, str_slice(text, from, at));
    return at;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

void json_indent(struct buf *out, struct str text)
{
    uint32_t depth = 0;
    json_indent_more(out, text, &depth);
}

void json_indent_more(struct buf *out, struct str text, uint32_t *depth)
{
    for (size_t at = 0; at < text.len;) {
        char c = text.at[at];
        if (c == '"') {
            at = indent_string(out, text, at);
            continue;
        }
        at++;
        if (is_blank(c))
            continue;
        size_t next = at;
        while (next < text.len && is_blank(text.at[next]))
            next++;
        bool empty = next < text.len && (text.at[next] == '}' || text.at[next] == ']');
        if ((c == '{' || c == '[') && empty) {
            buf_add_char(out, c);
            buf_add_char(out, text.at[next]);
            at = next + 1;
            continue;
        }
        if (c == '}' || c == ']')
            indent_line(out, *depth = *depth == 0 ? 0 : *depth - 1);
        buf_add_char(out, c);
        if (c == '{' || c == '[')
            indent_line(out, ++*depth);
        else if (c == ',')
            indent_line(out, *depth);
        else if (c == ':')
            buf_add_char(out, ' ');
    }
}
