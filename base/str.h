/* SPDX-License-Identifier: Apache-2.0 */
/*
 * str.h -- a borrowed run of bytes.
 *
 * WHAT   A pointer and a length; not NUL-terminated, may hold NUL. Passed by value.
 * WHY    Most text here is a part of a request or of a stored object: borrowing copies nothing.
 * OWNS   Nothing. Who hands out a struct str says how long its bytes live.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/attr.h"
#include "base/err.h"
#include <stdbool.h>
#include <string.h>

struct str {
    const char *at;
    size_t len;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).len, (s).at

static inline struct str str_of(const char *text)
{
    return (struct str){text, text == NULL ? 0 : strlen(text)};
}

static inline struct str str_from(const void *at, size_t len)
{
    return (struct str){at, len};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool str_is(struct str a, const char *text)
{
    return str_eq(a, str_of(text));
}

static inline bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.at, prefix.at, prefix.len) == 0);
}

static inline bool str_ends(struct str s, struct str suffix)
{
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.at + s.len - suffix.len, suffix.at, suffix.len) == 0);
}

/* The part from begin up to end, both clipped to s. */
struct str str_slice(struct str s, size_t begin, size_t end);

/* Bytes compared as unsigned; a prefix sorts first. <0, 0, >0. */
int str_cmp(struct str a, struct str b);
/* The value of a hexadecimal digit, -1 for any other character. */
static inline int str_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool str_eq_nocase(struct str a, struct str b); /* ASCII only. */

/* Index of the first c at or after from; s.len when there is none. */
size_t str_find(struct str s, char c, size_t from);

/* Take what stands before the first sep off *rest. False once the last part was given (rest->at is
 * NULL then). "a,,b" gives three parts, "" one empty part. Start with *rest = the whole. */
bool str_split(struct str *rest, char sep, struct str *out_part);

bool str_goes_up(struct str path); /* Some part between slashes is "..". */

struct str str_trim(struct str s); /* ASCII blanks off both ends. */

/* Whole string, no sign, no blanks. ERR_INVALID when it is not a number or does not fit. */
MUST_USE enum err_code str_parse_u64(struct str s, uint64_t *out);
MUST_USE enum err_code str_parse_i64(struct str s, int64_t *out);

/* Well-formed UTF-8 by RFC 3629: no surrogates, no overlong forms, nothing over U+10FFFF. */
bool str_is_utf8(struct str s);
bool str_is_text(struct str s); /* UTF-8 without NUL. */

/* SipHash-1-3 under a per-process key: outsiders choose map keys. */
uint64_t str_hash(struct str s);
void str_hash_seed(uint64_t k0,
                   uint64_t k1); /* Once, before the first map; the simulator: fixed. */

/* memcpy() that takes an empty string, which may be nowhere. Returns the place behind it. */
static inline char *str_put(void *to, struct str s)
{
    if (s.len > 0)
        memcpy(to, s.at, s.len);
    return (char *)to + s.len;
}

/* The copy of s at *room, which moves behind it. */
static inline struct str str_keep(char **room, struct str s)
{
    struct str copy = {*room, s.len};
    *room = str_put(*room, s);
    return copy;
}

/* memcpy() for lengths that are seldom above 32: those take no call. */
static inline void str_copy_short(char *to, struct str s)
{
    size_t len = s.len, word = len >= 16 ? 16 : len >= 8 ? 8 : len >= 4 ? 4 : 0;
    if (len > 32) {
        memcpy(to, s.at, len);
    } else if (word == 16) { /* Two words that may overlap. */
        memcpy(to, s.at, 16);
        memcpy(to + len - 16, s.at + len - 16, 16);
    } else if (word == 8) {
        memcpy(to, s.at, 8);
        memcpy(to + len - 8, s.at + len - 8, 8);
    } else if (word == 4) {
        memcpy(to, s.at, 4);
        memcpy(to + len - 4, s.at + len - 4, 4);
    } else {
        for (size_t i = 0; i < len; i++)
            to[i] = s.at[i];
    }
}

#endif /* BASE_STR_H */
