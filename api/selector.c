/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar of label selectors, and the sentences about what is wrong with one, are Kubernetes':
 * people paste them into a search. Left to right, one token of lookahead:
 *
 *    selector    = [ requirement { "," requirement } ]
 *    requirement = "!" key | key [ ("=" | "==" | "!=" | "<" | ">") value | ("in" | "notin") set ]
 *    set         = "(" [ value { "," value } ] ")"      value may be empty
 */
#include "api/selector.h"
#include "api/names.h"

enum token_type {
    T_END,
    T_WORD,
    T_COMMA,
    T_OPEN,
    T_CLOSE,
    T_NOT,
    T_IS,
    T_IS_NOT,
    T_ABOVE,
    T_BELOW
};

struct token {
    enum token_type type;
    struct str text;
};

struct parser {
    struct str rest;
    struct token ahead;
    struct arena *a;
    struct err *e;
    struct requirement *at;
    uint32_t count;
    struct str why; /* A sentence that may be longer than an err's text. */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static enum token_type symbol_type(struct str s, size_t *out_len)
{
    static const struct {
        const char *text;
        enum token_type type;
    } symbols[] = {{"==", T_IS},  {"!=", T_IS_NOT}, {"=", T_IS},    {"!", T_NOT},  {",", T_COMMA},
                   {"(", T_OPEN}, {")", T_CLOSE},   {">", T_ABOVE}, {"<", T_BELOW}};
    for (size_t i = 0; i < COUNT_OF(symbols); i++) {
        if (str_starts(s, str_of(symbols[i].text))) {
            *out_len = strlen(symbols[i].text);
            return symbols[i].type;
        }
    }
    *out_len = 0;
    return T_WORD;
}

static void next(struct parser *p)
{
    while (p->rest.len > 0 && is_blank(p->rest.at[0]))
        p->rest = str_slice(p->rest, 1, p->rest.len);
    size_t len = 0;
    enum token_type type = T_END;
    if (p->rest.len > 0)
        type = symbol_type(p->rest, &len);
    while (type == T_WORD && len < p->rest.len && !is_blank(p->rest.at[len])) {
        size_t symbol;
        if (symbol_type(str_slice(p->rest, len, p->rest.len), &symbol) != T_WORD)
            break;
        len++;
    }
    p->ahead = (struct token){type, str_slice(p->rest, 0, len)};
    p->rest = str_slice(p->rest, len, p->rest.len);
}

/* What a requirement's own mistakes begin with. */
#define IN_REQUIREMENT "unable to parse requirement: "

static enum err_code key_check(struct parser *p, struct str key)
{
    struct names_why why = name_qualified(key);
    if (why.count == 0)
        return ERR_OK;
    struct str quoted = status_quote(p->a, key);
    p->why = arena_printf(p->a, IN_REQUIREMENT "<nil>: Invalid value: " STR_FMT ": %s",
                          STR_ARG(quoted), why.at[0]);
    return err_set(p->e, ERR_INVALID, STR_FMT, STR_ARG(p->why));
}

static enum err_code values_check(struct parser *p, struct requirement *r)
{
    for (uint32_t i = 0; i < r->values_count; i++) {
        struct str quoted = status_quote(p->a, r->values[i]);
        struct names_why why = name_label_value(r->values[i]);
        if (why.count > 0) {
            p->why = arena_printf(
                p->a, IN_REQUIREMENT "values[%u][" STR_FMT "]: Invalid value: " STR_FMT ": %s", i,
                STR_ARG(r->key), STR_ARG(quoted), why.at[0]);
            return err_set(p->e, ERR_INVALID, STR_FMT, STR_ARG(p->why));
        }
        bool ordered = r->op == SELECTOR_ABOVE || r->op == SELECTOR_BELOW;
        if (ordered && str_parse_i64(r->values[i], &r->bound) != ERR_OK)
            return err_set(p->e, ERR_INVALID,
                           IN_REQUIREMENT "values[%u]: Invalid value: " STR_FMT ": for 'Gt', 'Lt' "
                                          "operators, the value must be an integer",
                           i, STR_ARG(quoted));
    }
    return ERR_OK;
}

static enum err_code parse_value(struct parser *p, struct requirement *r)
{
    struct str *value = arena_zalloc(p->a, 1, sizeof *value);
    if (value == NULL)
        return arena_status(p->a, p->e);
    *value = STR("");
    if (p->ahead.type == T_WORD) {
        *value = p->ahead.text;
        next(p);
    } else if (p->ahead.type != T_END && p->ahead.type != T_COMMA) {
        return err_set(p->e, ERR_INVALID,
                       IN_REQUIREMENT "found '" STR_FMT "', expected: identifier",
                       STR_ARG(p->ahead.text));
    }
    r->values = value;
    r->values_count = 1;
    return ERR_OK;
}

static enum err_code parse_set(struct parser *p, struct requirement *r)
{
    if (p->ahead.type != T_OPEN)
        return err_set(p->e, ERR_INVALID, IN_REQUIREMENT "found '" STR_FMT "' expected: '('",
                       STR_ARG(p->ahead.text));
    struct str *values = arena_zalloc(p->a, SELECTOR_VALUES_MAX, sizeof *values);
    if (values == NULL)
        return arena_status(p->a, p->e);
    next(p);
    if (p->ahead.type == T_CLOSE) {
        next(p);
        return ERR_OK; /* "in ()": nothing is in it. */
    }
    r->values = values;
    for (;;) {
        if (r->values_count == SELECTOR_VALUES_MAX)
            return err_set(p->e, ERR_LIMIT, "more than %d values in a set", SELECTOR_VALUES_MAX);
        values[r->values_count] = STR("");
        if (p->ahead.type == T_WORD) {
            values[r->values_count] = p->ahead.text;
            next(p);
        }
        r->values_count++;
        if (p->ahead.type == T_CLOSE) {
            next(p);
            return ERR_OK;
        }
        if (p->ahead.type != T_COMMA)
            return err_set(p->e, ERR_INVALID,
                           IN_REQUIREMENT "found '" STR_FMT "', expected: ',' or ')'",
                           STR_ARG(p->ahead.text));
        next(p);
    }
}

static enum err_code parse_operator(struct parser *p, struct requirement *r, bool *out_is_set)
{
    struct token t = p->ahead;
    *out_is_set = t.type == T_WORD;
    if (t.type == T_IS || (t.type == T_WORD && str_is(t.text, "in")))
        r->op = SELECTOR_IN;
    else if (t.type == T_IS_NOT || (t.type == T_WORD && str_is(t.text, "notin")))
        r->op = SELECTOR_NOT_IN;
    else if (t.type == T_ABOVE || t.type == T_BELOW)
        r->op = t.type == T_ABOVE ? SELECTOR_ABOVE : SELECTOR_BELOW;
    else
        return err_set(p->e, ERR_INVALID,
                       IN_REQUIREMENT "found '" STR_FMT "', expected: in, notin, =, ==, !=, gt, lt",
                       STR_ARG(t.text));
    next(p);
    return ERR_OK;
}

static enum err_code parse_requirement(struct parser *p, struct requirement *r)
{
    bool is_absent = p->ahead.type == T_NOT, is_set = false;
    if (is_absent)
        next(p);
    if (p->ahead.type != T_WORD)
        return err_set(p->e, ERR_INVALID,
                       IN_REQUIREMENT "found '" STR_FMT "', expected: identifier",
                       STR_ARG(p->ahead.text));
    r->key = p->ahead.text;
    enum err_code rc = key_check(p, r->key);
    if (rc != ERR_OK)
        return rc;
    next(p);
    r->op = is_absent ? SELECTOR_ABSENT : SELECTOR_EXISTS;
    if (is_absent || p->ahead.type == T_END || p->ahead.type == T_COMMA)
        return ERR_OK;
    rc = parse_operator(p, r, &is_set);
    if (rc == ERR_OK)
        rc = is_set ? parse_set(p, r) : parse_value(p, r);
    return rc == ERR_OK ? values_check(p, r) : rc;
}

static struct requirement *requirement_add(struct parser *p)
{
    if (p->at == NULL)
        p->at = arena_zalloc(p->a, SELECTOR_MAX, sizeof *p->at);
    return p->at == NULL || p->count == SELECTOR_MAX ? NULL : &p->at[p->count++];
}

static enum err_code parse_all(struct parser *p)
{
    struct err *e = p->e;
    next(p);
    while (p->ahead.type != T_END) {
        if (p->ahead.type != T_WORD && p->ahead.type != T_NOT)
            return err_set(e, ERR_INVALID,
                           p->count == 0 ? "found '" STR_FMT
                                           "', expected: !, identifier, or 'end of string'"
                                         : "found '" STR_FMT "', expected: identifier after ','",
                           STR_ARG(p->ahead.text));
        struct requirement *r = requirement_add(p);
        if (r == NULL)
            return err_set(e, ERR_LIMIT, "more than %d requirements in a selector", SELECTOR_MAX);
        enum err_code rc = parse_requirement(p, r);
        if (rc != ERR_OK)
            return rc;
        if (p->ahead.type == T_END)
            break;
        if (p->ahead.type != T_COMMA)
            return err_set(e, ERR_INVALID, "found '" STR_FMT "', expected: ',' or 'end of string'",
                           STR_ARG(p->ahead.text));
        next(p);
        if (p->ahead.type == T_END)
            return err_set(e, ERR_INVALID, "found '', expected: identifier after ','");
    }
    return ERR_OK;
}

MUST_USE enum err_code selector_parse_labels(struct str text, struct arena *a, struct selector *out,
                                             struct err *e)
{
    struct parser p = {.rest = text, .a = a, .e = e};
    enum err_code rc = parse_all(&p);
    if (rc == ERR_OK)
        *out = (struct selector){.at = p.at, .count = p.count};
    else
        out->why = p.why;
    return rc;
}

/* ------------------------------------------------------------------ fields */

/* A backslash keeps the next of \ , = from being read as an operator. */
static enum err_code field_unescape(struct parser *p, struct str in, struct str *out)
{
    char *at = arena_alloc(p->a, in.len + 1);
    size_t n = 0;
    if (at == NULL)
        return arena_status(p->a, p->e);
    for (size_t i = 0; i < in.len; i++) {
        char c = in.at[i];
        if (c == '\\') {
            if (i + 1 == in.len || strchr("\\,=", in.at[i + 1]) == NULL || in.at[i + 1] == '\0')
                return err_set(p->e, ERR_INVALID,
                               "invalid field selector: invalid escape sequence in value: " STR_FMT,
                               STR_ARG(in));
            c = in.at[++i];
        } else if (c == '=') {
            return err_set(p->e, ERR_INVALID,
                           "invalid field selector: unescaped character in value: =");
        }
        at[n++] = c;
    }
    at[n] = '\0';
    *out = (struct str){at, n};
    return ERR_OK;
}

static enum err_code field_term(struct parser *p, struct str term, struct str whole)
{
    for (size_t i = 0; i < term.len; i++) {
        struct str rest = str_slice(term, i, term.len);
        bool is_not = str_starts(rest, STR("!="));
        size_t len = is_not || str_starts(rest, STR("==")) ? 2 : 1;
        if (!is_not && rest.at[0] != '=')
            continue;
        struct str value;
        enum err_code rc = field_unescape(p, str_slice(rest, len, rest.len), &value);
        if (rc != ERR_OK)
            return rc;
        if (i == 0 && value.len == 0)
            return ERR_OK; /* "=": nothing is asked for. */
        struct requirement *r = requirement_add(p);
        struct str *values = arena_zalloc(p->a, 1, sizeof *values);
        if (r == NULL || values == NULL)
            return err_set(p->e, ERR_LIMIT, "more than %d terms in a selector", SELECTOR_MAX);
        *values = value;
        *r = (struct requirement){.key = str_slice(term, 0, i),
                                  .op = is_not ? SELECTOR_NOT_IN : SELECTOR_IN,
                                  .values = values,
                                  .values_count = 1};
        return ERR_OK;
    }
    return err_set(p->e, ERR_INVALID,
                   "invalid selector: '" STR_FMT "'; can't understand '" STR_FMT "'",
                   STR_ARG(whole), STR_ARG(term));
}

MUST_USE enum err_code selector_parse_fields(struct str text, struct arena *a, struct selector *out,
                                             struct err *e)
{
    struct parser p = {.a = a, .e = e};
    size_t begin = 0;
    for (size_t i = 0; i <= text.len; i++) {
        if (i < text.len && text.at[i] == '\\') {
            i++;
            continue;
        }
        if (i < text.len && text.at[i] != ',')
            continue;
        struct str term = str_slice(text, begin, i);
        enum err_code rc = term.len == 0 ? ERR_OK : field_term(&p, term, text);
        if (rc != ERR_OK)
            return rc;
        begin = i + 1;
    }
    struct str last = str_slice(text, begin, text.len); /* Behind a backslash at the very end. */
    enum err_code rc = last.len == 0 ? ERR_OK : field_term(&p, last, text);
    if (rc != ERR_OK)
        return rc;
    *out = (struct selector){.at = p.at, .count = p.count};
    return ERR_OK;
}

/* ------------------------------------------------------------------ matching */

static bool requirement_holds(const struct requirement *r, bool is_there, struct str value)
{
    bool is_in = false;
    int64_t number;
    for (uint32_t i = 0; i < r->values_count && is_there; i++)
        is_in = is_in || str_eq(r->values[i], value);
    switch (r->op) {
    case SELECTOR_IN:
        return is_in;
    case SELECTOR_NOT_IN:
        return !is_in;
    case SELECTOR_EXISTS:
        return is_there;
    case SELECTOR_ABSENT:
        return !is_there;
    case SELECTOR_ABOVE:
        return is_there && str_parse_i64(value, &number) == ERR_OK && number > r->bound;
    case SELECTOR_BELOW:
        return is_there && str_parse_i64(value, &number) == ERR_OK && number < r->bound;
    }
    return false;
}

bool selector_matches(const struct selector *s, selector_lookup *lookup, const void *object)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct str value = {NULL, 0};
        bool is_there = lookup(object, s->at[i].key, &value);
        if (!requirement_holds(&s->at[i], is_there, value))
            return false;
    }
    return true;
}

struct str selector_exact(const struct selector *s, const char *key)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->at[i].op == SELECTOR_IN && s->at[i].values_count == 1 && str_is(s->at[i].key, key))
            return s->at[i].values[0];
    return (struct str){NULL, 0};
}
