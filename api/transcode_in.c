/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON to canonical bytes, in one walk over the text (or tree). Each field's bytes are appended as
 * they come and the place is remembered; where an object ends, fields that came out of order, twice
 * or belong to an inlined message are put into place.
 */
#include "api/transcode_in_priv.h"

static bool read_object(struct transcode_input *in, const struct schema_message *m,
                        const struct transcode_step *at, struct transcode_head *head);

/* Fields */

/* null in a list or a map is the message's zero. */
static bool read_message_null(struct transcode_input *in, const struct schema_field *f)
{
    if (!json_read_null(&in->reader))
        return false;
    if (f->message->special == SCHEMA_QUANTITY)
        wire_put_bytes(in->out, QUANTITY_TEXT, STR("0"));
    return true;
}

static bool read_message(struct transcode_input *in, const struct schema_field *f,
                         enum json_type type, uint32_t number, bool keep,
                         const struct transcode_step *at)
{
    size_t before = in->out->len, begin = wire_begin(in->out, number);
    bool ok;
    if (type == JSON_NULL)
        ok = read_message_null(in, f);
    else if (f->message->special != SCHEMA_PLAIN)
        ok = transcode__read_special(in, f, type, keep, at);
    else if (type != JSON_OBJECT)
        ok = transcode__wrong_json(in, f, TRANSCODE_ELEMENT, type, at);
    else
        ok = read_object(in, f->message, at, NULL);
    if (!ok)
        return false;
    if (!keep && in->out->len == begin && (f->always || transcode_is_null_when_empty(f->message)))
        in->out->len = before; /* The same as absent. */
    else
        wire_end(in->out, begin);
    return true;
}

static bool read_one(struct transcode_input *in, const struct schema_field *f, enum json_type type,
                     uint32_t number, bool keep, const struct transcode_step *at)
{
    if (f->type == SCHEMA_MESSAGE)
        return read_message(in, f, type, number, keep, at);
    return transcode__read_scalar(in, f, type, number, keep, at);
}

static bool read_list(struct transcode_input *in, const struct schema_field *f, enum json_type type,
                      const struct transcode_step *at)
{
    struct transcode_step element = {at, {NULL, 0}, 0, false};
    if (type != JSON_ARRAY)
        return transcode__wrong_json(in, f, TRANSCODE_WHOLE, type, at);
    if (!json_read_open(&in->reader, JSON_ARRAY))
        return false;
    for (; json_read_element(&in->reader); element.index++) {
        if (!json_read_type(&in->reader, &type) ||
            !read_one(in, f, type, f->number, true, &element))
            return false;
    }
    return !in->reader.failed;
}

struct dropping {
    struct transcode_input *in;
    const struct transcode_step *at;
};

static void note_dropped_key(void *state, struct str key)
{
    const struct dropping *d = state;
    struct transcode_step step = {d->at, key, -1, true};
    transcode__note(d->in, "duplicate", &step);
}

static bool read_map(struct transcode_input *in, const struct schema_field *f, enum json_type type,
                     const struct transcode_step *at)
{
    struct transcode_entries entries = {.sorted = true};
    size_t begin = in->out->len;
    struct str key;
    if (type != JSON_OBJECT)
        return transcode__wrong_json(in, f, TRANSCODE_WHOLE, type, at);
    if (!json_read_open(&in->reader, JSON_OBJECT))
        return false;
    while (json_read_key(&in->reader, &key)) {
        struct transcode_step step = {at, key, -1, true};
        struct transcode_entry entry = {.key = key, .begin = (uint32_t)in->out->len};
        size_t inside = wire_begin(in->out, f->number);
        wire_put_bytes(in->out, 1, key);
        if (!json_read_type(&in->reader, &type) || !read_one(in, f, type, 2, true, &step))
            return false;
        wire_end(in->out, inside);
        entry.end = (uint32_t)in->out->len;
        if (!transcode_entries_add(&entries, in->arena, entry))
            return transcode__too_big(in);
    }
    struct dropping state = {in, at};
    transcode_entries_sort(&entries, note_dropped_key, &state);
    transcode_entries_apply(&entries, in->out, begin, &in->scratch);
    return !in->reader.failed;
}

