/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PATCH: read, change the tree, and write it where it was read. Another writer in between costs
 * another round, up to five; a version inside the patch is the client's own precondition and is not
 * tried again. Server-side apply is not served: 415, as a server without it answers.
 */
#include "api/patch.h"
#include "controlplane/serve/rest_write.h"

typedef enum err_code patch_apply(struct call *c, struct json **target, struct json *patch,
                                  struct err *e);

static enum err_code apply_json(struct call *c, struct json **target, struct json *patch,
                                struct err *e)
{
    return patch_json(&c->r->arena, target, patch, e);
}

static enum err_code apply_merge(struct call *c, struct json **target, struct json *patch,
                                 struct err *e)
{
    return patch_merge(&c->r->arena, target, patch, e);
}

static enum err_code apply_strategic(struct call *c, struct json **target, struct json *patch,
                                     struct err *e)
{
    return patch_strategic(&c->r->arena, c->schema->message, target, patch, e);
}

static const struct patch_type {
    const char *content_type;
    patch_apply *apply;
    bool is_array;
} patch_types[] = {
    {"application/json-patch+json", apply_json, true},
    {"application/merge-patch+json", apply_merge, false},
    {"application/strategic-merge-patch+json", apply_strategic, false},
};

static const struct patch_type *type_of(struct str content_type)
{
    for (size_t i = 0; i < COUNT_OF(patch_types); i++)
        if (body_is(content_type, patch_types[i].content_type))
            return &patch_types[i];
    return NULL;
}

/* ------------------------------------------------------------------ refusals */

static bool bad_patch(struct call *c, const char *why)
{
    return status_set(&c->status, &c->r->arena, STATUS_BAD_REQUEST, "error decoding patch: %s",
                      why);
}

/* A JSON patch that does not fit the object says no more; clients know this sentence. */
static bool not_applied(struct call *c, const struct patch_type *type, const struct err *e)
{
    if (e->code == ERR_LIMIT)
        return status_err(&c->status, &c->r->arena, e);
    if (!type->is_array)
        return status_set(&c->status, &c->r->arena, STATUS_BAD_REQUEST, "%s", e->text);
    status_set(&c->status, &c->r->arena, STATUS_INVALID,
               "the server rejected our request due to an error in our request");
    c->status.has_details = true;
    return false;
}

/* What the patch made is no object of the kind. */
static bool bad_result(struct call *c, struct json *tree, struct str why)
{
    struct causes causes;
    struct field f = field_name(NULL, "patch");
    struct buf text;
    causes_init(&causes, &c->r->arena);
    buf_init(&text, 1 << 16);
    members_sort(tree, &c->r->arena, false);
    json_print(&text, tree);
    struct str shown = text.overflow ? STR("(too long)") : arena_str(&c->r->arena, buf_str(&text));
    struct str quoted = status_quote(&c->r->arena, shown);
    causes_add(&causes, CAUSE_INVALID, &f, STR_FMT ": " STR_FMT, STR_ARG(quoted), STR_ARG(why));
    buf_free(&text);
    return status_invalid(&c->status, STR(""), STR(""), STR(""), &causes);
}

/* ------------------------------------------------------------------ one round */

static bool patch_parse(struct call *c, const struct patch_type *type, struct json **out)
{
    struct err e;
    if (json_parse(&c->r->arena, c->r->body, out, &e) != ERR_OK)
        return bad_patch(c, e.text);
    if (type->is_array && (*out)->type != JSON_ARRAY)
        return bad_patch(c, "json: cannot unmarshal object into Go value of type "
                            "[]handlers.jsonPatchOp");
    if (!type->is_array && (*out)->type != JSON_OBJECT)
        return bad_patch(c, "json: cannot unmarshal array into Go value of type "
                            "map[string]interface {}");
    return true;
}

static bool is_kind(const struct call *c, struct str api, struct str kind)
{
    return (kind.len == 0 || str_eq(kind, c->schema->kind)) &&
           (api.len == 0 || str_eq(api, c->schema->api_version));
}

static bool kind_holds(struct call *c, struct json *tree)
{
    struct str api = json_text(json_find(tree, STR("apiVersion")));
    struct str kind = json_text(json_find(tree, STR("kind")));
    struct arena *a = &c->r->arena;
    if (is_kind(c, api, kind))
        return true;
    if (!is_kind(c, STR(""), kind) &&
        schema_kind(c->schema->group, c->schema->version, kind) != NULL)
        return bad_result(c, tree,
                          arena_printf(a,
                                       "converting (" STR_FMT "." STR_FMT ") to (core." STR_FMT
                                       "): unknown conversion",
                                       STR_ARG(api), STR_ARG(kind), STR_ARG(c->schema->kind)));
    return bad_result(c, tree,
                      arena_printf(a,
                                   "no kind \"" STR_FMT "\" is registered for version \"" STR_FMT
                                   "\" in scheme \"baton\"",
                                   STR_ARG(kind), STR_ARG(api)));
}

