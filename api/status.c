/* SPDX-License-Identifier: Apache-2.0 */
#include "api/status.h"
#include <stdarg.h>
#include <stdio.h>

static const struct {
    uint32_t code;
    const char *reason;
    uint32_t retry_after;
} rows[] = {
#define X(row, code, reason, retry) [row] = {code, reason, retry},
    STATUS_TABLE(X)
#undef X
};

static const struct {
    const char *reason, *words;
} types[] = {
#define X(cause, reason, words) [cause] = {reason, words},
    CAUSE_TABLE(X)
#undef X
};

struct field field_name(const struct field *up, const char *name)
{
    return (struct field){.up = up, .name = name};
}

struct field field_index(const struct field *up, size_t index)
{
    return (struct field){.up = up, .index = (uint32_t)index};
}

struct field field_key(const struct field *up, struct str key)
{
    return (struct field){.up = up, .key = key.at == NULL ? STR("") : key};
}

struct str field_print(const struct field *f, struct arena *a)
{
    if (f == NULL)
        return STR("");
    struct str up = field_print(f->up, a);
    if (f->name != NULL)
        return arena_printf(a, STR_FMT "%s%s", STR_ARG(up), up.len == 0 ? "" : ".", f->name);
    if (f->key.at != NULL)
        return arena_printf(a, STR_FMT "[" STR_FMT "]", STR_ARG(up), STR_ARG(f->key));
    return arena_printf(a, STR_FMT "[%u]", STR_ARG(up), f->index);
}

void causes_init(struct causes *c, struct arena *a)
{
    *c = (struct causes){.arena = a};
    c->last = &c->first;
}

static struct str print_args(struct arena *a, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *at = len < 0 ? NULL : arena_alloc(a, (size_t)len + 1);
    if (at == NULL)
        return (struct str){NULL, 0};
    vsnprintf(at, (size_t)len + 1, fmt, args);
    return (struct str){at, (size_t)len};
}

void causes_add(struct causes *c, enum cause_type type, const struct field *f, const char *fmt, ...)
{
    if (c->count++ >= CAUSES_MAX)
        return;
    va_list args;
    va_start(args, fmt);
    struct str text = print_args(c->arena, fmt, args);
    va_end(args);

    struct cause *cause = arena_zalloc(c->arena, 1, sizeof *cause);
    if (cause == NULL)
        return;
    const char *words = types[type].words;
    cause->type = type;
    cause->field = field_print(f, c->arena);
    cause->message = arena_printf(c->arena, "%s%s" STR_FMT, words,
                                  words[0] != '\0' && text.len > 0 ? ": " : "", STR_ARG(text));
    *c->last = cause;
    c->last = &cause->next;
}

void causes_take(struct causes *c, const struct field *f, const struct causes *from)
{
    struct str at = field_print(f, c->arena);
    for (const struct cause *k = from->first; k != NULL && c->count < CAUSES_MAX; k = k->next) {
        struct cause *cause = arena_zalloc(c->arena, 1, sizeof *cause);
        if (cause == NULL)
            return;
        c->count++;
        cause->type = k->type;
        cause->field = arena_printf(c->arena, STR_FMT "." STR_FMT, STR_ARG(at), STR_ARG(k->field));
        cause->message = k->message;
        *c->last = cause;
        c->last = &cause->next;
    }
}

void causes_invalid(struct causes *c, const struct field *f, struct str value, const char *why)
{
    struct str quoted = status_quote(c->arena, value);
    causes_add(c, CAUSE_INVALID, f, STR_FMT ": %s", STR_ARG(quoted), why);
}

void causes_invalid_i64(struct causes *c, const struct field *f, int64_t value, const char *why)
{
    causes_add(c, CAUSE_INVALID, f, "%lld: %s", (long long)value, why);
}

void causes_unsupported(struct causes *c, const struct field *f, struct str value,
                        const char *const *values)
{
    struct str list = STR("");
    for (; *values != NULL; values++)
        list = arena_printf(c->arena, STR_FMT "%s\"%s\"", STR_ARG(list), list.len == 0 ? "" : ", ",
                            *values);
    struct str quoted = status_quote(c->arena, value);
    causes_add(c, CAUSE_NOT_SUPPORTED, f, STR_FMT ": supported values: " STR_FMT, STR_ARG(quoted),
               STR_ARG(list));
}

static size_t put_escaped(char *at, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    const char *letter = c == 0 ? NULL : strchr("\aa\bb\ff\nn\rr\tt\vv\"\"\\\\", c);
    at[0] = '\\';
    if (letter != NULL) {
        at[1] = letter[1];
        return 2;
    }
    at[1] = 'x';
    at[2] = hex[c >> 4];
    at[3] = hex[c & 15];
    return 4;
}

struct str status_quote(struct arena *a, struct str text)
{
    char *at = arena_alloc(a, text.len * 4 + 3);
    if (at == NULL)
        return (struct str){NULL, 0};
    size_t n = 0;
    at[n++] = '"';
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f)
            n += put_escaped(at + n, c);
        else
            at[n++] = (char)c;
    }
    at[n++] = '"';
    at[n] = '\0';
    return (struct str){at, n};
}

uint32_t status_code(const struct status *s)
{
    return s->code != 0 ? s->code : rows[s->row].code;
}

