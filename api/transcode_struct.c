/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes to protobuf-c structs and back. protobuf-c recurses as deeply as the bytes say and takes
 * any bytes for text, so they are looked through first.
 */
#include "api/transcode_priv.h"

static enum err_code scan(const struct schema_message *m, struct str bytes, uint32_t depth,
                          struct err *e);

static enum err_code scan_bytes(const struct schema_message *m, const struct schema_field *f,
                                struct str bytes, uint32_t depth, struct err *e)
{
    if (f->map) {
        struct wire_field w;
        struct wire_reader r = wire_read(bytes);
        while (wire_next(&r, &w)) {
            if (w.type != WIRE_BYTES)
                continue;
            bool is_text = w.number == 1 || f->type == SCHEMA_STRING;
            if (is_text && !transcode_is_text(w.bytes))
                return err_set(e, ERR_CORRUPT, STR_FMT "." STR_FMT " holds no text",
                               STR_ARG(m->name), STR_ARG(f->json));
            if (w.number == 2 && f->type == SCHEMA_MESSAGE) {
                enum err_code code = scan(f->message, w.bytes, depth + 1, e);
                if (code != ERR_OK)
                    return code;
            }
        }
        return r.broken ? err_set(e, ERR_CORRUPT, "broken map") : ERR_OK;
    }
    if (f->type == SCHEMA_MESSAGE)
        return scan(f->message, bytes, depth + 1, e);
    if (f->type == SCHEMA_STRING && !transcode_is_text(bytes))
        return err_set(e, ERR_CORRUPT, STR_FMT "." STR_FMT " is no text", STR_ARG(m->name),
                       STR_ARG(f->json));
    return ERR_OK;
}

static enum err_code scan(const struct schema_message *m, struct str bytes, uint32_t depth,
                          struct err *e)
{
    struct wire_reader r = wire_read(bytes);
    struct wire_field w;
    if (depth == TRANSCODE_DEPTH_MAX)
        return err_set(e, ERR_LIMIT, STR_FMT " nests too deeply", STR_ARG(m->name));
    while (wire_next(&r, &w)) {
        const struct schema_field *f = schema_numbered(m, w.number);
        if (f == NULL || w.type != WIRE_BYTES)
            continue;
        enum err_code code = scan_bytes(m, f, w.bytes, depth, e);
        if (code != ERR_OK)
            return code;
    }
    return r.broken ? err_set(e, ERR_CORRUPT, "not the bytes of a " STR_FMT, STR_ARG(m->name))
                    : ERR_OK;
}

static void *struct_alloc(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void struct_free(void *arena, void *at)
{
    (void)arena; /* Everything ends with it. */
    (void)at;
}

enum err_code transcode_unpack(const struct schema_message *m, struct str bytes, struct arena *a,
                               ProtobufCMessage **out, struct err *e)
{
    ProtobufCAllocator allocator = {struct_alloc, struct_free, a};
    if (bytes.at == NULL)
        bytes = STR("");
    enum err_code code = scan(m, bytes, 0, e);
    if (code != ERR_OK)
        return code;
    ProtobufCMessage *got =
        protobuf_c_message_unpack(m->type, &allocator, bytes.len, (const uint8_t *)bytes.at);
    if (a->overflow)
        return arena_status(a, e);
    if (got == NULL)
        return err_set(e, ERR_CORRUPT, "not the bytes of a " STR_FMT, STR_ARG(m->name));
    *out = got;
    return ERR_OK;
}

enum err_code transcode_pack(const struct schema_message *m, const ProtobufCMessage *from,
                             struct arena *a, struct buf *out, struct err *e)
{
    size_t size = protobuf_c_message_get_packed_size(from);
    uint8_t *bytes = arena_alloc(a, size + 1);
    if (bytes == NULL)
        return arena_status(a, e);
    size_t len = protobuf_c_message_pack(from, bytes);
    return transcode_from_protobuf(m, str_from(bytes, len), a, out, e);
}
