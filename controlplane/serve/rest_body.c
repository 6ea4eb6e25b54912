/* SPDX-License-Identifier: Apache-2.0 */
/* What the client sent, as canonical bytes of the kind the URL names. */
#include "api/yaml.h"
#include "controlplane/serve/rest_priv.h"

#define ACCEPTED "application/json, application/yaml, application/vnd.kubernetes.protobuf"

bool body_is(struct str content_type, const char *type)
{
    struct str bare = str_trim(str_slice(content_type, 0, str_find(content_type, ';', 0)));
    return str_eq_nocase(bare, str_of(type));
}

bool body_is_protobuf(struct str content_type)
{
    return body_is(content_type, "application/vnd.kubernetes.protobuf");
}

/* ------------------------------------------------------------------ notes */

bool body_notes(struct call *c, enum strictness s, const struct transcode_notes *notes,
                struct str *out_refusal)
{
    struct str list = STR("");
    *out_refusal = (struct str){NULL, 0};
    if (s == FIELDS_IGNORE)
        return true;
    for (uint32_t i = 0; i < notes->count; i++) {
        if (s == FIELDS_WARN && i < 8)
            warn(c, notes->at[i]);
        list = arena_printf(&c->r->arena, STR_FMT "%s" STR_FMT, STR_ARG(list), i == 0 ? "" : ", ",
                            STR_ARG(notes->at[i]));
    }
    if (s != FIELDS_STRICT || notes->count == 0)
        return true;
    *out_refusal = arena_printf(&c->r->arena, "strict decoding error: " STR_FMT, STR_ARG(list));
    return false;
}

/* ------------------------------------------------------------------ refusals */

static bool cannot_be_handled(struct call *c, const struct transcode_head *head, struct str why)
{
    struct str kind = head->kind.len > 0 ? head->kind : c->schema->kind;
    struct str api = head->api_version.len > 0 ? head->api_version : c->schema->api_version;
    size_t slash = str_find(api, '/', 0);
    struct str version = slash < api.len ? str_slice(api, slash + 1, api.len) : api;
    return status_set(&c->status, &c->r->arena, STATUS_BAD_REQUEST,
                      STR_FMT " in version \"" STR_FMT "\" cannot be handled as a " STR_FMT
                              ": " STR_FMT,
                      STR_ARG(kind), STR_ARG(version), STR_ARG(c->schema->kind), STR_ARG(why));
}

/* The beginning of a body as a message shows it. */
static struct str excerpt(struct call *c, struct str body)
{
    static const char digits[] = "0123456789abcdef";
    enum { EXCERPT_MAX = 30 };
    struct str head = str_slice(body, 0, EXCERPT_MAX);
    const char *more = body.len > EXCERPT_MAX ? " ..." : "";
    if (head.len == 0)
        return STR("<empty>");
    if (head.at[0] == '{')
        return arena_printf(&c->r->arena, STR_FMT "%s", STR_ARG(head), more);
    char *hex = arena_alloc(&c->r->arena, head.len * 2 + 1);
    for (size_t i = 0; hex != NULL && i < head.len; i++) {
        hex[2 * i] = digits[(unsigned char)head.at[i] >> 4];
        hex[2 * i + 1] = digits[(unsigned char)head.at[i] & 15];
    }
    struct str shown = {hex, hex == NULL ? 0 : head.len * 2};
    return arena_printf(&c->r->arena, STR_FMT "%s", STR_ARG(shown), more);
}

static bool unrecognized(struct call *c, const char *why)
{
    struct str shown = excerpt(c, c->r->body);
    return status_set(&c->status, &c->r->arena, STATUS_BAD_REQUEST,
                      "the object provided is unrecognized (must be of type " STR_FMT
                      "): %s (" STR_FMT ")",
                      STR_ARG(c->schema->kind), why, STR_ARG(shown));
}

/* ------------------------------------------------------------------ what the body says it is */

static bool kind_is_known(struct str api, struct str kind)
{
    size_t slash = str_find(api, '/', 0);
    struct str group = slash < api.len ? str_slice(api, 0, slash) : STR("");
    struct str version = slash < api.len ? str_slice(api, slash + 1, api.len) : api;
    if (str_ends(kind, STR("List")))
        kind.len -= 4;
    return schema_kind(group, version, kind) != NULL;
}

/* Missing parts come from the URL. */
static bool head_fits(struct call *c, const struct transcode_head *head)
{
    struct arena *a = &c->r->arena;
    struct str kind = head->kind.len > 0 ? head->kind : c->schema->kind;
    struct str api = head->api_version.len > 0 ? head->api_version : c->schema->api_version;
    if (str_eq(kind, c->schema->kind) && str_eq(api, c->schema->api_version))
        return true;
    if (kind_is_known(api, kind))
        return cannot_be_handled(
            c, head,
            arena_printf(
                a, "converting (" STR_FMT "." STR_FMT ") to (core." STR_FMT "): unknown conversion",
                STR_ARG(api), STR_ARG(kind), STR_ARG(c->schema->kind)));
    return cannot_be_handled(c, head,
                             arena_printf(a,
                                          "no kind \"" STR_FMT
                                          "\" is registered for version \"" STR_FMT
                                          "\" in scheme \"baton\"",
                                          STR_ARG(kind), STR_ARG(api)));
}

