/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static struct log_sink installed;
static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_install(const struct log_sink *sink)
{
    installed = *sink;
}

bool log_is_on(enum log_level level)
{
    return installed.write != NULL && level <= installed.level;
}

void log_event(enum log_level level, const char *name, const char *fmt, ...)
{
    if (!log_is_on(level))
        return;

    char line[LOG_LINE_MAX], at[WALL_TEXT_MAX];
    wall_print_micro(installed.wall(), at);
    int used = snprintf(line, sizeof line, "ts=%s level=%s ev=%s ", at, level_names[level], name);

    va_list args;
    va_start(args, fmt);
    int more = vsnprintf(line + used, sizeof line - (size_t)used, fmt, args);
    va_end(args);

    size_t length = (size_t)used + (size_t)(more < 0 ? 0 : more);
    if (length > sizeof line - 2)
        length = sizeof line - 2; /* Cut, but still one line. */
    line[length++] = '\n';
    installed.write(installed.state, str_from(line, length));
}

/* Would a terminal act on it? C0, DEL, and C1, which in UTF-8 is C2 80 to C2 9F; in what is no UTF-8 any byte may be. */
static bool is_control(struct str value, size_t i, bool is_text)
{
    unsigned char c = (unsigned char)value.at[i];
    unsigned char before = i > 0 ? (unsigned char)value.at[i - 1] : 0;
    unsigned char after = i + 1 < value.len ? (unsigned char)value.at[i + 1] : 0;
    if (c < ' ' || c == 0x7f || (c > 0x7f && !is_text))
        return true;
    return (c == 0xc2 && after < 0xa0) || (before == 0xc2 && c >= 0x80 && c < 0xa0);
}

struct log_quoted log_quote(struct str value)
{
    static const char hex[] = "0123456789abcdef";
    struct log_quoted q;
    bool plain = value.len > 0, is_text = str_is_utf8(value);
    size_t out = 0;

    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];
        plain = plain && c != ' ' && c != '"' && c != '=' && c != '\\' &&
                !is_control(value, i, is_text);
    }
    if (!plain)
        q.text[out++] = '"';
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if (out + 4 > LOG_QUOTE_MAX) {
            memcpy(q.text + out, "...", 3);
            out += 3;
            break;
        }
        if (is_control(value, i, is_text)) {
            q.text[out++] = '\\';
            q.text[out++] = 'x';
            q.text[out++] = hex[c >> 4];
            q.text[out++] = hex[c & 15];
            continue;
        }
        if (c == '"' || c == '\\')
            q.text[out++] = '\\';
        q.text[out++] = (char)c;
    }
    if (!plain)
        q.text[out++] = '"';
    q.text[out] = '\0';
    return q;
}
