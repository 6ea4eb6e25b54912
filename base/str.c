/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

struct str str_slice(struct str s, size_t begin, size_t end)
{
    if (end > s.len)
        end = s.len;
    if (begin > end)
        begin = end;
    return (struct str){s.at == NULL ? NULL : s.at + begin, end - begin};
}

int str_cmp(struct str a, struct str b)
{
    size_t common = min_size(a.len, b.len);
    int order = common == 0 ? 0 : memcmp(a.at, b.at, common);
    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.at[i]) != lower(b.at[i]))
            return false;
    return true;
}

size_t str_find(struct str s, char c, size_t from)
{
    if (from >= s.len)
        return s.len;
    const char *hit = memchr(s.at + from, c, s.len - from);
    return hit == NULL ? s.len : (size_t)(hit - s.at);
}

bool str_split(struct str *rest, char sep, struct str *out_part)
{
    if (rest->at == NULL)
        return false;
    size_t end = str_find(*rest, sep, 0);
    *out_part = str_slice(*rest, 0, end);
    *rest = end == rest->len ? (struct str){NULL, 0} : str_slice(*rest, end + 1, rest->len);
    return true;
}

bool str_goes_up(struct str path)
{
    struct str part;
    while (str_split(&path, '/', &part))
        if (str_is(part, ".."))
            return true;
    return false;
}

struct str str_trim(struct str s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t' || s.at[0] == '\n' || s.at[0] == '\r'))
        s = str_slice(s, 1, s.len);
    while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t' ||
                         s.at[s.len - 1] == '\n' || s.at[s.len - 1] == '\r'))
        s.len--;
    return s;
}

enum err_code str_parse_u64(struct str s, uint64_t *out)
{
    uint64_t value = 0;
    if (s.len == 0)
        return ERR_INVALID;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return ERR_INVALID;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.at[i] - '0'), &value))
            return ERR_INVALID;
    }
    *out = value;
    return ERR_OK;
}

enum err_code str_parse_i64(struct str s, int64_t *out)
{
    bool negative = s.len > 0 && s.at[0] == '-';
    uint64_t magnitude;
    if (str_parse_u64(negative ? str_slice(s, 1, s.len) : s, &magnitude) != ERR_OK)
        return ERR_INVALID;
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return ERR_INVALID;
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return ERR_OK;
}

/* Length of the sequence that starts with byte c, and the range its second byte must be in
 * (RFC 3629, section 4); 0 when no sequence starts so. */
static uint32_t utf8_lead(unsigned char c, unsigned char *low, unsigned char *high)
{
    *low = 0x80;
    *high = 0xBF;
    if (c < 0x80)
        return 1;
    if (c >= 0xC2 && c <= 0xDF)
        return 2;
    if (c >= 0xE0 && c <= 0xEF) {
        *low = c == 0xE0 ? 0xA0 : 0x80;
        *high = c == 0xED ? 0x9F : 0xBF;
        return 3;
    }
    if (c >= 0xF0 && c <= 0xF4) {
        *low = c == 0xF0 ? 0x90 : 0x80;
        *high = c == 0xF4 ? 0x8F : 0xBF;
        return 4;
    }
    return 0;
}

bool str_is_utf8(struct str s)
{
    const unsigned char *at = (const unsigned char *)s.at;
    size_t i = 0;

    while (i < s.len) {
        uint64_t eight;
        if (i + 8 <= s.len && (memcpy(&eight, at + i, 8), (eight & 0x8080808080808080u) == 0)) {
            i += 8;
            continue;
        }
        unsigned char low, high;
        uint32_t length = utf8_lead(at[i], &low, &high);
        if (length == 0 || i + length > s.len)
            return false;
        for (uint32_t k = 1; k < length; k++) {
            if (at[i + k] < low || at[i + k] > high)
                return false;
            low = 0x80;
            high = 0xBF;
        }
        i += length;
    }
    return true;
}

/* Eight bytes of ASCII, none of them NUL: taking one from each borrows from a NUL alone. */
static bool is_plain(uint64_t eight)
{
    return (((eight - 0x0101010101010101u) | eight) & 0x8080808080808080u) == 0;
}

/* Whole words, the last one over bytes that were seen already. */
static bool is_plain_text(struct str s)
{
    uint64_t eight;
    uint32_t head, tail;
    if (s.len >= sizeof eight) {
        for (size_t i = 0; i < s.len - sizeof eight; i += sizeof eight) {
            memcpy(&eight, s.at + i, sizeof eight);
            if (!is_plain(eight))
                return false;
        }
        memcpy(&eight, s.at + s.len - sizeof eight, sizeof eight);
        return is_plain(eight);
    }
    if (s.len >= sizeof head) {
        memcpy(&head, s.at, sizeof head);
        memcpy(&tail, s.at + s.len - sizeof tail, sizeof tail);
        return is_plain((uint64_t)head << 32 | tail);
    }
    for (size_t i = 0; i < s.len; i++)
        if ((int8_t)s.at[i] <= 0)
            return false;
    return true;
}

bool str_is_text(struct str s)
{
    return is_plain_text(s) || (memchr(s.at, '\0', s.len) == NULL && str_is_utf8(s));
}

static uint64_t hash_key[2] = {0x736f6d6570736575u, 0x646f72616e646f6du};

void str_hash_seed(uint64_t k0, uint64_t k1)
{
    hash_key[0] = k0;
    hash_key[1] = k1;
}

static inline uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

uint64_t str_hash(struct str s)
{
    uint64_t v[4] = {hash_key[0] ^ 0x736f6d6570736575u, hash_key[1] ^ 0x646f72616e646f6du,
                     hash_key[0] ^ 0x6c7967656e657261u, hash_key[1] ^ 0x7465646279746573u};
    size_t i = 0;
    uint64_t word;

    for (; i + 8 <= s.len; i += 8) {
        memcpy(&word, s.at + i, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)s.len << 56;
    for (uint32_t shift = 0; i < s.len; i++, shift += 8)
        word |= (uint64_t)(unsigned char)s.at[i] << shift;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
