/* SPDX-License-Identifier: Apache-2.0 */
#include "api/names.h"

/* The sentences that clients have learnt to read. */
#define WHY_LABEL                                                                                  \
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "   \
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex "     \
    "used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
#define WHY_LABEL_1035                                                                             \
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "   \
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or "           \
    "'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
#define WHY_SUBDOMAIN                                                                              \
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "   \
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "  \
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
#define WHY_NAME_PART                                                                              \
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "    \
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "         \
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
#define WHY_VALUE                                                                                  \
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "    \
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "             \
    "'my_value',  or '12345', regex used for validation is "                                       \
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
#define WHY_KEY                                                                                    \
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "           \
    "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is "                    \
    "'[-._a-zA-Z0-9]+')"
#define WHY_ENV                                                                                    \
    "a valid environment variable name must consist only of printable ASCII characters other "     \
    "than '='"

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z');
}

static void why_add(struct names_why *w, const char *sentence)
{
    if (w->count < NAMES_WHY_MAX)
        w->at[w->count++] = sentence;
}

static bool is_dns_label(struct str s)
{
    if (s.len == 0 || s.at[0] == '-' || s.at[s.len - 1] == '-')
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_lower(s.at[i]) && !is_digit(s.at[i]) && s.at[i] != '-')
            return false;
    return true;
}

static bool is_dns_subdomain(struct str s)
{
    struct str rest = s, part;
    if (s.len == 0)
        return false;
    while (str_split(&rest, '.', &part))
        if (!is_dns_label(part))
            return false;
    return true;
}

/* ([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9] */
static bool is_name_part(struct str s)
{
    if (s.len == 0 || !is_alnum(s.at[0]) || !is_alnum(s.at[s.len - 1]))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_alnum(s.at[i]) && s.at[i] != '-' && s.at[i] != '_' && s.at[i] != '.')
            return false;
    return true;
}

struct names_why name_label(struct str s)
{
    struct names_why w = {0};
    if (s.len > NAME_LABEL_MAX)
        why_add(&w, "must be no more than 63 characters");
    if (!is_dns_label(s))
        why_add(&w, is_dns_subdomain(s) ? "must not contain dots" : WHY_LABEL);
    return w;
}

struct names_why name_label_1035(struct str s)
{
    struct names_why w = {0};
    if (s.len > NAME_LABEL_MAX)
        why_add(&w, "must be no more than 63 characters");
    if (!is_dns_label(s) || !is_lower(s.at[0]))
        why_add(&w, WHY_LABEL_1035);
    return w;
}

struct names_why name_subdomain(struct str s)
{
    struct names_why w = {0};
    if (s.len > NAME_SUBDOMAIN_MAX)
        why_add(&w, "must be no more than 253 characters");
    if (!is_dns_subdomain(s))
        why_add(&w, WHY_SUBDOMAIN);
    return w;
}

struct names_why name_segment(struct str s)
{
    struct names_why w = {0};
    if (str_is(s, "."))
        why_add(&w, "may not be '.'");
    if (str_is(s, ".."))
        why_add(&w, "may not be '..'");
    if (str_find(s, '/', 0) < s.len)
        why_add(&w, "may not contain '/'");
    if (str_find(s, '%', 0) < s.len)
        why_add(&w, "may not contain '%'");
    return w;
}

struct names_why name_qualified(struct str s)
{
    struct names_why w = {0};
    size_t slash = str_find(s, '/', 0);
    struct str prefix = {NULL, 0}, name = s;
    if (slash < s.len) {
        prefix = str_slice(s, 0, slash);
        name = str_slice(s, slash + 1, s.len);
        if (str_find(name, '/', 0) < name.len) {
            why_add(&w, "a qualified name " WHY_NAME_PART " with an optional DNS subdomain prefix "
                        "and '/' (e.g. 'example.com/MyName')");
            return w;
        }
        if (prefix.len == 0)
            why_add(&w, "prefix part must be non-empty");
        else if (prefix.len > NAME_SUBDOMAIN_MAX)
            why_add(&w, "prefix part must be no more than 253 characters");
        if (prefix.len > 0 && !is_dns_subdomain(prefix))
            why_add(&w, "prefix part " WHY_SUBDOMAIN);
    }
    if (name.len == 0)
        why_add(&w, "name part must be non-empty");
    else if (name.len > NAME_LABEL_MAX)
        why_add(&w, "name part must be no more than 63 characters");
    if (!is_name_part(name))
        why_add(&w, "name part " WHY_NAME_PART);
    return w;
}

