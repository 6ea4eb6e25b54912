/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protobuf from elsewhere to canonical bytes, and the envelope around them.
 */
#include "api/quantity.h"
#include "api/transcode_priv.h"
#include "base/jsonread.h"

#include <stdlib.h>

/* A field of the message that is being put into order; place breaks ties. */
struct item {
    struct wire_field w;
    uint32_t place;
};

struct canon {
    struct arena *arena;
    struct buf *out;
    struct buf scratch;
    struct item *items; /* A stack: each open message's fields. */
    uint32_t items_used, items_size;
    struct err err;
};

static bool canon_message(struct canon *c, const struct schema_message *m, struct str bytes,
                          uint32_t depth);

static bool canon_fail(struct canon *c, enum err_code code, const char *text,
                       const struct schema_field *f)
{
    if (c->err.code == ERR_OK)
        (void)err_set(&c->err, code, "proto: field " STR_FMT ": %s", STR_ARG(f->json), text);
    return false;
}

static bool canon_push(struct canon *c, const struct wire_field *w)
{
    if (c->items_used == c->items_size) {
        uint32_t size = c->items_size == 0 ? 256 : 2 * c->items_size;
        struct item *more = arena_alloc(c->arena, size * sizeof *more);
        if (more == NULL)
            return false;
        if (c->items_used > 0)
            memcpy(more, c->items, c->items_used * sizeof *more);
        c->items = more;
        c->items_size = size;
    }
    c->items[c->items_used] = (struct item){*w, c->items_used};
    c->items_used++;
    return true;
}

static int by_number_and_place(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    int order = (x->w.number > y->w.number) - (x->w.number < y->w.number);
    return order != 0 ? order : (x->place > y->place) - (x->place < y->place);
}

/* Values. keep: zero is written too. */

static bool canon_scalar(struct canon *c, const struct schema_field *f, const struct wire_field *w,
                         uint32_t number, bool keep)
{
    uint64_t value = w->value;
    if (w->type != (f->type >= SCHEMA_STRING ? WIRE_BYTES : WIRE_VARINT))
        return canon_fail(c, ERR_INVALID, "wrong wireType", f);
    if (f->type >= SCHEMA_STRING) {
        if (f->type == SCHEMA_STRING && !transcode_is_text(w->bytes))
            return canon_fail(c, ERR_INVALID, "text is no UTF-8, or holds NUL", f);
        if (keep || w->bytes.len > 0)
            wire_put_bytes(c->out, number, w->bytes);
        return true;
    }
    if (f->type == SCHEMA_BOOL)
        value = value != 0;
    else if (f->type == SCHEMA_INT32 || f->type == SCHEMA_ENUM)
        value = (uint64_t)(int64_t)(int32_t)value;
    else if (f->type == SCHEMA_UINT32)
        value = (uint32_t)value;
    if (keep || value != 0)
        wire_put_u64(c->out, number, value);
    return true;
}

static bool canon_time(struct canon *c, const struct schema_field *f, struct str bytes)
{
    struct wall at;
    bool set;
    if (!transcode_time_get(bytes, &at, &set))
        return canon_fail(c, ERR_INVALID, "no time between 1678 and 2262", f);
    if (set)
        transcode_time_put(c->out, at, f->message->special == SCHEMA_MICRO_TIME);
    return true;
}

static bool canon_quantity(struct canon *c, struct str bytes, bool optional)
{
    struct str text = wire_find_bytes(bytes, QUANTITY_TEXT);
    char canonical[QUANTITY_TEXT_MAX];
    size_t len = 0;
    if (quantity_canonical(text.len == 0 ? STR("0") : text, canonical, &len, &c->err) != ERR_OK)
        return false;
    transcode_quantity_put(c->out, str_from(canonical, len), optional);
    return true;
}