static bool read_field(struct transcode_input *in, const struct schema_field *f,
                       const struct transcode_step *at)
{
    enum json_type type;
    if (!json_read_type(&in->reader, &type))
        return false;
    if (type == JSON_NULL)
        return json_read_null(&in->reader);
    if (f->repeated)
        return read_list(in, f, type, at);
    if (f->map)
        return read_map(in, f, type, at);
    return read_one(in, f, type, f->number, f->presence, at);
}

/* Objects */

/* The pieces of one object, by rising order; mostly a handful. */
struct object {
    const struct schema_message *m;
    struct transcode_piece *pieces;
    uint32_t count;
    bool in_order;     /* As they came; then nothing has to be moved. */
    bool head_seen[2]; /* apiVersion, kind */
};

/* Index of the first piece of that order or a higher one. */
static uint32_t object_place(const struct object *o, uint32_t order)
{
    uint32_t at = o->count;
    while (at > 0 && o->pieces[at - 1].order >= order)
        at--;
    return at;
}

static bool object_has(const struct object *o, uint32_t at, uint32_t order)
{
    return at < o->count && o->pieces[at].order == order;
}

/* Takes the place of an earlier piece of that order, or moves later ones up. */
static bool object_put(struct transcode_input *in, struct object *o, uint32_t at,
                       struct transcode_piece piece)
{
    if (!object_has(o, at, piece.order)) {
        if (in->pieces_used == TRANSCODE_PIECES_MAX)
            return transcode__too_big(in);
        memmove(&o->pieces[at + 1], &o->pieces[at], (o->count - at) * sizeof *o->pieces);
        o->count++;
        in->pieces_used++;
    }
    o->pieces[at] = piece;
    return true;
}

static void put_piece(struct transcode_input *in, size_t from, size_t base,
                      const struct transcode_piece *p)
{
    if (p->end > p->begin)
        buf_add(in->out, str_from(in->scratch.at + base + (p->begin - from), p->end - p->begin));
}

/* The inlined message around its fields, which are the pieces from first on. */
static void put_inlined(struct transcode_input *in, const struct object *o, uint32_t first,
                        size_t from, size_t base)
{
    size_t before = in->out->len;
    size_t begin = wire_begin(in->out, o->m->fields[o->m->inlined - 1].number);
    for (uint32_t i = first; i < o->count; i++)
        put_piece(in, from, base, &o->pieces[i]);
    if (in->out->len == begin)
        in->out->len = before;
    else
        wire_end(in->out, begin);
}

/* Fields by number, the inlined message among them. */
static void object_order(struct transcode_input *in, const struct object *o, size_t from)
{
    size_t base = in->scratch.len;
    uint32_t direct = 0;
    buf_add(&in->scratch, str_slice(buf_str(in->out), from, in->out->len));
    if (in->scratch.overflow)
        return;
    while (direct < o->count && o->pieces[direct].order < o->m->fields_count)
        direct++;
    bool inner = direct < o->count;
    in->out->len = from;
    for (uint32_t i = 0; i < direct; i++) {
        if (inner && o->pieces[i].order >= o->m->inlined) {
            put_inlined(in, o, direct, from, base);
            inner = false;
        }
        put_piece(in, from, base, &o->pieces[i]);
    }
    if (inner)
        put_inlined(in, o, direct, from, base);
    in->scratch.len = base;
}

static bool read_head(struct transcode_input *in, struct object *o, int which,
                      struct transcode_head *head, const struct transcode_step *at)
{
    static const struct schema_field field = {.type = SCHEMA_STRING};
    enum json_type type;
    struct str text = {NULL, 0};
    if (o->head_seen[which])
        transcode__note(in, "duplicate", at);
    o->head_seen[which] = true;
    if (!json_read_type(&in->reader, &type))
        return false;
    if (type == JSON_NULL)
        return json_read_null(&in->reader);
    if (type != JSON_STRING)
        return transcode__wrong_json(in, &field, TRANSCODE_WHOLE, type, at);
    if (!json_read_string(&in->reader, &text))
        return false;
    if (head != NULL)
        *(which == 0 ? &head->api_version : &head->kind) = text;
    return true;
}

