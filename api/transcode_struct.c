/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes to protobuf-c structs and back, each in one walk by the schema table, whose fields stand in
 * the order of the descriptor's. protobuf-c's own functions recurse as deeply as the bytes say, take
 * any bytes for text, know nothing of the canonical form, and cost three times as much.
 */
#include "api/transcode_priv.h"
#include "base/check.h"

enum { SPECIAL_MAX = 256 }; /* A time, a number or a text: longer ones go to the arena. */

/* ---- bytes to struct ---- */

struct unpacking {
    struct arena *arena;
    struct err *e;
    uint32_t depth;
};

static ProtobufCMessage *unpack_message(struct unpacking *u, const struct schema_message *m,
                                        struct str bytes);

static void *member(const ProtobufCMessage *of, unsigned offset)
{
    return (char *)of + offset;
}

static const ProtobufCFieldDescriptor *descriptor_of(const struct schema_message *m,
                                                     const struct schema_field *f)
{
    return &m->type->fields[f - m->fields];
}

static bool is_bytes(const struct schema_field *f)
{
    return f->map || f->type >= SCHEMA_STRING;
}

static bool unpack_fail(struct unpacking *u, const struct schema_field *f, const char *why)
{
    (void)err_set(u->e, ERR_CORRUPT, STR_FMT " %s", STR_ARG(f->json), why);
    return false;
}

static ProtobufCMessage *new_message(struct unpacking *u, const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *made = arena_alloc(u->arena, type->sizeof_message);
    if (made != NULL)
        type->message_init(made);
    return made;
}

static bool unpack_text(struct unpacking *u, const struct schema_field *f, struct str bytes,
                        char **out)
{
    if (!transcode_is_text(bytes))
        return unpack_fail(u, f, "is no text");
    *out = arena_dup(u->arena, bytes);
    return *out != NULL;
}

/* One value of the field's type, without its has_: the caller's. */
static bool unpack_value(struct unpacking *u, const struct schema_field *f,
                         const struct wire_field *w, void *at)
{
    switch (f->type) {
    case SCHEMA_BOOL:
        *(protobuf_c_boolean *)at = w->value != 0;
        return true;
    case SCHEMA_INT32:
    case SCHEMA_UINT32:
    case SCHEMA_ENUM:
        *(uint32_t *)at = (uint32_t)w->value;
        return true;
    case SCHEMA_INT64:
    case SCHEMA_UINT64:
        *(uint64_t *)at = w->value;
        return true;
    case SCHEMA_STRING:
        return unpack_text(u, f, w->bytes, at);
    case SCHEMA_BYTES: {
        ProtobufCBinaryData *data = at;
        data->len = w->bytes.len;
        data->data = (uint8_t *)arena_dup(u->arena, w->bytes);
        return data->data != NULL;
    }
    case SCHEMA_MESSAGE:
        return (*(ProtobufCMessage **)at = unpack_message(u, f->message, w->bytes)) != NULL;
    }
    return false;
}

/* An entry's struct: key, then value. */
static ProtobufCMessage *unpack_entry(struct unpacking *u, const struct schema_field *f,
                                      const ProtobufCMessageDescriptor *type, struct str bytes)
{
    struct wire_reader r = wire_read(bytes);
    struct wire_field w;
    ProtobufCMessage *entry = new_message(u, type);
    while (entry != NULL && wire_next(&r, &w)) {
        const ProtobufCFieldDescriptor *d = &type->fields[w.number == 1 ? 0 : 1];
        bool text = w.number == 1 || f->type >= SCHEMA_STRING;
        bool ok = w.type == (text ? WIRE_BYTES : WIRE_VARINT);
        if (w.number > 2)
            continue;
        if (w.number == 1)
            ok = ok && unpack_text(u, f, w.bytes, member(entry, d->offset));
        else
            ok = ok && unpack_value(u, f, &w, member(entry, d->offset));
        if (!ok)
            return NULL;
        if (d->label == PROTOBUF_C_LABEL_OPTIONAL && d->quantifier_offset != 0)
            *(protobuf_c_boolean *)member(entry, d->quantifier_offset) = 1;
    }
    return r.broken ? NULL : entry;
}

static size_t element_size(const struct schema_field *f)
{
    if (is_bytes(f))
        return !f->map && f->type == SCHEMA_BYTES ? sizeof(ProtobufCBinaryData) : sizeof(void *);
    return f->type == SCHEMA_BOOL                                ? sizeof(protobuf_c_boolean)
           : f->type == SCHEMA_INT64 || f->type == SCHEMA_UINT64 ? sizeof(uint64_t)
                                                                 : sizeof(uint32_t);
}