static bool canon_int_or_string(struct canon *c, const struct schema_field *f, struct str bytes)
{
    struct wire_reader r = wire_read(bytes);
    struct wire_field w, number = {.type = WIRE_VARINT}, text = {.type = WIRE_BYTES};
    const struct schema_field *parts = f->message->fields;
    bool is_text = false;
    while (wire_next(&r, &w)) {
        if (w.number == INT_OR_STRING_TYPE)
            is_text = w.value == 1;
        else if (w.number == INT_OR_STRING_INT)
            number = w;
        else if (w.number == INT_OR_STRING_TEXT)
            text = w;
    }
    if (!is_text)
        return canon_scalar(c, &parts[INT_OR_STRING_INT - 1], &number, INT_OR_STRING_INT, false);
    wire_put_u64(c->out, INT_OR_STRING_TYPE, 1);
    return canon_scalar(c, &parts[INT_OR_STRING_TEXT - 1], &text, INT_OR_STRING_TEXT, false);
}

static bool canon_raw(struct canon *c, const struct schema_field *f, struct str bytes)
{
    struct str raw = wire_find_bytes(bytes, RAW_JSON_BYTES);
    struct json *tree = NULL;
    struct err ignored;
    if (raw.len == 0)
        return true;
    if (json_parse(c->arena, raw, &tree, &ignored) != ERR_OK)
        return canon_fail(c, ERR_INVALID, "is no JSON", f);
    size_t begin = wire_begin(c->out, RAW_JSON_BYTES);
    json_print(c->out, tree);
    wire_end(c->out, begin);
    return true;
}

static bool canon_body(struct canon *c, const struct schema_field *f, struct str bytes, bool keep,
                       uint32_t depth)
{
    switch (f->message->special) {
    case SCHEMA_PLAIN:
    case SCHEMA_STRINGS:
        return canon_message(c, f->message, bytes, depth + 1);
    case SCHEMA_TIME:
    case SCHEMA_MICRO_TIME:
        return canon_time(c, f, bytes);
    case SCHEMA_QUANTITY:
        return canon_quantity(c, bytes, f->always && !keep);
    case SCHEMA_INT_OR_STRING:
        return canon_int_or_string(c, f, bytes);
    case SCHEMA_RAW_JSON:
        return canon_raw(c, f, bytes);
    }
    return false;
}

static bool canon_value(struct canon *c, const struct schema_field *f, const struct wire_field *w,
                        uint32_t number, bool keep, uint32_t depth)
{
    if (f->type != SCHEMA_MESSAGE)
        return canon_scalar(c, f, w, number, keep);
    if (w->type != WIRE_BYTES)
        return canon_fail(c, ERR_INVALID, "wrong wireType", f);
    size_t before = c->out->len, begin = wire_begin(c->out, number);
    if (!canon_body(c, f, w->bytes, keep, depth))
        return false;
    if (!keep && c->out->len == begin &&
        (f->always || f->inlined || transcode_is_null_when_empty(f->message)))
        c->out->len = before;
    else
        wire_end(c->out, begin);
    return true;
}

/* Fields: all occurrences of one number, items [from, to). */

static bool canon_list(struct canon *c, const struct schema_field *f, uint32_t from, uint32_t to,
                       uint32_t depth)
{
    for (uint32_t i = from; i < to; i++) {
        struct wire_field w = c->items[i].w;
        if (w.type != WIRE_BYTES || f->type >= SCHEMA_STRING) {
            if (!canon_value(c, f, &w, f->number, true, depth))
                return false;
            continue;
        }
        struct wire_reader packed = wire_read(w.bytes);
        struct wire_field one = {.number = f->number, .type = WIRE_VARINT};
        while (wire_varint(&packed, &one.value)) {
            if (!canon_scalar(c, f, &one, f->number, true))
                return false;
        }
        if (packed.broken)
            return canon_fail(c, ERR_CORRUPT, "broken packed list", f);
    }
    return true;
}

static bool canon_entry(struct canon *c, const struct schema_field *f, struct str bytes,
                        struct str *key, uint32_t depth)
{
    struct wire_field value = {.type = f->type >= SCHEMA_STRING ? WIRE_BYTES : WIRE_VARINT}, w;
    struct wire_reader r = wire_read(bytes);
    value.bytes = STR("");
    *key = STR("");
    while (wire_next(&r, &w)) {
        if (w.number == 1 && w.type == WIRE_BYTES)
            *key = w.bytes;
        else if (w.number == 2)
            value = w;
    }
    if (r.broken)
        return canon_fail(c, ERR_CORRUPT, "broken entry", f);
    if (!transcode_is_text(*key))
        return canon_fail(c, ERR_INVALID, "a key is no UTF-8, or holds NUL", f);
    wire_put_bytes(c->out, 1, *key);
    return canon_value(c, f, &value, 2, true, depth);
}

