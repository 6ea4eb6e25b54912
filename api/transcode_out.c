/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Canonical bytes to JSON: the fields of the table and those of the bytes are both in order of
 * their numbers, so one walk over both knows at each field whether it is there.
 */
#include "api/texts.h"
#include "api/transcode_priv.h"
#include "base/base64.h"

struct output {
    struct buf *out;
    struct texts *texts; /* NULL: nothing is kept. */
    bool corrupt, deep;
};

/* The fields of one message's bytes, one ahead. */
struct cursor {
    struct wire_reader reader;
    struct wire_field field;
    bool have;
};

static bool write_message(struct output *o, const struct schema_message *m, struct str bytes,
                          uint64_t revision, uint32_t depth);
static bool write_fields(struct output *o, const struct schema_message *m, struct str bytes,
                         bool *comma, uint64_t revision, uint32_t depth);

static bool corrupt(struct output *o)
{
    o->corrupt = true;
    return false;
}

/* Numbers that step back are not canonical: their field may have been passed already. */
static inline bool cursor_next(struct output *o, struct cursor *c)
{
    uint32_t number = c->field.number;
    c->have = wire_next(&c->reader, &c->field);
    return (!c->reader.broken && (!c->have || c->field.number >= number)) || corrupt(o);
}

static bool cursor_open(struct output *o, struct cursor *c, struct str bytes)
{
    c->reader = wire_read(bytes);
    c->field.number = 0;
    return cursor_next(o, c);
}

/* Values */

static void write_base64(struct buf *out, struct str bytes)
{
    size_t len = base64_encoded_len(bytes.len);
    buf_add_char(out, '"');
    char *room = buf_reserve(out, len);
    if (room != NULL && len > 0) {
        base64_encode(bytes, room);
        buf_commit(out, len);
    }
    buf_add_char(out, '"');
}

static bool write_scalar(struct output *o, enum schema_type type, const struct wire_field *w)
{
    enum wire_type want = type >= SCHEMA_STRING ? WIRE_BYTES : WIRE_VARINT;
    if (w->type != want)
        return corrupt(o);
    switch (type) {
    case SCHEMA_BOOL:
        buf_add(o->out, w->value != 0 ? STR("true") : STR("false"));
        break;
    case SCHEMA_INT32:
    case SCHEMA_ENUM:
        buf_add_i64(o->out, (int32_t)w->value);
        break;
    case SCHEMA_INT64:
        buf_add_i64(o->out, (int64_t)w->value);
        break;
    case SCHEMA_UINT32:
        buf_add_u64(o->out, (uint32_t)w->value);
        break;
    case SCHEMA_UINT64:
        buf_add_u64(o->out, w->value);
        break;
    case SCHEMA_STRING:
        json_print_string(o->out, w->bytes);
        break;
    case SCHEMA_BYTES:
        write_base64(o->out, w->bytes);
        break;
    case SCHEMA_MESSAGE:
        return corrupt(o);
    }
    return true;
}

static bool write_time(struct output *o, struct str bytes, bool micro)
{
    struct wall at;
    bool set;
    char text[WALL_TEXT_MAX];
    if (!transcode_time_get(bytes, &at, &set))
        return corrupt(o);
    if (!set) {
        buf_add(o->out, STR("null"));
        return true;
    }
    buf_add_char(o->out, '"');
    buf_add(o->out, str_from(text, micro ? wall_print_micro(at, text) : wall_print(at, text)));
    buf_add_char(o->out, '"');
    return true;
}

static bool write_int_or_string(struct output *o, struct str bytes)
{
    struct wire_reader r = wire_read(bytes);
    struct wire_field w;
    struct str text = {NULL, 0};
    int32_t number = 0;
    bool is_text = false;
    while (wire_next(&r, &w)) {
        if (w.number == INT_OR_STRING_TYPE && w.type == WIRE_VARINT)
            is_text = w.value == 1;
        else if (w.number == INT_OR_STRING_INT && w.type == WIRE_VARINT)
            number = (int32_t)w.value;
        else if (w.number == INT_OR_STRING_TEXT && w.type == WIRE_BYTES)
            text = w.bytes;
    }
    if (r.broken)
        return corrupt(o);
    if (is_text)
        json_print_string(o->out, text);
    else
        buf_add_i64(o->out, number);
    return true;
}

