/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the client accepts (RFC 9110 12.5.1), with Kubernetes' parameters: as=Table;v=v1;g=meta.k8s.io
 * asks for the object in another shape. Clauses by falling q, then as they came; the first that we
 * serve is taken. "application/" followed by a star is not understood, as by Kubernetes.
 */
#include "controlplane/serve/rest_priv.h"

#define TYPE_JSON "application/json"
#define TYPE_YAML "application/yaml"
#define TYPE_PROTOBUF "application/vnd.kubernetes.protobuf"
#define TYPE_PROTOBUF_WATCH "application/vnd.kubernetes.protobuf;stream=watch"

enum { CLAUSES_MAX = 32 };

struct clause {
    struct str type, params;
    int q; /* Thousandths. */
};

static int q_parse(struct str value)
{
    int q = 0, scale = 1000;
    bool in_fraction = false;
    for (size_t i = 0; i < value.len; i++) {
        char c = value.at[i];
        if (c == '.' && !in_fraction)
            in_fraction = true;
        else if (c < '0' || c > '9')
            return 0;
        else if (!in_fraction)
            q = (c - '0') * 1000;
        else
            q += (c - '0') * (scale /= 10);
    }
    return q > 1000 ? 1000 : q;
}

/* name=value of a clause's parameters, {NULL, 0}: not there. */
static struct str param(struct str params, const char *name)
{
    struct str rest = params, part;
    while (rest.at != NULL && str_split(&rest, ';', &part)) {
        size_t eq = str_find(part, '=', 0);
        if (str_eq_nocase(str_trim(str_slice(part, 0, eq)), str_of(name)))
            return str_trim(str_slice(part, eq + 1, part.len));
    }
    return (struct str){NULL, 0};
}

static uint32_t clauses_parse(struct str accept, struct clause *out)
{
    struct str rest = accept, part;
    uint32_t count = 0;
    while (rest.at != NULL && count < CLAUSES_MAX && str_split(&rest, ',', &part)) {
        size_t semicolon = str_find(part, ';', 0);
        struct clause c = {.type = str_trim(str_slice(part, 0, semicolon)),
                           .params = str_slice(part, semicolon + 1, part.len),
                           .q = 1000};
        struct str q = param(c.params, "q");
        if (c.type.len == 0)
            continue;
        if (q.at != NULL)
            c.q = q_parse(q);
        uint32_t at = count++;
        for (; at > 0 && out[at - 1].q < c.q; at--)
            out[at] = out[at - 1];
        out[at] = c;
    }
    return count;
}

static bool type_parse(struct str text, enum form_type *out)
{
    static const struct {
        const char *text;
        enum form_type type;
    } types[] = {{"*/*", FORM_JSON},
                 {TYPE_JSON, FORM_JSON},
                 {TYPE_YAML, FORM_YAML},
                 {TYPE_PROTOBUF, FORM_PROTOBUF}};
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (str_eq_nocase(text, str_of(types[i].text))) {
            *out = types[i].type;
            return true;
        }
    }
    return false;
}

/* The shape a clause asks for; false: one that we do not serve here. */
static bool shape_parse(struct str params, bool is_table_fit, struct form *f)
{
    struct str as = param(params, "as"), g = param(params, "g"), v = param(params, "v");
    f->as = AS_OBJECT;
    if (as.at == NULL)
        return true;
    f->beta = str_is(v, "v1beta1");
    if (!str_is(g, "meta.k8s.io") || (!f->beta && !str_is(v, "v1")))
        return false;
    if (str_is(as, "Table"))
        f->as = AS_TABLE;
    else if (str_is(as, "PartialObjectMetadata"))
        f->as = AS_PARTIAL;
    else if (str_is(as, "PartialObjectMetadataList"))
        f->as = AS_PARTIAL_LIST;
    else
        return false;
    return is_table_fit && (f->as != AS_TABLE || f->type != FORM_PROTOBUF);
}

static bool wants_pretty(const struct rest_request *r)
{
    struct str pretty = rest_query(r, "pretty");
    if (pretty.at != NULL)
        return !str_is(pretty, "false") && !str_is(pretty, "0");
    return str_starts(r->user_agent, STR("curl/")) || str_starts(r->user_agent, STR("Mozilla/"));
}

static bool include_parse(struct call *c, struct form *f)
{
    struct str include = rest_query(c->r, "includeObject");
    if (f->as != AS_TABLE || include.len == 0 || str_is(include, "Metadata"))
        return true;
    if (str_is(include, "Object"))
        f->include = INCLUDE_OBJECT;
    else if (str_is(include, "None"))
        f->include = INCLUDE_NONE;
    else
        return status_set(&c->status, &c->r->arena, STATUS_BAD_REQUEST,
                          "Unable to convert to Table as requested: includeObject: Invalid value: "
                          "\"" STR_FMT "\": must be 'Metadata', 'Object', 'None', or empty",
                          STR_ARG(include));
    return true;
}

bool form_choose(struct call *c)
{
    struct clause clauses[CLAUSES_MAX];
    struct form f = {.pretty = wants_pretty(c->r)};
    struct str accept = c->r->accept;
    bool is_watch = c->r->verb == REST_WATCH, type_known = false;
    uint32_t count = clauses_parse(accept, clauses);
    c->form = f;
    if (accept.len == 0)
        return true;
    for (uint32_t i = 0; i < count; i++) {
        if (!type_parse(clauses[i].type, &f.type))
            continue;
        type_known = true;
        if (is_watch && f.type == FORM_YAML) {
            c->form.type = FORM_YAML; /* Of the refusal. */
            continue;
        }
        f.beta = false;
        if (!shape_parse(clauses[i].params, c->kind != NULL, &f))
            continue;
        c->form = f;
        return include_parse(c, &c->form);
    }
    if (type_known)
        return status_set(&c->status, &c->r->arena, STATUS_NOT_ACCEPTABLE, "%s",
                          is_watch ? "only the following media types are accepted: " TYPE_JSON
                                     ";stream=watch, " TYPE_PROTOBUF_WATCH
                                   : "only the following media types are accepted: " TYPE_JSON
                                     ", " TYPE_YAML ", " TYPE_PROTOBUF);
    status_set(&c->status, &c->r->arena, STATUS_NOT_ACCEPTABLE,
               "406: Not Acceptable\n\nAvailable representations: " TYPE_JSON ", " TYPE_YAML
               ", " TYPE_PROTOBUF);
    c->status.has_details = true;
    return false;
}

const char *form_content_type(const struct form *f, bool is_watch)
{
    switch (f->type) {
    case FORM_JSON:
        return TYPE_JSON;
    case FORM_YAML:
        return TYPE_YAML;
    case FORM_PROTOBUF:
        return is_watch ? TYPE_PROTOBUF_WATCH : TYPE_PROTOBUF;
    }
    return TYPE_JSON;
}