/* A list of numbers may also come packed: many in one field. */
static bool is_packed(const struct schema_field *f, const struct wire_field *w)
{
    return !is_bytes(f) && w->type == WIRE_BYTES;
}

static size_t elements_in(const struct schema_field *f, const struct wire_field *w)
{
    struct wire_reader r = wire_read(w->bytes);
    uint64_t value;
    size_t count = 0;
    if (!is_packed(f, w))
        return 1;
    while (wire_varint(&r, &value))
        count++;
    return count;
}

/* Room for what this run of fields adds. Canonical bytes have one run of each number. */
static char *list_grow(struct unpacking *u, const struct schema_field *f, char **list, size_t have,
                       struct wire_reader ahead, struct wire_field w, uint32_t *out_fields)
{
    size_t count = 0, size = element_size(f);
    *out_fields = 0;
    do {
        count += elements_in(f, &w);
        ++*out_fields;
    } while (wire_next(&ahead, &w) && w.number == f->number);
    char *grown = arena_alloc(u->arena, (have + count) * size + 1);
    if (grown != NULL && have > 0)
        memcpy(grown, *list, have * size);
    if (grown != NULL)
        *list = grown;
    return grown == NULL ? NULL : grown + have * size;
}

/* One field's elements, at *at, which moves behind them. */
static bool unpack_elements(struct unpacking *u, const struct schema_field *f,
                            const ProtobufCFieldDescriptor *d, const struct wire_field *w,
                            char **at, size_t *count)
{
    struct wire_field one = {.number = w->number, .type = WIRE_VARINT};
    if (is_packed(f, w)) {
        struct wire_reader r = wire_read(w->bytes);
        for (; wire_varint(&r, &one.value); *at += element_size(f), ++*count)
            (void)unpack_value(u, f, &one, *at);
        return !r.broken || unpack_fail(u, f, "is a broken packed list");
    }
    if (w->type != (is_bytes(f) ? WIRE_BYTES : WIRE_VARINT))
        return unpack_fail(u, f, "has a wrong wire type");
    if (f->map) {
        ProtobufCMessage *entry = unpack_entry(u, f, d->descriptor, w->bytes);
        memcpy(*at, &entry, sizeof entry);
        if (entry == NULL)
            return unpack_fail(u, f, "has a broken entry");
    } else if (!unpack_value(u, f, w, *at)) {
        return false;
    }
    *at += element_size(f);
    ++*count;
    return true;
}

/* w and the fields of its number that follow it. */
static bool unpack_list(struct unpacking *u, const struct schema_field *f,
                        const ProtobufCFieldDescriptor *d, ProtobufCMessage *into,
                        struct wire_field *w, struct wire_reader *r)
{
    size_t *count = member(into, d->quantifier_offset);
    uint32_t fields;
    char *at = list_grow(u, f, member(into, d->offset), *count, *r, *w, &fields);
    if (at == NULL)
        return false;
    for (uint32_t i = 0; i < fields; i++) {
        if (i > 0 && !wire_next(r, w))
            return false;
        if (!unpack_elements(u, f, d, w, &at, count))
            return false;
    }
    return true;
}

