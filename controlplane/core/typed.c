/* SPDX-License-Identifier: Apache-2.0 */
/* Between stored bytes and protobuf-c structs, in the turn's arena. */
#include "api/transcode.h"
#include "controlplane/core/core_priv.h"

void *core_unpack(struct core *c, struct str envelope, const ProtobufCMessageDescriptor *type)
{
    struct transcode_envelope open;
    ProtobufCMessage *object;
    const struct schema_message *m = schema_message(str_of(type->name));
    if (m == NULL || transcode_open(envelope, &open, NULL) != ERR_OK ||
        transcode_unpack(m, open.raw, &c->turn, &object, NULL) != ERR_OK)
        return NULL;
    return object;
}

struct str core_pack(struct core *c, const char *api_version, const char *kind, const void *object)
{
    const ProtobufCMessage *base = object;
    const struct schema_message *m = schema_message(str_of(base->descriptor->name));
    struct buf raw, whole;
    struct str bytes = {NULL, 0};
    buf_init(&raw, STORE_VALUE_MAX);
    buf_init(&whole, STORE_VALUE_MAX);
    if (m != NULL && transcode_pack(m, base, &c->turn, &raw, NULL) == ERR_OK) {
        transcode_wrap(&(struct transcode_envelope){.head = {str_of(api_version), str_of(kind)},
                                                    .raw = buf_str(&raw)},
                       &whole);
        if (buf_status(&whole, NULL) == ERR_OK)
            bytes = arena_str(&c->turn, buf_str(&whole));
    }
    buf_free(&raw);
    buf_free(&whole);
    return bytes;
}
