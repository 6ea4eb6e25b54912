/* SPDX-License-Identifier: Apache-2.0 */
#include "api/transcode_in_priv.h"

static void put_path(struct buf *out, const struct transcode_step *at, bool with_elements)
{
    if (at == NULL)
        return;
    put_path(out, at->up, with_elements);
    if (at->index >= 0) {
        if (with_elements)
            buf_printf(out, "[%lld]", (long long)at->index);
        return;
    }
    if (at->is_key && !with_elements)
        return;
    if (out->len > 0)
        buf_add_char(out, '.');
    buf_add(out, at->name);
}

static void put_type(struct buf *out, const struct schema_field *f)
{
    static const char *const scalars[] = {"bool",   "int32", "int64",  "uint32",
                                          "uint64", "int32", "string", "[]uint8"};
    if (f->type == SCHEMA_MESSAGE)
        buf_printf(out, "v1." STR_FMT, STR_ARG(f->message->name));
    else
        buf_add(out, str_of(scalars[f->type]));
}

/* Kubernetes' words for a value of the wrong type. what: "string", "number 1.5". */
bool transcode__wrong_type(struct transcode_input *in, const struct schema_field *f,
                           enum transcode_part part, const char *what,
                           const struct transcode_step *at)
{
    struct buf text;
    if (in->err.code != ERR_OK)
        return false;
    buf_init(&text, sizeof in->err.text);
    if (f == NULL) {
        buf_printf(&text, "json: cannot unmarshal %s into Go value of type v1." STR_FMT, what,
                   STR_ARG(in->message->name));
    } else {
        buf_printf(&text, "json: cannot unmarshal %s into Go struct field " STR_FMT ".", what,
                   STR_ARG(in->message->name));
        struct buf path;
        buf_init(&path, sizeof in->err.text);
        put_path(&path, at, false);
        buf_add(&text, buf_str(&path));
        buf_free(&path);
        buf_add(&text, STR(" of type "));
        if (part == TRANSCODE_WHOLE)
            buf_add(&text, f->map ? STR("map[string]") : f->repeated ? STR("[]") : STR(""));
        put_type(&text, f);
    }
    (void)err_set(&in->err, ERR_INVALID, STR_FMT, STR_ARG(buf_str(&text)));
    buf_free(&text);
    return false;
}

const char *transcode__type_word(enum json_type type)
{
    static const char *const words[] = {"null", "bool", "number", "string", "array", "object"};
    return words[type];
}

bool transcode__wrong_json(struct transcode_input *in, const struct schema_field *f,
                           enum transcode_part part, enum json_type type,
                           const struct transcode_step *at)
{
    return transcode__wrong_type(in, f, part, transcode__type_word(type), at);
}

bool transcode__too_big(struct transcode_input *in)
{
    if (in->err.code == ERR_OK)
        (void)err_set(&in->err, ERR_LIMIT, "object is too big to decode");
    return false;
}

void transcode__note(struct transcode_input *in, const char *what, const struct transcode_step *at)
{
    enum {
        PATH_MAX_BYTES = 1024
    }; /* Of what is told; a client's keys may be as long as its body. */
    struct transcode_notes *n = in->notes;
    struct buf path;
    if (n == NULL || n->count == TRANSCODE_NOTES_MAX)
        return;
    buf_init(&path, 8 << 20);
    put_path(&path, at, true);
    struct str told = transcode_clip(buf_str(&path), PATH_MAX_BYTES);
    struct str text = arena_printf(in->arena, "%s field \"" STR_FMT "\"", what, STR_ARG(told));
    if (text.at != NULL)
        n->at[n->count++] = text;
    buf_free(&path);
}
