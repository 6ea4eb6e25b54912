/* SPDX-License-Identifier: Apache-2.0 */
/* Two structs field by field, by their descriptor: an update asks of every spec whether it is what it was, and encoding both to
 * compare bytes was a quarter of a PATCH. */
#include "api/kinds.h"
#include "base/check.h"

static bool same_message(const ProtobufCMessage *a, const ProtobufCMessage *b);

static const void *member(const ProtobufCMessage *of, unsigned offset)
{
    return (const char *)of + offset;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_bytes(const ProtobufCBinaryData *a, const ProtobufCBinaryData *b)
{
    return str_eq(str_from(a->data, a->len), str_from(b->data, b->len));
}

static size_t size_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_ENUM:
        return sizeof(uint32_t);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return sizeof(uint64_t);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    }
    return 0;
}

static bool same_value(ProtobufCType type, const void *a, const void *b)
{
    if (type == PROTOBUF_C_TYPE_STRING)
        return same_text(*(char *const *)a, *(char *const *)b);
    if (type == PROTOBUF_C_TYPE_MESSAGE)
        return same_message(*(ProtobufCMessage *const *)a, *(ProtobufCMessage *const *)b);
    if (type == PROTOBUF_C_TYPE_BYTES)
        return same_bytes(a, b);
    return memcmp(a, b, size_of(type)) == 0;
}

static bool same_list(const ProtobufCFieldDescriptor *f, const ProtobufCMessage *a,
                      const ProtobufCMessage *b)
{
    size_t count = *(const size_t *)member(a, f->quantifier_offset);
    const char *x = *(char *const *)member(a, f->offset), *y = *(char *const *)member(b, f->offset);
    if (count != *(const size_t *)member(b, f->quantifier_offset))
        return false;
    for (size_t i = 0; i < count && x != y; i++)
        if (!same_value(f->type, x + i * size_of(f->type), y + i * size_of(f->type)))
            return false;
    return true;
}

/* Texts and messages are absent as NULL, the others say so beside them. */
static bool same_field(const ProtobufCFieldDescriptor *f, const ProtobufCMessage *a,
                       const ProtobufCMessage *b)
{
    bool is_pointer = f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE;
    CHECK((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0); /* No kind has one. */
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return same_list(f, a, b);
    if (f->label == PROTOBUF_C_LABEL_OPTIONAL && !is_pointer) {
        bool has = *(const protobuf_c_boolean *)member(a, f->quantifier_offset);
        if (has != *(const protobuf_c_boolean *)member(b, f->quantifier_offset))
            return false;
        if (!has)
            return true;
    }
    return same_value(f->type, member(a, f->offset), member(b, f->offset));
}

static bool same_message(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    if (a == b || a == NULL || b == NULL)
        return a == b;
    const ProtobufCMessageDescriptor *d = a->descriptor;
    CHECK(d == b->descriptor);
    for (unsigned i = 0; i < d->n_fields; i++)
        if (!same_field(&d->fields[i], a, b))
            return false;
    return true;
}

static bool is_empty(const ProtobufCMessage *m)
{
    return m == NULL || protobuf_c_message_get_packed_size(m) == 0;
}

bool kind_same(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    return a == NULL || b == NULL ? is_empty(a) && is_empty(b) : same_message(a, b);
}