static bool write_strings(struct output *o, struct str bytes)
{
    struct wire_reader r = wire_read(bytes);
    struct wire_field w;
    bool comma = false;
    buf_add_char(o->out, '[');
    for (; wire_next(&r, &w); comma = true) {
        if (comma)
            buf_add_char(o->out, ',');
        if (!write_scalar(o, SCHEMA_STRING, &w))
            return false;
    }
    buf_add_char(o->out, ']');
    return !r.broken || corrupt(o);
}

static bool write_special(struct output *o, const struct schema_message *m, struct str bytes)
{
    struct str inside;
    switch (m->special) {
    case SCHEMA_PLAIN:
        break;
    case SCHEMA_TIME:
        return write_time(o, bytes, false);
    case SCHEMA_MICRO_TIME:
        return write_time(o, bytes, true);
    case SCHEMA_QUANTITY:
        inside = wire_find_bytes(bytes, QUANTITY_TEXT);
        json_print_string(o->out, inside.len == 0 ? STR("0") : inside);
        return true;
    case SCHEMA_INT_OR_STRING:
        return write_int_or_string(o, bytes);
    case SCHEMA_RAW_JSON:
        inside = wire_find_bytes(bytes, RAW_JSON_BYTES);
        buf_add(o->out, inside.len == 0 ? STR("null") : inside);
        return true;
    case SCHEMA_STRINGS:
        return write_strings(o, bytes);
    }
    return corrupt(o);
}

/* A message in spec or status. It is the same wherever the same message has the same bytes: no revision comes so deep, and
 * the depth is one. */
static bool write_part(struct output *o, const struct schema_message *m, struct str bytes)
{
    enum { PART_DEPTH = 2 };
    bool again = false;
    size_t begin = o->out->len;
    struct str kept = {NULL, 0};
    if (o->texts != NULL)
        kept = texts_find(o->texts, m, bytes, &again);
    if (kept.at != NULL) {
        buf_add(o->out, kept);
        return true;
    }
    if (!write_message(o, m, bytes, 0, PART_DEPTH))
        return false;
    if (again && !o->out->overflow)
        texts_keep(o->texts, m, bytes, str_slice(buf_str(o->out), begin, o->out->len));
    return true;
}

static bool write_value(struct output *o, const struct schema_field *f, const struct wire_field *w,
                        uint64_t revision, uint32_t depth)
{
    if (f->type == SCHEMA_STRING && w->type == WIRE_BYTES) { /* Most are. */
        json_print_string(o->out, w->bytes);
        return true;
    }
    if (f->type != SCHEMA_MESSAGE)
        return write_scalar(o, f->type, w);
    if (w->type != WIRE_BYTES)
        return corrupt(o);
    if (f->message->special != SCHEMA_PLAIN)
        return write_special(o, f->message, w->bytes);
    if (depth == 1)
        return write_part(o, f->message, w->bytes);
    return write_message(o, f->message, w->bytes, revision, depth + 1);
}

/* Fields */

static bool write_list(struct output *o, const struct schema_field *f, struct cursor *c,
                       uint32_t depth)
{
    bool comma = false;
    buf_add_char(o->out, '[');
    for (; c->have && c->field.number == f->number; comma = true) {
        if (comma)
            buf_add_char(o->out, ',');
        if (!write_value(o, f, &c->field, 0, depth) || !cursor_next(o, c))
            return false;
    }
    buf_add_char(o->out, ']');
    return true;
}

/* An entry without a value, which other encoders may write, holds the type's zero. */
static bool write_entry(struct output *o, const struct schema_field *f, struct str bytes,
                        uint32_t depth)
{
    struct wire_field value = {.type = f->type >= SCHEMA_STRING ? WIRE_BYTES : WIRE_VARINT};
    struct wire_field w;
    struct wire_reader r = wire_read(bytes);
    struct str key = {NULL, 0};
    while (wire_next(&r, &w)) {
        if (w.number == 1 && w.type == WIRE_BYTES)
            key = w.bytes;
        else if (w.number == 2)
            value = w;
    }
    if (r.broken)
        return corrupt(o);
    if (value.type == WIRE_BYTES && value.bytes.at == NULL)
        value.bytes = STR("");
    json_print_string(o->out, key);
    buf_add_char(o->out, ':');
    return write_value(o, f, &value, 0, depth);
}

static bool write_map(struct output *o, const struct schema_field *f, struct cursor *c,
                      uint32_t depth)
{
    bool comma = false;
    buf_add_char(o->out, '{');
    for (; c->have && c->field.number == f->number; comma = true) {
        if (comma)
            buf_add_char(o->out, ',');
        if (c->field.type != WIRE_BYTES)
            return corrupt(o);
        if (!write_entry(o, f, c->field.bytes, depth) || !cursor_next(o, c))
            return false;
    }
    buf_add_char(o->out, '}');
    return true;
}

