/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *text;
    bool again;
} err_rows[] = {
#define X(code, again, text) [code] = {#code, text, again},
    ERR_TABLE(X)
#undef X
};

enum err_code err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    if (e == NULL)
        return code;

    va_list args;
    va_start(args, fmt);
    e->code = code;
    vsnprintf(e->text, sizeof e->text, fmt, args);
    va_end(args);
    return code;
}

enum err_code err_wrap(struct err *e, const char *fmt, ...)
{
    if (e == NULL)
        return ERR_UNAVAILABLE; /* Nobody kept the code; callers that need it pass an err. */

    char inner[sizeof e->text];
    memcpy(inner, e->text, sizeof inner);

    va_list args;
    va_start(args, fmt);
    int used = vsnprintf(e->text, sizeof e->text, fmt, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof e->text)
        snprintf(e->text + used, sizeof e->text - (size_t)used, ": %s", inner);
    return e->code;
}

const char *err_name(enum err_code code)
{
    return (size_t)code < COUNT_OF(err_rows) ? err_rows[code].name : "ERR_?";
}

const char *err_text(enum err_code code)
{
    return (size_t)code < COUNT_OF(err_rows) ? err_rows[code].text : "unknown";
}

bool err_again(enum err_code code)
{
    return (size_t)code < COUNT_OF(err_rows) && err_rows[code].again;
}
