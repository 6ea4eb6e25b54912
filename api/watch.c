/* SPDX-License-Identifier: Apache-2.0 */
#include "api/watch.h"

#include "base/wire.h"

enum { EVENT_TYPE = 1, EVENT_OBJECT = 2, EXTENSION_RAW = 1 };
enum { OBJECT_METADATA = 1, META_RESOURCE_VERSION = 6 };

static const char *const names[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"};

void watch_json_begin(struct buf *out, enum watch_type type)
{
    buf_add(out, STR("{\"type\":\""));
    buf_add(out, str_of(names[type]));
    buf_add(out, STR("\",\"object\":"));
}

void watch_json_end(struct buf *out)
{
    buf_add(out, STR("}\n"));
}

/* Every length is known from the inside out, so nothing moves once it is written. */
void watch_protobuf(struct buf *out, enum watch_type type, const struct transcode_envelope *object)
{
    struct str name = str_of(names[type]);
    size_t envelope = transcode_wrap_len(&object->head, object->raw.len);
    size_t extension = wire_bytes_len(EXTENSION_RAW, envelope);
    size_t event = wire_bytes_len(EVENT_TYPE, name.len) + wire_bytes_len(EVENT_OBJECT, extension);
    if (buf_reserve(out, 4 + event) == NULL)
        return;
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_add_char(out, (char)(event >> shift));
    wire_put_bytes(out, EVENT_TYPE, name);
    wire_put_tag(out, EVENT_OBJECT, WIRE_BYTES);
    wire_put_varint(out, extension);
    wire_put_tag(out, EXTENSION_RAW, WIRE_BYTES);
    wire_put_varint(out, envelope);
    transcode_wrap(object, out);
}

void watch_bookmark(uint64_t revision, struct buf *out)
{
    char digits[24];
    struct buf number = {.at = digits, .size = sizeof digits, .limit = sizeof digits};
    buf_add_u64(&number, revision);
    size_t begin = wire_begin(out, OBJECT_METADATA);
    wire_put_bytes(out, META_RESOURCE_VERSION, buf_str(&number));
    wire_end(out, begin);
}
