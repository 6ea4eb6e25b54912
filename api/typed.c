/* SPDX-License-Identifier: Apache-2.0 */
#include "api/typed.h"

#include "api/transcode.h"
#include "base/wire.h"

enum { TYPED_BYTES_MAX = 4 << 20 };

static void *take(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void keep(void *arena, void *at)
{
    (void)arena;
    (void)at;
}

ProtobufCAllocator typed_allocator(struct arena *a)
{
    return (ProtobufCAllocator){.alloc = take, .free = keep, .allocator_data = a};
}

void *typed_open(struct arena *a, const ProtobufCMessageDescriptor *type, struct str envelope)
{
    struct transcode_envelope open;
    ProtobufCMessage *object;
    const struct schema_message *m = schema_message(str_of(type->name));

    if (m == NULL || transcode_open(envelope, &open, NULL) != ERR_OK ||
        transcode_unpack(m, open.raw, a, &object, NULL) != ERR_OK)
        return NULL;
    return object;
}

struct str typed_wrap(struct arena *a, const char *api_version, const char *kind,
                      const void *object)
{
    const ProtobufCMessage *base = object;
    const struct schema_message *m = schema_message(str_of(base->descriptor->name));
    struct buf raw, whole;
    struct str bytes = {NULL, 0};

    buf_init(&raw, TYPED_BYTES_MAX);
    buf_init(&whole, TYPED_BYTES_MAX);
    if (m != NULL && transcode_pack(m, base, a, &raw, NULL) == ERR_OK) {
        transcode_wrap(&(struct transcode_envelope){.head = {str_of(api_version), str_of(kind)},
                                                    .raw = buf_str(&raw)},
                       &whole);
        if (buf_status(&whole, NULL) == ERR_OK)
            bytes = arena_str(a, buf_str(&whole));
    }
    buf_free(&raw);
    buf_free(&whole);
    return bytes;
}

struct str typed_pack(struct arena *a, const void *message)
{
    const ProtobufCMessage *base = message;
    const struct schema_message *m = schema_message(str_of(base->descriptor->name));
    struct buf raw;
    struct str bytes = {NULL, 0};

    buf_init(&raw, TYPED_BYTES_MAX);
    if (m != NULL && transcode_pack(m, base, a, &raw, NULL) == ERR_OK &&
        buf_status(&raw, NULL) == ERR_OK)
        bytes = arena_str(a, buf_str(&raw));
    buf_free(&raw);
    return bytes;
}

static uint32_t number_of(const struct typed_field *f)
{
    return f->holder != 0 ? f->holder : f->number;
}

/* was: what stands there now. */
static bool put_field(const struct typed_field *f, struct str was, struct buf *out)
{
    if (f->holder == 0) {
        wire_put_bytes(out, f->number, f->bytes);
        return true;
    }
    struct typed_field inner = {.number = f->number, .bytes = f->bytes};
    size_t begin = wire_begin(out, f->holder);
    bool ok = typed_put_fields(was, &inner, 1, out);
    wire_end(out, begin);
    return ok;
}

bool typed_put_fields(struct str message, const struct typed_field *fields, uint32_t count,
                      struct buf *out)
{
    struct wire_reader r = wire_read(message);
    struct wire_field f;
    uint32_t next = 0;
    bool ok = true;

    for (const uint8_t *begin = r.at; ok && wire_next(&r, &f); begin = r.at) {
        while (ok && next < count && number_of(&fields[next]) < f.number)
            ok = put_field(&fields[next++], STR(""), out);
        if (next < count && number_of(&fields[next]) == f.number)
            ok = ok && put_field(&fields[next++], f.bytes, out);
        else if (next == 0 || number_of(&fields[next - 1]) != f.number)
            buf_add(out, str_from(begin, (size_t)(r.at - begin)));
    }
    while (ok && next < count)
        ok = put_field(&fields[next++], STR(""), out);
    return ok && !r.broken;
}

struct str typed_put(struct arena *a, struct str envelope, const struct typed_field *fields,
                     uint32_t fields_count)
{
    struct transcode_envelope open;
    struct buf raw, whole;
    struct str put = {NULL, 0};

    if (transcode_open(envelope, &open, NULL) != ERR_OK)
        return put;
    buf_init(&raw, TYPED_BYTES_MAX);
    buf_init(&whole, TYPED_BYTES_MAX);
    bool ok = typed_put_fields(open.raw, fields, fields_count, &raw);
    open.raw = buf_str(&raw);
    transcode_wrap(&open, &whole);
    if (ok && buf_status(&raw, NULL) == ERR_OK && buf_status(&whole, NULL) == ERR_OK)
        put = arena_str(a, buf_str(&whole));
    buf_free(&raw);
    buf_free(&whole);
    return put;
}