static bool canon_map(struct canon *c, const struct schema_field *f, uint32_t from, uint32_t to,
                      uint32_t depth)
{
    struct transcode_entries entries = {.sorted = true};
    size_t begin = c->out->len;
    for (uint32_t i = from; i < to; i++) {
        struct transcode_entry entry = {.begin = (uint32_t)c->out->len};
        if (c->items[i].w.type != WIRE_BYTES)
            return canon_fail(c, ERR_INVALID, "wrong wireType", f);
        size_t inside = wire_begin(c->out, f->number);
        if (!canon_entry(c, f, c->items[i].w.bytes, &entry.key, depth))
            return false;
        wire_end(c->out, inside);
        entry.end = (uint32_t)c->out->len;
        if (!transcode_entries_add(&entries, c->arena, entry))
            return false;
    }
    transcode_entries_sort(&entries, NULL, NULL);
    transcode_entries_apply(&entries, c->out, begin, &c->scratch);
    return true;
}

/* A message given in parts is their bytes one behind the other (protobuf, "Last One Wins"). */
static bool canon_joined(struct canon *c, const struct schema_field *f, uint32_t from, uint32_t to,
                         uint32_t depth)
{
    struct wire_field whole = {.number = f->number, .type = WIRE_BYTES};
    size_t len = 0;
    for (uint32_t i = from; i < to; i++)
        len += c->items[i].w.bytes.len;
    char *at = arena_alloc(c->arena, len + 1);
    if (at == NULL)
        return false;
    whole.bytes = str_from(at, len);
    for (uint32_t i = from; i < to; i++)
        at = str_put(at, c->items[i].w.bytes);
    return canon_value(c, f, &whole, f->number, f->presence, depth);
}

static bool canon_field(struct canon *c, const struct schema_field *f, uint32_t from, uint32_t to,
                        uint32_t depth)
{
    if (f->repeated)
        return canon_list(c, f, from, to, depth);
    if (f->map)
        return canon_map(c, f, from, to, depth);
    if (f->type == SCHEMA_MESSAGE && to - from > 1)
        return canon_joined(c, f, from, to, depth);
    struct wire_field last = c->items[to - 1].w;
    return canon_value(c, f, &last, f->number, f->presence, depth);
}

static bool canon_message(struct canon *c, const struct schema_message *m, struct str bytes,
                          uint32_t depth)
{
    struct wire_reader r = wire_read(bytes);
    struct wire_field w;
    uint32_t base = c->items_used, last = 0;
    bool in_order = true;

    if (depth == TRANSCODE_DEPTH_MAX) {
        (void)err_set(&c->err, ERR_LIMIT, "proto: exceeded max depth");
        return false;
    }
    for (; wire_next(&r, &w); last = w.number) {
        in_order = in_order && w.number >= last;
        if (!canon_push(c, &w))
            return false;
    }
    if (r.broken) {
        (void)err_set(&c->err, ERR_CORRUPT, "unexpected EOF");
        return false;
    }
    if (!in_order)
        qsort(c->items + base, c->items_used - base, sizeof *c->items, by_number_and_place);
    for (uint32_t from = base, to, end = c->items_used; from < end; from = to) {
        const struct schema_field *f = schema_numbered(m, c->items[from].w.number);
        for (to = from + 1; to < end && c->items[to].w.number == c->items[from].w.number;)
            to++;
        if (f != NULL && !canon_field(c, f, from, to, depth))
            return false;
    }
    c->items_used = base;
    return !c->out->overflow && !c->scratch.overflow;
}