/* ------------------------------------------------------------------ reading */

static bool read_protobuf(struct call *c, struct buf *raw)
{
    struct transcode_envelope env;
    struct err e;
    if (transcode_open(c->r->body, &env, &e) != ERR_OK)
        return unrecognized(c, e.text);
    if (!head_fits(c, &env.head))
        return false;
    enum err_code rc = transcode_from_protobuf(c->schema->message, env.raw, &c->r->arena, raw, &e);
    return rc == ERR_OK || cannot_be_handled(c, &env.head, str_of(e.text));
}

/* YAML becomes JSON text: one reader says what is wrong with either. */
static bool yaml_text(struct call *c, struct str *text)
{
    struct json **documents = arena_zalloc(&c->r->arena, YAML_DOCUMENTS_MAX, sizeof *documents);
    struct buf json;
    struct err e;
    uint32_t count = 0;
    if (documents == NULL)
        return status_set(&c->status, &c->r->arena, STATUS_TOO_LARGE, "the body is too large");
    if (yaml_parse(&c->r->arena, *text, documents, &count, &e) != ERR_OK || count != 1)
        return unrecognized(c, count > 1 ? "one document is expected" : e.text);
    buf_init(&json, REST_REPLY_MAX);
    json_print(&json, documents[0]);
    *text = arena_str(&c->r->arena, buf_str(&json));
    buf_free(&json);
    return text->at != NULL;
}

static bool read_json(struct call *c, enum strictness s, struct str text, struct buf *raw)
{
    struct transcode_notes *notes = arena_zalloc(&c->r->arena, 1, sizeof *notes);
    struct transcode_head head = {0};
    struct str refusal;
    struct json *tree;
    struct err e, syntax;
    if (notes == NULL)
        return status_set(&c->status, &c->r->arena, STATUS_TOO_LARGE, "the body is too large");
    if (str_is(str_trim(text), "null"))
        text = STR("{}"); /* As Kubernetes reads it. */
    enum err_code rc =
        transcode_from_json(c->schema->message, text, &c->r->arena, notes, &head, raw, &e);
    if (rc == ERR_LIMIT)
        return status_err(&c->status, &c->r->arena, &e);
    if (rc != ERR_OK && json_parse(&c->r->arena, text, &tree, &syntax) != ERR_OK) {
        (void)err_wrap(&syntax, "couldn't get version/kind; json parse error");
        return unrecognized(c, syntax.text);
    }
    if (rc != ERR_OK)
        return cannot_be_handled(c, &head, str_of(e.text));
    if (!head_fits(c, &head))
        return false;
    return body_notes(c, s, notes, &refusal) || cannot_be_handled(c, &head, refusal);
}

bool body_type_known(struct call *c)
{
    struct str type = c->r->content_type;
    if (type.len == 0 || body_is(type, "application/json") || body_is(type, "application/yaml") ||
        body_is_protobuf(type))
        return true;
    return status_set(&c->status, &c->r->arena, STATUS_MEDIA_TYPE,
                      "the body of the request was in an unknown format - accepted media types "
                      "include: " ACCEPTED);
}

bool body_read(struct call *c, enum strictness s, struct str *out_raw)
{
    struct str type = c->r->content_type, text = c->r->body;
    struct buf raw;
    bool done = true;
    if (!body_type_known(c))
        return false;
    buf_init(&raw, REST_REPLY_MAX);
    (void)buf_reserve(&raw, c->r->body.len); /* Protobuf is shorter than JSON, most times. */
    if (body_is_protobuf(type))
        done = read_protobuf(c, &raw);
    else if (body_is(type, "application/yaml"))
        done = yaml_text(c, &text) && read_json(c, s, text, &raw);
    else
        done = read_json(c, s, text, &raw);
    if (done) {
        *out_raw = arena_str(&c->r->arena, raw.len == 0 ? STR("") : buf_str(&raw));
        done = out_raw->at != NULL;
    }
    buf_free(&raw);
    return done;
}

enum err_code body_message(struct call *c, struct str full, ProtobufCMessage **out, struct err *e)
{
    const struct schema_message *m = schema_message(full);
    struct transcode_envelope env = {.raw = c->r->body};
    struct buf raw;
    buf_init(&raw, 1 << 16);
    enum err_code rc = m == NULL ? err_set(e, ERR_INVALID, "no such message") : ERR_OK;
    if (rc == ERR_OK && body_is_protobuf(c->r->content_type))
        rc = transcode_open(c->r->body, &env, e);
    if (rc == ERR_OK && body_is_protobuf(c->r->content_type))
        rc = transcode_from_protobuf(m, env.raw, &c->r->arena, &raw, e);
    else if (rc == ERR_OK)
        rc = transcode_from_json(m, c->r->body, &c->r->arena, NULL, NULL, &raw, e);
    if (rc == ERR_OK)
        rc = transcode_unpack(m, arena_str(&c->r->arena, buf_str(&raw)), &c->r->arena, out, e);
    buf_free(&raw);
    return rc;
}
