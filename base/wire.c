/* SPDX-License-Identifier: Apache-2.0 */
#include "base/wire.h"

/* Longer than ten bytes, or bits above the 64th: broken. */
static bool read_long_varint(struct wire_reader *r, uint64_t *out)
{
    uint64_t value = 0;
    for (uint32_t shift = 0; r->at < r->end && shift < 70; shift += 7) {
        uint8_t byte = *r->at++;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    r->broken = true;
    return false;
}

/* Most are of one byte. */
static inline bool read_varint(struct wire_reader *r, uint64_t *out)
{
    if (r->at < r->end && *r->at < 0x80) {
        *out = *r->at++;
        return true;
    }
    return read_long_varint(r, out);
}

bool wire_varint(struct wire_reader *r, uint64_t *out)
{
    return !r->broken && r->at < r->end && read_varint(r, out);
}

static bool read_fixed(struct wire_reader *r, uint32_t size, uint64_t *out)
{
    if (r->end - r->at < (ptrdiff_t)size) {
        r->broken = true;
        return false;
    }
    *out = 0;
    for (uint32_t i = 0; i < size; i++)
        *out |= (uint64_t)r->at[i] << (8 * i);
    r->at += size;
    return true;
}

bool wire_next_any(struct wire_reader *r, struct wire_field *out)
{
    uint64_t tag, len;
    if (r->broken || r->at == r->end || !read_varint(r, &tag))
        return false;
    out->number = (uint32_t)(tag >> 3);
    out->type = (enum wire_type)(tag & 7);
    out->bytes = (struct str){NULL, 0};
    out->value = 0;
    if (tag >> 3 == 0 || tag >> 3 > WIRE_FIELD_MAX) {
        r->broken = true;
        return false;
    }
    switch (out->type) {
    case WIRE_VARINT:
        return read_varint(r, &out->value);
    case WIRE_FIXED64:
        return read_fixed(r, 8, &out->value);
    case WIRE_FIXED32:
        return read_fixed(r, 4, &out->value);
    case WIRE_BYTES:
        if (!read_varint(r, &len))
            return false;
        if (len > (uint64_t)(r->end - r->at))
            break;
        out->bytes = str_from(r->at, (size_t)len);
        r->at += len;
        return true;
    }
    r->broken = true; /* A group, a type that is none, or a length past the end. */
    return false;
}

struct str wire_find_bytes(struct str message, uint32_t number)
{
    struct wire_reader r = wire_read(message);
    struct wire_field f;
    while (wire_next(&r, &f)) {
        if (f.number == number && f.type == WIRE_BYTES)
            return f.bytes;
    }
    return (struct str){NULL, 0};
}

uint64_t wire_find_u64(struct str message, uint32_t number)
{
    struct wire_reader r = wire_read(message);
    struct wire_field f;
    while (wire_next(&r, &f)) {
        if (f.number == number && f.type == WIRE_VARINT)
            return f.value;
    }
    return 0;
}

bool wire_next_bytes(struct wire_reader *r, uint32_t number, struct str *out)
{
    struct wire_field f;
    while (wire_next(r, &f)) {
        if (f.number == number && f.type == WIRE_BYTES) {
            *out = f.bytes;
            return true;
        }
    }
    return false;
}

static size_t put_varint(uint8_t *at, uint64_t value)
{
    size_t len = 0;
    while (value >= 0x80) {
        at[len++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    at[len++] = (uint8_t)value;
    return len;
}

void wire_put_varint(struct buf *out, uint64_t value)
{
    uint8_t *at = (uint8_t *)buf_reserve(out, wire_varint_len(value));
    if (at != NULL)
        out->len += put_varint(at, value);
}

void wire_put_tag(struct buf *out, uint32_t number, enum wire_type type)
{
    wire_put_varint(out, (uint64_t)number << 3 | type);
}

void wire_put_u64(struct buf *out, uint32_t number, uint64_t value)
{
    wire_put_tag(out, number, WIRE_VARINT);
    wire_put_varint(out, value);
}

void wire_put_bytes(struct buf *out, uint32_t number, struct str bytes)
{
    uint64_t tag = (uint64_t)number << 3 | WIRE_BYTES;
    size_t len = wire_varint_len(tag) + wire_varint_len(bytes.len) + bytes.len;
    uint8_t *at = (uint8_t *)buf_reserve(out, len);
    if (at == NULL)
        return;
    if ((tag | bytes.len) < 0x80) { /* Nearly all. */
        *at++ = (uint8_t)tag;
        *at++ = (uint8_t)bytes.len;
    } else {
        at += put_varint(at, tag);
        at += put_varint(at, bytes.len);
    }
    str_put(at, bytes);
    out->len += len;
}

/* One byte is kept free for the length: most messages are shorter than 128 bytes, and the others
 * move by one or two bytes. */
size_t wire_begin(struct buf *out, uint32_t number)
{
    wire_put_bytes(out, number, STR(""));
    return out->len;
}

void wire_end(struct buf *out, size_t begin)
{
    if (out->overflow)
        return;
    size_t len = out->len - begin;
    uint32_t extra = wire_varint_len(len) - 1;
    if (extra > 0) {
        if (buf_reserve(out, extra) == NULL)
            return;
        buf_commit(out, extra);
        memmove(out->at + begin + extra, out->at + begin, len);
    }
    (void)put_varint((uint8_t *)out->at + begin - 1, len);
}
