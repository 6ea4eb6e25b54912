/* SPDX-License-Identifier: Apache-2.0 */
#include "api/typed.h"

#include "api/transcode.h"

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