static bool unpack_field(struct unpacking *u, const struct schema_message *m,
                         const struct schema_field *f, ProtobufCMessage *into, struct wire_field *w,
                         struct wire_reader *r)
{
    const ProtobufCFieldDescriptor *d = descriptor_of(m, f);
    void *at = member(into, d->offset);
    if (f->repeated || f->map)
        return unpack_list(u, f, d, into, w, r);
    if (w->type != (is_bytes(f) ? WIRE_BYTES : WIRE_VARINT))
        return unpack_fail(u, f, "has a wrong wire type");
    if (f->type == SCHEMA_MESSAGE && *(ProtobufCMessage **)at != NULL)
        return unpack_fail(u, f, "comes in parts"); /* Never in canonical bytes. */
    if (d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        *(uint32_t *)member(into, d->quantifier_offset) = d->id;
    else if (f->type != SCHEMA_STRING && f->type != SCHEMA_MESSAGE)
        *(protobuf_c_boolean *)member(into, d->quantifier_offset) = 1;
    return unpack_value(u, f, w, at);
}

static ProtobufCMessage *unpack_message(struct unpacking *u, const struct schema_message *m,
                                        struct str bytes)
{
    struct wire_reader r = wire_read(bytes);
    struct wire_field w;
    if (u->depth == TRANSCODE_DEPTH_MAX) {
        (void)err_set(u->e, ERR_LIMIT, STR_FMT " nests too deeply", STR_ARG(m->name));
        return NULL;
    }
    ProtobufCMessage *into = new_message(u, m->type);
    u->depth++;
    while (into != NULL && wire_next(&r, &w)) {
        const struct schema_field *f = schema_numbered(m, w.number);
        if (f != NULL && !unpack_field(u, m, f, into, &w, &r))
            return NULL;
    }
    u->depth--;
    if (into != NULL && r.broken) {
        (void)err_set(u->e, ERR_CORRUPT, "not the bytes of a " STR_FMT, STR_ARG(m->name));
        return NULL;
    }
    return into;
}

enum err_code transcode_unpack(const struct schema_message *m, struct str bytes, struct arena *a,
                               ProtobufCMessage **out, struct err *e)
{
    struct err why = {0};
    struct unpacking u = {.arena = a, .e = &why};
    ProtobufCMessage *got = unpack_message(&u, m, bytes);
    if (a->overflow)
        return arena_status(a, e);
    if (got == NULL)
        return err_set(e, why.code == ERR_OK ? ERR_CORRUPT : why.code, "%s", why.text);
    *out = got;
    return ERR_OK;
}

/* ---- struct to bytes ---- */

struct packing {
    struct arena *arena;
    struct buf *out;
    struct err err;
    uint32_t depth;
};

static bool pack_message(struct packing *p, const struct schema_message *m,
                         const ProtobufCMessage *from);

static bool pack_text(struct packing *p, const struct schema_field *f, uint32_t number,
                      struct str text, bool keep)
{
    if (f->type == SCHEMA_STRING && !transcode_is_text(text)) {
        (void)err_set(&p->err, ERR_INVALID,
                      "proto: field " STR_FMT ": text is no UTF-8, or holds NUL", STR_ARG(f->json));
        return false;
    }
    if (keep || text.len > 0)
        wire_put_bytes(p->out, number, text);
    return true;
}

static bool pack_special(struct packing *p, const struct schema_field *f, uint32_t number,
                         const ProtobufCMessage *from, bool keep)
{
    uint8_t bytes[SPECIAL_MAX], *at = bytes;
    size_t len = from == NULL ? 0 : protobuf_c_message_get_packed_size(from);
    if (len > sizeof bytes)
        at = arena_alloc(p->arena, len);
    if (at == NULL)
        return false;
    if (len > 0)
        protobuf_c_message_pack(from, at);
    return transcode_put_special(f, number, str_from(at, len), keep, p->arena, p->out, &p->err);
}

static bool pack_submessage(struct packing *p, const struct schema_field *f, uint32_t number,
                            const ProtobufCMessage *from, bool keep)
{
    if (f->message->special != SCHEMA_PLAIN && f->message->special != SCHEMA_STRINGS)
        return pack_special(p, f, number, from, keep);
    size_t before = p->out->len, begin = wire_begin(p->out, number);
    if (from != NULL && !pack_message(p, f->message, from))
        return false;
    if (!keep && p->out->len == begin && (f->always || f->inlined))
        p->out->len = before;
    else
        wire_end(p->out, begin);
    return true;
}

/* keep: zero is written too. A NULL is written as empty. */
static bool pack_value(struct packing *p, const struct schema_field *f, uint32_t number,
                       const void *at, bool keep)
{
    uint64_t value = 0;
    switch (f->type) {
    case SCHEMA_BOOL:
        value = *(const protobuf_c_boolean *)at != 0;
        break;
    case SCHEMA_INT32:
    case SCHEMA_ENUM:
        value = (uint64_t)(int64_t) * (const int32_t *)at;
        break;
    case SCHEMA_UINT32:
        value = *(const uint32_t *)at;
        break;
    case SCHEMA_INT64:
    case SCHEMA_UINT64:
        value = *(const uint64_t *)at;
        break;
    case SCHEMA_STRING:
        return pack_text(p, f, number, str_of(*(char *const *)at), keep);
    case SCHEMA_BYTES: {
        const ProtobufCBinaryData *data = at;
        return pack_text(p, f, number, str_from(data->data, data->len), keep);
    }
    case SCHEMA_MESSAGE:
        return pack_submessage(p, f, number, *(ProtobufCMessage *const *)at, keep);
    }
    if (keep || value != 0)
        wire_put_u64(p->out, number, value);
    return true;
}

static struct str entry_key(const ProtobufCMessage *entry)
{
    const char *key = *(char *const *)member(entry, entry->descriptor->fields[0].offset);
    return key == NULL ? STR("") : str_of(key);
}

/* By key; of equal keys the last one. A list in order, as canonical bytes give it, is taken as it is. */
static const ProtobufCMessage *const *
entries_sorted(struct packing *p, const ProtobufCMessage *const *from, size_t *count)
{
    size_t in_order = 1, kept = 0;
    while (in_order < *count &&
           str_cmp(entry_key(from[in_order - 1]), entry_key(from[in_order])) < 0)
        in_order++;
    if (in_order >= *count)
        return from;
    const ProtobufCMessage **to = arena_zalloc(p->arena, *count, sizeof *to);
    for (size_t i = 0; to != NULL && i < *count; i++) {
        size_t at = kept;
        while (at > 0 && str_cmp(entry_key(to[at - 1]), entry_key(from[i])) > 0)
            at--;
        if (at > 0 && str_eq(entry_key(to[at - 1]), entry_key(from[i]))) {
            to[at - 1] = from[i];
            continue;
        }
        memmove(to + at + 1, to + at, (kept++ - at) * sizeof *to);
        to[at] = from[i];
    }
    *count = kept;
    return to;
}

static bool pack_map(struct packing *p, const struct schema_field *f,
                     const ProtobufCMessage *const *entries, size_t count)
{
    entries = entries_sorted(p, entries, &count);
    if (entries == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        const ProtobufCMessage *entry = entries[i];
        size_t begin = wire_begin(p->out, f->number);
        struct str key = entry_key(entry);
        const struct schema_field as_key = {.type = SCHEMA_STRING, .json = f->json};
        if (!pack_text(p, &as_key, 1, key, true) ||
            !pack_value(p, f, 2, member(entry, entry->descriptor->fields[1].offset), true))
            return false;
        wire_end(p->out, begin);
    }
    return true;
}

static bool pack_list(struct packing *p, const struct schema_field *f, const char *list,
                      size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!pack_value(p, f, f->number, list + i * element_size(f), true))
            return false;
    return true;
}

