/* SPDX-License-Identifier: Apache-2.0 */
#include "base/time.h"

/* Days since 1970-01-01 of a civil date, and back: the eras of 400 years have 146,097 days, and a
 * year that starts in March puts the leap day last. */
static int64_t days_from_civil(int64_t year, uint32_t month, uint32_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

struct civil {
    int64_t year;
    uint32_t month, day, hour, minute, second, ns;
};

static struct civil civil_from_wall(struct wall at)
{
    int64_t seconds = at.ns / 1000000000, ns = at.ns % 1000000000;
    if (ns < 0) {
        ns += 1000000000;
        seconds--;
    }
    int64_t days = seconds / 86400, rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153; /* 0 is March. */
    uint32_t month = (uint32_t)(shifted < 10 ? shifted + 3 : shifted - 9);

    return (struct civil){.year = year_of_era + era * 400 + (month <= 2),
                          .month = month,
                          .day = (uint32_t)(day_of_year - (153 * shifted + 2) / 5 + 1),
                          .hour = (uint32_t)(rest / 3600),
                          .minute = (uint32_t)(rest / 60 % 60),
                          .second = (uint32_t)(rest % 60),
                          .ns = (uint32_t)ns};
}

/* value as count digits at at; returns what is behind them. */
static char *put_digits(char *at, uint32_t value, int count)
{
    for (int i = count; i-- > 0; value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + count;
}

static size_t print(struct wall at, char out[WALL_TEXT_MAX], int digits, uint32_t fraction)
{
    struct civil c = civil_from_wall(at);
    const struct {
        uint32_t value;
        int digits;
        char mark; /* Behind it. */
    } parts[] = {
        {(uint32_t)c.year, 4, '-'}, {c.month, 2, '-'},  {c.day, 2, 'T'},
        {c.hour, 2, ':'},           {c.minute, 2, ':'}, {c.second, 2, digits > 0 ? '.' : 'Z'}};
    char *to = out;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        to = put_digits(to, parts[i].value, parts[i].digits);
        *to++ = parts[i].mark;
    }
    if (digits > 0) {
        to = put_digits(to, fraction, digits);
        *to++ = 'Z';
    }
    *to = '\0';
    return (size_t)(to - out);
}

size_t wall_print(struct wall at, char out[WALL_TEXT_MAX])
{
    return print(at, out, 0, 0);
}

size_t wall_print_micro(struct wall at, char out[WALL_TEXT_MAX])
{
    return print(at, out, 6, civil_from_wall(at).ns / 1000);
}

size_t wall_print_nano(struct wall at, char out[WALL_TEXT_MAX])
{
    return print(at, out, 9, civil_from_wall(at).ns);
}

/* A run of count digits at *at, which moves on. False when it is not there. */
static bool digits(struct str s, size_t *at, size_t count, uint32_t *out)
{
    uint32_t value = 0;
    if (s.len < *at + count)
        return false;
    for (size_t i = 0; i < count; i++) {
        char c = s.at[*at + i];
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (uint32_t)(c - '0');
    }
    *at += count;
    *out = value;
    return true;
}

static bool mark(struct str s, size_t *at, const char *any_of)
{
    if (*at >= s.len || strchr(any_of, s.at[*at]) == NULL || s.at[*at] == '\0')
        return false;
    ++*at;
    return true;
}

static bool parse_fraction(struct str s, size_t *at, uint32_t *ns)
{
    *ns = 0;
    if (!mark(s, at, "."))
        return true;
    uint32_t scale = 100000000, digit, count = 0;
    while (digits(s, at, 1, &digit)) {
        if (++count > 9)
            return false;
        *ns += digit * scale;
        scale /= 10;
    }
    return count > 0;
}

static bool parse_offset(struct str s, size_t *at, int64_t *seconds)
{
    *seconds = 0;
    if (mark(s, at, "Zz"))
        return true;
    bool negative = *at < s.len && s.at[*at] == '-';
    uint32_t hours, minutes;
    if (!mark(s, at, "+-") || !digits(s, at, 2, &hours) || !mark(s, at, ":") ||
        !digits(s, at, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *seconds = (int64_t)hours * 3600 + (int64_t)minutes * 60;
    if (negative)
        *seconds = -*seconds;
    return true;
}

static uint32_t days_in_month(uint32_t year, uint32_t month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

enum err_code wall_parse(struct str s, struct wall *out)
{
    size_t at = 0;
    uint32_t year, month, day, hour, minute, second, ns;
    int64_t offset;

    if (!digits(s, &at, 4, &year) || !mark(s, &at, "-") || !digits(s, &at, 2, &month) ||
        !mark(s, &at, "-") || !digits(s, &at, 2, &day) || !mark(s, &at, "Tt") ||
        !digits(s, &at, 2, &hour) || !mark(s, &at, ":") || !digits(s, &at, 2, &minute) ||
        !mark(s, &at, ":") || !digits(s, &at, 2, &second) || !parse_fraction(s, &at, &ns) ||
        !parse_offset(s, &at, &offset) || at != s.len)
        return ERR_INVALID;
    if (year == 0 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) ||
        hour > 23 || minute > 59 || second > 59)
        return ERR_INVALID;

    int64_t seconds = days_from_civil(year, month, day) * 86400 + (int64_t)hour * 3600 +
                      (int64_t)minute * 60 + second - offset;
    /* int64 of nanoseconds spans 1677 to 2262; what lies beyond cannot be kept exactly. */
    if (seconds < INT64_MIN / 1000000000 + 1 || seconds > INT64_MAX / 1000000000 - 1)
        return ERR_INVALID;
    out->ns = seconds * 1000000000 + ns;
    return ERR_OK;
}