/* Its length is not looked at where that is not needed: what is copied too much is written over. The first one has no
 * comma. */
static inline void write_key(struct output *o, const struct schema_field *f, bool *comma)
{
    char *room = buf_reserve(o->out, f->key.len > SCHEMA_KEY_SIZE ? f->key.len : SCHEMA_KEY_SIZE);
    size_t skip = !*comma;
    if (room == NULL)
        return;
    memcpy(room, f->key.at + skip, SCHEMA_KEY_SIZE - 1);
    if (__builtin_expect(f->key.len > SCHEMA_KEY_SIZE - 1, 0))
        memcpy(room, f->key.at + skip, f->key.len - skip);
    o->out->len += f->key.len - skip;
    *comma = true;
}

/* What JSON shows for a field that is not there but always shown: null where absent and zero differ (a pointer
 * without omitempty in Kubernetes' Go types). Lists of objects are never null. */
static bool write_absent(struct output *o, const struct schema_message *m,
                         const struct schema_field *f, bool *comma, uint32_t depth)
{
    static const struct wire_field none[] = {[WIRE_VARINT] = {.type = WIRE_VARINT},
                                             [WIRE_BYTES] = {.type = WIRE_BYTES, .bytes = {"", 0}}};
    bool is_items = m->typed && f->repeated && str_is(f->json, "items");
    write_key(o, f, comma);
    if (f->repeated || f->map || f->presence) {
        buf_add(o->out, is_items ? STR("[]") : STR("null"));
        return true;
    }
    return write_value(o, f, &none[f->type >= SCHEMA_STRING ? WIRE_BYTES : WIRE_VARINT], 0, depth);
}

/* On to the next field, which must be another one. */
static inline bool write_once(struct output *o, const struct schema_field *f, struct cursor *c)
{
    return cursor_next(o, c) && (!c->have || c->field.number != f->number || corrupt(o));
}

static bool write_present(struct output *o, const struct schema_field *f, struct cursor *c,
                          bool *comma, uint64_t revision, uint32_t depth)
{
    if (f->type == SCHEMA_STRING && !f->repeated && !f->map) { /* Half of all fields. */
        if (c->field.type != WIRE_BYTES)
            return corrupt(o);
        write_key(o, f, comma);
        json_print_string(o->out, c->field.bytes);
        return write_once(o, f, c);
    }
    if (f->inlined) {
        if (c->field.type != WIRE_BYTES ||
            !write_fields(o, f->message, c->field.bytes, comma, 0, depth + 1))
            return corrupt(o);
        return cursor_next(o, c);
    }
    write_key(o, f, comma);
    if (f->repeated)
        return write_list(o, f, c, depth);
    if (f->map)
        return write_map(o, f, c, depth);
    return write_value(o, f, &c->field, revision, depth) && write_once(o, f, c);
}

/* A field that the bytes do not have. */
static bool write_missing(struct output *o, const struct schema_message *m,
                          const struct schema_field *f, bool *comma, uint32_t depth)
{
    if (f->inlined)
        return write_fields(o, f->message, STR(""), comma, 0, depth + 1);
    return !f->always || write_absent(o, m, f, comma, depth);
}

/* The fields from index from on and before index to that are not in the bytes and show all the same. */
static bool write_shown(struct output *o, const struct schema_message *m, uint32_t from,
                        uint32_t to, bool *comma, uint32_t depth)
{
    for (uint32_t i = m->shown[from]; i < to; i = m->shown[i + 1])
        if (!write_missing(o, m, &m->fields[i], comma, depth))
            return false;
    return true;
}

/* Most times there is none, and no call. A message without fields has no row of shown ones. */
static inline bool write_gap(struct output *o, const struct schema_message *m, uint32_t from,
                             uint32_t to, bool *comma, uint32_t depth)
{
    return from == m->fields_count || m->shown[from] >= to ||
           write_shown(o, m, from, to, comma, depth);
}

/* What is before index to, with resourceVersion among it: as we say, whether the bytes have it or not. */
static bool write_gap_version(struct output *o, const struct schema_message *m, uint32_t from,
                              uint32_t version, uint32_t to, bool *comma, uint64_t revision,
                              uint32_t depth)
{
    if (!write_gap(o, m, from, version, comma, depth))
        return false;
    write_key(o, &m->fields[version], comma);
    buf_add_char(o->out, '"');
    buf_add_u64(o->out, revision);
    buf_add_char(o->out, '"');
    return write_gap(o, m, version + 1, to, comma, depth);
}

