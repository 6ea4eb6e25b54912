/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON to canonical bytes, in one walk over the text (or tree). Each field's bytes are appended as
 * they come and the place is remembered; where an object ends, fields that came out of order, twice
 * or belong to an inlined message are put into place.
 */
#include "api/quantity.h"
#include "api/transcode_priv.h"
#include "base/base64.h"
#include "base/jsonread.h"

#include <stdio.h>

/* The steps from the root to where we are; on the stack, spelled out only for messages. */
struct step {
    const struct step *up;
    struct str name; /* A field or a map's key. */
    int64_t index;   /* Of a list's element; -1 otherwise. */
    bool is_key;
};

/* Where a field's bytes are in the output. order: its index, or behind all of them that of a field
 * of the inlined message. */
struct piece {
    uint32_t order, begin, end;
};

/* Members of all objects that are open at one moment. */
enum { PIECES_MAX = 2048 };

struct input {
    struct json_reader reader;
    struct arena *arena;
    struct buf *out;
    struct buf scratch;
    struct transcode_notes *notes;
    const struct schema_message *message; /* The innermost object's. */
    struct err err;                       /* The first fault of ours; the reader has its own. */
    uint32_t pieces_used;
    struct piece pieces[PIECES_MAX];
};

static bool read_object(struct input *in, const struct schema_message *m, const struct step *at,
                        struct transcode_head *head);

/* Faults and notes */

static void put_path(struct buf *out, const struct step *at, bool with_elements)
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

enum { WHOLE, ELEMENT };

/* Kubernetes' words for a value of the wrong type. what: "string", "number 1.5". */
static bool wrong_type(struct input *in, const struct schema_field *f, int part, const char *what,
                       const struct step *at)
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
        if (part == WHOLE)
            buf_add(&text, f->map ? STR("map[string]") : f->repeated ? STR("[]") : STR(""));
        put_type(&text, f);
    }
    (void)err_set(&in->err, ERR_INVALID, STR_FMT, STR_ARG(buf_str(&text)));
    buf_free(&text);
    return false;
}

static const char *type_word(enum json_type type)
{
    static const char *const words[] = {"null", "bool", "number", "string", "array", "object"};
    return words[type];
}

static bool wrong_json(struct input *in, const struct schema_field *f, int part,
                       enum json_type type, const struct step *at)
{
    return wrong_type(in, f, part, type_word(type), at);
}

static bool too_big(struct input *in)
{
    if (in->err.code == ERR_OK)
        (void)err_set(&in->err, ERR_LIMIT, "object is too big to decode");
    return false;
}

static void note(struct input *in, const char *what, const struct step *at)
{
    struct transcode_notes *n = in->notes;
    struct buf text;
    if (n == NULL || n->count == TRANSCODE_NOTES_MAX)
        return;
    buf_init(&text, 4096);
    struct buf path;
    buf_init(&path, 4096);
    put_path(&path, at, true);
    buf_printf(&text, "%s field \"", what);
    buf_add(&text, buf_str(&path));
    buf_add_char(&text, '"');
    struct str copy = arena_str(in->arena, buf_str(&text));
    if (copy.at != NULL)
        n->at[n->count++] = copy;
    buf_free(&path);
    buf_free(&text);
}

/* Scalars */

static bool read_int(struct input *in, const struct schema_field *f, const struct step *at,
                     uint64_t *out)
{
    struct str digits;
    uint64_t u = 0;
    int64_t i = 0;
    enum err_code code;
    if (!json_read_number(&in->reader, &digits))
        return false;
    if (f->type == SCHEMA_UINT32 || f->type == SCHEMA_UINT64) {
        code = str_parse_u64(digits, &u);
        if (code == ERR_OK && f->type == SCHEMA_UINT32 && u > UINT32_MAX)
            code = ERR_INVALID;
    } else {
        code = str_parse_i64(digits, &i);
        if (code == ERR_OK && f->type != SCHEMA_INT64 && (i > INT32_MAX || i < INT32_MIN))
            code = ERR_INVALID;
        u = (uint64_t)i;
    }
    if (code != ERR_OK) {
        char what[64];
        (void)snprintf(what, sizeof what, "number %.*s", (int)min_size(digits.len, 40), digits.at);
        return wrong_type(in, f, ELEMENT, what, at);
    }
    *out = u;
    return true;
}