enum err_code transcode_from_protobuf(const struct schema_message *m, struct str bytes,
                                      struct arena *a, struct buf *out, struct err *e)
{
    struct canon c = {.arena = a, .out = out};
    size_t before = out->len;
    buf_init(&c.scratch, out->limit);
    bool ok = canon_message(&c, m, bytes, 0);
    buf_free(&c.scratch);
    if (ok)
        return ERR_OK;
    out->len = before;
    if (c.err.code != ERR_OK)
        return err_set(e, c.err.code, "%s", c.err.text);
    return err_set(e, ERR_LIMIT, "object is too big to decode");
}

bool transcode_put_special(const struct schema_field *f, uint32_t number, struct str bytes,
                           bool keep, struct arena *a, struct buf *out, struct err *e)
{
    struct canon c = {.arena = a, .out = out};
    struct wire_field w = {.number = number, .type = WIRE_BYTES, .bytes = bytes};
    if (canon_value(&c, f, &w, number, keep, 0))
        return true;
    if (c.err.code != ERR_OK)
        (void)err_set(e, c.err.code, "%s", c.err.text);
    return false;
}

/* Envelope (k8s.io/apimachinery/pkg/runtime: Unknown) */

static const struct str magic = {"k8s\0", 4};

enum { UNKNOWN_TYPE_META = 1, UNKNOWN_RAW = 2, UNKNOWN_ENCODING = 3, UNKNOWN_CONTENT_TYPE = 4 };
enum { TYPE_META_API_VERSION = 1, TYPE_META_KIND = 2 };

enum err_code transcode_open(struct str bytes, struct transcode_envelope *out, struct err *e)
{
    struct transcode_envelope found = {.raw = STR("")};
    struct wire_field w;
    if (!str_starts(bytes, magic))
        return err_set(e, ERR_INVALID,
                       "provided data does not appear to be a protobuf message, "
                       "expected prefix [107 56 115 0]");
    if (bytes.len == magic.len)
        return err_set(e, ERR_INVALID, "empty body");
    struct wire_reader r = wire_read(str_slice(bytes, magic.len, bytes.len));
    while (wire_next(&r, &w)) {
        if (w.number == UNKNOWN_TYPE_META && w.type == WIRE_BYTES) {
            found.head.api_version = wire_find_bytes(w.bytes, TYPE_META_API_VERSION);
            found.head.kind = wire_find_bytes(w.bytes, TYPE_META_KIND);
        } else if (w.number == UNKNOWN_RAW && w.type == WIRE_BYTES) {
            found.raw = w.bytes;
        }
    }
    if (r.broken)
        return err_set(e, ERR_CORRUPT, "unexpected EOF");
    if (!transcode_is_text(found.head.api_version) || !transcode_is_text(found.head.kind))
        return err_set(e, ERR_INVALID, "proto: the envelope's texts are no UTF-8, or hold NUL");
    *out = found;
    return ERR_OK;
}

struct str transcode_raw(struct str bytes)
{
    static const struct str tail = STR("\x1a\0\x22\0"); /* As transcode_wrap_end() has it. */
    struct wire_reader r = wire_read(str_slice(bytes, magic.len, bytes.len));
    uint64_t tag, len;
    if (!str_starts(bytes, magic) || !wire_varint(&r, &tag) ||
        tag != (UNKNOWN_TYPE_META << 3 | WIRE_BYTES) || !wire_varint(&r, &len) ||
        len > (uint64_t)(r.end - r.at))
        return (struct str){NULL, 0};
    r.at += len;
    if (!wire_varint(&r, &tag) || tag != (UNKNOWN_RAW << 3 | WIRE_BYTES) ||
        !wire_varint(&r, &len) ||
        len != (uint64_t)(r.end - r.at) - min_size(tail.len, (size_t)(r.end - r.at)))
        return (struct str){NULL, 0};
    struct str raw = str_from(r.at, (size_t)len);
    return str_ends(bytes, tail) ? raw : (struct str){NULL, 0};
}

static void put_head(const struct transcode_head *head, struct buf *out)
{
    buf_add(out, magic);
    size_t begin = wire_begin(out, UNKNOWN_TYPE_META);
    wire_put_bytes(out, TYPE_META_API_VERSION, head->api_version);
    wire_put_bytes(out, TYPE_META_KIND, head->kind);
    wire_end(out, begin);
}

