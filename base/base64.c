/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The value of a character, plus one; 0: not in the alphabet. */
static const uint8_t values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

void base64_encode(struct str in, char *out)
{
    const unsigned char *at = (const unsigned char *)in.at;
    size_t i = 0;

    for (; i + 3 <= in.len; i += 3) {
        uint32_t three = (uint32_t)at[i] << 16 | (uint32_t)at[i + 1] << 8 | at[i + 2];
        *out++ = alphabet[three >> 18];
        *out++ = alphabet[three >> 12 & 63];
        *out++ = alphabet[three >> 6 & 63];
        *out++ = alphabet[three & 63];
    }
    if (i == in.len)
        return;
    uint32_t rest = (uint32_t)at[i] << 16 | (i + 1 < in.len ? (uint32_t)at[i + 1] << 8 : 0);
    *out++ = alphabet[rest >> 18];
    *out++ = alphabet[rest >> 12 & 63];
    *out++ = i + 1 < in.len ? alphabet[rest >> 6 & 63] : '=';
    *out = '=';
}

enum err_code base64_decode(struct str in, char *out, size_t *out_len)
{
    uint32_t four = 0, have = 0, padding = 0;
    size_t len = 0;

    for (size_t i = 0; i < in.len; i++) {
        unsigned char c = (unsigned char)in.at[i];
        if (c == '\r' || c == '\n')
            continue;
        if (c == '=' && have >= 2 && padding < 2)
            padding++;
        else if (values[c] == 0 || padding > 0)
            return ERR_INVALID;
        four = four << 6 | (c == '=' ? 0u : values[c] - 1u);
        if (++have < 4)
            continue;
        if ((padding == 1 && (four & 0xff) != 0) || (padding == 2 && (four & 0xffff) != 0))
            return ERR_INVALID; /* Bits that no byte holds (RFC 4648, section 3.5). */
        out[len++] = (char)(four >> 16);
        if (padding < 2)
            out[len++] = (char)(four >> 8);
        if (padding < 1)
            out[len++] = (char)four;
        four = have = 0;
        if (padding > 0)
            padding = 3; /* Nothing may follow. */
    }
    if (have != 0)
        return ERR_INVALID;
    *out_len = len;
    return ERR_OK;
}

void buf_add_base64(struct buf *b, struct str in)
{
    char *room = buf_reserve(b, base64_encoded_len(in.len));
    if (room == NULL)
        return;
    base64_encode(in, room);
    buf_commit(b, base64_encoded_len(in.len));
}