static bool read_base64(struct input *in, struct str *value)
{
    char *bytes = arena_alloc(in->arena, base64_decoded_max(value->len));
    size_t len = 0, bad = 0;
    if (bytes == NULL)
        return too_big(in);
    if (base64_decode(*value, bytes, &len) == ERR_OK) {
        *value = str_from(bytes, len);
        return true;
    }
    for (; bad < value->len; bad++) {
        char c = value->at[bad];
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '+' || c == '/' || c == '\r' || c == '\n';
        if (!fits)
            break;
    }
    if (in->err.code == ERR_OK)
        (void)err_set(&in->err, ERR_INVALID, "illegal base64 data at input byte %zu", bad);
    return false;
}

/* A scalar as field number of the output; zero is dropped unless keep. */
static bool read_scalar(struct input *in, const struct schema_field *f, enum json_type type,
                        uint32_t number, bool keep, const struct step *at)
{
    struct str text = {NULL, 0};
    uint64_t value = 0;
    bool truth;
    switch (type) {
    case JSON_NULL:
        if (!json_read_null(&in->reader))
            return false;
        break;
    case JSON_BOOL:
        if (f->type != SCHEMA_BOOL)
            return wrong_json(in, f, ELEMENT, type, at);
        if (!json_read_bool(&in->reader, &truth))
            return false;
        value = truth;
        break;
    case JSON_NUMBER:
        if (f->type == SCHEMA_BOOL || f->type >= SCHEMA_STRING)
            return wrong_json(in, f, ELEMENT, type, at);
        if (!read_int(in, f, at, &value))
            return false;
        break;
    case JSON_STRING:
        if (f->type < SCHEMA_STRING)
            return wrong_json(in, f, ELEMENT, type, at);
        if (!json_read_string(&in->reader, &text) ||
            (f->type == SCHEMA_BYTES && !read_base64(in, &text)))
            return false;
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        return wrong_json(in, f, ELEMENT, type, at);
    }
    if (f->type >= SCHEMA_STRING) {
        if (keep || text.len > 0)
            wire_put_bytes(in->out, number, text);
    } else if (keep || value != 0) {
        wire_put_u64(in->out, number, value);
    }
    return true;
}

/* Messages that are no JSON object: what stands between the begin and the end of their bytes */

static bool read_time(struct input *in, const struct schema_field *f, enum json_type type,
                      bool micro, const struct step *at)
{
    struct str text;
    struct wall instant;
    (void)f;
    (void)at;
    if (type != JSON_STRING) {
        if (in->err.code == ERR_OK)
            (void)err_set(&in->err, ERR_INVALID,
                          "json: cannot unmarshal %s into Go value of type string",
                          type_word(type));
        return false;
    }
    if (!json_read_string(&in->reader, &text))
        return false;
    if (str_is(text, "0001-01-01T00:00:00Z"))
        return true; /* Go's zero time: not set. */
    if (!transcode_time_read(text, micro, &instant, &in->err))
        return false;
    transcode_time_put(in->out, instant, micro);
    return true;
}

static bool read_quantity(struct input *in, enum json_type type, bool optional)
{
    struct str text = STR("");
    char canonical[QUANTITY_TEXT_MAX];
    size_t len = 0;
    bool ok = true;
    if (type == JSON_STRING)
        ok = json_read_string(&in->reader, &text);
    else if (type == JSON_NUMBER)
        ok = json_read_number(&in->reader, &text);
    if (!ok || quantity_canonical(text, canonical, &len, &in->err) != ERR_OK)
        return false;
    transcode_quantity_put(in->out, str_from(canonical, len), optional);
    return true;
}

static bool read_int_or_string(struct input *in, const struct schema_field *f, enum json_type type,
                               const struct step *at)
{
    struct str text;
    uint64_t value = 0;
    if (type == JSON_STRING) {
        if (!json_read_string(&in->reader, &text))
            return false;
        wire_put_u64(in->out, INT_OR_STRING_TYPE, 1);
        if (text.len > 0)
            wire_put_bytes(in->out, INT_OR_STRING_TEXT, text);
        return true;
    }
    if (type != JSON_NUMBER)
        return wrong_json(in, f, ELEMENT, type, at);
    if (!read_int(in, &f->message->fields[INT_OR_STRING_INT - 1], at, &value))
        return false;
    if (value != 0)
        wire_put_u64(in->out, INT_OR_STRING_INT, value);
    return true;
}

