/* SPDX-License-Identifier: Apache-2.0 */
#include "api/paths.h"

/* RFC 3986 2.1. A NUL is never meant. */
MUST_USE static enum err_code unescape(struct str in, bool is_query, struct arena *a,
                                       struct str *out, struct err *e)
{
    char *at = arena_alloc(a, in.len + 1);
    size_t n = 0;
    if (at == NULL)
        return arena_status(a, e);
    for (size_t i = 0; i < in.len; i++) {
        char c = in.at[i];
        if (c == '%') {
            int high = i + 2 < in.len ? str_hex_digit(in.at[i + 1]) : -1;
            int low = i + 2 < in.len ? str_hex_digit(in.at[i + 2]) : -1;
            if (high < 0 || low < 0 || high + low == 0)
                return err_set(e, ERR_INVALID, "invalid URL escape");
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && is_query) {
            c = ' ';
        }
        at[n++] = c;
    }
    at[n] = '\0';
    *out = (struct str){at, n};
    return ERR_OK;
}

enum { SEGMENTS_MAX = 8 };

/* Segments between slashes; the last takes the rest. A trailing slash is no segment of its own.
 * False: an empty or a "." segment, which no resource has. */
static bool segments_split(struct str text, struct str *segments, uint32_t *out_count)
{
    struct str rest = str_slice(text, 1, text.len), part;
    uint32_t count = 0;
    if (str_ends(rest, STR("/")))
        rest.len--;
    while (count < SEGMENTS_MAX - 1 && str_split(&rest, '/', &part)) {
        if (part.len == 0 || str_is(part, ".") || str_is(part, ".."))
            return false;
        segments[count++] = part;
    }
    if (rest.at != NULL && rest.len > 0)
        segments[count++] = rest;
    *out_count = count;
    return true;
}

static struct str segment(const struct str *segments, uint32_t count, uint32_t i)
{
    return i < count ? segments[i] : (struct str){"", 0};
}

/* What stands behind the version. namespaces/NS alone is the Namespace itself, and so are its own
 * subresources; anything else behind a namespace is a resource in it. */
static void resource_parse(struct path *p, const struct str *s, uint32_t count)
{
    bool is_ns = str_is(segment(s, count, 0), "namespaces");
    struct str third = segment(s, count, 2);
    bool own = str_is(third, "status") || str_is(third, "finalize");
    if (is_ns && count > 2 && !(p->is_core && count == 3 && own)) {
        p->ns = s[1];
        s += 2;
        count -= 2;
    }
    p->resource = segment(s, count, 0);
    p->name = segment(s, count, 1);
    p->subresource = segment(s, count, 2);
    p->below = segment(s, count, 3);
    p->type = count > 4 ? PATH_BAD : PATH_RESOURCE;
    if (is_ns && p->resource.at != NULL && str_is(p->resource, "namespaces") && p->is_core)
        p->ns = p->name; /* Kubernetes sees a Namespace as inside itself. */
}

MUST_USE enum err_code path_parse(struct str escaped, struct arena *a, struct path *out,
                                  struct err *e)
{
    struct str segments[SEGMENTS_MAX];
    uint32_t count = 0;
    struct path p = {.type = PATH_OTHER};
    enum err_code rc = unescape(escaped, false, a, &p.text, e);
    if (rc != ERR_OK)
        return rc;

    struct str text = p.text;
    p.is_core = str_is(text, "/api") || str_starts(text, STR("/api/"));
    bool is_api = p.is_core || str_is(text, "/apis") || str_starts(text, STR("/apis/"));
    p.group = p.version = p.ns = p.resource = p.name = p.subresource = p.below = STR("");
    if (!is_api) {
        *out = p;
        return ERR_OK;
    }
    if (!segments_split(text, segments, &count)) {
        p.type = PATH_BAD;
        *out = p;
        return ERR_OK;
    }

    uint32_t at = 1; /* The version's segment. */
    if (!p.is_core) {
        p.group = segment(segments, count, 1);
        at = 2;
    }
    p.version = segment(segments, count, at);
    if (count == 1)
        p.type = PATH_GROUPS;
    else if (count == at)
        p.type = PATH_GROUP;
    else if (count == at + 1)
        p.type = PATH_VERSION;
    else
        resource_parse(&p, segments + at + 1, count - at - 1);
    *out = p;
    return ERR_OK;
}

MUST_USE enum err_code query_parse(struct str escaped, struct arena *a, struct query *out,
                                   struct err *e)
{
    struct str rest = escaped, part;
    struct query_pair *pairs = arena_zalloc(a, QUERY_PAIRS_MAX, sizeof *pairs);
    uint32_t count = 0;
    if (pairs == NULL)
        return arena_status(a, e);
    while (rest.at != NULL && str_split(&rest, '&', &part)) {
        if (part.len == 0)
            continue;
        if (count == QUERY_PAIRS_MAX)
            return err_set(e, ERR_LIMIT, "more than %d query parameters", QUERY_PAIRS_MAX);
        size_t eq = str_find(part, '=', 0);
        enum err_code rc = unescape(str_slice(part, 0, eq), true, a, &pairs[count].name, e);
        if (rc == ERR_OK)
            rc = unescape(str_slice(part, eq + 1, part.len), true, a, &pairs[count].value, e);
        if (rc != ERR_OK)
            return rc;
        count++;
    }
    *out = (struct query){pairs, count};
    return ERR_OK;
}

struct str query_get(const struct query *q, const char *name)
{
    for (uint32_t i = 0; i < q->count; i++)
        if (str_is(q->at[i].name, name))
            return q->at[i].value;
    return (struct str){NULL, 0};
}

bool query_is_set(const struct query *q, const char *name)
{
    struct str value = query_get(q, name);
    return value.at != NULL && !str_is(value, "false") && !str_is(value, "0");
}