bool status_set(struct status *s, struct arena *a, enum status_row row, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct str message = print_args(a, fmt, args);
    va_end(args);
    *s = (struct status){.row = row, .message = message, .retry_after = rows[row].retry_after};
    return false;
}

void status_details(struct status *s, struct str group, struct str kind, struct str name)
{
    s->has_details = true;
    s->group = group;
    s->kind = kind;
    s->name = name;
}

bool status_invalid(struct status *s, struct str group, struct str kind, struct str name,
                    const struct causes *c)
{
    struct arena *a = c->arena;
    struct str list = STR("");
    for (const struct cause *i = c->first; i != NULL; i = i->next) {
        /* The same cause twice is told once in the sentence, as Kubernetes does. */
        const struct cause *twin = c->first;
        while (twin != i && !(str_eq(twin->field, i->field) && str_eq(twin->message, i->message)))
            twin = twin->next;
        if (twin == i)
            list = arena_printf(a, STR_FMT "%s" STR_FMT ": " STR_FMT, STR_ARG(list),
                                list.len == 0 ? "" : ", ", STR_ARG(i->field), STR_ARG(i->message));
    }
    bool many = false;
    for (const struct cause *i = c->first; i != NULL; i = i->next)
        many = many || !str_eq(i->field, c->first->field) || !str_eq(i->message, c->first->message);

    struct str quoted = status_quote(a, name);
    status_set(s, a, STATUS_INVALID,
               STR_FMT "%s" STR_FMT " " STR_FMT " is invalid: %s" STR_FMT "%s", STR_ARG(kind),
               group.len == 0 ? "" : ".", STR_ARG(group), STR_ARG(quoted), many ? "[" : "",
               STR_ARG(list), many ? "]" : "");
    status_details(s, group, kind, name);
    s->causes = c->first;
    return false;
}

bool status_err(struct status *s, struct arena *a, const struct err *e)
{
    enum status_row row = STATUS_INTERNAL;
    switch (e->code) {
    case ERR_OK:
    case ERR_CORRUPT:
        row = STATUS_INTERNAL;
        break;
    case ERR_INVALID:
        row = STATUS_BAD_REQUEST;
        break;
    case ERR_DENIED:
        row = STATUS_FORBIDDEN;
        break;
    case ERR_NOT_FOUND:
        row = STATUS_NOT_FOUND;
        break;
    case ERR_CONFLICT:
        row = STATUS_CONFLICT;
        break;
    case ERR_LIMIT:
        row = STATUS_TOO_LARGE;
        break;
    case ERR_BUSY:
        row = STATUS_TOO_MANY;
        break;
    case ERR_UNAVAILABLE:
        row = STATUS_UNAVAILABLE;
        break;
    }
    return status_set(s, a, row, "%s", e->text);
}

/* ------------------------------------------------------------------ the object's JSON text */

static void json_string(struct buf *out, struct str s)
{
    buf_add_char(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c < 0x20)
            buf_printf(out, "\\u%04x", c);
        else
            buf_add_char(out, (char)c);
    }
    buf_add_char(out, '"');
}

static void member(struct buf *out, bool *is_first, const char *name, struct str value)
{
    if (value.len == 0)
        return;
    buf_printf(out, "%s\"%s\":", *is_first ? "" : ",", name);
    json_string(out, value);
    *is_first = false;
}

static void causes_json(const struct cause *c, struct buf *out)
{
    buf_add(out, STR("["));
    for (const struct cause *i = c; i != NULL; i = i->next) {
        bool is_first = true;
        buf_add(out, i == c ? STR("{") : STR(",{"));
        member(out, &is_first, "reason", str_of(types[i->type].reason));
        member(out, &is_first, "message", i->message);
        member(out, &is_first, "field", i->field);
        buf_add(out, STR("}"));
    }
    buf_add(out, STR("]"));
}

static void details_json(const struct status *s, struct buf *out)
{
    bool is_first = true;
    buf_add(out, STR(",\"details\":{"));
    member(out, &is_first, "name", s->name);
    member(out, &is_first, "group", s->group);
    member(out, &is_first, "kind", s->kind);
    member(out, &is_first, "uid", s->uid);
    if (s->causes != NULL) {
        buf_add(out, is_first ? STR("\"causes\":") : STR(",\"causes\":"));
        causes_json(s->causes, out);
        is_first = false;
    }
    if (s->retry_after != 0)
        buf_printf(out, "%s\"retryAfterSeconds\":%u", is_first ? "" : ",", s->retry_after);
    buf_add(out, STR("}"));
}

void status_json(const struct status *s, struct buf *out)
{
    bool is_success = s->row == STATUS_SUCCESS, is_first = true;
    buf_add(out, STR("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{"));
    member(out, &is_first, "continue", s->next);
    buf_printf(out, "},\"status\":\"%s\"", is_success ? "Success" : "Failure");
    is_first = false;
    member(out, &is_first, "message", s->message);
    member(out, &is_first, "reason", str_of(rows[s->row].reason));
    if (s->has_details || s->retry_after != 0)
        details_json(s, out);
    if (!is_success || s->code != 0)
        buf_printf(out, ",\"code\":%u", status_code(s));
    buf_add(out, STR("}\n"));
}