static bool read_raw(struct input *in)
{
    const struct json *value = NULL;
    if (!json_read_value(&in->reader, &value))
        return in->reader.failed ? false : too_big(in);
    size_t begin = wire_begin(in->out, RAW_JSON_BYTES);
    json_print(in->out, value);
    wire_end(in->out, begin);
    return true;
}

static bool read_strings(struct input *in, const struct schema_field *f, enum json_type type,
                         const struct step *at)
{
    const struct schema_field *item = &f->message->fields[0];
    if (type != JSON_ARRAY)
        return wrong_json(in, f, ELEMENT, type, at);
    if (!json_read_open(&in->reader, JSON_ARRAY))
        return false;
    while (json_read_element(&in->reader)) {
        if (!json_read_type(&in->reader, &type) ||
            !read_scalar(in, item, type, STRINGS_ITEM, true, at))
            return false;
    }
    return !in->reader.failed;
}

static bool read_special(struct input *in, const struct schema_field *f, enum json_type type,
                         bool keep, const struct step *at)
{
    switch (f->message->special) {
    case SCHEMA_PLAIN:
        break;
    case SCHEMA_TIME:
        return read_time(in, f, type, false, at);
    case SCHEMA_MICRO_TIME:
        return read_time(in, f, type, true, at);
    case SCHEMA_QUANTITY:
        return read_quantity(in, type, f->always && !keep);
    case SCHEMA_INT_OR_STRING:
        return read_int_or_string(in, f, type, at);
    case SCHEMA_RAW_JSON:
        return read_raw(in);
    case SCHEMA_STRINGS:
        return read_strings(in, f, type, at);
    }
    return false;
}

/* Fields */

/* null in a list or a map is the message's zero. */
static bool read_message_null(struct input *in, const struct schema_field *f)
{
    if (!json_read_null(&in->reader))
        return false;
    if (f->message->special == SCHEMA_QUANTITY)
        wire_put_bytes(in->out, QUANTITY_TEXT, STR("0"));
    return true;
}

