/* SPDX-License-Identifier: Apache-2.0 */
#include "api/quantity.h"

#include <stdio.h>

/* What a text consists of. Leading zeros of whole are gone. */
struct parts {
    bool negative;
    struct str whole, fraction, suffix;
    enum quantity_format format;
    int32_t power; /* Of 10, or of 2 where format is binary. */
};

static const __int128 nano_per_unit = 1000000000;
static const __int128 nano_max = (__int128)1000000000000000000 * 1000000000000000000; /* 10^36 */

static enum err_code format_wrong(struct err *e)
{
    return err_set(e, ERR_INVALID,
                   "quantities must match the regular expression "
                   "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
}

static struct str take_digits(struct str text, size_t *at)
{
    size_t from = *at;
    while (*at < text.len && text.at[*at] >= '0' && text.at[*at] <= '9')
        ++*at;
    return str_slice(text, from, *at);
}

static bool split_parts(struct str text, struct parts *p)
{
    size_t at = 0, from;
    *p = (struct parts){.negative = text.at[0] == '-'};
    if (text.at[0] == '-' || text.at[0] == '+')
        at++;
    while (at < text.len && text.at[at] == '0')
        at++;
    p->whole = take_digits(text, &at);
    if (p->whole.len == 0)
        p->whole = STR("0");
    if (at < text.len && text.at[at] == '.') {
        at++;
        p->fraction = take_digits(text, &at);
    }
    from = at;
    while (at < text.len && strchr("eEinumkKMGTP", text.at[at]) != NULL)
        at++;
    if (at < text.len && (text.at[at] == '-' || text.at[at] == '+'))
        at++;
    (void)take_digits(text, &at);
    p->suffix = str_slice(text, from, text.len);
    return at == text.len;
}

/* Suffixes by rising powers: decimal ones step by 10^3 from 10^-9, binary ones by 2^10. */
static const char decimal_suffixes[] = "num kMGTPE";
static const char binary_suffixes[] = " KMGTPE";

/* How many steps up a one-letter suffix is; -1: it is none. */
static int32_t suffix_step(const char *suffixes, char letter)
{
    const char *at = letter == ' ' ? NULL : strchr(suffixes, letter);
    return at == NULL ? -1 : (int32_t)(at - suffixes);
}

static bool read_suffix(struct parts *p)
{
    if (p->suffix.len == 0)
        return true; /* Decimal, and no power. */
    int32_t step = suffix_step(decimal_suffixes, p->suffix.at[0]);
    if (p->suffix.len == 1 && step >= 0) {
        p->power = (step - 3) * 3;
        return true;
    }
    step = suffix_step(binary_suffixes, p->suffix.at[0]);
    if (p->suffix.len == 2 && p->suffix.at[1] == 'i' && step > 0) {
        p->format = QUANTITY_BINARY;
        p->power = step * 10;
        return true;
    }
    int64_t power = 0;
    size_t from = 1 + (p->suffix.len > 1 && p->suffix.at[1] == '+');
    if (p->suffix.len < 2 || (p->suffix.at[0] != 'e' && p->suffix.at[0] != 'E') ||
        str_parse_i64(str_slice(p->suffix, from, p->suffix.len), &power) != ERR_OK ||
        power > 1000 || power < -1000)
        return false;
    p->format = QUANTITY_EXPONENT;
    p->power = (int32_t)power;
    return true;
}

/* Digits onto the end of *value; false when it becomes too big. */
static bool add_digits(__int128 *value, struct str digits)
{
    for (size_t i = 0; i < digits.len; i++) {
        if (*value > nano_max)
            return false;
        *value = *value * 10 + (digits.at[i] - '0');
    }
    return true;
}

/* value * 10^power, rounded up; false when it becomes too big. */
static bool scale(__int128 *value, int32_t power)
{
    static const uint64_t tens[] = {1,      10,      100,      1000,      10000,
                                    100000, 1000000, 10000000, 100000000, 1000000000};
    while (power > 0 && *value != 0) {
        int32_t step = power < 9 ? power : 9;
        if (*value > nano_max / tens[step])
            return false;
        *value *= tens[step];
        power -= step;
    }
    while (power < 0 && *value > 1) {
        int32_t step = power > -9 ? -power : 9;
        *value = (*value + (tens[step] - 1)) / tens[step];
        power += step;
    }
    return *value <= nano_max;
}

/* A fraction's digits past the 18th are below a billionth of anything up to 1G; they only round up. */
static bool evaluate(const struct parts *p, __int128 *out)
{
    enum { FRACTION_MAX = 18 };
    struct str fraction = str_slice(p->fraction, 0, FRACTION_MAX);
    bool more = false;
    for (size_t i = FRACTION_MAX; i < p->fraction.len; i++)
        more = more || p->fraction.at[i] != '0';

    __int128 value = 0;
    if (!add_digits(&value, p->whole) || !add_digits(&value, fraction))
        return false;
    value += more;
    int32_t power = 9 - (int32_t)fraction.len;
    if (p->format != QUANTITY_BINARY)
        power += p->power;
    bool is_binary = p->format == QUANTITY_BINARY;
    if (is_binary && value <= nano_max >> p->power) {
        value <<= p->power;
        is_binary = false;
    }
    for (int32_t i = 0; is_binary && i < p->power; i++) {
        if (value > nano_max && power < 0)
            (void)scale(&value, -1), power++;
        if (value > nano_max)
            return false;
        value *= 2;
    }
    *out = value;
    return scale(out, power);
}

static enum err_code parse_parts(struct str text, struct parts *p, struct quantity *out,
                                 struct err *e)
{
    const __int128 binary_max = (__int128)INT64_MAX * nano_per_unit;
    if (text.len == 0 || text.len >= QUANTITY_TEXT_MAX || !split_parts(text, p))
        return format_wrong(e);
    if (!read_suffix(p))
        return err_set(e, ERR_INVALID, "unable to parse quantity's suffix");
    __int128 nano = 0;
    bool fits = evaluate(p, &nano);
    if (!fits && p->format != QUANTITY_BINARY)
        return err_set(e, ERR_INVALID, "unable to parse numeric part of quantity");
    if (p->format == QUANTITY_BINARY && (!fits || nano > binary_max))
        nano = binary_max;
    *out = (struct quantity){p->negative ? -nano : nano, p->format};
    return ERR_OK;
}

enum err_code quantity_parse(struct str text, struct quantity *out, struct err *e)
{
    struct parts p;
    return parse_parts(str_trim(text), &p, out, e);
}

/* Does Kubernetes keep this text as it is? It does for what its quick path takes and finds in
 * shape: no place for a bigger suffix (decimal), a whole number that is no multiple of 8 (binary). */
static bool is_kept(const struct parts *p)
{
    size_t digits = p->whole.len + p->fraction.len;
    struct str last = p->fraction.len > 0 ? p->fraction : p->whole;
    if (p->format == QUANTITY_BINARY) {
        uint64_t value = 0;
        return p->fraction.len == 0 && p->whole.len + (size_t)p->power * 3 / 10 + 1 <= 15 &&
               str_parse_u64(p->whole, &value) == ERR_OK && (value & 7) != 0;
    }
    int32_t power = p->power - (int32_t)p->fraction.len;
    if (digits > 18 || power < -9 || power % 3 != 0 || p->whole.at[0] == '0')
        return false;
    if (str_ends(last, STR("000")))
        return false;
    /* Three zeros across the point: "10.00" has none, "100.0" has. */
    size_t zeros = 0;
    for (size_t i = p->fraction.len; i > 0 && p->fraction.at[i - 1] == '0'; i--)
        zeros++;
    for (size_t i = p->whole.len; zeros >= p->fraction.len && i > 0 && p->whole.at[i - 1] == '0';
         i--)
        zeros++;
    return zeros < 3;
}

/* value and a suffix of one letter (' ': none, i behind it where binary) or an exponent. */
static size_t print_digits(__int128 value, bool negative, char suffix, bool binary,
                           int32_t exponent, char out[QUANTITY_TEXT_MAX])
{
    char digits[48], *at = digits + sizeof digits;
    char *to = out;
    do {
        *--at = (char)('0' + (int)(value % 10));
        value /= 10;
    } while (value > UINT64_MAX);
    for (uint64_t rest = (uint64_t)value; rest != 0; rest /= 10)
        *--at = (char)('0' + rest % 10);
    if (negative)
        *to++ = '-';
    memcpy(to, at, (size_t)(digits + sizeof digits - at));
    to += digits + sizeof digits - at;
    if (suffix != ' ')
        *to++ = suffix;
    if (binary && suffix != ' ')
        *to++ = 'i';
    *to = '\0';
    if (exponent != 0)
        to += snprintf(to, 16, "e%d", (int)exponent);
    return (size_t)(to - out);
}

size_t quantity_print(const struct quantity *q, char out[QUANTITY_TEXT_MAX])
{
    bool negative = q->nano < 0;
    __int128 value = negative ? -q->nano : q->nano;
    size_t step = 0;

    if (value == 0)
        return print_digits(0, false, ' ', false, 0, out);
    /* One that no binary suffix divides is written as decimal ones are: without a suffix it would be read as one. */
    if (q->format == QUANTITY_BINARY && value % (1024 * nano_per_unit) == 0) {
        uint64_t units = (uint64_t)(value / nano_per_unit);
        for (; units % 1024 == 0 && binary_suffixes[step + 1] != '\0'; step++)
            units /= 1024;
        return print_digits(units, negative, binary_suffixes[step], true, 0, out);
    }
    if (q->format == QUANTITY_EXPONENT) {
        for (; value % 1000 == 0; step++)
            value /= 1000;
        return print_digits(value, negative, ' ', false, ((int32_t)step - 3) * 3, out);
    }
    for (; value % 1000 == 0 && decimal_suffixes[step + 1] != '\0'; step++)
        value /= 1000;
    return print_digits(value, negative, decimal_suffixes[step], false, 0, out);
}

enum err_code quantity_canonical(struct str text, char out[QUANTITY_TEXT_MAX], size_t *out_len,
                                 struct err *e)
{
    struct parts p;
    struct quantity q;
    text = str_trim(text);
    enum err_code code = parse_parts(text, &p, &q, e);
    if (code != ERR_OK)
        return code;
    if (is_kept(&p) && q.nano != 0) {
        str_put(out, text);
        out[text.len] = '\0';
        *out_len = text.len;
        return ERR_OK;
    }
    *out_len = quantity_print(&q, out);
    return ERR_OK;
}

/* value / by away from zero, within int64_t. */
static int64_t divide_up(__int128 value, __int128 by)
{
    __int128 up = value < 0 ? (value - by + 1) / by : (value + by - 1) / by;
    if (up > INT64_MAX)
        return INT64_MAX;
    return up < INT64_MIN ? INT64_MIN : (int64_t)up;
}

int64_t quantity_units(const struct quantity *q)
{
    return divide_up(q->nano, nano_per_unit);
}

int64_t quantity_milli(const struct quantity *q)
{
    return divide_up(q->nano, nano_per_unit / 1000);
}