/* Members that the patch itself gives twice: `duplicate field "metadata.name"`. */
static void twice_given(const struct json *node, const struct field *at,
                        struct transcode_notes *notes, struct arena *a)
{
    uint32_t index = 0;
    for (const struct json *i = node->first; i != NULL; i = i->next, index++) {
        struct field f =
            i->key.at == NULL ? field_index(at, index) : field_name(at, arena_dup(a, i->key));
        if (i->repeated && notes->count < TRANSCODE_NOTES_MAX) {
            struct str path = field_print(&f, a);
            notes->at[notes->count++] =
                arena_printf(a, "duplicate field \"" STR_FMT "\"", STR_ARG(path));
        }
        twice_given(i, &f, notes, a);
    }
}

/* Only the fields that the patch reaches are made a tree. False: something is to be said of it, and patching all of the object
 * will say it; the patch's parts may be used up. */
static bool patch_some(struct call *c, const struct patch_type *type, struct json *patch,
                       uint64_t fields, struct transcode_notes *notes, struct str *out_raw)
{
    const struct schema_kind *s = c->schema;
    const struct change *w = c->own;
    struct arena *a = &c->r->arena;
    struct transcode_json how = {s->api_version, s->kind, 0, rest_texts(c)};
    struct transcode_head head;
    struct str raw = entry_raw(w->old);
    struct buf part, fresh, whole;
    struct json *tree;
    struct err e;
    buf_init(&part, REST_REPLY_MAX);
    buf_init(&fresh, REST_REPLY_MAX);
    buf_init(&whole, REST_REPLY_MAX);
    bool done = patch_part(s->message, raw, fields, &part) &&
                transcode_to_tree(s->message, buf_str(&part), &how, a, &tree, &e) == ERR_OK &&
                type->apply(c, &tree, patch, &e) == ERR_OK &&
                transcode_from_tree(s->message, tree, a, notes, &head, &fresh, &e) == ERR_OK &&
                notes->count == 0 && is_kind(c, head.api_version, head.kind) &&
                patch_rejoin(s->message, raw, fields, buf_str(&fresh), &whole);
    if (done)
        *out_raw = arena_str(a, whole.len == 0 ? STR("") : buf_str(&whole));
    buf_free(&part);
    buf_free(&fresh);
    buf_free(&whole);
    return done;
}

static bool patch_once(struct call *c, struct str *out_raw)
{
    struct change *w = c->own;
    struct arena *a = &c->r->arena;
    const struct patch_type *type = type_of(c->r->content_type);
    struct transcode_json how = {c->schema->api_version, c->schema->kind, 0, rest_texts(c)};
    struct transcode_notes *notes = arena_zalloc(a, 1, sizeof *notes);
    struct transcode_notes *twice = arena_zalloc(a, 1, sizeof *twice);
    struct json *tree = NULL, *patch = NULL;
    struct str refusal;
    struct buf raw;
    struct err e;
    uint64_t fields;
    if (!patch_parse(c, type, &patch) || !change_find(c))
        return false;
    if (arena_status(a, &e) != ERR_OK) /* Of the notes, too. */
        return status_err(&c->status, a, &e);
    twice_given(patch, NULL, twice, a);
    if (twice->count == 0 && patch_reach(c->schema->message, patch, &fields)) {
        if (patch_some(c, type, patch, fields, notes, out_raw))
            return true;
        if (!patch_parse(c, type, &patch))
            return false;
    }
    enum err_code rc = transcode_to_tree(c->schema->message, entry_raw(w->old), &how, a, &tree, &e);
    if (rc != ERR_OK)
        return status_err(&c->status, a, &e);
    rc = type->apply(c, &tree, patch, &e);
    if (rc != ERR_OK)
        return not_applied(c, type, &e);
    if (!kind_holds(c, tree))
        return false;
    buf_init(&raw, REST_REPLY_MAX);
    rc = transcode_from_tree(c->schema->message, tree, a, notes, NULL, &raw, &e);
    if (rc == ERR_OK)
        *out_raw = arena_str(a, raw.len == 0 ? STR("") : buf_str(&raw));
    buf_free(&raw);
    if (rc != ERR_OK)
        return bad_result(c, tree, str_of(e.text));
    for (uint32_t i = 0; i < notes->count && twice->count < TRANSCODE_NOTES_MAX; i++)
        twice->at[twice->count++] = notes->at[i];
    enum strictness said = w->attempts > 0 ? FIELDS_IGNORE : w->strictness;
    return body_notes(c, said, twice, &refusal) || bad_result(c, tree, refusal);
}

static void patch_again(struct call *c)
{
    struct str raw;
    if (patch_once(c, &raw))
        change_submit(c, raw);
    else
        reply_status(c);
}

static bool media_type(struct call *c)
{
    if (type_of(c->r->content_type) != NULL)
        return true;
    status_set(&c->status, &c->r->arena, STATUS_MEDIA_TYPE, "415: Unsupported Media Type");
    c->status.has_details = true;
    return false;
}

void patch_begin(struct call *c)
{
    struct change *w = arena_zalloc(&c->r->arena, 1, sizeof *w);
    struct str sub = c->r->at.subresource;
    if (w == NULL) {
        rest_cut(c->r);
        return;
    }
    c->own = w;
    w->door = str_is(sub, "status")                ? KIND_STATUS
              : str_is(sub, "ephemeralcontainers") ? KIND_EPHEMERAL
                                                   : KIND_UPDATE;
    w->again = patch_again;
    if (media_type(c) && change_options(c, w, "PatchOptions"))
        patch_again(c);
    else
        reply_status(c);
}