static bool read_message(struct input *in, const struct schema_field *f, enum json_type type,
                         uint32_t number, bool keep, const struct step *at)
{
    size_t before = in->out->len, begin = wire_begin(in->out, number);
    bool ok;
    if (type == JSON_NULL)
        ok = read_message_null(in, f);
    else if (f->message->special != SCHEMA_PLAIN)
        ok = read_special(in, f, type, keep, at);
    else if (type != JSON_OBJECT)
        ok = wrong_json(in, f, ELEMENT, type, at);
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

static bool read_one(struct input *in, const struct schema_field *f, enum json_type type,
                     uint32_t number, bool keep, const struct step *at)
{
    if (f->type == SCHEMA_MESSAGE)
        return read_message(in, f, type, number, keep, at);
    return read_scalar(in, f, type, number, keep, at);
}

static bool read_list(struct input *in, const struct schema_field *f, enum json_type type,
                      const struct step *at)
{
    struct step element = {at, {NULL, 0}, 0, false};
    if (type != JSON_ARRAY)
        return wrong_json(in, f, WHOLE, type, at);
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
    struct input *in;
    const struct step *at;
};

static void note_dropped_key(void *state, struct str key)
{
    const struct dropping *d = state;
    struct step step = {d->at, key, -1, true};
    note(d->in, "duplicate", &step);
}

static bool read_map(struct input *in, const struct schema_field *f, enum json_type type,
                     const struct step *at)
{
    struct transcode_entries entries = {.sorted = true};
    size_t begin = in->out->len;
    struct str key;
    if (type != JSON_OBJECT)
        return wrong_json(in, f, WHOLE, type, at);
    if (!json_read_open(&in->reader, JSON_OBJECT))
        return false;
    while (json_read_key(&in->reader, &key)) {
        struct step step = {at, key, -1, true};
        struct transcode_entry entry = {.key = key, .begin = (uint32_t)in->out->len};
        size_t inside = wire_begin(in->out, f->number);
        wire_put_bytes(in->out, 1, key);
        if (!json_read_type(&in->reader, &type) || !read_one(in, f, type, 2, true, &step))
            return false;
        wire_end(in->out, inside);
        entry.end = (uint32_t)in->out->len;
        if (!transcode_entries_add(&entries, in->arena, entry))
            return too_big(in);
    }
    struct dropping state = {in, at};
    transcode_entries_sort(&entries, note_dropped_key, &state);
    transcode_entries_apply(&entries, in->out, begin, &in->scratch);
    return !in->reader.failed;
}

static bool read_field(struct input *in, const struct schema_field *f, const struct step *at)
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
    struct piece *pieces;
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
static bool object_put(struct input *in, struct object *o, uint32_t at, struct piece piece)
{
    if (!object_has(o, at, piece.order)) {
        if (in->pieces_used == PIECES_MAX)
            return too_big(in);
        memmove(&o->pieces[at + 1], &o->pieces[at], (o->count - at) * sizeof *o->pieces);
        o->count++;
        in->pieces_used++;
    }
    o->pieces[at] = piece;
    return true;
}

static void put_piece(struct input *in, size_t from, size_t base, const struct piece *p)
{
    if (p->end > p->begin)
        buf_add(in->out, str_from(in->scratch.at + base + (p->begin - from), p->end - p->begin));
}

/* The inlined message around its fields, which are the pieces from first on. */
static void put_inlined(struct input *in, const struct object *o, uint32_t first, size_t from,
                        size_t base)
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
static void object_order(struct input *in, const struct object *o, size_t from)
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

static bool read_head(struct input *in, struct object *o, int which, struct transcode_head *head,
                      const struct step *at)
{
    static const struct schema_field field = {.type = SCHEMA_STRING};
    enum json_type type;
    struct str text = {NULL, 0};
    if (o->head_seen[which])
        note(in, "duplicate", at);
    o->head_seen[which] = true;
    if (!json_read_type(&in->reader, &type))
        return false;
    if (type == JSON_NULL)
        return json_read_null(&in->reader);
    if (type != JSON_STRING)
        return wrong_json(in, &field, WHOLE, type, at);
    if (!json_read_string(&in->reader, &text))
        return false;
    if (head != NULL)
        *(which == 0 ? &head->api_version : &head->kind) = text;
    return true;
}

static bool read_member(struct input *in, struct object *o, struct str key,
                        struct transcode_head *head, const struct step *up)
{
    const struct schema_field *outer = NULL;
    const struct schema_field *f = schema_find(o->m, key, &outer);
    struct step at = {up, key, -1, false};
    if (f == NULL) {
        if (o->m->typed && (str_is(key, "apiVersion") || str_is(key, "kind")))
            return read_head(in, o, key.at[0] == 'k', head, &at);
        note(in, "unknown", &at);
        return json_read_skip(&in->reader);
    }
    uint32_t order = (uint32_t)(f - (outer == NULL ? o->m : outer->message)->fields);
    if (outer != NULL)
        order += o->m->fields_count;
    uint32_t place = object_place(o, order);
    if (object_has(o, place, order))
        note(in, "duplicate", &at);
    o->in_order = o->in_order && outer == NULL && place == o->count;
    struct piece piece = {.order = order, .begin = (uint32_t)in->out->len};
    if (!read_field(in, f, &at))
        return false;
    piece.end = (uint32_t)in->out->len;
    return object_put(in, o, place, piece);
}

static bool read_object(struct input *in, const struct schema_message *m, const struct step *at,
                        struct transcode_head *head)
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

static bool read_root(struct input *in, const struct schema_message *m, struct transcode_head *head)
{
    enum json_type type;
    in->message = m;
    if (!json_read_type(&in->reader, &type))
        return false;
    if (type == JSON_NULL) /* Go leaves the object empty. */
        return json_read_null(&in->reader);
    if (type != JSON_OBJECT)
        return wrong_json(in, NULL, WHOLE, type, NULL);
    return read_object(in, m, NULL, head);
}

/* What to tell: text that is no JSON is that first of all, wherever its types are wrong too. */
static enum err_code verdict(struct input *in, bool ok, struct str text, struct err *e)
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

static enum err_code run(struct input *in, const struct schema_message *m, struct str text,
                         struct arena *a, struct transcode_notes *notes,
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
    struct input in;
    json_read_text(&in.reader, a, json);
    return run(&in, m, json, a, notes, head, out, e);
}

enum err_code transcode_from_tree(const struct schema_message *m, const struct json *root,
                                  struct arena *a, struct transcode_notes *notes,
                                  struct transcode_head *head, struct buf *out, struct err *e)
{
    struct input in;
    json_read_tree(&in.reader, a, root);
    return run(&in, m, STR(""), a, notes, head, out, e);
}