/* Index of resourceVersion in a metadata whose object is said to have that revision; UINT32_MAX: it is as it is. */
static uint32_t version_index(const struct schema_message *m, uint64_t revision, uint32_t depth)
{
    if (depth != 1 || revision == 0)
        return UINT32_MAX;
    const struct schema_field *f = schema_find(m, STR("resourceVersion"), NULL);
    return f == NULL ? UINT32_MAX : (uint32_t)(f - m->fields);
}

/* revision at the object's own level goes on to its metadata, and there to resourceVersion. */
static bool write_fields(struct output *o, const struct schema_message *m, struct str bytes,
                         bool *comma, uint64_t revision, uint32_t depth)
{
    struct cursor c;
    uint32_t next = 0,
             version = version_index(m, revision, depth); /* All before next is written. */
    if (!cursor_open(o, &c, bytes))
        return false;
    while (c.have) {
        uint32_t number = c.field.number, at = schema_index(m, number);
        bool is_version = at == version, is_past_version = version >= next && version < at;
        if (at == SCHEMA_NO_FIELD || is_version) {
            if (!cursor_next(o, &c))
                return false;
            continue;
        }
        if (!(is_past_version ? write_gap_version(o, m, next, version, at, comma, revision, depth)
                              : write_gap(o, m, next, at, comma, depth)) ||
            !write_present(o, &m->fields[at], &c, comma, depth == 0 && number == 1 ? revision : 0,
                           depth))
            return false;
        next = at + 1;
    }
    return version >= next && version != UINT32_MAX
               ? write_gap_version(o, m, next, version, m->fields_count, comma, revision, depth)
               : write_gap(o, m, next, m->fields_count, comma, depth);
}

static bool write_message(struct output *o, const struct schema_message *m, struct str bytes,
                          uint64_t revision, uint32_t depth)
{
    bool comma = false;
    if (depth == TRANSCODE_DEPTH_MAX) {
        o->deep = true;
        return false;
    }
    buf_add_char(o->out, '{');
    if (!write_fields(o, m, bytes, &comma, revision, depth))
        return false;
    buf_add_char(o->out, '}');
    return true;
}

static bool write_root(struct output *o, const struct schema_message *m, struct str bytes,
                       const struct transcode_json *how)
{
    bool comma = false;
    buf_add_char(o->out, '{');
    if (how->kind.at != NULL) {
        buf_add(o->out, STR("\"kind\":"));
        json_print_string(o->out, how->kind);
        comma = true;
    }
    if (how->api_version.at != NULL) {
        buf_add(o->out, comma ? STR(",\"apiVersion\":") : STR("\"apiVersion\":"));
        json_print_string(o->out, how->api_version);
        comma = true;
    }
    if (!write_fields(o, m, bytes, &comma, how->resource_version, 0))
        return false;
    buf_add_char(o->out, '}');
    return true;
}

enum err_code transcode_to_json(const struct schema_message *m, struct str bytes,
                                const struct transcode_json *how, struct buf *out, struct err *e)
{
    static const struct transcode_json plain = {0};
    struct output o = {.out = out, .texts = how == NULL ? NULL : how->texts};
    size_t before = out->len;
    enum err_code code = ERR_OK;

    bool ok = write_root(&o, m, bytes, how == NULL ? &plain : how);
    if (out->overflow)
        code = buf_status(out, e);
    else if (o.deep)
        code = err_set(e, ERR_LIMIT, STR_FMT " nests too deeply", STR_ARG(m->name));
    else if (!ok)
        code = err_set(e, ERR_CORRUPT, "not the bytes of a " STR_FMT, STR_ARG(m->name));
    if (code != ERR_OK)
        out->len = before;
    return code;
}

/* By way of the text: patches and the CLI want trees, and both are rare beside reads. */
enum err_code transcode_to_tree(const struct schema_message *m, struct str bytes,
                                const struct transcode_json *how, struct arena *a,
                                struct json **out, struct err *e)
{
    struct buf text;
    buf_init(&text, a->limit);
    enum err_code code = transcode_to_json(m, bytes, how, &text, e);
    if (code == ERR_OK) {
        struct str copy = arena_str(a, buf_str(&text));
        code = copy.at == NULL ? arena_status(a, e) : json_parse(a, copy, out, e);
    }
    buf_free(&text);
    return code;
}