static bool read_member(struct transcode_input *in, struct object *o, struct str key,
                        struct transcode_head *head, const struct transcode_step *up)
{
    const struct schema_field *outer = NULL;
    const struct schema_field *f = schema_find(o->m, key, &outer);
    struct transcode_step at = {up, key, -1, false};
    if (f == NULL) {
        if (o->m->typed && (str_is(key, "apiVersion") || str_is(key, "kind")))
            return read_head(in, o, key.at[0] == 'k', head, &at);
        transcode__note(in, "unknown", &at);
        return json_read_skip(&in->reader);
    }
    uint32_t order = (uint32_t)(f - (outer == NULL ? o->m : outer->message)->fields);
    if (outer != NULL)
        order += o->m->fields_count;
    uint32_t place = object_place(o, order);
    if (object_has(o, place, order))
        transcode__note(in, "duplicate", &at);
    o->in_order = o->in_order && outer == NULL && place == o->count;
    struct transcode_piece piece = {.order = order, .begin = (uint32_t)in->out->len};
    if (!read_field(in, f, &at))
        return false;
    piece.end = (uint32_t)in->out->len;
    return object_put(in, o, place, piece);
}

static bool read_object(struct transcode_input *in, const struct schema_message *m,
                        const struct transcode_step *at, struct transcode_head *head)
{
    const struct schema_message *around = in->message;
    struct object o = {.m = m, .pieces = &in->pieces[in->pieces_used], .in_order = true};
    struct str key;
    size_t from = in->out->len;

    in->message = m;
    if (!json_read_open(&in->reader, JSON_OBJECT))
        return false;
    while (json_read_key(&in->reader, &key)) {
        if (!read_member(in, &o, key, head, at))
            return false;
    }
    if (in->reader.failed || in->out->overflow)
        return false;
    if (!o.in_order)
        object_order(in, &o, from);
    in->pieces_used -= o.count;
    in->message = around;
    return true;
}

static bool read_root(struct transcode_input *in, const struct schema_message *m,
                      struct transcode_head *head)
{
    enum json_type type;
    in->message = m;
    if (!json_read_type(&in->reader, &type))
        return false;
    if (type == JSON_NULL) /* Go leaves the object empty. */
        return json_read_null(&in->reader);
    if (type != JSON_OBJECT)
        return transcode__wrong_json(in, NULL, TRANSCODE_WHOLE, type, NULL);
    return read_object(in, m, NULL, head);
}

/* What to tell: text that is no JSON is that first of all, wherever its types are wrong too. */
static enum err_code verdict(struct transcode_input *in, bool ok, struct str text, struct err *e)
{
    struct err err;
    if (ok && !in->out->overflow && !in->scratch.overflow && !in->arena->overflow)
        return json_read_end(&in->reader, e) == ERR_OK ? ERR_OK : ERR_CORRUPT;
    if (!in->reader.is_tree && !in->reader.failed) {
        json_read_text(&in->reader, in->arena, text);
        ok = json_read_skip(&in->reader);
    }
    if (json_read_end(&in->reader, &err) != ERR_OK)
        return err_set(e, err.code == ERR_LIMIT ? ERR_LIMIT : ERR_CORRUPT, "%s", err.text);
    if (in->err.code != ERR_OK)
        return err_set(e, in->err.code, "%s", in->err.text);
    return err_set(e, ERR_LIMIT, "object is too big to decode");
}

static enum err_code run(struct transcode_input *in, const struct schema_message *m,
                         struct str text, struct arena *a, struct transcode_notes *notes,
                         struct transcode_head *head, struct buf *out, struct err *e)
{
    struct transcode_head found = {0};
    size_t before = out->len;
    in->arena = a;
    in->out = out;
    in->notes = notes;
    in->err.code = ERR_OK;
    in->pieces_used = 0;
    if (notes != NULL)
        notes->count = 0;
    buf_init(&in->scratch, out->limit);
    bool ok = read_root(in, m, &found);
    enum err_code code = verdict(in, ok, text, e);
    buf_free(&in->scratch);
    if (code == ERR_OK && head != NULL)
        *head = found;
    if (code != ERR_OK)
        out->len = before;
    return code;
}

enum err_code transcode_from_json(const struct schema_message *m, struct str json, struct arena *a,
                                  struct transcode_notes *notes, struct transcode_head *head,
                                  struct buf *out, struct err *e)
{
    struct transcode_input in;
    json_read_text(&in.reader, a, json);
    return run(&in, m, json, a, notes, head, out, e);
}

enum err_code transcode_from_tree(const struct schema_message *m, const struct json *root,
                                  struct arena *a, struct transcode_notes *notes,
                                  struct transcode_head *head, struct buf *out, struct err *e)
{
    struct transcode_input in;
    json_read_tree(&in.reader, a, root);
    return run(&in, m, STR(""), a, notes, head, out, e);
}