size_t transcode_wrap_open(const struct transcode_head *head, struct buf *out)
{
    put_head(head, out);
    return wire_begin(out, UNKNOWN_RAW);
}

void transcode_wrap_close(size_t begin, struct buf *out)
{
    wire_end(out, begin);
    transcode_wrap_end(out);
}

void transcode_wrap_begin(const struct transcode_head *head, size_t raw_len, struct buf *out)
{
    put_head(head, out);
    wire_put_tag(out, UNKNOWN_RAW, WIRE_BYTES);
    wire_put_varint(out, raw_len);
}

/* contentEncoding and contentType, which Kubernetes writes empty. */
void transcode_wrap_end(struct buf *out)
{
    wire_put_bytes(out, UNKNOWN_ENCODING, STR(""));
    wire_put_bytes(out, UNKNOWN_CONTENT_TYPE, STR(""));
}

size_t transcode_wrap_len(const struct transcode_head *head, size_t raw_len)
{
    size_t type = wire_bytes_len(TYPE_META_API_VERSION, head->api_version.len) +
                  wire_bytes_len(TYPE_META_KIND, head->kind.len);
    return magic.len + wire_bytes_len(UNKNOWN_TYPE_META, type) +
           wire_bytes_len(UNKNOWN_RAW, raw_len) + wire_bytes_len(UNKNOWN_ENCODING, 0) +
           wire_bytes_len(UNKNOWN_CONTENT_TYPE, 0);
}

void transcode_wrap(const struct transcode_envelope *from, struct buf *out)
{
    transcode_wrap_begin(&from->head, from->raw.len, out);
    buf_add(out, from->raw);
    transcode_wrap_end(out);
}

/* resourceVersion */

static void put_version(struct buf *out, uint32_t number, uint64_t *revision)
{
    char text[24];
    struct buf digits = {.at = text, .size = sizeof text, .limit = sizeof text};
    if (*revision == 0)
        return;
    buf_add_u64(&digits, *revision);
    wire_put_bytes(out, number, buf_str(&digits));
    *revision = 0;
}

static void put_field(struct buf *out, const struct wire_field *w)
{
    if (w->type == WIRE_BYTES)
        wire_put_bytes(out, w->number, w->bytes);
    else
        wire_put_u64(out, w->number, w->value); /* Ours has no fixed-width fields. */
}

static bool copy_metadata(struct buf *out, const struct schema_message *m, struct str bytes,
                          uint64_t revision)
{
    const struct schema_field *f = schema_find(m, STR("resourceVersion"), NULL);
    struct wire_reader r = wire_read(bytes);
    struct wire_field w;
    while (wire_next(&r, &w)) {
        if (f != NULL && w.number >= f->number)
            put_version(out, f->number, &revision);
        if (f == NULL || w.number != f->number)
            put_field(out, &w);
    }
    if (f != NULL)
        put_version(out, f->number, &revision);
    return !r.broken;
}

enum err_code transcode_set_version(const struct schema_message *m, struct str bytes,
                                    uint64_t revision, struct buf *out, struct err *e)
{
    const struct schema_field *metadata = schema_numbered(m, 1);
    struct wire_reader r = wire_read(bytes);
    struct wire_field w = {.bytes = STR("")};
    size_t before = out->len;
    bool ok = metadata != NULL && metadata->message != NULL;
    bool have = ok && wire_next(&r, &w), first = have && w.number == 1 && w.type == WIRE_BYTES;

    if (ok && (first || revision != 0)) {
        size_t begin = wire_begin(out, 1);
        ok = copy_metadata(out, metadata->message, first ? w.bytes : STR(""), revision);
        if (out->len == begin)
            out->len = before;
        else
            wire_end(out, begin);
    }
    if (have && !first)
        put_field(out, &w);
    while (ok && wire_next(&r, &w))
        put_field(out, &w);
    if (ok && !r.broken)
        return buf_status(out, e);
    out->len = before;
    return err_set(e, ERR_CORRUPT, "not the bytes of a " STR_FMT, STR_ARG(m->name));
}