/* Most fields of most messages are not: they are passed by their descriptors alone, one row of memory. */
static inline bool is_set(const ProtobufCFieldDescriptor *d, const ProtobufCMessage *from)
{
    if (d->label == PROTOBUF_C_LABEL_REPEATED)
        return *(size_t *)member(from, d->quantifier_offset) > 0;
    if (d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(uint32_t *)member(from, d->quantifier_offset) == d->id;
    if (d->type == PROTOBUF_C_TYPE_STRING || d->type == PROTOBUF_C_TYPE_MESSAGE)
        return *(void *const *)member(from, d->offset) != NULL;
    return *(protobuf_c_boolean *)member(from, d->quantifier_offset);
}

static bool pack_field(struct packing *p, const struct schema_field *f,
                       const ProtobufCFieldDescriptor *d, const ProtobufCMessage *from)
{
    const void *at = member(from, d->offset);
    if (f->repeated || f->map) {
        size_t count = *(size_t *)member(from, d->quantifier_offset);
        return f->map ? pack_map(p, f, *(const ProtobufCMessage *const *const *)at, count)
                      : pack_list(p, f, *(char *const *)at, count);
    }
    return pack_value(p, f, f->number, at, f->presence);
}

static bool pack_message(struct packing *p, const struct schema_message *m,
                         const ProtobufCMessage *from)
{
    if (p->depth == TRANSCODE_DEPTH_MAX) {
        (void)err_set(&p->err, ERR_LIMIT, "proto: exceeded max depth");
        return false;
    }
    CHECK(from->descriptor == m->type);
    p->depth++;
    const ProtobufCFieldDescriptor *d = m->type->fields;
    for (uint32_t i = 0; i < m->fields_count; i++, d++)
        if (is_set(d, from) && !pack_field(p, &m->fields[i], d, from))
            return false;
    p->depth--;
    return !p->out->overflow;
}

enum err_code transcode_pack(const struct schema_message *m, const ProtobufCMessage *from,
                             struct arena *a, struct buf *out, struct err *e)
{
    struct packing p = {.arena = a, .out = out};
    size_t before = out->len;
    if (pack_message(&p, m, from))
        return ERR_OK;
    out->len = before;
    if (p.err.code != ERR_OK)
        return err_set(e, p.err.code, "%s", p.err.text);
    return err_set(e, ERR_LIMIT, "object is too big to decode");
}
