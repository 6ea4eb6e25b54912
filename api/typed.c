/* SPDX-License-Identifier: Apache-2.0 */
#include "api/typed.h"

#include "api/transcode.h"
#include "base/wire.h"

enum { TYPED_BYTES_MAX = 4 << 20 };

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

/* Fields are stored by rising number. False: the message does not decode. */
static bool put_field(struct str message, uint32_t number, struct str bytes, struct buf *out)
{
    struct wire_reader r = wire_read(message);
    struct wire_field f;
    bool is_put = false;

    for (const uint8_t *begin = r.at; wire_next(&r, &f); begin = r.at) {
        if (!is_put && f.number >= number) {
            wire_put_bytes(out, number, bytes);
            is_put = true;
        }
        if (f.number != number)
            buf_add(out, str_from(begin, (size_t)(r.at - begin)));
    }
    if (!is_put)
        wire_put_bytes(out, number, bytes);
    return !r.broken;
}

struct str typed_put(struct arena *a, struct str envelope, uint32_t holder, uint32_t number,
                     struct str bytes)
{
    struct transcode_envelope open;
    struct buf inner, raw, whole;
    struct str put = {NULL, 0};

    if (transcode_open(envelope, &open, NULL) != ERR_OK)
        return put;
    buf_init(&inner, TYPED_BYTES_MAX);
    buf_init(&raw, TYPED_BYTES_MAX);
    buf_init(&whole, TYPED_BYTES_MAX);
    bool ok = holder == 0 ? put_field(open.raw, number, bytes, &raw)
                          : put_field(wire_find_bytes(open.raw, holder), number, bytes, &inner) &&
                                put_field(open.raw, holder, buf_str(&inner), &raw);
    open.raw = buf_str(&raw);
    transcode_wrap(&open, &whole);
    if (ok && buf_status(&inner, NULL) == ERR_OK && buf_status(&raw, NULL) == ERR_OK &&
        buf_status(&whole, NULL) == ERR_OK)
        put = arena_str(a, buf_str(&whole));
    buf_free(&inner);
    buf_free(&raw);
    buf_free(&whole);
    return put;
}