struct names_why name_label_value(struct str s)
{
    struct names_why w = {0};
    if (s.len > NAME_LABEL_MAX)
        why_add(&w, "must be no more than 63 characters");
    if (s.len > 0 && !is_name_part(s))
        why_add(&w, WHY_VALUE);
    return w;
}

struct names_why name_config_key(struct str s)
{
    struct names_why w = {0};
    bool fits = s.len > 0;
    if (s.len > NAME_SUBDOMAIN_MAX)
        why_add(&w, "must be no more than 253 characters");
    for (size_t i = 0; i < s.len; i++)
        fits = fits && (is_alnum(s.at[i]) || s.at[i] == '-' || s.at[i] == '_' || s.at[i] == '.');
    if (!fits)
        why_add(&w, WHY_KEY);
    else if (str_is(s, "."))
        why_add(&w, "must not be '.'");
    else if (str_is(s, ".."))
        why_add(&w, "must not be '..'");
    else if (str_starts(s, STR("..")))
        why_add(&w, "must not start with '..'");
    return w;
}

struct names_why name_port(struct str s)
{
    struct names_why w = {0};
    bool fits = s.len > 0, has_letter = false, has_double = false;
    for (size_t i = 0; i < s.len; i++) {
        has_letter = has_letter || is_lower(s.at[i]);
        fits = fits && (is_lower(s.at[i]) || is_digit(s.at[i]) || s.at[i] == '-');
        has_double = has_double || (i > 0 && s.at[i] == '-' && s.at[i - 1] == '-');
    }
    if (s.len > 15)
        why_add(&w, "must be no more than 15 characters");
    if (!fits)
        why_add(&w, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    if (!has_letter)
        why_add(&w, "must contain at least one letter (a-z)");
    if (has_double)
        why_add(&w, "must not contain consecutive hyphens");
    if (s.len > 0 && (s.at[0] == '-' || s.at[s.len - 1] == '-'))
        why_add(&w, "must not begin or end with a hyphen");
    return w;
}

struct names_why name_env(struct str s)
{
    struct names_why w = {0};
    bool fits = s.len > 0;
    for (size_t i = 0; i < s.len; i++)
        fits = fits && s.at[i] >= 0x20 && s.at[i] < 0x7f && s.at[i] != '=';
    if (!fits)
        why_add(&w, WHY_ENV);
    return w;
}

/* RFC 791: four numbers up to 255, without leading zeroes. */
static bool is_ipv4(struct str s)
{
    struct str rest = s, part;
    uint32_t count = 0;
    while (str_split(&rest, '.', &part)) {
        uint64_t n;
        bool padded = part.len > 1 && part.at[0] == '0';
        if (padded || str_parse_u64(part, &n) != ERR_OK || n > 255)
            return false;
        count++;
    }
    return count == 4;
}

static bool is_hextet(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_digit(s.at[i]) && !(s.at[i] >= 'a' && s.at[i] <= 'f') &&
            !(s.at[i] >= 'A' && s.at[i] <= 'F'))
            return false;
    return s.len >= 1 && s.len <= 4;
}

/* Groups between colons; the last two may be an IPv4 address. -1: something else is there. */
static int groups_of(struct str s)
{
    struct str rest = s, part;
    int groups = 0;
    if (s.len == 0)
        return 0;
    while (str_split(&rest, ':', &part)) {
        bool is_last = rest.at == NULL;
        if (is_last && is_ipv4(part))
            groups += 2;
        else if (is_hextet(part))
            groups++;
        else
            return -1;
    }
    return groups;
}

/* RFC 4291 2.2: eight groups, and "::" at most once for one or more groups of zeroes. */
static bool is_ipv6(struct str s)
{
    const char *gap = s.len < 2 ? NULL : memmem(s.at, s.len, "::", 2);
    if (gap == NULL)
        return groups_of(s) == 8;
    size_t at = (size_t)(gap - s.at);
    int left = groups_of(str_slice(s, 0, at)), right = groups_of(str_slice(s, at + 2, s.len));
    return left >= 0 && right >= 0 && left + right < 8;
}

struct names_why name_ip(struct str s)
{
    struct names_why w = {0};
    if (!is_ipv4(s) && !is_ipv6(s))
        why_add(&w, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
    return w;
}

struct names_why name_ipv4(struct str s)
{
    struct names_why w = name_ip(s);
    if (w.count == 0 && !is_ipv4(s))
        why_add(&w, "must be an IPv4 address: pods and nodes have no others here");
    return w;
}

bool names_check(struct causes *c, const struct field *f, struct str value, struct names_why why)
{
    for (uint32_t i = 0; i < why.count; i++)
        causes_invalid(c, f, value, why.at[i]);
    return why.count == 0;
}
